"""Pairs of a day's documents: what is counted, within what bound, and the same bits in any split."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import Limits
from edge.core import Core
from edge.features.history import BASKET_MEASURES, day_rows
from edge.features.layout import tables
from edge.features.pairs import CLASSES_MAX, TOTALS, WAYS, Pairs, groups_for
from edge.features.state import FeatureState
from edge.records import HistoryRows, Message
from tests.streams import DAY, HOUR, START_MS, config

MINUTE = 60_000
IDLE = 10 * MINUTE


def counting(pairs_max: int = 4_096, baskets_max: int = 64, classes: int = 300) -> Pairs:
    table = tables(Limits(classes_max=classes, items_max=8, active_items_max=8))["class"]
    table.keys.claim_all([f"main\x1f{i}" for i in range(classes)])
    return Pairs(table, Limits(pairs_max=pairs_max, baskets_max=baskets_max), IDLE)


def counted(pairs: Pairs) -> dict[tuple[int, int], tuple[int, int]]:
    return {
        (min(a, b), max(a, b)): (count, error)
        for a, b, count, error in zip(*(x.tolist() for x in pairs.kept()), strict=True)
    }


def tell(pairs: Pairs, baskets: list[list[int]], at_ms: int = START_MS) -> int:
    for number, rows in enumerate(baskets):
        for row in rows:
            pairs.add("main", f"d{number}-{at_ms}", row, at_ms)
        at_ms += MINUTE
    pairs.roll(at_ms + DAY)
    return at_ms + DAY


def oracle(baskets: list[list[int]]) -> Counter[tuple[int, int]]:
    kept = [sorted(set(rows)) for rows in baskets if len(set(rows)) <= CLASSES_MAX]
    return Counter(pair for rows in kept for pair in combinations(rows, 2))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), max_size=30))
def test_with_room_for_all_every_pair_is_counted_exactly(baskets: list[list[int]]) -> None:
    pairs = counting()
    tell(pairs, baskets)
    assert counted(pairs) == {pair: (n, 0) for pair, n in oracle(baskets).items()}
    sizes = [len(set(rows)) for rows in baskets]
    told = pairs.totals.get("main", [0] * len(TOTALS))
    assert told == [len(sizes), sum(sizes), sum(n * (n - 1) // 2 for n in sizes), 0]
    singles = Counter(row for rows in baskets for row in set(rows))
    assert {r: int(pairs.single[r]) for r in np.flatnonzero(pairs.single).tolist()} == singles


def zipf(documents: int, classes: int, seed: int) -> list[list[int]]:
    random = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, classes + 1) ** 1.1
    weight /= weight.sum()
    return [
        random.choice(classes, random.integers(1, 9), replace=False, p=weight).tolist()
        for _ in range(documents)
    ]


@pytest.mark.parametrize("pairs_max", [64, 512])
def test_a_zipf_stream_takes_no_more_room_and_keeps_its_bound(pairs_max: int) -> None:
    baskets = zipf(2_000, 300, 7)
    pairs = counting(pairs_max)
    before = pairs.nbytes()
    tell(pairs, baskets)
    truth, kept = oracle(baskets), counted(pairs)
    assert pairs.nbytes() == before
    assert len(truth) > 4 * pairs_max >= 4 * len(kept) > 0
    assert all(n - error <= truth[pair] <= n for pair, (n, error) in kept.items())
    unseen = pairs.unseen()
    assert unseen > 0
    assert all(pair in kept or n <= unseen for pair, n in truth.items())


def test_the_most_frequent_pairs_survive() -> None:
    baskets = zipf(2_000, 300, 8)
    pairs = counting(1_024)
    tell(pairs, baskets)
    kept = counted(pairs)
    assert all(pair in kept for pair, _ in oracle(baskets).most_common(20))


def test_open_documents_are_bounded_and_the_longest_silent_is_closed() -> None:
    pairs = counting(baskets_max=3)
    for number in range(10):
        pairs.add("main", f"d{number}", number, START_MS + number)
    assert list(pairs.open) == [f"main\x1fd{n}" for n in (7, 8, 9)]
    assert pairs.totals["main"][0] == 7


def test_a_document_closes_when_it_has_been_silent_for_long_enough() -> None:
    pairs = counting()
    pairs.add("main", "d", 1, START_MS)
    pairs.add("main", "d", 2, START_MS + IDLE - 1)
    pairs.roll(START_MS + 2 * IDLE - 2 * MINUTE)
    assert pairs.open
    pairs.add("main", "other", 3, START_MS + 2 * IDLE + MINUTE)
    assert list(pairs.open) == ["main\x1fother"]
    assert counted(pairs) == {(1, 2): (1, 0)}


def test_a_line_voided_while_its_document_is_open_was_never_there() -> None:
    pairs = counting()
    for row in (1, 2, 2, 3):
        pairs.add("main", "d", row, START_MS)
    pairs.take_back("main", "d", 3)
    pairs.take_back("main", "d", 2)  # one of two lines: the class stays
    pairs.take_back("main", "unknown", 1)
    pairs.roll(START_MS + DAY)
    assert counted(pairs) == {(1, 2): (1, 0)}


def test_a_delivery_pairs_nothing_and_is_counted_apart() -> None:
    pairs = counting()
    for row in range(CLASSES_MAX + 1):
        pairs.add("main", "big", row, START_MS)
    pairs.roll(START_MS + DAY)
    assert counted(pairs) == {}
    assert pairs.totals["main"] == [0, 0, 0, 1]


def test_stores_are_counted_apart() -> None:
    pairs = counting()
    for store, row in (("a", 1), ("b", 2), ("a", 3)):
        pairs.add(store, "same number", row, START_MS)
    pairs.roll(START_MS + DAY)
    assert counted(pairs) == {(1, 3): (1, 0)}
    assert {s: t[0] for s, t in pairs.totals.items()} == {"a": 1, "b": 1}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 400), st.integers(0, 1_000))
def test_saved_and_loaded_counts_go_on_as_if_nothing_had_been(cut: int, seed: int) -> None:
    lines = [(i, row) for i, rows in enumerate(zipf(80, 60, seed)) for row in rows]
    whole, begun = counting(32, 8), counting(32, 8)
    for number, (document, row) in enumerate(lines):
        if number == cut:
            again = counting(32, 8)
            again.load(*begun.save())
            begun = again
        for pairs in (whole, begun):
            pairs.add("main", str(document), row, START_MS + number * MINUTE)
    ranks = np.arange(300)
    assert begun.canonical(ranks) == whole.canonical(ranks)


def test_room_is_a_power_of_two_of_groups_within_the_limit() -> None:
    for limit in (16, 100, 16_384, 1_000_000):
        groups = groups_for(limit)
        assert groups & (groups - 1) == 0
        assert WAYS * groups <= max(limit, 2 * WAYS)
    assert counting(100).slots <= 100


# -- in the state -------------------------------------------------------------------------------------


def line(document: str, sku: int, at_ms: int, kind: str = "sale", number: int = 1) -> Message:
    payload = (
        f'{{"document":"{document}","kind":"{kind}","sku":"S{sku}","line":{number},"at":{at_ms}}}'
    )
    return Message("rfid3/main/pos_line/till", payload.encode(), at_ms)


def shop(seed: int, documents: int = 300) -> list[Message]:
    """Two and a half days of receipts, some of them interleaved."""
    made, random = [], np.random.default_rng(seed)
    for number, rows in enumerate(zipf(documents, 40, seed)):
        at_ms = START_MS + number * 12 * MINUTE
        made += [
            line(f"R{number}", row, at_ms + int(random.integers(0, 20 * MINUTE)), number=i)
            for i, row in enumerate(rows)
        ]
    return sorted(made, key=lambda message: message.arrival_ms)


def fed(messages: list[Message], size: int, pairs_max: int = 64) -> tuple[Core, list[HistoryRows]]:
    core = Core(config(limits=Limits(items_max=64, active_items_max=64, pairs_max=pairs_max)))
    core.tells_history = True
    rows: list[HistoryRows] = []
    for start in range(0, len(messages), size):
        some = messages[start : start + size]
        rows += core.step(some, start).effects.history
    rows += core.advance(messages[-1].arrival_ms + 2 * HOUR).effects.history
    return core, [one for one in rows if one.entity in ("basket", "pair")]


def test_any_split_into_calls_gives_the_same_bits() -> None:
    messages = shop(3)
    whole, told = fed(messages, 1_024)
    assert {one.entity for one in told} == {"basket", "pair"}
    assert whole.state.pairs.open or whole.state.pairs.totals
    for size in (1, 7):
        other, again = fed(messages, size)
        assert other.state.digest() == whole.state.digest()
        assert again == told


def test_days_add_up_to_what_an_oracle_counts() -> None:
    messages = shop(4)
    core, told = fed(messages, 64, pairs_max=4_096)
    assert core.state.counters.get("classes_full", 0) == 0
    core.state.pairs.roll(messages[-1].arrival_ms + DAY)
    documents: dict[tuple[str, ...], int] = {}
    for one in told:
        if one.entity == "pair":
            amounts = np.frombuffer(one.amounts, "<i8").reshape(2, -1)
            assert not amounts[1].any()
            for key, n in zip(one.keys, amounts[0].tolist(), strict=True):
                pair = tuple(sorted(key.split("\x1f")[1:]))
                documents[pair] = documents.get(pair, 0) + n
    state = core.state
    for a, b, n, _ in zip(*(x.tolist() for x in state.pairs.kept()), strict=True):
        pair = tuple(sorted(state.cls.keys.key(x).split("\x1f")[1] for x in (a, b)))
        documents[pair] = documents.get(pair, 0) + n
    expected = oracle(zipf(300, 40, 4))
    assert documents == {tuple(sorted((f"S{a}", f"S{b}"))): n for (a, b), n in expected.items()}


def test_returns_are_no_demand_and_voids_reach_the_open_document() -> None:
    core = Core(config())
    core.step([line("R", 1, START_MS), line("R", 2, START_MS, number=2),
               line("R", 3, START_MS, "return", 3), line("R", 4, START_MS, number=4),
               line("R", 4, START_MS + 1, "void", 4)], 0)  # fmt: skip
    (basket,) = core.state.pairs.open.values()
    named = [core.state.cls.keys.key(row).split("\x1f")[1] for row in basket.lines]
    assert named == ["S1", "S2"]


def test_parts_of_a_split_state_add_up_again() -> None:
    core, _ = fed(shop(5), 50)
    state = core.state
    assert state.pairs.single.any()
    assert FeatureState.merge(state.split(3)).digest() == state.digest()


def test_an_older_snapshot_without_pairs_loads_and_counts_from_then_on() -> None:
    core, _ = fed(shop(6), 50)
    arrays, blobs = core.save()
    found = [name for name in (*arrays, *blobs) if "pairs." in name]
    assert found
    for name in found:
        arrays.pop(name, None)
        blobs.pop(name, None)
    again = Core(core.config)
    again.load(arrays, blobs)
    assert not again.state.pairs.single.any()
    assert not again.state.pairs.open


def test_the_day_close_tells_totals_singles_and_pairs_once() -> None:
    core, _ = fed(shop(7)[:20], 50)
    core.advance(core.day_end_ms() - 1)
    told = [r for r in day_rows(core.state) if r is not None and r.entity in ("basket", "pair")]
    basket = next(r for r in told if r.entity == "basket")
    amounts = np.frombuffer(basket.amounts, "<i8").reshape(len(BASKET_MEASURES), -1)
    assert basket.keys[0] == "main\x1f"
    assert amounts[:4, 0].tolist() == core.state.pairs.totals["main"]
    assert (amounts[0, 1:] <= amounts[0, 0]).all()
    core.advance(core.day_end_ms())
    assert not core.state.pairs.totals
    assert not core.state.pairs.single.any()
