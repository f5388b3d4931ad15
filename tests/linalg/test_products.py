import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.linalg import gram, gram_and_moment, product, residual_moments, there_and_back, transpose_product
from jax_course.linalg.blocks import ONE_READ
from jax_course.linalg.grams import BLOCK, NARROW, SMALL
from jax_course.linalg.products import TALL

MANY = 4 * TALL  # rows
# plain; panels of one block, of several with a rest; two blocks side by side, with a rest
SMALLEST = SMALL // 300**2 + 1, 300  # in blocks
SIZES = [(1, 1), (3, 5), (MANY - 1, 4), SMALLEST, (5 * BLOCK + 17, NARROW + 3), (MANY, 4), (MANY + 9, 7)]


@pytest.mark.parametrize("shape", SIZES)
def test_gram_is_the_literal_product(shape, precision):
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal(shape).astype(precision.dtype), rng.uniform(size=shape[0]).astype(precision.dtype)
    exact = X.astype(float).T @ X.astype(float), (weights[:, None] * X).astype(float).T @ X.astype(float)
    for result, expected in zip((gram(jnp.asarray(X)), gram(jnp.asarray(X), jnp.asarray(weights))), exact, strict=True):
        assert result.dtype == precision.dtype
        chex.assert_trees_all_close(
            np.asarray(result, float), expected, atol=precision.tolerance * np.max(np.diag(expected)), rtol=0
        )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SIZES)
def test_gram_and_moment_are_the_literal_products_in_either_precision(shape, weighted):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    weights = rng.uniform(size=shape[0]) if weighted else np.array(0.5)
    expected = (X.T * weights) @ X, X.T @ (weights * y)
    for dtype, tolerance in ((jnp.float64, 1e-13), (jnp.float32, 1e-5)):
        for result, exact in zip(
            gram_and_moment(jnp.asarray(X), jnp.asarray(y), jnp.asarray(weights), dtype), expected, strict=True
        ):
            assert result.dtype == dtype
            np.testing.assert_allclose(result, exact, rtol=0, atol=tolerance * np.max(np.diag(expected[0])))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(5, 3), (3 * ONE_READ // 64 + 5, 90), (ONE_READ, 4)])
def test_residual_moments_are_the_literal_products(shape, weighted):
    rng = np.random.default_rng(0)
    X, y, theta = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.standard_normal(shape[1])
    weights = rng.uniform(size=shape[0]) if weighted else np.array(0.5)
    residual = y - X @ theta
    moment, square = residual_moments(*map(jnp.asarray, (theta, X, y, weights)))
    np.testing.assert_allclose(moment, X.T @ (weights * residual), rtol=0, atol=1e-13 * np.sum(residual**2))
    np.testing.assert_allclose(square, np.sum(weights * residual**2), rtol=1e-12)


@pytest.mark.parametrize("columns", [(), (3,)])
@pytest.mark.parametrize("shape", [(5, 3), (4 * ONE_READ // 64 + 5, 90), (ONE_READ, 4)])
def test_there_and_back_is_the_literal_product_and_its_pull(shape, columns):
    rng = np.random.default_rng(0)
    X, p, y = rng.standard_normal(shape), rng.standard_normal((shape[1], *columns)), rng.standard_normal(shape[0])

    def slope(Z, y):
        return jnp.sin(Z) * y.reshape(-1, *(1,) * (Z.ndim - 1))

    Z, moment = there_and_back(slope, *map(jnp.asarray, (p, X, y)))
    np.testing.assert_allclose(Z, X @ p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(moment, X.T @ np.asarray(slope(X @ p, y)), rtol=0, atol=1e-9)


def test_a_sum_over_rows_is_the_literal_product():
    rng = np.random.default_rng(0)
    X, r = rng.standard_normal((TALL + 3, 5)), rng.standard_normal(TALL + 3)
    np.testing.assert_allclose(transpose_product(jnp.asarray(X), jnp.asarray(r)), X.T @ r, rtol=0, atol=1e-11)


def test_gram_can_be_differentiated_and_mapped():
    X = jnp.asarray(np.random.default_rng(0).standard_normal((MANY, 3)))
    grad = jax.grad(lambda X: jnp.sum(gram(X)))(X)
    chex.assert_trees_all_close(grad, 2 * jnp.sum(X, axis=1, keepdims=True) * jnp.ones((1, 3)), atol=1e-12)
    weights = jnp.stack([jnp.ones(MANY), X[:, 0] ** 2], axis=1)
    mapped = jax.vmap(gram, in_axes=(None, 1))(X, weights)
    chex.assert_trees_all_close(mapped[1], (X * X[:, :1] ** 2).T @ X, rtol=1e-12)


def test_products_by_hand():
    X = jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    chex.assert_trees_all_equal(product(X, jnp.array([1.0, -1.0])), jnp.array([-1.0, -1.0, -1.0]))
    chex.assert_trees_all_equal(product(X, jnp.eye(2)), X)
    chex.assert_trees_all_equal(transpose_product(X, jnp.array([1.0, 0.0, -1.0])), jnp.array([-4.0, -4.0]))
    chex.assert_trees_all_equal(transpose_product(X, jnp.eye(3)), X.T)
