"""Suppliers and terms out of files: CSV with a header row, or a JSON list. No rules: a command decides.

What ``Accept: text/csv`` gives of ``/api/suppliers`` and ``/api/supply`` can be brought back as it is:
columns that only the daemon counts are left out.
"""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from edge.api import imports
from edge.api.catalogue_types import ImportReport
from edge.api.commands import KEY_HEADER
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.imports import Form, HeaderError, Read, file_of, plain, rows_of, taken
from edge.api.upload import CSV_TYPE, JSON_TYPE
from edge.ledger.suppliers import COUNTED, EVERY, KEYS, PutPurchasing, Supplier, Supply
from edge.view_inventory import InventoryView
from edge.view_known import KnownView

Kind = Literal["supplier", "supply"]
ROWS: dict[Kind, type[Struct]] = {"supplier": Supplier, "supply": Supply}
IGNORED = COUNTED | {"lead_seen_sd_days", "classes"}
"""Columns that only the daemon counts."""
CHUNK_ROWS = 500
IMPORT_MAX_BYTES = 8_388_608


class FileQuery(Query):
    """Who brings it."""

    by: Annotated[str, Meta(max_length=255)] = ""
    """Who brings it."""


def _taker(kind: Kind) -> Any:
    async def take(api: Api, call: Call[FileQuery, Path]) -> Answer:
        media, body = await file_of(api, call, IMPORT_MAX_BYTES)
        rows = await asyncio.to_thread(_read, kind, media, body)
        if kind == "supply":
            rows = _known(api, rows)

        def puts(fields: list[dict[str, Any]], key: str) -> PutPurchasing:
            if kind == "supplier":
                fields = [begun(api, row.get("supplier"), row) for row in fields]
            return PutPurchasing(kind=kind, rows=fields, by=call.query.by, key=key)

        return await taken(api, call, rows, puts, CHUNK_ROWS)

    return take


def begun(api: Api, supplier: object, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a supplier; of one that is new, what is not named is as configured."""
    known = any(row.supplier == supplier for row in api.view_of(InventoryView).rows_of(Supplier))
    usual = api.settings.inventory
    return fields if known else {name: getattr(usual, name) for name in CONFIGURED} | fields


CONFIGURED = ("lead_days", "review_days")


def _read(kind: Kind, media: str, body: bytes) -> list[Read]:
    """Raises Problem ``bad-body``, ``bad-header-row``."""
    types = {field.name: field.type for field in msgspec.structs.fields(ROWS[kind])}
    form = Form(
        header=lambda names: _header(kind, names),
        row=lambda line, cells: Read(line, _fields(cells, types)),
        told=IGNORED,
    )
    return rows_of(form, media, body)


def _header(kind: Kind, names: list[str]) -> list[str]:
    known, key = ROWS[kind].__struct_fields__, KEYS[kind][0]
    names = [name.strip().lower().replace(" ", "_") for name in names]
    strange = [f"{name!r} is no column" for name in names if name not in (*known, *IGNORED)]
    strange += [f"{name!r} stands there twice" for name in names if names.count(name) > 1]
    strange += [] if key in names else [f"No column {key!r}: it tells the rows apart"]
    if strange:
        takes = ", ".join(name for name in known if name not in IGNORED)
        raise HeaderError(f"{strange[0]}. Columns: {takes}")
    return ["" if name in IGNORED else name for name in names]


def _fields(cells: dict[str, str], types: dict[str, Any]) -> dict[str, Any]:
    """Empty cells of a number say nothing."""
    return {
        name: _value(types[name], cell)
        for name, cell in cells.items()
        if name and (cell or types[name] is str)
    }


def _value(wanted: Any, cell: str) -> Any:
    """A cell as its column wants it; as it is where it does not fit: the command says so."""
    if wanted is str:
        return plain(cell)
    try:
        return msgspec.convert(cell.strip(), wanted, strict=False)
    except msgspec.ValidationError:
        return cell


def _known(api: Api, rows: list[Read]) -> list[Read]:
    """The rows; those of a class that nobody knows are wrong."""
    named = {sku for read in rows if isinstance(sku := read.fields.get("sku"), str)}
    strange = api.view_of(KnownView).strangers(named - {EVERY, ""})
    return [
        read._replace(wrong=STRANGE.format(read.fields["sku"]))
        if read.fields.get("sku") in strange
        else read
        for read in rows
    ]


STRANGE = "nothing is known about class {!r}: put it into the catalogue first"


def _endpoint(kind: Kind, path: str, name: str, what: str) -> Endpoint:
    return Endpoint(
        "POST",
        path,
        name,
        f"Put many {what}: CSV with a header row, or a JSON list.",
        _taker(kind),
        ImportReport,
        area="purchasing",
        query=FileQuery,
        headers=KEY_HEADER,
        statuses=imports.STATUSES,
        bodies={JSON_TYPE: list[dict[str, Any]], CSV_TYPE: str},
        problems=imports.PROBLEMS,
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("supplier", "/api/suppliers/import", "import_suppliers", "suppliers"),
    _endpoint("supply", "/api/supply/import", "import_supply", "terms of classes"),
)
