"""Checks of what metrics are given. Outside jit values are refused; inside, NaN takes the place of what would be."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from jax_course import inputs
from jax_course.inputs.types import ArrayLike

ENCODE = "number labels and predictions by data.encode(…, classes=classes), with the same classes"
NO_CLASS = -1  # the number of a label that is no class


def class_numbers(labels: Array) -> Array:
    """Labels as int32; what is no whole number from 0 on becomes NO_CLASS."""
    if labels.dtype.kind == "b":
        return labels.astype(jnp.int32)
    known = (labels >= 0) & (labels == jnp.round(labels))
    if labels.dtype.kind == "f" or jnp.iinfo(labels.dtype).max >= 2**31:
        known &= labels < jnp.asarray(2**31, labels.dtype)
    return jnp.where(known, labels, 0).astype(jnp.int32) + jnp.where(known, 0, NO_CLASS)


def are_labels_and_probabilities(y: Array, pi: Array) -> Array:
    """Whether the class number of each example is one of the K, and pi its probabilities, shape (m,)."""
    K = 2 if pi.ndim == 1 else pi.shape[1]
    return (y >= 0) & (y < K) & are_probabilities(jnp, pi)


def are_probabilities(xp: ModuleType, pi: Any) -> Any:
    """Whether each is one, shape (m,): between 0 and 1, and in rows of sum 1 but for rounding."""
    between = (pi >= 0) & (pi <= 1)
    if pi.ndim == 1:
        return between
    return xp.all(between, axis=1) & (xp.abs(xp.sum(pi, axis=1) - 1) <= float(jnp.finfo(pi.dtype).eps) ** 0.5)


def example_weights(weights: ArrayLike, m: int, dtype: DTypeLike) -> Array:
    """The weights of m examples, shape () or (m,); refused where none counts."""
    weights = inputs.as_array(weights, "weights", like=jax.ShapeDtypeStruct((), dtype))
    if weights.dtype.kind == "c":
        raise TypeError(f"weights must hold real numbers; got {weights.dtype}")
    if weights.shape not in ((), (m,)):
        raise ValueError(f"weights must be a scalar or have shape ({m},), one per example; got shape {weights.shape}")
    weights = inputs.nonnegative(weights.astype(dtype), "weights")
    if inputs.is_concrete(weights) and not np.any(np.asarray(weights) > 0):
        raise ValueError("weights must not all be 0: no example would count")
    return weights


def class_labels(labels: ArrayLike, name: str, m: int | None = None) -> Array:
    """Labels of shape (m,), as they came; refused where one is no whole number from 0 on."""
    labels = inputs.as_array(labels, name)
    if labels.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold class numbers or truth values; got {labels.dtype}")
    if labels.ndim != 1 or not labels.size or m not in (None, len(labels)):
        shape = "(m,)" if m is None else f"({m},)"
        raise ValueError(f"{name} must have shape {shape}, a class for each example; got shape {labels.shape}")
    if inputs.is_concrete(labels) and labels.dtype.kind != "b":
        worst = np.asarray(labels)
        worst = worst[~((worst >= 0) & (worst == np.round(worst)) & (worst < 2**31))]
        if worst.size:
            raise ValueError(f"{name} must hold class numbers, whole numbers from 0 on; got {worst[0]}: {ENCODE}")
    return labels


def classes_and_predictions(y: ArrayLike, predicted: ArrayLike) -> tuple[Array, Array]:
    """Labels y (m,) and as many predicted ones."""
    y = class_labels(y, "y")
    return y, class_labels(predicted, "predicted", len(y))


def within_classes(labels: Array, K: int, name: str) -> Array:
    """The labels; refused where one is K or more."""
    if inputs.is_concrete(labels) and (largest := np.max(np.asarray(labels))) >= K:
        raise ValueError(f"{name} must hold class numbers 0…{K - 1}; got {largest:g}: {ENCODE}")
    return labels


def labels_and_probabilities(y: ArrayLike, pi: ArrayLike) -> tuple[Array, Array]:
    """Labels y (m,) and probabilities pi, (m,) of class 1 or (m, K); refused where they are none."""
    pi = inputs.as_array(pi, "pi")
    if not jnp.issubdtype(pi.dtype, jnp.floating):
        raise TypeError(f"pi must hold floating-point numbers; got {pi.dtype}")
    if pi.ndim not in (1, 2) or not pi.size or (pi.ndim == 2 and pi.shape[1] < 2):
        hint = ": for the probability of class 1 write pi[:, 0]" if pi.ndim == 2 and pi.shape[1] == 1 else ""
        raise ValueError(f"pi must have shape (m,), or (m, K) of K ≥ 2 classes; got shape {pi.shape}{hint}")
    if inputs.is_concrete(pi):
        known = np.asarray(pi)
        wrong = np.flatnonzero(~are_probabilities(np, known))
        if wrong.size:
            expected = "between 0 and 1" if pi.ndim == 1 else "rows between 0 and 1 that sum to 1"
            raise ValueError(f"pi must hold probabilities, {expected}; pi[{wrong[0]}] is {known[wrong[0]]}")
    return within_classes(class_labels(y, "y", len(pi)), 2 if pi.ndim == 1 else pi.shape[1], "y"), pi
