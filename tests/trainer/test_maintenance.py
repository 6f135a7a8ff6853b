"""Maintenance on items whose hazard is known: calibrated, better than what is naive, or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from edge.inference.manifest import MANIFEST, Training, decode_manifest
from tests.trainer.worn_items import worn
from trainer import hazard, maintenance
from trainer.export import write_artifact
from trainer.hazard import Problem, TooLittleKnown
from trainer.maintenance import FEATURES, Maintenance
from trainer.scores import Boosting, Family, Logistic
from trainer.survival import Followed

FEW: tuple[Family, ...] = (Logistic(c=0.001), Boosting(trees=30, leaves=4))
TRAINING = Training(
    data="simulated items", from_day="2024-10-04", to_day="2025-11-07", rows=1, entities=1,
    reason="asked",
)  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> Maintenance:
    return maintenance.fit(worn(), families=FEW)


def awkward(fitted: Maintenance) -> NDArray[np.float32]:
    """Real rows, the same with holes, extremes, and nothing known."""
    x = fitted.fitted.problem.x[:200]
    holes = x.copy()
    holes[np.random.default_rng(2).random(x.shape) < 0.4] = np.nan
    ends = np.stack([np.full(x.shape[1], v) for v in (np.nan, 0, 1e9, -1e9, np.inf, -np.inf)])
    return np.concatenate([x, holes, ends]).astype(np.float32)


def test_on_later_days_it_is_better_than_the_rate_and_than_any_single_time(
    fitted: Maintenance,
) -> None:
    found, baselines = fitted.fitted.metrics, fitted.fitted.baselines
    assert {"base_rate", "days_since_maintenance_alone", "age_days_alone"} <= set(baselines)
    for other in baselines.values():
        assert found["brier"] < other["brier"]
        assert found["pr_auc_30d"] > 1.15 * other["pr_auc_30d"]


def test_as_often_as_it_says_it_happens(fitted: Maintenance) -> None:
    assert fitted.fitted.metrics["calibration_error_7d"] < 0.03
    assert fitted.fitted.metrics["calibration_error_30d"] < 0.08
    assert sum(rows for _, _, rows in fitted.fitted.bins) > 500


def test_a_longer_horizon_is_never_less_likely_whatever_the_row(fitted: Maintenance) -> None:
    p = fitted.predict(awkward(fitted))[:, :3]
    assert np.isfinite(p).all()
    assert (p >= 0).all()
    assert (p <= 1).all()
    assert (np.diff(p, axis=1) >= 0).all()


def test_the_graph_says_what_python_says_for_holes_and_extremes(fitted: Maintenance) -> None:
    x = awkward(fitted)
    (told,) = InferenceSession(fitted.onnx()).run(None, {"x": x})
    answers = fitted.predict(x)
    assert told.shape == answers.shape == (len(x), len(fitted.columns))
    assert (np.abs(told - answers) / np.maximum(1, np.abs(answers))).max() < 1e-4


def test_half_of_the_items_have_their_event_by_the_median_told(fitted: Maintenance) -> None:
    assert fitted.tells_residual
    assert fitted.residual["events_by_median_share"] == pytest.approx(0.5, abs=0.12)


def test_the_median_is_where_a_constant_hazard_has_it() -> None:
    rate = np.array([0.1, 0.02, 0.005, 1e-9])
    hazards = rate[:, None] * np.array([7.0, 7.0, 16.0])
    told = maintenance.median_days(hazards, (7.0, 14.0, 30.0))
    assert told == pytest.approx(np.minimum(np.log(2) / rate, 365), abs=0.02)


def test_it_is_written_as_the_door_wants_it(fitted: Maintenance, tmp_path: Path) -> None:
    folder = write_artifact(tmp_path, fitted.exportable(TRAINING))
    manifest = decode_manifest((folder / MANIFEST).read_bytes())
    assert set(manifest.feature_bins) == set(manifest.features) == set(manifest.importances)
    assert set(manifest.output_bins) == {column.name for column in manifest.columns}
    assert sum(fitted.fitted.importances.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("family", [Logistic(c=0.01), Boosting(trees=5, leaves=4)])
def test_each_family_alone_has_a_graph_that_agrees(family: Family) -> None:
    made = maintenance.fit(worn(items=120, days=300), families=(family,))
    x = awkward(made)
    (told,) = InferenceSession(made.onnx()).run(None, {"x": x})
    assert np.abs(told[:, :3] - made.predict(x)[:, :3]).max() < 1e-5


def test_with_few_events_it_refuses_and_says_how_many_there_were() -> None:
    with pytest.raises(TooLittleKnown, match=r"\d+ events .* it takes 30"):
        maintenance.fit(worn(items=20, days=200, rate=0.0008), families=FEW)


def test_what_nothing_foretells_is_refused() -> None:
    problem = maintenance.problem(worn(items=120, days=300)).only(FEATURES[:6])
    noise = np.random.default_rng(0).normal(size=problem.x.shape).astype(np.float32)
    with pytest.raises(TooLittleKnown, match="no better than the base rate"):
        hazard.fit(replace(problem, x=noise), families=(Boosting(trees=20, leaves=16),))


def test_what_comes_after_a_day_changes_nothing_of_what_was_known_on_it() -> None:
    whole = worn(items=60, days=300)
    day = int(whole.day.min()) + 200
    changed = whole.x.copy()
    later = whole.day > day
    changed[later] = np.random.default_rng(1).permutation(changed[later])
    seen, other = (
        maintenance.problem(replace(whole, x=x)).known_by(day) for x in (whole.x, changed)
    )
    assert len(seen) == len(other) > 0
    assert np.array_equal(seen.x, other.x, equal_nan=True)
    for mine, theirs in zip(seen.stages(), other.stages(), strict=True):
        assert np.array_equal(mine.rows, theirs.rows)
        assert np.array_equal(mine.happened, theirs.happened)
        assert np.array_equal(mine.weight, theirs.weight)


def test_folds_learn_only_from_before_and_are_judged_only_on_what_follows() -> None:
    problem = maintenance.problem(worn(items=60, days=300))
    first, last = int(problem.cutoffs.min()), int(problem.cutoffs.max())
    seen = problem.known_by(last)
    folds = list(hazard._folds(seen, problem, first, last))
    assert folds
    for learn, judge in folds:
        assert learn.cutoffs.max() < judge.cutoffs.min()
        known = learn.cutoffs + np.where(
            np.isfinite(learn.followed.event), learn.followed.event, 0.0
        )
        assert known.max() <= judge.cutoffs.min() + 6


def test_one_failure_seen_from_many_weeks_is_one_event() -> None:
    n = 6
    problem = Problem(
        service="maintenance", features=("a",), x=np.zeros((n, 1), np.float32),
        cutoffs=np.arange(n), entity=np.zeros(n, np.int64),
        followed=Followed(10.0 - np.arange(n), np.full(n, 40.0)), edges=(30.0,), names=("30d",),
    )  # fmt: skip
    assert problem.events(0) == (1, 0)


def test_a_retired_item_is_watched_no_more() -> None:
    table = worn(items=60, days=300, leave=1.0)
    problem = maintenance.problem(table)
    gone = {
        table.keys[k]: int(table.day[at].min())
        for k in range(len(table.keys))
        if len(at := np.flatnonzero((table.key_of_rows() == k) & (table.levels["retired"] > 0)))
    }
    assert gone
    for entity, cutoff in zip(problem.entity.tolist(), problem.cutoffs.tolist(), strict=True):
        assert cutoff < gone.get(table.keys[entity], 1 << 40)
