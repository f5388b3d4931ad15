r"""Confidence of logistic regression by Wald's intervals (course 5.3, 8.6).

    cov(θ_fit) ≈ H⁻¹ = (XᵀSX)⁻¹,  S = diag(π(1 − π))                 covariance
    θ_j ± z √cov_jj                                                  confidence_interval
    σ(xθ ± z √(x cov xᵀ))                                            predict_interval: P(y = 1 given x)

Near its minimum the negative log-likelihood is the parabola with the Hessian H, and for many examples the minimiser is
normal around the truth with the covariance H⁻¹. The interval of a probability is that of its logit, taken through σ, so
that it stays between 0 and 1. XᵀSX is never formed: √S X = QR, H⁻¹ = R⁻¹R⁻ᵀ.

Shapes: theta (d,), the fit's without a penalty; X (m, d), that of the fit; X_new (n, d). The stated confidence holds
for many examples, not for few: the distribution of the estimate is known only in the limit.
"""

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product
from jax_course.probability import intervals
from jax_course.probability.intervals import Interval
from jax_course.scores import sigmoid, sigmoid_derivative
from jax_course.tiers import compiled


def covariance(theta: ArrayLike, X: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """(XᵀSX)⁻¹, shape (d, d). Course 8.6.

    Errors: ValueError where the Hessian is singular: dependent columns, or π that are all 0 or 1; NaN there in jit.

    >>> covariance(jnp.zeros(1), jnp.array([[2.0], [4.0]])) * 5
    Array([[1.]], dtype=float64)
    """
    root = _root(theta, X, weights)
    return product(root, root.T)


def standard_errors(theta: ArrayLike, X: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """√ of the diagonal of `covariance`, shape (d,), in units of theta. Course 8.6.

    >>> standard_errors(jnp.zeros(1), jnp.array([[2.0]]))
    Array([1.], dtype=float64)
    """
    return jnp.linalg.norm(_root(theta, X, weights), axis=1)


def confidence_interval(
    theta: ArrayLike, X: ArrayLike, *, confidence: ArrayLike = 0.95, weights: ArrayLike = 1.0
) -> Interval:
    """θ_j ± z √cov_jj, for each parameter by itself, shape (d,). Course 5.3, 8.6.

    >>> confidence_interval(jnp.zeros(1), jnp.array([[2.0]]), confidence=0.5).upper / 0.6744897501960817
    Array([1.], dtype=float64)
    """
    theta, X = inputs.linear(theta, X)
    return intervals.normal_interval(theta, _root(theta, X, weights), confidence)


def predict_interval(
    theta: ArrayLike,
    X: ArrayLike,
    X_new: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    weights: ArrayLike = 1.0,
) -> Interval:
    """σ(xθ ± z √(x cov xᵀ)) for every row x of X_new, shape (n,): the interval of P(y = 1 given x). Course 5.3, 8.6.

    >>> predict_interval(jnp.zeros(1), jnp.array([[2.0]]), jnp.array([[0.0]]))
    Interval(lower=Array([0.5], dtype=float64), upper=Array([0.5], dtype=float64))
    """
    theta, X = inputs.linear(theta, X)
    X_new = inputs.more_rows(X_new, X)
    z, root = product(X_new, theta), product(X_new, _root(theta, X, weights))
    return Interval(*map(sigmoid, intervals.normal_interval(z, root, confidence)))


def _root(theta: ArrayLike, X: ArrayLike, weights: ArrayLike) -> Array:
    theta, X = inputs.linear(theta, X)
    root = _root_or_nan(theta, X, inputs.training_weights(weights, X))
    return inputs.refuse_nan(root, "the Hessian is singular: columns of X depend on each other, or every π is 0 or 1")


@compiled
def _root_or_nan(theta: Array, X: Array, w: Array) -> Array:
    S = sigmoid_derivative(product(X, theta))
    return intervals.covariance_root(X, w * S)
