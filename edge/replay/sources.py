"""Where rows come from: a file, or a table of a database. One door for the command line and the trainer."""

from pathlib import Path

from edge.replay.mysql_rows import MysqlRows, is_address
from edge.replay.reader import Rows, open_rows


def open_source(source: Path, table: str = "", encoding: str = "utf-8") -> Rows:
    """A file's rows, or those of ``mysql://user@host:port/database``. Raises ReplayError."""
    if is_address(source):
        return MysqlRows(source, table)
    return open_rows(source, table, encoding)
