"""``rfid3 api``: a replica of the API that reads what the daemon mirrors into Redis."""

import argparse
from typing import TYPE_CHECKING

from edge.cli.options import EPILOG_CONFIG, add_config, load_config

if TYPE_CHECKING:
    from edge.__main__ import Parser

EPILOG = f"""\
examples:
  rfid3 api --from-redis redis://127.0.0.1:6379/0 --bind 127.0.0.1:8199
  rfid3 api -c config.toml                     the Redis that the daemon's settings name

{EPILOG_CONFIG}
It only reads, holds no state, and may run as often as you like. What it does not mirror, ask the daemon.
"""


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "api",
        help="a replica of the API that reads Redis",
        description="Serve what the daemon mirrors into Redis, until stopped.",
        epilog=EPILOG,
    )
    add_config(parser)
    parser.add_argument("--from-redis", metavar="URL", default="", help="overrides redis.url")
    parser.add_argument(
        "--bind",
        metavar="ADDRESS:PORT",
        default="127.0.0.1:8199",
        help="loopback address and port (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until stopped; 0 after a clean stop, 2 when no Redis is named."""
    import asyncio
    import sys

    from edge.config_rules import bind_fault

    config = load_config(args)
    url = args.from_redis or config.redis.url
    fault = bind_fault(args.bind)
    if not url.startswith(("redis://", "rediss://", "unix://")):
        print(
            f"{url or 'no address'!r} is no Redis: --from-redis redis://127.0.0.1:6379/0, or redis.url",
            file=sys.stderr,
        )
        return 2
    if fault:
        print(f"--bind {args.bind}: {fault}", file=sys.stderr)
        return 2
    return asyncio.run(_serve(url, args.bind, config.redis.ttl_s, config.redis.forecast_ttl_s))


async def _serve(url: str, bind: str, ttl_s: int, forecast_ttl_s: int) -> int:
    import asyncio
    import signal

    from edge.api.app import serving
    from edge.api.replica import replica
    from edge.storage.mirror import Mirror

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    mirror = Mirror(url)
    try:
        async with serving(replica(mirror, ttl_s, forecast_ttl_s), bind) as bound:
            print(f"replica at {bound.url}", flush=True)
            await stopped.wait()
    finally:
        await mirror.close()
    return 0
