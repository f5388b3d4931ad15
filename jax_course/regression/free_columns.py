r"""The columns without a penalty, taken out of a lasso: X − QQᵀX and y − QQᵀy, Q an orthonormal basis of them.

The minimiser over them is least squares of what the others leave. A column that depends on them is 0 but for rounding
in X − QQᵀX, and is made 0.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import arrays
from jax_course.linalg import product, rank_tolerance, transpose_product
from jax_course.linalg.lapack import qr
from jax_course.linalg.least_squares import column_scale, truncated_svd
from jax_course.typing import ArrayLike


class Rest(NamedTuple):
    """X − QQᵀX, y − QQᵀy and ‖Qᵀy‖², the columns without a penalty being 0."""

    X: Array
    y: Array
    lost: Array


def count_free(penalty: ArrayLike, X: Array) -> int:
    """How many columns may have no penalty: counted where the penalty can be read, all where it cannot."""
    d = X.shape[1]
    return int(np.sum(np.broadcast_to(np.asarray(penalty) == 0, d))) if arrays.is_concrete(penalty) else d


def free_columns(X: Array, p: Array, free: int) -> tuple[Array, Array]:
    """Where the columns without a penalty are, shape (free,), and these columns; d and zeros behind the last."""
    where = jnp.nonzero(p == 0, size=free, fill_value=X.shape[1])[0]
    return where, jnp.take(X, where, axis=1, mode="fill", fill_value=0)


@partial(jax.jit, static_argnums=3)
def without_free_columns(X: Array, y: Array, p: Array, free: int) -> Rest:
    """What is left of X and y where at most so many columns have no penalty."""
    if free == 0:
        return Rest(X, y, jnp.zeros_like(y[0]))
    Q, R = qr(free_columns(X, p, free)[1])
    U, _, _, kept = truncated_svd(R, column_scale(R), len(X))
    Q = product(Q, jnp.where(kept[None, :], U, 0))
    rest = X - product(Q, transpose_product(Q, X))
    # a column that depends on those without a penalty leaves rounding, which is not to be fitted to
    left, whole = jnp.linalg.norm(rest, axis=0), jnp.linalg.norm(X, axis=0)
    gone = (p == 0) | (left <= rank_tolerance(X) * whole)
    return Rest(jnp.where(gone[None, :], 0, rest), y - product(Q, transpose_product(Q, y)), jnp.sum(product(y, Q) ** 2))
