"""Plans of stock, brought up to date by whoever asks: what the endpoints of inventory share.

See ``planned`` for what an answer waits for.
"""

import asyncio
from collections.abc import Generator
from typing import Annotated

import structlog
from msgspec import Meta

from edge.api.books import in_slices
from edge.api.endpoint import Api, Path
from edge.api.known import unknown_class
from edge.api.query import Text
from edge.view_inventory import FEW, InventoryView

log = structlog.get_logger(__name__)


Cents = Annotated[int, Meta(ge=0, le=2**53)]


class StockPath(Path):
    """Which class."""

    sku: Text
    """Class or SKU."""


async def planned(api: Api) -> InventoryView:
    """The view, its plans brought up to date as far as an answer may wait for it.

    It waits for the first plans of all; for what a command changed, so that who changed it sees it;
    and for a few classes whose stock changed, where nobody asked for a while. Under load plans are
    made beside the answers.
    """
    view = api.view_of(InventoryView)
    quiet = view.now_ms - view.asked_ms >= QUIET_MS
    view.asked_ms = view.now_ms
    work = view.due()
    if work is not None:
        classes, slices = work
        waits = classes <= FEW and (quiet or view.by_command)
        if waits or not view.ready:
            await in_slices(slices)
        else:
            _beside(slices)
    while not view.ready:  # somebody else makes the first plan
        await asyncio.sleep(0.005)
        if not view.busy and (work := view.due()) is not None:
            await in_slices(work[1])
    return view


QUIET_MS = 2_000
"""Without a question for so long, the next one may wait a little, milliseconds."""


def _beside(slices: Generator[None, None, None]) -> None:
    """Let the plans be made while answers go on with those that stand."""
    next(slices, None)  # from now on it is known that somebody is at it
    task = asyncio.create_task(in_slices(slices, REST_S), name="inventory plans")
    _TASKS.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[None]) -> None:
    """A mistake in planning is logged; the plans that stand go on, and the next question tries again."""
    _TASKS.discard(task)
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("inventory_plans_mistake", error=repr(error), exc_info=error)


_TASKS: set[asyncio.Task[None]] = set()


REST_S = 0.002
"""Rest after each slice of work that nobody waits for, seconds."""


def row_of(api: Api, view: InventoryView, sku: str, store: str | None) -> int:
    """Row of a class that has a plan. Raises Problem ``unknown-class``."""
    place = store or api.settings.shop.store
    row = view.row(sku, place)
    if row < 0:
        raise unknown_class(api, sku, place)
    return row
