"""What a day leaves behind: the rows that its close writes for the trainer. Pure; changes nothing.

The state stands at the day's last millisecond: every event of the day applied and none after,
windows rolled to that moment. So a row holds what anybody would have read just then. Reading is cut
into slices of some milliseconds; the caller may let others work between two slices, but must not
change the state.

Not stored here (``edge.storage.history``), not read for training here (``trainer.history``).
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from edge.features.catalog import BY_ENTITY, catalogue_hash, matrix
from edge.features.layout import CLASS_DAYS, HISTORY_DAYS
from edge.features.pairs import TOTALS
from edge.features.state import FeatureState
from edge.features.windows import DayRing
from edge.features.words import GROUP_OF_STATUS, GROUPS
from edge.records import HistoryRows

Ints = NDArray[np.int64]

CHUNK_ROWS = 2_048
"""Rows stored together."""
SLICE_ROWS = {"class": 128, "item": 1_024}
"""Rows read without letting others work: about 2 ms of classes, 1 ms of items."""
SLOT_DAYS = 7
"""An item without events is written once in so many days, on the day that its key's hash names."""
QUIET_DAYS = 31
"""After so many days without any event nothing is written any more until there is one: a clock set
forward by years, or a box that lay in a cupboard, must not fill the card with unchanged rows."""
MISSING = -(1 << 63)
"""An amount that is not known."""

CLASS_MEASURES = tuple(CLASS_DAYS)
CLASS_LEVELS = (
    "price_cents",
    "list_price_cents",
    "competitor_price_cents",
    "cost_cents",
    "reserved_milli",
    "stock_known",
)
"""``stock_known``: 1 where stock was counted or received, or an item is tagged."""
ITEM_LEVELS = ("status_group", "retired")
"""``status_group`` counts ``edge.features.words.GROUPS``."""
FACTOR_MEASURES = ("mean_milli",)
BASKET_MEASURES = (*TOTALS, "unseen")
"""Of a store (its key has no SKU): its documents, and the most that a pair may be in that is not told.
Of a class: ``documents`` with it."""
PAIR_MEASURES = ("documents", "error")
"""Of a pair (store, SKU, SKU): at most so many documents held both, and at least so many less."""

_SHORTEST_DAY_MS = 23 * 3_600_000


def days_written(lateness_ms: int) -> int:
    """How many days of measures a close writes: its own and all that late events may have changed.

    >>> days_written(7_200_000)
    2
    """
    return min(1 + max(1, math.ceil(lateness_ms / _SHORTEST_DAY_MS)), HISTORY_DAYS)


def day_rows(state: FeatureState) -> Iterator[HistoryRows | None]:
    """The rows of the day whose last moment it is, by chunk; ``None`` after each slice of work.

    Classes: all. Items: those with any event on the day, and those whose weekly turn it is.
    Factors: all that were told. Documents and pairs: those that closed on the day. The same state gives the same rows, bit for bit.
    """
    assert state.now_ms == state.day_end_ms() - 1, (state.now_ms, state.today)
    if quiet_days(state) > QUIET_DAYS:
        return
    yield from _chunks(state, "class", state.cls.keys.live(), _class_rest)
    yield from _chunks(state, "item", items_written(state), _item_rest)
    rows = state.factor.keys.live()
    if len(rows):
        yield _factors(state, rows)
    yield from _documents(state)
    yield from _pairs(state)


def quiet_days(state: FeatureState) -> float:
    """Days since anything arrived from outside, as of ``state.now_ms``."""
    moments = (
        state.cls.col["last_event_ms"],
        state.item.col["last_event_ms"],
        state.reader.col["last_message_ms"],
        state.factor.col["at_ms"],
    )
    return (state.now_ms - max(int(column.max()) for column in moments)) / 86_400_000


def looked(state: FeatureState, dark_from_ms: int, dark_to_ms: int) -> bool:
    """Whether the zeros of the day that ends are zeros: the daemon ran on some of it, and something
    was heard within ``QUIET_DAYS``."""
    dark = dark_from_ms <= state.days.start_ms(state.today) and state.day_end_ms() <= dark_to_ms
    return not dark and quiet_days(state) <= QUIET_DAYS


def items_written(state: FeatureState) -> Ints:
    """int64[n] rows of the items that this day's close writes."""
    rows = state.item.keys.live()
    active = state.item.col["last_event_ms"][rows] >= state.days.start_ms(state.today)
    turn = state.item.keys.hashes[rows] % np.uint64(SLOT_DAYS) == state.today % SLOT_DAYS
    return np.asarray(rows[active | turn], np.int64)


Rest = Callable[[FeatureState, Ints, HistoryRows], None]
"""Fills in what is no feature: texts, levels, amounts."""


def _chunks(
    state: FeatureState, entity: str, rows: Ints, rest: Rest
) -> Iterator[HistoryRows | None]:
    names = tuple(BY_ENTITY[entity])
    slice_rows, catalogue = SLICE_ROWS[entity], catalogue_hash()
    for chunk, start in enumerate(range(0, len(rows), CHUNK_ROWS)):
        part = rows[start : start + CHUNK_ROWS]
        values = np.empty((len(names), len(part)), "<f4")
        keys: list[str] = []
        for low in range(0, len(part), slice_rows):
            some = part[low : low + slice_rows]
            values[:, low : low + len(some)] = matrix(state, entity, some, names).T
            keys += [state.tables[entity].keys.key(row) for row in some.tolist()]
            yield None
        made = HistoryRows(
            entity=entity,
            day=state.today,
            chunk=chunk,
            catalogue=catalogue,
            keys=keys,
            features=names,
            values=values.tobytes(),
        )
        rest(state, part, made)
        yield made


def _class_rest(state: FeatureState, rows: Ints, made: HistoryRows) -> None:
    for name in ("name", "category"):
        texts = state.cls.text[name]
        made.texts[name] = [texts.get(row, "") for row in rows.tolist()]
    days = days_written(state.lateness_ms)
    amounts = np.empty((days, len(CLASS_MEASURES), len(rows)), "<i8")
    for i, name in enumerate(CLASS_MEASURES):
        ring = state.cls.part[name]
        assert isinstance(ring, DayRing)
        amounts[:, i] = ring.series(rows, days)[::-1]
    for name, level in state.closing_levels().items():
        amounts[0, CLASS_MEASURES.index(name)] = level[rows]
    made.measures, made.days, made.amounts = CLASS_MEASURES, days, amounts.tobytes()
    made.levels = CLASS_LEVELS
    col = state.cls.col
    levels = {name: col[name][rows] for name in CLASS_LEVELS if name in col}
    levels["stock_known"] = state.stock_known(rows)
    made.heights = np.stack([levels[name].astype("<i8") for name in CLASS_LEVELS]).tobytes()


def _item_rest(state: FeatureState, rows: Ints, made: HistoryRows) -> None:
    col, key = state.item.col, state.cls.keys.key
    made.texts["class"] = [key(row) if row >= 0 else "" for row in col["class_row"][rows].tolist()]
    groups = np.full(state.status.keys.high, GROUPS.index("other"), np.int64)
    for row in state.status.keys.live().tolist():
        groups[row] = GROUPS.index(GROUP_OF_STATUS.get(state.status.keys.key(row), "other"))
    made.levels = ITEM_LEVELS
    levels = groups[col["status_row"][rows]], col["retired"][rows]
    made.heights = np.stack([level.astype("<i8") for level in levels]).tobytes()


def _factors(state: FeatureState, rows: Ints) -> HistoryRows:
    """Each factor's mean over what was told for a day; without that, a span that holds today."""
    days, col = days_written(state.lateness_ms), state.factor.col
    series = []
    for name in ("sum_milli", "told"):
        ring = state.factor.part[name]
        assert isinstance(ring, DayRing)
        series.append(ring.series(rows, days)[::-1])
    total, told = series
    mean = np.where(told > 0, total // np.maximum(told, 1), MISSING)
    holds = (told[0] <= 0) & (col["until_ms"][rows] > state.days.start_ms(state.today))
    mean[0] = np.where(holds, col["value_milli"][rows], mean[0])
    return HistoryRows(
        entity="factor",
        day=state.today,
        chunk=0,
        catalogue=catalogue_hash(),
        keys=[state.factor.keys.key(row) for row in rows.tolist()],
        measures=FACTOR_MEASURES,
        days=days,
        amounts=mean[:, None, :].astype("<i8").tobytes(),
    )


def _documents(state: FeatureState) -> Iterator[HistoryRows | None]:
    """Each store's documents of the day, and those of each class."""
    pairs, key = state.pairs, state.cls.keys.key
    unseen = pairs.unseen()
    stores = sorted(pairs.totals)
    rows = np.flatnonzero(pairs.single)
    keys = [f"{store}\x1f" for store in stores] + [key(row) for row in rows.tolist()]
    amounts = np.zeros((len(BASKET_MEASURES), len(keys)), np.int64)
    for i, store in enumerate(stores):
        amounts[:, i] = (*pairs.totals[store], unseen)
    amounts[0, len(stores) :] = pairs.single[rows]
    yield from _counted(state, "basket", keys, BASKET_MEASURES, amounts)


def _pairs(state: FeatureState) -> Iterator[HistoryRows | None]:
    """The pairs of the day's documents."""
    a, b, count, error = state.pairs.kept()
    key, amounts = state.cls.keys.key, np.stack([count, error])
    for chunk, low in enumerate(range(0, len(a), CHUNK_ROWS)):
        part = slice(low, low + CHUNK_ROWS)
        both = zip(a[part].tolist(), b[part].tolist(), strict=True)
        keys = [f"{key(x)}\x1f{key(y).partition(chr(0x1F))[2]}" for x, y in both]
        yield None
        yield from _counted(state, "pair", keys, PAIR_MEASURES, amounts[:, part], chunk)


def _counted(
    state: FeatureState,
    entity: str,
    keys: list[str],
    measures: tuple[str, ...],
    amounts: Ints,
    first: int = 0,
) -> Iterator[HistoryRows | None]:
    """Rows of whole numbers of this day alone; nothing where there are none."""
    for chunk, low in enumerate(range(0, len(keys), CHUNK_ROWS), first):
        part = slice(low, low + CHUNK_ROWS)
        yield HistoryRows(
            entity=entity,
            day=state.today,
            chunk=chunk,
            catalogue=catalogue_hash(),
            keys=keys[part],
            measures=measures,
            days=1,
            amounts=np.ascontiguousarray(amounts[:, part], "<i8").tobytes(),
        )
        yield None
