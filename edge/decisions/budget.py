"""What was approved within the last 24 hours, counted by the hour. Pure."""

from msgspec import Struct

from edge.ledger.ledger import Ledger, Table

HOUR_MS = 3_600_000
HOURS = 25
"""The present hour and 24 before it: a sum may be counted up to an hour too long, never too short."""


class Spent(Struct, frozen=True):
    """Money committed by decisions that were approved within an hour."""

    hour: int
    """Hours since 1970-01-01, UTC."""
    cents: int
    """Sum, cents."""


TABLES = (Table("decision_spent", Spent, ("hour",), limit=10 * HOURS),)


def spent_cents(ledger: Ledger, now_ms: int) -> int:
    """What counts against the budget now, cents."""
    newest = now_ms // HOUR_MS
    rows = (ledger.get(Spent, hour) for hour in range(newest - HOURS + 1, newest + 1))
    return sum(row.cents for row in rows if row is not None)


def spend(ledger: Ledger, at_ms: int, cents: int) -> None:
    """Count ``cents`` for that moment's hour; negative: they were not spent after all."""
    hour = at_ms // HOUR_MS
    for old in [key[0] for key in ledger.rows(Spent) if int(key[0]) <= hour - HOURS]:
        ledger.drop(Spent, old)
    before = ledger.get(Spent, hour)
    ledger.put(Spent(hour, max(0, (before.cents if before else 0) + cents)))
