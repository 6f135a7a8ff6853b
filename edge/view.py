"""What readers of the API see: rows gathered from the live columns, between two slices of work.

No copy of the whole, no await, no change: every method reads and returns. Records are built for
the rows of one page only.
"""

from collections.abc import Callable, Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.config import Config
from edge.core import Core
from edge.features import catalog
from edge.features.business import class_key
from edge.features.days import DAY_MS
from edge.features.words import GRADE_TEXT, GROUPS, TIME_QUALITIES
from edge.ingest.epc import EpcReader
from edge.view_types import (
    ClassDetail,
    ClassPage,
    ClassRow,
    Counters,
    DailyHistory,
    EpcDecoding,
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

Ints = NDArray[np.int64]

_RSSI_NONE = -(1 << 30)
_SCAN_ROWS = 65_536  # rows looked at in one go when a filter is set


class LiveView:
    """Reads the core's columns. ``counters`` gives the rest of the daemon's numbers by group."""

    def __init__(self, core: Core, config: Config, counters: Callable[[], Counters]) -> None:
        self._core = core
        self._state = core.state
        self._counters = counters
        self._epc = EpcReader(config.epc.company_prefixes) if config.epc.decode else None

    @property
    def revision(self) -> int:
        """Rises whenever anything visible changed."""
        return self._core.revision

    @property
    def now_ms(self) -> int:
        """The moment the state stands for."""
        return max(self._core.now_ms, self._state.now_ms)

    # -- counters -------------------------------------------------------------------------------

    def stats(self) -> Counters:
        """Every counter: group -> name -> number."""
        groups: Counters = {}
        for name, value in sorted(self._state.counters.items()):
            group, _, rest = name.partition("_")
            if group in _GROUPS and rest:
                groups.setdefault(group, {})[rest] = value
            else:
                groups.setdefault("state", {})[name] = value
        groups["rows"] = {name: len(table.keys) for name, table in self._state.tables.items()}
        groups["rows"]["active_items"] = self._state.pool.used()
        groups["rows"]["pairs_in_view"] = self._core.presence.pairs_in_view
        groups["refused"] = {name: table.keys.refused for name, table in self._state.tables.items()}
        return groups | self._counters()

    def metrics(self) -> Iterable[Metric]:
        """The same for Prometheus."""
        for group, numbers in self.stats().items():
            kind = "gauge" if group in _GAUGES else "counter"
            name = f"rfid3_{group}" if kind == "gauge" else f"rfid3_{group}_total"
            for label, value in numbers.items():
                yield Metric(name, value, f"{group} by name", kind, {"name": label})  # type: ignore[arg-type]

    # -- items ----------------------------------------------------------------------------------

    def items(
        self, *, zone: str | None, sku: str | None, status: str | None, start: int, limit: int
    ) -> ItemPage:
        """Items that pass every filter given, in row order."""
        rows, following = self._page(start, limit, self._item_filter(zone, sku, status))
        return ItemPage([self._item_row(row) for row in rows], following)

    def item(self, epc: str) -> ItemDetail | None:
        """One item by exact identity."""
        row = self._state.item.keys.get(epc)
        if row < 0:
            return None
        col, state = self._state.item.col, self._state
        reader = int(col["reader_row"][row])
        rssi = int(col["rssi_last_cdbm"][row])
        return ItemDetail(
            **msgspec.structs.asdict(self._item_row(row)),
            first_seen_ms=int(col["first_seen_ms"][row]),
            reader=state.reader.keys.key(reader) if reader >= 0 else "",
            antenna=int(col["antenna"][row]),
            rssi_dbm=None if rssi == _RSSI_NONE else rssi / 100,
            zone_since_ms=int(col["zone_since_ms"][row]),
            status_since_ms=int(col["status_since_ms"][row]),
            time_quality=TIME_QUALITIES[int(col["time_quality"][row])],
            due_ms=int(col["due_ms"][row]),
            probable_return=bool(col["probable_return"][row]),
            gs1=self._gs1(epc),
            features=catalog.values(state, "item", row),
        )

    def item_revision(self, epc: str) -> int | None:
        """The core's revision, if the item is known."""
        return self._core.revision if epc in self._state.item.keys else None

    def unknown_tags(self, *, start: int, limit: int) -> UnknownTagPage:
        """Tags waiting to be linked."""
        col = self._state.item.col

        def unknown(rows: Ints) -> NDArray[np.bool_]:
            free = (col["class_row"][rows] < 0) & (col["retired"][rows] == 0)
            return np.asarray(free & (col["muted"][rows] == 0))

        rows, following = self._page(start, limit, [unknown])
        return UnknownTagPage([self._unknown(row) for row in rows], following)

    def _page(
        self, start: int, limit: int, filters: list[Callable[[Ints], NDArray[np.bool_]]]
    ) -> tuple[list[int], int | None]:
        """Up to ``limit`` live item rows from ``start`` on that pass; and where to go on."""
        keys = self._state.item.keys
        found: list[int] = []
        while start < keys.high:
            stop = min(start + _SCAN_ROWS, keys.high)
            rows = start + np.flatnonzero(keys.hashes[start:stop])
            for passes in filters:
                rows = rows[passes(rows)]
            room = limit - len(found)
            found += rows[:room].tolist()
            if len(rows) > room:
                return found, int(rows[room])
            start = stop
        return found, None

    def _item_filter(
        self, zone: str | None, sku: str | None, status: str | None
    ) -> list[Callable[[Ints], NDArray[np.bool_]]]:
        state, filters = self._state, []
        col = state.item.col
        if zone is not None:
            zone_row = state.zone.keys.get(zone)
            filters.append(lambda rows: (col["zone_row"][rows] == zone_row) & (zone_row >= 0))
        if sku is not None:
            classes = [r for k, r in state.cls.keys.items() if k.partition("\x1f")[2] == sku]
            filters.append(lambda rows: np.isin(col["class_row"][rows], classes))
        if status is not None:
            wanted = status.strip().lower()
            known = [r for k, r in state.status.keys.items() if k.strip().lower() == wanted]
            filters.append(lambda rows: np.isin(col["status_row"][rows], known))
        return filters

    def _item_row(self, row: int) -> ItemRow:
        state, col = self._state, self._state.item.col
        class_row, zone = int(col["class_row"][row]), int(col["zone_row"][row])
        seen = zone if zone >= 0 else int(col["sight_zone_row"][row])
        bin_row, store_row = int(col["bin_row"][row]), int(col["store_row"][row])
        text = state.item.text
        sku = state.cls.keys.key(class_row).partition("\x1f")[2] if class_row >= 0 else ""
        return ItemRow(
            epc=state.item.keys.key(row),
            sku=sku,
            name=text["name"].get(row) or state.cls.text["name"].get(class_row, ""),
            status=state.status.keys.key(int(col["status_row"][row])),
            zone=state.zone.keys.key(seen) if seen >= 0 else "",
            present=zone >= 0,
            store=state.store.keys.key(store_row) if store_row >= 0 else "",
            grade=GRADE_TEXT[int(col["grade"][row])],
            bin=state.tables["bin"].keys.key(bin_row) if bin_row >= 0 else "",
            contract=text["contract"].get(row, ""),
            last_seen_ms=int(col["last_read_ms"][row]),
            last_scan_ms=int(col["last_scan_ms"][row]),
            muted=bool(col["muted"][row]),
            unknown=class_row < 0,
        )

    def _unknown(self, row: int) -> UnknownTag:
        state, col = self._state, self._state.item.col
        reader, seen = int(col["reader_row"][row]), int(col["sight_zone_row"][row])
        epc, rssi = state.item.keys.key(row), int(col["rssi_last_cdbm"][row])
        return UnknownTag(
            epc=epc,
            store=self._core.places.store_of(seen) if seen >= 0 else "",
            zone=state.zone.keys.key(seen) if seen >= 0 else "",
            reader=state.reader.keys.key(reader) if reader >= 0 else "",
            reads=int(col["reads_total"][row]),
            first_seen_ms=int(col["first_seen_ms"][row]),
            last_seen_ms=int(col["last_read_ms"][row]),
            rssi_dbm=None if rssi == _RSSI_NONE else rssi / 100,
            gs1=self._gs1(epc),
        )

    def _gs1(self, epc: str) -> EpcDecoding | None:
        found = self._epc.read(epc) if self._epc else None
        if found is None:
            return None
        return EpcDecoding(
            scheme=found.scheme,
            uri=found.uri,
            tag_uri=found.tag_uri,
            company_prefix=found.company_prefix,
            gtin=found.gtin,
            serial=found.serial,
        )

    # -- classes --------------------------------------------------------------------------------

    def classes(
        self, *, store: str | None, category: str | None, start: int, limit: int
    ) -> ClassPage:
        """Classes that pass every filter given, in row order."""
        table = self._state.cls
        found: list[int] = []
        for row in range(start, table.keys.high):
            if not table.keys.hashes[row]:
                continue
            if store is not None and table.keys.key(row).partition("\x1f")[0] != store:
                continue
            if category is not None and table.text["category"].get(row, "") != category:
                continue
            if len(found) == limit:
                return ClassPage(self._class_rows(found), row)
            found.append(row)
        return ClassPage(self._class_rows(found), None)

    def class_detail(self, sku: str, store: str, days: int) -> ClassDetail | None:
        """One class in one store, with at most ``days`` days of history."""
        row = self._state.cls.keys.get(class_key(store, sku))
        if row < 0:
            return None
        today = self._state.today
        columns = catalog.history(self._state, row, days)
        length = len(next(iter(columns.values())))
        names = [_date(today - i) for i in range(length - 1, -1, -1)]
        return ClassDetail(
            **msgspec.structs.asdict(self._class_rows([row])[0]),
            features=catalog.values(self._state, "class", row),
            history=DailyHistory(days=names, columns=columns),
        )

    def _class_rows(self, found: list[int]) -> list[ClassRow]:
        state, rows = self._state, np.array(found, np.int64)
        levels = catalog.matrix(state, "class", rows, ("on_hand_units", "on_rent_units"))
        items = sum((state.cls.col[f"items_{g}"][rows] for g in GROUPS), np.zeros(len(rows)))
        made = []
        for row, (on_hand, on_rent), held in zip(
            found, levels.tolist(), items.tolist(), strict=True
        ):
            store, _, sku = state.cls.keys.key(row).partition("\x1f")
            made.append(
                ClassRow(
                    sku=sku,
                    store=store,
                    name=state.cls.text["name"].get(row, ""),
                    category=state.cls.text["category"].get(row, ""),
                    items=int(held),
                    on_hand=on_hand,
                    on_rent=on_rent,
                )
            )
        return made

    # -- places ---------------------------------------------------------------------------------

    def zones(self) -> list[ZoneRow]:
        """Every zone."""
        state, places = self._state, self._core.places
        live = state.zone.keys.live()
        features = catalog.values_of(state, "zone", live)
        return [
            ZoneRow(
                name=state.zone.keys.key(row),
                kind=places.kinds[row],
                store=places.store_of(row),
                readers=places.readers_of(row),
                items=int(state.zone.col["items_present"][row]),
                blind=bool(state.zone.col["blind"][row]),
                features=values,
            )
            for row, values in zip(live.tolist(), features, strict=True)
        ]

    def readers(self) -> list[ReaderRow]:
        """Every reader."""
        state = self._state
        live, made = state.reader.keys.live(), []
        features = catalog.values_of(state, "reader", live)
        for row, values in zip(live.tolist(), features, strict=True):
            col = state.reader.col
            name = state.reader.keys.key(row)
            gap = self._core.outages.gap_of(name)
            made.append(
                ReaderRow(
                    name=name,
                    store=self._core.places.store,
                    online=bool(col["online"][row]),
                    blind=gap is not None,
                    last_message_ms=int(col["last_message_ms"][row]),
                    last_read_ms=int(col["last_read_ms"][row]),
                    gap_from_ms=gap[0] if gap else 0,
                    gap_reason=gap[1] if gap else "",
                    gaps=int(col["gaps_total"][row]),
                    lost_events=int(col["lost_events_total"][row]),
                    features=values,
                )
            )
        return made

    def movements(self, *, limit: int) -> list[Movement]:
        """The newest movements since the daemon started, newest first."""
        state, made = self._state, []
        for at_ms, kind, epc, old, new in list(self._core.movements.recent)[: -limit - 1 : -1]:
            row = state.item.keys.get(epc)
            class_row = int(state.item.col["class_row"][row]) if row >= 0 else -1
            sku = state.cls.keys.key(class_row).partition("\x1f")[2] if class_row >= 0 else ""
            made.append(
                Movement(at_ms=at_ms, kind=kind, epc=epc, sku=sku, from_zone=old, to_zone=new)
            )
        return made

    def features(self) -> list[FeatureRow]:
        """The catalogue."""
        return [
            FeatureRow(
                name=f.name,
                entity=f.entity,
                unit=f.unit,
                measure=f.measure,
                window=f.window,
                description=f.description,
            )
            for f in catalog.FEATURES
        ]


_GROUPS = frozenset({"messages", "events", "dead", "format", "transitions", "factor", "commands"})
_GAUGES = frozenset({"rows", "corridor", "journal", "latency", "models"})


def _date(day: int) -> str:
    return str(np.datetime64(day * DAY_MS // 86_400_000, "D"))
