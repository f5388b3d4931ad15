"""One pass over a source: Σ of_batch(X, y, weights), a batch in memory while the next one is read.

The last batch is filled up with rows of weight 0, so that one program serves all batches. The sums are carried in twice
the precision: a thousand batches cost no digit.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course import arrays
from jax_course.linalg.extended import exact_sum
from jax_course.scale.batches import DataError, Pair, name_of


def fold(source: Iterable[Pair], of_batch: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Σ of_batch(X, y, w, *arguments) over all batches, a pytree of arrays, and how many rows there were.

    DataError: a row holds NaN or infinity, or a batch does not fit the others; it says where.

    >>> fold([(np.ones((2, 1)), np.array([3.0, 4.0]))], lambda X, y, w: jnp.sum(w * y))
    (Array(7., dtype=float64), 2)
    """
    total, rows, room = None, 0, 0
    for X, y in _ahead(_alike(source)):
        room = max(room, len(X))
        w = np.zeros(room, X.dtype)
        w[: len(X)] = 1
        batch = [arrays.numbers(a, name) for a, name in zip((*_filled(X, y, room), w), ("X", "y", "w"), strict=True)]
        total = _nothing(of_batch, *batch, *arguments) if total is None else total
        # waiting here bounds the memory: the next batch is read meanwhile, none after it
        total = jax.block_until_ready(_added(of_batch, total, *batch, *arguments))
        rows += len(X)
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


def _ahead(batches: Iterator[Pair]) -> Iterator[Pair]:
    """The same, each read by a thread while the one before is worked on."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (pair := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield pair


def _alike(source: Iterable[Pair]) -> Iterator[Pair]:
    """The batches that hold rows; refused where one does not fit the first."""
    if iter(source) is source:
        raise TypeError("a source must be iterable more than once, like a list; got an iterator, which one pass ends")
    d, row = None, 0
    for pair in source:
        X, y = (np.asarray(a) for a in pair)
        d = X.shape[1] if d is None and X.ndim == 2 else d
        if X.ndim != 2 or X.shape[1] != d or X.dtype.kind != "f" or y.shape != X.shape[:1]:
            raise DataError(
                f"{name_of(source)}, from row {row} on: a batch must be X (rows, {d}) of floating-point numbers and "
                f"y (rows,); got {X.dtype} {X.shape} and {y.dtype} {y.shape}"
            )
        row += len(X)
        if len(X):
            yield X, y


def _filled(X: np.ndarray, y: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """With the first row repeated: its label is one, and its weight is 0."""
    missing = rows - len(X)
    if not missing:
        return X, y
    return np.concatenate([X, np.repeat(X[:1], missing, axis=0)]), np.concatenate([y, np.repeat(y[:1], missing)])


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
