"""Refusals of shapes where theta and y may have a column for each of several targets."""

import jax
from jax import Array

from jax_course.inputs.arrays import as_array
from jax_course.inputs.shapes import (
    Like,
    design,
    example_weights,
    parameters,
    penalties,
    per_center,
    real_numbers,
    targets,
)
from jax_course.inputs.types import ArrayLike


def multivariate_linear(theta: ArrayLike, X: ArrayLike) -> tuple[Array, Array]:
    """theta (d,), or (d, t) of t targets, and X (m, d), of one dtype."""
    X = design(X)
    theta = as_array(theta, "theta", like=X)
    if theta.ndim not in (1, 2) or theta.shape[0] != X.shape[1] or 0 in theta.shape:
        raise ValueError(
            f"theta must have shape ({X.shape[1]},), one parameter per column of X, or ({X.shape[1]}, t) of t targets; "
            f"got shape {theta.shape}"
        )
    return parameters(theta, X, theta.shape, "one parameter per column of X"), X


def multivariate_regression(theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array, Array]:
    """theta (d,), X (m, d) and y (m,), or of t targets theta (d, t) and y (m, t), of one dtype."""
    theta, X = multivariate_linear(theta, X)
    return theta, X, targets_of(theta, y, X)


def penalized_multivariate_regression(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, penalty: ArrayLike, weights: ArrayLike
) -> tuple[Array, Array, Array, Array, Array]:
    """theta, X, y as in `multivariate_regression`, the penalties (d,) of each target, and the weights of examples."""
    theta, X, y = multivariate_regression(theta, X, y)
    return theta, X, y, penalties_of_each_target(penalty, X, y), example_weights(weights, X)


def multivariate_targets(y: ArrayLike, X: Like) -> Array:
    """y as shape (m,), or (m, t) of t targets, of the dtype of X (m, …)."""
    y, m = as_array(y, "y", like=X), X.shape[0]
    if y.ndim != 2:
        return targets(y, X)
    if y.shape[0] != m or not y.shape[1]:
        raise ValueError(
            f"y must have shape ({m},), a value per row of X, or ({m}, t) of t targets; got shape {y.shape}"
        )
    return real_numbers(y, X)


def targets_of(theta: Array, y: ArrayLike, X: Like) -> Array:
    """y as shape (m,) for theta (d,), or (m, t) for theta (d, t), of the dtype of X (m, …)."""
    if theta.ndim == 1:
        return targets(y, X)
    y, shape = as_array(y, "y", like=X), (X.shape[0], theta.shape[1])
    if y.shape != shape:
        raise ValueError(f"y must have shape {shape}, a column per column of theta; got shape {y.shape}")
    return real_numbers(y, X)


def penalties_of_each_target(penalty: ArrayLike, X: Like, y: Array) -> Array:
    """The penalty of each column of X (m, d), shape (d,), the same for all targets y (m,) or (m, t)."""
    penalty, theta = as_array(penalty, "penalty", like=X), jax.ShapeDtypeStruct(X.shape[1:], X.dtype)
    if y.ndim == 2 and penalty.shape not in ((), theta.shape):
        raise ValueError(
            f"penalty must be a scalar or have shape {theta.shape}, the same for all targets; got shape {penalty.shape}"
            ": for one per target fit each column of y with its own"
        )
    return penalties(penalty, theta)


def multivariate_per_center(theta: ArrayLike, centers: Array) -> Array:
    """theta (n,), or (n, t) of t targets, a row per row of centers (n, d), in their dtype."""
    theta = as_array(theta, "theta", like=centers)
    if theta.ndim != 2:
        return per_center(theta, centers)
    if theta.shape[0] != len(centers) or not theta.shape[1]:
        raise ValueError(
            f"theta must have shape ({len(centers)},), one per center, or ({len(centers)}, t) of t targets; "
            f"got shape {theta.shape}"
        )
    return parameters(theta, centers, theta.shape, "a row per center")
