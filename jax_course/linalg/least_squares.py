r"""Least squares to nearly the last digit: min ‖y − Xθ‖².

    X = Q R,  D = diag(1/‖R_j‖),  R D z = Qᵀ y,  θ = D z            orthogonal factorisation, columns equilibrated
    s = y − r − Xθ,  g = c − Xᵀ r  in extended precision            what θ and r still miss; here c = 0
    R dθ = Qᵀ s − R⁻ᵀ g,  dr = s − X dθ                             Björck's refinement of (θ, r)

XᵀX is never formed: it would square the condition number and cost half of the digits. Householder's factorisation does
not notice the scale of the columns, so D is applied to R afterwards, exactly (powers of two).

Where rank(X) < d, or m < d, the minimiser is not unique. Then R D = U S Vᵀ is cut where S falls below rounding, and θ
is the shortest with Vᵀ D⁻¹ θ = S⁻¹ Uᵀ y: θ + D⁻¹V λ = 0, which makes (θ, λ) the solution of the same kind of system,
and is refined like it. The rank is that of the equilibrated matrix, hence does not change when a feature changes its
unit.

Source: Å. Björck, Iterative refinement of linear least squares solutions I, BIT 7 (1967).
"""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg.cholesky import power_of_two_scale, rank_tolerance
from jax_course.linalg.double_double import add_products, exact_sum
from jax_course.linalg.lapack import qr, qr_factor, solve_triangular, svd
from jax_course.linalg.products import product, transpose_product

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
    if X.shape[0] < X.shape[1]:
        return _minimum_norm(X, y, column_scale(X))
    factors = _orthogonal_factors(X)
    return lax.cond(factors.full_rank, _unique, _shortest_of_tall, factors, X, y)


def unique_least_squares(X: Array, y: Array) -> tuple[LeastSquares, Array]:
    """The θ of least ‖y − Xθ‖² for m ≥ d if rank(X) = d, and whether it is; a smaller program.

    >>> unique_least_squares(jnp.array([[1.0], [1.0]]), jnp.array([1.0, 3.0]))[0].theta
    Array([2.], dtype=float64)
    """
    factors = _orthogonal_factors(X)
    return _unique(factors, X, y), factors.full_rank


def shortest_least_squares(X: Array, y: Array) -> LeastSquares:
    """The θ of least ‖y − Xθ‖² and least norm for m ≥ d, whatever the rank, by singular values.

    >>> shortest_least_squares(jnp.array([[1.0, 1.0], [1.0, 1.0]]), jnp.array([1.0, 3.0])).theta
    Array([1., 1.], dtype=float64)
    """
    return _shortest_of_tall(_orthogonal_factors(X), X, y)


class _Factors(NamedTuple):
    Q: Array
    R: Array
    scale: Array
    rcond: Array
    full_rank: Array


def _orthogonal_factors(X: Array) -> _Factors:
    Q, R = qr(X)
    scale = column_scale(R)
    _, rcond = _scaled_inverse(R, scale)
    full_rank = rcond > rank_tolerance(X)  # False where the inverse is not finite
    return _Factors(Q, R, scale, rcond, full_rank)


def _unique(factors: _Factors, X: Array, y: Array) -> LeastSquares:
    zero = jnp.zeros(X.shape[1], X.dtype)
    theta = _augmented(X, y, zero, factors.Q, factors.R, factors.scale)[1]
    return LeastSquares(theta, jnp.array(X.shape[1]), factors.rcond)


def _shortest_of_tall(factors: _Factors, X: Array, y: Array) -> LeastSquares:
    return _minimum_norm(factors.R, transpose_product(factors.Q, y), factors.scale, rows=len(X))


def inverse_root(X: Array) -> Array:
    """W (d, d) with W Wᵀ = (XᵀX)⁻¹, without forming XᵀX; NaN where rank(X) < d.

    >>> inverse_root(jnp.array([[3.0, 0.0], [4.0, 0.0], [0.0, 2.0]])) ** 2
    Array([[0.04, 0.  ],
           [0.  , 0.25]], dtype=float64)
    """
    if X.shape[0] < X.shape[1]:
        return jnp.full((X.shape[1],) * 2, jnp.nan, X.dtype)
    R = qr_factor(X)
    scale = column_scale(R)
    inverse, rcond = _scaled_inverse(R, scale)
    return jnp.where(rcond > rank_tolerance(X), scale[:, None] * inverse, jnp.nan)


def _scaled_inverse(R: Array, scale: Array) -> tuple[Array, Array]:
    """(R D)⁻¹ and the reciprocal condition of R D."""
    inverse = solve_triangular(R * scale[None, :], jnp.eye(len(scale), dtype=R.dtype))
    return inverse, 1 / (jnp.linalg.norm(R * scale[None, :]) * jnp.linalg.norm(inverse))


def column_scale(X: Array) -> Array:
    """Powers of two that bring every column of X to a length between ½ and 1."""
    largest = power_of_two_scale(jnp.max(jnp.abs(X), axis=0))  # first, so that no square overflows
    return largest * power_of_two_scale(jnp.linalg.norm(X * largest[None, :], axis=0))


def _augmented(X: Array, y: Array, c: Array, Q: Array, R: Array, scale: Array) -> tuple[Array, Array]:
    """r and θ with r + Xθ = y and Xᵀr = c, from 0 on by refinement; X = QR of full rank."""
    solve = partial(solve_triangular, R * scale[None, :])
    Xt = X.T

    def refine(state):
        r, theta, last_size, _, steps = state
        difference, missing = exact_sum(y, -r)
        s = add_products(difference, Xt, -theta, missing)
        g = add_products(c, X, -r)
        z = solve(transpose_product(Q, s) - solve(scale * g, trans=1))
        size = jnp.max(jnp.abs(z))
        # The first correction may be as large as what it corrects: a large residual spoils every digit of that.
        better = jnp.isfinite(size) & ((size < last_size / 2) | (steps < 2))
        dtheta = jnp.where(better, scale * z, 0)
        dr = jnp.where(better, s - product(X, dtheta), 0)
        return r + dr, theta + dtheta, size, better, steps + 1

    start = jnp.zeros_like(y), jnp.zeros_like(c), jnp.array(jnp.inf, X.dtype), jnp.array(True), 0
    r, theta, *_ = lax.while_loop(lambda state: state[3] & (state[4] <= _MOST_REFINEMENTS), refine, start)
    return r, theta


def _minimum_norm(X: Array, y: Array, scale: Array, *, rows: int = 0) -> LeastSquares:
    U, S, Vt, kept = truncated_svd(X, scale, rows)
    z = jnp.where(kept, transpose_product(U, y) / jnp.where(kept, S, 1), 0)
    rank = jnp.sum(kept)
    return LeastSquares(_shortest(z, scale, Vt, kept), rank, jnp.where(rank < X.shape[1], 0, S[-1] / S[0]))


def minimum_norm(X: Array, theta: Array) -> tuple[Array, Array]:
    """The parameters of least norm with the predictions of theta on X, and the rank of X; theta (d,).

    >>> minimum_norm(jnp.array([[1.0, 1.0]]), jnp.array([4.0, 0.0]))
    (Array([2., 2.], dtype=float64), Array(1, dtype=int64))
    """
    rows, d = X.shape
    R = qr_factor(X) if rows > d else X
    scale = column_scale(R)
    _, _, Vt, kept = truncated_svd(R, scale, rows)
    return _shortest(product(Vt, theta / scale), scale, Vt, kept), jnp.sum(kept)


def truncated_svd(X: Array, scale: Array, rows: int) -> tuple[Array, Array, Array, Array]:
    """U, S, Vᵀ of X with scaled columns, and which of S count; rows: of the matrix that X is the triangle of."""
    U, S, Vt = svd(X * scale[None, :])
    return U, S, Vt, S > rank_tolerance(X, rows) * S[0]


def _shortest(z: Array, scale: Array, Vt: Array, kept: Array) -> Array:
    """The shortest θ with V D⁻¹ θ = z in the rows that are kept: θ + D⁻¹Vᵀ λ = 0, once more an augmented system."""
    rows = jnp.where(kept[None, :], Vt.T / scale[:, None], 0)
    lost = jnp.diag(jnp.where(kept, 0, 1).astype(z.dtype))  # the λ of a row that is lost is 0
    M = jnp.concatenate([rows, lost])
    Q, R = qr(M)
    theta, _ = _augmented(M, jnp.zeros_like(M[:, 0]), jnp.where(kept, z, 0), Q, R, column_scale(R))
    return theta[: len(scale)]
