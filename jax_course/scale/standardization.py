r"""Means and deviations of the columns of data larger than memory.

    D = (X − c) / s,  mean = c + s ΣD / m,  deviation² = s² (ΣD² / m − (ΣD / m)²)

c and s are the mean of the first batch and its mean distance from c, so that nothing cancels and no square over- or
underflows. If they are far from those of all rows, as in a sorted file, a further pass takes those of all rows.
Every sum is carried in twice the precision, within a batch and over all of them.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from math import isqrt
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course import inputs
from jax_course.data import Standardization
from jax_course.linalg.double_double import exact_sum
from jax_course.scale import processes
from jax_course.scale.batches import Batches, DataError, Pair, name_of
from jax_course.scale.fold import common_kind, global_sums, local_sums, validated
from jax_course.tiers import compiled

MAX_PASSES = 3  # a sorted file takes two, the second with c and s of all rows
OFFSET_LIMIT = 3.0  # deviations from the mean that c may lie: the difference of squares then loses a digit at most


def standardize(source: Iterable[Pair]) -> Standardization:
    """The transform that gives every column of all rows mean 0 and deviation 1 (a constant column: 0), in one pass.

    Equal to `data.standardize` of all rows. Apply it by `source.map(scale.standardize(source))`, and call it with new
    data. A second pass is taken if the first rows are not typical of all. Course 2.
    DataError: a row is not finite, or there is none. TypeError: X is neither float32 nor float64.

    >>> import numpy as np
    >>> to_units = standardize([(np.array([[1.0, 5.0]]), np.array([0.0])), (np.array([[3.0, 5.0]]), np.array([1.0]))])
    >>> to_units(np.array([[5.0, 5.0]]))
    Array([[3., 0.]], dtype=float64)
    """
    processes.connect()
    with processes.shared_errors():
        found = _first_batch_moments(source)
    kinds = processes.exchange(None if found is None else [found.mean.size, str(found.mean.dtype)])
    columns, dtype = common_kind(source, kinds)
    if found is None:
        zero = jnp.zeros(columns, dtype)
        found = _Moments(zero, zero, zero, jnp.array(False))
    # of one process, since those of several could differ by a rounding error
    found = processes.broadcast(found, next(number for number, kind in enumerate(kinds) if kind is not None))
    for _ in range(MAX_PASSES):
        c, s = found.mean, found.distance
        sums, rows = global_sums(source, _batch_sums, c, s)
        found = processes.broadcast(_moments(sums, jnp.asarray(rows, c.dtype), c, s), 0)
        if found.is_accurate:
            break
    if not bool(jnp.all(jnp.isfinite(found.mean) & jnp.isfinite(found.deviation))):
        raise DataError(f"{name_of(source)}: the numbers of a column are too far apart for a mean and a deviation")
    return Standardization(found.mean, found.deviation)


class _Moments(NamedTuple):
    """Mean, deviation and mean distance from c of every column, and whether c and s were close enough to these.

    A column whose rows all equal c has the deviation and the distance 1.
    """

    mean: Array
    deviation: Array
    distance: Array
    is_accurate: Array


def _first_batch_moments(source: Iterable[Pair]) -> _Moments | None:
    """The moments of the first batch of this process; None without rows."""
    batches = list(islice(validated(source), 1))
    if not batches:
        return None
    X, _ = batches[0]
    zero = jnp.zeros(X.shape[1], inputs.as_array(X[:1], "X").dtype)
    if zero.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"means and deviations need float32 or float64; X is {zero.dtype}: source.map may convert it")
    first = Batches(name_of(source), lambda: iter(batches))
    c, s = zero, jnp.ones_like(zero)
    # twice, since the mean of equal numbers may be rounded, and that of their differences from it is not
    for _ in range(2):
        sums, rows, _ = local_sums(first, _batch_sums, c, s)
        found = _moments(sums, jnp.asarray(rows, c.dtype), c, s)
        c, s = found.mean, found.distance
    return found


@compiled
def _moments(sums: tuple[Array, Array, Array], rows: Array, c: Array, s: Array) -> _Moments:
    first, absolute, second = (total / rows for total in sums)
    constant, variance = absolute == 0, second - first**2
    accurate = jnp.isfinite(variance) & (variance > jnp.finfo(c.dtype).tiny) & (first**2 <= OFFSET_LIMIT**2 * variance)
    deviation, distance = (jnp.where(constant, 1, s * size) for size in (jnp.sqrt(variance), absolute))
    return _Moments(c + s * first, deviation, distance, jnp.all(constant | accurate))


def _batch_sums(X: Array, y: Array, w: Array, c: Array, s: Array) -> tuple[Array, ...]:
    """ΣD, Σ|D| and ΣD², each (d,)."""
    n, d = X.shape
    steps = isqrt(n - 1) + 1  # of as many rows each: the two sums together then take the fewest steps
    X, w = jnp.pad(X, ((0, steps**2 - n), (0, 0))), jnp.pad(w, (0, steps**2 - n))

    def terms(part: tuple[Array, Array]) -> tuple[Array, ...]:
        X, w = part
        D = jnp.where(w[:, None] > 0, (X - c[None, :]) / s[None, :], 0)
        return D, jnp.abs(D), D**2

    high, low = _exact_sums(terms, (X.reshape(steps, steps, d), w.reshape(steps, steps)), (steps, d), c.dtype)
    total, errors = _exact_sums(lambda rows: rows, high, (d,), c.dtype)
    return tuple(t + (error + jnp.sum(rest, axis=0)) for t, error, rest in zip(total, errors, low, strict=True))


def _exact_sums(terms: Callable, parts: Any, shape: tuple[int, ...], dtype: Any) -> tuple[tuple[Array, ...], ...]:
    """Three sums over the parts, and the rounding error of each."""

    def add(total: tuple, part: Any) -> tuple[tuple, None]:
        pairs = [exact_sum(a, b) for a, b in zip(total[0], terms(part), strict=True)]
        errors = tuple(before + error for before, (_, error) in zip(total[1], pairs, strict=True))
        return (tuple(s for s, _ in pairs), errors), None

    zeros = (jnp.zeros(shape, dtype),) * 3
    return lax.scan(add, (zeros, zeros), parts)[0]
