"""Probabilities of steps that come one after the other: chosen, calibrated and judged in time order.

A problem has k steps: intervals of days until an event (``maintenance.py``), or grades from the worst
up (``quality.py``). A step is a yes-or-no question to those whom the steps before did not take, so
the probability of being taken by step j never falls with j, whatever the models say (discrete-time
hazard; for grades the continuation-ratio model: Fienberg, The Analysis of Cross-Classified
Categorical Data, 1980). No features are made here and no file is written.

Order of time: candidates are compared on folds within the first 80 % of the time, each fold learning
only from what was known when it began; the calibration is fitted on those folds' own answers;
figures are of the last 20 %, which nothing had seen; then the recipe is fitted once more on all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge.errors import Rfid3Error
from trainer import calibrate, metrics, survival
from trainer.calibrate import Calibration, Scored
from trainer.onnx_graph import Graph
from trainer.onnx_trees import Rule, Target, add_ensemble
from trainer.scores import Boosting, Family, Logistic, Picked, Scorer, add_together
from trainer.survival import Followed, Stage

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEAST_EVENTS = 30
"""With fewer nothing is said at all."""
LEAST_IN_FOLD = 5
"""A step with fewer events (or fewer without) in a fold cannot be learnt there."""
ROWS_MAX = 40_000
FOLDS = 3
JUDGED_SHARE = 0.2
CLOSE = 0.003
"""A richer candidate must lower the Brier score by this share, else the simpler one is taken."""
PERMUTED_ROWS = 4_000

FAMILIES: tuple[Family, ...] = (
    Logistic(c=0.001),
    Logistic(c=0.01),
    Boosting(trees=30, leaves=4),
    Boosting(trees=40, leaves=8),
)
"""The search, simplest first; each also without running totals, where there are any."""
RUNNING = ("_total", "age_days")
"""Ends of the names of features that only grow. They tell heavy use from light, but in a young
history they also tell the date, and what they teach of it does not go on; folds of later days show
which weighs more."""


class TooLittleKnown(Rfid3Error):
    """There is nothing honest to say: too few events, too short a time, or no better than the rate."""


@dataclass(frozen=True, slots=True)
class Problem:
    """``n`` examples, ``f`` features, ``k`` steps."""

    service: str
    features: tuple[str, ...]
    x: Float32
    """float32[n, f], as known at the cutoff."""
    cutoffs: Ints
    """int64[n], local days."""
    entity: Ints
    """int64[n]: which item; events of one item on one day are one event."""
    followed: Followed
    edges: tuple[float, ...]
    """[k] ends of the steps, in the unit of ``followed``."""
    names: tuple[str, ...]
    """[k], what figures are called by: ``7d``."""
    label_days: int = 0
    """0: an event counts from the day it happens. Else the whole answer comes so many days later."""
    weight: Floats = field(default_factory=lambda: np.ones(0))
    """float64[n]; empty: all alike."""

    def __len__(self) -> int:
        return len(self.cutoffs)

    def where(self, chosen: Ints | Mask) -> "Problem":
        """Some of the examples."""
        return Problem(
            self.service, self.features, self.x[chosen], self.cutoffs[chosen], self.entity[chosen],
            self.followed.where(chosen), self.edges, self.names, self.label_days,
            self.weight[chosen] if len(self.weight) else self.weight,
        )  # fmt: skip

    def only(self, features: Sequence[str]) -> "Problem":
        """The same with some of the features."""
        columns = [self.features.index(name) for name in features]
        return Problem(
            self.service, tuple(features), self.x[:, columns], self.cutoffs, self.entity,
            self.followed, self.edges, self.names, self.label_days, self.weight,
        )  # fmt: skip

    def known_by(self, day: int) -> "Problem":
        """What was known at the end of ``day``: examples cut before it, and nothing later."""
        cut = self.where(self.cutoffs < day)
        if self.label_days:
            return cut.where(cut.cutoffs + self.label_days <= day)
        seen = cut.followed.upto(day - cut.cutoffs)
        return Problem(
            cut.service, cut.features, cut.x, cut.cutoffs, cut.entity, seen, cut.edges,
            cut.names, cut.label_days, cut.weight,
        )  # fmt: skip

    def stages(self) -> list[Stage]:
        """Who is asked at each step, and what came; weights multiplied."""
        made = survival.stages(self.followed, self.edges)
        if not len(self.weight):
            return made
        return [Stage(s.rows, s.happened, s.weight * self.weight[s.rows]) for s in made]

    def outcome(self, step: int) -> tuple[Mask, Floats]:
        """(bool[n] taken by the end of this step, float64[n] weight; 0: not known)."""
        happened, weight = survival.labels(self.followed, self.edges[step])
        return happened, weight * self.weight if len(self.weight) else weight

    def complete(self, step: int) -> Mask:
        """bool[n]: cut early enough for the step to be over when the history ends.

        After that an event can be seen but not its absence, and no weight makes up for nobody.
        """
        if self.label_days or not len(self):
            return np.ones(len(self), np.bool_)
        history_ends = float((self.cutoffs + self.followed.watched).max())
        return np.asarray(self.cutoffs + self.edges[step] <= history_ends)

    def events(self, step: int) -> tuple[int, int]:
        """(different occasions that it happened by the end of this step, that it did not)."""
        happened, weight = self.outcome(step)
        if self.label_days:
            when = self.cutoffs // self.label_days
        else:
            when = self.cutoffs + np.where(happened, self.followed.event, 0).astype(np.int64)
        both = np.stack([self.entity, when], axis=1)
        yes, no = happened & (weight > 0), ~happened & (weight > 0)
        return len(np.unique(both[yes], axis=0)), len(np.unique(both[no], axis=0))


@dataclass(frozen=True, slots=True)
class Model:
    """Log odds of each step -> probability of having been taken by its end."""

    scorer: Scorer
    calibration: Calibration

    def hazards(self, x: Float32) -> Floats:
        """float64[n, k]: −ln(1 − probability of the step), of those it asks."""
        return np.logaddexp(0, self.calibration(self.scorer(x)))

    def __call__(self, x: Float32) -> Floats:
        """float64[n, k]: probability of having been taken by the end of each step; rising."""
        return np.asarray(-np.expm1(-np.cumsum(self.hazards(x), axis=1)), np.float64)


def add_hazards(
    graph: Graph, x: str, width: int, models: Sequence[Model], rules: Sequence[Rule] = ()
) -> str:
    """Append the nodes of models of the same features: their hazards side by side, float32[n, k1 + …].

    A calibration that is a line goes into the weights. ``rules`` add to calibrated log odds.
    """
    columns = np.arange(width)
    lines = [model.calibration.lines for model in models]
    if all(told is not None for told in lines):
        parts = [
            m.scorer.parts(told, columns) for m, told in zip(models, lines, strict=True) if told
        ]
        return graph.node("Softplus", add_together(graph, x, width, parts, rules))
    each = []
    for model in models:
        k = len(model.calibration.constants)
        parts = [model.scorer.parts((np.ones(k), np.zeros(k)), columns)]
        each.append(model.calibration.add(graph, add_together(graph, x, width, parts)))
    z = graph.node("Concat", *each, axis=1) if len(each) > 1 else each[0]
    if rules:
        steps = sum(len(model.calibration.constants) for model in models)
        z = graph.node("Add", z, add_ensemble(graph, x, [Target(None)] * steps, rules))
    return graph.node("Softplus", z)


@dataclass(frozen=True, slots=True)
class Trial:
    """How one candidate did on the folds."""

    family: Family
    brier: float
    pr_auc: float
    """Both means over folds and steps; PR-AUC over the share of events."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """See the module's docstring."""

    problem: Problem
    model: Model
    family: Family
    trials: list[Trial]
    calibrations: dict[str, float]
    """Kind -> Brier score on the last fold."""
    judged: Problem
    """The last 20 % of the time."""
    answers: Floats
    """float64[judged, k] of the model that had not seen them."""
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    importances: dict[str, float]
    bins: list[tuple[float, float, int]]
    """Calibration of the last step that was over for judged examples."""

    @property
    def hyperparameters(self) -> dict[str, str | int | float | bool | None]:
        """For the manifest."""
        return {**self.family.told, "calibration": self.model.calibration.kind,
                "candidates": len(self.trials), "folds": FOLDS}  # fmt: skip


def fit(
    problem: Problem,
    alone: Sequence[str] = (),
    families: Sequence[Family] = FAMILIES,
    rows_max: int = ROWS_MAX,
    drop: bool = True,
    split_day: int | None = None,
) -> Fitted:
    """Choose, calibrate, judge, and fit on all.

    ``alone``: features each of which is a baseline by itself; ``drop``: leave out features that
    never differ; ``split_day``: the first day of examples that are judged (default: so that the last
    20 % of the time are). Raises TooLittleKnown.
    """
    problem = thinned(informative(problem) if drop else problem, rows_max)
    enough(problem)
    first, last = int(problem.cutoffs.min()), int(problem.cutoffs.max())
    split = last - round((last - first) * JUDGED_SHARE) if split_day is None else split_day
    seen, judged = problem.known_by(split), problem.where(problem.cutoffs >= split)
    if not learnable(seen):
        raise TooLittleKnown(f"{problem.service}: too few events before the held-out days")
    if not len(judged):
        raise TooLittleKnown(f"{problem.service}: nothing of the held-out days can be judged yet")
    folds = list(_folds(seen, problem, first, split))
    if not folds:
        raise TooLittleKnown(f"{problem.service}: too short a time, or events only at its end")
    trials = [_trial(family, folds) for family in candidates(families, problem.features)]
    family = _best(trials)
    calibration, compared = _calibrated(family, folds)
    baselines = {"base_rate": figures(judged, _rate(seen, len(judged)))}
    for name in alone:
        if name in problem.features:
            one = Boosting(trees=40, leaves=8).fit(seen.only([name]).x, seen.stages())
            told = Model(one, calibrate.identity(len(problem.edges)))(judged.only([name]).x)
            baselines[f"{name}_alone"] = figures(judged, told)
    learner = family
    if drop and isinstance(family, Picked):  # then the edge need not gather the rest
        kept = [problem.features[i] for i in family.columns]
        problem, seen, judged = problem.only(kept), seen.only(kept), judged.only(kept)
        learner = family.family
    model = Model(learner.fit(seen.x, seen.stages()), calibration)
    answers = model(judged.x)
    found = figures(judged, answers)
    if not found["brier"] < baselines["base_rate"]["brier"]:
        raise TooLittleKnown(
            f"{problem.service}: on later days no better than the base rate (Brier "
            f"{found['brier']:.4f} against {baselines['base_rate']['brier']:.4f})"
        )
    return Fitted(
        problem=problem,
        model=Model(learner.fit(problem.x, problem.stages()), calibration),
        family=family,
        trials=trials,
        calibrations=compared,
        judged=judged,
        answers=answers,
        metrics=found,
        baselines=baselines,
        importances=_importances(model, judged),
        bins=_bins(judged, answers),
    )


def _bins(judged: Problem, answers: Floats) -> list[tuple[float, float, int]]:
    """Of the last step that was over for anybody whose answer is known."""
    for step in reversed(range(len(judged.edges))):
        over = judged.complete(step)
        happened, weight = judged.where(over).outcome(step)
        known = weight > 0
        if known.any():
            return metrics.calibration(happened[known], answers[over, step][known]).triples()
    return []


def candidates(families: Sequence[Family], features: Sequence[str]) -> list[Family]:
    """Each family without running totals, then with all features."""
    steady = tuple(i for i, name in enumerate(features) if not name.endswith(RUNNING))
    if len(steady) in (0, len(features)):
        return list(families)
    return [*(Picked(family, steady, "running totals") for family in families), *families]


def informative(problem: Problem) -> Problem:
    """Without features that never differ: the edge need not gather them."""
    x = problem.x
    first = x[:1]
    same = (x == first) | (np.isnan(x) & np.isnan(first))
    return problem.only(
        [n for n, s in zip(problem.features, same.all(axis=0), strict=True) if not s]
    )


def thinned(problem: Problem, rows_max: int) -> Problem:
    """At most so many examples, every one as likely as any other: shares of events stay as they are."""
    if len(problem) <= rows_max:
        return problem
    chosen = np.random.default_rng(0).choice(len(problem), rows_max, replace=False)
    return problem.where(np.sort(chosen))


def enough(problem: Problem) -> None:
    """Raises TooLittleKnown with what there is and what it would take."""
    if not len(problem):
        raise TooLittleKnown(f"{problem.service}: no item was watched long enough")
    for step, name in enumerate(problem.names):
        yes, no = problem.events(step)
        if min(yes, no) < LEAST_EVENTS and (problem.label_days or step == len(problem.names) - 1):
            raise TooLittleKnown(
                f"{problem.service}: {yes} events ({name}) and {no} times without among "
                f"{len(np.unique(problem.entity))} items; it takes {LEAST_EVENTS} of each"
            )


def learnable(problem: Problem) -> bool:
    """Whether every step has some of both answers."""
    if not len(problem) or not problem.features:
        return False
    return all(
        min(int(s.happened.sum()), int((~s.happened).sum())) >= LEAST_IN_FOLD
        for s in problem.stages()
    )


def _folds(
    seen: Problem, whole: Problem, first: int, split: int
) -> Iterator[tuple[Problem, Problem]]:
    """(what could be learnt, what came next), as it was known at ``split``.

    The second half of the time before ``split`` in equal spans.
    """
    edges = np.linspace(first + (split - first) / 2, split, FOLDS + 1).round().astype(int).tolist()
    for start, end in pairwise(edges):
        learn = whole.known_by(start)
        judge = seen.where((seen.cutoffs >= start) & (seen.cutoffs < end))
        if learnable(learn) and len(judge) and sum(s.happened.sum() for s in judge.stages()) > 0:
            yield learn, judge


def _trial(family: Family, folds: Sequence[tuple[Problem, Problem]]) -> Trial:
    plain = calibrate.identity(len(folds[0][0].edges))
    found = [
        figures(judge, Model(family.fit(learn.x, learn.stages()), plain)(judge.x))
        for learn, judge in folds
    ]
    return Trial(
        family,
        float(np.nanmean([f["brier"] for f in found])),
        float(np.nanmean([f["pr_auc_over_rate"] for f in found])),
    )


def _best(trials: Sequence[Trial]) -> Family:
    best = trials[0]
    for trial in trials[1:]:
        if trial.brier < best.brier * (1.0 - CLOSE):
            best = trial
    return best.family


def _calibrated(
    family: Family, folds: Sequence[tuple[Problem, Problem]]
) -> tuple[Calibration, dict[str, float]]:
    """Fitted on what each fold's model said of the days after it."""
    steps = len(folds[0][0].edges)
    each = [_scored(family.fit(learn.x, learn.stages()), judge) for learn, judge in folds]
    early, late = each[:-1], each[-1]
    if not early or any(int(c.happened.sum()) < LEAST_IN_FOLD for c in late):
        return calibrate.identity(steps), {}
    joined = early[0]
    for more in early[1:]:
        joined = [a.joined(b) for a, b in zip(joined, more, strict=True)]
    if any(int(c.happened.sum()) < LEAST_IN_FOLD for c in joined):
        return calibrate.identity(steps), {}
    return calibrate.choose(joined, late)


def _scored(scorer: Scorer, judge: Problem) -> list[Scored]:
    z = scorer(judge.x)
    made = []
    for i in range(len(judge.edges)):
        over = judge.complete(i)
        stage = judge.where(over).stages()[i]
        made.append(Scored(z[over, i][stage.rows], stage.happened, stage.weight))
    return made


def _rate(seen: Problem, n: int) -> Floats:
    """float64[n, k]: everybody alike."""
    shares = []
    for step in range(len(seen.edges)):
        happened, weight = seen.outcome(step)
        shares.append(float(np.average(happened, weights=weight)) if weight.sum() > 0 else np.nan)
    return np.tile(shares, (n, 1))


def figures(judged: Problem, answers: Floats) -> dict[str, float]:
    """By step: Brier, PR-AUC, share of events, precision at half the events, calibration error.

    ``brier`` and ``pr_auc_over_rate`` are means over the steps; a step without events is left out.
    Only examples cut early enough for the step to be over; precision, PR-AUC and calibration over
    those whose answer is known.
    """
    found: dict[str, float] = {}
    lifts, scores = [], []
    for step, name in enumerate(judged.names):
        over = judged.complete(step)
        happened, weight = judged.where(over).outcome(step)
        known = weight > 0
        if not happened[known].any():
            continue
        told = answers[over, step]
        y, p = happened[known], told[known]
        found[f"rate_{name}"] = float(y.mean())
        found[f"brier_{name}"] = survival.brier(happened, told, weight)
        found[f"pr_auc_{name}"] = metrics.pr_auc(y, p)
        found[f"precision_at_half_{name}"] = metrics.precision_at_recall(y, p, 0.5)
        found[f"calibration_error_{name}"] = metrics.calibration(y, p).error
        scores.append(found[f"brier_{name}"])
        lifts.append(found[f"pr_auc_{name}"] / found[f"rate_{name}"])
    found["brier"] = float(np.mean(scores)) if scores else float("nan")
    found["pr_auc_over_rate"] = float(np.mean(lifts)) if lifts else float("nan")
    return found


def _importances(model: Model, judged: Problem) -> dict[str, float]:
    """By how much the Brier score rises when one feature is shuffled; shares of 1.

    Source: Breiman, Random Forests, Machine Learning 45 (2001), as Fisher, Rudin & Dominici,
    All models are wrong, but many are useful, JMLR 20 (2019) for any model.
    """
    chance = np.random.default_rng(0)
    if len(judged) > PERMUTED_ROWS:
        judged = judged.where(chance.choice(len(judged), PERMUTED_ROWS, replace=False))

    def wrong(x: Float32) -> float:
        return figures(judged, model(x))["brier"]

    before = wrong(judged.x)
    rises = []
    for i in range(judged.x.shape[1]):
        x = judged.x.copy()
        x[:, i] = chance.permutation(x[:, i])
        rises.append(max(wrong(x) - before, 0.0))
    total = sum(rises) or 1.0
    return {name: rise / total for name, rise in zip(judged.features, rises, strict=True)}
