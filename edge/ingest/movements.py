"""What presence tells -> the items' places, the zones' counts, and lines in the items' stories. Pure.

A whole column of transitions at a time: at opening time thousands of tags arrive in one epoch.
"""

from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.features.sketch import LogHistogram
from edge.features.state import FeatureState
from edge.features.tables import Table
from edge.features.windows import RingWindow
from edge.ingest.places import Places
from edge.ingest.transitions import Kind, Transitions
from edge.records import TimelineEntry

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Way = tuple[str, str, str, str]
"""What happened, from where, to where, and the line's detail as JSON; of a departure its beginning
only, up to the moment of the last read."""

KEPT = 256
"""So many movements are kept for people who look now."""
SERIALS_FROM = 1 << 20
"""Movements have no message of their own; their keys lie beyond any index inside a message."""

PROBABLE_RETURN = "probable_return"
_NAMES = {kind: kind.name.lower() for kind in Kind}
_encode = msgspec.json.encode
_DEPARTED = _NAMES[Kind.DEPARTED]


class Movements:
    """Applies transitions; numbers them, so that their timeline keys are unique and repeatable."""

    def __init__(self, state: FeatureState, places: Places) -> None:
        self.serial = 0
        self.recent: deque[tuple[int, str, str, str, str]] = deque(maxlen=KEPT)
        self._state = state
        self._places = places

    def apply(self, moved: Transitions) -> list[TimelineEntry]:
        """Change the state and return the lines to tell, in order.

        Windows must have been rolled to the newest ``at_ms`` before.
        """
        items = np.sort(moved.item)
        if (items[1:] == items[:-1]).any():  # one item twice: one after the other
            lines = []
            for i in range(len(items)):
                lines += self._apply(moved.take(slice(i, i + 1)))
            return lines
        return self._apply(moved)

    def _apply(self, moved: Transitions) -> list[TimelineEntry]:
        state, col, items = self._state, self._state.item.col, moved.item
        kinds = moved.kind.astype(np.int64)
        self._count_zones(moved, col["zone_since_ms"][items])
        state.item.touched[items] = True
        col["zone_row"][items] = moved.new_zone
        col["zone_since_ms"][items] = moved.at_ms
        for kind, name in _NAMES.items():
            many = int((kinds == kind).sum())
            if many:
                state.count(f"transitions_{name}", many)
        self._count_moves(items[kinds == Kind.MOVED], moved.at_ms[kinds == Kind.MOVED])
        told = col["muted"][items] == 0
        back = told & (kinds == Kind.ARRIVED) & (col["rented_at_ms"][items] > 0)
        back &= col["probable_return"][items] == 0
        col["probable_return"][items[back]] = 1
        if back.any():
            state.count(f"transitions_{PROBABLE_RETURN}", int(back.sum()))
        return self._lines(moved, told, back)

    def _lines(self, moved: Transitions, told: Mask, back: Mask) -> list[TimelineEntry]:
        """One line a transition that is told, and a second one where an item probably came back."""
        contracts, recent = self._state.item.text["contract"], self.recent
        epcs = self._state.item.keys.keys_of(moved.item.tolist())
        serial, lines = SERIALS_FROM + self.serial, list[TimelineEntry]()
        columns = (moved.item, moved.at_ms, moved.last_read_ms, told, back)
        for epc, way, row, at_ms, last_ms, tell, returned in zip(
            epcs, self._ways(moved), *(column.tolist() for column in columns), strict=True
        ):
            serial += 1
            if not tell:
                continue
            name, before, now, text = way
            if name == _DEPARTED:
                text = f"{text}{last_ms}}}"
            lines.append(TimelineEntry(0, serial, epc, at_ms, name, text))
            recent.append((at_ms, name, epc, before, now))
            if returned:
                serial += 1
                text = _encode({"to": now, "contract": contracts.get(row, "")}).decode()
                lines.append(TimelineEntry(0, serial, epc, at_ms, PROBABLE_RETURN, text))
                recent.append((at_ms, PROBABLE_RETURN, epc, "", now))
        self.serial = serial - SERIALS_FROM
        return lines

    def _ways(self, moved: Transitions) -> list[Way]:
        """The way of each transition: a crowd goes few, written once each."""
        place = self._places.name
        columns = (moved.kind.tolist(), moved.old_zone.tolist(), moved.new_zone.tolist())
        codes = list(zip(*columns, strict=True))
        ways = {code: _way(Kind(code[0]), place(code[1]), place(code[2])) for code in set(codes)}
        return [ways[code] for code in codes]

    def _count_zones(self, moved: Transitions, since_ms: Ints) -> None:
        """Keep each zone's population, arrivals, departures and dwell times."""
        zone = self._state.zone
        came = moved.new_zone >= 0
        new = moved.new_zone[came].astype(np.int64)
        np.add.at(zone.col["items_present"], new, np.int32(1))
        np.add.at(zone.col["arrivals_total"], new, 1)
        _count(zone, "arrivals_24h", new, moved.at_ms[came])
        left = moved.old_zone >= 0
        old = moved.old_zone[left].astype(np.int64)
        np.add.at(zone.col["items_present"], old, np.int32(-1))
        np.add.at(zone.col["departures_total"], old, 1)
        _count(zone, "departures_24h", old, moved.at_ms[left])
        dwell = zone.part["dwell_s"]
        assert isinstance(dwell, LogHistogram)
        last_ms = np.where(moved.last_read_ms > 0, moved.last_read_ms, moved.at_ms)
        dwell.add_all(old, np.maximum(last_ms - since_ms, 0)[left] / 1000)

    def _count_moves(self, items: Ints, at_ms: Ints) -> None:
        slots = self._state.pool.slot[items].astype(np.int64)
        window = self._state.pool.window["moves_24h"]
        held = (slots >= 0) & window.holds(at_ms)
        window.add(slots[held], at_ms[held], np.ones(int(held.sum()), window.ring.dtype))


def _count(table: Table, name: str, rows: Ints, at_ms: Ints) -> None:
    window = table.part[name]
    assert isinstance(window, RingWindow)
    held = window.holds(at_ms)
    window.add(rows[held], at_ms[held], np.ones(int(held.sum()), window.ring.dtype))


def _way(kind: Kind, before: str, now: str) -> Way:
    text = _encode({"from": before, "to": now}).decode()
    if kind is Kind.DEPARTED:
        text = text[:-1] + ',"last_read_ms":'
    return _NAMES[kind], before, now, text
