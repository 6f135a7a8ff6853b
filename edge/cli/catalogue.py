"""``rfid3 catalogue``: files into the daemon's catalogue, and the catalogue into files."""

import argparse
from typing import TYPE_CHECKING, Any

from edge.cli.options import EPILOG_CONFIG, add_config, load_config

if TYPE_CHECKING:
    from edge.__main__ import Parser

EPILOG = f"""\
examples:
  rfid3 catalogue import classes rental_classes.csv --dry-run -c config.toml
  rfid3 catalogue import classes rental_classes.csv
  rfid3 catalogue export classes classes.csv
  rfid3 catalogue export stores -                        to the terminal

A file is CSV with a header row, or JSON (a list; its name ends in .json). RFID3's own tables of rental
classes are understood as they are, also with spaces before the names of their columns. What was
exported can be imported again. All ask the running daemon, where its configuration says that it listens.

{EPILOG_CONFIG}
exit codes: 0 done, 1 it could not be done or rows were refused, 2 wrong usage or configuration
"""
KINDS = ("classes", "categories", "stores")
TIMEOUT_S = 120.0
PAGE_ROWS = 1_000


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command and its verbs."""
    parser = subparsers.add_parser(
        "catalogue",
        help="classes, categories and stores: import from a file, export to one",
        description="What people say of classes, categories and stores.",
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    take = verbs.add_parser("import", help="put the rows of a file into the catalogue")
    give = verbs.add_parser("export", help="write the catalogue to a file")
    for verb in (take, give):
        verb.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
        verb.add_argument("file", metavar="FILE", help="CSV or .json; - is the terminal")
        verb.add_argument("--api", metavar="URL", default="", help="where the daemon listens")
        add_config(verb)
    take.add_argument("--dry-run", action="store_true", help="only say what is wrong with it")
    take.add_argument(
        "--replace",
        action="store_true",
        help="a row is what the file says; without it, what the file leaves out stays",
    )
    take.add_argument("--by", default="", help="who asks, for the record")


def run(args: argparse.Namespace) -> int:
    """0 when all rows are taken. Raises WrongUsage, and Rfid3Error with what the daemon said."""
    from edge.cli.asking import base_of

    base = base_of(args.api) if args.api else f"http://{load_config(args, machine=False).api.bind}"
    verb = {"import": _import, "export": _export}[args.verb]
    return verb(args, base.rstrip("/"))


def _import(args: argparse.Namespace, base: str) -> int:
    import json
    from urllib.parse import urlencode

    from edge.cli.asking import ask

    body = _read(args.file)
    media = "application/json" if args.file.endswith(".json") else "text/csv"
    asked = {"mode": "replace" if args.replace else "merge", "dry_run": str(args.dry_run).lower()}
    if args.by:
        asked["by"] = args.by
    path = f"/api/catalogue/{args.kind}/import?{urlencode(asked)}"
    told = json.loads(ask(base, "POST", path, body, media, TIMEOUT_S).body)
    for row in told["refused"]:
        print(f"line {row['line']}: {row['detail']}")
    print(_summary(told, args.dry_run))
    return 1 if told["refused_count"] else 0


def _summary(told: dict[str, Any], dry_run: bool) -> str:
    if dry_run:
        return f"{told['rows']} rows, {told['refused_count']} would be refused; nothing was changed"
    late = f", {told['pending']} not decided yet" if told["pending"] else ""
    return (
        f"{told['rows']} rows: {told['put']} are in the catalogue ({told['new']} new, "
        f"{told['changed'] - told['new']} changed), {told['refused_count']} refused{late}"
    )


def _export(args: argparse.Namespace, base: str) -> int:
    """Page by page, so that the daemon never holds the whole file."""
    import json

    from edge.cli.asking import ask

    as_json = args.file.endswith(".json")
    parts: list[bytes] = []
    rows: list[Any] = []
    place = f"/api/catalogue/{args.kind}?limit={PAGE_ROWS}&format={'json' if as_json else 'csv'}"
    while place:
        answer = ask(base, "GET", place, None, "", TIMEOUT_S)
        if as_json:
            told = json.loads(answer.body)
            rows += told[args.kind]
            cursor = told["next_cursor"]
            first = place.partition("&cursor=")[0]
            place = f"{first}&cursor={cursor}" if cursor else ""
        else:
            # every page has the header row; only the first one's is kept
            parts.append(answer.body if not parts else answer.body.partition(b"\r\n")[2])
            place = answer.following
    whole = json.dumps(rows, ensure_ascii=False, indent=1).encode() if as_json else b"".join(parts)
    _write(args.file, whole)
    return 0


def _read(name: str) -> bytes:
    """Raises WrongUsage."""
    import sys
    from pathlib import Path

    from edge.errors import WrongUsage

    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise WrongUsage(f"{name}: {error.strerror}\nCure: name a file that can be read") from None


def _write(name: str, whole: bytes) -> None:
    """Raises WrongUsage."""
    import sys
    from pathlib import Path

    from edge.errors import WrongUsage

    if name == "-":
        sys.stdout.buffer.write(whole)
        sys.stdout.buffer.flush()
        return
    try:
        Path(name).write_bytes(whole)
    except OSError as error:
        raise WrongUsage(
            f"{name}: {error.strerror}\nCure: name a file that can be written"
        ) from None
