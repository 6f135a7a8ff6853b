"""Cursors: where the next page goes on, as opaque text. No state is kept for a reader.

A cursor carries a check over the listing and its filters, so that one taken from another listing,
or used with other filters, is refused instead of silently skipping rows.
"""

import base64
import binascii
import struct
import zlib

from edge.api.problems import Problem

POSITION_MAX = 2**62


def _check(listing: str, filters: tuple[str | None, ...]) -> int:
    return zlib.crc32(repr((listing, filters)).encode())


def cursor(listing: str, filters: tuple[str | None, ...], *position: int) -> str:
    """The cursor for ``position`` (one or more integers) in a listing with these filters.

    >>> cursor("items", ("hall", None), 100)
    'jk8uEAAAAAAAAABk'
    """
    packed = struct.pack(f">I{len(position)}q", _check(listing, filters), *position)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def position(
    text: str, listing: str, filters: tuple[str | None, ...], lowest: tuple[int, ...]
) -> tuple[int, ...]:
    """What ``cursor`` packed; as many integers as ``lowest``, none below it.

    Raises Problem ``bad-cursor``.
    """
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        check, *found = struct.unpack(f">I{len(lowest)}q", packed)
    except (binascii.Error, ValueError, struct.error):
        raise Problem("bad-cursor", f"{text!r} is not a cursor of this listing.") from None
    if check != _check(listing, filters):
        raise Problem("bad-cursor", "The cursor belongs to another listing or other filters.")
    if any(not low <= n < POSITION_MAX for low, n in zip(lowest, found, strict=True)):
        raise Problem("bad-cursor", f"{text!r} points nowhere.")
    return tuple(found)
