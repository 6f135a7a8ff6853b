"""Random streams of messages for tests: a small shop in which everything that can go wrong does.

Not a simulator: nothing here means anything, except that the same seed gives the same stream. Few
keys and few words, so that events collide often.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from edge.config import Config, Ingest, Limits, Mqtt, PresenceSettings, Shop, Zone
from edge.core import Core
from edge.events import Defect, Grade, ScanType
from edge.records import DUP, DeadLetter, Gap, Message, TimelineEntry

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
START_MS = 1_760_000_000_000

SCAN_TYPES: tuple[ScanType, ...] = ("Touch Scan", "Rental", "Return", "Delivery", "Pickup")
GRADES: tuple[Grade, ...] = ("", "", "A+", "B", "C-")
DEFECTS: tuple[Defect, ...] = ("oil", "wet", "other")
STATUSES = ("", "", "", "On Rent", "Ready to Rent", "Wash", "Sold", "Missing", "Elsewhere")
READERS = ("r0", "r1", "r2", "r3", "dock/7")
ZONES = [
    Zone(name="shelf", readers=["r0", "r1/1"]),
    Zone(name="door", readers=["r1"], kind="portal"),
    Zone(name="back", readers=["r2/2"]),
]
LIMITS = Limits(
    items_max=64,
    active_items_max=64,
    rental_log_max=10_000,
    classes_max=16,
    zones_max=16,
    readers_max=8,
    customers_max=16,
    lines_max=500,
)


def config(timezone: str = "Europe/London", limits: Limits = LIMITS, **ingest: Any) -> Config:
    """A small shop. ``ingest`` overrides settings of that table."""
    return Config(
        shop=Shop(timezone=timezone),
        zones=ZONES,
        limits=limits,
        ingest=Ingest(**{"dedupe_events": 4_096} | ingest),
        mqtt=Mqtt(receive_maximum=64),
        presence=PresenceSettings(pairs_max=256),
    )


def epc(number: int) -> str:
    """The identity of the shop's tag ``number``."""
    return f"{0x425445 << 72 | number:024X}"


@dataclass
class Streams:
    """Makes one stream. ``rates`` weighs the kinds of events; see ``KINDS`` for their names."""

    seed: int
    items: int = 12
    start_ms: int = START_MS
    pauses_ms: tuple[int, ...] = (0, 0, 0, 1, 40, 300, 900, 2_000, 30_000, 10 * MINUTE)
    ages_ms: tuple[int, ...] = (0, 0, 0, 0, 90, 5_000, 40_000, 30 * MINUTE, 3 * HOUR, -30_000)
    rates: dict[str, float] = field(default_factory=dict)
    redeliveries: bool = True
    named: float = 0.1  # share of events with an id of their own

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now_ms = self.start_ms + self.random.randrange(DAY)
        self.told: list[dict[str, Any]] = []
        self.skus = ["A", "B", "C"]

    # -- kinds of events --------------------------------------------------------------------------

    def tag_read(self) -> dict[str, Any]:
        r = self.random
        return {
            "epc": self._epc(),
            "source": r.choice(READERS),
            "antenna": r.randrange(3),
            "rssi_dbm": r.choice([None, -50.5, -60, -71.25]),
            "count": r.choice([1, 1, 1, 3]),
            "seq": r.choice([0, r.randrange(1, 1_000)]),
        }

    def item_scan(self) -> dict[str, Any]:
        r = self.random
        return {
            "epc": self._epc(),
            "scan_type": r.choice(SCAN_TYPES),
            "contract": f"C{r.randrange(4)}",
            "status": r.choice(STATUSES),
            "sku": r.choice([*self.skus, "", "", ""]),
            "name": r.choice(["", "", "Tent"]),
            "bin": r.choice(["", "", "7B"]),
            "grade": r.choice(GRADES),
            "defects": r.sample(DEFECTS, r.choice([0, 0, 1, 2])),
        }

    def pos_line(self) -> dict[str, Any]:
        r = self.random
        return {
            "document": f"R{r.randrange(20)}",
            "line": r.choice([None, 1, 2, 3]),
            "kind": r.choice(["sale", "rental", "rental", "return", "void"]),
            "sku": r.choice(self.skus),
            "quantity": r.choice([1, 1, 2, 2.5]),
            "price_cents": r.choice([0, 1_999, 250]),
            "customer": r.choice(["", "k1", "k2", "k3"]),
            "epc": r.choice(["", self._epc()]),
            "due": r.choice([0, self.now_ms + DAY]),
            "category": r.choice(["", "tents"]),
        }

    def item_link(self) -> dict[str, Any]:
        r = self.random
        action = r.choice(["bind", "bind", "replace", "retire", "mute", "unmute"])
        return {
            "epc": self._epc(),
            "action": action,
            "sku": r.choice([*self.skus, ""]),
            "replaces": self._epc() if action == "replace" else "",
        }

    def correction(self) -> dict[str, Any]:
        r = self.random
        scans = [t for t in self.told[-60:] if t["type"] == "item_scan"]
        if r.random() < 0.5 and scans:
            scan = r.choice(scans)
            named = {k: scan[k] for k in ("epc", "contract", "scan_type")}
            return named | {"action": "undo_scan", "scanned_at": scan["at"]}
        lines = [t for t in self.told[-60:] if t["type"] == "pos_line"]
        line = r.choice(lines) if lines else {"document": "R1", "line": 1, "sku": "A"}
        return {k: line[k] for k in ("document", "line", "sku")} | {"action": "void_line"}

    def maintenance(self) -> dict[str, Any]:
        r = self.random
        told = {
            "epc": self._epc(),
            "kind": r.choice(["inspection", "repair", "wash", "replacement", "failure"]),
            "cost_cents": r.choice([0, 500]),
            "minutes": r.choice([0, 5]),
            "grade": r.choice(GRADES),
            "status": r.choice(STATUSES),
        }
        if told["minutes"]:
            told["planned"] = told["cost_cents"] > 0
            told["kind"] = "service" if told["kind"] == "wash" else told["kind"]
        return told

    def stock_count(self) -> dict[str, Any]:
        return {"sku": self.random.choice(self.skus), "quantity": self.random.choice([0, 2, 7.5])}

    def stock_receipt(self) -> dict[str, Any]:
        r = self.random
        return {
            "sku": r.choice(self.skus),
            "quantity": r.choice([1, 4, -1]),
            "cost_cents": r.choice([0, 700, 800]),
        }

    def reservation(self) -> dict[str, Any]:
        r = self.random
        start = self.now_ms + r.choice([0, DAY])
        return {
            "document": f"V{r.randrange(4)}",
            "sku": r.choice(self.skus),
            "quantity": r.choice([0, 1, 2]),
            "start": start,
            "end": r.choice([0, start + HOUR, start + 3 * DAY]),
        }

    def price_observed(self) -> dict[str, Any]:
        r = self.random
        return {
            "sku": r.choice(self.skus),
            "price_cents": r.randrange(1, 999),
            "competitor": r.choice(["", "them"]),
        }

    def factor(self) -> dict[str, Any]:
        return {"factor": "weather", "name": "temperature_c", "value": self.random.random()}

    def review(self) -> dict[str, Any]:
        r = self.random
        return {
            "rating": r.choice([1, 3.5, 5]),
            "sku": r.choice(["", *self.skus]),
            "epc": r.choice(["", self._epc()]),
        }

    def reader_status(self) -> dict[str, Any]:
        r = self.random
        return {
            "reader": r.choice(READERS),
            "status": r.choice(
                ["online", "offline", "heartbeat", "heartbeat", "overflow", "error"]
            ),
            "lost_events": r.randrange(4),
            "detail": r.choice(["", "fan"]),
        }

    # -- the stream -------------------------------------------------------------------------------

    def event(self) -> dict[str, Any]:
        """One event, new or told before."""
        r = self.random
        if self.told and r.random() < 0.06:
            return r.choice(self.told[-30:])
        rates = KINDS | self.rates
        kind = r.choices(list(rates), list(rates.values()))[0]
        made: dict[str, Any] = {"source": "s1"} | getattr(self, kind)()
        made |= {"type": kind, "at": self.now_ms - r.choice(self.ages_ms)}
        if r.random() < 0.08:
            made["at"] = 0  # no time of its own
        if r.random() < self.named:
            made["id"] = f"e{r.randrange(50)}"
        self.told.append(made)
        return made

    def messages(self, many: int) -> list[Message]:
        """``many`` messages of one event or two each, with redeliveries and our own among them."""
        r, out = self.random, list[Message]()
        session = 1
        while len(out) < many:
            self.now_ms += r.choice(self.pauses_ms)
            if r.random() < 0.02:
                out.append(self._ours())
                continue
            if r.random() < 0.01:
                session += 1
            if self.redeliveries and out and r.random() < 0.05:
                out.append(self._again(r.choice(out[-10:]), session))
                continue
            told = [self.event() for _ in range(r.choice([1, 1, 1, 2]))]
            payload = json.dumps(told if len(told) > 1 else told[0]).encode()
            if r.random() < 0.02:
                payload = r.choice([b"{", b"", b'{"type":"tag_read","epc":7}'])
            topic = r.choice(["rfid3/main/events/s1", "$http/events/till"])
            packet_id = 0 if topic[0] == "$" else len(out) % 60 + 1
            out.append(
                Message(topic, payload, self.now_ms, session if packet_id else 0, packet_id, 1)
            )
        return out

    def _again(self, message: Message, session: int) -> Message:
        if message.topic.startswith("$"):
            return Message(message.topic, message.payload, self.now_ms)
        return Message(
            message.topic, message.payload, self.now_ms, session, message.packet_id, 1 | DUP
        )

    def _ours(self) -> Message:
        r = self.random
        topic, payload = r.choice(
            [
                ("$rfid3/link", b'{"up":false}'),
                ("$rfid3/link", b'{"up":true}'),
                ("$rfid3/start", b"{}"),
            ]
        )
        return Message(topic, payload, self.now_ms)

    def _epc(self) -> str:
        return epc(self.random.randrange(self.items))


KINDS: dict[str, float] = {
    "tag_read": 50,
    "item_scan": 15,
    "pos_line": 12,
    "item_link": 4,
    "correction": 4,
    "maintenance": 4,
    "stock_count": 2,
    "stock_receipt": 2,
    "reservation": 2,
    "price_observed": 2,
    "factor": 1,
    "review": 2,
    "reader_status": 4,
}


@dataclass
class Told:
    """Everything a run left in the tables."""

    timeline: list[TimelineEntry] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    outcomes: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def shown(self) -> dict[str, list[str]]:
        """In an order of its own: what was told counts, not when in a batch or message."""
        return {
            name: sorted(map(repr, getattr(self, name)))
            for name in ("timeline", "dead_letters", "gaps")
        } | {"outcomes": sorted(f"{i}: {sorted(told)}" for i, told in self.outcomes.items())}


def run(
    core: Core,
    messages: list[Message],
    sizes: int | list[int],
    *,
    first: int = 0,
    beats: random.Random | None = None,
    told: Told | None = None,
) -> Told:
    """Feed messages in pieces of ``sizes``, over and over; between pieces time may pass alone."""
    told = told or Told()
    sizes = [sizes] if isinstance(sizes, int) else sizes
    start = piece = 0
    while start < len(messages):
        stop = start + sizes[piece % len(sizes)]
        steps = [core.step(messages[start:stop], first + start)]
        start, piece = stop, piece + 1
        if beats and start < len(messages) and messages[start].topic != "$rfid3/start":
            last, following = messages[start - 1].arrival_ms, messages[start].arrival_ms
            steps.append(core.advance(last + int((following - last) * beats.random())))
        for step in steps:
            told.timeline += step.effects.timeline
            told.dead_letters += step.effects.dead_letters
            told.gaps += step.effects.gaps
            for ordinal, outcomes in step.outcomes.items():
                told.outcomes.setdefault(ordinal, []).extend(outcomes)
    return told
