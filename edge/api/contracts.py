"""``/api/contracts``: what went out, what came back, what is missing or damaged, and its charges. No rules."""

from collections.abc import Callable, Collection
from typing import Annotated, Literal

from msgspec import Meta

from edge.api import commands
from edge.api.body import Body
from edge.api.commands import KEY_HEADER, STATUSES, CommandAnswer
from edge.api.commands import PROBLEMS as COMMAND_PROBLEMS
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.query import Text
from edge.ledger.contracts import CloseContract, Contract, ContractItem, ContractLine
from edge.view_basis import Listed, why_empty
from edge.view_contracts import ContractAnswer, ContractRow, ContractsView

AREA = "contracts"
CLOSED_MAX = 5_000
"""Closed contracts looked at for one list, the newest."""
ROWS_MAX = 20_000


class ContractsQuery(ListQuery):
    """Which contracts."""

    state: Literal["open", "returned", "closed", "all"] | None = None
    """Only in this state; nothing: those not closed; ``all``: also those closed lately."""
    store: Text | None = None
    """Only of this store."""
    customer: Text | None = None
    """Only of this customer."""
    overdue: bool | None = None
    """Only those with something out beyond its day, or only the others."""
    due_before_ms: int | None = None
    """Only those due before this moment."""
    due_from_ms: int | None = None
    """Only those due at or after this moment."""


class ContractList(Listed, kw_only=True):
    """A page of contracts."""

    contracts: list[ContractRow]
    """The rows."""


class ContractPath(Path):
    """Which contract."""

    id: Text
    """Contract number."""


class Closing(Body):
    """What was agreed."""

    note: Annotated[str, Meta(max_length=2_000)] = ""
    """Words for the record."""
    by: Annotated[str, Meta(max_length=255)] = ""
    """Who closes it."""


class ClosedAnswer(CommandAnswer, kw_only=True):
    """The contract as it is now."""

    result: Contract | None = None
    """The contract; null while it is not decided."""


CONTRACTS: Listing[Contract] = Listing(
    "contracts",
    key=("contract",),
    sorts=("contract", "opened_ms", "due_ms", "last_ms", "returned_ms", "closed_ms", "customer"),
    sort="opened_ms",
    order="desc",
    filters={
        "state": lambda row, wanted: wanted == "all" or row.state == wanted,
        "store": "store",
        "customer": "customer",
        "due_before_ms": lambda row, wanted: 0 < row.due_ms < wanted,
        "due_from_ms": lambda row, wanted: row.due_ms >= wanted,
    },
)


async def list_contracts(api: Api, call: Call[ContractsQuery, Path]) -> ContractList:
    """One page of contracts."""
    view = api.view_of(ContractsView)
    closed: list[Contract] = []
    if call.query.state in ("closed", "all"):
        closed = await api.tables.ledger_rows(
            Contract, {"state": "closed"}, order="-opened_ms", limit=CLOSED_MAX
        )
    rows: Collection[Contract] = view.rows()
    wanted, state = call.query.overdue, call.query.state
    also: list[Callable[[Contract], bool]] = []
    if not state:
        also.append(lambda row: row.state != "closed")
    if wanted is not None:
        also.append(lambda row: view.overdue(row) == wanted)
    page = None if closed else CONTRACTS.page_in_order(call.query, view.in_order, *also)
    found = rows
    if page is None:
        if closed:  # one that was closed a moment ago may stand in both
            rows = {row.contract: row for row in (*closed, *rows)}.values()
        found = [row for row in rows if all(passes(row) for passes in also)]
        page = await CONTRACTS.page_of_many(call.query, found)
    shown = [view.row(contract) for contract in page.rows]
    empty = why_empty(page.rows, (not rows, _NO_CONTRACT), (not found, _NONE_OPEN))
    return ContractList(
        basis=view.basis(), contracts=shown, why_empty=empty, next_cursor=page.next_cursor
    )


_NO_CONTRACT = (
    "Nothing was rented yet: a contract begins with a rental line of the till (pos_line) or a Rental scan "
    "that names it (docs/events.md)."
)
_NONE_OPEN = "No contract is in that state: state=all shows closed ones too."


async def get_contract(api: Api, call: Call[Query, ContractPath]) -> ContractAnswer:
    """One contract at check-in."""
    view, number = api.view_of(ContractsView), call.path.id
    found = view.one(number)
    if found is not None:
        return found
    stored = await api.tables.ledger_rows(Contract, {"contract": number}, limit=1)
    if not stored:
        detail = f"No scan and no line ever named contract {number!r}."
        raise Problem("unknown", detail, cure="See /api/contracts.")
    mine = {"contract": number}
    items = await api.tables.ledger_rows(ContractItem, mine, limit=ROWS_MAX)
    lines = await api.tables.ledger_rows(ContractLine, mine, limit=ROWS_MAX)
    return view.judged(stored[0], items, lines)


async def close(api: Api, call: Call[Query, ContractPath]) -> Answer:
    """Settle a contract: what is missing now is taken for lost."""
    body: Closing = call.body
    told = CloseContract(contract=call.path.id, note=body.note, by=body.by)
    return await commands.command(api, call, told)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/contracts",
        "contracts",
        "Contracts that are open, or were lately.",
        list_contracts,
        ContractList,
        area=AREA,
        query=ContractsQuery,
        rows="contracts",
        problems=("bad-cursor",),
    ),
    Endpoint(
        "GET",
        "/api/contracts/{id}",
        "contract",
        "One contract at check-in: expected, returned, missing, damaged, with charges.",
        get_contract,
        ContractAnswer,
        area=AREA,
        parts=ContractPath,
        problems=("unknown",),
    ),
    Endpoint(
        "POST",
        "/api/contracts/{id}/close",
        "close_contract",
        "Settle a contract: what is missing now is taken for lost.",
        close,
        ClosedAnswer,
        area=AREA,
        parts=ContractPath,
        body=Closing,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=("unknown", *COMMAND_PROBLEMS),
    ),
)
