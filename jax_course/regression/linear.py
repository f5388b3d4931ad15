r"""Linear regression (course 3, 7.4).

    ŷ = X θ                                                         predict   3.2
    J = (y − Xθ)ᵀ(y − Xθ) = Σ (y − ŷ)²                              cost      3.2
    ∇J = 2Xᵀ(Xθ − y)                                                gradient  7.4
    ∇²J = 2XᵀX                                                      hessian   7.4
    ∇J = 0  ⇒  θ = (XᵀX)⁻¹Xᵀy                                       fit       3.3

Its likelihood: `regression.likelihood` (5.2). Standard errors and intervals: `regression.confidence` (5.3). Covariances
that need no constant variance of the noise, HC0 to HC3: `regression.robust_covariance`.

From J = yᵀy − 2yᵀXθ + θᵀXᵀXθ and ∂(θᵀAθ)/∂θ = (A + Aᵀ)θ, which is 2Aθ because XᵀX is symmetric.

Shapes: theta (d,), X (m, d), y (m,). `weights`, at least 0, a scalar or (m,): an example of weight w counts as w
examples, J = Σ w (y − ŷ)². The bias is a column of ones (`features.with_bias`).

Of t targets, y is (m, t) and theta (d, t): J is the sum of their costs, ∇J has a column for each, and ∇²J, the same for
all, is that of one, shape (d, d): `hessian_product` takes and gives (d, t). `fit` factors once, a column of theta is
the fit of that target alone, and the status is one for all. Likelihood, errors and intervals are those of one target.
"""

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, product, transpose_product
from jax_course.linear_cost import weighted
from jax_course.regression.confidence import (
    confidence_interval,
    covariance,
    mean_interval,
    predict_interval,
    standard_errors,
)
from jax_course.regression.least_squares_fit import least_squares_fit
from jax_course.regression.likelihood import negative_log_likelihood, noise_variance, unbiased_noise_variance
from jax_course.regression.robust_covariance import covariance_hc0, covariance_hc1, covariance_hc2, covariance_hc3
from jax_course.solution import Solution

__all__ = [
    "confidence_interval",
    "cost",
    "covariance",
    "covariance_hc0",
    "covariance_hc1",
    "covariance_hc2",
    "covariance_hc3",
    "fit",
    "gradient",
    "hessian",
    "hessian_product",
    "mean_interval",
    "negative_log_likelihood",
    "noise_variance",
    "predict",
    "predict_interval",
    "standard_errors",
    "unbiased_noise_variance",
]


def __dir__() -> list[str]:
    return __all__


def predict(theta: ArrayLike, X: ArrayLike) -> Array:
    """ŷ = Xθ, shape (m,) or (m, t). Course 3.2.

    >>> predict(jnp.array([1.0, 2.0]), jnp.array([[1.0, 3.0]]))
    Array([7.], dtype=float64)
    """
    theta, X = inputs.multivariate_linear(theta, X)
    return product(X, theta)


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """J(θ) = Σ (y − ŷ)², a scalar in squared units of y. Course 3.2.

    >>> cost(jnp.array([2.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]))
    Array(10., dtype=float64)
    """
    theta, X, y = inputs.multivariate_regression(theta, X, y)
    w = inputs.example_weights(weights, X)
    residual = product(X, theta) - y
    return jnp.sum(weighted(w, residual**2))


def gradient(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """∇J = 2Xᵀ(Xθ − y), shape (d,) or (d, t). Course 7.4.

    >>> gradient(jnp.array([2.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]))
    Array([-14.], dtype=float64)
    """
    theta, X, y = inputs.multivariate_regression(theta, X, y)
    w = inputs.example_weights(weights, X)
    residual = product(X, theta) - y
    return 2 * transpose_product(X, weighted(w, residual))


def hessian(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """∇²J = 2XᵀX, shape (d, d), of each target; positive definite where X has full column rank. Course 7.4.

    >>> hessian(jnp.array([2.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]))
    Array([[10.]], dtype=float64)
    """
    theta, X, y = inputs.multivariate_regression(theta, X, y)
    return 2 * gram(X, inputs.example_weights(weights, X))


def hessian_product(theta: ArrayLike, X: ArrayLike, y: ArrayLike, v: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """∇²J v = 2Xᵀ(Xv), shape (d,) or (d, t). Course 7.4.

    >>> hessian_product(jnp.array([2.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.0]))
    Array([30.], dtype=float64)
    """
    theta, X, y = inputs.multivariate_regression(theta, X, y)
    w = inputs.example_weights(weights, X)
    v = inputs.direction(v, theta)
    return 2 * transpose_product(X, weighted(w, product(X, v)))


def fit(X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Solution:
    """θ = (XᵀX)⁻¹Xᵀy, shape (d,) or (d, t), to nearly full precision. Course 3.3.

    By an orthogonal factorisation with refinement; where X is large and its columns are not nearly dependent, by
    Cholesky's factor of XᵀX, refined where that gives digits: see `method`. For more columns than rows, or dependent
    columns: the minimiser of least norm, status RANK_DEFICIENT.

    >>> fit(jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), jnp.array([1.0, 3.0, 5.0])).theta
    Array([1., 2.], dtype=float64)
    """
    return least_squares_fit(inputs.unread_multivariate_problem(X, y, weights=weights))
