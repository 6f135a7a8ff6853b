"""Readers and links that cannot see: gaps, and the zones that are blind meanwhile. Pure.

"Not seen" is not "departed" while a reader of the zone is offline, silent, or cut off from us.
A reader that used to send heartbeats and then says nothing for ``silent_ms`` is taken as blind
from its last message on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.events import ReaderStatus
from edge.features.tables import Table
from edge.ingest.places import Places
from edge.ingest.presence import Presence
from edge.records import Effects, Gap

Ints = NDArray[np.int64]

NEVER = 1 << 62
_MOST = 1 << 53  # a sum of counts stays here
EVERY_READER = ""


class Outages:
    """Open gaps, and which zones are blind; tells presence."""

    def __init__(self, reader: Table, zone: Table, places: Places, silent_ms: int) -> None:
        self.link_up = True
        self.on_gap: Callable[[], None] = lambda: None
        """Called when a gap begins."""
        self._reader = reader
        self._zone = zone
        self._places = places
        self._silent_ms = silent_ms
        self._open: dict[str, tuple[int, int, str]] = {}  # reader -> (ordinal, since, why)
        # looked up anew after whatever may change it
        self._looked = False
        self._watched_rows: Ints = np.zeros(0, np.int64)
        self._any_dark = False

    def gap_of(self, reader: str) -> tuple[int, str] | None:
        """(since epoch ms, why) while a reader, or everything, cannot be seen; else None."""
        for name in (reader, EVERY_READER):
            if name in self._open:
                return self._open[name][1:]
        return None

    # -- the link and the daemon itself -----------------------------------------------------------

    def link(self, up: bool, at_ms: int, ordinal: int, presence: Presence, out: Effects) -> None:
        """The connection to the broker went down or came back."""
        self.link_up = up
        if up:
            self.close(EVERY_READER, at_ms, out)
        else:
            self.open(EVERY_READER, at_ms, "link down", ordinal, out)
        self.darken_all(not up, at_ms, presence)

    def go_dark(self, from_ms: int, ordinal: int, presence: Presence, out: Effects) -> None:
        """The daemon was down from ``from_ms`` on, and with it the link."""
        self.link_up = False
        self.open(EVERY_READER, from_ms, "daemon was down", ordinal, out)
        self.darken_all(True, from_ms, presence)

    def darken_all(self, blind: bool, at_ms: int, presence: Presence) -> None:
        """Every zone is blind, or sees again as far as its readers do."""
        for zone in self._zone.keys.live().tolist():
            self._darken(zone, blind, at_ms, presence)

    # -- readers ----------------------------------------------------------------------------------

    def status(
        self,
        event: ReaderStatus,
        row: int,
        at_ms: int,
        ordinal: int,
        presence: Presence,
        out: Effects,
    ) -> None:
        """A reader tells how it is; ``at_ms`` is when that arrived."""
        self._looked = False
        col = self._reader.col
        col["last_message_ms"][row] = max(int(col["last_message_ms"][row]), at_ms)
        if event.detail:
            self._reader.text["detail"][row] = event.detail
        if event.status == "offline":
            self._offline(row, at_ms, event.detail or "offline", ordinal, presence, out)
            return
        if event.status == "overflow":
            self._overflow(event, row, ordinal, out)
        elif event.status == "error":
            col["errors_total"][row] += 1
        elif event.status == "heartbeat":
            col["last_heartbeat_ms"][row] = at_ms
        self.heard(np.array([row]), np.array([at_ms]), np.array([ordinal]), presence, out)

    def heard(
        self, rows: Ints, at_ms: Ints, ordinals: Ints, presence: Presence, out: Effects
    ) -> None:
        """Readers ``rows[n]`` were heard at ``at_ms[n]``, in order: their gaps end."""
        col = self._reader.col
        col["last_ordinal"][rows] = ordinals
        col["online"][rows] = 1
        self._look()
        if not self._any_dark:
            return
        self._looked = False
        dark = (col["offline_since_ms"][rows] > 0) | (col["silent"][rows] > 0)
        for i in np.flatnonzero(dark).tolist():
            row = int(rows[i])
            if col["offline_since_ms"][row] or col["silent"][row]:  # its first word counts
                col["offline_since_ms"][row] = 0
                col["silent"][row] = 0
                self._darken_reader(row, int(at_ms[i]), presence)
                self.close(self._reader.keys.key(row), int(at_ms[i]), out)

    def next_silence_ms(self) -> int:
        """When the next reader that used to send heartbeats will have been silent for too long."""
        self._look()
        if not len(self._watched_rows):
            return NEVER
        last = self._reader.col["last_message_ms"][self._watched_rows]
        return int(last.min()) + self._silent_ms

    def fall_silent(self, at_ms: int, presence: Presence, out: Effects) -> None:
        """The readers whose silence is too long at ``at_ms`` are blind from now on."""
        col = self._reader.col
        self._looked = False
        last = col["last_message_ms"][: self._reader.keys.high]
        for row in np.flatnonzero(self._watched() & (last + self._silent_ms <= at_ms)).tolist():
            col["silent"][row] = 1
            col["online"][row] = 0
            col["gaps_total"][row] += 1
            name = self._reader.keys.key(row)
            self.open(name, int(last[row]), "silent", int(col["last_ordinal"][row]), out)
            self._darken_reader(row, at_ms, presence)

    def _look(self) -> None:
        """Find who is watched and whether anyone is dark, unless that is known."""
        if self._looked:
            return
        col, high = self._reader.col, self._reader.keys.high
        self._watched_rows = np.flatnonzero(self._watched())
        self._any_dark = bool(col["offline_since_ms"][:high].any() or col["silent"][:high].any())
        self._looked = True

    def _watched(self) -> NDArray[np.bool_]:
        col, high = self._reader.col, self._reader.keys.high
        watched = (col["last_heartbeat_ms"][:high] > 0) & (col["silent"][:high] == 0)
        return np.asarray(watched & (col["offline_since_ms"][:high] == 0))

    def _offline(
        self, row: int, at_ms: int, why: str, ordinal: int, presence: Presence, out: Effects
    ) -> None:
        col = self._reader.col
        if not col["offline_since_ms"][row]:
            col["offline_since_ms"][row] = at_ms
            col["gaps_total"][row] += 1
            self.open(self._reader.keys.key(row), at_ms, why, ordinal, out)
        col["online"][row] = 0
        self._darken_reader(row, at_ms, presence)

    def _overflow(self, event: ReaderStatus, row: int, ordinal: int, out: Effects) -> None:
        col = self._reader.col
        lost = int(col["lost_events_total"][row]) + event.lost_events
        col["lost_events_total"][row] = min(lost, _MOST)
        col["gaps_total"][row] += 1
        at_ms = event.at if isinstance(event.at, int) else 0
        from_ms = event.gap_from if isinstance(event.gap_from, int) else 0
        gap = Gap(ordinal, event.reader, from_ms or at_ms, at_ms, "overflow", event.lost_events)
        self.on_gap()
        out.gaps.append(gap)

    # -- gaps and blindness -------------------------------------------------------------------------

    def open(self, reader: str, from_ms: int, why: str, ordinal: int, out: Effects) -> None:
        """Begin a gap, unless one is open."""
        if reader not in self._open:
            self._open[reader] = (ordinal, from_ms, why)
            self.on_gap()
            out.gaps.append(Gap(ordinal, reader, from_ms, 0, why))

    def close(self, reader: str, to_ms: int, out: Effects) -> None:
        """End a gap, if one is open."""
        opened = self._open.pop(reader, None)
        if opened:
            ordinal, from_ms, why = opened
            out.gaps.append(Gap(ordinal, reader, from_ms, max(to_ms, from_ms), why))

    def _darken_reader(self, row: int, at_ms: int, presence: Presence) -> None:
        for zone in self._places.zones_of(row):
            self._darken(zone, False, at_ms, presence)

    def _darken(self, zone: int, blind: bool, at_ms: int, presence: Presence) -> None:
        blind = blind or not self.link_up or self._places.blinded(zone, self._reader)
        self._zone.col["blind"][zone] = blind
        told = presence.set_blind(zone, blind, at_ms)
        assert not len(told.item), "time must have reached this moment before"

    # -- saving -----------------------------------------------------------------------------------

    def save(self) -> tuple[Any, ...]:
        """What ``load`` takes back."""
        return self.link_up, sorted(self._open.items())

    def load(self, saved: Any) -> None:
        """Take back what ``save`` gave."""
        self._looked = False
        self.link_up = bool(saved[0])
        self._open = {name: (int(o), int(s), str(w)) for name, (o, s, w) in saved[1]}
