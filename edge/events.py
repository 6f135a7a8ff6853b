"""What we are told: one tagged union of event types. No decoding, no state, no clock.

On the wire (JSON or MessagePack) an event is an object whose ``type`` names the struct below in
snake case. Every event may carry the fields of :class:`Event`. Unknown fields are ignored, so a
newer till may talk to an older Pi.

``at`` is RFC 3339 text or epoch milliseconds on the wire; once decoded it is always epoch
milliseconds, UTC. ``time_quality`` says where that time came from:

========  =====================================================================
reader    the device told us, with a zone
naive_local  the device told us without a zone; the shop's zone was assumed
uptime    the device only counts from its own start; arrival was used
arrival   the device told us nothing usable; the time the payload arrived
========  =====================================================================

Money is integer cents of the shop's currency, quantities are units (fractions allowed for goods
sold by weight), signal strength is dBm.
"""

from typing import ClassVar, Literal

from msgspec import Struct

TimeQuality = Literal["reader", "naive_local", "uptime", "arrival"]


class Event(Struct, tag_field="type", kw_only=True, omit_defaults=True, gc=False):
    """Fields that every event may carry."""

    at: int | float | str = 0
    """When it happened: RFC 3339 or epoch milliseconds; 0 or absent means on arrival."""
    time_quality: TimeQuality = "reader"
    """Where ``at`` came from."""
    store: str = ""
    """The store; empty means the configured one (or the one the topic names)."""
    source: str = ""
    """The device that tells: reader, handheld, till; empty means the topic's source level."""
    id: str = ""
    """The sender's own event id; the same (source, id) twice is a duplicate."""


class TagRead(Event, tag="tag_read"):
    """A reader saw a tag, once or ``count`` times."""

    epc: str
    """Identity: uppercase hex of the EPC, or of a UID; separators ``-``, ``:`` and space are dropped."""
    antenna: int = 0
    """Antenna port, from 1; 0: the reader did not say."""
    rssi_dbm: float | None = None
    """Peak signal strength of these reads, dBm."""
    count: int = 1
    """Reads folded into this message by the reader."""
    seq: int = 0
    """The reader's own event number, part of the duplicate key; 0: none."""
    tid: str = ""
    """The chip's own id, hex."""
    pc: str = ""
    """Protocol control word, hex; its toggle bit says whether the EPC is GS1's."""
    direction: str = ""
    """in, out or empty, where a portal can tell."""


ScanType = Literal["Touch Scan", "Rental", "Return", "Delivery", "Pickup"]
Grade = Literal["", "A+", "A", "A-", "B+", "B", "B-", "C+", "C", "C-"]
Defect = Literal[
    "dirty_or_mud",
    "leaves",
    "oil",
    "mold",
    "stain",
    "oxidation",
    "rip_or_tear",
    "sewing_repair_needed",
    "grommet",
    "rope",
    "buckle",
    "wet",
    "other",
    "service_required",
]


class ItemScan(Event, tag="item_scan"):
    """Somebody scanned one item on purpose: RFID3's transaction row."""

    epc: str
    """The item's tag, sticker or QR identity (RFID3 ``tag_id``)."""
    scan_type: ScanType
    """Touch Scan leaves the status alone unless ``by_hand`` says so; the others change it."""
    contract: str = ""
    """Contract number, where the scan belongs to one."""
    status: str = ""
    """RFID3 status after the scan (``Ready to Rent``, ``On Rent``, …); empty: the scan type's own."""
    by_hand: bool = False
    """Somebody set ``status`` by hand at this scan, so that even a Touch Scan changes it."""
    grade: Grade = ""
    """Quality grade given at the scan, A+ (best) to C-; empty: not graded."""
    defects: list[Defect] = []
    """Defect flags set at the scan."""
    sku: str = ""
    """Rental class of the item (``rental_class_num``); binds an unknown tag to it."""
    name: str = ""
    """Common name of the item."""
    bin: str = ""
    """Bin or rack location."""
    by: str = ""
    """Who scanned, pseudonymous."""
    customer: str = ""
    """Customer, pseudonymous key."""


class PosLine(Event, tag="pos_line"):
    """One line of a till receipt, invoice or rental contract."""

    document: str
    """Receipt, invoice or contract number."""
    kind: Literal["sale", "rental", "return", "void"]
    """``return`` brings goods back (rented or sold); ``void`` cancels the line told before."""
    sku: str
    """Class or SKU."""
    line: int | None = None
    """Line number in the document; with it, telling a line twice counts once."""
    quantity: float = 1.0
    """Units, positive; the kind says the direction."""
    price_cents: int = 0
    """Price of one unit after discount, cents."""
    discount_cents: int = 0
    """Discount of one unit, cents."""
    channel: str = ""
    """till, web, phone …"""
    customer: str = ""
    """Customer, pseudonymous key."""
    due: int | float | str = 0
    """When a rental is due back, like ``at``; 0: open."""
    epc: str = ""
    """The identified item, where the till knows it."""
    name: str = ""
    """Name of the class, where the till knows it."""
    category: str = ""
    """Category of the class, where the till knows it."""


class StockCount(Event, tag="stock_count"):
    """Units of a class counted in a store: sets the stock ledger."""

    sku: str
    """Class or SKU."""
    quantity: float
    """Units found."""
    by: str = ""
    """Who counted, pseudonymous."""


class StockReceipt(Event, tag="stock_receipt"):
    """Units of a class received from a supplier: adds to the stock ledger."""

    sku: str
    """Class or SKU."""
    quantity: float
    """Units received."""
    cost_cents: int = 0
    """Cost of one unit, cents."""
    supplier: str = ""
    """Supplier."""
    order: str = ""
    """Purchase order."""


class Reservation(Event, tag="reservation"):
    """Units of a class promised to somebody for a span of time."""

    document: str
    """Reservation number; telling it again replaces it."""
    sku: str
    """Class or SKU."""
    quantity: float = 1.0
    """Units; 0 cancels."""
    start: int | float | str = 0
    """First moment needed, like ``at``."""
    end: int | float | str = 0
    """When it comes back, like ``at``."""
    customer: str = ""
    """Customer, pseudonymous key."""


class ItemLink(Event, tag="item_link"):
    """A tag is bound to a class, replaces another tag, is retired, or is muted."""

    epc: str
    """The tag."""
    action: Literal["bind", "replace", "retire", "mute", "unmute"] = "bind"
    """``mute`` stops presence events of a tag that is always in view."""
    sku: str = ""
    """Class to bind to; ``bind`` needs it."""
    name: str = ""
    """Common name of the item."""
    replaces: str = ""
    """The old tag, for ``replace``, which needs it."""


class Correction(Event, tag="correction"):
    """Undo a scan, or void a document line, that was told by mistake."""

    action: Literal["undo_scan", "void_line"]
    """What is taken back."""
    epc: str = ""
    """The scanned item, for ``undo_scan``."""
    contract: str = ""
    """The scan's contract, for ``undo_scan``."""
    scan_type: str = ""
    """The scan's type, for ``undo_scan``."""
    scanned_at: int | float | str = 0
    """The scan's own time, for ``undo_scan``, like ``at``."""
    document: str = ""
    """The document, for ``void_line``."""
    line: int | None = None
    """The line number, for ``void_line``."""
    sku: str = ""
    """The line's class, for ``void_line`` without a line number."""


class Maintenance(Event, tag="maintenance"):
    """An item was inspected, washed, serviced, repaired or had a part replaced."""

    epc: str
    """The item."""
    kind: Literal["inspection", "repair", "wash", "replacement", "failure", "service"]
    """What happened. ``service``: work that the plan or the calendar asked for; nothing had failed."""
    cost_cents: int = 0
    """Cost of parts and labour, cents."""
    minutes: int = 0
    """Labour, minutes."""
    component: str = ""
    """The part worked on."""
    grade: Grade = ""
    """Quality grade afterwards; empty: not graded."""
    status: str = ""
    """RFID3 status afterwards; empty: unchanged."""
    planned: bool = False
    """Whether the plan or the calendar asked for a repair or replacement and nothing had failed: it renews
    the item as a ``service`` does, and is no failure for anybody who learns from it."""

    @property
    def as_planned(self) -> bool:
        """Whether nothing had failed."""
        return self.kind == "service" or (self.planned and self.kind != "failure")


class PriceObserved(Event, tag="price_observed"):
    """A price seen: our own list price, or a competitor's."""

    sku: str
    """Class or SKU."""
    price_cents: int
    """Price of one unit, cents."""
    competitor: str = ""
    """Whose price; empty: our own list price."""


class Factor(Event, tag="factor"):
    """An outside influence: weather, economy, calendar."""

    factor: Literal["weather", "economic", "seasonal", "market", "events"]
    """The kind (RFID3's ``factor_type``)."""
    name: str
    """Such as ``temperature_c`` or ``fair_in_town``."""
    value: float
    """Its value, in the unit its name says."""
    until: int | float | str = 0
    """End of the span it holds for, like ``at``; 0: the moment only."""


class Review(Event, tag="review"):
    """A customer's or clerk's rating of an item or class."""

    rating: float
    """1 (bad) to 5 (good)."""
    sku: str = ""
    """Class or SKU."""
    epc: str = ""
    """The item."""
    text: str = ""
    """Free words; kept in the timeline only."""


class ReaderStatus(Event, tag="reader_status"):
    """A reader's health: online, offline, overflow, heartbeat, antenna or input events."""

    reader: str
    """The reader."""
    status: Literal["online", "offline", "heartbeat", "overflow", "antenna", "input", "error"]
    """``offline`` opens a gap, ``online`` and ``heartbeat`` close it, ``overflow`` is one."""
    detail: str = ""
    """Short text for people."""
    gap_from: int | float | str = 0
    """First moment not covered, for ``overflow``, like ``at``."""
    lost_events: int = 0
    """Events the reader threw away."""
    antenna: int = 0
    """Antenna port, for ``antenna``."""
    connected: bool | None = None
    """Whether that antenna is connected."""


AnyEvent = (
    TagRead
    | ItemScan
    | PosLine
    | StockCount
    | StockReceipt
    | Reservation
    | ItemLink
    | Correction
    | Maintenance
    | PriceObserved
    | Factor
    | Review
    | ReaderStatus
)

EVENT_TYPES: tuple[type[Event], ...] = (
    TagRead,
    ItemScan,
    PosLine,
    StockCount,
    StockReceipt,
    Reservation,
    ItemLink,
    Correction,
    Maintenance,
    PriceObserved,
    Factor,
    Review,
    ReaderStatus,
)


class _Tagged:
    """Only to give ``kind_of`` a typed view of msgspec's struct configuration."""

    tags: ClassVar[dict[type[Event], str]] = {t: str(t.__struct_config__.tag) for t in EVENT_TYPES}


def kind_of(event: Event | type[Event]) -> str:
    """The wire name of an event or event type.

    >>> kind_of(TagRead)
    'tag_read'
    """
    return _Tagged.tags[event if isinstance(event, type) else type(event)]


BY_KIND: dict[str, type[Event]] = {kind_of(t): t for t in EVENT_TYPES}
