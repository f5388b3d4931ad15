r"""Least squares to nearly the last digit: min ‖y − Xθ‖².

    X = Q R,  D = diag(1/‖R_j‖),  R D z = Qᵀ y,  θ = D z            orthogonal factorisation, columns equilibrated
    s = y − r − Xθ,  g = −Xᵀ r  in extended precision               what θ and r still miss
    R dθ = Qᵀ s − R⁻ᵀ g,  dr = s − X dθ                             Björck's refinement of (θ, r)

XᵀX is never formed: it would square the condition number and cost half of the digits. Householder's factorisation does
not notice the scale of the columns, so D is applied to R afterwards, exactly (powers of two).

Where rank(X) < d, or m < d, the minimiser is not unique. Then R D = U S Vᵀ is cut where S falls below rounding, and θ
is the minimiser of smallest ‖θ‖: what is left after projecting on the row space of X, which is spanned by D⁻¹ V.
The rank is that of the equilibrated matrix, hence does not change when a feature changes its unit.

Source: Å. Björck, Iterative refinement of linear least squares solutions I, BIT 7 (1967).
"""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import solve_triangular

from jax_course.linalg.extended import add_products
from jax_course.linalg.products import product, transpose_product
from jax_course.linalg.solve import power_of_two_scale

_MOST_REFINEMENTS = 10


class LeastSquares(NamedTuple):
    """theta (d,); rank, an integer; rcond, the reciprocal condition of the equilibrated matrix (0 where rank < d)."""

    theta: Array
    rank: Array
    rcond: Array


def least_squares(X: Array, y: Array) -> LeastSquares:
    """The θ of least ‖y − Xθ‖², of least norm among several; X (m, d), y (m,), any m and d.

    >>> least_squares(jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), jnp.array([1.0, 3.0, 5.0])).theta
    Array([1., 2.], dtype=float64)
    """
    m, d = X.shape
    if m < d:
        return _minimum_norm(X, y, column_scale(X))
    Q, R = jnp.linalg.qr(X)
    scale = column_scale(R)
    inverse = solve_triangular(R * scale[None, :], jnp.eye(d, dtype=X.dtype))
    rcond = 1 / (jnp.linalg.norm(R * scale[None, :]) * jnp.linalg.norm(inverse))
    full_rank = rcond > m * jnp.finfo(X.dtype).eps  # False where the inverse is not finite
    return lax.cond(
        full_rank,
        lambda: LeastSquares(_refined(X, y, Q, R, scale), jnp.array(d), rcond),
        lambda: _minimum_norm(R, transpose_product(Q, y), scale, rows=m),
    )


def column_scale(X: Array) -> Array:
    largest = power_of_two_scale(jnp.max(jnp.abs(X), axis=0))  # first, so that no square overflows
    return largest * power_of_two_scale(jnp.linalg.norm(X * largest[None, :], axis=0))


def _refined(X: Array, y: Array, Q: Array, R: Array, scale: Array) -> Array:
    solve = partial(solve_triangular, R * scale[None, :])
    Xt = X.T
    minus_one = -jnp.ones(1, X.dtype)

    def refine(state):
        theta, r, last_size, _, steps = state
        s = add_products(y, jnp.concatenate([r[None, :], Xt]), jnp.concatenate([minus_one, -theta]))
        g = add_products(jnp.zeros_like(theta), X, -r)
        z = solve(transpose_product(Q, s) - solve(scale * g, trans=1))
        size = jnp.max(jnp.abs(z))
        better = size < last_size / 2
        dtheta = jnp.where(better, scale * z, 0)
        dr = jnp.where(better, s - product(X, dtheta), 0)
        return theta + dtheta, r + dr, size, better, steps + 1

    theta = scale * solve(transpose_product(Q, y))
    start = theta, y - product(X, theta), jnp.array(jnp.inf, X.dtype), jnp.array(True), 0
    theta, *_ = lax.while_loop(lambda state: state[3] & (state[4] < _MOST_REFINEMENTS), refine, start)
    return theta


def _minimum_norm(X: Array, y: Array, scale: Array, *, rows: int = 0) -> LeastSquares:
    U, S, Vt, kept = truncated_svd(X, scale, rows)
    z = transpose_product(Vt, jnp.where(kept, transpose_product(U, y) / jnp.where(kept, S, 1), 0))
    rank = jnp.sum(kept)
    return LeastSquares(_project(scale * z, scale, Vt, kept), rank, jnp.where(rank < X.shape[1], 0, S[-1] / S[0]))


def minimum_norm(X: Array, theta: Array) -> tuple[Array, Array]:
    """Of all parameters with the predictions of theta on X, those of least norm, and the rank of X. theta (d,).

    >>> minimum_norm(jnp.array([[1.0, 1.0]]), jnp.array([4.0, 0.0]))
    (Array([2., 2.], dtype=float64), Array(1, dtype=int64))
    """
    rows, d = X.shape
    R = jnp.linalg.qr(X, mode="r") if rows > d else X
    scale = column_scale(R)
    _, _, Vt, kept = truncated_svd(R, scale, rows)
    return _project(theta, scale, Vt, kept), jnp.sum(kept)


def truncated_svd(X: Array, scale: Array, rows: int) -> tuple[Array, Array, Array, Array]:
    U, S, Vt = jnp.linalg.svd(X * scale[None, :], full_matrices=False)
    return U, S, Vt, S > max(*X.shape, rows) * jnp.finfo(X.dtype).eps * S[0]


def _project(theta: Array, scale: Array, Vt: Array, kept: Array) -> Array:
    row_space, _ = jnp.linalg.qr(Vt.T / scale[:, None])
    row_space = jnp.where(kept[None, :], row_space, 0)
    return product(row_space, transpose_product(row_space, theta))
