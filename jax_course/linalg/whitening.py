r"""Coordinates in which a design has orthonormal columns.

    θ = T w,  X θ = (X T) w,  Tᵀ(XᵀX + diag(δ²))T = I

A column far from 0 beside a column of ones, or powers of one feature, are nearly parallel: in θ the cost is a long
narrow valley whose floor rounding hides, in w it is round. T comes from the Cholesky factor of the Gram matrix, columns
equilibrated, which is cheap and leaves the columns of X T orthonormal to ε cond²; where that is too much, or where X
has not full rank, from R D = U S Vᵀ with [X; diag(δ)] D = QR, as in least squares: T = D V S⁻¹, and 0 for what S loses.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import solve_triangular

from jax_course.linalg.least_squares import column_scale, truncated_svd
from jax_course.linalg.products import gram, product
from jax_course.linalg.solve import Factored, spd_factor


class Whitened(NamedTuple):
    """X T, shape (m, d); T, shape (d, d); kept, shape (d,): False where a column of T is 0, as many as rank is lost."""

    X: Array
    T: Array
    kept: Array


def whiten(X: Array, delta2: Array) -> Whitened:
    """The coordinates w of θ = T w in which XᵀX + diag(δ²) is the identity; X (m, d), delta2 (d,), at least 0.

    >>> whiten(jnp.array([[3.0, 0.0], [0.0, 5.0]]), jnp.array([16.0, 0.0])).T
    Array([[0.2, 0. ],
           [0. , 0.2]], dtype=float64)
    """
    examples, scale = _equilibrated(X, delta2)
    gram_factor = spd_factor(gram(examples))

    def by_orthogonal_factors():
        _, S, Vt, kept = truncated_svd(jnp.linalg.qr(examples, mode="r"), jnp.ones_like(scale), len(examples))
        return jnp.where(kept[None, :], Vt.T / jnp.where(kept, S, 1)[None, :], 0), kept

    def by_cholesky():
        return _inverse_transposed(gram_factor), jnp.ones(X.shape[1], bool)

    T, kept = lax.cond(_is_safe(gram_factor), by_cholesky, by_orthogonal_factors)
    T = scale[:, None] * T
    return Whitened(product(X, T), T, kept)


def whiten_by_cholesky(X: Array, delta2: Array) -> tuple[Whitened, Array]:
    """The same where Cholesky's factor is safe, and whether it is; a smaller program.

    >>> whiten_by_cholesky(jnp.array([[3.0, 0.0], [0.0, 5.0]]), jnp.array([16.0, 0.0]))[1]
    Array(True, dtype=bool)
    """
    examples, scale = _equilibrated(X, delta2)
    gram_factor = spd_factor(gram(examples))
    T = scale[:, None] * _inverse_transposed(gram_factor)
    return Whitened(product(X, T), T, jnp.ones(X.shape[1], bool)), _is_safe(gram_factor)


def _equilibrated(X: Array, delta2: Array) -> tuple[Array, Array]:
    """[X; diag(δ)] with columns of about length 1, and their scale."""
    examples = jnp.concatenate([X, jnp.diag(jnp.sqrt(delta2))])
    scale = column_scale(examples)
    return examples * scale[None, :], scale


def _inverse_transposed(factored: Factored) -> Array:
    return solve_triangular(factored.L, jnp.diag(factored.scale), lower=True).T


def _is_safe(factored: Factored) -> Array:
    return factored.rcond > jnp.sqrt(jnp.finfo(factored.L.dtype).eps)
