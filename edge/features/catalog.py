"""The one table of every feature: name, entity, unit, measure, window, and how it is read.

A feature exists when it has a line here; the API, the trainer and the documents all derive from
this table. Names are ``<quantity>_<statistic>_<window>`` with units last. A value that does not
exist yet is NaN. Reading never changes the state.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.decay import STEPS, UNIT_BITS, DecayedCount
from edge.features.layout import CLASS_DAYS, DAY_MS, HOUR_MS, RENTAL_WINDOWS_DAYS
from edge.features.sketch import DistinctWindow, LogHistogram
from edge.features.state import FeatureState
from edge.features.windows import DayLog, DayRing, RingWindow

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Names:
    """Names for the columns that the expressions of one row read: ``named`` is name -> object."""

    def __init__(self) -> None:
        self.named: dict[str, object] = {"nan": math.nan}
        self._known: dict[int, str] = {}
        self._held: list[object] = []  # so that no two things ever have the same id

    def column(self, values: NDArray[Any]) -> str:
        """The name of a live column; one value of a memoryview costs a fraction of an array's."""
        return self._known.get(id(values)) or self._give(values, values.data)

    def thing(self, thing: object) -> str:
        """The name of any other object."""
        return self._known.get(id(thing)) or self._give(thing, thing)

    def _give(self, thing: object, read: object) -> str:
        name = self._known[id(thing)] = f"n{len(self.named)}"
        self.named[name] = read
        self._held.append(thing)
        return name


@dataclass(frozen=True, slots=True)
class Read:
    """How a feature is read: ``rows(state, rows)`` gives float64[n].

    ``one(state, names)`` gives the same for one row as a Python expression of ``r`` (row) and
    ``now`` (``state.now_ms``); a test holds the two together. ``None``: there is no short way.
    """

    rows: Callable[[FeatureState, Ints], Floats]
    one: Callable[[FeatureState, Names], str] | None = None

    def __call__(self, state: FeatureState, rows: Ints) -> Floats:
        """float64[n], NaN where there is no value."""
        return self.rows(state, rows)


@dataclass(frozen=True, slots=True)
class Feature:
    """One line of the catalogue. ``read(state, rows)`` gives float64[n]."""

    name: str
    entity: str
    unit: str
    measure: str
    window: str
    description: str
    read: Read


def _bits(entity: str, name: str) -> Read:
    """How many bits of a mask are set."""

    def read(state: FeatureState, rows: Ints) -> Floats:
        return np.bitwise_count(state.tables[entity].col[name][rows]).astype(np.float64)

    def one(state: FeatureState, names: Names) -> str:
        return f"{names.column(state.tables[entity].col[name])}[r].bit_count()"

    return Read(read, one)


def _column(entity: str, name: str, scale: float = 1.0, missing: int | None = None) -> Read:
    def read(state: FeatureState, rows: Ints) -> Floats:
        values = state.tables[entity].col[name][rows]
        out = values * scale
        return np.where(values == missing, np.nan, out) if missing is not None else out

    def one(state: FeatureState, names: Names) -> str:
        value = f"{names.column(state.tables[entity].col[name])}[r]"
        found = value if scale == 1.0 else f"{value}*{scale!r}"
        return found if missing is None else f"({found} if {value}!={missing} else nan)"

    return Read(read, one)


def _since(entity: str, name: str, unit_ms: int) -> Read:
    def read(state: FeatureState, rows: Ints) -> Floats:
        moments = state.tables[entity].col[name][rows]
        return np.where(moments > 0, np.maximum(state.now_ms - moments, 0) / unit_ms, np.nan)

    def one(state: FeatureState, names: Names) -> str:
        at = f"{names.column(state.tables[entity].col[name])}[r]"
        return f"((now-at)/{unit_ms} if 0<(at:={at})<now else 0.0 if at>0 else nan)"

    return Read(read, one)


def _pooled_one(state: FeatureState, names: Names, name: str) -> str:
    slot = f"{names.column(state.pool.slot)}[r]"
    return f"({names.column(state.pool.window[name].totals)}[{slot}] if {slot}>=0 else 0)"


def _pooled(name: str) -> Read:
    return Read(
        lambda state, rows: state.pool.totals(name, rows).astype(np.float64),
        lambda state, names: _pooled_one(state, names, name),
    )


def _ring(entity: str, name: str, scale: float = 1.0) -> Read:
    def window(state: FeatureState) -> RingWindow:
        found = state.tables[entity].part[name]
        assert isinstance(found, RingWindow)
        return found

    return Read(
        lambda state, rows: window(state).totals[rows] * scale,
        lambda state, names: f"{names.column(window(state).totals)}[r]*{scale!r}",
    )


def _day_ring(state: FeatureState, name: str) -> DayRing:
    ring = state.cls.part[name]
    assert isinstance(ring, DayRing)
    return ring


def _day_sum(state: FeatureState, names: Names, name: str, days: int) -> str:
    """Expression of what a row's newest ``days`` days come to, in the unit they are kept in."""
    ring = _day_ring(state, name)
    if days in ring.sums:
        return f"{names.column(ring.sums[days])}[r]"
    assert days == 1, f"no sum of {days} days of {name} is kept"
    return f"{names.column(ring.ring)}[{names.thing(ring)}.today%{ring.days},r]"


def _days(name: str, days: int, scale: float) -> Read:
    return Read(
        lambda state, rows: np.asarray(_day_ring(state, name).last(rows, days) * scale, np.float64),
        lambda state, names: f"{_day_sum(state, names, name, days)}*{scale!r}",
    )


def _log(name: str, window: int) -> Read:
    def totals(state: FeatureState) -> NDArray[np.int32]:
        log = state.item.part[name]
        assert isinstance(log, DayLog)
        return np.asarray(log.totals[window])

    def one(state: FeatureState, names: Names) -> str:
        return f"{names.column(totals(state))}[r]"

    return Read(lambda state, rows: np.asarray(totals(state)[rows], np.float64), one)


def _rate(entity: str, name: str, unit_ms: int, scale: float = 1.0) -> Read:
    def decayed(state: FeatureState) -> DecayedCount:
        found = state.tables[entity].part[name]
        assert isinstance(found, DecayedCount)
        return found

    def read(state: FeatureState, rows: Ints) -> Floats:
        return np.asarray(decayed(state).per(unit_ms, rows, state.now_ms) * scale, np.float64)

    def one(state: FeatureState, names: Names) -> str:
        part = decayed(state)
        total, of = f"{names.column(part.sums)}[r]", names.thing(part)
        steps = f"(now-{of}.landmark*{part.span_ms})*{STEPS}/{part.half_life_ms}"
        factor = math.log(2.0) / part.half_life_ms * unit_ms
        weight = f"2.0**({UNIT_BITS}+{steps}/{STEPS})"
        return f"({total}/{weight}*{factor!r}*{scale!r} if {total} else 0.0)"

    return Read(read, one)


def _distinct(entity: str, name: str) -> Read:
    def read(state: FeatureState, rows: Ints) -> Floats:
        sketch = state.tables[entity].part[name]
        assert isinstance(sketch, DistinctWindow)
        return sketch.estimate(rows)

    return Read(read)


def _quantile(entity: str, name: str, q: float) -> Read:
    def read(state: FeatureState, rows: Ints) -> Floats:
        histogram = state.tables[entity].part[name]
        assert isinstance(histogram, LogHistogram)
        return histogram.quantile(rows, q)

    return Read(read)


def _share(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """float64[n]: NaN where there is nothing to divide by."""
    found = np.full(len(below), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


def _ratio(above: Read, below: Read) -> Read:
    def read(state: FeatureState, rows: Ints) -> Floats:
        return _share(above(state, rows), below(state, rows))

    def one(state: FeatureState, names: Names) -> str:
        assert above.one is not None
        assert below.one is not None
        b = below.one(state, names)
        return f"(({above.one(state, names)})/({b}) if ({b})>0 else nan)"

    return Read(read, one)


def _rssi_mean_rows(state: FeatureState, rows: Ints) -> Floats:
    total = state.pool.totals("rssi_cdbm_1h", rows)
    reads = state.pool.totals("rssi_reads_1h", rows)
    return np.where(reads > 0, total / np.maximum(reads, 1) / 100, np.nan)


def _rssi_mean_one(state: FeatureState, names: Names) -> str:
    reads = _pooled_one(state, names, "rssi_reads_1h")
    return f"({_pooled_one(state, names, 'rssi_cdbm_1h')}/{reads}/100 if {reads}>0 else nan)"


_rssi_mean = Read(_rssi_mean_rows, _rssi_mean_one)


def _on_rent_days_rows(state: FeatureState, rows: Ints) -> Floats:
    col = state.item.col
    out_ms = col["rented_at_ms"][rows]
    running = np.where(out_ms > 0, np.maximum(state.now_ms - out_ms, 0), 0)
    return np.asarray((col["on_rent_ms_total"][rows] + running) / DAY_MS, np.float64)


def _on_rent_days_one(state: FeatureState, names: Names) -> str:
    out = f"{names.column(state.item.col['rented_at_ms'])}[r]"
    total = f"{names.column(state.item.col['on_rent_ms_total'])}[r]"
    return f"({total}+(now-{out} if 0<{out}<now else 0))/{DAY_MS}"


_on_rent_days = Read(_on_rent_days_rows, _on_rent_days_one)

_current_rental_days = _since("item", "rented_at_ms", DAY_MS)


def _class_price_rows(state: FeatureState, rows: Ints) -> Floats:
    class_row = state.item.col["class_row"][rows].astype(np.int64)
    price = state.cls.col["price_cents"][np.maximum(class_row, 0)]
    return np.where((class_row >= 0) & (price != 0), price, np.nan)


def _class_price_one(state: FeatureState, names: Names) -> str:
    of = f"{names.column(state.item.col['class_row'])}[r]"
    return f"((({names.column(state.cls.col['price_cents'])}[{of}] or nan) if {of}>=0 else nan))"


_class_price = Read(_class_price_rows, _class_price_one)


def _dwell_rows(state: FeatureState, rows: Ints) -> Floats:
    col = state.item.col
    here = col["zone_row"][rows] >= 0
    return np.where(here, np.maximum(state.now_ms - col["zone_since_ms"][rows], 0) / 1000, np.nan)


def _dwell_one(state: FeatureState, names: Names) -> str:
    since = f"{names.column(state.item.col['zone_since_ms'])}[r]"
    here = f"{names.column(state.item.col['zone_row'])}[r]>=0"
    return f"(((now-{since})/1000 if now>{since} else 0.0) if {here} else nan)"


_dwell = Read(_dwell_rows, _dwell_one)


def _class_columns(state: FeatureState, names: Names, *wanted: str) -> list[str]:
    return [f"{names.column(state.cls.col[name])}[r]" for name in wanted]


def _on_hand_rows(state: FeatureState, rows: Ints) -> Floats:
    col = state.cls.col
    known = col["ledger_known"][rows] > 0
    return np.asarray(np.where(known, col["ledger_milli"][rows] / 1000, col["items_ready"][rows]))


def _on_hand_one(state: FeatureState, names: Names) -> str:
    known, milli, ready = _class_columns(
        state, names, "ledger_known", "ledger_milli", "items_ready"
    )
    return f"({milli}/1000 if {known}>0 else {ready})"


_on_hand = Read(_on_hand_rows, _on_hand_one)


def _on_rent_rows(state: FeatureState, rows: Ints) -> Floats:
    col = state.cls.col
    return np.maximum(col["rented_out_milli"][rows] / 1000, col["items_on_rent"][rows])


def _on_rent_one(state: FeatureState, names: Names) -> str:
    milli, items = _class_columns(state, names, "rented_out_milli", "items_on_rent")
    return f"({milli}/1000 if {milli}>{items}*1000 else {items})"


_on_rent = Read(_on_rent_rows, _on_rent_one)


def _fleet_of(state: FeatureState, rows: Ints, on_rent: Floats) -> Floats:
    col = state.cls.col
    tagged = col["items_ready"][rows] + col["items_on_rent"][rows] + col["items_in_service"][rows]
    return np.where(tagged > 0, tagged, _on_hand(state, rows) + on_rent)


def _fleet_rows(state: FeatureState, rows: Ints) -> Floats:
    return _fleet_of(state, rows, _on_rent(state, rows))


def _fleet_one(state: FeatureState, names: Names) -> str:
    tagged = "+".join(
        _class_columns(state, names, "items_ready", "items_on_rent", "items_in_service")
    )
    both = f"{_on_hand_one(state, names)}+{_on_rent_one(state, names)}"
    return f"(({tagged}) if {tagged}>0 else {both})"


_fleet = Read(_fleet_rows, _fleet_one)


def _utilisation_now_rows(state: FeatureState, rows: Ints) -> Floats:
    on_rent = _on_rent(state, rows)
    return _share(on_rent, _fleet_of(state, rows, on_rent))


_utilisation_now = Read(_utilisation_now_rows, _ratio(_on_rent, _fleet).one)


def _price_mean(days: int) -> Read:
    units = ("sold_milli", "rented_milli")

    def read(state: FeatureState, rows: Ints) -> Floats:
        cents = _day_ring(state, "revenue_cents").last(rows, days)
        sold, rented = (_day_ring(state, u).last(rows, days) * 0.001 for u in units)
        return _share(cents, sold + rented)

    def one(state: FeatureState, names: Names) -> str:
        cents = _day_sum(state, names, "revenue_cents", days)
        moved = "+".join(f"{_day_sum(state, names, u, days)}*0.001" for u in units)
        return f"({cents}/moved if (moved:={moved})>0 else nan)"

    return Read(read, one)


_stockout_days = _days("stockouts", 28, 1.0)


def _utilisation(days: int) -> Read:
    """Closing levels: of today there is none yet, so it counts as nothing."""

    def read(state: FeatureState, rows: Ints) -> Floats:
        out = _day_ring(state, "on_rent_close_milli").last(rows, days + 1)
        both = out + _day_ring(state, "on_hand_close_milli").last(rows, days + 1)
        return _share(out, both)

    def one(state: FeatureState, names: Names) -> str:
        out = _day_sum(state, names, "on_rent_close_milli", days + 1)
        here = _day_sum(state, names, "on_hand_close_milli", days + 1)
        return f"({out}/both if (both:={out}+{here})>0 else nan)"

    return Read(read, one)


F = Feature
_S, _H, _D = 1_000, HOUR_MS, DAY_MS


def _item_features() -> list[Feature]:
    e = "item"
    rows = [
        F("reads_5m", e, "reads", "count", "5m", "Tag reads.", _pooled("reads_5m")),
        F("reads_1h", e, "reads", "count", "1h", "Tag reads.", _pooled("reads_1h")),
        F("reads_24h", e, "reads", "count", "24h", "Tag reads.", _pooled("reads_24h")),
        F("reads_total", e, "reads", "count", "", "Tag reads, ever.", _column(e, "reads_total")),
        F("reads_per_hour_ew_1h", e, "1/h", "rate", "1h", "Exponentially weighted read rate, half-life 1 h, by arrival.", _rate(e, "reads_ew_1h", _H)),
        F("sightings_24h", e, "sightings", "count", "24h", "Reads with repeats in one zone within ingest.repeat_s folded.", _pooled("sightings_24h")),
        F("sightings_total", e, "sightings", "count", "", "Sightings, ever.", _column(e, "sightings_total")),
        F("moves_24h", e, "moves", "count", "24h", "Moves from zone to zone.", _pooled("moves_24h")),
        F("rssi_mean_1h_dbm", e, "dBm", "mean", "1h", "Mean peak signal strength of the messages that tell it.", _rssi_mean),
        F("rssi_last_dbm", e, "dBm", "last", "", "Signal strength of the newest read that told it.", _column(e, "rssi_last_cdbm", 0.01, -(1 << 30))),
        F("dwell_s", e, "s", "time since", "", "Time in the present zone; none when in no zone.", _dwell),
        F("days_since_read", e, "d", "time since", "", "Days since the newest read.", _since(e, "last_read_ms", _D)),
        F("days_since_scan", e, "d", "time since", "", "Days since somebody scanned it.", _since(e, "last_scan_ms", _D)),
        F("days_since_inspection", e, "d", "time since", "", "Days since the last inspection.", _since(e, "last_inspection_ms", _D)),
        F("days_since_maintenance", e, "d", "time since", "", "Days since the last repair, wash, replacement or planned service.", _since(e, "last_maintenance_ms", _D)),
        F("days_since_repair", e, "d", "time since", "", "Days since the last repair, replacement or planned service.", _since(e, "last_repair_ms", _D)),
        F("days_in_status", e, "d", "time since", "", "Days since the status last changed.", _since(e, "status_since_ms", _D)),
        F("age_days", e, "d", "time since", "", "Days since first heard of.", _since(e, "first_seen_ms", _D)),
        F("scans_total", e, "scans", "count", "", "Scans by people, ever.", _column(e, "scans_total")),
        F("rentals_total", e, "rentals", "count", "", "Rental scans, ever.", _column(e, "rentals_total")),
        F("returns_total", e, "returns", "count", "", "Return scans, ever.", _column(e, "returns_total")),
        F("on_rent_days_total", e, "d", "sum", "", "Days on rent, ever, the present rental included.", _on_rent_days),
        F("on_rent_days_current", e, "d", "time since", "", "Days since it went out; none when not on rent.", _current_rental_days),
        F("turnover_cents_total", e, "cents", "sum", "", "Revenue of document lines that name the item, ever.", _column(e, "revenue_cents_total")),
        F("repairs_total", e, "repairs", "count", "", "Repairs and replacements that nobody had planned, ever.", _column(e, "repairs_total")),
        F("repair_cost_cents_total", e, "cents", "sum", "", "Cost of maintenance but planned services, ever.", _column(e, "repair_cost_cents_total")),
        F("maintenance_minutes_total", e, "min", "sum", "", "Labour of maintenance, ever.", _column(e, "maintenance_minutes_total")),
        F("failures_total", e, "failures", "count", "", "Failures, ever.", _column(e, "failures_total")),
        F("grade_last", e, "grade", "last", "", "Quality grade: 1 = C- to 9 = A+.", _column(e, "grade", 1.0, 0)),
        F("grade_previous", e, "grade", "last", "", "The grade before.", _column(e, "grade_previous", 1.0, 0)),
        F("grade_changes_total", e, "changes", "count", "", "Changes of grade, ever.", _column(e, "grade_changes_total")),
        F("days_since_grade", e, "d", "time since", "", "Days since the grade last changed.", _since(e, "grade_since_ms", _D)),
        F("defects_last", e, "bits", "last", "", "Defect flags of the newest scan that told them, as a bit mask in the order of the event's documentation: a set and no quantity, so no model learns from it.", _column(e, "defects")),
        F("defects_count_last", e, "defects", "last", "", "How many defects the newest scan that told them named.", _bits(e, "defects")),
        F("late_total", e, "reads", "count", "", "Reads that arrived more than ingest.lateness_s after their time, ever.", _column(e, "late_total")),
        F("rating_mean", e, "stars", "mean", "", "Mean rating, 1 to 5.", _ratio(_column(e, "rating_milli_sum", 0.001), _column(e, "ratings_total"))),
        F("class_price_cents", e, "cents", "last", "", "Newest price of its class.", _class_price),
    ]  # fmt: skip
    for i, days in enumerate(RENTAL_WINDOWS_DAYS):
        window = f"{days}d"
        rows.append(F(f"rentals_{window}", e, "rentals", "count", window, "Rental scans.", _log("rentals", i)))  # fmt: skip
        rows.append(F(f"returns_{window}", e, "returns", "count", window, "Return scans.", _log("returns", i)))  # fmt: skip
    return rows


def _class_features() -> list[Feature]:
    e = "class"
    rows = [
        F("on_hand_units", e, "units", "last", "", "Units in the store: the stock ledger where it was counted or received, else tagged items ready to rent.", _on_hand),
        F("on_rent_units", e, "units", "last", "", "Units out: document lines or tagged items, whichever says more.", _on_rent),
        F("fleet_units", e, "units", "last", "", "Units owned: tagged items ready, on rent or in service, else on hand plus on rent.", _fleet),
        F("reserved_units", e, "units", "last", "", "Units promised by reservations that were not over when the day began.", _column(e, "reserved_milli", 0.001)),
        F("utilisation_now", e, "1", "ratio", "", "On rent over fleet.", _utilisation_now),
        F("utilisation_7d", e, "1", "mean", "7d", "On rent over (on rent + on hand) at the close of the last 7 days.", _utilisation(7)),
        F("utilisation_28d", e, "1", "mean", "28d", "The same over 28 days.", _utilisation(28)),
        F("units_out_1h", e, "units", "sum", "1h", "Units rented and sold.", _ring(e, "units_out_milli_1h", 0.001)),
        F("units_out_24h", e, "units", "sum", "24h", "Units rented and sold.", _ring(e, "units_out_milli_24h", 0.001)),
        F("sightings_24h", e, "sightings", "count", "24h", "Sightings of its items.", _ring(e, "sightings_24h")),
        F("rented_per_day_ew_7d", e, "units/d", "rate", "7d", "Exponentially weighted units rented, half-life 7 d, by arrival.", _rate(e, "rentals_ew_7d", _D, 0.001)),
        F("sold_per_day_ew_7d", e, "units/d", "rate", "7d", "Exponentially weighted units sold, half-life 7 d, by arrival.", _rate(e, "sales_ew_7d", _D, 0.001)),
        F("customers_distinct_28d", e, "customers", "distinct", "28d", "Different customers, about 13 % standard error.", _distinct(e, "customers_28d")),
        F("rental_hours_p50", e, "h", "quantile", "", "Median length of rentals that ended, within 12 %.", _quantile(e, "rental_hours", 0.5)),
        F("rental_hours_p90", e, "h", "quantile", "", "90 % of rentals were shorter, within 12 %.", _quantile(e, "rental_hours", 0.9)),
        F("stockout_days_28d", e, "d", "count", "28d", "Days on which the stock ran out: the ledger, or without one the last ready item.", _stockout_days),
        F("price_last_cents", e, "cents", "last", "", "Newest price paid for a unit.", _column(e, "price_cents", 1.0, 0)),
        F("price_list_cents", e, "cents", "last", "", "Our own list price.", _column(e, "list_price_cents", 1.0, 0)),
        F("price_competitor_cents", e, "cents", "last", "", "Newest competitor's price.", _column(e, "competitor_price_cents", 1.0, 0)),
        F("price_mean_28d_cents", e, "cents", "mean", "28d", "Revenue over units rented and sold.", _price_mean(28)),
        F("cost_last_cents", e, "cents", "last", "", "Newest cost of a unit received.", _column(e, "cost_cents", 1.0, 0)),
        F("days_since_sale", e, "d", "time since", "", "Days since the last sale.", _since(e, "last_sale_ms", _D)),
        F("days_since_rental", e, "d", "time since", "", "Days since the last rental.", _since(e, "last_rental_ms", _D)),
        F("days_since_count", e, "d", "time since", "", "Days since the stock was counted.", _since(e, "last_count_ms", _D)),
        F("days_since_receipt", e, "d", "time since", "", "Days since goods were received.", _since(e, "last_receipt_ms", _D)),
        F("rating_mean", e, "stars", "mean", "", "Mean rating, 1 to 5.", _ratio(_column(e, "rating_milli_sum", 0.001), _column(e, "ratings_total"))),
    ]  # fmt: skip
    for group, text in (
        ("ready", "ready to rent"),
        ("on_rent", "on rent or delivered"),
        ("in_service", "in inspection, repair, wash or drying"),
        ("sold", "sold"),
        ("missing", "missing"),
        ("other", "of unknown status"),
    ):
        rows.append(
            F(f"items_{group}", e, "items", "last", "", f"Tagged items {text}.", _column(e, f"items_{group}"))
        )  # fmt: skip
    for quantity, name, unit, scale, text in (
        ("rented", "rented_milli", "units", 0.001, "Units rented"),
        ("sold", "sold_milli", "units", 0.001, "Units sold"),
        ("returned", "returned_milli", "units", 0.001, "Units brought back"),
        ("revenue", "revenue_cents", "cents", 1.0, "Revenue of sales and rentals less returns"),
        ("scans_out", "scans_out", "scans", 1.0, "Rental scans of its items"),
        ("scans_in", "scans_in", "scans", 1.0, "Return scans of its items"),
    ):
        for days, window in ((1, "1d"), (7, "7d"), (28, "28d"), (364, "364d")):
            rows.append(
                F(f"{quantity}_{unit}_{window}" if unit != "scans" else f"{quantity}_{window}", e, unit, "sum", window,
                  f"{text} in the last {days} local days, today included.", _days(name, days, scale))
            )  # fmt: skip
    return rows


def _place_features(e: str) -> list[Feature]:
    return [
        F("reads_5m", e, "reads", "count", "5m", "Tag reads.", _ring(e, "reads_5m")),
        F("reads_1h", e, "reads", "count", "1h", "Tag reads.", _ring(e, "reads_1h")),
        F("reads_24h", e, "reads", "count", "24h", "Tag reads.", _ring(e, "reads_24h")),
        F("seconds_since_read", e, "s", "time since", "", "Seconds since the newest read.", _since(e, "last_read_ms", _S)),
    ]  # fmt: skip


def _zone_features() -> list[Feature]:
    e = "zone"
    return [
        *_place_features(e),
        F("reads_per_hour_ew_1h", e, "1/h", "rate", "1h", "Exponentially weighted read rate, half-life 1 h, by arrival.", _rate(e, "reads_ew_1h", _H)),
        F("items_present", e, "items", "last", "", "Items in the zone now.", _column(e, "items_present")),
        F("items_distinct_1h", e, "items", "distinct", "1h", "Different items read, about 3 % standard error.", _distinct(e, "items_1h")),
        F("items_distinct_24h", e, "items", "distinct", "24h", "Different items read, about 3 % standard error.", _distinct(e, "items_24h")),
        F("arrivals_24h", e, "items", "count", "24h", "Items that came in.", _ring(e, "arrivals_24h")),
        F("departures_24h", e, "items", "count", "24h", "Items that left.", _ring(e, "departures_24h")),
        F("dwell_p50_s", e, "s", "quantile", "", "Median stay of items that left, within 19 %.", _quantile(e, "dwell_s", 0.5)),
        F("dwell_p90_s", e, "s", "quantile", "", "90 % of stays were shorter, within 19 %.", _quantile(e, "dwell_s", 0.9)),
    ]  # fmt: skip


def _reader_features() -> list[Feature]:
    e = "reader"
    return [
        *_place_features(e),
        F("reads_total", e, "reads", "count", "", "Tag reads, ever.", _column(e, "reads_total")),
        F("seconds_since_message", e, "s", "time since", "", "Seconds since it last said anything.", _since(e, "last_message_ms", _S)),
        F("lost_events_total", e, "events", "count", "", "Events it says it threw away, ever.", _column(e, "lost_events_total")),
        F("gaps_total", e, "gaps", "count", "", "Outages, silences and overflows, ever.", _column(e, "gaps_total")),
        F("errors_total", e, "errors", "count", "", "Errors it reported, ever.", _column(e, "errors_total")),
        F("clock_ahead_ms", e, "ms", "last", "", "Its clock less ours at the newest read; network delay makes it negative.", _column(e, "clock_ahead_ms")),
    ]  # fmt: skip


def _customer_features() -> list[Feature]:
    e = "customer"
    return [
        F("lines_total", e, "lines", "count", "", "Document lines, ever.", _column(e, "lines_total")),
        F("visits_total", e, "days", "count", "", "Days with a document line, ever; a line of a day before the newest adds none.", _column(e, "visits_total")),
        F("rented_units_total", e, "units", "sum", "", "Units rented, ever.", _column(e, "rented_milli_total", 0.001)),
        F("sold_units_total", e, "units", "sum", "", "Units bought, ever.", _column(e, "sold_milli_total", 0.001)),
        F("returned_units_total", e, "units", "sum", "", "Units brought back, ever.", _column(e, "returned_milli_total", 0.001)),
        F("spend_cents_total", e, "cents", "sum", "", "Money spent less refunds, ever.", _column(e, "spend_cents_total")),
        F("days_since_visit", e, "d", "time since", "", "Days since the last document line.", _since(e, "last_seen_ms", _D)),
        F("age_days", e, "d", "time since", "", "Days since the first document line.", _since(e, "first_seen_ms", _D)),
    ]  # fmt: skip


FEATURES: tuple[Feature, ...] = (
    *_item_features(),
    *_class_features(),
    *_zone_features(),
    *_reader_features(),
    *_customer_features(),
)

BY_ENTITY: dict[str, dict[str, Feature]] = {}
for _feature in FEATURES:
    assert _feature.name not in BY_ENTITY.setdefault(_feature.entity, {}), _feature.name
    BY_ENTITY[_feature.entity][_feature.name] = _feature

HISTORY_COLUMNS: dict[str, tuple[str, float]] = {
    name.replace("_milli", "_units"): (name, 0.001 if name.endswith("_milli") else 1.0)
    for name in CLASS_DAYS
}
"""Column of a class's daily history -> (measure kept, factor)."""


def catalogue_hash() -> str:
    """Hex digest of the catalogue: models and snapshots name the one they were made with."""
    lines = "\n".join(f"{f.entity}.{f.name} {f.unit} {f.measure} {f.window}" for f in FEATURES)
    return blake2b(lines.encode(), digest_size=16).hexdigest()


def matrix(
    state: FeatureState, entity: str, rows: Ints, names: Sequence[str]
) -> NDArray[np.float32]:
    """float32[n, f]: features ``names`` of ``rows``, NaN where there is no value.

    ``n`` is the number of rows, ``f`` of names. Raises KeyError for a name that is not there.
    """
    out = np.empty((len(rows), len(names)), np.float32)
    for i, name in enumerate(names):
        out[:, i] = BY_ENTITY[entity][name].read(state, rows)
    return out


def values(state: FeatureState, entity: str, row: int) -> dict[str, float | None]:
    """Every feature of one row by name; ``None`` where there is no value."""
    return values_of(state, entity, np.array([row], np.int64))[0]


def values_of(state: FeatureState, entity: str, rows: Ints) -> list[dict[str, float | None]]:
    """The same of some rows: each feature is read once for all of them."""
    read = [
        np.asarray(f.read(state, rows), np.float64).tolist() for f in BY_ENTITY[entity].values()
    ]
    told = [[None if v != v else round(v, 6) for v in column] for column in read]
    return [dict(zip(BY_ENTITY[entity], row, strict=True)) for row in zip(*told, strict=True)]


def history(state: FeatureState, row: int, days: int) -> dict[str, list[float | None]]:
    """Column -> one value a day of a class, oldest first, today last."""
    rows = np.array([row], np.int64)
    out: dict[str, list[float | None]] = {}
    for column, (name, scale) in HISTORY_COLUMNS.items():
        ring = state.cls.part[name]
        assert isinstance(ring, DayRing)
        series = ring.series(rows, min(days, ring.days))[:, 0] * scale
        out[column] = [round(v, 6) for v in series.tolist()]
        if column.endswith("_close_units") and out[column]:
            out[column][-1] = None  # today has not closed
    return out
