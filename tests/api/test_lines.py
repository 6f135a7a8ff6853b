"""Bodies in pieces become the same lines, however they are cut."""

from hypothesis import given
from hypothesis import strategies as st

from edge.api.lines import Lines

LIMIT = 8


def naive(body: bytes) -> list[tuple[int, bytes, bool]]:
    """The obvious way: everything at once."""
    lines = body.split(b"\n")
    if not lines[-1]:
        lines.pop()
    texts = [line.removesuffix(b"\r") for line in lines]
    long = [len(text) > LIMIT for text in texts]
    if texts:
        texts[0] = texts[0].removeprefix(b"\xef\xbb\xbf")
    return [
        (number, b"" if too_long else text, too_long)
        for number, (text, too_long) in enumerate(zip(texts, long, strict=True), start=1)
    ]


@given(st.lists(st.text(alphabet="ab\r\n\ufeff", max_size=12).map(str.encode), max_size=8))
def test_lines_do_not_depend_on_how_the_body_is_cut(pieces: list[bytes]) -> None:
    lines = Lines(LIMIT)
    found = [tuple(line) for piece in pieces for line in lines.feed(piece)]
    found += [tuple(line) for line in lines.end()]
    assert found == naive(b"".join(pieces))


def test_a_line_too_long_is_not_kept_in_memory() -> None:
    lines = Lines(LIMIT)
    for _ in range(1_000):
        assert list(lines.feed(b"x" * 1_000)) == []
    assert sum(map(len, lines._rest)) == 0
    (long, short) = list(lines.feed(b"\nok\n"))
    assert (long.too_long, short.text, short.number) == (True, b"ok", 2)
