import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.linalg import gram, product, transpose_product
from jax_course.linalg.products import BLOCK

SIZES = [(1, 1), (3, 5), (4 * BLOCK - 1, 4), (4 * BLOCK, 4), (5 * BLOCK + 17, 7)]  # plain, at the switch, by blocks


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


def test_gram_can_be_differentiated_and_mapped():
    X = jnp.asarray(np.random.default_rng(0).standard_normal((4 * BLOCK, 3)))
    grad = jax.grad(lambda X: jnp.sum(gram(X)))(X)
    chex.assert_trees_all_close(grad, 2 * jnp.sum(X, axis=1, keepdims=True) * jnp.ones((1, 3)), atol=1e-12)
    weights = jnp.stack([jnp.ones(4 * BLOCK), X[:, 0] ** 2], axis=1)
    mapped = jax.vmap(gram, in_axes=(None, 1))(X, weights)
    chex.assert_trees_all_close(mapped[1], (X * X[:, :1] ** 2).T @ X, rtol=1e-12)


def test_products_by_hand():
    X = jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    chex.assert_trees_all_equal(product(X, jnp.array([1.0, -1.0])), jnp.array([-1.0, -1.0, -1.0]))
    chex.assert_trees_all_equal(product(X, jnp.eye(2)), X)
    chex.assert_trees_all_equal(transpose_product(X, jnp.array([1.0, 0.0, -1.0])), jnp.array([-4.0, -4.0]))
    chex.assert_trees_all_equal(transpose_product(X, jnp.eye(3)), X.T)
