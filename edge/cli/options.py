"""Options that several commands share. Not a command."""

import argparse
import os
from pathlib import Path

from edge.config import Config

EPILOG_CONFIG = """\
Settings come from the file, and over it from environment variables: RFID3_MQTT__HOST=broker
overrides host in [mqtt]. Without --config the file is the one RFID3_CONFIG names, else
./config.toml, else /etc/rfid3/config.toml, else there is none and the defaults hold.
"""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE``."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        type=Path,
        help="configuration file (TOML); see config.example.toml",
    )


def config_path(args: argparse.Namespace) -> Path | None:
    """The file that ``--config`` names, or the usual one; ``None``: no file, only defaults."""
    from edge.config_file import find

    path: Path | None = args.config
    return path if path is not None else find(os.environ)


def load_config(args: argparse.Namespace, *, machine: bool = True) -> Config:
    """The settings that ``--config`` asks for. Raises ConfigError."""
    from edge.config_file import load

    return load(config_path(args), os.environ, machine=machine)
