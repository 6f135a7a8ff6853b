"""The vectorised recursions against plain loops, and against statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.holtwinters import Holt

from edge.inference import demand_states, demand_windows
from edge.inference.demand_states import Member, State
from trainer.demand import states
from trainer.demand.states import Grid


def one_line(alpha: float, beta: float, phi: float, gamma: float) -> Grid:
    return Grid(*(np.full((1, 1), v) for v in (alpha, beta, phi, gamma)))


def test_simple_smoothing_ends_at_the_level_of_a_plain_loop() -> None:
    y = np.random.default_rng(1).poisson(4, (3, 60)).astype(float)
    y[1, 20:25] = np.nan
    _, level, _, _ = states.smooth(
        y, np.full(3, 4.0), np.zeros(3), np.zeros((3, 7)), one_line(0.3, 0, 0, 0), 0
    )
    for i in range(3):
        slow = 4.0
        for value in y[i]:
            slow += 0 if np.isnan(value) else 0.3 * (value - slow)
        assert level[0, i] == pytest.approx(slow)


def test_a_damped_trend_forecasts_what_statsmodels_does() -> None:
    y = np.cumsum(np.random.default_rng(2).normal(1, 1, 50)) + 20
    peer = Holt(y, damped_trend=True, initialization_method="known", initial_level=20.0,
                initial_trend=0.5).fit(smoothing_level=0.4, smoothing_trend=0.2,
                                       damping_trend=0.9, optimized=False)  # fmt: skip
    # statsmodels' smoothing_trend is beta over alpha.
    line = one_line(0.4, 0.4 * 0.2, 0.9, 0.0)
    _, level, trend, season = states.smooth(
        y[None], np.array([20.0]), np.array([0.5]), np.zeros((1, 7)), line, 0
    )
    member = states._member(line, 1)
    path = demand_states.path(
        member, State(states._stack(level[0], trend[0]), season[0]), np.ones((1, 10))
    )
    np.testing.assert_allclose(path[0], peer.forecast(10), rtol=1e-6)


def test_an_additive_season_forecasts_what_a_plain_loop_does() -> None:
    rng = np.random.default_rng(3)
    first = [3, 0, -2, 1, 0, -4, 2.0]
    y = 20 + np.tile(first, 9) + rng.normal(0, 1, 63)
    line = one_line(0.3, 0, 0, 0.2)
    _, level, trend, season = states.smooth(
        y[None], np.array([20.0]), np.zeros(1), np.array([first]), line, 0
    )
    slow, cycle = 20.0, list(first)
    for day, value in enumerate(y):
        error = value - slow - cycle[day % 7]
        slow += 0.3 * error
        cycle[day % 7] += 0.2 * error
    state = State(states._stack(level[0], trend[0]), season[0])
    path = demand_states.path(states._member(line, 1), state, np.ones((1, 14)))
    np.testing.assert_allclose(path[0], [slow + cycle[day % 7] for day in range(14)])


@pytest.mark.parametrize("fit", ["smoothing", "seasonal", "theta", "arma"])
def test_rolling_a_state_on_is_what_the_fit_itself_did(fit: str) -> None:
    y = np.random.default_rng(4).poisson(3, (5, 90)).astype(float)
    y[0, :30] = np.nan
    y[2, 40:50] = np.nan
    made = {
        "smoothing": lambda: states.smoothing(y, 7, states.SMOOTHING),
        "seasonal": lambda: states.smoothing(y, 7, states.SEASONAL),
        "theta": lambda: states.theta(y, 7),
        "arma": lambda: states.arma(y, 7),
    }[fit]
    member, state = made()
    after = demand_states.roll(member, state, np.full((5, 3), np.nan), np.ones((5, 3)))
    gone = demand_states.path(member, state, np.ones((5, 10)))[:, 3:]
    np.testing.assert_allclose(demand_states.path(member, after, np.ones((5, 7))), gone)


def slow_path(member: Member, state: State, i: int, index: np.ndarray) -> list[float]:
    x, s, out = member.a[i], list(state.s[i]), []
    now = state.x[i]
    for c in index:
        out.append(max((member.w[i] @ now + s[0]) * c, 0))
        now, s = x @ now, [*s[1:], s[0]]
    return out


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 91))
def test_a_path_by_doubling_is_the_path_step_by_step(seed: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    member = Member(
        rng.uniform(-0.5, 0.5, (3, 3, 3)),
        rng.normal(size=(3, 3)),
        rng.normal(size=(3, 3)),
        rng.uniform(size=3),
    )
    state = State(rng.normal(size=(3, 3)), rng.normal(size=(3, 7)))
    index = rng.uniform(0, 2, (3, horizon))
    fast = demand_states.path(member, state, index)
    for i in range(3):
        np.testing.assert_allclose(fast[i], slow_path(member, state, i, index[i]), atol=1e-9)


def slow_intermittent(y: np.ndarray, alpha: float) -> tuple[float, float, float]:
    size = interval = chance = None
    since = 0
    for value in y:
        if np.isnan(value):
            continue
        since += 1
        hit = float(value > 0)
        chance = hit if chance is None else chance + alpha * (hit - chance)
        if hit:
            size = value if size is None else size + alpha * (value - size)
            interval = since if interval is None else interval + alpha * (since - interval)
            since = 0
    if size is None or interval is None or chance is None:
        return 0.0, 0.0, 0.0
    return size / interval, size / interval * (1 - alpha / 2), chance * size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, 5.0, float("nan")]), min_size=1, max_size=60))
def test_intermittent_weights_are_the_recursions(values: list[float]) -> None:
    y = np.array([values])
    fast = [float(path[0, 0]) for path in demand_windows.intermittent(y, 1, 0.2)]
    np.testing.assert_allclose(fast, slow_intermittent(y[0], 0.2), atol=1e-9)


def test_seasonal_naive_repeats_the_newest_known_day_of_the_week() -> None:
    y = np.arange(28.0)[None].copy()
    y[0, -1] = np.nan
    assert demand_windows.seasonal_naive(y, 8, 7)[0].tolist() == [21, 22, 23, 24, 25, 26, 20, 21]
