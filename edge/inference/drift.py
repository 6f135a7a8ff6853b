"""Has what a model sees, or says, moved away from its training? Pure: counts in, p-values out.

Not an alert and not a retrain: it says how surprising today's values would be if nothing had moved.

A training sample is kept as counts in at most 20 bins, edges at its own quantiles; live values are
counted into the same bins. Three questions, each a two-sample test that is right at any sample size
and with any ties, because it is conditional on the pooled counts: has the level moved (linear rank
statistic with midrank scores: Wilcoxon 1945, with ties), has the spread (Mood 1954, squared
distance from the middle rank), has the share of missing values (Fisher's exact setting, as a rank
statistic of two bins)? Where every bin is well filled the statistic is normal; where it is not, its
distribution is drawn. The smallest p-value counts three times (Bonferroni), and the features of one
model are corrected together (Holm 1979), so that a model that has not moved is called moved in at
most ``ALPHA`` of all looks, whatever the number of its features.

It assumes one value an entity and look. Values of the same entity on following days resemble each
other: look once a day, and not at the sum of many days.
"""

import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]
Counts = NDArray[np.int64]

ALPHA = 0.01
BINS_MAX = 20
LEAST = 50
"""Fewer live values than this say nothing."""
_WELL_FILLED = 25.0
"""Expected count beside the fullest bin, in the smaller sample, from which on the statistic is
normal far into the tail."""
_DRAWS = 20_000
_MANY = 10**8
_SEED = 0x1F1D3


class Bins(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts of a sample: bin i holds ``edges[i-1] < value <= edges[i]``; the last is open."""

    edges: list[float]
    counts: list[int]
    missing: int


class Moved(Struct, frozen=True, kw_only=True):
    """What one look says about one feature or output column."""

    name: str
    """Feature or output column."""
    n: int
    """Rows looked at."""
    p_value: float
    """Of the strongest of the three questions, corrected for there being three."""
    what: str
    """``level`` where that has moved, else the strongest: ``spread`` or ``missing``."""
    shift: float
    """How far, in shares of the training sample passed: -0.5 … 0.5; 0.1 moves the median to the
    training sample's 60 % quantile."""
    drifted: bool
    """After correction for all features looked at together."""


def bins_of(values: Floats, most: int = BINS_MAX) -> Bins:
    """A training sample float[n] as counts; what is no finite number is missing (JSON has no word
    for infinity). Edges at its quantiles, ties whole.

    >>> bins_of(np.array([0, 0, 0, 1, 2, np.nan]), 3)
    Bins(edges=[0.0, 1.0], counts=[3, 1, 1], missing=1)
    """
    known = np.asarray(values, np.float64)
    known = np.sort(known[np.isfinite(known)])
    edges: list[float] = []
    if len(known):
        levels = np.arange(1, most) / most
        picked = np.unique(known[np.ceil(levels * len(known)).astype(np.int64) - 1])
        edges = picked[picked < known[-1]].tolist()
    counts = _counted(edges, known)
    return Bins(edges=edges, counts=counts.tolist(), missing=len(values) - len(known))


def count(bins: Bins, values: Floats) -> tuple[Counts, int]:
    """Live values float[n] in the bins of a training sample: (int64[k], missing)."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return _counted(bins.edges, known), len(values) - len(known)


def _counted(edges: list[float], known: NDArray[np.float64]) -> Counts:
    at = np.searchsorted(np.asarray(edges, np.float64), known, side="left")
    return np.bincount(at, minlength=len(edges) + 1).astype(np.int64)


def look(reference: Mapping[str, Bins], live: Mapping[str, Floats]) -> list[Moved]:
    """One look at every name in both; the most surprising first. Names with few values are left out.

    ``live`` has one value an entity, float[n] each.
    """
    found = []
    for name, bins in reference.items():
        values = live.get(name)
        if values is None or len(values) < LEAST or sum(bins.counts) + bins.missing < LEAST:
            continue
        found.append(_asked(name, bins, values))
    found.sort(key=lambda moved: moved.p_value)
    return _together(found)


def _together(found: list[Moved]) -> list[Moved]:
    """Holm's step-down correction."""
    out, still = [], True
    for i, moved in enumerate(found):
        still = still and moved.p_value <= ALPHA / (len(found) - i)
        out.append(
            Moved(
                name=moved.name,
                n=moved.n,
                p_value=moved.p_value,
                what=moved.what,
                shift=moved.shift,
                drifted=still,
            )
        )
    return out


def _asked(name: str, bins: Bins, values: Floats) -> Moved:
    live, missing = count(bins, values)
    trained = np.asarray(bins.counts, np.int64)
    ranks = _midranks(trained + live)
    middle = ranks - 0.5
    questions = {
        "level": _p_value(trained, live, ranks),
        "spread": _p_value(trained, live, middle * middle),
        "missing": _p_value(
            np.array([trained.sum(), bins.missing]),
            np.array([live.sum(), missing]),
            np.array([0.0, 1.0]),
        ),
    }
    strongest = min(questions, key=questions.__getitem__)
    # a level that moved far moves the spread about the old middle too: people hear of the level
    what = "level" if questions["level"] <= ALPHA / 10 else strongest
    return Moved(
        name=name,
        n=len(values),
        p_value=min(1.0, len(questions) * questions[strongest]),
        what=what,
        shift=_shift(trained, live),
        drifted=False,
    )


def _midranks(pooled: Counts) -> NDArray[np.float64]:
    """Score of each bin: the share of the pooled sample below its middle, 0 … 1."""
    total = max(int(pooled.sum()), 1)
    return np.asarray((np.cumsum(pooled) - pooled / 2) / total, np.float64)


def _shift(trained: Counts, live: Counts) -> float:
    """Probability that a live value exceeds a training value, ties half, less a half."""
    if not trained.sum() or not live.sum():
        return 0.0
    return float((_midranks(trained) * live).sum() / live.sum() - 0.5)


def _p_value(trained: Counts, live: Counts, scores: NDArray[np.float64]) -> float:
    """Two-sided p-value of the live sample's score sum, given the pooled counts.

    Under the null the live sample is drawn from the pooled counts without replacement: mean and
    variance of its score sum are exact (Lehmann, Nonparametrics, 1975, appendix).
    """
    pooled = trained + live
    total, n = int(pooled.sum()), int(live.sum())
    if not n or n == total or total < 2:
        return 1.0
    mean = float((scores * pooled).sum()) / total
    spread = float((pooled * (scores - mean) ** 2).sum())
    variance = n * (total - n) / (total * (total - 1)) * spread
    if variance <= 1e-12 * total:
        return 1.0
    seen = float((scores * live).sum()) - n * mean
    beside = min(n, total - n) * (1 - float(pooled.max()) / total)
    if beside < _WELL_FILLED:
        return _drawn(pooled, n, scores, mean, abs(seen))
    return math.erfc(abs(seen) / math.sqrt(2 * variance))


def _drawn(pooled: Counts, n: int, scores: NDArray[np.float64], mean: float, seen: float) -> float:
    """The same p-value by drawing; never below 1 / ``_DRAWS``. The seed is fixed: no two answers."""
    chance = np.random.default_rng(_SEED)
    if int(pooled.sum()) >= _MANY:  # beyond what can be drawn without replacement
        draws = chance.multinomial(n, pooled / pooled.sum(), _DRAWS)
    else:
        draws = chance.multivariate_hypergeometric(pooled, n, _DRAWS, method="marginals")
    sums = np.abs(draws @ scores - n * mean)
    return float((1 + np.count_nonzero(sums >= seen - 1e-9)) / (1 + _DRAWS))
