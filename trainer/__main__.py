"""The trainer's command line: ``rfid3 train <command>`` or ``python -m trainer <command>``.

A table of commands, and how failures are told. No work is done here.
"""

import argparse
import difflib
import importlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from edge.errors import ConfigError, Rfid3Error, WrongUsage

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

PROG = "rfid3 train"

COMMANDS: tuple[tuple[str, str], ...] = (
    ("fit", "train models from history, each within its budget"),
    ("compare", "a trained model beside the one that answers now"),
    ("publish", "sign trained models and let the daemon find them"),
    ("export", "sign a trained model into a folder, to carry it to another machine"),
    ("backtest", "how good forecasts of demand would have been: a report in HTML"),
    ("schedule", "train what is due, and publish what is not worse: what the nightly timer does"),
)
"""Name and one line of help of every command; each is a file of ``trainer/cli``."""

EPILOG = """\
examples:
  rfid3 train fit -c config.toml                         everything there is enough data for
  rfid3 train fit demand --rows sales.csv --mapping invoices
  rfid3 train compare -c config.toml
  rfid3 train publish -c config.toml
  rfid3 train schedule --dry-run -c config.toml          what tonight would bring, and why

docs/training.md begins with two years of exported invoices. Training needs more libraries than the
daemon (make trainer); help, compare, publish, export and schedule --dry-run do without them.

exit codes: 0 done (also where a service has too little data), 1 something failed or was refused,
2 wrong usage, input or configuration
"""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of epilogs, in lines that a wide terminal has room for."""

    def __init__(self, prog: str) -> None:
        width = min(100, shutil.get_terminal_size().columns - 2)
        super().__init__(prog, max_help_position=26, width=width)


class Parser(argparse.ArgumentParser):
    """argparse, but it guesses at misspelt words, and takes no shortened options."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options |= {"formatter_class": Formatter, "allow_abbrev": False}
        super().__init__(*args, **options)

    def error(self, message: str) -> NoReturn:
        """One paragraph on stderr, exit code 2."""
        command = re.match(r"argument COMMAND: invalid choice: '(.*?)'", message)
        option = re.match(r"unrecognized arguments: (--[^ =]+)", message)
        known = [text for action in self._actions for text in action.option_strings]
        names = [name for name, _ in COMMANDS]
        if command:
            message = f"there is no command {command[1]}; the commands are {', '.join(names)}"
        asked, among = (command[1], names) if command else (option[1] if option else "", known)
        near = difflib.get_close_matches(asked, among, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        self.exit(USAGE, f"{self.prog}: {message}{hint}\nHelp: {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    made = Parser(
        prog=PROG,
        description="Train models from a shop's history. Nothing here touches what the daemon does.",
        epilog=EPILOG,
    )
    commands = made.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, line in COMMANDS:
        module = importlib.import_module(f"trainer.cli.{name}")
        one = commands.add_parser(
            name,
            help=line,
            description=f"{line[0].upper()}{line[1:]}.",
            epilog=module.EPILOG,
        )
        module.add_options(one)
        one.set_defaults(run=module.run)
    return made


def _of_command(made: argparse.ArgumentParser, command: str | None) -> argparse.ArgumentParser:
    actions = (a for a in made._actions if isinstance(a, argparse._SubParsersAction))
    found = next(actions).choices.get(command or "", made)
    assert isinstance(found, argparse.ArgumentParser)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    made = parser()
    given = list(sys.argv[1:] if argv is None else argv)
    args, unknown = made.parse_known_args(given)
    if unknown:  # told by the command whose option it should be
        _of_command(made, args.command).error(f"unrecognized arguments: {' '.join(unknown)}")
    if args.command is None:
        made.print_help()
        return USAGE if given else OK
    os.umask(0o027)  # what the shop sold and to whom is nobody else's business
    try:
        return int(args.run(args))
    except ConfigError as error:
        return _tell(f"The configuration has a problem:\n{error}", USAGE)
    except WrongUsage as error:
        return _tell(str(error), USAGE)
    except Rfid3Error as error:
        return _tell(str(error), FAILED)
    except OSError as error:
        return _tell(_of_system(error), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _of_system(error: OSError) -> str:
    """What the system refused, where, and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    why = error.strerror or str(error)
    return f"{where}{why}\nCure: check the path, its permissions and the disk's space"


def _tell(text: str, code: int) -> int:
    print(f"{PROG}: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
