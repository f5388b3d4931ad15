r"""Ridge regression (course 6.1): least squares that prefers small parameters.

    J = (y − Xθ)ᵀ(y − Xθ) + δ²θᵀθ                                   cost      6.1
    ∇J = 2Xᵀ(Xθ − y) + 2δ²θ                                         gradient  6.1
    ∇²J = 2(XᵀX + δ²I)                                              hessian   6.1
    θ = (XᵀX + δ²I)⁻¹Xᵀy                                            fit       6.1

Shapes: theta (d,), X (m, d), y (m,). `penalty` is δ², a scalar or an array that broadcasts against theta: then δ²θᵀθ is
Σ penalty θ² and δ²I is diag(penalty), and a 0 spares the bias (course 7.4). `weights` as in linear regression.

Several targets, y (m, t) and theta (d, t), as in linear regression. The penalty, a scalar or (d,), is the same for all.

The fit is least squares again, on √penalty as d more examples with target 0:

    J = ‖ [y; 0] − [X; diag(√penalty)] θ ‖²

Many penalties at once from one factorisation, and their leave-one-out errors: `regression.ridge_path`.
"""

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, product, transpose_product
from jax_course.linear_cost import weighted
from jax_course.regression.least_squares_fit import least_squares_fit
from jax_course.regression.linear import predict
from jax_course.regression.ridge_path import (
    budget,
    constrained,
    degrees_of_freedom,
    generalized_cross_validation,
    leave_one_out,
    path,
)
from jax_course.solution import Solution

__all__ = [
    "budget",
    "constrained",
    "cost",
    "degrees_of_freedom",
    "fit",
    "generalized_cross_validation",
    "gradient",
    "hessian",
    "hessian_product",
    "leave_one_out",
    "path",
    "predict",
]


def __dir__() -> list[str]:
    return __all__


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0) -> Array:
    """J(θ) = Σ (y − ŷ)² + Σ penalty θ², a scalar. Course 6.1.

    >>> cost(jnp.array([2.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), penalty=0.5)
    Array(12., dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_multivariate_regression(theta, X, y, penalty, weights)
    residual = product(X, theta) - y
    return jnp.sum(weighted(w, residual**2)) + jnp.sum(weighted(delta2, theta**2))


def gradient(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """∇J = 2Xᵀ(Xθ − y) + 2 penalty θ, shape (d,) or (d, t). Course 6.1, 7.4.

    >>> gradient(jnp.array([2.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), penalty=0.5)
    Array([-12.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_multivariate_regression(theta, X, y, penalty, weights)
    residual = product(X, theta) - y
    return 2 * transpose_product(X, weighted(w, residual)) + 2 * weighted(delta2, theta)


def hessian(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """∇²J = 2(XᵀX + diag(penalty)), shape (d, d), of each target; positive definite for any penalty > 0. Course 6.1.

    >>> hessian(jnp.array([2.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), penalty=0.5)
    Array([[11.]], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_multivariate_regression(theta, X, y, penalty, weights)
    return 2 * (gram(X, w) + jnp.diag(delta2))


def hessian_product(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    v: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
) -> Array:
    """∇²J v = 2Xᵀ(Xv) + 2 penalty v, shape (d,) or (d, t). Course 6.1.

    >>> hessian_product(jnp.array([2.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.0]),
    ...                 penalty=0.5)
    Array([33.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_multivariate_regression(theta, X, y, penalty, weights)
    v = inputs.direction(v, theta)
    return 2 * transpose_product(X, weighted(w, product(X, v))) + 2 * weighted(delta2, v)


def fit(X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0) -> Solution:
    """θ = (XᵀX + δ²I)⁻¹Xᵀy, shape (d,) or (d, t), by the algorithms of `linear.fit`. Course 6.1.

    Where the penalty leaves the minimiser undetermined: the one of least norm, status RANK_DEFICIENT.

    >>> fit(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), penalty=3.5).theta
    Array([2.], dtype=float64)
    """
    return least_squares_fit(inputs.unread_multivariate_problem(X, y, penalty=penalty, weights=weights))
