"""Room among the rows that are only there to be asked in SQL: which go with time, and which at any price.

No schedule (``pipeline_analytics.py``), and nothing is written here but what is let go.
"""

import sqlite3
from datetime import UTC, datetime

from msgspec import Struct

from edge.features.keys import key_hash
from edge.storage import changes
from edge.storage.analytics import SHEETS, SLICE_ROWS, moment

THIN = 10
"""Of old predictions one key in so many is kept."""
KEPT_DAY = "analytics_thinned"
"""Row of ``meta``: the newest day that was thinned."""


class Ages(Struct, frozen=True):
    """Moments before which rows go, by table: (column, moment)."""

    before: dict[str, tuple[str, str]]


AGED = {
    "analytics_predictions": "prediction_date",
    "ml_feature_store": "feature_timestamp",
    "external_data_factors": "measurement_date",
    "daily_sales": "day",
}
"""Tables whose rows go in time, and the column that says how old they are."""


def trim(connection: sqlite3.Connection, ages: Ages, copied: int) -> int:
    """Remove a slice of the rows that are old and that the copy holds; how many went. Until 0."""
    removed = 0
    for table, (column, before) in ages.before.items():
        removed += connection.execute(
            f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table}"
            f" WHERE {column} < ? AND changed <= ? LIMIT ?)",
            (before, copied, SLICE_ROWS),
        ).rowcount
        if removed >= SLICE_ROWS:
            break
    return removed


def thin(connection: sqlite3.Connection, before: str, copied: int) -> int:
    """Of one day's predictions older than ``before`` keep one key in ten; how many keys went.

    Not before the copy holds all of that day.
    """
    row = connection.execute(
        "SELECT min(prediction_date) FROM analytics_predictions"
        " WHERE prediction_date > ? AND prediction_date < ?",
        (moment(changes.value_of(connection, KEPT_DAY) * 1000), before),
    ).fetchone()
    told = connection.execute(
        "SELECT max(changed) FROM analytics_predictions WHERE prediction_date = ?", row
    ).fetchone()
    if row[0] is None or told[0] > copied:
        return 0
    keys = connection.execute(
        "SELECT DISTINCT target_key FROM analytics_predictions WHERE prediction_date = ?", row
    ).fetchall()
    gone = [(row[0], key) for (key,) in keys if key_hash(key) % THIN]
    connection.executemany(
        "DELETE FROM analytics_predictions WHERE prediction_date = ? AND target_key = ?", gone
    )
    at = datetime.strptime(row[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    changes.note(connection, KEPT_DAY, int(at.timestamp()))
    return len(gone)


def used_bytes(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """Table -> (rows, about how many bytes of text and numbers), of every sheet."""
    return {
        sheet.table: (rows, rows * _row_bytes(connection, sheet.table))
        for sheet in SHEETS
        for (rows,) in connection.execute(f"SELECT count(*) FROM {sheet.table}")
    }


def _row_bytes(connection: sqlite3.Connection, table: str) -> int:
    """About how much one row takes, by the newest hundred; indexes count as much again."""
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    each = " + ".join(f"coalesce(length({name}), 0) + 1" for name in names)
    (mean,) = connection.execute(
        f"SELECT coalesce(avg({each}), 0) FROM"
        f" (SELECT * FROM {table} ORDER BY changed DESC LIMIT 100)"
    ).fetchone()
    return int(2.0 * float(mean))


def give_up(connection: sqlite3.Connection, copied: int, *, also_uncopied: bool) -> tuple[int, int]:
    """Room at any price: the oldest slice of the largest table, copied rows first.

    (copied rows that went, rows that went although no copy holds them).
    """
    sizes = used_bytes(connection)
    largest = sorted(AGED, key=lambda name: -sizes[name][1])
    for condition in ("<=", ">") if also_uncopied else ("<=",):
        for table in largest:
            removed = connection.execute(
                f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table}"
                f" WHERE changed {condition} ? ORDER BY {AGED[table]} LIMIT ?)",
                (copied, 4 * SLICE_ROWS),
            ).rowcount
            if removed:
                return (removed, 0) if condition == "<=" else (0, removed)
    return 0, 0
