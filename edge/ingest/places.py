"""Which zone a reader's antenna looks at. Rows in, rows out; no time, no I/O.

Zones come from the configuration. A reader that no zone names looks at a zone of its own name, so
that a reader just plugged in is seen at once.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.config import Limits, Zone
from edge.features.tables import Table

Ints = NDArray[np.int64]

_ANTENNAS = 65  # 0: not told; higher ports share the last place


class Places:
    """(reader row, antenna) -> zone row, and which readers cover which zone."""

    def __init__(
        self, zones: Sequence[Zone], store: str, limits: Limits, tables: Mapping[str, Table]
    ) -> None:
        self.zone = tables["zone"]
        self.reader = tables["reader"]
        self.configured = {zone.name: zone for zone in zones}
        self.store = store
        self._by_name: dict[str, dict[int, str]] = {}
        for zone in zones:
            for entry in zone.readers:
                reader, _, antenna = entry.partition("/")
                self._by_name.setdefault(reader, {})[int(antenna or 0)] = zone.name
        self._zone_of = np.full((limits.readers_max, _ANTENNAS), -2, np.int64)  # -2: not asked yet
        self.kinds = ["shelf"] * limits.zones_max
        for zone in zones:
            row = self.zone.keys.claim(zone.name)
            if row >= 0:
                self.kinds[row] = zone.kind

    def zones(self, reader: Ints, antenna: Ints, events: Sequence[object]) -> Ints:
        """int64[n] zone rows; -1 where the zone table is full. Unknown readers make a zone."""
        port = np.minimum(np.maximum(antenna, 0), _ANTENNAS - 1)
        zone: Ints = self._zone_of.reshape(-1)[reader * _ANTENNAS + port]
        if int(zone.min(initial=0)) >= -1:
            return zone
        for i in np.flatnonzero(zone == -2).tolist():
            if reader[i] < 0:
                zone[i] = -1
                continue
            zone[i] = self._zone_of[reader[i], port[i]] = self._ask(int(reader[i]), int(port[i]))
        return zone

    def zones_of(self, reader: int) -> list[int]:
        """Zone rows that a reader covers."""
        name = self.reader.keys.key(reader)
        antennas = self._by_name.get(name)
        names = {name} if antennas is None else set(antennas.values())
        if antennas and 0 not in antennas:  # its other antennas made zones of their own
            names |= {f"{name}/{antenna}" for antenna in range(_ANTENNAS)}
        return [row for row in sorted(map(self.zone.keys.get, names)) if row >= 0]

    def readers_of(self, zone: int) -> list[str]:
        """Names of the readers that cover a zone, as configured or its own."""
        name = self.zone.keys.key(zone)
        return self.configured[name].readers if name in self.configured else [name]

    def blinded(self, zone: int, readers: Table) -> bool:
        """Whether any reader that covers the zone is offline or silent."""
        rows = [self._reader_row(entry, readers) for entry in self.readers_of(zone)]
        col = readers.col
        return any(col["offline_since_ms"][r] > 0 or col["silent"][r] > 0 for r in rows if r >= 0)

    @staticmethod
    def _reader_row(entry: str, readers: Table) -> int:
        """Row of ``reader`` or ``reader/antenna``; a reader's own name may hold slashes."""
        row = readers.keys.get(entry)
        return row if row >= 0 else readers.keys.get(entry.rpartition("/")[0])

    def store_of(self, zone: int) -> str:
        """The store a zone lies in."""
        configured = self.configured.get(self.zone.keys.key(zone))
        return (configured.store if configured else "") or self.store

    def name(self, zone: int) -> str:
        """A zone's name; empty for none."""
        return self.zone.keys.key(zone) if zone >= 0 else ""

    def refresh(self) -> None:
        """The tables were replaced: ask again."""
        self._zone_of[:] = -2
        self.kinds[:] = ["shelf"] * len(self.kinds)
        for name, zone in self.configured.items():
            row = self.zone.keys.claim(name)
            if row >= 0:
                self.kinds[row] = zone.kind

    def _ask(self, reader: int, antenna: int) -> int:
        name = self.reader.keys.key(reader)
        named = self._by_name.get(name)
        if named is None:
            return self.zone.keys.claim(name)
        zone = named.get(antenna) or named.get(0)
        return self.zone.keys.claim(zone if zone else f"{name}/{antenna}")
