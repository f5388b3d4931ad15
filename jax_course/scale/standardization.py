r"""Means and deviations of the columns of data larger than memory.

    D = (X − c) / s,  mean = c + s ΣD / m,  deviation² = s² (ΣD² / m − (ΣD / m)²)

c and s are the mean and the mean distance from it of the first batch, so that nothing cancels and no square over- or
underflows; where all rows show that they mislead, as in a file that is sorted, a further pass takes those of all rows.
Every sum is carried in twice the precision, within a batch and over all of them.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from math import isqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course import arrays
from jax_course.data import Standardization
from jax_course.linalg.extended import exact_sum
from jax_course.scale.batches import Batches, DataError, Pair, name_of
from jax_course.scale.fold import alike, fold, fold_here, one_kind
from jax_course.scale.processes import broadcast, exchange, shared_errors

MOST_PASSES = 3
FAR = 3.0  # deviations: how far from the mean c may lie, so that a digit is lost at most


def standardize(source: Iterable[Pair]) -> Standardization:
    """The transform that gives every column of all rows mean 0 and deviation 1 (a constant column: 0), in one pass.

    It is that of `data.standardize` of all rows, and is applied by `source.map(scale.standardize(source))`; new data
    gets it by a call. A second pass is taken where the first rows mislead. DataError: a row is not finite.

    >>> import numpy as np
    >>> to_units = standardize([(np.array([[1.0, 5.0]]), np.array([0.0])), (np.array([[3.0, 5.0]]), np.array([1.0]))])
    >>> to_units(np.array([[5.0, 5.0]]))
    Array([[3., 0.]], dtype=float64)
    """
    with shared_errors():
        found = _of_first_batch(source)
    kinds = exchange(None if found is None else [found.mean.size, str(found.mean.dtype)])
    columns, dtype = one_kind(source, kinds)
    if found is None:
        nothing = jnp.zeros(columns, dtype)
        found = _Found(nothing, nothing, nothing, jnp.array(False))
    # that of one process, since those of several could differ by a rounding error
    found = broadcast(found, next(number for number, kind in enumerate(kinds) if kind is not None))
    for _ in range(MOST_PASSES):
        c, s = found.mean, found.distance
        sums, rows = fold(source, _of_batch, c, s)
        found = broadcast(_found(sums, jnp.asarray(rows, c.dtype), c, s), 0)
        if found.is_accurate:
            break
    if not bool(jnp.all(jnp.isfinite(found.mean) & jnp.isfinite(found.deviation))):
        raise DataError(f"{name_of(source)}: the numbers of a column are too far apart for a mean and a deviation")
    return Standardization(found.mean, found.deviation)


class _Found(NamedTuple):
    """Of every column the mean, the deviation, the mean distance from c; both 1 where all rows are equal to c. And
    whether c and s were close enough."""

    mean: Array
    deviation: Array
    distance: Array
    is_accurate: Array


def _of_first_batch(source: Iterable[Pair]) -> _Found | None:
    """Of the first batch of this process; None where it has no rows."""
    some = list(islice(alike(source), 1))
    if not some:
        return None
    X, _ = some[0]
    zero = jnp.zeros(X.shape[1], arrays.numbers(X[:1], "X").dtype)
    if zero.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"means and deviations need float32 or float64; X is {zero.dtype}: source.map may convert it")
    first = Batches(name_of(source), lambda: iter(some))
    c, s = zero, jnp.ones_like(zero)
    # twice, since the mean of equal numbers may be rounded, and that of their differences from it is not
    for _ in range(2):
        sums, rows, _ = fold_here(first, _of_batch, c, s)
        found = _found(sums, jnp.asarray(rows, c.dtype), c, s)
        c, s = found.mean, found.distance
    return found


@jax.jit
def _found(sums: tuple[Array, Array, Array], rows: Array, c: Array, s: Array) -> _Found:
    first, absolute, second = (total / rows for total in sums)
    constant, variance = absolute == 0, second - first**2
    accurate = jnp.isfinite(variance) & (variance > jnp.finfo(c.dtype).tiny) & (first**2 <= FAR**2 * variance)
    deviation, distance = (jnp.where(constant, 1, s * of_D) for of_D in (jnp.sqrt(variance), absolute))
    return _Found(c + s * first, deviation, distance, jnp.all(constant | accurate))


def _of_batch(X: Array, y: Array, w: Array, c: Array, s: Array) -> tuple[Array, ...]:
    """ΣD, Σ|D| and ΣD², each (d,)."""
    n, d = X.shape
    some = isqrt(n - 1) + 1  # rows at a time, so often: as few steps as there can be
    X, w = jnp.pad(X, ((0, some**2 - n), (0, 0))), jnp.pad(w, (0, some**2 - n))

    def terms(part: tuple[Array, Array]) -> tuple[Array, ...]:
        X, w = part
        D = jnp.where(w[:, None] > 0, (X - c[None, :]) / s[None, :], 0)
        return D, jnp.abs(D), D**2

    high, low = _exact_sums(terms, (X.reshape(some, some, d), w.reshape(some, some)), (some, d), c.dtype)
    total, missed = _exact_sums(lambda rows: rows, high, (d,), c.dtype)
    return tuple(t + (e + jnp.sum(rest, axis=0)) for t, e, rest in zip(total, missed, low, strict=True))


def _exact_sums(terms: Callable, parts: Any, shape: tuple[int, ...], dtype: Any) -> tuple[tuple[Array, ...], ...]:
    """Three sums over the parts, and what rounding left out of each."""

    def add(total: tuple, part: Any) -> tuple[tuple, None]:
        pairs = [exact_sum(a, b) for a, b in zip(total[0], terms(part), strict=True)]
        errors = tuple(before + error for before, (_, error) in zip(total[1], pairs, strict=True))
        return (tuple(s for s, _ in pairs), errors), None

    zeros = (jnp.zeros(shape, dtype),) * 3
    return lax.scan(add, (zeros, zeros), parts)[0]
