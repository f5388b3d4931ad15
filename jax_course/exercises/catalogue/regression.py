"""Least squares, ridge regression, the lasso and RBF kernels: chapters 3, 6 and 7.4 of the course."""

import jax.numpy as jnp
import numpy as np

from jax_course.exercises import solutions
from jax_course.exercises.catalogue import problems
from jax_course.exercises.catalogue.exercise import Exercise

SQUARES = "J(θ) = Σ (y − xθ)²"
RIDGE = "J(θ) = Σ (y − xθ)² + δ² θᵀθ, δ² the penalty"


def _cost_of_squares(theta, X, y):
    return jnp.sum((y - X @ theta) ** 2)


def _cost_of_ridge(theta, X, y, penalty):
    return jnp.sum((y - X @ theta) ** 2) + penalty * jnp.sum(theta**2)


def _cost_of_line_with_free_bias(theta, x, y, penalty):
    bias, slope = theta
    return jnp.sum((y - bias - slope * x) ** 2) + penalty * slope**2


def _cost_of_lasso(theta, X, y, penalty):
    return jnp.sum((y - X @ theta) ** 2) + penalty * jnp.sum(jnp.abs(theta))


def _cost_of_bumps(scale, centers, theta, x, y):
    Phi = jnp.exp(-((x[:, None] - centers[None, :]) ** 2) / scale)
    return jnp.sum((y - Phi @ theta) ** 2)


def _cost_of_mean_squares(theta, X, y):
    return jnp.mean((y - X @ theta) ** 2)


def _line(rng):
    return rng.standard_normal(2), rng.standard_normal(9), rng.standard_normal(9), 0.7


EXERCISES = {
    "squares": Exercise(
        "Least squares",
        SQUARES,
        "Course 3.2, 7.4",
        "gradient",
        "(d,), like theta",
        _cost_of_squares,
        problems.targets,
        hint="J is Σ r² with r = y − Xθ: ∂J/∂θ_j = Σ 2r ∂r/∂θ_j, and ∂r/∂θ_j = −X_j. All j at once: a product with Xᵀ.",
        solution=solutions.squares,
        derivation="least_squares_gradient",
    ),
    "squares_hessian": Exercise(
        "Least squares, twice",
        SQUARES,
        "Course 7.4",
        "hessian",
        "(d, d)",
        _cost_of_squares,
        problems.targets,
        hint="Derive the gradient 2Xᵀ(Xθ − y) once more: it is linear in θ, so what multiplies θ is the Hessian.",
        solution=solutions.squares_hessian,
        derivation="matrix_gradient",
    ),
    "mean_squares": Exercise(
        "Least squares, averaged",
        "J(θ) = (1/m) Σ (y − xθ)²",
        "Course 3.3",
        "gradient",
        "(d,), like theta",
        _cost_of_mean_squares,
        problems.targets,
        hint="As for the sum, and every example counts 1/m.",
        solution=solutions.mean_squares,
    ),
    "ridge": Exercise(
        "Ridge regression",
        RIDGE,
        "Course 6.1",
        "gradient",
        "(d,), like theta",
        _cost_of_ridge,
        problems.penalized(problems.targets),
        hint="The gradient of Σ (y − xθ)², and beside it that of δ² Σ θ_j².",
        solution=solutions.ridge,
        derivation="ridge_gradient",
    ),
    "ridge_hessian": Exercise(
        "Ridge regression, twice",
        RIDGE,
        "Course 6.1",
        "hessian",
        "(d, d)",
        _cost_of_ridge,
        problems.penalized(problems.targets),
        hint="The penalty's part is δ² Σ θ_j²: derived twice it stands on the diagonal only.",
        solution=solutions.ridge_hessian,
        derivation="ridge_gradient",
    ),
    "free_bias": Exercise(
        "A line, its bias free",
        "J(θ₀, θ₁) = Σ (y − θ₀ − xθ₁)² + δ² θ₁²",
        "Course 7.4",
        "gradient",
        "(2,), like theta: by the bias and by the slope",
        _cost_of_line_with_free_bias,
        _line,
        hint="Derive by θ₀ and by θ₁ one after the other; only θ₁ is in the penalty.",
        solution=solutions.free_bias,
        derivation="scalar_gradient",
    ),
    "lasso": Exercise(
        "Lasso, where no parameter is 0",
        "J(θ) = Σ (y − xθ)² + penalty Σ |θ_j|",
        "Course 6.2",
        "gradient",
        "(d,), like theta",
        _cost_of_lasso,
        problems.penalized(problems.targets),
        hint="|θ|′ is 1 for θ > 0 and −1 for θ < 0: its sign.",
        solution=solutions.lasso,
    ),
    "kernel_size": Exercise(
        "The size of RBF kernels",
        "J(λ) = Σ (y − Σ_n θ_n exp(−(x − μ_n)²/λ))², λ the scale",
        "Course 6.4, 6.5",
        "gradient",
        "a number",
        _cost_of_bumps,
        lambda rng: (1.3, np.array([-1.0, 0.0, 1.5]), rng.standard_normal(3), *rng.standard_normal((2, 9))),
        hint="∂/∂λ of −(x − μ)²/λ is +(x − μ)²/λ². Residual times the slope of the prediction, summed, times −2.",
        solution=solutions.kernel_size,
    ),
}
