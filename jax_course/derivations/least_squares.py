r"""Course 3.3: from the cost of least squares to its minimum."""

import jax.numpy as jnp
import numpy as np

from jax_course.derivations import data
from jax_course.derivations.record import Derivation, Slip
from jax_course.regression import linear
from jax_course.verify.lines import line


def _matrix() -> dict:
    rng = np.random.default_rng(2)
    return {"theta": rng.standard_normal(3), "A": rng.standard_normal((3, 3))}


DERIVATIONS = (
    Derivation(
        "least_squares_gradient",
        "The gradient of least squares",
        "Course 3.3",
        (
            line(r"J = (y - X\theta)^\top (y - X\theta)", lambda theta, X, y: (y - X @ theta) @ (y - X @ theta)),
            line(
                r"= y^\top y - 2 y^\top X\theta + \theta^\top X^\top X\theta",
                lambda theta, X, y: y @ y - 2 * y @ X @ theta + theta @ X.T @ X @ theta,
            ),
            line(
                r"\frac{\partial J}{\partial\theta} = -2 X^\top y + 2 X^\top X\theta",
                lambda theta, X, y: -2 * X.T @ y + 2 * X.T @ X @ theta,
                by="theta",
            ),
            line(r"= 2 X^\top (X\theta - y)", linear.gradient),
        ),
        data.regression,
    ),
    Derivation(
        "least_squares_solution",
        "The normal equations and their solution",
        "Course 3.3",
        (
            line(r"X^\top X \hat\theta", lambda X, minimiser: X.T @ X @ minimiser),
            line(r"= X^\top y", lambda X, y: X.T @ y),
        ),
        lambda: data.regression() | {"minimiser": lambda X, y: linear.fit(X, y).theta},
    ),
    Derivation(
        "least_squares_minimiser",
        "The solution in closed form",
        "Course 3.3",
        (
            line(r"\hat\theta = (X^\top X)^{-1} X^\top y", lambda X, y: jnp.linalg.solve(X.T @ X, X.T @ y)),
            line(r"= \mathrm{fit}(X, y)", lambda X, y: linear.fit(X, y).theta),
        ),
        data.regression,
    ),
    Derivation(
        "quadratic_form",
        "The derivative of a quadratic form",
        "Course 3.3",
        (
            line(r"\theta^\top A\theta", lambda theta, A: theta @ A @ theta),
            line(
                r"\frac{\partial\,\theta^\top A\theta}{\partial\theta} = (A + A^\top)\theta",
                lambda theta, A: (A + A.T) @ theta,
                by="theta",
            ),
        ),
        _matrix,
        (
            Slip(
                2,
                2,
                line(
                    r"\frac{\partial\,\theta^\top A\theta}{\partial\theta} = 2A^\top\theta",
                    lambda theta, A: 2 * A.T @ theta,
                    by="theta",
                ),
            ),
        ),
    ),
)
