"""Quality on items whose grades fall with use."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from edge.inference.manifest import Training
from tests.trainer.worn_items import worn
from trainer import quality
from trainer.examples import KeyHistory, watched_until
from trainer.export import write_artifact
from trainer.hazard import TooLittleKnown
from trainer.quality import Quality
from trainer.scores import Boosting, Family, Logistic

FEW: tuple[Family, ...] = (Logistic(c=0.001), Boosting(trees=30, leaves=4))
TRAINING = Training(
    data="simulated items", from_day="2024-10-04", to_day="2025-11-07", rows=1, entities=1,
    reason="asked",
)  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> Quality:
    return quality.fit(worn(days=500), families=FEW)


def awkward(fitted: Quality) -> NDArray[np.float32]:
    x = fitted.grades.problem.x[:200]
    holes = x.copy()
    holes[np.random.default_rng(2).random(x.shape) < 0.4] = np.nan
    ends = np.stack([np.full(x.shape[1], v) for v in (np.nan, 0, 1e9, -1e9)])
    return np.concatenate([x, holes, ends]).astype(np.float32)


def test_it_tells_three_groups_and_days_and_shares_add_up_to_one(fitted: Quality) -> None:
    names = [column.name for column in fitted.columns]
    assert names == ["p_grade_a_90d", "p_grade_b_90d", "p_grade_c_90d", "days_to_grade_c_p50"]
    answers = fitted.predict(awkward(fitted))
    assert (answers >= -1e-12).all()
    assert answers[:, :3].sum(axis=1) == pytest.approx(1.0)


def test_on_later_days_it_is_better_than_the_rate_and_calibrated(fitted: Quality) -> None:
    found = fitted.grades.metrics
    assert found["brier"] < 0.8 * fitted.grades.baselines["base_rate"]["brier"]
    assert found["brier"] < 1.05 * fitted.grades.baselines["grade_last_alone"]["brier"]
    assert found["calibration_error_c"] < 0.06


def test_an_item_at_the_threshold_has_no_days_left(fitted: Quality) -> None:
    x = fitted.grades.problem.x
    days = fitted.predict(x)[:, 3]
    grade = x[:, fitted.grades.problem.features.index("grade_last")]
    assert (days[grade <= 3] == 0).all()
    assert (days[grade > 3] > 0).all()
    assert days[grade == 4].mean() < days[grade == 9].mean()


def test_the_graph_says_what_python_says_for_holes_and_extremes(fitted: Quality) -> None:
    x = awkward(fitted)
    (told,) = InferenceSession(fitted.onnx()).run(None, {"x": x})
    answers = fitted.predict(x)
    assert (np.abs(told - answers) / np.maximum(1, np.abs(answers))).max() < 1e-4


def test_it_is_written_as_the_door_wants_it(fitted: Quality, tmp_path: Path) -> None:
    assert (write_artifact(tmp_path, fitted.exportable(TRAINING)) / "manifest.json").exists()


def test_the_label_of_all_at_once_is_that_of_one_by_one() -> None:
    table = worn(items=20, days=200)
    rows = np.arange(len(table.day))
    until = watched_until(table)
    label = quality.GradeAfter()
    y, censored = label.whole(table, rows, until[table.key_of_rows()], 90)
    for row in rows[::7].tolist():
        key = int(table.key_of_rows()[row])
        mine = slice(int(table.start[key]), int(table.start[key + 1]))
        history = KeyHistory(table, mine, int(until[key]))
        one, unknown = label(history, table.keys[key], int(table.day[row]), 90)
        assert unknown == censored[row]
        assert unknown or one == y[row]


def test_a_shop_that_never_grades_is_refused_with_the_reason() -> None:
    table = worn(items=20, days=200)
    x = table.x.copy()
    x[:, table.features.index("grade_last")] = np.nan
    with pytest.raises(TooLittleKnown, match="quality"):
        quality.fit(replace(table, x=x), families=FEW)


def test_a_group_that_is_too_rare_joins_its_neighbour() -> None:
    table = worn(items=150)
    x = table.x.copy()
    grade = table.features.index("grade_last")
    x[:, grade] = np.maximum(x[:, grade], 4)
    made = quality.fit(replace(table, x=x), families=(Boosting(trees=30, leaves=4),))
    assert [c.name for c in made.columns] == ["p_grade_a_90d", "p_grade_b_or_worse_90d"]
    assert "events" in made.why_not
