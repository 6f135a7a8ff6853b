"""``rfid3 train``: hands over to the trainer, a package of its own that the daemon never imports."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.__main__ import Parser


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command; every word after it is the trainer's own, options too."""
    parser = subparsers.add_parser(
        "train",
        help="train models from history: fit, compare, publish, export, backtest, schedule",
        add_help=False,
        prefix_chars="\0",
    )
    parser.add_argument("words", nargs="*")


def run(args: argparse.Namespace) -> int:
    """Become the trainer. Raises Rfid3Error where it is not installed.

    Which libraries it needs, and for what, it knows itself: looking and publishing need none of them.
    """
    from edge.errors import Rfid3Error

    if importlib.util.find_spec("trainer") is None:
        raise Rfid3Error(
            "the trainer is not part of this installation\nCure: install rfid3 from its wheel"
        )
    package = str(Path(__file__).resolve().parents[2])
    before = os.environ.get("PYTHONPATH", "")
    path = f"{package}{os.pathsep}{before}" if before else package
    sys.stdout.flush()
    os.execve(
        sys.executable,
        [sys.executable, "-P", "-m", "trainer", *args.words],
        os.environ | {"PYTHONPATH": path},
    )
