"""One row is read exactly as many are: the compiled plan against the catalogue, bit for bit."""

import numpy as np
import pytest

from edge.core import Core
from edge.features.catalog import BY_ENTITY, matrix
from edge.inference.gather import Plan
from tests.streams import DAY, HOUR, MINUTE, Streams, config, run

PACES: tuple[tuple[int, ...], ...] = (
    (0, 1, 40, 900),
    (0, MINUTE, 7 * HOUR),
    (0, HOUR, DAY, 9 * DAY),
)


def a_shop(seed: int) -> Core:
    settings = config()
    core = Core(settings)
    stream = Streams(seed, pauses_ms=PACES[seed % len(PACES)])
    run(core, stream.messages(400), 16, beats=stream.random)
    return core


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("entity", ["item", "class", "zone", "reader", "customer"])
def test_one_row_is_read_as_many_are(seed: int, entity: str) -> None:
    state = a_shop(seed).state
    names = list(BY_ENTITY[entity])
    rows = state.tables[entity].keys.live()
    assert len(rows)
    x = np.full((len(rows), len(names)), 7, np.float32)
    plan = Plan(state, entity, names, x)
    want = matrix(state, entity, rows, names)
    plan.many(rows)
    np.testing.assert_array_equal(x.view(np.uint32), want.view(np.uint32))
    for i, row in enumerate(rows.tolist()):
        plan.one(row, state.now_ms)
        same = (x[0] == want[i]) | (np.isnan(x[0]) & np.isnan(want[i]))
        assert same.all(), [
            (n, a, b) for n, a, b in zip(names, x[0], want[i], strict=True) if a != b
        ]


def test_a_plan_follows_the_state() -> None:
    core = a_shop(0)
    state, names = core.state, ["age_days", "reads_total"]
    x = np.zeros((1, 2), np.float32)
    plan = Plan(state, "item", names, x)
    row = int(state.item.keys.live()[0])
    plan.one(row, state.now_ms)
    before = x[0].copy()
    core.advance(state.now_ms + DAY)
    state.item.col["reads_total"][row] += 3
    plan.one(row, state.now_ms)
    assert x[0, 0] == pytest.approx(before[0] + 1)
    assert x[0, 1] == before[1] + 3


def test_a_name_that_is_not_in_the_catalogue_is_refused() -> None:
    with pytest.raises(KeyError, match="phase_of_the_moon"):
        Plan(a_shop(0).state, "item", ["phase_of_the_moon"], np.zeros((1, 1), np.float32))
