"""Price recommendations: against plain sampling, within their rails, and silent where nothing is known."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services.pricing import (
    CATEGORY,
    CHANGES,
    NOTHING,
    Action,
    Advice,
    Kind,
    Market,
    Money,
    Rails,
    Why,
    advise,
    example,
    influences,
    kinds,
    pooled,
    unknown,
)
from edge.services.tails import Z80

NAN = np.nan


def sampled(
    market: Market, i: int, change: float, draws: int = 60_000
) -> tuple[float, float, float]:
    """(expected gain, chance of a gain, expected revenue) by plain sampling: the slow judge."""
    random = np.random.default_rng(5)
    sd = (market.elasticity_high[i] - market.elasticity_low[i]) / (2 * Z80)
    slope = np.minimum(random.normal(market.elasticity[i], sd, draws), 0)
    wide = np.log(market.units_high[i] / market.units_low[i]) / (2 * Z80)
    asked = market.units[i] * np.exp(random.normal(-(wide**2) / 2, wide, draws))
    end = market.capacity_units[i] if np.isfinite(market.capacity_units[i]) else np.inf
    cost = np.nan_to_num(market.unit_cost_cents[i])
    units = np.minimum(asked * (1 + change) ** slope, end)
    price = market.price_cents[i] * (1 + change)
    gain = units * (price - cost) - np.minimum(asked, end) * (market.price_cents[i] - cost)
    return float(gain.mean()), float((gain > 1e-6).mean()), float((units * price).mean())


@pytest.mark.parametrize("slope", [-3.0, -1.6, -0.6, -0.1])
@pytest.mark.parametrize(("end", "cost"), [(NAN, NAN), (110.0, NAN), (NAN, 400.0), (95.0, 250.0)])
def test_gains_and_chances_are_those_of_plain_sampling(
    slope: float, end: float, cost: float
) -> None:
    market = replace(
        example([slope], sd=0.4),
        capacity_units=np.array([end]),
        unit_cost_cents=np.array([cost]),
    )
    found = advise(market)
    assert found.action[0] in (Action.CHANGE, Action.KEEP, Action.TEST)
    gain, chance, revenue = sampled(market, 0, float(found.change[0]))
    scale = 0.01 * float(found.revenue_now.mean[0])
    if found.change[0]:
        assert found.gain.mean[0] == pytest.approx(gain, abs=scale)
        assert found.confidence[0] == pytest.approx(chance, abs=0.03)
    assert found.revenue.mean[0] == pytest.approx(revenue, rel=0.01)
    for change in CHANGES.tolist():  # no other change would be better by sampling
        other, likely, _ = sampled(market, 0, change)
        if likely > 0.85:
            assert other <= gain + scale


def test_the_confidence_is_the_share_that_gains() -> None:
    random = np.random.default_rng(3)
    middle = random.uniform(-2.5, -0.1, 600)
    market = example(middle.tolist(), sd=0.6)
    found = advise(market)
    true = np.minimum(random.normal(middle, 0.6), 0)
    moved = found.change != 0
    gains = (1 + found.change) ** (1 + true) > 1
    assert moved.sum() > 200
    assert gains[moved].mean() == pytest.approx(found.confidence[moved].mean(), abs=0.05)


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("price_cents", NAN, Why.NO_PRICE),
        ("price_cents", 0.0, Why.NO_PRICE),
        ("units", NAN, Why.NO_DEMAND),
        ("units", 0.0, Why.NO_DEMAND),
        ("elasticity", NAN, Why.NO_ELASTICITY),
        ("elasticity_low", NAN, Why.NO_ELASTICITY),
        ("evidence", NOTHING, Why.NO_ELASTICITY),
        ("elasticity", 0.3, Why.ODD_ELASTICITY),
    ],
)
def test_where_something_is_not_known_nothing_is_recommended(
    column: str, value: float, why: Why
) -> None:
    market = example([-2.0, -2.0])
    getattr(market, column)[1] = value
    found = advise(market)
    assert found.action.tolist() == [Action.CHANGE, Action.NOTHING]
    assert found.why[1] & why
    assert found.reasons(1)
    for name in ("change", "price_cents", "confidence", "units", "units_now"):
        assert np.isnan(getattr(found, name)[1])
        assert np.isfinite(getattr(found, name)[0])
    for money in (found.revenue, found.gain, found.revenue_now):
        assert np.isnan([money.mean[1], money.low[1], money.high[1]]).all()


def test_scarce_goods_are_made_dearer_however_elastic() -> None:
    market = replace(example([-1.8]), capacity_units=np.array([60.0]))
    found = advise(market)
    assert found.change[0] == pytest.approx(0.2)
    assert found.why[0] & Why.SCARCE
    assert influences(market)["utilisation"][0] == pytest.approx(0.4)  # else it were 20 % down


def test_a_high_season_of_few_units_shows_as_its_influence() -> None:
    market = replace(example([-1.5]), capacity_units=np.array([70.0]), season=np.array([2.0]))
    assert advise(market).change[0] > 0
    assert influences(market)["season"][0] > 0


def test_rails_hold_and_say_so() -> None:
    dear = example([-0.3])
    assert advise(dear, Rails(baseline=0.05)).change[0] == pytest.approx(0.05)
    assert advise(dear, Rails(baseline=0.05)).why[0] & Why.RAIL
    held = advise(replace(dear, market_cents=np.array([900.0])))
    assert held.change[0] == pytest.approx(0.025)
    assert held.why[0] & Why.MARKET
    assert influences(replace(dear, market_cents=np.array([900.0])))["market"][0] < 0
    worn = advise(replace(dear, grade=np.array([2.0])))
    assert worn.action[0] == Action.KEEP
    assert worn.why[0] & Why.QUALITY
    assert influences(replace(dear, grade=np.array([2.0])))["quality"][0] == pytest.approx(-0.2)


def test_a_price_far_from_its_baseline_may_only_come_back() -> None:
    low = replace(example([-3.0, -0.2, -0.2]), baseline_cents=np.array([1500.0, 1500.0, 2000.0]))
    change = advise(low).change
    assert change[0] == 0
    assert change[1] > 0
    assert change[2] == pytest.approx(0.2)  # still outside, but nearer


def test_wide_beliefs_keep_the_mean_that_they_were_told() -> None:
    wide = replace(example([-1.0]), units_low=np.array([20.0]), units_high=np.array([300.0]))
    found = advise(wide)
    assert found.units_now[0] == pytest.approx(100.0)
    assert found.revenue_now.mean[0] == pytest.approx(100_000)
    assert found.revenue_now.low[0] < 40_000 < 200_000 < found.revenue_now.high[0]


def test_rounding_to_cents_leaves_no_rail_and_a_price_of_few_cents_is_left_alone() -> None:
    odd = replace(example([-0.2, -3.0, -0.2]), price_cents=np.array([999.0, 999.0, 3.0]),
                  baseline_cents=np.array([999.0, 999.0, 3.0]),
                  seen_high_cents=np.full(3, 2000.0), seen_low_cents=np.ones(3))  # fmt: skip
    found = advise(odd)
    assert found.price_cents.tolist() == [1198, 800, 3]
    assert found.action.tolist() == [Action.CHANGE, Action.CHANGE, Action.KEEP]


def test_what_is_not_sure_is_tested_first() -> None:
    market = example([-0.3, -0.3, -0.3, -0.3])
    market.evidence[0] = CATEGORY
    market.seen_high_cents[1] = 1000.0
    market.seen_high_cents[2] = 1100.0
    found = advise(market)
    assert found.action.tolist() == [Action.TEST, Action.TEST, Action.CHANGE, Action.CHANGE]
    assert found.price_cents.tolist() == [1200, 1200, 1100, 1200]
    assert found.why[2] & Why.BEYOND_SEEN
    assert not found.why[3] & Why.BEYOND_SEEN
    assert found.why[0] & Why.CATEGORY_ONLY
    assert found.why[1] & Why.BEYOND_SEEN
    doubtful = advise(example([-0.75], sd=0.6))
    assert doubtful.action[0] == Action.TEST
    assert 0.6 <= doubtful.confidence[0] < 0.8


@pytest.mark.parametrize("column", ["testing", "recent"])
def test_a_price_that_is_tested_or_just_changed_is_let_be(column: str) -> None:
    market = replace(example([-0.3]), **{column: np.array([True])})
    found = advise(market)
    assert found.action[0] == Action.KEEP
    assert found.change[0] == 0
    assert found.gain.mean[0] == 0


def test_no_class_at_all_is_no_trouble() -> None:
    assert len(advise(example([])).action) == 0


cells = st.one_of(st.just(NAN), st.floats(0.0, 1e7))


@st.composite
def markets(draw: st.DrawFn) -> Market:
    n = draw(st.integers(1, 5))

    def column(values: st.SearchStrategy[float]) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)))

    slope = column(st.one_of(st.just(NAN), st.floats(-10, 10)))
    wide = column(st.floats(0, 10))
    flags = st.booleans()
    units = column(cells)
    return Market(
        price_cents=column(cells), baseline_cents=column(cells), unit_cost_cents=column(cells),
        units=units, units_low=units * draw(st.floats(0, 1)), units_high=units * draw(st.floats(1, 4)),
        capacity_units=column(cells), evidence=column(st.integers(0, 2)), elasticity=slope,
        elasticity_low=slope - wide, elasticity_high=slope + wide, seen_low_cents=column(cells),
        seen_high_cents=column(cells), season=column(cells), utilisation=column(cells),
        grade=column(cells), market_cents=column(cells), testing=column(flags), recent=column(flags),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(markets(), st.floats(0.01, 0.5))
def test_no_recommendation_leaves_its_rails_or_invents_anything(
    market: Market, rail: float
) -> None:
    found = advise(market, Rails(baseline=rail))
    missing = unknown(market)
    assert ((found.action == Action.NOTHING) == (missing != 0)).all()
    for i in np.flatnonzero(missing == 0):
        base = market.baseline_cents[i] if market.baseline_cents[i] > 0 else market.price_cents[i]
        new = found.price_cents[i]
        assert new == pytest.approx(market.price_cents[i] * (1 + found.change[i]))
        assert found.change[i] == 0 or new == round(new)
        nearer = abs(new - base) < abs(market.price_cents[i] - base)
        assert found.change[i] == 0 or nearer or abs(new / base - 1) <= rail + 1e-6
        assert 0 <= found.confidence[i] <= 1
        assert found.gain.low[i] <= found.gain.high[i]
        if found.action[i] == Action.CHANGE:
            assert found.gain.mean[i] > 0
            assert found.confidence[i] >= 0.8
            assert market.evidence[i] == 2
        if found.change[i] > 0 and market.market_cents[i] == market.market_cents[i]:
            assert new <= market.market_cents[i] * 1.15 + 1e-6


@settings(max_examples=30, deadline=None)
@given(markets(), st.randoms())
def test_a_class_is_judged_alike_in_whatever_company(market: Market, random: object) -> None:
    order = np.arange(len(market))[::-1].copy()
    whole, turned = advise(market), advise(market.take(order))
    for field in fields(Advice):
        one, other = getattr(whole, field.name), getattr(turned, field.name)
        if isinstance(one, Money):
            assert np.array_equal(one.mean[order], other.mean, equal_nan=True)
        else:
            assert np.array_equal(one[order], other, equal_nan=True)
    many = market.take(np.resize(np.arange(len(market)), 150))
    assert np.array_equal(advise(many).change, np.resize(whole.change, 150), equal_nan=True)


def test_elasticities_are_named_by_what_their_interval_allows() -> None:
    market = example([-2.0, -0.4, -1.1, 0.2, -2.0])
    market.evidence[4] = NOTHING
    assert kinds(
        market.evidence, market.elasticity, market.elasticity_low, market.elasticity_high
    ).tolist() == [
        Kind.ELASTIC, Kind.INELASTIC, Kind.EITHER, Kind.ODD, Kind.UNKNOWN,
    ]  # fmt: skip


def test_a_groups_mean_weighs_what_is_known_better_more() -> None:
    assert pooled(np.array([NAN]), np.array([NAN]), np.array([NAN])) is None
    e, sd = np.array([-1.0, -2.0, -1.5]), np.array([0.1, 0.1, 3.0])
    found = pooled(e, e - Z80 * sd, e + Z80 * sd)
    assert found is not None
    assert found.mean == pytest.approx(-1.5, abs=0.01)
    assert found.spread == pytest.approx(0.7, abs=0.03)
    alike = pooled(np.full(3, -1.2), np.full(3, -1.3), np.full(3, -1.1))
    assert alike is not None
    assert alike.spread == 0
