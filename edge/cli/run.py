"""``rfid3 run``: the daemon. Loads the settings, sets up the logs, and hands over to the app."""

import argparse
from typing import TYPE_CHECKING

from edge.cli.options import EPILOG_CONFIG, add_config, load_config

if TYPE_CHECKING:
    from edge.__main__ import Parser

EPILOG = f"""\
examples:
  rfid3 run -c /etc/rfid3/config.toml
  RFID3_MQTT__HOST=broker.local rfid3 run
  rfid3 run -c config.toml --clock events      time is what replayed messages say

{EPILOG_CONFIG}
Ctrl-C or SIGTERM stops cleanly: the last batch is committed and a snapshot is written.
"""


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run",
        help="run the daemon",
        description="Run the daemon until it is stopped.",
        epilog=EPILOG,
    )
    add_config(parser)
    parser.add_argument(
        "--clock",
        choices=("wall", "events"),
        help="overrides ingest.clock: wall is now, events is the time replayed messages carry",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until stopped; 0 after a clean stop."""
    import msgspec

    config = load_config(args)
    if args.clock:
        ingest = msgspec.structs.replace(config.ingest, clock=args.clock)
        config = msgspec.structs.replace(config, ingest=ingest)

    from edge.app import serve
    from edge.logs import configure

    configure(config.log)
    return serve(config)
