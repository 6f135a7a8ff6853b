"""Texts of a query string or a path -> checked, typed records. No routing, no answers.

The types of the fields, and the limits in their annotations, are what ``/openapi.json`` shows.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from multidict import MultiMapping

from edge.api import choices
from edge.api.endpoint import Path, Query
from edge.api.problems import Problem

Q = TypeVar("Q", bound=Query)
P = TypeVar("P", bound=Path)

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Cursor = Annotated[str, Meta(min_length=1, max_length=64)]

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
    try:
        return msgspec.convert(dict(given), wanted, strict=False)
    except msgspec.ValidationError as error:
        name = _field_of(error)
        words = choices.told(_sentence(error).removesuffix("."), wanted, name)
        detail = f"{name}={given.get(name, '')!r}: {words}."
        raise Problem("bad-parameter", detail, parameter=name) from None


@cache
def _needed(wanted: type[Query]) -> tuple[str, ...]:
    """Names that must be given; looking a type up takes longer than many an answer."""
    return tuple(f.encode_name for f in msgspec.structs.fields(wanted) if f.required)


def read_path(wanted: type[P], given: Mapping[str, str]) -> P:
    """The parts of the path as ``wanted``. Raises Problem ``bad-path``."""
    for name, value in given.items():
        if _CONTROL.search(value):
            raise Problem("bad-path", f"{name} has control characters.", part=name)
    try:
        return msgspec.convert(dict(given), wanted, strict=False)
    except msgspec.ValidationError as error:
        raise Problem("bad-path", _sentence(error), part=_field_of(error)) from None


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
