"""Whether so many units are free in a span of days: gathered from items, reservations and rentals.

Reads the state of one class and hands it to ``edge.services.availability``. No promise is made here.
"""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.features.business import class_key
from edge.features.catalog import matrix
from edge.features.sketch import LogHistogram
from edge.features.words import GROUP_OF_STATUS
from edge.services import availability, lead_time
from edge.services.availability import Durations, Free
from edge.services.counts import Floats
from edge.view_basis import Basis, Sources
from edge.view_stock_columns import days_of, is_rental, use_of

Ints = NDArray[np.int64]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SPAN_DAYS = 60
"""Days of a span that are looked at one by one; of a longer one so many, evenly spread."""
ITEMS_MOST = 5_000
"""Items out that are looked at; a rental class has no more in one store."""
FORMULA = (
    "what is here, and each unit out with its own chance of being back (due day, else how long "
    "rentals last), less what is promised for that day and what walk-in customers will take"
)


class DayFree(Struct, kw_only=True):
    """One day of the span."""

    day: str
    """Day, ``YYYY-MM-DD``."""
    expected: float | None
    """Units free, expected, if they are promised now; null: the stock was never counted."""
    probability: float | None
    """Probability that as many as asked for are free, if they are promised now; null as above."""
    returned: float
    """Units expected back by then."""
    reserved: float
    """Units promised to others for that day."""


class Availability(Struct, kw_only=True):
    """Whether so many units are free over the whole span."""

    basis: Basis
    """How fresh this is."""
    sku: str
    """Class."""
    store: str
    """Store."""
    units: float
    """Units asked for."""
    from_ms: int
    """Begin of the span."""
    to_ms: int
    """End of the span."""
    available: bool | None
    """Whether they may be promised: the probability is at least 0.95; null: there is none."""
    probability: float | None
    """Probability that they are free on the scarcest day, if they are promised now; null: the stock was
    never counted."""
    probability_unpromised: float | None
    """The same if nobody promises them before the span begins: walk-in customers come first; null:
    nothing is known of what they ask for."""
    covers: str
    """What the probabilities reckon with, and what not."""
    why_unknown: str
    """Why a probability is null, and what is needed for it; empty: none is."""
    expected_units: float | None
    """Units free on the scarcest day, expected; null: the stock was never counted."""
    on_hand: float | None
    """Units in the store now; null: they were never counted."""
    on_rent: float
    """Units out now."""
    in_service: float
    """Units in inspection, repair or cleaning now."""
    expected_returns: float
    """Units expected back by the begin of the span."""
    reserved_units: float
    """Units promised to others on the scarcest day."""
    scarcest_day: str
    """Which day that is."""
    days: list[DayFree]
    """Day by day."""


PROMISE = 0.95
NOT_COUNTED = (
    "its stock was never counted or received and no item of it is tagged: POST /api/inventory with"
    " quantity, or a stock_count"
)


class AvailabilityView:
    """Reads items, reservations and rental lengths of one class."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state

    def available(
        self, sku: str, store: str, from_ms: int, to_ms: int, units: float
    ) -> Availability | None:
        """``None``: the class is not known. ``from_ms < to_ms``."""
        row = self._state.cls.keys.get(class_key(store, sku))
        if row < 0:
            return None
        now_ms = self._sources.now_ms
        moments = _moments(max(from_ms, now_ms), max(to_ms, now_ms + 1), now_ms)
        hours = (moments - now_ms) / HOUR_MS
        levels = self._levels(row)
        use = self._use(row)
        found = self._free(row, units, levels, hours, moments, use)
        counted = bool(self._state.stock_known(np.array([row]))[0])
        worst = int(np.argmin(found.chance + 1e-9 * found.expected))
        day = self._day
        basis = self._sources.computed(FORMULA)
        guessed = self._guessed(row, levels[1])
        basis.fallback = use is None or not counted or guessed
        least = float(found.chance.min()) if counted else math.nan
        later = float(found.chance_later.min()) if counted and use is not None else math.nan
        return Availability(
            basis=basis,
            sku=sku,
            store=store,
            units=units,
            from_ms=from_ms,
            to_ms=to_ms,
            available=least >= PROMISE if counted else None,
            probability=_number(least, 4),
            probability_unpromised=_number(later, 4),
            covers=_covers(levels, float(found.reserved[worst]), use is not None, guessed),
            why_unknown=self._why_unknown(row, counted, use is not None),
            expected_units=round(float(found.expected[worst]), 2) if counted else None,
            on_hand=levels[0] if counted else None,
            on_rent=levels[1],
            in_service=levels[2],
            expected_returns=round(float(found.returned[0]), 2),
            reserved_units=float(found.reserved[worst]),
            scarcest_day=day(int(moments[worst])),
            days=self._days(found, moments, counted),
        )

    def _why_unknown(self, row: int, counted: bool, asked: bool) -> str:
        """Why a probability is null; empty: none is."""
        made = [] if counted else [NOT_COUNTED]
        if not asked:
            days = lead_time.known_days(days_of(self._state, np.array([row], np.int64)).moved)
            made.append(
                f"nothing is known of what walk-in customers ask for: nothing moved on its"
                f" {days[0]:.0f} whole days with stock, {lead_time.QUIET_DAYS_MIN} or a movement are"
                " needed"
            )
        return "; ".join(made)

    def _guessed(self, row: int, out: float) -> bool:
        """Whether the chance of a unit out to be back is a guess: no due day, no rental that ended."""
        if not out or self._durations(row).counts.sum() > 0:
            return False
        items = self._items_out(row)
        return len(items) < round(out) or not (self._state.item.col["due_ms"][items] > 0).all()

    def _days(self, found: Free, moments: Ints, counted: bool) -> list[DayFree]:
        """Each day once, as it is at its scarcest moment."""
        scarcest: dict[str, int] = {}
        for i, at_ms in enumerate(moments.tolist()):
            before = scarcest.setdefault(self._day(at_ms), i)
            if found.chance[i] < found.chance[before]:
                scarcest[self._day(at_ms)] = i
        return [
            DayFree(
                day=day,
                expected=round(float(found.expected[i]), 2) if counted else None,
                probability=round(float(found.chance[i]), 4) if counted else None,
                returned=round(float(found.returned[i]), 2),
                reserved=float(found.reserved[i]),
            )
            for day, i in scarcest.items()
        ]

    def day_start_ms(self, day: int) -> int:
        """When a local day begins, counted from 1970-01-01."""
        return self._state.days.start_ms(day)

    def _day(self, at_ms: int) -> str:
        return str(np.datetime64(self._state.days.day(at_ms), "D"))

    def _levels(self, row: int) -> tuple[float, float, float]:
        """(on hand, on rent, in service) now."""
        rows = np.array([row], np.int64)
        names = ("on_hand_units", "on_rent_units", "items_in_service")
        here, out, service = matrix(self._state, "class", rows, names)[0].tolist()
        return here, out, service

    def _free(
        self,
        row: int,
        units: float,
        levels: tuple[float, float, float],
        hours: Floats,
        moments: Ints,
        use: tuple[float, float, float] | None,
    ) -> Free:
        here, out, service = levels
        rate, turn, bursty = use or (0.0, 1.0, 1.0)
        walk_in, spread = availability.walk_ins(rate, bursty, float(hours[0]), hours, turn)
        return availability.free(
            units,
            here,
            self._back(row, out, hours),
            service,
            hours,
            self._reserved(row, moments),
            walk_in,
            spread,
        )

    def _use(self, row: int) -> tuple[float, float, float] | None:
        """(requests a day, days until a unit is back, burstiness) of walk-in customers; ``None``:
        nothing is known of them.

        Of a sales class nothing comes back, so what is sold until then is gone for good.
        """
        rows = np.array([row], np.int64)
        days = days_of(self._state, rows)
        if lead_time.nothing_known(days.moved)[0]:
            return None
        rental = is_rental(self._state, self._sources.core.ledger, rows, days)
        if not rental[0]:
            moved = days.moved[:, 0]
            known = moved[np.isfinite(moved)]
            return (float(known.mean()) if len(known) else 0.0), 3650.0, 1.0
        use, _, _ = use_of(self._state, rows, days, rental, np.zeros(1))
        told = [float(column[0]) for column in (use.rate, use.turn_days, use.peakedness)]
        rate, turn, bursty = (0.0 if math.isnan(x) else x for x in told)
        return rate, turn or 1.0, max(bursty, 1.0)

    def _back(self, row: int, out: float, hours: Floats) -> Floats:
        """float64[t, n]: chance of each unit out to be back."""
        state, now_ms = self._state, self._sources.now_ms
        items = self._items_out(row)
        col = state.item.col
        since = (now_ms - col["rented_at_ms"][items]) / HOUR_MS
        due = col["due_ms"][items]
        due_in = np.where(due > 0, (due - now_ms) / HOUR_MS, np.nan)
        untagged = max(round(out) - len(items), 0)
        if untagged:  # rented by document lines: as if each had been out for half its time
            since = np.concatenate([since, np.full(untagged, self._median_h(row) / 2)])
            due_in = np.concatenate([due_in, np.full(untagged, np.nan)])
        return availability.back_within(hours, np.maximum(since, 0.0), due_in, self._durations(row))

    def _items_out(self, row: int) -> Ints:
        col = self._state.item.col
        high = self._state.item.keys.high
        mine = np.flatnonzero(col["class_row"][:high] == row)
        mine = mine[(col["rented_at_ms"][mine] > 0) & (col["retired"][mine] == 0)]
        statuses = self._state.status.keys
        out = [r for k, r in statuses.items() if GROUP_OF_STATUS.get(k) == "on_rent"]
        mine = mine[np.isin(col["status_row"][mine], out)]
        return np.asarray(mine[:ITEMS_MOST], np.int64)

    def _durations(self, row: int) -> Durations:
        """How long rentals of the class lasted; those of all classes count for a few of them."""
        hours = self._hours()
        counts = hours.counts[row].astype(np.float64)
        if counts.sum() < PRIOR_RENTALS:
            whole = hours.counts[: self._state.cls.keys.high].sum(axis=0, dtype=np.float64)
            if whole.sum() > 0:
                counts = counts + whole / whole.sum() * (PRIOR_RENTALS - counts.sum())
        ends = hours.least * hours.growth ** np.arange(hours.counts.shape[1], dtype=np.float64)
        return Durations(counts, ends)

    def _median_h(self, row: int) -> float:
        told = self._durations(row)
        total = told.counts.sum()
        if total <= 0:
            return 24.0
        return float(told.ends_h[int(np.searchsorted(np.cumsum(told.counts), total / 2))])

    def _hours(self) -> LogHistogram:
        hours = self._state.cls.part["rental_hours"]
        assert isinstance(hours, LogHistogram)
        return hours

    def _reserved(self, row: int, moments: Ints) -> Floats:
        """float64[t]: units of the class promised for each moment."""
        key = self._state.cls.keys.key(row)
        found = np.zeros(len(moments))
        for told in self._state.reserved.values():
            if told.class_key == key:
                end_ms = told.end_ms or 1 << 62
                found += np.where(
                    (moments >= told.start_ms) & (moments < end_ms), told.milli / 1000, 0
                )
        return found


PRIOR_RENTALS = 20.0


def _covers(levels: tuple[float, float, float], reserved: float, asked: bool, guessed: bool) -> str:
    """What the probabilities reckon with."""
    here, out, service = levels
    known = [f"{here:g} on hand"]
    if out:
        how = "guessed: no due day is told and no rental ended" if guessed else "each by its own"
        known.append(f"{out:g} out with chances of being back ({how})")
    if service:
        known.append(f"{service:g} in service ({availability.SERVICE_DAYS:g} days on average)")
    known.append(f"{reserved:g} promised to others")
    promised = f"probability: {', '.join(known)}, no new customers"
    return f"{promised}; probability_unpromised: walk-in customers too" if asked else promised


def _number(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _moments(from_ms: int, to_ms: int, now_ms: int) -> Ints:
    """int64[t]: the begin, then every day, then the end; at most ``SPAN_DAYS``."""
    days = max(math.ceil((to_ms - from_ms) / DAY_MS), 1)
    steps = min(days, SPAN_DAYS)
    inside = from_ms + np.arange(steps) * ((to_ms - from_ms) / steps)
    return np.unique(np.append(inside, to_ms - 1).astype(np.int64))
