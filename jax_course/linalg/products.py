r"""Products of a design matrix: X θ, Xᵀ r and Xᵀ diag(w) X.

Shapes: X (m, d), theta (d,) or (d, K), r (m,) or (m, K), weights (m,).

On a CPU the form of the same product decides its speed. Written as `X.T @ r`, a matrix–vector product reads X
across its rows and takes up to ten times as long as `r @ X`. A Gram matrix written `X.T @ X` makes the compiler
multiply by a transposed left operand, its slow case; one block of rows at a time, transposed where it lies in the
cache, runs twice as fast and never holds a second copy of X.
"""

import jax.numpy as jnp
from jax import Array, lax

BLOCK = 512  # rows of a Gram block: 256 to 1024 measured alike, smaller ones lose to the loop, larger ones to the cache


def product(X: Array, theta: Array) -> Array:
    """X θ, shape (m,) or (m, K)."""
    return jnp.matmul(X, theta, precision=lax.Precision.HIGHEST)


def transpose_product(X: Array, r: Array) -> Array:
    """Xᵀ r, shape (d,) or (d, K).

    >>> transpose_product(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 1.0]))
    Array([4., 6.], dtype=float64)
    """
    return jnp.matmul(r.T, X, precision=lax.Precision.HIGHEST).T


def gram(X: Array, weights: Array | None = None) -> Array:
    """XᵀX, or Xᵀ diag(weights) X; shape (d, d), symmetric to rounding. A scalar weight is that of every row.

    >>> gram(jnp.array([[1.0, 2.0], [3.0, 4.0]]), weights=jnp.array([1.0, 0.0]))
    Array([[1., 2.],
           [2., 4.]], dtype=float64)
    """
    if weights is not None and weights.ndim == 0:
        return weights * gram(X)
    if X.shape[0] < 4 * BLOCK:
        return _gram(X, weights)
    return lax.platform_dependent(X, weights, cpu=_gram_by_blocks, default=_gram)


def _gram(X: Array, weights: Array | None) -> Array:
    left = X if weights is None else weights[:, None] * X
    return jnp.matmul(left.T, X, precision=lax.Precision.HIGHEST)


def _gram_by_blocks(X: Array, weights: Array | None) -> Array:
    def add_block(i, total):
        rows = lax.dynamic_slice_in_dim(X, i * BLOCK, BLOCK)
        left = rows if weights is None else rows * lax.dynamic_slice_in_dim(weights, i * BLOCK, BLOCK)[:, None]
        # The barrier makes the transpose happen here, in the cache, instead of inside the matrix product.
        return total + jnp.matmul(lax.optimization_barrier(left.T), rows, precision=lax.Precision.HIGHEST)

    m, d = X.shape
    whole = m // BLOCK
    rest = _gram(X[whole * BLOCK :], None if weights is None else weights[whole * BLOCK :])
    return lax.fori_loop(0, whole, add_block, jnp.zeros((d, d), X.dtype)) + rest
