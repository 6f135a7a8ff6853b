"""Two families that give log odds of several stages: bent lines, and small boosted trees. No choice here.

A stage is a yes-or-no question to some of the rows (``trainer.survival.Stage``); all stages share
the features and become columns of one graph. Which family and how rich is chosen in ``hazard.py``.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.onnx_graph import Graph, line, ramps
from trainer.onnx_trees import Rule, Target, add_ensemble
from trainer.survival import Stage

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Lines = tuple[Floats, Floats]
"""(float64[k] scale, float64[k] shift) of each answer."""

KNOT_LEVELS = (0.3, 0.6, 0.9)
ENDS = (0.005, 0.995)
"""Beyond these quantiles of training a feature counts as being there: nobody knows what follows."""


FAR, GONE = 1e30, -1e37
"""Where every value in a graph ends, and what stands for a missing one: far below."""


@cache
def _threads() -> Any:
    import sklearn.ensemble  # noqa: F401  # its libraries must be loaded to be found
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Fit and predict in one thread: beside other work, threads that wait for each other took fifty
    times as long."""
    made: AbstractContextManager[Any] = _threads().limit(limits=1)
    return made


class Scorer(Protocol):
    """Fitted log odds."""

    def __call__(self, x: Float32) -> Floats:
        """float64[n, k] for float32[n, f]."""
        ...

    def parts(self, lines: Lines, columns: Ints) -> "Parts":
        """What to add up for it in a graph; its feature ``i`` is column ``columns[i]`` there, and each
        of its answers is put through its line."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Pieces of bent lines and trees that add up to ``k`` answers; ``h`` pieces."""

    column: Ints
    """int64[h]: a piece is this column of the input …"""
    weight: Floats
    """float64[h]: … times this …"""
    rest: Floats
    """float64[h]: … plus this, kept between 0 and 1."""
    turn: Floats
    """float64[h, k]: what a piece adds to each answer."""
    targets: list[Target]
    """[k]; without a model it holds only the constant."""


def add_together(
    graph: Graph, x: str, width: int, parts: Sequence[Parts], rules: Sequence[Rule] = ()
) -> str:
    """Append all parts as columns of one float32[n, k1 + k2 + …]; its name. ``x``: float32[n, width].

    At the edge every node costs as much as a hundred numbers: all pieces of bent lines are one node,
    all trees another, and what adds them up takes the trees' answers as its constant.
    """
    targets = [target for part in parts for target in part.targets]
    column, weight, rest = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("column", "weight", "rest")
    )
    trees: str | Floats = np.array([target.base for target in targets])
    if rules or any(target.model is not None for target in targets):
        trees = add_ensemble(graph, x, targets, rules)
        if not len(column):
            return trees
    turn, row, at = np.zeros((len(column), len(targets))), 0, 0
    for part in parts:
        h, k = part.turn.shape
        turn[row : row + h, at : at + k] = part.turn
        row, at = row + h, at + k
    weights = np.zeros((width, len(column)))
    weights[column, np.arange(len(column))] = weight
    finite = graph.node("Clip", x, graph.constant(-FAR), graph.constant(FAR))
    there = graph.node("Where", graph.node("IsNaN", x), graph.constant(GONE), finite)
    return line(graph, ramps(graph, there, weights, rest), turn, trees)


class Family(Protocol):
    """One candidate of the search."""

    @property
    def kind(self) -> str:
        """As the manifest calls it."""
        ...

    @property
    def told(self) -> dict[str, str | float]:
        """Hyper-parameters by name."""
        ...

    def fit(self, x: Float32, stages: Sequence[Stage]) -> Scorer:
        """Every stage must have rows of both answers."""
        ...


# --- bent lines --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bends:
    """x -> basis: each feature within its ends, bent at its knots, and whether it is missing.

    ``f`` features, ``b`` bends, ``m`` features that may be missing.
    """

    low: Float32
    """float32[f]"""
    high: Float32
    """float32[f]"""
    fill: Float32
    """float32[f]: the median stands for what is missing."""
    feature: NDArray[np.int64]
    """int64[b]: which feature each bend is of."""
    knot: Float32
    """float32[b]: the bend is max(x − knot, 0)."""
    scale: Float32
    """float32[b]: it is divided by its spread."""
    missing: NDArray[np.int64]
    """int64[m]"""

    @classmethod
    def of(cls, x: Float32) -> "Bends":
        """Knots at quantiles of what is known."""
        f = x.shape[1]
        low, high, fill = (np.zeros(f, np.float32) for _ in range(3))
        feature: list[int] = []
        knot: list[float] = []
        for i in range(f):
            known = x[:, i][np.isfinite(x[:, i])]
            if not len(known):
                continue
            low[i], fill[i], high[i] = np.quantile(known, [ENDS[0], 0.5, ENDS[1]])
            levels = np.unique(np.quantile(known, KNOT_LEVELS).astype(np.float32))
            inner = levels[(levels > low[i]) & (levels < high[i])]
            if high[i] > low[i]:
                at = [float(low[i]), *inner.tolist()]
                feature += [i] * len(at)
                knot += at
        made = cls(
            low, high, fill, np.array(feature, np.int64), np.array(knot, np.float32),
            np.ones(len(knot), np.float32), np.flatnonzero(np.isnan(x).any(axis=0)),
        )  # fmt: skip
        spread = made(x)[:, : len(knot)].std(axis=0)
        scale = np.where(spread > 1e-9, spread, 1.0).astype(np.float32)
        return cls(low, high, fill, made.feature, made.knot, scale, made.missing)

    def __call__(self, x: Float32) -> Floats:
        """float64[n, b + m]"""
        whole = np.clip(np.where(np.isnan(x), self.fill, x), self.low, self.high)
        over = np.maximum(whole[:, self.feature].astype(np.float64) - self.knot, 0.0) / self.scale
        return np.concatenate([over, np.isnan(x[:, self.missing])], axis=1)


@dataclass(frozen=True, slots=True)
class BentLine:
    """z = intercept + coefficients · bends(x)."""

    bends: Bends
    coefficients: Float32
    """float32[b + m, k]"""
    intercept: Float32
    """float32[k]"""

    def __call__(self, x: Float32) -> Floats:
        """float64[n, k]"""
        return np.asarray(self.bends(x) @ self.coefficients + self.intercept, np.float64)

    def parts(self, lines: Lines, columns: Ints) -> Parts:
        """A bent line is made of level, rising and falling pieces; one more stands for "missing"."""
        pieces, (scale, shift) = self._pieces(), lines
        base = scale * self.intercept + shift
        return Parts(
            columns[pieces.feature], pieces.weight, pieces.rest, pieces.turn * scale,
            [Target(None, shift=float(b)) for b in base],
        )  # fmt: skip

    def _pieces(self) -> "_Pieces":
        bends, b = self.bends, len(self.bends.knot)
        made: list[tuple[int, float, float, Floats]] = []
        for i in range(len(bends.low)):
            mine = np.flatnonzero(bends.feature == i)
            steep = self.coefficients[mine].astype(np.float64) / bends.scale[mine, None]
            slope = np.cumsum(steep, axis=0)
            ends = np.append(bends.knot[mine], bends.high[i]).astype(np.float64)
            for left, right, rises in zip(ends[:-1], ends[1:], slope, strict=True):
                wide = right - left
                made.append((i, 1 / wide, -left / wide, rises * wide))
            over = np.maximum(float(bends.fill[i]) - ends[:-1], 0.0)
            absent = over @ steep
            for at in np.flatnonzero(bends.missing == i):
                absent = absent + self.coefficients[b + at]
            made.append((i, 10.0 / GONE, -1.0, np.asarray(absent, np.float64)))
        feature, weight, rest, turn = zip(*made, strict=True)
        return _Pieces(np.array(feature), np.array(weight), np.array(rest), np.stack(turn))


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Pieces of a bent line, h of them: between 0 and 1 is ``weight * x + rest``."""

    feature: Ints
    weight: Floats
    rest: Floats
    turn: Floats
    """float64[h, k]"""


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression on bent features, ridge ``1 / (2 c)``.

    Source of the basis: linear splines, Harrell, Regression Modeling Strategies (2015), section 2.4.
    """

    c: float
    kind: str = "logistic_splines"

    @property
    def told(self) -> dict[str, str | float]:
        """Hyper-parameters."""
        return {"c": self.c}

    def fit(self, x: Float32, stages: Sequence[Stage]) -> BentLine:
        """A line a stage, the bends shared."""
        from sklearn.linear_model import LogisticRegression

        bends = Bends.of(x)
        basis = bends(x)
        lines = []
        with one_thread():
            for stage in stages:
                # Bends of one feature resemble each other: without second derivatives it takes forever.
                line = LogisticRegression(C=self.c, solver="newton-cholesky", max_iter=50, tol=1e-4)
                line.fit(basis[stage.rows], stage.happened, stage.weight)
                lines.append((line.coef_[0], line.intercept_[0]))
        coefficients, intercept = (np.array(part) for part in zip(*lines, strict=True))
        return BentLine(bends, coefficients.T.astype(np.float32), intercept.astype(np.float32))


# --- boosted trees -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trees:
    """Boosted trees, a model a stage."""

    models: list[Any]

    def __call__(self, x: Float32) -> Floats:
        """float64[n, k]"""
        with one_thread():
            return np.stack([model.decision_function(x) for model in self.models], axis=1)

    def parts(self, lines: Lines, columns: Ints) -> Parts:
        """A target a model; no pieces."""
        targets = [
            Target(model, columns.tolist(), float(scale), float(shift))
            for model, scale, shift in zip(self.models, *lines, strict=True)
        ]
        none = np.zeros(0)
        return Parts(none.astype(np.int64), none, none, np.zeros((0, len(targets))), targets)


@dataclass(frozen=True, slots=True)
class Boosting:
    """scikit-learn's histogram gradient boosting, small enough for microseconds at the edge."""

    trees: int
    leaves: int
    rate: float = 0.1
    least_rows: int = 40
    ridge: float = 5.0
    kind: str = "gradient_boosting"

    @property
    def told(self) -> dict[str, str | float]:
        """Hyper-parameters."""
        return {"trees": self.trees, "leaves": self.leaves, "learning_rate": self.rate,
                "min_rows_in_leaf": self.least_rows, "ridge": self.ridge}  # fmt: skip

    def fit(self, x: Float32, stages: Sequence[Stage]) -> Trees:
        """A model a stage."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        models = []
        with one_thread():
            for stage in stages:
                model = HistGradientBoostingClassifier(
                    max_iter=self.trees,
                    max_leaf_nodes=self.leaves,
                    learning_rate=self.rate,
                    min_samples_leaf=self.least_rows,
                    l2_regularization=self.ridge,
                    early_stopping=False,
                    random_state=0,
                )
                weight = stage.weight / stage.weight.mean()
                models.append(model.fit(x[stage.rows], stage.happened, sample_weight=weight))
        return Trees(models)


# --- some of the features ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PickedScorer:
    """A scorer that sees some columns only."""

    scorer: Scorer
    columns: tuple[int, ...]

    def __call__(self, x: Float32) -> Floats:
        """float64[n, k]"""
        return self.scorer(x[:, self.columns])

    def parts(self, lines: Lines, columns: Ints) -> Parts:
        """Its columns of those."""
        return self.scorer.parts(lines, columns[list(self.columns)])


@dataclass(frozen=True, slots=True)
class Picked:
    """A family on some columns: what the rest would tell may not hold tomorrow."""

    family: Family
    columns: tuple[int, ...]
    left_out: str

    @property
    def kind(self) -> str:
        """The family's."""
        return self.family.kind

    @property
    def told(self) -> dict[str, str | float]:
        """The family's, and what is left out."""
        return {**self.family.told, "left_out": self.left_out}

    def fit(self, x: Float32, stages: Sequence[Stage]) -> PickedScorer:
        """On the columns."""
        return PickedScorer(self.family.fit(x[:, self.columns], stages), self.columns)
