"""The middle of the corridor: raw messages in, state changed, effects out. Pure and deterministic.

No clock, no sockets, no disk. Time moves only by the arrival times of messages and by ``advance``.
The same journal gives the same bits however its messages are cut into calls of ``step``: a call is
cut internally wherever something happens at a moment of its own (an epoch of presence, an hour, a
day, a reader falling silent), and between two such moments order does not matter.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.commands import Told
from edge.config import Config
from edge.events import (
    Correction,
    Event,
    ItemLink,
    ItemScan,
    ReaderStatus,
    TagRead,
    kind_of,
)
from edge.features import business
from edge.features.history import QUIET_DAYS, day_rows, looked, quiet_days
from edge.features.reads import RSSI_UNKNOWN, Reads
from edge.features.state import FeatureState, digest_of, take_under
from edge.features.words import TIME_QUALITIES
from edge.ingest.admit import OWN_TIME, Admission, id_key
from edge.ingest.decode import ELEMENTS_MAX, Decoded, Decoder
from edge.ingest.epc import EpcReader
from edge.ingest.movements import Movements
from edge.ingest.outages import Outages
from edge.ingest.places import Places
from edge.ingest.presence import Presence
from edge.ingest.transitions import Transitions
from edge.ledger import data_quality, deeds
from edge.ledger.ledger import Hook, Ledger, LedgerFullError
from edge.ledger.tables import TABLES
from edge.records import DeadLetter, Effects, Message, Reason, TimelineEntry
from edge.services.data_faults import fault_of
from edge.services.data_quality import HOUR_MS, Watch

Array = NDArray[Any]
Ints = NDArray[np.int64]

SYSTEM = "$rfid3/"
HTTP = "$http/"

_QUALITY = {name: i for i, name in enumerate(TIME_QUALITIES)}
_COUNT_MAX = 65_535
_FAR = 1 << 62
_POISON = "applying it failed twice"

_ACCOUNTED = ("events_", "dead_", "messages")

CROWD = 2_048
"""So many items that depart at one moment are told at a time."""

_MAY_MATTER = frozenset({ItemScan, ItemLink, ReaderStatus})
_ARRIVAL_MS = attrgetter("arrival_ms")

_encode = msgspec.json.encode


class Arrived(msgspec.Struct, gc=False):
    """One decoded event with where and when it came from."""

    event: Event
    arrival_ms: int
    ordinal: int
    index: int
    topic: str
    asked: bool  # somebody waits to hear what becomes of it
    possible_repeat: bool = False


@dataclass(slots=True)
class Step:
    """What one call of ``step`` or ``advance`` left behind.

    ``outcomes`` holds (reason, detail) for every event that somebody waits for, by ordinal.
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
        self.state.manual_demand = config.demand.manual
        self.decoder = Decoder(
            config.sources,
            config.mapping,
            store=config.shop.store,
            timezone=config.shop.timezone,
            payload_max_bytes=ingest.payload_max_bytes,
            ignore=_ignored(config),
            company_prefixes=config.epc.company_prefixes,
        )
        self.places = Places(config.zones, config.shop.store, config.limits, self.state.tables)
        self.presence = Presence(config.presence, self.places.kinds)
        self.admission = Admission(
            redeliveries=config.mqtt.receive_maximum,
            events=ingest.dedupe_events,
            day_of=self.state.days.day,
        )
        self._gtins = EpcReader(config.epc.company_prefixes) if config.epc.link_gtin else None
        self.movements = Movements(self.state, self.places)
        self.ledger = Ledger(TABLES)
        self.watch = Watch()
        self._commands = deeds.decoder()
        self.poisoned: frozenset[int] = frozenset()
        self.tells_history = config.storage.history_days > 0
        self.model_commands: list[
            tuple[int, int, bytes]
        ] = []  # ordinal, arrival; for who takes them
        self.now_ms = 0
        self.revision = 0
        self.next_ordinal = 0
        self._tolerance_ms = ingest.future_tolerance_s * 1000
        self._stale_ms = ingest.stale_read_s * 1000
        self._dark_ms = (0, 0)  # from when to when the daemon was down, while time passes over it
        self.outages = Outages(
            self.state.reader,
            self.state.zone,
            self.places,
            config.presence.reader_silent_s * 1000,
        )
        self.outages.on_gap = lambda: self.watch.odd(data_quality.GAPS)

    # -- the two ways time moves --------------------------------------------------------------------

    def step(self, messages: Sequence[Message], first_ordinal: int) -> Step:
        """Decode, admit and apply messages in arrival order; ``first_ordinal`` numbers the first."""
        out = Step()
        start = 0
        for i in [i for i, m in enumerate(messages) if m.topic.startswith(SYSTEM)]:
            message = messages[i]
            self._outside(messages[start:i], first_ordinal + start, out)
            self.next_ordinal = first_ordinal + i
            if first_ordinal + i in self.poisoned:
                self._dead(out, message, first_ordinal + i, -1, "poison", _POISON, message.payload)
            else:
                self._to_end(self._system(message, first_ordinal + i, out))
            start = i + 1
        self._outside(messages[start:] if start else messages, first_ordinal + start, out)
        self.next_ordinal = first_ordinal + len(messages)
        self.revision += bool(messages)
        return out

    def pieces(
        self, message: Message, ordinal: int, decoded: Decoded, events: Callable[[int], int]
    ) -> Iterator[Step]:
        """``step`` of one large message, decoded beforehand, in pieces.

        ``events``: how many at a time, asked before each piece with how many are left.
        """
        out = Step()
        self._advance(message.arrival_ms, out)  # what it holds belongs to its day's account
        arrived = self._open([message], ordinal, out, decoded)
        start = 0
        while start < len(arrived):
            stop = start + events(len(arrived) - start)
            self._apply(arrived[start:stop], out)
            start = stop
            self.revision += 1
            yield out
            out = Step()
        self._advance(message.arrival_ms, out)
        self.next_ordinal = ordinal + 1
        self.revision += 1
        yield out

    def _outside(self, messages: Sequence[Message], first_ordinal: int, out: Step) -> None:
        """Messages from outside, none of our own among them, day by day: each day has its account."""
        start, end = 0, len(messages)
        while start < end:
            if not self.state.now_ms or messages[start].arrival_ms >= self.day_end_ms():
                self._advance(messages[start].arrival_ms, out)
            stop = end
            if messages[-1].arrival_ms >= self.day_end_ms():
                stop = bisect_left(messages, self.day_end_ms(), start, end, key=_ARRIVAL_MS)
            part = messages if stop - start == end else messages[start:stop]
            self._apply(self._open(part, first_ordinal + start, out), out)
            self._advance(part[-1].arrival_ms, out)
            start = stop

    def advance(self, now_ms: int) -> Step:
        """Nothing arrived until ``now_ms``: close windows, let tags depart, end days."""
        out = Step()
        self._advance(now_ms, out)
        return out

    def passing(self, now_ms: int, out: Step) -> Iterator[None]:
        """``advance`` in slices: others may work after each, but nobody may step or advance.

        A day's end takes several slices, as what it leaves behind is read while the state stands at
        the day's last moment; and so does a crowd that departs at once.
        """
        yield from self._passing(now_ms, out)

    def own(self, message: Message, ordinal: int, out: Step) -> Iterator[None]:
        """``step`` of one message of our own, in slices like ``passing``."""
        if ordinal in self.poisoned:
            self._dead(out, message, ordinal, -1, "poison", _POISON, message.payload)
        else:
            yield from self._system(message, ordinal, out)
        self.next_ordinal = ordinal + 1
        self.revision += 1

    def day_end_ms(self) -> int:
        """When the present day ends; far away before time has begun."""
        return self.state.day_end_ms() if self.state.now_ms else _FAR

    def due_ms(self) -> int:
        """The next moment at which ``advance`` alone would change something people see."""
        return min(
            self.presence.next_at_ms(),
            self.outages.next_silence_ms(),
            self.state.next_boundary_ms(),
            self.ledger.due_ms(),
        )

    # -- opening messages -----------------------------------------------------------------------

    def _open(
        self, messages: Sequence[Message], first: int, out: Step, known: Decoded | None = None
    ) -> list[Arrived]:
        """Judge and decode messages; the events inside, in order."""
        decode, poisoned = self.decoder.decode, self.poisoned
        verdicts = self.admission.redeliveries.judge(messages)
        arrived: list[Arrived] = []
        formats: list[str] = []
        for i, message in enumerate(messages):
            if verdicts is not None and verdicts[i] is Reason.REDELIVERED:
                self.state.count(f"messages_{Reason.REDELIVERED}")
                continue
            ordinal = first + i
            if poisoned and ordinal in poisoned:
                self._dead(out, message, ordinal, -1, "poison", _POISON, message.payload)
                continue
            decoded = known or decode(message)
            formats.append(decoded.format)
            if decoded.ignored:
                self.state.count(f"messages_{Reason.IGNORED}")
            for r in decoded.rejects:
                self._dead(out, message, ordinal, r.index, r.reason, r.detail, r.payload)
            repeat = verdicts is not None and verdicts[i] is Reason.POSSIBLE_REPEAT
            topic, arrival_ms = message.topic, message.arrival_ms
            asked = message.origin_ms > 0 or topic.startswith(HTTP)  # as _asked: a call less
            for index, event in enumerate(decoded.events):
                arrived.append(Arrived(event, arrival_ms, ordinal, index, topic, asked, repeat))
        self.state.count("messages", len(messages))
        for name, many in Counter(formats).items():
            self.state.count(f"format_{name or 'unknown'}", many)
        return arrived

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
                ordinal,
                index,
                message.origin_ms or message.arrival_ms,
                message.topic,
                reason,
                detail,
                bytes(payload),
            )
        )
        if _asked(message):
            self._outcome(out, ordinal, reason, detail)

    def _refuse(self, out: Step, told: Arrived, reason: Reason, detail: str) -> None:
        """An event that was read but cannot be kept: a dead letter, to be played again."""
        self.state.count("dead_letters")
        self.state.count(f"dead_{reason}")
        self._verdict(out, told, reason, detail)
        out.effects.dead_letters.append(
            DeadLetter(
                told.ordinal,
                ELEMENTS_MAX + told.index,  # beyond the elements that could not be read at all
                told.arrival_ms,
                f"{HTTP}{kind_of(told.event)}/{told.event.source or 'refused'}",
                str(reason),
                detail,
                _encode(told.event),
            )
        )

    def _verdict(self, out: Step, told: Arrived, reason: Reason, detail: str = "") -> None:
        self.state.count(f"events_{reason}")
        if told.asked:
            self._outcome(out, told.ordinal, str(reason), detail)

    @staticmethod
    def _outcome(out: Step, ordinal: int, reason: str, detail: str = "") -> None:
        out.outcomes.setdefault(ordinal, []).append((reason, detail))

    # -- applying events ------------------------------------------------------------------------

    def _apply(self, arrived: list[Arrived], out: Step) -> None:
        """Apply events, cut wherever a moment of its own lies between two of them."""
        seen = any(type(told.event) is TagRead for told in arrived)
        # after these, who is watched, and who can see, may be different
        statuses = [i for i, told in enumerate(arrived) if type(told.event) is ReaderStatus]
        start, end = 0, len(arrived)
        while start < end:
            self._advance(arrived[start].arrival_ms, out)
            cut_ms = self._cut_ms(arrived, start, seen)
            stop = end
            if arrived[-1].arrival_ms >= cut_ms:
                stop = bisect_left(arrived, cut_ms, start + 1, end, key=_ARRIVAL_MS)
            following = bisect_left(statuses, start)
            if following < len(statuses):
                stop = min(stop, statuses[following] + 1)
            self._apply_span(arrived[start:stop] if stop - start < end else arrived, out)
            start = stop
        out.events += end

    def _cut_ms(self, arrived: list[Arrived], start: int, seen: bool) -> int:
        """The first moment after ``arrived[start]`` that must separate two spans."""
        if arrived[-1].arrival_ms == arrived[start].arrival_ms:
            return _FAR
        cut_ms = min(
            self.state.next_boundary_ms(),
            self.outages.next_silence_ms(),
            self.ledger.due_ms(),
        )
        if not seen and self.presence.next_at_ms() > arrived[-1].arrival_ms:
            return cut_ms  # nobody is in view: epochs pass unnoticed
        epoch_ms = self.config.presence.epoch_ms
        epoch_end_ms = (arrived[start].arrival_ms // epoch_ms + 1) * epoch_ms
        return min(cut_ms, max(epoch_end_ms, arrived[start].arrival_ms + 1))

    def _apply_span(self, span: list[Arrived], out: Step) -> None:
        """Events between two moments: reads wait and go in as columns, the rest one by one.

        Waiting is allowed because a read and another event commute, unless the event changes what
        the read is counted for: the class of the same item, or who sees at all.
        """
        self._let_go(span[-1].arrival_ms)
        reads: list[Arrived] = []
        rows: list[int] = []  # of the reads' items
        waiting: set[int] = set()  # the first of these rows, as many as somebody asked about
        asked = 0
        find = self.state.item.keys.find
        for told in span:
            event = told.event
            if event.at > told.arrival_ms and not self._timely(told, out):  # type: ignore[operator]
                continue
            if type(event) is TagRead:
                row = find(event.epc)
                rows.append(self._welcome(event, told.arrival_ms) if row is None else row)
                reads.append(told)
                continue
            if rows and type(event) in _MAY_MATTER:
                waiting.update(rows[asked:])
                asked = len(rows)
                if self._matters(event, waiting):
                    self._reads(reads, rows, out)
                    reads, rows, waiting, asked = [], [], set(), 0
            self._one(told, out)
        if reads:
            self._reads(reads, rows, out)

    def _welcome(self, event: TagRead, arrival_ms: int) -> int:
        """A tag never seen before gets its row now: rows are given in the order of arrival."""
        row = self.state.item.keys.claim(event.epc)
        if row < 0:
            return row
        col = self.state.item.col
        col["store_row"][row] = self.state.store.keys.claim(event.store)
        gs1 = self._gtins.read(event.epc, event.pc) if self._gtins else None
        if gs1 is not None and gs1.gtin:
            business.bind(self.state, row, event.store, gs1.gtin, "", arrival_ms)
        return row

    def _timely(self, told: Arrived, out: Step) -> bool:
        """Whether an event that is dated later than its arrival is within tolerance."""
        at_ms = told.event.at
        assert isinstance(at_ms, int), at_ms
        ahead_ms = at_ms - told.arrival_ms
        if ahead_ms > self._tolerance_ms:
            self._refuse(out, told, Reason.FUTURE, f"dated {ahead_ms // 1000} s after its arrival")
            return False
        return True

    def _matters(self, event: Event, waiting: set[int]) -> bool:
        """Whether the event changes what reads of the items in ``waiting`` are counted for."""
        row_of = self.state.item.keys.get
        if type(event) is ItemScan:
            return bool(event.sku) and row_of(event.epc) in waiting and self._binds_anew(event)
        if type(event) is ItemLink:
            return row_of(event.epc) in waiting or row_of(event.replaces) in waiting
        return type(event) is ReaderStatus

    def _binds_anew(self, scan: ItemScan) -> bool:
        row = self.state.item.keys.get(scan.epc)
        bound = int(self.state.item.col["class_row"][row])
        key = business.class_key(scan.store, scan.sku)
        return bound < 0 or self.state.cls.keys.get(key) != bound

    def _one(self, told: Arrived, out: Step) -> None:
        event = told.event
        if type(event) is ReaderStatus:
            verdict = self.admission.event(event) if event.id else Reason.ADMITTED
            if verdict is not Reason.ADMITTED:
                self._verdict(out, told, verdict)
                return
            self._not_ahead(told)
            self._reader_status(event, told, out)
            return
        verdict = self.admission.event(event)
        if verdict is not Reason.ADMITTED:
            self._verdict(out, told, verdict)
            return
        self._not_ahead(told)
        fault = fault_of(self.state, event)
        new_unit = self._is_new_unit(event)
        if self._undoes_nothing(event):
            self.state.count("undo_of_unknown_scan")
        elif not business.apply(self.state, event, told.arrival_ms):
            self.admission.take_back()
            self._refuse(
                out, told, Reason.KEY_LIMIT, "a table is full: raise its limit, play again"
            )
            return
        late = event.at + self.state.lateness_ms < told.arrival_ms  # type: ignore[operator]
        if late:
            self.state.count("events_late")
        self.watch.heard(event.source)
        if fault:
            self.watch.odd(fault)
        if event.time_quality not in OWN_TIME:
            self.watch.odd(data_quality.UNTIMED)
        for hook in deeds.HOOKS.get(type(event), ()):
            self._hooked(hook, told, out, new_unit)
        self._verdict(out, told, self._repeat(told) or Reason.ADMITTED)
        epc = getattr(event, "epc", "")
        if epc:
            self._timeline(out, told, epc, kind_of(event), _encode(event).decode())

    def _hooked(self, hook: Hook, told: Arrived, out: Step, new_unit: bool) -> None:
        """Let the ledger learn of an event; a full table costs the event nothing else."""
        self.ledger.into = out.effects.rows
        when = Told(told.arrival_ms, told.ordinal, told.index, new_unit)
        try:
            hook(self.ledger, told.event, when)
        except LedgerFullError as error:
            self.state.count(f"ledger_full_{error.table}")

    def _is_new_unit(self, event: Event) -> bool:
        """Whether a tag without a class is bound to one whose goods nobody tells by receipts."""
        if type(event) is not ItemLink or event.action != "bind":
            return False
        items, classes = self.state.item, self.state.cls
        row = items.keys.get(event.epc)
        if row >= 0 and items.cell["class_row"][row] >= 0:
            return False
        row = classes.keys.get(business.class_key(event.store, event.sku))
        return row < 0 or not classes.cell["last_receipt_ms"][row]

    @staticmethod
    def _not_ahead(told: Arrived) -> None:
        """A clock slightly ahead is set to arrival; only once the event was compared as told."""
        told.event.at = min(told.event.at, told.arrival_ms)

    def _undoes_nothing(self, event: Event) -> bool:
        undoes = type(event) is Correction and event.action == "undo_scan"
        return undoes and not self.admission.knows_scan(event)  # type: ignore[arg-type]

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

    def _reads(self, told: list[Arrived], rows: list[int], out: Step) -> None:
        """Take reads of the items in ``rows`` in, as columns."""
        reads, told = self._columns(told, rows, out)
        if not told:
            return
        fresh = self._fresh(reads, told)
        if not fresh.all():
            reads, told = self._without_duplicates(reads, told, fresh, out)
            if not told:
                return
        own_time = reads.quality <= _QUALITY["naive_local"]
        ahead_ms = reads.at_ms - reads.arrival_ms
        reader = reads.reader
        if not own_time.all():
            ahead_ms, reader = ahead_ms[own_time], reader[own_time]
        self.state.reader.col["clock_ahead_ms"][reader] = ahead_ms
        np.minimum(reads.at_ms, reads.arrival_ms, out=reads.at_ms)  # compared as told: now set
        folded = self.state.update_reads(reads)
        self._count_reads(reads, folded, told, out)
        self._observe(reads, out)

    def _columns(
        self, told: list[Arrived], rows: list[int], out: Step
    ) -> tuple[Reads, list[Arrived]]:
        """Reads as columns; those for which a table is full are refused."""
        events: list[TagRead] = [t.event for t in told]  # type: ignore[misc]
        item = np.array(rows, np.int64)
        reader = self.state.reader.keys.claim_all([e.source or "unknown" for e in events])
        antenna = np.array([e.antenna for e in events], np.int64)
        zone = self.places.zones(reader, antenna, events)
        rssi_cdbm, loud = _signals(np.array([e.rssi_dbm for e in events], np.float64))
        reads = Reads(
            item=item,
            reader=reader,
            zone=zone,
            antenna=antenna,
            at_ms=np.array([e.at for e in events], np.int64),
            arrival_ms=np.array([t.arrival_ms for t in told], np.int64),
            rssi_cdbm=rssi_cdbm,
            loud=loud,
            count=np.minimum(np.array([e.count for e in events], np.int64), _COUNT_MAX),
            quality=_qualities(events),
        )
        if min(item.min(), reader.min(), zone.min()) >= 0:
            return reads, told
        fits = (item >= 0) & (reader >= 0) & (zone >= 0)
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
        """bool[n]: which reads were not told before."""
        events: list[TagRead] = [t.event for t in told]  # type: ignore[misc]
        number = np.array([e.seq for e in events], np.int64)
        return self.admission.reads(
            self.state.item.keys.hashes[reads.item],
            self.state.reader.keys.hashes[reads.reader],
            (reads.at_ms, reads.antenna, reads.rssi_cdbm, reads.count, number),
            reads.quality <= _QUALITY["naive_local"],
            {i: id_key(e.source, e.id) for i, e in enumerate(events) if e.id},
        )

    def _without_duplicates(
        self, reads: Reads, told: list[Arrived], fresh: NDArray[np.bool_], out: Step
    ) -> tuple[Reads, list[Arrived]]:
        """What is left once those told before are counted."""
        stale = np.flatnonzero(~fresh).tolist()
        self.state.count(f"events_{Reason.DUPLICATE}", len(stale))
        for i in stale:
            if told[i].asked:
                self._outcome(out, told[i].ordinal, str(Reason.DUPLICATE), "told before")
        kept = [t for t, keep in zip(told, fresh.tolist(), strict=True) if keep]
        return reads.where(fresh), kept

    def _count_reads(self, reads: Reads, folded: Ints, told: list[Arrived], out: Step) -> None:
        count = self.state.count
        many = int(folded.sum())
        count(f"events_{Reason.ADMITTED}", len(told) - many)
        count(f"events_{Reason.FOLDED}", many)
        late = reads.arrival_ms - reads.at_ms > self.state.lateness_ms
        if late.any():
            rows = reads.item[late]
            np.add.at(self.state.item.col["late_total"], rows, np.int32(1))
            count("events_late", int(late.sum()))
            for i in np.flatnonzero(late).tolist():
                event = told[i].event
                assert isinstance(event, TagRead)
                self._timeline(out, told[i], event.epc, "late_read", _encode(event).decode())
        for t in [t for t in told if t.asked or t.possible_repeat]:
            if t.possible_repeat and self._repeat(t):
                count(f"events_{Reason.POSSIBLE_REPEAT}")
            if t.asked:
                self._outcome(out, t.ordinal, str(Reason.ADMITTED))
        np.maximum.at(self.state.reader.col["last_message_ms"], reads.reader, reads.arrival_ms)
        self._heard(reads)
        ordinals = np.array([t.ordinal for t in told], np.int64)
        self.outages.heard(reads.reader, reads.arrival_ms, ordinals, self.presence, out.effects)

    def _heard(self, reads: Reads) -> None:
        """Who told reads, and how many of them had no time of their own."""
        many = np.bincount(reads.reader)
        name = self.state.reader.keys.key
        for row in np.flatnonzero(many).tolist():
            self.watch.heard(name(row), int(many[row]))
        untimed = int((reads.quality > _QUALITY["naive_local"]).sum())
        if untimed:
            self.watch.odd(data_quality.UNTIMED, untimed)

    def _observe(self, reads: Reads, out: Step) -> None:
        """Show presence the reads that are not stale."""
        stale = reads.arrival_ms - reads.at_ms > self._stale_ms
        if stale.any():
            reads = reads.where(~stale)
            if not len(reads):
                return
        moved = self.presence.observe(
            reads.item, reads.zone, reads.arrival_ms, reads.rssi_cdbm, reads.count
        )
        self._told(moved, out)

    # -- presence -------------------------------------------------------------------------------

    def _advance(self, now_ms: int, out: Step) -> None:
        """Let time reach ``now_ms``, stopping at every reader that falls silent on the way."""
        self._to_end(self._passing(now_ms, out))

    @staticmethod
    def _to_end(slices: Iterator[None]) -> None:
        for _ in slices:
            pass

    def _passing(self, now_ms: int, out: Step) -> Iterator[None]:
        """As ``_advance``, stopping at every day's end as well; it may rest at each ``yield``."""
        while True:
            silent_ms = self.outages.next_silence_ms()
            day_ms = self._day_end_within(now_ms)
            wake_ms = self.ledger.due_ms()
            if min(silent_ms, day_ms, wake_ms) > now_ms:
                break
            if day_ms <= min(silent_ms, wake_ms):
                yield from self._end_day(day_ms, out)
            elif wake_ms <= silent_ms:
                yield from self._wake(wake_ms, out)
            else:
                yield from self._pass(silent_ms, out)
                self.outages.fall_silent(silent_ms, self.presence, out.effects)
        if now_ms > self.now_ms:
            yield from self._pass(now_ms, out)

    def _wake(self, at_ms: int, out: Step) -> Iterator[None]:
        """Reach a moment at which something of the ledger falls due."""
        yield from self._pass(max(at_ms, self.now_ms), out)
        self.ledger.into = out.effects.rows
        for due_ms, kind, key in self.ledger.due(at_ms):
            deeds.WAKES[kind](self.ledger, key, Told(due_ms, self.next_ordinal))
        self.revision += 1

    def _day_end_within(self, now_ms: int) -> int:
        """The next day's end if it may be reached by ``now_ms``, else far away.

        The days of a blank state end unnoticed: a clock that jumps from 1970 to today passes
        twenty thousand of them.
        """
        begun = not self.state.blank and now_ms >= self.state.next_boundary_ms()
        return self.state.day_end_ms() if begun and not self.state.blank else _FAR

    def _end_day(self, end_ms: int, out: Step) -> Iterator[None]:
        """Reach a day's last moment, read what the day leaves behind, then let it end."""
        if end_ms - 1 > self.now_ms:
            yield from self._pass(end_ms - 1, out)
            yield
        self.state.unseen = not looked(self.state, *self._dark_ms)
        for rows in day_rows(self.state) if self.tells_history else ():
            if rows is not None:
                out.effects.history.append(rows)
            yield
        self._close_account(out)
        yield from self._pass(end_ms, out)
        self.state.unseen = False

    def _close_account(self, out: Step) -> None:
        """What the day's data were like; nothing of days on which nobody looked for long."""
        account = self.watch.close_day(self.quality_counters())
        if quiet_days(self.state) <= QUIET_DAYS:
            self.ledger.into = out.effects.rows
            self.ledger.put(data_quality.row_of(self.state.today, account, self.state.unseen))

    def quality_counters(self) -> dict[str, int]:
        """What a day's account is made of, as it stands now."""
        return {name: n for name, n in self.state.counters.items() if name.startswith(_ACCOUNTED)}

    def _pass(self, to_ms: int, out: Step) -> Iterator[None]:
        moved = self.presence.advance(to_ms)
        if len(moved.item):
            self.state.roll(to_ms)  # windows reach the moment, but nothing is forgotten yet
            for start in range(0, len(moved.item), CROWD):
                if start:
                    yield
                self._told(moved.take(slice(start, start + CROWD)), out)
        self._let_go(to_ms)
        self.now_ms = max(self.now_ms, to_ms)

    def _told(self, moved: Transitions, out: Step) -> None:
        if len(moved.item):
            out.effects.timeline += self.movements.apply(moved)
            self.revision += 1

    def _let_go(self, now_ms: int) -> None:
        if self.watch.due(now_ms):
            self.watch.advance(now_ms, self._hour_of_week, blind=not self.outages.link_up)
        forgotten = self.state.advance(now_ms)
        if len(forgotten):
            self.presence.forget(forgotten)
            self.revision += 1

    def _hour_of_week(self, at_ms: int) -> int:
        """Local hour of the week, Monday's first being 0; the hour before a change of clocks counts on."""
        day = self.state.days.day(at_ms)
        hour = (at_ms - self.state.days.start_ms(day)) // HOUR_MS
        return (day + 3) % 7 * 24 + min(hour, 23)  # day 0 was a Thursday

    # -- what the daemon tells itself -----------------------------------------------------------

    def _system(self, message: Message, ordinal: int, out: Step) -> Iterator[None]:
        """Starts and link changes, told through the journal like everything else."""
        told = msgspec.json.decode(message.payload)
        at_ms = message.arrival_ms
        match message.topic.removeprefix(SYSTEM):
            case "start":
                yield from self._unseen(self.now_ms, at_ms, ordinal, out)
                self.watch.blind()
            case "link":
                yield from self._passing(at_ms, out)
                self.outages.link(bool(told["up"]), at_ms, ordinal, self.presence, out.effects)
                self.watch.blind()  # for some of this hour
            case "do":
                yield from self._passing(at_ms, out)
                self._do(message, ordinal, out)
            case "models":
                self.model_commands.append((ordinal, at_ms, message.payload))
            case _:
                self.state.count("system_unknown")
        self.revision += 1

    def _do(self, message: Message, ordinal: int, out: Step) -> None:
        """Carry out a command of the domain; what becomes of it is told to whoever asked."""
        self.ledger.into = out.effects.rows
        try:
            command = self._commands.decode(message.payload)
        except msgspec.DecodeError as error:
            outcome = "invalid", str(error)
        else:
            outcome = deeds.do(self.ledger, command, Told(message.arrival_ms, ordinal))
        self.state.count(f"commands_{outcome[0]}")
        self._outcome(out, ordinal, *outcome)

    def _unseen(self, from_ms: int, to_ms: int, ordinal: int, out: Step) -> Iterator[None]:
        """Nothing could be seen while the daemon was down: nobody departs for that.

        With a broker it goes on until the link is up: readers speak through it.
        """
        if not from_ms or to_ms <= from_ms:
            yield from self._passing(to_ms, out)
            return
        self.outages.go_dark(from_ms, ordinal, self.presence, out.effects)
        self._dark_ms = from_ms, to_ms
        yield from self._passing(to_ms, out)
        self._dark_ms = 0, 0
        if not self.config.mqtt.enabled:
            self.outages.link(True, to_ms, ordinal, self.presence, out.effects)

    def _reader_status(self, event: ReaderStatus, told: Arrived, out: Step) -> None:
        row = self.state.reader.keys.claim(event.reader)
        if row < 0:
            self._refuse(out, told, Reason.KEY_LIMIT, "limits.readers_max is reached: raise it")
            return
        self._verdict(out, told, Reason.ADMITTED)
        self.outages.status(event, row, told.arrival_ms, told.ordinal, self.presence, out.effects)

    # -- saving and comparing -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, Array], dict[str, bytes]]:
        """(arrays, blobs) that ``load`` takes back. Arrays are views: do not step meanwhile."""
        arrays, blobs = self.state.save()
        arrays |= {f"admission.{k}": a for k, a in self.admission.save().items()}
        arrays |= {f"presence.{k}": a for k, a in self.presence.snapshot().items()}
        blobs["core"] = msgspec.msgpack.encode(self._rest())
        blobs["ledger"] = self.ledger.save()
        blobs["watch"] = self.watch.save()
        return arrays, blobs

    def load(self, arrays: dict[str, Array], blobs: dict[str, bytes]) -> None:
        """Take back what ``save`` gave, into a fresh core; empties ``arrays``.

        Raises ValueError beyond the limits.
        """
        self.state.load(arrays, blobs)
        self.places.refresh()
        self.admission.load(take_under("admission.", arrays))
        self.presence = Presence.restore(
            self.config.presence, self.places.kinds, take_under("presence.", arrays)
        )
        if "ledger" in blobs:  # a snapshot of an older version has none
            self.ledger.load(blobs["ledger"])
        if "watch" in blobs:
            self.watch.load(blobs["watch"])
        rest = msgspec.msgpack.decode(blobs["core"])
        self.now_ms, self.movements.serial, self.next_ordinal = rest[:3]
        self.outages.load(rest[3])

    def digest(self) -> str:
        """Hex digest of everything that survives a restart."""
        content = {
            "state": self.state.canonical(),
            "presence": self._presence_by_key(),
            "admission": self.admission.save(),
            "rest": {"rest": self._rest()},
            "ledger": {"ledger": self.ledger.save()},
            "watch": {"watch": self.watch.save()},
        }
        return digest_of(content)

    def _presence_by_key(self) -> dict[str, Array]:
        rows = self.state.item.keys.live()
        keys = self.state.item.keys.keys()
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return self.presence.snapshot(rows[order])

    def _rest(self) -> tuple[Any, ...]:
        return self.now_ms, self.movements.serial, self.next_ordinal, self.outages.save()


def _asked(message: Message) -> bool:
    """Whether somebody waits to hear what becomes of it: HTTP, or a dead letter played again."""
    return message.origin_ms > 0 or message.topic.startswith(HTTP)


def _ignored(config: Config) -> list[str]:
    """Topics not looked into: those the shop names, and our own status."""
    own = [f"{config.mqtt.status_topic}/#"] if config.mqtt.status_topic else []
    return [*config.mqtt.ignore, *own]


def _qualities(events: list[TagRead]) -> Ints:
    words = [e.time_quality for e in events]
    if words.count("reader") == len(words):
        return np.zeros(len(words), np.int64)
    return np.array([_QUALITY[word] for word in words], np.int64)


def _signals(rssi_dbm: NDArray[np.float64]) -> tuple[Ints, NDArray[np.bool_]]:
    """Hundredths of dBm, ``RSSI_UNKNOWN`` where not told; and where it is told."""
    loud = np.isfinite(rssi_dbm)
    cdbm = np.rint(rssi_dbm * 100 if loud.all() else np.where(loud, rssi_dbm, 0) * 100)
    signals: Ints = cdbm.astype(np.int64)
    if not loud.all():
        signals[~loud] = RSSI_UNKNOWN
    return signals, loud
