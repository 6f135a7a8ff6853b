"""What a day's data were like, as it stands in the store: one row a day, written at its close. Rows only.

How they are made up: ``edge.services.data_quality``.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from msgspec import Struct

from edge.ledger.ledger import Changes, Table
from edge.services.data_quality import Account, Silence

IMPOSSIBLE_DEAD = ("future", "out_of_range")
"""Reasons of dead letters that are impossible values."""
GAPS, UNTIMED = "gaps", "untimed"
"""As which gaps that begin, and events without a time of their own, are counted beside what is impossible."""
SOURCES_TOLD = 100


class DataQualityDay(Struct, frozen=True, kw_only=True):
    """One day of what came in."""

    day: int
    """Local day, counted from 1970-01-01."""
    messages: int = 0
    """Messages that arrived."""
    events: int = 0
    """Events in them that could be read."""
    admitted: int = 0
    """Events that were taken, repeated reads of a tag that stays included."""
    duplicates: int = 0
    """Events and messages that had been told before."""
    late: int = 0
    """Events admitted so late that windows had closed; they count in history."""
    dead_letters: int = 0
    """Events and messages that could not be used."""
    dead: dict[str, int] = {}
    """Of these, by reason."""
    impossible: dict[str, int] = {}
    """Values that cannot be, by reason."""
    untimed: int = 0
    """Events without a time of their own that can be (none, or such as 1970): the arrival's was taken."""
    gaps: int = 0
    """Spans that began on the day in which a reader, or everything, could not be heard."""
    silences: list[Silence] = []
    """Sources that fell silent against their own usual rate."""
    sources: dict[str, int] = {}
    """Source -> events heard, the busiest 100."""
    unseen: bool = False
    """Whether the daemon looked at none of the day."""


TABLES = (Table("data_quality", DataQualityDay, ("day",), 0, kept="none"),)

_DUPLICATES = (
    "events_duplicate",
    "events_business_duplicate",
    "messages_redelivered",
)


_NOTES = ("events_late", "events_unreadable", "events_possible_repeat")


def row_of(day: int, account: Account, unseen: bool = False) -> DataQualityDay:
    """A day's row out of its account."""
    counts: Mapping[str, int] = account.counts
    dead = {
        name.removeprefix("dead_"): n
        for name, n in counts.items()
        if name.startswith("dead_") and name != "dead_letters"
    }
    told = dict(account.impossible)
    gaps, untimed = told.pop(GAPS, 0), told.pop(UNTIMED, 0)
    impossible = told | {name: dead[name] for name in IMPOSSIBLE_DEAD if name in dead}
    busiest = sorted(account.sources.items(), key=lambda pair: (-pair[1], pair[0]))
    return DataQualityDay(
        day=day,
        messages=counts.get("messages", 0),
        events=sum(n for name, n in counts.items() if _is_outcome(name)),
        admitted=counts.get("events_admitted", 0) + counts.get("events_folded", 0),
        duplicates=sum(counts.get(name, 0) for name in _DUPLICATES),
        late=counts.get("events_late", 0),
        dead_letters=counts.get("dead_letters", 0),
        dead=dead,
        impossible=dict(sorted(impossible.items())),
        untimed=untimed,
        gaps=gaps,
        silences=account.silences,
        sources=dict(busiest[:SOURCES_TOLD]),
        unseen=unseen,
    )


def _is_outcome(name: str) -> bool:
    return name.startswith("events_") and name not in _NOTES


LINES_MAX = 5
"""So many silences and empty spans of an import are told one by one."""


class Imported:
    """Accounts of days -> the account of a whole import, for people."""

    def __init__(self) -> None:
        self.days: list[DataQualityDay] = []

    def take(self, rows: Changes) -> None:
        """What a step of the core left for the store."""
        self.days += [row for row in rows.values() if isinstance(row, DataQualityDay)]

    def end(self, row: DataQualityDay) -> None:
        """The day under way at the end."""
        if row.messages:
            self.days.append(row)

    def lines(self) -> list[str]:
        """What is odd about it; one line says that nothing is."""
        dead, odd = Counter[str](), Counter[str]()
        for day in self.days:
            dead.update(day.dead)
            odd.update({k: n for k, n in day.impossible.items() if k not in day.dead})
        told = [f"dead letters, {reason}: {n:,}" for reason, n in dead.most_common()]
        told += [f"impossible, {reason}: {n:,}" for reason, n in odd.most_common()]
        for what in ("duplicates", "late", "untimed", "gaps"):
            many = sum(getattr(day, what) for day in self.days)
            told += [f"{what}: {many:,}"] if many else []
        empty = self._empty()
        told += [f"days without anything: {sum(n for _, n in empty):,}"] if empty else []
        told += [f"  {n:,} from {_date(first)}" for first, n in empty[:LINES_MAX]]
        silences = [silence for day in self.days for silence in day.silences]
        silences = list({(s.source, s.from_ms): s for s in silences}.values())
        told += [f"sudden silences: {len(silences):,}"] if silences else []
        told += [f"  {silence.source}, {_words(silence)}" for silence in silences[:LINES_MAX]]
        head = f"{len(self.days):,} days looked at"
        return [f"Data quality: {head}" + ("" if told else ", nothing odd"), *told]

    def _empty(self) -> list[tuple[int, int]]:
        """(first day, days) of spans of more than one day in which nothing came, the longest first."""
        busy = sorted({day.day for day in self.days if day.messages})
        spans = [
            (before + 1, after - before - 1)
            for before, after in pairwise(busy)
            if after - before > 2
        ]
        return sorted(spans, key=lambda span: (-span[1], span[0]))


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _words(silence: Silence) -> str:
    began = datetime.fromtimestamp(silence.from_ms / 1000, UTC)
    return f"from {began:%Y-%m-%d %H:%M} UTC; usually {silence.expected:g} events by then"
