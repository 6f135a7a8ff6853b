"""Texts of a query string or a path -> checked, typed records. No routing, no answers.

The types of the fields, and the limits in their annotations, are what ``/openapi.json`` shows.
"""

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct
from multidict import MultiMapping

from edge.api import choices
from edge.api.endpoint import Path, Query
from edge.api.problems import Problem

Q = TypeVar("Q", bound=Query)
P = TypeVar("P", bound=Path)

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Cursor = Annotated[str, Meta(min_length=1, max_length=64)]
Day = Annotated[str, Meta(pattern=choices.DAY)]
"""A local day such as ``2026-02-28``: one that the calendar does not have is refused like any other text."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FIELD = re.compile(r" - at `\$\.(\w+)")


def read_query(wanted: type[Q], given: MultiMapping[str]) -> Q:
    """The parameters as ``wanted``. Raises Problem ``unknown-parameter`` or ``bad-parameter``."""
    for name, value in given.items():
        if name not in wanted.__struct_encode_fields__:
            raise _unknown(wanted, name)
        if len(given.getall(name)) > 1:
            raise Problem("bad-parameter", f"{name} is given more than once.", parameter=name)
        if _CONTROL.search(value):
            raise Problem("bad-parameter", f"{name} has control characters.", parameter=name)
    for name in _needed(wanted):
        if name not in given:
            detail = f"{name} is needed, as in ?{name}=…"
            raise Problem("bad-parameter", detail, parameter=name)
    found, name, words = _converted(wanted, given)
    if found is None:
        detail = f"{name}={given.get(name, '')!r}: {words}."
        raise Problem("bad-parameter", detail, parameter=name)
    return found


R = TypeVar("R", bound=Struct)


def _converted(wanted: type[R], given: Mapping[str, str]) -> tuple[R | None, str, str]:
    """(the record, "", ""), or (None, the field that cannot be used, why)."""
    for name in _days(wanted):
        if name in given and not _is_day(given[name]):
            return None, name, choices.A_DAY
    try:
        return msgspec.convert(dict(given), wanted, strict=False), "", ""
    except msgspec.ValidationError as error:
        name = _field_of(error)
        return None, name, choices.told(_sentence(error).removesuffix("."), wanted, name)


@cache
def _days(wanted: type[Struct]) -> tuple[str, ...]:
    """Names of the fields that hold a day."""
    fields = msgspec.structs.fields(wanted)
    return tuple(f.encode_name for f in fields if choices.DAY in patterns(f.type))


def patterns(kind: object) -> list[str]:
    """Patterns in a type, also inside a union."""
    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta)]
    own = [meta.pattern for meta in metas if meta.pattern is not None]
    return own + [pattern for part in get_args(kind) for pattern in patterns(part)]


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@cache
def _needed(wanted: type[Query]) -> tuple[str, ...]:
    """Names that must be given; looking a type up takes longer than many an answer."""
    return tuple(f.encode_name for f in msgspec.structs.fields(wanted) if f.required)


def read_path(wanted: type[P], given: Mapping[str, str]) -> P:
    """The parts of the path as ``wanted``. Raises Problem ``bad-path``."""
    for name, value in given.items():
        if _CONTROL.search(value):
            raise Problem("bad-path", f"{name} has control characters.", part=name)
    found, name, words = _converted(wanted, given)
    if found is None:
        raise Problem("bad-path", f"{name} {given.get(name, '')!r}: {words}.", part=name)
    return found


def _unknown(wanted: type[Query], name: str) -> Problem:
    known = ", ".join(wanted.__struct_encode_fields__) or "none"
    detail = f"{name!r} is not a parameter of this endpoint. It takes: {known}."
    return Problem("unknown-parameter", detail, parameter=name)


def _field_of(error: msgspec.ValidationError) -> str:
    found = _FIELD.search(str(error))
    return found[1] if found else ""


def _sentence(error: msgspec.ValidationError) -> str:
    """msgspec's message without its path.

    >>> _sentence(msgspec.ValidationError("Expected `int` <= 1000 - at `$.limit`"))
    'Expected `int` <= 1000.'
    """
    return str(error).split(" - at ")[0] + "."
