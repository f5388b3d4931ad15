"""The chain rule by paths and by layers, and the two ways of 12.2: equal results, different work."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import softmax
from jax_course.networks import chain, costs, jacobians, layers, mlp, network


def random_chain(*widths):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((after, before)) for before, after in zip(widths, (*widths[1:], 1), strict=True)]


@pytest.mark.parametrize("widths", [(3,), (2, 3), (4, 1, 3), (2, 3, 2, 4)])
def test_both_are_the_product_of_the_matrices_and_count_their_products(widths):
    J = random_chain(*widths)
    expected = np.linalg.multi_dot([*J[::-1], np.eye(widths[0])])[0]
    by_paths, by_layers = chain.naive(J), chain.by_layers(J)
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
    of_x = jax.grad(lambda x: softmax.cost(theta, x[None, :], jnp.array([y])))(jnp.asarray(x))
    for method in (chain.naive, chain.by_layers):
        np.testing.assert_allclose(method(J).gradient, of_x, rtol=1e-12)
        of_z = method(J[1:]).gradient
        gradient = softmax.gradient(theta, x[None, :], np.array([y]))
        np.testing.assert_allclose(x[:, None] * np.asarray(of_z)[None, :], gradient, rtol=1e-12)
    by_autodiff = jax.jacobian(lambda z: layers.log_softmax().forward((), z[None, :])[0][0])(jnp.asarray(x @ theta))
    np.testing.assert_allclose(J[1], by_autodiff, rtol=1e-12)


def test_paths_grow_as_a_power_of_the_depth_and_layers_linearly():
    for depth in (2, 4, 6):
        J = random_chain(*[3] * depth)
        assert chain.naive(J).products == (depth - 1) * 3**depth
        assert chain.by_layers(J).products == (depth - 1) * 9


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
        layers.linear(4), layers.rbf(5), layers.residual(layers.gelu()), layers.softmax(), layers.linear(3),
        cost=costs.cross_entropy(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_both_solutions_are_the_derivative(name, precision):
    net = NETWORKS[name]
    theta = jax.tree.map(lambda leaf: leaf.astype(precision.dtype), net.init(jax.random.key(0), 3))
    x = jnp.asarray([0.3, -1.0, 0.5], precision.dtype)
    y = jnp.asarray(2 if name != "mlp" else 0.7, None if name != "mlp" else precision.dtype)
    expected = jax.grad(lambda x: net.cost(theta, x[None, :], y[None]))(x)
    for solution in (jacobians.solution_1, jacobians.solution_2):
        found = jax.jit(solution, static_argnums=0)(net, theta, x, y)
        assert found.dtype == precision.dtype
        np.testing.assert_allclose(found, expected, atol=10 * precision.tolerance * np.max(np.abs(expected)))
    mapped = jax.vmap(jacobians.solution_2, in_axes=(None, None, 0, 0))(net, theta, x[None, :], y[None])
    np.testing.assert_allclose(mapped[0], expected, atol=10 * precision.tolerance * np.max(np.abs(expected)))


def test_the_jacobians_are_those_of_the_layers():
    net = NETWORKS["every kind"]
    theta = net.init(jax.random.key(0), 3)
    z = jnp.array([0.3, -1.0, 0.5])
    for layer, params, J in zip(net.layers, theta, jacobians.layer_jacobians(net, theta, z), strict=True):

        def f(z, layer=layer, params=params):
            return layer.forward(params, z[None, :])[0][0]

        np.testing.assert_allclose(J, jax.jacobian(f)(z), atol=1e-13)
        z = f(z)
