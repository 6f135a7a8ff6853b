"""Demand as readers see it: the columns of predictions, summed and taken apart, today as it goes on.

Gathers and hands over: what is likely is the model's word, the parts are ``edge.services.demand``'s.
Classes that nobody predicted are filled in by the simple rule, some at a time (``filling``).
"""

from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.features.business import class_key
from edge.features.windows import DayRing, RingWindow
from edge.inference import demand as at_edge
from edge.inference.demand_columns import (
    DAILY_QUANTILE_DAYS,
    HORIZON_DAYS,
    LEVELS,
    WEEKS,
    columns,
)
from edge.ledger.catalogue import CatalogueClass
from edge.services import demand
from edge.view_basis import Basis, Sources
from edge.view_demand_sums import PAST_DAYS, Said, Summed
from edge.view_demand_types import (
    DayPoint,
    DemandForecast,
    InfluenceRow,
    Nowcast,
    Season,
    WeekPoint,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
NAMES = [column.name for column in columns()]
FILL_ROWS = 8
"""Classes that the simple rule answers for in one slice."""
SUM_ROWS = 256
"""Classes that are summed up in one slice."""
FRESH_MS = 10_000
"""How long it may take until a class that is new, or scored in the background, is seen in a sum."""
STANDS_MS = 2 * FRESH_MS
"""So long a sum is shown while it is made anew."""
KNOWN_ANSWERS = 256
HISTORY_DAYS = 39
"""Closed days that influences are looked for in."""
SUM_RULE = (
    "means of classes add up; the interval is how far such sums were from their four weeks before"
)
SQUARES_RULE = (
    "means of classes add up, widths of their intervals like squares: too little history for more"
)


class DemandView:
    """Reads predictions of demand; remembers what the simple rule said of whom nobody predicted."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self._ruled: dict[int, NDArray[np.float32]] = {}
        self._ruled_day = -1
        self._rows: dict[tuple[str, str, str], Ints] = {}
        self._rows_stamp: tuple[int, ...] = ()
        self._summed: dict[tuple[str, str, str], Summed] = {}
        self._pasts: dict[tuple[str, str, str], tuple[tuple[int, ...], Floats]] = {}
        self._answers: dict[tuple[str, str, str, int], DemandForecast] = {}
        self._answers_at = -1
        self._shares_done: dict[str, tuple[int, float]] = {}

    # -- whose demand -----------------------------------------------------------------------------

    def rows(self, store: str = "", category: str = "", sku: str = "") -> Ints:
        """int64[n]: classes of a store (empty: all), a category (empty: all), with this SKU."""
        core = self._sources.core
        named = core.ledger.version_of(CatalogueClass)
        stamp = (core.now_ms // FRESH_MS, len(self._state.cls.keys), named)
        if stamp != self._rows_stamp:
            self._rows_stamp = stamp
            self._rows.clear()
        asked = (store, category.lower(), sku)
        found = self._rows.get(asked)
        if found is None:
            if len(self._rows) >= KNOWN_ANSWERS:
                self._rows.clear()
            found = self._rows[asked] = self._found(*asked)
        return found

    def _found(self, store: str, category: str, sku: str) -> Ints:
        keys = self._state.cls.keys
        if store and sku:
            row = keys.get(class_key(store, sku))
            return np.array([row] if row >= 0 else [], np.int64)
        rows = []
        for key, row in keys.items():
            of_store, _, of_sku = key.partition("\x1f")
            if (not store or of_store == store) and (not sku or of_sku == sku):
                if category and self.category(of_sku, row).lower() != category:
                    continue
                rows.append(row)
        return np.array(sorted(rows), np.int64)

    def skus(self, rows: Ints) -> list[str]:
        """SKU of each class."""
        key = self._state.cls.keys.key
        return [key(row).partition("\x1f")[2] for row in rows.tolist()]

    def category(self, sku: str, row: int) -> str:
        """Category of a class: the catalogue's word, else the till's."""
        told = self._sources.core.ledger.get(CatalogueClass, sku)
        if told is not None and told.category:
            return told.category
        return self._state.cls.text["category"].get(row, "")

    # -- columns ------------------------------------------------------------------------------------

    def _model_number(self) -> int:
        scorer = self._sources.scorer
        slot = scorer.slots.get("demand") if scorer is not None else None
        return slot.active.number if slot is not None and slot.active is not None else 0

    def _predicted(self, rows: Ints) -> NDArray[np.bool_]:
        """bool[n]: for which classes there is a prediction of who answers now."""
        scorer, number = self._sources.scorer, self._model_number()
        slot = scorer.slots.get("demand") if scorer is not None else None
        if slot is None or slot.shown is None or not number:
            return np.zeros(len(rows), np.bool_)
        days = self._state.days.days(slot.shown.at_ms[rows])
        known = slot.shown.held(rows) & (slot.shown.by[rows] == number)
        return np.asarray(known & (self._state.today - days < HORIZON_DAYS - 7 * 4))

    def filling(self, rows: Ints) -> Iterator[None]:
        """Let the simple rule speak of classes that nobody predicted, some at each step."""
        if self._state.today != self._ruled_day:
            self._ruled_day = self._state.today
            self._ruled.clear()
        missing = [r for r in rows[~self._predicted(rows)].tolist() if r not in self._ruled]
        for start in range(0, len(missing), FILL_ROWS):
            part = missing[start : start + FILL_ROWS]
            told = at_edge.without_model(self._state, np.array(part, np.int64))
            self._ruled.update(zip(part, told, strict=True))
            yield

    def said(self, rows: Ints, days: int) -> Said:
        """What stands about classes, after ``filling``; ``days`` at most 91."""
        weeks = (days + 6) // 7
        shape = (len(rows), HORIZON_DAYS)
        mean, low, high = (np.full(shape, np.nan) for _ in range(3))
        week = [np.full((len(rows), WEEKS), np.nan) for _ in range(3)]
        predicted = self._predicted(rows)
        now_ms = oldest_ms = self._sources.now_ms
        scorer = self._sources.scorer
        slot = scorer.slots["demand"] if scorer is not None and predicted.any() else None
        if slot is not None and slot.shown is not None and slot.active is not None:
            at = np.flatnonzero(predicted)
            values = self._in_order(slot.shown.values[rows[at]], slot.active.manifest.columns)
            at_ms = slot.shown.at_ms[rows[at]]
            oldest_ms = int(at_ms.min())
            late = self._state.today - self._state.days.days(at_ms)
            for skip in np.unique(late).tolist():
                some = late == skip
                self._put((mean, low, high, *week), at[some], values[some], max(int(skip), 0))
        silent = np.flatnonzero(~predicted).tolist()
        told = [(i, self._ruled[row]) for i in silent if (row := int(rows[i])) in self._ruled]
        if told:
            at = np.array([i for i, _ in told], np.int64)
            values = np.stack([values for _, values in told]).astype(np.float64)
            self._put((mean, low, high, *week), at, values, 0)
        below, above = week[0] - week[1], week[2] - week[0]
        return Said(
            mean=mean[:, :days],
            low=low[:, :days],
            high=high[:, :days],
            week_low=below[:, :weeks],
            week_high=above[:, :weeks],
            ruled=~predicted | self._strange(rows),
            oldest_ms=min(oldest_ms, now_ms),
        )

    def _strange(self, rows: Ints) -> NDArray[np.bool_]:
        """bool[n]: classes that the model never saw: others stand in for it."""
        scorer = self._sources.scorer
        model = scorer.slots["demand"].active if scorer is not None else None
        if model is None or model.side is None:
            return np.zeros(len(rows), np.bool_)
        known, key = model.side.row_of, self._state.cls.keys.key
        return np.array([key(row) not in known for row in rows.tolist()], np.bool_)

    def _in_order(self, values: NDArray[np.float32], told: Sequence[Struct]) -> Floats:
        """float64[n, len(NAMES)]: a model's columns in our order, NaN where it tells none."""
        names = [str(getattr(column, "name", "")) for column in told]
        if names == NAMES:
            return values[:, : len(NAMES)].astype(np.float64)
        at = {name: i for i, name in enumerate(names)}
        out = np.full((len(values), len(NAMES)), np.nan)
        for i, name in enumerate(NAMES):
            if name in at:
                out[:, i] = values[:, at[name]]
        return out

    @staticmethod
    def _put(into: Sequence[Floats], at: Ints, values: Floats, skip: int) -> None:
        """Spread columns over days and weeks; the first ``skip`` days have passed."""
        mean, low, high, week, week_low, week_high = into
        levels = len(LEVELS)
        days = values[:, :HORIZON_DAYS]
        end = HORIZON_DAYS + DAILY_QUANTILE_DAYS * levels
        narrow = values[:, HORIZON_DAYS:end].reshape(len(at), DAILY_QUANTILE_DAYS, levels)
        weeks = values[:, end : end + WEEKS]
        wide = values[:, end + WEEKS :].reshape(len(at), WEEKS, levels)
        mean[at, : HORIZON_DAYS - skip] = days[:, skip:]
        told = max(DAILY_QUANTILE_DAYS - skip, 0)
        low[at, :told] = narrow[:, skip:, 0]
        high[at, :told] = narrow[:, skip:, -1]
        week[at], week_low[at], week_high[at] = weeks, wide[:, :, 0], wide[:, :, -1]

    # -- answers ------------------------------------------------------------------------------------

    def fresh(self, store: str, category: str, sku: str) -> bool:
        """Whether what ``forecast`` needs is there, and as new as predictions are."""
        known = self._summed.get((store, category.lower(), sku))
        return known is not None and known.stamp == self._stamp(self.rows(store, category, sku))

    def standing(self, store: str, category: str, sku: str) -> bool:
        """Whether it is of today, by the same model and of the same classes, and was made lately."""
        known, rows = (
            self._summed.get((store, category.lower(), sku)),
            self.rows(store, category, sku),
        )
        if known is None or known.made_ms < self._sources.now_ms - STANDS_MS:
            return False
        return known.stamp[: len(self._whose(rows))] == self._whose(rows)

    def preparing(self, store: str, category: str, sku: str) -> Generator[None, None, None]:
        """What ``forecast`` needs, some of it at each step; nothing where it is there already."""
        rows, asked = self.rows(store, category, sku), (store, category.lower(), sku)
        stamp = self._stamp(rows)
        if self.fresh(store, category, sku):
            return
        yield from self.filling(rows)
        made = Summed(stamp, self._sources.now_ms)
        for start in range(0, len(rows), SUM_ROWS):
            part = rows[start : start + SUM_ROWS]
            past, blind = self._moved(part, PAST_DAYS), self._blind(part, PAST_DAYS)
            made.add(self.said(part, HORIZON_DAYS), past, blind)
            yield
        made.swing()
        if len(self._summed) >= KNOWN_ANSWERS:
            self._summed.clear()
        self._summed[asked] = made

    def _stamp(self, rows: Ints) -> tuple[int, ...]:
        """Changes when any prediction of these rows may have."""
        scorer = self._sources.scorer
        slot = scorer.slots.get("demand") if scorer is not None else None
        whose = self._whose(rows)
        if slot is None:
            return whose
        under_way = self._sources.now_ms // FRESH_MS if slot.cursor >= 0 else -1
        return (*whose, slot.swept_at_ms, under_way)

    def _whose(self, rows: Ints) -> tuple[int, ...]:
        first = int(rows[0]) if len(rows) else -1
        return self._state.today, self._model_number(), len(rows), first

    def forecast(self, store: str, category: str, sku: str, weeks: int) -> DemandForecast:
        """Days and weeks ahead, after ``preparing`` the same; it stands for one second of the state."""
        second = self._sources.now_ms // 1_000
        if second != self._answers_at or len(self._answers) >= KNOWN_ANSWERS:
            self._answers_at = second
            self._answers.clear()
        asked = (store, category.lower(), sku, weeks)
        known = self._answers.get(asked)
        if known is None:
            known = self._answers[asked] = self._forecast(store, category, sku, weeks)
        return known

    def _forecast(self, store: str, category: str, sku: str, weeks: int) -> DemandForecast:
        asked = (store, category.lower(), sku)
        rows, said = self.rows(*asked), self._summed[asked]
        days = 7 * weeks
        ahead = said.ahead(days)
        today = self._state.today
        moments = today + np.arange(days)
        weekday = (moments + 3) % 7
        shares = self._shares(moments)
        effect, influences = self._influences(asked, rows, moments)
        parts = demand.parts(ahead.mean, weekday, shares, effect)
        factor = 1.0 + effect
        whole = demand.Ahead(ahead.mean * factor, ahead.low * factor, ahead.high * factor)
        measured = self.measured()
        return DemandForecast(
            basis=self.basis(
                said.classes, said.by_rule, said.oldest_ms, squares=said.swings is None
            ),
            store=store,
            category=category,
            sku=sku,
            classes=said.classes,
            unknown=said.unknown,
            level=round(demand.LEVEL, 6),
            confidence=measured.get("coverage"),
            accuracy=measured.get("accuracy"),
            weeks=self._weeks(said, whole.mean, factor, today),
            days=_days(whole, parts, today),
            season=Season(
                weekday=[round(v, 4) for v in parts.index.tolist()],
                trend_per_week=_round(parts.trend_per_week) or 0.0,
                holidays=[date_of(int(m)) for m in moments[shares != 1.0]],
                influences=influences,
            ),
            nowcast=self._nowcast(rows, store, ahead),
        )

    def basis(
        self, classes: int, by_rule: int, oldest_ms: int, *, squares: bool | None = None
    ) -> Basis:
        """Who spoke of these classes; ``squares``: how the interval of their sum was made, if it was."""
        made = self._sources.of_service("demand")
        made.as_of_ms = min(oldest_ms, self._sources.now_ms)
        made.stale = self._sources.now_ms - made.as_of_ms > (
            self._sources.config.models.feature_stale_h * HOUR_MS
        )
        rules = []
        if classes > 1 and squares is not None:
            rules.append(SQUARES_RULE if squares else SUM_RULE)
        if by_rule and by_rule == classes:
            made.version = ""
            made.as_rule("demand")
        if by_rule:
            made.fallback = True
            rules.insert(0, f"{by_rule} of {classes} classes by the simple rule")
        if rules:
            made.rule = "; ".join(rules)
        return made

    def who(self) -> Basis:
        """Who speaks of demand now."""
        return self._sources.of_service("demand")

    def measured(self) -> dict[str, float]:
        """Figures of the active version's forecasts of a day, over the last weeks."""
        return self.scores().get("units_day_1", {})

    def scores(self) -> dict[str, dict[str, float]]:
        """Question -> figures of the active version's forecasts, over the last weeks."""
        models = self._sources.models
        return models.scores("demand") if models is not None else {}

    def days(self) -> dict[str, list[tuple[str, dict[str, float]]]]:
        """Question -> (day on which it was asked, figures) of the active version's answers."""
        models = self._sources.models
        told = models.scores_by_day("demand") if models is not None else {}
        return {name: [(date_of(day), f) for day, f in days] for name, days in told.items()}

    def _weeks(self, said: Summed, mean: Floats, factor: Floats, today: int) -> list[WeekPoint]:
        made = []
        below, above = np.sqrt(said.week_low), np.sqrt(said.week_high)
        for i in range(len(mean) // 7):
            days = slice(7 * i, 7 * i + 7)
            known = not np.isnan(mean[days]).all()
            units = float(np.nansum(mean[days])) if known else None
            scale = float(factor[days].mean())
            told = units is not None and not np.isnan(below[i])
            low, high = (units or 0.0) - below[i] * scale, (units or 0.0) + above[i] * scale
            if said.swings is not None and units is not None:
                told = True
                low, high = units * said.swings.week_low[i], units * said.swings.week_high[i]
            made.append(
                WeekPoint(
                    from_day=date_of(today + 7 * i),
                    to_day=date_of(today + 7 * i + 6),
                    units=_round(units),
                    low=_round(max(low, 0.0)) if told else None,
                    high=_round(high) if told else None,
                )
            )
        return made

    # -- holidays, weather, events --------------------------------------------------------------------

    def _shares(self, moments: Ints) -> Floats:
        """float64[h]: share of usual demand that the model's holidays leave."""
        scorer = self._sources.scorer
        model = scorer.slots["demand"].active if scorer is not None else None
        raw = model.manifest.extra.get("demand") if model is not None else None
        if raw is None:
            return np.ones(len(moments))
        constants = at_edge.Constants.from_extra(msgspec.json.decode(raw))
        return constants.calendar.shares(moments)

    def _influences(
        self, asked: tuple[str, str, str], rows: Ints, moments: Ints
    ) -> tuple[Floats, list[InfluenceRow]]:
        """What weather and events add to the days ahead, float64[h]; and what moved these classes."""
        none: tuple[Floats, list[InfluenceRow]] = np.zeros(len(moments)), []
        past, ahead = self._factors(asked[0], moments)
        if not past or not len(rows):
            return none
        units = self._past(asked, rows)
        today = self._state.today
        weekday = (today - HISTORY_DAYS + np.arange(HISTORY_DAYS) + 3) % 7
        found = demand.influences(units, weekday, past)
        if not found:
            return none
        usual = {name: float(np.nanmean(values)) for name, values in past.items()}
        known = {one.name: ahead[one.name] for one in found if one.name in ahead}
        effect = demand.effect_of(found, usual, known) if known else none[0]
        told = [
            InfluenceRow(
                factor=one.name,
                ratio=round(one.ratio, 6),
                t=round(one.t, 2),
                days=one.days,
                known_ahead=one.name in known,
            )
            for one in found
        ]
        return effect, told

    def _factors(self, store: str, moments: Ints) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Factor -> float64[HISTORY_DAYS] of the closed days; and of the days ahead, where known."""
        state, past, ahead = self._state, {}, {}
        starts_ms = np.array([state.days.start_ms(int(m)) for m in moments])
        for key, row in state.factor.keys.items():
            of_store, _, name = key.partition("\x1f")
            if store and of_store not in ("", store):
                continue
            values = self._factor_days(row)
            told = ~np.isnan(values)
            if name.startswith(("events.", "seasonal.")) and told.any():
                values = np.where(told, values, 0.0)
            if name in past or not told.any():
                continue
            past[name] = values
            col = state.factor.col
            until_ms, at_ms = int(col["until_ms"][row]), int(col["at_ms"][row])
            within = (starts_ms < until_ms) & (starts_ms + DAY_MS > at_ms)
            if within.any():
                ahead[name] = np.where(within, col["value_milli"][row] / 1000, np.nan)
        return past, ahead

    def _factor_days(self, row: int) -> Floats:
        rings = [self._state.factor.part[name] for name in ("sum_milli", "told")]
        rows = np.array([row], np.int64)
        series = []
        for ring in rings:
            assert isinstance(ring, DayRing)
            series.append(ring.series(rows, HISTORY_DAYS + 1)[:-1, 0].astype(np.float64))
        total, told = series
        return np.where(told > 0, total / np.maximum(told, 1) / 1000, np.nan)

    def _past(self, asked: tuple[str, str, str], rows: Ints) -> Floats:
        """Units of the closed days; late lines are seen after some minutes."""
        stamp = (self._state.today, len(rows), self._sources.now_ms // (60 * FRESH_MS))
        known = self._pasts.get(asked)
        if known is None or known[0] != stamp:
            if len(self._pasts) >= KNOWN_ANSWERS:
                self._pasts.clear()
            known = self._pasts[asked] = stamp, self._units(rows, HISTORY_DAYS)
        return known[1]

    def _units(self, rows: Ints, days: int) -> Floats:
        """float64[days] units that went out on the closed days, these classes together."""
        total, blind = self._moved(rows, days), self._blind(rows, days)
        began = np.cumsum(total) > 0
        return np.where(began & ~blind, total, np.nan)

    def _moved(self, rows: Ints, days: int) -> Floats:
        """float64[days] units of the closed days."""
        total = np.zeros(days)
        numbers = np.arange(self._state.today - days, self._state.today)
        for name in at_edge.UNITS:
            ring = self._day_ring(name)
            total += _cells(ring.ring, numbers % ring.days, rows).sum(axis=1) / 1000
        return total

    def _blind(self, rows: Ints, days: int) -> NDArray[np.bool_]:
        """bool[days]: closed days on which nobody looked at any of them."""
        unseen = self._day_ring("unseen")
        numbers = np.arange(self._state.today - days, self._state.today)
        return np.asarray((_cells(unseen.ring, numbers % unseen.days, rows) > 0).all(axis=1))

    def _day_ring(self, name: str) -> DayRing:
        ring = self._state.cls.part[name]
        assert isinstance(ring, DayRing), name
        return ring

    # -- today ----------------------------------------------------------------------------------------

    def _nowcast(self, rows: Ints, store: str, ahead: demand.Ahead) -> Nowcast:
        state, now_ms = self._state, self._sources.now_ms
        today = state.today
        so_far = sum(float(self._day_ring(n).last(rows, 1).sum()) / 1000 for n in at_edge.UNITS)
        share = self.share_done(store, now_ms)
        morning = [
            float(part[0]) if len(part) else np.nan for part in (ahead.mean, ahead.low, ahead.high)
        ]
        found = demand.nowcast(morning[0], morning[1], morning[2], so_far, share)
        known = morning[0] == morning[0]
        return Nowcast(
            day=date_of(today),
            so_far=round(so_far, 3),
            share=round(share, 4),
            forecast=_round(morning[0]),
            units=_round(found.units) if known else None,
            low=_round(found.low) if known else None,
            high=_round(found.high) if known else None,
        )

    def share_done(self, store: str, now_ms: int) -> float:
        """Share of a day's business that is usually done by now, as yesterday went."""
        known = self._shares_done.get(store)
        if known is None or known[0] != now_ms // FRESH_MS:
            if len(self._shares_done) >= KNOWN_ANSWERS:
                self._shares_done.clear()
            known = self._shares_done[store] = now_ms // FRESH_MS, self._share_done(store, now_ms)
        return known[1]

    def _share_done(self, store: str, now_ms: int) -> float:
        state = self._state
        if not state.now_ms:
            return 0.0
        start_ms = state.days.start_ms(state.today)
        hours = (now_ms - start_ms) / HOUR_MS
        rows = self.rows(store)
        window = state.cls.part["units_out_milli_24h"]
        assert isinstance(window, RingWindow)
        newest = window.newest
        numbers = np.arange(max(newest - window.buckets + 1, 0), newest + 1)
        before = numbers[(numbers + 1) * HOUR_MS <= start_ms]  # yesterday, after this hour
        left = float(_cells(window.ring, before % window.buckets, rows).sum()) / 1000
        whole = sum(float(self._day_ring(n).series(rows, 2)[0].sum()) / 1000 for n in at_edge.UNITS)
        return demand.share_done(left, whole, hours)


def _cells(ring: NDArray[Any], lines: Ints, rows: Ints) -> NDArray[Any]:
    """``ring[lines][:, rows]``; of few rows no others are copied."""
    few = 4 * len(rows) < ring.shape[1]
    return np.asarray(ring[np.ix_(lines, rows)] if few else ring[lines][:, rows])


def _days(whole: demand.Ahead, parts: demand.Parts, today: int) -> list[DayPoint]:
    return [
        DayPoint(
            day=date_of(today + i),
            units=_round(float(whole.mean[i])),
            low=_round(float(whole.low[i])),
            high=_round(float(whole.high[i])),
            trend=_round(float(parts.trend[i])),
            season=_round(float(parts.season[i])),
            holiday=_round(float(parts.holiday[i])),
            influence=_round(float(parts.influence[i])),
        )
        for i in range(len(whole.mean))
    ]


def _round(value: float | None) -> float | None:
    return None if value is None or value != value else round(float(value), 4)


@lru_cache(4_096)
def date_of(day: int) -> str:
    """A day, counted from 1970-01-01, as ``YYYY-MM-DD``."""
    return str(np.datetime64(day, "D"))
