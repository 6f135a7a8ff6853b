"""Expressions of a mapping -> functions of a row. Pure.

What cannot be converted is passed on as it is: a price of ``n/a`` is sent, refused by the daemon
and kept there as a dead letter, rather than lost here.
"""

import math
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from edge.replay.errors import ReplayError, did_you_mean
from edge.replay.moments import NS_PER_MS, LocalTime, Moment, read_moment
from edge.replay.reader import Row, Stamp
from edge.replay.spec import Expression
from edge.simulate.speak import rfc3339

Cell = Callable[[Row, int], Any]
"""(row, shift in milliseconds) -> value, or ``None`` for an empty cell."""

ROW = "row"
STORE = "store"
DOCUMENTS_REMEMBERED = 262_144

_PLACE = re.compile(r"\{([^{}]*)\}")
_NOT_IN_TOPICS = str.maketrans("+#/\0", "----")


class LineNumbers:
    """How many rows of each document came so far; the oldest of very many documents is forgotten."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._lines: dict[Any, int] = {}

    def next_line(self, row: Row) -> int:
        """The line number of a row that comes now."""
        key = row[self._index]
        line = self._lines.get(key, 0) + 1
        self._lines[key] = line
        if len(self._lines) > DOCUMENTS_REMEMBERED:
            del self._lines[next(iter(self._lines))]
        return line


class Columns:
    """Names -> positions. Behind a row's own values come its number and its line numbers."""

    def __init__(
        self, names: tuple[str, ...], stamps: dict[str, Stamp], timezone: str, store: str
    ) -> None:
        self.names = names
        self.stamps = stamps
        self.timezone = timezone
        self.store = store
        self.counters: dict[str, LineNumbers] = {}
        self._index = {name: i for i, name in enumerate(names)}
        self._zones: dict[str, LocalTime] = {}

    def extend(self, row: Row, number: int) -> Row:
        """A row as read -> a row as the compiled expressions expect it."""
        lines = [counter.next_line(row) for counter in self.counters.values()]
        return (*row, number, *lines)

    def index(self, name: str) -> int:
        """Position of a column. Raises ReplayError."""
        found = self._index.get(name)
        if found is None:
            hint = did_you_mean(name, self.names)
            raise ReplayError(f"no column {name!r}{hint}. The file has: {', '.join(self.names)}")
        return found

    def line_index(self, name: str) -> int:
        """Position of the line number within documents named by a column."""
        if name not in self.counters:
            self.counters[name] = LineNumbers(self.index(name))
        return len(self.names) + 1 + list(self.counters).index(name)

    def moment(self, given: Expression) -> Moment:
        """How to read the moment that an expression names. Raises ReplayError."""
        if not given.time:
            raise ReplayError('a time must name a column: time = "…"')
        after = self.moment(Expression(time=given.after)) if given.after else None
        return read_moment(
            self.index(given.time),
            stamp=self.stamps.get(given.time),
            unit=given.unit,
            pattern=given.format,
            zone=self._zone(given.timezone or self.timezone),
            after=after,
        )

    def _zone(self, name: str) -> LocalTime:
        if name not in self._zones:
            try:
                self._zones[name] = LocalTime(name)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ReplayError(
                    f"no timezone {name!r}; IANA names look like Europe/London"
                ) from error
        return self._zones[name]

    def topic(self, template: str) -> Cell:
        """A topic; what topics must not contain becomes ``-``, what is empty ``unknown``."""
        return self._template(template, lambda value: _as_level(value))

    def template(self, template: str) -> Cell:
        """A text with columns in it."""
        return self._template(template, lambda value: str(as_text(value) or ""))

    def _template(self, template: str, show: Callable[[Any], str]) -> Cell:
        pieces = _PLACE.split(template)
        fixed, names = pieces[::2], pieces[1::2]
        if names == [STORE] or not names:
            text = template.replace("{store}", self.store)
            return lambda row, shift: text
        places: list[int] = []
        texts = [fixed[0]]
        for name, behind in zip(names, fixed[1:], strict=True):
            if name == STORE and STORE not in self._index:
                texts[-1] += self.store + behind
                continue
            places.append(len(self.names) if name == ROW else self.index(name))
            texts.append(behind)
        known: dict[Any, str] = {}
        remembered_max = 0 if ROW in names else 4_096

        def filled(row: Row, shift_ms: int) -> str:
            key = tuple([row[place] for place in places])
            text = known.get(key)
            if text is None:
                shown = [show(value) for value in key]
                text = texts[0] + "".join(a + b for a, b in zip(shown, texts[1:], strict=True))
                if len(known) < remembered_max:
                    known[key] = text
            return text

        return filled


def _as_level(value: Any) -> str:
    return str(as_text(value) or "unknown").translate(_NOT_IN_TOPICS)


def as_text(value: Any) -> Any:
    """A number as people write it; text as it is; empty stays empty.

    >>> as_text(17850.0), as_text("x"), as_text(None), as_text(float("nan"))
    ('17850', 'x', None, None)
    """
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)


def as_number(value: Any) -> Any:
    """Text that is a number as one; anything else unchanged; what is not a number at all empty.

    >>> as_number("2.5"), as_number("7"), as_number("n/a"), as_number(float("nan"))
    (2.5, 7, 'n/a', None)
    """
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
        try:
            number = float(value)
        except ValueError:
            return value
        return number if math.isfinite(number) else value
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def compile_expression(given: Expression, columns: Columns, kind: str) -> Cell:
    """A function of (row, shift) that gives a field of ``kind`` (text, number, integer, time, any).

    Raises ReplayError when no, or more than one, source is named.
    """
    named = [name for name in _SOURCES if getattr(given, name) not in ("", None)]
    if len(named) != 1:
        raise ReplayError(f"a value needs exactly one of {', '.join(_SOURCES)}; found {named}")
    return _SOURCES[named[0]](given, columns, kind)


def _constant(given: Expression, columns: Columns, kind: str) -> Cell:
    value = given.constant
    return lambda row, shift_ms: value


def _from_template(given: Expression, columns: Columns, kind: str) -> Cell:
    return columns.template(given.template)


def _line(given: Expression, columns: Columns, kind: str) -> Cell:
    index = columns.line_index(given.line_of)
    return lambda row, shift_ms: row[index]


def _time(given: Expression, columns: Columns, kind: str) -> Cell:
    """Epoch milliseconds where a moment is wanted, else RFC 3339; what is unreadable as it is."""
    moment, index = columns.moment(given), columns.index(given.time)
    show = rfc3339 if kind != "time" else int

    def shown(row: Row, shift_ms: int) -> Any:
        try:
            return show(moment(row) // NS_PER_MS + shift_ms)
        except ValueError:
            return as_text(row[index])

    return shown


def _column(given: Expression, columns: Columns, kind: str) -> Cell:
    if kind == "time":
        raise ReplayError(f"a moment is wanted: write {{ time = {given.column!r} }}")
    index = columns.index(given.column)
    steps = [step for make in _STEPS if (step := make(given, kind)) is not None]
    if len(steps) == 1:
        only = steps[0]
        return lambda row, shift_ms: only(row[index])

    def value(row: Row, shift_ms: int) -> Any:
        found = row[index]
        for step in steps:
            found = step(found)
        return found

    return value


_SOURCES: dict[str, Callable[[Expression, Columns, str], Cell]] = {
    "column": _column,
    "constant": _constant,
    "template": _from_template,
    "time": _time,
    "line_of": _line,
}

Step = Callable[[Any], Any]


def _convert(given: Expression, kind: str) -> Step | None:
    if given.hex_digits is not None or given.scale is not None or kind in ("number", "integer"):
        return as_number
    if kind == "text" or given.values or given.prefix:
        return as_text
    return lambda value: None if isinstance(value, float) and math.isnan(value) else value


def _scale(given: Expression, kind: str) -> Step | None:
    factor = given.scale
    if factor is None and kind != "integer":
        return None

    def scaled(value: Any) -> Any:
        if not isinstance(value, (int, float)):
            return value
        number = value if factor is None else value * factor
        if kind == "integer" and math.isfinite(number):
            return round(number)
        return number

    return scaled


def _hex(given: Expression, kind: str) -> Step | None:
    digits = given.hex_digits
    if digits is None:
        return None
    return lambda value: f"{value:0{digits}X}" if isinstance(value, int) else value


def _translate(given: Expression, kind: str) -> Step | None:
    values, otherwise = given.values, given.otherwise
    if not values:
        return None
    if otherwise is None:
        return lambda value: values.get(value, value)
    return lambda value: values.get(value, otherwise or None) if value is not None else None


def _prefix(given: Expression, kind: str) -> Step | None:
    prefix = given.prefix
    if not prefix:
        return None
    return lambda value: f"{prefix}{value}" if value is not None else None


def _default(given: Expression, kind: str) -> Step | None:
    default = given.default
    if default is None:
        return None
    return lambda value: default if value is None or value == "" else value


_STEPS = (_convert, _scale, _hex, _translate, _prefix, _default)
