"""The cost along a line, from the scores alone, against the literal gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import logistic, softmax
from jax_course.classification.objective import Coordinates, convex_objective
from jax_course.linear_cost import LinearCost
from tests.classification import literal

SMALL, LARGE = 60, 2**18  # rows; of the second the gradient at a step of length 1 is taken along with the scores


@pytest.mark.parametrize("m", [SMALL, LARGE])
@pytest.mark.parametrize(("model", "shape"), [(logistic, (4,)), (softmax, (4, 3))])
def test_slopes_and_gradients_along_a_line_are_those_of_the_cost(model, shape, m):
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((m, 4)), rng.integers(0, 3, m).astype(float)
    y = rng.integers(0, 2, m).astype(float if model is logistic else np.int32)
    delta2, theta, p = (rng.random(shape) for _ in range(3))

    @jax.jit  # the data are arguments: a program that holds them is slow to compile and large on disk
    def along(alpha, X, y, w, delta2, theta, p):
        cost = LinearCost(model.LOSS, X, y, w, delta2)

        def gradient(moment, theta):
            return moment + 2 * delta2 * theta

        identity = Coordinates(X, theta, lambda p: p, lambda q: q, gradient)
        f = convex_objective(cost, identity)
        line = f.along(f.point(jnp.zeros(p.size)), p.reshape(-1))
        value, slope, found = line.evaluate(alpha)
        return slope, line.point(alpha, value, found)

    for alpha in (1.0, 0.25):
        slope, end = along(alpha, X, y, w, delta2, theta, p)
        gradient = literal.gradient(theta + alpha * p, X, y, delta2, w)
        np.testing.assert_allclose(slope, np.sum(gradient * p), rtol=1e-9)
        np.testing.assert_allclose(end.g, gradient.reshape(-1), rtol=1e-9, atol=1e-9 * m)
        np.testing.assert_allclose(end.extra.q, theta + alpha * p)
        np.testing.assert_allclose(end.extra.Z, X @ (theta + alpha * p), rtol=1e-9, atol=1e-12)
