"""What a setting may be: one table of rules, and a short list of rules between settings.

Not the types (the structs say those) and no file format. A rule returns what is wrong with a
value as a sentence that starts with "must" or names the cure; empty: nothing is wrong.
"""

import difflib
import ipaddress
import math
import os
import pwd
import re
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path as FilePath
from typing import Any, get_args

import msgspec
from msgspec import Struct

from edge import config as settings
from edge.commands import DecisionKind
from edge.config_lines import Path
from edge.events import BY_KIND, Defect

FORMATS = (
    "auto",
    "zebra",
    "impinj",
    "speedway",
    "smartreader",
    "springcard",
    "starfish",
    "ifm",
    "tasmota",
    "bare",
    "rfid3",
    "epcis",
    "native",
    "square",
    "generic",
    "ignore",
)
"""Formats a ``[[sources]]`` entry may name, besides ``mapping:<name>``."""

DECISION_KINDS = get_args(DecisionKind)

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

ANTENNA_MAX = 64
"""Highest antenna number that a zone may name."""

MB = 1_000_000
SECRET = frozenset({"mqtt.password", "redis.url", "mysql.password"})
"""Settings whose value is never shown."""


class Rule(Struct, frozen=True):
    """``allowed`` for people, and ``fault(value)``: what is wrong, or the empty text."""

    allowed: str
    fault: Callable[[Any], str]


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean …?`` for a misspelt word; empty where nothing is near.

    >>> suggestion("prot", ["port", "host"])
    'did you mean port?'
    """
    by_fold = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return f"did you mean {by_fold[near[0]]}?" if near else ""


def _joined(*parts: str) -> str:
    return "; ".join(p for p in parts if p)


def _number(value: float) -> str:
    """A number as people write it in TOML: ``65_535``, ``0.5``."""
    return f"{int(value):_}" if float(value).is_integer() and abs(value) >= 1e5 else f"{value:g}"


def between(low: float, high: float, hint: str = "") -> Rule:
    """Numbers from ``low`` to ``high``, both allowed; ``nan`` never is."""
    allowed = f"{_number(low)}..{_number(high)}"

    def fault(value: float) -> str:
        fine = not math.isnan(value) and low <= value <= high
        return "" if fine else _joined(f"must be {allowed}", hint)

    return Rule(allowed, fault)


def each(rule: Rule) -> Rule:
    """Every element of a list satisfies ``rule``; the first that does not is named."""

    def fault(values: Sequence[Any]) -> str:
        faults = ((v, rule.fault(v)) for v in values)
        return next((f'"{v}" {reason}' for v, reason in faults if reason), "")

    return Rule(f"each: {rule.allowed}", fault)


def each_value(rule: Rule) -> Rule:
    """Every value of a table satisfies ``rule``; the first key whose value does not is named."""

    def fault(values: Mapping[str, Any]) -> str:
        faults = ((key, rule.fault(value)) for key, value in values.items())
        return next((f'"{key}" {reason}' for key, reason in faults if reason), "")

    return Rule(f"each: {rule.allowed}", fault)


def or_empty(rule: Rule) -> Rule:
    """The empty text, or what ``rule`` allows."""
    return Rule(f"{rule.allowed}, or empty", lambda value: rule.fault(value) if value else "")


def one_of(words: Sequence[str]) -> Rule:
    """One of these words."""

    def fault(value: str) -> str:
        if value in words:
            return ""
        return _joined(f"must be one of {', '.join(words)}", suggestion(value, words))

    return Rule(", ".join(words), fault)


def _three_shares_fault(shares: Sequence[float]) -> str:
    fine = len(shares) == 3 and all(0 <= share <= 10 for share in shares)
    return "" if fine else "must be three numbers of 0..10, for grade A, B and C"


def filter_fault(topic_filter: str, *, share: bool = False) -> str:
    """What is wrong with an MQTT topic filter (MQTT 5.0, 4.7 and 4.8.2).

    >>> filter_fault("shop/+/#")
    ''
    >>> filter_fault("shop/#/data")
    'must have # only as its last level'
    """
    if topic_filter.startswith("$share/"):
        if not share:
            return "must not be a shared subscription here: give the filter without $share/<group>/"
        group, _, rest = topic_filter.removeprefix("$share/").partition("/")
        if not group or not rest or set(group) & set("+#"):
            return "must read $share/<group>/<filter>"
        return filter_fault(rest)
    levels = topic_filter.split("/")
    tests = (
        (not topic_filter, 'must not be empty; "#" means every topic'),
        ("\0" in topic_filter, "must not contain a NUL character"),
        (len(topic_filter.encode()) > 65_535, "must not be longer than 65535 bytes"),
        ("#" in topic_filter[:-1], "must have # only as its last level"),
        ("#" in levels[-1] and levels[-1] != "#", "must have # as a level of its own: a/#"),
        (any("+" in v and v != "+" for v in levels), "must have + as a level of its own: a/+/b"),
    )
    return next((reason for wrong, reason in tests if wrong), "")


def _topic_fault(topic: str) -> str:
    if topic.startswith("$") or set(topic) & set("+#\0"):
        return "must be a topic without + and #, not starting with $; empty: no status is published"
    return ""


def _level_fault(name: str) -> str:
    if not name.strip() or set(name) & set("/+#\0"):
        return "must be a name without / + #, because it becomes one level of MQTT topics"
    return ""


def _host_fault(host: str) -> str:
    if "://" in host:
        bare = host.partition("://")[2].partition("/")[0].rpartition("@")[2]
        return f"must be only the host: {bare.partition(':')[0]}"
    if not host or re.search(r"[\s/]", host):
        return "must be a host name or an address, such as 127.0.0.1 or broker.local"
    if host.count(":") == 1:
        return "must be only the host; the port goes to mqtt.port"
    return ""


def zone_fault(name: str) -> str:
    """What is wrong with an IANA time zone name."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = suggestion(name, zoneinfo.available_timezones())
        return _joined("must be an IANA time zone such as Europe/Berlin", near)
    return ""


def bind_fault(bind: str) -> str:
    """What is wrong with an address to listen on: only loopback is allowed.

    >>> bind_fault("127.0.0.1:8099"), bind_fault("[::1]:0")
    ('', '')
    """
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        return "must be an address and a port (0..65535; 0 picks a free one): 127.0.0.1:8099"
    if host == "localhost":
        return ""
    try:
        loopback = ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return f"must be an address, not a name; use 127.0.0.1:{port}"
    if loopback:
        return "" if ":" not in host or host.startswith("[") else f"must read [{host}]:{port}"
    return (
        "must be a loopback address, because there is no access control yet and anybody on the "
        f"network could read and write; use 127.0.0.1:{port}, and from another machine a tunnel: "
        f"ssh -L {port}:127.0.0.1:{port} <this machine>"
    )


def _format_fault(name: str) -> str:
    if name in FORMATS or re.fullmatch(r"mapping:.+", name):
        return ""
    known = (*FORMATS, "mapping:<name>")
    return _joined("must be one of " + ", ".join(known), suggestion(name, FORMATS))


def _kind_fault(kind: str) -> str:
    if kind in BY_KIND:
        return ""
    return _joined("must be one of " + ", ".join(BY_KIND), suggestion(kind, BY_KIND))


def _decision_fault(kind: str) -> str:
    if kind in DECISION_KINDS:
        return ""
    return _joined("must be one of " + ", ".join(DECISION_KINDS), suggestion(kind, DECISION_KINDS))


def _reader_fault(reader: str) -> str:
    name, slash, antenna = reader.partition("/")
    number = int(antenna) if re.fullmatch("[0-9]{1,4}", antenna) else 0
    if not name.strip() or (slash and not 1 <= number <= ANTENNA_MAX):
        return f"must be a reader's name, or reader/antenna with an antenna of 1..{ANTENNA_MAX}"
    return ""


def _matches(pattern: str, allowed: str) -> Rule:
    return Rule(allowed, lambda value: "" if re.fullmatch(pattern, value) else f"must be {allowed}")


_NAME = Rule("a name without / + #", _level_fault)
_ZONE = Rule("an IANA time zone", zone_fault)
_FILTER = Rule("an MQTT topic filter", filter_fault)
_PREFIX = _matches("[0-9]{6,12}", "6 to 12 digits")
_BYTES_HINT = "this is a number of bytes: 1 MB is 1_000_000"

_WEEKDAY = one_of(WEEKDAYS)
_THREE_SHARES = Rule("three of 0..10, for grade A, B and C", _three_shares_fault)
_UNITS_A_DAY = each_value(between(0, 1_000_000, "units a day"))

_DEFECT = Rule(
    "a defect flag",
    lambda value: "" if value in get_args(Defect) else f"is none of {', '.join(get_args(Defect))}",
)

RULES: Mapping[str, Rule] = {
    "shop.store": _NAME,
    "shop.timezone": _ZONE,
    "mqtt.host": Rule("a host name or address", _host_fault),
    "mqtt.port": between(1, 65535, "the usual ports are 1883 (plain) and 8883 (TLS)"),
    "mqtt.client_id": _NAME,
    "mqtt.subscriptions": each(
        Rule("an MQTT topic filter, also $share/…", partial(filter_fault, share=True))
    ),
    "mqtt.ignore": each(_FILTER),
    "mqtt.keep_alive_s": between(1, 65535),
    "mqtt.session_expiry_s": between(0, 4_294_967_295, "604_800 is a week"),
    "mqtt.receive_maximum": between(1, 65535),
    "mqtt.qos": between(0, 1, "QoS 1 survives a lost link, 0 does not; 2 is not offered"),
    "mqtt.packet_max_bytes": between(1_024, 268_435_455, _BYTES_HINT),
    "mqtt.reconnect_min_s": between(0.01, 600),
    "mqtt.reconnect_max_s": between(0.01, 3_600),
    "mqtt.status_topic": or_empty(Rule("a topic without + and #", _topic_fault)),
    "ingest.beat_ms": between(1, 5_000),
    "ingest.quiet_beat_s": between(0.01, 60),
    "ingest.batch_max": between(1, 65_536),
    "ingest.inbox_max": between(1, 10 * MB),
    "ingest.inbox_max_bytes": between(65_536, 4_294_967_296, _BYTES_HINT),
    "ingest.payload_max_bytes": between(256, 268_435_455, _BYTES_HINT),
    "ingest.future_tolerance_s": between(0, 86_400),
    "ingest.lateness_s": between(0, 2_678_400),
    "ingest.stale_read_s": between(0, 86_400),
    "ingest.repeat_s": between(0, 86_400),
    "ingest.dedupe_events": between(1_024, 16_777_216),
    "sources.*.topic": _FILTER,
    "sources.*.format": Rule("", _format_fault),  # its docstring has the list
    "sources.*.reader_level": between(
        -1, 100, "topic levels count from 0; -1 leaves it to the format"
    ),
    "sources.*.store": or_empty(_NAME),
    "sources.*.timezone": or_empty(_ZONE),
    "mapping.*.kind": Rule("an event type", _kind_fault),
    "zones.*.name": _NAME,
    "zones.*.readers": each(Rule("reader or reader/antenna", _reader_fault)),
    "zones.*.store": or_empty(_NAME),
    "presence.epoch_ms": between(100, 60_000),
    "presence.departed_after_s": between(1, 2_678_400),
    "presence.passed_after_s": between(1, 2_678_400),
    "presence.move_threshold_db": between(0, 60),
    "presence.move_slope_db_per_s": between(0, 1_000),
    "presence.move_holdoff_ms": between(0, 600_000),
    "presence.move_reads": between(1, 100),
    "presence.reader_silent_s": between(1, 86_400),
    "presence.pairs_max": between(64, 16_777_216),
    "epc.company_prefixes": each(_PREFIX),
    "limits.items_max": between(1, 10 * MB),
    "limits.active_items_max": between(1, 10 * MB),
    "limits.rental_log_max": between(1_000, 100 * MB),
    "limits.classes_max": between(1, MB),
    "limits.zones_max": between(1, 4_096),
    "limits.readers_max": between(1, 65_536),
    "limits.customers_max": between(1, 10 * MB),
    "limits.lines_max": between(1, 16_777_216),
    "limits.pairs_max": between(16, 1_048_576),
    "limits.baskets_max": between(1, 65_536),
    "limits.unknown_expiry_days": between(1, 3_650),
    "limits.item_expiry_days": between(1, 36_500),
    "limits.dead_letters_max": between(1, 10 * MB),
    "storage.retention_days": between(0, 3_650),
    "storage.journal_max_bytes": between(1_048_576, 2**50, _BYTES_HINT),
    "storage.disk_reserve_bytes": between(0, 2**50, _BYTES_HINT),
    "storage.snapshot_every_s": between(1, 86_400),
    "storage.snapshot_every_events": between(1, 1_000 * MB),
    "storage.timeline_days": between(1, 36_500),
    "storage.history_days": between(0, 36_500),
    "storage.fsync_delay_ms": between(0, 60_000),
    "api.bind": Rule("a loopback address and port", bind_fault),
    "inventory.service_level": between(0.5, 0.999),
    "inventory.lead_days": between(0, 3_650, "days"),
    "inventory.lead_sd_share": between(0, 10),
    "inventory.review_days": between(0, 3_650, "days"),
    "inventory.round_days": between(1, 3_650, "days"),
    "inventory.holding_rate": between(0, 10),
    "inventory.order_cost_cents": between(0, 100 * MB, "cents"),
    "inventory.cost_share": between(0, 10),
    "inventory.minimum_cover_days": between(1, 3_650, "days"),
    "contracts.missing_share": between(0, 10),
    "contracts.damage_share": between(0, 10),
    "contracts.late_share_a_day": between(0, 10),
    "contracts.cleaning_cents": between(0, 1_000_000, "cents"),
    "contracts.cleaning_defects": each(_DEFECT),
    "contracts.damage_defects": each(_DEFECT),
    "api.body_max_bytes": between(1_024, 4_294_967_296, _BYTES_HINT),
    "tables.predictions_keys": between(0, 5_000),
    "tables.predictions_days": between(0, 36_500, "days"),
    "tables.predictions_thin_days": between(0, 36_500, "days"),
    "tables.features_days": between(0, 36_500, "days"),
    "tables.factors_days": between(0, 36_500, "days"),
    "tables.sales_days": between(0, 36_500, "days"),
    "tables.uncopied_max_bytes": between(1_048_576, 2**50, _BYTES_HINT),
    "mysql.port": between(1, 65_535),
    "mysql.every_s": between(0.05, 3_600, "seconds"),
    "mysql.batch_rows": between(1, 10_000),
    "models.budget_mb": between(64, 65_536, "MB"),
    "models.budget_s": between(1, 600, "seconds"),
    "models.model_max_bytes": between(1_024, 1_073_741_824, _BYTES_HINT),
    "models.margin": between(0, 1),
    "models.shadow_days": between(0, 365, "days"),
    "models.canary_share": between(0, 1),
    "models.feature_stale_h": between(0.1, 8_760, "hours"),
    "models.feedback_ratings": between(0, 1_000_000),
    "redis.url": or_empty(
        Rule(
            "an address such as redis://127.0.0.1:6379/0",
            lambda url: (
                ""
                if url.startswith(("redis://", "rediss://", "unix://"))
                else "must start with redis://"
            ),
        )
    ),
    "redis.every_s": between(0.1, 300, "seconds"),
    "redis.ttl_s": between(2, 86_400, "seconds"),
    "redis.forecast_ttl_s": between(2, 604_800, "seconds"),
    "decisions.restock_max_cents": between(0, 2**53, "cents"),
    "decisions.price_change_max_ratio": between(0, 10, "0.2 is 20 %"),
    "decisions.approval_above_cents": between(0, 2**53, "cents"),
    "decisions.auto_approve_confidence": between(0, 1),
    "decisions.review_confidence": between(0, 1),
    "decisions.daily_budget_cents": between(0, 2**53, "cents"),
    "decisions.expire_h": between(0.01, 8_760, "hours"),
    "decisions.deliver_h": between(0.01, 8_760, "hours"),
    "decisions.propose_every_s": between(1, 86_400, "seconds"),
    "deliveries.*.kinds": each(Rule(", ".join(DECISION_KINDS), _decision_fault)),
    "deliveries.*.target": Rule(
        "an address, a topic or a folder", lambda text: "" if text.strip() else "must not be empty"
    ),
    "maintenance.labour_cents": between(0, 10 * MB, "cents"),
    "maintenance.service_hours": between(0.05, 1_000),
    "maintenance.service_parts_cents": between(0, 1_000 * MB, "cents"),
    "maintenance.service_days": between(0, 30, "days"),
    "maintenance.repair_hours": between(0.05, 1_000),
    "maintenance.repair_parts_cents": between(0, 1_000 * MB, "cents"),
    "maintenance.emergency_factor": between(1, 100),
    "maintenance.failure_cents": between(0, 1_000 * MB, "cents"),
    "maintenance.failure_days": between(0, 60, "days"),
    "maintenance.effect": between(0, 1),
    "maintenance.effect_days": between(60, 365, "days"),
    "maintenance.interval_days": between(1, 3_650, "days"),
    "maintenance.crew_hours": between(0, 10_000),
    "maintenance.weekdays": each(_WEEKDAY),
    "maintenance.component_life_days": between(1, 36_500, "days"),
    "maintenance.component_lives": each_value(between(1, 36_500, "days")),
    "crews.*.name": _NAME,
    "crews.*.hours": between(0, 10_000),
    "crews.*.weekdays": each(_WEEKDAY),
    "quality.resale_shares": _THREE_SHARES,
    "quality.price_shares": _THREE_SHARES,
    "quality.fading": between(0, 1),
    "quality.refurbish_share": between(0, 10),
    "quality.refurbish_days": between(0, 365, "days"),
    "quality.selling_cents": between(0, 1_000 * MB, "cents"),
    "quality.disposal_cents": between(0, 1_000 * MB, "cents"),
    "quality.interest": between(0, 10),
    "quality.worth_rentals": between(0, 1_000_000),
    "quality.life_days": between(1, 36_500, "days"),
    "quality.inspection_risk": between(0.001, 0.999),
    "quality.inspection_min_days": between(0, 3_650, "days"),
    "quality.inspection_max_days": between(1, 3_650, "days"),
    "quality.inspections_a_day": between(1, 100_000),
    "demand.manual.default": between(-1, 1_000_000, "units a day; -1 says nothing"),
    "demand.manual.categories": _UNITS_A_DAY,
    "demand.manual.classes": _UNITS_A_DAY,
}
"""Setting -> what it may be; ``*`` stands for the number or name of an entry."""


def rule_for(path: Path) -> Rule | None:
    """The rule for a setting, where there is one."""
    if path[0] in ("sources", "zones", "mapping", "deliveries", "crews") and len(path) > 2:
        path = (path[0], "*", *path[2:])
    return RULES.get(".".join(map(str, path)))


Fault = tuple[Path, str]


def _order_faults(config: settings.Config) -> Iterator[Fault]:
    """Pairs of settings of which the first must not exceed the second."""
    mqtt, ingest = config.mqtt, config.ingest
    pairs: tuple[tuple[Path, float, str, float], ...] = (
        (
            ("mqtt", "reconnect_min_s"),
            mqtt.reconnect_min_s,
            f"mqtt.reconnect_max_s = {mqtt.reconnect_max_s:g}",
            mqtt.reconnect_max_s,
        ),
        (
            ("ingest", "beat_ms"),
            ingest.beat_ms,
            f"ingest.quiet_beat_s = {ingest.quiet_beat_s:g}",
            ingest.quiet_beat_s * 1_000,
        ),
        (
            ("ingest", "beat_ms"),
            ingest.beat_ms,
            f"mqtt.keep_alive_s = {mqtt.keep_alive_s}: acknowledgements wait for the beat",
            mqtt.keep_alive_s * 1_000,
        ),
        (
            ("ingest", "batch_max"),
            ingest.batch_max,
            f"ingest.inbox_max = {_number(ingest.inbox_max)}",
            ingest.inbox_max,
        ),
        (
            ("decisions", "review_confidence"),
            config.decisions.review_confidence,
            f"decisions.auto_approve_confidence = {config.decisions.auto_approve_confidence:g}",
            config.decisions.auto_approve_confidence,
        ),
        (
            ("ingest", "payload_max_bytes"),
            ingest.payload_max_bytes,
            f"ingest.inbox_max_bytes = {_number(ingest.inbox_max_bytes)}",
            ingest.inbox_max_bytes,
        ),
    )
    for path, value, bound, high in pairs:
        if value > high:
            yield path, f"must not exceed {bound}"


def _door_faults(config: settings.Config) -> Iterator[Fault]:
    if not config.mqtt.enabled and not config.api.enabled:
        yield (
            ("mqtt", "enabled"),
            "must be true, or api.enabled: with both doors closed no event can ever arrive",
        )


def _tls_faults(config: settings.Config) -> Iterator[Fault]:
    tls = config.mqtt.tls
    files = {n: getattr(tls, n) for n in ("ca_file", "cert_file", "key_file")}
    given = [n for n, f in files.items() if f]
    if given and not tls.enabled:
        yield (
            ("mqtt", "tls", given[0]),
            "is set but TLS is off, so everything would travel in plain; set mqtt.tls.enabled = true",
        )
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if files[one] and not files[other]:
            yield ("mqtt", "tls", one), f"needs mqtt.tls.{other} beside it"


def _source_faults(config: settings.Config) -> Iterator[Fault]:
    for index, source in enumerate(config.sources):
        name = source.format.removeprefix("mapping:")
        if name == source.format or name in config.mapping:
            continue
        known = ", ".join(config.mapping) or "none yet"
        yield (
            ("sources", index, "format"),
            _joined(
                f"there is no [mapping.{name}]; known mappings: {known}",
                suggestion(name, config.mapping),
            ),
        )


def _field_faults(
    path: Path, known: Mapping[str, msgspec.structs.FieldInfo], names: Iterable[str], kind: str
) -> Iterator[Fault]:
    for name in names:
        if name not in known:
            cure = suggestion(name, known) or "it has " + ", ".join(known)
            yield (*path, name), f"{kind} events have no field {name}; {cure}"


def _mapping_faults(config: settings.Config) -> Iterator[Fault]:
    for name, mapping in config.mapping.items():
        if mapping.kind in BY_KIND:
            yield from _one_mapping_faults(("mapping", name), mapping)


def _one_mapping_faults(path: Path, mapping: settings.Mapping) -> Iterator[Fault]:
    known = {f.name: f for f in msgspec.structs.fields(BY_KIND[mapping.kind])}
    for table in ("fields", "constants", "values", "scale"):
        yield from _field_faults((*path, table), known, getattr(mapping, table), mapping.kind)
    filled = {*mapping.fields, *mapping.constants}
    lacking = [f.name for f in known.values() if f.required and f.name not in filled]
    if lacking:
        yield (
            path,
            f"{mapping.kind} events need {', '.join(lacking)}; add to "
            f'[{".".join(map(str, path))}.fields] such as {lacking[0]} = "path.in.their.object"',
        )
    for field, constant in mapping.constants.items():
        if field in known:
            yield from _constant_faults((*path, "constants", field), known[field].type, constant)
    for table in ("values", "scale"):
        for field in getattr(mapping, table):
            if field in known and field not in mapping.fields:
                yield (
                    (*path, table, field),
                    f"translates a field that [{'.'.join(map(str, path))}.fields] does not fill",
                )
    for field, words in mapping.values.items():
        if field in known and field in mapping.fields:
            for theirs, ours in words.items():
                at = (*path, "values", field, theirs)
                yield from _constant_faults(at, known[field].type, ours)


def _constant_faults(path: Path, kind: Any, value: str | int | float) -> Iterator[Fault]:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        words = [str(w) for w in getattr(kind, "__args__", ()) if isinstance(w, str)]
        allowed = ", ".join(w for w in words if w)
        yield path, f"must be one of {allowed}" if allowed else f"does not fit: {error}"


_TARGETS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "webhook": (lambda t: t.startswith(("http://", "https://")), "an address with http or https"),
    "mqtt": (lambda t: not _topic_fault(t), "a topic without + and #"),
    "file": (lambda t: FilePath(t).is_absolute(), "a folder, named from the root"),
}


def _delivery_faults(config: settings.Config) -> Iterator[Fault]:
    """What a target must be depends on its channel."""
    for index, delivery in enumerate(config.deliveries):
        fits, wanted = _TARGETS[delivery.channel]
        if delivery.target.strip() and not fits(delivery.target):
            yield ("deliveries", index, "target"), f"must be {wanted} for {delivery.channel}"


def _zone_faults(config: settings.Config) -> Iterator[Fault]:
    """A reader looks at one place; ``reader/antenna`` may except one antenna from ``reader``."""
    names: set[str] = set()
    readers: dict[str, str] = {}
    for index, zone in enumerate(config.zones):
        if zone.name in names:
            yield ("zones", index, "name"), "stands twice; put all its readers into one [[zones]]"
        names.add(zone.name)
        for at, reader in enumerate(zone.readers):
            owner = readers.setdefault(reader, zone.name)
            first = zone.readers.index(reader) == at
            if owner != zone.name or not first:
                yield (
                    ("zones", index, "readers"),
                    f"{reader} already belongs to zone {owner}; a reader or antenna looks at one zone",
                )
    if len(config.zones) > config.limits.zones_max:
        yield (
            ("limits", "zones_max"),
            f"must be at least {len(config.zones)}: so many [[zones]] are configured",
        )


def _file_faults(config: settings.Config) -> Iterator[Fault]:
    """Files and folders that must be there, or must be possible, on this machine."""
    tls = config.mqtt.tls
    for name in ("ca_file", "cert_file", "key_file"):
        file = getattr(tls, name)
        if file and not os.access(file, os.R_OK):
            state = "cannot be read" if FilePath(file).exists() else "does not exist"
            yield (
                ("mqtt", "tls", name),
                f"{state}; give the path of a PEM file readable by this user",
            )
    fault = directory_fault(FilePath(config.storage.directory))
    if fault:
        yield ("storage", "directory"), fault


def user_name() -> str:
    """Whose rights count, by name where there is one."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def directory_fault(directory: FilePath) -> str:
    """Why a storage directory cannot be used or made by this user; empty: it can."""
    if str(directory) in ("", "."):
        return "must name a folder of its own, such as /var/lib/rfid3"
    whole = directory.absolute()
    nearest = next(p for p in (whole, *whole.parents) if p.exists())
    if not nearest.is_dir():
        return f"{nearest} is a file, not a folder; choose another place"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return (
            f"user {user_name()} may not write in {nearest}; run as the daemon's user, choose "
            f"another place, or: sudo install -d -o {user_name()} -m 750 {whole}"
        )
    return ""


BETWEEN: tuple[Callable[[settings.Config], Iterator[Fault]], ...] = (
    _order_faults,
    _door_faults,
    _tls_faults,
    _source_faults,
    _mapping_faults,
    _zone_faults,
    _delivery_faults,
)
"""Rules between settings, in the order their complaints are shown."""

ON_THIS_MACHINE: tuple[Callable[[settings.Config], Iterator[Fault]], ...] = (_file_faults,)
"""Rules that look at this machine's files."""
