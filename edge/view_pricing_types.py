"""What readers are told of prices: recommendations, elasticities, competitors. Structs only."""

from msgspec import Struct


class Range(Struct, kw_only=True, gc=False):
    """A number and what should hold it in 80 % of cases."""

    value: float | None
    """What is expected; null: nothing can be said."""
    low: float | None
    """Lower end."""
    high: float | None
    """Upper end."""


class Influences(Struct, kw_only=True, gc=False):
    """How far each influence moves the recommended change, as a share of the price."""

    season: float | None
    """Against an average time of the year."""
    utilisation: float | None
    """Against no end to what can be handed out."""
    quality: float | None
    """Against goods that are not worn."""
    market: float | None
    """Against no competitors."""


class PriceRow(Struct, kw_only=True):
    """What is recommended for one class in one store."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    name: str
    """Name."""
    category: str
    """Category."""
    action: str
    """``change`` the price, ``test`` another first, ``keep`` it, or ``nothing`` is known."""
    price_cents: float | None
    """Present price; null: not known."""
    baseline_cents: float | None
    """Price that people set: guard rails count from it."""
    recommended_cents: float | None
    """Price that would earn most within the rails; null: nothing is known."""
    change: float | None
    """The same as a share of the present price; 0: keep it."""
    confidence: float | None
    """Chance that the change gains; with ``keep``: that no allowed one gains."""
    units_now: float | None
    """Units of the next 28 days at the present price."""
    units: float | None
    """Units at the recommended one."""
    revenue_now_cents: Range
    """Revenue of the next 28 days at the present price."""
    revenue_cents: Range
    """Revenue at the recommended one."""
    gain_cents: Range
    """What the change adds to revenue less cost of the units."""
    elasticity: Range
    """Percent of units for one percent of price."""
    evidence: str
    """What that rests on: its ``own`` prices, its ``category``'s, or ``nothing``."""
    season: float | None
    """Expected units over those of an average time as long."""
    utilisation: float | None
    """Share of the units that were out over 28 days."""
    grade: float | None
    """Mean quality grade, 1 (C-) to 9 (A+)."""
    market_cents: float | None
    """Median of competitors' prices seen within 60 days."""
    competitors: int
    """How many of them."""
    reasons: list[str]
    """What stands behind it, or in its way, for people."""
    influences: Influences | None = None
    """Only for a class that was asked for by ``sku``."""


class ElasticityRow(Struct, kw_only=True):
    """How units of one class answer to its price."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    name: str
    """Name."""
    category: str
    """Category."""
    elasticity: Range
    """Percent of units for one percent of price."""
    evidence: str
    """What that rests on: its ``own`` prices, its ``category``'s, or ``nothing``."""
    kind: str
    """``elastic`` (below -1 for sure), ``inelastic`` (above), ``either``, ``odd`` (above 0), ``unknown``."""
    price_cents: float | None
    """Present price."""
    seen_low_cents: float | None
    """Lowest price ever charged, as the model saw it."""
    seen_high_cents: float | None
    """Highest."""
    extrapolated: bool
    """Whether the present price is outside of these."""


class ElasticityGroup(Struct, kw_only=True):
    """Classes of a category together."""

    category: str
    """Category; empty: classes without one."""
    classes: int
    """Classes with evidence of their own."""
    elasticity: float
    """Mean of theirs."""
    sd: float
    """Of that mean."""
    spread: float
    """Deviation between classes."""


class CompetitorRow(Struct, kw_only=True):
    """The newest price of one competitor for one class."""

    sku: str
    """Class or SKU, as ours."""
    store: str
    """Store of ours that it competes with."""
    competitor: str
    """Whose price."""
    price_cents: int
    """Price of one unit."""
    before_cents: int
    """The one seen before; 0: none."""
    seen_ms: int
    """When it was seen."""
    age_days: float
    """Days since."""
    counts: bool
    """Whether it is new enough to count."""
    ours_cents: float | None
    """Our price; null: not known."""
    gap: float | None
    """Ours over theirs less 1."""
    source: str
    """Who told."""
