"""Labels of classes: their numbers, and weights that let all classes count alike (course 8, 9)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.data import columns
from jax_course.data.columns import BOOLEANS, BYTES, NUMBERS, STRINGS, Column


class Labels(NamedTuple):
    """Class numbers y (m,), 0…K−1, as int32, and the classes (K,) that they stand for: `classes[y]` are the labels."""

    y: Array
    classes: np.ndarray


def encode(labels: Any, *, classes: Any = None) -> Labels:
    """The class numbers of labels (m,), and the classes: strings, truth values, numbers, or a categorical.

    The classes are those that occur, in ascending order; those of a pandas categorical or a polars Enum in its order.
    For new data give `classes`, those of the training data: then equal labels have equal numbers.

    Errors: ValueError: a label is missing, or none of `classes`, and in which row; TypeError: labels of several kinds,
    or of a kind that names no class.

    >>> y, classes = encode(["no", "yes", "no"])
    >>> y, classes
    (Array([0, 1, 0], dtype=int32), array(['no', 'yes'], dtype='<U3'))
    >>> classes[y]
    array(['no', 'yes', 'no'], dtype='<U3')
    >>> encode(["yes"], classes=classes).y
    Array([1], dtype=int32)
    """
    column = columns.read(labels, "labels")
    if not len(column.values):
        raise ValueError("labels must hold at least one label; got none")
    if column.missing.any():
        row = int(np.argmax(column.missing))
        raise ValueError(
            f"labels must not be missing; labels[{row}] is {column.values[row]}: drop the examples without a label"
        )
    return number_classes(column) if classes is None else _numbered(column, _known_classes(column, classes))


def number_classes(column: Column) -> Labels:
    """The class numbers of the entries of a column, none of which is missing, and the classes that occur.

    >>> number_classes(columns.read([2, -1], "labels")).y
    Array([1, 0], dtype=int32)
    """
    if column.kind not in (STRINGS, BOOLEANS, NUMBERS, BYTES):
        raise TypeError(f"labels must be strings, truth values or numbers; got {column.kind}")
    return _numbered(column, np.array(column.categories(), column.values.dtype if column.kind == NUMBERS else None))


def _numbered(column: Column, classes: np.ndarray) -> Labels:
    return Labels(inputs.as_array(column.numbers(classes.tolist()), "y"), classes)


def _known_classes(column: Column, classes: Any) -> np.ndarray:
    """The classes of the training data; refused where they are none, or where a label is none of them."""
    known = columns.read(classes, "classes")
    if known.missing.any() or len(set(known.values.tolist())) < len(known.values) or known.kind != column.kind:
        raise ValueError(f"classes must be different {column.kind}, as the labels are; got {classes}")
    numbers = column.numbers(known.values.tolist())
    if (numbers < 0).any():
        row = int(np.argmin(numbers))
        listed = ", ".join(map(repr, known.values.tolist()[:5])) + (", …" if len(known.values) > 5 else "")
        raise ValueError(f"labels must be among the classes {listed}; labels[{row}] is {column.values[row]!r}")
    return known.values if known.kind == NUMBERS else np.array(known.values.tolist())


def balanced_weights(y: Any) -> Array:
    """A weight for each example, shape (m,), with which all classes count alike: m / (K m_k), m_k examples of class k.

    Their sum is m. They are what scikit-learn means by class_weight="balanced"; give them to a fit as `weights=`. y is
    any labels that `encode` takes.

    Errors: those of `encode`.

    >>> balanced_weights(jnp.array([0, 0, 0, 1]))
    Array([0.66666667, 0.66666667, 0.66666667, 2.        ], dtype=float64)
    """
    numbers = np.asarray(encode(y).y)
    m_k = np.bincount(numbers)
    weights = len(numbers) / (len(m_k) * m_k)
    return inputs.as_array(weights[numbers].astype(jnp.result_type(float)), "weights")
