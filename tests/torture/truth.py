"""Numbered events in many formats, and what they must add up to. No sockets.

Every event is different from every other one, except bare UIDs: those are told apart by nothing,
so that they alone would show a redelivery that was let in, or a real one that was refused.
"""

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec

from edge.core import Core
from edge.features.windows import DayRing
from edge.ingest.mqtt_publish import Outgoing

ITEMS = 150
SKUS = 12
STORE = "main"
SENTINEL = "5E47{:020X}"

_json = msgspec.json.encode
_pack = msgspec.msgpack.encode


def epc_of(number: int) -> str:
    """The tag of an item."""
    return f"E28011606000{number:012X}"


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


@dataclass
class Truth:
    """What has been told, counted the slow and obvious way."""

    messages: int = 0
    events: int = 0
    """Readable ones."""
    reads: Counter[str] = field(default_factory=Counter)
    """Tag -> reads."""
    rentals: Counter[str] = field(default_factory=Counter)
    returns: Counter[str] = field(default_factory=Counter)
    sold_milli: Counter[str] = field(default_factory=Counter)
    """SKU -> thousandths of units."""
    dead: Counter[bytes] = field(default_factory=Counter)
    """Payload -> how often it must be found among the dead letters."""

    def add(self, other: "Truth") -> None:
        """Add what another has counted."""
        self.messages += other.messages
        self.events += other.events
        for name in ("reads", "rentals", "returns", "sold_milli", "dead"):
            getattr(self, name).update(getattr(other, name))

    def complaints(self, core: Core, dead: Counter[bytes]) -> list[str]:
        """Where the state differs from what was told, in sentences; empty: nowhere."""
        item, counters = core.state.item, core.state.counters
        columns = {"reads": "reads_total", "rentals": "rentals_total", "returns": "returns_total"}
        found: list[str] = []
        for name, column in columns.items():
            told = +getattr(self, name)
            have = {
                key: int(item.col[column][row])
                for key, row in item.keys.items()
                if item.col[column][row]
            }
            found += _differences(name, told, have)
        found += _differences("units sold", +self.sold_milli, _sold(core))
        found += _differences("dead letters", +self.dead, +dead)
        admitted = sum(counters.get(f"events_{r}", 0) for r in ("admitted", "folded"))
        if admitted != self.events:
            found.append(f"{admitted} events were let in, {self.events} were told")
        for reason in ("duplicate", "business_duplicate", "future", "key_limit", "possible_repeat"):
            if counters.get(f"events_{reason}"):
                found.append(f"{counters[f'events_{reason}']} events were called {reason}")
        return found


def _sold(core: Core) -> dict[str, int]:
    days = core.state.cls.part["sold_milli"]
    assert isinstance(days, DayRing)
    sums = {key: int(days.ring[:, row].sum()) for key, row in core.state.cls.keys.items()}
    return {key.partition("\x1f")[2]: total for key, total in sums.items() if total}


def _differences(what: str, told: Any, have: Any) -> list[str]:
    wrong = {key: (told.get(key, 0), have.get(key, 0)) for key in {*told, *have}}
    wrong = {key: pair for key, pair in wrong.items() if pair[0] != pair[1]}
    if not wrong:
        return []
    lost = sum(max(t - h, 0) for t, h in wrong.values())
    doubled = sum(max(h - t, 0) for t, h in wrong.values())
    key, (t, h) = next(iter(wrong.items()))
    return [f"{what}: {lost} lost, {doubled} too many; {key!r} was told {t} times, counted {h}"]


class Teller:
    """Makes messages; ``truth`` holds what those made since the last ``take`` add up to."""

    def __init__(self, name: str, chance: Random, now_ms: Callable[[], int]) -> None:
        self.name = name
        self._chance = chance
        self._now_ms = now_ms
        self._number = 0
        self._last_ms = 0
        self._out: dict[str, bool] = {}
        self.truth = Truth()

    def take(self, messages: int) -> tuple[list[Outgoing], Truth]:
        """So many messages, and what they add up to."""
        kinds = self._chance.choices(_KINDS, _WEIGHTS, k=messages)
        made = [kind(self) for kind in kinds]
        truth, self.truth = self.truth, Truth()
        truth.messages = len(made)
        return made, truth

    def sentinel(self) -> tuple[Outgoing, str]:
        """A last message, and the tag to look for."""
        epc = SENTINEL.format(hash(self.name) & 0xFFFF_FFFF)
        event = {"epc": epc, "at": self._moment()}
        self._read(epc, 1)
        return Outgoing(f"rfid3/{STORE}/tag_read/{self.name}", _json(event)), epc

    def _moment(self) -> int:
        """Now, but never twice the same: an event is known by its time."""
        self._last_ms = max(self._last_ms + 1, self._now_ms())
        return self._last_ms

    def _count(self) -> int:
        self._number += 1
        return self._number

    def _item(self) -> str:
        return epc_of(self._chance.randrange(ITEMS))

    def _read(self, epc: str, count: int) -> None:
        self.truth.reads[epc] += count
        self.truth.events += 1

    def _native(self) -> dict[str, Any]:
        epc, count = self._item(), self._chance.choice([1, 1, 1, 3])
        self._read(epc, count)
        return {
            "epc": epc,
            "at": self._moment(),
            "antenna": self._chance.randint(1, 4),
            "rssi_dbm": -40.0 - self._chance.randrange(300) / 10,
            "count": count,
        }

    def native_json(self) -> Outgoing:
        """One of our own tag reads."""
        return Outgoing(f"rfid3/{STORE}/tag_read/{self.name}-json", _json(self._native()))

    def native_pack(self) -> Outgoing:
        """Several of our own tag reads, packed."""
        events = [self._native() for _ in range(self._chance.randint(1, 3))]
        return Outgoing(f"rfid3/{STORE}/tag_read/{self.name}-pack", _pack(events))

    def zebra(self) -> Outgoing:
        """An array as Zebra's readers send it; now and then one element is broken."""
        elements: list[Any] = []
        for _ in range(self._chance.randint(1, 4)):
            epc, reads = self._item(), self._chance.choice([1, 2, 5])
            self._read(epc, reads)
            data = {
                "idHex": epc,
                "antenna": 1,
                "peakRssi": -50,
                "reads": reads,
                "eventNum": self._count(),
            }
            elements.append({"data": data, "timestamp": _text(self._moment()), "type": "SIMPLE"})
        if self._chance.random() < 0.05:
            broken = {"data": {"idHex": f"not hex {self.name} {self._count()}"}, "type": "SIMPLE"}
            elements.insert(self._chance.randrange(len(elements) + 1), broken)
            self.truth.dead[_json(broken)] += 1
        return Outgoing(f"zebra/{self.name}/tags", _json(elements))

    def zebra_heartbeat(self) -> Outgoing:
        """The reader is alive: from then on its silence is a gap."""
        self.truth.events += 1
        beat = {
            "type": "heartbeat",
            "component": "RC",
            "eventNum": self._count(),
            "timestamp": _text(self._moment()),
            "data": {"radio_control": {"radioConnection": "connected", "radioActivity": "active"}},
        }
        return Outgoing(f"zebra/{self.name}/health", _json(beat))

    def impinj(self) -> Outgoing:
        """A tag inventory event of an R700."""
        epc = self._item()
        self._read(epc, 1)
        inventory = {
            "epc": base64.urlsafe_b64encode(bytes.fromhex(epc)).decode(),
            "antennaPort": 2,
            "peakRssiCdbm": -5_500 + self._chance.randrange(100),
        }
        event = {
            "timestamp": _text(self._moment()),
            "hostname": f"r700-{self.name}",
            "eventType": "tagInventory",
            "tagInventoryEvent": inventory,
        }
        return Outgoing(f"impinj/{self.name}", _json(event))

    def rfid3_row(self) -> Outgoing:
        """A handheld's scan: an item goes out, or comes back."""
        epc = self._item()
        out = self._out[epc] = not self._out.get(epc, False)
        (self.truth.rentals if out else self.truth.returns)[epc] += 1
        self.truth.events += 1
        row = {
            "tag_id": epc,
            "scan_type": "Rental" if out else "Return",
            "contract_number": f"{self.name}-{self._count()}",
            "scan_date": _text(self._moment()),
            "rental_class_id": f"SKU-{int(epc, 16) % SKUS}",
            "common_name": "Tent 20x20",
            "dirty_or_mud": "False",
        }
        return Outgoing(f"handheld/{self.name}/scans", _json(row))

    def pos_line(self) -> Outgoing:
        """A line of a till's receipt; without a line number nothing but MQTT tells two apart."""
        sku, units = f"SKU-{self._chance.randrange(SKUS)}", self._chance.randint(1, 3)
        self.truth.sold_milli[sku] += units * 1_000
        self.truth.events += 1
        line = {
            "document": f"{self.name}-{self._count()}",
            "kind": "sale",
            "sku": sku,
            "quantity": units,
            "price_cents": 995,
            "at": self._moment(),
        }
        if self._chance.random() < 0.5:
            line["line"] = 1
        return Outgoing(f"rfid3/{STORE}/pos_line/{self.name}", _json(line))

    def bare(self) -> Outgoing:
        """A UID and nothing else."""
        epc = self._item()
        self._read(epc, 1)
        return Outgoing(f"door/{self.name}", epc.encode())

    def garbage(self) -> Outgoing:
        """What nobody can read: a dead letter."""
        number = f"{self.name} {self._count()}".encode()
        payload = self._chance.choice([b"\xff\x00", b'{"x":', b"{{", b"hello "]) + number
        self.truth.dead[payload] += 1
        return Outgoing(f"junk/{self.name}", payload)


_KINDS: tuple[Callable[[Teller], Outgoing], ...] = (
    Teller.native_json,
    Teller.native_pack,
    Teller.zebra,
    Teller.zebra_heartbeat,
    Teller.impinj,
    Teller.rfid3_row,
    Teller.pos_line,
    Teller.bare,
    Teller.garbage,
)
_WEIGHTS = (20, 10, 12, 1, 15, 8, 8, 24, 2)
