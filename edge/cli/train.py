"""``rfid3 train``: hands over to the trainer, a package of its own that the daemon never imports."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.__main__ import Parser

NEEDS = (
    ("sklearn", "scikit-learn"),
    ("scipy", "scipy"),
    ("holidays", "holidays"),
    ("matplotlib", "matplotlib"),
)
"""What the extra ``trainer`` installs: module, and its name as people install it."""


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
    """Become the trainer. Raises Rfid3Error where it is not installed."""
    from edge.errors import Rfid3Error

    missing = [name for module, name in NEEDS if importlib.util.find_spec(module) is None]
    if missing:
        raise Rfid3Error(
            f"training needs {', '.join(missing)}, which this installation does not have.\n"
            "Cure: 'make trainer' in the project's folder, or pip install --require-hashes "
            "-r requirements/trainer.txt, here or on a workstation (docs/training.md)"
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
