"""The JSON body of a request -> the record its endpoint names. No routing, no state.

Unknown fields are refused with their name, values that do not fit with their path. The types and
the limits in their annotations are what ``/openapi.json`` shows.
"""

import re
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from edge.api.endpoint import Api
from edge.api.problems import Problem
from edge.api.upload import JSON_TYPE, pieces

_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`(?: - at `\$\.?(.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*)`(?: - at `\$\.?(.*)`)?$", re.DOTALL)
_AT = re.compile(r"^(.*) - at `\$\.?(.*)`$", re.DOTALL)


async def read_body(api: Api, request: web.Request, wanted: Any, limit_bytes: int) -> Any:
    """The body as ``wanted``; no body at all is an empty object.

    Raises Problem ``unsupported-media-type``, ``body-too-large``, ``bad-body``, ``unknown-field``
    or ``bad-field``.
    """
    limit = min(limit_bytes, api.settings.api.body_max_bytes)
    body = b"".join([piece async for piece in pieces(api, request, limit)])
    given = "Content-Type" in request.headers
    if (body or given) and request.content_type != JSON_TYPE:
        media = request.content_type if given else "No content type"
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
    if found := _UNKNOWN.match(text):
        path = _path(found[2], found[1])
        known = getattr(wanted, "__struct_encode_fields__", ()) if not found[2] else ()
        takes = f" It takes: {', '.join(known)}." if known else ""
        return Problem("unknown-field", f"{path!r} is not a field.{takes}", field=path)
    if found := _MISSING.match(text):
        path = _path(found[2], found[1])
        return Problem("bad-field", f"{path!r} is needed.", field=path)
    found = _AT.match(text)
    if found:
        return Problem("bad-field", f"{found[2]}: {found[1]}.", field=found[2])
    return Problem("bad-field", f"{text}.", field="")


def _path(inside: str | None, name: str) -> str:
    return f"{inside}.{name}" if inside else name


class Body(Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON body, or an object inside one; subclasses add fields."""
