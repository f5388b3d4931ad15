r"""How far a fitted line can be trusted (course 5.3). The model: y = Xθ + noise, independent, normal, of variance σ².

    cov(θ_fit) = σ²(XᵀX)⁻¹                                           covariance
    θ_j ± t √cov_jj                                                  confidence_interval
    xθ ± t σ √h,       h = x(XᵀX)⁻¹xᵀ                                mean_interval: where the plane lies at x
    xθ ± t σ √(1 + h)                                                predict_interval: where a new y will lie at x

θ_fit = (XᵀX)⁻¹Xᵀy is linear in y, whose covariance is σ²I: hence the first line, and a new y has its own σ² besides.
t is Student's for m − d degrees of freedom. With X = QR, (XᵀX)⁻¹ = R⁻¹R⁻ᵀ: XᵀX is never formed.

σ² is not known. `variance` is the function of (theta, X, y) that estimates it: `unbiased_noise_variance`, by m − d, for
which the intervals hold exactly what they promise; or `noise_variance`, by m, the likeliest.

Shapes: theta (d,), the fit's; X (m, d), y (m,), those of the fit; X_new (n, d).
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from jax_course import boundary, checks
from jax_course.linalg import inverse_root, product
from jax_course.probability import intervals
from jax_course.probability.intervals import Interval
from jax_course.regression.likelihood import unbiased_noise_variance
from jax_course.typing import ArrayLike

Variance = Callable[[Array, Array, Array], Array]


def covariance(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, variance: Variance = unbiased_noise_variance) -> Array:
    """cov(θ_fit) = σ²(XᵀX)⁻¹, shape (d, d). Course 5.3.

    Errors: ValueError where the columns of X depend on each other; NaN there in jit.

    >>> covariance(jnp.array([1.0]), 2 * jnp.ones((4, 1)), jnp.array([0.0, 2.0, 2.0, 4.0])) * 48
    Array([[8.]], dtype=float64)
    """
    theta, X, y = checks.regression(theta, X, y)
    root = _root(X)
    return variance(theta, X, y) * product(root, root.T)


def standard_errors(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, variance: Variance = unbiased_noise_variance
) -> Array:
    """√ of the diagonal of `covariance`, shape (d,), in units of theta. Course 5.3.

    >>> standard_errors(jnp.array([1.0]), jnp.ones((4, 1)), jnp.array([-2.0, 1.0, 1.0, 4.0]))**2 * 2
    Array([3.], dtype=float64)
    """
    theta, X, y = checks.regression(theta, X, y)
    return jnp.sqrt(variance(theta, X, y)) * jnp.linalg.norm(_root(X), axis=1)


def confidence_interval(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    variance: Variance = unbiased_noise_variance,
) -> Interval:
    """θ_j ± t √cov_jj, for each parameter by itself, shape (d,). Course 5.3.

    With one degree of freedom and a confidence of ½, t = 1:

    >>> confidence_interval(jnp.array([2.0]), jnp.ones((2, 1)), jnp.array([1.0, 3.0]), confidence=0.5)
    Interval(lower=Array([1.], dtype=float64), upper=Array([3.], dtype=float64))
    """
    theta, X, y = checks.regression(theta, X, y)
    t = _critical(confidence, X)
    return intervals.around(theta, t * standard_errors(theta, X, y, variance=variance))


def mean_interval(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    X_new: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    variance: Variance = unbiased_noise_variance,
) -> Interval:
    """xθ ± t σ √h for every row x of X_new, shape (n,): where the mean of y lies there. Course 5.3.

    >>> X, y = jnp.ones((2, 1)), jnp.array([1.0, 3.0])
    >>> mean_interval(jnp.array([2.0]), X, y, jnp.array([[3.0]]), confidence=0.5)
    Interval(lower=Array([3.], dtype=float64), upper=Array([9.], dtype=float64))
    """
    theta, X, y = checks.regression(theta, X, y)
    X_new = checks.more_rows(X_new, X)
    half_width = _critical(confidence, X) * jnp.sqrt(variance(theta, X, y) * _leverage(X_new, X))
    return intervals.around(product(X_new, theta), half_width)


def predict_interval(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    X_new: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    variance: Variance = unbiased_noise_variance,
) -> Interval:
    """xθ ± t σ √(1 + h) for every row x of X_new, shape (n,): where a new y will lie there. Course 5.3.

    >>> X, y = jnp.ones((2, 1)), jnp.array([1.0, 3.0])
    >>> predict_interval(jnp.array([2.0]), X, y, jnp.array([[4.0]]), confidence=0.5, variance=lambda theta, X, y: 1.0)
    Interval(lower=Array([5.], dtype=float64), upper=Array([11.], dtype=float64))
    """
    theta, X, y = checks.regression(theta, X, y)
    X_new = checks.more_rows(X_new, X)
    half_width = _critical(confidence, X) * jnp.sqrt(variance(theta, X, y) * (1 + _leverage(X_new, X)))
    return intervals.around(product(X_new, theta), half_width)


def _critical(confidence: ArrayLike, X: Array) -> Array:
    m, d = X.shape
    if m <= d:
        raise ValueError(f"an interval needs more rows than columns in X; got shape {X.shape}")
    return intervals.student(intervals.level(confidence, X), jnp.asarray(m - d, X.dtype))


def _leverage(X_new: Array, X: Array) -> Array:
    return jnp.sum(product(X_new, _root(X)) ** 2, axis=1)


def _root(X: Array) -> Array:
    return boundary.determined(
        inverse_root(X), "the columns of X depend on each other, so that theta is not determined"
    )
