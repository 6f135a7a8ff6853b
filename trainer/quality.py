"""Which grade an item has in 90 days (A, B, C or worse), and in how many days half would be at C.

Grades as staff give them, A+ to C-, in three groups; from use, defects, repairs, age and the grade
now. The grade in 90 days is a continuation-ratio model from the worst group up, the days until C are
a hazard; both in ``trainer.hazard``. Where a group is too rare to be learnt it joins its neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.history import ITEM_LEVELS
from edge.features.words import GRADE_NUMBER
from edge.inference.manifest import Column, Training
from edge.storage.history import HistoryReader
from trainer import hazard, maintenance, survival
from trainer.examples import KeyHistory, _last_row_within, examples, watched_until
from trainer.export import Exportable
from trainer.hazard import LEAST_EVENTS, Fitted, Problem, TooLittleKnown
from trainer.history import FeatureTable, feature_table
from trainer.onnx_graph import Graph
from trainer.onnx_trees import Rule
from trainer.survival import Followed

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

GRADE = "grade_last"
FEATURES = maintenance.FEATURES
HORIZON_DAYS = 90
BEST_OF: dict[str, int] = {"c": GRADE_NUMBER["C+"], "b": GRADE_NUMBER["B+"]}
"""Group -> the best grade in it; what is above all is A."""
THRESHOLD = "c"
"""Days are counted until an item is in this group."""
THERE = 1e30
"""Log odds of falling, so to say, of what has fallen already: no time is left."""
UNTIL_EDGES = (30.0, 90.0, 180.0)


def read(
    sources: Sequence[HistoryReader], first_day: int = -(1 << 62), last_day: int = 1 << 62
) -> FeatureTable:
    """The columns of the items' history that this service learns from."""
    return feature_table(
        sources, "item", FEATURES, levels=ITEM_LEVELS, first_day=first_day, last_day=last_day
    )


@dataclass(frozen=True, slots=True)
class GradeAfter:
    """The grade at the end of the horizon; not known of who was not watched until then."""

    def __call__(
        self, history: KeyHistory, key: str, cutoff: int, horizon_days: int
    ) -> tuple[float, bool]:
        """One item at one cutoff."""
        if history.last_day < cutoff + horizon_days:
            return float("nan"), True
        return float(history.feature(GRADE)[history.days <= cutoff + horizon_days][-1]), False

    def whole(
        self, table: FeatureTable, rows: Ints, until: Ints, horizon_days: int
    ) -> tuple[Float32, Mask]:
        """All at once."""
        grade = table.x[:, table.features.index(GRADE)]
        last = _last_row_within(table, rows, horizon_days)
        censored = until < table.day[rows] + horizon_days
        return np.where(censored, np.nan, grade[last]).astype(np.float32), censored


def grades(table: FeatureTable) -> Problem:
    """Graded items once a week, and the group of their grade after the horizon, worst first.

    Who left the shop before is not known; the others of the same group then count for them.
    Raises TooLittleKnown.
    """
    found = examples(table, FEATURES, np.unique(table.day).tolist(), GradeAfter(), HORIZON_DAYS)
    found = found.where(found.cutoffs + HORIZON_DAYS <= table.last_day)
    now = found.x[:, FEATURES.index(GRADE)]
    found = found.where(~np.isnan(now) & ~(np.isnan(found.y) & ~found.censored))
    weight = _stayed(_group(found.x[:, FEATURES.index(GRADE)]), found.censored)
    known = ~found.censored
    found, weight = found.where(known), weight[known]
    cuts = {n: best for n, best in BEST_OF.items() if _common(found.y, best)}
    entity = table.key_of_rows()[found.rows]
    order = list(cuts.values())
    taken = np.searchsorted(order, found.y, side="left").astype(np.float64)
    made = Problem(
        service="quality",
        features=FEATURES,
        x=found.x,
        cutoffs=found.cutoffs,
        entity=entity,
        followed=Followed(
            np.where(taken < len(order), taken + 1.0, np.inf), np.full(len(found), len(order) + 0.0)
        ),
        edges=tuple(float(i + 1) for i in range(len(order))),
        names=tuple(
            f"{name}_or_worse" if i or name != "c" else name for i, name in enumerate(cuts)
        ),
        label_days=HORIZON_DAYS,
        weight=weight,
    )
    if not cuts:
        raise TooLittleKnown(
            f"quality: {len(found)} grades known after {HORIZON_DAYS} days, and nearly all of one "
            f"group; it takes {LEAST_EVENTS} of two groups"
        )
    return made


def _group(grade: Float32) -> Ints:
    return np.searchsorted(list(BEST_OF.values()), grade, side="left").astype(np.int64)


def _common(grade: Float32, best: int) -> bool:
    return min(int((grade <= best).sum()), int((grade > best).sum())) >= LEAST_EVENTS


def _stayed(group: Ints, censored: Mask) -> Floats:
    """float64[n]: 1 over the share of its group that was watched to the end of the horizon."""
    total, known = np.bincount(group), np.bincount(group, ~censored)
    share = np.maximum(known / np.maximum(total, 1), 1.0 / survival.HEAVIEST)
    return np.asarray(1.0 / share[group], np.float64)


def until_threshold(table: FeatureTable, features: Sequence[str]) -> Problem:
    """Items above the threshold once a week, and the days until they are first in it."""
    below = (table.x[:, table.features.index(GRADE)] <= BEST_OF[THRESHOLD]).astype(np.float32)
    marked = replace(
        table, features=(*table.features, "below"), x=np.column_stack([table.x, below])
    )
    found = examples(table, features, np.unique(table.day).tolist(), GradeAfter(), HORIZON_DAYS)
    now = found.x[:, list(features).index(GRADE)]
    found = found.where(now > BEST_OF[THRESHOLD])
    entity = table.key_of_rows()[found.rows]
    made = Problem(
        service="quality",
        features=tuple(features),
        x=found.x,
        cutoffs=found.cutoffs,
        entity=entity,
        followed=survival.follow(marked, found.rows, ("below",), watched_until(table)[entity]),
        edges=UNTIL_EDGES,
        names=tuple(f"to_{THRESHOLD}_{days:g}d" for days in UNTIL_EDGES),
    )
    return made.where(made.followed.watched > 0)


def groups_of(steps: Sequence[str]) -> tuple[str, ...]:
    """Groups of grades told apart, the best first, by the steps of their problem, the worst first.

    >>> groups_of(("c", "b_or_worse"))
    ('a', 'b', 'c')
    """
    return _GROUPS[tuple(steps)]


_GROUPS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("c", "b_or_worse"): ("a", "b", "c"),
    ("c",): ("b_or_better", "c"),
    ("b_or_worse",): ("a", "b_or_worse"),
}


@dataclass(frozen=True, slots=True)
class Quality:
    """A fitted model that can be exported."""

    grades: Fitted
    until: Fitted | None
    """``None``: days until the threshold are not told."""
    why_not: str
    """The reason for that; empty when they are."""

    @property
    def columns(self) -> list[Column]:
        """Of ``y``: groups from the best to the worst, then days."""
        groups = groups_of(self.grades.problem.names)
        made = [
            Column(name=f"p_grade_{name}_{HORIZON_DAYS}d", unit="1", horizon_days=HORIZON_DAYS,
                   lowest=0.0, highest=1.0)
            for name in groups
        ]  # fmt: skip
        if self.until is not None:
            made.append(Column(name=f"days_to_grade_{THRESHOLD}_p50", unit="d", quantile=0.5,
                               lowest=0.0, highest=maintenance.LONGEST_DAYS))  # fmt: skip
        return made

    def predict(self, x: Float32) -> Floats:
        """float64[n, o] for float32[n, f]."""
        turn, rest = _differences(len(self.grades.problem.edges))
        answers = self.grades.model(x) @ turn + rest
        if self.until is None:
            return np.asarray(answers, np.float64)
        days = maintenance.median_days(self.until.model.hazards(x), self.until.problem.edges)
        there = x[:, self.grades.problem.features.index(GRADE)] <= BEST_OF[THRESHOLD]
        return np.column_stack([answers, np.where(there, 0.0, days)])

    def onnx(self) -> bytes:
        """``x`` float32[n, f] -> ``y`` float32[n, o]."""
        graph, steps = Graph(), len(self.grades.problem.edges)
        width, models, rules = self.grades.problem.x.shape[1], [self.grades.model], []
        edges: tuple[float, ...] = ()
        if self.until is not None:
            models.append(self.until.model)
            edges = self.until.problem.edges
            at = self.grades.problem.features.index(GRADE)
            rules = [Rule(at, BEST_OF[THRESHOLD], steps, THERE)]
        hazards = hazard.add_hazards(graph, "x", width, models, rules)
        h = steps + len(edges)
        turn, rest = _differences(steps)
        y = maintenance.add_answers(
            graph,
            hazards,
            gone=np.triu(np.ones((h, steps))) * (np.arange(h) < steps)[:, None],
            turn=-turn,
            rest=rest + turn.sum(axis=0),
            own=np.eye(h)[:, steps:] if edges else None,
            edges=edges,
        )
        shape = {"x": ["n", width]}
        return graph.model(shape, {"y": (y, ["n", len(self.columns)])})

    def exportable(self, training: Training) -> Exportable:
        """For ``trainer.export.write_artifact``."""
        found = dict(self.grades.metrics)
        if self.until is not None:
            found |= {f"until_{name}": value for name, value in self.until.metrics.items()}
        return maintenance.exportable(
            self.grades,
            service="quality",
            onnx_bytes=self.onnx(),
            columns=self.columns,
            predict=self.predict,
            training=training,
            metrics=found,
            notes=NOTES + (f" Days until {THRESHOLD.upper()} are not told: {self.why_not}."
                           if self.why_not else ""),
        )  # fmt: skip


NOTES = (
    f"Group of the grade {HORIZON_DAYS} days ahead, for an item that stays in the shop. Grades are as "
    "staff give them: an item that nobody grades keeps its grade, and so it does here. Figures are of "
    "the last 20 % of the time by the same recipe fitted on what came before; the model itself is "
    "fitted on all. Calibration bins: the last step, B or worse where there are three groups."
)


def _differences(steps: int) -> tuple[Floats, Floats]:
    """Taken by each step (worst first) -> share of each group (best first): ``y = taken @ A + b``."""
    turn = np.zeros((steps, steps + 1))
    for step in range(steps):
        turn[step, steps - step] += 1.0
        turn[step, steps - step - 1] -= 1.0
    rest = np.zeros(steps + 1)
    rest[0] = 1.0
    return turn, rest


def fit(table: FeatureTable, **search: Any) -> Quality:
    """Raises TooLittleKnown; ``search``: as ``trainer.hazard.fit``.

    The grade now is a baseline by itself: most items keep theirs.
    """
    problem = grades(table)
    kept = {*hazard.informative(problem).features, GRADE}
    features = [name for name in FEATURES if name in kept]
    first = hazard.fit(problem.only(features), **{"alone": (GRADE,), **search, "drop": False})
    try:
        then = until_threshold(table, features)
        whole = {**search, "split_day": None}  # days may pass before an item falls: its own span
        second = hazard.fit(then, **{"alone": (GRADE,), **whole, "drop": False})
    except TooLittleKnown as why:
        return Quality(first, None, str(why))
    return Quality(first, second, "")
