"""One pass over a source: Σ of_batch(X, y, weights), a batch in memory while the next one is read.

The last batch is filled up with rows of weight 0, so that one program serves all batches. The sums are carried in twice
the precision: a thousand batches cost no digit.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import arrays
from jax_course.checkpoint import load, save
from jax_course.linalg.extended import exact_sum
from jax_course.optimization.solution import Evaluations, Method, Solution, Status
from jax_course.scale.batches import DataError, Pair, name_of, numbered, refuse_an_iterator

FIRST = 2**25  # bytes: what a fit of a stream begins with
AT_ONCE = 3  # batches: one is worked on, one waits, one is read

File = str | os.PathLike | None


def fold(source: Iterable[Pair], of_batch: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Σ of_batch(X, y, w, *arguments) over all batches, a pytree of arrays, and how many rows there were.

    DataError: a row holds NaN or infinity, or a batch does not fit the others; it says where.

    >>> fold([(np.ones((2, 1)), np.array([3.0, 4.0]))], lambda X, y, w: jnp.sum(w * y))
    (Array(7., dtype=float64), 2)
    """
    total, rows = None, 0
    for size, batch in ahead(_ready(source)):
        total = _nothing(of_batch, *batch, *arguments) if total is None else total
        # waiting here bounds the memory: the next batch is read meanwhile, none after it
        total = jax.block_until_ready(_added(of_batch, total, *batch, *arguments))
        rows += size
    if total is None:
        raise DataError(f"{name_of(source)} must hold at least one row; it holds none")
    sums = jax.tree.map(jnp.add, *total)
    if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(sums)):
        _refuse_what_is_not_finite(source)
    return sums, rows


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
    rooms, turn = [_Room(0, np.zeros((0, 0)), np.zeros(0))] * AT_ONCE, 0
    for X, y in alike(source):
        turn = (turn + 1) % AT_ONCE
        rows = max(len(X), *(room.rows for room in rooms))
        if rows > rooms[turn].rows:
            rooms[turn] = _Room(rows, X, y)
        yield len(X), rooms[turn].filled(X, y)


class _Room:
    """Memory for batches of so many rows at most, like these."""

    def __init__(self, rows: int, X: np.ndarray, y: np.ndarray):
        self.rows = rows
        like = (X.shape[1:], X.dtype), ((), y.dtype), ((), X.dtype)
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
    d = None
    for row, X, y in numbered(source):
        d = X.shape[1] if d is None and X.ndim == 2 else d
        if X.ndim != 2 or X.shape[1] != d or X.dtype.kind != "f" or y.shape != X.shape[:1]:
            raise DataError(
                f"{name_of(source)}, from row {row} on: a batch must be X (rows, {d}) of floating-point numbers and "
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


def first_rows(source: Iterable[Pair]) -> Pair:
    """The first rows of a source, `FIRST` bytes of them, or all."""
    some, size = [], 0
    for X, y in alike(source):
        some.append((X, y))
        size += X.nbytes
        if size >= FIRST:
            break
    if not some:
        raise DataError(f"{name_of(source)} must hold at least one row; it holds none")
    Xs, ys = zip(*some, strict=True)
    return np.concatenate(Xs), np.concatenate(ys)


def resumed(checkpoint: File, like: Any) -> Any:
    """What the file holds, where there is one; None where there is none."""
    return load(checkpoint, like) if checkpoint is not None and os.path.exists(checkpoint) else None


def keep(checkpoint: File, reached: Any) -> None:
    """Write the file, where one is wanted."""
    if checkpoint is not None:
        save(checkpoint, reached)


def solution(theta: Array, cost: Array, norm: Array, passes: int, status: Status, method: Method) -> Solution:
    """With the passes as steps and as evaluations."""
    steps, code, way = (jnp.array(number, jnp.int32) for number in (passes, int(status), int(method)))
    return Solution(theta, cost, norm, steps, code, Evaluations(passes, passes, passes), way)
