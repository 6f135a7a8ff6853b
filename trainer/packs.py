"""Service ``packs``: which classes go out together more than chance says, and who stands beside whom.

No counting (``edge/features/pairs.py`` counts, the history keeps the days) and no neural anything. For a
pair of classes a and b in the N documents of a store: support n_ab / N, confidence n_ab / n_a, lift
N n_ab / (n_a n_b). Chance is asked twice, and the larger p-value counts:

- Fisher's exact test, one-sided: documents hold a and b independently (hypergeometric tail).
- Documents have sizes. Where some are large, everything goes with everything: if each class falls into
  a document in proportion to its size, a and b meet in n_a n_b sum s(s - 1) / (sum s)^2 documents
  (Chung & Lu, 2002), and n_ab has at most the tail of a Poisson variable of that mean. ``lift`` as
  told is against this expectation; ``lift_plain`` is the textbook's.

Pairs count by their lower bound where the edge ran out of room. All pairs of classes with enough
documents are tested, those never seen included, and the share of false discoveries is held at
:data:`FDR` (Benjamini & Hochberg, J. R. Stat. Soc. B 57, 1995; p-values of whole numbers are too large
rather than too small). Intervals of lift: Garwood (1936), 80 %.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge.features.pairs import CLASSES_MAX, TOTALS
from edge.inference.manifest import Column, Training
from edge.storage.history import HistoryReader
from trainer.data import Data, named
from trainer.export import Exportable, Side, golden_rows, quantiles21
from trainer.onnx_graph import Graph, line
from trainer.services import Settings, TooLittle

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

SEPARATOR = "\x1f"
FDR = 0.05
DOCUMENTS_MIN = 5
"""Documents that a class must be in to be tested."""
WINDOW_DAYS = 364
LEVEL = 0.8
PARTNERS = 5
"""Told of each class."""
TOLD_MAX = 2_000
"""Pairs listed in the manifest."""
FEATURES = ("rented_units_28d", "sold_units_28d")
PARTS = ("partner", "confidence", "lift", "lift_low")
WIDTH = len(PARTS) + 1
"""Columns a partner: the parts, and units together."""
UNITS_MAX = 1e6
HIGHEST = {"partner": 1e6, "confidence": 1.0, "lift": 1e6, "lift_low": 1e6}


@dataclass(frozen=True, slots=True)
class Counts:
    """k classes, p pairs, z stores."""

    keys: list[str]
    """Of classes: store and SKU."""
    single: Ints
    """int64[k]: documents with the class."""
    store: Ints
    """int64[k]: number of the class's store."""
    totals: Ints
    """int64[z, 4]: ``edge.features.pairs.TOTALS``."""
    pairs: Ints
    """int64[p, 2]: numbers of two classes of one store, each pair once."""
    together: Ints
    """int64[p]: at most so many documents with both …"""
    error: Ints
    """… and at least so many less."""


def from_history(
    sources: Sequence[HistoryReader], first_day: int = -(1 << 62), last_day: int = 1 << 62
) -> Counts:
    """Days of the history added up. Where two sources know a day, the later one counts."""
    owner = {d: s for s in sources for d in s.days("basket") if first_day <= d <= last_day}
    single: dict[str, int] = {}
    totals: dict[str, Ints] = {}
    both: dict[tuple[str, str], list[int]] = {}
    for day, source in sorted(owner.items()):
        for chunk in source.day("basket", day):
            for key, amounts in zip(chunk.keys, chunk.amounts[0].T, strict=True):
                name, _, sku = key.partition(SEPARATOR)
                if sku:
                    single[key] = single.get(key, 0) + int(amounts[0])
                else:
                    totals[name] = totals.get(name, 0) + amounts[: len(TOTALS)]
        for chunk in source.day("pair", day):
            counted = chunk.amounts[0].T.tolist()
            for key, (count, error) in zip(chunk.keys, counted, strict=True):
                name, one, other = key.split(SEPARATOR)
                pair = tuple(sorted((f"{name}{SEPARATOR}{one}", f"{name}{SEPARATOR}{other}")))
                held = both.setdefault((pair[0], pair[1]), [0, 0])
                held[0] += count
                held[1] += error
    return _numbered(single, totals, both)


def from_documents(documents: Iterable[Sequence[str]], store: str = "") -> Counts:
    """Counted exactly, as the edge counts: for tables and tests."""
    single: dict[str, int] = {}
    both: dict[tuple[str, str], list[int]] = {}
    total = np.zeros(len(TOTALS), np.int64)
    for document in documents:
        keys = sorted({f"{store}{SEPARATOR}{sku}" for sku in document})
        n = len(keys)
        if n > CLASSES_MAX:
            total[3] += 1
            continue
        total[:3] += (1, n, n * (n - 1) // 2)
        for key in keys:
            single[key] = single.get(key, 0) + 1
        for pair in combinations(keys, 2):
            both.setdefault(pair, [0, 0])[0] += 1
    return _numbered(single, {store: total}, both)


def _numbered(
    single: dict[str, int], totals: dict[str, Ints], both: dict[tuple[str, str], list[int]]
) -> Counts:
    keys = sorted(single)
    number = {key: i for i, key in enumerate(keys)}
    stores = sorted(totals)
    pairs = [(number[a], number[b], *held) for (a, b), held in both.items()
             if a in number and b in number]  # fmt: skip
    table = np.array(sorted(pairs), np.int64).reshape(-1, 4)
    return Counts(
        keys,
        np.array([single[key] for key in keys], np.int64),
        np.array([stores.index(key.partition(SEPARATOR)[0]) for key in keys], np.int64),
        np.array([totals[name] for name in stores], np.int64).reshape(-1, len(TOTALS)),
        table[:, :2],
        table[:, 2],
        table[:, 3],
    )


@dataclass(frozen=True, slots=True)
class Tested:
    """Pairs of classes with enough documents, p of them; see the module's docstring."""

    counts: Counts
    rows: Ints
    """int64[p] into ``counts.pairs``."""
    tests: int
    """How many pairs could have been seen."""
    p: Floats
    q: Floats
    """The least share of false discoveries at which the pair would be one."""
    support: Floats
    confidence: Floats
    """float64[p, 2]: of b where there is a, and the other way round."""
    lift: Floats
    lift_low: Floats
    lift_high: Floats
    lift_plain: Floats

    def found(self, fdr: float = FDR) -> Ints:
        """int64[?] positions of discoveries, the surest first."""
        hits = np.flatnonzero(self.q <= fdr)
        return np.asarray(hits[np.lexsort((-self.lift_low[hits], self.p[hits]))], np.int64)


def judged(counts: Counts, documents_min: int = DOCUMENTS_MIN) -> Tested:
    """Test every pair."""
    enough = counts.single >= documents_min
    rows = np.flatnonzero(enough[counts.pairs].all(axis=1))
    a, b = counts.pairs[rows].T
    n_a, n_b = counts.single[a].astype(np.float64), counts.single[b].astype(np.float64)
    documents, lines, met, _ = counts.totals[counts.store[a]].T.astype(np.float64)
    together = (counts.together[rows] - counts.error[rows]).astype(np.float64)
    expected = n_a * n_b * 2 * met / np.maximum(lines, 1) ** 2
    fisher = stats.hypergeom.sf(together - 1, documents, n_a, n_b)
    sized = stats.poisson.sf(together - 1, expected)
    p = np.where(together > 0, np.maximum(fisher, sized), 1.0)
    classes = np.bincount(counts.store[enough], minlength=len(counts.totals))
    tests = int((classes * (classes - 1) // 2).sum())
    tail = (1 - LEVEL) / 2
    low = np.where(together > 0, stats.chi2.ppf(tail, 2 * together) / 2, 0.0)
    high = stats.chi2.ppf(1 - tail, 2 * (counts.together[rows] + 1)) / 2
    share = np.maximum(expected, 1e-12)
    return Tested(
        counts, rows, tests, p, q_values(p, tests), together / np.maximum(documents, 1),
        np.stack([together / np.maximum(n_a, 1), together / np.maximum(n_b, 1)], axis=1),
        together / share, low / share, high / share,
        together * documents / np.maximum(n_a * n_b, 1),
    )  # fmt: skip


def q_values(p: Floats, tests: int) -> Floats:
    """Benjamini-Hochberg's adjusted p-values among ``tests``, of which only some are given.

    >>> q_values(np.array([0.01, 0.5]), 10).tolist()
    [0.1, 1.0]
    """
    order = np.argsort(p)
    ranked = p[order] * tests / np.arange(1, len(p) + 1)
    least = np.minimum.accumulate(ranked[::-1])[::-1]
    q = np.empty_like(p)
    q[order] = np.minimum(least, 1.0)
    return q


# -- the artifact -----------------------------------------------------------------------------------


def columns() -> list[Column]:
    """Of the output ``y``: for each of a class's partners its number, confidence, lift, units."""
    made = []
    for i in range(1, PARTNERS + 1):
        for part in PARTS:
            least = -1.0 if part == "partner" else 0.0
            made.append(Column(name=f"{part}_{i}", unit="1", lowest=least, highest=HIGHEST[part]))
        made.append(Column(name=f"together_28d_{i}", unit="units", lowest=0.0, highest=UNITS_MAX))
    return made


def fit(data: Data, settings: Settings) -> Exportable:
    """See ``trainer.services``. Raises TooLittle."""
    first = data.last_day - WINDOW_DAYS + 1
    counts = from_history(data.sources, first, data.last_day)
    if not len(counts.pairs):
        raise TooLittle("no document with more than one class is known")
    settings.say("testing pairs", 0.3)
    found = judged(counts)
    if not len(found.found()):
        raise TooLittle(
            f"{found.tests} pairs of classes were tested; none goes out together more than chance says"
        )
    metrics, naive = held_out(
        from_history(data.sources, first, data.split_day - 1),
        from_history(data.sources, data.split_day, data.last_day),
    )
    training = Training(
        data=settings.data, from_day=named(max(first, data.first_day)), to_day=named(data.last_day),
        rows=int(counts.totals[:, 0].sum()), entities=len(counts.keys), reason=settings.reason,
    )  # fmt: skip
    made = exportable(found, training)
    return replace(made, metrics={**made.metrics, **metrics}, baselines={"popularity": naive})


def held_out(before: Counts, after: Counts) -> tuple[dict[str, float], dict[str, float]]:
    """Of as many pairs as were discovered: share that meets more than chance says later as well.

    Beside the same number of pairs chosen by popularity (support alone).
    """
    learnt = judged(before)
    hits = learnt.found()
    popular = np.argsort(-learnt.support, kind="stable")[: len(hits)].astype(np.int64)

    def names_of(chosen: Ints) -> list[Pair]:
        pairs = before.pairs[learnt.rows[chosen]].tolist()
        return [(before.keys[a], before.keys[b]) for a, b in pairs]

    return met_again(names_of(hits), after), met_again(names_of(popular), after)


Pair = tuple[str, str]


def met_again(pairs: Sequence[Pair], after: Counts) -> dict[str, float]:
    """``precision``: the share of these pairs of classes that met more than chance says; of those
    whose classes were both seen. Empty: of none."""
    later = judged(after, 1)
    lift = {
        frozenset(after.keys[i] for i in after.pairs[row].tolist()): value
        for row, value in zip(later.rows.tolist(), later.lift.tolist(), strict=True)
    }
    known = set(after.keys)
    met = [lift.get(frozenset(pair), 0.0) > 1 for pair in pairs if known.issuperset(pair)]
    return {"precision": float(np.mean(met))} if met else {}


def exportable(found: Tested, training: Training) -> Exportable:
    """The artifact: each class's surest partners, and a list of pairs in ``extra``."""
    side = side_of(found)
    random = np.random.default_rng(1)
    golden = golden_rows(random.gamma(1.0, 20.0, (96, 2)).astype(np.float32))
    picked = random.integers(0, len(side.values), len(golden))
    inputs = {"x": golden, "s": np.ascontiguousarray(side.values[picked])}
    hits, counts = found.found()[:TOLD_MAX], found.counts
    return Exportable(
        service="packs",
        kind="pair_counts",
        entity="class",
        onnx_bytes=onnx(),
        features=FEATURES,
        columns=columns(),
        training=training,
        golden_inputs=inputs,
        predict=predict,
        side=side,
        metrics={"discoveries": float(len(found.found())), "tests": float(found.tests)},
        output_quantiles=quantiles21(predict(inputs), [c.name for c in columns()]),
        notes=f"Pairs that meet more than chance says, false discoveries held at {FDR:.0%}.",
        extra={
            "fdr": FDR,
            "classes": counts.keys,
            "pair_columns": ["a", "b", "documents", "support", "confidence_ab", "confidence_ba",
                             "lift", "lift_low", "lift_high", "q"],
            "pairs": [
                [*counts.pairs[row].tolist(), int(counts.together[row] - counts.error[row]),
                 *(round(float(v), 6) for v in (found.support[i], *found.confidence[i],
                   found.lift[i], found.lift_low[i], found.lift_high[i])), float(found.q[i])]
                for i, row in zip(hits.tolist(), found.rows[hits].tolist(), strict=True)
            ],
        },
    )  # fmt: skip


def side_of(found: Tested) -> Side:
    """Constants of every class: its partners with the highest lower bound of lift; -1: none.

    ``share`` is the confidence once more: the graph turns it into units in place.
    """
    counts = found.counts
    names = [f"{part}_{i}" for i in range(1, PARTNERS + 1) for part in (*PARTS, "share")]
    values = np.zeros((len(counts.keys) + 1, len(names)), np.float32)
    values[:, ::WIDTH] = -1.0
    hits = found.found()
    taken = np.zeros(len(counts.keys), np.int64)
    for i in hits[np.argsort(-found.lift_low[hits], kind="stable")].tolist():
        a, b = counts.pairs[found.rows[i]].tolist()
        for side, (mine, partner) in enumerate(((a, b), (b, a))):
            if (place := int(taken[mine])) < PARTNERS:
                at, confidence = place * WIDTH, found.confidence[i, side]
                values[mine, at : at + WIDTH] = (
                    partner, confidence, found.lift[i], found.lift_low[i], confidence
                )  # fmt: skip
                taken[mine] += 1
    return Side(names, [*counts.keys, ""], values)


def predict(inputs: dict[str, Float32]) -> Floats:
    """What the graph must answer: float64[n, o]."""
    x, s = (inputs[name].astype(np.float64) for name in ("x", "s"))
    units = np.where(x > 0, x, 0.0).sum(axis=1)
    answers = s.copy()
    answers[:, len(PARTS) :: WIDTH] *= units[:, None]
    return np.minimum(answers, UNITS_MAX)


def onnx() -> bytes:
    """``x`` float32[n, 2], ``s`` float32[n, 25] -> ``y`` float32[n, 25]; see :func:`predict`."""
    g = Graph()
    width = PARTNERS * WIDTH
    there = g.node("Greater", "x", g.constant(0.0))  # false for what is missing
    moved = g.node("Where", there, "x", g.constant(0.0))
    shares = np.arange(width) % WIDTH == len(PARTS)
    times = line(g, moved, np.tile(shares, (2, 1)), ~shares)  # 1 where nothing is multiplied
    y = g.node("Min", g.node("Mul", "s", times), g.constant(UNITS_MAX))
    return g.model({"x": ["n", 2], "s": ["n", width]}, {"y": (y, ["n", width])})
