"""Yardsticks: fixed windows and SMURF as published, and the counting of errors. Not shipped.

A peer is told, for one tag in one zone, in which epochs it was read, and answers for each epoch
whether it believes the tag present, without looking ahead.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Seen = NDArray[np.bool_]


def fixed_window(seen: Seen, window: int) -> Seen:
    """Present if read in the last ``window`` epochs; bool[epochs, pairs] -> the same shape."""
    epochs = len(seen)
    index = np.arange(epochs)[:, None]
    last = np.maximum.accumulate(np.where(seen, index, -window), axis=0)
    believed: Seen = index - last < window
    return believed


def smurf(hits: NDArray[np.int64], rounds: int, delta: float = 0.05) -> Seen:
    """SMURF's adaptive per-tag window: rounds that saw the tag, int[epochs] -> bool[epochs].

    Algorithm 1 of Jeffery, Garofalakis and Franklin, "Adaptive Cleaning for RFID Data Streams",
    VLDB 2006: the window grows to hold ``ln(1/delta) / p`` epochs, and is halved when the epochs
    read in it are more than two standard deviations from what its average rate predicts. The rate
    of an epoch is the share of its interrogation rounds that saw the tag, averaged over the
    epochs in which it was seen.
    """
    believed = np.zeros(len(hits), np.bool_)
    window = 1
    for epoch in range(len(hits)):
        inside = hits[max(0, epoch + 1 - window) : epoch + 1]
        inside = inside[inside > 0]
        if not len(inside):
            window = 1
            continue
        believed[epoch] = True
        rate = float(inside.mean()) / rounds
        wanted = math.ceil(math.log(1 / delta) / rate)
        surprise = abs(len(inside) - window * rate)
        if wanted > window:
            window = max(min(window + 2, wanted), 1)
        elif surprise > 2 * math.sqrt(window * rate * (1 - rate)):
            window = max(min(window // 2, wanted), 1)
    return believed


class Score(NamedTuple):
    """Errors of a belief, in shares of the epochs that a tag was truly there."""

    missed: float  # FN: there, not believed
    ghost: float  # FP: believed, not there
    flips: float  # changes of belief per true change

    @property
    def error(self) -> float:
        """Both kinds of error together."""
        return self.missed + self.ghost


def score(believed: Seen, truth: Seen) -> Score:
    """Errors of bool[epochs, pairs] against the truth of the same shape."""
    there = max(1, int(truth.sum()))
    return Score(
        missed=float((truth & ~believed).sum()) / there,
        ghost=float((believed & ~truth).sum()) / there,
        flips=_changes(believed) / max(1, _changes(truth)),
    )


def _changes(state: Seen) -> int:
    return int((state[1:] != state[:-1]).sum())
