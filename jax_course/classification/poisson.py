r"""Poisson regression: counts whose mean is the exponential of a linear function (McCullagh & Nelder 1989, chapter 6).

    z = Xθ + offset,  μ = eᶻ                                        predict   6.2
    C = Σ (μ − y z) + Σ penalty θ²                                  cost      6.2
    g = Xᵀ(μ − y) + 2 penalty θ                                     gradient  2.5
    H = Xᵀ diag(μ) X + 2 diag(penalty)                              hessian   2.5

The probability of a count is e^(−μ) μ^y / y!, and C is −log of it without log y!, which theta does not change.

Shapes: theta (d,), X (m, d), y (m,), at least 0, not necessarily whole; `penalty`, the course's δ², is a scalar or
broadcasts against theta. `weights`, at least 0, a scalar or (m,): an example of weight w counts as w examples.
`offset`, a scalar or (m,), in units of log μ: the logarithm of the time, of the area or of the number of people that a
count is of.

The minimum is unique only where X has full column rank. It exists only where no direction v has xv ≤ 0 at the counts of
0, not everywhere 0, and xv = 0 at the others: along it the means of counts of 0 fall to 0. `fit` says which failed.
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
    """μ = exp(Xθ + offset), the mean count at each row, shape (m,). McCullagh & Nelder (1989) 6.2.

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
    """C = Σ (μ − y z) plus the penalty, a scalar, in nats. McCullagh & Nelder (1989) 6.2.

    >>> cost(jnp.array([1.0]), jnp.array([[0.0], [0.0]]), jnp.array([2.0, 5.0]))
    Array(2., dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    z = product(X, theta) + inputs.score_offset(offset, X)
    return jnp.sum(w * (jnp.exp(z) - y * z)) + jnp.sum(delta2 * theta**2)


def gradient(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """g = Xᵀ(μ − y) + 2 penalty θ, shape (d,). McCullagh & Nelder (1989) 2.5.

    >>> gradient(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([0.0, 3.0]))
    Array([-7.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    mu = predict(theta, X, offset=offset)
    return transpose_product(X, w * (mu - y)) + 2 * delta2 * theta


def hessian(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """H = Xᵀ diag(μ) X + 2 diag(penalty), shape (d, d), Fisher's information too. McCullagh & Nelder (1989) 2.5.

    >>> hessian(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([0.0, 3.0]))
    Array([[17.]], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    mu = predict(theta, X, offset=offset)
    return gram(X, weights=w * mu) + 2 * jnp.diag(delta2)


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
    """H v = Xᵀ(μ · Xv) + 2 penalty v, shape (d,). McCullagh & Nelder (1989) 2.5.

    >>> hessian_product(jnp.zeros(1), jnp.array([[1.0], [4.0]]), jnp.array([0.0, 3.0]), jnp.array([2.0]))
    Array([34.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    v, mu = inputs.direction(v, theta), predict(theta, X, offset=offset)
    return transpose_product(X, w * mu * product(X, v)) + 2 * delta2 * v


def fit(
    X: ArrayLike,
    y: ArrayLike,
    *,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
    max_steps: int = 100,
) -> Solution:
    """The minimiser of C from θ = 0, gradient at most 1e-10 of that at the start. McCullagh & Nelder (1989) 2.5.

    By damped Newton; many examples by L-BFGS with a curvature from some of them: `method` tells. Where counts of 0 are
    separated from the others, or all are 0 beside a column of ones: status SEPARABLE, theta no estimate. Where columns
    depend on each other: the minimiser of least norm, status RANK_DEFICIENT. ValueError: y is negative.

    >>> found = fit(jnp.ones((3, 1)), jnp.array([2.0, 0.0, 4.0])).check()
    >>> jnp.exp(found.theta).round(12)
    Array([2.], dtype=float64)
    """
    problem, offset = inputs.offset_problem(X, y, penalty=penalty, weights=weights, offset=offset)
    counts = problem._replace(y=inputs.nonnegative(problem.y, "y"))
    rates, rest = _rates(counts, offset)
    found = newton_fit.fit(LOSS, rates, inputs.whole(max_steps, "max_steps"), penalty)
    return found._replace(cost=found.cost + rest)


@jax.jit
def _rates(counts: inputs.Problem, offset: Array) -> tuple[inputs.Problem, Array]:
    """The problem without an offset, and by how much its cost is less: eᶻ⁺ᵒ − y (z + o) = eᵒ (eᶻ − y e⁻ᵒ z) − y o."""
    exposure = jnp.exp(offset)
    rates = counts._replace(y=counts.y / exposure, weights=counts.weights * exposure)
    return rates, -jnp.sum(counts.weights * counts.y * offset)


LOSS = regression_losses.poisson()
