"""Sources of data larger than memory, read a batch of rows at a time, and maps of their batches.

A source is anything that can be iterated more than once and gives pairs of X (rows, d) and y (rows,): a list, or the
result of `from_npy`, `from_table`, `skipping`, `with_progress`, `mapped` and `Batches`. One batch is computed with
while the next one is read.

Errors name the file and the row, counted from 0.

No source adds a column of ones. `source.map(features.with_bias)` does, and `map` takes any other features as well; for
a list of pairs it is `mapped(pairs, features.with_bias)`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


class DataError(ValueError):
    """Data that cannot be fitted; the message names the file and the row."""


@dataclass(frozen=True)
class Batches:
    """A source with a name for errors, and its number of rows if that is known.

    open: gives an iterator over the batches, from the first row on.
    place: turns the number of a row of the source into its file and its number in the file, for errors.

    >>> [len(X) for X, _ in Batches("ones", lambda: iter([(np.ones((2, 1)), np.ones(2))]))]
    [2]
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


def mapped(source: Iterable[Pair], function: Callable) -> Batches:
    """The source with function(X) in place of X: a column of ones, polynomials, other units. Course 3.2, 6.3.

    function: X (rows, d) → Φ (rows, n), floating-point numbers of NumPy or JAX, each row of Φ from its row of X alone:
    `features.with_bias`, `scale.standardize(source)`, or your own function. It is called in every pass. A batch that is
    shorter than an earlier one is padded with its first row, so that JAX compiles for one number of rows.
    ValueError: Φ is no floating-point matrix with a row for each row of X, or a row of Φ depends on other rows of X.

    >>> from jax_course import features
    >>> [X.tolist() for X, _ in mapped([(np.array([[2.0], [3.0]]), np.array([5.0, 7.0]))], features.with_bias)]
    [[[1.0, 2.0], [1.0, 3.0]]]
    """
    refuse_an_iterator(source)
    if not callable(function):
        raise TypeError(f"a map must be a function of X, like features.with_bias; got {type(function).__name__}")

    def read() -> Iterator[Pair]:
        size, checked = 0, False
        for row, X, y in numbered(source):
            if len(X):
                size = max(size, len(X))
                place = partial(place_of, source, row)
                result = _applied(function, X, size, place)
                if not checked and len(X) > 1:
                    _refuse_mixed_rows(function, X, result, size, place)
                    checked = True
                yield result, y

    return Batches(name_of(source), read, getattr(source, "rows", None), partial(place_of, source))


def _applied(function: Callable, X: np.ndarray, rows: int, place: Callable[[], str]) -> np.ndarray:
    """function(X), computed on X padded to this number of rows; the result without the padding."""
    padded = np.concatenate([X, np.repeat(X[:1], rows - len(X), axis=0)]) if len(X) < rows else X.view()
    padded.flags.writeable = False  # a function that writes into X would change the data for the next pass
    try:
        result = np.asarray(function(padded))
    except Exception as error:
        error.add_note(f"in the map {_function_name(function)}, from {place()} on")
        raise
    if result.ndim != 2 or len(result) != rows or result.dtype.kind != "f":
        raise ValueError(
            f"from {place()} on: a map must give floating-point numbers of shape ({rows}, n), a row for each row of X; "
            f"{_function_name(function)} gives {result.dtype} of shape {result.shape}"
        )
    return result[: len(X)]


def _refuse_mixed_rows(
    function: Callable, X: np.ndarray, result: np.ndarray, rows: int, place: Callable[[], str]
) -> None:
    """Refuse a function whose result for the first half of the rows depends on the other half."""
    half = len(X) // 2
    expected, alone = result[:half], _applied(function, X[:half], rows, place)
    rtol = float(np.sqrt(np.finfo(result.dtype).eps))
    size = np.max(np.abs(expected), axis=0, where=np.isfinite(expected), initial=0)
    if alone.shape != expected.shape or not np.isclose(alone, expected, rtol, rtol * size, equal_nan=True).all():
        raise ValueError(
            f"from {place()} on: each row that a map gives must depend on its own row of X alone; other rows change "
            f"the result of {_function_name(function)} (for the mean and deviation of all rows: "
            "scale.standardize(source))"
        )


def _function_name(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)


def name_of(source: Any) -> str:
    """The name of a source in errors and progress bars: its attribute `name`, or its type."""
    return getattr(source, "name", type(source).__name__)


def place_of(source: Any, row: int) -> str:
    """The file and the row in it, as text for errors, of a row of the source."""
    place = getattr(source, "place", None)
    return f"{name_of(source)}, row {row}" if place is None else place(row)


def refuse_an_iterator(source: Any) -> None:
    """Raise TypeError if the source is an iterator, which can be passed over only once."""
    if isinstance(source, Iterator):
        raise TypeError("a source must be iterable more than once, like a list; got an iterator, which one pass ends")


def numbered(source: Iterable[Pair]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each batch the number of its first row, X and y. TypeError: a batch is no pair."""
    row = 0
    for pair in source:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            parts = f"{len(pair)} arrays" if isinstance(pair, tuple | list) else type(pair).__name__
            hint = ": streams take no weights, leave out the rows that do not count" if parts == "3 arrays" else ""
            raise TypeError(f"from {place_of(source, row)} on: a batch must be a pair (X, y); got {parts}{hint}")
        X, y = (np.asarray(a) for a in pair)
        yield row, X, y
        row += len(X)
