import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jax_course.networks import Layer, costs, layers, mlp, network, xray
from jax_course.networks.layers import LinearParams

NET = mlp([4, 4], "relu", costs.cross_entropy())
THETA = jax.tree.map(np.asarray, NET.init(jax.random.key(0), 4))
X = np.random.default_rng(0).standard_normal((10, 4))
Y = np.arange(10) % 4


@jax.jit
def references(theta, z):
    """The cost, its gradient, and its derivative by the output z of the first layer, biases being 0."""
    by_z = jax.grad(lambda z: NET.last.value(jnp.maximum(z, 0) @ theta[2].weights, jnp.asarray(Y)))(z)
    return NET.cost(theta, X, Y), NET.gradient(theta, X, Y), by_z


def with_nan(layer):
    """THETA with a weight of this layer that is none."""
    weights = THETA[layer].weights.copy()
    weights[0, 0] = np.nan
    broken = LinearParams(THETA[layer].bias, weights)
    return tuple(broken if i == layer else params for i, params in enumerate(THETA))


@pytest.fixture(scope="module")
def reports():
    """Of what is right, of dead units, of a wrong backward method, and of NaN in a layer, by its number."""
    dead = THETA[0]._replace(bias=np.array([-100.0, 0.0, -100.0, 0.0])), *THETA[1:]
    wrong = layers.tanh()._replace(backward=lambda params, z, delta: ((), delta * (1 - jnp.tanh(z))))
    of_wrong = xray(network(layers.linear(4), wrong, layers.linear(4), cost=costs.cross_entropy()), THETA, X, Y)
    of_theta = {"right": THETA, "dead": dead, 0: with_nan(0), 2: with_nan(2)}
    return {name: xray(NET, theta, X, Y) for name, theta in of_theta.items()} | {"wrong": of_wrong}


def test_it_says_what_the_layers_do(reports):
    report = reports["right"]
    z = X @ THETA[0].weights
    hidden = np.maximum(z, 0)
    first, relu, last = report.layers
    np.testing.assert_allclose(first.z_norm, np.linalg.norm(z), rtol=1e-12)
    np.testing.assert_allclose(relu.z_norm, np.linalg.norm(hidden), rtol=1e-12)
    assert (first.shape, last.shape) == ((10, 4), (10, 4))
    cost, gradient, by_z = references(THETA, z)
    np.testing.assert_allclose(report.cost, cost, rtol=1e-12)
    sizes = [np.sqrt(sum(np.sum(np.square(leaf)) for leaf in tree)) for tree in (gradient[2], THETA[2])]
    np.testing.assert_allclose(last.gradient_share, sizes[0] / sizes[1], rtol=1e-12)
    np.testing.assert_allclose(first.delta_norm, np.linalg.norm(by_z), rtol=1e-12)
    assert relu.gradient_share == 0
    assert all(row.difference < 1e-12 for row in report.layers)
    assert report.trouble == ""


def test_dead_units_are_counted(reports):
    assert reports["dead"].layers[1].dead == 0.5


def test_a_wrong_backward_method_shows(reports):
    differences = [row.difference for row in reports["wrong"].layers]
    assert differences[0] < 1e-12
    assert differences[1] > 0.01
    assert differences[2] < 1e-12


def positive_part(slope=lambda z: z > 0):
    """relu with the maximum of JAX, whose derivative at 0 is 1/2."""
    return Layer(
        lambda key, d_in: ((), d_in),
        lambda params, z: (jnp.maximum(z, 0), z),
        lambda params, z, delta: ((), delta * slope(z).astype(z.dtype)),
        name="positive part",
    )


def differences_at_exact_zeros(layer):
    """Of a linear layer, dropout and this layer, on rows of which two are 0."""
    net = network(layers.linear(4), layers.dropout(0.5, jax.random.key(1)), layer, cost=costs.cross_entropy())
    rows = X.copy()
    rows[[2, 5]] = 0
    return [row.difference for row in xray(net, (THETA[0], (), ()), rows, Y).layers]


@pytest.mark.parametrize(
    "layer", [positive_part(), layers.relu(), layers.residual(positive_part())], ids=["maximum", "relu", "residual"]
)
def test_a_kink_is_no_fault_of_a_layer(layer):
    assert max(differences_at_exact_zeros(layer)) < 1e-12


@pytest.mark.parametrize(
    ("slope", "least"),
    [
        (lambda z: jnp.where(z > 0, 2.0, 0.0), 0.99),
        (lambda z: jnp.where(z > 0.1, 1.5, jnp.where(z > 0, 1.0, 0.0)), 0.1),
        (jnp.ones_like, 0.9),
    ],
    ids=["factor 2", "other entries", "no mask"],
)
def test_a_wrong_slope_shows_beside_exact_zeros(slope, least):
    *others, difference = differences_at_exact_zeros(positive_part(slope))
    assert max(others) < 1e-12
    assert difference > least


def test_a_backward_method_without_a_number_at_0_shows():
    assert np.isnan(differences_at_exact_zeros(positive_part(lambda z: (z + jnp.abs(z)) / (2 * z)))[-1])


@pytest.mark.parametrize("layer", [0, 2])
def test_what_is_not_finite_is_named(layer, reports):
    assert reports[layer].trouble == f"layer {layer}: {NET.layers[layer].name}: its output is not finite"


def test_it_is_a_table(reports):
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(reports["right"])
    text = console.export_text()
    assert "0: linear(4)" in text
    assert "10 × 4" in text
    assert "‖δ‖" in text
