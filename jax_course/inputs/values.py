"""Refusals of values, at the boundary where data enters: in `fit` and `data`, once, before any work.

Only where values are there to be read: inside jit a NaN takes the place of what would be refused, and shows in the
status.
"""

from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jax.sharding import AxisType

from jax_course.inputs.arrays import as_array, is_concrete, small_host_copy
from jax_course.inputs.labels import RENUMBER, binary_hint, different, listed, values_here
from jax_course.inputs.shapes import Like, as_int32, design, example_weights, integer_per_row, targets, whole
from jax_course.inputs.types import ArrayLike


def training_design(X: ArrayLike) -> Array:
    """X as a finite design that a fit can work on."""
    return finite(unread_design(X), "X")


def unread_design(X: ArrayLike) -> Array:
    """X as a design that a fit can work on, if it is finite."""
    X = design(X)
    if X.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"a fit needs float32 or float64; X is {X.dtype}: convert it with X.astype('float32')")
    if AxisType.Explicit in jax.typeof(X).sharding.mesh.axis_types:
        raise TypeError(
            "inside jit X must lie on a mesh with automatic axes; those of its mesh are explicit: make it by "
            "jax.make_mesh(..., axis_types=(jax.sharding.AxisType.Auto,) * axes), or call fit outside of jit"
        )
    return X


def finite(values: Array, name: str) -> Array:
    """The values; refused with NaN or infinity, and where the first one is."""
    if isinstance(values, Tracer):
        return values
    known = small_host_copy(values)
    with jax.ensure_compile_time_eval():  # an array that a traced function closes over can be read, too
        is_finite = _all_finite(values) if known is None else np.isfinite(known).all()
    if not is_finite:
        if not values.is_fully_addressable:
            raise ValueError(f"{name} must be finite; some of it in one of the processes is not")
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(np.asarray(values)))[0])
        place = f"[{', '.join(map(str, where))}]" if where else ""
        raise ValueError(f"{name} must be finite; {name}{place} is {np.asarray(values)[where]}")
    return values


def binary_labels(y: ArrayLike, X: Like, weights: Array) -> Array:
    """y as shape (m,) of the dtype of X; refused with labels outside {0, 1} or a single class, or NaN there in jit."""
    labels = targets(y, X)
    if isinstance(labels, Tracer):
        return jnp.where((labels == 0) | (labels == 1), labels, jnp.nan)
    seen = _summary(labels, weights)
    if not seen.binary:
        _several_classes(seen)
        raise ValueError(f"y must hold the labels 0 and 1; got {listed(y)}: {binary_hint(y)}")
    _several_classes(seen)
    return labels


def class_labels(y: ArrayLike, X: Like, weights: Array, classes: int | None) -> tuple[Array, int]:
    """y as class numbers, and K; refused with numbers outside 0…K−1, with a single class, and where K is not given with
    a class that has no example."""
    given = integer_per_row(y, X)  # as it came: a negative number or a huge one is still seen
    if classes is not None and whole(classes, "classes") < 2:
        raise ValueError(f"classes must be at least 2; got {classes}")
    if not isinstance(given, Tracer):
        seen = _summary(given, weights)
        if seen.lowest < 0 or (classes is not None and seen.highest >= classes):
            expected = f"y must hold class numbers 0…{'K−1' if classes is None else classes - 1}; got {listed(y)}"
            K = len(different(y))
            raise ValueError(
                f"{expected}: {RENUMBER}" + (f", and give classes={K}" if classes is not None and K > classes else "")
            )
        _several_classes(seen)
        if classes is None:
            classes = int(seen.highest) + 1
            _every_class(given, weights, classes)
    elif classes is None:
        raise ValueError("inside jit the number of classes must be given: fit(X, y, classes=K)")
    return as_int32(given), int(classes)


def nonnegative(values: Array, name: str = "penalty") -> Array:
    """The values; refused where one is negative or not finite, or NaN there in jit."""
    if is_concrete(values):
        worst = values_here(values)
        worst = worst[~((worst >= 0) & np.isfinite(worst))]
        if worst.size:
            raise ValueError(f"{name} must be finite and at least 0; got {worst.flat[0]}")
        return values
    return jnp.where(values >= 0, values, jnp.nan)


def training_weights(weights: ArrayLike, X: Like) -> Array:
    """The weights of the examples of a fit; refused also where none counts."""
    weights = nonnegative(example_weights(weights, X), "weights")
    if is_concrete(weights) and not _any_positive(weights):
        raise ValueError("weights must not all be 0: no example would count")
    return weights


def positive(value: ArrayLike, name: str, like: Array) -> Array:
    """A scalar in the dtype of `like`; refused where it is not positive and finite, or NaN there in jit."""
    value = as_array(value, name, like=like)
    if value.ndim != 0 or value.dtype.kind in "bc":
        raise TypeError(f"{name} must be one number; got {value.dtype} of shape {value.shape}")
    if is_concrete(value):
        if not 0 < np.asarray(value) < np.inf:
            raise ValueError(f"{name} must be positive and finite; got {value}")
        return value.astype(like.dtype)
    return jnp.where(value > 0, value, jnp.nan).astype(like.dtype)


def all_positive(values: Array, name: str) -> Array:
    """The values; refused where one is not positive and finite, or NaN there in jit."""
    if is_concrete(values):
        worst = values_here(values)
        worst = worst[~((worst > 0) & np.isfinite(worst))]
        if worst.size:
            raise ValueError(f"{name} must be positive and finite; got {worst.flat[0]}")
        return values
    return jnp.where(values > 0, values, jnp.nan)


def refuse_nan(values: Array, otherwise: str) -> Array:
    """The values; refused where one is NaN for the reason given."""
    if is_concrete(values) and np.isnan(values_here(values)).any():
        raise ValueError(otherwise)
    return values


def class_number(number: int, theta: Array) -> int:
    """The number of one of the columns of theta."""
    if not 0 <= whole(number, "reference") < theta.shape[1]:
        raise ValueError(f"reference must be a class 0…{theta.shape[1] - 1}; got {number}")
    return number


def _any_positive(weights: Array) -> bool:
    known = small_host_copy(weights)
    return bool(jnp.any(weights > 0) if known is None else np.any(known > 0))


@jax.jit
def _all_finite(values: Array) -> Array:
    # A sum shows NaN and infinity, in a fraction of the time of a test for each number; it may also overflow.
    return lax.cond(jnp.isfinite(jnp.sum(values)), lambda: True, lambda: jnp.all(jnp.isfinite(values)))


class _Labels(NamedTuple):
    """Whether all are 0 or 1; the least and the largest of all, and of those that count."""

    binary: Array
    lowest: Array
    highest: Array
    lowest_counted: Array
    highest_counted: Array


def _summary(labels: Array, weights: Array) -> _Labels:
    """The summary of labels that can be read; where weights cannot be read, all examples count."""
    known = small_host_copy(labels), small_host_copy(weights) if is_concrete(weights) else np.ones(())
    if known[0] is not None and known[1] is not None:
        return _summarised(np, *known)
    with jax.ensure_compile_time_eval():
        return jax.device_get(_summarised_on_device(labels, weights if is_concrete(weights) else jnp.ones(())))


def _summarised(xp: ModuleType, labels: Any, weights: Any) -> _Labels:
    counts = xp.broadcast_to(weights > 0, labels.shape)
    lowest, highest = xp.min(labels), xp.max(labels)
    return _Labels(
        xp.all((labels == 0) | (labels == 1)),
        lowest,
        highest,
        xp.min(xp.where(counts, labels, highest)),
        xp.max(xp.where(counts, labels, lowest)),
    )


_summarised_on_device = jax.jit(partial(_summarised, jnp))


def _several_classes(seen: _Labels) -> None:
    """Among the examples that count."""
    if seen.lowest_counted >= seen.highest_counted:
        raise ValueError(f"y must hold examples of at least two classes; all are {seen.lowest_counted:g}")


def _every_class(labels: Array, weights: Array, K: int) -> None:
    """Refuse 0…K−1 with a number that no example has, or only examples that do not count."""
    counted = _numbers_of(labels, weights)
    if len(counted) == K:
        return
    missing = next(number for number in range(K) if number >= len(counted) or counted[number] != number)
    if missing in _numbers_of(labels, None):
        raise ValueError(f"class {missing} has examples of weight 0 only: give classes={K} to fit it nevertheless")
    if missing == 0 and len(counted) == K - 1:
        raise ValueError(
            f"y must number the classes from 0; they are numbered from 1 to {K - 1}: give y - 1, or {RENUMBER}"
        )
    otherwise = f", or give classes={K}" if K <= 2 * len(counted) else ""
    raise ValueError(f"class {missing} has no example; y holds {listed(labels)}: {RENUMBER}{otherwise}")


def _numbers_of(labels: Array, weights: Array | None) -> np.ndarray:
    """The different class numbers of the examples that count, ascending; all count where no weights can be read."""
    if weights is None or not is_concrete(weights):
        weights = jnp.ones(())
    if labels.is_fully_addressable:
        return np.unique(np.asarray(labels)[np.broadcast_to(np.asarray(weights) > 0, labels.shape)])
    # in all processes, of which this one has a part of the examples
    some = jnp.where(weights > 0, labels, -1)
    room = min(int(jnp.max(labels)) + 1, len(labels))
    return np.flatnonzero(np.asarray(jnp.zeros(room, bool).at[some].max(some >= 0, mode="drop")))


def random_key(key: Array, name: str) -> Array:
    """The key; refused where it is none."""
    if isinstance(key, Array) and (jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32):
        return key
    raise TypeError(f"{name} must be a random key, as jax.random.key(0) is; got {key!r}")
