"""The limits every event must keep, and the filling in of what its sender left out.

Used for events that somebody wrote for us (native, mapped, RFID3 rows). A sender's mistake raises
FormatError with the cure; a device clock that was never set never does.
"""

import math
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from edge import events as e
from edge.errors import FormatError
from edge.events import Event, TagRead
from edge.ingest.formats.reading import Source
from edge.ingest.formats.values import (
    ANTENNA_MAX,
    COUNT_MAX,
    HEX,
    NAME_MAX,
    RSSI_MAX_DBM,
    RSSI_MIN_DBM,
    SEQ_MAX,
    free_text,
    identity,
)
from edge.ingest.times import TIME_MAX_MS, TIME_MIN_MS, plausible

_CENTS = 1e12
_UNITS = 1e9
_SMALLEST = 1e-9

# Numbers: event type -> (field, least, most), inclusive.
RANGES: dict[type[Event], tuple[tuple[str, float, float], ...]] = {
    e.PosLine: (
        ("line", 0, SEQ_MAX),
        ("quantity", _SMALLEST, _UNITS),
        ("price_cents", -_CENTS, _CENTS),
        ("discount_cents", -_CENTS, _CENTS),
    ),
    e.StockCount: (("quantity", -_UNITS, _UNITS),),
    e.StockReceipt: (("quantity", -_UNITS, _UNITS), ("cost_cents", -_CENTS, _CENTS)),
    e.Reservation: (("quantity", 0, _UNITS),),
    e.Correction: (("line", 0, SEQ_MAX),),
    e.Maintenance: (("cost_cents", -_CENTS, _CENTS), ("minutes", 0, 1_000_000)),
    e.PriceObserved: (("price_cents", 0, _CENTS),),
    e.Factor: (("value", -1e15, 1e15),),
    e.Review: (("rating", 1, 5),),
    e.ReaderStatus: (("lost_events", 0, SEQ_MAX), ("antenna", 0, ANTENNA_MAX)),
}

# Texts that may not be empty.
NEEDED: dict[type[Event], tuple[str, ...]] = {
    e.PosLine: ("document", "sku"),
    e.StockCount: ("sku",),
    e.StockReceipt: ("sku",),
    e.Reservation: ("document", "sku"),
    e.PriceObserved: ("sku",),
    e.Factor: ("name",),
    e.ReaderStatus: ("reader",),
}

_TAGS = frozenset({"epc", "replaces"})
_MOMENTS = frozenset({"due", "start", "end", "scanned_at", "until", "gap_from"})
_WORDS = {"name": 200, "category": 200, "status": 64, "text": 2_000, "detail": 200}
_EVERYWHERE = frozenset({"store", "source", "id", "at", "time_quality"})


class _Plan(Struct, frozen=True):
    """Which fields of an event type are what."""

    tags: tuple[str, ...]
    moments: tuple[str, ...]
    words: tuple[tuple[str, int], ...]
    keys: tuple[str, ...]
    needed: tuple[str, ...]
    ranges: tuple[tuple[str, float, float], ...]


def _plan(event_type: type[Event]) -> _Plan:
    fields = [f for f in msgspec.structs.fields(event_type) if f.name not in _EVERYWHERE]
    names = [f.name for f in fields]
    return _Plan(
        tuple(n for n in names if n in _TAGS),
        tuple(n for n in names if n in _MOMENTS),
        tuple((n, _WORDS[n]) for n in names if n in _WORDS),
        tuple(f.name for f in fields if f.type is str and f.name not in {*_TAGS, *_WORDS}),
        NEEDED.get(event_type, ()),
        RANGES.get(event_type, ()),
    )


_PLANS = {t: _plan(t) for t in e.EVENT_TYPES}


def settle(event: Event, source: Source, arrival_ms: int) -> None:
    """Check an event and fill in time, store and source, in place. Raises FormatError."""
    if type(event) is TagRead:
        _settle_read(event)
    else:
        _settle_fields(event)
        extra = _RULES.get(type(event))
        if extra is not None:
            extra(event)
        settle_moments(event, source)
    at = event.at
    if type(at) is not int or not TIME_MIN_MS <= at < TIME_MAX_MS:
        _settle_time(event, source, arrival_ms)
    if source.store_ruled or not event.store:
        event.store = source.store
    else:
        event.store = key(event.store, "store") or source.store
    if source.reader or not event.source:
        event.source = source.fallback
    else:
        event.source = key(event.source, "source") or source.fallback
    if event.id:
        event.id = key(event.id, "id")


def _settle_read(read: TagRead) -> None:
    """The hot one, by hand."""
    epc = read.epc
    if not epc or epc.strip(HEX) or len(epc) > NAME_MAX:
        read.epc = identity(epc)
    if read.count != 1 and not 1 <= read.count <= COUNT_MAX:
        raise out_of_range("count", read.count, 1, COUNT_MAX)
    if not 0 <= read.antenna <= ANTENNA_MAX:
        raise out_of_range("antenna", read.antenna, 0, ANTENNA_MAX)
    if read.seq and not 0 <= read.seq <= SEQ_MAX:
        raise out_of_range("seq", read.seq, 0, SEQ_MAX)
    rssi = read.rssi_dbm
    if rssi is not None and not RSSI_MIN_DBM <= rssi <= RSSI_MAX_DBM:
        read.rssi_dbm = None
    if read.tid:
        read.tid = identity(read.tid)
    if read.pc:
        read.pc = identity(read.pc)
    if read.direction not in ("", "in", "out"):
        read.direction = direction(read.direction)


def direction(told: str) -> str:
    """``in`` or ``out`` in any case. Raises FormatError (``out_of_range``)."""
    word = told.strip().lower()
    if word not in ("", "in", "out"):
        raise FormatError("out_of_range", f"direction: in, out or empty, not {told[:20]!r}")
    return word


def _settle_fields(event: Event) -> None:
    """Every field by its kind, as the type's plan says."""
    plan = _PLANS[type(event)]
    for field in plan.tags:
        value = getattr(event, field)
        if value:
            setattr(event, field, identity(value))
    for field in plan.keys:
        value = getattr(event, field)
        if value:
            setattr(event, field, key(value, field))
    for field, longest in plan.words:
        value = getattr(event, field)
        if value and (len(value) > longest or not value.isprintable()):
            setattr(event, field, free_text(value, longest))
    for field in plan.needed:
        if not getattr(event, field):
            raise FormatError("missing_field", f"{field} may not be empty")
    for field, low, high in plan.ranges:
        value = getattr(event, field)
        if value is not None and not low <= value <= high:
            raise out_of_range(field, value, low, high)


def key(text: str, field: str) -> str:
    """A name that others will be compared with: trimmed, printable, at most 128 characters."""
    text = text.strip()
    if len(text) > NAME_MAX or not text.isprintable():
        raise FormatError("bad_text", f"{field}: at most {NAME_MAX} printable characters")
    return text


def out_of_range(field: str, value: Any, low: float, high: float) -> FormatError:
    """The error of a number beyond its limits."""
    told = f"{value:g}" if isinstance(value, float) or -1e300 < value < 1e300 else "a huge number"
    return FormatError("out_of_range", f"{field}: {told} is not within {low:g}..{high:g}")


# ── times ─────────────────────────────────────────────────────────────────────────────────────


def _settle_time(event: Event, source: Source, arrival_ms: int) -> None:
    """``at`` becomes epoch ms: as told, or the arrival where nothing usable was told."""
    at, naive = when(event.at, "at", source)
    if not plausible(at):
        event.at, event.time_quality = arrival_ms, "arrival"
        return
    event.at = at
    if naive:
        event.time_quality = "naive_local"


def when(told: int | float | str, field: str, source: Source) -> tuple[int, bool]:
    """Epoch ms (0: not told) and whether it had no zone. Raises FormatError (``bad_time``)."""
    if isinstance(told, str):
        return _when_text(told.strip(), field, source)
    if isinstance(told, float):
        return (int(told) if math.isfinite(told) else 0), False
    return told, False


def _when_text(text: str, field: str, source: Source) -> tuple[int, bool]:
    if not text or text.startswith("0000-00-00"):
        return 0, False
    if text.isascii() and text.isdigit() and len(text) <= 19:
        return int(text), False
    try:
        return source.times.parse(text)
    except ValueError:
        raise FormatError(
            "bad_time",
            f"{field}: {text[:40]!r} is not a time; write 2026-03-01T09:30:00Z or epoch ms",
        ) from None


def settle_moments(event: Event, source: Source) -> None:
    """The other times of an event (due, start, …) become epoch ms; 0 where never set."""
    for field in _PLANS[type(event)].moments:
        value = getattr(event, field)
        if value:
            at, _ = when(value, field, source)
            setattr(event, field, at if plausible(at) else 0)


# ── rules between fields ──────────────────────────────────────────────────────────────────────


def _need(event: Any, fields: tuple[str, ...], why: str) -> None:
    for field in fields:
        if not getattr(event, field):
            raise FormatError("missing_field", f"{field} is needed {why}")


def _item(event: Any) -> None:
    _need(event, ("epc",), "to name the item")


_LINK_NEEDS: dict[str, tuple[str, ...]] = {"bind": ("sku",), "replace": ("replaces",)}


def _link(event: Any) -> None:
    _item(event)
    _need(event, _LINK_NEEDS.get(event.action, ()), f"to {event.action} a tag")


def _correction(event: Any) -> None:
    field = "epc" if event.action == "undo_scan" else "document"
    _need(event, (field,), f"for {event.action}")


_RULES: dict[type[Event], Callable[[Any], None]] = {
    e.ItemScan: _item,
    e.Maintenance: _item,
    e.ItemLink: _link,
    e.Correction: _correction,
}


# ── msgspec's own complaints ──────────────────────────────────────────────────────────────────

_COMPLAINTS = (
    ("missing required field", "missing_field"),
    ("out of range", "out_of_range"),
    ("Invalid enum value", "out_of_range"),
    ("Invalid value", "out_of_range"),
    ("Expected", "wrong_type"),
)


def fault(error: Exception) -> FormatError:
    """Our reason for an error that reading bytes raised."""
    text = str(error)
    if isinstance(error, RecursionError):
        return FormatError("too_deep", "nested too deeply; send flat objects")
    if isinstance(error, UnicodeDecodeError):
        return FormatError("not_utf8", f"invalid UTF-8 at byte {error.start} of a text")
    if isinstance(error, msgspec.ValidationError):
        for words, reason in _COMPLAINTS:
            if words in text:
                return FormatError(reason, text)
        return FormatError("wrong_type", text)
    return FormatError("not_json", text)
