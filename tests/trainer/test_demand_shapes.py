"""A series' own quantiles: as a slow count finds them, and no more of them than they are worth."""

import numpy as np
import pytest

from trainer.demand import forecaster, shapes
from trainer.demand.seasons import local_level
from trainer.demand.spread import LEVELS, apart
from trainer.panel import Panel

FIRST = 18_000


def panel(y: np.ndarray) -> Panel:
    days = np.arange(FIRST, FIRST + y.shape[1])
    return Panel([str(i) for i in range(len(y))], days, {"units": y.astype(np.float32)})


@pytest.mark.parametrize("seed", range(4))
def test_own_quantiles_are_those_of_a_slow_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    phases = 7
    y = rng.poisson(rng.gamma(1, 8, (5, 1)), (5, 60 + seed)).astype(float)
    y[rng.random(y.shape) < 0.2] = np.nan
    y[1, :40] = np.nan
    y[2] = np.nan
    moments = FIRST + seed + np.arange(y.shape[1])
    found = shapes._observed(y, moments, 7, phases)
    level = local_level(y, shapes.LEVEL_SEASONS * 7 + 1)
    for row in range(5):
        for phase in range(phases):
            days = np.flatnonzero((moments % phases == phase) & ~np.isnan(y[row]))
            values = [y[row, day] / level[row, day] for day in days if level[row, day] > 1e-9]
            share = len(values) / (len(values) + shapes.SHRINK_SEASONS)
            assert found.share[row, phase] == pytest.approx(share)
            if values and np.mean(values) > 1e-6:
                ratio = np.quantile(values, LEVELS) / np.mean(values)
                np.testing.assert_allclose(found.gap[row, phase], share * (ratio - 1), atol=1e-9)
            else:
                np.testing.assert_array_equal(found.gap[row, phase], -share)


def weekly(even: np.ndarray, seed: int, days: int = 280) -> np.ndarray:
    """Demand of 40 a day, steady on the weekdays of ``even`` [k, 7] and restless on the others."""
    rng = np.random.default_rng(seed)
    steady = even[:, (FIRST + np.arange(days)) % 7]
    size = np.where(steady, rng.normal(40, 2, steady.shape), rng.gamma(1.0, 40.0, steady.shape))
    return np.maximum(np.round(size), 0)


def test_weekdays_that_differ_from_series_to_series_are_told_apart() -> None:
    """The pool knows of no weekday: half of the days of everybody are steady, whichever they are."""
    even = np.random.default_rng(1).random((30, 7)) < 0.5
    fitted = forecaster().fit(panel(weekly(even, 2)), "units")
    assert fitted.shape.share.max() > 0.3
    _, q = fitted.forecast(28, (0.1, 0.5, 0.9))
    width = np.ptp(q, axis=2)
    steady = even[:, (FIRST + 280 + np.arange(28)) % 7]
    assert width[steady].mean() < 0.8 * width[~steady].mean()


def test_few_seasons_are_believed_little_and_none_not_at_all() -> None:
    y = np.full((3, 35), np.nan)
    y[1, -7:] = 5.0
    y[2] = 5.0
    found = shapes._observed(y, FIRST + np.arange(35), 7, 7)
    np.testing.assert_array_equal(found.share[0], 0)
    np.testing.assert_allclose(found.share[1], 1 / 11)
    np.testing.assert_allclose(found.share[2], 5 / 15)


def test_a_shape_that_the_folds_contradict_gets_no_share() -> None:
    """Restless once, steady since: what was seen long ago is no help with what came after."""
    rng = np.random.default_rng(4)
    mean = np.full((6, 84), 40.0)
    came = np.maximum(mean + rng.normal(0, 1, mean.shape), 0)
    past = np.maximum(rng.gamma(0.2, 200.0, (6, 140)), 0)
    y = np.concatenate([past, came], axis=1)
    moments = FIRST + np.arange(y.shape[1])
    fold = np.repeat(np.arange(140, 224, 28), 28)
    told = mean, came, np.ones(84)
    found = shapes.fit(
        y, moments, (7, 7), told, 140 + np.arange(84), apart(*told, fold, 28)
    )  # fmt: skip
    assert found.share.max() == 0
    assert np.abs(found.gap).max() == 0
