"""Finding and reading files of a table: CSV (gzip or not) and Parquet, columns as arrays.

Knows nothing of what the columns mean.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.csv as pv  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edge.errors import Rfid3Error

SUFFIXES = (".parquet", ".csv", ".csv.gz")


class TableMissing(Rfid3Error):
    """A table's folder or file is not where it was said to be."""


def find(data: Path, table: str, pattern: str = "") -> list[Path]:
    """Files of a table below ``data`` (or in it, where it is the table's folder), sorted.

    ``pattern``: a regular expression that the file's name holds, capitals or not. Raises
    TableMissing, naming what was looked for.
    """
    folder = data / table if (data / table).is_dir() else data
    found = [
        path
        for path in sorted(folder.glob("*"))
        if path.name.endswith(SUFFIXES) and re.search(pattern, path.name, re.IGNORECASE)
    ]
    if not found:
        raise TableMissing(f"no file of {table} like {pattern or '*'} in {folder}")
    return found


def read(paths: Sequence[Path], columns: Sequence[str]) -> dict[str, NDArray[Any]]:
    """These columns of all files, one below the other. Raises TableMissing for a missing column."""
    tables = [_table(path, columns) for path in paths]
    joined = pa.concat_tables(tables, promote_options="permissive")
    return {name: joined[name].combine_chunks().to_numpy(zero_copy_only=False) for name in columns}


def wide(path: Path) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """(names of the columns, first column's texts, float64[rows, columns]) of a table of numbers.

    What is empty or ``NA`` is NaN; the first column is a name and no number.
    """
    table = _table(path, None)
    head, *rest = table.column_names
    texts = pc.cast(table[head], pa.string()).to_pylist()
    numbers = [pc.cast(table[name], pa.float64()).to_numpy(zero_copy_only=False) for name in rest]
    return rest, texts, np.stack(numbers, axis=1).astype(np.float64)


def _table(path: Path, columns: Sequence[str] | None) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path, columns=list(columns) if columns else None)
        options = pv.ConvertOptions(
            include_columns=list(columns) if columns else None,
            null_values=["", "NA", "NaN"],
            strings_can_be_null=True,
        )
        return pv.read_csv(path, convert_options=options)
    except (pa.ArrowException, KeyError, OSError) as error:
        raise TableMissing(f"{path.name}: {error}") from error


def days(moments: NDArray[Any]) -> NDArray[np.int64]:
    """Days since 1970-01-01 of local moments (dates, timestamps or ISO texts)."""
    return moments.astype("datetime64[D]").astype(np.int64)


def hours(moments: NDArray[Any]) -> NDArray[np.int64]:
    """Hours since 1970-01-01 00:00 of local moments."""
    return moments.astype("datetime64[h]").astype(np.int64)


def codes(values: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """(distinct texts, sorted; index of each value in them)."""
    distinct, index = np.unique(values.astype(str), return_inverse=True)
    return distinct.tolist(), index.astype(np.int64)
