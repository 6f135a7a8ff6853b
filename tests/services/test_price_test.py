"""Price tests: fair layouts, evidence that may be looked at any time, and verdicts that keep their word."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from edge.services.price_test import (
    ALPHA,
    CONTROL,
    OUTSIDE,
    TESTED,
    Design,
    Layout,
    Rule,
    adherence,
    arm,
    blocks_needed,
    chances,
    counts,
    differences,
    evidence,
    expected,
    group,
    interval,
    judge,
    levels,
    scale_for,
    spread,
)

Floats = NDArray[np.float64]
STORES = ("north", "south", "east", "west")

layouts = st.builds(
    Layout,
    id=st.text("abcdef", min_size=1, max_size=6),
    design=st.sampled_from(["store", "period"]),
    stores=st.lists(
        st.text("nsew", min_size=1, max_size=4), min_size=2, max_size=5, unique=True
    ).map(tuple),
    first_day=st.integers(10_000, 30_000),
    period_days=st.integers(1, 9),
    blocks=st.integers(2, 8),
    washout_days=st.just(0),
)


# -- layouts ----------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(layouts)
def test_in_every_block_every_store_charges_both_prices_for_equally_many_days(
    layout: Layout,
) -> None:
    assert layout.complaint() == ""
    for store in layout.stores:
        days = range(layout.first_day, layout.last_day + 1)
        arms = np.array([arm(layout, store, day) for day in days])
        by_block = arms.reshape(layout.blocks, 2, layout.period_days)
        assert (by_block.min(axis=2) == by_block.max(axis=2)).all()  # one price a period
        assert (by_block[:, 0, 0] != by_block[:, 1, 0]).all()
        assert arm(layout, store, layout.first_day - 1) == OUTSIDE
        assert arm(layout, store, layout.last_day + 1) == OUTSIDE
    assert arm(layout, "nobody", layout.first_day) == OUTSIDE
    if layout.design == "period":
        first = {arm(layout, store, layout.first_day) for store in layout.stores}
        assert len(first) == 1
    else:
        groups = [group(layout, store) for store in layout.stores]
        assert abs(2 * sum(groups) - len(groups)) <= 1
        assert {arm(layout, s, layout.first_day) for s in layout.stores} == {CONTROL, TESTED}


def test_coins_are_fair_and_do_not_agree_with_each_other() -> None:
    first = [arm(Layout(f"T{i}", "period", ("s",), 0, 1, 2), "s", 0) for i in range(600)]
    second = [arm(Layout(f"T{i}", "period", ("s",), 0, 1, 2), "s", 2) for i in range(600)]
    assert abs(np.mean(first) - 0.5) < 0.06
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.12


@pytest.mark.parametrize(
    "wrong",
    [
        {"stores": ()},
        {"stores": ("a", "a")},
        {"stores": ("a",)},
        {"period_days": 0},
        {"washout_days": 7},
        {"blocks": 1},
        {"blocks": 99},
    ],
)
def test_a_layout_that_cannot_be_says_why(wrong: dict[str, object]) -> None:
    good = {
        "id": "T",
        "design": "store",
        "stores": ("a", "b"),
        "first_day": 0,
        "period_days": 7,
        "blocks": 4,
    }
    assert Layout(**good).complaint() == ""  # type: ignore[arg-type]
    assert Layout(**(good | wrong)).complaint()  # type: ignore[arg-type]


# -- from takings to one number a block ---------------------------------------------------------------


def slow_differences(layout: Layout, takings: Floats, usual: Floats) -> list[float]:
    """The naive way: walk over days."""
    made = []
    for b in range(min(takings.shape[1] // layout.block_days, layout.blocks)):
        per_group = []
        members: dict[int, list[int]] = {}
        for s, store in enumerate(layout.stores):
            members.setdefault(group(layout, store) if layout.design == "store" else 0, []).append(
                s
            )
        for _, rows in sorted(members.items()):
            took, hoped = [0.0, 0.0], [0.0, 0.0]
            for s in rows:
                for d in range(b * layout.block_days, (b + 1) * layout.block_days):
                    day = layout.first_day + d
                    if math.isnan(takings[s, d]) or not counts(layout, day):
                        continue
                    a = arm(layout, layout.stores[s], day)
                    took[a] += takings[s, d]
                    hoped[a] += usual[s, (day + 3) % 7]
            per_group.append(
                took[1] / hoped[1] - took[0] / hoped[0] if min(hoped) > 0 else math.nan
            )
        made.append(float(np.mean(per_group)))
    return made


@settings(max_examples=60, deadline=None)
@given(layouts, st.integers(0, 2**32 - 1), st.integers(0, 2), st.floats(0, 0.4))
def test_block_differences_are_those_of_walking_over_days(
    layout: Layout, seed: int, washout: int, gone: float
) -> None:
    random = np.random.default_rng(seed)
    washout = min(washout, layout.period_days - 1)
    layout = Layout(layout.id, layout.design, layout.stores, layout.first_day, layout.period_days,
                    layout.blocks, washout)  # fmt: skip
    days = int(random.integers(0, layout.blocks * layout.block_days + 5))
    takings = random.gamma(2, 50, (len(layout.stores), days))
    takings[random.random(takings.shape) < gone] = np.nan
    usual = random.gamma(3, 30, (len(layout.stores), 7))
    found = differences(layout, takings, usual)
    wanted = slow_differences(layout, takings, usual)
    assert len(found) == len(wanted)
    assert found == pytest.approx(np.array(wanted), rel=1e-9, abs=1e-9, nan_ok=True)


def test_a_strong_week_and_a_strong_store_cancel_in_a_test_by_store() -> None:
    layout = Layout("T", "store", STORES, 7_000, 7, 4)
    size = np.array([1.0, 5.0, 2.0, 0.5])[:, None]
    weeks = np.repeat([1.0, 1.8, 0.6, 1.1, 2.0, 1.0, 0.9, 1.3], 7)
    takings = 100 * size * weeks
    found = differences(layout, takings, 100 * size * np.ones((4, 7)))
    assert found == pytest.approx(np.zeros(4), abs=1e-12)
    raised = takings * [[1.1 if arm(layout, s, 7_000 + d) == TESTED else 1.0 for d in range(56)]
                        for s in STORES]  # fmt: skip
    assert (differences(layout, raised, 100 * size * np.ones((4, 7))) > 0.03).all()
    control, tested = levels(layout, raised, 100 * size * np.ones((4, 7)))
    assert 1.0 < tested / control < 1.25


def test_usual_takings_are_means_by_weekday_and_fill_what_was_never_seen() -> None:
    past = np.array([[1.0, 2, 3, 4, 5, 6, 7, 3, np.nan], [np.nan] * 8 + [5.0]])
    last = 4 + 7 * 1_000 + 8 - 7 - 0  # day numbers: 1970-01-05 (4) was a Monday
    found = expected(past, last)
    first_weekday = (last - 8 + 3) % 7
    assert found[0, first_weekday] == 2.0
    assert (found[1] == 5.0).all()
    assert expected(np.full((1, 3), np.nan), 10).tolist() == [[0.0] * 7]


# -- evidence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "n", "scale"), [(1, 2, 1.0), (2, 5, 0.5), (3, 9, 4.0), (4, 14, 20.0)]
)
def test_the_evidence_is_the_ratio_of_mixed_likelihoods(seed: int, n: int, scale: float) -> None:
    """By numerical integration over deviation (right Haar) and effect (normal): the slow judge."""
    x = np.random.default_rng(seed).normal(0.4, 1.3, n)

    least = float(np.sum(stats.norm.logpdf(x, 0, x.std())))  # so that no number is tiny

    def likelihood(mean: float, sd: float) -> float:
        return math.exp(float(np.sum(stats.norm.logpdf(x, mean * sd, sd))) - least)

    def over_sd(mean: float) -> float:
        return integrate.quad(lambda t: likelihood(mean, math.exp(t)), -4, 6, limit=200)[0]

    tested = integrate.quad(
        lambda m: stats.norm.pdf(m, 0, scale**-0.5) * over_sd(m), -6 / scale**0.5, 6 / scale**0.5
    )[0]
    wanted = math.log(tested / over_sd(0.0))
    found = float(evidence(np.array(x.sum()), np.array((x**2).sum()), np.array(float(n)), scale))
    assert found == pytest.approx(wanted, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.floats(0.3, 100))
def test_the_interval_holds_exactly_what_the_evidence_does_not_refuse(
    seed: int, n: int, scale: float
) -> None:
    x = np.random.default_rng(seed).normal(0.2, 1.0, n)
    low, high = interval(x, scale, ALPHA)
    for end, inside in ((low, 1e-6), (high, -1e-6)):
        if math.isfinite(end):
            for step, refused in ((inside, False), (-inside, True)):
                y = x - (end + step)
                told = float(
                    evidence(np.array(y.sum()), np.array((y**2).sum()), np.array(float(n)), scale)
                )
                assert (told >= math.log(1 / ALPHA)) == refused


def test_evidence_of_one_block_or_of_nothing_at_all_is_none() -> None:
    one = evidence(np.array(3.0), np.array(9.0), np.array(1.0), 2.0)
    assert float(one) == pytest.approx(0.0)
    nothing = evidence(np.array(0.0), np.array(0.0), np.array(6.0), 2.0)
    assert float(nothing) <= 0.0
    assert interval(np.array([0.2]), 1.0, ALPHA) == (-math.inf, math.inf)


# -- how often it is wrong ----------------------------------------------------------------------------


def shop(random: np.random.Generator, days: int, stores: int, mean: float) -> Floats:
    """Takings as shops have them: weekdays, good and bad weeks, drifting stores, over-dispersed counts."""
    weekday = np.array([0.7, 0.8, 0.9, 1.0, 1.3, 1.6, 0.7])[np.arange(days) % 7]
    weeks = np.repeat(np.exp(random.normal(0, 0.2, days // 7 + 1)), 7)[:days]
    own = np.repeat(np.exp(random.normal(0, 0.15, (stores, days // 7 + 1))), 7, axis=1)[:, :days]
    drift = np.exp(np.cumsum(random.normal(0, 0.01, (stores, days)), axis=1))
    size = random.uniform(0.5, 3.0, (stores, 1))
    mu = mean * size * weekday * weeks * own * drift
    dispersion = 1.5
    return random.negative_binomial(mu / dispersion, 1 / (1 + dispersion)).astype(np.float64)


def played(
    design: Design, tests: int, effect: float, seed: int, mean: float = 12.0
) -> list[list[float]]:
    """Block differences of many tests over 12 blocks, through the real code from days on."""
    random = np.random.default_rng(seed)
    made = []
    past, blocks = 56, 12
    for i in range(tests):
        layout = Layout(f"{seed}/{i}", design, STORES, 20_000, 7, blocks)
        takings = shop(random, past + blocks * 14, len(STORES), mean)
        usual = expected(takings[:, :past], 19_999)
        now = takings[:, past:]
        if effect:
            arms = np.array(
                [[arm(layout, s, 20_000 + d) for d in range(now.shape[1])] for s in STORES]
            )
            now = now * np.where(arms == TESTED, 1 + effect, 1.0)
        made.append(differences(layout, now, usual).tolist())
    return made


def rule(effect: float = 0.15, sd: float = 0.15, blocks: int = 12) -> Rule:
    return Rule(ALPHA, scale_for(effect, sd), blocks, effect, 0.0)


@pytest.mark.parametrize(
    ("design", "seed", "mean"), [("store", 1, 12.0), ("period", 2, 12.0), ("store", 3, 0.3)]
)
def test_a_difference_that_is_not_there_is_shown_to_five_in_a_hundred_at_most(
    design: Design, seed: int, mean: float
) -> None:
    """Looked at after every block; the usual t-test, looked at as often, is wrong far more often."""
    tests = 500
    wrong = harmed = naive = 0
    outside = 0
    for found in played(design, tests, 0.0, seed, mean):
        said = judge(found, rule())
        wrong += said.stop == "shown"
        harmed += said.stop == "harm"
        naive += any(
            np.ptp(found[:n]) > 1e-9 and stats.ttest_1samp(found[:n], 0).pvalue < ALPHA
            for n in range(2, len(found) + 1)
        )
        outside += any(
            not low <= 0 <= high
            for low, high in (
                interval(np.array(found[:n]), rule().scale, ALPHA) for n in range(2, 13)
            )
        )
    margin = 2 * math.sqrt(ALPHA * (1 - ALPHA) / tests)
    assert wrong / tests <= ALPHA + margin
    assert outside / tests <= ALPHA + margin
    assert harmed / tests <= 0.10 + margin
    assert naive / tests > 0.12


def test_a_difference_that_is_there_is_shown_in_the_end_and_in_the_right_direction() -> None:
    better = [judge(found, rule()) for found in played("store", 120, 0.3, 5)]
    assert np.mean([said.verdict == "better" for said in better]) > 0.8
    assert not any(said.verdict == "worse" for said in better)
    covered = [said.low <= 0.3 * 1.3 and said.high >= 0.3 * 0.7 for said in better]
    assert np.mean(covered) > 0.95


def test_a_harmful_price_is_stopped_early() -> None:
    said = [judge(found, rule()) for found in played("store", 120, -0.3, 6)]
    assert np.mean([one.stop in ("harm", "shown") for one in said]) > 0.85
    assert np.median([one.blocks for one in said]) <= 8
    assert all(one.verdict in ("worse", "not_enough_data") for one in said if one.stop == "harm")
    assert not any(one.verdict == "better" for one in said)


# -- how long it takes ------------------------------------------------------------------------------


def test_the_stated_length_gives_the_stated_power() -> None:
    effect, sd = 0.12, 0.12
    blocks = blocks_needed(effect, sd)
    assert blocks is not None
    random = np.random.default_rng(11)
    said = [judge(random.normal(effect, sd, blocks), rule(effect, sd, blocks)) for _ in range(500)]
    assert np.mean([one.verdict == "better" for one in said]) == pytest.approx(0.8, abs=0.05)


def test_looking_all_the_time_costs_blocks_but_not_many() -> None:
    for ratio in (0.6, 0.8, 1.0, 1.5):
        fixed = TTestPower().solve_power(ratio, alpha=ALPHA, power=0.8)
        found = blocks_needed(ratio, 1.0)
        assert found is not None
        assert fixed < found < 2.2 * fixed + 2


def test_larger_effects_and_steadier_shops_never_take_longer() -> None:
    lengths = [blocks_needed(e, 0.2) or 99 for e in (0.12, 0.16, 0.2, 0.3, 0.5)]
    assert lengths == sorted(lengths, reverse=True)
    assert (np.diff(chances(0.2, 0.2)) >= 0).all()
    assert blocks_needed(0.01, 0.5) is None
    assert blocks_needed(0.1, math.inf) is None


def test_the_past_tells_how_blocks_scatter() -> None:
    random = np.random.default_rng(8)
    takings = shop(random, 400, 4, 12.0)
    for design in ("store", "period"):
        layout = Layout("T", design, STORES, 20_000, 7, 10)  # type: ignore[arg-type]
        told = spread(layout, takings, 19_999, float(takings.sum(axis=0).mean()))
        true = np.std([d for found in played(design, 60, 0.0, 9) for d in found])  # type: ignore[arg-type]
        assert told.blocks >= 20
        assert 0.5 * true < told.sd < 2 * true
        assert told.careful_sd > told.sd


def test_with_little_past_the_scatter_of_counts_speaks_and_with_none_nobody() -> None:
    layout = Layout("T", "period", ("a",), 20_000, 7, 10)
    few = spread(layout, np.full((1, 20), 4.0), 19_999, 4.0)
    assert few.blocks == 0
    assert few.sd >= math.sqrt(2 / 28)
    assert math.isinf(spread(layout, np.zeros((1, 0)), 19_999, 0.0).sd)


# -- verdicts ---------------------------------------------------------------------------------------


def test_verdicts_say_no_more_than_is_known() -> None:
    steady = rule(0.1, 0.1, 6)
    assert judge([], steady).verdict == "not_enough_data"
    assert math.isnan(judge([], steady).effect)
    assert judge([0.5], steady).stop == ""
    same = judge([0.3, 0.29, 0.31, 0.3, 0.3, 0.3], steady)
    assert (same.verdict, same.stop) == ("better", "shown")
    assert same.blocks < 6
    assert judge([-0.3, -0.29, -0.31, -0.3], steady).verdict in ("worse", "not_enough_data")
    wild = judge([0.3, -0.3, 0.2, -0.25, 0.1, -0.1], steady)
    assert (wild.verdict, wild.stop, wild.negligible) == ("no_difference_shown", "planned", False)
    calm = judge([0.003, -0.003, 0.002, -0.002, 0.001, -0.001], steady)
    assert (calm.verdict, calm.negligible) == ("no_difference_shown", True)


def test_a_loss_beyond_its_limit_ends_the_test_without_a_verdict() -> None:
    limited = Rule(ALPHA, 1.0, 20, 0.1, loss_most=0.5)
    said = judge([0.4, -0.5, 0.3, -0.9], limited)
    assert (said.stop, said.verdict, said.blocks) == ("loss", "not_enough_data", 4)


def test_a_block_that_cannot_be_told_is_left_out() -> None:
    said = judge([math.nan, 0.3, math.nan, 0.29, 0.31, 0.3, 0.3], rule(0.1, 0.1, 6))
    assert said.verdict == "better"


def test_a_price_that_was_not_charged_has_no_verdict() -> None:
    found = [0.3, 0.29, 0.31, 0.3, 0.3, 0.3]
    assert judge(found, rule(0.1, 0.1, 6), adherence=0.5).stop == "not_charged"
    layout = Layout("T", "period", ("a",), 100, 2, 2)
    planned = [1_000.0 if arm(layout, "a", 100 + d) == CONTROL else 1_100.0 for d in range(8)]
    assert adherence(layout, np.array([planned]), (1_000, 1_100)) == 1.0
    never = np.array([[1_000.0] * 8])
    assert adherence(layout, never, (1_000, 1_100)) == 0.5
    assert adherence(layout, np.full((1, 8), np.nan), (1_000, 1_100)) == 1.0
