"""Which influences move which classes, as readers see it: a table and a picture. No judgement.

Worked out once a day beside the corridor (``edge.pipeline_insights``), by ``edge.services.correlation``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.services.correlation import FDR, Found, Season
from edge.services.correlation_picture import Cell, svg
from edge.view_basis import Basis, Sources
from edge.view_market import DAY_MS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROWS_DRAWN = 40
KEPT = 8
"""Selections that are remembered."""
RULE = (
    "calendar and memory taken out of both sides (Haugh 1976), largest of lags 0 to 14 (Sidak), "
    "false discoveries held (Benjamini & Hochberg; careful: & Yekutieli); moving together is no cause"
)
SEASONS = ("season.weekday", "season.year")


class CorrelationRow(Struct, kw_only=True, gc=False):
    """One class and one influence."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    name: str
    """Name of the class."""
    factor: str
    """Influence: ``weather.temperature_c``, ``events.fair_in_town``, ``price``, ``season.weekday``,
    ``season.year``."""
    lag_days: int
    """Units follow so many days later."""
    effect: float | None
    """Change of units, a share, for one standard deviation of what was unforeseen of the influence;
    null for seasons."""
    effect_low: float | None
    """Lower end of its interval (80 %)."""
    effect_high: float | None
    """Upper end."""
    r: float | None
    """Correlation of the unforeseen parts; null for seasons."""
    explained: float | None
    """Share of the variance that it explains."""
    days: int
    """Days with both known."""
    p: float
    """Probability of this or more by chance, lags counted."""
    q: float
    """Least share of false discoveries at which this would be one."""
    q_careful: float
    """The same, whatever depends on whatever."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at some time found."""

    keys: list[str]
    """Store and SKU of each class that was looked at."""
    factors: list[str]
    """Name of each influence, ``price`` among them."""
    found: Found
    season: Season
    first_day: int
    days: int
    took_s: float


class CorrelationsView:
    """Holds the newest look."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._looked: Looked | None = None
        self._at_ms = 0
        self._rows: list[CorrelationRow] = []
        self.look: Callable[[], Awaitable[None]] | None = None
        """Look now; set by whoever looks once a day, ``None`` where nobody does."""
        self._chosen: dict[tuple[float, bool], list[CorrelationRow]] = {}

    def take(self, looked: Looked, rows: list[CorrelationRow]) -> None:
        """What the newest look found, and its rows (``told``, made in a thread)."""
        self._looked, self._at_ms, self._rows = looked, self._sources.now_ms, rows
        self._chosen.clear()

    def basis(self) -> Basis:
        """A formula speaks."""
        made = self._sources.computed(RULE)
        made.as_of_ms = self._at_ms or made.as_of_ms
        return made

    @property
    def looked_ms(self) -> int:
        """When the newest look was; 0: there was none."""
        return self._at_ms

    @property
    def span(self) -> tuple[str, str]:
        """First and last day that were looked at; empty: none."""
        if self._looked is None:
            return "", ""
        first = self._looked.first_day
        return _date(first), _date(first + self._looked.days - 1)

    @property
    def tests(self) -> int:
        """Pairs that were tested, seasons included."""
        return len(self._rows)

    def rows(self, q_most: float, careful: bool) -> list[CorrelationRow]:
        """Rows whose share of false discoveries is at most ``q_most``."""
        chosen = self._chosen.get((q_most, careful))
        if chosen is None:
            if careful:
                chosen = [row for row in self._rows if row.q_careful <= q_most]
            else:
                chosen = [row for row in self._rows if row.q <= q_most]
            if len(self._chosen) >= KEPT:
                self._chosen.clear()
            self._chosen[q_most, careful] = chosen
        return chosen

    def name(self, row: CorrelationRow) -> str:
        """Name of the class."""
        state = self._sources.core.state
        return state.cls.text["name"].get(state.cls.keys.get(f"{row.store}\x1f{row.sku}"), "")

    def picture(self, q_most: float = FDR, careful: bool = False) -> str:
        """SVG of the classes that most was found of."""
        found = self.rows(q_most, careful)
        many: dict[tuple[str, str], int] = {}
        for row in found:
            many[row.store, row.sku] = many.get((row.store, row.sku), 0) + 1
        classes = sorted(many, key=lambda key: (-many[key], key))[:ROWS_DRAWN]
        at = {key: i for i, key in enumerate(classes)}
        factors = sorted({row.factor for row in found if (row.store, row.sku) in at},
                         key=lambda name: (name.startswith("season."), name))  # fmt: skip
        cells = {
            (at[row.store, row.sku], factors.index(row.factor)): Cell(
                row.effect, row.explained or 0.0, row.lag_days
            )
            for row in found
            if (row.store, row.sku) in at
        }
        first, last = self.span
        note = (
            f"{first} to {last}; {self.tests} pairs tested, at most {q_most:.0%} of what is shown is "
            "expected to be chance. Percent of units for one standard deviation; d: days later; "
            "seasons: share explained. Together is no cause."
        )
        if not first:
            note = "Not looked at yet: that takes days that have closed."
        labels = [f"{sku} ({store})" for store, sku in classes]
        return svg("What moves together", note, labels, factors, cells)


def told(looked: Looked) -> list[CorrelationRow]:
    """The rows of a look."""
    found, made = looked.found, []
    for i in range(len(found.p)):
        store, _, sku = looked.keys[found.row[i]].partition("\x1f")
        made.append(
            CorrelationRow(
                sku=sku, store=store, name="", factor=looked.factors[found.factor[i]],
                lag_days=int(found.lag_days[i]), effect=_round(found.effect[i]),
                effect_low=_round(found.effect_low[i]), effect_high=_round(found.effect_high[i]),
                r=_round(found.r[i]), explained=_round(found.r[i] ** 2), days=int(found.days[i]),
                p=float(found.p[i]), q=float(found.q[i]), q_careful=float(found.q_careful[i]),
            )
        )  # fmt: skip
    season = looked.season
    sides = (
        (season.weekday, season.weekday_p, season.weekday_q),
        (season.year, season.year_p, season.year_q),
    )
    for name, (share, p, q) in zip(SEASONS, sides, strict=True):
        for i in np.flatnonzero(np.isfinite(share)).tolist():
            store, _, sku = looked.keys[i].partition("\x1f")
            made.append(
                CorrelationRow(
                    sku=sku, store=store, name="", factor=name, lag_days=0, effect=None,
                    effect_low=None, effect_high=None, r=None, explained=_round(share[i]),
                    days=looked.days, p=float(p[i]), q=float(q[i]), q_careful=float(q[i]),
                )
            )  # fmt: skip
    return made


def _round(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _date(day: int) -> str:
    return str(np.datetime64(day * DAY_MS // 86_400_000, "D"))
