"""What keeping, mending, selling and throwing away are worth, month by month."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services.lifecycle import CHOICES, MONTHS, Terms, Values, needed, ranks, values

TERMS = Terms()
PRICES = (1.0, 0.95, 0.8)


def slow_keep(
    shares: np.ndarray, busy: float, rent: float, failures: np.ndarray, repair: float, new: float
) -> float:  # type: ignore[type-arg]
    """The best of selling after 1 … 12 months, one month after the other."""
    best, earned = -math.inf, 0.0
    for month in range(MONTHS):
        price = sum(s * p for s, p in zip(shares[month], PRICES, strict=True))
        discount = 1.08 ** (-month / 12)
        earned += (30 * busy * rent * price - failures[month] * repair) * discount
        then = sum(s * p for s, p in zip(shares[month + 1], TERMS.resale_shares, strict=True))
        sold = new * then * 0.8 ** ((month + 1) / 12) - TERMS.selling_cents
        best = max(best, earned + max(sold, 0.0) * 1.08 ** (-(month + 1) / 12))
    return best


def found(n: int, seed: int) -> tuple[Values, dict[str, np.ndarray]]:  # type: ignore[type-arg]
    """Of items made up."""
    random = np.random.default_rng(seed)
    columns = {
        "shares": random.dirichlet((1, 1, 1), (n, MONTHS + 1)),
        "renewed": random.dirichlet((3, 1, 0.2), (n, MONTHS + 1)),
        "busy": random.random(n),
        "rent_cents": random.uniform(100, 3_000, n),
        "failures": random.uniform(0, 0.6, (n, MONTHS)),
        "renewed_failures": random.uniform(0, 0.3, (n, MONTHS)),
        "repair_cents": random.uniform(1_000, 9_000, n),
        "new_cents": random.uniform(5_000, 200_000, n),
        "refurbish_cents": random.uniform(1_000, 50_000, n),
    }
    return values(**columns, price_shares=np.tile(PRICES, (n, 1)), terms=TERMS), columns


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000))
def test_choices_are_worth_what_the_months_add_up_to(seed: int) -> None:
    got, c = found(6, seed)
    for i in range(6):
        keep = slow_keep(
            c["shares"][i], c["busy"][i], c["rent_cents"][i], c["failures"][i],
            c["repair_cents"][i], c["new_cents"][i],
        )  # fmt: skip
        mend = slow_keep(
            c["renewed"][i], c["busy"][i], c["rent_cents"][i], c["renewed_failures"][i],
            c["repair_cents"][i], c["new_cents"][i],
        )  # fmt: skip
        mend -= c["refurbish_cents"][i] + 5 * c["busy"][i] * c["rent_cents"][i]
        sell = c["new_cents"][i] * float(c["shares"][i, 0] @ np.array(TERMS.resale_shares)) - 500
        assert got.worth[i] == pytest.approx([keep, mend, sell, 0.0])
        assert got.repairs[i] == pytest.approx(sum(c["failures"][i]) * c["repair_cents"][i])
        assert got.best[i] == int(np.argmax([keep, mend, sell, 0.0]))


def one(**told: object) -> str:
    """The choice for one item that is B and stays so, unless told otherwise."""
    shares = np.zeros((1, MONTHS + 1, 3))
    shares[0, :, int(told.pop("group", 1))] = 1.0  # type: ignore[call-overload]
    renewed = np.zeros((1, MONTHS + 1, 3))
    renewed[:, :, 0] = 1.0
    rate = float(told.pop("rate_a_day", 0.002))  # type: ignore[arg-type]
    usual = {"busy": 0.5, "rent_cents": 500.0, "repair_cents": 2_000.0,
             "new_cents": 50_000.0, "refurbish_cents": 20_000.0}  # fmt: skip
    columns = {name: np.array([value]) for name, value in (usual | told).items()}
    failures = np.full((1, MONTHS), 30 * rate)
    got = values(
        shares=shares, renewed=renewed, failures=failures, renewed_failures=0.7 * failures,
        price_shares=np.array([PRICES]), terms=TERMS, **columns,
    )  # type: ignore[arg-type]  # fmt: skip
    return CHOICES[got.best[0]] if got.best[0] >= 0 else ""


def test_who_earns_is_kept_and_who_is_never_needed_is_sold() -> None:
    assert one() == "keep"
    assert one(busy=0.0) == "resell"


def test_who_breaks_all_the_time_is_mended_if_that_pays_and_sold_if_not() -> None:
    assert one(group=2, rate_a_day=0.06, busy=0.9) == "refurbish"
    assert one(group=2, rate_a_day=0.06, refurbish_cents=90_000.0, busy=0.01) == "resell"


def test_what_nobody_buys_is_thrown_away() -> None:
    assert one(group=2, busy=0.0, rate_a_day=0.05, new_cents=1_000.0) == "retire"


def test_without_money_nothing_is_said() -> None:
    assert one(rent_cents=math.nan) == ""
    assert one(new_cents=math.nan) == ""


def test_the_last_of_a_class_is_needed_only_when_all_are_out() -> None:
    out = np.array([[3.0, 3.0, 3.0], [1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    assert needed(out, np.array([1, 2, 3])).tolist() == [0.75, 0.5, 0.25]
    assert needed(out, np.array([1, 2, 3])).sum() * 4 == out[:, 0].sum()
    assert np.isnan(needed(np.zeros((0, 1)), np.array([1]))).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.floats(0, 100))), max_size=30))
def test_ranks_count_each_class_from_its_best(told: list[tuple[int, float | None]]) -> None:
    cls = np.array([c for c, _ in told], np.int64)
    score = np.array([math.nan if s is None else s for _, s in told], np.float64)
    got = ranks(cls, score)
    for c in set(cls.tolist()):
        of = np.flatnonzero(cls == c)
        assert sorted(got[of].tolist()) == list(range(1, len(of) + 1))
        in_order = score[of[np.argsort(got[of])]]
        known = in_order[~np.isnan(in_order)]
        assert (np.diff(known) <= 0).all()
        assert np.isnan(in_order[len(known) :]).all()
