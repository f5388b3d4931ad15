"""The sigmoid, logistic and softmax regression: chapters 8 and 9 of the course."""

import jax.numpy as jnp

from jax_course.exercises import solutions
from jax_course.exercises.catalogue import problems
from jax_course.exercises.catalogue.exercise import Exercise

LOGISTIC = "C(θ) = −Σ [y log π + (1 − y) log(1 − π)] + δ² θᵀθ, π = σ(xθ), δ² the penalty"
SOFTMAX = "C(θ) = −Σ log π_y, π_c = exp(xθ_c) / Σ_k exp(xθ_k)"


def _cost_of_sigmoids(z):
    return jnp.sum(1 / (1 + jnp.exp(-z)))


def _cost_of_logistic(theta, X, y, penalty):
    z = X @ theta
    return jnp.sum(jnp.logaddexp(0, z) - y * z) + penalty * jnp.sum(theta**2)


def _cost_of_softmax(theta, X, labels):
    Z = X @ theta
    own = Z[jnp.arange(len(labels)), labels]
    return jnp.sum(jnp.log(jnp.sum(jnp.exp(Z), axis=1)) - own)


EXERCISES = {
    "sigmoid": Exercise(
        "The sigmoid",
        "f(z) = Σ 1/(1 + exp(−z))",
        "Course 8.2",
        "gradient",
        "(m,), like z: σ′ of each",
        _cost_of_sigmoids,
        lambda rng: (2 * rng.standard_normal(7),),
        hint="((1 + e⁻ᶻ)⁻¹)′ = e⁻ᶻ/(1 + e⁻ᶻ)², the square below. Written with σ itself it is σ(1 − σ).",
        solution=solutions.sigmoid,
        derivation="sigmoid_derivative",
    ),
    "logistic": Exercise(
        "Logistic regression",
        LOGISTIC,
        "Course 8.5",
        "gradient",
        "(d,), like theta",
        _cost_of_logistic,
        problems.penalized(problems.labels),
        hint="∂C/∂z of one example is π − y: σ′ is cancelled by the logarithm's derivative. Then ∂z/∂θ = x.",
        solution=solutions.logistic,
        derivation="logistic_gradient",
    ),
    "logistic_hessian": Exercise(
        "Logistic regression, twice",
        LOGISTIC,
        "Course 8.6",
        "hessian",
        "(d, d)",
        _cost_of_logistic,
        problems.penalized(problems.labels),
        hint="Derive Xᵀ(π − y) + 2δ²θ once more: π′ = π(1 − π) weighs each example.",
        solution=solutions.logistic_hessian,
        derivation="logistic_hessian",
    ),
    "logistic_product": Exercise(
        "Logistic regression, its Hessian times v, without the matrix",
        LOGISTIC,
        "Course 8.6, 7.6",
        "hessian_product",
        "(d,), like theta",
        _cost_of_logistic,
        problems.penalized(problems.labels),
        hint="From the right: Xv is one number for each example, weigh it with π(1 − π), and multiply with Xᵀ.",
        solution=solutions.logistic_product,
    ),
    "softmax": Exercise(
        "Softmax regression",
        SOFTMAX,
        "Course 9.3",
        "gradient",
        "(d, K), like theta",
        _cost_of_softmax,
        problems.class_numbers,
        hint="∂C/∂z_k of one example is π_k − [y = k]; π sums to 1 over the classes: axis 1, keepdims=True.",
        solution=solutions.softmax,
        derivation="softmax_gradient",
    ),
    "softmax_hessian": Exercise(
        "Softmax regression, twice",
        SOFTMAX,
        "Course 9.3",
        "hessian",
        "(d, K, d, K)",
        _cost_of_softmax,
        problems.class_numbers,
        hint="∂π_k/∂z_l = π_k([k = l] − π_l) for each example; then x on both sides.",
        solution=solutions.softmax_hessian,
        derivation="softmax_hessian",
    ),
}
