"""Preparation of data for a fit: a test set, standard units, one-hot classes (course 2, 9)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.data.problems import random_generator
from jax_course.inputs.types import ArrayLike


class Standardization(NamedTuple):
    """x → (x − mean) / scale, with the statistics (d,) of the data that it was made from."""

    mean: Array
    scale: Array

    def __call__(self, X: ArrayLike) -> Array:
        """X (m, d) in standard units. ValueError: X has another number of columns."""
        return (self._checked(X) - self.mean[None, :]) / self.scale[None, :]

    def inverse(self, Z: ArrayLike) -> Array:
        """The X (m, d) whose standard units are Z (m, d)."""
        return self._checked(Z) * self.scale[None, :] + self.mean[None, :]

    def _checked(self, X: ArrayLike) -> Array:
        X = inputs.design(X)
        if X.shape[1] != self.mean.size:
            raise ValueError(f"X must have the {self.mean.size} columns of the training data; got shape {X.shape}")
        return X


def split(X: ArrayLike, y: ArrayLike, *, test: float = 0.25, seed: int = 0) -> tuple[tuple, tuple]:
    """(X_train, y_train), (X_test, y_test): a random share `test` of the examples is the test set. Course 2.

    ValueError: a part is empty, or X and y have different numbers of rows.

    >>> (X, y), (X_test, y_test) = split(jnp.ones((8, 2)), jnp.arange(8))
    >>> X.shape, y_test.shape
    ((6, 2), (2,))
    """
    X, y = inputs.design(X), inputs.as_array(y, "y")
    m = X.shape[0]
    if y.shape[:1] != (m,):
        raise ValueError(f"y must have a value for each of the {m} rows of X; got shape {y.shape}")
    m_test = round(test * m)
    if not 0 < m_test < m:
        raise ValueError(f"test must leave both parts non-empty; {test} of {m} examples is {m_test}")
    order = random_generator(seed).permutation(m)
    train_rows, test_rows = np.sort(order[m_test:]), np.sort(order[:m_test])
    return (_rows(X, train_rows), _rows(y, train_rows)), (_rows(X, test_rows), _rows(y, test_rows))


@jax.jit
def _rows(a: Array, numbers: Array) -> Array:
    return a[numbers]


def standardize(X: ArrayLike) -> Standardization:
    """The transform that gives every column of X mean 0 and standard deviation 1 (a constant column: 0).

    It is returned, not applied: test data is to be transformed with the statistics of the training data. Course 2.
    ValueError: X is not finite.

    >>> to_units = standardize(jnp.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> to_units(jnp.array([[5.0, 5.0]]))
    Array([[3., 0.]], dtype=float64)
    """
    X = inputs.design(X)
    inputs.finite(X, "X")
    return _standardization(X)


@jax.jit
def _standardization(X: Array) -> Standardization:
    constant = jnp.max(X, axis=0) == jnp.min(X, axis=0)
    mean = X[0] + jnp.mean(X - X[:1], axis=0)  # from the first row on, so that a large offset costs no digits
    size = jnp.where(constant, 1, jnp.max(jnp.abs(X - mean[None, :]), axis=0))  # so that no square over- or underflows
    deviation = size * jnp.sqrt(jnp.mean(((X - mean[None, :]) / size[None, :]) ** 2, axis=0))
    return Standardization(jnp.where(constant, X[0], mean), jnp.where(constant, 1, deviation))


def one_hot(y: ArrayLike, classes: int) -> Array:
    """1_c(y): a row per example with a 1 in the column of its class, shape (m, classes). Course 9.2.

    ValueError: y (m,) holds no integers, or one outside 0 … classes − 1.

    >>> one_hot(jnp.array([2, 0]), 3)
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float64)
    """
    y = inputs.as_array(y, "y")
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(
            f"y must be integers of shape (m,); got {y.dtype} of shape {y.shape}: number labels by data.encode(y)"
        )
    numbers = np.asarray(y) if inputs.is_concrete(y) and y.size else np.zeros(1)
    if not (0 <= numbers.min() and numbers.max() < classes):
        raise ValueError(
            f"y must hold class numbers 0…{classes - 1}; got {numbers.min()} to {numbers.max()}: number labels without "
            "gaps by data.encode(y)"
        )
    return (y.astype(jnp.int32)[:, None] == jnp.arange(classes, dtype=jnp.int32)[None, :]).astype(
        jnp.result_type(float)
    )
