r"""Course 9.2 and 9.3: softmax regression, its gradient by hand for two classes and for K, and its Hessian."""

import jax.numpy as jnp
import numpy as np

from jax_course import scores
from jax_course.classification import logistic, softmax
from jax_course.derivations import data
from jax_course.derivations.record import Derivation, Slip
from jax_course.verify.lines import line


def _share(one, other):
    """e^one / (e^one + e^other)"""
    return jnp.exp(one) / (jnp.exp(one) + jnp.exp(other))


def _two() -> dict:
    """θ₁, θ₂ (3,), one example x and data X, y of classes 1 and 2, with the indicators 1₁(y), 1₂(y) and π₁, π₂."""
    rng = np.random.default_rng(93)
    X = rng.standard_normal((8, 3))
    second = np.array([0.0, 1, 1, 0, 1, 0, 0, 1])

    return {
        "theta1": rng.standard_normal(3), "theta2": rng.standard_normal(3), "X": X, "first": 1 - second,
        "second": second, "pi1": lambda X, theta1, theta2: _share(X @ theta1, X @ theta2),
        "pi2": lambda X, theta1, theta2: _share(X @ theta2, X @ theta1),
    }  # fmt: skip


def _many() -> dict:
    return data.classes() | {
        "pi": lambda theta, X: scores.probabilities(X @ theta),
        "Y": np.eye(data.CLASSES)[data.classes()["y"]],
    }


DERIVATIONS = (
    Derivation(
        "softmax_cost",
        "From the likelihood to the cost of softmax regression",
        "Course 9.2",
        (
            line(r"C = -\log \prod_i \prod_c \pi_{ic}^{1_c(y_i)}", lambda pi, Y: -jnp.log(jnp.prod(pi**Y))),
            line(r"= -\sum_i \sum_c 1_c(y_i) \log \pi_{ic}", lambda pi, Y: -jnp.sum(Y * jnp.log(pi))),
            line(r"= \mathrm{cost}(\theta, X, y)", softmax.cost),
        ),
        _many,
    ),
    Derivation(
        "log_first_probability",
        "The derivative of log π₁ by θ₂",
        "Course 9.3",
        (
            line(
                r"\log\pi_1 = \log \frac{e^{x\theta_1}}{e^{x\theta_1} + e^{x\theta_2}}",
                lambda X, theta1, theta2: jnp.log(jnp.exp(X @ theta1) / (jnp.exp(X @ theta1) + jnp.exp(X @ theta2))),
            ),
            line(
                r"= x\theta_1 - \log(e^{x\theta_1} + e^{x\theta_2})",
                lambda X, theta1, theta2: X @ theta1 - jnp.log(jnp.exp(X @ theta1) + jnp.exp(X @ theta2)),
            ),
            line(
                r"\frac{\partial}{\partial\theta_2} = -\frac{e^{x\theta_2}}{e^{x\theta_1} + e^{x\theta_2}}\, x",
                lambda X, theta1, theta2: (
                    -(jnp.exp(X @ theta2) / (jnp.exp(X @ theta1) + jnp.exp(X @ theta2)))[:, None] * X
                ),
                by="theta2",
            ),
            line(r"= -x\, \pi_2", lambda X, pi2: -X * pi2[:, None]),
        ),
        _two,
    ),
    Derivation(
        "log_second_probability",
        "The derivative of log π₂ by θ₂",
        "Course 9.3",
        (
            line(
                r"\log\pi_2 = x\theta_2 - \log(e^{x\theta_1} + e^{x\theta_2})",
                lambda X, theta1, theta2: X @ theta2 - jnp.log(jnp.exp(X @ theta1) + jnp.exp(X @ theta2)),
            ),
            line(
                r"\frac{\partial}{\partial\theta_2} = x - \frac{e^{x\theta_2}}{e^{x\theta_1} + e^{x\theta_2}}\, x",
                lambda X, theta1, theta2: (
                    X - (jnp.exp(X @ theta2) / (jnp.exp(X @ theta1) + jnp.exp(X @ theta2)))[:, None] * X
                ),
                by="theta2",
            ),
            line(r"= x\, (1 - \pi_2)", lambda X, pi2: X * (1 - pi2)[:, None]),
        ),
        _two,
    ),
    Derivation(
        "softmax_gradient_of_two_classes",
        "The gradient for two classes, which is that of logistic regression",
        "Course 9.3",
        (
            line(
                r"C = -\sum_i \left[ 1_1(y_i) \log\pi_{i1} + 1_2(y_i) \log\pi_{i2} \right]",
                lambda first, second, pi1, pi2: -jnp.sum(first * jnp.log(pi1) + second * jnp.log(pi2)),
            ),
            line(
                r"\frac{\partial C}{\partial\theta_2} = -\sum_i \left[ 1_1(y_i) (-x_i \pi_{i2})"
                r" + 1_2(y_i)\, x_i (1 - \pi_{i2}) \right]",
                lambda first, second, pi2, X: (
                    -jnp.sum(first[:, None] * (-X * pi2[:, None]) + second[:, None] * X * (1 - pi2)[:, None], axis=0)
                ),
                by="theta2",
            ),
            line(
                r"= -\sum_i \left[ (1 - y_i)(-x_i \pi_{i2}) + y_i x_i (1 - \pi_{i2}) \right],\quad y_i = 1_2(y_i)",
                lambda second, pi2, X: (
                    -jnp.sum(
                        (1 - second)[:, None] * (-X * pi2[:, None]) + second[:, None] * X * (1 - pi2)[:, None], axis=0
                    )
                ),
            ),
            line(r"= \sum_i x_i (\pi_{i2} - y_i)", lambda second, pi2, X: jnp.sum(X * (pi2 - second)[:, None], axis=0)),
            line(
                r"= \mathrm{logistic.gradient}(\theta_2 - \theta_1, X, y)",
                lambda theta1, theta2, X, second: logistic.gradient(theta2 - theta1, X, second),
            ),
            line(
                r"= \mathrm{softmax.gradient}([\theta_1\ \theta_2], X, y)_{\cdot 2}",
                lambda theta1, theta2, X, second: softmax.gradient(
                    jnp.stack([theta1, theta2], axis=1), X, second.astype(int)
                )[:, 1],
            ),
        ),
        _two,
        (
            Slip(
                14,
                2,
                line(
                    r"\frac{\partial C}{\partial\theta_2} = -\sum_i 1_1(y_i) (-x_i \pi_{i2})"
                    r" + 1_2(y_i)\, x_i (1 - \pi_{i2})",
                    lambda first, second, pi2, X: (
                        -jnp.sum(first[:, None] * (-X * pi2[:, None]), axis=0)
                        + jnp.sum(second[:, None] * X * (1 - pi2)[:, None], axis=0)
                    ),
                    by="theta2",
                ),
            ),
        ),
    ),
    Derivation(
        "softmax_gradient",
        "The gradient for K classes",
        "Course 9.3",
        (
            line(
                r"C = -\sum_i \sum_c 1_c(y_i) \left[ x_i\theta_c - \log \sum_k e^{x_i\theta_k} \right]",
                lambda theta, X, Y: -jnp.sum(Y * (X @ theta - jnp.log(jnp.sum(jnp.exp(X @ theta), axis=1))[:, None])),
            ),
            line(
                r"\frac{\partial C}{\partial\theta_c} = -\sum_i \left[ 1_c(y_i) - \pi_{ic} \right] x_i",
                lambda X, Y, pi: -jnp.sum(X[:, :, None] * (Y - pi)[:, None, :], axis=0),
                by="theta",
            ),
            line(r"= X^\top (\Pi - Y)", lambda X, Y, pi: X.T @ (pi - Y)),
            line(r"= \mathrm{gradient}(\theta, X, y)", softmax.gradient),
        ),
        _many,
    ),
    Derivation(
        "softmax_hessian",
        "The blocks of the Hessian",
        "Course 9.3",
        (
            line(
                r"\frac{\partial C}{\partial\theta_c} = \sum_i x_i (\pi_{ic} - 1_c(y_i))",
                lambda X, Y, pi: jnp.sum(X[:, :, None] * (pi - Y)[:, None, :], axis=0),
            ),
            line(
                r"\frac{\partial^2 C}{\partial\theta_k\, \partial\theta_l^\top}"
                r" = \sum_i \pi_{ik} (\delta_{kl} - \pi_{il})\, x_i x_i^\top",
                lambda X, pi: jnp.einsum("ik,ikl,ia,ib->akbl", pi, jnp.eye(pi.shape[1]) - pi[:, None, :], X, X),
                by="theta",
            ),
            line(r"= \mathrm{hessian}(\theta, X, y)", softmax.hessian),
        ),
        _many,
    ),
)
