"""What the JSON reader complains about, in words for people: where, what, and what to write instead.

Text in, text out; what is no such complaint stays as it is. The reasons are not touched: a program
goes by those.
"""

import difflib
import re
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import msgspec

from edge.events import BY_KIND, EVENT_TYPES

KINDS_OF_VALUE = {
    "str": "a text in double quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object in {}",
    "array": "a list in []",
    "null": "null",
}
"""The reader's name of a kind of value -> ours."""

SYNTAX = {
    "trailing comma in object": "take away the comma before the }",
    "trailing comma in array": "take away the comma before the ]",
    "object keys must be strings": "names stand in double quotes",
    "trailing characters": "there is more after its end; send several as a list, or one a line",
    "invalid character": "no value, bracket or quote is right there",
    "invalid escape character in string": "write a backslash in a text twice",
    "invalid escaped character": "write a backslash in a text twice",
    "invalid character in unicode escape": "write \\u and four hex digits",
    "invalid utf-16 surrogate pair": "half of a character of two parts is missing",
    "expected '\"'": "names stand in double quotes",
    "expected ':'": "a colon is missing after the name",
    "expected ',' or '}'": "a comma or the closing } is missing",
    "expected ',' or ']'": "a comma or the closing ] is missing",
    "invalid number": "a number is written like 12 or 12.5",
}
"""The reader's name of a mistake in JSON text -> what to do about it."""


def _literals(kind: Any) -> list[str]:
    """The words of every ``Literal`` inside a type.

    >>> _literals(list[Literal["oil", "mold"]])
    ['oil', 'mold']
    """
    if get_origin(kind) is Literal:
        return [str(word) for word in get_args(kind)]
    return [word for inner in get_args(kind) for word in _literals(inner)]


def _words() -> dict[str, list[str]]:
    """Field -> every word it may be, in any event type."""
    found: dict[str, list[str]] = {"type": list(BY_KIND)}
    for event_type in EVENT_TYPES:
        for field in msgspec.structs.fields(event_type):
            found.setdefault(field.name, []).extend(_literals(field.type))
    return found


_WORDS = _words()


def _where(path: str | None) -> str:
    """``$.defects[1]`` -> ``defects[1]: ``."""
    field = (path or "").removeprefix("$").removeprefix(".")
    return f"{field}: " if field else ""


def _expected(m: re.Match[str]) -> str:
    wanted = [KINDS_OF_VALUE.get(k, k) for k in m["wanted"].split(" | ") if k != "null"]
    got = KINDS_OF_VALUE.get(m["got"], m["got"])
    return f"{_where(m['path'])}write {' or '.join(wanted)}, not {got}"


def _unknown_word(m: re.Match[str]) -> str:
    word, field = m["word"], re.sub(r"\[.*?\]|.*\.", "", m["path"] or "")
    known = _WORDS.get(field, [])
    lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), lower, 1, 0.5)
    hint = f"; did you mean {lower[near[0]]!r}?" if near else "; docs/events.md lists them"
    return f"{_where(m['path'])}{word!r} is none of its words{hint}"


def _missing(m: re.Match[str]) -> str:
    inside = _where(m["path"]).removesuffix(": ")
    return f"{m['field']} is missing{f' in {inside}' if inside else ''}; such an event needs it"


def _syntax(m: re.Match[str]) -> str:
    what = SYNTAX.get(m["what"], m["what"])
    return f"no JSON from byte {m['byte']} on: {what}"


_AT = r"(?: - at `(?P<path>[^`]*)`)?"
_SENTENCES: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (rf"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`{_AT}", _expected),
    (rf"Invalid (?:enum )?value '(?P<word>.*?)'{_AT}", _unknown_word),
    (rf"Object missing required field `(?P<field>[^`]+)`{_AT}", _missing),
    (r"JSON is malformed: (?P<what>.*) \(byte (?P<byte>\d+)\)", _syntax),
    (
        r"Input data was truncated",
        lambda m: "the JSON text ends too early: a bracket or quote is not closed",
    ),
    (
        rf"(?:Integer value|Number) out of range{_AT}",
        lambda m: f"{_where(m['path'])}the number is too large",
    ),
)
_PATTERNS = tuple((re.compile(pattern), told) for pattern, told in _SENTENCES)


def readable(text: object) -> str:
    """A complaint for people, without a full stop.

    >>> readable("Expected `str`, got `int` - at `$.sku`")
    'sku: write a text in double quotes, not a whole number'
    >>> readable("Invalid enum value 'rental' - at `$.scan_type`")
    "scan_type: 'rental' is none of its words; did you mean 'Rental'?"
    >>> readable("Object missing required field `document`")
    'document is missing; such an event needs it'
    >>> readable("JSON is malformed: trailing comma in object (byte 34)")
    'no JSON from byte 34 on: take away the comma before the }'
    >>> readable("sku may not be empty")
    'sku may not be empty'
    """
    found = str(text)
    for pattern, told in _PATTERNS:
        match = pattern.fullmatch(found)
        if match:
            return told(match)
    return found
