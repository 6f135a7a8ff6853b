"""Rows in memory and mappings in text, for the tests of this folder."""

from collections.abc import Iterator, Sequence

import msgspec

from edge.replay.mappings import Compiled, compile_mapping
from edge.replay.plan import Plan, survey
from edge.replay.reader import BadRow, Row, Stamp
from edge.replay.spec import Mapping


class InMemory:
    """Rows that stand in a list; the first are the column names."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Row | BadRow]) -> None:
        self.columns = tuple(columns)
        self.stamps: dict[str, Stamp] = {}
        self._rows = list(rows)

    def __iter__(self) -> Iterator[Row | BadRow]:
        return iter(self._rows)


def compiled(text: str, rows: InMemory, store: str = "main") -> Compiled:
    """A mapping in TOML, bound to rows."""
    return compile_mapping(msgspec.toml.decode(text, type=Mapping), rows, store)


def plan_of(text: str, rows: InMemory, limit: int = 0) -> Plan:
    """What ``rfid3 replay`` would send."""
    mapping = compiled(text, rows)
    return Plan(rows, mapping, survey(rows, mapping.at), limit)


def sent(plan: Plan) -> list[tuple[int, str, dict[str, object]]]:
    """(moment in ms, topic, object) of every message."""
    told = []
    for due in plan:
        written = plan.write(due)
        if written is not None:
            told.append((due.at_ms, written[0], msgspec.json.decode(written[1])))
    return told
