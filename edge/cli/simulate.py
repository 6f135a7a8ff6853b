"""``rfid3 simulate``: a shop whose readers, handhelds and tills publish to a broker."""

import argparse
import asyncio
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from edge.cli.brokers import add_broker, broker_settings

if TYPE_CHECKING:
    from edge.__main__ import Parser
    from edge.simulate.live import Taken
    from edge.simulate.publish import Progress
    from edge.simulate.shop import Shop
    from edge.simulate.shop_settings import ShopSettings

EPILOG = """\
examples:
  rfid3 simulate --rate 20                         until Ctrl-C
  rfid3 simulate --broker pi.local:1883 --rate 2000 --seconds 60 --seed 7
  rfid3 simulate --config-for-daemon > demo.toml   zones and sources of the simulated shop

The same seed tells the same story. A share of the messages is wrong on purpose (told twice,
unreadable, dated in the future), as in a real shop; the daemon's /api/stats counts them.
"""


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="a simulated shop that publishes to a broker",
        description="Publish what the readers, handhelds and tills of a simulated shop would say.",
        epilog=EPILOG,
    )
    add_broker(parser)
    add_shop(parser)
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so long; 0: never")
    parser.add_argument(
        "--config-for-daemon",
        action="store_true",
        help="print a configuration for a daemon that listens to this shop, and stop",
    )


def add_shop(parser: argparse.ArgumentParser, rate: float = 100.0) -> None:
    """Options that say what the shop is like."""
    parser.add_argument(
        "--rate", type=float, default=rate, help="messages a second (default %(default)g)"
    )
    parser.add_argument("--seed", type=int, default=1, help="which story (default %(default)s)")
    parser.add_argument(
        "--items", type=int, default=400, help="tagged items in the shop (default %(default)s)"
    )
    parser.add_argument(
        "--day-seconds",
        type=float,
        default=20.0,
        help="how long a day of the shop's people lasts: rentals come back after one to three "
        "(default %(default)g)",
    )


def make_shop(args: argparse.Namespace, start_ms: int) -> "Shop":
    """The shop that the options describe. Raises WrongUsage."""
    from edge.simulate.shop import Shop

    return Shop(shop_settings(args), seed=args.seed, start_ms=start_ms)


def shop_settings(args: argparse.Namespace) -> "ShopSettings":
    """What the options say the shop is like. Raises WrongUsage."""
    from edge.errors import WrongUsage
    from edge.simulate.shop_settings import ShopSettings

    for option in ("rate", "items", "day_seconds"):
        if getattr(args, option) <= 0:
            raise WrongUsage(f"--{option.replace('_', '-')} must be more than 0")
    return ShopSettings(rate=args.rate, items=args.items, day_s=args.day_seconds)


def run(args: argparse.Namespace) -> int:
    """0 when all was published, also after Ctrl-C."""
    from edge import logs
    from edge.clock import SystemClock
    from edge.config import Log
    from edge.errors import WrongUsage
    from edge.simulate.daemon_config import daemon_config
    from edge.simulate.live import Taken
    from edge.simulate.publish import Progress

    logs.configure(Log(level="error", format="text"))
    if args.seconds < 0:
        raise WrongUsage("--seconds must be 0 (never stop) or more")
    shop = make_shop(args, SystemClock().now_ms())
    broker = broker_settings(args)
    if args.config_for_daemon:
        text = daemon_config(
            shop.settings, broker_port=broker.port, directory="var", bind="127.0.0.1:8099"
        )
        print(text, end="")
        return 0
    taken, progress = Taken(), Progress()
    with suppress(KeyboardInterrupt):
        asyncio.run(_publish(args, shop, taken, progress))
    _summary(taken, progress)
    return 0


async def _publish(
    args: argparse.Namespace, shop: "Shop", taken: "Taken", progress: "Progress"
) -> None:
    from edge.ingest.mqtt import publisher
    from edge.simulate.live import live
    from edge.simulate.publish import publish_paced

    async with publisher(broker_settings(args), f"rfid3-simulate-{os.getpid()}") as client:
        showing = asyncio.create_task(_show(args, taken), name="progress")
        try:
            await publish_paced(client, live(shop, args.seconds, taken), progress)
        finally:
            showing.cancel()
            await asyncio.wait({showing})


async def _show(args: argparse.Namespace, taken: "Taken") -> None:
    """A progress bar on a terminal."""
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        return
    bar = bars.Progress(
        bars.TextColumn("simulating"),
        bars.BarColumn(),
        bars.TextColumn("{task.completed:,.0f} messages"),
        bars.TextColumn("{task.fields[rate]:,.0f}/s"),
        bars.TimeElapsedColumn(),
        console=console,
    )
    total = args.rate * args.seconds if args.seconds else None
    with bar:
        task = bar.add_task("simulate", total=total, rate=0.0)
        while True:
            bar.update(task, completed=taken.messages, rate=bar.tasks[0].speed or 0.0)
            await asyncio.sleep(0.2)


def _summary(taken: "Taken", progress: "Progress") -> None:
    formats = ", ".join(f"{name} {many:,}" for name, many in taken.formats.most_common())
    lines = [
        f"{progress.published:,} of {taken.messages:,} messages acknowledged, {taken.events:,} events",
        f"by format: {formats or 'none'}",
    ]
    if progress.sent_again:
        lines.append(f"{progress.sent_again:,} were sent again after the link went down")
    print("\n".join(lines), file=sys.stderr)
