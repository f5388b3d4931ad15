"""One pass over a source: Σ of_batch(X, y, weights), a batch in memory while the next one is read.

The last batch is filled up with rows of weight 0, so that one program serves all batches. The sums are carried in twice
the precision: a thousand batches cost no digit. In a program of several processes each passes over its own rows, and
one all-reduce adds up what they found.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import arrays
from jax_course.linalg.extended import exact_sum
from jax_course.scale import processes
from jax_course.scale.batches import DataError, Pair, name_of, numbered, refuse_an_iterator

AT_ONCE = 3  # batches: one is worked on, one waits, one is read


def fold(source: Iterable[Pair], of_batch: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Σ of_batch(X, y, w, *arguments) over all batches, a pytree of arrays, and how many rows there were.

    In a program of several processes, over the batches of all of them; each must call it, and gets the same sums.
    DataError: a row holds NaN or infinity, or a batch does not fit the others; it says where. RuntimeError: another
    process had an error.

    >>> fold([(np.ones((2, 1)), np.array([3.0, 4.0]))], lambda X, y, w: jnp.sum(w * y))
    (Array(7., dtype=float64), 2)
    """
    with processes.shared_errors():
        sums, rows, kind = fold_here(source, of_batch, *arguments)
    parts = processes.exchange({"rows": rows, "kind": kind, "sums": str(jax.tree.map(_shape_and_dtype, sums))})
    kind = one_kind(source, [part["kind"] for part in parts])
    if sums is None:
        sums, _ = _nothing(of_batch, *_row_of_kind(kind), *arguments)
    if len({part["sums"] for part in parts if part["rows"]}) > 1:
        raise DataError(f"{name_of(source)}: y must have one dtype in all processes, for sums of one dtype")
    return processes.total(sums), sum(part["rows"] for part in parts)


def fold_here(source: Iterable[Pair], of_batch: Callable[..., Any], *arguments: Any) -> tuple[Any, int, Any]:
    """`fold` over the batches of this process alone, and their kind; the sums are None where it has no rows."""
    total, rows, kind = None, 0, None
    for size, batch in ahead(_ready(source)):
        total = _nothing(of_batch, *batch, *arguments) if total is None else total
        # waiting here bounds the memory: the next batch is read meanwhile, none after it
        total = jax.block_until_ready(_added(of_batch, total, *batch, *arguments))
        rows, kind = rows + size, _kind(*batch[:2])
    if total is None:
        return None, 0, None
    sums = jax.tree.map(jnp.add, *total)
    if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(sums)):
        _refuse_what_is_not_finite(source)
    return sums, rows, kind


def count_rows(source: Iterable[Pair]) -> int:
    """The rows of all processes; a pass, where the source does not know the number of its own."""
    with processes.shared_errors():
        rows = getattr(source, "rows", None)
        rows = sum(len(X) for X, _ in alike(source)) if rows is None else rows
    return sum(processes.exchange(rows))


def _kind(X: Any, y: Any) -> list:
    """Columns, dtype of X, dtype of y."""
    return [X.shape[1], str(X.dtype), str(y.dtype)]


def _row_of_kind(kind: list) -> list[Array]:
    """X, y and w of one row, of weight 0."""
    columns, *dtypes = kind
    return [jnp.zeros(shape, dtype) for shape, dtype in zip(((1, columns), 1, 1), (*dtypes, dtypes[0]), strict=True)]


def one_kind(source: Iterable[Pair], kinds: list) -> list:
    """That of the first process which has rows; refused where columns or the dtype of X are others elsewhere."""
    first = next((kind for kind in kinds if kind is not None), None)
    if first is None:
        raise DataError(f"{name_of(source)} must hold at least one row; it holds none")
    for number, kind in enumerate(kinds):
        if kind is not None and kind[:2] != first[:2]:
            raise DataError(
                f"the rows of all processes must be of the same columns: process {number} has {kind[0]} of {kind[1]}, "
                f"process {kinds.index(first)} has {first[0]} of {first[1]}"
            )
    return first


def _shape_and_dtype(leaf: Array) -> str:
    return f"{leaf.dtype}{leaf.shape}"


def _nothing(of_batch: Callable, *batch: Any) -> tuple[Any, Any]:
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(of_batch, *batch))
    return zeros, jax.tree.map(jnp.zeros_like, zeros)


@partial(jax.jit, static_argnums=0)
def _added(of_batch: Callable, total: tuple[Any, Any], *batch: Any) -> tuple[Any, Any]:
    sums, structure = jax.tree.flatten(total[0])
    pairs = [exact_sum(a, b) for a, b in zip(sums, jax.tree.leaves(of_batch(*batch)), strict=True)]
    errors = [before + error for before, (_, error) in zip(jax.tree.leaves(total[1]), pairs, strict=True)]
    return structure.unflatten([s for s, _ in pairs]), structure.unflatten(errors)


def ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """The same, each made by a thread while the one before is worked on."""
    x64 = jax.config.read("jax_enable_x64")  # of this thread

    def following() -> Any:
        with jax.enable_x64(x64):
            return next(batches, None)

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(following)
        while (batch := coming.result()) is not None:
            coming = reader.submit(following)
            yield batch


def _ready(source: Iterable[Pair]) -> Iterator[tuple[int, list[Array]]]:
    """How many rows a batch has, and X, y and w on the device, filled up to the most rows so far.

    They lie in memory that is used again, two batches later: memory that is new for each takes longer than reading.
    """
    rooms: list[_Room | None] = [None] * AT_ONCE
    rows, numbers, turn = 0, None, 0
    for X, y in alike(source):
        turn = (turn + 1) % AT_ONCE
        rows, numbers = max(len(X), rows), y.dtype if numbers is None else np.result_type(numbers, y.dtype)
        room = rooms[turn]
        if room is None or rows > room.rows or numbers != room.numbers:
            room = rooms[turn] = _Room(rows, X, numbers)
        yield len(X), room.filled(X, y)


class _Room:
    """Memory for batches of so many rows at most, with such an X, and a y of these numbers."""

    def __init__(self, rows: int, X: np.ndarray, numbers: np.dtype):
        self.rows, self.numbers = rows, numbers
        like = (X.shape[1:], X.dtype), ((), numbers), ((), X.dtype)
        self.X, self.y, self.w = (arrays.room_for((rows, *shape), dtype) for shape, dtype in like)

    def filled(self, X: np.ndarray, y: np.ndarray) -> list[Array]:
        """X, y and weights; behind the last row the first one again, whose label is one, with weight 0."""
        for room, rows, rest in ((self.X, X, X[:1]), (self.y, y, y[:1]), (self.w, 1, 0)):
            np.copyto(room[: len(X)], rows, casting="unsafe")
            room[len(X) :] = rest
        return [arrays.as_it_lies(room) for room in (self.X, self.y, self.w)]


def alike(source: Iterable[Pair]) -> Iterator[Pair]:
    """The batches that hold rows; refused where one does not fit the first."""
    refuse_an_iterator(source)
    d, dtype = None, None
    for row, X, y in numbered(source):
        d, dtype = (X.shape[1], X.dtype) if d is None and X.ndim == 2 else (d, dtype)
        if X.ndim != 2 or X.shape[1] != d or X.dtype.kind != "f" or X.dtype != dtype or y.shape != X.shape[:1]:
            numbers = "floating-point numbers" if dtype is None or dtype.kind != "f" else dtype
            raise DataError(
                f"{name_of(source)}, from row {row} on: a batch must be X (rows, {d}) of {numbers} and "
                f"y (rows,); got {X.dtype} {X.shape} and {y.dtype} {y.shape}"
            )
        if len(X):
            yield X, y


def _refuse_what_is_not_finite(source: Iterable[Pair]) -> None:
    row = 0
    for X, y in source:
        bad = ~(np.isfinite(X).all(axis=1) & np.isfinite(y))
        if bad.any():
            raise DataError(
                f"{name_of(source)}, row {row + int(np.argmax(bad))}: all numbers must be finite; one is not "
                "(scale.skipping leaves such rows out and counts them)"
            )
        row += len(X)
