"""Packs: co-demand as the trainer judges it, effects as plain sampling finds them, trends that are there."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from edge.services.packs import (
    Advice,
    Effect,
    Life,
    Offers,
    Stage,
    best_discount,
    chains,
    co_demand,
    dissolve,
    effects,
    gamma_quantile,
    lifecycle,
)
from edge.services.tails import Z80
from trainer.packs import from_documents, judged

Floats = NDArray[np.float64]


# -- what goes together -------------------------------------------------------------------------------


def receipts(seed: int, documents: int, together: float) -> list[list[str]]:
    """Receipts of popular and rare classes; A and B are taken together more often than chance."""
    random = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, 31)
    made = []
    for _ in range(documents):
        size = min(1 + random.poisson(2.5), 30)
        chosen = random.choice(30, size, replace=False, p=popularity / popularity.sum())
        classes = {f"C{i}" for i in chosen.tolist()}
        if random.random() < together:
            classes |= {"C20", "C25"}
        made.append(sorted(classes))
    return made


@pytest.mark.parametrize("together", [0.0, 0.02])
def test_pairs_are_judged_as_the_trainer_judges_them(together: float) -> None:
    counts = from_documents(receipts(1, 1_500, together))
    wanted = judged(counts)
    a, b = counts.pairs[wanted.rows].T
    documents, lines, met, _ = counts.totals[0].astype(np.float64)
    one = np.ones(len(a))
    found = co_demand(
        documents * one, lines * one, met * one, counts.single[a].astype(np.float64),
        counts.single[b].astype(np.float64), counts.together[wanted.rows].astype(np.float64),
        counts.error[wanted.rows].astype(np.float64), wanted.tests,
    )  # fmt: skip
    low = wanted.p < 0.4  # above, ours says 1
    assert low.any()
    assert found.p[low] == pytest.approx(wanted.p[low], rel=1e-6)
    assert ((found.q <= 0.05) == (wanted.q <= 0.05)).all()
    assert found.lift == pytest.approx(wanted.lift)
    assert found.lift_plain == pytest.approx(wanted.lift_plain)
    many = counts.together[wanted.rows] >= 5
    assert found.lift_low[many] == pytest.approx(wanted.lift_low[many], rel=0.03)
    assert found.lift_high[many] == pytest.approx(wanted.lift_high[many], rel=0.03)
    names = {tuple(sorted(counts.keys[i].strip("\x1f") for i in pair))
             for pair in counts.pairs[wanted.rows][found.q <= 0.05].tolist()}  # fmt: skip
    assert (("C20", "C25") in names) == (together > 0)


def test_false_discoveries_among_pairs_stay_within_their_share() -> None:
    wrong = []
    for seed in range(20):
        counts = from_documents(receipts(100 + seed, 400, 0.0))
        a, b = counts.pairs.T
        enough = (counts.single[a] >= 5) & (counts.single[b] >= 5)
        a, b, both = a[enough], b[enough], counts.together[enough].astype(np.float64)
        documents, lines, met, _ = counts.totals[0].astype(np.float64)
        one, k = np.ones(len(a)), int((counts.single >= 5).sum())
        told = co_demand(documents * one, lines * one, met * one, counts.single[a] * one,
                         counts.single[b] * one, both, 0 * one, k * (k - 1) // 2)  # fmt: skip
        wrong.append(bool((told.q <= 0.05).any()))  # nothing is there: any discovery is false
    assert np.mean(wrong) <= 0.10


@settings(max_examples=100, deadline=None)
@given(st.floats(3, 5_000), st.floats(-1.6, 1.6))
def test_gamma_quantiles_are_nearly_scipys(shape: float, z: float) -> None:
    wanted = stats.gamma.ppf(stats.norm.cdf(z), shape)
    assert float(gamma_quantile(np.array([shape]), z)[0]) == pytest.approx(wanted, rel=0.02)


def test_three_classes_that_all_meet_make_a_triple() -> None:
    pairs = [(0, 1), (1, 2), (0, 2), (2, 3), (4, 5)]
    assert chains(pairs, [10, 8, 5, 3, 2]) == [(0, 1, 2)]
    assert chains([], []) == []


# -- what a pack earns --------------------------------------------------------------------------------


def offers(
    seen: float = 40.0,
    price: tuple[float, ...] = (2_000.0, 1_000.0),
    slope: tuple[float, ...] = (-1.5, -1.5),
    sd: float = 0.3,
    most: float = math.nan,
) -> Offers:
    e = np.array([slope])
    return Offers(
        np.array([seen]), np.array([364.0]), np.array([price]), np.full((1, len(price)), np.nan),
        e, e - Z80 * sd, e + Z80 * sd, np.array([most]),
    )  # fmt: skip


def sampled(o: Offers, discount: float, saving: float, days: float) -> tuple[float, float]:
    """(mean, chance of a gain) by plain sampling, customer groups written out: the slow judge."""
    random = np.random.default_rng(2)
    draws = 40_000
    price = o.price_cents[0]
    cost = np.nan_to_num(o.cost_cents[0])
    off = discount * price.sum()
    sd = (o.elasticity_high[0] - o.elasticity_low[0]) / (2 * Z80)
    joint = random.gamma(o.seen[0] + 0.5, days / o.seen_days[0], draws)
    gain = joint * (saving - off)
    for i, p in enumerate(price):
        slope = np.clip(random.normal(o.elasticity[0, i], sd[i], draws), -10, 0)
        newcomers = joint * ((1 - min(off / p, 0.5)) ** slope - 1)
        gain += newcomers * (p - off - cost[i])  # they pay the pack's price, and left out p before
    return float(gain.mean()), float((gain > 0).mean())


@pytest.mark.parametrize("discount", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("slope", [(-2.0, -1.0), (-0.4, -0.3), (-1.2, -0.6)])
@pytest.mark.parametrize("saving", [0.0, 150.0])
def test_effects_are_those_of_plain_sampling(
    discount: float, slope: tuple[float, float], saving: float
) -> None:
    o = offers(slope=slope, sd=0.4)
    found = effects(o, np.array([discount]), 28.0, saving)
    mean, chance = sampled(o, discount, saving, 28.0)
    assert found.mean_cents[0] == pytest.approx(mean, rel=0.05, abs=25)
    assert found.chance[0] == pytest.approx(chance, abs=0.04)
    assert found.low_cents[0] <= found.mean_cents[0] <= found.high_cents[0]


def test_no_elasticity_no_effect_of_a_discount() -> None:
    blind = offers(slope=(-1.5, math.nan))
    assert np.isnan(effects(blind, np.array([0.1]), 28.0, 50.0).mean_cents[0])
    plain = effects(blind, np.array([0.0]), 28.0, 50.0)
    assert plain.mean_cents[0] == pytest.approx(40.5 * 28 / 364 * 50, rel=0.02)
    best = best_discount(blind, 28.0)
    assert not best.create[0]
    assert np.isnan(best.effect.mean_cents[0])
    assert best_discount(blind, 28.0, 50.0).create[0]
    assert best_discount(blind, 28.0, 50.0).discount[0] == 0.0


def test_elastic_classes_make_a_pack_and_others_do_not() -> None:
    good, bad = best_discount(offers(), 28.0), best_discount(offers(slope=(-0.2, -0.2)), 28.0)
    assert good.create[0]
    assert good.discount[0] > 0
    assert good.effect.extra_units[0] > 0
    assert not bad.create[0]


def test_a_pack_cannot_go_out_more_often_than_its_rarest_class() -> None:
    free = effects(offers(slope=(-4.0, -4.0)), np.array([0.2]), 28.0)
    tight = effects(offers(slope=(-4.0, -4.0), most=44.0), np.array([0.2]), 28.0)
    assert tight.units[0] <= free.units[0]
    assert tight.units[0] <= 44 * 28 / 364 * 1.15


def test_units_of_a_pack_that_is_there_count_as_packs() -> None:
    wanted = effects(offers(seen=40.0), np.array([0.1]), 364.0)
    packs = effects(offers(seen=float(wanted.units[0])), np.array([0.1]), 364.0, is_pack=True)
    assert packs.units[0] == pytest.approx(wanted.units[0], rel=0.05)
    assert packs.mean_cents[0] == pytest.approx(wanted.mean_cents[0], rel=0.08)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 500), st.floats(1, 1e5), st.floats(1, 1e5), st.floats(-9, 3), st.floats(-9, 3),
    st.floats(0, 3), st.sampled_from([0.0, 0.05, 0.2]), st.booleans(),
)  # fmt: skip
def test_effects_are_always_numbers_and_chances_chances(
    seen: float, one: float, other: float, a: float, b: float, sd: float, off: float, is_pack: bool
) -> None:
    o = offers(seen, (one, other), (a, b), sd)
    found = effects(o, np.array([off]), 28.0, 10.0, is_pack=is_pack)
    assert np.isfinite([getattr(found, name)[0] for name in Effect.__slots__]).all()
    assert 0 <= found.chance[0] <= 1
    assert 0 <= found.loss[0] <= 1 - found.chance[0] + 1e-12
    assert 0 <= found.extra_units[0] <= found.units[0] + 1e-9


def test_a_pack_that_takes_nothing_off_and_saves_nothing_is_neither_gain_nor_loss() -> None:
    found = effects(offers(), np.array([0.0]), 28.0)
    assert (found.mean_cents[0], found.chance[0], found.loss[0]) == (0.0, 0.0, 0.0)
    life = Life(np.array([int(Stage.STEADY)]), *(np.zeros(1) for _ in range(4)))
    assert dissolve(life, found, np.zeros(1, np.bool_)).tolist() == [Advice.KEEP]


def test_no_packs_at_all_are_no_trouble() -> None:
    none = Offers(np.zeros(0), np.zeros(0), *(np.zeros((0, 2)) for _ in range(5)), np.zeros(0))
    assert len(best_discount(none, 28.0).create) == 0
    assert len(lifecycle(np.zeros((0, 10)), np.zeros(0), np.ones(10)).stage) == 0


# -- how old a pack is --------------------------------------------------------------------------------


def weeks(seed: int, n: int, growth: float, mean: float = 8.0) -> tuple[Floats, Floats]:
    """Over-dispersed weekly units that share the shop's season and remember the week before."""
    random = np.random.default_rng(seed)
    w = 26
    shop = 1_000 * np.exp(0.5 * np.sin(np.arange(w) / 4))
    noise = np.zeros((n, w))
    for t in range(1, w):
        noise[:, t] = 0.4 * noise[:, t - 1] + random.normal(0, 0.25, n)
    mu = mean * shop / 1_000 * np.exp(growth * (np.arange(w) - w / 2) + noise)
    return random.poisson(mu).astype(np.float64), shop


def test_a_season_of_the_whole_shop_is_no_trend_of_a_pack() -> None:
    units, shop = weeks(1, 400, 0.0)
    life = lifecycle(units, np.full(400, 60.0), shop)
    assert np.isin(life.stage, (Stage.GROWTH, Stage.DECLINE)).mean() <= 0.05
    assert (life.p < 0.05).mean() <= 0.09


@pytest.mark.parametrize(("growth", "stage"), [(0.06, Stage.GROWTH), (-0.06, Stage.DECLINE)])
def test_a_trend_that_is_there_is_seen(growth: float, stage: Stage) -> None:
    units, shop = weeks(2, 100, growth)
    life = lifecycle(units, np.full(100, 60.0), shop)
    assert (life.stage == stage).mean() > 0.8
    assert np.median(life.growth) == pytest.approx(np.expm1(growth), abs=0.02)


def test_young_idle_and_unknown_packs_are_named_so() -> None:
    units = np.tile([5.0] * 18 + [0.0] * 8, (3, 1))
    units[2] = np.nan
    life = lifecycle(units, np.array([60.0, 4.0, 60.0]), np.full(26, 100.0))
    assert life.stage.tolist() == [Stage.IDLE, Stage.LAUNCH, Stage.UNKNOWN]
    assert np.isnan(life.growth[2])


def test_a_pack_is_taken_apart_for_a_likely_loss_or_for_want_of_takers() -> None:
    stages = np.array(
        [Stage.STEADY, Stage.STEADY, Stage.DECLINE, Stage.IDLE, Stage.LAUNCH, Stage.STEADY]
    )
    none = np.full(6, np.nan)
    life = Life(stages.astype(np.int64), none, none, none, none)
    chance = np.array([0.9, 0.1, 0.9, 0.9, 0.0, np.nan])
    effect = Effect(none, none, none, chance, 1 - chance, none, none)
    said = dissolve(life, effect, np.zeros(6, np.bool_))
    assert said.tolist() == [
        Advice.KEEP, Advice.DISSOLVE, Advice.WATCH, Advice.DISSOLVE, Advice.KEEP, Advice.KEEP,
    ]  # fmt: skip
    dearer = dissolve(life, effect, np.ones(6, np.bool_))
    assert dearer.tolist() == [
        Advice.WATCH, Advice.DISSOLVE, Advice.WATCH, Advice.DISSOLVE, Advice.WATCH, Advice.WATCH,
    ]  # fmt: skip
