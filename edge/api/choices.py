"""Which words a field may be, for the answer to one that it may not be. Not the check itself.

msgspec says ``Invalid enum value 'maybe'`` and not what it would have taken, and a pattern as a machine
reads it; the reader of a refusal wants the list, or an example.
"""

import re
from typing import Any, Literal, get_args, get_origin

import msgspec

_UNKNOWN = re.compile(r"Invalid enum value '(?P<word>.*)'", re.DOTALL)
_PATTERN = re.compile(r"Expected `str` matching regex '(?P<pattern>.*)'", re.DOTALL)
DAY = r"^\d{4}-\d{2}-\d{2}$"
"""Pattern of a local day; that there is such a day is asked of the calendar."""
A_DAY = "a day as 2026-02-28 is expected"
PATTERNS = {
    DAY: A_DAY,
    "^[^/+#]*$": "a name without / + # is expected",
    "^[0-9]{1,18}([.][0-9]{1,9})?$": "a number as in 17 or 17.2 is expected",
}
"""Pattern of a field -> what it wants, for people."""
_INDEX = re.compile(r"\[.*?\]")


def told(words: str, wanted: Any, path: str) -> str:
    """msgspec's ``words`` about the field ``path`` of ``wanted``, with the words it may be.

    >>> class Verdict(msgspec.Struct):
    ...     said: Literal["right", "wrong"] | None = None
    >>> told("Invalid enum value 'maybe'", Verdict, "said")
    "'maybe' is none of right, wrong"
    >>> told("Expected `int` <= 5", Verdict, "said")
    'Expected `int` <= 5'
    >>> told("Expected `str` matching regex '^[^/+#]*$'", Verdict, "said")
    'a name without / + # is expected'
    """
    if found := _PATTERN.fullmatch(words):
        return _WANTED.get(found["pattern"], words)
    unknown = _UNKNOWN.fullmatch(words)
    known = choices(wanted, path) if unknown else []
    return f"{unknown['word']!r} is none of {', '.join(known)}" if unknown and known else words


_WANTED = {repr(pattern)[1:-1]: words for pattern, words in PATTERNS.items()}


def choices(wanted: Any, path: str) -> list[str]:
    """Words of the field ``path`` (``defects[0]``, ``lines[0].kind``); empty: it takes others.

    >>> class Look(msgspec.Struct):
    ...     defects: list[Literal["oil", "mold"]]
    >>> choices(Look, "defects[0]")
    ['oil', 'mold']
    """
    kinds = [wanted]
    for name in _INDEX.sub("", path).split("."):
        kinds = [
            field.type
            for struct in _structs(kinds)
            for field in msgspec.structs.fields(struct)
            if field.encode_name == name
        ]
    return [word for kind in kinds for word in _literals(kind) if word]


def _structs(kinds: list[Any]) -> list[Any]:
    """The structs in types, also inside unions and lists."""
    found = []
    for kind in kinds:
        inner = get_args(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            found.append(kind)
        found += _structs([part for part in inner if not isinstance(part, str)])
    return found


def _literals(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(word) for word in get_args(kind)]
    return [word for inner in get_args(kind) for word in _literals(inner)]
