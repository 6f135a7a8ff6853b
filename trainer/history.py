"""Daily history of the local store or of an import -> panels and feature tables in memory.

No fitting here and no labels (``examples.py``). Nothing is computed anew: what a row says was read
from the daemon's own state at a day's close (``edge.features.history``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.features.history import MISSING, SLOT_DAYS
from edge.features.keys import key_hash
from edge.storage.history import Chunk, HistoryReader
from trainer.panel import Panel

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

SEPARATOR = "\x1f"
"""Between store and SKU in a class's key, and between store and name in a factor's."""

AMOUNTS: dict[str, tuple[tuple[str, ...], float]] = {
    "units": (("rented_milli", "sold_milli"), 0.001),
    "rented": (("rented_milli",), 0.001),
    "sold": (("sold_milli",), 0.001),
    "returned": (("returned_milli",), 0.001),
    "revenue_cents": (("revenue_cents",), 1.0),
    "scans_out": (("scans_out",), 1.0),
    "scans_in": (("scans_in",), 1.0),
    "on_hand_close": (("on_hand_close_milli",), 0.001),
    "on_rent_close": (("on_rent_close_milli",), 0.001),
}
"""Measure of a panel -> (day measures that add up to it, factor)."""
PRICES = ("price_cents", "list_price_cents", "competitor_price_cents", "cost_cents")
"""Measures of a panel that are the newest known at the day's close; 0 is unknown, so NaN."""
UNSEEN = "unseen"
"""Day measure of a chunk: 1 where nobody looked, so that nothing is known of the day."""
STOCKOUT = "stockout"
"""1 on a day whose demand was cut off: stock ran out on it, or there was none at its end."""
MEASURES = ("units", "rented", "sold", "returned", "revenue_cents", "on_hand_close",
            "on_rent_close", STOCKOUT, "price_cents")  # fmt: skip


def panel(
    sources: Sequence[HistoryReader],
    measures: Sequence[str] = MEASURES,
    first_day: int = -(1 << 62),
    last_day: int = 1 << 62,
) -> Panel:
    """Day measures of every class. What late events changed stands as it was corrected.

    Later sources win where two know the same class and day, so put what the daemon saw itself behind
    what was imported. A class is NaN before its first day
    and on days of which nothing is known, such as those on which the daemon was off. ``on_hand_close`` is NaN where stock was never counted
    and no item is tagged; such a day is no stock-out. Groups: ``store``, ``category``, ``name``.
    Raises KeyError for a measure that is none, JournalBroken for damage.
    """
    known = {*AMOUNTS, *PRICES, STOCKOUT}
    assert known >= set(measures), sorted(set(measures) - known)
    days = _all_days(sources, "class", first_day, last_day)
    grown = _Grown(list(measures), days)
    for source in sources:
        grown.begin_source()
        for chunk in source.chunks("class", first_day, last_day):
            grown.take(chunk)
    made = grown.panel()
    made.factors.update(factors(sources, days))
    return made


def _all_days(sources: Sequence[HistoryReader], entity: str, first: int, last: int) -> Ints:
    """Every day from the first to the last of which something is known, gaps included."""
    found = [d for source in sources for d in source.days(entity) if first <= d <= last]
    return np.arange(min(found), max(found) + 1, dtype=np.int64) if found else np.zeros(0, np.int64)


class _Grown:
    """A panel being filled, day after day; keys are added as they appear."""

    def __init__(self, names: list[str], days: Ints) -> None:
        self.names = names
        self.days = days
        self.rows: dict[str, int] = {}
        self.category: list[str] = []
        self.label: list[str] = []
        self.values = {name: np.zeros((0, len(days)), np.float32) for name in names}
        self.seen = np.zeros((0, len(days)), np.bool_)
        self.here = np.zeros((0, len(days)), np.bool_)  # by the present source

    def begin_source(self) -> None:
        """What follows is of another source: it knows nothing of days before its first."""
        self.here[:] = False

    def take(self, chunk: Chunk) -> None:
        """Enter one chunk: its own day, then what it knows better of the days before."""
        rows = self._claim(chunk)
        for back in range(len(chunk.amounts)):
            at = chunk.day - back - int(self.days[0])
            if at < 0:
                break
            some = np.arange(len(rows))
            if back:  # a class of which nothing was known then is new only if something happened
                happened = (chunk.amounts[back] != 0).any(axis=0)
                some = np.flatnonzero(self.here[rows, at] | (happened & ~self.seen[rows, at]))
            self.seen[rows[some], at] = self.here[rows[some], at] = True
            for name in self.names:
                value = _value(chunk, name, back)
                if value is not None:
                    self.values[name][rows[some], at] = value[some]

    def _claim(self, chunk: Chunk) -> Ints:
        names, categories = chunk.texts["name"], chunk.texts["category"]
        found = np.empty(len(chunk.keys), np.int64)
        for i, key in enumerate(chunk.keys):
            row = self.rows.setdefault(key, len(self.rows))
            found[i] = row
            if row == len(self.label):
                self.label.append("")
                self.category.append("")
            self.label[row] = names[i] or self.label[row]
            self.category[row] = categories[i] or self.category[row]
        room = len(self.seen)
        if len(self.rows) > room:
            more = max(len(self.rows) - room, room // 2, 256)
            blank = np.full((more, len(self.days)), np.nan, np.float32)
            self.values = {n: np.concatenate([v, blank]) for n, v in self.values.items()}
            none = np.zeros(blank.shape, np.bool_)
            self.seen = np.concatenate([self.seen, none])
            self.here = np.concatenate([self.here, none])
        return found

    def panel(self) -> Panel:
        n = len(self.rows)
        return Panel(
            keys=list(self.rows),
            days=self.days,
            measures={name: values[:n] for name, values in self.values.items()},
            groups={
                "store": [key.partition(SEPARATOR)[0] for key in self.rows],
                "category": self.category,
                "name": self.label,
            },
        )


def _value(chunk: Chunk, name: str, back: int) -> Floats | None:
    """float32[n] of a measure ``back`` days before the chunk's; ``None``: it is not told.

    NaN where nobody looked: a day on which the daemon was off is not a day without sales.
    """
    if name in AMOUNTS:
        parts, scale = AMOUNTS[name]
        total = sum(chunk.amounts[back, chunk.measures.index(part)] for part in parts)
        value = np.asarray(total, np.float64) * scale
        if name == "on_hand_close":
            value = np.where(_stock_known(chunk), value, np.nan)
        return np.where(_unseen(chunk, back), np.nan, value).astype(np.float32)
    if name == STOCKOUT:
        ran_out = chunk.amounts[back, chunk.measures.index("stockouts")] > 0
        value = np.asarray(ran_out | _empty(chunk, back), np.float64)
        return np.where(_unseen(chunk, back), np.nan, value).astype(np.float32)
    if back:
        return None
    height = chunk.heights[chunk.levels.index(name)]
    return np.asarray(np.where(height != 0, height, np.nan), np.float32)


def _unseen(chunk: Chunk, back: int) -> NDArray[np.bool_]:
    """bool[n]; rows written before days were told apart hold only days that were seen."""
    if UNSEEN not in chunk.measures:
        return np.zeros(len(chunk.keys), np.bool_)
    return np.asarray(chunk.amounts[back, chunk.measures.index(UNSEEN)] > 0)


def _empty(chunk: Chunk, back: int) -> NDArray[np.bool_]:
    """bool[n]: whether stock was known at the day's close, and there was none."""
    if "empty_close" in chunk.measures:
        return np.asarray(chunk.amounts[back, chunk.measures.index("empty_close")] > 0)
    none = chunk.amounts[back, chunk.measures.index("on_hand_close_milli")] <= 0
    return np.asarray(_stock_known(chunk) & none)


def _stock_known(chunk: Chunk) -> NDArray[np.bool_]:
    return np.asarray(chunk.heights[chunk.levels.index("stock_known")] > 0)


def factors(sources: Sequence[HistoryReader], days: Ints) -> dict[str, Floats]:
    """Outside influences by day: name -> float32[d], NaN where nothing was told.

    A factor told in several stores is their mean.
    """
    if not len(days):
        return {}
    sums: dict[str, dict[str, NDArray[np.float64]]] = {}
    first, last = int(days[0]), int(days[-1])
    for source in sources:
        for chunk in source.chunks("factor", first, last):
            for i, key in enumerate(chunk.keys):
                store, _, name = key.partition(SEPARATOR)
                blank = np.full(len(days), np.nan)
                series = sums.setdefault(name, {}).setdefault(store, blank)
                for back, milli in enumerate(chunk.amounts[:, 0, i].tolist()):
                    at = chunk.day - back - first
                    if at >= 0 and milli != MISSING:
                        series[at] = milli / 1000
    return {name: _mean(list(stores.values())) for name, stores in sums.items()}


def _mean(series: list[NDArray[np.float64]]) -> Floats:
    table = np.stack(series)
    told = (~np.isnan(table)).sum(axis=0)
    total = np.nansum(table, axis=0)
    return np.where(told > 0, total / np.maximum(told, 1), np.nan).astype(np.float32)


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Rows of one entity in the order of (key, day): N rows, f features.

    ``start[k] .. start[k + 1]`` are the rows of key k. Days between two rows of an item were quiet.
    """

    entity: str
    keys: list[str]
    start: Ints
    """int64[k + 1]"""
    day: Ints
    """int64[N]"""
    features: tuple[str, ...]
    x: Floats
    """float32[N, f], as the day closed."""
    amounts: dict[str, Floats] = field(default_factory=dict)
    """Day measure -> float32[N] of that day, corrected by later rows: for labels, never features."""
    levels: dict[str, Ints] = field(default_factory=dict)
    """int64[N], as the day closed."""
    texts: dict[str, list[str]] = field(default_factory=dict)
    """Newest words about each key: [k]."""

    @property
    def last_day(self) -> int:
        """The last day of which anything is known."""
        return int(self.day.max()) if len(self.day) else -(1 << 62)

    def key_of_rows(self) -> Ints:
        """int64[N]: number of each row's key."""
        return np.repeat(np.arange(len(self.keys)), np.diff(self.start))

    def on_turn(self) -> NDArray[np.bool_]:
        """bool[N]: rows written because it was their key's weekly turn, whatever happened.

        They are a fair sample of the items; rows written because something happened are not.
        """
        turns = np.array([(key_hash(key) or 1) % SLOT_DAYS for key in self.keys], np.int64)
        return np.asarray(turns[self.key_of_rows()] == self.day % SLOT_DAYS)


def feature_table(
    sources: Sequence[HistoryReader],
    entity: str,
    features: Sequence[str],
    *,
    measures: Sequence[str] = (),
    levels: Sequence[str] = (),
    first_day: int = -(1 << 62),
    last_day: int = 1 << 62,
) -> FeatureTable:
    """Chosen columns of the history of classes or items.

    A feature that the catalogue of a day did not have is NaN on it. Two rows of one key and day:
    the later source wins. Raises JournalBroken for damage.
    """
    numbers: dict[str, int] = {}
    texts: dict[str, list[str]] = {}
    rows: list[_Rows] = []
    better: list[_Better] = []
    for origin, source in enumerate(sources):
        for chunk in source.chunks(entity, first_day, last_day):
            key = _numbered(chunk, numbers, texts)
            rows.append(_rows(chunk, key, origin, features, measures, levels))
            if measures:
                better += _better(chunk, key, origin, measures)
    rows.append(_no_rows(len(features), len(measures), len(levels)))
    key, day, origins, x, amounts, heights = (np.concatenate(c) for c in zip(*rows, strict=True))
    order = _newest_of_each(key, day)
    key, day, amounts = key[order], day[order], amounts[order]
    _correct(amounts, key, day, origins[order], better)
    return FeatureTable(
        entity=entity,
        keys=list(numbers),
        start=np.searchsorted(key, np.arange(len(numbers) + 1)),
        day=day,
        features=tuple(features),
        x=x[order],
        amounts={name: amounts[:, i] for i, name in enumerate(measures)},
        levels={name: heights[order, i] for i, name in enumerate(levels)},
        texts=texts,
    )


_Rows = tuple[Ints, Ints, Ints, Floats, Floats, Ints]
"""key, day and source int64[n]; features, day measures float32[n, …]; levels int64[n, …]."""
_Better = tuple[int, Ints, Ints, Floats]
"""source, key and day int64[n], day measures float32[n, m]: what a later row says of a day before."""


def _rows(
    chunk: Chunk,
    key: Ints,
    origin: int,
    features: Sequence[str],
    measures: Sequence[str],
    levels: Sequence[str],
) -> _Rows:
    n = len(key)
    heights = np.empty((n, len(levels)), np.int64)
    for i, name in enumerate(levels):
        heights[:, i] = chunk.heights[chunk.levels.index(name)]
    x = np.empty((n, len(features)), np.float32)
    for i, name in enumerate(features):
        x[:, i] = chunk.column(name)
    day, source = np.full(n, chunk.day, np.int64), np.full(n, origin, np.int64)
    return key, day, source, x, _amounts(chunk, measures), heights


def _no_rows(f: int, m: int, levels: int) -> _Rows:
    none, wide = np.zeros(0, np.int64), np.zeros((0, f), np.float32)
    return none, none, none, wide, np.zeros((0, m), np.float32), np.zeros((0, levels), np.int64)


def _better(chunk: Chunk, key: Ints, origin: int, measures: Sequence[str]) -> list[_Better]:
    return [
        (origin, key, np.full(len(key), chunk.day - back), _amounts(chunk, measures, back))
        for back in range(1, len(chunk.amounts))
    ]


def _newest_of_each(key: Ints, day: Ints) -> Ints:
    """int64[n] in the order of (key, day): of equal ones the row that came last."""
    order = np.lexsort((np.arange(len(key)), day, key))
    key, day = key[order], day[order]
    last = np.ones(len(key), np.bool_)
    last[:-1] = (key[1:] != key[:-1]) | (day[1:] != day[:-1])
    return np.asarray(order[last], np.int64)


def _numbered(chunk: Chunk, numbers: dict[str, int], texts: dict[str, list[str]]) -> Ints:
    key = np.array([numbers.setdefault(k, len(numbers)) for k in chunk.keys], np.int64)
    for name, words in chunk.texts.items():
        known = texts.setdefault(name, [])
        known += [""] * (len(numbers) - len(known))
        for number, word in zip(key.tolist(), words, strict=True):
            if word:
                known[number] = word
    return key


def _amounts(chunk: Chunk, measures: Sequence[str], back: int = 0) -> Floats:
    """float32[n, m]; NaN where the chunk does not say it of that day."""
    out = np.full((len(chunk.keys), len(measures)), np.nan, np.float32)
    for i, name in enumerate(measures):
        value = _value(chunk, name, back)
        if value is not None:
            out[:, i] = value
    return out


def _correct(
    amounts: Floats,
    key: Ints,
    day: Ints,
    origin: Ints,
    better: Sequence[_Better],
) -> None:
    """Put in what later rows of the same source know better; of several, the last.

    Rows lie in order of (key, day).
    """
    if not len(day):
        return
    span = int(day.max()) + 1
    places = key * span + day
    for number, keys, days, values in better:
        wanted = keys * span + days
        at = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
        there = (places[at] == wanted) & (origin[at] == number)
        known = values[there]
        amounts[at[there]] = np.where(np.isnan(known), amounts[at[there]], known)
