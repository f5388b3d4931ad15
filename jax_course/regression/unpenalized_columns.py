r"""Elimination of the columns without a penalty from a lasso: X − QQᵀX and y − QQᵀy, Q an orthonormal basis of them.

Their parameters are the least squares fit of the residual of the others. A column that depends on them is only rounding
in X − QQᵀX, and is set to 0.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product, rank_tolerance, transpose_product
from jax_course.linalg.lapack import qr
from jax_course.linalg.least_squares import column_scale, truncated_svd
from jax_course.members import all_members
from jax_course.tiers import compiled


class Projected(NamedTuple):
    """X − QQᵀX, y − QQᵀy and ‖Qᵀy‖², the columns without a penalty being 0."""

    X: Array
    y: Array
    lost: Array


def count_unpenalized(penalty: ArrayLike, X: Array) -> int:
    """The number of columns without a penalty; that of all where a penalty cannot be read, inside jit, or where one of
    several penalties under vmap has a 0."""
    # of a number, inside jit, stop_gradient makes a value that cannot be read
    d, values = X.shape[1], all_members(lax.stop_gradient(penalty) if isinstance(penalty, Tracer) else penalty)
    if not inputs.is_concrete(values):
        return d
    is_zero = np.asarray(values) == 0
    if is_zero.ndim > np.ndim(penalty):
        return d if is_zero.any() else 0
    return int(np.sum(np.broadcast_to(is_zero, d)))


def unpenalized_columns(X: Array, p: Array, free: int) -> tuple[Array, Array]:
    """The indices of the columns without a penalty, shape (free,), and these columns; padded with d and with zeros."""
    indices = jnp.nonzero(p == 0, size=free, fill_value=X.shape[1])[0]
    return indices, jnp.take(X, indices, axis=1, mode="fill", fill_value=0)


@compiled(static_argnums=3)
def project(X: Array, y: Array, p: Array, free: int) -> Projected:
    """X and y without their parts in the span of the columns without a penalty, of which there are at most `free`."""
    if free == 0:
        return Projected(X, y, jnp.zeros_like(y[0]))
    Q, R = qr(unpenalized_columns(X, p, free)[1])
    U, _, _, kept = truncated_svd(R, column_scale(R), len(X))
    Q = product(Q, jnp.where(kept[None, :], U, 0))
    remainder = X - product(Q, transpose_product(Q, X))
    rounding = rank_tolerance(X) * jnp.linalg.norm(X, axis=0)
    dependent = (p == 0) | (jnp.linalg.norm(remainder, axis=0) <= rounding)
    remainder = jnp.where(dependent[None, :], 0, remainder)
    return Projected(remainder, y - product(Q, transpose_product(Q, y)), jnp.sum(product(y, Q) ** 2))
