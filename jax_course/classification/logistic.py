r"""Logistic regression: a linear classifier with a probability (course 8).

    z = Xθ,  π = σ(z) = 1 / (1 + e⁻ᶻ)                               predict   8.2
    C = −Σ [y log π + (1 − y) log(1 − π)] + Σ penalty θ²            cost      8.4
    g = Xᵀ(π − y) + 2 penalty θ                                     gradient  8.5
    H = XᵀSX + 2 diag(penalty),  S = diag(π(1 − π))                 hessian   8.6
    θ ← (XᵀSX)⁻¹ Xᵀ[SXθ + (y − π)]                                  irls_step 8.6

From ∂C/∂π = (π − y) / (π(1 − π)), ∂π/∂z = π(1 − π) and ∂z/∂θ = x.

Shapes: theta (d,), X (m, d), y (m,) in {0, 1}; `penalty`, the course's δ², is a scalar or broadcasts against theta.
`weights`, at least 0, a scalar or (m,): an example of weight w counts as w examples.
The cost is taken from z, −log π = softplus(−z), so that no logarithm ever sees a zero.

The minimum is unique only where X has full column rank, and exists only where no plane separates the classes: `fit`
says which of the two failed. How far theta can be trusted: `classification.logistic_confidence`.
"""

import jax.numpy as jnp
from jax import Array

from jax_course import inputs, losses
from jax_course.classification import newton_fit
from jax_course.classification.logistic_confidence import (
    confidence_interval,
    covariance,
    predict_interval,
    standard_errors,
)
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, product, spd_solve, transpose_product
from jax_course.scores import sigmoid, sigmoid_derivative, softplus
from jax_course.solution import Solution

__all__ = [
    "confidence_interval",
    "cost",
    "covariance",
    "fit",
    "gradient",
    "hessian",
    "hessian_product",
    "irls_step",
    "predict",
    "predict_class",
    "predict_interval",
    "sigmoid",
    "sigmoid_derivative",
    "softplus",
    "standard_errors",
]


def __dir__() -> list[str]:
    return __all__


def predict(theta: ArrayLike, X: ArrayLike) -> Array:
    """π = P(y = 1 given x), shape (m,). Course 8.2.

    >>> predict(jnp.array([1.0]), jnp.array([[0.0]]))
    Array([0.5], dtype=float64)
    """
    theta, X = inputs.linear(theta, X)
    return sigmoid(product(X, theta))


def predict_class(theta: ArrayLike, X: ArrayLike) -> Array:
    """1 where π > ½, on one side of the plane xθ = 0, else 0; integers, shape (m,). Course 8.3.

    >>> predict_class(jnp.array([1.0]), jnp.array([[-2.0], [3.0]]))
    Array([0, 1], dtype=int32)
    """
    theta, X = inputs.linear(theta, X)
    return (product(X, theta) > 0).astype(jnp.int32)


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0) -> Array:
    """C(θ), the negative log-likelihood in nats plus the penalty, a scalar. Course 8.4.

    >>> cost(jnp.zeros(1), jnp.ones((2, 1)), jnp.array([0.0, 1.0])) / jnp.log(2)
    Array(2., dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    z = product(X, theta)
    minus_log_pi, minus_log_1_minus_pi = softplus(-z), softplus(z)
    return jnp.sum(w * (y * minus_log_pi + (1 - y) * minus_log_1_minus_pi)) + jnp.sum(delta2 * theta**2)


def gradient(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """g = Xᵀ(π − y) + 2 penalty θ, shape (d,). Course 8.5.

    >>> gradient(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([0.0, 1.0]))
    Array([-1.5], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    pi = predict(theta, X)
    return transpose_product(X, w * (pi - y)) + 2 * delta2 * theta


def hessian(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """H = XᵀSX + 2 diag(penalty), shape (d, d); positive definite where X has full column rank. Course 8.6.

    >>> hessian(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([0.0, 1.0]))
    Array([[4.25]], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    S = sigmoid_derivative(product(X, theta))
    return gram(X, weights=w * S) + 2 * jnp.diag(delta2)


def hessian_product(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    v: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
) -> Array:
    """H v = XᵀS(Xv) + 2 penalty v, shape (d,). Course 8.6.

    >>> hessian_product(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([0.0, 1.0]), jnp.array([2.0]))
    Array([8.5], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    v = inputs.direction(v, theta)
    S = sigmoid_derivative(product(X, theta))
    return transpose_product(X, w * S * product(X, v)) + 2 * delta2 * v


def irls_step(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """θ ← (XᵀSX + 2 diag(penalty))⁻¹ Xᵀ[SXθ + (y − π)]: Newton's step as weighted least squares. Course 8.6.

    Undamped; not finite where H is singular.

    >>> irls_step(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([0.0, 1.0])) * 17
    Array([6.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    z = product(X, theta)
    S, pi = sigmoid_derivative(z), sigmoid(z)
    H = gram(X, weights=w * S) + 2 * jnp.diag(delta2)
    return spd_solve(H, transpose_product(X, w * (S * z + (y - pi)))).x


def fit(
    X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0, max_steps: int = 100
) -> Solution:
    """The minimiser of C from θ = 0, gradient at most 1e-10 of that at the start. Course 8.6.

    By damped Newton; many examples by L-BFGS with a curvature from some of them, without XᵀSX: `method` tells.
    Where the classes can be separated and no penalty holds theta back: status SEPARABLE, theta no estimate.
    Where columns depend on each other: the minimiser of least norm, status RANK_DEFICIENT.

    >>> X, y = jnp.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]), jnp.array([0, 1, 1, 1])
    >>> fit(X, y, penalty=jnp.array([0.0, 1.0])).check().gradient_norm < 1e-10
    Array(True, dtype=bool)
    """
    problem = inputs.binary_problem(X, y, penalty=penalty, weights=weights)
    return newton_fit.fit(LOSS, problem, inputs.whole(max_steps, "max_steps"), penalty)


LOSS = losses.binary_cross_entropy()
