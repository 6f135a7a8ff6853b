"""Forecasts that are kept, as readers see them; and making them out of what demand says. No storage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.features.business import class_key
from edge.features.windows import DayRing
from edge.inference import demand as at_edge
from edge.inference.field import DAY_UNITS
from edge.ledger.forecasts import Forecast, ForecastDays, Status
from edge.services import demand
from edge.view_basis import Basis, Sources
from edge.view_demand import DemandView, date_of

Floats = NDArray[np.float64]

SLICE_CLASSES = 10
"""Classes that are written out in one slice."""
UNKNOWN_WHY = (
    "nothing was known of this class in this store when the forecast was made: look it up in "
    "/api/classes, or put it into the catalogue"
)
NO_NUMBERS_WHY = (
    "no closed day was known on which anybody could have had it, and no demand was set by hand: tell "
    "its sales and rentals (POST /api/events), then make the forecast anew (PUT)"
)


class ForecastPoint(Struct, kw_only=True):
    """One day of a forecast."""

    date: str
    """Day, ``YYYY-MM-DD``."""
    demand: float | None
    """Units expected; null: nothing is known."""
    lower_bound: float | None
    """Lower end of the interval; null: not told so far ahead."""
    upper_bound: float | None
    """Upper end of the interval."""
    bound: Literal["", "minimum", "maximum"]
    """Which of the bounds that were asked for holds the units expected; empty: none does."""
    interval_level: float
    """Share of days that the interval should hold."""
    confidence: float | None
    """Share of days that the model's intervals so far ahead really held, here, over the last weeks;
    null: not measured yet."""


class ProductForecast(Struct, kw_only=True):
    """What a forecast says of one class."""

    forecast_id: str
    """Id of the forecast."""
    product_id: str
    """Class or SKU."""
    sku: str
    """The same."""
    store: str
    """Store."""
    predictions: list[ForecastPoint]
    """By day."""
    state: Literal["forecast", "no_numbers"]
    """``no_numbers``: nothing could be said of it."""
    reason: str
    """Why nothing could be said; empty: something was."""
    total_units: float | None
    """Sum of what is expected; null: nothing is."""
    bounded_days: int
    """Days on which ``minimum`` or ``maximum`` holds the units expected."""
    model_used: str
    """Family and version of the model, or the simple rule; empty: nobody spoke."""
    confidence: float | None
    """Share of days that the model's intervals of the next day really held; null: not measured yet."""
    accuracy: float | None
    """1 less the weighted absolute error over the days that have passed; before that, of the model's
    forecasts of a day over the last weeks; null: nothing is known yet."""
    days_passed: int
    """Days of it that have passed and can be judged."""


class Without(Struct, kw_only=True):
    """A class that a forecast has no numbers of."""

    sku: str
    """Class."""
    state: Literal["unknown_class", "no_numbers"]
    """Whether the class itself is unknown, or only its demand."""
    reason: str
    """Why, and what helps."""


class ForecastRow(Struct, kw_only=True):
    """A kept forecast, without what it says."""

    id: str
    """Its id."""
    name: str
    """Name that people gave it."""
    store: str
    """Store."""
    skus: list[str]
    """Classes that were asked for."""
    horizon_days: int
    """Days ahead, the first being the day it was made on."""
    minimum: float
    """Least units a day of a class that it may say."""
    maximum: float | None
    """Most units a day of a class that it may say; null: no bound."""
    first_day: str
    """Its first day, ``YYYY-MM-DD``."""
    last_day: str
    """Its last day, ``YYYY-MM-DD``."""
    status: Status
    """``completed``: every class has numbers; ``partial``: some have none; ``empty``: none has any."""
    total_units: float | None
    """Sum of what is expected; null: nothing is."""
    service: str
    """Service that spoke."""
    version: str
    """Version of its model; empty: a simple rule spoke."""
    kind: str
    """Family of the model, or ``rule``."""
    fallback: bool
    """Whether a simple rule spoke for at least one class."""
    made_from_ms: int
    """The moment of the state it was made from."""
    created_ms: int
    """When it was first asked for."""
    updated_ms: int
    """When it was last made anew, or named."""
    asked_by: str
    """Who asked."""


class ForecastAnswer(Struct, kw_only=True):
    """A forecast with what it says."""

    basis: Basis
    """What it stands on."""
    forecast_id: str
    """Its id."""
    status: Status
    """``completed``: every class has numbers; ``partial``: some have none; ``empty``: none has any."""
    forecast: ForecastRow
    """What was asked for."""
    forecasts: list[ProductForecast]
    """By class, those that are known."""
    without: list[Without]
    """Classes without numbers, and why."""


class ForecastScore(Struct, kw_only=True):
    """How good one forecast has been for one class."""

    forecast_id: str
    """Id of the forecast."""
    sku: str
    """Class."""
    store: str
    """Store."""
    days: int
    """Days that have passed and can be judged."""
    expected: float
    """Units that it expected of them."""
    actual: float
    """Units that went out."""
    accuracy: float | None
    """1 less the sum of absolute errors over the sum of actuals; null: nothing went out."""
    bias: float | None
    """Expected less actual, over actual; null: nothing went out."""
    coverage: float | None
    """Share of days within the interval; null: none was told."""
    version: str
    """Version of the model; empty: the simple rule."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of the active model's forecasts."""

    figures: Mapping[str, float]
    """Of those of a day, over the last weeks."""
    by_day: Mapping[int, float]
    """Days ahead -> share of days that the intervals really held, where measured."""

    _held: list[float | None] = field(default_factory=list)

    def held(self, days: int) -> list[float | None]:
        """Of each day ahead the share of the one measured that is nearest to it: few are judged."""
        for ahead in range(len(self._held) + 1, days + 1):
            near = min(self.by_day, key=lambda day: abs(day - ahead), default=None)
            self._held.append(None if near is None else self.by_day[near])
        return self._held[:days]


class ForecastsView:
    """Makes forecasts, and holds kept ones against what happened."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self._demand = DemandView(sources)

    @property
    def today(self) -> int:
        """The present day, counted from 1970-01-01."""
        return self._state.today

    def kept(self) -> list[Forecast]:
        """Every forecast that is kept."""
        return list(self._sources.core.ledger.rows(Forecast).values())

    def one(self, id_: str) -> Forecast | None:
        """One of them."""
        return self._sources.core.ledger.get(Forecast, id_)

    def known(self, store: str, skus: Sequence[str]) -> dict[str, int]:
        """SKU -> row, of those that the store knows."""
        keys = self._state.cls.keys
        found = {sku: keys.get(class_key(store, sku)) for sku in skus}
        return {sku: row for sku, row in found.items() if row >= 0}

    def filling(self, rows: Sequence[int]) -> Iterator[None]:
        """To be gone through before ``made``."""
        return self._demand.filling(np.array(rows, np.int64))

    def version(self) -> str:
        """Version that answers now; empty: none."""
        return self._demand.who().version

    def counted(self) -> Basis:
        """Of what is only listed."""
        return self._sources.counted()

    def who(self) -> Basis:
        """Who speaks of demand now."""
        return self._demand.who()

    def measured(self) -> dict[str, float]:
        """Figures of the active version's forecasts of a day, over the last weeks."""
        return self._demand.measured()

    def made(
        self, asked: Forecast, intervals: bool
    ) -> Iterator[tuple[Forecast, list[ForecastDays]]]:
        """The forecast with who spoke, and what is said of each class, within its bounds.

        Some more of it at each step; the last one is the whole.
        """
        rows = self.known(asked.store, asked.skus)
        said = self._demand.said(np.array(list(rows.values()), np.int64), asked.horizon_days)
        basis = self._demand.basis(len(rows), said.by_rule, said.oldest_ms)
        today = self._state.today
        days: list[ForecastDays] = []
        whole = msgspec.structs.replace(
            asked,
            first_day=today,
            status=_status(len(asked.skus), int((~np.isnan(said.mean)).any(axis=1).sum())),
            version=basis.version,
            kind=basis.kind,
            fallback=basis.fallback,
            made_from_ms=basis.as_of_ms,
        )
        for i, sku in enumerate(rows):
            if i % SLICE_CLASSES == 0:
                yield whole, days
            ahead = demand.Ahead(said.mean[i], said.low[i], said.high[i])
            ahead = ahead.bounded(asked.minimum, asked.maximum)
            days.append(
                ForecastDays(
                    forecast=asked.id,
                    sku=sku,
                    store=asked.store,
                    first_day=today,
                    demand=_told(ahead.mean),
                    low=_told(ahead.low) if intervals else [None] * len(ahead.low),
                    high=_told(ahead.high) if intervals else [None] * len(ahead.high),
                    interval_level=round(demand.LEVEL, 6),
                    version="" if said.ruled[i] else basis.version,
                    fallback=bool(said.ruled[i]),
                    updated_ms=0,
                )
            )
        total = sum(value for one in days for value in one.demand if value is not None)
        yield msgspec.structs.replace(whole, total_units=round(total, 4)), days

    def answer(self, row: Forecast, products: list[ProductForecast]) -> ForecastAnswer:
        """A kept forecast with what it says, class by class."""
        return ForecastAnswer(
            basis=self.basis(row),
            forecast_id=row.id,
            status=row.status,
            forecast=row_of(row),
            forecasts=products,
            without=_without(row, products),
        )

    def basis(self, row: Forecast) -> Basis:
        """What a kept forecast stands on."""
        age_ms = self._sources.now_ms - row.made_from_ms
        return Basis(
            as_of_ms=row.made_from_ms,
            revision=self._sources.revision,
            service=row.service,
            version=row.version,
            kind=row.kind,
            fallback=row.fallback,
            rule="a simple rule spoke for at least one class" if row.fallback else "",
            stale=age_ms > self._sources.config.models.feature_stale_h * 3_600_000,
        )

    def product(
        self, row: Forecast, days: ForecastDays, measured: Measured | None = None
    ) -> ProductForecast:
        """What a forecast says of one class; who shows many hands in what was ``measured`` once."""
        measured = measured or self.judged()
        closed = days.first_day < self._state.today
        score = self.score(days) if closed else None
        spoke = f"{row.kind} {days.version}".strip() if not days.fallback else "rule"
        bounds = _bounds(days.demand, row)
        told = [value for value in days.demand if value is not None]
        held = measured.held(len(days.demand))
        points = zip(days.demand, days.low, days.high, bounds, held, strict=True)
        return ProductForecast(
            forecast_id=days.forecast,
            product_id=days.sku,
            sku=days.sku,
            store=days.store,
            predictions=[
                ForecastPoint(
                    date=date_of(days.first_day + i),
                    demand=value,
                    lower_bound=low,
                    upper_bound=high,
                    bound=bound,
                    interval_level=days.interval_level,
                    confidence=None if low is None else share,
                )
                for i, (value, low, high, bound, share) in enumerate(points)
            ],
            state="forecast" if told else "no_numbers",
            reason="" if told else NO_NUMBERS_WHY,
            total_units=round(sum(told), 4) if told else None,
            bounded_days=sum(bound != "" for bound in bounds),
            model_used=spoke if told else "",
            confidence=measured.figures.get("coverage"),
            accuracy=score.accuracy if score and score.days else measured.figures.get("accuracy"),
            days_passed=score.days if score else 0,
        )

    def judged(self) -> Measured:
        """What was measured of the active model so far."""
        told = self._demand.scores()
        found = {DAY_UNITS.fullmatch(name): figures for name, figures in told.items()}
        by_day = {int(m[1]): f["coverage"] for m, f in found.items() if m and "coverage" in f}
        return Measured(self._demand.measured(), by_day)

    def score(self, days: ForecastDays) -> ForecastScore:
        """What it said of the closed days against what went out."""
        actual = self._actual(days)
        said = np.array([np.nan if v is None else v for v in days.demand[: len(actual)]])
        judged = ~np.isnan(said) & ~np.isnan(actual)
        total = float(actual[judged].sum())
        error = said[judged] - actual[judged]
        low = np.array([np.nan if v is None else v for v in days.low[: len(actual)]])
        high = np.array([np.nan if v is None else v for v in days.high[: len(actual)]])
        told = judged & ~np.isnan(low) & ~np.isnan(high)
        within = (actual >= np.floor(low)) & (actual <= np.ceil(high))
        return ForecastScore(
            forecast_id=days.forecast,
            sku=days.sku,
            store=days.store,
            days=int(judged.sum()),
            expected=round(float(said[judged].sum()), 4),
            actual=round(total, 4),
            accuracy=round(1 - float(np.abs(error).sum()) / total, 6) if total > 0 else None,
            bias=round(float(error.sum()) / total, 6) if total > 0 else None,
            coverage=round(float(within[told].mean()), 6) if told.any() else None,
            version=days.version,
        )

    def _actual(self, days: ForecastDays) -> Floats:
        """float64[d]: units that went out on its closed days; NaN where nobody looked."""
        state = self._state
        row = state.cls.keys.get(class_key(days.store, days.sku))
        passed = min(max(state.today - days.first_day, 0), len(days.demand))
        ring = state.cls.part["unseen"]
        assert isinstance(ring, DayRing)
        numbers = days.first_day + np.arange(passed)
        if row < 0:
            return np.full(passed, np.nan)
        total = np.zeros(passed)
        for name in at_edge.UNITS:
            units = state.cls.part[name]
            assert isinstance(units, DayRing)
            total += units.ring[numbers % units.days, row] / 1000
        gone = numbers <= state.today - ring.days
        return np.where(gone | (ring.ring[numbers % ring.days, row] > 0), np.nan, total)


def row_of(row: Forecast) -> ForecastRow:
    """As people see it."""
    return ForecastRow(
        id=row.id,
        name=row.name,
        store=row.store,
        skus=row.skus,
        horizon_days=row.horizon_days,
        minimum=row.minimum,
        maximum=row.maximum,
        first_day=date_of(row.first_day),
        last_day=date_of(row.first_day + row.horizon_days - 1),
        status=row.status,
        total_units=None if row.status == "empty" else row.total_units,
        service=row.service,
        version=row.version,
        kind=row.kind,
        fallback=row.fallback,
        made_from_ms=row.made_from_ms,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        asked_by=row.asked_by,
    )


def _status(asked: int, told: int) -> Status:
    if not told:
        return "empty"
    return "completed" if told == asked else "partial"


def _without(row: Forecast, products: Sequence[ProductForecast]) -> list[Without]:
    reasons = {product.sku: product.reason for product in products}
    return [
        Without(
            sku=sku,
            state="no_numbers" if sku in reasons else "unknown_class",
            reason=reasons.get(sku, UNKNOWN_WHY),
        )
        for sku in row.skus
        if reasons.get(sku, UNKNOWN_WHY)
    ]


def _bounds(
    values: Sequence[float | None], row: Forecast
) -> list[Literal["", "minimum", "maximum"]]:
    """At which bound of a forecast each value stands; values are kept with four digits."""
    if row.minimum <= 0 and row.maximum is None:
        return [""] * len(values)
    return [_bound(value, row) for value in values]


def _bound(value: float | None, row: Forecast) -> Literal["", "minimum", "maximum"]:
    """Which bound of a forecast a value stands at; values are kept with four digits."""
    if value is None:
        return ""
    if row.minimum > 0 and value <= round(row.minimum, 4):
        return "minimum"
    return "maximum" if row.maximum is not None and value >= round(row.maximum, 4) else ""


def _told(values: Floats) -> list[float | None]:
    return [None if v != v else round(v, 4) for v in values.tolist()]
