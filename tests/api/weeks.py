"""A shop that has lived for some weeks, told day by day to a real daemon with a clock of the test's."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge.clock import ManualClock
from tests.api.shop import DAY_MS, Shop, daemon

MONDAY_MS = 1_772_409_600_000
"""2026-03-02, a Monday, midnight UTC."""
Events = Callable[[int], Iterable[dict[str, Any]]]
"""Day from 0 -> what happened on it; ``hour`` says when, by default 12."""


class Calendar(ManualClock):
    """A clock that may be set."""

    def set(self, now_ms: int) -> None:
        """It is ``now_ms``."""
        self._now_ms = max(now_ms, self._now_ms)


async def lived(shop: Shop, clock: Calendar, days: Iterable[int], events: Events) -> None:
    """Tell the shop what happened on these days, one after the other."""
    for day in days:
        by_hour: dict[float, list[dict[str, Any]]] = {}
        for event in events(day):
            by_hour.setdefault(event.pop("hour", 12), []).append(event)
        for hour, told in sorted(by_hour.items()):
            clock.set(MONDAY_MS + day * DAY_MS + int(hour * 3_600_000))
            await shop.events(*told)


def line(document: str, sku: str, units: float, **fields: Any) -> dict[str, Any]:
    """A line of a receipt."""
    told = {"document": document, "kind": "sale", "sku": sku, "quantity": units}
    return {"type": "pos_line", "line": 1, "price_cents": 500, **told, **fields}


@asynccontextmanager
async def calendar_shop(tmp_path: Path, **tables: Any) -> AsyncIterator[tuple[Shop, Calendar]]:
    """A fresh daemon whose time the test sets; it begins on a Monday."""
    clock = Calendar(MONDAY_MS)
    async with daemon(tmp_path, clock, **tables) as shop:
        yield shop, clock
