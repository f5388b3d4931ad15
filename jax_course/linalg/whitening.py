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

from jax_course.linalg.cholesky import spd_factor
from jax_course.linalg.grams import gram
from jax_course.linalg.lapack import qr_factor, solve_triangular
from jax_course.linalg.least_squares import column_scale, truncated_svd
from jax_course.linalg.products import product


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
    m, d = X.shape
    delta = jnp.diag(jnp.sqrt(delta2))
    scale = column_scale(jnp.concatenate([X, delta]))
    examples = jnp.concatenate([X, delta]) * scale[None, :]
    gram_factor = spd_factor(gram(examples))

    def cholesky_transform():
        L_inverse = solve_triangular(gram_factor.L, jnp.diag(gram_factor.scale), lower=True)
        return L_inverse.T, jnp.ones(d, bool)

    def orthogonal_transform():
        _, S, Vt, kept = truncated_svd(qr_factor(examples), jnp.ones_like(scale), m + d)
        return jnp.where(kept[None, :], Vt.T / jnp.where(kept, S, 1)[None, :], 0), kept

    # X T is orthonormal to ε / rcond: to half of the digits at least
    accurate = gram_factor.is_regular(jnp.sqrt(jnp.finfo(X.dtype).eps))
    T, kept = lax.cond(accurate, cholesky_transform, orthogonal_transform)
    T = scale[:, None] * T
    return Whitened(product(X, T), T, kept)
