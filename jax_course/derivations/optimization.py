r"""Course 7.3 to 7.8: the chain rule, the gradient in scalar and matrix form, Newton's step, and descent as a sum."""

import jax.numpy as jnp
import numpy as np

from jax_course.derivations import data
from jax_course.derivations.record import Derivation, Slip
from jax_course.regression import linear, ridge
from jax_course.verify.lines import line


def _one_feature() -> dict:
    rng = np.random.default_rng(74)
    return {
        "theta": rng.standard_normal(2), "x": rng.standard_normal(7), "y": rng.standard_normal(7), "penalty": 0.4,
    }  # fmt: skip


def _quadratic() -> dict:
    """f = log Σ e^(Bθ) near θ_k, with its gradient and Hessian there."""
    rng = np.random.default_rng(76)
    A = rng.standard_normal((3, 3))
    return {
        "theta": rng.standard_normal(3), "theta_k": rng.standard_normal(3), "f_k": 1.3, "g": rng.standard_normal(3),
        "A": A, "H": lambda A: A @ A.T + jnp.eye(3),
    }  # fmt: skip


def _residual(theta, x, y):
    return y - theta[0] - x * theta[1]


DERIVATIONS = (
    Derivation(
        "chain_rule",
        "The chain rule along two paths",
        "Course 7.3",
        (
            line(r"z = f(x, y) = x^2 \sin y,\quad x = uv,\ y = u + v^2", lambda x, y: x**2 * jnp.sin(y)),
            line(
                r"\frac{\partial z}{\partial u} = \frac{\partial z}{\partial x}\frac{\partial x}{\partial u}"
                r" + \frac{\partial z}{\partial y}\frac{\partial y}{\partial u}"
                r" = 2x \sin y \cdot v + x^2 \cos y \cdot 1",
                lambda x, y, v: 2 * x * jnp.sin(y) * v + x**2 * jnp.cos(y),
                by="u",
            ),
        ),
        lambda: {"u": 0.7, "v": 1.4, "x": lambda u, v: u * v, "y": lambda u, v: u + v**2},
    ),
    Derivation(
        "scalar_gradient",
        "The gradient of a line through points, in scalar form",
        "Course 7.4",
        (
            line(
                r"f = \sum_i (y_i - \theta_0 - x_i\theta_1)^2 + \delta^2 \theta_1^2",
                lambda theta, x, y, penalty: jnp.sum(_residual(theta, x, y) ** 2) + penalty * theta[1] ** 2,
            ),
            line(
                r"\nabla f = \left[ \sum_i 2 (y_i - \theta_0 - x_i\theta_1)(-1),\ "
                r"\sum_i 2 (y_i - \theta_0 - x_i\theta_1)(-x_i) + 2\delta^2 \theta_1 \right]",
                lambda theta, x, y, penalty: jnp.stack(
                    [
                        jnp.sum(2 * _residual(theta, x, y) * -1),
                        jnp.sum(2 * _residual(theta, x, y) * -x) + 2 * penalty * theta[1],
                    ]
                ),
                by="theta",
            ),
            line(
                r"= \left[ 2 \sum_i ((\theta_0 + x_i\theta_1) - y_i),\ "
                r"2 \sum_i ((\theta_0 + x_i\theta_1) - y_i)\, x_i + 2\delta^2 \theta_1 \right]",
                lambda theta, x, y, penalty: jnp.stack(
                    [
                        2 * jnp.sum((theta[0] + x * theta[1]) - y),
                        2 * jnp.sum(((theta[0] + x * theta[1]) - y) * x) + 2 * penalty * theta[1],
                    ]
                ),
            ),
            line(
                r"= \mathrm{gradient}(\theta, [1\ x], y, [0, \delta^2])",
                lambda theta, x, y, penalty: ridge.gradient(
                    theta,
                    jnp.stack([jnp.ones_like(x), x], axis=1),
                    y,
                    penalty=penalty * jnp.array([0.0, 1.0], x.dtype),
                ),
            ),
        ),
        _one_feature,
        (
            Slip(
                10,
                3,
                line(
                    r"= \left[ 2 \sum_i ((\theta_0 + x_i\theta_1) - y_i)(-1),\ "
                    r"2 \sum_i ((\theta_0 + x_i\theta_1) - y_i)\, x_i + 2\delta^2 \theta_1 \right]",
                    lambda theta, x, y, penalty: jnp.stack(
                        [
                            2 * jnp.sum(((theta[0] + x * theta[1]) - y) * -1),
                            2 * jnp.sum(((theta[0] + x * theta[1]) - y) * x) + 2 * penalty * theta[1],
                        ]
                    ),
                ),
            ),
        ),
    ),
    Derivation(
        "matrix_gradient",
        "The gradient and the Hessian of least squares, in matrix form",
        "Course 7.4",
        (
            line(r"f = (y - X\theta)^\top (y - X\theta)", lambda theta, X, y: (y - X @ theta) @ (y - X @ theta)),
            line(
                r"\nabla f = \frac{\partial}{\partial\theta}"
                r" (y^\top y - 2 y^\top X\theta + \theta^\top X^\top X\theta) = -2 X^\top y + 2 X^\top X\theta",
                lambda theta, X, y: -2 * X.T @ y + 2 * X.T @ X @ theta,
                by="theta",
            ),
            line(r"= 2 X^\top (X\theta - y)", linear.gradient),
            line(r"\nabla^2 f = 2 X^\top X", lambda X: 2 * X.T @ X, by="theta"),
            line(r"= \mathrm{hessian}(\theta, X, y)", linear.hessian),
        ),
        data.regression,
        (
            Slip(
                9,
                4,
                line(r"\nabla^2 f = 2 \sum_i x_i", lambda X: 2 * jnp.sum(X, axis=0), by="theta"),
            ),
        ),
    ),
    Derivation(
        "quadratic_model",
        "The gradient of the quadratic model",
        "Course 7.6",
        (
            line(
                r"f_q = f(\theta_k) + g^\top (\theta - \theta_k)"
                r" + \tfrac12 (\theta - \theta_k)^\top H (\theta - \theta_k)",
                lambda theta, theta_k, f_k, g, H: (
                    f_k + g @ (theta - theta_k) + (theta - theta_k) @ H @ (theta - theta_k) / 2
                ),
            ),
            line(
                r"\nabla f_q = g + H (\theta - \theta_k)",
                lambda theta, theta_k, g, H: g + H @ (theta - theta_k),
                by="theta",
            ),
            line(
                r"= H \left( \theta - (\theta_k - H^{-1} g) \right)",
                lambda theta, theta_k, g, H: H @ (theta - (theta_k - jnp.linalg.solve(H, g))),
            ),
        ),
        _quadratic,
    ),
    Derivation(
        "newton_on_least_squares",
        "Newton's method solves least squares in one step",
        "Course 7.6",
        (
            line(
                r"\theta_k - H^{-1} g = \theta_k - (2 X^\top X)^{-1} \left[ 2 X^\top (X\theta_k - y) \right]",
                lambda theta, X, y: theta - jnp.linalg.solve(2 * X.T @ X, 2 * X.T @ (X @ theta - y)),
            ),
            line(
                r"= \theta_k - (X^\top X)^{-1} X^\top X\theta_k + (X^\top X)^{-1} X^\top y",
                lambda theta, X, y: (
                    theta - jnp.linalg.solve(X.T @ X, X.T @ X @ theta) + jnp.linalg.solve(X.T @ X, X.T @ y)
                ),
            ),
            line(r"= (X^\top X)^{-1} X^\top y", lambda X, y: jnp.linalg.solve(X.T @ X, X.T @ y)),
            line(r"= \mathrm{fit}(X, y)", lambda X, y: linear.fit(X, y).theta),
        ),
        data.regression,
    ),
    Derivation(
        "descent_as_a_sum",
        "A step of gradient descent as a sum over the examples",
        "Course 7.8",
        (
            line(
                r"\theta_{k+1} = \theta_k - \eta \left[ 2 X^\top (X\theta_k - y) \right]",
                lambda theta, eta, X, y: theta - eta * linear.gradient(theta, X, y),
            ),
            line(
                r"= \theta_k + 2\eta X^\top (y - X\theta_k)",
                lambda theta, eta, X, y: theta + 2 * eta * X.T @ (y - X @ theta),
            ),
            line(
                r"= \theta_k + 2\eta \sum_i x_i (y_i - x_i\theta_k)",
                lambda theta, eta, X, y: theta + 2 * eta * jnp.sum(X * (y - X @ theta)[:, None], axis=0),
            ),
        ),
        lambda: data.regression() | {"eta": 0.03},
        (
            Slip(
                11,
                2,
                line(
                    r"= \theta_k + \eta X^\top (y - X\theta_k)",
                    lambda theta, eta, X, y: theta + eta * X.T @ (y - X @ theta),
                ),
            ),
        ),
    ),
)
