"""A calendar that other programs can subscribe to (iCalendar, RFC 5545). Text only, no clock.

Whole-day events: a service has a day, not an hour. The stamp is an argument, and every event keeps
its UID as long as it is the same event, so a feed read twice shows nothing twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass

LINE_OCTETS = 75
"""Longest line, without its end (RFC 5545, 3.1)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of whole days."""

    uid: str
    """Tells it from every other event, for ever."""
    day: str
    """First day, ``YYYY-MM-DD``."""
    days: int
    """How many."""
    summary: str
    description: str = ""
    location: str = ""
    categories: tuple[str, ...] = ()
    sequence: int = 0
    """Rises when the event changes."""


def calendar(name: str, entries: Iterable[Entry], stamp: str) -> str:
    """The feed; ``stamp``: when it was made, ``YYYY-MM-DDTHH:MM:SSZ``."""
    at = _digits(stamp)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//rfid3//maintenance//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{escaped(name)}",
    ]
    for entry in entries:
        lines += _event(entry, at)
    lines.append("END:VCALENDAR")
    return "".join(folded(line) for line in lines)


def _event(entry: Entry, stamp: str) -> list[str]:
    lines = [
        "BEGIN:VEVENT",
        f"UID:{escaped(entry.uid)}",
        f"DTSTAMP:{stamp}",
        f"DTSTART;VALUE=DATE:{_digits(entry.day)}",
        f"DURATION:P{entry.days}D",
        f"SEQUENCE:{entry.sequence}",
        f"SUMMARY:{escaped(entry.summary)}",
        "TRANSP:TRANSPARENT",
    ]
    if entry.description:
        lines.append(f"DESCRIPTION:{escaped(entry.description)}")
    if entry.location:
        lines.append(f"LOCATION:{escaped(entry.location)}")
    if entry.categories:
        lines.append("CATEGORIES:" + ",".join(escaped(word) for word in entry.categories))
    return [*lines, "END:VEVENT"]


def escaped(text: str) -> str:
    r"""Text as a value (RFC 5545, 3.3.11); control characters are left out.

    >>> escaped("Chairs, 2; wash\nand dry")
    'Chairs\\, 2\\; wash\\nand dry'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace(";", "\\;").replace(",", "\\,")
    return "".join(c for c in text if c == "\t" or (c >= " " and c != "\x7f"))


def folded(line: str) -> str:
    """A line with its end, folded so that none is longer than 75 octets, never inside a character.

    >>> folded("A" * 80).split("\\r\\n")
    ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', ' AAAAA', '']
    """
    out: list[str] = []
    held: list[str] = []
    room = LINE_OCTETS
    for character in line:
        size = len(character.encode("utf-8", "replace"))
        if size > room:
            out.append("".join(held))
            held, room = [" "], LINE_OCTETS - 1
        held.append(character)
        room -= size
    out.append("".join(held))
    return "\r\n".join(out) + "\r\n"


def _digits(moment: str) -> str:
    """``2026-11-21`` -> ``20261121``; the same for moments.

    >>> _digits("2026-11-21T08:00:00Z")
    '20261121T080000Z'
    """
    return moment.replace("-", "").replace(":", "")
