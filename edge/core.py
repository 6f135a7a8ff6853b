"""The middle of the corridor: raw messages in, state changed, effects out. Pure and deterministic.

No clock, no sockets, no disk. Time moves only by the arrival times of messages and by ``advance``.
The same journal gives the same bits however its messages are cut into calls of ``step``: a call is
cut internally wherever something happens at a moment of its own (an epoch of presence, an hour, a
day, a reader falling silent), and between two such moments order does not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.config import Config
from edge.events import Event, ItemScan, ReaderStatus, TagRead, kind_of
from edge.features import business
from edge.features.layout import MINUTE_MS
from edge.features.state import RSSI_UNKNOWN, FeatureState, Reads, digest_of
from edge.features.words import TIME_QUALITIES
from edge.ingest.admit import OWN_TIME, Admission
from edge.ingest.decode import Decoder
from edge.ingest.places import Places
from edge.ingest.presence import RSSI_UNKNOWN as PRESENCE_RSSI_UNKNOWN
from edge.ingest.presence import Kind, Presence, Transitions
from edge.records import DeadLetter, Effects, Gap, Message, Reason, TimelineEntry

Array = NDArray[Any]
Ints = NDArray[np.int64]

SYSTEM = "$rfid3/"
HTTP = "$http/"

_QUALITY = {name: i for i, name in enumerate(TIME_QUALITIES)}
_COUNT_MAX = 65_535
_FAR = 1 << 62

_encode = msgspec.json.encode


@dataclass(slots=True)
class Arrived:
    """One decoded event with where and when it came from."""

    event: Event
    arrival_ms: int
    ordinal: int
    index: int
    topic: str
    possible_repeat: bool = False


@dataclass(slots=True)
class Step:
    """What one call of ``step`` or ``advance`` left behind.

    ``outcomes`` holds (reason, detail) for every event that came through HTTP, by ordinal.
    """

    effects: Effects = field(default_factory=Effects.empty)
    outcomes: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    events: int = 0


class Core:
    """Decoder, admission, presence and features under one owner."""

    def __init__(self, config: Config) -> None:
        self.config = config
        ingest = config.ingest
        self.state = FeatureState(config.limits, config.shop.timezone, ingest.lateness_s * 1000)
        self.state.repeat_ms = ingest.repeat_s * 1000
        self.decoder = Decoder(
            config.sources,
            config.mapping,
            store=config.shop.store,
            timezone=config.shop.timezone,
            payload_max_bytes=ingest.payload_max_bytes,
            ignore=config.mqtt.ignore,
        )
        self.places = Places(config.zones, config.shop.store, config.limits, self.state.tables)
        self.presence = Presence(config.presence, self.places.kinds)
        self.admission = Admission(
            redeliveries=config.mqtt.receive_maximum,
            events=ingest.dedupe_events,
            day_of=self.state.days.day,
        )
        self.poisoned: frozenset[int] = frozenset()
        self.now_ms = 0
        self.revision = 0
        self._serial = 0  # transitions so far: part of their timeline keys
        self.next_ordinal = 0
        self._link_up = True
        self._open_gaps: dict[str, tuple[int, str]] = {}  # reader -> (ordinal, reason)
        self._gap_from: dict[str, int] = {}
        self._tolerance_ms = ingest.future_tolerance_s * 1000
        self._stale_ms = ingest.stale_read_s * 1000
        self._silent_ms = config.presence.reader_silent_s * 1000

    # -- the two ways time moves --------------------------------------------------------------------

    def step(self, messages: Sequence[Message], first_ordinal: int) -> Step:
        """Decode, admit and apply messages in arrival order; ``first_ordinal`` numbers the first."""
        out = Step()
        arrived: list[Arrived] = []
        for ordinal, message in enumerate(messages, first_ordinal):
            if message.topic.startswith(SYSTEM):
                self._apply(arrived, out)
                arrived = []
                self.next_ordinal = ordinal
                self._system(message, ordinal, out)
            else:
                self._open(message, ordinal, arrived, out)
        self._apply(arrived, out)
        self.next_ordinal = first_ordinal + len(messages)
        if messages:
            self._advance(messages[-1].arrival_ms, out)
            self.revision += 1
        return out

    def advance(self, now_ms: int) -> Step:
        """Nothing arrived until ``now_ms``: close windows, let tags depart, end days."""
        out = Step()
        self._advance(now_ms, out)
        return out

    def pass_quietly(self, now_ms: int) -> bool:
        """Let windows close without telling the journal; whether that changed what people see.

        Allowed only while ``due_ms`` lies ahead: rolling windows is the same whenever it is done.
        """
        before = self.state.now_ms
        if now_ms <= before or self.state.next_boundary_ms() <= now_ms:
            return False
        self.state.advance(now_ms)
        return now_ms // MINUTE_MS != before // MINUTE_MS

    def due_ms(self) -> int:
        """The next moment at which ``advance`` alone would change something people see."""
        return min(self.presence.due_ms(), self._silent_at_ms(), self.state.next_boundary_ms())

    def open_gap(self, reader: str) -> tuple[int, str] | None:
        """(since epoch ms, why) while a reader, or everything, cannot be seen; else None."""
        for name in (reader, ""):
            if name in self._open_gaps:
                return self._gap_from[name], self._open_gaps[name][1]
        return None

    # -- opening messages -----------------------------------------------------------------------

    def _open(self, message: Message, ordinal: int, arrived: list[Arrived], out: Step) -> None:
        """Judge one message, decode it, queue its events."""
        state = self.state
        verdict = self.admission.redeliveries.judge(message)
        state.count("messages")
        if verdict is Reason.REDELIVERED:
            state.count(f"messages_{verdict}")
            return
        if ordinal in self.poisoned:
            self._dead(
                out, message, ordinal, -1, "poison", "applying it failed twice", message.payload
            )
            return
        decoded = self.decoder.decode(message)
        if decoded.ignored:
            state.count(f"messages_{Reason.IGNORED}")
        state.count(f"format_{decoded.format or 'unknown'}")
        for reject in decoded.rejects:
            self._dead(
                out, message, ordinal, reject.index, reject.reason, reject.detail, reject.payload
            )
        repeat = verdict is Reason.POSSIBLE_REPEAT
        for index, event in enumerate(decoded.events):
            arrived.append(
                Arrived(event, message.arrival_ms, ordinal, index, message.topic, repeat)
            )

    def _dead(
        self,
        out: Step,
        message: Message,
        ordinal: int,
        index: int,
        reason: str,
        detail: str,
        payload: bytes,
    ) -> None:
        self.state.count("dead_letters")
        self.state.count(f"dead_{reason}")
        self.state.count(f"events_{Reason.UNREADABLE}")
        out.effects.dead_letters.append(
            DeadLetter(
                ordinal, index, message.arrival_ms, message.topic, reason, detail, bytes(payload)
            )
        )
        self._outcome(out, message.topic, ordinal, reason, detail)

    def _refuse(self, out: Step, told: Arrived, reason: Reason, detail: str) -> None:
        """An event that was read but cannot be kept: a dead letter, to be played again."""
        self.state.count("dead_letters")
        self.state.count(f"dead_{reason}")
        self._verdict(out, told, reason, detail)
        out.effects.dead_letters.append(
            DeadLetter(
                told.ordinal,
                told.index,
                told.arrival_ms,
                f"{HTTP}{kind_of(told.event)}/{told.event.source or 'refused'}",
                str(reason),
                detail,
                _encode(told.event),
            )
        )

    def _verdict(self, out: Step, told: Arrived, reason: Reason, detail: str = "") -> None:
        self.state.count(f"events_{reason}")
        self._outcome(out, told.topic, told.ordinal, str(reason), detail)

    def _outcome(self, out: Step, topic: str, ordinal: int, reason: str, detail: str) -> None:
        if topic.startswith(HTTP):
            out.outcomes.setdefault(ordinal, []).append((reason, detail))

    # -- applying events ------------------------------------------------------------------------

    def _apply(self, arrived: list[Arrived], out: Step) -> None:
        """Apply events, cut wherever a moment of its own lies between two of them."""
        start = 0
        while start < len(arrived):
            self._advance(arrived[start].arrival_ms, out)
            cut_ms = self._cut_ms(arrived, start)
            stop = start + 1
            while stop < len(arrived) and arrived[stop].arrival_ms < cut_ms:
                stop += 1
            self._apply_span(arrived[start:stop] if start or stop < len(arrived) else arrived, out)
            start = stop
        out.events += len(arrived)

    def _cut_ms(self, arrived: list[Arrived], start: int) -> int:
        """The first moment after ``arrived[start]`` that must separate two spans."""
        if arrived[-1].arrival_ms == arrived[start].arrival_ms:
            return _FAR
        cut_ms = min(self.state.next_boundary_ms(), self._silent_at_ms())
        epoch_ms = self.config.presence.epoch_ms
        epoch_end_ms = (arrived[start].arrival_ms // epoch_ms + 1) * epoch_ms
        return min(cut_ms, max(epoch_end_ms, arrived[start].arrival_ms + 1))

    def _apply_span(self, span: list[Arrived], out: Step) -> None:
        """Events between two moments: reads in columns, the rest one by one."""
        self._let_go(span[-1].arrival_ms)
        reads: list[Arrived] = []
        others: list[Arrived] = []
        for told in span:
            event = told.event
            if event.at > told.arrival_ms:  # type: ignore[operator]
                if event.at - told.arrival_ms > self._tolerance_ms:  # type: ignore[operator]
                    ahead_s = (event.at - told.arrival_ms) // 1000  # type: ignore[operator]
                    self._refuse(out, told, Reason.FUTURE, f"dated {ahead_s} s after its arrival")
                    continue
                event.at = told.arrival_ms
            (reads if type(event) is TagRead else others).append(told)
        if len(self.state.item.keys) + len(span) > self.state.item.keys.limit:
            # near the limit the order of claims matters: one at a time
            self._claim_in_order(span)
        for told in others:
            self._one(told, out)
        if reads:
            self._reads(reads, out)

    def _claim_in_order(self, span: list[Arrived]) -> None:
        for told in span:
            epc = getattr(told.event, "epc", "")
            if epc and type(told.event) in _CLAIMING:
                self.state.item.keys.claim(epc)

    def _one(self, told: Arrived, out: Step) -> None:
        event = told.event
        if type(event) is ReaderStatus:
            self._reader_status(event, told, out)
            return
        verdict = self.admission.event(event)
        if verdict is not Reason.ADMITTED:
            self._verdict(out, told, verdict)
            return
        if not business.apply(self.state, event, told.arrival_ms):
            self._refuse(
                out, told, Reason.KEY_LIMIT, "a table is full: raise its limit, play again"
            )
            return
        late = event.at + self.state.lateness_ms < told.arrival_ms  # type: ignore[operator]
        if late:
            self.state.count("events_late")
        self._verdict(out, told, self._repeat(told) or Reason.ADMITTED)
        epc = getattr(event, "epc", "")
        if epc:
            self._timeline(out, told, epc, kind_of(event), _encode(event).decode())

    def _repeat(self, told: Arrived) -> Reason | None:
        if told.possible_repeat and told.event.time_quality not in OWN_TIME:
            return Reason.POSSIBLE_REPEAT
        return None

    def _timeline(self, out: Step, told: Arrived, epc: str, kind: str, detail: str) -> None:
        at_ms = told.event.at
        assert isinstance(at_ms, int), at_ms
        out.effects.timeline.append(
            TimelineEntry(told.ordinal, told.index, epc, at_ms, kind, detail)
        )

    # -- tag reads ------------------------------------------------------------------------------

    def _reads(self, told: list[Arrived], out: Step) -> None:
        reads, told = self._columns(told, out)
        if not told:
            return
        fresh = self._fresh(reads, told)
        if not fresh.all():
            stale = np.flatnonzero(~fresh).tolist()
            self.state.count(f"events_{Reason.DUPLICATE}", len(stale))
            for i in stale:
                self._outcome(
                    out, told[i].topic, told[i].ordinal, str(Reason.DUPLICATE), "told before"
                )
            told = [t for t, keep in zip(told, fresh.tolist(), strict=True) if keep]
            reads = reads.where(fresh)
        if not told:
            return
        folded = self.state.update_reads(reads)
        self._count_reads(reads, folded, told, out)
        self._observe(reads, out)

    def _columns(self, told: list[Arrived], out: Step) -> tuple[Reads, list[Arrived]]:
        """Reads as columns; those for which a table is full are refused."""
        events: list[TagRead] = [t.event for t in told]  # type: ignore[misc]
        item = self.state.item.keys.claim_all([e.epc for e in events])
        reader = self.state.reader.keys.claim_all([e.source or "unknown" for e in events])
        antenna = np.array([e.antenna for e in events], np.int64)
        zone = self.places.zones(reader, antenna, events)
        rssi = np.array([e.rssi_dbm for e in events], np.float64)
        known = np.isfinite(rssi)
        reads = Reads(
            item=item,
            reader=reader,
            zone=zone,
            antenna=antenna,
            at_ms=np.array([e.at for e in events], np.int64),
            arrival_ms=np.array([t.arrival_ms for t in told], np.int64),
            rssi_cdbm=np.where(known, np.rint(np.where(known, rssi, 0) * 100), RSSI_UNKNOWN).astype(
                np.int64
            ),
            count=np.minimum(np.array([e.count for e in events], np.int64), _COUNT_MAX),
            quality=np.array([_QUALITY[e.time_quality] for e in events], np.int64),
        )
        fits = (item >= 0) & (reader >= 0) & (zone >= 0)
        if fits.all():
            return reads, told
        for i in np.flatnonzero(~fits).tolist():
            table = "items" if item[i] < 0 else "readers" if reader[i] < 0 else "zones"
            self._refuse(
                out,
                told[i],
                Reason.KEY_LIMIT,
                f"limits.{table}_max is reached: raise it, play again",
            )
        return reads.where(fits), [t for t, ok in zip(told, fits.tolist(), strict=True) if ok]

    def _fresh(self, reads: Reads, told: list[Arrived]) -> NDArray[np.bool_]:
        events: list[TagRead] = [t.event for t in told]  # type: ignore[misc]
        number = np.array([e.seq for e in events], np.int64)
        own_time = reads.quality <= _QUALITY["naive_local"]
        named = [i for i, e in enumerate(events) if e.id]
        if named:
            own_time[named] = False
        fresh = self.admission.reads(
            self.state.item.keys.hashes[reads.item],
            self.state.reader.keys.hashes[reads.reader],
            (reads.antenna, reads.at_ms, reads.rssi_cdbm, reads.count, number),
            own_time,
        )
        for i in named:
            fresh[i] = self.admission.tag_id(events[i].source, events[i].id)
        return fresh

    def _count_reads(self, reads: Reads, folded: Ints, told: list[Arrived], out: Step) -> None:
        count = self.state.count
        many = int(folded.sum())
        count(f"events_{Reason.ADMITTED}", len(told) - many)
        count(f"events_{Reason.FOLDED}", many)
        late = reads.at_ms + self.state.lateness_ms < reads.arrival_ms
        if late.any():
            rows = reads.item[late]
            np.add.at(self.state.item.col["late_total"], rows, np.int32(1))
            count("events_late", int(late.sum()))
            for i in np.flatnonzero(late).tolist():
                event = told[i].event
                assert isinstance(event, TagRead)
                self._timeline(out, told[i], event.epc, "late_read", _encode(event).decode())
        for t in told:
            if t.possible_repeat and self._repeat(t):
                count(f"events_{Reason.POSSIBLE_REPEAT}")
            if t.topic.startswith(HTTP):
                self._outcome(out, t.topic, t.ordinal, str(Reason.ADMITTED), "")
        np.maximum.at(self.state.reader.col["last_message_ms"], reads.reader, reads.arrival_ms)
        self.state.reader.col["clock_ahead_ms"][reads.reader] = reads.at_ms - reads.arrival_ms
        self._heard(np.unique(reads.reader), int(reads.arrival_ms[-1]), told[-1].ordinal, out)

    def _observe(self, reads: Reads, out: Step) -> None:
        live = reads.arrival_ms - reads.at_ms <= self._stale_ms
        if not live.all():
            reads = reads.where(live)
        if not len(reads):
            return
        moved = self.presence.observe(
            reads.item,
            reads.zone.astype(np.int16),
            reads.arrival_ms,
            np.where(
                reads.rssi_cdbm == RSSI_UNKNOWN, PRESENCE_RSSI_UNKNOWN, reads.rssi_cdbm
            ).astype(np.int32),
            reads.count.astype(np.int32),
        )
        self._transitions(moved, out)

    # -- presence -------------------------------------------------------------------------------

    def _advance(self, now_ms: int, out: Step) -> None:
        """Let time reach ``now_ms``, stopping at every reader that falls silent on the way."""
        while (silent_ms := self._silent_at_ms()) <= now_ms:
            self._transitions(self.presence.advance(silent_ms), out)
            self._fall_silent(silent_ms, out)
        if now_ms <= self.now_ms:
            return
        self._transitions(self.presence.advance(now_ms), out)
        self._let_go(now_ms)
        self.now_ms = now_ms

    def _let_go(self, now_ms: int) -> None:
        forgotten = self.state.advance(now_ms)
        if len(forgotten):
            self.presence.forget(forgotten)
            self.revision += 1

    def _transitions(self, moved: Transitions, out: Step) -> None:
        if not len(moved.item):
            return
        self.revision += 1
        columns = (
            moved.kind,
            moved.item,
            moved.old_zone,
            moved.new_zone,
            moved.at_ms,
            moved.last_read_ms,
        )
        for kind, item, old, new, at_ms, last_ms in zip(
            *(c.tolist() for c in columns), strict=True
        ):
            self._transition(Kind(kind), item, old, new, at_ms, last_ms, out)

    def _transition(
        self, kind: Kind, row: int, old: int, new: int, at_ms: int, last_ms: int, out: Step
    ) -> None:
        col = self.state.item.col
        self.places.count_transition(old, new, at_ms, last_ms, int(col["zone_since_ms"][row]))
        col["zone_row"][row] = new
        col["zone_since_ms"][row] = at_ms
        name = kind.name.lower()
        self.state.count(f"transitions_{name}")
        self._serial += 1
        if kind is Kind.MOVED:
            self._count_move(row, at_ms)
        if col["muted"][row]:
            return
        detail: dict[str, Any] = {"from": self.places.name(old), "to": self.places.name(new)}
        if kind is Kind.DEPARTED:
            detail["last_read_ms"] = last_ms
        self._tell(out, row, at_ms, name, detail)
        on_rent = col["rented_at_ms"][row] > 0
        if kind is Kind.ARRIVED and on_rent and not col["probable_return"][row]:
            col["probable_return"][row] = 1
            self.state.count("transitions_probable_return")
            self._serial += 1
            contract = self.state.item.text["contract"].get(row, "")
            self._tell(
                out, row, at_ms, "probable_return", {"to": detail["to"], "contract": contract}
            )

    def _tell(self, out: Step, row: int, at_ms: int, kind: str, detail: dict[str, Any]) -> None:
        # transitions have no message of their own: a serial number makes their key unique
        entry = TimelineEntry(
            self.next_ordinal,
            (1 << 20) + self._serial,
            self.state.item.keys.key(row),
            at_ms,
            kind,
            _encode(detail).decode(),
        )
        out.effects.timeline.append(entry)

    def _count_move(self, row: int, at_ms: int) -> None:
        slot = int(self.state.pool.slot[row])
        window = self.state.pool.window["moves_24h"]
        bucket = at_ms // window.width_ms
        if slot >= 0 and window.newest - window.buckets < bucket <= window.newest:
            window.ring[bucket % window.buckets, slot] += 1
            window.totals[slot] += 1

    # -- readers, links and gaps ------------------------------------------------------------------

    def _system(self, message: Message, ordinal: int, out: Step) -> None:
        """What the daemon tells itself through the journal: starts and link changes."""
        told = msgspec.json.decode(message.payload)
        match message.topic.removeprefix(SYSTEM):
            case "start":
                self._unseen(self.now_ms, message.arrival_ms, "daemon was down", ordinal, out)
            case "link" if not told["up"]:
                self._advance(message.arrival_ms, out)
                self._blind_all(True)
                self._link_up = False
                self._open_gap("", message.arrival_ms, "link down", ordinal, out)
            case "link":
                self._advance(message.arrival_ms, out)
                self._link_up = True
                self._blind_all(False)
                self._close_gap("", message.arrival_ms, out)
            case _:
                self.state.count("system_unknown")
        self.revision += 1

    def _unseen(self, from_ms: int, to_ms: int, why: str, ordinal: int, out: Step) -> None:
        """Nothing could be seen between two moments: nobody departs for that."""
        if from_ms and to_ms > from_ms:
            self._blind_all(True)
            self._advance(to_ms, out)
            self._blind_all(False)
            out.effects.gaps.append(Gap(ordinal, "", from_ms, to_ms, why))
        else:
            self._advance(to_ms, out)

    def _blind_all(self, blind: bool) -> None:
        for zone in self.state.zone.keys.live().tolist():
            self._blind_zone(zone, blind)

    def _blind_zone(self, zone: int, blind: bool) -> None:
        blind = blind or not self._link_up or self.places.blinded(zone, self.state.reader)
        self.state.zone.col["blind"][zone] = blind
        self.presence.set_blind(zone, bool(blind), self.now_ms)

    def _reader_status(self, event: ReaderStatus, told: Arrived, out: Step) -> None:
        row = self.state.reader.keys.claim(event.reader)
        if row < 0:
            self._refuse(out, told, Reason.KEY_LIMIT, "limits.readers_max is reached: raise it")
            return
        self._verdict(out, told, Reason.ADMITTED)
        col = self.state.reader.col
        col["last_message_ms"][row] = max(int(col["last_message_ms"][row]), told.arrival_ms)
        if event.detail:
            self.state.reader.text["detail"][row] = event.detail
        if event.status == "offline":
            self._offline(row, told, event.detail or "offline", out)
            return
        if event.status == "overflow":
            col["lost_events_total"][row] += event.lost_events
            col["gaps_total"][row] += 1
            from_ms = event.gap_from if isinstance(event.gap_from, int) else 0
            at_ms = event.at
            assert isinstance(at_ms, int), at_ms
            out.effects.gaps.append(
                Gap(
                    told.ordinal,
                    event.reader,
                    from_ms or at_ms,
                    at_ms,
                    "overflow",
                    event.lost_events,
                )
            )
        if event.status == "error":
            col["errors_total"][row] += 1
        if event.status == "heartbeat":
            col["last_heartbeat_ms"][row] = told.arrival_ms
        self._heard(np.array([row]), told.arrival_ms, told.ordinal, out)

    def _offline(self, row: int, told: Arrived, why: str, out: Step) -> None:
        col = self.state.reader.col
        if not col["offline_since_ms"][row]:
            col["offline_since_ms"][row] = told.arrival_ms
            col["gaps_total"][row] += 1
            name = self.state.reader.keys.key(row)
            self._open_gap(name, told.arrival_ms, why, told.ordinal, out)
        col["online"][row] = 0
        self._blind_reader(row)

    def _heard(self, rows: Ints, at_ms: int, ordinal: int, out: Step) -> None:
        """These readers are alive: close their gaps."""
        col = self.state.reader.col
        dark = rows[(col["offline_since_ms"][rows] > 0) | (col["silent"][rows] > 0)]
        col["online"][rows] = 1
        for row in dark.tolist():
            col["offline_since_ms"][row] = 0
            col["silent"][row] = 0
            self._blind_reader(row)
            self._close_gap(self.state.reader.keys.key(row), at_ms, out)

    def _silent_at_ms(self) -> int:
        """When the next reader that used to send heartbeats will have been silent for too long."""
        high = self.state.reader.keys.high
        col = self.state.reader.col
        watched = (col["last_heartbeat_ms"][:high] > 0) & (col["silent"][:high] == 0)
        watched &= col["offline_since_ms"][:high] == 0
        if not watched.any():
            return _FAR
        return int(col["last_message_ms"][:high][watched].min()) + self._silent_ms

    def _fall_silent(self, at_ms: int, out: Step) -> None:
        high = self.state.reader.keys.high
        col = self.state.reader.col
        watched = (col["last_heartbeat_ms"][:high] > 0) & (col["silent"][:high] == 0)
        watched &= col["offline_since_ms"][:high] == 0
        due = watched & (col["last_message_ms"][:high] + self._silent_ms <= at_ms)
        self.now_ms = max(self.now_ms, at_ms)
        for row in np.flatnonzero(due).tolist():
            col["silent"][row] = 1
            col["online"][row] = 0
            col["gaps_total"][row] += 1
            last_ms = int(col["last_message_ms"][row])
            name = self.state.reader.keys.key(row)
            self._open_gap(name, last_ms, "silent", self.next_ordinal, out)
            self._blind_reader(row)

    def _blind_reader(self, row: int) -> None:
        for zone in self.places.zones_of(row):
            self._blind_zone(zone, False)

    def _open_gap(self, reader: str, from_ms: int, why: str, ordinal: int, out: Step) -> None:
        self._open_gaps[reader] = (ordinal, why)
        self.state.count("gaps")
        out.effects.gaps.append(Gap(ordinal, reader, from_ms, 0, why))
        self._gap_from[reader] = from_ms

    def _close_gap(self, reader: str, to_ms: int, out: Step) -> None:
        opened = self._open_gaps.pop(reader, None)
        if opened:
            from_ms = self._gap_from.pop(reader)
            out.effects.gaps.append(Gap(opened[0], reader, from_ms, to_ms, opened[1]))

    # -- saving and comparing -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, Array], dict[str, bytes]]:
        """(arrays, blobs) that ``load`` takes back. Arrays are views: do not step meanwhile."""
        arrays, blobs = self.state.save()
        arrays |= {f"admission.{k}": a for k, a in self.admission.save().items()}
        arrays |= {f"presence.{k}": a for k, a in self.presence.snapshot().items()}
        blobs["core"] = msgspec.msgpack.encode(self._rest())
        return arrays, blobs

    def load(self, arrays: dict[str, Array], blobs: dict[str, bytes]) -> None:
        """Take back what ``save`` gave, into a fresh core."""
        self.state.load(arrays, blobs)
        self.admission.load(_under("admission.", arrays))
        self.presence = Presence.restore(
            self.config.presence, self.places.kinds, _under("presence.", arrays)
        )
        self.places.refresh()
        (
            self.now_ms,
            self._serial,
            self.next_ordinal,
            self._link_up,
            gaps,
            self._gap_from,
        ) = msgspec.msgpack.decode(blobs["core"])
        self._open_gaps = {k: (int(o), str(w)) for k, (o, w) in gaps.items()}

    def digest(self) -> str:
        """Hex digest of everything that survives a restart."""
        content = {
            "state": self.state.canonical(),
            "presence": self._presence_by_key(),
            "admission": self.admission.save(),
            "rest": {"rest": self._rest()},
        }
        return digest_of(content)

    def _presence_by_key(self) -> dict[str, Array]:
        rows = self.state.item.keys.live()
        keys = self.state.item.keys.keys()
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return self.presence.snapshot(rows[order])

    def _rest(self) -> tuple[Any, ...]:
        return (
            self.now_ms,
            self._serial,
            self.next_ordinal,
            self._link_up,
            self._open_gaps,
            self._gap_from,
        )


_CLAIMING = frozenset({TagRead, ItemScan})


def _under(prefix: str, entries: dict[str, Array]) -> dict[str, Array]:
    return {k[len(prefix) :]: v for k, v in entries.items() if k.startswith(prefix)}
