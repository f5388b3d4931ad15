r"""Gamma regression: positive numbers whose mean is the exponential of a linear function.

    z = Xθ + offset,  μ = eᶻ                                        predict   McCullagh & Nelder (1989) 8.3
    C = Σ (z + y/μ) + Σ penalty θ²                                  cost
    g = Xᵀ(1 − y/μ) + 2 penalty θ                                   gradient
    H = Xᵀ diag(y/μ) X + 2 diag(penalty)                            hessian

The standard deviation of a gamma variable of shape ν is μ/√ν: errors are a share of the mean. −log of its density is
ν (log μ + y/μ) and terms that theta does not change, so that theta does not depend on ν.

Shapes: theta (d,), X (m, d), y (m,), above 0; `penalty`, the course's δ², is a scalar or broadcasts against theta.
`weights`, at least 0, a scalar or (m,): an example of weight w counts as w examples. `offset`, a scalar or (m,), in
units of log μ: the logarithm of the amount that y is of.

C grows along every direction that changes a score: a minimum exists, and is unique where X has full column rank.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import inputs, regression_losses
from jax_course.classification import newton_fit
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, product, transpose_product
from jax_course.solution import Solution

__all__ = ["cost", "fit", "gradient", "hessian", "hessian_product", "predict"]


def __dir__() -> list[str]:
    return __all__


def predict(theta: ArrayLike, X: ArrayLike, *, offset: ArrayLike = 0.0) -> Array:
    """μ = exp(Xθ + offset), the mean of y at each row, shape (m,). McCullagh & Nelder (1989) 8.3.

    >>> predict(jnp.array([1.0]), jnp.array([[0.0]]), offset=jnp.log(5.0))
    Array([5.], dtype=float64)
    """
    theta, X = inputs.linear(theta, X)
    return jnp.exp(product(X, theta) + inputs.score_offset(offset, X))


def cost(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """C = Σ (z + y/μ) plus the penalty, a scalar. McCullagh & Nelder (1989) 8.3.

    >>> cost(jnp.array([1.0]), jnp.array([[0.0], [0.0]]), jnp.array([2.0, 5.0]))
    Array(7., dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    z = product(X, theta) + inputs.score_offset(offset, X)
    return jnp.sum(w * (z + y * jnp.exp(-z))) + jnp.sum(delta2 * theta**2)


def gradient(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """g = Xᵀ(1 − y/μ) + 2 penalty θ, shape (d,). McCullagh & Nelder (1989) 8.3.

    >>> gradient(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([1.0, 3.0]))
    Array([-8.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    mu = predict(theta, X, offset=offset)
    return transpose_product(X, w * (1 - y / mu)) + 2 * delta2 * theta


def hessian(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """H = Xᵀ diag(y/μ) X + 2 diag(penalty), shape (d, d). McCullagh & Nelder (1989) 8.3.

    >>> hessian(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([1.0, 3.0]))
    Array([[49.]], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    mu = predict(theta, X, offset=offset)
    return gram(X, weights=w * y / mu) + 2 * jnp.diag(delta2)


def hessian_product(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    v: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """H v = Xᵀ(y/μ · Xv) + 2 penalty v, shape (d,). McCullagh & Nelder (1989) 8.3.

    >>> hessian_product(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([1.0, 3.0]), jnp.array([2.0]))
    Array([98.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    v, mu = inputs.direction(v, theta), predict(theta, X, offset=offset)
    return transpose_product(X, w * y / mu * product(X, v)) + 2 * delta2 * v


def fit(
    X: ArrayLike,
    y: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
    max_steps: int = 100,
) -> Solution:
    """The minimiser of C from θ = 0, gradient at most 1e-10 of that at the start. McCullagh & Nelder (1989) 8.3.

    By damped Newton; many examples by L-BFGS with a curvature from some of them: `method` tells. Where columns depend
    on each other: the minimiser of least norm, status RANK_DEFICIENT. ValueError: y is not positive.

    >>> found = fit(jnp.ones((3, 1)), jnp.array([2.0, 1.0, 3.0])).check()
    >>> jnp.exp(found.theta).round(12)
    Array([2.], dtype=float64)
    """
    problem, offset = inputs.offset_problem(X, y, penalty=penalty, weights=weights, offset=offset)
    problem = problem._replace(y=inputs.all_positive(problem.y, "y"))
    shares, rest = _shares(problem, offset)
    found = newton_fit.fit(LOSS, shares, inputs.whole(max_steps, "max_steps"), penalty)
    return found._replace(cost=found.cost + rest)


@jax.jit
def _shares(problem: inputs.Problem, offset: Array) -> tuple[inputs.Problem, Array]:
    """The problem without an offset, and by how much its cost is less: z + o + y e⁻ᶻ⁻ᵒ = z + (y e⁻ᵒ) e⁻ᶻ + o."""
    shares = problem._replace(y=problem.y * jnp.exp(-offset))
    return shares, jnp.sum(jnp.broadcast_to(problem.weights * offset, problem.y.shape))


LOSS = regression_losses.gamma()
