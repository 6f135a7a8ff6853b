"""How good each version has been over the last days: sums of its judged predictions, in memory.

No storage, no schedule, no judging: ``pipeline_field.py`` tells what is known. What people and the
registry ask for is answered from here, and worked out once for as long as nothing new is known.
"""

from collections.abc import Collection, Iterable

from edge.inference.accuracy import Scores, figures
from edge.inference.manifest import Service
from edge.inference.registry import Measured
from edge.storage.field import Scored

REMEMBERED_DAYS = 28
"""Scores of so many days are held and told, counted from the day on which they became known; the
tables keep more."""
RULE_VERSION = "rule"

Question = tuple[int, str]
"""(horizon in days, name)"""
Days = dict[int, Scores]
Figures = dict[str, dict[str, float]]
Version = tuple[str, str]
"""(service, version)"""


class KnownScores:
    """Scores by version, question and day; each of them once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, dict[Question, Days]]] = {}
        self._figures: dict[Version, Figures] = {}
        self._measured: dict[tuple[str, str, tuple[str, ...]], Measured | None] = {}

    def remember(self, scored: Scored) -> None:
        """One question's scores of one day are known."""
        versions = self._known.setdefault(scored.service, {})
        questions = versions.setdefault(scored.version, {})
        days = questions.setdefault((scored.horizon_days, scored.question), {})
        days[scored.day] = scored.scores
        self._figures.clear()
        self._measured.clear()

    def forget(self, closed_day: int) -> None:
        """Let go of what became known longer ago than ``REMEMBERED_DAYS``."""
        for versions in self._known.values():
            for version, questions in list(versions.items()):
                for (horizon_days, name), days in list(questions.items()):
                    for day in [
                        d for d in days if d + horizon_days <= closed_day - REMEMBERED_DAYS
                    ]:
                        del days[day]
                    if not days:
                        del questions[horizon_days, name]
                if not questions:
                    del versions[version]
        self._figures.clear()
        self._measured.clear()

    def __len__(self) -> int:
        """Scores held."""
        return sum(
            len(days)
            for versions in self._known.values()
            for questions in versions.values()
            for days in questions.values()
        )

    def work_out(self) -> dict[Version, Figures]:
        """Every version's figures; some milliseconds, for a thread. Nobody may remember meanwhile."""
        return {
            (service, version): _figures(questions)
            for service, versions in self._known.items()
            for version, questions in versions.items()
        }

    def know(self, figures_: dict[Version, Figures]) -> None:
        """Take what ``work_out`` gave."""
        self._figures = figures_

    def figures(self, service: Service, version: str) -> Figures:
        """Question -> figures over the last days, for people; empty: nothing is known yet."""
        told = self._figures.get((service, version))
        if told is None:
            told = _figures(self._known.get(service, {}).get(version, {}))
            self._figures[service, version] = told
        return told

    def by_day(
        self, service: Service, version: str
    ) -> dict[str, list[tuple[int, dict[str, float]]]]:
        """Question -> (day on which it was asked, figures), the oldest first."""
        questions = self._known.get(service, {}).get(version, {})
        return {
            name: [(day, figures(days[day])) for day in sorted(days)]
            for (_, name), days in sorted(questions.items(), key=lambda told: told[0][0])
        }

    def measured(
        self, service: Service, version: str, beside: Collection[str] = ()
    ) -> Measured | None:
        """How good a version has been, on days on which those ``beside`` were judged as well.

        Those who were judged at some time but do not answer any more say nothing about these days;
        who was never judged does not count either.
        """
        known = self._known.get(service, {})
        among = tuple(sorted({version, RULE_VERSION, *beside} & known.keys()))
        if version not in among:
            return None
        asked = (service, version, among)
        if asked not in self._measured:
            self._measured[asked] = _measured(version, {name: known[name] for name in among})
        return self._measured[asked]


def _figures(questions: dict[Question, Days]) -> Figures:
    """By the question's name."""
    return {
        name: figures(_sum(days.values()))
        for (_, name), days in sorted(questions.items(), key=lambda told: told[0][0])
    }


def _measured(version: str, told: dict[str, dict[Question, Days]]) -> Measured | None:
    """By the first question, and on the days, that all have in common."""
    asked = set.intersection(*(set(questions) for questions in told.values()))
    if not asked:
        return None
    first = min(asked)
    common = set.intersection(*(set(questions[first]) for questions in told.values()))
    ours = _sum(told[version][first][day] for day in common)
    loss = _loss(ours)
    if loss is None:
        return None
    rule = told.get(RULE_VERSION)
    return Measured(
        rows=ours.n,
        loss=loss,
        baseline_loss=_loss(_sum(rule[first][day] for day in common)) if rule else None,
        coverage=figures(ours).get("coverage"),
    )


def _sum(parts: Iterable[Scores]) -> Scores:
    total = Scores()
    for part in parts:
        total = total.add(part)
    return total


def _loss(scores: Scores) -> float | None:
    """What versions and the simple rule are compared by: Brier, or the root mean squared error,
    which is fair to means; ``None``: no point was told, or nothing is known."""
    told = figures(scores)
    return told.get("brier", told.get("rmse"))
