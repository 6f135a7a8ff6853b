"""Items that the shop has, as columns, with the money behind them: what maintenance and quality stand on.

Gathers and estimates, decides nothing. Read at one moment (``items``) or, for classes, in slices of
some milliseconds (``class_money``); what is returned holds no live columns.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.config import Maintenance
from edge.features.state import FeatureState
from edge.features.windows import DayRing
from edge.inference.manifest import Service
from edge.inference.predict import MAINTENANCE_DAYS, SERVICES
from edge.ledger.catalogue import CatalogueCategory, CatalogueClass
from edge.ledger.ledger import Ledger
from edge.view_basis import Sources
from edge.view_voice import Voice, voice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
T = TypeVar("T")

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
YEAR_DAYS = 364
SCARCE_DAYS = 56
"""Closed days that tell how often a class has nothing left, by weekday."""
ITEM_ROWS = 4_096
"""Items looked at in one slice."""
CATEGORY_ROWS = 1_024
COLUMNS = 6
"""Columns of all items that are put together in one slice."""
CLASS_ROWS = 128
"""Classes looked at in one slice."""
PRIOR_REPAIRS = 5.0
"""Configured costs count as much as so many repairs of a class …"""
PRIOR_OWN = 3.0
"""… and the class's as much as so many of the item's own."""
NO_ITEMS = "No item is in the shop: tell the items and their classes with item_link events, or by their first scans."
GONE = frozenset({"sold", "missing"})
REPAIR = "Repair"
COPIED = (
    *("class_row", "store_row", "status_row", "rented_at_ms", "due_ms", "first_seen_ms"),
    *("last_inspection_ms", "last_repair_ms", "last_scan_ms", "grade"),
    *("defects", "repairs_total", "failures_total", "repair_cost_cents_total"),
    *("maintenance_minutes_total", "revenue_cents_total", "rentals_total", "on_rent_ms_total"),
)
HORIZONS = np.array(MAINTENANCE_DAYS, np.float64)


@dataclass(frozen=True)
class Items:
    """The n items in the shop: linked to a class, neither retired, sold nor missing."""

    now_ms: int
    today: int
    """Local day, days since 1970-01-01."""
    rows: Ints
    """Their rows in the state."""
    keys: list[str]
    """Their EPCs."""
    class_rows: Ints
    """int64[g]: rows of their classes."""
    cls: Ints
    """int64[n]: the class of each, as its place in ``class_rows``."""
    col: dict[str, Ints]
    """The columns ``COPIED``."""
    on_rent: Mask
    in_repair: Mask
    """Whether it is being repaired now."""
    chances: Floats
    """float64[n, 3]: of a failure or repair within ``HORIZONS``; NaN: nobody knows."""
    by_model: Mask
    """Whether a model said so; else the simple rule."""
    voice: Voice
    """How far the model of maintenance is believed; ``chances`` are held accordingly."""

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, *columns: str) -> "Items":
        """The same with these columns alone, to be kept."""
        return replace(self, col={name: self.col[name] for name in columns})

    def days_since(self, *columns: str) -> Floats:
        """float64[n]: days since the newest of these moments; NaN: none of them ever was."""
        newest = np.max([self.col[name] for name in columns], axis=0)
        return np.where(newest > 0, np.maximum(self.now_ms - newest, 0) / DAY_MS, np.nan)

    @property
    def grade(self) -> Floats:
        """float64[n]: 1 to 9; NaN: not graded."""
        return np.where(self.col["grade"] > 0, self.col["grade"], np.nan).astype(np.float64)

    @property
    def open_defects(self) -> Ints:
        """int64[n]: how many."""
        return np.bitwise_count(self.col["defects"].astype(np.uint32)).astype(np.int64)


def in_shop(state: FeatureState, rows: Ints) -> Mask:
    """bool[n]: whether these rows are items that the shop has and knows the class of."""
    col = state.item.col
    high = state.status.keys.high
    gone = np.array([state.group_of(row) in GONE for row in range(high)], np.bool_)
    there = (col["class_row"][rows] >= 0) & (col["retired"][rows] == 0)
    return np.asarray(there & ~gone[col["status_row"][rows]])


def items(sources: Sources, only: Ints | None = None) -> Items:
    """Every item of the shop, or those of these rows that are, at once."""
    return drained(gathered_items(sources, only))


def gathered_items(sources: Sources, only: Ints | None = None) -> Generator[None, None, Items]:
    """The same in slices; who is new or forgotten meanwhile may be missing or still there."""
    state = sources.core.state
    rows = state.item.keys.live() if only is None else only
    parts = []
    for start in range(0, max(len(rows), 1), ITEM_ROWS):
        parts.append(_columns(sources, rows[start : start + ITEM_ROWS]))
        yield
    col = {}
    for number, name in enumerate(COPIED):
        col[name] = np.concatenate([p.col[name] for p in parts])
        if number % COLUMNS == COLUMNS - 1:
            yield
    keys = [key for p in parts for key in p.keys]
    yield
    class_rows = np.flatnonzero(np.bincount(col["class_row"]))
    place = np.zeros(int(class_rows[-1]) + 1 if len(class_rows) else 0, np.int64)
    place[class_rows] = np.arange(len(class_rows))
    out = np.array(
        [state.group_of(row) == "on_rent" for row in range(state.status.keys.high)], np.bool_
    )
    return Items(
        now_ms=sources.now_ms,
        today=state.today,
        rows=np.concatenate([p.rows for p in parts]),
        keys=keys,
        class_rows=class_rows.astype(np.int64),
        cls=place[col["class_row"]],
        col=col,
        on_rent=out[col["status_row"]],
        in_repair=col["status_row"] == state.status.keys.get(REPAIR),
        chances=np.concatenate([p.chances for p in parts]),
        by_model=np.concatenate([p.by_model for p in parts]),
        voice=replace(
            parts[-1].voice, watched_days=np.concatenate([p.voice.watched_days for p in parts])
        ),
    )


@dataclass(frozen=True)
class _Part:
    rows: Ints
    keys: list[str]
    col: dict[str, Ints]
    chances: Floats
    by_model: Mask
    voice: Voice


def _columns(sources: Sources, rows: Ints) -> _Part:
    state = sources.core.state
    rows = rows[in_shop(state, rows)]
    found = voice(sources, "maintenance", rows)
    chances, by_model = chances_of(sources, rows, found)
    return _Part(
        rows=rows,
        keys=state.item.keys.keys_of(rows.tolist()),
        col={name: state.item.col[name][rows].astype(np.int64) for name in COPIED},
        chances=chances,
        by_model=by_model,
        voice=found,
    )


def drained(work: Generator[Any, None, T]) -> T:
    """What a generator returns, at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found


# --- what models say -------------------------------------------------------------------------------


def told(sources: Sources, service: Service, rows: Ints) -> tuple[tuple[str, ...], Floats, Mask]:
    """(names of columns, float64[n, o], bool[n] whether the model that answers now said it)."""
    slot = sources.scorer.slots.get(service) if sources.scorer is not None else None
    if slot is None or slot.active is None or slot.shown is None:
        return (), np.full((len(rows), 0), np.nan), np.zeros(len(rows), np.bool_)
    names = tuple(column.name for column in slot.active.manifest.columns)
    values = slot.shown.values[rows, : len(names)].astype(np.float64)
    by = slot.shown.held(rows) & (slot.shown.by[rows] == slot.active.number)
    values[~by] = np.nan
    return names, values, by


def chances_of(sources: Sources, rows: Ints, heard: Voice) -> tuple[Floats, Mask]:
    """(float64[n, 3] of a failure or repair within ``HORIZONS``, bool[n] whether a model said so).

    Of a starter as far as it is believed, the simple rule for the rest.
    """
    names, values, by_model = told(sources, "maintenance", rows)
    wanted = [f"p_event_{days}d" for days in MAINTENANCE_DAYS]
    if set(wanted) <= set(names):
        chances = values[:, [names.index(name) for name in wanted]]
    else:
        chances, by_model = np.full((len(rows), len(wanted)), np.nan), np.zeros_like(by_model)
    silent = np.asarray(np.isnan(chances).any(axis=1))
    chances = believed(sources, rows, chances, heard)
    if silent.any():
        chances[silent] = _usual(sources, rows)
    return chances, by_model & ~silent


def believed(sources: Sources, rows: Ints, chances: Floats, heard: Voice) -> Floats:
    """float64[n, 3]: ``chances`` that a model told as far as it is believed, the simple rule for the rest."""
    share = heard.share[:, None]
    if (share >= 1.0).all():
        return chances
    return np.asarray(share * chances + (1.0 - share) * _usual(sources, rows), np.float64)


def _usual(sources: Sources, rows: Ints) -> Floats:
    """float64[3]: what the simple rule says, of all items the same."""
    rule = SERVICES["maintenance"].fallback.answer(sources.core.state, rows[:1])
    return np.asarray(rule[0], np.float64)


# --- money -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassMoney:
    """Of g classes; NaN where nothing tells it."""

    rent_day_cents: Floats
    """Income of a day on rent: of the year's revenue, or from the price and the usual length."""
    price_cents: Floats
    """Newest price, or the catalogue's."""
    new_cents: Floats
    """What a new one costs: told by the catalogue or a receipt, else guessed from the price."""
    guessed: Mask
    """Whether ``new_cents`` is a guess."""
    life_days: Floats
    """How long a unit serves, where the catalogue tells it."""
    scarce: Floats
    """float64[g, 7]: share of days, Monday first, on which nothing was left to hand out (``_scarce``)."""
    out: NDArray[np.int32]
    """int32[364, g]: units on rent as each closed day ended, oldest first."""
    known_days: Ints
    """int64[g]: the newest of these on which the class was known."""


def class_money(
    sources: Sources, class_rows: Ints, worth_rentals: float
) -> Generator[None, None, ClassMoney]:
    """In slices; what the generator returns."""
    parts, out = [], np.empty((YEAR_DAYS, len(class_rows)), np.int32)
    for start in range(0, max(len(class_rows), 1), CLASS_ROWS):
        part = _money(sources, class_rows[start : start + CLASS_ROWS], worth_rentals)
        out[:, start : start + CLASS_ROWS] = part.out  # megabytes: not all at once in the end
        parts.append(replace(part, out=out[:, :0]))
        yield
    return ClassMoney(
        rent_day_cents=np.concatenate([p.rent_day_cents for p in parts]),
        price_cents=np.concatenate([p.price_cents for p in parts]),
        new_cents=np.concatenate([p.new_cents for p in parts]),
        guessed=np.concatenate([p.guessed for p in parts]),
        life_days=np.concatenate([p.life_days for p in parts]),
        scarce=np.concatenate([p.scarce for p in parts]),
        out=out,
        known_days=np.concatenate([p.known_days for p in parts]),
    )


def _closed(state: FeatureState, name: str, rows: Ints, days: int) -> Ints:
    """int64[days, g] of days that have closed, oldest first."""
    ring = state.cls.part[name]
    assert isinstance(ring, DayRing)
    return ring.series(rows, days + 1)[:-1]


def _money(sources: Sources, rows: Ints, worth_rentals: float) -> ClassMoney:
    state, ledger = sources.core.state, sources.core.ledger
    out = _closed(state, "on_rent_close_milli", rows, YEAR_DAYS)
    here = _closed(state, "on_hand_close_milli", rows, YEAR_DAYS)
    went = _closed(state, "rented_milli", rows, SCARCE_DAYS)
    earned = _closed(state, "revenue_cents", rows, YEAR_DAYS).sum(axis=0)
    out_days = out.sum(axis=0) / 1000.0
    known = (out != 0) | (here != 0)
    first = np.where(known.any(axis=0), known.argmax(axis=0), YEAR_DAYS)
    catalogue = [ledger.get(CatalogueClass, sku) for sku in _skus(state, rows)]
    price = _first_told(
        state.cls.col["price_cents"][rows],
        state.cls.col["list_price_cents"][rows],
        [c.price_cents if c else 0 for c in catalogue],
    )
    new = _first_told(
        [c.cost_cents if c else 0 for c in catalogue],
        state.cls.col["cost_cents"][rows],
        [c.replacement_cents if c else 0 for c in catalogue],
    )
    guessed = np.isnan(new)
    hours = rental_hours(state, rows)
    usual = price / np.maximum(hours / 24.0, 1.0)
    measured = np.where(out_days >= 1.0, earned / np.maximum(out_days, 1.0), np.nan)
    return ClassMoney(
        rent_day_cents=np.where(measured > 0, measured, usual),
        price_cents=price,
        new_cents=np.where(guessed, price * worth_rentals, new),
        guessed=guessed,
        life_days=_first_told([c.life_days if c else 0 for c in catalogue]),
        scarce=_scarce(
            out[-SCARCE_DAYS:], here[-SCARCE_DAYS - 1 :], went[-SCARCE_DAYS:], state.today
        ),
        out=(out // 1000).astype(np.int32),
        known_days=np.asarray(YEAR_DAYS - first, np.int64),
    )


def rental_hours(state: FeatureState, rows: Ints) -> Floats:
    """float64[g]: usual length of a rental, hours; a day where none has ended yet."""
    histogram = state.cls.part["rental_hours"]
    found = histogram.quantile(rows, 0.5)  # type: ignore[union-attr]
    return np.where(np.isnan(found), 24.0, found)


def _skus(state: FeatureState, rows: Ints) -> list[str]:
    return [state.cls.keys.key(row).partition("\x1f")[2] for row in rows.tolist()]


def _first_told(*columns: Sequence[int] | Ints) -> Floats:
    """The first of these that is above 0; NaN where none is."""
    found = np.full(len(columns[0]), np.nan)
    for column in reversed(columns):
        values = np.asarray(column, np.float64)
        found = np.where(values > 0, values, found)
    return found


def _scarce(out: Ints, here: Ints, went: Ints, today: int) -> Floats:
    """float64[g, 7]; a weekday of few days is held towards the class's own mean.

    Nothing was left where the store was empty as the day ended, or where as many went out as had stood
    there the evening before: what came back that day stands there at night, but came too late. More
    than that going out shows that what comes back goes out again; then the evening alone tells it.

    ``out``, ``went``: int64[days, g] on rent at the close and rented on the day; ``here``:
    int64[days + 1, g] in the store at the close, one day more before them.
    """
    emptied = (went == here[:-1]) & (went > 0)
    nothing = (((here[1:] < 1000) & (out > 0)) | emptied).astype(np.float64)
    days = np.arange(today - len(out), today)
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday
    mean = nothing.mean(axis=0)
    made = np.empty((out.shape[1], 7))
    for d in range(7):
        of = nothing[weekday == d]
        made[:, d] = (of.sum(axis=0) + 2.0 * mean) / (len(of) + 2.0)
    return made


def repair_costs(found: Items, settings: Maintenance) -> tuple[Floats, Floats, Floats]:
    """What a planned repair of each item costs and takes: (float64[n] cents, float64[n] hours, by class cents).

    The configured cost, moved by the class's repairs and then by the item's own.
    """
    usual_cents = settings.repair_parts_cents + settings.repair_hours * settings.labour_cents
    classes = len(found.class_rows)
    repairs = found.col["repairs_total"].astype(np.float64)
    many = np.bincount(found.cls, weights=repairs, minlength=classes)

    def estimate(name: str, usual: float, scale: float) -> tuple[Floats, Floats]:
        # what washes and inspections cost counts as the repairs' only where there were repairs
        own = np.where(repairs > 0, found.col[name] * scale, 0.0)
        of_class = np.bincount(found.cls, weights=own, minlength=classes)
        by_class = (of_class + PRIOR_REPAIRS * usual) / (many + PRIOR_REPAIRS)
        each = (own + PRIOR_OWN * by_class[found.cls]) / (repairs + PRIOR_OWN)
        return each, by_class

    cents, by_class = estimate("repair_cost_cents_total", usual_cents, 1.0)
    hours, _ = estimate("maintenance_minutes_total", settings.repair_hours, 1 / 60)
    return cents, hours, by_class


def failure_cents(found: Items, money: ClassMoney, cents: Floats, settings: Maintenance) -> Floats:
    """float64[n]: what is paid when an item has failed: its repair (``cents``) in a hurry, at most a new one.

    Nobody mends a napkin for what twenty napkins cost.
    """
    return np.asarray(np.fmin(cents * settings.emergency_factor, money.new_cents[found.cls]))


def categories(
    sources: Sources, class_rows: Ints
) -> Generator[None, None, tuple[list[str], list[str]]]:
    """(category of each class, the crew that the catalogue names for it), in slices."""
    state, ledger = sources.core.state, sources.core.ledger
    texts = state.cls.text["category"]
    made: list[str] = []
    for start in range(0, len(class_rows), CATEGORY_ROWS):
        rows = class_rows[start : start + CATEGORY_ROWS]
        for row, sku in zip(rows.tolist(), _skus(state, rows), strict=True):
            entry = ledger.get(CatalogueClass, sku)
            made.append((entry.category if entry else "") or texts.get(row, ""))
        yield
    crews = {category: _crew(ledger, category) for category in set(made)}
    return made, [crews[category] for category in made]


def _crew(ledger: Ledger, category: str) -> str:
    entry = ledger.get(CatalogueCategory, category) if category else None
    return entry.crew if entry else ""


@dataclass(frozen=True)
class ClassNames:
    """What g classes are called, in the order of their rows in the state."""

    rows: Ints
    skus: NDArray[np.object_]
    stores: NDArray[np.object_]

    def passing(self, sku: str | None, store: str | None) -> Mask:
        """bool[g]: a class, classes of a store; ``None``: any."""
        made = np.ones(len(self.rows), np.bool_)
        if sku is not None:
            made &= np.asarray(self.skus == sku, np.bool_)
        if store is not None:
            made &= np.asarray(self.stores == store, np.bool_)
        return made

    def sortable(self) -> Floats:
        """float64[g]: rises as the names do."""
        place = np.unique(self.skus.astype(np.str_), return_inverse=True)[1]
        return np.asarray(place, np.float64)


def class_names(state: FeatureState, class_rows: Ints) -> ClassNames:
    """Of these classes."""
    named = [key.partition("\x1f") for key in state.cls.keys.keys_of(class_rows.tolist())]
    return ClassNames(
        rows=class_rows,
        skus=np.array([sku for _, _, sku in named], np.object_),
        stores=np.array([store for store, _, _ in named], np.object_),
    )


def name_of(state: FeatureState, row: int, class_row: int) -> str:
    """The item's name, else its class's."""
    return state.item.text["name"].get(row, "") or state.cls.text["name"].get(class_row, "")


def date_of(day: int) -> str:
    """``YYYY-MM-DD`` of a local day.

    >>> date_of(20_414)
    '2025-11-22'
    """
    return str(np.datetime64(day, "D"))
