"""Stock-takes as readers see them: what should be in a place, and what was seen there since it began.

Gathers from the items' last sightings and scans; what is counted in the end stands in
``edge.ledger.stock_take``.
"""

from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.features.words import GROUP_OF_STATUS
from edge.ledger.stock_take import UNKNOWN, SeenItem, StockTake
from edge.view_basis import Basis, Listed, Sources

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Outcome = Literal["missing", "unexpected", "found"]
OUTCOMES: tuple[Outcome, ...] = ("missing", "unexpected", "found")
"""In the order in which items are told."""

ELSEWHERE = frozenset({"on_rent", "sold"})
"""Groups of statuses whose items are not expected in the shop."""


LOOKED_AT_MS = 60_000
"""So long readers of a zone must have seen its items before it is said what should be there."""
WHY_UNKNOWN = (
    "Nothing was known of the zone when it began: its readers must have seen items there for a minute."
    " What is found counts as found, nothing as missing or unexpected; begin another afterwards to"
    " learn what is missing."
)


class TakeRow(Struct, kw_only=True):
    """One stock-take in a list."""

    id: str
    """Its id."""
    store: str
    """Store."""
    zone: str
    """Zone; empty: by bin."""
    bin: str
    """Bin; empty: by zone."""
    state: str
    """``open``, ``closed`` or ``cancelled``."""
    started_ms: int
    """When it began."""
    ended_ms: int
    """When it ended; 0: it is open."""
    expected: int | None
    """Items that should be there; null: nothing was known of the place, see ``why_unknown``."""
    found: int
    """Of these, those found so far; of a place of which nothing was known all that were found."""
    missing: int | None
    """Of these, those not found so far; null as above."""
    unexpected: int | None
    """Items found that should be elsewhere, or are not known; null as above."""
    why_unknown: str
    """Why nothing is known of what should be there, and what is needed; empty: it is known."""
    started_by: str
    """Who began it."""
    note: str
    """Free words."""


class TakeItem(Struct, kw_only=True):
    """One item in a stock-take."""

    epc: str
    """The item."""
    sku: str
    """Its class; empty: not known."""
    name: str
    """Its name."""
    outcome: Outcome
    """What became of it."""
    elsewhere: str
    """Where an unexpected one should be, or where a missing one was last seen."""


class TakeDetail(Listed, kw_only=True):
    """One stock-take."""

    take: TakeRow
    """How it stands."""
    items: list[TakeItem]
    """Its items: missing and unexpected ones first."""


class StockTakesView:
    """Reads items and open stock-takes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state

    def basis(self) -> Basis:
        """How fresh what is read now is."""
        return self._sources.counted()

    def known(self, zone: str, bin_: str) -> bool:
        """Whether there is such a zone, or bin."""
        keys = self._state.zone.keys if zone else self._state.tables["bin"].keys
        return keys.get(zone or bin_) >= 0

    def knows_place(self, zone: str, now_ms: int) -> bool:
        """Whether a zone has been looked at for long enough by now to say what should be there.

        A bin is known by what was put into it. In a zone, what was read moments ago for the first
        time may be the first of many.
        """
        if not zone:
            return True
        col = self._state.item.col
        of = self._state.zone.keys.get(zone)
        items = np.asarray(self._state.item.keys.live(), np.int64)
        there = items[(col["zone_row"][items] == of) | (col["sight_zone_row"][items] == of)]
        if not len(there):
            return bool(self._state.zone.col["last_read_ms"][of] > 0)
        first_ms = int(col["first_seen_ms"][there].min())
        return now_ms - first_ms >= LOOKED_AT_MS

    def expected(self, store: str, zone: str, bin_: str) -> list[str]:
        """Items that should be in a place: last seen there (or kept there), not rented, sold or gone."""
        items = self._in_shop(store)
        col = self._state.item.col
        if zone:
            of = self._state.zone.keys.get(zone)
            where = np.where(
                col["zone_row"][items] >= 0, col["zone_row"][items], col["sight_zone_row"][items]
            )
        else:
            of = self._state.tables["bin"].keys.get(bin_)
            where = col["bin_row"][items]
        mine = items[(where == of) & (of >= 0)]
        return self._state.item.keys.keys_of(mine.tolist())

    def open_takes(self) -> list[TakeRow]:
        """Those that are open, counted up to now."""
        takes = self._sources.core.ledger.rows(StockTake).values()
        return [Standing(self, take, self._found_rows(take)).row for take in takes]

    def standing(self, id_: str) -> "Standing | None":
        """One that is open, as it stands now: what of it is shown is for the asker to say."""
        take = self._sources.core.ledger.get(StockTake, id_)
        return Standing(self, take, self._found_rows(take)) if take is not None else None

    def take(self, id_: str) -> StockTake | None:
        """The row of one that is open."""
        return self._sources.core.ledger.get(StockTake, id_)

    def found(self, take: StockTake) -> list[SeenItem]:
        """What was read in the zone, or scanned into the bin, since the stock-take began."""
        should = set(take.epcs)
        return [self._seen(row, should) for row in self._found_rows(take).tolist()]

    def _found_rows(self, take: StockTake) -> Ints:
        col, state = self._state.item.col, self._state
        if take.zone:
            of, where, seen_ms = state.zone.keys.get(take.zone), "sight_zone_row", "last_read_ms"
        else:
            of, where, seen_ms = state.tables["bin"].keys.get(take.bin), "bin_row", "last_scan_ms"
        high = state.item.keys.high
        there = (col[where][:high] == of) & (col[seen_ms][:high] >= take.started_ms) & (of >= 0)
        there &= (col["retired"][:high] == 0) & (col["muted"][:high] == 0)
        items = np.flatnonzero(there)
        return np.asarray(items[state.item.keys.hashes[items] != 0], np.int64)

    def row_of(self, epc: str) -> int:
        """Row of an item; -1: nothing is known of it."""
        return self._state.item.keys.get(epc)

    def epcs_of(self, rows: Ints) -> list[str]:
        """Items of these rows."""
        return self._state.item.keys.keys_of(rows.tolist())

    def item(self, row: int, epc: str, outcome: Outcome) -> TakeItem:
        """One item of a stock-take; ``row`` -1: nothing is known of it."""
        elsewhere = ""
        if outcome != "found" and row >= 0:
            elsewhere = self._place(row) if outcome == "missing" else self._status(row)
        sku = self._sku(row) if row >= 0 else ""
        return TakeItem(epc=epc, sku=sku, name=self.name(epc), outcome=outcome, elsewhere=elsewhere)

    def missing(self, take: StockTake) -> list[SeenItem]:
        """What is known of everything that should be there: where it was last seen."""
        rows = [(epc, self._state.item.keys.get(epc)) for epc in take.epcs]
        return [
            SeenItem(epc=epc, sku=self._sku(row), elsewhere=self._place(row)) if row >= 0 else SeenItem(epc=epc)
            for epc, row in rows
        ]  # fmt: skip

    def named(self, take: StockTake, epcs: list[str]) -> list[SeenItem]:
        """Items that somebody says were found, with what is known of them."""
        should = set(take.epcs)
        made = []
        for epc in epcs:
            row = self._state.item.keys.get(epc)
            made.append(
                self._seen(row, should) if row >= 0 else SeenItem(epc=epc, elsewhere="unknown")
            )
        return made

    def name(self, epc: str) -> str:
        """Name of an item."""
        row = self._state.item.keys.get(epc)
        if row < 0:
            return ""
        class_row = int(self._state.item.col["class_row"][row])
        own = self._state.item.text["name"].get(row, "")
        return own or self._state.cls.text["name"].get(class_row, "")

    def _seen(self, row: int, should: set[str]) -> SeenItem:
        epc = self._state.item.keys.key(row)
        elsewhere = "" if epc in should else self._status(row)
        return SeenItem(epc=epc, sku=self._sku(row), elsewhere=elsewhere)

    def _sku(self, row: int) -> str:
        class_row = int(self._state.item.col["class_row"][row])
        return self._state.cls.keys.key(class_row).partition("\x1f")[2] if class_row >= 0 else ""

    def _status(self, row: int) -> str:
        return self._state.status.keys.key(int(self._state.item.col["status_row"][row]))

    def _place(self, row: int) -> str:
        zone = int(self._state.item.col["sight_zone_row"][row])
        return self._state.zone.keys.key(zone) if zone >= 0 else ""

    def _in_shop(self, store: str) -> Ints:
        """Items of a store that should be in it; one whose store nobody told is where it was seen."""
        col, state = self._state.item.col, self._state
        items = np.asarray(state.item.keys.live(), np.int64)
        of = state.store.keys.get(store)
        items = items[((col["store_row"][items] == of) & (of >= 0)) | (col["store_row"][items] < 0)]
        items = items[(col["retired"][items] == 0) & (col["muted"][items] == 0)]
        gone = [r for k, r in state.status.keys.items() if GROUP_OF_STATUS.get(k) in ELSEWHERE]
        return np.asarray(items[~np.isin(col["status_row"][items], gone)], np.int64)

    @staticmethod
    def told(take: StockTake, found: int, missing: int, unexpected: int) -> TakeRow:
        known = take.expected != UNKNOWN
        return TakeRow(
            id=take.id,
            store=take.store,
            zone=take.zone,
            bin=take.bin,
            state=take.state,
            started_ms=take.started_ms,
            ended_ms=take.ended_ms,
            expected=take.expected if known else None,
            found=found,
            missing=missing if known else None,
            unexpected=unexpected if known else None,
            why_unknown="" if known else WHY_UNKNOWN,
            started_by=take.started_by,
            note=take.note,
        )


def closed_row(take: StockTake) -> TakeRow:
    """A stock-take that has ended, as it is kept."""
    return StockTakesView.told(take, take.found, take.missing, take.unexpected)


class Standing:
    """An open stock-take as columns: items are numbered, and become rows only where they are shown.

    The numbers of expected items are their places in the stock-take, then follow those of others by
    their row, so a number keeps its meaning from page to page.
    """

    def __init__(self, view: StockTakesView, take: StockTake, found: Ints) -> None:
        self._view, self._take = view, take
        many = len(take.epcs)
        place = {epc: i for i, epc in enumerate(take.epcs)}
        at = np.array([place.get(epc, -1) for epc in view.epcs_of(found)], np.int64)
        hit = np.zeros(many, np.bool_)
        hit[at[at >= 0]] = True
        other = OUTCOMES.index("found" if take.expected == UNKNOWN else "unexpected")
        strange = found[at < 0]
        self.numbers: Ints = np.concatenate([np.arange(many), many + strange])
        self.outcome: Ints = np.concatenate(
            [np.where(hit, OUTCOMES.index("found"), 0), np.full(len(strange), other)]
        )

    @property
    def row(self) -> TakeRow:
        """How it stands."""
        missing, unexpected, found = np.bincount(self.outcome, minlength=3).tolist()
        return StockTakesView.told(self._take, found, missing, unexpected)

    def items(self, numbers: Ints) -> list[TakeItem]:
        """Some of its items."""
        many, epcs = len(self._take.epcs), self._take.epcs
        outcome = dict(zip(self.numbers.tolist(), self.outcome.tolist(), strict=True))
        made = []
        for n in numbers.tolist():
            row = self._view.row_of(epcs[n]) if n < many else n - many
            epc = epcs[n] if n < many else self._view.epcs_of(np.array([row], np.int64))[0]
            made.append(self._view.item(row, epc, OUTCOMES[outcome[n]]))
        return made
