"""``rfid3 replay``: recorded rows through MQTT again, with a progress bar and an account of every row."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge.cli.brokers import add_broker, broker_settings

if TYPE_CHECKING:
    from edge.__main__ import Parser
    from edge.replay.mappings import Compiled
    from edge.replay.plan import Plan, Survey, Tally
    from edge.replay.reader import Rows
    from edge.replay.run import Replay
    from edge.simulate.publish import Progress

EPILOG = """\
examples:
  rfid3 replay reads.parquet --mapping raw-reads --speed 10x --shift now
  rfid3 replay sales.csv --mapping invoices --speed max --api http://127.0.0.1:8099
  rfid3 replay trips.db --table trips --mapping my-mapping.toml --limit 1000
  rfid3 replay mysql://reader@shop/rfid3 --table id_transactions --mapping rfid3-scans
  rfid3 replay --list

To run a year in minutes start the daemon with `rfid3 run --clock events` and leave --shift at none:
every message carries its row's own time. A daemon on its own clock needs --shift now.

Mappings are explained in docs/replay.md. Parquet needs: pip install 'rfid3[parquet]'
"""


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "replay",
        help="send recorded rows (CSV, Parquet, JSON lines, SQLite, MySQL) through MQTT",
        description="Send the rows of a file or table through MQTT, in the order of their times.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        nargs="?",
        help="the rows; or mysql://user@host:port/database",
    )
    parser.add_argument(
        "--mapping",
        metavar="NAME",
        help="a shipped mapping (see --list), or a TOML file of your own",
    )
    parser.add_argument("--list", action="store_true", help="list the shipped mappings")
    parser.add_argument("--table", default="", help="the table, in a database with several")
    add_broker(parser)
    parser.add_argument(
        "--store", default="main", help="store named in topics (default %(default)s)"
    )
    parser.add_argument(
        "--speed", default="max", help="max, 100x (times real time) or 5000/s (default %(default)s)"
    )
    parser.add_argument(
        "--shift",
        choices=("none", "now"),
        default="none",
        help="none: rows keep their times; now: each says the moment it is sent (default %(default)s)",
    )
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="stop after N rows")
    parser.add_argument(
        "--no-report",
        action="store_true",
        help="do not look at the quality of the file meanwhile: faster where the processor is the limit",
    )
    parser.add_argument(
        "--api",
        metavar="URL",
        default="",
        help="the daemon's API: wait for it where it falls far behind, so that the broker's queue holds",
    )


def run(args: argparse.Namespace) -> int:
    """0 when everything that could be expressed was published; 130 after Ctrl-C."""
    from edge import logs
    from edge.config import Log
    from edge.errors import WrongUsage
    from edge.replay import mappings
    from edge.replay.errors import ReplayError
    from edge.replay.run import parse_speed

    logs.configure(Log(level="error", format="text"))
    if args.list:
        for name in mappings.shipped():
            print(f"{name:<12} {mappings.load(name).description}")
        return 0
    if args.file is None or not args.mapping:
        raise WrongUsage("replay needs a FILE and --mapping NAME (rfid3 replay --list shows them)")
    try:
        speed = parse_speed(args.speed)
    except ValueError as error:
        raise WrongUsage(f"--speed {error}") from error
    from edge.replay.sources import open_source

    try:
        spec = mappings.load(args.mapping)
        rows = open_source(args.file, args.table, spec.encoding)
        compiled = mappings.compile_mapping(spec, rows, args.store)
    except ReplayError as error:
        raise WrongUsage(
            f"{args.file}, read by the mapping {args.mapping}: {error}\n"
            "Cure: rfid3 replay --list names the mappings, docs/replay.md says how to write one"
        ) from error
    found = _survey(rows, compiled)

    from edge.clock import SystemClock
    from edge.replay.plan import Plan
    from edge.replay.run import Replay
    from edge.simulate.publish import Progress

    plan, progress = Plan(rows, compiled, found, args.limit), Progress()
    replay = Replay(
        plan, speed, SystemClock(), shift_to_now=args.shift == "now", first_ms=found.first_ms
    )
    quality = None
    if not args.no_report:
        from edge.replay.quality import FileQuality

        quality = FileQuality()
        replay.seen = quality.see
    code = 0
    try:
        asyncio.run(_publish(args, replay, plan, found, progress))
    except KeyboardInterrupt:
        code = 130
    _account(plan.close(), progress, found)
    if quality is not None:
        print("\n".join(quality.lines()), file=sys.stderr)
    return code


def _survey(rows: "Rows", compiled: "Compiled") -> "Survey":
    from rich.console import Console

    from edge.replay.plan import survey

    console = Console(stderr=True)
    if not console.is_terminal:
        return survey(rows, compiled.at)
    with console.status("Reading the file once, to count its rows and see their order …"):
        return survey(rows, compiled.at)


async def _publish(
    args: argparse.Namespace,
    replay: "Replay",
    plan: "Plan",
    found: "Survey",
    progress: "Progress",
) -> None:
    import os
    from contextlib import AsyncExitStack

    import aiohttp

    from edge.ingest.mqtt import publisher
    from edge.simulate.brake import Brake
    from edge.simulate.publish import publish_paced

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            publisher(broker_settings(args), f"rfid3-replay-{os.getpid()}")
        )
        brake = None
        if args.api:
            brake = Brake(await stack.enter_async_context(aiohttp.ClientSession()), args.api)
        showing = asyncio.create_task(_show(replay, plan, found, args.limit), name="progress")
        try:
            await publish_paced(client, replay.messages(), progress, brake=brake)
        finally:
            showing.cancel()
            await asyncio.wait({showing})


async def _show(replay: "Replay", plan: "Plan", found: "Survey", limit: int) -> None:
    """A progress bar with rows a second and the date the events have reached; on a terminal only."""
    from rich import progress as bars
    from rich.console import Console

    from edge.simulate.speak import rfc3339

    console = Console(stderr=True)
    if not console.is_terminal:
        return
    bar = bars.Progress(
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("rows"),
        bars.TextColumn("{task.fields[rate]:>9,.0f}/s"),
        bars.TextColumn("{task.fields[at]}"),
        bars.TimeRemainingColumn(),
        console=console,
    )
    total = min(found.rows, limit) if limit else found.rows
    with bar:
        task = bar.add_task("replay", total=total, rate=0.0, at="")
        while True:
            tally = plan.tally
            done = tally.sent + sum(tally.skipped.values())
            at = rfc3339(replay.newest_ms)[:16].replace("T", " ")
            bar.update(task, completed=done, rate=bar.tasks[0].speed or 0.0, at=at)
            await asyncio.sleep(0.2)


def _account(tally: "Tally", progress: "Progress", found: "Survey") -> None:
    """Where every row has gone, on stderr."""
    lines = [
        f"{tally.rows:,} rows read"
        + (f" of {found.rows:,}" if tally.rows < found.rows else "")
        + ("" if found.ordered else "; they were not in the order of their times and were sorted"),
        f"{tally.sent:,} rows published, as {progress.published:,} acknowledged messages",
    ]
    if found.timeless:
        lines.append(
            f"{found.timeless:,} rows have no readable time and were sent where they stand"
        )
    for reason, rows in tally.skipped.most_common():
        lines.append(f"{rows:,} rows skipped: {reason}")
    if tally.waiting:
        lines.append(f"{tally.waiting:,} rows not finished when it was stopped")
    if progress.sent_again:
        lines.append(f"{progress.sent_again:,} messages were sent again after the link went down")
    print("\n".join(lines), file=sys.stderr)
