"""What readers are told of demand: days and weeks ahead, their parts, today as it goes on. Structs only."""

from msgspec import Struct

from edge.view_basis import Basis


class DayPoint(Struct, kw_only=True):
    """One day ahead."""

    day: str
    """Day, ``YYYY-MM-DD``."""
    units: float | None
    """Units expected to go out: the sum of trend, season, holiday and influence."""
    low: float | None
    """Lower end of the interval; null: of one class it is told for 28 days."""
    high: float | None
    """Upper end of the interval."""
    trend: float | None
    """Part: the level, along a straight line."""
    season: float | None
    """Part: what the weekday adds."""
    holiday: float | None
    """Part: what a holiday adds, or takes away."""
    influence: float | None
    """Part: what weather and events known ahead add."""


class WeekPoint(Struct, kw_only=True):
    """Seven days ahead."""

    from_day: str
    """First day."""
    to_day: str
    """Last day."""
    units: float | None
    """Units expected."""
    low: float | None
    """Lower end of the interval."""
    high: float | None
    """Upper end of the interval."""


class InfluenceRow(Struct, kw_only=True):
    """An outside factor that moved these classes."""

    factor: str
    """Kind and name, such as ``weather.temperature_c``."""
    ratio: float
    """What one more unit of it adds to demand, as a share."""
    t: float
    """How many standard errors that is from nothing."""
    days: int
    """Days it was found in."""
    known_ahead: bool
    """Whether its values of the days ahead are known, so that they count in the forecast."""


class Season(Struct, kw_only=True):
    """What the days ahead have in common."""

    weekday: list[float]
    """Share of the average day, Monday first."""
    trend_per_week: float
    """Change of the level a week, units a day."""
    holidays: list[str]
    """Days of the horizon on which the model expects another demand for a holiday."""
    influences: list[InfluenceRow]
    """Weather and events that moved demand, the surest first."""


class Nowcast(Struct, kw_only=True):
    """Today, as units move."""

    day: str
    """Today."""
    so_far: float
    """Units that went out today."""
    share: float
    """Share of a day's business that is usually done by now."""
    forecast: float | None
    """Units that this morning's forecast expected of today."""
    units: float | None
    """Units expected of today now."""
    low: float | None
    """Lower end of the interval."""
    high: float | None
    """Upper end of the interval."""


class DemandForecast(Struct, kw_only=True):
    """What will be asked for, by day and week."""

    basis: Basis
    """What it stands on."""
    store: str
    """Store; empty: all."""
    category: str
    """Category; empty: all."""
    sku: str
    """Class; empty: all of the store and category."""
    classes: int
    """Classes in it."""
    unknown: int
    """Classes of which nothing is known: they count as nothing."""
    why_empty: str = ""
    """Why ``days`` and ``weeks`` hold no units, and what is needed; empty: they hold some."""
    level: float
    """Share of cases that an interval should hold."""
    confidence: float | None
    """Share that intervals really held over the last weeks; null: not measured yet."""
    accuracy: float | None
    """1 less the weighted absolute error of a day's forecast over the last weeks; null: not measured."""
    weeks: list[WeekPoint]
    """By week, from today on."""
    days: list[DayPoint]
    """By day, from today on."""
    season: Season
    """The pattern in it."""
    nowcast: Nowcast
    """Today."""
