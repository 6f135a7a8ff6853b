"""Linear innovations state space over a column of series. No fitting, no files, no clock.

    y_t = c_t (w·x_{t-1} + s_{t-1}[0]) + c_t e_t,   x_t = A x_{t-1} + g e_t,
    s_t = rotate(s_{t-1}), its last entry += gamma e_t

Exponential smoothing, Theta and ARIMA are choices of ``A``, ``w``, ``g`` and ``gamma``; ``c`` is the
calendar's index of the day (its weekday, its holiday), 1 where the member has none.
Source: Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

DIM = 3
"""Entries of ``x``: level, trend or moving average, constant."""


@dataclass(frozen=True, slots=True)
class Member:
    """Parameters of k series: ``a`` [k, 3, 3], ``w`` [k, 3], ``g`` [k, 3], ``gamma`` [k]."""

    a: Floats
    w: Floats
    g: Floats
    gamma: Floats


@dataclass(frozen=True, slots=True)
class State:
    """``x`` [k, 3] and ``s`` [k, m]; ``s[:, 0]`` belongs to the next day."""

    x: Floats
    s: Floats


def step(member: Member, state: State, y: Floats, c: Floats) -> State:
    """The state after one more day. ``y`` [k] with NaN where not observed, ``c`` [k] its index.

    A day whose index is 0 (closed) tells nothing about demand: it counts as not observed.
    """
    observed = ~np.isnan(y) & (c > 0)
    expected = (member.w * state.x).sum(axis=1) + state.s[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(observed, y / c - expected, 0).astype(state.x.dtype)
    x = np.matmul(member.a, state.x[:, :, None])[:, :, 0] + member.g * error[:, None]
    newest = state.s[:, :1] + (member.gamma * error)[:, None]
    return State(x, np.concatenate([state.s[:, 1:], newest], axis=1))


def roll(member: Member, state: State, y: Floats, c: Floats) -> State:
    """The state after d more days: ``y`` [k, d], ``c`` [k, d]."""
    for day in range(y.shape[1]):
        state = step(member, state, y[:, day], c[:, day])
    return state


def path(member: Member, state: State, c: Floats) -> Floats:
    """[k, h]: expected demand of the h days after, ``c`` [k, h] their indices. Never below zero.

    Rows w A^0 .. w A^(h-1) by doubling, so that h days cost log2(h) products.
    """
    horizon, period = c.shape[1], state.s.shape[1]
    rows, power = member.w[:, None, :], member.a
    while rows.shape[1] < horizon:
        rows = np.concatenate([rows, np.matmul(rows, power)], axis=1)
        power = np.matmul(power, power)
    level = np.matmul(rows[:, :horizon], state.x[:, :, None])[:, :, 0]
    season = state.s[:, np.arange(horizon) % period]
    return np.asarray(np.maximum((level + season) * c, 0))
