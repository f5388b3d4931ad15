r"""Products of a design matrix with vectors: X θ and Xᵀ r. With itself: `linalg.grams`. And aᵀb of two vectors.

Shapes: X (m, d), theta (d,) or (d, K), r (m,) or (m, K).

On a CPU the form of the same product decides its speed: `X.T @ r` reads X across its rows, `r @ X` uses one core;
Σ_i r_i x_i as a sum over rows uses them all.
"""

import jax.numpy as jnp
from jax import Array, lax

TALL = 2**14  # rows from which on a sum over rows beats r @ X


def product(X: Array, theta: Array) -> Array:
    """X θ, shape (m,) or (m, K)."""
    return multiplied(X, theta)


def transpose_product(X: Array, r: Array) -> Array:
    """Xᵀ r, shape (d,) or (d, K).

    >>> transpose_product(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 1.0]))
    Array([4., 6.], dtype=float64)
    """
    if r.ndim == 1 and len(X) >= TALL:
        return lax.platform_dependent(X, r, cpu=_sum_over_rows, default=plain_transpose_product)
    return plain_transpose_product(X, r)


def plain_transpose_product(X: Array, r: Array) -> Array:
    """Xᵀ r by one matrix product, shape (d,) or (d, K)."""
    return multiplied(r.T, X).T


def _sum_over_rows(X: Array, r: Array) -> Array:
    # The barrier keeps whatever r is made of from being computed anew for every column.
    return jnp.sum(X * lax.optimization_barrier(r)[:, None], axis=0)


def inner(a: Array, b: Array) -> Array:
    """aᵀb of two vectors (n,), in full precision.

    >>> inner(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]))
    Array(11., dtype=float64)
    """
    return multiplied(a, b)


def multiplied(A: Array, B: Array) -> Array:
    """A B, matrices or stacks of them, or vectors, in full precision: not in an accelerator's default for float32."""
    return jnp.matmul(A, B, precision=lax.Precision.HIGHEST)
