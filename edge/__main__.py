"""The command line: ``rfid3 <command>``. A table of commands, and how failures are told.

No work is done here, and nothing heavy is imported before a command is chosen.
"""

import argparse
import difflib
import importlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from edge import __version__
from edge.errors import ConfigError, Rfid3Error, WrongUsage

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130

COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("run", "run the daemon", "edge.cli.run"),
    ("demo", "see it work: a private broker, a simulated shop and the daemon", "edge.cli.demo"),
    ("simulate", "a simulated shop that publishes to a broker", "edge.cli.simulate"),
    (
        "replay",
        "send recorded rows (CSV, Parquet, JSON lines, SQLite, MySQL) through MQTT",
        "edge.cli.replay",
    ),
    (
        "check-config",
        "read the configuration and tell everything that is wrong",
        "edge.cli.check_config",
    ),
    ("doctor", "examine broker, clock, disk, memory and versions", "edge.cli.doctor"),
    (
        "catalogue",
        "classes, categories and stores: import from a file, export to one",
        "edge.cli.catalogue",
    ),
    ("db", "the local store and its copy in MySQL: versions, sizes, upgrade", "edge.cli.db"),
    ("keys", "whose models are believed: list, make, trust and remove keys", "edge.cli.keys"),
    (
        "models",
        "which model answers, and why: list, show, verify, promote, rollback",
        "edge.cli.models",
    ),
    (
        "train",
        "train models from history: fit, compare, publish, export, backtest, schedule",
        "edge.cli.train",
    ),
    ("api", "a replica of the API that reads what the daemon mirrors into Redis", "edge.cli.api"),
    ("openapi", "print the API's description (OpenAPI 3.1)", "edge.cli.openapi"),
    ("version", "print the version", "edge.cli.version"),
)
"""Name, one line of help, and module of every command."""

EPILOG = """\
examples:
  rfid3 demo                              try it without any reader
  rfid3 check-config -c config.toml       before the first start, and after every change
  rfid3 doctor -c config.toml             when something seems wrong
  rfid3 run -c config.toml                what the systemd service does

exit codes: 0 all is well, 1 a problem was found or the work failed, 2 wrong usage or configuration
"""


_NAMES = [name for name, _, _ in COMMANDS]


def _near(word: str, known: list[str]) -> str:
    """``; did you mean …?`` for a misspelt or shortened word, or nothing."""
    near = [k for k in known if k.startswith(word)] or difflib.get_close_matches(
        word, known, 1, 0.5
    )
    return f"; did you mean {near[0]}?" if near else ""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of epilogs, and leaves room for our longest option."""

    def __init__(self, prog: str) -> None:
        width = min(100, shutil.get_terminal_size().columns - 2)
        super().__init__(prog, max_help_position=26, width=width)
        self._action_max_length = 16  # argparse forgets the indent of commands


class Parser(argparse.ArgumentParser):
    """argparse, but it guesses at misspelt words, and takes no shortened options."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", HelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(*args, **options)

    def error(self, message: str) -> NoReturn:
        """One paragraph on stderr, exit code 2."""
        command = re.match(r"argument COMMAND: invalid choice: '(.*?)'", message)
        verb = re.match(r"argument VERB: invalid choice: '(.*?)'", message)
        option = re.match(r"unrecognized arguments: (--[^ =]+)", message)
        if command:
            message = f"there is no command {command[1]}; the commands are {', '.join(_NAMES)}"
            hint = _near(command[1], _NAMES)
        elif verb:
            known = [name for name, _ in _choices(self)]
            message = f"there is no verb {verb[1]}; the verbs are {', '.join(known)}"
            hint = _near(verb[1], known)
        else:
            hint = _near(option[1], self._option_strings()) if option else ""
        self.exit(USAGE, f"{self.prog}: {message}{hint}\nHelp: {self.prog} --help\n")

    def _option_strings(self) -> list[str]:
        return [text for action in self._actions for text in action.option_strings]


def _choices(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    """Verbs of a command, and who reads what follows each."""
    actions = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return [choice for action in actions for choice in action.choices.items()]


def _whose(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the verb that is meant, so that its own options are told of."""
    for word in words:
        parser = dict(_choices(parser)).get(word, parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(given)
    except ConfigError as error:
        return _tell(f"The configuration has a problem:\n{error}", USAGE)
    except WrongUsage as error:
        return _tell(str(error), USAGE)
    except Rfid3Error as error:
        return _tell(str(error), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left, such as ``| head``
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _tell(text: str, code: int) -> int:
    print(f"rfid3: {text}", file=sys.stderr)
    return code


def _dispatch(given: list[str]) -> int:
    """Import the module of the command that is meant, and of no other."""
    parser, subparsers = _parser()
    chosen = next((word for word in given if not word.startswith("-")), None)
    module: ModuleType | None = None
    for name, line, path in COMMANDS:
        if name != chosen:
            subparsers.add_parser(name, help=line)
            continue
        module = _module(path)
        if module is None:
            return _tell(f"the command {name} is not part of this installation", FAILED)
        module.add_parser(subparsers)
    args = _parse(parser, subparsers, given, chosen)
    if module is None:
        parser.print_help()
        return OK if chosen is None and not given else USAGE
    code = module.run(args)
    sys.stdout.flush()
    return int(code)


def _parser() -> tuple[Parser, "argparse._SubParsersAction[Parser]"]:
    parser = Parser(
        prog="rfid3",
        description="The edge brain of a rental or retail shop: from reader to answer on one small machine.",
        epilog=EPILOG,
    )
    parser.add_argument("-V", "--version", action="version", version=f"rfid3 {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    return parser, subparsers


def _parse(
    parser: Parser,
    subparsers: "argparse._SubParsersAction[Parser]",
    given: list[str],
    chosen: str | None,
) -> argparse.Namespace:
    """Like ``parse_args``, but a wrong option is told by the command whose it is."""
    args, unknown = parser.parse_known_args(given)
    if unknown:
        whose = subparsers.choices.get(chosen or "", parser)
        _whose(whose, given[given.index(chosen) + 1 :] if chosen in given else ()).error(
            f"unrecognized arguments: {' '.join(unknown)}"
        )
    return args


def _module(path: str) -> ModuleType | None:
    """A command's module, or ``None`` where it was not installed."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name == path:
            return None
        raise


if __name__ == "__main__":
    sys.exit(main())
