r"""Sums over the rows of a large X, a block of rows at a time: X is read once, and no second copy of it is made.

Where there are several devices, the rows are taken from as many parts at once. If X is spread over the devices by
rows (`scale.shard`), each works on those that it has, and only the sums travel.

Shapes: X (m, d), y (m,), weights a scalar or (m,).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg.products import plain_transpose_product, product, transpose_product

# Numbers of a block that is read once for two products with it. Two cores, 32 MB of cache, X θ and Xᵀ r, float64:
# 10⁵ × 500 takes 27 ms with 2¹⁸, 21 with 2²⁰, 25 with 2²¹, and 30 in two reads; 10⁶ × 50 takes 32, 31, 34 and 35;
# 60,000 × 785 with ten classes 67, 60, 111 and 90.
ONE_READ = 2**20
# Columns from which on that is faster than two reads by all cores for a vector, too: a fit of 10⁵ × 500 took 590 ms
# instead of 770, one of 10⁶ × 50 in float32 204 to 228 instead of 166 to 196.
WIDE = 256


def split_over_devices(row_sum: Callable[..., Any], *arrays: Array) -> Any:
    """Σ row_sum(an equal part of the rows of each array), a part for each device where that goes; arrays (m, …).

    >>> split_over_devices(jnp.sum, jnp.array([1.0, 2.0, 4.0]))
    Array(7., dtype=float64)
    """
    parts = _parts(len(arrays[0]))
    if parts == 1:
        return row_sum(*arrays)
    return jax.tree.map(partial(jnp.sum, axis=0), jax.vmap(row_sum)(*(_split(a, parts) for a in arrays)))


def _parts(m: int) -> int:
    return math.gcd(m, jax.device_count())


def _split(a: Array, parts: int) -> Array:
    return a.reshape(parts, -1, *a.shape[1:])


def sum_over_blocks(block_sum: Callable[..., Any], *arrays: Array, rows: int) -> Any:
    """Σ block_sum(so many rows of each array), a pytree of arrays; the last block may have fewer rows.

    >>> sum_over_blocks(jnp.sum, jnp.array([1.0, 2.0, 4.0]), rows=2)
    Array(7., dtype=float64)
    """
    return split_over_devices(partial(_sum_over_blocks, block_sum, rows), *arrays)


def _sum_over_blocks(block_sum: Callable[..., Any], rows: int, *arrays: Array) -> Any:
    m = len(arrays[0])
    if m <= rows:
        return block_sum(*arrays)

    def add_block(i, total):
        blocks = (lax.dynamic_slice_in_dim(a, i * rows, rows) for a in arrays)
        return jax.tree.map(jnp.add, total, block_sum(*blocks))

    shapes = jax.eval_shape(block_sum, *(a[:rows] for a in arrays))
    total = lax.fori_loop(0, m // rows, add_block, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
    done = m // rows * rows
    return total if done == m else jax.tree.map(jnp.add, total, block_sum(*(a[done:] for a in arrays)))


def residual_moments(theta: Array, X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """XᵀW r and rᵀW r with r = y − Xθ, in one read of X where it is large.

    >>> residual_moments(jnp.array([1.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 2.0]), jnp.array(1.0))
    (Array([2.], dtype=float64), Array(4., dtype=float64))
    """
    if not is_large(X):
        return _residual_moments(theta, X, y, weights)
    return lax.platform_dependent(theta, X, y, weights, cpu=_residual_moments_by_blocks, default=_residual_moments)


def _residual_moments(theta: Array, X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    residual = lax.optimization_barrier(y - product(X, theta))
    weighted = weights * residual
    return transpose_product(X, weighted), jnp.sum(weighted * residual)


def _residual_moments_by_blocks(theta: Array, X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    def block_sum(X_i, y_i, *w_i):
        residual = lax.optimization_barrier(y_i - product(X_i, theta))
        weighted = (w_i[0] if w_i else weights) * residual
        return plain_transpose_product(X_i, weighted), jnp.sum(weighted * residual)

    each = (weights,) if weights.ndim else ()
    return sum_over_blocks(block_sum, X, y, *each, rows=max(1, ONE_READ // X.shape[1]))


def is_large(X: Array) -> bool:
    """Whether X is so large that reading it once less repays more complicated steps."""
    return X.size >= 4 * ONE_READ


def product_and_transpose_product(slope: Callable[..., Array], p: Array, X: Array, *each: Array) -> tuple[Array, Array]:
    """Z = X p and Xᵀ slope(Z, *each), in one read of a large X; each (m, …), and slope works row by row.

    >>> X, y = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 1.0])
    >>> product_and_transpose_product(lambda z, y: z - y, jnp.array([1.0]), X, y)
    (Array([1., 2.], dtype=float64), Array([0.], dtype=float64))
    """
    plain = partial(_two_reads, slope)
    if not is_large(X) or (p.ndim == 1 and X.shape[1] < WIDE):
        return plain(p, X, *each)
    return lax.platform_dependent(p, X, *each, cpu=partial(_single_read, slope), default=plain)


def _two_reads(slope: Callable[..., Array], p: Array, X: Array, *each: Array) -> tuple[Array, Array]:
    Z = product(X, p)
    return Z, transpose_product(X, lax.optimization_barrier(slope(Z, *each)))


def _single_read(slope: Callable[..., Array], p: Array, X: Array, *each: Array) -> tuple[Array, Array]:
    row_sum, parts = partial(_single_read_of_rows, slope, p), _parts(len(X))
    if parts == 1:
        return row_sum(X, *each)
    Z, moments = jax.vmap(row_sum)(*(_split(a, parts) for a in (X, *each)))
    return Z.reshape(len(X), *Z.shape[2:]), jnp.sum(moments, axis=0)


def _single_read_of_rows(slope: Callable[..., Array], p: Array, X: Array, *each: Array) -> tuple[Array, Array]:
    m, rows = len(X), max(1, ONE_READ // X.shape[1])

    def add_block(i, state):
        Z, total = state
        X_i, *each_i = (lax.dynamic_slice_in_dim(a, i * rows, rows) for a in (X, *each))
        Z_i = product(X_i, p)
        moment = plain_transpose_product(X_i, lax.optimization_barrier(slope(Z_i, *each_i)))
        return lax.dynamic_update_slice_in_dim(Z, Z_i, i * rows, 0), total + moment

    done = m // rows * rows
    Z, total = lax.fori_loop(0, m // rows, add_block, (jnp.zeros((m, *p.shape[1:]), p.dtype), jnp.zeros_like(p)))
    if done == m:
        return Z, total
    Z_i, moment = _two_reads(slope, p, X[done:], *(a[done:] for a in each))
    return lax.dynamic_update_slice_in_dim(Z, Z_i, done, 0), total + moment
