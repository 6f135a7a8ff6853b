"""What readers see of maintenance: records only. The view (``view_maintenance``) fills them."""

from typing import Literal

from msgspec import Struct

from edge.view_basis import Basis, Listed

Way = Literal["plan", "run_to_failure", "calendar", "best_calendar"]


class ServiceRow(Struct, kw_only=True):
    """One planned service."""

    epc: str
    """The item."""
    name: str
    """Its name, or its class's."""
    sku: str
    """Its class."""
    store: str
    """Its store."""
    day: str
    """Day of the service, ``YYYY-MM-DD``."""
    crew: str
    """Who does it."""
    hours: float
    """Hours it takes."""
    cost_cents: int
    """Parts and labour."""
    averts_cents: int
    """What the failures cost that it is expected to avert."""
    spends_cents: int
    """What it is expected to cost, missed rentals included; it is not done where the item fails before."""
    saves_cents: int
    """``averts_cents`` less ``spends_cents``: what it is expected to save against no service."""
    probability: float | None
    """Of a failure or repair within the plan's days without it."""
    avoids: float
    """Failures that it is expected to avoid over the days that services are weighed by."""
    effect: float
    """Share of the rate of failures that is gone right after it."""
    effect_by: Literal["model", "configured"]
    """Who says so: the model of the same item just served, or ``maintenance.effect``."""
    confidence: float
    """Chance that the item costs less with the service than without, over the same days."""
    approved: bool
    """Whether somebody approved it: it stays on its day."""
    known_days: float
    """Days since the oldest thing that is known of the item."""
    founded: bool
    """Whether that is enough: of an item known for less, no service is proposed."""
    fallback: bool
    """Whether the shop's own rate stood in for a model."""
    done: bool = False
    """Whether the item was served or repaired since the plan was made: the next plan, within the hour,
    knows it."""


class WayRow(Struct, kw_only=True):
    """What one way of doing it is expected to cost over the days that services are weighed by."""

    way: Way
    """``plan``; ``run_to_failure``: no service at all; ``calendar``: every so many days."""
    interval_days: float | None
    """Days between services, for the calendar."""
    cost_cents: int
    """Everything: ``service_cents`` and ``failure_cents``."""
    services: int
    """Planned services."""
    service_cents: int
    """What they cost, missed rentals included."""
    failures: float
    """Failures expected."""
    failure_cents: int
    """What they cost."""
    saved_cents: int
    """What the plan saves against this way."""


class Schedule(Listed, kw_only=True):
    """The plan of services."""

    first_day: str
    """Its first day."""
    days: int
    """Days that are planned."""
    weighed_days: int
    """Days over which costs are counted."""
    items: int
    """Items looked at."""
    waiting: int
    """Items that a service would pay for, and for which there are no hours."""
    saved_cents: int
    """What the plan saves against no service."""
    bound_cents: int
    """No plan with these hours saves more."""
    over_hours: float
    """Hours of approved services beyond those that their crews have on their days: move some of them."""
    ways: list[WayRow]
    """The plan beside other ways of doing it."""
    services: list[ServiceRow]
    """The planned services of this page."""


class ComponentRow(Struct, kw_only=True):
    """One part in one item."""

    epc: str
    """The item."""
    component: str
    """Which part."""
    installed_ms: int
    """Since when."""
    age_days: float
    """How long it has been in."""
    expected_days: float
    """Mean life of such a part."""
    remaining_days: float
    """Mean of what is left at its age."""
    probability_30d: float
    """That it ends within 30 days."""
    replaced: int
    """How often this part of this item was replaced."""
    learnt_from: int
    """Replacements that its life was learnt from; 0: the configured life alone."""


class DayChance(Struct, kw_only=True):
    """Chance by one day."""

    days: int
    """Days from now."""
    probability: float | None
    """Of a failure or repair until then."""


class Advice(Struct, kw_only=True):
    """What a service of this item would be worth."""

    failure_cents: int
    """What a failure costs: repair, missed rentals and the rest."""
    service_cents: int
    """What a service costs, parts and labour."""
    effect: float
    """Share of the rate of failures that is gone right after a service."""
    effect_by: Literal["model", "configured"]
    """Who says so: the model of the same item just served, or ``maintenance.effect``."""
    never_cents: int
    """Expected cost without a service, over the days that services are weighed by."""
    best_cents: int
    """The same with a service on the best day."""
    best_day: str
    """That day, as if hours were free; empty: a service does not pay clearly enough."""
    planned_day: str
    """Day it has in the plan; empty: none."""
    crew: str
    """Who does it then."""


class Probability(Struct, kw_only=True):
    """How likely one item fails or needs a repair."""

    basis: Basis
    """How fresh it is and who spoke."""
    epc: str
    """The item."""
    sku: str
    """Its class."""
    curve: list[DayChance]
    """Chance by day."""
    days_to_event_p50: float | None
    """Days until half of the items like this one would have had it: where ``curve`` passes 0.5, later as
    the model tells it; null: not within the curve, and no model tells more that is believed in full."""
    advice: Advice | None
    """What a service would be worth; null: the item is not in the shop, or of no class."""
    components: list[ComponentRow]
    """Its parts."""
    known_days: float
    """Days since the oldest thing that is known of it."""
    founded: bool
    """Whether that is enough: of an item known for less, no service is proposed."""


class ComponentKindRow(Struct, kw_only=True):
    """One kind of part."""

    component: str
    """Which part."""
    in_use: int
    """Items that have it, as far as it was told."""
    replaced: int
    """Replacements, ever."""
    expected_days: float
    """Mean life."""
    shape: float
    """Above 1: it wears with age; 1: any age is alike (Weibull)."""
    learnt_from: int
    """Replacements that its life was learnt from."""
    due_30d: float
    """Ends expected within 30 days."""
    cost_cents: int | None
    """Mean cost of a replacement; null: never told."""


class Components(Listed, kw_only=True):
    """Parts in items."""

    kinds: list[ComponentKindRow]
    """Every kind of part."""
    components: list[ComponentRow]
    """The parts of this page."""


class WeekRow(Struct, kw_only=True):
    """What one week asks of one crew."""

    week: str
    """Its Monday."""
    crew: str
    """Who."""
    capacity_hours: float
    """Hours there are for planned services, on the days that are planned."""
    planned_hours: float
    """Hours of planned services."""
    services: int
    """How many."""
    repair_hours: float
    """Hours of repairs expected in spite of the plan, beside these."""
    used: float | None
    """Share of the hours that planned services take; null: there are none."""


class PartsRow(Struct, kw_only=True):
    """Parts expected to be needed in one week."""

    week: str
    """Its Monday."""
    component: str
    """Which part."""
    units: float
    """How many, on average."""
    cost_cents: int | None
    """What they cost; null: not known."""


class Resources(Struct, kw_only=True):
    """Hours and parts by week."""

    basis: Basis
    """How fresh it is and who spoke."""
    weeks: list[WeekRow]
    """Hours, by week and crew."""
    parts: list[PartsRow]
    """Parts, by week."""
    service_parts_cents: int
    """Parts of the planned services, beside those that are replaced whole."""
    waiting: int
    """Items that a service would pay for, and for which there are no hours."""
    why_empty: str
    """Why no part is expected to be needed; empty: some are."""


class ClassReturn(Struct, kw_only=True):
    """What maintenance of one class brings."""

    sku: str
    """The class."""
    store: str
    """Its store."""
    items: int
    """Items in the shop."""
    services: int
    """Planned services."""
    averted_cents: int
    """What the failures cost that they are expected to avert."""
    spend_cents: int
    """What they are expected to cost: parts, labour and missed rentals."""
    saved_cents: int
    """``averted_cents`` less ``spend_cents``."""
    roi: float | None
    """Saved for each cent spent; null: nothing is spent."""
    repairs: int
    """Repairs, ever."""
    repair_cents: int
    """Cost of maintenance but planned services, ever."""
    revenue_cents: int
    """Revenue of lines that name the items, ever."""
    waiting_cents: int
    """What further services would save if there were hours enough."""


class VerdictRow(Struct, kw_only=True):
    """What mechanics said."""

    verdict: str
    """right, false_alarm, missed or unsure."""
    times: int
    """How often."""
    predicted_mean: float | None
    """Mean of the probabilities told before."""
    rating_mean: float | None
    """Mean rating."""


class Returns(Listed, kw_only=True):
    """What maintenance brings. Over all its classes, sums of the lines are the totals."""

    items: int
    """Items in the shop."""
    services: int
    """Planned services."""
    averted_cents: int
    """What the failures cost that they are expected to avert."""
    spend_cents: int
    """What they are expected to cost: parts, labour and missed rentals."""
    saved_cents: int
    """``averted_cents`` less ``spend_cents``: what the plan saves against no service."""
    roi: float | None
    """``saved_cents`` for each cent of ``spend_cents``; null: nothing is spent."""
    waiting_cents: int
    """What further services would save if there were hours enough."""
    repairs: int
    """Repairs, ever."""
    repair_cents: int
    """Cost of maintenance but planned services, ever."""
    revenue_cents: int
    """Revenue of lines that name the items, ever."""
    saved_against_calendar_cents: int
    """What it saves against the calendar of ``maintenance.interval_days``."""
    feedback: list[VerdictRow]
    """What mechanics said of predictions."""
    right_share: float | None
    """Verdicts ``right`` among ``right`` and ``false_alarm``; null: nobody said either."""
    classes: list[ClassReturn]
    """By class, of this page."""
