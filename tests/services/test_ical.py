"""The calendar feed, read back by an unfolder written for the test."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services.ical import Entry, calendar, escaped, folded

STAMP = "2026-11-21T08:00:00Z"


def unfolded(text: str) -> list[str]:
    """RFC 5545, 3.1: a line that begins with white space goes on from the one before."""
    assert text.endswith("\r\n")
    return text.replace("\r\n ", "").replace("\r\n\t", "").removesuffix("\r\n").split("\r\n")


def unescaped(value: str) -> str:
    """Text as it was before."""
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nN" else m[1], value)


def test_a_feed_says_what_it_must() -> None:
    entry = Entry(
        uid="service-4254@main.rfid3",
        day="2026-11-23",
        days=1,
        summary="Service: Chair, folding",
        description="Saves 12.00; 30 min\nCrew: north",
        location="main",
        categories=("maintenance",),
    )
    lines = unfolded(calendar("Maintenance", [entry], STAMP))
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[1] == "VERSION:2.0"
    assert lines[-1] == "END:VCALENDAR"
    event = lines[lines.index("BEGIN:VEVENT") + 1 : lines.index("END:VEVENT")]
    told = dict(line.split(":", 1) for line in event)
    assert told["UID"] == "service-4254@main.rfid3"
    assert told["DTSTAMP"] == "20261121T080000Z"
    assert told["DTSTART;VALUE=DATE"] == "20261123"
    assert told["DURATION"] == "P1D"
    assert unescaped(told["SUMMARY"]) == "Service: Chair, folding"
    assert unescaped(told["DESCRIPTION"]) == "Saves 12.00; 30 min\nCrew: north"


def test_an_empty_feed_is_a_calendar() -> None:
    assert unfolded(calendar("Nothing", [], STAMP))[-1] == "END:VCALENDAR"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_lines_are_short_whole_and_say_the_same(text: str) -> None:
    text = "".join(c for c in text if not "\ud800" <= c <= "\udfff" and c not in "\r\n")
    made = folded(text)
    for line in made.removesuffix("\r\n").split("\r\n"):
        assert len(line.encode()) <= 75
    assert made.replace("\r\n ", "") == text + "\r\n"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), max_size=100))
def test_escaped_text_is_one_line_and_comes_back(text: str) -> None:
    made = escaped(text + "\n" + text)
    assert "\n" not in made
    assert unescaped(made) == text + "\n" + text


def test_nobody_can_begin_a_line_of_their_own() -> None:
    entry = Entry(uid="a", day="2026-11-23", days=1, summary="x\r\nATTACH:http://a\x00b\u2028c")
    text = calendar("n", [entry], STAMP)
    assert not any(line.startswith("ATTACH") for line in text.split("\r\n"))
    assert "\x00" not in text
