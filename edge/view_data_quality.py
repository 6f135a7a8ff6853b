"""The quality of what comes in, as readers see it: the day so far, and closed days from the store. No rules."""

from datetime import date, timedelta

from msgspec import Struct

from edge.ledger.data_quality import DataQualityDay, row_of
from edge.services.data_quality import IMPOSSIBLE, Silence
from edge.view_basis import Basis, Sources

EPOCH = date(1970, 1, 1)


class DataQualityRow(Struct, kw_only=True):
    """What one day's data were like."""

    date: str
    """Local day, ``YYYY-MM-DD``."""
    closed: bool
    """Whether the day is over."""
    messages: int
    """Messages that arrived."""
    events: int
    """Events in them that could be read."""
    admitted: int
    """Events that were taken."""
    duplicates: int
    """Events and messages told before."""
    late: int
    """Admitted so late that windows had closed."""
    dead_letters: int
    """What could not be used."""
    impossible: int
    """Values that cannot be."""
    untimed: int
    """Events without a time of their own that can be."""
    gaps: int
    """Spans that began on the day in which a reader, or everything, could not be heard."""
    silences: int
    """Sources that fell silent."""
    sources: int
    """Sources that were heard, at most 100."""
    unseen: bool
    """Whether the daemon looked at none of the day."""


class Counted(Struct, kw_only=True):
    """How often something was."""

    reason: str
    """What."""
    events: int
    """How often."""
    means: str
    """In words; empty: see the dead letters' reasons."""


class DataQualityReport(Struct, kw_only=True):
    """What one day's data were like, in detail."""

    basis: Basis
    """What it stands on."""
    day: DataQualityRow
    """The day in figures."""
    impossible: list[Counted]
    """Values that cannot be, the most frequent first."""
    dead: list[Counted]
    """Dead letters by reason, the most frequent first."""
    silences: list[Silence]
    """Sources that fell silent against their own usual rate."""
    sources: dict[str, int]
    """Source -> events heard; the busiest 100."""


class DataQualityView:
    """Reads the account of the day under way; tells closed days alike."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._core = sources.core

    @property
    def today(self) -> int:
        """The local day under way, counted from 1970-01-01."""
        return int(self._core.state.today)

    def so_far(self) -> DataQualityDay:
        """The day under way."""
        account = self._core.watch.account(self._core.quality_counters())
        return row_of(self.today, account)

    def basis(self) -> Basis:
        """What it stands on."""
        return self._sources.counted()

    def row(self, told: DataQualityDay) -> DataQualityRow:
        """A day in figures."""
        return DataQualityRow(
            date=(EPOCH + timedelta(days=told.day)).isoformat(),
            closed=told.day < self.today,
            messages=told.messages,
            events=told.events,
            admitted=told.admitted,
            duplicates=told.duplicates,
            late=told.late,
            dead_letters=told.dead_letters,
            impossible=sum(told.impossible.values()),
            untimed=told.untimed,
            gaps=told.gaps,
            silences=len(told.silences),
            sources=len(told.sources),
            unseen=told.unseen,
        )

    def report(self, told: DataQualityDay) -> DataQualityReport:
        """A day in detail."""
        return DataQualityReport(
            basis=self.basis(),
            day=self.row(told),
            impossible=_counted(told.impossible),
            dead=_counted(told.dead),
            silences=told.silences,
            sources=told.sources,
        )


def _counted(reasons: dict[str, int]) -> list[Counted]:
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Counted(reason=r, events=n, means=IMPOSSIBLE.get(r, "")) for r, n in ordered]
