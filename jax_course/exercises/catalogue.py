"""The exercises: costs of the course, and the derivative that is asked for.

Each cost is written out once more, plainly: the student is shown it, and the doctor compares the answer with it.
"""

import os
import runpy
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jax_course.exercises import solutions

ASKED = ("gradient", "hessian", "hessian_product")
BY_KEYWORD = ("penalty", "variance", "prior_variance")  # the doctor sets these to 0, or doubles them


class Exercise(NamedTuple):
    """A cost, the data it is tried on, and what is asked for: "gradient", "hessian" or "hessian_product".

    An argument of the cost called penalty, variance or prior_variance is told apart from the data by the doctor. An
    array of whole numbers holds indices.
    """

    title: str
    formula: str
    source: str  # "Course 6.1"
    asked: str
    shape: str  # of the answer, in words
    cost: Callable
    problem: Callable[[np.random.Generator], tuple]  # the parameters, and the other arguments of the cost
    hint: str = ""
    solution: Callable | None = None  # the derivative, a function whose source can be shown


def exercises_of(file: str | os.PathLike | None = None) -> dict[str, Exercise]:
    """The exercises of a teacher's file: each `Exercise` in it, under its name there; without one `EXERCISES`.

    Errors: ValueError for a file that cannot be run, defines none, or asks for none of `ASKED`.
    """
    if file is None:
        return EXERCISES
    try:
        defined = runpy.run_path(os.fspath(file), run_name="exercises")
    except Exception as error:
        raise ValueError(f"{file} must define exercises; it raised {type(error).__name__}: {error}") from error
    found = {name: value for name, value in defined.items() if isinstance(value, Exercise)}
    if not found:
        raise ValueError(f"{file} must define an Exercise, as in waves = Exercise(...); it defines none")
    for name, exercise in found.items():
        if exercise.asked not in ASKED:
            raise ValueError(f"{file}: {name} must ask for one of {', '.join(ASKED)}; it asks for {exercise.asked!r}")
    return found


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


def _cost_of_mean_squares(theta, X, y):
    return jnp.mean((y - X @ theta) ** 2)


def _cost_of_bell(x):
    return jnp.sum(jnp.exp(-(x**2) / 2) / jnp.sqrt(2 * jnp.pi))


def _cost_of_mean(mean, X, precision):
    r = X - mean
    return jnp.sum((r @ precision) * r) / 2


def _cost_of_posterior(theta, X, y, variance, prior_variance):
    return jnp.sum((y - X @ theta) ** 2) / (2 * variance) + jnp.sum(theta**2) / (2 * prior_variance)


def _cost_of_entropy(p):
    return -jnp.sum(p * jnp.log(p))


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


def _cost_of_residual_layer(W, X, Y):
    return jnp.sum((Y - X - jnp.tanh(X @ W)) ** 2)


def _cost_of_affine_layer(theta, X, Y):
    return jnp.sum((Y - X @ theta["W"] - theta["b"]) ** 2)


def _cost_of_relu_layer(W, X, Y):
    return jnp.sum((Y - jnp.maximum(0, X @ W)) ** 2)


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


def _square(rng):
    A = rng.standard_normal((3, 3))
    return A @ A.T + np.eye(3)


def _layer(rng, out=3):
    return rng.standard_normal((3, out)) / 2, _rows(rng), rng.standard_normal((12, out))


def _affine(rng):
    W, X, Y = _layer(rng, 2)
    return {"W": W, "b": rng.standard_normal(2)}, X, Y


def _penalised(problem, penalty=0.7):
    return lambda rng: (*problem(rng), penalty)


SQUARES, RIDGE = "J(θ) = Σ (y − xθ)²", "J(θ) = Σ (y − xθ)² + δ² θᵀθ, δ² the penalty"
LOGISTIC = "C(θ) = −Σ [y log π + (1 − y) log(1 − π)] + δ² θᵀθ, π = σ(xθ), δ² the penalty"
SOFTMAX = "C(θ) = −Σ log π_y, π_c = exp(xθ_c) / Σ_k exp(xθ_k)"

EXERCISES = {
    "squares": Exercise(
        "Least squares",
        SQUARES,
        "Course 3.2, 7.4",
        "gradient",
        "(d,), like theta",
        _cost_of_squares,
        _real,
        hint="J is Σ r² with r = y − Xθ: ∂J/∂θ_j = Σ 2r ∂r/∂θ_j, and ∂r/∂θ_j = −X_j. All j at once: a product with Xᵀ.",
        solution=solutions.squares,
    ),
    "squares_hessian": Exercise(
        "Least squares, twice",
        SQUARES,
        "Course 7.4",
        "hessian",
        "(d, d)",
        _cost_of_squares,
        _real,
        hint="Derive the gradient 2Xᵀ(Xθ − y) once more: it is linear in θ, so what multiplies θ is the Hessian.",
        solution=solutions.squares_hessian,
    ),
    "mean_squares": Exercise(
        "Least squares, averaged",
        "J(θ) = (1/m) Σ (y − xθ)²",
        "Course 3.3",
        "gradient",
        "(d,), like theta",
        _cost_of_mean_squares,
        _real,
        hint="As for the sum, and every example counts 1/m.",
        solution=solutions.mean_squares,
    ),
    "bell_curve": Exercise(
        "The bell curve",
        "f(x) = Σ exp(−x²/2)/√(2π)",
        "Course 4.1",
        "gradient",
        "(m,), like x: f′ of each",
        _cost_of_bell,
        lambda rng: (rng.standard_normal(7),),
        hint="(e^u)′ = e^u u′ with u = −x²/2.",
        solution=solutions.bell_curve,
    ),
    "gaussian_mean": Exercise(
        "The mean of a Gaussian",
        "J(μ) = ½ Σ (x − μ)ᵀ Σ⁻¹ (x − μ), Σ⁻¹ the precision, symmetric",
        "Course 4.2, 4.4",
        "gradient",
        "(d,), like mean",
        _cost_of_mean,
        lambda rng: (rng.standard_normal(3), _rows(rng), _square(rng)),
        hint="For a symmetric matrix ∂(rᵀΛr)/∂r = 2Λr, and r = x − μ falls as μ grows.",
        solution=solutions.gaussian_mean,
    ),
    "noise": Exercise(
        "The noise of maximum likelihood",
        "NLL(σ) = Σ [log σ + ½ log 2π + r²/(2σ²)]",
        "Course 5.2",
        "gradient",
        "a number",
        _cost_of_noise,
        lambda rng: (1.3, rng.standard_normal(9)),
        hint="Both terms are inside of the sum: log σ counts m times. (σ⁻²)′ = −2σ⁻³.",
        solution=solutions.noise,
    ),
    "posterior": Exercise(
        "Noise, and a Gaussian prior",
        "J(θ) = Σ (y − xθ)²/(2σ²) + θᵀθ/(2τ²), σ² the variance, τ² the prior_variance",
        "Course 5.3, 6.1",
        "gradient",
        "(d,), like theta",
        _cost_of_posterior,
        lambda rng: (*_real(rng), 0.6, 1.7),
        hint="Derive the two squares one by one; each keeps its own variance below.",
        solution=solutions.posterior,
    ),
    "coin": Exercise(
        "A coin",
        "NLL(p) = −h log p − (m − h) log(1 − p), h heads of m tosses",
        "Course 5.4",
        "gradient",
        "a number",
        _cost_of_coin,
        lambda rng: (0.3, 7.0, 12.0),
        hint="(log p)′ = 1/p, and (log(1 − p))′ = −1/(1 − p): minus twice is plus.",
        solution=solutions.coin,
    ),
    "entropy": Exercise(
        "The entropy",
        "H(p) = −Σ p log p, each p by itself",
        "Course 5.5",
        "gradient",
        "(K,), like p",
        _cost_of_entropy,
        lambda rng: (rng.uniform(0.1, 0.9, 5),),
        hint="The product rule: (p log p)′ = log p + p/p.",
        solution=solutions.entropy,
    ),
    "ridge": Exercise(
        "Ridge regression",
        RIDGE,
        "Course 6.1",
        "gradient",
        "(d,), like theta",
        _cost_of_ridge,
        _penalised(_real),
        hint="The gradient of Σ (y − xθ)², and beside it that of δ² Σ θ_j².",
        solution=solutions.ridge,
    ),
    "ridge_hessian": Exercise(
        "Ridge regression, twice",
        RIDGE,
        "Course 6.1",
        "hessian",
        "(d, d)",
        _cost_of_ridge,
        _penalised(_real),
        hint="The penalty's part is δ² Σ θ_j²: derived twice it stands on the diagonal only.",
        solution=solutions.ridge_hessian,
    ),
    "lasso": Exercise(
        "Lasso, where no parameter is 0",
        "J(θ) = Σ (y − xθ)² + penalty Σ |θ_j|",
        "Course 6.2",
        "gradient",
        "(d,), like theta",
        _cost_of_lasso,
        _penalised(_real),
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
        lambda rng: (*_real(rng), np.array([1, 4, 5, 9, 10])),
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
        lambda rng: (0.01, *_real(rng)),
        hint="Let g(θ) be the gradient of Σ (y − xθ)². Then ∂θ₁/∂η = −g(θ): the product of two gradients.",
        solution=solutions.learning_rate,
    ),
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
    ),
    "logistic": Exercise(
        "Logistic regression",
        LOGISTIC,
        "Course 8.5",
        "gradient",
        "(d,), like theta",
        _cost_of_logistic,
        _penalised(_binary),
        hint="∂C/∂z of one example is π − y: σ′ is cancelled by the logarithm's derivative. Then ∂z/∂θ = x.",
        solution=solutions.logistic,
    ),
    "logistic_hessian": Exercise(
        "Logistic regression, twice",
        LOGISTIC,
        "Course 8.6",
        "hessian",
        "(d, d)",
        _cost_of_logistic,
        _penalised(_binary),
        hint="Derive Xᵀ(π − y) + 2δ²θ once more: π′ = π(1 − π) weighs each example.",
        solution=solutions.logistic_hessian,
    ),
    "logistic_product": Exercise(
        "Logistic regression, its Hessian times v, without the matrix",
        LOGISTIC,
        "Course 8.6, 7.6",
        "hessian_product",
        "(d,), like theta",
        _cost_of_logistic,
        _penalised(_binary),
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
        _classes,
        hint="∂C/∂z_k of one example is π_k − [y = k]; π sums to 1 over the classes: axis 1, keepdims=True.",
        solution=solutions.softmax,
    ),
    "softmax_hessian": Exercise(
        "Softmax regression, twice",
        SOFTMAX,
        "Course 9.3",
        "hessian",
        "(d, K, d, K)",
        _cost_of_softmax,
        _classes,
        hint="∂π_k/∂z_l = π_k([k = l] − π_l) for each example; then x on both sides.",
        solution=solutions.softmax_hessian,
    ),
    "hidden_layer": Exercise(
        "A hidden layer",
        "C = Σ (y − tanh(xW + b) v)²",
        "Course 10.2, 11.2",
        "gradient",
        'a dictionary like theta: of "W", "b" and "v"',
        _cost_of_hidden_layer,
        _network,
        hint="Backwards: residual, then times v, then times 1 − h², which is δ. W gets Xᵀδ, b the sum of δ, v gets h.",
        solution=solutions.hidden_layer,
    ),
    "residual_layer": Exercise(
        "A residual layer",
        "C(W) = Σ (Y − X − tanh(XW))²",
        "Course 12.1",
        "gradient",
        "(d, d), like W",
        _cost_of_residual_layer,
        _layer,
        hint="X stands beside the layer and has no W in it: derive tanh(XW) alone, with the residual Y − X − tanh(XW).",
        solution=solutions.residual_layer,
    ),
    "affine_layer": Exercise(
        "An affine layer",
        "C = Σ (Y − XW − b)²",
        "Course 12.3",
        "gradient",
        'a dictionary like theta: of "W" and "b"',
        _cost_of_affine_layer,
        _affine,
        hint="δ = 2(XW + b − Y). b is added to every example: its gradient is the sum of δ over them.",
        solution=solutions.affine_layer,
    ),
    "relu_layer": Exercise(
        "A layer of ReLU, where no z is 0",
        "C(W) = Σ (Y − max(0, XW))²",
        "Course 12.4",
        "gradient",
        "(d, d), like W",
        _cost_of_relu_layer,
        _layer,
        hint="max(0, z)′ is 1 where z > 0, and 0 elsewhere: a mask on the residual.",
        solution=solutions.relu_layer,
    ),
}
