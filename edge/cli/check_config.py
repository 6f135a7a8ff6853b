"""``rfid3 check-config``: every complaint about the configuration, or what it amounts to."""

import argparse
import os
from typing import TYPE_CHECKING

from edge.cli.options import EPILOG_CONFIG, add_config, config_path

if TYPE_CHECKING:
    from edge.__main__ import Parser
    from edge.config_file import Reading

EPILOG = f"""\
examples:
  rfid3 check-config -c config.toml
  rfid3 check-config -c config.toml --show     every setting, and where it comes from

{EPILOG_CONFIG}
exit codes: 0 the configuration is good, 2 it is not
"""


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check-config",
        help="read the configuration and tell everything that is wrong",
        description="Read the configuration, and tell everything that is wrong with it at once.",
        epilog=EPILOG,
    )
    add_config(parser)
    parser.add_argument(
        "--show", action="store_true", help="print every setting, and where it comes from"
    )


def run(args: argparse.Namespace) -> int:
    """0 when the configuration is good. Raises ConfigError with the complaints."""
    from edge.config_file import read
    from edge.errors import ConfigError

    path = config_path(args)
    reading = read(path, os.environ)
    if args.show:
        _show(reading)
    if reading.problems:
        raise ConfigError("\n".join(reading.problems))
    count = len(reading.config.sources), len(reading.config.mapping), len(reading.config.zones)
    print(f"{path or 'no file, only defaults'}: good")
    print("{} source rules, {} mappings, {} zones".format(*count))
    return 0


def _show(reading: "Reading") -> None:
    """One line a setting: its value in TOML, and where it was given."""
    import msgspec

    from edge.config_file import settings_paths, toml_value
    from edge.config_rules import SECRET

    tree = msgspec.to_builtins(reading.config)
    for path, _ in settings_paths():
        name = ".".join(map(str, path))
        value = tree
        for key in path:
            value = value[key]
        text = "…" if name in SECRET and value else toml_value(value)
        origin = reading.origins.get(path)
        print(f"{name} = {text}" + (f"  # {origin}" if origin else ""))
