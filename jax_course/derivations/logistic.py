r"""Course 8.2 to 8.6: the sigmoid, the cost of logistic regression, its gradient and its Hessian."""

import jax.numpy as jnp

from jax_course.classification import logistic
from jax_course.derivations import data
from jax_course.derivations.record import Derivation, Slip
from jax_course.verify.lines import line


def _cost(y, pi):
    return -jnp.sum(y * jnp.log(pi) + (1 - y) * jnp.log(1 - pi))


COST = line(r"C = -\sum_i \left[ y_i \log\pi_i + (1 - y_i) \log(1 - \pi_i) \right]", _cost)

DERIVATIONS = (
    Derivation(
        "sigmoid_derivative",
        "The derivative of the sigmoid",
        "Course 8.2",
        (
            line(r"\sigma(z) = \frac{1}{1 + e^{-z}}", lambda z: 1 / (1 + jnp.exp(-z))),
            line(r"= \frac{e^z}{e^z + 1}", lambda z: jnp.exp(z) / (jnp.exp(z) + 1)),
            line(
                r"\frac{\partial\sigma}{\partial z} = \frac{e^{-z}}{(1 + e^{-z})^2}",
                lambda z: jnp.exp(-z) / (1 + jnp.exp(-z)) ** 2,
                by="z",
            ),
            line(r"= \sigma(z)(1 - \sigma(z))", logistic.sigmoid_derivative),
        ),
        lambda: {"z": 0.7},
    ),
    Derivation(
        "logistic_cost",
        "From the likelihood to the cost of logistic regression",
        "Course 8.4",
        (
            line(
                r"C = -\log \prod_i \pi_i^{y_i} (1 - \pi_i)^{1 - y_i}",
                lambda y, pi: -jnp.log(jnp.prod(pi**y * (1 - pi) ** (1 - y))),
            ),
            line(r"= -\sum_i \left[ y_i \log\pi_i + (1 - y_i) \log(1 - \pi_i) \right]", _cost),
            line(r"= \mathrm{cost}(\theta, X, y)", logistic.cost),
        ),
        data.two_classes,
        (
            Slip(
                14,
                2,
                line(
                    r"= -\sum_i y_i \log\pi_i + (1 - y_i) \log(1 - \pi_i)",
                    lambda y, pi: -jnp.sum(y * jnp.log(pi)) + jnp.sum((1 - y) * jnp.log(1 - pi)),
                ),
            ),
        ),
    ),
    Derivation(
        "logistic_cost_by_probability",
        "The derivative of the cost by the output",
        "Course 8.4",
        (
            COST,
            line(
                r"\frac{\partial C}{\partial\pi_i} = -\left( \frac{y_i}{\pi_i} - \frac{1 - y_i}{1 - \pi_i} \right)",
                lambda y, pi: -(y / pi - (1 - y) / (1 - pi)),
                by="pi",
            ),
            line(r"= \frac{\pi_i - y_i}{\pi_i (1 - \pi_i)}", lambda y, pi: (pi - y) / (pi * (1 - pi))),
        ),
        data.two_classes,
    ),
    Derivation(
        "logistic_gradient",
        "The gradient of logistic regression by the chain rule",
        "Course 8.5",
        (
            COST,
            line(
                r"\frac{\partial C}{\partial\theta} = \sum_i \frac{\partial C}{\partial\pi_i}"
                r"\frac{\partial\pi_i}{\partial z_i}\frac{\partial z_i}{\partial\theta}"
                r" = \sum_i \frac{\pi_i - y_i}{\pi_i (1 - \pi_i)}\, \pi_i (1 - \pi_i)\, x_i",
                lambda X, y, pi: jnp.sum(((pi - y) / (pi * (1 - pi)) * (pi * (1 - pi)))[:, None] * X, axis=0),
                by="theta",
            ),
            line(r"= \sum_i (\pi_i - y_i)\, x_i", lambda X, y, pi: jnp.sum((pi - y)[:, None] * X, axis=0)),
            line(r"= X^\top (\pi - y)", logistic.gradient),
        ),
        data.two_classes,
    ),
    Derivation(
        "logistic_gradient_directly",
        "The gradient of logistic regression, directly",
        "Course 8.5",
        (
            line(
                r"C = \sum_i \left[ \log(1 + e^{z_i}) - y_i z_i \right],\quad z_i = x_i\theta",
                lambda theta, X, y: jnp.sum(jnp.log(1 + jnp.exp(X @ theta)) - y * (X @ theta)),
            ),
            line(
                r"\frac{\partial C}{\partial\theta}"
                r" = \sum_i \left[ \frac{e^{z_i}}{1 + e^{z_i}}\, x_i - y_i x_i \right]",
                lambda theta, X, y: jnp.sum(
                    (jnp.exp(X @ theta) / (1 + jnp.exp(X @ theta)))[:, None] * X - y[:, None] * X, axis=0
                ),
                by="theta",
            ),
            line(r"= \sum_i (\pi_i - y_i)\, x_i", lambda X, y, pi: jnp.sum((pi - y)[:, None] * X, axis=0)),
            line(r"= X^\top (\pi - y)", logistic.gradient),
        ),
        data.two_classes,
    ),
    Derivation(
        "logistic_hessian",
        "The Hessian of logistic regression",
        "Course 8.6",
        (
            line(r"g = \sum_i (\pi_i - y_i)\, x_i", lambda X, y, pi: jnp.sum((pi - y)[:, None] * X, axis=0)),
            line(
                r"H = \frac{\partial g}{\partial\theta} = \sum_i \pi_i (1 - \pi_i)\, x_i x_i^\top",
                lambda X, pi: jnp.sum((pi * (1 - pi))[:, None, None] * X[:, :, None] * X[:, None, :], axis=0),
                by="theta",
            ),
            line(r"= X^\top \mathrm{diag}(\pi_i (1 - \pi_i))\, X", lambda X, pi: X.T @ jnp.diag(pi * (1 - pi)) @ X),
            line(r"= X^\top S X", logistic.hessian),
        ),
        data.two_classes,
    ),
    Derivation(
        "newton_to_irls",
        "From Newton's step to iteratively reweighted least squares",
        "Course 8.6",
        (
            line(r"\theta - H^{-1} g", lambda theta, H, X, y, pi: theta - jnp.linalg.solve(H, X.T @ (pi - y))),
            line(
                r"= \theta + (X^\top S X)^{-1} X^\top (y - \pi)",
                lambda theta, S, X, y, pi: theta + jnp.linalg.solve(X.T @ S @ X, X.T @ (y - pi)),
            ),
            line(
                r"= (X^\top S X)^{-1} \left[ (X^\top S X)\,\theta + X^\top (y - \pi) \right]",
                lambda theta, S, X, y, pi: jnp.linalg.solve(X.T @ S @ X, X.T @ S @ X @ theta + X.T @ (y - pi)),
            ),
            line(
                r"= (X^\top S X)^{-1} X^\top \left[ S X\theta + y - \pi \right]",
                lambda theta, S, X, y, pi: jnp.linalg.solve(X.T @ S @ X, X.T @ (S @ X @ theta + y - pi)),
            ),
            line(r"= \mathrm{irls\_step}(\theta, X, y)", logistic.irls_step),
        ),
        lambda: data.two_classes() | {"S": lambda pi: jnp.diag(pi * (1 - pi)), "H": logistic.hessian},
    ),
)
