"""Folds as weights, and the scores of fits on all folds but one."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.resampling.batches import batched, refuse_without_weights, training_data


class CrossValidation(NamedTuple):
    """scores (k,): of each fold by the fit on all others. solutions: those fits, with a leading axis k."""

    scores: Any
    solutions: Any


def folds(key: Array, m: int, k: int) -> Array:
    """k random folds of m examples, shape (k, m): row i is 1 for the examples of fold i, else 0. Hastie (2009) 7.10.

    Every example is in one fold; the sizes differ by at most 1. `jnp.eye(m)` are the folds of leaving one out.
    TypeError, ValueError: m or k is no whole number, or k is not from 2 to m.

    >>> jnp.sum(folds(jax.random.key(0), 7, 3), axis=1)
    Array([3., 2., 2.], dtype=float64)
    """
    return _folds(inputs.random_key(key, "key"), int(inputs.whole(m, "m")), _number_of_folds(k, m))


@partial(jax.jit, static_argnums=(1, 2))
def _folds(key: Array, m: int, k: int) -> Array:
    return _indicators(random.permutation(key, jnp.arange(m) % k), k)


def stratified_folds(key: Array, y: ArrayLike, k: int) -> Array:
    """k random folds with equally many examples of every class in each, shape (k, m). Kohavi (1995) 2.2.

    y (m,): the classes, as numbers or truth values. The sizes of the folds, and the numbers of examples of any class in
    them, differ by at most 1. TypeError, ValueError: y has another shape, or k is not from 2 to m.

    >>> y = jnp.array([0, 1, 0, 0, 0, 1])
    >>> stratified_folds(jax.random.key(0), y, 2) @ y.astype(float)
    Array([1., 1.], dtype=float64)
    """
    y = inputs.as_array(y, "y")
    if y.ndim != 1 or y.dtype.kind == "c":
        raise ValueError(f"y must have shape (m,), a class for each example; got {y.dtype} of shape {y.shape}")
    return _stratified_folds(inputs.random_key(key, "key"), y, _number_of_folds(k, len(y)))


@partial(jax.jit, static_argnums=2)
def _stratified_folds(key: Array, y: Array, k: int) -> Array:
    m = len(y)
    class_by_class = jnp.lexsort((random.uniform(key, (m,)), y))  # each class in random order
    return _indicators(jnp.zeros(m, int).at[class_by_class].set(jnp.arange(m) % k), k)


def _indicators(fold_of_example: Array, k: int) -> Array:
    return (fold_of_example[None, :] == jnp.arange(k)[:, None]).astype(float)


def _number_of_folds(k: int, m: int) -> int:
    if not 2 <= inputs.whole(k, "k") <= m:
        raise ValueError(f"k must be from 2 to {m}, the number of examples; got {k}")
    return int(k)


def cross_validate(
    fit: Callable[..., Any],
    score: Callable[..., Any],
    X: ArrayLike,
    y: ArrayLike,
    *,
    folds: ArrayLike,
    weights: ArrayLike = 1.0,
    progress: bool = False,
) -> CrossValidation:
    """The score of each fold by the fit on all others, and these k fits. Hastie (2009) 7.10.

    score(theta, X, y, weights=w) is a model's `cost`, or a metric in a function with these arguments; w is 0 outside
    the fold. fit returns a `Solution`, or a record of your own with a theta; `solutions` are all k of them. folds
    (k, m): as `folds` gives them. weights () or (m,): of the examples, in fit and score. progress: as of `bootstrap`.
    TypeError, ValueError: fit takes no weights; folds have other values than 0 and 1, another shape, or leave nothing
    to fit or to score.

    >>> from jax_course import linear
    >>> X, y = jnp.ones((4, 1)), jnp.array([1.0, 3.0, 5.0, 7.0])
    >>> halves = jnp.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    >>> cross_validate(linear.fit, linear.cost, X, y, folds=halves).scores
    Array([34., 34.], dtype=float64)
    """
    refuse_without_weights(fit)
    X, y = training_data(X, y)
    w, folds = inputs.training_weights(weights, X), _checked_folds(folds, X)

    def fit_and_score(fold: Array) -> tuple[Any, Any]:
        solution = fit(X, y, weights=w * (1 - fold))
        return score(solution.theta, X, y, weights=w * fold), solution

    return CrossValidation(*batched(fit_and_score, folds, X, progress))


def _checked_folds(folds: ArrayLike, X: Array) -> Array:
    folds = inputs.as_array(folds, "folds", like=X)
    if folds.ndim != 2 or folds.shape[1] != len(X) or not len(folds):
        raise ValueError(f"folds must have shape (k, {len(X)}), a row of 0 and 1 per fold; got shape {folds.shape}")
    if inputs.is_concrete(folds):
        known = np.asarray(folds)
        if not np.all((known == 0) | (known == 1)):
            raise ValueError("folds must hold 0 and 1; got other values: the weights of examples are `weights`")
        sizes = known.sum(axis=1)
        if not np.all((sizes > 0) & (sizes < len(X))):
            raise ValueError(
                f"each fold must have from 1 to {len(X) - 1} examples; got {', '.join(f'{n:g}' for n in sizes)}"
            )
    return folds.astype(X.dtype)
