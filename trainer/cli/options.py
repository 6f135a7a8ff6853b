"""Options that several commands share, and what they mean. Not a command."""

import argparse
import os
from pathlib import Path

from edge import config_file
from edge.config import Config
from edge.errors import Rfid3Error
from edge.inference import keys
from edge.replay import mappings
from trainer import places
from trainer.budget import Budget
from trainer.cli.show import Bar
from trainer.imports import from_file
from trainer.services import RECIPES

MEMORY_MB = 1_536
MINUTES_EACH = 30.0
MINUTES_ALL = 120.0


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE`` and ``--json``."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        type=Path,
        help="configuration file (TOML); default: $RFID3_CONFIG, ./config.toml, "
        "/etc/rfid3/config.toml, or none",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object, and nothing else, to stdout"
    )


def add_services(parser: argparse.ArgumentParser) -> None:
    """Add the services as positional arguments."""
    parser.add_argument(
        "services",
        metavar="SERVICE",
        nargs="*",
        help=f"{', '.join(RECIPES)} (default: all)",
    )


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add where history comes from."""
    group = parser.add_argument_group(
        "history",
        "By default the daemon's own store and all that was imported before. Imports are kept under\n"
        "storage.directory, and every later training learns from them too.",
    )
    group.add_argument(
        "--rows",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="import this file of rows first (CSV, Parquet, JSON lines, SQLite); may be given again",
    )
    group.add_argument(
        "--mapping",
        metavar="NAME",
        help="how to read --rows: a shipped mapping (rfid3 replay --list) or a TOML file",
    )
    group.add_argument("--table", default="", help="the table, in an SQLite file with several")
    group.add_argument(
        "--history",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="learn from this store or file of history alone; may be given again, later ones win",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the shop's holidays."""
    parser.add_argument(
        "--country", default="", metavar="CODE", help="whose holidays count, such as US or DE"
    )
    parser.add_argument(
        "--region", default="", metavar="CODE", help="its state or region, such as NY or BY"
    )


def add_budget(parser: argparse.ArgumentParser, *, everything: bool = True) -> None:
    """Add memory, time and niceness."""
    group = parser.add_argument_group("budget", "What goes over it is ended; the rest goes on.")
    group.add_argument(
        "--memory-mb", type=int, default=MEMORY_MB, metavar="N", help="(default %(default)s)"
    )
    group.add_argument(
        "--minutes",
        type=float,
        default=MINUTES_EACH,
        metavar="N",
        help="for each service (default %(default)g)",
    )
    if everything:
        group.add_argument(
            "--minutes-all",
            type=float,
            default=MINUTES_ALL,
            metavar="N",
            help="for all together (default %(default)g)",
        )
    group.add_argument(
        "--nice",
        type=int,
        default=10,
        metavar="N",
        help="how far to step back for others, 0 to 19 (default %(default)s)",
    )


def budget(args: argparse.Namespace) -> Budget:
    """The budget of one service. Raises Rfid3Error for one that nothing can live within."""
    if args.memory_mb < 64 or args.minutes <= 0 or not 0 <= args.nice <= 19:
        raise Rfid3Error(
            "this budget cannot be kept\n"
            "Cure: --memory-mb 64 or more, --minutes above 0, --nice from 0 to 19"
        )
    return Budget(memory_mb=args.memory_mb, seconds=args.minutes * 60.0, nice=args.nice)


def load_config(args: argparse.Namespace) -> Config:
    """The settings that ``--config`` asks for. Raises ConfigError."""
    path = args.config if args.config is not None else config_file.find(os.environ)
    return config_file.load(path, os.environ, machine=False)


def history(args: argparse.Namespace, config: Config) -> list[Path]:
    """Where to learn from, after importing what is to be imported. Raises Rfid3Error."""
    imported = [_imported(args, config, rows) for rows in args.rows]
    if args.history:
        return [*imported, *args.history]
    found = places.history(config)
    if not found:
        raise Rfid3Error(
            f"{config.storage.directory}: there is no history yet\n"
            "Cure: let the daemon run through a midnight, or import what there is with --rows FILE "
            "--mapping NAME"
        )
    return found


def _imported(args: argparse.Namespace, config: Config, rows: Path) -> Path:
    """History made of a file of rows; what was imported before is not read again."""
    if not args.mapping:
        raise Rfid3Error(
            f"{rows}: nothing says how to read it\n"
            f"Cure: --mapping NAME, one of {', '.join(mappings.shipped())}, or a TOML file "
            "(docs/replay.md)"
        )
    out = places.import_path(config, rows, args.mapping)
    if out.exists():
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    with Bar(f"importing {rows.name}") as bar:
        report = from_file(
            rows,
            args.mapping,
            out,
            config,
            table=args.table,
            progress=lambda done, total, at_ms: bar.to(done, total),
        )
    if not args.json:
        print("\n".join(report.lines()))
    return out


def signing_key(args: argparse.Namespace, config: Config) -> keys.Key:
    """The key that ``--key`` names, or this machine's own. Raises KeyProblem."""
    directory = keys.keys_directory(config.storage.directory)
    return keys.find_key(directory, args.key) if args.key else keys.machine_key(directory)


def add_key(parser: argparse.ArgumentParser) -> None:
    """Add ``--key ID``."""
    parser.add_argument(
        "--key",
        default="",
        metavar="ID",
        help="sign with this key (rfid3 keys list); default: this machine's own",
    )
