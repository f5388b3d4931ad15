r"""Softmax regression: K classes (course 9).

    Z = Xθ,  π_c = e^{z_c} / Σ_c' e^{z_c'}                          predict   9.1
    C = −Σ_i Σ_c 1_c(y_i) log π_ic + Σ penalty θ²                   cost      9.2
    ∂C/∂θ_c = Σ_i x_i (π_ic − 1_c(y_i)) + 2 penalty θ_c             gradient  9.3
    ∂²C/∂θ_k∂θ_l = Σ_i π_ik (δ_kl − π_il) x_i x_iᵀ                  hessian   9.3

From log π_c = z_c − log Σ e^{z_c'}, so ∂ log π_c / ∂z_k = δ_ck − π_k.

Shapes: theta (d, K), X (m, d), y (m,) of class numbers 0…K−1; K comes from theta. The Hessian has the shape
(d, K, d, K): entry [j, k, l, n] is ∂²C/∂θ_jk∂θ_ln. `penalty`, the course's δ², is a scalar or broadcasts against theta:
an array (d, 1) with a 0 in its first row spares the biases. `weights`, at least 0, a scalar or (m,): an example of
weight w counts as w examples.

Adding one vector to all K columns of theta changes no probability: without a penalty the Hessian is singular along
these d directions. `fit` returns, of all such theta, the one of least norm, whose rows sum to 0.
"""

import jax.numpy as jnp
from jax import Array

from jax_course import inputs, losses, scores
from jax_course.classification import newton_fit
from jax_course.classification.softmax_confidence import (
    confidence_interval,
    covariance,
    predict_interval,
    standard_errors,
)
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product, transpose_product
from jax_course.solution import Solution

__all__ = [
    "confidence_interval",
    "cost",
    "covariance",
    "fit",
    "gradient",
    "hessian",
    "hessian_product",
    "predict",
    "predict_class",
    "predict_interval",
    "standard_errors",
]


def __dir__() -> list[str]:
    return __all__


def predict(theta: ArrayLike, X: ArrayLike) -> Array:
    """π, a row per example and a column per class, rows summing to 1: shape (m, K). Course 9.1.

    >>> predict(jnp.zeros((1, 4)), jnp.array([[3.0]]))
    Array([[0.25, 0.25, 0.25, 0.25]], dtype=float64)
    """
    theta, X = inputs.class_scores(theta, X)
    return scores.probabilities(product(X, theta))


def predict_class(theta: ArrayLike, X: ArrayLike) -> Array:
    """The most probable class, the first among equals; integers, shape (m,). Course 9.1.

    >>> predict_class(jnp.array([[0.0, 2.0, 1.0]]), jnp.array([[1.0], [-1.0]]))
    Array([1, 0], dtype=int32)
    """
    theta, X = inputs.class_scores(theta, X)
    return jnp.argmax(product(X, theta), axis=1).astype(jnp.int32)


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0) -> Array:
    """C(θ), the negative log-likelihood in nats plus the penalty, a scalar. Course 9.2.

    A class number outside 0…K−1 gives NaN.

    >>> cost(jnp.zeros((1, 4)), jnp.ones((3, 1)), jnp.array([0, 1, 3])) / jnp.log(4)
    Array(3., dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_classification(theta, X, y, penalty, weights)
    return jnp.sum(w * scores.minus_log_pi(product(X, theta), y)) + jnp.sum(delta2 * theta**2)


def gradient(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """Xᵀ(π − 1(y)) + 2 penalty θ, shape (d, K). Course 9.3.

    >>> gradient(jnp.zeros((1, 2)), jnp.array([[4.0]]), jnp.array([1]))
    Array([[ 2., -2.]], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_classification(theta, X, y, penalty, weights)
    pi = predict(theta, X)
    return transpose_product(X, w.reshape(-1, 1) * (pi - scores.indicator(y, pi))) + 2 * delta2 * theta


def hessian(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """Σ_i π_ik (δ_kl − π_il) x_i x_iᵀ + 2 diag(penalty), shape (d, K, d, K). Course 9.3.

    >>> hessian(jnp.zeros((1, 2)), jnp.array([[4.0]]), jnp.array([1]))[0, :, 0, :]
    Array([[ 4., -4.],
           [-4.,  4.]], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_classification(theta, X, y, penalty, weights)
    penalty_hessian = 2 * jnp.diag(delta2.reshape(-1)).reshape(theta.shape + theta.shape)
    return losses.class_hessian(predict(theta, X), X, w) + penalty_hessian


def hessian_product(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    v: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
) -> Array:
    """Xᵀ[π (Xv − Σ_l π_l (Xv)_l)] + 2 penalty v, shape (d, K), without forming the Hessian. Course 9.3.

    >>> hessian_product(jnp.zeros((1, 2)), jnp.array([[4.0]]), jnp.array([1]), jnp.array([[1.0, 0.0]]))
    Array([[ 4., -4.]], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_classification(theta, X, y, penalty, weights)
    v = inputs.direction(v, theta)
    pi, Xv = predict(theta, X), product(X, v)
    mean_Xv = jnp.sum(pi * Xv, axis=1, keepdims=True)
    return transpose_product(X, w.reshape(-1, 1) * pi * (Xv - mean_Xv)) + 2 * delta2 * v


def fit(
    X: ArrayLike,
    y: ArrayLike,
    *,
    classes: int | None = None,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    max_steps: int = 100,
) -> Solution:
    """The minimiser of C from θ = 0, gradient at most 1e-10 of that at the start. Course 9.3.

    By damped Newton; many examples, or many parameters, by L-BFGS with a curvature from some of the examples: `method`
    tells.
    classes: K; the largest class number plus one where it is not given (inside jit it must be).
    Without a penalty: theta of least norm, and SEPARABLE or RANK_DEFICIENT as in logistic regression.

    >>> X, y = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 1.0]]), jnp.array([0, 1, 2, 0])
    >>> fit(X, y, penalty=0.5).check().theta.shape
    (2, 3)
    """
    problem = inputs.classification_problem(X, y, classes=classes, penalty=penalty, weights=weights)
    return newton_fit.fit(LOSS, problem, inputs.whole(max_steps, "max_steps"), penalty)


LOSS = losses.cross_entropy()
