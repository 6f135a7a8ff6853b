"""What is kept about whom: the columns and windows of every entity. Tables, no logic.

The catalogue (``catalog.py``) says how features are read from these; nothing else reads them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from edge.config import Limits
from edge.features.decay import DecayedCount
from edge.features.pool import WindowPool
from edge.features.sketch import DistinctWindow, LogHistogram
from edge.features.tables import Column, Part, Table
from edge.features.windows import (
    DayLog,
    DayRing,
    RingWindow,
    above_zero,
    days_above_zero,
    each,
)
from edge.features.words import GROUPS, STATUSES

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

STATE_LAYOUT = "rfid3-state-1"
"""Named in every snapshot. A column added later starts empty in an old snapshot, so only a column
that changes its meaning, or a table that changes its keys, needs another name (and a way over)."""

HISTORY_DAYS = 400
RENTAL_WINDOWS_DAYS = (30, 90, 365)

_I64, _I32, _I16, _U16, _U8 = np.int64, np.int32, np.int16, np.uint16, np.uint8
_I8 = np.int8

ITEM_COLUMNS = (
    Column("class_row", _I32, -1, ref="class"),
    Column("store_row", _I16, -1, ref="store"),
    Column("status_row", _I16, 0, ref="status"),
    Column("status_previous_row", _I16, 0, ref="status"),
    Column("bin_row", _I32, -1, ref="bin"),
    Column("zone_row", _I16, -1, ref="zone"),
    Column("sight_zone_row", _I16, -1, ref="zone"),
    Column("reader_row", _I16, -1, ref="reader"),
    Column("antenna", _I16),
    Column("rssi_last_cdbm", _I32, -(1 << 30)),
    Column("sight_cell", _I64, -1),
    Column("first_seen_ms", _I64, merge="first"),
    Column("last_event_ms", _I64),  # arrival of anything about the item
    Column("last_read_ms", _I64),
    Column("last_scan_ms", _I64),
    Column("last_status_ms", _I64),  # event time of the newest scan that set the status
    Column("status_since_ms", _I64),
    Column("rented_at_ms", _I64),
    Column("rented_previous_ms", _I64),
    Column("zone_since_ms", _I64),
    Column("due_ms", _I64),
    Column("last_inspection_ms", _I64),
    Column("last_maintenance_ms", _I64),
    Column("last_repair_ms", _I64),
    Column("grade_since_ms", _I64),
    Column("reads_total", _I64, merge="sum"),
    Column("sightings_total", _I32, merge="sum"),
    Column("scans_total", _I32, merge="sum"),
    Column("rentals_total", _I32, merge="sum"),
    Column("returns_total", _I32, merge="sum"),
    Column("late_total", _I32, merge="sum"),
    Column("repairs_total", _I32, merge="sum"),
    Column("failures_total", _I32, merge="sum"),
    Column("maintenance_minutes_total", _I64, merge="sum"),
    Column("repair_cost_cents_total", _I64, merge="sum"),
    Column("revenue_cents_total", _I64, merge="sum"),
    Column("on_rent_ms_total", _I64, merge="sum"),
    Column("rating_milli_sum", _I64, merge="sum"),
    Column("ratings_total", _I32, merge="sum"),
    Column("grade_changes_total", _I32, merge="sum"),
    Column("defects", _U16),
    Column("grade", _U8),
    Column("grade_previous", _U8),
    Column("time_quality", _U8),
    Column("muted", _U8),
    Column("retired", _U8),
    Column("probable_return", _U8),
)

# Windows of active items only: name -> (buckets, width, type).
ITEM_WINDOWS = {
    "reads_5m": (5, MINUTE_MS, _I32),
    "reads_1h": (12, 5 * MINUTE_MS, _I32),
    "reads_24h": (24, HOUR_MS, _I32),
    "rssi_reads_1h": (6, 10 * MINUTE_MS, _I32),
    "rssi_cdbm_1h": (6, 10 * MINUTE_MS, _I64),  # a tag read 40 times a second would fill int32
    "sightings_24h": (24, HOUR_MS, _I32),
    "moves_24h": (24, HOUR_MS, _I32),
}

CLASS_COLUMNS = (
    Column("store_row", _I16, -1, ref="store"),
    Column("last_event_ms", _I64),
    Column("last_sale_ms", _I64),
    Column("last_rental_ms", _I64),
    Column("last_count_ms", _I64),
    Column("last_receipt_ms", _I64),
    *(Column(f"items_{group}", _I32, merge="sum") for group in GROUPS),
    Column("ledger_milli", _I64, merge="sum"),
    Column("ledger_known", _U8),
    Column("rented_out_milli", _I64, merge="sum"),
    Column("reserved_milli", _I64, merge="sum"),
    Column("price_cents", _I64),
    Column("list_price_cents", _I64),
    Column("list_price_ms", _I64),
    Column("competitor_price_cents", _I64),
    Column("competitor_price_ms", _I64),
    Column("cost_cents", _I64),
    Column("rating_milli_sum", _I64, merge="sum"),
    Column("ratings_total", _I32, merge="sum"),
)

# One value a class and local day, HISTORY_DAYS back.
CLASS_DAYS: dict[str, type[np.signedinteger]] = {
    "rented_milli": _I32,
    "sold_milli": _I32,
    "returned_milli": _I32,
    "revenue_cents": _I64,
    "scans_out": _I32,
    "scans_in": _I32,
    "stockouts": _I16,
    "on_hand_close_milli": _I32,
    "on_rent_close_milli": _I32,
    "price_close_cents": _I32,  # 0: not known
    "empty_close": _I8,  # 1: stock was known at the close, and there was none
    "unseen": _I8,  # 1: nobody looked that day, so its zeros say nothing
}

CLOSE_DAYS = (8, 29)  # a week and four weeks of closes: today has none yet
CLASS_DAY_SUMS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    **dict.fromkeys(
        ("rented_milli", "sold_milli", "returned_milli", "revenue_cents", "scans_out", "scans_in"),
        ((7, 28, 364), each),
    ),
    "stockouts": ((28,), days_above_zero),
    "on_hand_close_milli": (CLOSE_DAYS, above_zero),
    "on_rent_close_milli": (CLOSE_DAYS, each),
}
"""Lengths of the windows whose sums are kept ready, and how a day counts in them."""

ZONE_COLUMNS = (
    Column("last_read_ms", _I64),
    Column("items_present", _I32, merge="sum"),
    Column("arrivals_total", _I64, merge="sum"),
    Column("departures_total", _I64, merge="sum"),
    Column("blind", _U8),
)

READER_COLUMNS = (
    Column("last_message_ms", _I64),
    Column("last_read_ms", _I64),
    Column("last_heartbeat_ms", _I64),
    Column("last_ordinal", _I64),  # of its newest message in the journal
    Column("reads_total", _I64, merge="sum"),
    Column("lost_events_total", _I64, merge="sum"),
    Column("errors_total", _I32, merge="sum"),
    Column("gaps_total", _I32, merge="sum"),
    Column("clock_ahead_ms", _I64, merge="sum"),
    Column("offline_since_ms", _I64),
    Column("online", _U8),
    Column("silent", _U8),
)

CUSTOMER_COLUMNS = (
    Column("first_seen_ms", _I64, merge="first"),
    Column("last_seen_ms", _I64),
    Column("lines_total", _I32, merge="sum"),
    Column("visits_total", _I32, merge="sum"),
    Column("last_visit_day", _I32, -1),
    Column("rented_milli_total", _I64, merge="sum"),
    Column("sold_milli_total", _I64, merge="sum"),
    Column("returned_milli_total", _I64, merge="sum"),
    Column("spend_cents_total", _I64, merge="sum"),
)

FACTOR_COLUMNS = (
    Column("value_milli", _I64),  # of the newest span or moment told
    Column("at_ms", _I64),
    Column("until_ms", _I64),
)
FACTORS_MAX = 256
FACTOR_DAYS = 40
"""Days back that a factor told late still reaches; more than ``ingest.lateness_s`` may be."""

Make = Callable[[int], Part]


def _ring(buckets: int, width_ms: int, dtype: type = _I32) -> Make:
    return partial(_make_ring, buckets, width_ms, dtype)


def _make_ring(buckets: int, width_ms: int, dtype: type, rows: int) -> RingWindow:
    return RingWindow(rows, buckets, width_ms, dtype)


def _make_days(
    dtype: type, windows: tuple[int, ...], tally: Callable[[Any], Any], rows: int
) -> DayRing:
    return DayRing(rows, HISTORY_DAYS, dtype, windows, tally)


_READS: dict[str, Make] = {
    "reads_5m": _ring(5, MINUTE_MS, _I64),
    "reads_1h": _ring(12, 5 * MINUTE_MS, _I64),
    "reads_24h": _ring(24, HOUR_MS, _I64),
}


def tables(limits: Limits) -> dict[str, Table]:
    """Every table of the state, empty, in the order in which they refer to each other."""
    class_parts: dict[str, Make] = {
        name: partial(_make_days, dtype, *CLASS_DAY_SUMS.get(name, ((), each)))
        for name, dtype in CLASS_DAYS.items()
    }
    class_parts |= {
        "units_out_milli_1h": _ring(12, 5 * MINUTE_MS, _I64),
        "units_out_milli_24h": _ring(24, HOUR_MS, _I64),
        "sightings_24h": _ring(24, HOUR_MS),
        "rentals_ew_7d": lambda rows: DecayedCount(rows, 7 * DAY_MS),
        "sales_ew_7d": lambda rows: DecayedCount(rows, 7 * DAY_MS),
        "customers_28d": lambda rows: DistinctWindow(rows, 4, 7 * DAY_MS, 64),
        "rental_hours": lambda rows: LogHistogram(rows, 48, 1.0, 1.25),
    }
    item_parts: dict[str, Make] = {
        "rentals": lambda rows: DayLog(rows, RENTAL_WINDOWS_DAYS, limits.rental_log_max),
        "returns": lambda rows: DayLog(rows, RENTAL_WINDOWS_DAYS, limits.rental_log_max),
        "reads_ew_1h": lambda rows: DecayedCount(rows, HOUR_MS),
    }
    zone_parts: dict[str, Make] = _READS | {
        "arrivals_24h": _ring(24, HOUR_MS),
        "departures_24h": _ring(24, HOUR_MS),
        "items_1h": lambda rows: DistinctWindow(rows, 6, 10 * MINUTE_MS, 1024),
        "items_24h": lambda rows: DistinctWindow(rows, 24, HOUR_MS, 1024),
        "reads_ew_1h": lambda rows: DecayedCount(rows, HOUR_MS),
        "dwell_s": lambda rows: LogHistogram(rows, 48, 1.0, 1.4),
    }
    factor_parts: dict[str, Make] = {
        name: lambda rows: DayRing(rows, FACTOR_DAYS, _I64) for name in ("sum_milli", "told")
    }
    made = {
        "store": Table("store", 256, (), {}),
        "status": Table("status", 1_024, (), {}),
        "bin": Table("bin", 16_384, (), {}),
        "class": Table(
            "class", limits.classes_max, CLASS_COLUMNS, class_parts, ("name", "category")
        ),
        "zone": Table("zone", limits.zones_max, ZONE_COLUMNS, zone_parts),
        "reader": Table("reader", limits.readers_max, READER_COLUMNS, dict(_READS), ("detail",)),
        "customer": Table("customer", limits.customers_max, CUSTOMER_COLUMNS, {}),
        "item": Table("item", limits.items_max, ITEM_COLUMNS, item_parts, ("contract", "name")),
        "factor": Table("factor", FACTORS_MAX, FACTOR_COLUMNS, factor_parts),
    }
    for status in STATUSES:
        made["status"].keys.claim(status)
    return made


def item_pool(limits: Limits) -> WindowPool:
    """The windows of active items."""
    return WindowPool(limits.items_max, limits.active_items_max, ITEM_WINDOWS)
