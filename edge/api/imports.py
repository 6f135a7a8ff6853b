"""Files that bring rows of the domain: taken in, put bunch by bunch, and told what became of them. No rules.

Whoever has rows to take says how a file is read and which command puts a bunch; what is refused, pending
or put is counted here, the same for all.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from edge.api.catalogue_types import ImportRefusal, ImportReport
from edge.api.commands import Asked, obey
from edge.api.endpoint import Answer, Api, Call
from edge.api.problems import Problem
from edge.api.upload import CSV_TYPE, JSON_TYPE, idempotency_key, pieces
from edge.commands import Command

SHOWN_MAX = 1_000
STATUSES: Mapping[int, str] = {
    200: "Everything was decided; the report says which rows were **refused**.",
    202: "Everything is durable, not all of it is decided.",
}
"""``Endpoint.statuses`` of an import."""
PROBLEMS = (
    *("bad-body", "bad-header", "bad-header-row", "incomplete-body", "slow-body"),
    *("body-too-large", "unsupported-media-type", "inbox-full", "not-durable"),
)
"""What every import may meet."""


class Read(NamedTuple):
    """One row of a file: its line, and its fields, or why it cannot be used."""

    line: int
    fields: dict[str, Any]
    wrong: str = ""


class HeaderError(ValueError):
    """The header row cannot be used."""


class Form(NamedTuple):
    """How files of one kind are read."""

    header: Callable[[list[str]], list[str]]
    """Names of the columns -> our names, empty: ignored. Raises HeaderError."""
    row: Callable[[int, dict[str, str]], Read]
    """(line, cells by our names) -> the row."""
    told: Collection[str]
    """Fields that are only told: what we listed ourselves can be brought back."""
    cure: str = ""
    """What to do about a header that cannot be used."""


def rows_of(form: Form, media: str, body: bytes) -> list[Read]:
    """The rows of a file. Raises Problem ``bad-body``, ``bad-header-row``."""
    try:
        if media == JSON_TYPE:
            return _from_json(form, body)
        return list(_from_csv(form, body.decode("utf-8-sig")))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("bad-body", f"{error}.") from None
    except HeaderError as error:
        raise Problem("bad-header-row", f"{error}.", cure=form.cure) from None


def _from_json(form: Form, body: bytes) -> list[Read]:
    """The rows of a JSON list, or of the list in our own answer. Raises msgspec.DecodeError."""
    told = msgspec.json.decode(body)
    if isinstance(told, dict):
        lists = [value for value in told.values() if isinstance(value, list)]
        told = lists[0] if len(lists) == 1 else [told]
    rows = told if isinstance(told, list) else [told]
    return [
        Read(number, {name: value for name, value in row.items() if name not in form.told})
        if isinstance(row, dict)
        else Read(number, {}, "it is no object")
        for number, row in enumerate(rows, 1)
    ]


def _from_csv(form: Form, text: str) -> Iterator[Read]:
    """The rows of a CSV file with a header row. Raises HeaderError."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        first = next(reader, None)
    except csv.Error as error:
        raise HeaderError(str(error)) from None
    if first is None:
        raise HeaderError("There is no header row")
    names = form.header(first)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Read(line, {}, f"no CSV: {error}")
            return
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            yield Read(line, {}, f"{len(cells)} cells, the header has {len(names)}")
            continue
        yield form.row(line, dict(zip(names, cells, strict=True)))


def plain(text: str) -> str:
    """Without the apostrophe that our export puts before what a spreadsheet would run."""
    return text[1:] if text.startswith("'") and text[1:2] in tuple("=+-@\t\r\n") else text


Puts = Callable[[list[dict[str, Any]], str], Command]
"""(fields of each row of a bunch, its key) -> the command that puts them, all or none."""


async def file_of(api: Api, call: Call[Any, Any], max_bytes: int) -> tuple[str, bytes]:
    """(media type, body). Raises Problem."""
    media = call.request.content_type if "Content-Type" in call.request.headers else ""
    if media not in (JSON_TYPE, CSV_TYPE):
        cure = f"Use {CSV_TYPE} or {JSON_TYPE}."
        raise Problem("unsupported-media-type", f"{media or 'No content type'}.", cure=cure)
    limit = min(max_bytes, api.settings.api.body_max_bytes)
    return media, b"".join([piece async for piece in pieces(api, call.request, limit)])


async def taken(
    api: Api,
    call: Call[Any, Any],
    rows: Sequence[Read],
    puts: Puts,
    bunch: int,
    dry_run: bool = False,
) -> Answer:
    """Put what can be put, ``bunch`` rows a command; 200, or 202 where the rest is durable and not decided.

    Raises Problem, with the report so far, where nothing more can be taken.
    """
    report = ImportReport(
        rows=len(rows), put=0, changed=0, new=0, refused_count=0, refused=[], pending=0
    )
    for read in rows:
        if read.wrong:
            _refuse(report, [read], read.wrong)
    good = [read for read in rows if not read.wrong]
    key = idempotency_key(call.request)
    for number, start in enumerate(range(0, 0 if dry_run else len(good), bunch)):
        part = good[start : start + bunch]
        told = puts([read.fields for read in part], f"{key}/{number}" if key else "")
        await _put(api, call, report, part, told)
    return Answer(report, status=202 if report.pending else 200)


async def _put(
    api: Api, call: Call[Any, Any], report: ImportReport, part: Sequence[Read], told: Command
) -> None:
    try:
        asked = await obey(api, call, told)
    except Problem as problem:
        if problem.slug in ("inbox-full", "not-durable"):
            problem.members["report"] = report
            raise
        _refuse(report, part, problem.detail)
        return
    if asked.state == "done":
        _count(report, part, asked)
    else:
        report.pending += len(part)


def _count(report: ImportReport, part: Sequence[Read], asked: Asked) -> None:
    found = msgspec.json.decode(asked.detail)
    report.put += found.get("rows", len(part))
    if "changed" in found:
        report.changed += found["changed"]
        report.new += found["new"]
    else:  # a row by itself is told whole
        fresh = found["updated_ms"] >= asked.at_ms
        report.changed += fresh
        report.new += fresh and found["created_ms"] == found["updated_ms"]


def _refuse(report: ImportReport, part: Sequence[Read], detail: str) -> None:
    report.refused_count += len(part)
    room = SHOWN_MAX - len(report.refused)
    report.refused += [ImportRefusal(read.line, detail) for read in part[:room]]
