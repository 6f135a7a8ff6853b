"""Examples: features never know what came after, labels know nothing else, watching ends honestly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import Core
from edge.features.catalog import BY_ENTITY
from edge.features.keys import key_hash
from edge.records import HistoryRows
from edge.storage.history import HistoryFile, HistoryReader
from tests.streams import DAY, HOUR, MINUTE, Streams, config
from trainer.examples import DaysUntil, KeyHistory, Label, Rises, Total, Whole, examples
from trainer.history import FeatureTable, feature_table

FEATURES = {entity: tuple(BY_ENTITY[entity]) for entity in ("class", "item")}


def streamed(path: Path, seed: int, many: int = 400) -> HistoryReader:
    """Rows of a random shop over some weeks."""
    core = Core(config())
    messages = Streams(seed, pauses_ms=(0, MINUTE, 2 * HOUR, 9 * HOUR)).messages(many)
    rows: list[HistoryRows] = []
    for start in range(0, many, 50):
        rows += core.step(messages[start : start + 50], start).effects.history
    rows += core.advance(core.now_ms + 20 * DAY).effects.history
    return written(path, rows)


def written(path: Path, rows: list[HistoryRows]) -> HistoryReader:
    path.unlink(missing_ok=True)
    file = HistoryFile(path)
    file.write(rows)
    file.close()
    return HistoryReader.open(path)


def table_of(source: HistoryReader, entity: str) -> FeatureTable:
    measures = ("units",) if entity == "class" else ()
    levels = ("status_group", "retired") if entity == "item" else ()
    return feature_table([source], entity, FEATURES[entity], measures=measures, levels=levels)


def altered(table: FeatureTable, after: int, seed: int) -> FeatureTable:
    """Everything after a day is something else; some rows of it are gone."""
    chance = np.random.default_rng(seed)
    x, later = table.x.copy(), table.day > after
    x[later] = chance.normal(size=(int(later.sum()), x.shape[1]))
    amounts = {n: np.where(later, chance.normal(size=len(later)), a).astype(np.float32)
               for n, a in table.amounts.items()}  # fmt: skip
    levels = {
        n: np.where(later, chance.integers(0, 5, len(later)), v) for n, v in table.levels.items()
    }
    keep = ~later | (chance.random(len(later)) < 0.7)
    counts = np.bincount(table.key_of_rows()[keep], minlength=len(table.keys))
    return FeatureTable(
        table.entity, table.keys, np.concatenate([[0], np.cumsum(counts)]), table.day[keep],
        table.features, x[keep], {n: a[keep] for n, a in amounts.items()},
        {n: v[keep] for n, v in levels.items()}, table.texts,
    )  # fmt: skip


LABELS: dict[str, list[Label]] = {
    "class": [Rises("stockout_days_28d"), Total("units"), DaysUntil("rented_units_364d")],
    "item": [Rises("scans_total"), Rises("failures_total"), DaysUntil("reads_total")],
}


@pytest.mark.parametrize("entity", ["class", "item"])
@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 999), back=st.integers(3, 25))
def test_what_comes_after_the_cutoff_never_changes_a_feature(
    entity: str, seed: int, back: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with streamed(tmp_path_factory.mktemp("h") / "h.sqlite", seed) as source:
        table = table_of(source, entity)
    cutoff = table.last_day - back
    other = altered(table, cutoff, seed)
    for label in LABELS[entity]:
        ours, theirs = (examples(t, FEATURES[entity], [cutoff], label, 7) for t in (table, other))
        assert ours.keys == theirs.keys
        assert ours.x.tobytes() == theirs.x.tobytes()
        assert (ours.cutoffs == theirs.cutoffs).all()
        assert (ours.cutoffs <= cutoff).all()


def one_by_one(label: Label) -> Label:
    return lambda history, key, cutoff, horizon: label(history, key, cutoff, horizon)


@pytest.mark.parametrize("entity", ["class", "item"])
@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 999), horizon=st.integers(1, 20))
def test_labels_told_at_once_are_those_told_one_by_one(
    entity: str, seed: int, horizon: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with streamed(tmp_path_factory.mktemp("h") / "h.sqlite", seed) as source:
        table = table_of(source, entity)
    cutoffs = list(range(table.last_day - 40, table.last_day + 1, 5))
    for label in LABELS[entity]:
        if not isinstance(label, Whole):
            continue
        fast = examples(table, ["age_days"] if entity == "item" else [], cutoffs, label, horizon)
        slow = examples(table, [], cutoffs, one_by_one(label), horizon)
        assert fast.keys == slow.keys
        assert (fast.censored == slow.censored).all()
        np.testing.assert_allclose(fast.y, slow.y, rtol=1e-6, atol=1e-6)


def test_a_total_over_a_day_nobody_looked_is_not_known_and_spoils_no_other() -> None:
    table = a_table({key: dict.fromkeys(range(10), 0.0) for key in ("a", "b")}, "class")
    amounts = np.arange(20, dtype=np.float32)
    amounts[5] = np.nan
    table = replace(table, amounts={"units": amounts})
    for label in (Total("units"), one_by_one(Total("units"))):
        told = examples(table, [], [0, 2, 4, 5], label, 3)
        totals = dict(zip(zip(told.keys, told.cutoffs.tolist(), strict=True), told.y, strict=True))
        assert totals["a", 0] == 1 + 2 + 3
        assert np.isnan(totals["a", 2])
        assert np.isnan(totals["a", 4])
        assert totals["a", 5] == 6 + 7 + 8
        assert totals["b", 2] == 13 + 14 + 15
        assert told.censored.tolist() == np.isnan(told.y).tolist()


def a_table(days: dict[str, dict[int, float]], entity: str = "item", **levels: int) -> FeatureTable:
    """One feature ``count`` of some keys by day."""
    day = np.array([d for rows in days.values() for d in rows], np.int64)
    x = np.array([[v] for rows in days.values() for v in rows.values()], np.float32)
    start = np.cumsum([0, *(len(rows) for rows in days.values())])
    gone = {n: (day >= since).astype(np.int64) for n, since in levels.items()}
    if gone:
        gone.setdefault("status_group", np.zeros(len(day), np.int64))
    return FeatureTable(entity, list(days), start, day, ("count",), x, {}, gone)


def weekly(key: str, first: int, many: int) -> dict[int, float]:
    """Days of a key's turn."""
    turn = key_hash(key) % 7
    start = first + (turn - first) % 7
    return {start + 7 * i: 0.0 for i in range(many)}


def test_what_was_not_watched_to_the_end_is_censored_and_what_was_seen_counts() -> None:
    quiet, broken = weekly("q", 700, 6), weekly("b", 700, 6)
    b0 = min(broken)
    broken[b0 + 3] = 1.0  # a row because something happened
    broken = {d: (1.0 if d >= b0 + 3 else 0.0) for d in sorted(broken)}
    table = a_table({"q": quiet, "b": broken})
    every = sorted({*quiet, *broken})
    made = examples(table, ["count"], every, Rises("count"), 14)
    told = {(k, c): (y, z) for k, c, y, z in zip(made.keys, made.cutoffs.tolist(),
            made.y.tolist(), made.censored.tolist(), strict=True)}  # fmt: skip
    assert told["b", b0] == (1.0, False)
    assert (b0 + 3) not in made.cutoffs[np.array(made.keys) == "b"], "not its turn"
    assert told["q", min(quiet)] == (0.0, False)
    y, censored = told["q", max(quiet)]
    assert np.isnan(y)
    assert censored
    until = examples(table, ["count"], every, DaysUntil("count"), 14)
    first = {k: (float(y), bool(z)) for k, c, y, z in zip(until.keys, until.cutoffs.tolist(),
             until.y, until.censored, strict=True) if c in (b0, min(quiet))}  # fmt: skip
    assert first == {"b": (3.0, False), "q": (14.0, True)}


def test_an_item_that_was_retired_is_not_watched_any_longer() -> None:
    days = weekly("q", 700, 8)
    since = sorted(days)[3]
    other = weekly("z", 700, 12)
    table = a_table({"q": days, "z": other}, retired=since)
    made = examples(table, ["count"], sorted(days), Rises("count"), 14)
    censored = {c: bool(z) for k, c, z in zip(made.keys, made.cutoffs.tolist(), made.censored,
                strict=True) if k == "q"}  # fmt: skip
    assert [censored[d] for d in sorted(days)[:4]] == [False, False, True, True]


def test_a_forgotten_item_is_censored_from_its_last_week_on() -> None:
    gone, stays = weekly("q", 700, 4), weekly("z", 700, 12)
    table = a_table({"q": gone, "z": stays})
    made = examples(table, ["count"], sorted(gone), Rises("count"), 14)
    last = max(gone)
    censored = [bool(z) for k, z in zip(made.keys, made.censored, strict=True) if k == "q"]
    assert censored == [False, False, True, True]
    assert last + 6 < table.last_day


def test_a_fold_learns_only_from_labels_that_were_complete() -> None:
    table = a_table({"q": weekly("q", 700, 10)})
    made = examples(table, ["count"], table.day.tolist(), Rises("count"), 14)
    day = int(table.day[5])
    fold = made.until(day, 14)
    assert len(fold) == 4
    assert (fold.cutoffs + 14 <= day).all()


def test_a_label_of_ones_own_sees_the_story_of_its_key() -> None:
    table = a_table({"q": weekly("q", 700, 5)})

    def rows_after(
        history: KeyHistory, key: str, cutoff: int, horizon_days: int
    ) -> tuple[float, bool]:
        after = (history.days > cutoff) & (history.days <= cutoff + horizon_days)
        assert key == "q"
        return float(after.sum()), False

    made = examples(table, [], table.day.tolist(), rows_after, 14)
    assert made.y.tolist() == [2, 2, 2, 1, 0]
