"""A shop in memory behind the API's ports, for its own tests. No columns, no journal, no rules.

It understands just enough of the events to let every endpoint show something. The same contract
(``contract.py``) that runs here is there for the real daemon too.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
import msgspec

from edge.api.app import server, serving
from edge.api.endpoint import Patience
from edge.api.ports import Corridor, DeadLetterKey, Models, Tables, View
from edge.clock import SystemClock
from edge.config import Config
from edge.core import Core
from edge.errors import InboxFull
from edge.events import AnyEvent, Event, ItemScan, PosLine, ReaderStatus, TagRead, kind_of
from edge.inference.manifest import Service
from edge.records import DeadLetter, Gap, Message, Receipt, Replayed, TimelineEntry
from edge.view_all import Views
from edge.view_basis import Sources
from edge.view_models import WorstClass
from edge.view_types import (
    ClassDetail,
    ClassPage,
    ClassRow,
    Counters,
    DailyHistory,
    DeadLetterHead,
    Dependency,
    FeatureRow,
    ItemDetail,
    ItemPage,
    ItemRow,
    Metric,
    Movement,
    ReaderRow,
    UnknownTag,
    UnknownTagPage,
    ZoneRow,
)
from tests.api.fake_models import MemoryModels
from tests.streams import LIMITS

R = TypeVar("R", bound=msgspec.Struct)
STATUS_AFTER = {"Rental": "On Rent", "Delivery": "Delivered", "Return": "Ready to Rent"}


@dataclass
class MemoryShop:
    """All state of the fake, in plain dictionaries."""

    items: dict[str, ItemDetail] = field(default_factory=dict)
    classes: dict[tuple[str, str], ClassDetail] = field(default_factory=dict)
    readers: dict[str, ReaderRow] = field(default_factory=dict)
    letters: dict[DeadLetterKey, DeadLetter] = field(default_factory=dict)
    timeline: list[TimelineEntry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    seen: set[bytes] = field(default_factory=set)
    ordinal: int = 0
    revision: int = 0
    now_ms: int = 0

    def apply(self, message: Message) -> tuple[str, str]:
        """One event in, (reason, detail) out."""
        self.revision += 1
        self.now_ms = max(self.now_ms, message.arrival_ms)
        outcome = self._decide(message)
        self.outcomes[outcome[0]] += 1
        self.ordinal += 1
        return outcome

    def _decide(self, message: Message) -> tuple[str, str]:
        if not message.origin_ms and message.payload in self.seen and b'"id"' in message.payload:
            return "duplicate", ""
        self.seen.add(message.payload)
        try:
            event = msgspec.json.decode(_with_type(message), type=AnyEvent)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._bury(message, str(error))
            return "no_such_event", str(error)
        self._change(event, message.arrival_ms)
        return "admitted", ""

    def _bury(self, message: Message, detail: str) -> None:
        first_ms = message.origin_ms or message.arrival_ms
        self.letters[self.ordinal, -1] = DeadLetter(
            self.ordinal, -1, first_ms, message.topic, "no_such_event", detail, message.payload
        )

    def _change(self, event: Event, at_ms: int) -> None:
        if isinstance(event, PosLine):
            key = (event.sku, event.store or "main")
            self.classes[key] = ClassDetail(
                sku=event.sku,
                store=key[1],
                name=event.name,
                category=event.category,
                on_hand=1.0,
                features={"units_sold_24h": event.quantity},
                history=DailyHistory(days=["2026-01-01"], columns={"sold": [event.quantity]}),
            )
        if isinstance(event, ReaderStatus):
            online = event.status == "online"
            self.readers[event.reader] = ReaderRow(name=event.reader, online=online)
            if not online:
                self.gaps.append(Gap(self.ordinal, event.reader, at_ms, 0, event.status))
        if isinstance(event, ItemScan | TagRead):
            self._item(event, at_ms)

    def _item(self, event: ItemScan | TagRead, at_ms: int) -> None:
        item = self.items.setdefault(event.epc, ItemDetail(epc=event.epc, unknown=True))
        item.last_seen_ms = at_ms
        if isinstance(event, TagRead):
            item.zone, item.present = "hall", True
            item.features = {"reads_count_1h": 1.0, "rssi_dbm_mean_1h": event.rssi_dbm}
        else:
            item.sku, item.contract = event.sku or item.sku, event.contract
            item.unknown = not item.sku
            item.status = event.status or STATUS_AFTER.get(event.scan_type, item.status)
        self.changed[event.epc] = self.revision
        entry = TimelineEntry(self.ordinal, 0, event.epc, at_ms, kind_of(event), '{"by":"test"}')
        self.timeline.append(entry)


def _with_type(message: Message) -> bytes:
    kind = message.topic.split("/")[1]
    if kind == "events" or b'"type"' in message.payload:
        return message.payload
    return b'{"type":"' + kind.encode() + b'",' + message.payload.lstrip()[1:]


class MemoryView:
    """Satisfies ``View`` over a shop."""

    def __init__(self, shop: MemoryShop) -> None:
        self._shop = shop

    @property
    def revision(self) -> int:
        return self._shop.revision

    @property
    def now_ms(self) -> int:
        return self._shop.now_ms

    def stats(self) -> Counters:
        return {"events": dict(self._shop.outcomes)}

    def metrics(self) -> Iterable[Metric]:
        for reason, n in self._shop.outcomes.items():
            yield Metric("rfid3_events_total", n, "Events.", labels={"outcome": reason})
        yield Metric("rfid3_items", len(self._shop.items), "Items known.", "gauge")

    def items(
        self, *, zone: str | None, sku: str | None, status: str | None, start: int, limit: int
    ) -> ItemPage:
        wanted = status and status.strip().lower()
        found = [
            (place, item)
            for place, item in enumerate(self._shop.items.values())
            if place >= start
            and (zone is None or item.zone == zone)
            and (sku is None or item.sku == sku)
            and (wanted is None or item.status.lower() == wanted)
        ]
        rows = [_row(item) for _, item in found[:limit]]
        return ItemPage(rows, found[limit][0] if len(found) > limit else None)

    def item(self, epc: str) -> ItemDetail | None:
        return self._shop.items.get(epc)

    def item_revision(self, epc: str) -> int | None:
        return self._shop.changed.get(epc)

    def classes(
        self, *, store: str | None, category: str | None, start: int, limit: int
    ) -> ClassPage:
        found = [
            (place, row)
            for place, row in enumerate(self._shop.classes.values())
            if place >= start
            and (store is None or row.store == store)
            and (category is None or row.category == category)
        ]
        rows = [_class_row(row) for _, row in found[:limit]]
        return ClassPage(rows, found[limit][0] if len(found) > limit else None)

    def class_detail(self, sku: str, store: str, days: int) -> ClassDetail | None:
        return self._shop.classes.get((sku, store))

    def zones(self) -> list[ZoneRow]:
        items = sum(item.zone == "hall" for item in self._shop.items.values())
        return [ZoneRow(name="hall", readers=["r1"], items=items)]

    def readers(self) -> list[ReaderRow]:
        return list(self._shop.readers.values())

    def unknown_tags(self, *, start: int, limit: int) -> UnknownTagPage:
        tags = [UnknownTag(epc=i.epc) for i in self._shop.items.values() if i.unknown]
        more = start + limit < len(tags)
        return UnknownTagPage(tags[start : start + limit], start + limit if more else None)

    def movements(self, *, limit: int) -> list[Movement]:
        return [Movement(at_ms=1, kind="arrived", epc="E2", to_zone="hall")][:limit]

    def features(self) -> list[FeatureRow]:
        return [
            FeatureRow(
                name="reads_count_1h", entity="item", unit="reads", measure="count", window="1h"
            )
        ]


def _row(item: ItemDetail) -> ItemRow:
    return ItemRow(**{name: getattr(item, name) for name in ItemRow.__struct_fields__})


def _class_row(row: ClassDetail) -> ClassRow:
    return ClassRow(**{name: getattr(row, name) for name in ClassRow.__struct_fields__})


class MemoryCorridor:
    """Satisfies ``Corridor``: commits and applies a beat later, unless a test stops it."""

    def __init__(self, shop: MemoryShop) -> None:
        self._shop = shop
        self._waiting: list[tuple[Message, Receipt]] = []
        self._beating = False
        self.submitted: list[Message] = []
        self.limit = 100_000
        self.commits = True
        self.applies = True
        self.refuses = 0  # so many submissions find the inbox full
        self.dependencies = [Dependency("journal", ok=True), Dependency("mqtt", ok=True)]

    def submit(self, entries: Sequence[tuple[Message, Receipt]]) -> None:
        if self.refuses or len(self._waiting) + len(entries) > self.limit:
            self.refuses = max(0, self.refuses - 1)
            raise InboxFull(f"{self.limit} messages are waiting")
        self.submitted += [message for message, _ in entries]
        self._waiting += entries
        if not self._beating:
            self._beating = True
            asyncio.get_running_loop().call_later(0.002, self._beat)

    def _beat(self) -> None:
        self._beating = False
        batch, self._waiting = self._waiting, []
        for message, receipt in batch if self.commits else []:
            if isinstance(message, Replayed):
                self._shop.letters.pop(message.letter, None)
                self._shop.revision += 1
            receipt.committed()
        for message, receipt in batch if self.commits and self.applies else []:
            receipt.applied([self._shop.apply(message)])

    def health(self) -> list[Dependency]:
        return self.dependencies


class MemoryTables:
    """Satisfies ``Tables`` over a shop; always caught up."""

    def __init__(self, shop: MemoryShop) -> None:
        self._shop = shop

    @property
    def revision(self) -> int:
        return self._shop.revision

    async def dead_letters(
        self, *, reason: str | None, after: DeadLetterKey | None, newest_first: bool, limit: int
    ) -> list[DeadLetterHead]:
        await asyncio.sleep(0)
        sign = -1 if newest_first else 1
        keys = sorted(self._shop.letters, reverse=newest_first)
        if after is not None:
            keys = [k for k in keys if (k > after if sign > 0 else k < after)]
        letters = [self._shop.letters[k] for k in keys]
        return [_head(x) for x in letters if reason in (None, x.reason)][:limit]

    async def dead_letter(self, key: DeadLetterKey) -> DeadLetter | None:
        return self._shop.letters.get(key)

    async def timeline(self, epc: str, *, limit: int) -> list[TimelineEntry]:
        return [e for e in reversed(self._shop.timeline) if e.epc == epc][:limit]

    async def ledger_rows(
        self,
        kind: type[R],
        where: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int = 1_000,
        offset: int = 0,
    ) -> list[R]:
        return []

    async def worst_classes(
        self, service: Service, version: str, *, limit: int
    ) -> list[WorstClass]:
        return []

    async def gaps(self, *, reader: str | None, limit: int) -> list[Gap]:
        return [g for g in reversed(self._shop.gaps) if reader in (None, g.reader)][:limit]


def _head(letter: DeadLetter) -> DeadLetterHead:
    return DeadLetterHead(
        ordinal=letter.ordinal,
        index=letter.index,
        arrival_ms=letter.arrival_ms,
        topic=letter.topic,
        reason=letter.reason,
        detail=letter.detail,
        payload_bytes=len(letter.payload),
        payload_start=letter.payload[:256],
    )


@dataclass
class Fake:
    """A served fake: the client to ask, and the parts behind it."""

    client: aiohttp.ClientSession
    shop: MemoryShop
    corridor: MemoryCorridor
    url: str


@asynccontextmanager
async def fake_daemon(
    settings: Config | None = None, patience: Patience | None = None
) -> AsyncIterator[Fake]:
    """A real server on a free port before a shop in memory."""
    shop = MemoryShop()
    corridor = MemoryCorridor(shop)
    view: View = MemoryView(shop)
    tables: Tables = MemoryTables(shop)
    port: Corridor = corridor
    patience = patience or Patience(progress_s=60.0, full_s=0.01)
    models: Models = MemoryModels()
    config = settings or Config()
    small = msgspec.structs.replace(config, limits=LIMITS)
    views = Views(Sources(Core(small), config))  # of a shop in which nothing happened yet
    app = server(view, port, tables, config, SystemClock(), patience, models, views)
    async with (
        serving(app, "127.0.0.1:0") as bound,
        aiohttp.ClientSession(bound.url) as client,
    ):
        yield Fake(client, shop, corridor, bound.url)


@asynccontextmanager
async def fake_client() -> AsyncIterator[aiohttp.ClientSession]:
    """For the contract: only the client, as anybody outside has it."""
    async with fake_daemon() as fake:
        yield fake.client
