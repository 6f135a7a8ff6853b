"""The shape of a mapping file. No logic; ``docs/replay.md`` is held against it by a test."""

from typing import Literal

from msgspec import Struct, structs


class Expression(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value: from a column, from several, or fixed. A plain text in TOML names a column."""

    column: str = ""
    """The column."""
    constant: str | int | float | bool | None = None
    """A fixed value."""
    template: str = ""
    """A text with ``{column}`` in it; ``{row}`` is the row's number in the file, from 1."""
    time: str = ""
    """A column that holds a moment."""
    line_of: str = ""
    """How many rows with the same value in this column came so far: a line number, from 1."""
    unit: Literal["s", "ms", "us", "ns"] = "ms"
    """What numbers in a ``time`` column count, from 1970 in UTC."""
    format: str = ""
    """``strptime`` pattern of texts in a ``time`` column; empty: RFC 3339 and its relatives."""
    timezone: str = ""
    """IANA zone of a ``time`` column without its own; empty: the mapping's."""
    after: str = ""
    """A ``time`` column that lies before: decides which of two equal local times is meant."""
    scale: float | None = None
    """Factor of a number."""
    hex_digits: int | None = None
    """Write a whole number in so many hexadecimal digits."""
    prefix: str = ""
    """Text before the value."""
    values: dict[str, str] = {}
    """Their text -> ours."""
    otherwise: str | None = None
    """Instead of a text that ``values`` does not list; absent: the text as it is, "": left out."""
    default: str | int | float | None = None
    """Instead of an empty cell; absent: the field is left out."""


class Condition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a row is meant; give one of the three."""

    column: str
    """The column looked at, as text."""
    prefix: str = ""
    """It begins with this."""
    one_of: list[str] = []
    """It is one of these."""
    present: bool | None = None
    """It is filled (true) or empty (false)."""


class SkipRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows to leave out."""

    when: Condition
    """Which rows."""
    reason: str
    """What the summary calls them."""


class MessageSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message made of each row that it applies to."""

    format: Literal["native", "native-msgpack", "impinj", "rfid3", "json"]
    """How it is written: our events, an R700's read, a handheld's row, or any flat object."""
    type: str = ""
    """The event type, for ``native``."""
    topic: str
    """The topic; ``{column}`` and ``{store}`` are filled in."""
    time: str | Expression | None = None
    """When it is sent and happened; absent: the mapping's time."""
    when: list[Condition] = []
    """All must hold."""
    unless: list[Condition] = []
    """None may hold."""
    fields: dict[str, str | Expression] = {}
    """Field of the message -> where its value comes from."""


class Mapping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping file."""

    description: str = ""
    """What it is for, one sentence."""
    time: str | Expression
    """The moment that puts the rows in order."""
    timezone: str = "UTC"
    """IANA zone of times that do not say theirs."""
    encoding: str = "utf-8"
    """Characters of a CSV or JSON lines file; bytes that are none become U+FFFD."""
    fields: dict[str, str | Expression] = {}
    """Fields that all messages have in common."""
    skip: list[SkipRule] = []
    """Rows to leave out, with a reason."""
    messages: list[MessageSpec] = []
    """What a row becomes."""


def as_expression(given: str | Expression, *, as_time: bool = False) -> Expression:
    """A plain text names a column; where a moment is wanted, ``column`` means ``time``."""
    if isinstance(given, str):
        return Expression(time=given) if as_time else Expression(column=given)
    if as_time and given.column and not given.time:
        return structs.replace(given, column="", time=given.column)
    return given
