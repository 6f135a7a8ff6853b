"""What people thought of predictions, as far as the trainer asks: low ratings by service. Reads only.

Rows of the view ``feedback`` of the local store: entity, service, rating (1 to 5), at_ms, note; a decision
counts once, by its newest rating. A store without that view has had no feedback.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

LOW_RATING = 2
"""A rating of so much or less says that the answer was of no use."""


def low_ratings(store: Path, since_ms: Mapping[str, int]) -> dict[str, int]:
    """Service -> low ratings after its moment in epoch milliseconds; services without any are left out.

    ``store``: a ``journal.db``. Empty where there is no such file, no such view, or another program
    holds it: feedback is one reason among others, and not worth a failed night.
    """
    if not store.exists():
        return {}
    uri = f"file:{quote(str(store.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            found = {
                service: int(connection.execute(_COUNT, (service, at_ms, LOW_RATING)).fetchone()[0])
                for service, at_ms in since_ms.items()
            }
    except sqlite3.Error:
        return {}
    return {service: many for service, many in found.items() if many}


_COUNT = "SELECT count(*) FROM feedback WHERE service = ? AND at_ms > ? AND rating BETWEEN 1 AND ?"
