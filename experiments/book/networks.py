"""Chapters 10 to 12: backpropagation and multi-layer perceptrons."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from experiments.book.data import BINARY, CLASSES, OF_CLASSES, X, Y
from experiments.book.row import Row, same, true
from experiments.lab.result import check_derivatives
from jax_course import kernel, logistic, softmax, verify
from jax_course.networks import chain, costs, jacobians, layers, mlp, network, serial

RNG = np.random.Generator(np.random.PCG64(3))


def _parameters(*widths):
    """Those of linear layers from each width to the next, with an activation, which has none, between them."""
    linear = [
        layers.LinearParams(jnp.asarray(RNG.standard_normal(after)), jnp.asarray(RNG.standard_normal((before, after))))
        for before, after in pairwise(widths)
    ]
    return tuple(params for of_layer in linear for params in (of_layer, ()))[:-1]


def _as_layers():
    net = mlp([3], "tanh", costs.cross_entropy())

    @jax.jit
    def both(Theta, X, y):
        theta = (layers.LinearParams(jnp.zeros(3), Theta),)
        of_costs = net.cost(theta, X, y), softmax.cost(Theta, X, y)
        return of_costs, (net.gradient(theta, X, y)[0].weights, softmax.gradient(Theta, X, y))

    of_costs, gradients = both(OF_CLASSES, X, CLASSES)
    return same("its cost is softmax regression's", *of_costs), same("its gradient too", *gradients)


def _paths():
    steps = chain.softmax_jacobians(OF_CLASSES, X[0], 1)
    naive, layered = chain.naive(steps), chain.backpropagation(steps)
    return (
        same("along every path and by layers, the same", naive.gradient, layered.gradient),
        true("with fewer products by layers", layered.products < naive.products),
    )


def _layer():
    chained = serial(layers.linear(4), layers.tanh(), layers.linear(2))
    return (true("(δ) → (δ₋, ∂C/∂θ), by the doctor", verify.layer(chained, _parameters(3, 4, 2), X).ok),)


def _no_hidden_layer():
    net = mlp([1], "tanh", costs.binary_cross_entropy())
    theta = (layers.LinearParams(jnp.zeros(1), jnp.asarray(OF_CLASSES[:, :1])),)
    cost, of_regression = jax.jit(net.cost)(theta, X, BINARY), jax.jit(logistic.cost)(OF_CLASSES[:, 0], X, BINARY)
    return (same("it is logistic regression", cost, of_regression),)


def _of(net, y, *widths):
    return lambda: check_derivatives("network", net, _parameters(3, *widths), X, y)


def _rbf_units():
    layer = layers.rbf(4)
    centers, scales = RNG.standard_normal((4, 3)), RNG.uniform(1, 3, 4)
    expected = np.exp(-((X[:, None, :] - centers) ** 2).sum(-1) / scales)
    net = network(layer, layers.linear(1), cost=costs.squared_error())

    @jax.jit
    def computed(centers, scales, X):
        theta = (layers.RBFParams(centers, jnp.full(4, 2.0)), layers.LinearParams(jnp.zeros(1), jnp.ones((4, 1))))
        by_kernels = kernel.predict(jnp.ones(4), X, centers=centers, scale=2.0)
        return layer.forward(layers.RBFParams(centers, scales), X)[0], net.predict(theta, X), by_kernels

    units, by_network, by_kernels = computed(centers, scales, X)
    return (
        same("the units are bumps", units, expected),
        same("with a linear layer behind, RBF regression", by_network, by_kernels),
    )


def _depth():
    net = mlp([4, 4, 1], "sigmoid", costs.squared_error())
    slopes = np.asarray(jax.jit(logistic.sigmoid_derivative)(np.linspace(-5, 5, 101)))
    return (
        *check_derivatives("network", net, _parameters(3, 4, 4, 1), X, Y),
        true("σ′ is at most ¼, which is why it vanishes", slopes <= 0.25),
    )


def _ways():
    net, theta = mlp([5, 2, 1], "tanh", costs.squared_error()), _parameters(3, 5, 2, 1)

    @jax.jit
    def each(x, y):
        by_autodiff = jax.grad(lambda x: net.cost(theta, x[None], y[None]))(x)
        return jacobians.solution_1(net, theta, x, y), jacobians.solution_2(net, theta, x, y), by_autodiff

    one, two, by_autodiff = each(X[0], Y[0])
    return same("solution 1 is solution 2", one, two), same("and autodiff", np.ravel(two), by_autodiff)


def _linear_layer():
    layer, W, delta = layers.linear(2), RNG.standard_normal((3, 2)), X[:, :2]

    @jax.jit
    def both(W, z, delta):
        out, cache = layer.forward(layers.LinearParams(jnp.zeros(2), W), z)
        return out, layer.backward(layers.LinearParams(jnp.zeros(2), W), cache, delta)

    out, (gradient, back) = both(W, X, delta)
    return (
        same("z_o = Σ z_i θ_io", out, X @ W),
        same("δ_i = Σ_o δ_o θ_io", back, delta @ W.T),
        same("∂C/∂θ_io = δ_o z_i, summed over the examples", gradient.weights, np.einsum("mi,mo->io", X, delta)),
    )


def _relu():
    layer = layers.relu()

    @jax.jit
    def both(z):
        out, cache = layer.forward((), z)
        return out, layer.backward((), cache, jnp.ones_like(z))[1]

    out, back = both(np.array([[-2.0, 0.0, 3.0]]))
    return (
        same("max(0, z)", out, [[0.0, 0.0, 3.0]]),
        same("δ where z > 0, 0 elsewhere and at the kink", back, [[0.0, 0.0, 1.0]]),
    )


ROWS = (
    Row(
        "10.1a",
        "Softmax regression as layers",
        (r"z^0 = x, \quad z^1 = x\Theta, \quad z^2 = \log\mathrm{softmax}\,z^1, \quad z^3 = -z^2_y",),
        ("networks.mlp",),
        _as_layers,
        ("paths/graph",),
    ),
    Row(
        "10.1b",
        "Every path",
        (r"\frac{\partial C}{\partial z^0} = \sum_{\text{paths}} \prod \frac{\partial z^{l+1}_j}{\partial z^l_i}",),
        ("networks.chain.naive", "networks.chain.backpropagation"),
        _paths,
        ("paths/products",),
    ),
    Row(
        "10.2",
        "A layer",
        (
            r"\delta^{l-1} = \delta^l \frac{\partial z^l}{\partial z^{l-1}}",
            r"\frac{\partial C}{\partial \theta^l} = \delta^l \frac{\partial z^l}{\partial \theta^l}",
        ),
        ("networks.serial", "networks.layers.linear"),
        _layer,
        ("layer_by_layer/graph",),
        (17,),
    ),
    Row(
        "11.1",
        "No hidden layer",
        (r"\pi = \sigma(x\theta + \theta_0)",),
        ("networks.mlp",),
        _no_hidden_layer,
        ("neuron/plane", "nonlinear_boundaries/boundaries"),
    ),
    Row(
        "11.2",
        "A hidden layer, two classes",
        (r"\pi = \sigma\left(\tanh(x\Theta^1 + \theta^1_0)\,\theta^2 + \theta^2_0\right)",),
        ("networks.mlp", "networks.costs.binary_cross_entropy"),
        _of(mlp([4, 1], "tanh", costs.binary_cross_entropy()), BINARY, 4, 1),
        ("nonlinear_boundaries/slider", "nonlinear_boundaries/boundaries", "nonlinear_boundaries/hidden"),
        (14,),
    ),
    Row(
        "11.2b",
        "RBF units",
        (r"z = e^{-\|x - \mu\|^2/\sigma^2}",),
        ("networks.layers.rbf",),
        _rbf_units,
        ("layer_by_layer/rbf",),
    ),
    Row(
        "11.3",
        "A hidden layer, regression",
        (r"\hat y = \sigma(x\Theta^1 + \theta^1_0)\,\theta^2 + \theta^2_0",),
        ("networks.mlp", "networks.costs.squared_error"),
        _of(mlp([4, 1], "sigmoid", costs.squared_error()), Y, 4, 1),
        ("sigmoid_bumps/bumps", "function_approximation/units"),
        (18,),
    ),
    Row(
        "11.4",
        "A hidden layer, several classes",
        (r"\pi = \mathrm{softmax}\left(\mathrm{relu}(x\Theta^1 + \theta^1_0)\,\Theta^2 + \theta^2_0\right)",),
        ("networks.mlp", "networks.costs.cross_entropy"),
        _of(mlp([4, 3], "relu", costs.cross_entropy()), CLASSES, 4, 3),
        ("spiral_arms/regions", "digits_network/confusion"),
        (19,),
    ),
    Row(
        "12.1",
        "Many layers",
        (r"\delta^l = \delta^{l+1}\,\mathrm{diag}\left(\sigma'(z^l)\right)\,{\Theta^{l}}^\top",),
        ("networks.network",),
        _depth,
        ("vanishing_gradient/slider", "vanishing_gradient/norms", "vanishing_gradient/draws"),
    ),
    Row(
        "12.2",
        "Two ways",
        (
            r"\delta^L\left(J^L \left(J^{L-1} \cdots J^1\right)\right)"
            r" = \left(\left(\delta^L J^L\right) J^{L-1}\right) \cdots J^1",
        ),
        ("networks.jacobians.solution_1", "networks.jacobians.solution_2"),
        _ways,
        ("two_ways/costs", "two_ways/ratios"),
    ),
    Row(
        "12.3",
        "A linear layer",
        (
            r"z_o = \sum_i z_i \theta_{io}, \qquad \delta_i = \sum_o \delta_o \theta_{io}",
            r"\frac{\partial C}{\partial\theta_{io}} = \delta_o z_i",
        ),
        ("networks.layers.linear",),
        _linear_layer,
        ("layer_by_layer/graph",),
        (20,),
    ),
    Row(
        "12.4",
        "ReLU",
        (r"z = \max(0, z), \qquad \delta\,1[z > 0]",),
        ("networks.layers.relu",),
        _relu,
        ("layer_by_layer/relu",),
    ),
)
