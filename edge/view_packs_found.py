"""Pairs of classes that go out together, from the history or from a model's list. No packs, no judgement.

A model may come from another shop: of its pairs only those count whose classes are known here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from edge.ledger.packs import PackPart
from edge.services import packs
from edge.services.co_demand import Table

PAIRS_LOOKED_AT = 400
"""Surest pairs for which packs are worked out."""


@dataclass(frozen=True, slots=True)
class Found:
    """Pairs that go together, the surest first."""

    pairs: list[tuple[str, str]]
    """Keys (store and SKU) of both classes."""
    documents: list[int]
    lift: list[tuple[float, float, float]]
    """(lift, low, high)"""
    confidence: list[tuple[float, float]]
    q: list[float]
    rarest: list[float]
    """Documents with the rarer class; NaN: not known."""
    days: float
    source: str

    def only(self, known: Callable[[str], bool]) -> "Found":
        """Without the pairs of a class that is not ``known``, by its key."""
        told = {key: known(key) for key in {key for pair in self.pairs for key in pair}}
        at = [i for i, (a, b) in enumerate(self.pairs) if told[a] and told[b]]
        return Found(
            pairs=[self.pairs[i] for i in at],
            documents=[self.documents[i] for i in at],
            lift=[self.lift[i] for i in at],
            confidence=[self.confidence[i] for i in at],
            q=[self.q[i] for i in at],
            rarest=[self.rarest[i] for i in at],
            days=self.days,
            source=self.source,
        )

    def keys(self, group: Sequence[int]) -> list[str]:
        """Keys of the classes of a candidate, in order."""
        return sorted({key for i in group for key in self.pairs[i]})


def from_history(table: Table) -> Found:
    """The surest pairs that the history shows."""
    hits = np.flatnonzero(table.judged.q <= packs.FDR)
    order = hits[np.lexsort((-table.judged.lift_low[hits], table.judged.p[hits]))][:PAIRS_LOOKED_AT]
    judged, keys = table.judged, table.keys
    return Found(
        [(keys[table.first[i]], keys[table.second[i]]) for i in order],
        table.documents[order].tolist(),
        [(round(float(judged.lift[i]), 4), round(float(judged.lift_low[i]), 4),
          round(float(judged.lift_high[i]), 4)) for i in order],
        [(round(float(judged.confidence_ab[i]), 4), round(float(judged.confidence_ba[i]), 4))
         for i in order],
        judged.q[order].tolist(),
        np.minimum(table.of_first, table.of_second)[order].astype(np.float64).tolist(),
        float(max(table.days, 1)), "history",
    )  # fmt: skip


def from_extra(extra: dict[str, msgspec.Raw]) -> Found | None:
    """Pairs that a packs model lists (``trainer/packs.py``); ``None``: it lists none that we can read."""
    try:
        keys = msgspec.json.decode(extra["classes"], type=list[str])
        rows = msgspec.json.decode(extra["pairs"], type=list[list[float]])[:PAIRS_LOOKED_AT]
        pairs = [(keys[int(row[0])], keys[int(row[1])]) for row in rows]
        return Found(
            pairs, [int(row[2]) for row in rows], [(row[6], row[7], row[8]) for row in rows],
            [(row[4], row[5]) for row in rows], [row[9] for row in rows],
            [row[2] / max(row[4], row[5], 1e-9) for row in rows], 364.0, "model",
        )  # fmt: skip
    except (KeyError, IndexError, msgspec.DecodeError):
        return None


def parts_of(keys: Sequence[str]) -> tuple[str, list[PackPart]]:
    """(store, parts) of a pack of these classes."""
    return keys[0].partition("\x1f")[0], [PackPart(key.partition("\x1f")[2]) for key in keys]
