"""The metrics, each a check of its input and a formula that is compiled once for each shape."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.metrics.checks import (
    NO_CLASS,
    are_labels_and_probabilities,
    class_labels,
    class_numbers,
    classes_and_predictions,
    example_weights,
    labels_and_probabilities,
    within_classes,
)


def accuracy(y: ArrayLike, predicted: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """The share of the examples whose class is the predicted one, a scalar between 0 and 1. Fawcett (2006) 2.

    y and predicted (m,): whole numbers from 0, of an integer or floating-point dtype, or truth values.
    TypeError, ValueError: there is another value in them, their shapes differ, or no example counts.

    >>> accuracy(jnp.array([0, 1, 1, 2]), jnp.array([0, 1, 2, 2]))
    Array(0.75, dtype=float64)
    """
    y, predicted = classes_and_predictions(y, predicted)
    return _accuracy(y, predicted, example_weights(weights, len(y), jnp.result_type(float)))


@jax.jit
def _accuracy(y: Array, predicted: Array, w: Array) -> Array:
    y, predicted = class_numbers(y), class_numbers(predicted)
    no_class = (y == NO_CLASS) | (predicted == NO_CLASS)
    return _mean(jnp.where(no_class, jnp.nan, (y == predicted).astype(w.dtype)), w)


def confusion(y: ArrayLike, predicted: ArrayLike, *, classes: int | None = None, weights: ArrayLike = 1.0) -> Array:
    """The number of examples of each class (row) for which each class (column) was predicted. Fawcett (2006) 2.

    Shape (K, K); the diagonal is what was right. K is `classes`, or one more than the largest number in y and
    predicted (m,), at least 2; inside jit `classes` must be given. Errors: as `accuracy`, and a number from K on.

    >>> confusion(jnp.array([0, 1, 1, 1]), jnp.array([0, 0, 1, 1]))
    Array([[1., 0.],
           [1., 2.]], dtype=float64)
    """
    y, predicted = classes_and_predictions(y, predicted)
    if classes is not None and inputs.whole(classes, "classes") < 2:
        raise ValueError(f"classes must be at least 2; got {classes}")
    if classes is None:
        if not (inputs.is_concrete(y) and inputs.is_concrete(predicted)):
            raise ValueError("inside jit the number of classes must be given: confusion(y, predicted, classes=K)")
        classes = max(2, 1 + int(np.max(np.asarray(y))), 1 + int(np.max(np.asarray(predicted))))
    within_classes(y, classes, "y")
    within_classes(predicted, classes, "predicted")
    return _confusion(y, predicted, example_weights(weights, len(y), jnp.result_type(float)), classes)


@partial(jax.jit, static_argnums=3)
def _confusion(y: Array, predicted: Array, w: Array, K: int) -> Array:
    y, predicted = class_numbers(y), class_numbers(predicted)
    w = jnp.broadcast_to(w, y.shape)
    no_class = (y < 0) | (y >= K) | (predicted < 0) | (predicted >= K)
    C = jnp.zeros((K, K), w.dtype).at[y, predicted].add(w, mode="drop")
    return jnp.where(jnp.any(no_class & (w > 0)), jnp.nan, C)


def log_loss(y: ArrayLike, pi: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """The mean of −log π of the class that occurred, in nats, a scalar ≥ 0. Course 8.4, 9.2.

    pi (m,): the probability of y = 1, y (m,) of 0 and 1. pi (m, K): a row of probabilities for each example, y (m,) of
    class numbers. Infinite where an example had the probability 0. TypeError, ValueError: no probabilities, rows that
    do not sum to 1, other classes, other shapes, or no example counts.

    >>> log_loss(jnp.array([1, 0]), jnp.array([0.5, 0.5])) / jnp.log(2)
    Array(1., dtype=float64)
    >>> log_loss(jnp.array([1, 0]), jnp.array([[0.5, 0.5], [0.5, 0.5]])) / jnp.log(2)
    Array(1., dtype=float64)
    """
    y, pi = labels_and_probabilities(y, pi)
    return _log_loss(y, pi, example_weights(weights, len(y), pi.dtype))


@jax.jit
def _log_loss(y: Array, pi: Array, w: Array) -> Array:
    y = class_numbers(y)
    # the logarithm of what does not count is that of 1, so that its derivatives are 0, too
    if pi.ndim == 1:
        log_pi = jnp.log(jnp.where((w > 0) & (y == 1), pi, 1)) + jnp.log1p(-jnp.where((w > 0) & (y == 0), pi, 0))
    else:
        log_pi = jnp.log(jnp.where(w > 0, jnp.take_along_axis(pi, y[:, None], axis=1)[:, 0], 1))
    return _mean(jnp.where(are_labels_and_probabilities(y, pi), -log_pi, jnp.nan), w)


def brier(y: ArrayLike, pi: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """The mean squared difference of probabilities and what occurred, a scalar. Gneiting & Raftery (2007) 3.

    pi (m,): (π − y)², between 0 and 1. pi (m, K): the sum over the classes, between 0 and 2; so for two classes twice
    the value from the probability of one. Arguments and errors as of `log_loss`.

    >>> brier(jnp.array([1, 0]), jnp.array([0.5, 1.0]))
    Array(0.625, dtype=float64)
    >>> brier(jnp.array([1, 0]), jnp.array([[0.5, 0.5], [0.0, 1.0]]))
    Array(1.25, dtype=float64)
    """
    y, pi = labels_and_probabilities(y, pi)
    return _brier(y, pi, example_weights(weights, len(y), pi.dtype))


@jax.jit
def _brier(y: Array, pi: Array, w: Array) -> Array:
    y = class_numbers(y)
    if pi.ndim == 1:
        squares = (pi - y.astype(pi.dtype)) ** 2
    else:
        occurred = y[:, None] == jnp.arange(pi.shape[1], dtype=y.dtype)[None, :]
        squares = jnp.sum((pi - occurred.astype(pi.dtype)) ** 2, axis=1)
    return _mean(jnp.where(are_labels_and_probabilities(y, pi), squares, jnp.nan), w)


def r_squared(y: ArrayLike, predicted: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """The share of the variation of y that is explained, a scalar at most 1. Seber & Lee (2003) 4.4.

    y and predicted (m,), of one dtype. 0 is what the mean of y reaches; on examples that were not fitted it may be
    negative. NaN where y is constant. TypeError, ValueError: other shapes or dtypes, values that are not finite, or no
    example counts.

    >>> r_squared(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 2.0]))
    Array(0.5, dtype=float64)
    """
    predicted = inputs.as_array(predicted, "predicted")
    if not jnp.issubdtype(predicted.dtype, jnp.floating) or predicted.ndim != 1 or not predicted.size:
        raise TypeError(
            f"predicted must hold floating-point numbers of shape (m,); got {predicted.dtype} of shape "
            f"{predicted.shape}"
        )
    y, predicted = inputs.finite(inputs.target_rows(y, predicted), "y"), inputs.finite(predicted, "predicted")
    return _r_squared(y, predicted, example_weights(weights, len(y), predicted.dtype))


@jax.jit
def _r_squared(y: Array, predicted: Array, w: Array) -> Array:
    from_largest = y - jnp.max(jnp.where(w > 0, y, -jnp.inf))  # exactly 0 where y is constant
    variation = _mean((from_largest - _mean(from_largest, w)) ** 2, w)
    unexplained = _mean((y - predicted) ** 2, w)
    return jnp.where(variation > 0, 1 - unexplained / jnp.where(variation > 0, variation, 1), jnp.nan)


def roc_auc(y: ArrayLike, scores: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """The area under the ROC curve, a scalar between 0 and 1; ½ for scores that tell nothing. Fawcett (2006) 7.

    The probability that an example of class 1 has a higher score than one of class 0; equal scores count one half. y
    (m,) of 0 and 1, both must occur; scores (m,): probabilities, logits, or anything that rises with them, of which
    only the order counts. TypeError, ValueError: other labels or shapes, NaN, or examples of a single class that count.
    Inside jit NaN for a single class.

    >>> roc_auc(jnp.array([0, 0, 1, 1]), jnp.array([0.1, 0.4, 0.35, 0.8]))
    Array(0.75, dtype=float64)
    """
    scores = inputs.as_array(scores, "scores")
    if scores.dtype.kind == "c" or scores.ndim != 1 or not scores.size:
        raise TypeError(f"scores must hold real numbers, shape (m,); got {scores.dtype} of shape {scores.shape}")
    scores = inputs.refuse_nan(scores, "scores must be numbers; one of them is NaN")
    y = within_classes(class_labels(y, "y", len(scores)), 2, "y")
    w = example_weights(
        weights, len(y), scores.dtype if jnp.issubdtype(scores.dtype, jnp.floating) else jnp.result_type(float)
    )
    if inputs.is_concrete(y) and inputs.is_concrete(w):
        seen = np.asarray(y)[np.broadcast_to(np.asarray(w) > 0, y.shape)]
        if seen.min() == seen.max():
            raise ValueError(f"y must hold examples of both classes that count; all are {seen[0]:g}")
    return _roc_auc(y, scores, w)


@jax.jit
def _roc_auc(y: Array, scores: Array, w: Array) -> Array:
    y, order = class_numbers(y), jnp.argsort(scores)
    of_class_1, of_class_0 = (jnp.where(y[order] == c, jnp.broadcast_to(w, y.shape)[order], 0) for c in (1, 0))
    ascending = scores[order]
    weight_up_to = jnp.concatenate([jnp.zeros_like(w, shape=(1,)), jnp.cumsum(of_class_0)])
    lower = weight_up_to[jnp.searchsorted(ascending, ascending, side="left")]
    lower_or_equal = weight_up_to[jnp.searchsorted(ascending, ascending, side="right")]
    pairs = jnp.sum(of_class_1) * jnp.sum(of_class_0)
    area = jnp.sum(of_class_1 * (lower + lower_or_equal)) / 2
    valid = (pairs > 0) & ~jnp.any((w > 0) & (jnp.isnan(scores) | (y < 0) | (y > 1)))
    return jnp.where(valid, area / jnp.where(pairs > 0, pairs, 1), jnp.nan)


def _mean(values: Array, w: Array) -> Array:
    """Σ w values / Σ w; a value that is not finite does not matter where the weight is 0."""
    w = jnp.broadcast_to(w, values.shape)
    return jnp.sum(jnp.where(w > 0, w * values, 0)) / jnp.sum(w)
