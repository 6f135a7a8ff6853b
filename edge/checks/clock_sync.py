"""Is the machine's clock right, and will it be right after the next boot?"""

import ctypes
import struct
import time
from collections.abc import Iterator

from msgspec import Struct

from edge.checks import Case, Check

UNSYNCHRONISED = 0x0040
TIMEX_BYTES = 256
EARLIEST_S = 1_767_225_600
"""2026-01-01: a clock before this program was written is wrong."""

NTP_CURE = "sudo timedatectl set-ntp true, or install chrony; look at: timedatectl timesync-status"


class Sync(Struct, frozen=True):
    """What the kernel thinks of its clock."""

    synchronised: bool
    error_max_ms: float
    """Greatest error the kernel expects, milliseconds."""


def kernel_sync() -> Sync | None:
    """Ask the kernel by ``adjtimex`` (no rights needed); ``None``: it does not tell.

    Source: adjtimex(2), struct timex of 64-bit Linux.
    """
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except AttributeError:
        return None
    if state < 0:
        return None
    _, _, _, error_max_us, _, status = struct.unpack_from("=I4xqqqqi", buffer.raw)
    return Sync(not status & UNSYNCHRONISED, error_max_us / 1_000)


def check(case: Case) -> list[Check]:
    """The clock now, and the battery that carries it over a power cut."""
    return [clock_check(time.time(), kernel_sync()), *_battery(case)]


def clock_check(now_s: float, sync: Sync | None) -> Check:
    """The verdict on a clock."""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    if now_s < EARLIEST_S:
        return Check("clock", "fail", f"it says {now}, which is in the past", NTP_CURE)
    if sync is None:
        return Check(
            "clock", "warn", f"{now}; the kernel does not tell whether it is synchronised", NTP_CURE
        )
    if not sync.synchronised:
        seen = f"{now}; not synchronised: times that readers do not tell will be wrong by as much"
        return Check("clock", "warn", seen, NTP_CURE)
    return Check("clock", "ok", f"{now}; synchronised within {sync.error_max_ms:.0f} ms")


def _battery(case: Case) -> Iterator[Check]:
    """A Raspberry Pi 5 has a clock chip, but its battery is sold apart."""
    if "Raspberry Pi" not in case.text("proc/device-tree/model"):
        return
    epoch = case.text("sys/class/rtc/rtc0/since_epoch")
    if not epoch:
        yield Check(
            "clock chip",
            "warn",
            "none: after a power cut the clock is wrong until the network tells the time",
            "let rfid3 start after time-sync.target, or fit a clock chip with a battery",
        )
    elif not epoch.isdigit() or int(epoch) < EARLIEST_S:
        yield Check(
            "clock chip",
            "warn",
            "it has lost its time: the battery is missing or empty",
            "fit the RTC battery (connector J5 of a Raspberry Pi 5)",
        )
    else:
        yield Check("clock chip", "ok", "keeps the time")
