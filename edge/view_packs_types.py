"""What readers are told of packs: the records of the answers. No columns, no state."""

from msgspec import Struct

from edge.view_pricing_types import Range

UNKNOWN_CENTS = -1e15
"""Below every effect that is known."""


class PartRow(Struct, kw_only=True, gc=False):
    """One class of a pack."""

    sku: str
    """Class or SKU."""
    units: float
    """Units of it in a pack."""
    name: str
    """Name."""
    price_cents: float | None
    """Price of one unit alone; null: not known."""


class PackRow(Struct, kw_only=True):
    """How one pack does."""

    id: str
    """Its id."""
    name: str
    """Name."""
    sku: str
    """SKU under which it is handed out."""
    store: str
    """Store."""
    status: str
    """``offered`` or ``dissolved``."""
    parts: list[PartRow]
    """What is in it."""
    price_cents: int
    """Price of the pack."""
    separate_cents: float | None
    """What its parts cost apart now; null: a price is not known."""
    discount: float | None
    """Share that the pack takes off; below 0: it is dearer than its parts."""
    stage: str
    """Of its life: launch, growth, steady, decline, idle, unknown."""
    growth_per_week: float | None
    """Share by which its units change a week, against the shop's; null: not known."""
    growth_q: float | None
    """Least share of false trends at which this would be one."""
    units_28d: float
    """Packs handed out in the last 28 closed days."""
    units_before_28d: float
    """In the 28 days before."""
    units_total: float
    """In the last 364 days."""
    revenue_28d_cents: int
    """Revenue of the last 28 closed days."""
    utilisation: float | None
    """Share of its units that were out over 28 days."""
    share_of_parts: float | None
    """Of the units of its scarcest part that went out in 28 days, the share within the pack."""
    contribution_28d_cents: float | None
    """Revenue less cost of the parts, of 28 days."""
    effect_cents: Range
    """What having the pack is worth over 28 days against not having it; null: not known."""
    chance: float | None
    """That it is worth something."""
    advice: str
    """``keep``, ``watch`` or ``dissolve``; empty: it is not offered any more."""
    reasons: list[str]
    """Why, for people."""


class Candidate(Struct, kw_only=True):
    """A pack that could be."""

    id: str
    """Id that the pack would have."""
    store: str
    """Store."""
    action: str
    """``create``: likely a gain; ``consider``: they go together, what a pack would bring is not sure or
    not known."""
    parts: list[PartRow]
    """What would be in it."""
    documents: int
    """Documents that held all of it in the time looked at: of three classes the most there can be."""
    days: int
    """Days looked at."""
    lift: float
    """Documents with both over those that popularity and sizes explain; of three: of the weakest pair."""
    lift_low: float
    """Lower end of its interval (80 %)."""
    lift_high: float
    """Upper end."""
    confidence_ab: float
    """Share of the documents with the first that hold the second."""
    confidence_ba: float
    """The other way round."""
    q: float
    """Least share of false discoveries at which this would be one."""
    separate_cents: float | None
    """What the parts cost apart; null: a price is not known."""
    price_cents: float | None
    """Price that would bring most; null: not known."""
    discount: float | None
    """The same as a share off."""
    effect_cents: Range
    """What the pack would be worth over 28 days; null: an elasticity is not known."""
    chance: float | None
    """That it is worth something."""
    units_28d: float | None
    """Packs expected to go out in 28 days."""
    extra_units_28d: float | None
    """Of them, those that would not have gone out together."""
    together_28d_cents: float | None
    """What all of it costs apart, times how often it goes out together in 28 days: the money it is about;
    null: a price is not known."""
    source: str
    """``history`` or ``model``: who found the pair."""
    reasons: list[str]
    """Why, for people."""

    @property
    def effect(self) -> float:
        """To sort by: the expected effect, cents; those of which it is not known behind, by the money
        they are about."""
        known = self.effect_cents.value
        return known if known is not None else UNKNOWN_CENTS + (self.together_28d_cents or 0.0)


class PairRow(Struct, kw_only=True, gc=False):
    """Two classes that were tested for going out together."""

    store: str
    """Store."""
    sku: str
    """One class."""
    other: str
    """The other."""
    documents: int
    """Documents with both, at least."""
    of_sku: int
    """Documents with the one."""
    of_other: int
    """Documents with the other."""
    support: float
    """Share of the store's documents that hold both."""
    confidence_ab: float
    """Share of the documents with the one that hold the other."""
    confidence_ba: float
    """The other way round."""
    lift: float
    """Documents with both over those that popularity and sizes explain."""
    lift_low: float
    """Lower end of its interval (80 %)."""
    lift_high: float
    """Upper end."""
    lift_plain: float
    """The textbook's lift: against independence."""
    p: float
    """Probability of so many or more by chance."""
    q: float
    """Least share of false discoveries at which this would be one."""
