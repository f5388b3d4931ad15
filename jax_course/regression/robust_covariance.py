r"""Covariances of linear regression that hold where the variance of the noise differs from example to example.

    cov(θ_fit) ≈ A⁻¹ (Σ ω x xᵀ) A⁻¹,  A = XᵀX,  r = y − xθ,  h = xA⁻¹xᵀ

    ω = r²                                                           covariance_hc0   White (1980)
    ω = r² m/(m − d)                                                 covariance_hc1   MacKinnon & White (1985)
    ω = r²/(1 − h)                                                   covariance_hc2   MacKinnon & White (1985)
    ω = r²/(1 − h)²                                                  covariance_hc3   MacKinnon & White (1985)

θ_fit is linear in y: where y has the variances ω, this is its covariance, and r² estimates ω. The residuals of a fit
are too small, those of an example of a large leverage h most of all: hence the other three. With σ² for every ω it is
`linear.covariance`. Of the four, HC3 is the best for few examples (Long & Ervin 2000).

With A⁻¹ = R Rᵀ the columns of Z = XR are orthonormal: cov = R (Σ ω z zᵀ) Rᵀ, h = ‖z‖². XᵀX is never formed.

An example of weight w counts as w examples: sums over the examples are Σ w …, and m is Σ w.

Shapes: theta (d,), the fit's; X (m, d), y (m,); weights, a scalar or (m,), those of the fit. √ of the diagonal of a
covariance (d, d) are the robust standard errors.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, product
from jax_course.probability import intervals
from jax_course.regression.likelihood import residual_degrees_of_freedom

DEPENDENT = "the columns of X depend on each other, so that theta is not determined"
ALONE = "an example has a leverage of 1: without it the columns of X depend on each other; use covariance_hc1"


def covariance_hc0(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """A⁻¹ (Σ r² x xᵀ) A⁻¹, shape (d, d). White (1980).

    Errors: ValueError where the columns of X depend on each other; NaN there in jit.

    >>> covariance_hc0(jnp.array([1.0]), 2 * jnp.ones((4, 1)), jnp.array([0.0, 2.0, 2.0, 4.0])) * 32
    Array([[4.]], dtype=float64)
    """
    return _sandwich(theta, X, y, weights, lambda r, h: r**2)


def covariance_hc1(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """`covariance_hc0` times m/(m − d), shape (d, d); needs m > d. MacKinnon & White (1985).

    >>> covariance_hc1(jnp.array([1.0]), 2 * jnp.ones((4, 1)), jnp.array([0.0, 2.0, 2.0, 4.0])) * 48
    Array([[8.]], dtype=float64)
    """
    X = inputs.design(X)
    nu = residual_degrees_of_freedom(weights, X, "HC1")
    return covariance_hc0(theta, X, y, weights=weights) * ((nu + X.shape[1]) / nu)


def covariance_hc2(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """A⁻¹ (Σ r²/(1 − h) x xᵀ) A⁻¹, shape (d, d). MacKinnon & White (1985).

    Errors: ValueError where the columns of X depend on each other, or would without one of the examples; NaN in jit.

    >>> covariance_hc2(jnp.array([1.0]), 2 * jnp.ones((4, 1)), jnp.array([0.0, 2.0, 2.0, 4.0])) * 24
    Array([[4.]], dtype=float64)
    """
    return _sandwich(theta, X, y, weights, lambda r, h: r**2 / (1 - h))


def covariance_hc3(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """A⁻¹ (Σ r²/(1 − h)² x xᵀ) A⁻¹, shape (d, d). MacKinnon & White (1985).

    Errors: as of `covariance_hc2`.

    >>> covariance_hc3(jnp.array([1.0]), 2 * jnp.ones((4, 1)), jnp.array([0.0, 2.0, 2.0, 4.0])) * 18
    Array([[4.]], dtype=float64)
    """
    return _sandwich(theta, X, y, weights, lambda r, h: (r / (1 - h)) ** 2)


def _sandwich(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, weights: ArrayLike, variances: Callable[[Array, Array], Array]
) -> Array:
    """R (Σ w ω z zᵀ) Rᵀ, the variances ω (m,) from the residuals and the leverages, NaN for a leverage of 1."""
    theta, X, y = inputs.regression(theta, X, y)
    w = inputs.training_weights(weights, X)
    R = inputs.refuse_nan(intervals.covariance_root(X, w), DEPENDENT)
    Z = product(X, R)
    h = jnp.where(w > 0, jnp.sum(Z**2, axis=1), 0)  # an example of weight 0 is none, whatever its leverage
    rounding = 16 * len(theta) * jnp.finfo(X.dtype).eps
    omega = variances(y - product(X, theta), jnp.where(h < 1 - rounding, h, jnp.nan))
    omega = inputs.refuse_nan(omega, ALONE)
    return product(R, product(gram(Z, w * omega), R.T))
