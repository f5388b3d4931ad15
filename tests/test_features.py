from functools import partial
from math import comb

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import PolynomialFeatures

from jax_course import features

X = jnp.array([[2.0, 3.0], [-1.0, 5.0]])


def test_the_course_order():
    """φ(x₁, x₂) = [1, x₁, x₂, x₁², x₂², x₁x₂] and φ(x) = [1, x, x²]. Course 6.3."""
    chex.assert_trees_all_equal(
        features.polynomial(X, degree=2), jnp.array([[1.0, 2, 3, 4, 9, 6], [1.0, -1, 5, 1, 25, -5]])
    )
    chex.assert_trees_all_equal(features.polynomial(X[:, :1], degree=2), jnp.array([[1.0, 2, 4], [1.0, -1, 1]]))
    chex.assert_trees_all_equal(features.polynomial(X, degree=1), features.with_bias(X))
    chex.assert_trees_all_equal(features.polynomial(X, degree=0), jnp.ones((2, 1)))
    cubic = features.polynomial(X[:1], degree=3)[0, 6:]
    chex.assert_trees_all_equal(cubic, jnp.array([8.0, 27.0, 12.0, 18.0]))  # x₁³, x₂³, x₁²x₂, x₁x₂²


@given(st.integers(1, 4), st.integers(0, 4))
@settings(max_examples=12, deadline=None)
def test_any_degree_and_dimension_has_scikit_learns_columns(d, degree):
    X = np.random.default_rng(0).standard_normal((3, d))
    ours = np.asarray(features.polynomial(X, degree=degree))
    theirs = PolynomialFeatures(degree).fit_transform(X)
    assert ours.shape == (3, comb(d + degree, degree))
    np.testing.assert_allclose(np.sort(ours, axis=1), np.sort(theirs, axis=1), rtol=1e-12)


def test_polynomials_can_be_differentiated_at_zero():
    gradient = jax.grad(lambda x: jnp.sum(features.polynomial(x[None, :], degree=3)))(jnp.zeros(2))
    chex.assert_trees_all_equal(gradient, jnp.ones(2))


def test_rbf_is_the_course_kernel(precision):
    """exp(−‖x − μ‖²/λ): scikit-learn's gamma is 1/λ."""
    points = np.random.default_rng(0).standard_normal((7, 3)).astype(precision.dtype)
    ours = features.rbf(jnp.asarray(points), centers=points[:4], scale=2.5)
    assert ours.dtype == precision.dtype
    np.testing.assert_allclose(ours, rbf_kernel(points, points[:4], gamma=1 / 2.5), rtol=10 * precision.tolerance)
    np.testing.assert_array_equal(np.diag(ours[:4]), np.ones(4))


def test_rbf_by_hand():
    """Course 6.4: bases at 1, 2, 3 and λ = 1, at x = 2: e⁻¹, 1, e⁻¹."""
    phi = features.rbf(jnp.array([[2.0]]), centers=jnp.array([[1.0], [2.0], [3.0]]), scale=1.0)
    np.testing.assert_allclose(phi, [[np.exp(-1), 1.0, np.exp(-1)]], rtol=1e-15)


def test_mixed_bases():
    phi = features.concatenate(
        partial(features.polynomial, degree=2), partial(features.rbf, centers=X, scale=4.0), features.with_bias
    )
    assert phi(X).shape == (2, 6 + 2 + 3)
    chex.assert_trees_all_equal(phi(X)[:, :6], features.polynomial(X, degree=2))
    chex.assert_trees_all_close(jax.jit(phi)(X), phi(X))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: features.polynomial(X, degree=-1), "degree must be at least 0; got -1"),
        (lambda: features.with_bias(X[:, 0]), r"got shape \(2,\): for a single feature write X\[:, None\]"),
        (lambda: features.rbf(X, centers=X[:, :1], scale=1.0), r"centers must have shape \(n, 2\).*got shape \(2, 1\)"),
        (lambda: features.rbf(X, centers=X, scale=0.0), "scale must be positive; got 0"),
        (lambda: features.rbf(X, centers=X, scale=jnp.ones(2)), r"scale must be a scalar; got shape \(2,\)"),
        (lambda: features.concatenate(), "at least one feature map; got none"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
