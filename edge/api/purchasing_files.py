"""Suppliers and terms out of files: CSV with a header row, or a JSON list. No rules: a command decides.

What ``Accept: text/csv`` gives of ``/api/suppliers`` and ``/api/supply`` can be brought back as it is:
columns that only the daemon counts are left out.
"""

import asyncio
import csv
import io
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from edge.api.catalogue_types import ImportRefusal, ImportReport
from edge.api.commands import KEY_HEADER, obey
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.problems import Problem
from edge.api.upload import CSV_TYPE, JSON_TYPE, idempotency_key, pieces
from edge.ledger.suppliers import COUNTED, EVERY, PutPurchasing, Supplier, Supply
from edge.view_known import KnownView

Kind = Literal["supplier", "supply"]
ROWS: dict[Kind, type[Struct]] = {"supplier": Supplier, "supply": Supply}
IGNORED = COUNTED | {"lead_seen_sd_days", "classes"}
"""Columns that only the daemon counts."""
CHUNK_ROWS = 500
IMPORT_MAX_BYTES = 8_388_608
SHOWN_MAX = 1_000


class FileQuery(Query):
    """Who brings it."""

    by: Annotated[str, Meta(max_length=255)] = ""
    """Who brings it."""


def _taker(kind: Kind) -> Any:
    async def take(api: Api, call: Call[FileQuery, Path]) -> Answer:
        media = call.request.content_type if "Content-Type" in call.request.headers else ""
        if media not in (JSON_TYPE, CSV_TYPE):
            cure = f"Use {CSV_TYPE} or {JSON_TYPE}."
            raise Problem("unsupported-media-type", f"{media or 'No content type'}.", cure=cure)
        limit = min(IMPORT_MAX_BYTES, api.settings.api.body_max_bytes)
        body = b"".join([piece async for piece in pieces(api, call.request, limit)])
        rows = await asyncio.to_thread(_read, kind, media, body)
        return await _put(api, call, kind, rows)

    return take


def _read(kind: Kind, media: str, body: bytes) -> list[dict[str, Any]]:
    """Fields of each row. Raises Problem ``bad-body``, ``bad-header-row``."""
    try:
        if media == JSON_TYPE:
            told = msgspec.json.decode(body, type=list[dict[str, Any]])
            return [{n: v for n, v in row.items() if n not in IGNORED} for row in told]
        text = body.decode("utf-8-sig")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("bad-body", f"{error}.") from None
    return _from_csv(kind, text)


def _from_csv(kind: Kind, text: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    known = ROWS[kind].__struct_fields__
    strange = [name for name in reader.fieldnames or () if name not in (*known, *IGNORED)]
    if strange or not reader.fieldnames:
        takes = ", ".join(name for name in known if name not in IGNORED)
        detail = f"{strange[0]!r} is no column" if strange else "There is no header row"
        raise Problem("bad-header-row", f"{detail}. Columns: {takes}.")
    types = {field.name: field.type for field in msgspec.structs.fields(ROWS[kind])}
    return [
        {
            name: _value(types[name], cell)
            for name, cell in row.items()
            if name in types and name not in IGNORED and (cell or types[name] is str)
        }
        for row in reader
    ]


def _value(wanted: Any, cell: str) -> Any:
    """A cell as its column wants it; as it is where it does not fit: the command says so."""
    if wanted is str:
        plain = cell or ""
        return plain[1:] if plain.startswith("'") and plain[1:2] in tuple("=+-@") else plain
    try:
        return msgspec.convert(cell.strip(), wanted, strict=False)
    except msgspec.ValidationError:
        return cell


async def _put(
    api: Api, call: Call[FileQuery, Path], kind: Kind, rows: list[dict[str, Any]]
) -> Answer:
    """Bunch by bunch, each all or none."""
    report = ImportReport(
        rows=len(rows), put=0, changed=0, new=0, refused_count=0, refused=[], pending=0
    )
    key = idempotency_key(call.request)
    strange = _strangers(api, rows) if kind == "supply" else set()
    for start in range(0, len(rows), CHUNK_ROWS):
        part = _known(rows[start : start + CHUNK_ROWS], start, strange, report)
        if not part:
            continue
        told = PutPurchasing(
            kind=kind, rows=part, by=call.query.by, key=f"{key}/{start}" if key else ""
        )
        try:
            asked = await obey(api, call, told)
        except Problem as problem:
            if problem.slug in ("inbox-full", "not-durable"):
                problem.members["report"] = report
                raise
            report.refused_count += len(part)
            if len(report.refused) < SHOWN_MAX:
                report.refused.append(ImportRefusal(start + 1, problem.detail))
            continue
        if asked.state != "done":
            report.pending += len(part)
            continue
        found = msgspec.json.decode(asked.detail)
        report.put += found["rows"]
        report.changed += found["changed"]
        report.new += found["new"]
    return Answer(report, status=202 if report.pending else 200)


def _strangers(api: Api, rows: list[dict[str, Any]]) -> set[str]:
    """Classes of the rows that nobody knows."""
    named = {sku for row in rows if isinstance(sku := row.get("sku"), str)}
    return api.view_of(KnownView).strangers(named - {EVERY, ""})


def _known(
    rows: list[dict[str, Any]], start: int, strange: set[str], report: ImportReport
) -> list[dict[str, Any]]:
    """The rows without those of a class that nobody knows, which are refused one by one."""
    for number, row in enumerate(rows, start + 1):
        if row.get("sku") in strange:
            report.refused_count += 1
            if len(report.refused) < SHOWN_MAX:
                words = (
                    f"nothing is known about class {row['sku']!r}: put it into the catalogue first"
                )
                report.refused.append(ImportRefusal(number, words))
    return [row for row in rows if row.get("sku") not in strange]


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
        statuses={
            200: "Everything was decided; the report says which rows were **refused**.",
            202: "Everything is durable, not all of it is decided.",
        },
        bodies={JSON_TYPE: list[dict[str, Any]], CSV_TYPE: str},
        problems=(
            *("bad-body", "bad-header", "bad-header-row", "incomplete-body", "slow-body"),
            *("body-too-large", "unsupported-media-type", "inbox-full", "not-durable"),
        ),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("supplier", "/api/suppliers/import", "import_suppliers", "suppliers"),
    _endpoint("supply", "/api/supply/import", "import_supply", "terms of classes"),
)
