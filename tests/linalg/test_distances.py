import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.linalg import squared_distances


@pytest.mark.parametrize("d", [1, 15, 16, 17, 40])
def test_it_is_the_sum_of_squared_differences(d, width):
    rng = np.random.default_rng(0)
    X, C = (rng.standard_normal((n, d)).astype(width.dtype) for n in (7, 5))
    D = jax.jit(squared_distances)(X, C)
    np.testing.assert_allclose(D, np.sum((X[:, None, :] - C[None, :, :]) ** 2, axis=2), rtol=10 * width.tolerance)


@pytest.mark.parametrize("d", [16, 17])
def test_it_keeps_the_dtype(d, precision):
    X, C = (jax.ShapeDtypeStruct((n, d), precision.dtype) for n in (7, 5))
    assert jax.eval_shape(squared_distances, X, C).dtype == precision.dtype


@pytest.mark.parametrize("d", [3, 40])
def test_far_from_the_origin_it_is_neither_negative_nor_lossy(d):
    X = np.round(np.random.default_rng(0).standard_normal((20, d)) * 2**20) / 2**20
    program = jax.jit(squared_distances)
    here, there = (np.asarray(program(X + shift, X + shift)) for shift in (0.0, 2.0**30))
    np.testing.assert_array_equal(there, here)
    np.testing.assert_array_equal(there, there.T)
    assert np.all(np.diagonal(there) == 0)
    assert np.all(there >= 0)


@pytest.mark.parametrize("d", [3, 40])
def test_its_derivatives_are_finite_where_points_coincide(d):
    slope = jax.jit(jax.grad(lambda X: jnp.sum(jnp.exp(-squared_distances(X, X)))))
    np.testing.assert_array_equal(slope(np.ones((2, d))), 0)
