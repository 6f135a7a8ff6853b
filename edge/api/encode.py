"""Records -> JSON bytes -> gzip where it pays. No state, no routing."""

import asyncio
import re
import zlib
from functools import lru_cache
from typing import Any

import msgspec

JSON = "application/json"
GZIP_ABOVE_BYTES = 4_096
THREAD_ABOVE_BYTES = 131_072
"""Gzip of less takes half a millisecond; through a thread an answer waits behind everybody else twice."""

_encoder = msgspec.json.Encoder()
_NO_GZIP = re.compile(r"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")


def encode(value: Any) -> bytes:
    """``value`` as JSON; not-a-number becomes null."""
    return _encoder.encode(value)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip.

    >>> [accepts_gzip(h) for h in ("gzip, br", "br", "gzip;q=0", "gzip;q=0.5")]
    [True, False, False, True]
    """
    wanted = accept_encoding.lower()
    return "gzip" in wanted and not _NO_GZIP.search(wanted)


def gzip(body: bytes) -> bytes:
    """``body`` as one gzip member, level 1."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


@lru_cache(8)
def _gzip_once(body: bytes) -> bytes:
    return gzip(body)


async def pack(body: bytes, accept_encoding: str, lasting: bool = False) -> tuple[bytes, str]:
    """(body, content encoding): gzip when the body is large and the client takes it."""
    if len(body) <= GZIP_ABOVE_BYTES or not accepts_gzip(accept_encoding):
        return body, ""
    if lasting:  # the same at every request: the very object, so finding it costs nothing
        return _gzip_once(body), "gzip"
    if len(body) <= THREAD_ABOVE_BYTES:
        return gzip(body), "gzip"
    return await asyncio.to_thread(gzip, body), "gzip"
