r"""Products of a design matrix with itself: XᵀX, Xᵀ diag(w) X and Xᵀ diag(w) [X, y].

Shapes: X (m, d), y (m,) or (m, t), weights a scalar or (m,).

On a CPU `X.T @ X` makes the compiler multiply by a transposed left operand, its slow case. A block of rows at a time
stays in the cache, and there is never a second copy of X. With few columns two blocks side by side occupy two cores;
with many the transpose is made first, and what lies below the diagonal of four panels is not multiplied.
"""

from functools import partial

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from jax_course.linalg.blocks import split_over_devices
from jax_course.linalg.products import TALL, multiplied, transpose_product

BLOCK = 512  # rows of a block in float64, twice as many in float32: fewer lose to the loop, more to the cache
PANELS = 4
SMALL = 2**23  # m d²: up to so much one product is as fast
NARROW = 128  # columns: up to so many, two larger blocks side by side are faster than panels
# So many blocks side by side, of so many rows in float64 and twice as many in float32, which halves the time of 20
# columns (33 ms for 2·10⁶ rows) and takes nothing from 50 and 100.
PAIR = 2, 2560


def gram(X: Array, weights: Array | None = None) -> Array:
    """XᵀX, or Xᵀ diag(weights) X; shape (d, d), symmetric to rounding. A scalar weight is that of every row.

    >>> gram(jnp.array([[1.0, 2.0], [3.0, 4.0]]), weights=jnp.array([1.0, 0.0]))
    Array([[1., 2.],
           [2., 4.]], dtype=float64)
    """
    if weights is not None and weights.ndim == 0:
        return weights * gram(X)
    if not _is_better_in_blocks(*X.shape):
        return _gram(X, weights)
    return lax.platform_dependent(X, weights, cpu=_gram_by_blocks, default=_gram)


def gram_and_moment(X: Array, y: Array, weights: Array, dtype: DTypeLike) -> tuple[Array, Array]:
    """XᵀWX and XᵀWy, (d,) or (d, t), computed in this precision, in one read of X and without a copy of it.

    >>> gram_and_moment(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 0.0]), jnp.array(1.0), jnp.float32)[1]
    Array([1., 2.], dtype=float32)
    """
    each, d = weights if weights.ndim else None, X.shape[1]
    if not _is_better_in_blocks(*X.shape):
        both = _moments(X, y, each, dtype)
    else:
        cpu, default = (partial(moments, dtype=dtype) for moments in (_moments_by_blocks, _moments))
        both = lax.platform_dependent(X, y, each, cpu=cpu, default=default)
    factor = 1 if weights.ndim else weights.astype(dtype)
    return factor * both[:, :d], factor * (both[:, d:] if y.ndim == 2 else both[:, d])


def row_gram(X: Array) -> Array:
    """XXᵀ, shape (m, m), symmetric to rounding; what lies below the diagonal of two panels is not multiplied.

    >>> row_gram(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[ 5., 11.],
           [11., 25.]], dtype=float64)
    """
    half = len(X) // 2
    return _from_panels([multiplied(X[:half], X.T), multiplied(X[half:], X[half:].T)], len(X))


def _gram(X: Array, weights: Array | None) -> Array:
    left = X if weights is None else weights[:, None] * X
    return multiplied(left.T, X)


def _moments(X: Array, y: Array, weights: Array | None, dtype: DTypeLike) -> Array:
    """Xᵀ W [X, y]."""
    X, y, w = X.astype(dtype), y.astype(dtype), None if weights is None else weights.astype(dtype)
    moment = transpose_product(X, y if w is None else _columns(w) * y if y.ndim == 2 else w * y)
    return jnp.concatenate([_gram(X, w), _columns(moment)], axis=1)


def _columns(y: Array) -> Array:
    """y (m,) as one column, y (m, t) as it is."""
    return y[:, None] if y.ndim == 1 else y


def _is_better_in_blocks(m: int, d: int) -> bool:
    return m >= 4 * TALL or (d > NARROW and m * d**2 > SMALL)


def _gram_by_blocks(X: Array, weights: Array | None) -> Array:
    def row_sum(X: Array, w: Array | None = None) -> Array:
        return _panels_of_blocks(X, None, w, X.dtype)

    return split_over_devices(row_sum, *_those_given(X, weights))


def _moments_by_blocks(X: Array, y: Array, weights: Array | None, dtype: DTypeLike) -> Array:
    def row_sum(X: Array, y: Array, w: Array | None = None) -> Array:
        return _panels_of_blocks(X, y, w, dtype)

    return split_over_devices(row_sum, *_those_given(X, y, weights))


def _those_given(*arrays: Array | None) -> list[Array]:
    return [a for a in arrays if a is not None]


def _panels_of_blocks(X: Array, y: Array | None, weights: Array | None, dtype: DTypeLike) -> Array:
    m, d = X.shape
    narrow = d <= NARROW
    side, rows = PAIR if narrow else (1, BLOCK)
    rows = rows * 8 // jnp.dtype(dtype).itemsize
    cuts = [0] if narrow else sorted({i * d // PANELS for i in range(PANELS)})

    def add(panels, X, y, w):
        left = X if w is None else w[:, None] * X
        right = X if y is None else jnp.concatenate([X, _columns(y)], axis=1)
        if narrow:
            beside = side if len(X) == side * rows else 1
            return [panels[0] + _sum_of_products(*(a.reshape(beside, -1, a.shape[1]) for a in (left, right)))]
        # The barrier makes the transpose happen here, in the cache, instead of inside the matrix product.
        left = lax.optimization_barrier(left.T)
        return [
            panel + multiplied(left[a : a + len(panel)], right[:, a:]) for panel, a in zip(panels, cuts, strict=True)
        ]

    def add_block(i, panels):
        def block(a):
            return lax.dynamic_slice_in_dim(a, i * side * rows, side * rows).astype(dtype)

        return add(panels, *(None if a is None else block(a) for a in (X, y, weights)))

    ends = [*cuts[1:], d]
    columns = d + (0 if y is None else y.size // m)
    panels = [jnp.zeros((b - a, columns - a), dtype) for a, b in zip(cuts, ends, strict=True)]
    done = m // (side * rows) * side * rows
    panels = lax.fori_loop(0, m // (side * rows), add_block, panels) if done else panels
    if done < m:
        panels = add(panels, *(None if a is None else a[done:].astype(dtype) for a in (X, y, weights)))
    return _from_panels(panels, d)


def _sum_of_products(left: Array, right: Array) -> Array:
    """Σ leftᵀ right over the blocks side by side, (side, rows, d)."""
    return jnp.sum(multiplied(left.mT, right), axis=0)


def _from_panels(panels: list[Array], d: int) -> Array:
    """The matrix whose first d columns are symmetric, from panels of rows that begin at the diagonal."""
    if len(panels) == 1:
        return panels[0]
    first, below = panels[0], _from_panels(panels[1:], d - len(panels[0]))
    return jnp.concatenate([first, jnp.concatenate([first[:, len(first) : d].T, below], axis=1)])
