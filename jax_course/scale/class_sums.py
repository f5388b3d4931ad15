"""The sums of logistic and softmax regression over a batch: X (rows, d), y (rows,), weights w (rows,).

theta: (d,) for labels 0 and 1, (d, K) for class numbers 0 … K − 1.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course.linalg import product
from jax_course.linear_cost import LinearCost
from jax_course.losses import Loss


class Sums(NamedTuple):
    """Cost, gradient and Hessian; the number of misclassified examples, and of invalid labels."""

    cost: Array
    gradient: Array
    hessian: Array
    misclassified: Array
    invalid_labels: Array


@cache
def class_sums(loss: Loss) -> Callable[..., Sums]:
    """The function (X, y, w, theta) → sums without a Hessian: one object for each loss, or it would compile anew."""
    return lambda X, y, w, theta: _sums(*_validated(loss, X, y, w, theta), theta)


@cache
def class_sums_with_hessian(loss: Loss) -> Callable[..., Sums]:
    """The function (X, y, w, theta) → sums with the Hessian: one object for each loss, or it would compile anew."""

    def sums(X: Array, y: Array, w: Array, theta: Array) -> Sums:
        cost, valid = _validated(loss, X, y, w, theta)
        return _sums(cost, valid, theta)._replace(hessian=cost.hessian(theta))

    return sums


def _validated(loss: Loss, X: Array, y: Array, w: Array, theta: Array) -> tuple[LinearCost, Array]:
    """The cost, and which labels are whole numbers 0 … K − 1; the others are replaced by 0."""
    classes, y, dtype = (2, y.astype(X.dtype), X.dtype) if theta.ndim == 1 else (theta.shape[1], y, jnp.int32)
    is_whole = y == jnp.floor(y) if y.dtype.kind == "f" else jnp.ones_like(y, bool)
    valid = is_whole & (y >= 0) & (y < classes)
    return LinearCost(loss, X, jnp.where(valid, y, 0).astype(dtype), w, jnp.zeros_like(theta)), valid


def _sums(cost: LinearCost, valid: Array, theta: Array) -> Sums:
    margins = cost.loss.margin(product(cost.X, theta), cost.y)
    is_misclassified = jnp.min(margins.reshape(len(margins), -1), axis=1) <= 0
    misclassified, invalid_labels = (jnp.sum(jnp.where(bad, cost.w, 0)) for bad in (is_misclassified, ~valid))
    no_hessian = jnp.zeros((), cost.w.dtype)
    return Sums(cost.value(theta), cost.gradient(theta), no_hessian, misclassified, invalid_labels)
