"""The words of refusals of labels: which came, and how to number them."""

import numpy as np
from jax import Array

from jax_course.inputs.types import ArrayLike

RENUMBER = "number them without gaps by y, classes = data.encode(y)"


def listed(labels: ArrayLike) -> str:
    """The different labels, the first five of them.

    >>> listed([2, 0, 2])
    '0, 2'
    """
    values = different(labels)
    return ", ".join(str(v) for v in values[:5]) + (", …" if len(values) > 5 else "")


def binary_hint(labels: ArrayLike) -> str:
    """How labels, some of which are neither 0 nor 1, can be fitted.

    >>> binary_hint([-1, 1])
    'number them by y, classes = data.encode(y)'
    """
    values = different(labels)
    if values.dtype.kind == "f" and np.isnan(values).any():
        return "drop the examples without a label"
    if len(values) > 2:
        return "number more than two classes by y, classes = data.encode(y), and fit them by softmax.fit"
    return "number them by y, classes = data.encode(y)"


def different(labels: ArrayLike) -> np.ndarray:
    """The different labels, ascending; of an array that is spread over several processes those that this one has."""
    return np.unique(values_here(labels) if isinstance(labels, Array) else np.asarray(labels))


def values_here(values: Array) -> np.ndarray:
    """The values; of an array that is spread over several processes those that this one has."""
    if values.is_fully_addressable:
        return np.asarray(values)
    return np.concatenate([np.ravel(part.data) for part in values.addressable_shards])
