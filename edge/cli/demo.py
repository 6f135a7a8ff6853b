"""``rfid3 demo``: a private broker, a simulated shop and the daemon, to see it all work."""

import argparse
from typing import TYPE_CHECKING

from edge.cli.simulate import add_shop, shop_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from edge.__main__ import Parser
    from edge.simulate.demo import Demo

EPILOG = """\
examples:
  rfid3 demo                                  until Ctrl-C
  rfid3 demo --seconds 30 --json              ends by itself; the last line is a JSON summary
  rfid3 demo --rate 2000 --keep /tmp/demo     faster, and leave everything there to look at
  rfid3 demo --weeks 0                        a shop that opens today: nothing is known of it yet

The shop has some weeks of rentals, sales, washing and repairs behind it, which are told to the daemon
first, as fast as it takes them, so that forecasts, stock and schedules have something to stand on.
Nothing outside a temporary directory is touched, and nothing listens beyond this machine. With
--json only the JSON object goes to standard output.
"""
DEFAULT_BIND = "127.0.0.1:8099"
LINE_EVERY_S = 5.0


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo",
        help="see it work: a private broker, a simulated shop and the daemon",
        description="Start a private broker, the daemon and a simulated shop, and watch.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="end after so long; 0: at Ctrl-C (default)"
    )
    parser.add_argument(
        "--bind",
        metavar="ADDRESS:PORT",
        help=f"where the API listens (default {DEFAULT_BIND}, or a free port when that is taken)",
    )
    parser.add_argument(
        "--weeks",
        type=int,
        default=10,
        metavar="N",
        help="weeks that the shop has behind it, 0 to 52 (default %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON summary at the end")
    parser.add_argument(
        "--keep", metavar="DIR", help="work in this directory, and leave it (default: temporary)"
    )
    add_shop(parser)


def run(args: argparse.Namespace) -> int:
    """0 after --seconds or Ctrl-C; 1 when a part does not start, or dies."""
    import tempfile
    from pathlib import Path

    from edge import logs
    from edge.config import Log
    from edge.errors import WrongUsage
    from edge.simulate.past import WEEKS_MOST

    logs.configure(Log(level="error", format="text"))
    if args.seconds < 0:
        raise WrongUsage("--seconds must be 0 (until Ctrl-C) or more")
    if not 0 <= args.weeks <= WEEKS_MOST:
        raise WrongUsage(f"--weeks must be 0 (a shop that opens today) to {WEEKS_MOST}")
    bind = _bind(args.bind)
    try:
        if args.keep:
            return _run_in(args, Path(args.keep).resolve(), bind)
        with tempfile.TemporaryDirectory(prefix="rfid3-demo-") as directory:
            return _run_in(args, Path(directory), bind)
    except KeyboardInterrupt:  # before anything ran that could be stopped in turn
        return 0


def _bind(given: str | None) -> str:
    """The address that was asked for, or one that is free.

    Raises WrongUsage (it cannot be one) and Rfid3Error (it is not free), before anything runs.
    """
    from edge.api.loopback import host_of, is_loopback
    from edge.errors import Rfid3Error, WrongUsage

    if given is None:
        return DEFAULT_BIND if not _trouble(*DEFAULT_BIND.split(":")) else "127.0.0.1:0"
    told, _, port = given.rpartition(":")
    if not told or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise WrongUsage(f"--bind {given}: write ADDRESS:PORT, such as {DEFAULT_BIND}")
    host = host_of(given)
    if not is_loopback(host):
        raise WrongUsage(
            f"--bind {given}: the API has no access control yet, so it listens on this machine"
            f" only; write 127.0.0.1:{port}"
        )
    trouble = _trouble(host, port)
    if trouble:
        raise Rfid3Error(
            f"--bind {given}: {trouble}\n"
            "End the program that listens there, choose another port, or leave --bind out: then"
            " a free one is found"
        )
    return f"{told}:{port}"


def _trouble(host: str, port: str) -> str:
    """Why nobody can listen there now; empty: one can."""
    import os
    import socket

    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:  # bind's own text repeats the address
        return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return ""


def _run_in(args: argparse.Namespace, directory: "Path", bind: str) -> int:
    import asyncio
    import json

    from rich.console import Console

    from edge.broker import BrokerError
    from edge.errors import Rfid3Error
    from edge.simulate.demo import Demo, DemoError, summary
    from edge.simulate.demo_table import closing

    console = Console(stderr=args.json, highlight=False, soft_wrap=True)
    demo = Demo(directory, bind, shop_settings(args), seed=args.seed, weeks=args.weeks)
    try:
        asyncio.run(_play(args, demo, console))
    except BrokerError as error:
        raise Rfid3Error(f"{error}\n`make demo` installs what is missing") from error
    except DemoError as error:
        raise Rfid3Error(str(error)) from error
    told = summary(demo)
    closing(console, told)
    if args.keep:
        console.print(f"Kept in {directory}")
    if args.json:
        print(json.dumps(told))
    return 0


async def _play(args: argparse.Namespace, demo: "Demo", console: "Console") -> None:
    import asyncio
    import signal
    from contextlib import suppress

    from edge.simulate.demo import Stopped

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    console.print("Starting a private broker and the daemon …")
    with suppress(Stopped):
        async with demo.running(stop, _telling(demo, console)) as api:
            console.print(f"API: {demo.api_url}   broker: {demo.broker_address}")
            showing = asyncio.create_task(_show(demo, console), name="show")
            try:
                await demo.play(api, args.seconds, stop)
            finally:
                showing.cancel()
                await asyncio.wait({showing})
            console.print("Stopping …")


def _telling(demo: "Demo", console: "Console") -> "Callable[[int, int], None]":
    """Shows how many of the past's days are told: a line that grows, or two lines in a pipe."""
    live = console.is_terminal

    def told(done: int, days: int) -> None:
        words = f"The shop's last {days // 7} weeks are told to the daemon: day {done} of {days}"
        if live:
            console.print(words, end="\n" if done == days else "\r")
        elif done in (0, days):
            took = f", in {demo.state.past_seconds:.1f} s" if done else " …"
            console.print(words + took)

    return told


async def _show(demo: "Demo", console: "Console") -> None:
    """The live table on a terminal, else a line every few seconds."""
    import asyncio
    import time

    from rich.live import Live

    from edge.simulate.demo_table import Rates, picture, plain_line

    began, rates = time.monotonic(), Rates()
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            console.print(plain_line(demo, time.monotonic() - began))
    with Live(console=console, auto_refresh=False) as screen:
        while True:
            screen.update(picture(demo, rates, time.monotonic() - began), refresh=True)
            await asyncio.sleep(0.25)
