"""Lead-time demand of a made-up shop: levels are kept, the normal rule is beaten, the graph is right."""

from pathlib import Path

import numpy as np
import pytest

from edge.inference.manifest import Training
from trainer import velocity
from trainer.export import write_artifact
from trainer.panel import Panel
from trainer.services import TooLittle

TRAINING = Training(data="made up", from_day="2024-01-01", to_day="2024-12-31", rows=1,
                    entities=1, reason="asked")  # fmt: skip


def shop(k: int = 60, days: int = 300, seed: int = 1) -> Panel:
    """Rates that differ and drift by week; more varied than Poisson."""
    random = np.random.default_rng(seed)
    rate = random.gamma(0.8, 2.0, (k, 1)) * np.exp(random.normal(0, 0.3, (k, days // 7 + 1)).repeat(
        7, axis=1)[:, :days])  # fmt: skip
    units = random.poisson(rate * random.gamma(3.0, 1 / 3, (k, days))).astype(np.float32)
    return Panel(
        [f"main\x1f{i}" for i in range(k)],
        19_723 + np.arange(days),
        {
            "units": units,
            "revenue_cents": units * random.integers(100, 9_000, (k, 1)).astype(np.float32),
            "stockout": np.zeros((k, days), np.float32),
        },
    )


def test_levels_are_kept_on_later_lead_times_and_the_normal_rule_is_beaten() -> None:
    told, naive = velocity.held_out(shop(), 240)
    for level in velocity.LEVELS[1:]:
        # not below; above it by what whole numbers and a history that has grown since leave over
        assert level - 0.02 <= told[f"below_p{round(100 * level)}"] <= level + 0.05
    assert told["pinball"] < naive["pinball"]


def test_days_out_of_stock_teach_nothing() -> None:
    panel = shop()
    short = shop()
    out = np.zeros((60, 300), np.bool_)
    out[:, 100:120] = True
    short.measures["units"][out] = 0
    short.measures["stockout"][out] = 1
    windows = velocity.Windows(short, 0, 300)
    came = windows.came(7)
    inside = (windows.at + 7 > 100) & (windows.at < 120)
    assert np.isnan(came[:, inside]).all()
    assert np.isfinite(came[:, ~inside]).all()
    assert np.isnan(velocity.weeks_of(short)).any()
    assert not np.isnan(velocity.weeks_of(panel)).any()


def test_too_short_a_history_is_said() -> None:
    with pytest.raises(TooLittle):
        velocity.Learnt(velocity.Windows(shop(2, 40), 0, 40))


def test_the_artifact_passes_the_door_and_quantiles_rise(tmp_path: Path) -> None:
    made = velocity.exportable(shop(), TRAINING, {}, {})
    write_artifact(tmp_path, made)
    answers = made.predict(dict(made.golden_inputs))
    for first in (4, 9):
        assert (np.diff(answers[:, first : first + 4], axis=1) >= 0).all()
    assert made.side is not None
    revenue = shop().measures["revenue_cents"].sum(axis=1)
    assert made.side.values[int(revenue.argmax()), 0] == 0
