"""Forecasts that are kept, as readers see them; and making them out of what demand says. No storage."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.features.business import class_key
from edge.features.windows import DayRing
from edge.inference import demand as at_edge
from edge.ledger.forecasts import Forecast, ForecastDays
from edge.services import demand
from edge.view_basis import Basis, Sources
from edge.view_demand import DemandView

Floats = NDArray[np.float64]

SLICE_CLASSES = 10
"""Classes that are written out in one slice."""


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
    confidence: float
    """Share of days that the interval should hold."""


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
    total_units: float
    """Sum of what is expected."""
    model_used: str
    """Family and version of the model, or the simple rule."""
    accuracy: float | None
    """1 less the weighted absolute error over the days that have passed; before that, of the model's
    forecasts of a day over the last weeks; null: nothing is known yet."""
    days_passed: int
    """Days of it that have passed and can be judged."""


class ForecastAnswer(Struct, kw_only=True):
    """A forecast with what it says."""

    basis: Basis
    """What it stands on."""
    forecast_id: str
    """Its id."""
    status: str
    """``completed``, or ``partial`` where some classes are not known."""
    forecast: Forecast
    """What was asked for."""
    forecasts: list[ProductForecast]
    """By class."""


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
            status="completed" if len(rows) == len(asked.skus) else "partial",
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
            forecast=row,
            forecasts=products,
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
            rule="a simple rule spoke for some classes" if row.fallback else "",
            stale=age_ms > self._sources.config.models.feature_stale_h * 3_600_000,
        )

    def product(self, row: Forecast, days: ForecastDays) -> ProductForecast:
        """What a forecast says of one class."""
        score = self.score(days)
        measured = self._demand.measured().get("accuracy")
        spoke = f"{row.kind} {days.version}".strip() if not days.fallback else "rule"
        return ProductForecast(
            forecast_id=days.forecast,
            product_id=days.sku,
            sku=days.sku,
            store=days.store,
            predictions=[
                ForecastPoint(
                    date=_date(days.first_day + i),
                    demand=value,
                    lower_bound=days.low[i],
                    upper_bound=days.high[i],
                    confidence=days.interval_level,
                )
                for i, value in enumerate(days.demand)
            ],
            total_units=round(sum(v for v in days.demand if v is not None), 4),
            model_used=spoke,
            accuracy=score.accuracy if score.days else measured,
            days_passed=score.days,
        )

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


def _told(values: Floats) -> list[float | None]:
    return [None if v != v else round(v, 4) for v in values.tolist()]


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))
