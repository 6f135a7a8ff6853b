"""gzip opened piece by piece is what gzip opened at once is."""

import gzip

from hypothesis import given
from hypothesis import strategies as st

from edge.api.inflate import PIECE_BYTES, Inflate


@given(st.binary(max_size=300), st.integers(1, 400), st.integers(1, 50))
def test_opening_does_not_depend_on_how_the_body_is_cut(text: bytes, times: int, cut: int) -> None:
    packed = gzip.compress(text * times)
    inflate = Inflate()
    opened = [p for i in range(0, len(packed), cut) for p in inflate.feed(packed[i : i + cut])]
    assert b"".join(opened) == text * times
    assert inflate.complete


def test_no_piece_is_larger_than_promised() -> None:
    pieces = list(Inflate().feed(gzip.compress(bytes(5_000_000))))
    assert sum(map(len, pieces)) == 5_000_000
    assert max(map(len, pieces)) <= PIECE_BYTES
