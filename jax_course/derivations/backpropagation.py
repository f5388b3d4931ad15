r"""Course 10.1 and 10.2: the gradient along all paths, and layer by layer.

Softmax regression on one example as layers: z¹ = xΘ, z² = log softmax z¹, z³ = −z²_y.
"""

import jax.numpy as jnp
import numpy as np

from jax_course.classification import softmax
from jax_course.derivations.record import Derivation, Slip
from jax_course.networks import chain
from jax_course.verify.lines import line

CLASSES, LABEL = 2, 1


def _one_example() -> dict:
    """theta (3, 2), an example x (3,) of class 1, its layers, the local derivatives ∂z³/∂z² (2,), ∂z²/∂z¹ (2, 2)."""
    rng = np.random.default_rng(10)
    return {
        "theta": rng.standard_normal((3, CLASSES)), "x": rng.standard_normal(3),
        "z1": lambda theta, x: x @ theta,
        "z2": lambda z1: jnp.stack([z1[c] - jnp.log(jnp.exp(z1[0]) + jnp.exp(z1[1])) for c in range(CLASSES)]),
        "d3": lambda z1: -jnp.eye(CLASSES, dtype=z1.dtype)[LABEL],
        "d2": lambda z1: jnp.eye(CLASSES) - jnp.exp(z1) / jnp.sum(jnp.exp(z1)),
    }  # fmt: skip


COST = line(r"C = z^{[3]} = -\sum_c 1_c(y)\, z^{[2]}_c", lambda z2: -z2[LABEL])


def _public(theta, x):
    return softmax.gradient(theta, x[None, :], jnp.array([LABEL]))


def _along_paths(delta, jacobian):
    """Σ_k δ_k ∂z_k/∂z_j"""
    return jnp.sum(jnp.stack([delta[k] * jacobian[k] for k in range(CLASSES)]), axis=0)


DERIVATIONS = (
    Derivation(
        "all_paths",
        "The naive chain rule: every path by itself",
        "Course 10.1",
        (
            COST,
            line(
                r"\frac{\partial C}{\partial\theta_1} = \frac{\partial z^{[3]}}{\partial z^{[2]}_1}"
                r"\frac{\partial z^{[2]}_1}{\partial z^{[1]}_1}\frac{\partial z^{[1]}_1}{\partial\theta_1}"
                r" + \frac{\partial z^{[3]}}{\partial z^{[2]}_2}"
                r"\frac{\partial z^{[2]}_2}{\partial z^{[1]}_1}\frac{\partial z^{[1]}_1}{\partial\theta_1},\ \ldots",
                lambda d3, d2, x: jnp.stack(
                    [d3[0] * d2[0, j] * x + d3[1] * d2[1, j] * x for j in range(CLASSES)], axis=1
                ),
                by="theta",
            ),
            line(r"= \mathrm{softmax.gradient}(\theta, x, y)", _public),
        ),
        _one_example,
    ),
    Derivation(
        "all_paths_to_the_input",
        "The sum over the paths, to the input",
        "Course 10.1",
        (
            COST,
            line(
                r"\frac{\partial C}{\partial x_i} = \sum_j \sum_k \frac{\partial z^{[3]}}{\partial z^{[2]}_k}"
                r"\frac{\partial z^{[2]}_k}{\partial z^{[1]}_j}\, \theta_{ij}",
                lambda d3, d2, theta: sum(
                    d3[k] * d2[k, j] * theta[:, j] for j in range(CLASSES) for k in range(CLASSES)
                ),
                by="x",
            ),
            line(
                r"= \mathrm{backpropagation}(J^1, J^2, J^3)",
                lambda d3, d2, theta: chain.backpropagation([theta.T, d2, d3[None, :]]).gradient,
            ),
        ),
        _one_example,
    ),
    Derivation(
        "layer_by_layer",
        "Layer by layer: what the paths share is computed once",
        "Course 10.2",
        (
            COST,
            line(
                r"\frac{\partial C}{\partial\theta} = \sum_j \frac{\partial C}{\partial z^{[1]}_j}"
                r"\frac{\partial z^{[1]}_j}{\partial\theta},\quad \frac{\partial C}{\partial z^{[1]}_j}"
                r" = \sum_k \left( \sum_l \frac{\partial C}{\partial z^{[3]}_l}"
                r"\frac{\partial z^{[3]}_l}{\partial z^{[2]}_k} \right)"
                r"\frac{\partial z^{[2]}_k}{\partial z^{[1]}_j}",
                lambda d3, d2, x: x[:, None] * _along_paths(d3, d2)[None, :],
                by="theta",
            ),
            line(
                r"= x\, \delta^{[1]},\quad \delta^{[1]} = \delta^{[2]} \frac{\partial z^{[2]}}{\partial z^{[1]}}",
                lambda d3, d2, x: x[:, None] * (d3 @ d2)[None, :],
            ),
            line(r"= \mathrm{softmax.gradient}(\theta, x, y)", _public),
        ),
        _one_example,
    ),
    Derivation(
        "cost_above_the_layers",
        "Layer by layer, below a cost that is a function of the last layer",
        "Course 10.2",
        (
            line(r"C = \tfrac12 (z^{[3]})^2", lambda z2: z2[LABEL] ** 2 / 2),
            line(
                r"\frac{\partial C}{\partial\theta} = \sum_j \left( \sum_k \left( \sum_l"
                r"\frac{\partial C}{\partial z^{[3]}_l} \frac{\partial z^{[3]}_l}{\partial z^{[2]}_k} \right)"
                r"\frac{\partial z^{[2]}_k}{\partial z^{[1]}_j} \right)"
                r"\frac{\partial z^{[1]}_j}{\partial\theta}",
                lambda z2, d3, d2, x: x[:, None] * _along_paths(-z2[LABEL] * d3, d2)[None, :],
                by="theta",
            ),
            line(
                r"= z^{[3]}\, \mathrm{softmax.gradient}(\theta, x, y)",
                lambda z2, theta, x: -z2[LABEL] * _public(theta, x),
            ),
        ),
        _one_example,
        (
            Slip(
                17,
                2,
                line(
                    r"\frac{\partial C}{\partial\theta} = \sum_j \left( \sum_k \left( \sum_l"
                    r"\frac{\partial z^{[3]}_l}{\partial z^{[2]}_k} \right)"
                    r"\frac{\partial z^{[2]}_k}{\partial z^{[1]}_j} \right)"
                    r"\frac{\partial z^{[1]}_j}{\partial\theta}",
                    lambda d3, d2, x: x[:, None] * _along_paths(d3, d2)[None, :],
                    by="theta",
                ),
            ),
        ),
    ),
)
