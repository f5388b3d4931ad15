"""One pass over a source: Σ batch_sums(X, y, weights). The next batch is read while one is computed with.

A short batch is padded with rows of weight 0, so that one program serves all batches. The sums are carried in twice the
precision: a thousand batches cost no digit. In a program of several processes each passes over its own rows, and one
all-reduce adds up the sums of all processes.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.linalg.double_double import exact_sum
from jax_course.scale import processes
from jax_course.scale.batches import DataError, Pair, name_of, numbered, place_of, refuse_an_iterator
from jax_course.scale.wrappers import finite_rows

BUFFERS = 3  # batches in memory: one is computed with, one waits, one is read


def fold(source: Iterable[Pair], batch_sums: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Σ batch_sums(X, y, w, *arguments) over all batches, a pytree of arrays; and the number of rows.

    batch_sums: a function of JAX of X (rows, d), y (rows,), weights w (rows,), 0 for padding, and the arguments.
    In a program of several processes every process must call it, and gets the sums over the rows of all.
    DataError: a row holds NaN or infinity, or a batch does not fit the first; it names the row. RuntimeError: another
    process had an error.

    >>> fold([(np.ones((2, 1)), np.array([3.0, 4.0]))], lambda X, y, w: jnp.sum(w * y))
    (Array(7., dtype=float64), 2)
    """
    processes.connect()
    return global_sums(source, batch_sums, *arguments)


def global_sums(source: Iterable[Pair], batch_sums: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """The result of `fold`, once the processes are connected."""
    with processes.shared_errors():
        sums, rows, kind = local_sums(source, batch_sums, *arguments)
    form = sha256(str(jax.tree.map(_shape_and_dtype, sums)).encode()).hexdigest()  # short, whatever the pytree
    parts = processes.exchange({"rows": rows, "kind": kind, "form": form})
    kind = common_kind(source, [part["kind"] for part in parts])
    if sums is None:
        sums, _ = _zero_sums(batch_sums, *_row_of_kind(kind), *arguments)
    if len({part["form"] for part in parts if part["rows"]}) > 1:
        raise DataError(f"{name_of(source)}: y must have one dtype in all processes, for sums of one dtype")
    return processes.total(sums), sum(part["rows"] for part in parts)


def local_sums(source: Iterable[Pair], batch_sums: Callable[..., Any], *arguments: Any) -> tuple[Any, int, Any]:
    """The sums over the batches of this process, its rows, and their kind. Without rows the sums and kind are None."""
    total, rows, kind = None, 0, None
    for size, batch in prefetch(_device_batches(source)):
        total = _zero_sums(batch_sums, *batch, *arguments) if total is None else total
        # waiting bounds the memory: meanwhile the next batch is read, none after it
        total = jax.block_until_ready(_added(batch_sums, total, *batch, *arguments))
        rows, kind = rows + size, _kind(*batch[:2])
    if total is None:
        return None, 0, None
    sums = jax.tree.map(jnp.add, *total)
    if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(sums)):
        _refuse_nonfinite_rows(source)
    return sums, rows, kind


def count_rows(source: Iterable[Pair]) -> int:
    """The number of rows of all processes. A process whose source does not know its own takes a pass to count them."""
    with processes.shared_errors():
        rows = getattr(source, "rows", None)
        rows = sum(len(X) for X, _ in validated(source)) if rows is None else int(rows)
    return sum(processes.exchange(rows))


def _kind(X: Any, y: Any) -> list:
    """The number of columns, the dtype of X, the dtype of y."""
    return [X.shape[1], str(X.dtype), str(y.dtype)]


def _row_of_kind(kind: list) -> list[Array]:
    """X, y and w of one row of this kind, of weight 0."""
    columns, *dtypes = kind
    return [jnp.zeros(shape, dtype) for shape, dtype in zip(((1, columns), 1, 1), (*dtypes, dtypes[0]), strict=True)]


def common_kind(source: Iterable[Pair], kinds: list) -> list:
    """The kind of the first process that has rows.

    DataError: no process has rows, or two differ in the number of columns or in the dtype of X.
    """
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


def _zero_sums(batch_sums: Callable, *batch: Any) -> tuple[Any, Any]:
    """Sums of nothing, and their rounding errors."""
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(batch_sums, *batch))
    return zeros, jax.tree.map(jnp.zeros_like, zeros)


@partial(jax.jit, static_argnums=0)
def _added(batch_sums: Callable, total: tuple[Any, Any], *batch: Any) -> tuple[Any, Any]:
    """The sums and their rounding errors after one more batch."""
    sums, structure = jax.tree.flatten(total[0])
    pairs = [exact_sum(a, b) for a, b in zip(sums, jax.tree.leaves(batch_sums(*batch)), strict=True)]
    errors = [before + error for before, (_, error) in zip(jax.tree.leaves(total[1]), pairs, strict=True)]
    return structure.unflatten([s for s, _ in pairs]), structure.unflatten(errors)


def prefetch(batches: Iterator[Any]) -> Iterator[Any]:
    """The batches; a thread makes the next one while the caller computes with one."""
    x64 = jax.config.read("jax_enable_x64")  # of this thread

    def next_batch() -> Any:
        with jax.enable_x64(x64):
            return next(batches, None)

    with ThreadPoolExecutor(1) as reader:
        future = reader.submit(next_batch)
        while (batch := future.result()) is not None:
            future = reader.submit(next_batch)
            yield batch


def _device_batches(source: Iterable[Pair]) -> Iterator[tuple[int, list[Array]]]:
    """For each batch its number of rows, and X, y and w on the device, padded to the largest number of rows so far.

    Their memory is used again after `BUFFERS` batches: to allocate it for each takes longer than reading.
    """
    buffers: list[_Buffer | None] = [None] * BUFFERS
    rows, dtype, turn = 0, None, 0
    for X, y in validated(source):
        turn = (turn + 1) % BUFFERS
        rows, dtype = max(len(X), rows), y.dtype if dtype is None else np.result_type(dtype, y.dtype)
        buffer = buffers[turn]
        if buffer is None or rows > buffer.rows or dtype != buffer.y.dtype:
            buffer = buffers[turn] = _Buffer(rows, X, dtype)
        yield len(X), buffer.filled(X, y)


class _Buffer:
    """Memory for the rows of a batch: X with the columns and dtype of this X, y of this dtype, and weights."""

    def __init__(self, rows: int, X: np.ndarray, y_dtype: np.dtype):
        self.rows = rows
        arrays = (X.shape[1:], X.dtype), ((), y_dtype), ((), X.dtype)
        self.X, self.y, self.w = (inputs.aligned_empty((rows, *shape), dtype) for shape, dtype in arrays)

    def filled(self, X: np.ndarray, y: np.ndarray) -> list[Array]:
        """X, y and weights 1, padded with copies of the first row, whose label is valid, of weight 0."""
        for buffer, rows, padding in ((self.X, X, X[:1]), (self.y, y, y[:1]), (self.w, 1, 0)):
            np.copyto(buffer[: len(X)], rows, casting="unsafe")
            buffer[len(X) :] = padding
        return [inputs.zero_copy(buffer) for buffer in (self.X, self.y, self.w)]


def validated(source: Iterable[Pair]) -> Iterator[Pair]:
    """The batches that hold rows. DataError: one has another shape or dtype than the first."""
    refuse_an_iterator(source)
    d, dtype = None, None
    for row, X, y in numbered(source):
        d, dtype = (X.shape[1], X.dtype) if d is None and X.ndim == 2 else (d, dtype)
        if X.ndim != 2 or X.shape[1] != d or X.dtype.kind != "f" or X.dtype != dtype or y.shape != X.shape[:1]:
            numbers = "floating-point numbers" if dtype is None or dtype.kind != "f" else dtype
            raise DataError(
                f"from {place_of(source, row)} on: a batch must be X (rows, {d}) of {numbers} and "
                f"y (rows,); got {X.dtype} {X.shape} and {y.dtype} {y.shape}"
            )
        if len(X):
            yield X, y


def _refuse_nonfinite_rows(source: Iterable[Pair]) -> None:
    for first, X, y in numbered(source):
        finite = finite_rows(X, y)
        if not finite.all():
            raise DataError(
                f"{place_of(source, first + int(np.argmin(finite)))}: all numbers must be finite; one is not "
                "(scale.skipping leaves such rows out and counts them)"
            )
