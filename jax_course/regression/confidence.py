r"""Confidence of linear regression (course 5.3). The model: y = Xθ + noise, independent, normal, of variance σ².

    cov(θ_fit) = σ²(XᵀX)⁻¹                                           covariance
    θ_j ± t √cov_jj                                                  confidence_interval
    xθ ± t σ √h,       h = x(XᵀX)⁻¹xᵀ                                mean_interval: the mean of y at x
    xθ ± t σ √(1 + h)                                                predict_interval: a new y at x

θ_fit = (XᵀX)⁻¹Xᵀy is linear in y, whose covariance is σ²I: hence the first line, and a new y has its own σ² besides.
t is Student's for m − d degrees of freedom. With X = QR, (XᵀX)⁻¹ = R⁻¹R⁻ᵀ: XᵀX is never formed.

σ² is not known. `variance(theta, X, y, weights=…)` is the function that estimates it: `unbiased_noise_variance`
divides by m − d, and the stated confidence is exact; `noise_variance` divides by m, the maximum likelihood.

An example of weight w counts as w examples, one of weight 0 as none: XᵀX is XᵀWX, and m is Σ w.

Shapes: theta (d,), the fit's; X (m, d), y (m,), weights, a scalar or (m,), those of the fit; X_new (n, d).
"""

from typing import Protocol

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product
from jax_course.probability import intervals
from jax_course.probability.intervals import Interval
from jax_course.regression.likelihood import residual_degrees_of_freedom, unbiased_noise_variance


class Variance(Protocol):
    """An estimate of σ² from the fit theta, its X, y and weights, in squared units of y."""

    def __call__(self, theta: Array, X: Array, y: Array, *, weights: ArrayLike) -> Array | float: ...


def covariance(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    variance: Variance = unbiased_noise_variance,
    weights: ArrayLike = 1.0,
) -> Array:
    """cov(θ_fit) = σ²(XᵀX)⁻¹, shape (d, d). Course 5.3.

    Errors: ValueError where the columns of X depend on each other; NaN there in jit.

    >>> covariance(jnp.array([1.0]), 2 * jnp.ones((4, 1)), jnp.array([0.0, 2.0, 2.0, 4.0])) * 48
    Array([[8.]], dtype=float64)
    """
    root = _root(*inputs.regression(theta, X, y), variance, weights)
    return product(root, root.T)


def standard_errors(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    variance: Variance = unbiased_noise_variance,
    weights: ArrayLike = 1.0,
) -> Array:
    """√ of the diagonal of `covariance`, shape (d,), in units of theta. Course 5.3.

    >>> standard_errors(jnp.array([1.0]), jnp.ones((4, 1)), jnp.array([-2.0, 1.0, 1.0, 4.0]))**2 * 2
    Array([3.], dtype=float64)
    """
    return jnp.linalg.norm(_root(*inputs.regression(theta, X, y), variance, weights), axis=1)


def confidence_interval(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    variance: Variance = unbiased_noise_variance,
    weights: ArrayLike = 1.0,
) -> Interval:
    """θ_j ± t √cov_jj, for each parameter by itself, shape (d,). Course 5.3.

    For one degree of freedom and a confidence of ½, t = 1:

    >>> confidence_interval(jnp.array([2.0]), jnp.ones((2, 1)), jnp.array([1.0, 3.0]), confidence=0.5)
    Interval(lower=Array([1.], dtype=float64), upper=Array([3.], dtype=float64))
    """
    theta, X, y = inputs.regression(theta, X, y)
    t = _critical(confidence, X, weights)
    return intervals.interval(theta, _root(theta, X, y, variance, weights), t)


def mean_interval(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    X_new: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    variance: Variance = unbiased_noise_variance,
    weights: ArrayLike = 1.0,
) -> Interval:
    """xθ ± t σ √h for every row x of X_new, shape (n,): the interval of the mean of y at x. Course 5.3.

    >>> X, y = jnp.ones((2, 1)), jnp.array([1.0, 3.0])
    >>> mean_interval(jnp.array([2.0]), X, y, jnp.array([[3.0]]), confidence=0.5)
    Interval(lower=Array([3.], dtype=float64), upper=Array([9.], dtype=float64))
    """
    theta, X, y = inputs.regression(theta, X, y)
    X_new = inputs.more_rows(X_new, X)
    t = _critical(confidence, X, weights)
    return intervals.interval(product(X_new, theta), product(X_new, _root(theta, X, y, variance, weights)), t)


def predict_interval(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    X_new: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    variance: Variance = unbiased_noise_variance,
    weights: ArrayLike = 1.0,
) -> Interval:
    """xθ ± t σ √(1 + h) for every row x of X_new, shape (n,): the interval of a new y at x. Course 5.3.

    >>> X, y = jnp.ones((2, 1)), jnp.array([1.0, 3.0])
    >>> predict_interval(jnp.array([2.0]), X, y, jnp.array([[4.0]]), confidence=0.5,
    ...                  variance=lambda theta, X, y, weights: 1.0)
    Interval(lower=Array([5.], dtype=float64), upper=Array([11.], dtype=float64))
    """
    theta, X, y = inputs.regression(theta, X, y)
    X_new = inputs.more_rows(X_new, X)
    t, root = _critical(confidence, X, weights), _root(theta, X, y, variance, weights)
    return intervals.interval(
        product(X_new, theta), product(X_new, root), t, noise=variance(theta, X, y, weights=weights)
    )


def _critical(confidence: ArrayLike, X: Array, weights: ArrayLike) -> Array:
    nu = residual_degrees_of_freedom(weights, X, "an interval")
    return intervals.student(intervals.level(confidence, X), nu)


def _root(theta: Array, X: Array, y: Array, variance: Variance, weights: ArrayLike) -> Array:
    """σ R⁻¹, a root of the covariance of θ, shape (d, d)."""
    root = intervals.covariance_root(X, inputs.training_weights(weights, X))
    root = inputs.refuse_nan(root, "the columns of X depend on each other, so that theta is not determined")
    return jnp.sqrt(variance(theta, X, y, weights=weights)) * root
