"""A model's log odds -> log odds that mean what they say: as often as told, it happens. No models.

Chosen by Brier score on later rows among: leave as it is, two constants (Platt), three constants
(beta), a table (isotonic). All work on hazards, column by column (``trainer.survival.stages``), so
that probabilities within 7, 14 and 30 days made of them still rise with the horizon.

Sources: Platt, Probabilistic outputs for support vector machines (1999); Kull, Silva Filho & Flach,
Beta calibration, AISTATS (2017); Zadrozny & Elkan, Transforming classifier scores into accurate
multiclass probability estimates, KDD (2002); centred blocks: Oron & Flournoy, Centered isotonic
regression, Statistics in Biopharmaceutical Research 9 (2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.onnx_graph import Graph, line, ramps

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Kind = Literal["identity", "platt", "beta", "isotonic"]
KINDS: tuple[Kind, ...] = ("identity", "platt", "beta", "isotonic")

KNOTS_MAX = 32
LEAST_ROWS = 200
"""A table has no block of fewer rows."""
WIDEST = 12.0
"""Log odds end here, 6 in a million, before they are bent; what says more is no better founded."""
PRIOR = 4.0
"""Strength of the pull towards leaving the scores as they are, in units of squared constants."""
MARGIN = 0.002
"""A richer kind must lower the Brier score by this share before it is taken."""


def probability(z: Floats) -> Floats:
    """Of log odds; without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)), np.float64)


def log_odds(p: Floats) -> Floats:
    """Of probabilities, within ``WIDEST``."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.log(p) - np.log1p(-p), -WIDEST, WIDEST), np.float64)


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one column beside what happened; all of length n."""

    z: Floats
    """Log odds as the model gave them."""
    happened: Mask
    weight: Floats

    def joined(self, other: "Scored") -> "Scored":
        """The rows of both."""
        return Scored(
            np.concatenate([self.z, other.z]),
            np.concatenate([self.happened, other.happened]),
            np.concatenate([self.weight, other.weight]),
        )

    def brier(self, z: Floats) -> float:
        """Of other log odds for the same rows."""
        return float(np.average((probability(z) - self.happened) ** 2, weights=self.weight))


@dataclass(frozen=True, slots=True)
class Calibration:
    """z -> z' for ``k`` columns, each rising (never falling) in its own z."""

    kind: Kind
    constants: Floats
    """float64[k, 3]: a, b, c of a·ln p − b·ln(1 − p) + c; Platt: a = b; identity: 1, 1, 0."""
    knots: Floats
    """float64[k, m]: z where a table bends; m = 0 without a table. Open ends are level."""
    heights: Floats
    """float64[k, m]: z' there."""

    def __call__(self, z: Floats) -> Floats:
        """float64[n, k] for float64[n, k]."""
        if (told := self.lines) is not None:
            return np.asarray(told[0] * z + told[1], np.float64)
        z = np.clip(z, -WIDEST, WIDEST)
        if self.kind == "isotonic":
            columns = zip(z.T, self.knots, self.heights, strict=True)
            return np.stack([np.interp(one, at, to) for one, at, to in columns], axis=1)
        a, b, c = self.constants.T
        return np.asarray(a * -np.logaddexp(0, -z) + b * np.logaddexp(0, z) + c, np.float64)

    @property
    def lines(self) -> tuple[Floats, Floats] | None:
        """(float64[k] slope, float64[k] shift) where it is a line in z, else ``None``.

        A line has no ends of its own: it goes into the weights of what makes z.
        """
        a, b, c = self.constants.T
        return (a, c) if self.kind != "isotonic" and (a == b).all() else None

    def add(self, graph: Graph, z: str) -> str:
        """Append the nodes; the name of float32[n, k]."""
        if self.kind == "isotonic":
            return self._table(graph, z)
        if (told := self.lines) is not None:
            return line(graph, z, np.diag(told[0]), told[1])
        z = graph.node("Clip", z, graph.constant(-WIDEST), graph.constant(WIDEST))
        a, b, c = self.constants.T
        k = len(a)
        both = graph.node("Softplus", line(graph, z, np.hstack([np.eye(k), -np.eye(k)])))
        return line(graph, both, np.vstack([np.diag(b), -np.diag(a)]), c)

    def _table(self, graph: Graph, z: str) -> str:
        """A sum of what z has gone of each piece, times its rise; beyond the ends it is level."""
        k, pieces = len(self.knots), self.knots.shape[1] - 1
        if pieces < 1:
            return line(graph, z, np.zeros((k, k)), self.heights[:, 0])
        left, right = self.knots[:, :-1], self.knots[:, 1:]
        wide = np.maximum(right - left, 1e-9)
        rise = np.where(right > left, np.diff(self.heights), 0.0)
        wide = np.where(right > left, wide, 1.0)
        own = np.eye(k).repeat(pieces, axis=1)
        gone = ramps(graph, z, own / wide.ravel(), -(left / wide).ravel())
        return line(graph, gone, (own * rise.ravel()).T, self.heights[:, 0])


def identity(columns: int) -> Calibration:
    """Leave the scores as they are."""
    none = np.zeros((columns, 0))
    return Calibration("identity", np.tile([1.0, 1.0, 0.0], (columns, 1)), none, none)


def fit(kind: Kind, columns: Sequence[Scored]) -> Calibration:
    """One kind for all columns."""
    plain = identity(len(columns))
    if kind == "identity":
        return plain
    if kind == "isotonic":
        tables = [_blocks(column) for column in columns]
        size = max(len(at) for at, _ in tables)
        padded = [[np.pad(part, (0, size - len(part)), "edge") for part in t] for t in tables]
        knots, heights = (np.stack(parts) for parts in zip(*padded, strict=True))
        return Calibration(kind, plain.constants, knots, heights)
    found = np.stack([_constants(column, kind == "platt") for column in columns])
    return Calibration(kind, found, plain.knots, plain.heights)


def choose(early: Sequence[Scored], late: Sequence[Scored]) -> tuple[Calibration, dict[str, float]]:
    """(the kind that does best on later rows, fitted on all; kind -> Brier score on later rows).

    A richer kind is taken only where it is better by ``MARGIN``.
    """
    scores: dict[str, float] = {}
    best: Kind = "identity"
    for kind in KINDS:
        made = fit(kind, early)
        scores[kind] = _brier(made, late)
        if scores[kind] < scores[best] * (1.0 - MARGIN):
            best = kind
    both = [first.joined(second) for first, second in zip(early, late, strict=True)]
    return fit(best, both), scores


def _brier(made: Calibration, columns: Sequence[Scored]) -> float:
    total = 0.0
    for i, column in enumerate(columns):
        z = np.zeros((len(column.z), len(columns)))
        z[:, i] = column.z
        total += column.brier(made(z)[:, i])
    return total / len(columns)


def _constants(column: Scored, line: bool) -> Floats:
    """a, b, c by Newton's method, pulled towards 1, 1, 0; a and b are not below 0."""
    z = np.clip(column.z, -WIDEST, WIDEST)
    basis = [-np.logaddexp(0, -z), np.logaddexp(0, z), np.ones_like(z)]
    if line:
        basis = [basis[0] + basis[1], basis[2]]
    x = np.stack(basis, axis=1)
    target = np.array([1.0] * (x.shape[1] - 1) + [0.0])
    free = np.ones(len(target), np.bool_)
    while True:
        found = _newton(x, column, target, free)
        below = free & (found < 0)
        below[-1] = False
        if not below.any():
            break
        free &= ~below
    return np.array([found[0], found[0], found[1]]) if line else found


def _newton(x: Floats, column: Scored, target: Floats, free: Mask) -> Floats:
    """Weighted logistic regression with a Gaussian prior round ``target``; what is not free is 0."""

    def loss(constants: Floats) -> float:
        z = x @ constants
        wrong = np.logaddexp(0, z) - column.happened * z
        pull = 0.5 * PRIOR * float(((constants - target)[free] ** 2).sum())
        return float(column.weight @ wrong) + pull

    found = np.where(free, target, 0.0)
    chosen = x[:, free]
    for _ in range(50):
        p = probability(x @ found)
        slope = chosen.T @ (column.weight * (column.happened - p))
        slope -= PRIOR * (found - target)[free]
        bend = (chosen * (column.weight * p * (1 - p))[:, None]).T @ chosen
        step = np.zeros(len(found))
        step[free] = np.linalg.solve(bend + PRIOR * np.eye(len(bend)), slope)
        before = loss(found)
        while loss(found + step) > before and np.abs(step).max() > 1e-8:
            step *= 0.5  # too far: the loss is convex, so a shorter step the same way is better
        found = found + step
        if np.abs(step).max() < 1e-7:
            break
    return found


def _blocks(column: Scored) -> tuple[Floats, Floats]:
    """Centres of pooled blocks: (z, log odds of the share that happened), both rising."""
    from sklearn.isotonic import IsotonicRegression

    z = np.clip(column.z, -WIDEST, WIDEST)
    level = IsotonicRegression().fit(z, column.happened, column.weight).predict(z)
    order = np.argsort(z, kind="stable")
    _, number = np.unique(level[order], return_inverse=True)
    least = max(LEAST_ROWS, -(-len(z) // KNOTS_MAX))
    ends = [0]
    for end in np.flatnonzero(np.diff(number, append=-1) != 0).tolist():
        if end + 1 - ends[-1] >= least:
            ends.append(end + 1)
    ends = [*ends[:-1], len(z)] if len(ends) > 1 else [0, len(z)]
    at, to = [], []
    for start, end in pairwise(ends):
        rows = order[start:end]
        weight = column.weight[rows]
        at.append(float(np.average(z[rows], weights=weight)))
        share = (float(weight @ column.happened[rows]) + 0.5) / (float(weight.sum()) + 1.0)
        to.append(share)
    knots, heights = np.array(at), np.maximum.accumulate(np.array(to))
    apart = np.diff(knots, prepend=-np.inf) > 1e-3
    return knots[apart], log_odds(heights[apart])
