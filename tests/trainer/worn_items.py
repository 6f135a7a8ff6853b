"""Item histories with a known hazard, as the daemon would have written them. No models, no tests."""

import numpy as np

from edge.features.history import ITEM_LEVELS, SLOT_DAYS
from edge.features.keys import key_hash
from trainer.history import FeatureTable
from trainer.maintenance import FEATURES

FIRST_DAY = 20_000


def worn(
    items: int = 250, days: int = 400, seed: int = 1, rate: float = 0.004, leave: float = 0.3
) -> FeatureTable:
    """Items of which some are used much more than others; wear since the last repair makes them fail.

    Hazard a day: ``rate * use * (1 + wear / 25)``, wear = rentals since the repair that follows each
    failure. A grade falls by chance with use, and a repair raises it. A share ``leave`` is retired some day. Rows: the
    weekly turn, and each day of a failure.
    """
    chance = np.random.default_rng(seed)
    keys = [f"item{i:04}" for i in range(items)]
    turn = np.array([(key_hash(key) or 1) % SLOT_DAYS for key in keys])
    use = chance.uniform(0.1, 2.0, items)
    retired_on = np.where(chance.random(items) < leave, chance.integers(30, days, items), days + 1)
    born = -chance.integers(0, 300, items)
    state = {name: np.full(items, np.nan) for name in FEATURES}
    for name in ("rentals_total", "failures_total", "repairs_total", "grade_changes_total"):
        state[name][:] = 0.0
    state["grade_last"][:] = chance.integers(3, 10, items)
    wear = chance.integers(0, 30, items).astype(float)
    since = np.full(items, np.nan)
    recent = np.zeros((30, items))
    rows = []
    for day in range(-200, days):  # by then things are as they usually are
        rented = chance.random(items) < use / 4
        recent[day % 30] = rented
        wear += rented
        state["rentals_total"] += rented
        failed = (chance.random(items) < rate * use * (1 + wear / 25)) & (day < retired_on)
        state["failures_total"] += failed
        state["repairs_total"] += failed
        wear[failed] = 0.0
        since = np.where(failed, 0.0, since + 1.0)
        state["grade_last"] = np.where(
            failed, np.minimum(state["grade_last"] + 3, 9), state["grade_last"]
        )
        worse = (chance.random(items) < 0.012 * use) & (state["grade_last"] > 1)
        state["grade_last"] -= worse
        state["grade_changes_total"] += worse
        state["rentals_30d"] = recent.sum(axis=0)
        state["days_since_repair"] = since
        state["days_since_maintenance"] = since
        state["age_days"] = (day - born).astype(float)
        if day < 0:
            continue
        written = np.flatnonzero(failed | (turn == (FIRST_DAY + day) % SLOT_DAYS))
        for item in written.tolist():
            values = [float(state[name][item]) for name in FEATURES]
            rows.append((item, FIRST_DAY + day, int(day >= retired_on[item]), values))
    rows.sort(key=lambda row: row[:2])
    number = np.array([row[0] for row in rows])
    return FeatureTable(
        entity="item",
        keys=keys,
        start=np.searchsorted(number, np.arange(items + 1)),
        day=np.array([row[1] for row in rows], np.int64),
        features=FEATURES,
        x=np.array([row[3] for row in rows], np.float32),
        levels={
            ITEM_LEVELS[0]: np.zeros(len(rows), np.int64),
            ITEM_LEVELS[1]: np.array([row[2] for row in rows], np.int64),
        },
    )
