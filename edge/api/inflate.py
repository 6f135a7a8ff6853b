"""A body sent as gzip, opened piece by piece. No sockets.

aiohttp would open a whole network chunk at once: a small one can become many megabytes, and would
hold the loop and the memory meanwhile.
"""

import zlib
from collections.abc import Iterator

from edge.api.problems import Problem

PIECE_BYTES = 65_536


class Inflate:
    """Opens gzip, in pieces of at most ``PIECE_BYTES``.

    >>> import gzip
    >>> inflate = Inflate()
    >>> b"".join(inflate.feed(gzip.compress(b"tent"))), inflate.complete
    (b'tent', True)
    """

    def __init__(self) -> None:
        self._opener = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def complete(self) -> bool:
        """Whether the end was reached."""
        return self._opener.eof

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What ``packed`` becomes. Raises Problem ``incomplete-body`` when it is not gzip."""
        while packed or not self.complete:
            if self.complete:
                raise Problem("incomplete-body", "Something follows the end of the gzip body.")
            piece = self._open(packed)
            packed = self._opener.unconsumed_tail or self._opener.unused_data
            if piece:
                yield piece
            elif not packed:
                return

    def _open(self, packed: bytes) -> bytes:
        try:
            return self._opener.decompress(packed, PIECE_BYTES)
        except zlib.error as error:
            raise Problem(
                "incomplete-body",
                "The body is not gzip, or is damaged.",
                cure="Send it as gzip, or leave Content-Encoding out.",
            ) from error
