"""State snapshots: named columns and byte strings in one checked file. No database, no state logic.

Layout of ``snapshot-<seq>.bin`` (all numbers little endian)::

    head     64 bytes   magic, format version, zeros
    pieces              raw (or zlib) bytes of at most 4 MB, padded with zeros to 64
    index               MessagePack: header, sections, and (offset, stored, crc32) of every piece
    tail     32 bytes   magic, offset and length of the index, crc32 of the index, crc32 of the tail

Every byte lies under a checksum or is compared, so a flipped bit anywhere is found. The checksum
is zlib's CRC-32: 4 GB/s here against 0.9 GB/s for BLAKE2b; damage is to be found, not malice.

A file appears under its name only when it is whole and on the disk: temporary name, fsync,
rename, fsync of the directory.
"""

import ast
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import structlog
from msgspec import Struct
from numpy.typing import NDArray

from edge.errors import JournalBroken, JournalFull, SnapshotUnusable
from edge.storage.journal_file import fsync_directory, no_room

MAGIC = b"RFID3SNP"
FORMAT_VERSION = 1
PIECE_BYTES = 4_194_304
SYNC_BYTES = 8_388_608
"""The file is synced every so many bytes: one large fsync at the end would make the journal's next
commit wait for all of it."""
SAMPLE_BYTES = 65_536
"""The start of a piece that decides whether compressing the rest is tried."""
ALIGN = 64
KEPT = 2

_HEAD = (MAGIC + FORMAT_VERSION.to_bytes(4, "little")).ljust(ALIGN, b"\0")
_TAIL_BYTES = 32
_READ_THREADS = 2

Array = NDArray[Any]

log = structlog.get_logger(__name__)


class SnapshotHeader(Struct, frozen=True, kw_only=True):
    """Which state this is, and where the journal goes on from."""

    catalogue: str
    """Name of the layout of the columns."""
    seq: int
    """The last batch the state contains."""
    next_ordinal: int
    """Ordinal of the first message it does not contain."""
    beat_ms: int
    """Beat of that last batch."""
    journal: str = ""
    """Id of the journal it was made from; "": written before journals had one."""
    metadata: dict[str, Any] = {}
    """Whatever else the state needs to come back: MessagePack-able."""


class Snapshot(Struct, frozen=True):
    """A snapshot read back: writable arrays of their own, nothing shared with the file."""

    header: SnapshotHeader
    arrays: dict[str, Array]
    blobs: dict[str, bytes]


class _Piece(Struct, array_like=True, frozen=True):
    offset: int
    stored: int  # bytes in the file, without padding
    size: int  # bytes of content; larger than stored: compressed
    crc: int  # of the stored bytes and their padding


class _Section(Struct, array_like=True, frozen=True):
    name: str
    dtype: str  # "" for a byte string; else the literal of numpy's own file format
    shape: tuple[int, ...]
    pieces: list[_Piece]


class _Index(Struct, frozen=True):
    header: SnapshotHeader
    sections: list[_Section]


def path_of(directory: str | Path, seq: int) -> Path:
    """The file of the snapshot at batch ``seq``."""
    return Path(directory) / f"snapshot-{seq:020d}.bin"


def kept_snapshots(directory: str | Path) -> list[tuple[int, Path]]:
    """(seq, path) of the snapshots in ``directory``, newest first, by name alone.

    The last one's seq is what the journal's trimming must keep batches after.
    """
    found = []
    for path in Path(directory).glob("snapshot-*.bin"):
        number = path.stem.removeprefix("snapshot-")
        if len(number) == 20 and number.isdecimal():
            found.append((int(number), path))
    return sorted(found, reverse=True)


# Writing


def _bytes_of(array: Array) -> memoryview:
    """The array's own memory; it must be C-contiguous and not empty."""
    return array.reshape(-1).view(np.uint8).data


def _views(array: Array) -> Iterator[memoryview]:
    """An array's bytes in C order in pieces of at most 4 MB; copies only what is strided."""
    if array.size == 0:
        return
    if array.flags.c_contiguous:
        whole = _bytes_of(array)
        for start in range(0, len(whole), PIECE_BYTES):
            yield whole[start : start + PIECE_BYTES]
        return
    row_bytes = array.nbytes // len(array)  # array[0] of text would tell its own length
    if row_bytes > PIECE_BYTES:
        for row in array:
            yield from _views(row)
        return
    rows = PIECE_BYTES // row_bytes
    for start in range(0, len(array), rows):
        yield _bytes_of(np.ascontiguousarray(array[start : start + rows]))


def _slices(blob: bytes) -> Iterator[memoryview]:
    view = memoryview(blob)
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]


def _saves(sample: memoryview) -> bool:
    return len(zlib.compress(sample, 1)) < len(sample) * 0.9


class _File:
    """A snapshot being written: pieces go out as they come, the index last."""

    def __init__(self, descriptor: int, compress: bool, progress: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._compress = compress
        self._progress = progress
        self._unsynced = 0
        self.offset = 0
        self._write(_HEAD)

    def put(self, view: memoryview) -> _Piece:
        """Write one piece."""
        stored = self._smaller(view)
        padding = bytes(-len(stored) % ALIGN)
        crc = zlib.crc32(padding, zlib.crc32(stored))
        piece = _Piece(self.offset, len(stored), len(view), crc)
        self._write(stored, padding)
        self._progress(len(view))
        return piece

    def _smaller(self, view: memoryview) -> memoryview | bytes:
        """The piece compressed, where that is asked for and saves at least a tenth."""
        if not self._compress or not _saves(view[:SAMPLE_BYTES]):
            return view
        packed = zlib.compress(view, 1)
        return packed if len(packed) < len(view) * 0.9 else view

    def finish(self, index: _Index) -> None:
        """Write index and tail; everything is on the disk afterwards."""
        encoded = msgspec.msgpack.encode(index)
        tail = MAGIC + self.offset.to_bytes(8, "little") + len(encoded).to_bytes(8, "little")
        tail += zlib.crc32(encoded).to_bytes(4, "little")
        tail += zlib.crc32(tail).to_bytes(4, "little")
        self._write(encoded, tail)
        os.fsync(self._descriptor)

    def _write(self, *parts: bytes | memoryview) -> None:
        waiting = [memoryview(part) for part in parts if len(part)]
        while waiting:
            written = os.writev(self._descriptor, waiting)
            self.offset += written
            self._unsynced += written
            while waiting and written >= len(waiting[0]):
                written -= len(waiting.pop(0))
            if waiting:
                waiting[0] = waiting[0][written:]
        if self._unsynced >= SYNC_BYTES:
            os.fdatasync(self._descriptor)
            self._unsynced = 0


def write_snapshot(
    directory: str | Path,
    header: SnapshotHeader,
    arrays: Mapping[str, Array],
    blobs: Mapping[str, bytes],
    *,
    compress: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Write a snapshot, durable on return, and remove all but it and the one before it.

    Those of later batches go as well: they are of a journal that is no longer here.

    Blocking, for a thread of its own: writing, checksums and compression release the GIL. The
    arrays must not change meanwhile. ``compress`` tries zlib level 1 on every piece and keeps it
    where it saves a tenth: mostly empty columns shrink eightyfold at the same speed. ``progress`` gets the content bytes of each piece written.
    Raises :class:`JournalFull` when the disk is full (nothing is left behind) and
    :class:`JournalBroken` when it fails.
    """
    assert not arrays.keys() & blobs.keys(), "one name, one section"
    path = path_of(directory, header.seq)
    temporary = path.with_suffix(".tmp")
    try:
        _write_file(temporary, header, arrays, blobs, compress, progress)
        temporary.rename(path)
        fsync_directory(path.parent)
        _remove_others(path.parent, header.seq)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kind = JournalFull if no_room(error) else JournalBroken
        raise kind(f"snapshot {path.name} could not be written: {error.strerror}") from error
    return path


def _write_file(
    path: Path,
    header: SnapshotHeader,
    arrays: Mapping[str, Array],
    blobs: Mapping[str, bytes],
    compress: bool,
    progress: Callable[[int], None],
) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        file = _File(descriptor, compress, progress)
        sections = []
        for name, array in arrays.items():
            assert not array.dtype.hasobject, name
            dtype = repr(np.lib.format.dtype_to_descr(array.dtype))
            pieces = [file.put(view) for view in _views(array)]
            sections.append(_Section(name, dtype, array.shape, pieces))
        for name, blob in blobs.items():
            pieces = [file.put(view) for view in _slices(blob)]
            sections.append(_Section(name, "", (len(blob),), pieces))
        file.finish(_Index(header, sections))
    finally:
        os.close(descriptor)


def _remove_others(directory: Path, newest_seq: int) -> None:
    kept = kept_snapshots(directory)
    ours = [path for seq, path in kept if seq <= newest_seq][:KEPT]
    for _, path in kept:
        if path not in ours:
            path.unlink(missing_ok=True)
    for kind in ("tmp", "foreign"):  # of a writer that was killed; of another journal
        for path in directory.glob(f"snapshot-*.{kind}"):
            path.unlink(missing_ok=True)


def keep_newest_alone(directory: str | Path) -> None:
    """Give up the older snapshots if the newest is whole, so that no batch before it is needed."""
    kept = kept_snapshots(directory)
    try:
        if len(kept) > 1:
            _check(kept[0][1])
    except SnapshotUnusable as reason:
        log.warning("older_snapshots_kept", file=kept[0][1].name, reason=str(reason))
        return
    for _, path in kept[1:]:
        path.unlink(missing_ok=True)


def _check(path: Path) -> None:
    """Read a snapshot piece by piece without keeping it. Raises SnapshotUnusable."""
    with _opened(path) as file:
        for section in _read_index(file.fileno()).sections:
            for piece in section.pieces:
                _read_piece(file.fileno(), piece, memoryview(bytearray(piece.size)))


# Reading


def _read_exactly(descriptor: int, buffers: list[memoryview], offset: int) -> None:
    waiting = [buffer for buffer in buffers if len(buffer)]
    while waiting:
        got = os.preadv(descriptor, waiting, offset)
        if got == 0:
            raise SnapshotUnusable("the file ends too early")
        offset += got
        while waiting and got >= len(waiting[0]):
            got -= len(waiting.pop(0))
        if waiting:
            waiting[0] = waiting[0][got:]


def _bytes_at(descriptor: int, offset: int, size: int) -> bytes:
    buffer = bytearray(size)
    _read_exactly(descriptor, [memoryview(buffer)], offset)
    return bytes(buffer)


def _read_index(descriptor: int) -> _Index:
    size = os.fstat(descriptor).st_size
    if size < ALIGN + _TAIL_BYTES:
        raise SnapshotUnusable(f"the file has only {size} bytes")
    head = _bytes_at(descriptor, 0, ALIGN)
    if head != _HEAD:
        raise SnapshotUnusable("the head is damaged, or of another format version")
    tail = _bytes_at(descriptor, size - _TAIL_BYTES, _TAIL_BYTES)
    if tail[:8] != MAGIC or zlib.crc32(tail[:28]) != int.from_bytes(tail[28:], "little"):
        raise SnapshotUnusable("the tail is damaged")
    offset, length = (int.from_bytes(tail[k : k + 8], "little") for k in (8, 16))
    if offset + length + _TAIL_BYTES != size:
        raise SnapshotUnusable("the index is not where the tail says")
    encoded = _bytes_at(descriptor, offset, length)
    if zlib.crc32(encoded) != int.from_bytes(tail[24:28], "little"):
        raise SnapshotUnusable("the index is damaged")
    try:
        return msgspec.msgpack.decode(encoded, type=_Index)
    except msgspec.DecodeError as error:
        raise SnapshotUnusable(f"the index cannot be read: {error}") from error


def _read_piece(descriptor: int, piece: _Piece, into: memoryview) -> None:
    padding = bytearray(-piece.stored % ALIGN)
    packed = piece.stored != piece.size
    stored = memoryview(bytearray(piece.stored)) if packed else into
    _read_exactly(descriptor, [stored, memoryview(padding)], piece.offset)
    if zlib.crc32(padding, zlib.crc32(stored)) != piece.crc:
        raise SnapshotUnusable(f"the {piece.stored} bytes at {piece.offset} are damaged")
    if packed:
        into[:] = zlib.decompress(stored, bufsize=piece.size)


def _allocate(section: _Section) -> tuple[Array, memoryview]:
    """A fresh array for a section, and its bytes."""
    dtype = np.dtype(np.uint8)
    if section.dtype:
        dtype = np.lib.format.descr_to_dtype(ast.literal_eval(section.dtype))
    array: Array = np.empty(section.shape, dtype)
    return array, _bytes_of(array) if array.size else memoryview(b"")


def _jobs(section: _Section, content: memoryview) -> Iterator[tuple[_Piece, memoryview]]:
    start = 0
    for piece in section.pieces:
        yield piece, content[start : start + piece.size]
        start += piece.size


def read_header(path: str | Path) -> SnapshotHeader:
    """The header alone, without reading or checking the columns. Raises SnapshotUnusable."""
    with _opened(Path(path)) as file:
        return _read_index(file.fileno()).header


def read_snapshot(path: str | Path) -> Snapshot:
    """Read and check a whole snapshot, on two threads.

    Raises :class:`SnapshotUnusable` when a single bit is not as it was written.
    """
    with _opened(Path(path)) as file, ThreadPoolExecutor(_READ_THREADS) as pool:
        descriptor = file.fileno()
        index = _read_index(descriptor)
        arrays = {section.name: _allocate(section) for section in index.sections}
        jobs = [job for s in index.sections for job in _jobs(s, arrays[s.name][1])]
        for _ in pool.map(lambda job: _read_piece(descriptor, *job), jobs):
            pass
    return Snapshot(
        index.header,
        {s.name: arrays[s.name][0] for s in index.sections if s.dtype},
        {s.name: arrays[s.name][0].tobytes() for s in index.sections if not s.dtype},
    )


def _opened(path: Path) -> Any:
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise SnapshotUnusable(f"{path.name} cannot be opened: {error.strerror}") from error


class _Foreign(SnapshotUnusable):
    """Of a journal that is no longer here: never to be used, also once this one has grown."""


def newest_snapshot(
    directory: str | Path, catalogue: str, upto_seq: int | None = None, journal_id: str = ""
) -> Snapshot | None:
    """The newest snapshot that is whole, of this ``catalogue``, and not ahead of the journal.

    ``upto_seq``: the journal's last batch; a snapshot beyond it belongs to a journal that is no
    longer here, and so does one with another ``journal_id`` (where both are known). These are
    renamed to ``.foreign`` until the next snapshot is written, as this journal may grow past
    them. Those passed over are logged with the reason.
    """
    for seq, path in kept_snapshots(directory):
        try:
            _demand_of_journal(path, seq, upto_seq, journal_id)
            _demand_ours(path, seq, catalogue)
            return read_snapshot(path)
        except SnapshotUnusable as reason:
            log.warning("snapshot_passed_over", file=path.name, reason=str(reason))
            if isinstance(reason, _Foreign):
                with suppress(OSError):  # refused again at the next start
                    path.rename(path.with_suffix(".foreign"))
    return None


def _demand_of_journal(path: Path, seq: int, upto_seq: int | None, journal_id: str) -> None:
    if upto_seq is not None and seq > upto_seq:
        raise _Foreign(f"it is ahead of the journal, which ends at batch {upto_seq}")
    made_from = read_header(path).journal
    if journal_id and made_from and made_from != journal_id:
        raise _Foreign(f"it is of journal {made_from}, this one is {journal_id}")


def _demand_ours(path: Path, seq: int, catalogue: str) -> None:
    header = read_header(path)
    if header.seq != seq:
        raise SnapshotUnusable(f"it holds batch {header.seq}, its name says {seq}")
    if header.catalogue != catalogue:
        raise SnapshotUnusable("its columns are laid out in another way")
