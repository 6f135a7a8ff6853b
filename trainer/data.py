"""What a fit is given: panels and feature tables of a shop's history, and where the held-out days begin.

Nothing is read before it is asked for, and nothing is kept: a service reads what it needs. No models.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.storage.history import HistoryReader
from trainer.history import MEASURES, FeatureTable, feature_table, panel
from trainer.panel import Panel

HELD_OUT = 0.2
"""Least share of the span that metrics are measured on, the newest days."""
EPOCH = date(1970, 1, 1)


class Data:
    """History of one shop out of one or more places; the later ones win. Use as a context.

    ``last_day`` ends it earlier, ``split_day`` says where the held-out days begin; both are local
    days since 1970-01-01.
    """

    def __init__(
        self, paths: Sequence[Path], *, last_day: int | None = None, split_day: int | None = None
    ) -> None:
        """Raises JournalBroken where there is no history."""
        self._open = ExitStack()
        with ExitStack() as opened:
            self.sources: list[HistoryReader] = [
                opened.enter_context(HistoryReader.open(path)) for path in paths
            ]
            self._open = opened.pop_all()
        self._asked_last, self._asked_split = last_day, split_day

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._open.close()

    @cached_property
    def days(self) -> dict[str, list[int]]:
        """Entity -> local days of which anything is known, ascending."""
        last = 1 << 62 if self._asked_last is None else self._asked_last
        return {
            entity: sorted({d for s in self.sources for d in s.days(entity) if d <= last})
            for entity in ("class", "item")
        }

    @cached_property
    def first_day(self) -> int:
        """The first local day; 0 without any."""
        return min((days[0] for days in self.days.values() if days), default=0)

    @cached_property
    def last_day(self) -> int:
        """The last local day; -1 without any."""
        return max((days[-1] for days in self.days.values() if days), default=-1)

    @property
    def span_days(self) -> int:
        """Days from the first to the last."""
        return self.last_day - self.first_day + 1

    @property
    def split_asked(self) -> int | None:
        """The first held-out day where somebody asked for one."""
        return self._asked_split

    @property
    def split_day(self) -> int:
        """The first held-out day: at least the last 20 % of the span come from it on."""
        if self._asked_split is not None:
            return self._asked_split
        return self.last_day + 1 - max(math.ceil(self.span_days * HELD_OUT), 1)

    def panel(self, measures: Sequence[str] = MEASURES) -> Panel:
        """Day measures of every class; see ``trainer.history.panel``."""
        return panel(self.sources, measures, last_day=self.last_day)

    def table(
        self,
        entity: str,
        features: Sequence[str],
        *,
        measures: Sequence[str] = (),
        levels: Sequence[str] = (),
    ) -> FeatureTable:
        """Feature rows of classes or items; see ``trainer.history.feature_table``."""
        return feature_table(
            self.sources,
            entity,
            features,
            measures=measures,
            levels=levels,
            last_day=self.last_day,
        )


def named(day: int) -> str:
    """A local day as people write it.

    >>> named(0)
    '1970-01-01'
    """
    return (EPOCH + timedelta(days=day)).isoformat()


def numbered(text: str) -> int:
    """The opposite. Raises ValueError.

    >>> numbered("1970-01-02")
    1
    """
    return (date.fromisoformat(text) - EPOCH).days
