"""Options that several commands share, and what they mean. Not a command."""

import argparse
import os
import zlib
from pathlib import Path

from edge import config_file
from edge.config import Config
from edge.errors import JournalBroken, Rfid3Error, WrongUsage
from edge.inference import keys
from edge.replay import mappings
from edge.replay.errors import ReplayError
from edge.storage.history import HistoryReader
from trainer import places
from trainer.budget import Budget
from trainer.cli.show import Bar
from trainer.imports import from_file
from trainer.services import RECIPES

MEMORY_MB = 1_536
MEMORY_MB_LEAST = 64
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
    """The budget of one service. Raises WrongUsage for one that nothing can live within."""
    given = {
        "--memory-mb": (args.memory_mb, args.memory_mb >= MEMORY_MB_LEAST),
        "--minutes": (args.minutes, args.minutes > 0),
        "--minutes-all": (everything := getattr(args, "minutes_all", 1.0), everything > 0),
        "--nice": (args.nice, 0 <= args.nice <= 19),
    }
    wrong = [f"{name} {value:g}" for name, (value, fine) in given.items() if not fine]
    if wrong:
        raise WrongUsage(
            f"this budget cannot be kept: {', '.join(wrong)}\n"
            f"Cure: --memory-mb {MEMORY_MB_LEAST} or more, --minutes and --minutes-all above 0, "
            "--nice from 0 to 19"
        )
    return Budget(memory_mb=args.memory_mb, seconds=args.minutes * 60.0, nice=args.nice)


def load_config(args: argparse.Namespace) -> Config:
    """The settings that ``--config`` asks for. Raises ConfigError."""
    path = args.config if args.config is not None else config_file.find(os.environ)
    return config_file.load(path, os.environ, machine=False)


def history(args: argparse.Namespace, config: Config) -> list[Path]:
    """Where to learn from, after importing what is to be imported.

    Raises WrongUsage for what was named and cannot be used, Rfid3Error where there is nothing.
    """
    for path in args.history:
        _check_history(path)
    if args.mapping and not args.rows:
        raise WrongUsage(
            "--mapping says how to read --rows, and there is none\nCure: --rows FILE, or leave it out"
        )
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


def _check_history(path: Path) -> None:
    """Raises WrongUsage where there is no history that can be read."""
    try:
        HistoryReader.open(path).close()
    except JournalBroken as error:
        raise WrongUsage(
            f"--history {path}: {error}\n"
            "Cure: name a storage directory, its journal.db, or a history.sqlite of an import"
        ) from error
    except OSError as error:
        raise WrongUsage(
            f"--history {path}: {error}\nCure: check the path and who may read it"
        ) from error


def _imported(args: argparse.Namespace, config: Config, rows: Path) -> Path:
    """History made of a file of rows; the same content is not read again, and that is said."""
    if not args.mapping:
        raise WrongUsage(
            f"--rows {rows}: nothing says how to read it\n"
            f"Cure: --mapping NAME, one of {', '.join(mappings.shipped())}, or a TOML file "
            "(docs/replay.md)"
        )
    try:
        out = places.import_path(config, rows, args.mapping, args.table)
    except OSError as error:
        raise WrongUsage(
            f"{error.filename or rows}: {error.strerror}\nCure: check the path, and who may read it"
        ) from error
    except ReplayError as error:
        raise WrongUsage(f"--rows: {error}\nCure: docs/replay.md, From a live RFID3") from error
    if out.exists():
        _say(args, f"{rows}: the same content was imported before ({out}); that is used")
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with Bar(f"importing {rows.name}") as bar:
            report = from_file(
                rows,
                args.mapping,
                out,
                config,
                table=args.table,
                progress=lambda done, total, at_ms: bar.to(done, total),
            )
    except ReplayError as error:
        raise WrongUsage(
            f"--rows {rows}, read by the mapping {args.mapping}: {error}\n"
            "Cure: rfid3 replay --list names the mappings, docs/replay.md says how to write one"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise WrongUsage(
            f"--rows {rows}: it cannot be read ({error})\n"
            "Cure: check that the file is whole, and what kind its name says that it is"
        ) from error
    if not report.days:
        out.unlink()
        told = "\n".join(report.lines())
        raise WrongUsage(
            f"--rows {rows}: no day of history came of it\n{told}\n"
            f"Cure: check that the mapping {args.mapping} is the one for this file (docs/replay.md)"
        )
    _say(args, *report.lines())
    return out


def _say(args: argparse.Namespace, *lines: str) -> None:
    """For people; with ``--json`` nothing but one object goes to stdout."""
    if not args.json:
        print("\n".join(lines))


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
