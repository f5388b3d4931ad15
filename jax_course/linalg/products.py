r"""Products of a design matrix: X θ, Xᵀ r and Xᵀ diag(w) X.

Shapes: X (m, d), theta (d,) or (d, K), r (m,) or (m, K), weights (m,).

On a CPU the form of the same product decides its speed.

    Xᵀ r     `X.T @ r` reads X across its rows, `r @ X` uses one core; Σ_i r_i x_i as a sum over rows uses them all.
    XᵀX      `X.T @ X` makes the compiler multiply by a transposed left operand, its slow case. A block of rows at a
             time stays in the cache, and there is never a second copy of X. With few columns two blocks side by side
             occupy two cores; with many the transpose is made first, and what lies below the diagonal of four panels
             is not multiplied.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

BLOCK = 512  # rows of a Gram block in float64, twice as many in float32: fewer lose to the loop, more to the cache
PANELS = 4
SMALL = 2**23  # m d²: up to so much one product is as fast
NARROW = 128  # columns: up to so many, two larger blocks side by side are faster than panels
PAIR = 2, 2560  # so many blocks side by side, of so many rows
ONE_READ = 2**18  # numbers of a block that is read once for two products with it
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
    if not _is_better_in_blocks(*X.shape):
        return _gram(X, weights)
    return lax.platform_dependent(X, weights, cpu=_gram_by_blocks, default=_gram)


def gram_and_moment(X: Array, y: Array, weights: Array, dtype: DTypeLike) -> tuple[Array, Array]:
    """XᵀWX and XᵀWy computed in this precision, in one read of X and without a copy of it.

    >>> gram_and_moment(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 0.0]), jnp.array(1.0), jnp.float32)[1]
    Array([1., 2.], dtype=float32)
    """
    each = weights if weights.ndim else None
    if not _is_better_in_blocks(*X.shape):
        both = _moments(X, y, each, dtype)
    else:
        cpu, default = (partial(of, dtype=dtype) for of in (_moments_by_blocks, _moments))
        both = lax.platform_dependent(X, y, each, cpu=cpu, default=default)
    factor = 1 if weights.ndim else weights.astype(dtype)
    return factor * both[:, :-1], factor * both[:, -1]


def residual_moments(theta: Array, X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """XᵀW r and rᵀW r with r = y − Xθ, in one read of X where it is large.

    >>> residual_moments(jnp.array([1.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 2.0]), jnp.array(1.0))
    (Array([2.], dtype=float64), Array(4., dtype=float64))
    """
    if X.size < 4 * ONE_READ:
        return _residual_moments(theta, X, y, weights)
    return lax.platform_dependent(theta, X, y, weights, cpu=_residual_moments_by_blocks, default=_residual_moments)


def _residual_moments(theta: Array, X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    residual = lax.optimization_barrier(y - product(X, theta))
    weighted = weights * residual
    return transpose_product(X, weighted), jnp.sum(weighted * residual)


def _residual_moments_by_blocks(theta: Array, X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    def of_block(X_i, y_i, *w_i):
        residual = lax.optimization_barrier(y_i - product(X_i, theta))
        weighted = (w_i[0] if w_i else weights) * residual
        return _transpose_product(X_i, weighted), jnp.sum(weighted * residual)

    each = (weights,) if weights.ndim else ()
    return sum_over_blocks(of_block, X, y, *each, rows=max(1, ONE_READ // X.shape[1]))


def there_and_back(slope: Callable[..., Array], p: Array, X: Array, *each: Array) -> tuple[Array, Array]:
    """Z = X p and Xᵀ slope(Z, *each), in one read of a large X for p (d, K); each (m, …), and slope works row by row.

    >>> there_and_back(lambda z, y: z - y, jnp.array([1.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 1.0]))
    (Array([1., 2.], dtype=float64), Array([0.], dtype=float64))
    """
    plain = partial(_there_and_back, slope)
    if p.ndim == 1 or X.size < 4 * ONE_READ:  # with one column two reads by all cores beat one read block by block
        return plain(p, X, *each)
    return lax.platform_dependent(p, X, *each, cpu=partial(_there_and_back_by_blocks, slope), default=plain)


def _there_and_back(slope: Callable[..., Array], p: Array, X: Array, *each: Array) -> tuple[Array, Array]:
    Z = product(X, p)
    return Z, transpose_product(X, lax.optimization_barrier(slope(Z, *each)))


def _there_and_back_by_blocks(slope: Callable[..., Array], p: Array, X: Array, *each: Array) -> tuple[Array, Array]:
    m, rows = len(X), max(1, ONE_READ // X.shape[1])

    def add_block(i, state):
        Z, total = state
        X_i, *each_i = (lax.dynamic_slice_in_dim(a, i * rows, rows) for a in (X, *each))
        Z_i = product(X_i, p)
        moment = _transpose_product(X_i, lax.optimization_barrier(slope(Z_i, *each_i)))
        return lax.dynamic_update_slice_in_dim(Z, Z_i, i * rows, 0), total + moment

    done = m // rows * rows
    Z, total = lax.fori_loop(0, m // rows, add_block, (jnp.zeros((m, *p.shape[1:]), p.dtype), jnp.zeros_like(p)))
    if done == m:
        return Z, total
    Z_i, moment = _there_and_back(slope, p, X[done:], *(a[done:] for a in each))
    return lax.dynamic_update_slice_in_dim(Z, Z_i, done, 0), total + moment


def sum_over_blocks(of_block: Callable[..., Any], *arrays: Array, rows: int) -> Any:
    """Σ of_block(so many rows of each array), a pytree of arrays; the last block may have fewer rows.

    >>> sum_over_blocks(jnp.sum, jnp.array([1.0, 2.0, 4.0]), rows=2)
    Array(7., dtype=float64)
    """
    m = len(arrays[0])
    if m <= rows:
        return of_block(*arrays)

    def add_block(i, total):
        blocks = (lax.dynamic_slice_in_dim(a, i * rows, rows) for a in arrays)
        return jax.tree.map(jnp.add, total, of_block(*blocks))

    shapes = jax.eval_shape(of_block, *(a[:rows] for a in arrays))
    total = lax.fori_loop(0, m // rows, add_block, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
    done = m // rows * rows
    return total if done == m else jax.tree.map(jnp.add, total, of_block(*(a[done:] for a in arrays)))


def _gram(X: Array, weights: Array | None) -> Array:
    left = X if weights is None else weights[:, None] * X
    return _product_of(left.T, X)


def _moments(X: Array, y: Array, weights: Array | None, dtype: DTypeLike) -> Array:
    """Xᵀ W [X, y]."""
    X, y, w = X.astype(dtype), y.astype(dtype), None if weights is None else weights.astype(dtype)
    moment = transpose_product(X, y if w is None else w * y)
    return jnp.concatenate([_gram(X, w), moment[:, None]], axis=1)


def _is_better_in_blocks(m: int, d: int) -> bool:
    return m >= 4 * TALL or (d > NARROW and m * d**2 > SMALL)


def _gram_by_blocks(X: Array, weights: Array | None) -> Array:
    return _by_blocks(X, None, weights, X.dtype)


def _moments_by_blocks(X: Array, y: Array, weights: Array | None, dtype: DTypeLike) -> Array:
    return _by_blocks(X, y, weights, dtype)


def _by_blocks(X: Array, y: Array | None, weights: Array | None, dtype: DTypeLike) -> Array:
    m, d = X.shape
    narrow = d <= NARROW
    side, rows = PAIR if narrow else (1, BLOCK * 8 // jnp.dtype(dtype).itemsize)
    cuts = [0] if narrow else sorted({i * d // PANELS for i in range(PANELS)})

    def add(panels, X, y, w):
        left = X if w is None else w[:, None] * X
        right = X if y is None else jnp.concatenate([X, y[:, None]], axis=1)
        if narrow:
            beside = side if len(X) == side * rows else 1
            return [panels[0] + _sum_of_products(*(a.reshape(beside, -1, a.shape[1]) for a in (left, right)))]
        # The barrier makes the transpose happen here, in the cache, instead of inside the matrix product.
        left = lax.optimization_barrier(left.T)
        return [
            panel + _product_of(left[a : a + len(panel)], right[:, a:]) for panel, a in zip(panels, cuts, strict=True)
        ]

    def add_block(i, panels):
        def block(a):
            return lax.dynamic_slice_in_dim(a, i * side * rows, side * rows).astype(dtype)

        return add(panels, *(None if a is None else block(a) for a in (X, y, weights)))

    ends = [*cuts[1:], d]
    panels = [jnp.zeros((b - a, d + (y is not None) - a), dtype) for a, b in zip(cuts, ends, strict=True)]
    done = m // (side * rows) * side * rows
    panels = lax.fori_loop(0, m // (side * rows), add_block, panels) if done else panels
    if done < m:
        panels = add(panels, *(None if a is None else a[done:].astype(dtype) for a in (X, y, weights)))
    return _from_panels(panels, d)


def _sum_of_products(left: Array, right: Array) -> Array:
    """Σ leftᵀ right over the blocks side by side, (side, rows, d)."""
    return jnp.sum(_product_of(left.mT, right), axis=0)


def _from_panels(panels: list[Array], d: int) -> Array:
    """The matrix whose first d columns are symmetric, from panels of rows that begin at the diagonal."""
    if len(panels) == 1:
        return panels[0]
    first, below = panels[0], _from_panels(panels[1:], d - len(panels[0]))
    return jnp.concatenate([first, jnp.concatenate([first[:, len(first) : d].T, below], axis=1)])


def _product_of(A: Array, B: Array) -> Array:
    return jnp.matmul(A, B, precision=lax.Precision.HIGHEST)
