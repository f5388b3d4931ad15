r"""Covariance matrices: an invalid one is refused, an ill-conditioned one keeps its digits.

    S Σ S = C ≈ LLᵀ,  R = C − LLᵀ in extended precision,  I + L⁻¹RL⁻ᵀ = MMᵀ
    Σ = BBᵀ,  B = S⁻¹LM

S equilibrates Σ, exactly (powers of two). L alone has a relative error of cond(C) ε: four digits are left at 1e12. M is
the factor of its rounding error, and leaves an error of about √cond(C) ε. Any L gives the right derivatives through R
and M, so L itself is not differentiated.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jax_course import inputs
from jax_course.inputs.arrays import is_concrete
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, product, rank_tolerance, spd_factor
from jax_course.linalg.double_double import add_products
from jax_course.linalg.lapack import cholesky, solve_triangular
from jax_course.probability import parameters
from jax_course.tiers import compiled


class Root(NamedTuple):
    """B of Σ = BBᵀ by its factors: scale (d,), L and M (d, d). Its methods take vectors as rows, shape (m, d)."""

    scale: Array
    L: Array
    M: Array

    def times(self, z: Array) -> Array:
        """B z."""
        return product(product(z, self.M.T), self.L.T) / self.scale[None, :]

    def solve(self, r: Array) -> Array:
        """B⁻¹r = M⁻¹L⁻¹S r: in turn, since the product of the inverses would cost more digits than the solutions."""
        solved = solve_triangular(self.L, (self.scale[None, :] * r).T, lower=True)
        return solve_triangular(self.M, solved, lower=True).T

    def solve_transposed(self, w: Array) -> Array:
        """B⁻ᵀw = S L⁻ᵀM⁻ᵀ w, so that B⁻ᵀB⁻¹r = Σ⁻¹r."""
        solved = solve_triangular(self.M, w.T, lower=True, trans=1)
        return self.scale[None, :] * solve_triangular(self.L, solved, lower=True, trans=1).T

    def precision(self) -> Array:
        """Σ⁻¹ = B⁻ᵀB⁻¹, shape (d, d)."""
        return gram(self.solve(jnp.eye(len(self.L), dtype=self.L.dtype)).T)

    def log_det(self) -> Array:
        """log det B = ½ log det Σ, a scalar."""
        diagonals = jnp.log(jnp.diagonal(self.L)) + jnp.log(jnp.diagonal(self.M)) - jnp.log(self.scale)
        return jnp.sum(diagonals)


def root(covariance: Array) -> Root:
    """B of Σ = BBᵀ, Σ (d, d); a scalar is taken as a (1, 1) matrix. Course 4.4.

    Errors: ValueError where Σ is not symmetric and positive definite to rounding; M is NaN there in jit.

    >>> root(jnp.array([[4.0, 0.0], [0.0, 100.0]])).solve(jnp.array([[6.0, 20.0]]))
    Array([[3., 2.]], dtype=float64)
    """
    if covariance.ndim == 0:
        deviation = jnp.sqrt(inputs.positive(covariance, "covariance", covariance)).reshape(1, 1)
        return Root(jnp.ones_like(deviation[0]), deviation, jnp.ones_like(deviation))
    factors = _factorised(covariance)
    if is_concrete(factors.M) and np.isnan(np.asarray(factors.M)).any():
        raise ValueError(_refusal(inputs.finite(covariance, "covariance")))
    return factors


@compiled
def _factorised(covariance: Array) -> Root:
    A = jnp.where(_asymmetry(covariance) <= 1, (covariance + covariance.T) / 2, jnp.nan)
    factored = spd_factor(lax.stop_gradient(A))
    L, scale = factored.L, factored.scale
    C = scale[:, None] * A * scale[None, :]
    R = jax.vmap(lambda row, factors: add_products(row, L.T, -factors))(C, L)
    E = solve_triangular(L, solve_triangular(L, R, lower=True).T, lower=True)
    # E corrects the errors of the factorisation, so that only those of the entries of A count
    determined = factored.is_regular(rank_tolerance(A))
    return Root(scale, L, cholesky(jnp.where(determined, jnp.eye(len(A), dtype=A.dtype) + E, jnp.nan)))


def _asymmetry(A: Array) -> Array:
    """|Σ_ij − Σ_ji| in units of the largest rounding error of a sum of products: above 1 it is a mistake."""
    deviation = jnp.sqrt(jnp.diagonal(A))
    rounding = 100 * len(A) * jnp.finfo(A.dtype).eps * deviation[:, None] * deviation[None, :]
    return jnp.where(A == A.T, 0, jnp.abs(A - A.T) / rounding)


def _refusal(covariance: Array) -> str:
    """The message for a matrix that is no covariance."""
    values, variances = np.asarray(covariance), np.diagonal(covariance)
    if not np.all(variances > 0):
        i = int(np.argmin(variances))
        return f"covariance must be positive definite; its variance covariance[{i}, {i}] is {variances[i]}"
    asymmetry = np.asarray(_asymmetry(covariance))
    if np.any(asymmetry > 1):
        i, j = np.unravel_index(np.argmax(asymmetry), asymmetry.shape)
        return f"covariance must be symmetric; [{i}, {j}] is {values[i, j]} and [{j}, {i}] is {values[j, i]}"
    deviations = np.sqrt(variances)
    smallest = np.linalg.eigvalsh(values / deviations[:, None] / deviations[None, :])[0]
    singular = ": singular to rounding" if smallest > -len(values) * np.finfo(values.dtype).eps else ""
    return (
        f"covariance must be positive definite; the smallest eigenvalue of its correlation matrix is {smallest:.3g}"
        + singular
    )


def gaussian(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> tuple[Array, Array, Array]:
    """x (..., d), mean (d,) and covariance (d, d), or x of any shape and two scalars; of one dtype."""
    x, mean, covariance = parameters.floats(x=x, mean=mean, covariance=covariance)
    location(mean, covariance)
    if x.shape[max(x.ndim - mean.ndim, 0) :] != mean.shape:
        raise ValueError(
            f"x must have shape (m, {mean.size}), a row per example and a column per entry of mean; got shape {x.shape}"
        )
    return x, mean, covariance


def location(mean: Array, covariance: Array) -> tuple[Array, Array]:
    """mean (d,) and covariance (d, d), or two scalars."""
    square(covariance)
    if mean.ndim == 1 and covariance.ndim == 2 and len(mean) != len(covariance):
        raise ValueError(
            f"covariance must have shape ({len(mean)}, {len(mean)}), a row and a column per entry of mean; "
            f"got shape {covariance.shape}"
        )
    if mean.shape != covariance.shape[1:]:
        raise ValueError(
            f"mean must have shape {covariance.shape[1:]} beside a covariance of shape {covariance.shape}; "
            f"got shape {mean.shape}"
        )
    return mean, covariance


def square(covariance: Array) -> Array:
    """covariance (d, d), d at least 1, or a scalar."""
    if covariance.ndim not in (0, 2) or len(set(covariance.shape)) > 1 or not covariance.size:
        raise ValueError(
            f"covariance must have shape (d, d), or () in one dimension; got shape {covariance.shape}"
            + (": for variances alone write jnp.diag(covariance)" if covariance.ndim == 1 else "")
        )
    return parameters.single_or_double(covariance, "covariance")
