"""A pass over batches sums as if in twice the precision."""

import jax.numpy as jnp
import numpy as np

from jax_course.scale.fold import fold


def test_small_batches_behind_a_large_one_are_not_lost():
    """Each is less than half of the last digit of the sum; together they are 29 units of it."""
    X, small = np.ones((1, 1)), 1e-16
    total, rows = fold([(X, np.ones(1)), *[(X, np.full(1, small))] * 64], lambda X, y, w: jnp.sum(w * y))
    assert rows == 65
    assert abs(float(total) - (1 + 64 * small)) <= np.finfo(float).eps
