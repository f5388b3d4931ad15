r"""Course 6.1 and 6.4: ridge regression, its constrained form, and kernels on the training points."""

import jax.numpy as jnp
import numpy as np

from jax_course import features
from jax_course.derivations import data
from jax_course.derivations.record import Derivation
from jax_course.regression import kernel, ridge
from jax_course.verify.lines import line


def _with_penalty() -> dict:
    return data.regression() | {"penalty": 0.3}


def _with_minimiser() -> dict:
    return _with_penalty() | {"minimiser": lambda X, y, penalty: ridge.fit(X, y, penalty=penalty).theta}


def _kernels() -> dict:
    rng = np.random.default_rng(64)
    return {
        "X": rng.standard_normal((6, 1)), "y": rng.standard_normal(6), "scale": 0.9, "penalty": 0.3,
        "Phi": lambda X, scale: features.rbf(X, centers=X, scale=scale),
    }  # fmt: skip


def _cost(theta, X, y, penalty):
    return (y - X @ theta) @ (y - X @ theta) + penalty * theta @ theta


COST = line(r"J = (y - X\theta)^\top (y - X\theta) + \delta^2 \theta^\top \theta", _cost)

DERIVATIONS = (
    Derivation(
        "ridge_gradient",
        "The gradient and the Hessian of ridge regression",
        "Course 6.1",
        (
            COST,
            line(
                r"= \theta^\top X^\top X\theta - 2 y^\top X\theta + y^\top y + \delta^2 \theta^\top \theta",
                lambda theta, X, y, penalty: (
                    theta @ X.T @ X @ theta - 2 * y @ X @ theta + y @ y + penalty * theta @ theta
                ),
            ),
            line(
                r"\frac{\partial J}{\partial\theta} = 2 X^\top X\theta - 2 X^\top y + 2\delta^2 \theta",
                lambda theta, X, y, penalty: 2 * X.T @ X @ theta - 2 * X.T @ y + 2 * penalty * theta,
                by="theta",
            ),
            line(
                r"= 2 (X^\top X + \delta^2 I)\,\theta - 2 X^\top y",
                lambda theta, X, y, penalty: 2 * (X.T @ X + penalty * jnp.eye(len(theta))) @ theta - 2 * X.T @ y,
            ),
            line(r"= \mathrm{gradient}(\theta, X, y, \delta^2)", ridge.gradient),
            line(
                r"\frac{\partial^2 J}{\partial\theta\,\partial\theta^\top} = 2 (X^\top X + \delta^2 I)",
                ridge.hessian,
                by="theta",
            ),
        ),
        _with_penalty,
    ),
    Derivation(
        "ridge_solution",
        "The solution of ridge regression",
        "Course 6.1",
        (
            line(
                r"\hat\theta = (X^\top X + \delta^2 I)^{-1} X^\top y",
                lambda X, y, penalty: jnp.linalg.solve(X.T @ X + penalty * jnp.eye(X.shape[1]), X.T @ y),
            ),
            line(r"= \mathrm{fit}(X, y, \delta^2)", lambda X, y, penalty: ridge.fit(X, y, penalty=penalty).theta),
        ),
        _with_penalty,
    ),
    Derivation(
        "ridge_constrained",
        "Ridge regression as a minimum on a ball",
        "Course 6.1",
        (
            line(
                r"-\nabla_\theta (y - X\theta)^\top (y - X\theta) = 2 X^\top (y - X\hat\theta)",
                lambda minimiser, X, y: 2 * X.T @ (y - X @ minimiser),
            ),
            line(
                r"= \delta^2\, \nabla_\theta (\theta^\top \theta - t) = 2\delta^2 \hat\theta",
                lambda minimiser, penalty: 2 * penalty * minimiser,
            ),
        ),
        _with_minimiser,
    ),
    Derivation(
        "kernel_ridge_solution",
        "Ridge regression on kernels",
        "Course 6.4",
        (
            line(
                r"\hat\theta = (\Phi^\top \Phi + \delta^2 I)^{-1} \Phi^\top y",
                lambda Phi, y, penalty: jnp.linalg.solve(Phi.T @ Phi + penalty * jnp.eye(len(y)), Phi.T @ y),
            ),
            line(
                r"= \Phi^\top (\Phi\Phi^\top + \delta^2 I)^{-1} y",
                lambda Phi, y, penalty: Phi.T @ jnp.linalg.solve(Phi @ Phi.T + penalty * jnp.eye(len(y)), y),
            ),
            line(
                r"= \mathrm{fit\_on\_centers}(X, y, X, \lambda, \delta^2)",
                lambda X, y, scale, penalty: kernel.fit_on_centers(X, y, centers=X, scale=scale, penalty=penalty).theta,
            ),
        ),
        _kernels,
    ),
    Derivation(
        "kernel_gradient",
        "The gradient with a kernel on each training point",
        "Course 6.4",
        (
            line(
                r"J = (y - K\theta)^\top (y - K\theta) + \delta^2 \theta^\top K\theta,\quad K = K^\top",
                lambda theta, Phi, y, penalty: (y - Phi @ theta) @ (y - Phi @ theta) + penalty * theta @ Phi @ theta,
            ),
            line(
                r"\frac{\partial J}{\partial\theta} = -2 K (y - K\theta) + 2\delta^2 K\theta",
                lambda theta, Phi, y, penalty: -2 * Phi @ (y - Phi @ theta) + 2 * penalty * Phi @ theta,
                by="theta",
            ),
            line(
                r"= 2 K \left[ (K + \delta^2 I)\,\theta - y \right]",
                lambda theta, Phi, y, penalty: 2 * Phi @ (Phi @ theta + penalty * theta - y),
            ),
            line(r"= \mathrm{gradient}(\theta, X, y, \lambda, \delta^2)", kernel.gradient),
        ),
        lambda: _kernels() | {"theta": np.random.default_rng(65).standard_normal(6)},
    ),
)
