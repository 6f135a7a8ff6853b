"""``rfid3 models verify FOLDER``: what the door would say of a model's folder. Changes nothing."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge.cli.options import add_config, load_config

if TYPE_CHECKING:
    from edge.__main__ import Parser

EPILOG = """\
examples:
  rfid3 models verify var/models/demand/20260301T020000Z-0123abcd -c config.toml
  rfid3 models verify var/models/*/* --json

exit codes: 0 every folder may come in, 1 one may not, 2 wrong usage or configuration
"""


def add_parser(verbs: "argparse._SubParsersAction[Parser]") -> None:
    """Add the verb to the command ``models``."""
    parser = verbs.add_parser(
        "verify",
        help="ask the door about a folder: signature, files, graph, golden rows",
        description="Ask the door whether a model's folder may come in, and why not.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, nargs="+", help="<service>/<version>"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    add_config(parser)


def run(args: argparse.Namespace) -> int:
    """1 when a folder may not come in."""
    import msgspec

    from edge.inference.door import Limits, inspect_many

    config = load_config(args, machine=False)
    trusted = Path(config.storage.directory) / "keys" / "trusted"
    verdicts = inspect_many(args.folder, trusted, Limits.of(config.models))
    for verdict in verdicts:
        print(msgspec.json.encode(verdict).decode() if args.json else verdict)
    return 0 if all(verdict.ok for verdict in verdicts) else 1
