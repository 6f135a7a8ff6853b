"""How good versions have been: days in common, nothing twice, nothing for ever."""

import pytest

from edge.inference.accuracy import Scores
from edge.pipeline_scores import REMEMBERED_DAYS, RULE_VERSION, KnownScores
from edge.storage.field import Scored


def scored(
    version: str, day: int, error: float = 1.0, days: int = 7, role: str = "shown"
) -> Scored:
    sums = Scores(n=10, points=10, absolute_error=10 * error, squared_error=10 * error**2)
    return Scored("demand", version, role, f"units_{days}d", days, day, sums)


def known(*told: Scored) -> KnownScores:
    made = KnownScores()
    for one in told:
        made.remember(one)
    return made


def test_a_version_that_answers_no_more_does_not_hide_the_one_that_does() -> None:
    made = known(
        *(scored("old", day) for day in range(10)),
        *(scored("new", day, 3.0) for day in range(10, 20)),
        *(scored(RULE_VERSION, day, 2.0) for day in range(20)),
    )
    found = made.measured("demand", "new", {"new"})
    assert found is not None
    assert (found.rows, found.loss, found.baseline_loss) == (100, 3.0, 2.0)
    assert made.measured("demand", "old", {"new"}) is None


def test_two_who_answer_are_measured_on_the_days_of_both() -> None:
    made = known(
        *(scored("active", day, 1.0 + day) for day in range(10)),
        *(scored("beside", day, 4.0) for day in (8, 9, 10)),
    )
    theirs = made.measured("demand", "active", {"active", "beside"})
    ours = made.measured("demand", "beside", {"active", "beside"})
    assert theirs is not None
    assert ours is not None
    assert theirs.rows == ours.rows == 20
    assert theirs.loss == pytest.approx(((9**2 + 10**2) / 2) ** 0.5)


def test_one_who_was_never_judged_hides_nobody() -> None:
    made = known(scored("active", 1))
    assert made.measured("demand", "active", {"active", "fresh"}) is not None
    assert made.measured("demand", "fresh", {"active", "fresh"}) is None


def test_a_day_counts_once_in_whichever_role() -> None:
    made = known(scored("v", 1), scored("v", 1, role="beside"), scored("v", 2))
    assert made.figures("demand", "v")["units_7d"]["n"] == 20


def test_what_is_asked_follows_what_becomes_known() -> None:
    made = known(scored("v", 1))
    assert made.figures("demand", "v")["units_7d"]["mae"] == 1.0
    made.remember(scored("v", 2, 3.0))
    assert made.figures("demand", "v")["units_7d"]["mae"] == 2.0
    found = made.measured("demand", "v")
    assert found is not None
    assert found.rows == 20
    made.know(made.work_out())
    assert made.figures("demand", "v")["units_7d"]["mae"] == 2.0


def test_without_a_point_nothing_is_measured() -> None:
    sums = Scores(n=500, interval_n=500, covered=400)
    made = known(Scored("demand", "v", "shown", "units_7d", 7, 1, sums))
    assert made.measured("demand", "v") is None


def test_memory_is_bounded_by_the_days_remembered() -> None:
    made, sizes = KnownScores(), set()
    for day in range(200):
        version = f"v{day // 3}"
        for horizon in (1, 28):
            made.remember(scored(version, day - horizon, days=horizon))
        made.forget(day)
        sizes.add(len(made))
        assert len(made.work_out()) <= REMEMBERED_DAYS / 3 + 2
    assert max(sizes) == 2 * REMEMBERED_DAYS


def test_days_are_told_one_by_one_in_their_order() -> None:
    made = known(scored("v", 3, 2.0), scored("v", 1), scored("other", 2))
    told = made.by_day("demand", "v")
    assert [(day, figures["mae"]) for day, figures in told["units_7d"]] == [(1, 1.0), (3, 2.0)]
    assert made.by_day("demand", "none") == {}
