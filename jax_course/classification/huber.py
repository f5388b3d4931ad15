r"""Huber's regression: least squares in which a large residual pulls with a force that is limited (Huber 1981, ch. 7).

    r = y − ŷ,  ŷ = Xθ + offset                                     predict   7.3
    C = Σ ρ(r) + Σ penalty θ²                                       cost      7.3
    ρ = ½r² where |r| ≤ δ,  δ|r| − ½δ² beyond
    g = −Xᵀψ + 2 penalty θ,  ψ = r where |r| ≤ δ,  ±δ beyond        gradient  7.3
    H = XᵀDX + 2 diag(penalty),  D = 1 where |r| ≤ δ,  0 beyond     hessian   7.8

C is convex and its gradient continuous; H jumps where a residual crosses δ. As δ grows, C becomes half the cost of
`linear`: mind the ½ beside a penalty.

Shapes: theta (d,), X (m, d), y (m,); `threshold`, δ, a positive scalar in units of y: 1.345 standard deviations of the
noise if 95 % of the efficiency of least squares shall be kept where the noise is normal. `penalty`, the course's δ², is
a scalar or broadcasts against theta. `weights`, at least 0, a scalar or (m,): an example of weight w counts as w
examples. `offset`, a scalar or (m,), in units of y, is added to Xθ.

C grows along every direction that changes a score, so that a minimum exists. It is unique where the examples with
|r| ≤ δ have full column rank at it; otherwise, as between the two middle values of an even number with a small δ, all
of a segment or more is minimal.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import inputs, regression_losses
from jax_course.classification import huber_newton
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, product, transpose_product
from jax_course.solution import Solution, Status, select_status

__all__ = ["cost", "fit", "gradient", "hessian", "hessian_product", "predict"]


def __dir__() -> list[str]:
    return __all__


def predict(theta: ArrayLike, X: ArrayLike, *, offset: ArrayLike = 0.0) -> Array:
    """ŷ = Xθ + offset, shape (m,). Huber (1981) 7.3.

    >>> predict(jnp.array([2.0]), jnp.array([[1.0], [4.0]]), offset=1)
    Array([3., 9.], dtype=float64)
    """
    theta, X = inputs.linear(theta, X)
    return product(X, theta) + inputs.score_offset(offset, X)


def cost(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    threshold: ArrayLike,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """C = Σ ρ(r) plus the penalty, a scalar, in units of y². Huber (1981) 7.3.

    >>> cost(jnp.array([1.0]), jnp.array([[1.0], [4.0]]), jnp.array([2.0, -6.0]), threshold=2)
    Array(18.5, dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    r, delta = y - predict(theta, X, offset=offset), inputs.positive(threshold, "threshold", like=X)
    psi = jnp.clip(r, -delta, delta)
    return jnp.sum(w * psi * (r - psi / 2)) + jnp.sum(delta2 * theta**2)


def gradient(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    threshold: ArrayLike,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """g = −Xᵀψ + 2 penalty θ, shape (d,). Huber (1981) 7.3.

    >>> gradient(jnp.array([1.0]), jnp.array([[1.0], [4.0]]), jnp.array([2.0, -6.0]), threshold=2)
    Array([7.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    r, delta = y - predict(theta, X, offset=offset), inputs.positive(threshold, "threshold", like=X)
    return -transpose_product(X, w * jnp.clip(r, -delta, delta)) + 2 * delta2 * theta


def hessian(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    threshold: ArrayLike,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """H = XᵀDX + 2 diag(penalty), shape (d, d); of the examples with |r| ≤ δ. Huber (1981) 7.8.

    >>> hessian(jnp.array([1.0]), jnp.array([[1.0], [4.0]]), jnp.array([2.0, -6.0]), threshold=2)
    Array([[1.]], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    r, delta = y - predict(theta, X, offset=offset), inputs.positive(threshold, "threshold", like=X)
    D = (jnp.abs(r) <= delta).astype(X.dtype)
    return gram(X, weights=w * D) + 2 * jnp.diag(delta2)


def hessian_product(
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    v: ArrayLike,
    *,
    threshold: ArrayLike,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> Array:
    """H v = XᵀD(Xv) + 2 penalty v, shape (d,). Huber (1981) 7.8.

    >>> theta, X, y = jnp.array([1.0]), jnp.array([[1.0], [4.0]]), jnp.array([2.0, -6.0])
    >>> hessian_product(theta, X, y, jnp.array([3.0]), threshold=2)
    Array([3.], dtype=float64)
    """
    theta, X, y, delta2, w = inputs.penalized_regression(theta, X, y, penalty, weights)
    v, delta = inputs.direction(v, theta), inputs.positive(threshold, "threshold", like=X)
    D = (jnp.abs(y - predict(theta, X, offset=offset)) <= delta).astype(X.dtype)
    return transpose_product(X, w * D * product(X, v)) + 2 * delta2 * v


def fit(
    X: ArrayLike,
    y: ArrayLike,
    *,
    threshold: ArrayLike,
    penalty: ArrayLike = 0.0,
    weights: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
    max_steps: int = 100,
) -> Solution:
    """The minimiser of C, gradient at most 1e-10 of that at θ = 0. Huber (1981) 7.8.

    By Newton's method, from least squares. Where columns depend on each other: a minimiser, of those with its
    predictions the one of least norm, status RANK_DEFICIENT. Where minimisers differ in their predictions: one of them,
    its derivatives NaN.

    >>> found = fit(jnp.ones((3, 1)), jnp.array([1.0, 2.0, 90.0]), threshold=4).check()
    >>> found.theta.round(12)
    Array([3.5], dtype=float64)
    """
    problem, offset = inputs.offset_problem(X, y, penalty=penalty, weights=weights, offset=offset)
    delta = inputs.positive(threshold, "threshold", like=problem.X)
    found = huber_newton.fit(LOSS, _scaled(problem, offset, delta), inputs.whole(max_steps, "max_steps"))
    return _in_units(found, delta)


@jax.jit
def _scaled(problem: inputs.Problem, offset: Array, delta: Array) -> inputs.Problem:
    """The problem in units of δ and without an offset; its cost is C/δ², its parameters are θ/δ."""
    return problem._replace(y=(problem.y - offset) / delta)


@jax.jit
def _in_units(found: Solution, delta: Array) -> Solution:
    theta, cost, norm = delta * found.theta, delta**2 * found.cost, delta * found.gradient_norm
    status = select_status([~jnp.isfinite(cost)], [Status.NOT_FINITE], found.status)
    return found._replace(theta=theta, cost=cost, gradient_norm=norm, status=status)


LOSS = regression_losses.huber()
