"""A disk that fails on demand: a SQLite VFS over the real one, whose writes and syncs may be refused.

It sits at SQLite's own porting layer, so everything above it (pager, WAL, rollback) is the real
code reacting to what it would see from a full or dying card. No compiler and no root needed.
"""

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

OPEN_MAIN = 0x100
OPEN_WAL = 0x80000

_NAME = b"failing-disk"
_WRITE, _SYNC = 2, 4  # positions in sqlite3_io_methods
_Open = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_void_p,
)
_Write = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("path_max", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 15),
    )


class _Methods(ctypes.Structure):
    _fields_ = (("version", ctypes.c_int), ("calls", ctypes.c_void_p * 18))


class FailingDisk:
    """Every file opened while the fixture lives goes through it; healthy until told otherwise."""

    def __init__(self) -> None:
        self.write_error: dict[int, int] = {}
        """Kind of file -> SQLite result code of every write to it."""
        self.sync_error: dict[int, int] = {}
        """Kind of file -> SQLite result code of every sync of it."""
        self.syncs = 0
        self._library: Any = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        self._library.sqlite3_vfs_find.restype = ctypes.c_void_p
        self._real = self._library.sqlite3_vfs_find(None)
        real = _Vfs.from_address(self._real)
        self._real_open = _Open(real.open)
        self._kinds: dict[int, int] = {}
        self._tables: dict[int, _Methods] = {}
        self._callbacks: list[Any] = [_Open(self._open)]
        self._vfs = _Vfs.from_buffer_copy(real)
        self._vfs.next = None
        self._vfs.name = _NAME
        self._vfs.open = ctypes.cast(self._callbacks[0], ctypes.c_void_p)

    def insert(self) -> None:
        """Become SQLite's default VFS."""
        self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)

    def remove(self) -> None:
        """Give way to the real one. Files still open stay on this one."""
        self._library.sqlite3_vfs_register(ctypes.c_void_p(self._real), 1)
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))

    def heal(self) -> None:
        """Refuse nothing any more."""
        self.write_error.clear()
        self.sync_error.clear()

    def _open(self, _vfs: int, name: int, file: int, flags: int, out: int) -> int:
        code = self._real_open(self._real, name, file, flags, out)
        methods = ctypes.c_void_p.from_address(file)
        if code == sqlite3.SQLITE_OK and methods.value:
            self._kinds[file] = flags & (OPEN_MAIN | OPEN_WAL)
            methods.value = ctypes.addressof(self._wrapped(methods.value))
        return code

    def _wrapped(self, address: int) -> _Methods:
        if address not in self._tables:
            table = _Methods.from_buffer_copy(_Methods.from_address(address))
            real_write, real_sync = _Write(table.calls[_WRITE]), _Sync(table.calls[_SYNC])

            def write(file: int, data: int, size: int, offset: int) -> int:
                refused = self.write_error.get(self._kinds[file], 0)
                return refused or real_write(file, data, size, offset)

            def sync(file: int, flags: int) -> int:
                self.syncs += 1
                return self.sync_error.get(self._kinds[file], 0) or real_sync(file, flags)

            for position, callback in ((_WRITE, _Write(write)), (_SYNC, _Sync(sync))):
                self._callbacks.append(callback)
                table.calls[position] = ctypes.cast(callback, ctypes.c_void_p).value
            self._tables[address] = table
        return self._tables[address]


_alive: list[FailingDisk] = []  # SQLite may still hold their tables: never freed


@pytest.fixture
def failing_disk() -> Iterator[FailingDisk]:
    """SQLite files opened from here on can be made to fail."""
    disk = FailingDisk()
    _alive.append(disk)
    disk.insert()
    yield disk
    disk.heal()
    disk.remove()
