"""``rfid3 version``: what is installed, on one line, or as JSON with the versions beneath."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.__main__ import Parser


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "version",
        help="print the version",
        description="Print the version of rfid3.",
        epilog="example:\n  rfid3 version --json     with Python, SQLite and the libraries",
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object, with libraries")


def run(args: argparse.Namespace) -> int:
    """Print; always 0."""
    from edge import __version__

    if not args.json:
        print(f"rfid3 {__version__}")
        return 0
    import json

    from edge.checks.versions import library_versions

    print(json.dumps({"rfid3": __version__, **library_versions()}, indent=2))
    return 0
