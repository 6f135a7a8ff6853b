"""``rfid3 doctor``: examine broker, clock, disk, memory and versions."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from edge.cli.options import EPILOG_CONFIG, add_config, load_config

if TYPE_CHECKING:
    from edge.__main__ import Parser

EPILOG = f"""\
examples:
  rfid3 doctor -c config.toml
  rfid3 doctor --json | jq '.checks[] | select(.verdict != "ok")'

It changes nothing: it writes one temporary file of 200 kB into the storage directory to time the
disk, and looks at the broker under a name of its own; only while the daemon is not connected does
it look once more under the daemon's name, to see whether its session is kept.

{EPILOG_CONFIG}
exit codes: 0 nothing failed (there may be warnings), 1 something failed, 2 wrong configuration
"""


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="examine broker, clock, disk, memory and versions",
        description="Examine broker, clock, disk, memory and versions; say what was seen and what to do.",
        epilog=EPILOG,
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """1 when anything failed."""
    import json
    import shutil

    from edge import doctor
    from edge.checks import Case

    case = Case(load_config(args, machine=False), os.environ)
    width = shutil.get_terminal_size((100, 24)).columns
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    checks = []
    for check in doctor.examine(case):
        checks.append(check)
        if not args.json:
            print(doctor.line(check, width=width, colour=colour), flush=True)
    if args.json:
        print(json.dumps(doctor.document(checks), indent=2, ensure_ascii=False))
    else:
        print(f"\n{doctor.summary(checks)}")
    return 1 if doctor.failed(checks) else 0
