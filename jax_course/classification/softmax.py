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

Since Σ_l π_l = 1, the blocks on the diagonal are π_k(1 − π_k) = Σ_{l≠k} π_k π_l: minus the sum of the others. So one
Gram matrix, of the columns π_k x, has the whole Hessian in it, and nothing cancels where a π_k is nearly 1.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import boundary, checks
from jax_course.classification import logits
from jax_course.classification.fitting import Likelihood, minimise
from jax_course.classification.part import Examples, Logits
from jax_course.classification.plain_newton import plain_newton
from jax_course.classification.quasi_newton_fit import is_worth_it, quasi_newton_fit
from jax_course.classification.softmax_confidence import (
    confidence_interval,
    covariance,
    predict_interval,
    standard_errors,
)
from jax_course.differentiation import forward_only
from jax_course.linalg import first_trusted, product, transpose_product
from jax_course.optimization.solution import Solution
from jax_course.typing import ArrayLike

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
    theta, X = checks.class_scores(theta, X)
    return logits.probabilities(product(X, theta))


def predict_class(theta: ArrayLike, X: ArrayLike) -> Array:
    """The most probable class, the first among equals; integers, shape (m,). Course 9.1.

    >>> predict_class(jnp.array([[0.0, 2.0, 1.0]]), jnp.array([[1.0], [-1.0]]))
    Array([1, 0], dtype=int32)
    """
    theta, X = checks.class_scores(theta, X)
    return jnp.argmax(product(X, theta), axis=1).astype(jnp.int32)


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0) -> Array:
    """C(θ), the negative log-likelihood in nats plus the penalty, a scalar. Course 9.2.

    A class number outside 0…K−1 gives NaN.

    >>> cost(jnp.zeros((1, 4)), jnp.ones((3, 1)), jnp.array([0, 1, 3])) / jnp.log(4)
    Array(3., dtype=float64)
    """
    theta, X, y = checks.classification(theta, X, y)
    delta2, w = checks.penalties(penalty, theta), checks.example_weights(weights, X)
    return jnp.sum(w * logits.minus_log_pi(product(X, theta), y)) + jnp.sum(delta2 * theta**2)


def gradient(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """Xᵀ(π − 1(y)) + 2 penalty θ, shape (d, K). Course 9.3.

    >>> gradient(jnp.zeros((1, 2)), jnp.array([[4.0]]), jnp.array([1]))
    Array([[ 2., -2.]], dtype=float64)
    """
    theta, X, y = checks.classification(theta, X, y)
    delta2, w = checks.penalties(penalty, theta), checks.example_weights(weights, X)
    pi = predict(theta, X)
    return transpose_product(X, w.reshape(-1, 1) * (pi - logits.indicator(y, pi))) + 2 * delta2 * theta


def hessian(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Array:
    """Σ_i π_ik (δ_kl − π_il) x_i x_iᵀ + 2 diag(penalty), shape (d, K, d, K). Course 9.3.

    >>> hessian(jnp.zeros((1, 2)), jnp.array([[4.0]]), jnp.array([1]))[0, :, 0, :]
    Array([[ 4., -4.],
           [-4.,  4.]], dtype=float64)
    """
    theta, X, y = checks.classification(theta, X, y)
    delta2, w = checks.penalties(penalty, theta), checks.example_weights(weights, X)
    of_penalty = 2 * jnp.diag(delta2.reshape(-1)).reshape(theta.shape + theta.shape)
    return logits.curvature(predict(theta, X), X, w) + of_penalty


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
    theta, X, y = checks.classification(theta, X, y)
    delta2, w = checks.penalties(penalty, theta), checks.example_weights(weights, X)
    v = checks.direction(v, theta)
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
    X = boundary.training_design(X)
    w = boundary.counts(weights, X)
    y, K = boundary.class_labels(y, X, w, classes)
    delta2 = boundary.nonnegative(checks.penalties(penalty, jax.ShapeDtypeStruct((X.shape[1], K), X.dtype)))
    data = X, y, delta2, w, checks.whole(max_steps, "max_steps")
    quick = _by_quasi_newton if is_worth_it(X, delta2) else _by_plain_newton
    return forward_only(first_trusted(partial(quick, *data), otherwise=partial(_by_newton, *data)), "softmax.fit")


@jax.jit
def _by_quasi_newton(X: Array, y: Array, delta2: Array, w: Array, max_steps: int) -> tuple[Solution, Array]:
    def slope(Z, y):
        pi = logits.probabilities(Z)
        return pi - logits.indicator(y, pi)

    of_logits = Logits(
        cost=logits.minus_log_pi,
        slope=slope,
        curvature=lambda Z, X, w: logits.curvature(logits.probabilities(Z), X, w),
        mean_spread=lambda Z: (1 - jnp.sum(logits.probabilities(Z) ** 2, axis=1)) / max(1, delta2.shape[1] - 1),
        least_spread=lambda Z: jnp.min(logits.probabilities(Z), axis=1),
    )
    return quasi_newton_fit(of_logits, Examples(X, y, w), delta2, max_steps)


@jax.jit
def _by_plain_newton(X: Array, y: Array, delta2: Array, w: Array, max_steps: int) -> tuple[Solution, Array]:
    return plain_newton(_likelihood(y, w), X, delta2, max_steps)


@jax.jit
def _by_newton(X: Array, y: Array, delta2: Array, w: Array, max_steps: int) -> Solution:
    return minimise(_likelihood(y, w), X, delta2, max_steps)


def _likelihood(y: Array, w: Array) -> Likelihood:
    of_example = w.reshape(-1, 1)

    def of_own_class(Z):
        return jnp.take_along_axis(Z, y[:, None], axis=1)

    def hessian_in_doubt(Z, X, doubt):
        pi = logits.probabilities(Z)
        return logits.curvature(jnp.where((pi > doubt) & (of_example > 0), pi, 0), X, jnp.ones((), X.dtype))

    return Likelihood(
        *(partial(part, y=y, weights=w) for part in (cost, gradient, hessian)),
        hessian_in_doubt=hessian_in_doubt,
        probabilities=logits.probabilities,
        margins=lambda Z: jnp.where((logits.indicator(y, Z) > 0) | (of_example == 0), jnp.inf, of_own_class(Z) - Z),
        reach=lambda Z: of_own_class(Z) + Z,
        weights=of_example,
    )
