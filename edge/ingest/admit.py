"""Not twice, not from the future: which messages and events are let in. Pure.

Memories, all bounded and all derived from the journal alone:
* the messages of the MQTT session, to recognise what the broker sends again (QoS 1 redelivery: same
  session, same packet id, DUP set, same payload, and recent enough to be unacknowledged);
* keys of events that carry a time or an id of their own, tag reads apart from the others: reads
  are judged in columns, and what one memory holds must not depend on how batches fall;
* keys of business acts: (contract, tag, scan type, scan time) and (document, line, kind, day).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.events import Correction, Event, ItemScan, PosLine, kind_of
from edge.features.keys import key_hash
from edge.ingest.seen import SeenKeys, mix
from edge.records import DUP, Message, Reason

Array = NDArray[Any]
Hashes = NDArray[np.uint64]

OWN_TIME = frozenset({"reader", "naive_local"})

_MEMORIES = ("reads", "events", "acts")

_encode = msgspec.json.Encoder(order="deterministic").encode


def id_key(source: str, event_id: str) -> int:
    """Key of an event's own id, unique within its source."""
    return key_hash(f"id\x1f{source}\x1f{event_id}")


class Redeliveries:
    """The newest message of every packet id of the MQTT session: its number and CRC-32.

    Only unacknowledged messages come again, but there may be far more of them than the receive
    maximum: once acknowledged a little, Mosquitto 2.0.11 sends its whole queue at once, and what
    a killed daemon has acknowledged may never reach it. So every id is remembered. The same id
    ``AGAIN_WITHIN`` or more messages ago was acknowledged and is used anew. ``size`` messages of
    a session that was lost are remembered by their payload.
    """

    PACKET_IDS = 65_536
    AGAIN_WITHIN = 60_000

    def __init__(self, size: int) -> None:
        assert size > 0, size
        self.size = size
        self._number = np.zeros(self.PACKET_IDS, np.int64)  # from 1; 0: never
        self._checksum = np.zeros(self.PACKET_IDS, np.uint32)
        self._count = 0  # messages in this session, without redeliveries
        self._before: frozenset[int] = frozenset()  # payloads of the session that was lost
        self._session = 0
        self._since_loss = 0

    def judge(self, messages: Sequence[Message]) -> list[Reason] | None:
        """ADMITTED, REDELIVERED or POSSIBLE_REPEAT for each message; ``None``: all admitted.

        POSSIBLE_REPEAT is kept; it matters only for a payload without a time of its own.
        """
        ids = [m.packet_id for m in messages]
        told = messages if 0 not in ids else [m for m in messages if m.packet_id]
        if not told:
            return None
        quiet = told[0].session == told[-1].session == self._session and not self._before
        if quiet and not reduce(or_, [m.flags for m in told]) & DUP:
            self._remember_all(told)
            return None
        return [self._one(message) for message in messages]

    def _remember_all(self, told: Sequence[Message]) -> None:
        ids = np.array([m.packet_id for m in told])
        self._checksum[ids] = [crc32(m.payload, len(m.topic)) for m in told]
        self._number[ids] = np.arange(self._count + 1, self._count + 1 + len(told))
        self._count += len(told)

    def _one(self, message: Message) -> Reason:
        if message.packet_id == 0:
            return Reason.ADMITTED
        if message.session != self._session:
            self._lose_session(message.session)
        checksum = crc32(message.payload, len(message.topic))
        if message.flags & DUP and self._newest(message.packet_id) == checksum:
            return Reason.REDELIVERED
        self._count += 1
        self._number[message.packet_id] = self._count
        self._checksum[message.packet_id] = checksum
        self._since_loss += 1
        if self._before and self._since_loss > self.size:
            self._before = frozenset()
        return Reason.POSSIBLE_REPEAT if checksum in self._before else Reason.ADMITTED

    def _newest(self, packet_id: int) -> int:
        """Checksum of the message that may still be unacknowledged under this id; -1: none."""
        number = int(self._number[packet_id])
        if number == 0 or self._count - number >= self.AGAIN_WITHIN:
            return -1
        return int(self._checksum[packet_id])

    def _lose_session(self, session: int) -> None:
        recent = self._number > max(self._count - self.size, 0)
        lost = frozenset(self._checksum[recent].tolist())
        self._before = lost if self._session else frozenset()
        self._number[:] = 0
        self._checksum[:] = 0
        self._session, self._count, self._since_loss = session, 0, 0

    def save(self) -> Array:
        """int64[4, n] that ``load`` takes back."""
        ids = np.flatnonzero(self._number)
        known = np.stack([ids, self._number[ids], self._checksum[ids], np.zeros_like(ids)])
        rows = [(0, 0, checksum, 1) for checksum in sorted(self._before)]
        # how long ago only matters while a lost session is remembered
        since = self._since_loss if self._before else 0
        rows.append((self._session, since, self._count, 2))
        return np.concatenate([known, np.array(rows, np.int64).T], axis=1)

    def load(self, saved: Array) -> None:
        """Take back what ``save`` gave."""
        ids, numbers, checksums = saved[:3, saved[3] == 0]
        self._number[:] = 0
        self._checksum[:] = 0
        self._number[ids] = numbers
        self._checksum[ids] = checksums
        self._before = frozenset(saved[2, saved[3] == 1].tolist())
        self._session, self._since_loss, self._count = saved[:3, saved[3] == 2][:, 0].tolist()


class Admission:
    """Judges messages and events; remembers what it let in."""

    def __init__(self, *, redeliveries: int, events: int, day_of: Callable[[int], int]) -> None:
        self.redeliveries = Redeliveries(redeliveries)
        self._reads = SeenKeys(events)
        self._events = SeenKeys(events)
        self._acts = SeenKeys(events)
        self._day_of = day_of
        self._added: list[tuple[SeenKeys, int]] = []  # by the event judged last

    def reads(
        self,
        item: Hashes,
        reader: Hashes,
        columns: Sequence[NDArray[np.int64]],
        own_time: NDArray[np.bool_],
        ids: Mapping[int, int] | None = None,
    ) -> NDArray[np.bool_]:
        """bool[n]: which tag reads are new. ``columns`` are time, antenna, signal, count, number.

        ``ids`` maps the place of a read that has an id of its own to its ``id_key``, which alone
        tells it from others. Reads with neither a time of their own nor an id are always new: two
        scans of a bare UID look the same.
        """
        keys = _read_keys(item, reader, columns)
        if ids:
            places = list(ids)
            keys[places] = np.array(list(ids.values()), np.uint64)
            own_time[places] = True
        if own_time.all():
            return ~self._reads.check_and_add(keys)
        fresh = np.ones(len(item), np.bool_)
        fresh[own_time] = ~self._reads.check_and_add(keys[own_time])
        return fresh

    def event(self, event: Event) -> Reason:
        """ADMITTED, DUPLICATE or BUSINESS_DUPLICATE for any event but a tag read."""
        self._added.clear()
        kind = kind_of(event)
        if event.id and self._known(self._events, id_key(event.source, event.id)):
            return Reason.DUPLICATE
        act = self._act(event)
        if isinstance(event, ItemScan) and not act:  # no duplicate, but it may be undone
            self._known(self._acts, key_hash(_scan_act(event, event.scan_type, event.at)))
        if act:
            known = self._known(self._acts, key_hash(act))
            return Reason.BUSINESS_DUPLICATE if known else Reason.ADMITTED
        numberless = isinstance(event, PosLine)  # two equal lines of one receipt are two lines
        if event.id or numberless or event.time_quality not in OWN_TIME:
            return Reason.ADMITTED
        content = f"{kind}\x1f{event.source}\x1f{_encode(event).decode()}"
        known = self._known(self._events, key_hash(content))
        return Reason.DUPLICATE if known else Reason.ADMITTED

    def knows_scan(self, undo: Correction) -> bool:
        """Whether the scan that ``undo`` names was let in, as far back as is remembered."""
        key = key_hash(_scan_act(undo, undo.scan_type, undo.scanned_at))
        return bool(self._acts.contains(np.array([key], np.uint64))[0])

    def take_back(self) -> None:
        """The event judged last could not be kept: told again, it is new."""
        for memory, key in reversed(self._added):
            memory.take_back(key)
        self._added.clear()

    def save(self) -> dict[str, Array]:
        """Arrays that ``load`` takes back."""
        saved = {"redeliveries": self.redeliveries.save()}
        for name in _MEMORIES:
            saved[f"{name}.old"], saved[f"{name}.young"] = getattr(self, f"_{name}").remembered()
        return saved

    def load(self, arrays: dict[str, Array]) -> None:
        """Take back what ``save`` gave."""
        self.redeliveries.load(arrays["redeliveries"])
        size = self._events.size
        for name in _MEMORIES:
            memory = SeenKeys.of(size, arrays[f"{name}.old"], arrays[f"{name}.young"])
            setattr(self, f"_{name}", memory)

    def _act(self, event: Event) -> str:
        if isinstance(event, ItemScan) and event.time_quality in OWN_TIME:
            return _scan_act(event, event.scan_type, event.at)
        if isinstance(event, Correction) and event.action == "undo_scan":
            return f"undo {_scan_act(event, event.scan_type, event.scanned_at)}"
        if isinstance(event, PosLine) and event.line is not None:
            assert isinstance(event.at, int), event.at
            day = self._day_of(event.at)
            return f"line\x1f{event.store}\x1f{event.document}\x1f{event.line}\x1f{event.kind}\x1f{day}"
        return ""

    def _known(self, memory: SeenKeys, key: int) -> bool:
        seen = memory.check_and_add_one(key)
        if not seen:
            self._added.append((memory, key))
        return seen


def _scan_act(told: ItemScan | Correction, scan_type: str, at: object) -> str:
    return f"scan\x1f{told.contract}\x1f{told.epc}\x1f{scan_type}\x1f{at}"


def _read_keys(
    item: Hashes, reader: Hashes, columns: Sequence[NDArray[np.int64]]
) -> NDArray[np.uint64]:
    """uint64[n]: the transport key of tag reads."""
    at_ms, antenna, signal, count, number = columns
    small = (antenna << 56) ^ (number << 32) ^ (signal << 16) ^ count
    return mix(item, reader, at_ms.view(np.uint64), small.view(np.uint64))
