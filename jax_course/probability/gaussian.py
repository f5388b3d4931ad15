r"""The normal distribution, in one dimension and in many (course 4, 5).

    p(x) = (2πσ²)^(−1/2) exp(−½((x − μ)/σ)²)                        pdf                   4.1
    p(x) = det(2πΣ)^(−1/2) exp(−½ rᵀΣ⁻¹r),  r = x − μ               pdf, log_pdf          4.4 (slip E 4)
    log p(X) = Σ log p(x)                                           log_likelihood        5.1
    μ = (1/m) Σ x,  Σ = (1/m) Σ (x − μ)(x − μ)ᵀ                     mean, covariance      4.2, 4.3
    H = ½ log det(2πeΣ)                                             entropy               5.5

    ∂ log p/∂x = −Σ⁻¹r,  ∂² log p/∂x² = −Σ⁻¹                        gradient_x, hessian_x
    ∂ log p/∂μ = Σ⁻¹r                                               gradient_mean
    ∂ log p/∂Σ = ½(Σ⁻¹r rᵀΣ⁻¹ − Σ⁻¹)                                gradient_covariance

The derivative in Σ takes its d² entries as independent, and log p as a function of (Σ + Σᵀ)/2: hence it is symmetric,
and d log p = Σ_ij (∂ log p/∂Σ)_ij dΣ_ij for a symmetric dΣ. With Σ = BBᵀ, B triangular,
rᵀΣ⁻¹r = ‖B⁻¹r‖², ½ log det Σ = log det B, and x = μ + Bz for a standard normal z is a draw (`sample`).

Shapes: x (m, d), or (d,) for a single one; mean (d,), covariance (d, d). In one dimension mean and covariance, the
variance, are scalars and x has any shape. A covariance that is not symmetric and positive definite to rounding is
refused; inside jit the results are NaN.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram
from jax_course.probability import covariances, parameters
from jax_course.probability.covariances import root

__all__ = [
    "Gaussian",
    "covariance",
    "entropy",
    "fit",
    "fit_unbiased",
    "gradient_covariance",
    "gradient_mean",
    "gradient_x",
    "hessian_x",
    "log_likelihood",
    "log_pdf",
    "mean",
    "pdf",
    "sample",
    "unbiased_covariance",
]


def __dir__() -> list[str]:
    return __all__


_LOG_2PI = math.log(2 * math.pi)


class Gaussian(NamedTuple):
    """N(μ, Σ): mean (d,) and covariance (d, d), or two scalars. Course 4.4."""

    mean: Array
    covariance: Array


def pdf(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """p(x), shape (m,), in units of 1 / (x₁ … x_d). Course 4.1, 4.4.

    >>> pdf(3.0, 3.0, 1 / (2 * jnp.pi))
    Array(1., dtype=float64)
    """
    return jnp.exp(log_pdf(x, mean, covariance))


def log_pdf(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """log p(x), shape (m,). Course 4.4.

    >>> log_pdf(jnp.array([[3.0, 4.0]]), jnp.zeros(2), jnp.eye(2)) + jnp.log(2 * jnp.pi)
    Array([-12.5], dtype=float64)
    """
    x, mean, covariance = covariances.gaussian(x, mean, covariance)
    B, r = root(covariance), _deviations(x, mean)
    log_p = -(mean.size * _LOG_2PI + jnp.sum(B.solve(r) ** 2, axis=1)) / 2 - B.log_det()
    return log_p.reshape(x.shape[: x.ndim - mean.ndim])


def log_likelihood(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """Σ log p(x) over the examples, a scalar. Course 5.1.

    >>> log_likelihood(jnp.array([-3.0, 1.0]), 0.0, 1.0) + jnp.log(2 * jnp.pi)
    Array(-5., dtype=float64)
    """
    return jnp.sum(log_pdf(x, mean, covariance))


def gradient_x(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """∂ log p/∂x = −Σ⁻¹r of every example, shape (m, d). Course 4.4.

    >>> gradient_x(jnp.array([[2.0, 8.0]]), jnp.array([0.0, 4.0]), jnp.diag(jnp.array([1.0, 4.0])))
    Array([[-2., -1.]], dtype=float64)
    """
    return -gradient_mean(x, mean, covariance)


def hessian_x(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """∂² log p/∂x² = −Σ⁻¹, shape (d, d), equal for all examples. Course 4.4.

    >>> hessian_x(jnp.zeros(2), jnp.zeros(2), jnp.array([[4.0, 2.0], [2.0, 2.0]]))
    Array([[-0.5,  0.5],
           [ 0.5, -1. ]], dtype=float64)
    """
    x, mean, covariance = covariances.gaussian(x, mean, covariance)
    return -root(covariance).precision().reshape(covariance.shape)


def gradient_mean(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """∂ log p/∂μ = Σ⁻¹r of every example, shape (m, d). Course 4.4.

    >>> gradient_mean(jnp.array([[2.0, 8.0]]), jnp.array([0.0, 4.0]), jnp.diag(jnp.array([1.0, 4.0])))
    Array([[2., 1.]], dtype=float64)
    """
    x, mean, covariance = covariances.gaussian(x, mean, covariance)
    B, r = root(covariance), _deviations(x, mean)
    return B.solve_transposed(B.solve(r)).reshape(x.shape)


def gradient_covariance(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """∂ log p/∂Σ = ½(Σ⁻¹r rᵀΣ⁻¹ − Σ⁻¹) of every example, shape (m, d, d). Course 4.4.

    >>> gradient_covariance(jnp.array([2.0, 8.0]), jnp.array([0.0, 4.0]), jnp.diag(jnp.array([1.0, 4.0])))
    Array([[1.5  , 1.   ],
           [1.   , 0.375]], dtype=float64)
    """
    x, mean, covariance = covariances.gaussian(x, mean, covariance)
    B, r = root(covariance), _deviations(x, mean)
    s = B.solve_transposed(B.solve(r))
    slope = (s[:, :, None] * s[:, None, :] - B.precision()[None, :, :]) / 2
    return slope.reshape(x.shape[: x.ndim - mean.ndim] + covariance.shape)


def _deviations(x: Array, mean: Array) -> Array:
    """A row r = x − μ per example, shape (m, d), (m, 1) in one dimension."""
    return x.reshape(-1, mean.size) - mean.reshape(1, -1)


def mean(X: ArrayLike) -> Array:
    """μ = (1/m) Σ x, shape (d,), the maximum likelihood; a scalar for X of shape (m,). Course 4.2.

    >>> mean(jnp.array([[1.0, 10.0], [2.0, 30.0]]))
    Array([ 1.5, 20. ], dtype=float64)
    """
    return _mean(_examples(X))


def covariance(X: ArrayLike) -> Array:
    """Σ = (1/m) Σ (x − μ)(x − μ)ᵀ, shape (d, d), the maximum likelihood: on average too small. Course 4.3.

    Singular, so that there is no density, unless m > d. A scalar for X of shape (m,).

    >>> covariance(jnp.array([[1.0, 10.0], [2.0, 30.0]]))
    Array([[  0.25,   5.  ],
           [  5.  , 100.  ]], dtype=float64)
    """
    X = _examples(X)
    return _scatter(X) / len(X)


def unbiased_covariance(X: ArrayLike) -> Array:
    """Σ = 1/(m − 1) Σ (x − μ)(x − μ)ᵀ, shape (d, d): right on average. Needs m > 1. Course 4.3.

    >>> unbiased_covariance(jnp.array([[1.0, 10.0], [2.0, 30.0]]))
    Array([[  0.5,  10. ],
           [ 10. , 200. ]], dtype=float64)
    """
    X = _examples(X)
    if len(X) < 2:
        raise ValueError(f"an unbiased covariance needs at least two examples; got X of shape {X.shape}")
    return _scatter(X) / (len(X) - 1)


def fit(X: ArrayLike) -> Gaussian:
    """The Gaussian of maximum likelihood, by `mean` and `covariance`. Course 4.2, 4.3.

    >>> fit(jnp.array([1.0, 5.0]))
    Gaussian(mean=Array(3., dtype=float64), covariance=Array(4., dtype=float64))
    """
    return Gaussian(mean(X), covariance(X))


def fit_unbiased(X: ArrayLike) -> Gaussian:
    """The Gaussian of `mean` and `unbiased_covariance`. Course 4.2, 4.3.

    >>> fit_unbiased(jnp.array([1.0, 5.0]))
    Gaussian(mean=Array(3., dtype=float64), covariance=Array(8., dtype=float64))
    """
    return Gaussian(mean(X), unbiased_covariance(X))


def _examples(X: ArrayLike) -> Array:
    (X,) = parameters.floats(X=X)
    if X.ndim not in (1, 2) or not X.size:
        raise ValueError(f"X must have shape (m, d), or (m,) in one dimension, and not be empty; got shape {X.shape}")
    return inputs.finite(parameters.single_or_double(X, "X"), "X")


def _mean(X: Array) -> Array:
    rough = jnp.mean(X, axis=0)
    return rough + jnp.mean(X - rough[None], axis=0)  # corrects the rounding of large sums


def _scatter(X: Array) -> Array:
    """Σ (x − μ)(x − μ)ᵀ, shape (d, d)."""
    return gram((X - _mean(X)[None]).reshape(len(X), -1)).reshape(2 * X.shape[1:])


def entropy(covariance: ArrayLike) -> Array:
    """H = ½ log det(2πeΣ) in nats, a scalar: affine in log det Σ. Course 5.5 (slip E 6).

    >>> entropy(1 / (2 * jnp.pi)), entropy(jnp.eye(2) / (2 * jnp.pi))
    (Array(0.5, dtype=float64), Array(1., dtype=float64))
    """
    (covariance,) = parameters.floats(covariance=covariance)
    B = root(covariances.square(covariance))
    return len(B.scale) * (1 + _LOG_2PI) / 2 + B.log_det()


def sample(key: Array, mean: ArrayLike, covariance: ArrayLike, m: int) -> Array:
    """m independent draws, shape (m, d); (m,) in one dimension. Course 4.4.

    >>> sample(jax.random.key(0), jnp.zeros(2), jnp.eye(2), m=3).shape
    (3, 2)
    """
    mean, covariance = covariances.location(*parameters.floats(mean=mean, covariance=covariance))
    z = jax.random.normal(inputs.random_key(key, "key"), (int(inputs.whole(m, "m")), mean.size), mean.dtype)
    x = mean.reshape(1, -1) + root(covariance).times(z)
    return x.reshape(len(z), *mean.shape)
