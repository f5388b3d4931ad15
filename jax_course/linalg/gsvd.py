r"""Generalised SVD of X and √F: one factorisation gives the ridge solution for every penalty.

For Σ (y − Xθ)² + p Σ f θ², F = diag(f):

    X D = Z C Vᵀ T,  √τ √F D = Y S Vᵀ T,  C² + S² = 1               Z, Y, V with orthonormal columns, D and F diagonal
    (XᵀX + p F)⁻¹ = B diag(1/(C² + p S²/τ)) Bᵀ,  B = D T⁻¹ V

τ only brings both blocks to one size; D equilibrates the columns. Three ways to it:

    orthogonal  [X; √τ√F] D = Q T, of the upper block of Q the singular values C
    columns     XᵀX + τF = D⁻¹TᵀT D⁻¹ by Cholesky, S² and V the eigenvalues and vectors of T⁻ᵀ D τF D T⁻¹,  Z = X B/C
    rows        X F⁻¹Xᵀ = Z Λ Zᵀ,  C² = Λ/(Λ + τ),  B = F⁻¹XᵀZ/√(Λ(Λ + τ)): more columns than rows

The two that square X are taken where there is work to save, and kept where what they found is far from rounding.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg.cholesky import spd_factor
from jax_course.linalg.grams import gram
from jax_course.linalg.lapack import eigh, qr, solve_triangular, svd
from jax_course.linalg.least_squares import column_scale
from jax_course.linalg.products import product, transpose_product
from jax_course.linalg.refinement import CLOSE_DIGITS, relative_noise

WORK = 2**22  # of the longer side times the square of the shorter
SAFE_POWER = 0.25  # of ε: C², S² and the reciprocal condition are far from rounding above it


class GSVD(NamedTuple):
    """The letters of the formulas above; Z = rows turn, one row of `rows` for each of X.

    is_close: whether a solution from it has nearly all digits, so that a correction would give it none.
    """

    rows: Array
    turn: Array
    C: Array
    S: Array
    B: Array
    tau: Array
    is_close: Array

    def coordinates(self, y: Array) -> Array:
        """Zᵀ y."""
        return transpose_product(self.turn, transpose_product(self.rows, y))


def with_gsvd(use: Callable[[GSVD], Any], X: Array, factors: Array) -> Any:
    """use(gsvd), with the generalised SVD of X (m, d) and the root of diag(factors), factors (d,).

    The cheaper factorisations are kept only where they are accurate; otherwise `use` gets the orthogonal one.

    >>> with_gsvd(lambda gsvd: gsvd.C**2 / gsvd.S**2 * gsvd.tau, jnp.array([[3.0], [4.0]]), jnp.ones(1))
    Array([25.], dtype=float64)
    """
    short, long = sorted(X.shape)
    if long * short**2 < WORK:
        return use(_orthogonal(X, factors))
    gsvd, accepted = (_squared_rows if X.shape[0] < X.shape[1] else _squared_columns)(X, factors)
    return lax.cond(accepted, lambda: use(gsvd), lambda: use(_orthogonal(X, factors)))


def _orthogonal(X: Array, factors: Array) -> GSVD:
    Q, R = qr(X)
    tau = _ratio(jnp.sum(jnp.abs(R)), jnp.sum(jnp.sqrt(factors))) ** 2
    both = jnp.concatenate([R, jnp.diag(jnp.sqrt(tau * factors))])
    scale = column_scale(both)
    AB, T = qr(both * scale[None, :])
    U, C, Vt = svd(AB[: R.shape[0]])
    S = jnp.linalg.norm(product(AB[R.shape[0] :], Vt.T), axis=0)
    return GSVD(Q, U, C, S, scale[:, None] * solve_triangular(T, Vt.T), tau, jnp.array(False))


def _squared_columns(X: Array, factors: Array) -> tuple[GSVD, Array]:
    G = gram(X)
    tau = _ratio(jnp.trace(G), jnp.sum(factors))
    factored = spd_factor(G + jnp.diag(tau * factors))
    half = factored.half_solve(jnp.diag(jnp.sqrt(tau * factors)))
    S2, V = eigh(product(half, half.T))
    S2 = jnp.where(jnp.arange(len(S2)) < jnp.sum(factors == 0), 0, S2)
    B = factored.scale[:, None] * solve_triangular(factored.L, V, lower=True, trans=1)
    C = jnp.sqrt(1 - S2)
    rounding = relative_noise(X.dtype, SAFE_POWER)  # X is squared: it is kept where three quarters of the digits remain

    def is_regular(noise):
        return factored.is_regular(noise) & jnp.all(((S2 > noise) | (S2 == 0)) & (1 - S2 > noise))

    is_close = is_regular(relative_noise(X.dtype, 1 - CLOSE_DIGITS))
    return GSVD(X, B / C[None, :], C, jnp.sqrt(S2), B, tau, is_close), is_regular(rounding)


def _squared_rows(X: Array, factors: Array) -> tuple[GSVD, Array]:
    inverse = 1 / factors
    K = product(X * inverse[None, :], X.T)
    tau = jnp.trace(K) / len(K)
    sizes, Z = eigh(K)
    C2, S2 = sizes / (sizes + tau), tau / (sizes + tau)
    B = inverse[:, None] * transpose_product(X, Z / jnp.sqrt(sizes * (sizes + tau))[None, :])
    rounding = relative_noise(X.dtype, SAFE_POWER)
    accepted = jnp.all(C2 > rounding) & jnp.all(factors > 0)
    one = jnp.eye(len(Z), dtype=X.dtype)
    return GSVD(Z, one, jnp.sqrt(C2), jnp.sqrt(S2), B, tau, jnp.array(False)), accepted


def _ratio(size_X: Array, size_penalty: Array) -> Array:
    """1 where one of both is 0."""
    usable = (size_X > 0) & (size_penalty > 0)
    return jnp.where(usable, size_X / jnp.where(size_penalty > 0, size_penalty, 1), 1)
