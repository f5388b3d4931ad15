"""The chain rule by paths and by layers, and the two ways of 12.2: equal results, different work."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import softmax
from jax_course.networks import chain, costs, jacobians, layers, mlp, network
from tests.cases import PRECISIONS


def random_chain(*widths):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((after, before)) for before, after in zip(widths, (*widths[1:], 1), strict=True)]


@pytest.mark.parametrize("widths", [(3,), (2, 3), (4, 1, 3), (2, 3, 2, 4)])
def test_both_are_the_product_of_the_matrices_and_count_their_products(widths):
    J = random_chain(*widths)
    expected = np.linalg.multi_dot([*J[::-1], np.eye(widths[0])])[0]
    by_paths, by_layers = chain.naive(J), chain.backpropagation(J)
    np.testing.assert_allclose(by_paths.gradient, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(by_layers.gradient, expected, rtol=1e-12, atol=1e-13)
    assert by_paths.products == np.prod(widths) * (len(widths) - 1)
    assert by_layers.products == sum(a * b for a, b in itertools.pairwise(widths))
    assert chain.paths(widths) == np.prod(widths)


def test_the_example_of_the_course():
    """Course 10.1: two classes, four paths to each x; and ∂C/∂θ_c = x ∂C/∂z¹_c is the gradient of chapter 9."""
    rng = np.random.default_rng(1)
    theta, x, y = rng.standard_normal((3, 2)), rng.standard_normal(3), 1
    J = chain.softmax_jacobians(theta, x, y)

    @jax.jit
    def references(theta, x):
        def of_log_softmax(z):
            return layers.log_softmax().forward((), z[None, :])[0][0]

        labels = jnp.array([y])
        of_x = jax.grad(lambda x: softmax.cost(theta, x[None, :], labels))(x)
        return of_x, softmax.gradient(theta, x[None, :], labels), jax.jacobian(of_log_softmax)(x @ theta)

    of_x, gradient, by_autodiff = references(theta, x)
    for method in (chain.naive, chain.backpropagation):
        np.testing.assert_allclose(method(J).gradient, of_x, rtol=1e-12)
        of_z = method(J[1:]).gradient
        np.testing.assert_allclose(x[:, None] * np.asarray(of_z)[None, :], gradient, rtol=1e-12)
    np.testing.assert_allclose(J[1], by_autodiff, rtol=1e-12)


def test_paths_grow_as_a_power_of_the_depth_and_layers_linearly():
    for depth in (2, 4, 6):
        J = random_chain(*[3] * depth)
        assert chain.naive(J).products == (depth - 1) * 3**depth
        assert chain.backpropagation(J).products == (depth - 1) * 9


@pytest.mark.parametrize(
    ("J", "message"),
    [
        ([], "jacobians must hold at least that of the cost; it is empty"),
        ([np.ones((2, 3))], r"the last with one row; got shapes \[\(2, 3\)\]"),
        ([np.ones((2, 3)), np.ones((1, 3))], "a column for every row of the one before"),
        ([np.ones((100, 100)), np.ones((100, 100)), np.ones((100, 100)), np.ones((1, 100))], r"1e\+08 paths"),
    ],
)
def test_what_is_no_chain_is_refused(J, message):
    with pytest.raises(ValueError, match=message):
        chain.naive(J)


NETWORKS = {
    "mlp": mlp([5, 4, 1], "tanh", costs.squared_error()),
    "every kind": network(
        layers.linear(4), layers.softmax(), layers.rbf(5), layers.residual(layers.gelu()), layers.linear(3),
        cost=costs.cross_entropy(),
    ),
}  # fmt: skip


X = np.array([0.3, -1.0, 0.5])


@cache
def first_theta(name):
    with jax.enable_x64(True):
        return NETWORKS[name].init(jax.random.key(0), 3)


def solutions(name, dtype):
    """A function to both, the second mapped over examples, and the derivative by autodiff; and its arguments."""
    net, theta = NETWORKS[name], jax.tree.map(lambda leaf: np.asarray(leaf, dtype), first_theta(name))

    def of_x(theta, x, y):
        mapped = jax.vmap(jacobians.solution_2, in_axes=(None, None, 0, 0))(net, theta, x[None, :], y[None])
        by_autodiff = jax.grad(lambda x: net.cost(theta, x[None, :], y[None]))(x)
        return jacobians.solution_1(net, theta, x, y), jacobians.solution_2(net, theta, x, y), mapped[0], by_autodiff

    return of_x, (theta, X.astype(dtype), np.asarray(0.7, dtype) if name == "mlp" else np.array(2))


@pytest.mark.parametrize(
    ("name", "precision"), [("mlp", "float64"), ("every kind", "float64"), ("every kind", "float32")]
)
def test_both_solutions_are_the_derivative(name, precision):
    dtype, tolerance = PRECISIONS[precision].dtype, 10 * PRECISIONS[precision].tolerance
    with jax.enable_x64(PRECISIONS[precision].x64):
        of_x, arguments = solutions(name, dtype)
        *found, expected = jax.jit(of_x)(*arguments)
    for solution in found:
        np.testing.assert_allclose(solution, expected, atol=tolerance * np.max(np.abs(expected)))


@pytest.mark.parametrize("name", NETWORKS)
def test_dtypes_and_shapes_are_kept(name):
    """In float32 in 64-bit mode, where it could be promoted."""
    precision = PRECISIONS["float32 in 64-bit mode"]
    of_x, arguments = solutions(name, precision.dtype)
    for solution in jax.eval_shape(of_x, *arguments):
        assert (solution.shape, solution.dtype) == (X.shape, precision.dtype)


def test_the_jacobians_are_those_of_the_layers():
    net, theta = NETWORKS["every kind"], first_theta("every kind")

    @jax.jit
    def hand_and_reference(theta, z):
        pairs = []
        for layer, params, J in zip(net.layers, theta, jacobians.layer_jacobians(net, theta, z), strict=True):

            def f(z, layer=layer, params=params):
                return layer.forward(params, z[None, :])[0][0]

            pairs.append((J, jax.jacobian(f)(z)))
            z = f(z)
        return pairs

    for hand, reference in hand_and_reference(theta, X):
        np.testing.assert_allclose(hand, reference, atol=1e-13)
