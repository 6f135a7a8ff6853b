"""Rows for everybody who asks in SQL: predictions and what came of them, models, features, factors, sales.

No schedule here (``pipeline_analytics.py``) and no truth of the edge's own: nothing of the shop's work
reads these tables back. Rows are prepared off the writer's thread and written in slices; writing the
same again changes nothing, and a row whose values did not change keeps its number ``changed``, so the
copy is not told anew.

Moments are UTC, as ``2026-11-21 08:00:00``; a row of a day stands at the moment when that day closed.
"""

import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.features.history import ITEM_LEVELS, MISSING
from edge.features.keys import key_hash
from edge.features.words import GROUPS
from edge.inference.accuracy import is_probability
from edge.inference.field import Kept, Question
from edge.inference.manifest import Manifest, central
from edge.storage import changes
from edge.storage.history import Chunk, unpack

Row = tuple[Any, ...]
Floats = NDArray[np.float64]

SLICE_ROWS = 200
"""Rows of one transaction: a commit must not wait long behind it."""
HISTORY = "analytics_history"
"""Row of ``meta``: the newest row of the history that was read."""


class Sheet(Struct, frozen=True):
    """How rows of a table are written. ``numbered``: it has an ``id``, the number of the first change."""

    table: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    numbered: bool = False
    once: bool = False
    """Whether a row that is there stays as it was."""
    newest: str = ""
    """A column that must not fall: a row with a lower one changes nothing."""

    @property
    def sql(self) -> str:
        """Takes key, values and number of a row."""
        names = [*self.key, *self.values, *(["id"] if self.numbered else []), "changed"]
        marks = [f"?{i}" for i in range(1, len(self.key) + len(self.values) + 2)]
        marks += [marks[-1]] if self.numbered else []
        begin = f"INSERT INTO {self.table} ({', '.join(names)}) VALUES ({', '.join(marks)})"
        if self.once:
            return f"{begin} ON CONFLICT DO NOTHING"
        told = [name for name in self.values if name != "created_at"]
        mine = ", ".join(f"{self.table}.{name}" for name in told)
        new = ", ".join(f"excluded.{name}" for name in told)
        moved = ", ".join(f"{name} = excluded.{name}" for name in [*told, "changed"])
        where = f"({mine}) IS NOT ({new})"
        if self.newest:
            where += f" AND excluded.{self.newest} >= {self.table}.{self.newest}"
        return f"{begin} ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {moved} WHERE {where}"


PREDICTIONS = Sheet(
    "analytics_predictions",
    ("prediction_date", "prediction_type", "model_version", "question", "role", "target_key"),
    (
        *("target_item_id", "target_class", "target_store", "horizon_days", "predicted_value"),
        *("confidence_score", "confidence_lower", "confidence_upper", "created_at"),
    ),
    numbered=True,
    once=True,
)
MODELS = Sheet(
    "ml_model_performance",
    ("service_name", "model_version"),
    (
        *("model_type", "training_date", "deployment_date", "performance_metrics"),
        *("field_metrics", "accuracy_score", "precision_score", "recall_score", "f1_score"),
        *("mae", "rmse", "training_data_size", "hyperparameters", "feature_importance"),
        *("stage", "is_active", "created_at"),
    ),
    numbered=True,
)
FEATURES = Sheet(
    "ml_feature_store",
    ("feature_name", "target_entity", "feature_timestamp"),
    (
        *("feature_category", "feature_value", "data_source", "computation_method"),
        *("is_real_time", "quality_score", "created_at"),
    ),
    numbered=True,
)
FACTORS = Sheet(
    "external_data_factors",
    ("factor_type", "factor_name", "factor_store", "measurement_date"),
    ("factor_value", "data_source", "quality_confidence", "created_at"),
    numbered=True,
)
SALES = Sheet(
    "daily_sales",
    ("day", "store", "sku"),
    (
        *("rented_units", "sold_units", "returned_units", "revenue_cents", "stockouts"),
        *("on_hand_close_units", "on_rent_close_units", "price_close_cents"),
    ),
)
CLASSES = Sheet(
    "classes",
    ("store", "sku"),
    (
        *("common_name", "category", "on_hand_units", "on_rent_units"),
        *("reserved_units", "price_cents", "list_price_cents", "competitor_price_cents"),
        *("cost_cents", "rented_units_28d", "sold_units_28d", "as_of"),
    ),
    newest="as_of",
)
ITEMS = Sheet(
    "items",
    ("tag_id",),
    (
        *("rental_class_num", "store", "status_group", "retired", "grade", "days_since_scan"),
        *("rentals_total", "repairs_total", "turnover_cents_total", "as_of"),
    ),
    newest="as_of",
)
SHEETS = (PREDICTIONS, MODELS, FEATURES, FACTORS, SALES, CLASSES, ITEMS)


class Rows(Struct, frozen=True):
    """Some rows of one table, ready to be written."""

    sheet: Sheet
    rows: list[Row]


class Place(Struct, frozen=True):
    """What the rows need to know of the shop."""

    store: str
    """Of items of which no class is known."""
    end_ms: Callable[[int], int]
    """Local day -> the moment when it closed, epoch milliseconds."""
    features: frozenset[str]
    """``class.<name>`` and ``item.<name>`` of the features that are written."""


def moment(at_ms: int) -> str:
    """A moment as SQL writes it, UTC.

    >>> moment(1_700_000_000_000)
    '2023-11-14 22:13:20'
    """
    at = datetime(1970, 1, 1) + timedelta(milliseconds=at_ms)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def date(day: int) -> str:
    """A local day as SQL writes it.

    >>> date(20_000)
    '2024-10-04'
    """
    return str((datetime(1970, 1, 1) + timedelta(days=day)).date())


def named(key: str) -> str:
    """A key of the state as it is told: a class as ``store/SKU``.

    >>> named("main\\x1fCHAIR"), named("E280")
    ('main/CHAIR', 'E280')
    """
    return key.replace("\x1f", "/", 1)


def _parts(key: str) -> tuple[str, str]:
    """(store, SKU) of a class's key."""
    store, _, sku = key.partition("\x1f")
    return store, sku


# -- writing ----------------------------------------------------------------------------------------


def write(connection: sqlite3.Connection, part: Rows) -> None:
    """Write rows inside the caller's transaction."""
    first = changes.reserve(connection, len(part.rows))
    told = [(*row, first + i) for i, row in enumerate(part.rows)]
    connection.executemany(part.sheet.sql, told)


def slices(parts: Iterable[Rows]) -> list[Rows]:
    """The same rows, no more than ``SLICE_ROWS`` together; empty ones are left out."""
    return [
        Rows(part.sheet, part.rows[start : start + SLICE_ROWS])
        for part in parts
        for start in range(0, len(part.rows), SLICE_ROWS)
    ]


# -- what a day's close left in the history ---------------------------------------------------------


def next_chunk(connection: sqlite3.Connection) -> tuple[int, Chunk] | None:
    """(row, chunk) of the history that was not read yet, the oldest; ``None``: all was read."""
    row = connection.execute(
        "SELECT rowid, entity, day, chunk, n, catalogue, blob FROM history WHERE rowid > ?"
        " AND entity IN ('class', 'item', 'factor') ORDER BY rowid LIMIT 1",
        (changes.value_of(connection, HISTORY),),
    ).fetchone()
    return None if row is None else (int(row[0]), unpack(*row[1:]))


def of_history(chunk: Chunk, place: Place) -> list[Rows]:
    """Pure: the rows that a chunk of the history stands for."""
    if chunk.entity == "factor":
        return [_factors(chunk, place)]
    told = [_features(chunk, place)]
    if chunk.entity == "class":
        return [*told, _sales(chunk), _classes(chunk)]
    return [*told, _items(chunk, place)]


def _features(chunk: Chunk, place: Place) -> Rows:
    at = moment(place.end_ms(chunk.day))
    made: list[Row] = []
    for name in chunk.features:
        if f"{chunk.entity}.{name}" in place.features:
            values = _numbers(chunk.column(name))
            made += [
                (name, named(key), at, chunk.entity, value, "rfid3", chunk.catalogue, 0, 1.0, at)
                for key, value in zip(chunk.keys, values, strict=True)
                if value is not None
            ]
    return Rows(FEATURES, made)


def _sales(chunk: Chunk) -> Rows:
    """A row a class and day with anything on it; of earlier days too, which late events may change."""
    at = {name: i for i, name in enumerate(chunk.measures)}
    moved = [at[n] for n in ("rented_milli", "sold_milli", "returned_milli", "stockouts")]
    moved += [at["revenue_cents"]]
    known = chunk.heights[chunk.levels.index("stock_known")] > 0
    made: list[Row] = []
    for back, amounts in enumerate(chunk.amounts):
        busy = np.flatnonzero((amounts[moved] != 0).any(axis=0)).tolist()
        for i in busy:
            told = {name: int(amounts[k, i]) for name, k in at.items()}
            made.append(
                (
                    date(chunk.day - back),
                    *_parts(chunk.keys[i]),
                    told["rented_milli"] / 1000,
                    told["sold_milli"] / 1000,
                    told["returned_milli"] / 1000,
                    told["revenue_cents"],
                    told["stockouts"],
                    told["on_hand_close_milli"] / 1000 if known[i] else None,
                    told["on_rent_close_milli"] / 1000,
                    told["price_close_cents"] or None,
                )
            )
    return Rows(SALES, made)


def _classes(chunk: Chunk) -> Rows:
    level = {name: chunk.heights[i].tolist() for i, name in enumerate(chunk.levels)}
    columns = [
        *zip(*map(_parts, chunk.keys), strict=True),
        chunk.texts.get("name", [""] * len(chunk.keys)),
        chunk.texts.get("category", [""] * len(chunk.keys)),
        _numbers(chunk.column("on_hand_units")),
        _numbers(chunk.column("on_rent_units")),
        [amount / 1000 for amount in level["reserved_milli"]],
        *(
            [cents if cents > 0 else None for cents in level[name]]
            for name in (
                *("price_cents", "list_price_cents", "competitor_price_cents", "cost_cents"),
            )
        ),
        _numbers(chunk.column("rented_units_28d")),
        _numbers(chunk.column("sold_units_28d")),
        [date(chunk.day)] * len(chunk.keys),
    ]
    return Rows(CLASSES, list(zip(*columns, strict=True)))


_ITEM_FEATURES = (
    *("grade_last", "days_since_scan", "rentals_total", "repairs_total"),
    "turnover_cents_total",
)


def _items(chunk: Chunk, place: Place) -> Rows:
    group, retired = (chunk.heights[ITEM_LEVELS.index(n)] for n in ("status_group", "retired"))
    of = [_parts(key) if key else (place.store, "") for key in chunk.texts["class"]]
    columns = [
        chunk.keys,
        [sku for _, sku in of],
        [store for store, _ in of],
        [GROUPS[at] if 0 <= at < len(GROUPS) else "other" for at in group.tolist()],
        [int(one) for one in retired.tolist()],
        *(_numbers(chunk.column(name)) for name in _ITEM_FEATURES),
        [date(chunk.day)] * len(chunk.keys),
    ]
    return Rows(ITEMS, list(zip(*columns, strict=True)))


def _factors(chunk: Chunk, place: Place) -> Rows:
    made: list[Row] = []
    for back, amounts in enumerate(chunk.amounts):
        at = moment(place.end_ms(chunk.day - back))
        for key, milli in zip(chunk.keys, amounts[0].tolist(), strict=True):
            if milli != MISSING:
                store, _, about = key.partition("\x1f")
                kind, _, name = about.partition(".")
                made.append((kind, name, store, at, milli / 1000, "rfid3", 1.0, at))
    return Rows(FACTORS, made)


def _numbers(values: NDArray[Any]) -> list[float | None]:
    """Floats of at most six digits, as a float32 means them; ``None`` where there is no number."""
    return [float(f"{v:.7g}") if math.isfinite(v) else None for v in values.tolist()]


# -- predictions --------------------------------------------------------------------------------------


def chosen_keys(keys: Sequence[str], most: int) -> list[int]:
    """Ascending places of the keys that are written: all, or those with the smallest hashes."""
    if len(keys) <= most:
        return list(range(len(keys)))
    return sorted(sorted(range(len(keys)), key=lambda i: key_hash(keys[i]))[:most])


class Said(Struct, frozen=True):
    """One version's predictions of a day: what the field's record keeps, and who said it."""

    service: str
    version: str
    role: str
    entity: str
    """class or item."""
    kept: Kept
    questions: Sequence[Question]


def of_predictions(said: Said, place: Place, most: int) -> Rows:
    """Pure: a row a key and question, with the widest interval that is told."""
    kept = said.kept
    values = _answers(kept)
    places = chosen_keys(kept.keys, most)
    at, now = moment(place.end_ms(kept.day)), moment(kept.at_ms)
    made: list[Row] = []
    for asked in said.questions:
        point, low, high, level = _columns(kept, asked)
        likely = any(is_probability(kept.columns[i]) for i in asked.columns)
        for i in places:
            value = _number(values[i, point])
            if value is None:
                continue
            key = kept.keys[i]
            store, sku = _parts(key) if said.entity == "class" else (place.store, None)
            made.append(
                (
                    *(at, said.service, said.version, asked.name, said.role, named(key)),
                    key if said.entity == "item" else None,
                    sku,
                    store,
                    asked.horizon_days,
                    value,
                    max(value, 1 - value) if likely else level,
                    _number(values[i, low]) if low is not None else None,
                    _number(values[i, high]) if high is not None else None,
                    now,
                )
            )
    return Rows(PREDICTIONS, made)


def _answers(kept: Kept) -> Floats:
    told = np.frombuffer(kept.values, "<f4").reshape(len(kept.keys), len(kept.columns))
    return told.astype(np.float64)


def _columns(kept: Kept, asked: Question) -> tuple[int, int | None, int | None, float | None]:
    """(point, low, high, level of the interval) of a question's columns."""
    levels = {kept.columns[i].quantile: i for i in asked.columns}
    point = levels.get(None, levels.get(0.5, asked.columns[0]))
    pair = central(level for level in levels if level is not None)
    if pair is None:
        return point, None, None, None
    return point, levels[pair[0]], levels[pair[1]], round(pair[1] - pair[0], 6)


def _number(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None


class Truth(Struct, frozen=True):
    """What came of one question of a day's predictions."""

    rows: list[Row]
    """(actual, accuracy, moment, and the key of the prediction)"""


def of_truth(said: Said, asked: Question, truth: Floats, place: Place, most: int) -> Truth:
    """Pure: the actual value of each prediction that was written, where it is known."""
    kept = said.kept
    values, (point, *_) = _answers(kept), _columns(kept, asked)
    at = moment(place.end_ms(kept.day))
    known = moment(place.end_ms(kept.day + asked.horizon_days))
    made: list[Row] = []
    for i in chosen_keys(kept.keys, most):
        actual, value = _number(float(truth[i])), _number(float(values[i, point]))
        if actual is not None and value is not None:
            about = (at, said.service, said.version, asked.name, said.role, named(kept.keys[i]))
            made.append((actual, accuracy(value, actual), known, *about))
    return Truth(made)


def accuracy(predicted: float, actual: float) -> float:
    """1 where they are equal, 0 where they have nothing in common: 1 - |p - a| / (|p| + |a|).

    A probability and what happened, 0 or 1, are held against each other on both sides.

    >>> accuracy(3.0, 3.0), accuracy(0.0, 0.0), accuracy(1.0, 3.0), accuracy(0.0, 2.0)
    (1.0, 1.0, 0.5, 0.0)
    """
    most = abs(predicted) + abs(actual)
    return 1.0 if most == 0 else round(1 - abs(predicted - actual) / most, 6)


_JUDGE = f"""
UPDATE analytics_predictions SET
    actual_value = ?1, accuracy_score = ?2, validated_at = ?3, changed = ?{len(PREDICTIONS.key) + 4}
WHERE {" AND ".join(f"{name} = ?{i}" for i, name in enumerate(PREDICTIONS.key, 4))}
    AND (actual_value, accuracy_score, validated_at) IS NOT (?1, ?2, ?3)
"""


def write_truth(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Note what came of predictions, inside the caller's transaction."""
    first = changes.reserve(connection, len(rows))
    connection.executemany(_JUDGE, [(*row, first + i) for i, row in enumerate(rows)])


# -- models -------------------------------------------------------------------------------------------


def of_model(
    manifest: Manifest, stage: str, since_ms: int, found_ms: int, figures: dict[str, Any]
) -> Row:
    """Pure: one version's row. ``figures``: what it was worth in this shop, by question."""
    told = manifest.metrics
    trained = datetime.fromisoformat(manifest.created_at).astimezone(UTC)
    return (
        manifest.service,
        manifest.version,
        manifest.kind,
        trained.strftime("%Y-%m-%d %H:%M:%S"),
        moment(since_ms) if stage == "active" else None,
        _json(told),
        _json(figures),
        *(told.get(name) for name in ("accuracy", "precision", "recall", "f1", "mae", "rmse")),
        manifest.training.rows,
        _json(manifest.hyperparameters),
        _json(manifest.importances),
        stage,
        int(stage == "active"),
        moment(found_ms),
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


# -- what moves what ------------------------------------------------------------------------------------

_STRENGTH = """
UPDATE external_data_factors AS f SET
    correlation_strength = ?1, business_relevance_score = ?2, changed = ?5
WHERE factor_type = ?3 AND factor_name = ?4 AND measurement_date = (
        SELECT max(measurement_date) FROM external_data_factors
        WHERE factor_type = ?3 AND factor_name = ?4 AND factor_store = f.factor_store)
    AND (correlation_strength, business_relevance_score) IS NOT (?1, ?2)
"""


def write_strengths(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Note at each influence's newest day how strong it was found to be.

    ``rows``: (strength, relevance, type, name). Inside the caller's transaction.
    """
    for row in rows:
        # one number for each store's row, so that no two rows have the same
        first = changes.reserve(connection, 1)
        stores = connection.execute(
            "SELECT DISTINCT factor_store FROM external_data_factors"
            " WHERE factor_type = ? AND factor_name = ?",
            row[2:],
        ).fetchall()
        for number, (store,) in enumerate(stores):
            changed = first if not number else changes.reserve(connection, 1)
            connection.execute(f"{_STRENGTH} AND factor_store = ?6", (*row, changed, store))
