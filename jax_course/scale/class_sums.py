"""The sums of logistic and softmax regression over a batch: X (rows, d), y (rows,), weights w (rows,)."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course.classification import logistic, softmax
from jax_course.linalg import product
from jax_course.linear_cost import LinearCost


class Sums(NamedTuple):
    """Cost, gradient and Hessian; the number of misclassified examples, and of invalid labels."""

    cost: Array
    gradient: Array
    hessian: Array
    misclassified: Array
    invalid_labels: Array


def logistic_sums(X: Array, y: Array, w: Array, theta: Array) -> Sums:
    """Cost and gradient of logistic regression, summed over a batch; theta (d,)."""
    return _sums(*_logistic(X, y, w, theta), theta)


def logistic_sums_with_hessian(X: Array, y: Array, w: Array, theta: Array) -> Sums:
    """Cost, gradient and Hessian of logistic regression, summed over a batch; theta (d,)."""
    cost, valid = _logistic(X, y, w, theta)
    return _sums(cost, valid, theta)._replace(hessian=cost.hessian(theta))


def softmax_sums(X: Array, y: Array, w: Array, theta: Array) -> Sums:
    """Cost and gradient of softmax regression, summed over a batch; theta (d, K)."""
    return _sums(*_softmax(X, y, w, theta), theta)


def softmax_sums_with_hessian(X: Array, y: Array, w: Array, theta: Array) -> Sums:
    """Cost, gradient and Hessian of softmax regression, summed over a batch; theta (d, K)."""
    cost, valid = _softmax(X, y, w, theta)
    return _sums(cost, valid, theta)._replace(hessian=cost.hessian(theta))


def _logistic(X: Array, y: Array, w: Array, theta: Array) -> tuple[LinearCost, Array]:
    """The cost, and which labels are 0 or 1."""
    y = y.astype(X.dtype)
    valid = (y == 0) | (y == 1)
    return LinearCost(logistic.LOSS, X, jnp.where(valid, y, 0), w, jnp.zeros_like(theta)), valid


def _softmax(X: Array, y: Array, w: Array, theta: Array) -> tuple[LinearCost, Array]:
    """The cost, and which labels are whole numbers 0 … K − 1."""
    whole = y == jnp.floor(y) if y.dtype.kind == "f" else jnp.ones_like(y, bool)
    valid = whole & (y >= 0) & (y < theta.shape[1])
    return LinearCost(softmax.LOSS, X, jnp.where(valid, y, 0).astype(jnp.int32), w, jnp.zeros_like(theta)), valid


def _sums(cost: LinearCost, valid: Array, theta: Array) -> Sums:
    margins = cost.loss.margin(product(cost.X, theta), cost.y)
    is_misclassified = jnp.min(margins.reshape(len(margins), -1), axis=1) <= 0
    misclassified, invalid_labels = (jnp.sum(jnp.where(bad, cost.w, 0)) for bad in (is_misclassified, ~valid))
    no_hessian = jnp.zeros((), cost.w.dtype)
    return Sums(cost.value(theta), cost.gradient(theta), no_hessian, misclassified, invalid_labels)
