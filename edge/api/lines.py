"""A body in pieces -> numbered lines. No sockets, no JSON, no CSV.

However the body is cut into pieces, the lines are the same. A line longer than the limit is
handed out empty and marked, and its bytes are dropped as they come, so memory is bounded.
"""

from collections.abc import Iterator
from typing import NamedTuple

BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line without its end; ``number`` counts from 1, empty lines too."""

    number: int
    text: bytes
    too_long: bool = False

    @property
    def blank(self) -> bool:
        """Whether there is nothing on it."""
        return not self.too_long and not self.text.strip()


class Lines:
    """Cuts pieces into lines, remembering the unfinished end.

    >>> lines = Lines(limit_bytes=100)
    >>> [line.text for line in lines.feed(b"a\\r\\nb")], [line.text for line in lines.end()]
    ([b'a'], [b'b'])
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._number = 0

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that this piece finishes."""
        *finished, rest = piece.split(b"\n")
        for text in finished:
            self._keep(text)
            yield self._line()
        self._keep(rest)

    def end(self) -> Iterator[Line]:
        """The last line, where the body does not end with a line end."""
        if self._rest_bytes:
            yield self._line()

    def _keep(self, text: bytes) -> None:
        self._rest_bytes += len(text)
        # One byte more than the limit may still be the carriage return of a line that fits.
        if self._rest_bytes <= self._limit + 1:
            self._rest.append(text)
        else:
            self._rest.clear()

    def _line(self) -> Line:
        self._number += 1
        text = b"".join(self._rest).removesuffix(b"\r")
        too_long = self._rest_bytes > self._limit + 1 or len(text) > self._limit
        self._rest.clear()
        self._rest_bytes = 0
        if self._number == 1:
            text = text.removeprefix(BOM)
        return Line(self._number, b"" if too_long else text, too_long)
