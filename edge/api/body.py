"""The JSON body of a request -> the record its endpoint names. No routing, no state.

Unknown fields are refused with their name, values that do not fit with their path. The types and
the limits in their annotations are what ``/openapi.json`` shows.
"""

import re
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from edge.api import choices
from edge.api.endpoint import Api
from edge.api.problems import Problem
from edge.api.upload import JSON_TYPE, pieces

_NAMED = re.compile(r"^Object (contains unknown|missing required) field `(.*)`$", re.DOTALL)


async def read_body(api: Api, request: web.Request, wanted: Any, limit_bytes: int) -> Any:
    """The body as ``wanted``; no body at all is an empty object.

    Raises Problem ``unsupported-media-type``, ``body-too-large``, ``bad-body``, ``unknown-field``
    or ``bad-field``.
    """
    limit = min(limit_bytes, api.settings.api.body_max_bytes)
    body = b"".join([piece async for piece in pieces(api, request, limit)])
    if body and request.content_type != JSON_TYPE:
        media = request.content_type if "Content-Type" in request.headers else "No content type"
        raise Problem("unsupported-media-type", f"{media}.", cure=f"Use {JSON_TYPE}.")
    return decode_body(body or b"{}", wanted)


def decode_body(body: bytes, wanted: Any) -> Any:
    """``body`` as ``wanted``. Raises Problem ``bad-body``, ``unknown-field`` or ``bad-field``.

    >>> class Order(Body):
    ...     units: int
    >>> decode_body(b'{"units": 3}', Order)
    Order(units=3)
    >>> decode_body(b'{"unit": 3, "units": 3}', Order)
    Traceback (most recent call last):
    edge.api.problems.Problem: unknown-field: 'unit' is not a field. It takes: units.
    """
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), wanted) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("bad-body", f"{error}.") from None


def _refusal(text: str, wanted: Any) -> Problem:
    """msgspec's words as a problem that names the field."""
    words, _, place = text.partition(" - at `$")
    inside = place.removesuffix("`").removeprefix(".")
    found = _NAMED.match(words)
    if found is None:
        words = choices.told(words, wanted, inside)
        told = f"{inside}: {words}." if inside else f"{words}."
        return Problem("bad-field", told, field=inside)
    path = f"{inside}.{found[2]}" if inside else found[2]
    if found[1] == "missing required":
        return Problem("bad-field", f"{path!r} is needed.", field=path)
    known = () if inside else getattr(wanted, "__struct_encode_fields__", ())
    takes = f" It takes: {', '.join(known)}." if known else ""
    return Problem("unknown-field", f"{path!r} is not a field.{takes}", field=path)


class Body(Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON body, or an object inside one; subclasses add fields."""
