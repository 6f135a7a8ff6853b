"""Days of documents added up: as the trainer adds them, in bounded memory, never too much."""

import numpy as np
import pytest

from edge.services.co_demand import Tally
from tests.services.test_packs import receipts
from trainer.packs import from_documents, judged


def told(days: list[list[list[str]]], pairs_max: int = 400_000) -> Tally:
    """What the history would tell of these days."""
    tally = Tally(pairs_max)
    for day in days:
        counts = from_documents(day, "main")
        keys = ["main\x1f", *counts.keys]
        amounts = np.zeros((5, len(keys)), np.int64)
        amounts[:4, 0] = counts.totals[0]
        amounts[0, 1:] = counts.single
        tally.documents(keys, amounts)
        names = [f"{counts.keys[a]}\x1f{counts.keys[b].partition(chr(31))[2]}"
                 for a, b in counts.pairs.tolist()]  # fmt: skip
        tally.pairs(names, np.stack([counts.together, counts.error]))
        tally.days += 1
    return tally


def test_days_add_up_to_what_the_trainer_finds_in_all_documents() -> None:
    days = [receipts(seed, 200, 0.02) for seed in range(6)]
    table = told(days).table()
    wanted = judged(from_documents([d for day in days for d in day], "main"))
    assert table.days == 6
    assert table.tests == wanted.tests
    mine = {
        tuple(sorted((table.keys[a], table.keys[b]))): (n, lift, q)
        for a, b, n, lift, q in zip(
            table.first.tolist(), table.second.tolist(), table.documents.tolist(),
            table.judged.lift.tolist(), table.judged.q.tolist(), strict=True,
        )
    }  # fmt: skip
    assert len(mine) == len(wanted.rows)
    for i, row in enumerate(wanted.rows.tolist()):
        a, b = (wanted.counts.keys[k] for k in wanted.counts.pairs[row].tolist())
        n, lift, q = mine[min(a, b), max(a, b)]
        assert n == wanted.counts.together[row]
        assert lift == pytest.approx(wanted.lift[i])
        assert (q <= 0.05) == (wanted.q[i] <= 0.05)


def test_with_little_room_counts_are_at_most_what_they_were_and_the_surest_pair_stays() -> None:
    days = [receipts(seed, 300, 0.05) for seed in range(5)]
    whole, small = told(days).table(), told(days, pairs_max=60).table()

    def named(table: object) -> dict[tuple[str, str], int]:
        t = table
        return {
            tuple(sorted((t.keys[a], t.keys[b]))): n  # type: ignore[attr-defined]
            for a, b, n in zip(
                t.first.tolist(), t.second.tolist(), t.documents.tolist(), strict=True
            )  # type: ignore[attr-defined]
        }

    all_, few = named(whole), named(small)
    assert len(few) <= 60
    assert all(n <= all_[pair] for pair, n in few.items())
    best = max(all_, key=lambda pair: all_[pair])
    assert best in few


def test_nothing_told_is_nothing_found() -> None:
    table = Tally().table()
    assert len(table.first) == 0
    assert table.tests == 0
