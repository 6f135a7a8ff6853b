"""What each business event does to the state: one handler an event type, one at a time. Pure.

Scans, document lines, counts and links are rare beside tag reads and depend on each other's order,
so they are applied one by one in arrival order. A status follows event time: a scan older than the
one that set the status enters counts and timeline but leaves the status alone.

Every handler returns ``True``, or ``False`` when a table is full and the event cannot be kept. What
merely names a class, customer, bin or status for which there is no room is kept without, counted.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

from edge.events import (
    Correction,
    Event,
    Factor,
    ItemLink,
    ItemScan,
    Maintenance,
    PosLine,
    PriceObserved,
    Reservation,
    Review,
    StockCount,
    StockReceipt,
)
from edge.features.decay import DecayedCount
from edge.features.sketch import DistinctWindow, LogHistogram
from edge.features.state import FeatureState, Line, Reserved
from edge.features.tables import Table
from edge.features.windows import DayLog, DayRing, RingWindow
from edge.features.words import (
    DEFECT_BIT,
    GRADE_NUMBER,
    IN_SCANS,
    OUT_SCANS,
    STATUS_AFTER_DEFECT,
    STATUS_AFTER_MAINTENANCE,
    STATUS_AFTER_SCAN,
)

Cells = memoryview
"""A column, one value at a time."""

HOUR_MS = 3_600_000
RENEWING = frozenset({"repair", "replacement", "service"})
"""Kinds of maintenance after which an item is less worn."""

Handler = Callable[[FeatureState, Any, int], bool]


def class_key(store: str, sku: str) -> str:
    """Key of a class in a store."""
    return f"{store}\x1f{sku}"


def line_key(store: str, document: str, line: int | None, sku: str) -> str:
    """Key of a document line; without a line number the SKU stands in for it."""
    return f"{store}\x1f{document}\x1f{line if line is not None else 's' + sku}"


def apply(state: FeatureState, event: Event, arrival_ms: int) -> bool:
    """Let one admitted event change the state; ``False``: a table is full, nothing changed."""
    return HANDLERS[type(event)](state, event, arrival_ms)


# -- items ----------------------------------------------------------------------------------------


def _item(state: FeatureState, epc: str, arrival_ms: int, store: str) -> int:
    row = state.item.keys.claim(epc)
    if row >= 0:
        col = state.item.cell
        state.item.touched[row] = True
        col["last_event_ms"][row] = max(col["last_event_ms"][row], arrival_ms)
        if col["first_seen_ms"][row] == 0:
            col["first_seen_ms"][row] = arrival_ms
        if store and col["store_row"][row] < 0:
            col["store_row"][row] = state.store.keys.claim(store)
    return row


def bind(state: FeatureState, row: int, store: str, sku: str, name: str, arrival_ms: int) -> None:
    """Bind an item to a class of a store, which is made if need be and there is room."""
    class_row = _class(state, store, sku, arrival_ms, name)
    if class_row < 0:
        state.count("classes_full")
    col = state.item.cell
    if class_row >= 0 and class_row != col["class_row"][row]:
        state.shift_group(row, -1)
        col["class_row"][row] = class_row
        state.shift_group(row, +1)
    if name:
        state.item.text["name"][row] = name


def _set_status(state: FeatureState, row: int, status: str, at_ms: int, arrival_ms: int) -> None:
    """Change an item's status as of ``at_ms``; keeps what an undo needs."""
    col = state.item.cell
    if at_ms < col["last_status_ms"][row]:
        return
    status_row = state.status.keys.claim(status)
    if status_row < 0:
        state.count("status_texts_full")
        status_row = 0
    before = state.group_of(col["status_row"][row])
    after = state.group_of(status_row)
    col["last_status_ms"][row] = at_ms
    col["status_previous_row"][row] = col["status_row"][row]
    col["rented_previous_ms"][row] = col["rented_at_ms"][row]
    if status_row != col["status_row"][row]:
        col["status_since_ms"][row] = at_ms
    col["status_row"][row] = status_row
    class_row = col["class_row"][row]
    if class_row >= 0 and not col["retired"][row]:
        state.cls.touched[class_row] = True
        if before != after:
            state.cls.cell[f"items_{before}"][class_row] -= 1
            state.cls.cell[f"items_{after}"][class_row] += 1
            if before == "ready":
                _note_stockout(state, class_row, at_ms, arrival_ms)
    if after == "on_rent" and before != "on_rent":
        col["rented_at_ms"][row] = at_ms
        col["probable_return"][row] = 0
    elif after != "on_rent" and col["rented_at_ms"][row] > 0:
        _end_rental(state, row, at_ms)


def _end_rental(state: FeatureState, row: int, at_ms: int) -> None:
    col = state.item.cell
    lasted_ms = max(at_ms - col["rented_at_ms"][row], 0)
    col["on_rent_ms_total"][row] += lasted_ms
    col["rented_at_ms"][row] = 0
    col["due_ms"][row] = 0
    col["probable_return"][row] = 0
    class_row = col["class_row"][row]
    if class_row >= 0:
        hours = state.cls.part["rental_hours"]
        assert isinstance(hours, LogHistogram)
        hours.add(class_row, lasted_ms / HOUR_MS)


def _note_stockout(state: FeatureState, class_row: int, at_ms: int, arrival_ms: int) -> None:
    """One less is ready: was it the last tagged item of a class without a ledger?"""
    cell = state.cls.cell
    if cell["items_ready"][class_row] == 0 and not cell["ledger_known"][class_row]:
        _day_add(state, "stockouts", class_row, at_ms, 1, arrival_ms)


def _scan(state: FeatureState, event: ItemScan, arrival_ms: int) -> bool:
    row = _item(state, event.epc, arrival_ms, event.store)
    if row < 0:
        return False
    at_ms = _ms(event.at)
    col = state.item.cell
    if event.sku:
        bind(state, row, event.store, event.sku, event.name, arrival_ms)
    elif event.name:
        state.item.text["name"][row] = event.name
    col["scans_total"][row] += 1
    col["last_scan_ms"][row] = max(col["last_scan_ms"][row], at_ms)
    if event.bin:
        col["bin_row"][row] = state.tables["bin"].keys.claim(event.bin)
    _count_scan(state, row, event.scan_type, at_ms, arrival_ms, +1)
    newest = at_ms >= col["last_status_ms"][row]
    if event.scan_type != "Touch Scan" or (event.by_hand and event.status):
        _set_status(state, row, _status_after(event), at_ms, arrival_ms)
        if newest and event.contract:
            state.item.text["contract"][row] = event.contract
    if newest and (event.defects or event.scan_type in IN_SCANS):
        col["defects"][row] = sum(DEFECT_BIT[defect] for defect in set(event.defects))
    _grade(state, row, event.grade, at_ms)
    return True


def _status_after(event: ItemScan) -> str:
    if event.status:
        return event.status
    if event.scan_type == "Return" and event.defects:
        return STATUS_AFTER_DEFECT
    return STATUS_AFTER_SCAN[event.scan_type]


def _count_scan(
    state: FeatureState, row: int, scan_type: str, at_ms: int, arrival_ms: int, by: int
) -> None:
    col = state.item.cell
    class_row = col["class_row"][row]
    if scan_type in OUT_SCANS:
        col["rentals_total"][row] += by
        _log_add(state, "rentals", row, at_ms, arrival_ms, by)
        if class_row >= 0:
            _day_add(state, "scans_out", class_row, at_ms, by, arrival_ms)
    elif scan_type == "Return":
        col["returns_total"][row] += by
        _log_add(state, "returns", row, at_ms, arrival_ms, by)
        if class_row >= 0:
            _day_add(state, "scans_in", class_row, at_ms, by, arrival_ms)


def _grade(state: FeatureState, row: int, grade: str, at_ms: int) -> None:
    col = state.item.cell
    number = GRADE_NUMBER[grade]
    if not number or at_ms < col["grade_since_ms"][row] or number == col["grade"][row]:
        return
    if col["grade"][row]:
        col["grade_changes_total"][row] += 1
    col["grade_previous"][row] = col["grade"][row]
    col["grade"][row] = number
    col["grade_since_ms"][row] = at_ms


def _link(state: FeatureState, event: ItemLink, arrival_ms: int) -> bool:
    binds = event.sku and event.action in ("bind", "replace")
    if binds and _class(state, event.store, event.sku, arrival_ms) < 0:
        return False
    row = _item(state, event.epc, arrival_ms, event.store)
    if row < 0:
        return False
    _LINK_ACTIONS[event.action](state, event, row, arrival_ms)
    return True


def _link_bind(state: FeatureState, event: ItemLink, row: int, arrival_ms: int) -> None:
    if event.sku:
        bind(state, row, event.store, event.sku, event.name, arrival_ms)


def _link_replace(state: FeatureState, event: ItemLink, row: int, arrival_ms: int) -> None:
    """The new tag takes the old one's class, status and life totals; the old one is retired."""
    old = state.item.keys.get(event.replaces)
    if old < 0 or old == row:
        state.count("replace_of_unknown_tag")
        return _link_bind(state, event, row, arrival_ms)
    state.shift_group(row, -1)
    state.shift_group(old, -1)
    for name in _INHERITED:
        state.item.cell[name][row] = state.item.cell[name][old]
    state.item.cell["retired"][old] = 1
    state.item.cell["rented_at_ms"][old] = 0
    for texts in state.item.text.values():
        if old in texts:
            texts[row] = texts[old]
    state.shift_group(row, +1)
    return _link_bind(state, event, row, arrival_ms)


_INHERITED = (
    "class_row",
    "status_row",
    "status_since_ms",
    "last_status_ms",
    "rented_at_ms",
    "due_ms",
    "bin_row",
    "grade",
    "grade_previous",
    "grade_since_ms",
    "defects",
    "last_inspection_ms",
    "last_maintenance_ms",
    "last_repair_ms",
    "rentals_total",
    "returns_total",
    "repairs_total",
    "failures_total",
    "repair_cost_cents_total",
    "maintenance_minutes_total",
    "grade_changes_total",
    "rating_milli_sum",
    "ratings_total",
    "revenue_cents_total",
    "on_rent_ms_total",
)


def _link_retire(state: FeatureState, event: ItemLink, row: int, arrival_ms: int) -> None:
    col = state.item.cell
    state.shift_group(row, -1)
    col["retired"][row] = 1
    if col["rented_at_ms"][row]:  # its days on rent count, but nobody brought it back
        col["on_rent_ms_total"][row] += max(_ms(event.at) - col["rented_at_ms"][row], 0)
        col["rented_at_ms"][row] = 0


def _link_mute(state: FeatureState, event: ItemLink, row: int, arrival_ms: int) -> None:
    state.item.cell["muted"][row] = event.action == "mute"


_LINK_ACTIONS: dict[str, Callable[[FeatureState, ItemLink, int, int], None]] = {
    "bind": _link_bind,
    "replace": _link_replace,
    "retire": _link_retire,
    "mute": _link_mute,
    "unmute": _link_mute,
}


def _maintenance(state: FeatureState, event: Maintenance, arrival_ms: int) -> bool:
    row = _item(state, event.epc, arrival_ms, event.store)
    if row < 0:
        return False
    at_ms = _ms(event.at)
    col = state.item.cell
    moment = "last_inspection_ms" if event.kind == "inspection" else "last_maintenance_ms"
    if event.kind == "failure":
        col["failures_total"][row] += 1
    else:
        col[moment][row] = max(col[moment][row], at_ms)
    if event.kind in RENEWING:
        col["last_repair_ms"][row] = max(col["last_repair_ms"][row], at_ms)
        col["defects"][row] = 0
    if not event.as_planned:  # what was planned is neither a failure nor what one costs
        col["repairs_total"][row] += event.kind in RENEWING
        _raise(col["maintenance_minutes_total"], row, event.minutes)
        _raise(col["repair_cost_cents_total"], row, event.cost_cents)
    _grade(state, row, event.grade, at_ms)
    status = event.status or STATUS_AFTER_MAINTENANCE.get(event.kind, "")
    if status:
        _set_status(state, row, status, at_ms, arrival_ms)
    return True


def _undo_scan(state: FeatureState, event: Correction, arrival_ms: int) -> bool:
    """Take a scan's counts back, and its status if it was the last to set it."""
    row = state.item.keys.get(event.epc)
    if row < 0:
        state.count("undo_of_unknown_scan")
        return True
    col = state.item.cell
    at_ms = _ms(event.scanned_at)
    _count_scan(state, row, event.scan_type, at_ms, arrival_ms, -1)
    col["scans_total"][row] -= 1
    if event.scan_type != "Touch Scan" and at_ms == col["last_status_ms"][row]:
        state.shift_group(row, -1)
        col["status_row"][row] = col["status_previous_row"][row]
        state.shift_group(row, +1)
        rented_ms = col["rented_previous_ms"][row]
        if rented_ms and not col["rented_at_ms"][row]:
            col["on_rent_ms_total"][row] -= max(at_ms - rented_ms, 0)
            _forget_rental_hours(state, col["class_row"][row], at_ms - rented_ms)
        col["rented_at_ms"][row] = rented_ms
    return True


def _forget_rental_hours(state: FeatureState, class_row: int, lasted_ms: int) -> None:
    hours = state.cls.part["rental_hours"]
    assert isinstance(hours, LogHistogram)
    if class_row >= 0:
        hours.add(class_row, max(lasted_ms, 0) / HOUR_MS, -1)


# -- classes --------------------------------------------------------------------------------------


def _class(state: FeatureState, store: str, sku: str, arrival_ms: int, name: str = "") -> int:
    row = state.cls.keys.claim(class_key(store, sku))
    if row >= 0:
        col = state.cls.cell
        state.cls.touched[row] = True
        col["last_event_ms"][row] = max(col["last_event_ms"][row], arrival_ms)
        if col["store_row"][row] < 0:
            col["store_row"][row] = state.store.keys.claim(store)
        if name:
            state.cls.text["name"][row] = name
    return row


def _pos_line(state: FeatureState, event: PosLine, arrival_ms: int) -> bool:
    if event.kind == "void":
        return _void(state, event, arrival_ms)
    row = _class(state, event.store, event.sku, arrival_ms, event.name)
    if row < 0:
        return False
    if event.category:
        state.cls.text["category"][row] = event.category
    line = Line(
        class_key=class_key(event.store, event.sku),
        kind=event.kind,
        milli=round(event.quantity * 1000),
        price_cents=event.price_cents,
        at_ms=_ms(event.at),
        item=event.epc,
        customer=event.customer,
    )
    _book(state, row, line, arrival_ms, +1, line.at_ms)
    _remember(state, line_key(event.store, event.document, event.line, event.sku), line)
    if event.kind != "return":
        state.pairs.add(event.store, event.document, row, arrival_ms)
    if event.customer:
        _customer(state, row, line, arrival_ms)
    if event.epc and event.kind == "rental" and event.due:
        item_row = _item(state, event.epc, arrival_ms, event.store)
        if item_row >= 0:
            state.item.cell["due_ms"][item_row] = _ms(event.due)
    return True


def _book(
    state: FeatureState, row: int, line: Line, arrival_ms: int, sign: int, moved_ms: int
) -> None:
    """Enter a line (sign +1) or take it back (-1): units, money, ledger, rates.

    ``moved_ms`` is when goods moved: what a later count has seen already leaves the ledger alone.
    """
    col = state.cls.cell
    milli = sign * line.milli
    cents = round(milli * line.price_cents / 1000)
    measure, into_stock, rented_out = _KINDS[line.kind]
    _day_add(state, measure, row, line.at_ms, milli, arrival_ms)
    revenue = -cents if line.kind == "return" else cents
    _day_add(state, "revenue_cents", row, line.at_ms, revenue, arrival_ms)
    if moved_ms >= col["last_count_ms"][row]:
        before = col["ledger_milli"][row]
        _raise(col["ledger_milli"], row, into_stock * milli)
        if before > 0 >= col["ledger_milli"][row] and col["ledger_known"][row]:
            _day_add(state, "stockouts", row, line.at_ms, 1, arrival_ms)
    if rented_out:
        _raise(col["rented_out_milli"], row, rented_out * milli)
        col["rented_out_milli"][row] = max(col["rented_out_milli"][row], 0)
    if line.item:
        item_row = state.item.keys.get(line.item)
        if item_row >= 0:
            _raise(state.item.cell["revenue_cents_total"], item_row, revenue)
    if line.kind != "return":
        _units_out(state, row, line, arrival_ms, milli, sign)


# kind -> (day measure, effect on the ledger, effect on units rented out)
_KINDS: dict[str, tuple[str, int, int]] = {
    "sale": ("sold_milli", -1, 0),
    "rental": ("rented_milli", -1, +1),
    "return": ("returned_milli", +1, -1),
}


def _units_out(
    state: FeatureState, row: int, line: Line, arrival_ms: int, milli: int, sign: int
) -> None:
    col = state.cls.cell
    for name in ("units_out_milli_1h", "units_out_milli_24h"):
        window = state.cls.part[name]
        assert isinstance(window, RingWindow)
        _ring_add(state, window, row, line.at_ms, arrival_ms, milli)
    last, rate = {
        "sale": ("last_sale_ms", "sales_ew_7d"),
        "rental": ("last_rental_ms", "rentals_ew_7d"),
    }[line.kind]
    decayed = state.cls.part[rate]
    assert isinstance(decayed, DecayedCount)
    decayed.add_one(row, arrival_ms, milli)
    if sign > 0:
        newest_ms = max(col["last_sale_ms"][row], col["last_rental_ms"][row])
        if line.at_ms >= newest_ms and line.price_cents > 0:
            col["price_cents"][row] = line.price_cents
        col[last][row] = max(int(col[last][row]), line.at_ms)


def _remember(state: FeatureState, key: str, line: Line) -> None:
    state.lines[key] = line
    if len(state.lines) > state.limits.lines_max:
        del state.lines[next(iter(state.lines))]


def _void(state: FeatureState, event: PosLine | Correction, arrival_ms: int) -> bool:
    """Take a line back on its own day; the goods are in the stock again when it is voided."""
    key = line_key(event.store, event.document, event.line, event.sku)
    told = state.lines.pop(key, None)
    if told is None:
        state.count("void_of_unknown_line")
        return True
    row = state.cls.keys.get(told.class_key)
    if row >= 0:
        _book(state, row, told, arrival_ms, -1, _ms(event.at))
        state.pairs.take_back(event.store, event.document, row)
    customer_row = state.customer.keys.get(told.customer) if told.customer else -1
    if customer_row >= 0:
        _customer_book(state, customer_row, told, -1)
    return True


def _customer(state: FeatureState, class_row: int, line: Line, arrival_ms: int) -> None:
    row = state.customer.keys.claim(line.customer)
    if row < 0:
        state.count("customers_full")
        return
    col = state.customer.cell
    first_ms = col["first_seen_ms"][row] or line.at_ms
    col["first_seen_ms"][row] = min(first_ms, line.at_ms)
    col["last_seen_ms"][row] = max(col["last_seen_ms"][row], line.at_ms)
    day = state.days.day(line.at_ms)
    if day > col["last_visit_day"][row]:
        col["last_visit_day"][row] = day
        col["visits_total"][row] += 1
    _customer_book(state, row, line, +1)
    seen = state.cls.part["customers_28d"]
    assert isinstance(seen, DistinctWindow)
    bucket = line.at_ms // seen.width_ms
    closes_ms = (bucket + 1) * seen.width_ms + state.lateness_ms
    if closes_ms > arrival_ms and bucket > seen.newest - seen.buckets:
        seen.add_one(class_row, line.at_ms, int(state.customer.keys.hashes[row]))


def _customer_book(state: FeatureState, row: int, line: Line, sign: int) -> None:
    col = state.customer.cell
    col["lines_total"][row] += sign
    measure = {"sale": "sold", "rental": "rented", "return": "returned"}[line.kind]
    _raise(col[f"{measure}_milli_total"], row, sign * line.milli)
    cents = sign * round(line.milli * line.price_cents / 1000)
    _raise(col["spend_cents_total"], row, -cents if line.kind == "return" else cents)


def _stock_count(state: FeatureState, event: StockCount, arrival_ms: int) -> bool:
    row = _class(state, event.store, event.sku, arrival_ms)
    if row < 0:
        return False
    col = state.cls.cell
    at_ms = _ms(event.at)
    if at_ms >= col["last_count_ms"][row]:
        before = col["ledger_milli"][row]
        col["last_count_ms"][row] = at_ms
        col["ledger_milli"][row] = round(event.quantity * 1000)
        if col["ledger_known"][row] and before > 0 >= col["ledger_milli"][row]:
            _day_add(state, "stockouts", row, at_ms, 1, arrival_ms)
        col["ledger_known"][row] = 1
    return True


def _stock_receipt(state: FeatureState, event: StockReceipt, arrival_ms: int) -> bool:
    row = _class(state, event.store, event.sku, arrival_ms)
    if row < 0:
        return False
    col = state.cls.cell
    at_ms = _ms(event.at)
    if at_ms >= col["last_count_ms"][row]:  # an older one was counted already
        _raise(col["ledger_milli"], row, round(event.quantity * 1000))
    col["ledger_known"][row] = 1
    if event.cost_cents and at_ms >= col["last_receipt_ms"][row]:
        col["cost_cents"][row] = event.cost_cents
    col["last_receipt_ms"][row] = max(col["last_receipt_ms"][row], at_ms)
    return True


def _reservation(state: FeatureState, event: Reservation, arrival_ms: int) -> bool:
    row = _class(state, event.store, event.sku, arrival_ms)
    if row < 0:
        return False
    key = f"{event.store}\x1f{event.document}\x1f{event.sku}"
    state.drop_reservation(key)
    milli = round(event.quantity * 1000)
    if milli > 0:
        state.reserved[key] = Reserved(
            class_key(event.store, event.sku), milli, _ms(event.start), _ms(event.end)
        )
        state.cls.cell["reserved_milli"][row] += milli  # lines_max of the largest still fit
        if len(state.reserved) > state.limits.lines_max:
            state.drop_reservation(next(iter(state.reserved)))
    return True


def _price_observed(state: FeatureState, event: PriceObserved, arrival_ms: int) -> bool:
    row = _class(state, event.store, event.sku, arrival_ms)
    if row < 0:
        return False
    col = state.cls.cell
    whose = "competitor" if event.competitor else "list"
    if _ms(event.at) >= col[f"{whose}_price_ms"][row]:
        col[f"{whose}_price_cents"][row] = event.price_cents
        col[f"{whose}_price_ms"][row] = _ms(event.at)
    return True


def _review(state: FeatureState, event: Review, arrival_ms: int) -> bool:
    rated = []
    if event.sku:
        rated.append((state.cls, _class(state, event.store, event.sku, arrival_ms)))
    if event.epc:
        rated.append((state.item, _item(state, event.epc, arrival_ms, event.store)))
    if any(row < 0 for _, row in rated):
        return False
    for table, row in rated:
        table.cell["rating_milli_sum"][row] += round(event.rating * 1000)
        table.cell["ratings_total"][row] += 1
    return True


def _correction(state: FeatureState, event: Correction, arrival_ms: int) -> bool:
    if event.action == "undo_scan":
        return _undo_scan(state, event, arrival_ms)
    return _void(state, event, arrival_ms)


def factor_key(store: str, factor: str, name: str) -> str:
    """Key of an outside influence in a store."""
    return f"{store}\x1f{factor}.{name}"


def _factor(state: FeatureState, event: Factor, arrival_ms: int) -> bool:
    """Count it, and keep its day's sum: what the day was like, for the history."""
    state.count(f"factor_{event.factor}")
    if not isfinite(event.value):
        return True
    milli = round(max(-_FACTOR_MOST, min(event.value * 1000, _FACTOR_MOST)))
    row = state.factor.keys.claim(factor_key(event.store, event.factor, event.name))
    if row < 0:
        state.count("factors_full")
        return True
    at_ms, col = _ms(event.at), state.factor.col
    if at_ms >= col["at_ms"][row]:
        col["at_ms"][row], col["value_milli"][row] = at_ms, milli
        col["until_ms"][row] = _ms(event.until)
    for name, amount in (("sum_milli", milli), ("told", 1)):
        _day_add(state, name, row, at_ms, amount, arrival_ms, state.factor)
    return True


# -- small additions ------------------------------------------------------------------------------

_MOST = 1 << 53  # sums stay here, exact as floats: no sender can make one wrap around
_FACTOR_MOST = 10**12  # thousandths


def _raise(column: Cells, row: int, by: int) -> None:
    """Add to a sum; at the end of its range it stays."""
    column[row] = max(-_MOST, min(column[row] + by, _MOST))


def _ms(at: int | float | str) -> int:
    assert isinstance(at, int), at  # decoded events carry epoch milliseconds
    return at


def _day_add(
    state: FeatureState,
    measure: str,
    row: int,
    at_ms: int,
    amount: int,
    arrival_ms: int,
    table: Table | None = None,
) -> None:
    ring = (table or state.cls).part[measure]
    assert isinstance(ring, DayRing)
    day = state.days.day(at_ms)
    if _day_open(state, day, arrival_ms) and ring.holds(day):
        ring.add(row, day, amount)
    else:
        state.count("late_day_values")


def _day_open(state: FeatureState, day: int, arrival_ms: int) -> bool:
    return day >= state.today or state.days.end_ms(day) + state.lateness_ms > arrival_ms


def _log_add(
    state: FeatureState, name: str, row: int, at_ms: int, arrival_ms: int, by: int
) -> None:
    log = state.item.part[name]
    assert isinstance(log, DayLog)
    day = state.days.day(at_ms)
    if _day_open(state, day, arrival_ms) and log.holds(day):
        log.add(row, day, by)
    else:
        state.count("late_day_values")


def _ring_add(
    state: FeatureState, window: RingWindow, row: int, at_ms: int, arrival_ms: int, amount: int
) -> None:
    bucket = at_ms // window.width_ms
    not_closed = (bucket + 1) * window.width_ms + state.lateness_ms > arrival_ms
    if not_closed and bucket > window.newest - window.buckets:
        window.ring[bucket % window.buckets, row] += amount
        window.totals[row] += amount


HANDLERS: dict[type[Event], Handler] = {
    ItemScan: _scan,
    PosLine: _pos_line,
    StockCount: _stock_count,
    StockReceipt: _stock_receipt,
    Reservation: _reservation,
    ItemLink: _link,
    Correction: _correction,
    Maintenance: _maintenance,
    PriceObserved: _price_observed,
    Factor: _factor,
    Review: _review,
}
