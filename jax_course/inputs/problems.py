"""The data of a fit, checked in one pass: finite, of one shape and dtype, with weights and penalties."""

from typing import NamedTuple

import jax
from jax import Array

from jax_course.inputs import several_targets, shapes, values
from jax_course.inputs.types import ArrayLike


class Problem(NamedTuple):
    """X (m, d), y (m,), weights () or (m,), and a penalty for every parameter, of the shape of theta.

    Of t targets: y (m, t), and the penalty (d,) of each of them.
    """

    X: Array
    y: Array
    weights: Array
    penalty: Array


def regression_problem(
    X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0, name: str = "penalty"
) -> Problem:
    """Numbers y to be fitted by a theta (d,); name: what errors call the penalty.

    Errors: TypeError and ValueError, which say what was expected and what came.

    >>> regression_problem([[1.0], [2.0]], [3, 4], penalty=0.5).penalty
    Array([0.5], dtype=float64)
    """
    problem = unread_regression_problem(X, y, penalty=penalty, weights=weights, name=name)
    refuse_not_finite(problem)
    return problem


def offset_problem(
    X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0, offset: ArrayLike = 0.0
) -> tuple[Problem, Array]:
    """A `regression_problem`, and what is added to its scores, () or (m,).

    >>> offset_problem([[1.0], [2.0]], [3, 4], offset=[0, 1])[1]
    Array([0., 1.], dtype=float64)
    """
    problem = regression_problem(X, y, penalty=penalty, weights=weights)
    return problem, values.finite(shapes.score_offset(offset, problem.X), "offset")


def unread_regression_problem(
    X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0, name: str = "penalty"
) -> Problem:
    """`regression_problem` for a method whose sums over X and y show whether these are finite: they are not read.

    >>> unread_regression_problem([[jnp.nan], [2.0]], [3, 4]).y
    Array([3., 4.], dtype=float64)
    """
    X = values.unread_design(X)
    rows, theta = jax.ShapeDtypeStruct(X.shape[:1], X.dtype), jax.ShapeDtypeStruct(X.shape[1:], X.dtype)
    y, w = shapes.targets(y, rows), values.training_weights(weights, rows)
    return Problem(X, y, w, values.nonnegative(shapes.penalties(penalty, theta), name))


def multivariate_problem(X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Problem:
    """`regression_problem` that takes y (m, t) of t targets, too, for a theta (d, t).

    >>> multivariate_problem([[1.0], [2.0]], [[3, 4], [5, 6]]).y.shape
    (2, 2)
    """
    problem = unread_multivariate_problem(X, y, penalty=penalty)
    refuse_not_finite(problem)
    return problem


def unread_multivariate_problem(
    X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0
) -> Problem:
    """`unread_regression_problem` that takes y (m, t) of t targets, too, for a theta (d, t).

    >>> unread_multivariate_problem([[1.0], [2.0]], [[3, 4], [5, 6]]).penalty.shape
    (1,)
    """
    X = values.unread_design(X)
    rows = jax.ShapeDtypeStruct(X.shape[:1], X.dtype)
    y, w = several_targets.multivariate_targets(y, rows), values.training_weights(weights, rows)
    return Problem(X, y, w, values.nonnegative(several_targets.penalties_of_each_target(penalty, X, y)))


def refuse_not_finite(problem: Problem) -> None:
    """Refuse a problem whose X or y holds NaN or infinity, and say where the first one is.

    >>> refuse_not_finite(unread_regression_problem([[jnp.nan], [2.0]], [3, 4]))
    Traceback (most recent call last):
    ValueError: X must be finite; X[0, 0] is nan
    """
    values.finite(problem.X, "X")
    values.finite(problem.y, "y")


def binary_problem(X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, weights: ArrayLike = 1.0) -> Problem:
    """Labels y, 0 and 1, to be fitted by a theta (d,); both must occur. Inside jit another label becomes NaN.

    >>> binary_problem([[1.0], [2.0]], [0, 1]).y
    Array([0., 1.], dtype=float64)
    """
    X = values.training_design(X)
    rows, theta = jax.ShapeDtypeStruct(X.shape[:1], X.dtype), jax.ShapeDtypeStruct(X.shape[1:], X.dtype)
    w = values.training_weights(weights, rows)
    return Problem(X, values.binary_labels(y, rows, w), w, values.nonnegative(shapes.penalties(penalty, theta)))


def classification_problem(
    X: ArrayLike,
    y: ArrayLike,
    *,
    classes: int | None = None,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
) -> Problem:
    """Class numbers y, 0…K−1, to be fitted by a theta (d, K); K is `classes`, or one more than the largest number.

    >>> classification_problem([[1.0], [2.0]], [0, 1]).penalty.shape
    (1, 2)
    """
    X = values.training_design(X)
    rows = jax.ShapeDtypeStruct(X.shape[:1], X.dtype)
    w = values.training_weights(weights, rows)
    y, K = values.class_labels(y, rows, w, classes)
    theta = jax.ShapeDtypeStruct((X.shape[1], K), X.dtype)
    return Problem(X, y, w, values.nonnegative(shapes.penalties(penalty, theta)))
