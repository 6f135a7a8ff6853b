"""Online is offline: what the daemon hands a demand model is what the trainer read from its history.

Random streams of a small shop with everything in it: sales, returns and voids told late, counts,
prices, scans, and days on which the daemon was off.
"""

from pathlib import Path

import numpy as np
import pytest

from edge.core import Core
from edge.inference import demand
from edge.inference.demand import LAYOUT, SIDE, Constants
from edge.inference.demand_calendar import Calendar
from edge.records import HistoryRows, Message
from edge.storage.history import HistoryFile, HistoryReader
from tests.streams import DAY, HOUR, MINUTE, START_MS, Streams, config
from trainer.demand import boosted
from trainer.demand.model import series_of
from trainer.demand.seasons import Seasons
from trainer.history import panel
from trainer.panel import Panel

STEPS = np.arange(1, demand.HORIZON_DAYS + 1)
RATES = {"pos_line": 60, "price_observed": 10, "stock_count": 6, "stock_receipt": 10, "tag_read": 1}
AMOUNT = 500


def lived(seed: int) -> tuple[Core, list[HistoryRows]]:
    """A shop's weeks; every now and then the daemon is off for days."""
    pauses = (0, 0, 0, 5 * MINUTE, HOUR, 3 * HOUR, 9 * HOUR)
    messages = Streams(seed, rates=RATES, pauses_ms=pauses).messages(AMOUNT)
    core, rows, later_ms = Core(config("UTC")), [], 0
    for i, message in enumerate(messages):
        at_ms = message.arrival_ms + later_ms
        if i % 120 == 119:
            later_ms += 4 * DAY
            at_ms += 4 * DAY
            start = Message("$rfid3/start", b"{}", at_ms)
            rows += core.step([start], core.next_ordinal).effects.history
        told = Message(message.topic, message.payload, at_ms, message.session, message.packet_id)
        rows += core.step([told], core.next_ordinal).effects.history
    rows += core.advance(core.day_end_ms()).effects.history
    return core, rows


def read(rows: list[HistoryRows], path: Path) -> Panel:
    file = HistoryFile(path)
    file.write(rows)
    file.close()
    with HistoryReader.open(path) as reader:
        return panel([reader])


@pytest.mark.parametrize("seed", range(6))
def test_the_daemon_s_rows_are_the_trainer_s_bit_for_bit(seed: int, tmp_path: Path) -> None:
    core, rows = lived(seed)
    series = series_of(read(rows, tmp_path / "h.sqlite"), "units")
    keys = read(rows, tmp_path / "again.sqlite").keys
    chance = np.random.default_rng(seed)
    profile = chance.integers(2, 7, (len(keys), 7)) / 4  # exact in float32
    today = int(series.moments[-1])
    calendar = Calendar(7, np.array([today - 40, today + 3]), np.array([0.5, 0.25]))
    expected, base = boosted.origin_rows(
        series, Seasons(profile, calendar), STEPS, np.zeros((len(STEPS), 0))
    )
    constants = Constants(today - 2, calendar, drivers=series.drivers.names)
    side = np.zeros((1, len(SIDE)), np.float32)
    side[:, LAYOUT["scale"]] = 1.0
    assert core.state.today - 1 == today
    for i, key in enumerate(keys):  # one class at a time, as the daemon's first slices are
        side[:, LAYOUT["profile"]] = profile[i]
        row = np.array([core.state.cls.keys.get(key)])
        y = demand.history(core.state, row)
        beside = demand.drivers(core.state, row, constants.drivers)
        told = demand.inputs(constants, side, y, today, None, beside)
        np.testing.assert_array_equal(told["rows"].reshape(expected[i].shape), expected[i])
        np.testing.assert_array_equal(told["base"][0], base[i].astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_one_class_is_gathered_and_made_to_the_same_bits_as_among_many(seed: int) -> None:
    state = lived(seed)[0].state
    rows = np.tile(state.cls.keys.live(), 5)
    names = ("price", "on_rent", "out")
    today = demand._ring(state, demand.UNITS[0]).today - 1
    chance = np.random.default_rng(seed)
    side = chance.random((len(rows), len(SIDE))).astype(np.float32)
    holidays = Calendar(7, np.array([today - 40, today + 3]), np.array([0.5, 0.25]))
    constants = Constants(today - 9, holidays, drivers=names)
    y, beside = demand.gathered(state, rows, names)
    together = demand.inputs(constants, side, y, today, None, beside)
    dates = demand.dates_of(constants, today, y.shape[1])
    assert len(set(rows.tolist())) > 1
    for i, row in enumerate(rows.tolist()):
        own, driven = demand.gathered(state, np.array([row]), names)
        np.testing.assert_array_equal(own[0], y[i])
        np.testing.assert_array_equal(driven.values[:, 0], beside.values[:, i])
        alone = demand.inputs(constants, side[i : i + 1], own, today, None, driven, dates)
        for name, values in together.items():
            np.testing.assert_array_equal(alone[name][0], values[i], err_msg=name)


def test_the_streams_have_in_them_what_the_rows_are_to_tell(tmp_path: Path) -> None:
    seen: set[str] = set()
    for seed in range(6):
        _, rows = lived(seed)
        made = read(rows, tmp_path / f"{seed}.sqlite")
        series = series_of(made, "units")
        seen |= set(series.drivers.names)
        assert np.isnan(made.measures["units"]).all(axis=0).any(), "days nobody looked"
        assert (np.nan_to_num(series.y) > 0).any()
    assert seen == {"price", "on_rent", "out"}


def test_a_driver_that_never_moved_is_left_out() -> None:
    units = np.random.default_rng(1).poisson(3, (4, 90)).astype(np.float32)
    days = np.arange(START_MS // DAY, START_MS // DAY + 90)
    price = np.full(units.shape, 250, np.float32)
    told = Panel(list("abcd"), days, {"units": units, "price_cents": price})
    assert series_of(told, "units").drivers.names == ()
    price[2, 50:] = 300
    assert series_of(told, "units").drivers.names == ("price",)


def test_a_price_cut_is_followed_where_cuts_have_always_brought_demand() -> None:
    """Half the price, three times the units, for two weeks now and then: it is seen in the rows."""
    chance = np.random.default_rng(2)
    k, d = 24, 420
    cut = np.zeros((k, d), bool)
    for row in range(k):
        for start in chance.choice(np.arange(20, d - 30), 8, replace=False):
            cut[row, start : start + 14] = True
    cut[:, -3:] = False
    cut[:12, -3:] = True  # twelve of them were cut three days ago
    units = chance.poisson(np.where(cut, 24.0, 8.0)).astype(np.float32)
    units[:12, -3:] = 8  # nobody has noticed yet
    price = np.where(cut, 500, 1_000).astype(np.float32)
    days = np.arange(18_000, 18_000 + d)
    base = Panel([str(i) for i in range(k)], days, {"units": units})
    with_price = Panel(base.keys, days, {"units": units, "price_cents": price})
    told = []
    for one in (base, with_price):
        series = series_of(one, "units")
        fitted = Seasons(np.ones((k, 7)), Calendar(7))
        none = boosted.Factors([], np.zeros((0, d)))
        trees = boosted.fit(series, fitted, none, 28, 1)
        assert trees is not None
        told.append(boosted.path(trees, series, fitted, 7, np.zeros((7, 0))).mean(axis=1))
    blind, seeing = (path[:12].mean() / path[12:].mean() for path in told)
    assert seeing > 1.3 * blind
