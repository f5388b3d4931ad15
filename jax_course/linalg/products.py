r"""Products of a design matrix: X θ, Xᵀ r and Xᵀ diag(w) X.

Shapes: X (m, d), theta (d,) or (d, K), r (m,) or (m, K), weights (m,).

On a CPU the form of the same product decides its speed.

    Xᵀ r     `X.T @ r` reads X across its rows, `r @ X` uses one core; Σ_i r_i x_i as a sum over rows uses them all.
    XᵀX      `X.T @ X` makes the compiler multiply by a transposed left operand, its slow case. A block of rows at a
             time stays in the cache, and there is never a second copy of X. With few columns two blocks side by side
             occupy two cores; with many the transpose is made first, and of four quarters only three are multiplied.
"""

import jax.numpy as jnp
from jax import Array, lax

BLOCK = 512  # rows of a Gram block: 256 to 1024 measured alike, smaller ones lose to the loop, larger ones to the cache
NARROW = 128  # columns: up to so many, two larger blocks side by side are faster than quarters
PAIR = 2, 2560  # so many blocks side by side, of so many rows
TALL = 2**14  # rows from which on a sum over rows beats r @ X


def product(X: Array, theta: Array) -> Array:
    """X θ, shape (m,) or (m, K)."""
    return _product_of(X, theta)


def transpose_product(X: Array, r: Array) -> Array:
    """Xᵀ r, shape (d,) or (d, K).

    >>> transpose_product(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 1.0]))
    Array([4., 6.], dtype=float64)
    """
    if r.ndim == 1 and len(X) >= TALL:
        return lax.platform_dependent(X, r, cpu=_sum_over_rows, default=_transpose_product)
    return _transpose_product(X, r)


def _transpose_product(X: Array, r: Array) -> Array:
    return _product_of(r.T, X).T


def _sum_over_rows(X: Array, r: Array) -> Array:
    # The barrier keeps whatever r is made of from being computed anew for every column.
    return jnp.sum(X * lax.optimization_barrier(r)[:, None], axis=0)


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


def gram_in_half_precision(X: Array) -> Array:
    """XᵀX in float32 of a float64 X, without a copy of X: relative error about 1e-6.

    >>> gram_in_half_precision(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[10., 14.],
           [14., 20.]], dtype=float32)
    """
    if X.shape[0] < 4 * BLOCK:
        return _gram(X.astype(jnp.float32), None)
    return _gram_by_blocks(X, None, jnp.dtype(jnp.float32))


def _gram(X: Array, weights: Array | None) -> Array:
    left = X if weights is None else weights[:, None] * X
    return _product_of(left.T, X)


def _gram_by_blocks(X: Array, weights: Array | None, dtype: jnp.dtype | None = None) -> Array:
    m, d = X.shape
    dtype = dtype or X.dtype
    narrow = d <= NARROW and m >= PAIR[0] * PAIR[1]
    side, rows = PAIR if narrow else (1, BLOCK)
    multiplied = _square if narrow else _three_quarters

    def add_block(i, total):
        first = i * side * rows
        block = lax.dynamic_slice_in_dim(X, first, side * rows).astype(dtype)
        left = block
        if weights is not None:
            left = block * lax.dynamic_slice_in_dim(weights, first, side * rows).astype(dtype)[:, None]
        return total + multiplied(*(a.reshape(side, rows, d) for a in (left, block)))

    whole = m // (side * rows)
    rest = whole * side * rows
    total = lax.fori_loop(0, whole, add_block, jnp.zeros((d, d), dtype))
    if rest == m:
        return total
    return total + _gram(X[rest:].astype(dtype), None if weights is None else weights[rest:].astype(dtype))


def _square(left: Array, right: Array) -> Array:
    """Σ leftᵀ right over the blocks side by side, (side, rows, d)."""
    return jnp.sum(_product_of(left.mT, right), axis=0)


def _three_quarters(left: Array, right: Array) -> Array:
    """leftᵀ right, which is symmetric: of the quarter below the diagonal only the transpose is computed."""
    # The barrier makes the transpose happen here, in the cache, instead of inside the matrix product.
    left_t, right, half = lax.optimization_barrier(left[0].T), right[0], left.shape[2] // 2
    above = _product_of(left_t[:half], right)
    below = _product_of(left_t[half:], right[:, half:])
    return jnp.concatenate([above, jnp.concatenate([above[:, half:].T, below], axis=1)])


def _product_of(A: Array, B: Array) -> Array:
    return jnp.matmul(A, B, precision=lax.Precision.HIGHEST)
