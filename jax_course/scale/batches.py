"""Data larger than memory, a batch of rows at a time: NumPy files, Parquet and CSV, or whatever gives pairs (X, y).

A source is anything that can be iterated more than once and gives pairs of X (rows, d) and y (rows,): a list, or what
the functions here return. A batch is in memory while it is computed with, and the next one while it is read.

What is wrong in a file is said with its name and the row, from 0 on: numbers that are none or not finite, text in a
column of numbers, columns that are missing, a part that cannot be read. `skipping` leaves rows that are not finite out,
and counts them.

No source adds a column of ones. `source.map(features.with_bias)` does, and `map` takes any other features as well; of a
list of pairs it is `mapped(pairs, features.with_bias)`.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]
BATCH = 2**22  # bytes of a batch: what it holds is still in the cache when it is computed with


class DataError(ValueError):
    """What a file holds that cannot be fitted: which file, and where."""


@dataclass(frozen=True)
class Batches:
    """A source with a name, and how many rows it has where that is known; `open` begins at the first row again.

    place: for the number of a row, the file that it is in and its number there, as errors say it.
    """

    name: str
    open: Callable[[], Iterator[Pair]]
    rows: int | None = None
    place: Callable[[int], str] | None = None

    def __iter__(self) -> Iterator[Pair]:
        return self.open()

    def map(self, function: Callable) -> "Batches":
        """The source with function(X) in place of X, as by `mapped`."""
        return mapped(self, function)


def from_npy(X: str | os.PathLike, y: str | os.PathLike, *, rows: int | None = None) -> Batches:
    """X (m, d) and y (m,), each in a `.npy` file; nothing is read before it is needed."""
    in_X, in_y = (_memory_mapped(path) for path in (X, y))
    if in_X.ndim != 2 or in_X.dtype.kind != "f":
        raise DataError(f"{X} must hold floating-point numbers of shape (m, d); it holds {in_X.dtype} {in_X.shape}")
    if in_y.shape != in_X.shape[:1]:
        raise DataError(f"{y} must have shape ({len(in_X)},), a value per row of {X}; it has {in_y.shape}")

    many = _rows_of_a_batch(in_X.shape[1] * in_X.itemsize) if rows is None else rows

    def read() -> Iterator[Pair]:
        for first in range(0, len(in_X), many):
            yield _rows_of(in_X, first, many), _rows_of(in_y, first, many)

    return Batches(os.fspath(X), read, len(in_X))


def _rows_of_a_batch(bytes_of_a_row: int) -> int:
    return max(1, BATCH // max(1, bytes_of_a_row))


def _rows_of(mapped: np.memmap, first: int, rows: int) -> np.ndarray:
    """Read, not mapped: what has been mapped once stays in the process's memory as long as there is room."""
    rows = min(rows, len(mapped) - first)
    if not mapped.flags.c_contiguous:
        return np.array(mapped[first : first + rows])
    each = mapped.itemsize * (mapped.size // len(mapped))
    begin = mapped.offset + first * each
    read = np.fromfile(str(mapped.filename), mapped.dtype, rows * each // mapped.itemsize, offset=begin)
    if read.size * mapped.itemsize < rows * each:
        raise DataError(f"{mapped.filename} ends before row {first + rows}: it has become shorter")
    return read.reshape(rows, *mapped.shape[1:])


def _memory_mapped(path: str | os.PathLike) -> np.memmap:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} must be a .npy file of numbers, whole: {error}") from error


def from_table(
    *paths: str | os.PathLike, target: str, columns: Sequence[str] | None = None, rows: int | None = None
) -> Batches:
    """Parquet or CSV files of the same columns, one after the other, by pyarrow (`pip install 'jax-course[data]'`).

    target is the column of y; columns are those of X, in this order: by default all others of the first file. There is
    no column of ones among them: `from_table(…).map(features.with_bias)`. No file is a source without rows: that of a
    process which has none, where others have some.
    """
    names = [os.fspath(path) for path in paths]
    if not names:
        return Batches("a table of no files", lambda: iter(()), 0)
    chosen = _columns_of(names[0], target, columns)

    many = _rows_of_a_batch(8 * len(chosen)) if rows is None else rows

    def read() -> Iterator[Pair]:
        for name in names:
            yield from _batches_of(name, target, chosen, many)

    def place(row: int) -> str:
        for name in names[:-1]:
            rows_there = _opened(name).count_rows()
            if row < rows_there:
                return f"{name}, row {row}"
            row -= rows_there
        return f"{names[-1]}, row {row}"

    return Batches(", ".join(names), read, None, place)


def _columns_of(name: str, target: str, columns: Sequence[str] | None) -> list[str]:
    there = _opened(name).schema.names
    wanted = [column for column in there if column != target] if columns is None else list(columns)
    missing = [column for column in (target, *wanted) if column not in there]
    if missing:
        raise DataError(f"{name} has no column {', '.join(missing)}; it has {', '.join(there)}")
    return wanted


def _opened(name: str) -> Any:
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


def _batches_of(name: str, target: str, columns: list[str], rows: int) -> Iterator[Pair]:
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


def mapped(source: Iterable[Pair], function: Callable) -> Batches:
    """The source with function(X) in place of X: a column of ones, polynomials, other units. Course 3.2, 6.3.

    function: X (rows, d) → Φ (rows, n), floating-point numbers of NumPy or JAX, each row of Φ from its row of X alone:
    `features.with_bias`, `scale.standardize(source)`, a function of one's own. It is called in every pass. A batch that
    is shorter than one before is filled up for it, by its first row, so that JAX compiles for one number of rows.
    ValueError: Φ has other rows, or is no matrix of floating-point numbers; or other rows of X change a row of Φ.

    >>> from jax_course import features
    >>> [X.tolist() for X, _ in mapped([(np.array([[2.0], [3.0]]), np.array([5.0, 7.0]))], features.with_bias)]
    [[[1.0, 2.0], [1.0, 3.0]]]
    """
    refuse_an_iterator(source)
    if not callable(function):
        raise TypeError(f"a map must be a function of X, like features.with_bias; got {type(function).__name__}")

    def read() -> Iterator[Pair]:
        most, tried = 0, False
        for row, X, y in numbered(source):
            if len(X):
                most = max(most, len(X))
                where = partial(place_of, source, row)
                result = _applied(function, X, most, where)
                if not tried and len(X) > 1:
                    _refuse_mixed_rows(function, X, result, most, where)
                    tried = True
                yield result, y

    return Batches(name_of(source), read, getattr(source, "rows", None), partial(place_of, source))


def _applied(function: Callable, X: np.ndarray, rows: int, where: Callable[[], str]) -> np.ndarray:
    """function(X), of X filled up to so many rows and cut again."""
    given = np.concatenate([X, np.repeat(X[:1], rows - len(X), axis=0)]) if len(X) < rows else X.view()
    given.flags.writeable = False  # a function that writes into X would change the data for the next pass
    try:
        result = np.asarray(function(given))
    except Exception as error:
        error.add_note(f"in the map {_called(function)}, from {where()} on")
        raise
    if result.ndim != 2 or len(result) != rows or result.dtype.kind != "f":
        raise ValueError(
            f"from {where()} on: a map must give floating-point numbers of shape ({rows}, n), a row for each row of X; "
            f"{_called(function)} gives {result.dtype} of shape {result.shape}"
        )
    return result[: len(X)]


def _refuse_mixed_rows(
    function: Callable, X: np.ndarray, result: np.ndarray, rows: int, where: Callable[[], str]
) -> None:
    """Refuse a function that gives something else for the first rows when others follow them."""
    half = len(X) // 2
    again = _applied(function, X[:half], rows, where)
    before = result[:half]
    digits = float(np.sqrt(np.finfo(result.dtype).eps))
    size = np.max(np.abs(before), axis=0, where=np.isfinite(before), initial=0)
    if again.shape != before.shape or not np.isclose(again, before, digits, digits * size, equal_nan=True).all():
        raise ValueError(
            f"from {where()} on: each row that a map gives must depend on its own row of X alone; other rows change "
            f"what {_called(function)} gives (for the mean and deviation of all rows: scale.standardize(source))"
        )


def _called(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)


class Skipping:
    """The rows of a source without those that hold NaN or infinity; `skipped` counts them in the last pass."""

    def __init__(self, source: Iterable[Pair]):
        refuse_an_iterator(source)
        self.source, self.skipped = source, 0
        self.name, self.rows = name_of(source), getattr(source, "rows", None)

    def __iter__(self) -> Iterator[Pair]:
        self.skipped = 0
        for _, X, y in numbered(self.source):
            finite = _finite_rows(X, y)
            self.skipped += int(np.sum(~finite))
            yield (X, y) if finite.all() else (X[finite], y[finite])

    def map(self, function: Callable) -> Batches:
        """The source with function(X) in place of X, as by `mapped`."""
        return mapped(self, function)

    def place(self, row: int) -> str:
        """The place, in the source, of a row that is not left out."""
        for first, X, y in numbered(self.source):
            kept = np.flatnonzero(_finite_rows(X, y))
            if row < len(kept):
                return place_of(self.source, first + int(kept[row]))
            row -= len(kept)
        return f"{self.name}, {row} rows behind the last"


def skipping(source: Iterable[Pair]) -> Skipping:
    """The source without the rows that hold NaN or infinity.

    >>> some = skipping([(np.array([[1.0], [np.nan]]), np.array([2.0, 3.0]))])
    >>> [len(X) for X, _ in some], some.skipped
    ([1], 1)
    """
    return Skipping(source)


def _finite_rows(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.isfinite(X).all(axis=1) & np.isfinite(y)


class Watched:
    """A source whose passes are drawn as a bar on stderr, with rows a second and the time left."""

    def __init__(self, source: Iterable[Pair]):
        refuse_an_iterator(source)
        self.source, self.passes = source, 0
        self.name, self.rows = name_of(source), getattr(source, "rows", None)
        self.place = partial(place_of, source)

    def __iter__(self) -> Iterator[Pair]:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("the bar is drawn by rich: pip install 'jax-course[experiments]'") from error
        self.passes += 1
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows")),
            *(TextColumn("{task.fields[speed]}"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=Console(stderr=True)) as shown:
            task = shown.add_task(f"{self.name}, pass {self.passes}", total=self.rows, speed="")
            for _, X, y in numbered(self.source):
                yield X, y
                shown.advance(task, len(X))
                speed = shown.tasks[0].speed
                shown.update(task, speed=f"{speed:,.0f} a second" if speed else "")

    def map(self, function: Callable) -> Batches:
        """The source with function(X) in place of X, as by `mapped`."""
        return mapped(self, function)


def watched(source: Iterable[Pair]) -> Watched:
    """The source, its passes drawn as a bar on stderr: `fit_logistic(watched(source))`.

    >>> watched(Batches("rows.npy", lambda: iter(()), 10)).name
    'rows.npy'
    """
    return Watched(source)


def name_of(source: Any) -> str:
    """What errors and bars call it."""
    return getattr(source, "name", type(source).__name__)


def place_of(source: Any, row: int) -> str:
    """The file and the row in it, for the number of a row of the source, as errors say it."""
    place = getattr(source, "place", None)
    return f"{name_of(source)}, row {row}" if place is None else place(row)


def refuse_an_iterator(source: Any) -> None:
    """TypeError: a source that one pass ends."""
    if isinstance(source, Iterator):
        raise TypeError("a source must be iterable more than once, like a list; got an iterator, which one pass ends")


def numbered(source: Iterable[Pair]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The number of its first row, X and y of every batch."""
    row = 0
    for pair in source:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            parts = f"{len(pair)} arrays" if isinstance(pair, tuple | list) else type(pair).__name__
            raise TypeError(
                f"{name_of(source)}, from row {row} on: a batch must be a pair (X, y); got {parts} (streams take no "
                "weights: leave out the rows that do not count)"
            )
        X, y = (np.asarray(a) for a in pair)
        yield row, X, y
        row += len(X)
