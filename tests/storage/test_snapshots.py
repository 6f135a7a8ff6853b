"""Snapshots: what was written comes back bit for bit, or the damage is found."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edge.errors import JournalBroken, JournalFull, SnapshotUnusable
from edge.storage import snapshots
from edge.storage.snapshots import (
    SnapshotHeader,
    kept_snapshots,
    newest_snapshot,
    path_of,
    read_header,
    read_snapshot,
    write_snapshot,
)

FAST = settings(max_examples=40, deadline=None)


def header(seq: int = 1, catalogue: str = "c1") -> SnapshotHeader:
    return SnapshotHeader(
        catalogue=catalogue, seq=seq, next_ordinal=10 * seq, beat_ms=50, metadata={"zones": ["a"]}
    )


def write(directory: Path, seq: int = 1, **more: Any) -> Path:
    rng = np.random.default_rng(seq)
    arrays = {"reads": rng.integers(0, 9, (40, 7)), "empty": np.empty((0, 3), np.float32)}
    return write_snapshot(directory, header(seq, **more), arrays, {"keys": b"abc" * 50})


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@FAST
@given(
    array=npst.arrays(
        st.sampled_from(["u1", "<i8", "<f4", ">i4", "?", "S5", "<U3", "M8[ms]"]),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
    ),
    step=st.sampled_from([1, 2, -1]),
    flip=st.booleans(),
    compress=st.booleans(),
    piece=st.sampled_from([64, 200, 4_194_304]),
    blob=st.binary(max_size=500),
)
def test_any_array_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    array: np.ndarray,
    step: int,
    flip: bool,
    compress: bool,
    piece: int,
    blob: bytes,
) -> None:
    view = array[::step] if array.ndim else array
    view = view.T if flip else view
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "PIECE_BYTES", piece)
        path = write_snapshot(
            tmp_path_factory.mktemp("s"), header(), {"x": view}, {"b": blob}, compress=compress
        )
    back = read_snapshot(path)
    assert same(back.arrays["x"], view)
    assert back.arrays["x"].flags.writeable
    assert back.arrays["x"].flags.c_contiguous
    assert back.blobs == {"b": blob}
    assert back.header == header()


def test_structured_columns_and_compression_over_many_pieces(tmp_path: Path) -> None:
    table = np.zeros(300_000, [("epc", "S12"), ("last", "<i8"), ("rssi", "<f4", (3,))])
    table["last"][::1_000] = 7
    noise = np.frombuffer(np.random.default_rng(1).bytes(9_000_000), np.uint8).reshape(3_000, -1)
    told: list[int] = []
    path = write_snapshot(
        tmp_path,
        header(),
        {"table": table, "noise": noise[:, ::2]},
        {},
        compress=True,
        progress=told.append,
    )
    assert sum(told) == table.nbytes + noise.nbytes // 2
    assert max(told) <= snapshots.PIECE_BYTES
    assert path.stat().st_size < noise.nbytes // 2 + 300_000
    back = read_snapshot(path)
    assert same(back.arrays["table"], table)
    assert same(back.arrays["noise"], noise[:, ::2])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small sound snapshot."""
    return write(tmp_path_factory.mktemp("whole")).read_bytes()


@settings(max_examples=200, deadline=None)
@given(where=st.integers(0, 10**9), flip=st.integers(1, 255))
def test_one_wrong_byte_anywhere_is_found(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, where: int, flip: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.bin"
    damaged = bytearray(whole)
    damaged[where % len(whole)] ^= flip
    path.write_bytes(damaged)
    with pytest.raises(SnapshotUnusable):
        read_snapshot(path)


@settings(max_examples=100, deadline=None)
@given(length=st.integers(0, 10**9))
def test_a_file_cut_short_is_found(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.bin"
    path.write_bytes(whole[: length % len(whole)])
    with pytest.raises(SnapshotUnusable):
        read_snapshot(path)


def test_every_single_byte_lies_under_a_checksum(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flipped.bin"
    sound = 0
    for where in range(len(whole)):
        path.write_bytes(whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :])
        try:
            read_snapshot(path)
        except SnapshotUnusable:
            continue
        sound += 1
    assert sound == 0


def test_a_strided_column_of_empty_texts_comes_back(tmp_path: Path) -> None:
    column = np.array([b"", b"ab", b""], "S5")[::-2]
    path = write_snapshot(tmp_path, header(1), {"column": column}, {})
    assert same(read_snapshot(path).arrays["column"], column)


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    (tmp_path / "snapshot-00000000000000000099.tmp").write_bytes(b"left by a killed writer")
    (tmp_path / "snapshot-of-the-shop.bin").write_bytes(b"not ours")
    for seq in (3, 20, 100):
        write(tmp_path, seq)
    assert [seq for seq, _ in kept_snapshots(tmp_path)] == [100, 20]
    assert not list(tmp_path.glob("*.tmp"))
    assert (tmp_path / "snapshot-of-the-shop.bin").exists()


def test_a_damaged_newest_gives_way_to_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, 5)
    path = write(tmp_path, 9)
    path.write_bytes(path.read_bytes()[:-1])
    found = newest_snapshot(tmp_path, "c1")
    assert found is not None
    assert found.header.seq == 5


def test_a_snapshot_of_another_catalogue_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 5)
    write(tmp_path, 9, catalogue="c2")
    found = newest_snapshot(tmp_path, "c1")
    assert found is not None
    assert found.header.seq == 5
    assert newest_snapshot(tmp_path, "c3") is None


def test_a_snapshot_ahead_of_its_journal_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 5)
    write(tmp_path, 9)
    found = newest_snapshot(tmp_path, "c1", upto_seq=8)
    assert found is not None
    assert found.header.seq == 5


def test_a_renamed_snapshot_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 5).rename(path_of(tmp_path, 6))
    assert newest_snapshot(tmp_path, "c1") is None


def test_an_empty_or_absent_directory_has_no_snapshot(tmp_path: Path) -> None:
    assert newest_snapshot(tmp_path, "c1") is None
    assert newest_snapshot(tmp_path / "absent", "c1") is None


def test_a_header_is_read_without_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path, 5)
    assert read_header(path) == header(5)
    with pytest.raises(SnapshotUnusable, match="cannot be opened"):
        read_header(tmp_path / "absent.bin")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, JournalFull),
        (errno.EDQUOT, JournalFull),
        (errno.EIO, JournalBroken),
    ],
)
@pytest.mark.parametrize("call", ["writev", "fsync"])
def test_a_snapshot_that_cannot_be_written_leaves_the_others_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    expected: type[Exception],
) -> None:
    write(tmp_path, 5)

    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(expected):
            write(tmp_path, 9)
    assert [p.name for p in tmp_path.iterdir()] == [path_of(tmp_path, 5).name]
    assert newest_snapshot(tmp_path, "c1") is not None
