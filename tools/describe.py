"""Write the tables of docs/features.md and docs/events.md from what the code declares.

``python -m tools.describe`` rewrites what stands between the marks; the words around them are
written by hand. A test holds the files against :func:`described`.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec

from edge import events
from edge.features.catalog import BY_ENTITY, HISTORY_COLUMNS
from edge.features.words import DEFECTS, GRADES, GROUP_OF_STATUS
from edge.ingest.decode import REASONS
from edge.ingest.formats.checks import RANGES

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- {}: made by tools/describe.py -->", "<!-- end of {} -->"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: str, rows: Sequence[tuple[str, ...]]) -> str:
    columns = head.split(" | ")
    lines = [f"| {head} |", "|" + " --- |" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)])


def features(entity: str) -> str:
    """One entity's lines of the catalogue."""
    rows = [
        (f"`{f.name}`", f.unit, f.measure, f.window or "–", f.description)
        for f in BY_ENTITY[entity].values()
    ]
    return _table("feature | unit | measure | window | what it is", rows)


def history() -> str:
    """The columns of a class's daily history."""
    return ", ".join(f"`{name}`" for name in HISTORY_COLUMNS)


def field_docs() -> dict[str, dict[str, str]]:
    """Struct -> field -> the docstring after it, read from the source of ``edge.events``."""
    assert events.__file__
    told: dict[str, dict[str, str]] = {}
    for struct in ast.parse(Path(events.__file__).read_text()).body:
        if not isinstance(struct, ast.ClassDef):
            continue
        fields = told.setdefault(struct.name, {})
        for line, after in zip(struct.body, [*struct.body[1:], None], strict=True):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                fields[line.target.id] = str(getattr(text, "value", "")) if text else ""
    return told


def _type_words(told: object) -> str:
    if get_origin(told) is Literal:
        return ", ".join(f"`{word}`" if word else "empty" for word in get_args(told))
    if get_origin(told) is list:
        return f"list of {_type_words(get_args(told)[0])}"
    args = get_args(told)
    if args:
        if set(args) == {int, float, str}:
            return "time"
        return " or ".join(_type_words(a) for a in args)
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return "null" if told is type(None) else names[told]  # type: ignore[index]


def _default(info: msgspec.structs.FieldInfo) -> str:
    if info.required:
        return "needed"
    value = info.default if info.default is not msgspec.NODEFAULT else []
    return f"`{msgspec.json.encode(value).decode()}`"


def _field_row(info: msgspec.structs.FieldInfo, told: str, span: str) -> tuple[str, ...]:
    type_words = _type_words(info.type) + (f", {span}" if span else "")
    return f"`{info.name}`", type_words, _default(info), told


def event_type(kind: str) -> str:
    """One event type: what it is, and its own fields."""
    struct = events.BY_KIND[kind]
    docs = field_docs()
    common = {f.name for f in msgspec.structs.fields(events.Event)}
    spans = {name: f"{low:g} to {high:g}" for name, low, high in RANGES.get(struct, ())}
    rows = [
        _field_row(info, docs[struct.__name__][info.name], spans.get(info.name, ""))
        for info in msgspec.structs.fields(struct)
        if info.name not in common
    ]
    return f"{struct.__doc__}\n\n{_table('field | type | default | what it is', rows)}"


def event_types() -> str:
    """Every event type under its own heading."""
    return "\n\n".join(f"### `{kind}`\n\n{event_type(kind)}" for kind in events.BY_KIND)


def common_fields() -> str:
    """The fields that every event may carry."""
    docs = field_docs()["Event"]
    rows = [_field_row(info, docs[info.name], "") for info in msgspec.structs.fields(events.Event)]
    return _table("field | type | default | what it is", rows)


def reasons() -> str:
    """Why a payload or element becomes a dead letter."""
    return _table("reason | what it means", [(f"`{k}`", v) for k, v in REASONS.items()])


def words() -> str:
    """Statuses with their groups, grades and defects."""
    return "\n".join(
        [
            _table(
                "status | counted as", [(k, f"`items_{g}`") for k, g in GROUP_OF_STATUS.items()]
            ),
            "",
            f"Grades, worst to best (1 to {len(GRADES)}): {', '.join(GRADES)}.",
            "",
            "Defects, from the lowest bit: " + ", ".join(f"`{d}`" for d in DEFECTS) + ".",
        ]
    )


SECTIONS: dict[str, dict[str, Callable[[], str]]] = {
    "features.md": {
        **{f"features of {entity}": lambda e=entity: features(e) for entity in BY_ENTITY},  # type: ignore[misc]
        "history": history,
    },
    "events.md": {
        "common fields": common_fields,
        "event types": event_types,
        "words": words,
        "reasons": reasons,
    },
}


def _pieces(text: str, name: str) -> tuple[str, str, str]:
    begin, end = BEGIN.format(name), END.format(name)
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    assert found, f"the mark {begin} is missing"
    assert ended, f"the mark {end} is missing"
    return before + begin, end, after


def described(file: str, text: str) -> str:
    """The text of a file of docs/ with its tables as they should be."""
    for name, make in SECTIONS[file].items():
        before, end, after = _pieces(text, name)
        text = f"{before}\n{make()}\n{end}{after}"
    return text


def files() -> Iterator[Path]:
    """The files that are held by this tool."""
    return (DOCS / file for file in SECTIONS)


if __name__ == "__main__":
    for file in files():
        file.write_text(described(file.name, file.read_text()))
