"""Prices that were decided, and what competitors charge as far as somebody saw it. Pure.

A *baseline* is the price that people set; guard rails count from it, so that many small steps of
automation do not add up to what nobody wanted. A price that people tell of (``PriceObserved`` without a
competitor) is a new baseline, unless it is the echo of a decision or of a running test. A price many times
the present one, or a small part of it, is a slip of the pen far more often than a price: it is taken over
only from somebody who confirms it.
"""

from msgspec import Struct
from msgspec.structs import replace

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.decisions.rows import Decision, Safeguards
from edge.events import Event, PriceObserved
from edge.ledger import price_tests
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.ledger import Deed, Hook, Ledger, Table

PRICES_MAX = 20_000
COMPETITORS_MAX = 50_000
CENTS_MAX, NAME_MAX, WORDS_MAX = 10**12, 255, 2_000
SAME = 0.005
"""Prices that differ by less than this share are the same one, rounded."""
JUMP_MOST = 10.0
"""A price so many times the present one, or such a part of it, is believed; beyond it must be confirmed."""


TESTED = (
    "a test of the price of {!r} is running, which a price of its own would spoil: stop it first (POST "
    "/api/predictive/pricing/price-tests/{}/stop)"
)
EVEN_CENTS = 1.0
"""Prices and baselines are rounded to cents before they are held against each other."""


class Price(Struct, frozen=True, kw_only=True):
    """The price of a class in a store, as it was last decided or told."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    price_cents: int
    """What a unit costs, cents."""
    baseline_cents: int
    """The price that people set; guard rails count from it."""
    before_cents: int = 0
    """What it cost before; 0: not known."""
    since_ms: int
    """Since when."""
    decided: bool = False
    """Whether a decision changed it since people set it."""
    decision: str = ""
    """The decision that did; empty: people, or a command."""
    asked_by: str = ""
    """Who."""


class PriceChange(Struct, frozen=True, kw_only=True):
    """One change of a price, for the record; lives in the store alone."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    at_ms: int
    """When."""
    ordinal: int
    """Of the message in the journal that brought it."""
    price_cents: int
    """The price from then on, cents."""
    before_cents: int
    """The price before; 0: not known."""
    decision: str = ""
    """The decision behind it."""
    asked_by: str = ""
    """Who."""
    why: str = ""
    """Why."""


class CompetitorPrice(Struct, frozen=True, kw_only=True):
    """The newest price of a competitor for a class."""

    sku: str
    """Class or SKU, as ours."""
    store: str
    """Store of ours that it competes with."""
    competitor: str
    """Whose price."""
    price_cents: int
    """Price of one unit, cents."""
    before_cents: int = 0
    """The one seen before; 0: none."""
    seen_ms: int
    """When it was seen."""
    source: str = ""
    """Who told."""


TABLES = (
    Table("prices", Price, ("sku", "store"), PRICES_MAX, index=("sku",)),
    Table("price_changes", PriceChange, ("sku", "store", "at_ms", "ordinal"), 0, kept="none"),
    Table(
        "competitor_prices",
        CompetitorPrice,
        ("sku", "store", "competitor"),
        COMPETITORS_MAX,
        index=("sku",),
        ordered=("seen_ms",),
    ),
)


class SetPrice(Command, tag="set_price", kw_only=True):
    """People set a price: it is the new baseline."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    price_cents: int
    """Price of one unit, cents."""
    present_cents: int = 0
    """Price of a class whose price nobody set yet, as whoever asks sees it; 0: none is known."""
    confirm: bool = False
    """Whether it is meant, however far from the present price."""


class DropCompetitorPrice(Command, tag="drop_competitor_price", kw_only=True):
    """Forget a competitor's price."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    competitor: str
    """Whose price."""


def set_price(ledger: Ledger, command: SetPrice, told: Told) -> Outcome:
    """The price as it is now."""
    if not 0 < command.price_cents <= CENTS_MAX or not 0 < len(command.sku) <= NAME_MAX:
        return Refused(
            "invalid",
            "sku and price_cents above 0 (and below 10^12) are needed, such as 1250 for 12.50",
        )
    if len(command.store) > NAME_MAX:
        return Refused("invalid", f"store is longer than {NAME_MAX} characters")
    testing = price_tests.running(ledger, command.sku, command.store)
    if testing:
        return Refused("conflict", TESTED.format(command.sku, testing[0].id))
    present = present_cents(ledger, command.sku, command.store) or command.present_cents
    far = jump(command.price_cents, present)
    if far and not command.confirm:
        return Refused("limit", f'{far}: if that is meant, send the same with "confirm": true')
    row = _by_people(ledger, command.sku, command.store, command.price_cents, told, told.at_ms,
                     command.by, command.why)  # fmt: skip
    return Done(row)


def present_cents(ledger: Ledger, sku: str, store: str) -> int:
    """The price that was decided or told, else the catalogue's; 0: neither is known."""
    row = ledger.get(Price, sku, store)
    if row is not None:
        return row.price_cents
    told = ledger.get(CatalogueClass, sku)
    return told.price_cents if told is not None else 0


def jump(cents: float, present: float, of: str = "the present price of") -> str:
    """How far a price is from another (0: not known), in words; empty: it is believed.

    >>> jump(138_000_000, 1_380)
    '1,380,000.00 is 100,000 times the present price of 13.80'
    >>> jump(100, 1_380)
    '1.00 is less than a tenth of the present price of 13.80'
    >>> jump(13_800, 1_380), jump(5, 0)
    ('', '')
    """
    if not (cents > 0 and present > 0) or 1 / JUMP_MOST <= cents / present <= JUMP_MOST:
        return ""
    much = cents / present
    how = f"{much:,.{0 if much >= 100 else 1}f} times" if much > 1 else "less than a tenth of"
    return f"{cents / 100:,.2f} is {how} {of} {present / 100:,.2f}"


def _by_people(
    ledger: Ledger, sku: str, store: str, cents: int, told: Told, at_ms: int, by: str, why: str
) -> Price:
    old = ledger.get(Price, sku, store)
    row = Price(sku=sku, store=store, price_cents=cents, baseline_cents=cents,
                before_cents=old.price_cents if old else 0, since_ms=at_ms, asked_by=by)  # fmt: skip
    ledger.put(row)
    _note(ledger, row, told, why)
    return row


def _note(ledger: Ledger, row: Price, told: Told, why: str) -> None:
    ledger.put(
        PriceChange(sku=row.sku, store=row.store, at_ms=row.since_ms, ordinal=told.ordinal,
                    price_cents=row.price_cents, before_cents=row.before_cents,
                    decision=row.decision, asked_by=row.asked_by, why=why[:WORDS_MAX])
    )  # fmt: skip


def decide(
    ledger: Ledger, sku: str, store: str, cents: int, baseline_cents: int, told: Told, decision: str,
    why: str,
) -> str:  # fmt: skip
    """Carry a decision out: the price changes, its baseline stays. Why not, or empty."""
    if not 0 < cents <= CENTS_MAX or not 0 <= baseline_cents <= CENTS_MAX:
        return "price_cents and baseline_cents must be above 0 and below 10^12"
    if price_tests.running(ledger, sku, store):
        return f"a test of the price of {sku!r} is running: stop it first"
    old = ledger.get(Price, sku, store)
    if old is None and ledger.room(Price) <= 0:
        return f"{PRICES_MAX} prices are kept, its limit"
    base = old.baseline_cents if old else baseline_cents
    most = (ledger.get(Safeguards, "decisions") or Safeguards()).price_change_max_ratio
    if base and abs(cents - base) > most * base + EVEN_CENTS:
        return (
            f"{cents / 100:,.2f} is {cents / base - 1:+.1%} from the baseline of {base / 100:,.2f}, "
            f"{most:.0%} is allowed: propose anew"
        )
    before = old.price_cents if old else baseline_cents
    row = Price(sku=sku, store=store, price_cents=cents, baseline_cents=base or cents,
                before_cents=before, since_ms=told.at_ms, decided=True, decision=decision)  # fmt: skip
    ledger.put(row)
    _note(ledger, row, told, why)
    return ""


def take_back(ledger: Ledger, sku: str, store: str, decision: str, told: Told) -> str:
    """Undo :func:`decide`, unless the price was changed again since. Why not, or empty."""
    row = ledger.get(Price, sku, store)
    if row is None or row.decision != decision:
        return "the price was changed again since"
    if row.before_cents <= 0:
        return "the price before is not known"
    back = replace(row, price_cents=row.before_cents, before_cents=row.price_cents,
                   since_ms=told.at_ms, decision="",
                   decided=row.before_cents != row.baseline_cents)  # fmt: skip
    ledger.put(back)
    _note(ledger, back, told, f"decision {decision} undone")
    return ""


def from_decision(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Carry out a decision of kind ``pricing``: data ``price_cents``, ``baseline_cents``."""
    cents, base = (decision.data.get(name, 0) for name in ("price_cents", "baseline_cents"))
    if not isinstance(cents, int) or not isinstance(base, int):
        return "price_cents and baseline_cents must be whole numbers"
    why = decision.reasons[0] if decision.reasons else ""
    return decide(ledger, decision.target, decision.store, cents, base, told, decision.id, why)


def undo_decision(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Take it back."""
    return take_back(ledger, decision.target, decision.store, decision.id, told)


def saw_price(ledger: Ledger, event: PriceObserved, told: Told) -> None:
    """A price was told: a competitor's, or ours."""
    at_ms = event.at if isinstance(event.at, int) and event.at > 0 else told.at_ms
    if event.price_cents <= 0:
        return
    if not event.competitor:
        _saw_own(ledger, event, told, at_ms)
        return
    old = ledger.get(CompetitorPrice, event.sku, event.store, event.competitor)
    if old is not None and old.seen_ms > at_ms:
        return
    before = old.before_cents if old and old.price_cents == event.price_cents else (
        old.price_cents if old else 0)  # fmt: skip
    ledger.put(
        CompetitorPrice(sku=event.sku, store=event.store, competitor=event.competitor,
                        price_cents=event.price_cents, before_cents=before, seen_ms=at_ms,
                        source=event.source)
    )  # fmt: skip


def _saw_own(ledger: Ledger, event: PriceObserved, told: Told, at_ms: int) -> None:
    old = ledger.get(Price, event.sku, event.store)
    cents = event.price_cents
    if old is not None and (old.since_ms > at_ms or same(cents, old.price_cents)):
        return
    if jump(cents, present_cents(ledger, event.sku, event.store)):
        return  # whoever reads prices says so (edge.view_market)
    for test in price_tests.running(ledger, event.sku, event.store):
        if same(cents, test.control_cents) or same(cents, test.tested_cents):
            return
    _by_people(ledger, event.sku, event.store, cents, told, at_ms, event.source, "told")


def same(one: int, other: int) -> bool:
    """Whether two prices are one, rounded."""
    return abs(one - other) <= SAME * max(one, other)


def drop_competitor(ledger: Ledger, command: DropCompetitorPrice, told: Told) -> Outcome:
    """Which one went."""
    if not ledger.drop(CompetitorPrice, command.sku, command.store, command.competitor):
        return Refused(
            "unknown", f"no price of {command.competitor!r} for {command.sku!r} is known"
        )
    return Done({"dropped": command.competitor})


DEEDS: dict[type[Command], Deed] = {SetPrice: set_price, DropCompetitorPrice: drop_competitor}
HOOKS: dict[type[Event], tuple[Hook, ...]] = {PriceObserved: (saw_price,)}
