"""``rfid3 db``: versions, rows and sizes of the local store and of its copy in MySQL; bring both up."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge.cli.options import EPILOG_CONFIG, add_config, load_config

if TYPE_CHECKING:
    from edge.__main__ import Parser
    from edge.config import Mysql
    from edge.storage.figures import Size

EPILOG = f"""\
examples:
  rfid3 db status -c config.toml
  rfid3 db status --json | jq .mysql.waiting
  rfid3 db upgrade

The daemon brings both up when it starts: upgrade is for those who want to see it done before. It copies
the local store into its folder "backups" first, and needs the daemon to be stopped. Nothing is ever
deleted in MySQL; tables of another store are renamed by the daemon, and stay until you drop them.

{EPILOG_CONFIG}
exit codes: 0 done, 1 something is wrong or cannot be reached, 2 wrong usage or configuration
"""
SHOWN = 12


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command and its verbs."""
    parser = subparsers.add_parser(
        "db",
        help="the local store and its copy in MySQL: versions, sizes, upgrade",
        description="The local store and its copy in MySQL or MariaDB.",
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    status = verbs.add_parser("status", help="versions, rows, sizes, how far the copy is")
    status.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    upgrade = verbs.add_parser("upgrade", help="bring both up to this program's version")
    for verb in (status, upgrade):
        add_config(verb)


def run(args: argparse.Namespace) -> int:
    """1 when a version differs or the copy cannot be reached."""
    return {"status": _status, "upgrade": _upgrade}[args.verb](args)


def _status(args: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    import msgspec

    from edge.storage.figures import local_figures

    config = load_config(args, machine=False)
    directory = Path(config.storage.directory)
    local = local_figures(directory)
    copy, trouble = _asked(config.mysql, directory)
    if args.json:
        told = {
            "local": msgspec.to_builtins(local),
            "mysql": msgspec.to_builtins(copy),
            "trouble": trouble,
        }
        print(json.dumps(told, indent=2))
    else:
        _show_local(directory, local)
        _show_copy(config.mysql, copy, trouble)
    fine = local.version in (0, local.program_version)
    return int(
        not fine or bool(trouble) or (copy is not None and copy.version > local.program_version)
    )


def _asked(settings: "Mysql", directory: Any) -> tuple[Any, str]:
    """(figures, what is wrong); nothing where no copy is wanted."""
    if not settings.enabled:
        return None, ""
    from edge.storage.figures import copy_figures
    from edge.storage.mysql import TROUBLE

    try:
        return copy_figures(settings, directory), ""
    except TROUBLE as error:
        return None, str(error) or type(error).__name__


def _show_local(directory: Any, local: Any) -> None:
    print(f"local store   {directory}")
    if not local.version:
        print("  there is none yet: the daemon makes it")
        return
    print(f"  version     {local.version}, this program's is {local.program_version}")
    print(f"  journal     {local.journal_id}, {local.newest_change:,} changes of tables")
    for file in local.backups:
        print(f"  backup      {file}")
    _show_sizes(local.sizes)


def _show_copy(settings: "Mysql", copy: Any, trouble: str) -> None:
    if not settings.enabled:
        print("\nmysql         switched off (mysql.enabled)")
        return
    print(f"\nmysql         {settings.user}@{settings.host}:{settings.port}/{settings.database}")
    if copy is None:
        print(f"  away        {trouble}")
        return
    print(f"  server      {copy.server}")
    print(f"  version     {copy.version}, this program's is {copy.program_version}")
    if copy.journal_id:
        print(f"  copy of     {copy.journal_id}, up to change {copy.position:,}, {copy.updated_at}")
    print(f"  waiting     {copy.waiting:,} rows and deletions")
    _show_sizes(copy.sizes)


def _show_sizes(sizes: Sequence["Size"]) -> None:
    from edge.checks import size
    from edge.storage.figures import total

    for one in sizes[:SHOWN]:
        rows = f"{one.rows:,}" if one.rows >= 0 else "uncounted"
        print(f"  {one.table:<28} {rows:>12} rows {size(one.bytes):>10}")
    if len(sizes) > SHOWN:
        rest = sizes[SHOWN:]
        print(f"  {f'{len(rest)} others':<28} {sum(max(0, s.rows) for s in rest):>12,} rows"
              f" {size(total(rest)):>10}")  # fmt: skip


def _upgrade(args: argparse.Namespace) -> int:
    from pathlib import Path

    from edge.storage.figures import local_figures
    from edge.storage.journal import Journal

    config = load_config(args, machine=False)
    directory = Path(config.storage.directory)
    before = local_figures(directory)
    Journal.open(directory, config.storage, config.limits.dead_letters_max).close()
    after = local_figures(directory)
    if before.version == after.version:
        print(f"local store: version {after.version} already")
    else:
        print(f"local store: version {before.version} -> {after.version}")
        for file in after.backups[: int(before.version > 0)]:
            print(f"  copied first to {file}")
    return _upgrade_copy(config.mysql) if config.mysql.enabled else 0


def _upgrade_copy(settings: "Mysql") -> int:
    import asyncio

    from edge.storage.mysql import TROUBLE, connect
    from edge.storage.mysql_schema import upgrade, versions

    async def main() -> None:
        connection = await connect(settings)
        try:
            before, _ = await versions(connection)
            made = await upgrade(connection)
            after, _ = await versions(connection)
            print(
                f"mysql: version {before} -> {after}" if made else f"mysql: version {after} already"
            )
        finally:
            connection.close()

    try:
        asyncio.run(main())
    except TROUBLE as error:
        print(f"mysql: {error}")
        return 1
    return 0
