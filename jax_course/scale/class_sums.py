"""What a pass of a classifier sums over the examples of a batch: X (rows, d), y (rows,), weights w (rows,)."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course.classification import logistic, softmax
from jax_course.linalg import product


class Sums(NamedTuple):
    """Of the examples: cost, gradient, Hessian; how many are on the wrong side, and how many labels are none."""

    cost: Array
    gradient: Array
    hessian: Array
    wrong: Array
    strange: Array


def of_logistic(X: Array, y: Array, w: Array, theta: Array) -> Sums:
    """Of logistic regression, without the Hessian."""
    y, known = _truth(X, y)
    cost, gradient = (part(theta, X, y, weights=w) for part in (logistic.cost, logistic.gradient))
    return _sums(cost, gradient, w, (2 * y - 1) * product(X, theta), known)


def of_logistic_with_hessian(X: Array, y: Array, w: Array, theta: Array) -> Sums:
    """The same with it."""
    return of_logistic(X, y, w, theta)._replace(hessian=logistic.hessian(theta, X, _truth(X, y)[0], weights=w))


def of_softmax(X: Array, y: Array, w: Array, theta: Array) -> Sums:
    """Of softmax regression, without the Hessian."""
    y, known = _number(y, theta.shape[1])
    cost, gradient = (part(theta, X, y, weights=w) for part in (softmax.cost, softmax.gradient))
    Z, own = product(X, theta), y[:, None] == jnp.arange(theta.shape[1], dtype=y.dtype)[None, :]
    margins = jnp.sum(jnp.where(own, Z, 0), axis=1) - jnp.max(jnp.where(own, -jnp.inf, Z), axis=1)
    return _sums(cost, gradient, w, margins, known)


def of_softmax_with_hessian(X: Array, y: Array, w: Array, theta: Array) -> Sums:
    """The same with it."""
    hessian = softmax.hessian(theta, X, _number(y, theta.shape[1])[0], weights=w)
    return of_softmax(X, y, w, theta)._replace(hessian=hessian)


def _truth(X: Array, y: Array) -> tuple[Array, Array]:
    """The labels, and which of them are 0 or 1."""
    y = y.astype(X.dtype)
    known = (y == 0) | (y == 1)
    return jnp.where(known, y, 0), known


def _number(y: Array, K: int) -> tuple[Array, Array]:
    """The labels, and which of them are whole numbers 0 … K − 1."""
    whole = y == jnp.floor(y) if y.dtype.kind == "f" else jnp.ones_like(y, bool)
    known = whole & (y >= 0) & (y < K)
    return jnp.where(known, y, 0).astype(jnp.int32), known


def _sums(cost: Array, gradient: Array, w: Array, margins: Array, known: Array) -> Sums:
    wrong, strange = (jnp.sum(jnp.where(bad, w, 0)) for bad in (margins <= 0, ~known))
    return Sums(cost, gradient, jnp.zeros((), w.dtype), wrong, strange)
