r"""Fewer shapes, hence fewer programs: rows of zeros are added to small data until their number is that of a bucket.

    1000 / 0.87^k rows: …, 572, 658, 756, 870, 1000, 1149, 1321, 1518, …

Fits of 500 to 1,500 examples share eight programs. A row of zeros in X, with y = 0, adds exactly 0 to all sums of
products with X: to XᵀX, Xᵀy and Σ w (y − xθ)², and to the gradient and the Hessian of any linear model. What counts
examples, such as the choice of a method, is for the caller to do before.
"""

import math
from typing import Any

import numpy as np
from jax import Array
from jax.core import Tracer

SHARE = 0.13  # of the rows of a bucket, at most, are added
FULL = 1000  # rows that fill a bucket, as do 500 and 2,000 nearly
LEAST_ROWS = 64  # fewer are fitted as they are
MOST_NUMBERS = 2**17  # in X: a copy of 1 MB takes 0.1 ms


def is_small(X: Array) -> bool:
    """Whether X (m, d) is small and not wider than long.

    >>> is_small(jnp.ones((100, 3))), is_small(jnp.ones((3, 100)))
    (True, False)
    """
    return len(X) >= max(LEAST_ROWS, X.shape[1]) and X.size <= MOST_NUMBERS


def bucket(m: int) -> int:
    """The rows of the smallest bucket for m of them.

    >>> bucket(871), bucket(1000), bucket(1001)
    (1000, 1000, 1149)
    """
    k = math.floor(math.log(FULL / m, 1 - SHARE))
    return next(size for size in (math.floor(FULL / (1 - SHARE) ** i) for i in (k - 1, k, k + 1, k + 2)) if size >= m)


def padded_rows(X: Array, *each: Array | np.ndarray) -> tuple[Any, ...]:
    """X (m, d) and each array of shape (m,) with rows of zeros, scalars as they are; nothing is added where X is not
    small, a value is traced, or an array lies on devices that somebody chose.

    >>> X, y, w = padded_rows(jnp.ones((100, 3)), jnp.ones(100), jnp.array(1.0))
    >>> X.shape, float(X.sum()), y.shape, w.shape
    ((107, 3), 300.0, (107,), ())
    """
    arrays, missing = (X, *each), bucket(len(X)) - len(X)
    if not (missing and is_small(X)) or any(isinstance(a, Tracer) or getattr(a, "committed", False) for a in arrays):
        return arrays
    # in NumPy, whose arrays jit takes over in a fraction of the time that an array of JAX takes to make
    return tuple(np.concatenate([a, np.zeros((missing, *a.shape[1:]), a.dtype)]) if a.ndim else a for a in arrays)
