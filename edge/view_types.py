"""What readers of the API see: the records of every answer. No columns, no sockets, no clock.

The view fills them from its columns, the API encodes them as they are, and ``/openapi.json`` takes
its descriptions from the docstrings below.

One convention for moments: an integer that counts milliseconds since 1970-01-01 UTC, in a field
whose name ends in ``_ms``; 0 means never or not known. An empty text means not known or none. A
feature that has no value yet is ``null``.
"""

from typing import Literal

from msgspec import Raw, Struct

Features = dict[str, float | None]
"""Feature name -> value, in the unit that the catalogue (``/api/features``) gives for it."""


class Dependency(Struct, gc=False):
    """Something the daemon stands on: the broker, the journal, the disk, the beat."""

    name: str
    """Which: ``mqtt``, ``journal``, ``disk``, ``corridor`` …"""
    ok: bool
    """Whether it works well enough to be ready; one ``false`` makes ``/readyz`` answer 503."""
    degraded: bool = False
    """It works, but worse than it should: reconnecting, behind, nearly full."""
    detail: str = ""
    """What is wrong, for people; empty when all is well."""
    cure: str = ""
    """What to do about it; empty when all is well."""
    since_ms: int = 0
    """When it came into this condition."""


class Metric(Struct, gc=False):
    """One sample for Prometheus."""

    name: str
    """Full name, such as ``rfid3_events_total``; a counter's ends in ``_total``."""
    value: float
    """The number."""
    help: str = ""
    """One line for people; the first sample of a name gives it."""
    kind: Literal["counter", "gauge"] = "counter"
    """How to read it."""
    labels: dict[str, str] = {}
    """Label -> value; every sample of one name carries the same labels."""


class ItemRow(Struct, kw_only=True, gc=False):
    """One item in a list."""

    epc: str
    """Identity: uppercase hex of the EPC or UID, or the text of a sticker or QR code."""
    sku: str = ""
    """Rental class or SKU it is bound to."""
    name: str = ""
    """Common name."""
    status: str = ""
    """RFID3 status: Ready to Rent, On Rent, Repair …"""
    zone: str = ""
    """The zone it is in, or was last seen in when ``present`` is false."""
    present: bool = False
    """Whether it is in ``zone`` now, as far as the readers can tell."""
    store: str = ""
    """The store."""
    grade: str = ""
    """Quality grade, A+ to C-."""
    bin: str = ""
    """Bin or rack location."""
    contract: str = ""
    """The contract it is out on, or was last out on."""
    last_seen_ms: int = 0
    """Newest read by a reader."""
    last_scan_ms: int = 0
    """Newest scan by a person."""
    muted: bool = False
    """Always in view, so its presence tells nobody anything."""
    unknown: bool = False
    """Not linked to a class yet: see ``/api/unknown-tags``."""


class EpcDecoding(Struct, kw_only=True, gc=False):
    """What GS1's tag data standard says about an EPC; enrichment only, never identity."""

    scheme: str
    """``sgtin-96``, ``sscc-96``, ``sgln-96``, ``grai-96``, ``giai-96`` or a long form."""
    uri: str
    """Pure identity, ``urn:epc:id:…``."""
    tag_uri: str = ""
    """Tag encoding, ``urn:epc:tag:…``."""
    company_prefix: str = ""
    """GS1 company prefix."""
    reference: str = ""
    """Item reference with indicator, serial reference, location or asset type; empty for GIAI."""
    serial: str = ""
    """Serial, extension or individual asset reference; empty for SSCC."""
    filter: int = 0
    """Packaging level, 0 to 7; for SGTIN 1 is a point-of-sale item."""
    key: str = ""
    """GTIN-14, SSCC-18, GLN-13, GRAI or GIAI."""
    gtin: str = ""
    """GTIN-14, for an SGTIN."""


class ItemDetail(ItemRow, kw_only=True, gc=False):
    """Everything known about one item."""

    first_seen_ms: int = 0
    """Oldest event."""
    reader: str = ""
    """The reader that saw it last."""
    antenna: int = 0
    """That reader's antenna port; 0: not known."""
    rssi_dbm: float | None = None
    """Signal strength of the newest read, dBm."""
    zone_since_ms: int = 0
    """When it came into ``zone``."""
    status_since_ms: int = 0
    """When ``status`` last changed."""
    time_quality: str = ""
    """Where the newest event's time came from: reader, naive_local, uptime, arrival."""
    customer: str = ""
    """Pseudonymous key of who has it."""
    due_ms: int = 0
    """When it is due back."""
    probable_return: bool = False
    """On rent, yet read in the store: somebody should scan it in."""
    gs1: EpcDecoding | None = None
    """The decoded EPC, where decoding is on and succeeds."""
    features: Features = {}
    """Item features by name."""


class ItemPage(Struct):
    """Items in the order of their rows."""

    items: list[ItemRow]
    """At most as many as asked for."""
    next_start: int | None = None
    """The row to go on from; none: this was the last page."""


class ClassRow(Struct, kw_only=True, gc=False):
    """One rental class or SKU in one store, in a list."""

    sku: str
    """Class or SKU."""
    store: str = ""
    """The store."""
    name: str = ""
    """Name."""
    category: str = ""
    """Category."""
    items: int = 0
    """Tagged items bound to it."""
    on_hand: float | None = None
    """Units in the store now."""
    on_rent: float | None = None
    """Units out on rent now."""


class DailyHistory(Struct, kw_only=True):
    """What happened to a class, day by day of the store's own calendar, oldest first."""

    days: list[str] = []
    """Days, ``YYYY-MM-DD``; the last is today and still growing."""
    columns: dict[str, list[float | None]] = {}
    """Column name -> one value a day."""


class ClassDetail(ClassRow, kw_only=True):
    """Everything known about one class in one store."""

    features: Features = {}
    """Class features by name."""
    history: DailyHistory
    """The last days."""


class ClassPage(Struct):
    """Classes in the order of their rows."""

    classes: list[ClassRow]
    """At most as many as asked for."""
    next_start: int | None = None
    """The row to go on from; none: this was the last page."""


class ZoneRow(Struct, kw_only=True, gc=False):
    """A place that readers look at."""

    name: str
    """Name from the configuration."""
    kind: str = "shelf"
    """shelf, portal or exit."""
    store: str = ""
    """The store."""
    readers: list[str] = []
    """``reader`` or ``reader/antenna``."""
    items: int = 0
    """Items present now."""
    blind: bool = False
    """A reader of this zone is down: not seen does not mean departed."""
    features: Features = {}
    """Zone features by name."""


class ReaderRow(Struct, kw_only=True, gc=False):
    """A reader, handheld or till that has told us something."""

    name: str
    """Its name."""
    store: str = ""
    """The store."""
    online: bool = False
    """Whether it is known to be up."""
    blind: bool = False
    """A gap is open: it cannot see, or we cannot hear it."""
    last_message_ms: int = 0
    """Newest message of any kind."""
    last_read_ms: int = 0
    """Newest tag read."""
    gap_from_ms: int = 0
    """Start of the open gap; 0: none is open."""
    gap_reason: str = ""
    """Why the gap opened."""
    gaps: int = 0
    """Gaps so far; their list is ``/api/gaps``."""
    lost_events: int = 0
    """Events it says it threw away."""
    features: Features = {}
    """Reader features by name."""


class UnknownTag(Struct, kw_only=True, gc=False):
    """A tag nobody has linked to a class yet."""

    epc: str
    """Uppercase hex."""
    store: str = ""
    """The store."""
    zone: str = ""
    """Where it was seen last."""
    reader: str = ""
    """Who saw it last."""
    reads: int = 0
    """How often it was read."""
    first_seen_ms: int = 0
    """Oldest read."""
    last_seen_ms: int = 0
    """Newest read."""
    rssi_dbm: float | None = None
    """Signal strength of the newest read, dBm."""
    gs1: EpcDecoding | None = None
    """The decoded EPC, where decoding is on and succeeds."""


class UnknownTagPage(Struct):
    """Unknown tags in the order of their rows."""

    tags: list[UnknownTag]
    """At most as many as asked for."""
    next_start: int | None = None
    """The row to go on from; none: this was the last page."""


class Movement(Struct, kw_only=True, gc=False):
    """Something people are told of an item's place."""

    at_ms: int
    """When it was found."""
    kind: str
    """arrived, moved, departed or probable_return."""
    epc: str
    """The item."""
    sku: str = ""
    """Its class, where it is linked."""
    from_zone: str = ""
    """Where it was; empty: nowhere in view."""
    to_zone: str = ""
    """Where it is; empty: nowhere in view."""


class FeatureRow(Struct, kw_only=True, gc=False):
    """One line of the feature catalogue."""

    name: str
    """``<quantity>_<statistic>_<window>``."""
    entity: str
    """item, class, zone, reader or customer."""
    unit: str
    """The unit of its values."""
    measure: str
    """count, sum, mean, last, time since, rate …"""
    window: str
    """5m, 1h, 24h, 7d, 28d …; empty: no window."""
    description: str = ""
    """One sentence."""


class DeadLetterHead(Struct, kw_only=True, gc=False):
    """A dead letter without the bulk of its payload, as the tables give it."""

    ordinal: int
    """Of its message in the journal."""
    index: int
    """Of the event inside the message; -1: the whole message."""
    arrival_ms: int
    """When it came."""
    topic: str
    """Where it came from."""
    reason: str
    """Why it could not be used."""
    detail: str
    """More about that, for people."""
    payload_bytes: int
    """Size of the payload."""
    payload_start: bytes
    """Its first bytes, at most 256."""


class TimelineRow(Struct, gc=False):
    """One line in the story of an item."""

    at_ms: int
    """When it happened."""
    kind: str
    """What: an event type, or arrived, moved, departed, probable_return …"""
    detail: Raw
    """A JSON object; its fields depend on the kind."""


Counters = dict[str, dict[str, int | float]]
"""Group -> name -> number."""
