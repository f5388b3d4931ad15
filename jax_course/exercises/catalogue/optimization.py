"""The chain rule, quadratic forms, Newton's method and mini-batches: chapter 7 of the course."""

import jax.numpy as jnp
import numpy as np

from jax_course.exercises import solutions
from jax_course.exercises.catalogue import problems
from jax_course.exercises.catalogue.exercise import Exercise


def _cost_of_chain(x, A):
    return jnp.sum(jnp.tanh(A @ x) ** 2)


def _cost_of_quadratic(theta, A, b):
    return theta @ A @ theta / 2 - b @ theta


def _cost_of_rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def _cost_of_batch(theta, X, y, chosen):
    return jnp.mean((y[chosen] - X[chosen] @ theta) ** 2)


def _cost_after_a_step(eta, theta, X, y):
    moved = theta - eta * 2 * X.T @ (X @ theta - y)
    return jnp.sum((y - X @ moved) ** 2)


EXERCISES = {
    "chain": Exercise(
        "The chain rule",
        "f(x) = Σ_n tanh²(a_n x), a_n the rows of A",
        "Course 7.3",
        "gradient",
        "(d,), like x",
        _cost_of_chain,
        lambda rng: (rng.standard_normal(3), rng.standard_normal((5, 3))),
        hint="From the outside in: (t²)′ = 2t, tanh′ = 1 − t², and Ax has the derivative A: to the left, as Aᵀ.",
        solution=solutions.chain,
    ),
    "quadratic": Exercise(
        "A quadratic form, its matrix not symmetric",
        "J(θ) = ½ θᵀAθ − bᵀθ",
        "Course 7.5",
        "gradient",
        "(d,), like theta",
        _cost_of_quadratic,
        lambda rng: (rng.standard_normal(3), rng.standard_normal((3, 3)), rng.standard_normal(3)),
        hint="θ_k stands twice in Σ θ_i A_ij θ_j: once on the left, once on the right of A.",
        solution=solutions.quadratic,
        derivation="quadratic_form",
    ),
    "rosenbrock_hessian": Exercise(
        "Rosenbrock's valley, for Newton's method",
        "f(x) = (1 − x₀)² + 100 (x₁ − x₀²)²",
        "Course 7.6",
        "hessian",
        "(2, 2)",
        _cost_of_rosenbrock,
        lambda rng: (rng.standard_normal(2),),
        hint="First ∂f/∂x₀ = −2(1 − x₀) − 400 x₀(x₁ − x₀²) and ∂f/∂x₁ = 200(x₁ − x₀²); derive each by both.",
        solution=solutions.rosenbrock_hessian,
    ),
    "batch": Exercise(
        "The cost of a mini-batch",
        "J(θ) = (1/n) Σ_{i in chosen} (y_i − x_iθ)², n numbers in chosen",
        "Course 7.7",
        "gradient",
        "(d,), like theta",
        _cost_of_batch,
        lambda rng: (*problems.targets(rng), np.array([1, 4, 5, 9, 10])),
        hint="Take the rows of the batch first; then it is least squares, averaged over these n examples.",
        solution=solutions.batch,
    ),
    "learning_rate": Exercise(
        "The cost after one step, by the learning rate",
        "J(η) = Σ (y − xθ₁)², θ₁ = θ − η 2Xᵀ(Xθ − y)",
        "Course 7.5, 7.8",
        "gradient",
        "a number",
        _cost_after_a_step,
        lambda rng: (0.01, *problems.targets(rng)),
        hint="Let g(θ) be the gradient of Σ (y − xθ)². Then ∂θ₁/∂η = −g(θ): the product of two gradients.",
        solution=solutions.learning_rate,
    ),
}
