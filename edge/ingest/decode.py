"""Which format is this? Bytes and a topic in; events, and what could not be read, out. Pure.

No sockets, no clock, no history: what a message decodes to depends on the message and the settings
only. :meth:`Decoder.decode` never raises, whatever the bytes.

Two ways lead through it. The fast way reads ordinary payloads of the common formats straight into
structs. Anything out of the ordinary takes the slow way, element by element, which is also the
judge of the fast one: both give the same events.

Which format, in this order: a ``[[sources]]`` rule; topics to ignore; Sparkplug (unsupported);
our own topics; Tasmota's state topics; then the payload itself by :data:`DETECTION`.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from edge import config
from edge.errors import ConfigError, FormatError
from edge.events import BY_KIND, Event
from edge.ingest import topics
from edge.ingest.formats import (
    epcis,
    generic,
    ifm,
    impinj,
    native,
    plain,
    rfid3,
    smartreader,
    speedway,
    springcard,
    square,
    starfish,
    tasmota,
    values,
    zebra,
)
from edge.ingest.formats.checks import fault
from edge.ingest.formats.mapping import Mapped
from edge.ingest.formats.reading import ELEMENTS_MAX, Object, Reading, Reject, Source
from edge.ingest.formats.typed import FastReader
from edge.ingest.times import Times
from edge.records import Message

__all__ = ["ELEMENTS_MAX", "REASONS", "Decoded", "Decoder", "Reject"]

REASONS: dict[str, str] = {
    "not_json": "The bytes are no JSON text, no known word and no UID.",
    "not_utf8": "A text holds bytes that are not UTF-8.",
    "not_msgpack": "The bytes on a native topic are no MessagePack.",
    "too_large": "The payload is longer than ingest.payload_max_bytes.",
    "too_deep": "Objects or lists are nested too deeply.",
    "too_many": "One message holds more elements than can be read at once.",
    "unknown_format": "Nothing in the payload says whose it is; add [[sources]] or a [mapping].",
    "unknown_kind": "The topic's kind level names no event type.",
    "unsupported_event": "The format is known; this kind of event is not ours.",
    "unsupported_sparkplug": "Sparkplug B; no RFID reader is known to speak it.",
    "bad_epc": "A tag's id is empty, too long, not hex where it must be, or unprintable.",
    "bad_text": "A name is too long or holds control characters.",
    "bad_time": "A time that cannot be read, in an event that somebody wrote for us.",
    "missing_field": "A field that is needed is absent or empty.",
    "wrong_type": "A field or element has another type than documented.",
    "out_of_range": "A number or word is outside what is allowed.",
    "decoder_fault": "A mistake of ours; the payload is kept, please report it.",
}
"""Every reason a payload or element may be refused for, in a sentence."""


class Decoded(Struct, gc=False):
    """What one message held."""

    events: list[Event]
    """Complete events: ``at`` is epoch ms, ``store`` and ``source`` are filled."""
    rejects: list[Reject]
    """What could not be read, with the reason."""
    format: str
    """Which format it was: a name of ``sources.format``, ``mixed``, or empty where unknown."""
    ignored: bool
    """Nothing to tell: a keep-alive, a discovery, a topic we were told to ignore."""
    skipped: int = 0
    """Elements that were understood and tell nothing."""


ElementReader = Callable[[Object, bytes, Reading], None]


def _discovery(o: Object, raw: bytes, reading: Reading) -> None:
    """Home Assistant's discovery: about a device, not from it."""
    reading.skip()


def _is_impinj(o: Object) -> bool:
    return isinstance(o.get("eventType"), str)


def _is_old_impinj(o: Object) -> bool:
    return impinj.event_key(o) != ""


def _is_discovery(o: Object) -> bool:
    return "value_template" in o


DETECTION: tuple[tuple[str, Callable[[Object], bool]], ...] = (
    ("epcis", epcis.looks_like),
    ("native", native.looks_like),
    ("impinj", _is_impinj),
    ("zebra", zebra.is_tag),
    ("zebra", zebra.is_management),
    ("impinj", _is_old_impinj),
    ("smartreader", smartreader.looks_like),
    ("speedway", speedway.looks_like),
    ("tasmota", tasmota.looks_like),
    ("rfid3", rfid3.looks_like),
    ("springcard", springcard.looks_like),
    ("starfish", starfish.looks_like),
    ("ifm", ifm.looks_like),
    ("square", square.looks_like),
    ("discovery", _is_discovery),
    ("generic", generic.looks_like),
)
"""Format and how one of its objects is known; the first hit wins."""

READERS: dict[str, ElementReader] = {
    "epcis": epcis.read,
    "native": native.read,
    "impinj": impinj.read,
    "zebra": zebra.read,
    "smartreader": smartreader.read,
    "speedway": speedway.read,
    "tasmota": tasmota.read,
    "rfid3": rfid3.read,
    "springcard": springcard.read,
    "starfish": starfish.read,
    "ifm": ifm.read,
    "square": square.read,
    "discovery": _discovery,
    "generic": generic.read,
}

_FAST: dict[str, FastReader] = {"zebra": zebra.fast, "impinj": impinj.fast, "rfid3": rfid3.fast}
# Where nobody has said whose a payload is: what it must hold to be tried, and by whom.
_MARKS: tuple[tuple[str, bytes, FastReader], ...] = (
    ("zebra", zebra.MARK, zebra.fast),
    ("impinj", impinj.MARK, impinj.fast),
    ("rfid3", rfid3.MARK, rfid3.fast_found),
)
_FAST_NATIVE: dict[str, FastReader] = {k: native.Fast(k) for k in (*BY_KIND, native.MIXED)}

_ROUTES_MAX = 4_096
_TOPIC_CACHED_MAX = 256  # characters; longer topics are looked up every time
_TASMOTA_STATE = ("STATE", "INFO1", "INFO2", "INFO3", "UPTIME")
_BOM = b"\xef\xbb\xbf"
_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


class _Route(Struct):
    """What a topic alone decides; and, where that is nothing, which fast reader to try first."""

    source: Source
    format: str  # auto, a format's name, mapping:<name>, ignore
    fast: FastReader | None = None  # never where the topic is ignored or refused
    label: str = ""  # the fast reader's format
    is_native: bool = False
    ignored: bool = False
    refused: FormatError | None = None


class Decoder:
    """Decodes messages by the settings; share one for the life of the process."""

    def __init__(
        self,
        sources: Sequence[config.SourceRule],
        mappings: Mapping[str, config.Mapping],
        *,
        store: str,
        timezone: str,
        payload_max_bytes: int,
        ignore: Sequence[str] = (),
        company_prefixes: Sequence[str] = (),
    ) -> None:
        """``company_prefixes``: needed only to turn GS1 Digital Links into hex.

        Raises ConfigError for an unknown format, mapping, event type, field, filter or zone.
        """
        assert payload_max_bytes > 0, payload_max_bytes
        self._store = store
        self._payload_max_bytes = payload_max_bytes
        self._company_prefixes = tuple(company_prefixes)
        self._zones = {z: _times(z) for z in {timezone, *(r.timezone or timezone for r in sources)}}
        self._timezone = timezone
        self._ignore = tuple(ignore)
        self._readers = READERS | {
            f"mapping:{name}": Mapped(name, mapping).read for name, mapping in mappings.items()
        }
        self._rules = tuple(sources)
        for rule in self._rules:
            self._check(rule)
        self._routes: dict[str, _Route] = {}

    def _check(self, rule: config.SourceRule) -> None:
        known = {"auto", "bare", "ignore", *self._readers}
        if rule.format not in known:
            raise ConfigError(f"sources: unknown format {rule.format!r} for topic {rule.topic!r}")
        if not topics.is_filter(topics.unshared(rule.topic)):
            raise ConfigError(f"sources: {rule.topic!r} is not a topic filter")

    # ── the fast way ──────────────────────────────────────────────────────────────────────────

    def decode(self, message: Message) -> Decoded:
        """Everything one message holds. Never raises, whatever the bytes."""
        route, payload = self._routes.get(message.topic), message.payload
        if route is None:
            route = self._route(message.topic)
        fast = route.fast
        if fast is not None and len(payload) <= self._payload_max_bytes:
            events = fast(payload, route.source, message.origin_ms or message.arrival_ms)
            if events is not None and len(events) <= ELEMENTS_MAX:
                return Decoded(events, [], route.label, False)
        return self._decode_with_care(message, route)

    def _decode_with_care(self, message: Message, route: _Route) -> Decoded:
        """What the topic's fast reader cannot answer, or where it has none."""
        payload = message.payload
        if route.ignored:
            return Decoded([], [], route.format, True)
        if route.refused is not None or len(payload) > self._payload_max_bytes:
            return self._refuse(route.refused or self._too_large(payload), payload, route.format)
        if route.format == "auto" and not route.is_native:
            found = self._try_others(route, payload, message.origin_ms or message.arrival_ms)
            if found is not None:
                return found
        return self.decode_slowly(message)

    @staticmethod
    def _try_others(route: _Route, payload: bytes, arrival_ms: int) -> Decoded | None:
        """The other fast readers, where the payload bears their mark.

        A topic remembers the one that fitted, to spare the search next time. That changes no
        result: all whose mark is there are tried in the end, and no payload fits two of them.
        """
        for label, mark, fast in _MARKS:
            if label != route.label and mark in payload:
                events = fast(payload, route.source, arrival_ms)
                if events is not None and len(events) <= ELEMENTS_MAX:
                    route.label, route.fast = label, fast
                    return Decoded(events, [], label, False)
        return None

    def _too_large(self, payload: bytes) -> FormatError:
        limit = self._payload_max_bytes
        return FormatError("too_large", f"{len(payload)} bytes; payload_max_bytes is {limit}")

    @staticmethod
    def _refuse(error: FormatError, payload: bytes, label: str = "") -> Decoded:
        label = "" if label == "auto" else label
        return Decoded([], [Reject(-1, error.reason, error.detail[:200], payload)], label, False)

    # ── what the topic decides ────────────────────────────────────────────────────────────────

    def _route(self, topic: str) -> _Route:
        """Look a topic up; remembered for the next message, up to a limit."""
        rule = next((r for r in self._rules if topics.matches(r.topic, topic)), None)
        if rule is not None and rule.format != "auto":
            route = self._by_rule(topic, rule)
        else:
            route = self._by_topic(topic, rule)
        if len(topic) <= _TOPIC_CACHED_MAX:
            if len(self._routes) >= _ROUTES_MAX:
                self._routes.clear()
            self._routes[topic] = route
        return route

    def _source(self, topic: str, rule: config.SourceRule | None = None, kind: str = "") -> Source:
        parts = topic.split("/")
        told = parts[1] if parts[0] == "rfid3" and len(parts) >= 4 else ""
        ruled = rule is not None and rule.store != ""
        reader = ""
        if rule is not None:
            reader = rule.reader or values.name(topics.level(topic, rule.reader_level))
        return Source(
            topic=topic,
            times=self._zones[(rule.timezone if rule else "") or self._timezone],
            store=(rule.store if rule else "") or values.name(told) or self._store,
            store_ruled=ruled,
            reader=reader,
            fallback=reader
            or values.name(topics.device_of(topic))
            or values.name(topic)
            or "unknown",
            kind=kind,
            company_prefixes=self._company_prefixes,
        )

    def _by_rule(self, topic: str, rule: config.SourceRule) -> _Route:
        kind = _native_kind(topic)
        source = self._source(topic, rule, kind if kind in BY_KIND else "")
        if rule.format == "ignore":
            return _Route(source, "ignore", ignored=True)
        if rule.format == "native":
            return self._native(source, kind)
        return _Route(source, rule.format, _FAST.get(rule.format), rule.format)

    def _by_topic(self, topic: str, rule: config.SourceRule | None) -> _Route:
        """Without a rule, or with one that leaves the format open (then nothing is ignored)."""
        source = self._source(topic, rule)
        if topic.startswith("$") and not topic.startswith("$http/"):
            return _Route(source, "ignore", ignored=True)
        if rule is None and any(topics.matches(f, topic) for f in self._ignore):
            return _Route(source, "ignore", ignored=True)
        if topic.startswith("spBv1.0/"):
            cure = FormatError("unsupported_sparkplug", "Sparkplug B is not read; send JSON")
            return _Route(source, "sparkplug", refused=cure)
        if topic.startswith("homeassistant/") and topic.endswith("/config"):
            return _Route(source, "discovery", ignored=True)
        if topic.startswith("tele/"):
            return self._tasmota(source, topics.levels(topic)[-1])
        kind = _native_kind(topic)
        if kind:
            return self._own(topic, rule, kind)
        return _Route(source, "auto")

    @staticmethod
    def _tasmota(source: Source, telegram: str) -> _Route:
        if telegram in _TASMOTA_STATE:
            return _Route(source, "tasmota", ignored=True)
        return _Route(source, "tasmota" if telegram in ("SENSOR", "RESULT") else "auto")

    def _own(self, topic: str, rule: config.SourceRule | None, kind: str) -> _Route:
        """``rfid3/<store>/<kind>/<source>`` and ``$http/<kind or format>/<source>``."""
        source = self._source(topic, rule, kind if kind in BY_KIND else "")
        if kind in _FAST_NATIVE:
            return self._native(source, kind)
        if topic.startswith("$http/") and (kind in self._readers or kind in ("auto", "bare")):
            return _Route(source, kind, _FAST.get(kind), kind)
        cure = FormatError("unknown_kind", f"{kind[:40]!r} is no event type; or use 'events'")
        return _Route(source, "native", refused=cure)

    @staticmethod
    def _native(source: Source, kind: str) -> _Route:
        kind = kind if kind in _FAST_NATIVE else native.MIXED
        label = "native" if kind != native.MIXED else "auto"
        return _Route(source, label, _FAST_NATIVE[kind], "native", is_native=True)

    # ── the slow way ──────────────────────────────────────────────────────────────────────────

    def decode_slowly(self, message: Message) -> Decoded:
        """The same as :meth:`decode`, element by element, without the fast way."""
        route = self._routes.get(message.topic) or self._route(message.topic)
        reading = Reading(route.source, message.origin_ms or message.arrival_ms)
        payload = message.payload
        try:
            self._read(payload, route, reading)
        except FormatError as error:
            reading.reject(error, payload, -1)
        except _FAULTS as error:
            told = f"{type(error).__name__}: {error}"
            return self._refuse(FormatError("decoder_fault", told), payload)
        label = "mixed" if len(reading.formats) > 1 else next(iter(reading.formats), "")
        nothing = not reading.events and not reading.rejects
        return Decoded(reading.events, reading.rejects, label, nothing, reading.skipped)

    def _read(self, payload: bytes, route: _Route, reading: Reading) -> None:
        """One whole payload. Raises FormatError where none of it can be read."""
        if not payload:  # a retained message being cleared, or a clean last will
            reading.skip()
            return
        if route.is_native and native.is_pack(payload):
            self._read_pack(payload, reading)
            return
        if payload.startswith(_BOM):
            payload = payload[3:]
        start = payload.lstrip()[:1]
        if route.format == "bare" or start not in (b"{", b"["):
            self._read_text(payload, route, reading)
        elif start == b"{":
            self._element(payload, route, reading)
        else:
            elements = _list(payload, reading)
            reading.each(elements, lambda raw: self._element(raw, route, reading))

    def _element(self, raw: bytes, route: _Route, reading: Reading) -> None:
        """One object, by its own format. Raises FormatError."""
        try:
            o = msgspec.json.decode(raw)
        except (ValueError, RecursionError) as error:
            raise fault(error) from None
        if isinstance(o, str) and route.format in ("auto", "bare") and plain.is_uid(o):
            reading.formats.add("bare")
            plain.read(o, reading)
            return
        if not isinstance(o, dict):
            raise FormatError("wrong_type", f"expected an object, not {type(o).__name__}")
        label = route.format if route.format != "auto" else _format_of(o)
        reading.formats.add(label.split(":")[0])
        self._readers[label](o, raw, reading)

    def _read_text(self, payload: bytes, route: _Route, reading: Reading) -> None:
        """No object and no list: a word, a UID, or nothing we know."""
        try:
            text = payload.decode().strip()
        except UnicodeDecodeError as error:
            raise fault(error) from None
        if len(text) >= 2 and text[0] == text[-1] == '"':
            text = text[1:-1].strip()
        if not text:
            reading.skip()
        elif plain.read_word(text, reading):
            reading.formats.add("words")
        elif route.format == "bare" or (route.format in ("auto", "tasmota") and plain.is_uid(text)):
            reading.formats.add("bare")
            plain.read(text, reading)
        else:
            raise FormatError("not_json", f"no JSON, no known word, no UID: {text[:60]!r}")

    @staticmethod
    def _read_pack(payload: bytes, reading: Reading) -> None:
        """Native MessagePack. Raises FormatError."""
        reading.formats.add("native")
        if not native.is_pack_array(payload):
            try:
                native.read_pack(payload, reading)
            except FormatError as error:
                reason = "not_msgpack" if error.reason == "not_json" else error.reason
                raise FormatError(reason, error.detail) from None
            return
        try:
            elements = msgspec.msgpack.decode(payload, type=list[Raw])
        except (ValueError, RecursionError) as error:
            found = fault(error)
            reason = "not_msgpack" if found.reason == "not_json" else found.reason
            raise FormatError(reason, found.detail) from None
        if not elements:
            reading.skip()
        reading.each(elements, lambda raw: native.read_pack(raw, reading))


def _times(timezone: str) -> Times:
    try:
        return Times(timezone)
    except (ValueError, OSError, LookupError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ConfigError(f"timezone: {timezone!r} is not an IANA zone") from error


def _native_kind(topic: str) -> str:
    """The kind level of our own topics, or empty."""
    parts = topic.split("/")
    if parts[0] == "rfid3" and len(parts) >= 4:
        return parts[2]
    if parts[0] == "$http" and len(parts) >= 3:
        return parts[1]
    return ""


def _list(payload: bytes, reading: Reading) -> list[Raw]:
    """The elements of a JSON array, undecoded; an empty one is a keep-alive."""
    try:
        elements = msgspec.json.decode(payload, type=list[Raw])
    except (ValueError, RecursionError) as error:
        raise fault(error) from None
    if not elements:
        reading.skip()
    return elements


def _format_of(o: Object) -> str:
    """Whose object this is. Raises FormatError (``unknown_format``)."""
    for label, looks_like in DETECTION:
        if looks_like(o):
            return label
    keys = ", ".join(values.name(k)[:20] for k in list(o)[:6])
    raise FormatError(
        "unknown_format", f"an object with {keys or 'no keys'}; add a [[sources]] rule or [mapping]"
    )
