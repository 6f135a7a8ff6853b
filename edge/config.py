"""Every setting, once: TOML and environment -> frozen structs, validated here and nowhere else.

Field docstrings are the documentation; ``config.example.toml`` and ``docs/configuration.md`` are
held against them by a test.
"""

from typing import Literal

from msgspec import Struct, field


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table of the configuration."""


class Shop(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who and where we are."""

    store: str = "main"
    """Name of the store that events belong to when they do not say."""
    timezone: str = "UTC"
    """IANA zone of the shop: a day begins at its local midnight."""


class Tls(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards the broker. All empty: plain TCP."""

    enabled: bool = False
    """Use TLS."""
    ca_file: str = ""
    """Certificate authority, PEM; empty: the system's."""
    cert_file: str = ""
    """Client certificate, PEM; empty: none."""
    key_file: str = ""
    """Key of the client certificate, PEM."""


class Mqtt(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The broker."""

    enabled: bool = True
    """Whether the MQTT door is open; without it only HTTP brings events."""
    host: str = "127.0.0.1"
    """Broker's address."""
    port: int = 1883
    """Broker's port; 8883 is usual with TLS."""
    client_id: str = "rfid3"
    """Stable client id: the broker keeps our session under it."""
    username: str = ""
    """User; empty: anonymous."""
    password: str = ""
    """Password; better from the environment variable RFID3_MQTT__PASSWORD."""
    subscriptions: list[str] = field(default_factory=lambda: ["#"])
    """Topic filters; ``$share/<group>/<filter>`` is allowed."""
    ignore: list[str] = field(default_factory=lambda: ["homeassistant/#"])
    """Topic filters whose messages are acknowledged and counted, not decoded."""
    keep_alive_s: int = 30
    """Keep-alive, seconds; also how soon a dead connection is noticed (x1.5)."""
    session_expiry_s: int = 604_800
    """How long the broker keeps our queue while we are away, seconds."""
    receive_maximum: int = 1_000
    """Most unacknowledged QoS 1 messages in flight: the flow-control budget."""
    qos: int = 1
    """QoS asked for in subscriptions, 0 or 1."""
    packet_max_bytes: int = 1_048_576
    """Largest packet we accept; the broker drops larger ones."""
    reconnect_min_s: float = 0.5
    """First reconnect delay, seconds (jittered)."""
    reconnect_max_s: float = 30.0
    """Longest reconnect delay, seconds."""
    status_topic: str = "rfid3/status"
    """Prefix of the retained online status and last will: ``<prefix>/<client_id>``; empty: none."""
    tls: Tls = Tls()


class Ingest(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From message to admitted event."""

    clock: Literal["wall", "events"] = "wall"
    """``events``: time is what the replayed messages say (user property ``rfid3-time``)."""
    beat_ms: int = 100
    """Longest wait from arrival to journal commit, milliseconds."""
    quiet_beat_s: float = 1.0
    """Beat in a quiet shop: windows close and presence decays, seconds."""
    batch_max: int = 1_024
    """Most messages in one journal commit."""
    inbox_max: int = 20_000
    """Most messages waiting; beyond it senders are held back."""
    inbox_max_bytes: int = 67_108_864
    """Most payload bytes waiting."""
    payload_max_bytes: int = 262_144
    """A larger payload becomes a dead letter."""
    future_tolerance_s: int = 120
    """An event dated later than arrival plus this is refused (dead letter)."""
    lateness_s: int = 7_200
    """A window bucket stays open this long after its end for late events."""
    stale_read_s: int = 30
    """A tag read older than this on arrival does not count for presence."""
    repeat_s: int = 60
    """Repeat reads of a tag in the same zone within this span are one sighting."""
    dedupe_events: int = 262_144
    """At least so many admitted events are remembered to refuse duplicates."""


class SourceRule(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[sources]]`` entry: which topics speak which format. The first match wins."""

    topic: str
    """Topic filter (``+`` and ``#`` allowed)."""
    format: str = "auto"
    """auto, zebra, impinj, speedway, smartreader, springcard, starfish, ifm, tasmota, bare, rfid3,
    epcis, native, square, generic, ignore, or mapping:<name>."""
    reader_level: int = -1
    """Which topic level (from 0) names the reader; -1: the format's own rule."""
    reader: str = ""
    """A fixed reader name; wins over ``reader_level``."""
    store: str = ""
    """The store; empty: the configured one."""
    timezone: str = ""
    """IANA zone of naive times from this source; empty: the shop's."""


class Mapping(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[mapping.<name>]`` table: how a foreign JSON object becomes one of our events.

    ``fields`` maps our field to a path in their object (``a.b.0.c``); ``constants`` sets fields to
    fixed values; ``values`` translates texts, field by field; ``scale`` multiplies numbers.
    """

    kind: str = "tag_read"
    """The event type produced."""
    items: str = ""
    """Path of the list inside the payload; empty: the payload itself, object or list."""
    fields: dict[str, str] = {}
    """Our field -> their path."""
    constants: dict[str, str | int | float] = {}
    """Our field -> fixed value."""
    values: dict[str, dict[str, str]] = {}
    """Our field -> their text -> ours."""
    scale: dict[str, float] = {}
    """Our field -> factor."""


class Zone(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[zones]]`` entry: readers and antennas that look at one place."""

    name: str
    """Name of the zone."""
    readers: list[str]
    """``reader`` for all its antennas, or ``reader/antenna``."""
    store: str = ""
    """The store; empty: the configured one."""
    kind: Literal["shelf", "portal", "exit"] = "shelf"
    """A portal or exit is passed, not stayed in."""


class PresenceSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Raw reads -> arrived, moved, departed."""

    epoch_ms: int = 1_000
    """Smoothing epoch, milliseconds."""
    departed_after_s: int = 600
    """Unseen for so long: departed (event for people), seconds."""
    passed_after_s: int = 30
    """The same in a portal or exit, where items pass and do not stay, seconds."""
    move_threshold_db: float = 6.0
    """A new zone must be louder by this (falling with silence in the old one) to move, dB."""
    move_slope_db_per_s: float = 8.0
    """How fast that threshold falls per second unseen in the old zone, dB/s."""
    move_holdoff_ms: int = 500
    """Silence in the old zone before the threshold starts to fall, milliseconds."""
    move_reads: int = 2
    """Reads needed in the new zone before a move."""
    reader_silent_s: int = 120
    """A reader that sends heartbeats and then nothing for so long is taken as blind, seconds."""
    pairs_max: int = 131_072
    """Most (tag, zone) pairs in view at once."""


class Epc(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """GS1 enrichment of tag ids; identity stays the uppercase hex."""

    decode: bool = True
    """Show the decoded EPC in the API."""
    company_prefixes: list[str] = []
    """GS1 company prefixes believed; empty: any that decodes."""
    link_gtin: bool = False
    """Bind an unknown SGTIN tag to the class named by its GTIN."""


class Limits(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the state: memory is known in advance (``rfid3 doctor`` prints it)."""

    items_max: int = 100_000
    """Most items (tags) known at once."""
    active_items_max: int = 100_000
    """Most items with reads in the last 24 hours (window pool)."""
    rental_log_max: int = 1_000_000
    """Most rental (and as many return) counts of items kept for their 30, 90 and 365 day windows."""
    classes_max: int = 5_000
    """Most (class, store) pairs."""
    zones_max: int = 64
    """Most zones."""
    readers_max: int = 256
    """Most readers."""
    customers_max: int = 20_000
    """Most customers."""
    lines_max: int = 65_536
    """Most recent document lines kept for voids and business duplicates."""
    pairs_max: int = 16_384
    """Most pairs of classes counted a day; beyond it the rarest give way, within a known error."""
    baskets_max: int = 1_024
    """Most documents open at once for counting pairs; beyond it the longest silent is closed."""
    unknown_expiry_days: int = 7
    """A tag nobody linked is forgotten after so many days unseen."""
    item_expiry_days: int = 400
    """A linked item is forgotten after so many days without any event."""
    dead_letters_max: int = 10_000
    """Most dead letters kept; the oldest go first."""


class Storage(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The local store: journal, snapshots, tables."""

    directory: str = "var"
    """Where everything lives."""
    retention_days: float = 30.0
    """Journal history kept for the trainer, days."""
    journal_max_bytes: int = 8_589_934_592
    """Most bytes of the journal in use, tables included; beyond it the oldest history goes first.
    What was freed is used again, so the file keeps the largest size it ever had; its -wal takes up
    to 16 MB more.
    """
    disk_reserve_bytes: int = 134_217_728
    """With less free space than this nothing more is acknowledged."""
    snapshot_every_s: int = 900
    """Snapshot schedule, seconds."""
    snapshot_every_events: int = 250_000
    """… or after so many events, whichever is first (never within 60 s of the last)."""
    timeline_days: float = 400.0
    """Item timelines kept, days."""
    history_days: int = 800
    """Daily history kept for training (features and day measures), days; 0: none is written."""
    fsync_delay_ms: int = 0
    """For benches: added to every commit, milliseconds."""


class Api(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP door."""

    enabled: bool = True
    """Whether to listen."""
    bind: str = "127.0.0.1:8099"
    """Loopback address and port; other addresses are refused until access control exists."""
    body_max_bytes: int = 33_554_432
    """Largest upload."""
    webhook_hosts: list[str] = []
    """Hosts outside the shop's own network that a finished job or a decision may be posted to."""


class Models(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Models: where they are, and what a new one must do before people see it."""

    enabled: bool = True
    """Whether models are scored at all."""
    directory: str = ""
    """Where models live; empty: ``models`` under ``storage.directory``."""
    budget_mb: int = 512
    """Memory a new model may take while it is tried out, MB."""
    budget_s: float = 20.0
    """Time a new model may take for its golden rows, seconds."""
    model_max_bytes: int = 33_554_432
    """A larger model file is refused."""
    margin: float = 0.02
    """A new model is promoted when it is better by this share, on shadow or backtest."""
    shadow_days: float = 7.0
    """How long a candidate is scored beside the active model before it is judged, days."""
    canary_share: float = 0.1
    """Share of entities that see a canary's answers."""
    feature_stale_h: float = 24.0
    """A prediction whose features are older than this says so, hours."""
    feedback_ratings: int = 5
    """So many low ratings (1 or 2 of 5) of a service's answers since its model was trained have it
    trained again; 0: never."""


class ManualDemand(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a class is taken to rent or sell a day while neither a model nor a day of history knows it.

    The class's own value counts first, then its category's, then the default.
    """

    default: float = -1.0
    """Units a day of a class that stands in neither table; -1: nothing is said of it."""
    categories: dict[str, float] = {}
    """Category -> units a day of a class in it."""
    classes: dict[str, float] = {}
    """SKU -> units a day, in every store."""


class Demand(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Demand: what the shop itself knows of it."""

    manual: ManualDemand = ManualDemand()


class DecisionSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Decisions: what automation may do without a person, and what nobody may do.

    A change here counts from the next start on; what people set while the daemon runs counts until
    this table changes again.
    """

    dry_run: bool = True
    """Whether approved decisions are only recorded: nothing is sent, nothing changes."""
    restock_max_cents: int = 500_000
    """A restock decision may commit at most this, cents."""
    price_change_max_ratio: float = 0.2
    """A price may leave its baseline by at most this share."""
    approval_above_cents: int = 100_000
    """A decision that commits more than this needs a person, cents."""
    auto_approve_confidence: float = 0.8
    """Above this confidence a decision is approved without a person."""
    review_confidence: float = 0.6
    """From this confidence on a decision waits for review; below it is only proposed."""
    daily_budget_cents: int = 500_000
    """What is approved within any 24 hours may commit at most this, cents."""
    expire_h: float = 72.0
    """After so long nobody's decision is a no, hours."""
    deliver_h: float = 24.0
    """For so long a delivery is tried, hours."""
    propose_every_s: float = 900.0
    """How often services are asked what is worth doing, seconds."""


class DeliveryRule(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where approved decisions of some kinds go."""

    channel: Literal["webhook", "mqtt", "file"]
    """``webhook``: posted as JSON with an ``Idempotency-Key``; ``mqtt``: published as JSON, QoS 1;
    ``file``: a CSV file a decision."""
    target: str
    """Address, topic or folder."""
    kinds: list[str] = []
    """Kinds of decisions that go there; empty: all."""


class Tables(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tables for everybody who asks in SQL: predictions, features, factors, sales by day."""

    predictions_keys: int = 500
    """Of so many classes or items of a service its predictions are written each day, always the same
    ones; 0: none."""
    predictions_days: float = 90.0
    """Predictions kept, days."""
    predictions_thin_days: float = 30.0
    """Of predictions older than this only every tenth class or item is kept, days."""
    features: list[str] = []
    """Features written at each day's close, as ``class.<name>`` or ``item.<name>`` (docs/features.md);
    empty: ``class.utilisation_28d`` and ``class.rented_units_28d``."""
    features_days: float = 30.0
    """Features kept, days."""
    factors_days: float = 800.0
    """Weather, calendar and other factors kept, days."""
    sales_days: float = 1_500.0
    """Sales by class and day kept, days."""
    uncopied_max_bytes: int = 1_073_741_824
    """What has not been copied to MySQL is kept beyond its days until the store has grown to this for
    these tables, bytes; then the oldest goes, and that is said."""


class Mysql(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A copy of the tables in MySQL or MariaDB, for everybody else. It may be away for any time."""

    enabled: bool = False
    """Whether to copy."""
    host: str = "127.0.0.1"
    """Name or address of the server."""
    port: int = 3306
    """Its port."""
    user: str = "rfid3"
    """User, who may make and change tables in the database."""
    password: str = ""
    """Password; better from the environment variable RFID3_MYSQL__PASSWORD."""
    database: str = "rfid3"
    """Database, which must be there and belong to this shop alone."""
    ca_file: str = ""
    """Certificate authority of the server, PEM; empty: no TLS."""
    every_s: float = 2.0
    """How often to look for changes, seconds."""
    batch_rows: int = 1_000
    """Rows of each table copied in one transaction."""


class Maintenance(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What services, failures and hours cost, where the shop's own history does not tell it."""

    labour_cents: int = 4_500
    """An hour of a mechanic, cents."""
    service_hours: float = 0.5
    """Hours that a planned service takes."""
    service_parts_cents: int = 500
    """Parts of a planned service, cents."""
    service_days: float = 1.0
    """Days that an item is away for a planned service."""
    repair_hours: float = 1.5
    """Hours that the repair of a failure takes."""
    repair_parts_cents: int = 3_000
    """Parts of the repair of a failure, cents."""
    emergency_factor: float = 1.5
    """A repair that nobody planned costs so many times as much."""
    failure_cents: int = 2_000
    """What a failure costs besides repair and missed rentals: a trip, a discount, cents."""
    failure_days: float = 3.0
    """Days that an item is away after a failure."""
    effect: float = 0.3
    """Share of the rate of failures that a service takes away at first, where no model tells it."""
    effect_days: int = 90
    """Days after which that share has faded to nothing, evenly."""
    interval_days: float = 90.0
    """Days between services by the calendar, which plans are compared with."""
    crew_hours: float = 8.0
    """Hours a day for planned services, of everybody together, where no ``[[crews]]`` are named."""
    weekdays: list[str] = field(default_factory=lambda: ["mon", "tue", "wed", "thu", "fri"])
    """Days on which everybody works, where no ``[[crews]]`` are named."""
    component_life_days: float = 730.0
    """Usual life of a part that ``component_lives`` does not name, days."""
    component_lives: dict[str, float] = {}
    """Part -> its usual life, days."""


class Crew(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[crews]]`` entry: who services and repairs what, and for how long a day."""

    name: str
    """Name; a category whose ``crew`` in the catalogue is this name goes to it alone."""
    hours: float = 8.0
    """Hours a day that the whole crew has for planned services."""
    weekdays: list[str] = field(default_factory=lambda: ["mon", "tue", "wed", "thu", "fri"])
    """Days on which it works."""
    categories: list[str] = []
    """Categories it can do; empty: all."""


class Quality(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What items of each grade are worth, and how often they are looked at."""

    resale_shares: list[float] = field(default_factory=lambda: [0.4, 0.3, 0.15])
    """What is got for a used item of grade A, B and C, as shares of a new one's price."""
    price_shares: list[float] = field(default_factory=lambda: [1.0, 0.95, 0.8])
    """What customers pay for grade A, B and C, as shares of the usual price."""
    fading: float = 0.2
    """Share of its resale value that an item loses in a year whatever its grade."""
    refurbish_share: float = 0.25
    """Cost of refurbishing, as a share of a new one's price."""
    refurbish_days: float = 5.0
    """Days that an item is away for it."""
    selling_cents: int = 500
    """Cost of selling one item, cents."""
    disposal_cents: int = 0
    """Cost of throwing one away, cents."""
    interest: float = 0.08
    """What money costs a year."""
    worth_rentals: float = 25.0
    """Price of a new item where nobody told it, in rentals at the class's price."""
    life_days: float = 1_825.0
    """Usual life of an item where the catalogue does not tell it, days."""
    inspection_risk: float = 0.15
    """An item is looked at before a failure or repair that nobody saw is likelier than this."""
    inspection_min_days: float = 7.0
    """Never sooner after the last look, days."""
    inspection_max_days: float = 180.0
    """Never later, days."""
    inspections_a_day: int = 20
    """Most inspections planned for one day."""


class Contracts(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is charged at the check-in of a contract."""

    missing_share: float = 1.0
    """Share of its replacement cost that a unit is charged that does not come back."""
    damage_share: float = 0.25
    """Share of it for a damaged unit that nobody repaired and the catalogue says nothing of."""
    late_share_a_day: float = 0.0
    """Share of the rental's price for each day beyond the due day; 0: nothing."""
    cleaning_cents: int = 0
    """For an item that came back with one of ``cleaning_defects``, cents; 0: nothing."""
    cleaning_defects: list[str] = field(
        default_factory=lambda: ["dirty_or_mud", "leaves", "wet", "stain", "mold"]
    )
    """Defect flags that cost cleaning."""
    damage_defects: list[str] = field(
        default_factory=lambda: [
            *(
                "oil",
                "oxidation",
                "rip_or_tear",
                "sewing_repair_needed",
                "grommet",
                "rope",
                "buckle",
            ),
        ]
    )
    """Defect flags that are damage."""


class Inventory(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms of buying and keeping stock that hold until somebody puts others: of the class
    (``PUT /api/supply/{sku}``, ``*`` for all), of its supplier, or in the catalogue."""

    service_level: float = 0.95
    """Share of order cycles without a stock-out (sales), of requests served (rentals)."""
    lead_days: float = 7.0
    """Days from order to receipt, of a class without a known supplier; of a new supplier that does not say."""
    lead_sd_share: float = 0.25
    """Deviation of a lead time as a share of it, until orders show what it is."""
    review_days: float = 0.0
    """Days between two orders, of a class without a known supplier, and of a new one; 0: when needed."""
    round_days: float = 7.0
    """Days between two orders that ``order_up_to`` reckons with where orders are placed when needed."""
    holding_rate: float = 0.25
    """Cost of keeping a unit for a year, as a share of its cost: money, room, loss."""
    order_cost_cents: int = 1_000
    """Cost of an order whatever is in it, cents, where the supplier's is not told."""
    cost_share: float = 0.6
    """Where no cost is known a unit for sale is taken to cost so much of its price; 0: nothing is taken."""
    minimum_cover_days: float = 182.0
    """To reach a supplier's smallest order nothing is ordered that lasts longer; it waits instead."""


class Redis(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Redis: a mirror of forecasts, figures and alerts for other programs and for replicas of the API.

    The shop does not notice when it is away.
    """

    url: str = ""
    """Such as ``redis://127.0.0.1:6379/0``; empty: there is no mirror."""
    every_s: float = 2.0
    """How often what changed is written, seconds."""
    ttl_s: int = 300
    """Life of figures, alerts and answers, seconds."""
    forecast_ttl_s: int = 3_600
    """Life of forecasts, seconds."""


class Log(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the daemon says."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level shown."""
    format: Literal["auto", "text", "json", "journald"] = "auto"
    """auto: text on a terminal, journald under systemd, else JSON lines."""


class Config(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration."""

    shop: Shop = Shop()
    mqtt: Mqtt = Mqtt()
    ingest: Ingest = Ingest()
    sources: list[SourceRule] = []
    mapping: dict[str, Mapping] = {}
    zones: list[Zone] = []
    presence: PresenceSettings = PresenceSettings()
    epc: Epc = Epc()
    limits: Limits = Limits()
    storage: Storage = Storage()
    api: Api = Api()
    models: Models = Models()
    demand: Demand = Demand()
    decisions: DecisionSettings = DecisionSettings()
    deliveries: list[DeliveryRule] = []
    inventory: Inventory = Inventory()
    contracts: Contracts = Contracts()
    redis: Redis = Redis()
    tables: Tables = Tables()
    mysql: Mysql = Mysql()
    maintenance: Maintenance = Maintenance()
    crews: list[Crew] = []
    quality: Quality = Quality()
    log: Log = Log()
