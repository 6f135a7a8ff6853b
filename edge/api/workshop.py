"""What people tell of an item, and read of what was told: shared by maintenance and quality. No endpoints.

Work and findings are ordinary events; the command beside them keeps what was said. Both go through the
corridor in one bunch, and under an ``Idempotency-Key`` each counts once.
"""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from edge.api.commands import CommandAnswer, answer, obey
from edge.api.endpoint import Answer, Api, Call, Path
from edge.api.lists import ListQuery
from edge.api.problems import Problem
from edge.api.query import Text
from edge.api.report import Report
from edge.api.state import identity_of
from edge.api.upload import idempotency_key
from edge.commands import Command
from edge.events import Event, kind_of
from edge.records import Message

R = TypeVar("R", bound=Struct)

NEWEST = 1_000
"""Rows of the record that are looked at."""

Minutes = Annotated[int, Meta(ge=0, le=100_000)]
Words = Annotated[str, Meta(max_length=2_000)]
Who = Annotated[str, Meta(max_length=255)]


class ItemPath(Path):
    """Which item."""

    item_id: Text
    """EPC of the item."""


class ClassesQuery(ListQuery):
    """Which classes."""

    sku: Text | None = None
    """Only of this class."""
    store: Text | None = None
    """Only of this store."""


class SaidQuery(ListQuery):
    """Of what was said."""

    item: Text | None = None
    """Only about this item."""


def known_item(api: Api, text: str) -> str:
    """The item's identity. Raises Problem ``unknown-item``."""
    epc = identity_of(text)
    if api.view.item_revision(epc) is None:
        raise Problem("unknown-item", f"Nothing is known about {epc!r}.")
    return epc


async def tell(
    api: Api, call: Call[Any, Any], command: Command, source: str, events: Sequence[Event]
) -> tuple[dict[str, Any], dict[str, int], Answer]:
    """Command and events through the corridor: (what a ``CommandAnswer`` says, what became of the
    events, the answer to be sent with another body). Raises Problem."""
    key, report = idempotency_key(call.request), Report(api.uploaded)
    beside = [
        (event_message(event, source, key, api.clock.now_ms()), report.receipt(line))
        for line, event in enumerate(events, 1)
    ]
    made = answer(api, await obey(api, call, command, beside=beside), created=True)
    assert isinstance(made.body, CommandAnswer), made.body
    return msgspec.structs.asdict(made.body), dict(report.outcomes), made


def event_message(event: Event, source: str, key: str, now_ms: int) -> Message:
    """An event as if it had been uploaded; under a key it counts once."""
    kind = kind_of(event)
    event.id = f"{source}:{kind}:{key or secrets.token_hex(8)}"
    return Message(f"$http/{kind}/{source}", msgspec.json.encode(event), now_ms)


async def said(api: Api, query: SaidQuery, kind: type[R]) -> list[R]:
    """The newest rows of a kind, about one item or all."""
    where: dict[str, Any] = {"epc": identity_of(query.item)} if query.item else {}
    return await api.tables.ledger_rows(kind, where, order="-at_ms", limit=NEWEST)
