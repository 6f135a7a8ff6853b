"""Forecasts of items, categories and stores out of those of classes, so that they add up.

Means add exactly. Quantiles of a sum do not add: distances from the mean are joined with a
small correlation between classes: the truth lies between adding (all alike) and the root of squares
(each its own). No fitting here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALIKE = 0.15
"""Correlation of two classes' errors taken for granted; 0: each its own, 1: all alike."""


def rolled_up(
    mean: Floats, quantiles: Floats, labels: Sequence[str], alike: float = ALIKE
) -> tuple[list[str], Floats, Floats]:
    """Labels in order, mean float64[g, h] and quantiles float64[g, h, q] of the sums by label.

    ``mean`` is [k, h], ``quantiles`` [k, h, q], ``labels`` [k].
    """
    names = sorted(set(labels))
    place = {name: i for i, name in enumerate(names)}
    onto = np.zeros((len(names), len(labels)))
    onto[[place[label] for label in labels], np.arange(len(labels))] = 1.0
    total = onto @ mean
    gap = quantiles - mean[..., None]
    added = np.einsum("gk,khq->ghq", onto, gap)
    squares = np.einsum("gk,khq->ghq", onto, gap**2)
    sign = np.sign(added)
    joined = np.sqrt(alike * added**2 + (1 - alike) * squares)
    return names, total, np.sort(np.maximum(total[..., None] + sign * joined, 0), axis=2)


def shared_out(class_mean: Floats, share: Floats) -> Floats:
    """float64[i, h]: a class's mean [h] to its items by ``share`` [i], adding up to the class's."""
    whole = share.sum()
    part = share / whole if whole > 0 else np.full(len(share), 1 / max(len(share), 1))
    return np.asarray(part[:, None] * class_mean[None])
