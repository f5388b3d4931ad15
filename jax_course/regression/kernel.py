r"""RBF kernel regression (course 6.4, 6.5).

    k(x, μ) = exp(−‖x − μ‖²/λ),  ŷ = Σ_j θ_j k(x, μ_j)               predict                6.4

On chosen centres this is linear or ridge regression on `features.rbf`; with one kernel on each training point, K = Kᵀ
positive definite for distinct points:

    J = ‖y − Kθ‖² + δ²θᵀKθ                                           cost                   6.4
    ∇J = 2K(Kθ − y + δ²θ)                                            gradient
    ∇²J = 2K(K + δ²I)                                                hessian
    θ = (K + δ²I)⁻¹y                                                 fit

The penalty θᵀKθ is the squared length of the function Σ θ_j k(·, x_j) in the space that k spans: with it the minimiser
solves a system with K, not K². The choice of λ, and how far predictions can be trusted: `regression.kernel_choice`.

λ is called `scale`, > 0, in squared units of x; the μ are the rows of `centers`. Shapes: X (m, d), y (m,), centers
(n, d), theta (n,), or (m,) with one kernel on each training point.

From `MANY` training points on by conjugate gradients, by Cholesky's factor where they would take many steps or there
are fewer points; beyond `LARGEST_EXACT` without K in memory. On centers the digits of the predictions count, not those
of θ: kernels that lie close to each other have nearly the same values, and θ hardly says which of them weighs how much.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course import boundary, checks, features
from jax_course.features import rbf_kernel
from jax_course.linalg import first_trusted, predictive_least_squares, product, rank_tolerance, spd_factor
from jax_course.linalg.lapack import eigh
from jax_course.optimization.solution import Method, Solution, Status
from jax_course.regression import linear
from jax_course.regression.kernel_blocks import (
    MOST_STEPS,
    TOLERANCE,
    kernel_product,
    solve_by_blocks,
    solve_by_conjugate_gradients,
)
from jax_course.regression.kernel_choice import (
    cost_scale_derivative,
    leave_one_out,
    predict_variance,
    scale_derivative,
)
from jax_course.typing import ArrayLike

LARGEST_EXACT = 10_000
MANY = 3_000  # points from which on conjugate gradients take less than Cholesky's factor
FEW_STEPS = 60  # which take as long as half a factor

__all__ = [
    "LARGEST_EXACT",
    "WithBias",
    "cost",
    "cost_scale_derivative",
    "fit",
    "fit_with_bias",
    "gradient",
    "hessian",
    "hessian_product",
    "leave_one_out",
    "predict",
    "predict_variance",
    "scale_derivative",
]


def __dir__() -> list[str]:
    return __all__


class WithBias(NamedTuple):
    """ŷ = `predict(weights, …)` + bias."""

    weights: Array
    bias: Array


def predict(theta: ArrayLike, X: ArrayLike, *, centers: ArrayLike, scale: ArrayLike) -> Array:
    """ŷ = Σ_j θ_j k(x, μ_j), shape (m,), in memory for one block of rows at a time. Course 6.4.

    >>> predict(jnp.array([5.0]), jnp.array([[3.0]]), centers=jnp.array([[3.0]]), scale=2.0)
    Array([5.], dtype=float64)
    """
    X = checks.design(X)
    centers = checks.more_rows(centers, X, "centers")
    return kernel_product(checks.per_center(theta, centers), X, centers, boundary.positive(scale, "scale", X))


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0) -> Array:
    """J(θ) = ‖y − Kθ‖² + δ²θᵀKθ, a scalar; one kernel on each row of X. Course 6.4.

    >>> cost(jnp.array([2.0]), jnp.zeros((1, 1)), jnp.array([5.0]), scale=1.0, penalty=0.5)
    Array(11., dtype=float64)
    """
    theta, K, y, delta2 = _problem(theta, X, y, scale, penalty)
    fitted = product(K, theta)
    return jnp.sum((y - fitted) ** 2) + delta2 * theta @ fitted


def gradient(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0) -> Array:
    """∇J = 2K(Kθ − y + δ²θ), shape (m,). Course 6.4.

    >>> gradient(jnp.array([2.0]), jnp.zeros((1, 1)), jnp.array([5.0]), scale=1.0, penalty=0.5)
    Array([-4.], dtype=float64)
    """
    theta, K, y, delta2 = _problem(theta, X, y, scale, penalty)
    return 2 * product(K, product(K, theta) - y + delta2 * theta)


def hessian(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0) -> Array:
    """∇²J = 2K(K + δ²I), shape (m, m). Course 6.4.

    >>> hessian(jnp.array([2.0]), jnp.zeros((1, 1)), jnp.array([5.0]), scale=1.0, penalty=0.5)
    Array([[3.]], dtype=float64)
    """
    theta, K, y, delta2 = _problem(theta, X, y, scale, penalty)
    return 2 * (product(K, K) + delta2 * K)


def hessian_product(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, v: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0
) -> Array:
    """∇²J v = 2K(Kv + δ²v), shape (m,). Course 6.4.

    >>> hessian_product(jnp.array([2.0]), jnp.zeros((1, 1)), jnp.array([5.0]), jnp.array([4.0]), scale=1.0, penalty=0.5)
    Array([12.], dtype=float64)
    """
    theta, K, y, delta2 = _problem(theta, X, y, scale, penalty)
    v = checks.direction(v, theta)
    return 2 * product(K, product(K, v) + delta2 * v)


def fit(
    X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0, centers: ArrayLike | None = None
) -> Solution:
    """θ on the given centers, ridge regression on `features.rbf`; or (K + δ²I)⁻¹y, one on each row of X. Course 6.4.

    Where K + δ²I is singular to rounding: the θ of least norm, RANK_DEFICIENT. Beyond `LARGEST_EXACT` rows: to a
    relative residual of 1e-10 in float64, 1e-5 in float32, or to what rounding leaves of the sums in Kθ.

    >>> fit(jnp.zeros((1, 1)), jnp.array([3.0]), scale=1.0, penalty=0.5).theta
    Array([2.], dtype=float64)
    """
    if centers is not None:
        Phi = boundary.training_design(features.rbf(X, centers=centers, scale=scale))
        return _fit_on_features(Phi, y, penalty)
    X, y, scale, delta2 = _training(X, y, scale, penalty)
    return _fit(X, y, scale, delta2) if len(X) <= LARGEST_EXACT else _fit_by_blocks(X, y, scale, delta2)


def fit_with_bias(X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike) -> Solution:
    """The weights of one kernel on each row of X and a bias that is not penalised, theta a `WithBias`. Course 6.4.

    >>> fit_with_bias(jnp.array([[0.0], [1.0]]), jnp.array([7.0, 7.0]), scale=1.0, penalty=0.5).theta.bias
    Array(7., dtype=float64)
    """
    return _fit_with_bias(*_training(X, y, scale, penalty))


def _fit_on_features(Phi: Array, y: ArrayLike, penalty: ArrayLike) -> Solution:
    y = boundary.finite(checks.targets(y, Phi), "y")
    delta2 = boundary.column_penalties(penalty, Phi)
    return linear.solution_of(predictive_least_squares(Phi, y, delta2))


def _fit(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    ways = [partial(_by_conjugate_gradients, X, y, scale, delta2)] if len(X) >= MANY else []
    return first_trusted(*ways, otherwise=lambda: _by_cholesky(X, y, scale, delta2))


@jax.jit
def _by_conjugate_gradients(X: Array, y: Array, scale: Array, delta2: Array) -> tuple[Solution, Array]:
    """As far as rounding allows, given up after FEW_STEPS; where δ² says that there is one solution."""
    K, enough = rbf_kernel(X, X, scale), 4 * float(jnp.finfo(X.dtype).eps)

    def solved():
        return solve_by_conjugate_gradients(partial(product, K), X, y, scale, delta2, enough, FEW_STEPS)

    unique = delta2 > _rounding(K)
    theta, steps = lax.cond(unique, solved, lambda: (jnp.zeros_like(y), jnp.zeros((), jnp.int32)))
    left = jnp.linalg.norm(y - product(K, theta) - delta2 * theta)
    sizes = jnp.linalg.norm(y) + jnp.linalg.norm(product(K, jnp.abs(theta)))
    trusted = unique & (steps < FEW_STEPS) & (left <= 4 * enough * sizes)
    return _solution(K, y, delta2, theta, Status.CONVERGED, Method.CONJUGATE_GRADIENTS)._replace(steps=steps), trusted


@jax.jit
def _by_cholesky(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    K = rbf_kernel(X, X, scale)
    A = K + delta2 * jnp.eye(len(X), dtype=X.dtype)
    factored = spd_factor(A)

    def once_more():
        theta = factored.solve(y)
        return theta + factored.solve(y - product(A, theta))

    def least_norm():
        eigenvalues, V = eigh(A)
        kept = eigenvalues > rank_tolerance(K) * eigenvalues[-1]
        return product(V, jnp.where(kept, product(V.T, y) / jnp.where(kept, eigenvalues, 1), 0))

    regular = factored.is_regular() | (delta2 > _rounding(K))
    status = jnp.where(regular, Status.CONVERGED, Status.RANK_DEFICIENT)
    return _solution(K, y, delta2, lax.cond(regular, once_more, least_norm), status, Method.CHOLESKY)


def _rounding(K: Array) -> Array:
    """More than rounding takes from an eigenvalue of K, none of which is below 0: a larger δ² makes K + δ²I regular."""
    return 16 * jnp.finfo(K.dtype).eps * jnp.max(jnp.sum(K, axis=1))


def _solution(K: Array, y: Array, delta2: Array, theta: Array, status: Array | int, method: Method) -> Solution:
    fitted = product(K, theta)
    J = jnp.sum((y - fitted) ** 2) + delta2 * theta @ fitted
    g = 2 * product(K, fitted - y + delta2 * theta)
    status = jnp.where(jnp.isfinite(J), status, Status.NOT_FINITE).astype(jnp.int32)
    return Solution(theta, J, jnp.linalg.norm(g), jnp.array(1), status, method=jnp.array(method, jnp.int32))


@jax.jit
def _fit_by_blocks(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    delta2 = jnp.maximum(delta2, len(X) * jnp.finfo(X.dtype).eps)  # less than rounding of K is none
    theta, steps = solve_by_blocks(X, y, scale, delta2)
    fitted, sizes = kernel_product(jnp.stack([theta, jnp.abs(theta)], axis=1), X, X, scale).T
    left = y - fitted - delta2 * theta
    J = jnp.sum((y - fitted) ** 2) + delta2 * theta @ fitted
    g = -2 * kernel_product(left, X, X, scale)
    rounding = jnp.finfo(y.dtype).eps * jnp.linalg.norm(sizes)  # of the sums in Kθ
    solved = jnp.linalg.norm(left) <= jnp.maximum(TOLERANCE[str(y.dtype)] * jnp.linalg.norm(y), rounding)
    status = jnp.where(steps < MOST_STEPS, Status.NO_DESCENT, Status.OUT_OF_STEPS)
    status = jnp.where(solved, Status.CONVERGED, status)
    status = jnp.where(jnp.isfinite(J), status, Status.NOT_FINITE).astype(jnp.int32)
    method = jnp.array(Method.CONJUGATE_GRADIENTS, jnp.int32)
    return Solution(theta, J, jnp.linalg.norm(g), steps, status, method=method)


@jax.jit
def _fit_with_bias(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    K, ones = rbf_kernel(X, X, scale), jnp.ones_like(y)
    factored = spd_factor(K + delta2 * jnp.eye(len(X), dtype=X.dtype))
    of_y, of_ones = factored.solve(y), factored.solve(ones)
    bias = ones @ of_y / (ones @ of_ones)
    weights = of_y - bias * of_ones
    fitted = product(K, weights)
    residual = y - fitted - bias
    J = jnp.sum(residual**2) + delta2 * weights @ fitted
    g = jnp.append(2 * product(K, delta2 * weights - residual), -2 * jnp.sum(residual))
    status = jnp.where(factored.is_regular() & jnp.isfinite(J), Status.CONVERGED, Status.NOT_FINITE).astype(jnp.int32)
    return Solution(WithBias(weights, bias), J, jnp.linalg.norm(g), jnp.array(1), status)


def _problem(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, scale: ArrayLike, penalty: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    X = checks.design(X)
    theta, y = checks.per_center(theta, X), checks.targets(y, X)
    return theta, rbf_kernel(X, X, boundary.positive(scale, "scale", X)), y, checks.one_penalty(penalty, X)


def _training(X: ArrayLike, y: ArrayLike, scale: ArrayLike, penalty: ArrayLike) -> tuple[Array, Array, Array, Array]:
    X = boundary.training_design(X)
    y = boundary.finite(checks.targets(y, X), "y")
    return X, y, boundary.positive(scale, "scale", X), boundary.nonnegative(checks.one_penalty(penalty, X))
