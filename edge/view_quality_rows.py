"""What readers see of quality: records only. The view (``view_quality``) fills them."""

from msgspec import Struct

from edge.services.lifecycle import Choice
from edge.view_basis import Basis, Listed


class GradePoint(Struct, kw_only=True):
    """Grades on one day ahead."""

    days: int
    """Days from now."""
    grade: float | None
    """Expected grade, 1 (C-) to 9 (A+)."""
    p_a: float | None
    """Probability of a grade of group A."""
    p_b: float | None
    """Of group B."""
    p_c: float | None
    """Of group C."""


class HealthParts(Struct, kw_only=True):
    """Parts of the health score, 0 to 1; null: not known, the others count for it."""

    condition: float | None
    """Grade, from C- to A+."""
    reliability: float | None
    """Chance of no failure or repair within 30 days."""
    defects: float | None
    """1: no open defect; 0: three or more."""
    wear: float | None
    """What is left of its life, or of its worth after repairs, whichever is less."""


class ItemHealth(Struct, kw_only=True):
    """How well one item is."""

    epc: str
    """The item."""
    name: str
    """Its name, or its class's."""
    sku: str
    """Its class."""
    store: str
    """Its store."""
    grade: str
    """Grade now; empty: not graded."""
    health: float | None
    """0 (bad) to 100 (good)."""
    known: float
    """Weight of the parts that are known, 0 to 1."""
    parts: HealthParts
    """Its parts."""
    fallback: bool
    """Whether a simple rule stood in for a model."""


class HealthPage(Listed, kw_only=True):
    """How well items are."""

    items: int
    """Items in the shop."""
    mean: float | None
    """Mean health of those that pass the filters."""
    passing: int
    """How many these are."""
    health: list[ItemHealth]
    """The items of this page."""


class Replacement(Struct, kw_only=True):
    """What to do with one item, and the money behind it."""

    epc: str
    """The item."""
    name: str
    """Its name, or its class's."""
    sku: str
    """Its class."""
    store: str
    """Its store."""
    choice: Choice
    """What is worth most: keep, refurbish, resell or retire."""
    gain_cents: int
    """What it is worth more than keeping; for ``keep``: than the next best."""
    keep_cents: int
    """Worth of keeping it: a year's rentals less repairs, and what it can be sold for afterwards."""
    refurbish_cents: int
    """Worth of refurbishing it, the cost taken off."""
    resell_cents: int
    """Worth of selling it now."""
    retire_cents: int
    """Worth of throwing it away."""
    sell_after_days: int
    """How long keeping it goes on best before it is sold; 0: not at all."""
    earns_cents: int
    """Income of the year ahead if it is kept."""
    repairs_cents: int
    """Repairs of the year ahead if it is kept."""
    refurbishing_cents: int
    """Cost of refurbishing."""
    new_cents: int
    """Price of a new one."""
    new_guessed: bool
    """Whether nobody told that price: it is ``quality.worth_rentals`` rentals."""
    busy: float
    """Share of the days known on which it is needed, the better ones of its class going out first."""
    grade: str
    """Grade now."""
    health: float | None
    """Health score."""
    reasons: list[str]
    """Why, for people."""
    fallback: bool
    """Whether a simple rule stood in for a model."""


class Degradation(Struct, kw_only=True):
    """How the grade of one item falls, beside its class."""

    basis: Basis
    """How fresh it is and who spoke."""
    epc: str
    """The item."""
    sku: str
    """Its class."""
    grade: str
    """Grade now; empty: not graded."""
    curve: list[GradePoint]
    """What becomes of it."""
    days_to_threshold: float | None
    """Days until a grade of group C is as likely as not; null: not within the time looked at, or
    not known."""
    threshold: str
    """Best grade of that group."""
    health: ItemHealth | None
    """How well it is; null: it is not in the shop."""
    class_items: int
    """Graded items of its class."""
    class_curve: list[GradePoint]
    """The mean of these."""
    replacement: Replacement | None
    """What to do with it; null: not enough is known to say."""
    no_advice: str
    """What is not known, and what is needed; empty: ``replacement`` says what to do."""


class Replacements(Listed, kw_only=True):
    """What to do with items."""

    items: int
    """Items in the shop."""
    counts: dict[str, int]
    """Choice -> items, over the whole shop; ``unknown``: nothing is said of them."""
    unknown: dict[str, int]
    """Why not -> of how many of these."""
    gain_cents: int
    """What the choices other than keeping are worth more than keeping, altogether."""
    recommendations: list[Replacement]
    """The items of this page."""


class RelationRow(Struct, kw_only=True):
    """Price paid against grade in one class."""

    sku: str
    """The class."""
    store: str
    """Its store."""
    items: int
    """Items whose grade and price are known."""
    refused: str
    """Why nothing is said; empty: something is."""
    per_grade: float | None
    """Change of the price for one grade better, as a share of it."""
    low: float | None
    """Lower end of its 95 % interval."""
    high: float | None
    """Upper end."""
    explained: float | None
    """Share of the variance of prices that grades explain."""
    false_share: float | None
    """Share of false discoveries if this class and all surer ones are believed."""
    seen: bool
    """Whether that is at most 5 %."""


class Relations(Listed, kw_only=True):
    """Price paid against grade, by class."""

    classes: list[RelationRow]
    """The classes of this page."""


class InspectionDue(Struct, kw_only=True):
    """One item that should be looked at."""

    epc: str
    """The item."""
    name: str
    """Its name, or its class's."""
    sku: str
    """Its class."""
    store: str
    """Its store."""
    day: str
    """Day planned for it; empty: no time within the days asked for."""
    due_in_days: float
    """Days until the risk asked for is reached; below 0: overdue."""
    interval_days: float
    """Days between looks at its risk."""
    unseen: float
    """Chance that something happened since the last look."""
    stake_cents: int
    """What a failure of it costs."""
    grade: str
    """Grade now; empty: not graded."""


class ResultRow(Struct, kw_only=True):
    """How looks ended."""

    result: str
    """pass, repair, wash or retire."""
    times: int
    """How often."""
    minutes_mean: float | None
    """Mean length, minutes; null: never told."""
    defects_mean: float
    """Defects found, on average."""


class InspectionPlan(Listed, kw_only=True):
    """Who should be looked at, by risk."""

    due: int
    """Items due within the days asked for."""
    overdue: int
    """Of these: at once."""
    results: list[ResultRow]
    """How looks that were recorded ended."""
    inspections: list[InspectionDue]
    """The items of this page."""
