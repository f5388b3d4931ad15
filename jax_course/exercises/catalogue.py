"""What there is to derive: costs of the course, and the derivative that is asked for.

A cost is written out here once more, plainly: it is what the student is shown, and what the answer is held against.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Exercise(NamedTuple):
    """A cost, the data it is tried on, and what is asked for: "gradient", "hessian" or "hessian_product"."""

    title: str
    formula: str
    source: str  # "Course 6.1"
    asked: str
    shape: str  # of the answer, in words
    cost: Callable
    problem: Callable[[np.random.Generator], tuple]  # the parameters, and the other arguments of the cost


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


def _cost_of_noise(sigma, residual):
    return jnp.sum(jnp.log(sigma) + jnp.log(2 * jnp.pi) / 2 + residual**2 / (2 * sigma**2))


def _cost_of_coin(p, heads, tosses):
    return -heads * jnp.log(p) - (tosses - heads) * jnp.log(1 - p)


def _cost_of_sigmoids(z):
    return jnp.sum(1 / (1 + jnp.exp(-z)))


def _cost_of_logistic(theta, X, y, penalty):
    z = X @ theta
    return jnp.sum(jnp.logaddexp(0, z) - y * z) + penalty * jnp.sum(theta**2)


def _cost_of_softmax(theta, X, labels):
    Z = X @ theta
    own = Z[jnp.arange(len(labels)), labels]
    return jnp.sum(jnp.log(jnp.sum(jnp.exp(Z), axis=1)) - own)


def _cost_of_hidden_layer(theta, X, y):
    hidden = jnp.tanh(X @ theta["W"] + theta["b"])
    return jnp.sum((y - hidden @ theta["v"]) ** 2)


def _rows(rng, m=12, d=3):
    return rng.standard_normal((m, d)) * np.geomspace(0.5, 2, d)


def _real(rng):
    X = _rows(rng)
    return rng.standard_normal(3), X, rng.standard_normal(len(X))


def _binary(rng):
    X = _rows(rng)
    return rng.standard_normal(3), X, (rng.permutation(len(X)) % 2) * 1.0


def _classes(rng):
    X = _rows(rng)
    return rng.standard_normal((3, 4)), X, rng.permutation(len(X)) % 4


def _line(rng):
    return rng.standard_normal(2), rng.standard_normal(9), rng.standard_normal(9), 0.7


def _network(rng):
    theta = {"W": rng.standard_normal((3, 4)), "b": rng.standard_normal(4), "v": rng.standard_normal(4)}
    return theta, _rows(rng), rng.standard_normal(12)


def _penalised(problem, penalty=0.7):
    return lambda rng: (*problem(rng), penalty)


SQUARES, RIDGE = "J(θ) = Σ (y − xθ)²", "J(θ) = Σ (y − xθ)² + δ² θᵀθ, δ² the penalty"
LOGISTIC = "C(θ) = −Σ [y log π + (1 − y) log(1 − π)] + δ² θᵀθ, π = σ(xθ), δ² the penalty"
SOFTMAX = "C(θ) = −Σ log π_y, π_c = exp(xθ_c) / Σ_k exp(xθ_k)"

EXERCISES = {
    "squares": Exercise(
        "Least squares", SQUARES, "Course 3.2, 7.4", "gradient", "(d,), like theta", _cost_of_squares, _real
    ),
    "squares_hessian": Exercise(
        "Least squares, twice", SQUARES, "Course 7.4", "hessian", "(d, d)", _cost_of_squares, _real
    ),
    "free_bias": Exercise(
        "A line, its bias free",
        "J(θ₀, θ₁) = Σ (y − θ₀ − xθ₁)² + δ² θ₁²",
        "Course 7.4",
        "gradient",
        "(2,), like theta: by the bias and by the slope",
        _cost_of_line_with_free_bias,
        _line,
    ),
    "ridge": Exercise(
        "Ridge regression", RIDGE, "Course 6.1", "gradient", "(d,), like theta", _cost_of_ridge, _penalised(_real)
    ),
    "ridge_hessian": Exercise(
        "Ridge regression, twice", RIDGE, "Course 6.1", "hessian", "(d, d)", _cost_of_ridge, _penalised(_real)
    ),
    "lasso": Exercise(
        "Lasso, where no parameter is 0",
        "J(θ) = Σ (y − xθ)² + penalty Σ |θ_j|",
        "Course 6.2",
        "gradient",
        "(d,), like theta",
        _cost_of_lasso,
        _penalised(_real),
    ),
    "kernel_size": Exercise(
        "The size of RBF kernels",
        "J(λ) = Σ (y − Σ_n θ_n exp(−(x − μ_n)²/λ))², λ the scale",
        "Course 6.4, 6.5",
        "gradient",
        "a number",
        _cost_of_bumps,
        lambda rng: (1.3, np.array([-1.0, 0.0, 1.5]), rng.standard_normal(3), *rng.standard_normal((2, 9))),
    ),
    "noise": Exercise(
        "The noise of maximum likelihood",
        "NLL(σ) = Σ [log σ + ½ log 2π + r²/(2σ²)]",
        "Course 5.2",
        "gradient",
        "a number",
        _cost_of_noise,
        lambda rng: (1.3, rng.standard_normal(9)),
    ),
    "coin": Exercise(
        "A coin",
        "NLL(p) = −h log p − (m − h) log(1 − p), h heads of m tosses",
        "Course 5.4",
        "gradient",
        "a number",
        _cost_of_coin,
        lambda rng: (0.3, 7.0, 12.0),
    ),
    "sigmoid": Exercise(
        "The sigmoid",
        "f(z) = Σ 1/(1 + exp(−z))",
        "Course 8.2",
        "gradient",
        "(m,), like z: σ′ of each",
        _cost_of_sigmoids,
        lambda rng: (2 * rng.standard_normal(7),),
    ),
    "logistic": Exercise(
        "Logistic regression",
        LOGISTIC,
        "Course 8.5",
        "gradient",
        "(d,), like theta",
        _cost_of_logistic,
        _penalised(_binary),
    ),
    "logistic_hessian": Exercise(
        "Logistic regression, twice",
        LOGISTIC,
        "Course 8.6",
        "hessian",
        "(d, d)",
        _cost_of_logistic,
        _penalised(_binary),
    ),
    "logistic_product": Exercise(
        "Logistic regression, its Hessian times v, without the matrix",
        LOGISTIC,
        "Course 8.6, 7.6",
        "hessian_product",
        "(d,), like theta",
        _cost_of_logistic,
        _penalised(_binary),
    ),
    "softmax": Exercise(
        "Softmax regression", SOFTMAX, "Course 9.3", "gradient", "(d, K), like theta", _cost_of_softmax, _classes
    ),
    "softmax_hessian": Exercise(
        "Softmax regression, twice", SOFTMAX, "Course 9.3", "hessian", "(d, K, d, K)", _cost_of_softmax, _classes
    ),
    "hidden_layer": Exercise(
        "A hidden layer",
        "C = Σ (y − tanh(xW + b) v)²",
        "Course 10.2, 11.2",
        "gradient",
        'a dictionary like theta: of "W", "b" and "v"',
        _cost_of_hidden_layer,
        _network,
    ),
}
