"""How wrong a forecast or a probability is: one function a figure. No models, no files, no verdicts.

Errors of forecasts come back one a series: arrays are float[…, h] with the horizon last, what stands
before it is kept. An actual that is NaN is not counted; where nothing counts, or a scale is 0, the
answer is NaN. Probabilities of events are flat: float[n] beside bool[n].

``quantiles`` is float[…, h, q], its levels in ``levels``, as in ``Fitted.forecast``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)


def mean_known(values: Floats, axis: int | tuple[int, ...] | None = None) -> Floats:
    """Mean over what is not NaN, NaN where nothing is known; without a warning.

    >>> mean_known(np.array([[1.0, np.nan], [np.nan, np.nan]]), axis=1).tolist()
    [1.0, nan]
    """
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return _ratio(total, count)


def _ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    """Quotient, NaN where the divisor is 0 or NaN."""
    a, b = np.broadcast_arrays(_floats(above), _floats(below))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b != 0, a / np.where(b != 0, b, 1.0), np.nan)


# -- forecasts of a number --------------------------------------------------------------------------


def mae(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """Mean absolute error, the unit of the actual.

    >>> float(mae([1.0, 2.0], [2.0, 4.0]))
    1.5
    """
    return mean_known(np.abs(_floats(actual) - _floats(forecast)), axis=-1)


def bias(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """Mean of forecast − actual: positive where too much was foretold.

    >>> float(bias([1.0, 2.0], [2.0, 4.0]))
    1.5
    """
    return mean_known(_floats(forecast) - _floats(actual), axis=-1)


def rmse(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """Root of the mean squared error, the unit of the actual."""
    return np.sqrt(mean_known((_floats(actual) - _floats(forecast)) ** 2, axis=-1))


def wape(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """Sum of absolute errors over sum of absolute actuals, a share of 1.

    Source: Kolassa & Schütz, Advantages of the MAD/MEAN ratio over the MAPE, Foresight 6 (2007).

    >>> float(wape([1.0, 3.0], [2.0, 3.0]))
    0.25
    """
    a, f = np.broadcast_arrays(_floats(actual), _floats(forecast))
    known = ~np.isnan(a) & ~np.isnan(f)
    errors = np.where(known, np.abs(a - f), 0.0).sum(axis=-1)
    return _ratio(errors, np.where(known, np.abs(a), 0.0).sum(axis=-1))


def accuracy(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """1 − WAPE: what the product calls the accuracy of a forecast; below 0 for a useless one."""
    return 1.0 - wape(actual, forecast)


def smape(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """Mean of 200 |a − f| / (|a| + |f|), percent; 0 where both are 0.

    Source: Makridakis, Spiliotis & Assimakopoulos, The M4 Competition, IJF 36 (2020), section 2.3.

    >>> round(float(smape([100.0], [110.0])), 3)
    9.524
    """
    a, f = np.broadcast_arrays(_floats(actual), _floats(forecast))
    apart = np.abs(a - f)
    shares = np.where(apart == 0, 0.0, _ratio(apart, np.abs(a) + np.abs(f)))
    return 200.0 * mean_known(np.where(np.isnan(apart), np.nan, shares), axis=-1)


def difference_scale(history: ArrayLike, lag: int = 1, power: int = 1) -> Floats:
    """Mean of |y[t] − y[t − lag]|^power over a history float[…, d], from its first value not 0 on.

    The denominator of MASE (lag = season, power 1), of the scaled pinball loss (lag 1, power 1) and
    of RMSSE (lag 1, power 2). Days before the first sale and unknown days do not count.
    Source: Hyndman & Koehler, Another look at measures of forecast accuracy, IJF 22 (2006); from the
    first sale on: Makridakis et al., The M5 accuracy competition, IJF 38 (2022).

    >>> float(difference_scale([0.0, 0.0, 1.0, 3.0]))
    2.0
    """
    assert lag >= 1, lag
    y = _floats(history)
    begun = np.maximum.accumulate(np.nan_to_num(y) != 0, axis=-1)
    steps = np.abs(y[..., lag:] - y[..., :-lag]) ** power
    return mean_known(np.where(begun[..., :-lag], steps, np.nan), axis=-1)


def mase(actual: ArrayLike, forecast: ArrayLike, scale: ArrayLike) -> Floats:
    """Mean absolute error over ``scale`` (:func:`difference_scale` with lag = season).

    Source: Hyndman & Koehler (2006).
    """
    return _ratio(mae(actual, forecast), scale)


def rmsse(actual: ArrayLike, forecast: ArrayLike, scale: ArrayLike) -> Floats:
    """Root of mean squared error over ``scale`` (:func:`difference_scale`, lag 1, power 2).

    Source: Makridakis et al., The M5 accuracy competition, IJF 38 (2022), equation 1.
    """
    squares = mean_known((_floats(actual) - _floats(forecast)) ** 2, axis=-1)
    return np.sqrt(_ratio(squares, scale))


def owa(smape_: float, mase_: float, naive2_smape: float, naive2_mase: float) -> float:
    """M4's overall weighted average: the mean of both errors relative to Naive2's.

    Source: Makridakis, Spiliotis & Assimakopoulos (2020), section 2.3.

    >>> owa(10.0, 1.0, 20.0, 2.0)
    0.5
    """
    return (smape_ / naive2_smape + mase_ / naive2_mase) / 2.0


# -- quantiles and intervals ------------------------------------------------------------------------


def pinball_losses(actual: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> Floats:
    """Loss of every single quantile, float[…, h, q]: max(p (y − q), (p − 1) (y − q)).

    Source: Koenker & Bassett, Regression Quantiles, Econometrica 46 (1978).
    """
    p = _floats(levels)
    apart = _floats(actual)[..., None] - _floats(quantiles)
    assert apart.shape[-1] == len(p), (apart.shape, len(p))
    return np.maximum(p * apart, (p - 1.0) * apart)


def pinball(actual: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> Floats:
    """Mean pinball loss over horizon and levels, the unit of the actual.

    >>> float(pinball([10.0], [[8.0]], [0.9]))
    1.8
    """
    return mean_known(pinball_losses(actual, quantiles, levels), axis=(-2, -1))


def coverage(actual: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> Floats:
    """Share of actuals from ``lower`` to ``upper``, both included.

    >>> float(coverage([1.0, 5.0], [1.0, 1.0], [2.0, 2.0]))
    0.5
    """
    a = _floats(actual)
    inside = (a >= _floats(lower)) & (a <= _floats(upper))
    return mean_known(np.where(np.isnan(a), np.nan, inside), axis=-1)


def interval_score(
    actual: ArrayLike, lower: ArrayLike, upper: ArrayLike, level: float = 0.8
) -> Floats:
    """Winkler's score of a central interval: its width, and 2 / (1 − level) times what it missed by.

    Source: Gneiting & Raftery, Strictly Proper Scoring Rules, JASA 102 (2007), section 6.2.

    >>> float(interval_score([5.0], [0.0], [4.0], 0.5))
    8.0
    """
    assert 0.0 < level < 1.0, level
    a, low, high = _floats(actual), _floats(lower), _floats(upper)
    missed = np.maximum(low - a, 0.0) + np.maximum(a - high, 0.0)
    return mean_known((high - low) + 2.0 / (1.0 - level) * missed, axis=-1)


# -- probabilities ----------------------------------------------------------------------------------


def brier(happened: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared difference of probability and outcome.

    Source: Brier, Verification of forecasts expressed in terms of probability, MWR 78 (1950).

    >>> brier([True, False], [0.8, 0.4])
    0.1
    """
    return round(float(np.mean((_floats(probability) - _floats(happened)) ** 2)), 12)


def precision_recall(happened: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """(precision, recall, threshold) at every distinct score, the highest first.

    At threshold t everything with score ≥ t is called. Raises AssertionError when nothing happened.
    """
    y, s = np.asarray(happened, dtype=bool), _floats(score)
    assert y.shape == s.shape, (y.shape, s.shape)
    assert y.any(), "nothing happened: precision and recall say nothing"
    order = np.argsort(-s, kind="stable")
    y, s = y[order], s[order]
    last = np.append(s[1:] != s[:-1], True)
    hits = np.cumsum(y)[last]
    called = np.flatnonzero(last) + 1
    return hits / called, hits / y.sum(), s[last]


def pr_auc(happened: ArrayLike, score: ArrayLike) -> float:
    """Average precision: precision weighted by the gain of recall, ties taken together.

    Source: Davis & Goadrich, The relationship between precision-recall and ROC curves, ICML (2006):
    no straight line between points, which would flatter.

    >>> pr_auc([True, False], [0.9, 0.1])
    1.0
    """
    precision, recall, _ = precision_recall(happened, score)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def precision_at_recall(happened: ArrayLike, score: ArrayLike, recall: float) -> float:
    """Best precision among thresholds that find at least this share of what happened."""
    found, share, _ = precision_recall(happened, score)
    return float(found[share >= recall - 1e-12].max())


def recall_at_precision(happened: ArrayLike, score: ArrayLike, precision: float) -> float:
    """Largest share of what happened that a threshold of at least this precision finds; else 0."""
    found, share, _ = precision_recall(happened, score)
    return float(share[found >= precision - 1e-12].max(initial=0.0))


def f1(happened: ArrayLike, called: ArrayLike) -> float:
    """Harmonic mean of precision and recall of calls already made; 0 where no call was right.

    Source: van Rijsbergen, Information Retrieval (1979).

    >>> f1([True, True, False], [True, False, False])
    0.6666666666666666
    """
    y, c = np.asarray(happened, dtype=bool), np.asarray(called, dtype=bool)
    wrong = int((y != c).sum())
    hits = int((y & c).sum())
    return 2 * hits / (2 * hits + wrong) if hits else 0.0


def best_f1(happened: ArrayLike, score: ArrayLike) -> tuple[float, float]:
    """(F1, threshold) of the best threshold: to choose one on training rows, never to report."""
    precision, recall, threshold = precision_recall(happened, score)
    both = _ratio(2 * precision * recall, precision + recall)
    best = int(np.nanargmax(np.nan_to_num(both)))
    return float(np.nan_to_num(both)[best]), float(threshold[best])


@dataclass(frozen=True, slots=True)
class Bins:
    """Calibration bins; all float64[b] or int64[b], empty bins left out."""

    predicted: Floats
    """Mean probability in the bin."""
    observed: Floats
    """Share of its rows in which it happened."""
    rows: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of both, weighted by rows.

        Source: Naeini, Cooper & Hauskrecht, Obtaining well calibrated probabilities, AAAI (2015).
        """
        return float(np.sum(np.abs(self.predicted - self.observed) * self.rows) / self.rows.sum())

    def triples(self) -> list[tuple[float, float, int]]:
        """As a manifest's ``calibration`` holds them."""
        return [
            (float(p), float(o), int(n))
            for p, o, n in zip(self.predicted, self.observed, self.rows, strict=True)
        ]


def calibration(happened: ArrayLike, probability: ArrayLike, bins: int = 10) -> Bins:
    """Bins of about equal rows; equal probabilities are never torn apart.

    Equal rows and not equal widths: failures are rare, and nearly all probabilities are small.
    """
    y, p = _floats(happened), _floats(probability)
    assert y.shape == p.shape, (y.shape, p.shape)
    assert len(y) > 0, "no rows"
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    which = np.searchsorted(edges, p, side="left")
    rows = np.bincount(which, minlength=len(edges) + 1)
    kept = rows > 0
    return Bins(
        (np.bincount(which, p, len(rows))[kept]) / rows[kept],
        (np.bincount(which, y, len(rows))[kept]) / rows[kept],
        rows[kept].astype(np.int64),
    )


def quantile_calibration(
    actual: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]
) -> list[tuple[float, float, int]]:
    """(level, share of actuals at or below that quantile, rows), a triple a level."""
    a = _floats(actual)[..., None]
    below = np.where(np.isnan(a), np.nan, a <= _floats(quantiles))
    shares = mean_known(below, axis=tuple(range(below.ndim - 1)))
    rows = int((~np.isnan(a)).sum())
    return [(float(p), float(s), rows) for p, s in zip(levels, shares, strict=True)]


# -- kinds of series --------------------------------------------------------------------------------

KINDS = ("smooth", "erratic", "intermittent", "lumpy")
ADI_CUT = 1.32
CV2_CUT = 0.49


def kinds(history: ArrayLike) -> NDArray[np.int64]:
    """Index into :data:`KINDS` of each series of float[k, d]; without any demand: intermittent.

    ADI: days known, from the first sale on, per day with demand; CV²: squared coefficient of
    variation of demand on days with demand.
    Source: Syntetos, Boylan & Croston, On the categorization of demand patterns, JORS 56 (2005).
    """
    y = _floats(history)
    begun = np.maximum.accumulate(np.nan_to_num(y) != 0, axis=1)
    known = begun & ~np.isnan(y)
    sold = known & (y > 0)
    adi = _ratio(known.sum(axis=1), sold.sum(axis=1))
    sizes = np.where(sold, y, np.nan)
    mean = mean_known(sizes, axis=1)
    cv2 = _ratio(mean_known((sizes - mean[:, None]) ** 2, axis=1), mean**2)
    rare = ~(adi < ADI_CUT)
    varied = np.nan_to_num(cv2) >= CV2_CUT
    return (2 * rare + varied).astype(np.int64)
