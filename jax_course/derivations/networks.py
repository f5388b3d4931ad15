r"""Course 12.1 to 12.4: what a layer passes back, in matrix and scalar form; linear and ReLU layers; tangents."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.derivations.record import Derivation, Slip
from jax_course.networks import costs, jacobians, layers, mlp
from jax_course.verify.lines import line

NETWORK = mlp([4, 2], "sigmoid", costs.squared_error())


def _layer() -> dict:
    """z (3,), Θ (3, 2), the δ (2,) that comes from above; u, V: directions in which z and Θ move with t."""
    rng = np.random.default_rng(12)
    return {
        "z": rng.standard_normal(3), "theta": rng.standard_normal((3, 2)), "delta": rng.standard_normal(2),
        "u": rng.standard_normal(3), "V": rng.standard_normal((3, 2)), "t": 0.4,
    }  # fmt: skip


def _sigmoid_layer() -> dict:
    return _layer() | {
        "J": lambda z, theta: theta.T * (_sigma(z @ theta) * (1 - _sigma(z @ theta)))[:, None],  # ∂f_o/∂z_i (2, 3)
    }


def _composition() -> dict:
    rng = np.random.default_rng(122)
    params = NETWORK.init(jax.random.key(0), 3)
    return {"x": rng.standard_normal(3), "y": rng.standard_normal(2), "params": params}


def _sigma(z):
    return 1 / (1 + jnp.exp(-z))


def _backward(layer, params, z, delta):
    _, cache = layer.forward(params, z[None, :])
    gradient, delta_in = layer.backward(params, cache, delta[None, :])
    return gradient, delta_in[0]


def _tangent(theta, z, V, u):
    layer = layers.linear(2)
    assert layer.tangent is not None
    return layer.tangent(_linear_params(theta), z[None, :], _linear_params(V), u[None, :])[0]


def _linear_params(theta):
    return layers.LinearParams(bias=jnp.zeros(theta.shape[1], theta.dtype), weights=theta)


LINEAR_COST = line(
    r"C = \sum_o \delta_o z_o,\quad z_o = \sum_i z_i \theta_{io}", lambda z, theta, delta: delta @ (z @ theta)
)

DERIVATIONS = (
    Derivation(
        "delta",
        "What a layer passes back: matrix form and scalar form",
        "Course 12.1",
        (
            line(
                r"C = \sum_o \delta^{[l]}_o f_o(z^{[l-1]}, \theta),\quad f = \sigma(z\theta)",
                lambda z, theta, delta: delta @ _sigma(z @ theta),
            ),
            line(
                r"\delta^{[l-1]} = \frac{\partial C}{\partial z^{[l-1]}}"
                r" = \delta^{[l]} \frac{\partial z^{[l]}}{\partial z^{[l-1]}}",
                lambda delta, J: delta @ J,
                by="z",
            ),
            line(
                r"\delta^{[l-1]}_i = \sum_o \delta^{[l]}_o \frac{\partial f_o}{\partial z^{[l-1]}_i}",
                lambda delta, J: sum(delta[o] * J[o] for o in range(2)),
            ),
            line(
                r"= \mathrm{backward}(\theta, \delta^{[l]})",
                lambda z, theta, delta: _backward(
                    layers.linear(2), _linear_params(theta), z, _backward(layers.sigmoid(), (), z @ theta, delta)[1]
                )[1],
            ),
        ),
        _sigmoid_layer,
    ),
    Derivation(
        "two_orders",
        "All Jacobians multiplied, or vector times matrix from the cost down",
        "Course 12.2",
        (
            line(
                r"C = C(f^{[L]}( \cdots f^{[1]}(x)))", lambda x, y, params: NETWORK.cost(params, x[None, :], y[None, :])
            ),
            line(
                r"\frac{\partial C}{\partial x} = \delta^{[L]} \left( J^{[L]} \cdots (J^{[2]} J^{[1]}) \right)",
                lambda x, y, params: jacobians.solution_1(NETWORK, params, x, y),
                by="x",
            ),
            line(
                r"= \left( (\delta^{[L]} J^{[L]}) \cdots J^{[2]} \right) J^{[1]}",
                lambda x, y, params: jacobians.solution_2(NETWORK, params, x, y),
            ),
        ),
        _composition,
    ),
    Derivation(
        "linear_layer_delta",
        "The linear layer: what it passes back",
        "Course 12.3",
        (
            LINEAR_COST,
            line(
                r"\delta_i = \frac{\partial C}{\partial z_i} = \sum_o \delta_o \theta_{io}",
                lambda theta, delta: sum(delta[o] * theta[:, o] for o in range(2)),
                by="z",
            ),
            line(r"= \Theta\delta", lambda theta, delta: theta @ delta),
            line(
                r"= \mathrm{linear.backward}(\theta, \delta)",
                lambda z, theta, delta: _backward(layers.linear(2), _linear_params(theta), z, delta)[1],
            ),
        ),
        _layer,
    ),
    Derivation(
        "linear_layer_gradient",
        "The linear layer: the derivative by its weights",
        "Course 12.3",
        (
            LINEAR_COST,
            line(
                r"\frac{\partial C}{\partial\theta_{io}} = \delta_o z_i",
                lambda z, delta: z[:, None] * delta[None, :],
                by="theta",
            ),
            line(
                r"= \mathrm{linear.backward}(\theta, \delta)",
                lambda z, theta, delta: _backward(layers.linear(2), _linear_params(theta), z, delta)[0].weights,
            ),
        ),
        _layer,
        (
            Slip(
                20,
                2,
                line(
                    r"\frac{\partial C}{\partial\theta_{io}} = \sum_o \delta_o z_i",
                    lambda z, delta: z[:, None] * jnp.sum(delta) * jnp.ones((1, 2)),
                    by="theta",
                ),
            ),
        ),
    ),
    Derivation(
        "relu_layer",
        "The ReLU layer",
        "Course 12.4",
        (
            line(r"C = \sum_o \delta_o \max(0, z_o)", lambda z, delta: delta @ jnp.maximum(0, z)),
            line(r"\delta_i = \delta_i\, 1[z_i > 0]", lambda z, delta: delta * (z > 0), by="z", where=lambda z: z != 0),
            line(r"= \mathrm{relu.backward}(\delta)", lambda z, delta: _backward(layers.relu(), (), z, delta)[1]),
        ),
        lambda: {"z": np.array([0.7, -1.2]), "delta": np.array([0.4, 1.3])},
    ),
    Derivation(
        "tangent_of_a_linear_layer",
        "The R-operator: how the output moves with input and weights",
        "Course 12.1, 12.3",
        (
            line(
                r"z_o(t) = \sum_i (z_i + t u_i)(\theta_{io} + t V_{io})",
                lambda t, z, u, theta, V: (z + t * u) @ (theta + t * V),
            ),
            line(
                r"\mathcal{R}\{z_o\} = \frac{\partial z_o}{\partial t}"
                r" = \sum_i \left[ u_i (\theta_{io} + t V_{io}) + (z_i + t u_i) V_{io} \right]",
                lambda t, z, u, theta, V: u @ (theta + t * V) + (z + t * u) @ V,
                by="t",
            ),
            line(
                r"= \mathrm{linear.tangent}(\theta + tV, z + tu;\ V, u)",
                lambda t, z, u, theta, V: _tangent(theta + t * V, z + t * u, V, u),
            ),
        ),
        _layer,
    ),
)
