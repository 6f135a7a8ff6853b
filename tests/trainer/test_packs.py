"""Planted pairs are found, chance is not, and baskets of many sizes do not fool the test."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from edge.inference.manifest import Training
from trainer import packs
from trainer.export import write_artifact

TRAINING = Training(data="made up", from_day="2024-01-01", to_day="2024-12-31", rows=1,
                    entities=1, reason="asked")  # fmt: skip


def documents(
    seed: int, n: int = 1_500, classes: int = 60, planted: int = 0, uneven: bool = False
) -> list[list[str]]:
    """Independent classes of uneven popularity; pairs (0, 1), (2, 3) … meet more often."""
    random = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, classes + 1) ** 0.7
    weight /= weight.sum()
    made = []
    for _ in range(n):
        size = int(random.integers(1, 5))
        if uneven and random.random() < 0.1:
            size = int(random.integers(15, 30))
        rows = set(random.choice(classes, size, replace=False, p=weight).tolist())
        for pair in range(planted):
            if random.random() < 0.02:
                rows |= {20 + 2 * pair, 21 + 2 * pair}
        made.append([f"S{row:02d}" for row in sorted(rows)])
    return made


def names(found: packs.Tested) -> set[tuple[str, ...]]:
    counts = found.counts
    return {
        tuple(counts.keys[i].split("\x1f")[1] for i in counts.pairs[row].tolist())
        for row in found.rows[found.found()].tolist()
    }


def test_planted_pairs_are_found_among_noise() -> None:
    found = names(packs.judged(packs.from_documents(documents(1, planted=6))))
    planted = {(f"S{20 + 2 * i}", f"S{21 + 2 * i}") for i in range(6)}
    assert planted <= found
    assert len(found - planted) <= 1


@pytest.mark.parametrize("uneven", [False, True])
def test_false_discoveries_stay_within_what_was_promised(uneven: bool) -> None:
    """With no pair at all, any discovery is false: at most 5 % of repeats may have one."""
    fooled = [
        len(packs.judged(packs.from_documents(documents(seed, 600, uneven=uneven))).found()) > 0
        for seed in range(40)
    ]
    assert np.mean(fooled) <= 0.1  # 5 % and its error


def test_with_planted_pairs_the_share_of_false_ones_is_held() -> None:
    planted = {(f"S{20 + 2 * i}", f"S{21 + 2 * i}") for i in range(8)}
    shares = []
    for seed in range(20):
        found = names(packs.judged(packs.from_documents(documents(100 + seed, planted=8))))
        shares.append(len(found - planted) / max(len(found), 1))
    assert np.mean(shares) <= packs.FDR


def test_the_textbooks_test_alone_would_be_fooled_by_large_documents() -> None:
    found = packs.judged(packs.from_documents(documents(5, uneven=True)))
    counts = found.counts
    a, b = counts.pairs[found.rows].T
    fisher = stats.hypergeom.sf(
        counts.together[found.rows] - 1, counts.totals[0, 0], counts.single[a], counts.single[b]
    )
    assert (packs.q_values(fisher, found.tests) <= packs.FDR).sum() > 20
    assert len(found.found()) <= 1


def test_numbers_of_one_pair_are_the_textbooks() -> None:
    told = [["a", "b"]] * 6 + [["a"]] * 4 + [["b"]] * 2 + [["c"]] * 8
    found = packs.judged(packs.from_documents(told))
    assert found.support.tolist() == [6 / 20]
    assert found.confidence[0].tolist() == [6 / 10, 6 / 8]
    assert found.lift_plain[0] == pytest.approx(20 * 6 / (10 * 8))
    table = np.array([[6, 4], [2, 8]])
    exact = stats.fisher_exact(table, alternative="greater").pvalue
    assert found.p[0] >= exact * (1 - 1e-9)
    assert found.lift_low[0] < found.lift[0] < found.lift_high[0]


def test_adjusted_p_values_agree_with_scipys() -> None:
    p = np.random.default_rng(0).random(50) ** 2
    assert packs.q_values(p, 50) == pytest.approx(stats.false_discovery_control(p))


def test_what_the_edge_could_not_count_counts_as_not_there() -> None:
    counts = packs.from_documents(documents(1, planted=6))
    blurred = replace(counts, together=counts.together + 7, error=np.full_like(counts.error, 7))
    assert names(packs.judged(blurred)) == names(packs.judged(counts))


def test_the_artifact_passes_the_door_and_tells_partners(tmp_path: Path) -> None:
    found = packs.judged(packs.from_documents(documents(1, planted=6), "main"))
    made = packs.exportable(found, TRAINING)
    write_artifact(tmp_path, made)
    assert made.side is not None
    keys = made.side.keys
    row = made.side.values[keys.index("main\x1fS20")]
    assert keys[int(row[0])] == "main\x1fS21"
    assert made.side.values[-1, 0] == -1
    units = packs.predict({"x": np.array([[3, np.nan]], np.float32), "s": row[None]})
    assert units[0, 4] == pytest.approx(3 * row[1])


def test_later_documents_confirm_what_was_discovered() -> None:
    before, after = (packs.from_documents(documents(s, planted=6)) for s in (1, 2))
    told, popular = packs.held_out(before, after)
    assert told["precision"] > 0.9 > popular["precision"]
