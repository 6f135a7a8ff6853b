"""``rfid3 openapi``: the API's description, without a running daemon."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.__main__ import Parser


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    subparsers.add_parser(
        "openapi",
        help="print the API's description (OpenAPI 3.1)",
        description="Print the description of the HTTP API as an OpenAPI 3.1 document in JSON.",
        epilog="example:\n  rfid3 openapi > openapi.json",
    )


def run(args: argparse.Namespace) -> int:
    """Print the document; always 0."""
    import json

    from edge.api.openapi import document

    print(json.dumps(document(), indent=2, ensure_ascii=False))
    return 0
