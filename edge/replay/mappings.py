"""Mapping files: which columns become which message. Read, checked against a file, compiled.

No files of rows, no network, no clock. A mapping is TOML; ``docs/replay.md`` explains it, and the
``mappings`` folder beside this file holds the shipped ones. Everything that can be wrong with it is
told before the first row is read, with the columns that do exist.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from edge.events import BY_KIND
from edge.replay.errors import ReplayError, did_you_mean
from edge.replay.expressions import Cell, Columns, compile_expression
from edge.replay.moments import Moment
from edge.replay.reader import Row, Rows
from edge.replay.spec import Condition, Expression, Mapping, MessageSpec, as_expression
from edge.replay.writers import WRITERS, Writer

SHIPPED = Path(__file__).parent / "mappings"

Test = Callable[[Row], bool]


def shipped() -> dict[str, Path]:
    """Name -> file of every mapping that comes with the product."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def load(name: str) -> Mapping:
    """A shipped mapping by name, or one's own by path. Raises ReplayError."""
    known = shipped()
    path = known.get(name) or Path(name)
    if not path.is_file():
        hint = did_you_mean(name, known)
        raise ReplayError(
            f"no mapping {name}{hint or '.'} Shipped are {', '.join(known)}; or give a file"
        )
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Mapping)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ReplayError(f"{path}: {error}") from error


class Message(Struct, frozen=True):
    """One kind of message that a row may become."""

    applies: Test
    at: Moment | None
    """When it is sent and, unless it has a time of its own, when it happened; ``None``: as the row."""
    topic: Cell
    write: Writer


class Skip(Struct, frozen=True):
    """Rows that are left out, and what to call them."""

    applies: Test
    reason: str


class Compiled(Struct, frozen=True):
    """A mapping that fits the columns of one file; rows carry ``columns.width`` values."""

    columns: Columns
    at: Moment
    skips: Sequence[Skip]
    messages: Sequence[Message]


def compile_mapping(mapping: Mapping, rows: Rows, store: str) -> Compiled:
    """Bind names to positions. Raises ReplayError for what does not exist or cannot be."""
    columns = Columns(rows.columns, rows.stamps, mapping.timezone, store)
    if not mapping.messages:
        raise ReplayError("the mapping has no [[messages]]")
    return Compiled(
        columns=columns,
        at=columns.moment(as_expression(mapping.time, as_time=True)),
        skips=[Skip(_test([s.when], columns), s.reason) for s in mapping.skip],
        messages=[_message(spec, mapping.fields, columns) for spec in mapping.messages],
    )


def _message(spec: MessageSpec, common: dict[str, str | Expression], columns: Columns) -> Message:
    fields = {**common, **spec.fields}
    kinds = _field_kinds(spec, fields)
    cells = {
        name: compile_expression(as_expression(given), columns, kinds.get(name, "any"))
        for name, given in fields.items()
    }
    when, unless = _test(spec.when, columns), [_test([c], columns) for c in spec.unless]
    return Message(
        applies=lambda row: when(row) and not any(test(row) for test in unless),
        at=columns.moment(as_expression(spec.time, as_time=True)) if spec.time else None,
        topic=columns.topic(spec.topic),
        write=WRITERS[spec.format].make(spec.type, cells),
    )


def _field_kinds(spec: MessageSpec, fields: dict[str, str | Expression]) -> dict[str, str]:
    """What each field of this message must be: text, number, integer, time. Raises ReplayError."""
    if spec.format.startswith("native"):
        if spec.type not in BY_KIND:
            hint = did_you_mean(spec.type, BY_KIND)
            raise ReplayError(f"no event type {spec.type!r}{hint}. There are: {', '.join(BY_KIND)}")
        kinds = _event_fields(spec.type)
    else:
        kinds = WRITERS[spec.format].fields
    unknown = [name for name in fields if kinds and name not in kinds]
    if unknown:
        what = spec.type or spec.format
        hint = did_you_mean(unknown[0], kinds)
        raise ReplayError(f"{what} has no field {unknown[0]!r}{hint}. It has: {', '.join(kinds)}")
    return kinds


_TIMES = frozenset({"at", "due", "start", "end", "until", "scanned_at", "gap_from"})


def _event_fields(kind: str) -> dict[str, str]:
    fields = msgspec.structs.fields(BY_KIND[kind])
    return {field.name: _kind_of_field(field.name, str(field.type)) for field in fields}


def _kind_of_field(name: str, annotation: str) -> Literal["time", "text", "number", "integer"]:
    if name in _TIMES:
        return "time"
    if "float" in annotation:
        return "number"
    return "integer" if "int" in annotation else "text"


def _test(conditions: Sequence[Condition], columns: Columns) -> Test:
    """Whether all conditions hold."""
    tests = [_one_test(condition, columns) for condition in conditions]
    if not tests:
        return lambda row: True
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _one_test(condition: Condition, columns: Columns) -> Test:
    text = compile_expression(Expression(column=condition.column), columns, "text")
    if condition.prefix:
        prefix = condition.prefix
        return lambda row: str(text(row, 0) or "").startswith(prefix)
    if condition.one_of:
        wanted = frozenset(condition.one_of)
        return lambda row: text(row, 0) in wanted
    if condition.present is not None:
        present = condition.present
        return lambda row: (text(row, 0) is not None) == present
    raise ReplayError(f"the condition on {condition.column} needs prefix, one_of or present")
