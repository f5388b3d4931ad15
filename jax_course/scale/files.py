"""Sources from files larger than memory: arrays of NumPy, tables of Parquet and CSV.

A file that cannot be used is refused with its name and the row: numbers that are none, text in a column of numbers,
a missing column, a part that cannot be read.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jax_course.scale.batches import Batches, DataError, Pair

BATCH_BYTES = 2**22  # of X in a batch: the last-level cache still holds it when it is computed with


def from_npy(X: str | os.PathLike, y: str | os.PathLike, *, rows: int | None = None) -> Batches:
    """The source of X (m, d) and y (m,), each in a `.npy` file; only their heads are read at once.

    rows: of a batch; by default 4 MB of X. DataError: X is no floating-point matrix, or y has another number of rows.
    """
    X_map, y_map = (_memory_mapped(path) for path in (X, y))
    if X_map.ndim != 2 or X_map.dtype.kind != "f":
        raise DataError(f"{X} must hold floating-point numbers of shape (m, d); it holds {X_map.dtype} {X_map.shape}")
    if y_map.shape != X_map.shape[:1]:
        raise DataError(f"{y} must have shape ({len(X_map)},), a value per row of {X}; it has {y_map.shape}")

    batch_rows = _batch_rows(X_map.shape[1] * X_map.itemsize) if rows is None else rows

    def read() -> Iterator[Pair]:
        for first in range(0, len(X_map), batch_rows):
            yield _read_rows(X_map, first, batch_rows), _read_rows(y_map, first, batch_rows)

    return Batches(os.fspath(X), read, len(X_map))


def _batch_rows(row_bytes: int) -> int:
    return max(1, BATCH_BYTES // max(1, row_bytes))


def _read_rows(file: np.memmap, first: int, rows: int) -> np.ndarray:
    """A copy that is read: pages of a memory map would stay in the process's memory as long as there is room."""
    rows = min(rows, len(file) - first)
    if not file.flags.c_contiguous:
        return np.array(file[first : first + rows])
    row_bytes = file.itemsize * (file.size // len(file))
    offset = file.offset + first * row_bytes
    read = np.fromfile(str(file.filename), file.dtype, rows * row_bytes // file.itemsize, offset=offset)
    if read.size * file.itemsize < rows * row_bytes:
        raise DataError(f"{file.filename} ends before row {first + rows}: it has become shorter")
    return read.reshape(rows, *file.shape[1:])


def _memory_mapped(path: str | os.PathLike) -> np.memmap:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} must be a .npy file of numbers, whole: {error}") from error


def from_table(
    *paths: str | os.PathLike, target: str, columns: Sequence[str] | None = None, rows: int | None = None
) -> Batches:
    """The source of Parquet or CSV files of the same columns, read by pyarrow (`pip install 'jax-course[data]'`).

    target: the column of y. columns: those of X, in this order; by default all others of the first file. None of them
    is a column of ones: `from_table(…).map(features.with_bias)`. rows: of a batch; by default 4 MB of X. Without any
    path the source has no rows, as a process may need that has no file of its own.
    DataError, at once or in a pass: a column is missing or holds no numbers, or a file cannot be read.
    """
    names = [os.fspath(path) for path in paths]
    if not names:
        return Batches("a table of no files", lambda: iter(()), 0)
    chosen = _checked_columns(names[0], target, columns)
    batch_rows = _batch_rows(8 * len(chosen)) if rows is None else rows

    def read() -> Iterator[Pair]:
        for name in names:
            yield from _table_batches(name, target, chosen, batch_rows)

    def place(row: int) -> str:
        for name in names[:-1]:
            count = _opened(name).count_rows()
            if row < count:
                return f"{name}, row {row}"
            row -= count
        return f"{names[-1]}, row {row}"

    return Batches(", ".join(names), read, None, place)


def _checked_columns(name: str, target: str, columns: Sequence[str] | None) -> list[str]:
    """The names of the columns of X, by default all but the target."""
    names = _opened(name).schema.names
    chosen = [column for column in names if column != target] if columns is None else list(columns)
    missing = [column for column in (target, *chosen) if column not in names]
    if missing:
        raise DataError(f"{name} has no column {', '.join(missing)}; it has {', '.join(names)}")
    return chosen


def _opened(name: str) -> Any:
    """The file as a dataset of pyarrow."""
    try:
        from pyarrow import ArrowInvalid, dataset
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("tables are read by pyarrow: pip install 'jax-course[data]'") from error
    try:
        return dataset.dataset(name, format="csv" if name.lower().endswith(".csv") else "parquet")
    except (ArrowInvalid, OSError) as error:
        if not os.path.exists(name):
            raise FileNotFoundError(f"there is no file {name}") from error
        raise DataError(f"{name} cannot be read: {error}") from error


def _table_batches(name: str, target: str, columns: list[str], rows: int) -> Iterator[Pair]:
    import pyarrow as pa

    opened = _opened(name)
    _check_types(name, opened.schema, [target, *columns])
    row, batches = 0, iter(opened.to_batches(columns=[*columns, target], batch_size=rows))
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{name} cannot be read behind row {row}: {error}") from error
        if len(batch):
            arrays = [batch.column(column).to_numpy(zero_copy_only=False) for column in columns]
            yield (
                np.stack(arrays, axis=1).astype(np.float64, copy=False),
                batch.column(target).to_numpy(zero_copy_only=False),
            )
            row += len(batch)


def _check_types(name: str, schema: Any, columns: list[str]) -> None:
    import pyarrow as pa

    for column in columns:
        if column not in schema.names:
            raise DataError(f"{name} has no column {column}; it has {', '.join(schema.names)}")
        kind = schema.field(column).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise DataError(f"{name}: column {column} must hold numbers; it holds {kind}")
