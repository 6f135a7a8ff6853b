"""The inventory service: what is planned, how the stock stands beside it, what orders are worth."""

import numpy as np
import pytest

from edge.services import budget, counts, fleet, inventory, lead_time
from edge.services.inventory import Terms, Use
from edge.services.lead_time import KNOTS, MODEL, SIMPLE, Curve
from edge.services.stock_position import Position


def poisson(*rates: float) -> Curve:
    mean = np.array(rates)[:, None] * np.array(KNOTS, np.float64)
    return Curve(mean, mean)


def terms(k: int, **given: float) -> Terms:
    told = {
        "lead_days": 7.0, "lead_sd": 0.0, "review_days": 0.0, "order_cost": 1000.0,
        "holding_rate": 0.25, "pack": 1.0, "least": 0.0, "level": 0.95, "cost": 600.0, "price": 1000.0,
    } | given  # fmt: skip
    return Terms(**{name: np.full(k, value) for name, value in told.items()})


def unused(k: int) -> Use:
    return Use(*(np.full(k, np.nan) for _ in range(6)))


def stock(*on_hand: float, reserved: float = 0.0, on_order: float = 0.0) -> Position:
    k = len(on_hand)
    zero = np.zeros(k)
    return Position(np.array(on_hand, float), zero, zero, zero + reserved, zero + on_order)


def sales(curve: Curve, told: Terms, evidence: int = MODEL) -> inventory.Plan:
    k = len(curve.mean)
    return inventory.plan(
        curve, np.full(k, evidence), told, np.zeros(k, bool), unused(k), np.full(k, np.nan)
    )


def test_a_sales_class_is_ordered_at_its_quantile_in_its_cheapest_quantity() -> None:
    made = sales(poisson(2.0), terms(1))
    assert made.reorder_point[0] == counts.quantile(np.array([14.0]), np.array([14.0]), 0.95)[0]
    assert made.safety_stock[0] == made.reorder_point[0] - 14
    assert made.eoq[0] == pytest.approx((2 * 1000 * 730 / 150) ** 0.5)
    assert abs(made.order_units[0] - made.eoq[0]) <= 1
    assert made.fill_rate[0] > 0.98


def test_the_simple_rule_speaks_where_little_is_known() -> None:
    days = np.full((90, 1), np.nan)
    days[-10:, 0] = [2.0, 4.0] * 5
    made = sales(lead_time.simple(days), terms(1), SIMPLE)
    deviation = np.nanstd(days, ddof=1)
    safety = np.ceil(counts.z_of(0.95) * deviation * 7**0.5)
    assert made.safety_stock[0] == safety
    assert made.reorder_point[0] == 21 + safety


def test_nothing_is_ordered_above_the_reorder_point_and_enough_below_it() -> None:
    curve, told = poisson(2.0, 2.0, 2.0, 0.0), terms(4, pack=12.0)
    made = sales(curve, told)
    point = made.reorder_point[0]
    now = stock(point + 1, point, -40, 0)
    found = inventory.stand(made, curve, told, now, np.full(4, np.nan))
    assert found.suggested[0] == 0
    assert found.suggested[1] > 0
    assert found.suggested[2] >= point + 40  # what is owed comes on top
    assert found.suggested[3] == 0  # nobody asks for it
    assert (found.suggested % 12 == 0).all()
    assert [inventory.PRIORITIES[p] for p in found.priority] == ["low", "medium", "critical", "low"]
    assert found.chance_short[2] == 1.0


def test_what_is_on_order_is_not_ordered_again_and_what_is_promised_is_not_there() -> None:
    curve, told = poisson(2.0), terms(1)
    made = sales(curve, told)
    nothing = np.full(1, np.nan)
    point = made.reorder_point[0]
    coming = inventory.stand(made, curve, told, stock(3.0, on_order=point), nothing)
    assert coming.suggested[0] == 0
    promised = inventory.stand(made, curve, told, stock(point + 5, reserved=5.0), nothing)
    assert promised.suggested[0] > 0


def rentals(
    rate: float, owned: float, lost: float = 0.0, days: float = 90.0
) -> tuple[inventory.Plan, Curve, Terms, np.ndarray]:
    curve, told = poisson(rate), terms(1, cost=20_000.0, price=3_000.0)
    have = np.array([owned])
    use = Use(
        np.array([rate]), np.array([3.5]), np.array([1.0]), have, np.array([lost]), np.array([days])
    )
    made = inventory.plan(curve, np.array([MODEL]), told, np.ones(1, bool), use, have)
    return made, curve, told, have


def test_a_rental_class_gets_the_fleet_that_serves_its_requests() -> None:
    made, curve, told, have = rentals(2.0, 40.0)
    assert made.requests[0] == pytest.approx(2.0, rel=3e-3)
    assert made.reorder_point[0] == fleet.size(np.array([7.0]), 0.95)[0] == 11
    enough = inventory.stand(made, curve, told, stock(5.0), have)
    assert enough.suggested[0] == 0
    few = inventory.stand(made, curve, told, stock(2.0, on_order=1.0), np.array([8.0]))
    assert few.suggested[0] == 2  # eight owned, one coming
    assert np.isnan(few.cover_days[0])


def test_what_was_turned_away_raises_the_fleet() -> None:
    """Eight units that serve two a day of more requests than that."""
    made, *_ = rentals(2.0, 8.0)
    assert made.requests[0] > 2.05
    assert made.reorder_point[0] > 11


def test_a_fleet_whose_days_served_too_little_is_never_called_too_large() -> None:
    plenty, *_ = rentals(2.0, 40.0)
    assert plenty.reorder_point[0] < 40
    for days in (90.0, 8.0):  # few days say little of bursts; what they say of this fleet holds
        ran_out, *_ = rentals(2.0, 40.0, 0.3, days)  # an eighth of the requests found nothing
        assert ran_out.requests[0] >= 2.3
        assert ran_out.reorder_point[0] >= 40


def test_an_order_is_worth_what_a_simulated_shop_earns_by_it() -> None:
    curve, told = poisson(2.0), terms(1)
    made, now, units = sales(curve, told), stock(10.0), np.array([60.0])
    found = inventory.worth(made, curve, told, now, np.full(1, np.nan), units)
    span = 7 + 30
    rng = np.random.default_rng(1)
    asked = rng.poisson(2.0 * span, 200_000)
    used = np.minimum(np.maximum(asked - 10, 0), 60)
    keeping = 600 * 0.25 / 365 * 30
    gain = 400 * used - keeping * (used / 2 + 60 - used) - 1000
    assert found.days[0] == span
    assert found.cost[0] == 36_000
    assert found.gain[0] == pytest.approx(gain.mean(), rel=0.01)
    assert found.chance[0] == pytest.approx((gain > 0).mean(), abs=0.01)
    assert found.roi[0] == found.gain[0] / found.cost[0]


def test_a_unit_sold_below_its_cost_is_never_worth_it() -> None:
    curve, told = poisson(2.0), terms(1, price=500.0)
    made = sales(curve, told)
    found = inventory.worth(made, curve, told, stock(0.0), np.full(1, np.nan), np.array([10.0]))
    assert found.gain[0] < 0
    assert found.chance[0] == 0


def test_little_evidence_is_never_trusted_enough_to_act_alone() -> None:
    curve, told = poisson(2.0), terms(1)
    made = sales(curve, told, SIMPLE)
    found = inventory.worth(made, curve, told, stock(0.0), np.full(1, np.nan), np.array([20.0]))
    assert found.chance[0] == inventory.CONFIDENCE_SIMPLE


def test_without_cost_or_price_an_order_is_for_four_weeks_and_its_gain_is_not_known() -> None:
    curve, told = poisson(2.0), terms(1, cost=np.nan, price=np.nan)
    made = sales(curve, told)
    assert made.order_units[0] == 56
    found = inventory.worth(made, curve, told, stock(0.0), np.full(1, np.nan), np.array([56.0]))
    assert np.isnan(found.gain[0])
    assert 0 < found.chance[0] <= 1


def test_a_larger_fleet_is_worth_a_years_rentals_less_its_keeping() -> None:
    made, curve, told, _ = rentals(2.0, 40.0)
    few = np.array([6.0])
    found = inventory.worth(made, curve, told, stock(0.0), few, np.array([2.0]))
    lost = [fleet.lost(np.array([n]), np.array([7.0]))[0] for n in (6.0, 8.0)]
    served = 730 * (lost[0] - lost[1])
    assert found.gain[0] == pytest.approx(3000 * served - 40_000 * 0.5 - 1000, rel=2e-2)
    assert found.chance[0] > 0.99
    assert found.days[0] == 365


def test_steps_add_up_to_the_whole_order_and_fall_in_return() -> None:
    curve, told = poisson(2.0, 0.5), terms(2, pack=6.0, least=12.0)
    made, now = sales(curve, told), stock(4.0, 1.0)
    units = np.array([60.0, 12.0])
    taken, cost, gain = inventory.steps(made, curve, told, now, np.full(2, np.nan), units)
    whole = inventory.worth(made, curve, told, now, np.full(2, np.nan), units)
    assert np.nansum(taken, axis=1).tolist() == units.tolist()
    assert np.nansum(cost, axis=1) == pytest.approx(whole.cost)
    assert np.nansum(gain, axis=1) == pytest.approx(whole.gain)
    assert taken[0, 0] == taken[1, 0] == 12
    share = budget.allocate(cost, gain, float(whole.cost.sum()))
    assert share.spent.sum() > 0


def test_money_goes_to_the_best_return_first() -> None:
    curve = poisson(2.0, 2.0)
    told = Terms(**{n: np.array([v, v]) for n, v in {
        "lead_days": 7.0, "lead_sd": 0.0, "review_days": 0.0, "order_cost": 0.0, "holding_rate": 0.25,
        "pack": 1.0, "least": 0.0, "level": 0.95, "cost": 600.0,
    }.items()}, price=np.array([700.0, 1400.0]))  # fmt: skip
    made, now = sales(curve, told), stock(0.0, 0.0)
    _, cost, gain = inventory.steps(
        made, curve, told, now, np.full(2, np.nan), np.array([20.0, 20.0])
    )
    share = budget.allocate(cost, gain, 20 * 600.0)
    assert share.spent.tolist() == [0.0, 12_000.0]
    assert share.cut.tolist() == [True, False]
