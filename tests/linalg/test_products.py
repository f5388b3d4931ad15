import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import linalg
from jax_course.linalg import (
    blocks,
    gram,
    gram_and_moment,
    product,
    product_and_transpose_product,
    residual_moments,
    transpose_product,
)
from jax_course.linalg.blocks import WIDE
from jax_course.linalg.grams import BLOCK, NARROW, SMALL
from jax_course.linalg.products import TALL

MANY = 4 * TALL  # rows
# plain; panels of one block, of several with a rest; two blocks side by side, with a rest
SMALLEST = SMALL // 300**2 + 1, 300  # in blocks
SIZES = [(1, 1), (3, 5), (MANY - 1, 4), SMALLEST, (5 * BLOCK + 17, NARROW + 3), (MANY, 4), (MANY + 9, 7)]


@jax.jit
def grams(X, weights):
    return gram(X), gram(X, weights)


@jax.jit
def grams_and_moments(X, y, weights):
    return {
        (dtype, w.ndim): gram_and_moment(X, y, w, dtype)
        for dtype in ("float64", "float32")
        for w in (weights, jnp.asarray(0.5))
    }


@pytest.mark.parametrize("shape", SIZES)
def test_gram_is_the_literal_product(shape, width):
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal(shape).astype(width.dtype), rng.uniform(size=shape[0]).astype(width.dtype)
    exact = X.astype(float).T @ X.astype(float), (weights[:, None] * X).astype(float).T @ X.astype(float)
    for result, expected in zip(grams(X, weights), exact, strict=True):
        np.testing.assert_allclose(result, expected, atol=width.tolerance * np.max(np.diag(expected)), rtol=0)


@pytest.mark.parametrize("shape", SIZES)
def test_gram_keeps_the_dtype(shape, precision):
    X, weights = (jax.ShapeDtypeStruct(part, precision.dtype) for part in (shape, shape[:1]))
    assert all(result.dtype == precision.dtype for result in jax.eval_shape(grams, X, weights))


@pytest.mark.parametrize("shape", SIZES)
def test_gram_and_moment_are_the_literal_products_in_either_precision(shape):
    rng = np.random.default_rng(0)
    X, y, weights = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.uniform(size=shape[0])
    for (dtype, weighted), results in grams_and_moments(X, y, weights).items():
        w = weights if weighted else 0.5
        expected = (X.T * w) @ X, X.T @ (w * y)
        tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype] * np.max(np.diag(expected[0]))
        for result, exact in zip(results, expected, strict=True):
            assert result.dtype == dtype
            np.testing.assert_allclose(result, exact, rtol=0, atol=tolerance)


ONE_READ = 2**14  # in place of 2²⁰: the data would be large for a test


@pytest.mark.parametrize("shape", [(5, 3), (3 * ONE_READ // 64 + 5, 90), (ONE_READ, 4)])
def test_residual_moments_are_the_literal_products(shape, monkeypatch):
    monkeypatch.setattr(blocks, "ONE_READ", ONE_READ)
    rng = np.random.default_rng(0)
    X, y, theta = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.standard_normal(shape[1])
    residual, each = y - X @ theta, (rng.uniform(size=shape[0]), np.array(0.5))

    @jax.jit
    def moments(theta, X, y, *each):
        return [residual_moments(theta, X, y, weights) for weights in each]

    for (moment, square), weights in zip(moments(theta, X, y, *each), each, strict=True):
        np.testing.assert_allclose(moment, X.T @ (weights * residual), rtol=0, atol=1e-13 * np.sum(residual**2))
        np.testing.assert_allclose(square, np.sum(weights * residual**2), rtol=1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (4 * ONE_READ // WIDE + 5, WIDE), (ONE_READ, 4)])
def test_there_and_back_is_the_literal_product_and_its_pull(shape, monkeypatch):
    monkeypatch.setattr(blocks, "ONE_READ", ONE_READ)
    rng = np.random.default_rng(0)
    X, P, y = rng.standard_normal(shape), rng.standard_normal((shape[1], 3)), rng.standard_normal(shape[0])

    def slope(Z, y):
        return jnp.sin(Z) * y.reshape(-1, *(1,) * (Z.ndim - 1))

    both = jax.jit(lambda P, X, y: [product_and_transpose_product(slope, p, X, y) for p in (P[:, 0], P)])(P, X, y)
    for (Z, moment), p in zip(both, (P[:, 0], P), strict=True):
        np.testing.assert_allclose(Z, X @ p, rtol=0, atol=1e-12)
        np.testing.assert_allclose(moment, X.T @ (np.sin(X @ p).T * y).T, rtol=0, atol=1e-9)


def test_a_sum_over_rows_is_the_literal_product():
    rng = np.random.default_rng(0)
    X, r = rng.standard_normal((TALL + 3, 5)), rng.standard_normal(TALL + 3)
    np.testing.assert_allclose(jax.jit(transpose_product)(X, r), X.T @ r, rtol=0, atol=1e-11)


def test_gram_can_be_differentiated_and_mapped():
    X = np.random.default_rng(0).standard_normal((MANY, 3))
    weights = np.stack([np.ones(MANY), X[:, 0] ** 2], axis=1)

    @jax.jit
    def both(X, weights):
        return jax.grad(lambda X: jnp.sum(gram(X)))(X), jax.vmap(gram, in_axes=(None, 1))(X, weights)

    grad, mapped = both(X, weights)
    np.testing.assert_allclose(grad, 2 * np.sum(X, axis=1, keepdims=True) * np.ones((1, 3)), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(np.asarray(mapped)[1], (X * weights[:, 1:]).T @ X, rtol=1e-12)


def test_products_by_hand():
    X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    @jax.jit
    def products(X, a, b):
        return product(X, a), product(X, jnp.eye(2)), transpose_product(X, b), transpose_product(X, jnp.eye(3))

    expected = [-1.0, -1.0, -1.0], X, [-4.0, -4.0], X.T
    for result, value in zip(products(X, np.array([1.0, -1.0]), np.array([1.0, 0.0, -1.0])), expected, strict=True):
        np.testing.assert_array_equal(result, value)


PACKAGE = Path(linalg.__file__).parent.parent
IN_NUMPY_OR_FLOAT64 = {"data", "derivations", "exercises", "plot", "verify"}
PRODUCTS = {"dot", "dot_general", "einsum", "inner", "matmul", "tensordot", "vdot", "vecdot"}


def products_of_default_precision(source):
    """`a @ b`, and calls of JAX's products without `precision`; an einsum of one array is a sum."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.MatMult):
            yield ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PRODUCTS:
            is_product = node.func.attr != "einsum" or len(node.args) > 2
            if is_product and "precision" not in [keyword.arg for keyword in node.keywords]:
                yield ast.unparse(node)


def test_all_products_of_the_package_ask_for_full_precision():
    """A GPU's default for float32 has 11 bits."""
    files = [f for f in PACKAGE.rglob("*.py") if f.relative_to(PACKAGE).parts[0] not in IN_NUMPY_OR_FLOAT64]
    found = {f.name: list(products_of_default_precision(f.read_text())) for f in files}
    assert {name: products for name, products in found.items() if products} == {}
    assert len(list(products_of_default_precision("a @ b; jnp.dot(a, b); jnp.einsum('ii', a); jnp.vdot(a, b)"))) == 3
