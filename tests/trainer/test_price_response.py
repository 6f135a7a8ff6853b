"""Elasticities that were planted are found, with honest intervals; what never moved stays unknown."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge.inference.manifest import Training
from edge.inference.pricing import CHANGES, response
from trainer import pricing
from trainer.export import write_artifact
from trainer.panel import Panel
from trainer.price_population import CATEGORY, NOTHING, OWN
from trainer.price_response import Response, fit_response
from trainer.price_weeks import Weeks, weekly

FIRST_DAY = 19_723  # a Monday


def shop(
    elasticity: np.ndarray,
    seed: int = 1,
    weeks: int = 104,
    volume: float = 60.0,
    noise: float = 0.2,
    rho: float = 0.6,
    moves: float = 0.12,
) -> Weeks:
    """Counts with season, trend and errors that remember the week before; NaN: a price that stays."""
    random = np.random.default_rng(seed)
    k = len(elasticity)
    fixed = np.isnan(elasticity)
    steps = random.normal(0, moves, (k, weeks // 4 + 1)).repeat(4, axis=1)[:, :weeks]
    log_price = np.log(500) + np.where(fixed[:, None], 0.0, steps)
    error = np.zeros((k, weeks))
    shocks = random.normal(0, noise * np.sqrt(1 - rho**2), (k, weeks))
    error[:, 0] = shocks[:, 0] / np.sqrt(1 - rho**2)
    for t in range(1, weeks):
        error[:, t] = rho * error[:, t - 1] + shocks[:, t]
    day = FIRST_DAY + 7 * np.arange(weeks)
    season = 0.3 * np.sin(2 * np.pi * day / 365.25)
    level = np.log(volume) + random.normal(0, 0.5, (k, 1))
    trend = random.normal(0, 0.1, (k, 1)) * (np.arange(weeks) / 52)
    moved = np.nan_to_num(elasticity)[:, None] * (log_price - np.log(500))
    mu = np.exp(level + trend + season + moved + error)
    return Weeks(
        [f"main\x1fc{i}" for i in range(k)],
        ["tents"] * k,
        day.astype(np.int64),
        random.poisson(mu).astype(np.float64),
        np.exp(log_price),
        np.ones((k, weeks)),
    )


def test_planted_elasticities_are_found_and_covered() -> None:
    planted = np.random.default_rng(0).normal(-1.5, 0.5, 60)
    inside, errors = [], []
    for seed in range(4):
        found = fit_response(shop(planted, seed))
        assert (found.evidence == OWN).all()
        errors.append(found.elasticity - planted)
        inside.append(np.abs(found.elasticity - planted) <= 1.2816 * found.sd)
    assert abs(np.mean(errors)) < 0.05
    assert 0.72 < np.mean(inside) < 0.9
    assert found.populations["tents"].mean == pytest.approx(-1.5, abs=0.25)


def test_errors_that_remember_do_not_make_intervals_too_narrow() -> None:
    planted = np.full(60, -1.5)
    inside = []
    for seed in range(3):  # too few weeks to compare halves: the estimate itself must know
        found = fit_response(shop(planted, seed, weeks=70, volume=2_000.0, noise=0.4, rho=0.85))
        inside.append(np.abs(found.own - planted) <= 1.2816 * found.own_sd)
    assert 0.7 < np.mean(inside) < 0.9


def test_shrinkage_beats_each_class_by_itself() -> None:
    planted = np.random.default_rng(3).normal(-1.2, 0.3, 40)
    found = fit_response(shop(planted, 3, weeks=60, volume=8.0, moves=0.06))
    alone = np.sqrt(np.mean((found.own - planted) ** 2))
    together = np.sqrt(np.mean((found.elasticity - planted) ** 2))
    assert together < 0.7 * alone


def test_slow_movers_with_weeks_of_nothing_are_not_biased_to_zero() -> None:
    planted = np.full(80, -1.8)
    found = fit_response(shop(planted, 5, volume=1.0, noise=0.1, moves=0.25))
    assert (shop(planted, 5, volume=1.0).units == 0).mean() > 0.2
    assert found.populations["tents"].mean == pytest.approx(-1.8, abs=0.2)


def test_where_a_price_never_moved_no_elasticity_is_invented() -> None:
    planted = np.array([-1.5] * 10 + [np.nan] * 3)
    weeks = shop(planted, 2)
    weeks.category[:] = ["tents"] * 11 + ["", "stoves"]
    found = fit_response(weeks)
    assert np.isnan(found.own[10:]).all()
    assert found.evidence[10:].tolist() == [CATEGORY, NOTHING, NOTHING]
    assert found.elasticity[10] == pytest.approx(found.populations["tents"].mean)
    assert found.sd[10] == found.populations["tents"].new_sd
    assert np.isnan(found.elasticity[11:]).all()
    assert np.isnan(found.sd[11:]).all()
    assert "stoves" not in found.populations


def test_a_shop_without_any_move_of_price_knows_nothing() -> None:
    found = fit_response(shop(np.full(6, np.nan)))
    assert (found.evidence == NOTHING).all()
    assert not found.populations


@pytest.mark.parametrize("path", ["one step", "a trend", "a whisper"])
def test_a_price_that_cannot_be_told_from_level_or_trend_counts_as_still(path: str) -> None:
    weeks = shop(np.full(5, np.nan))
    w = weeks.price_cents.shape[1]
    shapes = {
        "one step": np.where(np.arange(w) < w // 2, 1.0, 1.3),
        "a trend": np.exp(np.linspace(0, 0.5, w)),
        "a whisper": 1 + 0.002 * (np.arange(w) % 2),
    }
    weeks.price_cents[:] *= shapes[path]
    assert (fit_response(weeks).evidence == NOTHING).all()


def test_quality_explains_what_would_else_be_blamed_on_price() -> None:
    planted = np.full(30, -1.0)
    weeks = shop(planted, 4)
    worn = np.where(weeks.price_cents < 500, -0.5, 0.5)  # what is worn is cheaper
    random = np.random.default_rng(4)
    mu = weeks.units * np.exp(0.6 * worn)
    worse = Weeks(weeks.keys, weeks.category, weeks.day, random.poisson(mu).astype(float),
                  weeks.price_cents, weeks.exposure)  # fmt: skip
    blind = fit_response(worse).populations["tents"].mean
    known = Weeks(worse.keys, worse.category, worse.day, worse.units, worse.price_cents,
                  worse.exposure, {"quality": worn})  # fmt: skip
    found = fit_response(known)
    assert found.populations["tents"].mean == pytest.approx(-1.0, abs=0.15)
    assert abs(blind + 1.0) > 0.5
    assert found.shared["tents"][-1] == pytest.approx(0.6, abs=0.15)


def test_days_without_stock_are_left_out_and_the_rest_counts_for_its_share() -> None:
    days = FIRST_DAY + np.arange(21)
    units = np.full((1, 21), 2.0, np.float32)
    gone = np.zeros((1, 21), np.float32)
    units[0, [0, 1, 7, 8, 9, 10]] = 0
    gone[0, [0, 1, 7, 8, 9, 10]] = 1
    price = np.full((1, 21), 100.0, np.float32)
    made = weekly(Panel(["a"], days, {"units": units, "stockout": gone, "price_cents": price}))
    assert made.day.tolist() == [FIRST_DAY, FIRST_DAY + 7, FIRST_DAY + 14]
    assert made.units[0, [0, 2]].tolist() == [10.0, 14.0]
    assert made.exposure[0].tolist() == pytest.approx([5 / 7, 0.0, 1.0])
    assert np.isnan(made.units[0, 1])  # three days are too few


def test_prices_help_where_they_matter() -> None:
    weeks = shop(np.full(20, -2.0), 6)
    told, naive = pricing.held_out(weeks, 84)
    assert told["mae"] < 0.85 * naive["mae"]
    assert 0.7 < told["coverage"] < 0.9


# -- the graph ----------------------------------------------------------------------------------------

TRAINING = Training(data="made up", from_day="2024-01-01", to_day="2025-12-28", rows=1,
                    entities=13, reason="asked")  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Response:
    planted = np.array([-1.5] * 10 + [np.nan] * 2)
    weeks = shop(planted, 2)
    weeks.category[11] = ""
    return fit_response(weeks)


def test_the_artifact_passes_the_door(found: Response, tmp_path: Path) -> None:
    made = pricing.exportable(found, np.zeros(12, np.bool_), TRAINING)
    folder = write_artifact(tmp_path, made)
    assert (folder / "entities.msgpack").exists()


def asked(found: Response, row: int, price: float) -> dict[str, float]:
    side = pricing.side_of(found, np.zeros(12, np.bool_), ["tents"])
    session = onnxruntime.InferenceSession(pricing.onnx())
    x = np.array([[price, np.nan]], np.float32)
    (y,) = session.run(None, {"x": x, "s": side.values[row][None]})
    names = [column.name for column in pricing.columns()]
    return dict(zip(names, y[0].tolist(), strict=True))


def test_the_graph_answers_what_the_elasticity_says(found: Response) -> None:
    base, e = found.base_price_cents[0], found.elasticity[0]
    told = response(asked(found, 0, base * 1.1))
    assert told is not None
    assert told.evidence == "own"
    assert told.units_ratio.median == pytest.approx(1.1**e, rel=1e-3)
    assert told.units_ratio.low < told.units_ratio.median < told.units_ratio.high
    for percent in CHANGES:
        change = told.changes[percent]
        assert change.median == pytest.approx((1 + percent / 100) ** e, rel=1e-3)
        assert change.low <= change.median <= change.high
    assert not told.extrapolated
    far = response(asked(found, 0, base * 5))
    assert far is not None
    assert far.extrapolated


def test_an_unknown_class_answers_nothing_and_a_still_one_its_category(found: Response) -> None:
    still = response(asked(found, 10, 500))
    assert still is not None
    assert still.evidence == "category"
    for row in (11, -1):
        answer = asked(found, row, 500)
        assert response(answer) is None
        assert (
            answer["elasticity_high"] - answer["elasticity_low"] == 20.0
        )  # whoever looks is warned
