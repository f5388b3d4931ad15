r"""RBF kernel regression (course 6.4, 6.5).

    k(x, μ) = exp(−‖x − μ‖²/λ),  ŷ = Σ_j θ_j k(x, μ_j)               predict                6.4

On chosen centres this is linear or ridge regression on `features.rbf`; with one kernel on each training point, K = Kᵀ
positive definite for distinct points:

    J = ‖y − Kθ‖² + δ²θᵀKθ                                           cost                   6.4
    ∇J = 2K(Kθ − y + δ²θ)                                            gradient
    ∇²J = 2K(K + δ²I)                                                hessian
    θ = (K + δ²I)⁻¹y                                                 fit
    y_i − ŷ_i without example i = θ_i / [(K + δ²I)⁻¹]_ii             leave_one_out          6.5
    1 − kᵀ(K + δ²I)⁻¹k                                               predict_variance
    K' = ∂K/∂λ = K ∘ D/λ²,  D_ij = ‖x_i − x_j‖²
    ∂θ/∂λ = −(K + δ²I)⁻¹K'θ                                          scale_derivative
    dJ/dλ = −δ²θᵀK'θ at the fit                                      cost_scale_derivative

The penalty θᵀKθ is the squared length of the function Σ θ_j k(·, x_j) in the space that k spans: with it the minimiser
solves a system with K, not K². At the minimum ∂J/∂θ = 0, so that dJ/dλ is ∂J/∂λ with θ held fixed, and y − Kθ = δ²θ.

λ is called `scale`, > 0, in squared units of x; the μ are the rows of `centers`. Shapes: X (m, d), y (m,), centers
(n, d), theta (n,), or (m,) with one kernel on each training point.

Up to `LARGEST_EXACT` training points by Cholesky's factor; beyond by conjugate gradients, without K in memory.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course import arrays, checks, features
from jax_course.linalg import product, spd_factor, squared_distances
from jax_course.optimization.solution import Solution, Status
from jax_course.regression import ridge
from jax_course.regression.kernel_blocks import TOLERANCE, kernel, kernel_product, solve_by_conjugate_gradients
from jax_course.typing import ArrayLike

LARGEST_EXACT = 10_000

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
    return kernel_product(_weights(theta, centers), X, centers, checks.positive(scale, "scale", X))


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
    """θ on the given centers, by `ridge.fit` on `features.rbf`; or (K + δ²I)⁻¹y, one on each row of X. Course 6.4.

    Where K + δ²I is singular to rounding: the θ of least norm, RANK_DEFICIENT. Beyond `LARGEST_EXACT` rows: to a
    relative residual of 1e-10 in float64, 1e-5 in float32.

    >>> fit(jnp.zeros((1, 1)), jnp.array([3.0]), scale=1.0, penalty=0.5).theta
    Array([2.], dtype=float64)
    """
    if centers is not None:
        return ridge.fit(features.rbf(X, centers=centers, scale=scale), y, penalty=penalty)
    X, y, scale, delta2 = _training(X, y, scale, penalty)
    return _fit(X, y, scale, delta2) if len(X) <= LARGEST_EXACT else _fit_by_blocks(X, y, scale, delta2)


def fit_with_bias(X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike) -> Solution:
    """The weights of one kernel on each row of X and a bias that is not penalised, theta a `WithBias`. Course 6.4.

    >>> fit_with_bias(jnp.array([[0.0], [1.0]]), jnp.array([7.0, 7.0]), scale=1.0, penalty=0.5).theta.bias
    Array(7., dtype=float64)
    """
    return _fit_with_bias(*_training(X, y, scale, penalty))


def leave_one_out(X: ArrayLike, y: ArrayLike, *, scales: ArrayLike, penalties: ArrayLike) -> Array:
    """The mean squared error of predicting each example from all others, shape (scales, penalties). Course 6.5.

    One eigendecomposition for each scale. A penalty below rounding counts as rounding.

    >>> leave_one_out(jnp.array([[0.0], [9e9]]), jnp.array([1.0, 3.0]), scales=[1.0], penalties=[0.5])
    Array([[5.]], dtype=float64)
    """
    X = checks.training_design(X)
    y = checks.finite(checks.targets(y, X), "y")
    scales, penalties = (
        arrays.numbers(values, name, like=X).astype(X.dtype)
        for values, name in ((scales, "scales"), (penalties, "penalties"))
    )
    for values, name in ((scales, "scales"), (penalties, "penalties")):
        if values.ndim != 1 or not values.size:
            raise ValueError(f"{name} must have shape (n,), at least one; got shape {values.shape}")
    return _leave_one_out(X, y, checks.all_positive(scales, "scales"), checks.nonnegative(penalties, "penalties"))


def predict_variance(X: ArrayLike, *, centers: ArrayLike, scale: ArrayLike, penalty: ArrayLike) -> Array:
    """1 − kᵀ(K + δ²I)⁻¹k for every row of X, shape (m,), centers being the training points. Course 5.3, 6.4.

    What is not known of f(x) if f is a Gaussian process with covariance k and the noise has variance δ²: in units of
    the variance of f, between 0 and 1. A new y has δ² more. Errors: ValueError where K + δ²I is singular to rounding.

    >>> predict_variance(jnp.array([[0.0], [9e9]]), centers=jnp.zeros((1, 1)), scale=1.0, penalty=1.0)
    Array([0.5, 1. ], dtype=float64)
    """
    X = checks.training_design(X)
    centers = checks.finite(checks.more_rows(centers, X, "centers"), "centers")
    delta2 = checks.nonnegative(_one_penalty(penalty, X))
    variance = _predict_variance(X, centers, checks.positive(scale, "scale", X), delta2)
    return checks.determined(variance, "K + penalty I is singular to rounding: give a larger penalty")


def scale_derivative(theta: ArrayLike, X: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike) -> Array:
    """∂θ/∂λ = −(K + δ²I)⁻¹K'θ at the fit θ, shape (m,). Course 6.5.

    >>> scale_derivative(jnp.array([2.0]), jnp.zeros((1, 1)), scale=1.0, penalty=0.5) + 0
    Array([0.], dtype=float64)
    """
    theta, X, scale, delta2 = _fitted(theta, X, scale, penalty)
    A = kernel(X, X, scale) + delta2 * jnp.eye(len(X), dtype=X.dtype)
    return -spd_factor(A).solve(product(_kernel_derivative(X, scale), theta))


def cost_scale_derivative(theta: ArrayLike, X: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike) -> Array:
    """dJ/dλ = −δ²θᵀK'θ at the fit θ, a scalar. Course 6.5.

    >>> cost_scale_derivative(jnp.array([2.0]), jnp.zeros((1, 1)), scale=1.0, penalty=0.5) + 0
    Array(0., dtype=float64)
    """
    theta, X, scale, delta2 = _fitted(theta, X, scale, penalty)
    return -delta2 * theta @ product(_kernel_derivative(X, scale), theta)


def _kernel_derivative(X: Array, scale: Array) -> Array:
    D = squared_distances(X, X)
    return jnp.exp(-D / scale) * D / scale**2


@jax.jit
def _fit(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    K = kernel(X, X, scale)
    A = K + delta2 * jnp.eye(len(X), dtype=X.dtype)
    factored = spd_factor(A)

    def refined():
        theta = factored.solve(y)
        return theta + factored.solve(y - product(A, theta))

    def least_norm():
        eigenvalues, V = jnp.linalg.eigh(A)
        kept = eigenvalues > len(X) * jnp.finfo(X.dtype).eps * eigenvalues[-1]
        return product(V, jnp.where(kept, product(V.T, y) / jnp.where(kept, eigenvalues, 1), 0))

    regular = factored.rcond > len(X) * jnp.finfo(X.dtype).eps
    theta = lax.cond(regular, refined, least_norm)
    fitted = product(K, theta)
    J = jnp.sum((y - fitted) ** 2) + delta2 * theta @ fitted
    g = 2 * product(K, fitted - y + delta2 * theta)
    status = jnp.where(regular, Status.CONVERGED, Status.RANK_DEFICIENT)
    status = jnp.where(jnp.isfinite(J), status, Status.NOT_FINITE).astype(jnp.int32)
    return Solution(theta, J, jnp.linalg.norm(g), jnp.array(1), status)


@jax.jit
def _fit_by_blocks(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    delta2 = jnp.maximum(delta2, len(X) * jnp.finfo(X.dtype).eps)  # less than rounding of K is none
    theta, left, steps = solve_by_conjugate_gradients(X, y, scale, delta2)
    fitted = kernel_product(theta, X, X, scale)
    J = jnp.sum((y - fitted) ** 2) + delta2 * theta @ fitted
    g = 2 * kernel_product(fitted - y + delta2 * theta, X, X, scale)
    status = jnp.where(left <= TOLERANCE[str(y.dtype)], Status.CONVERGED, Status.OUT_OF_STEPS)
    status = jnp.where(jnp.isfinite(J), status, Status.NOT_FINITE).astype(jnp.int32)
    return Solution(theta, J, jnp.linalg.norm(g), steps, status)


@jax.jit
def _fit_with_bias(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    K, ones = kernel(X, X, scale), jnp.ones_like(y)
    factored = spd_factor(K + delta2 * jnp.eye(len(X), dtype=X.dtype))
    of_y, of_ones = factored.solve(y), factored.solve(ones)
    bias = ones @ of_y / (ones @ of_ones)
    weights = of_y - bias * of_ones
    fitted = product(K, weights)
    residual = y - fitted - bias
    J = jnp.sum(residual**2) + delta2 * weights @ fitted
    g = jnp.append(2 * product(K, delta2 * weights - residual), -2 * jnp.sum(residual))
    regular = factored.rcond > len(X) * jnp.finfo(X.dtype).eps
    status = jnp.where(regular & jnp.isfinite(J), Status.CONVERGED, Status.NOT_FINITE).astype(jnp.int32)
    return Solution(WithBias(weights, bias), J, jnp.linalg.norm(g), jnp.array(1), status)


@jax.jit
def _leave_one_out(X: Array, y: Array, scales: Array, penalties: Array) -> Array:
    D = squared_distances(X, X)

    def of_scale(scale):
        eigenvalues, V = jnp.linalg.eigh(jnp.exp(-D / scale))
        rounding = len(X) * jnp.finfo(X.dtype).eps * eigenvalues[-1]
        inverse = 1 / (jnp.maximum(eigenvalues, 0)[None, :] + jnp.maximum(penalties, rounding)[:, None])
        theta, diagonal = product(inverse * product(V.T, y)[None, :], V.T), product(inverse, V.T**2)
        return jnp.mean((theta / diagonal) ** 2, axis=1)

    return lax.map(of_scale, scales)


@jax.jit
def _predict_variance(X: Array, centers: Array, scale: Array, delta2: Array) -> Array:
    A = kernel(centers, centers, scale) + delta2 * jnp.eye(len(centers), dtype=X.dtype)
    factored = spd_factor(A)
    k = kernel(centers, X, scale)
    known = jnp.sum(factored.half_solve(k) ** 2, axis=0)
    regular = factored.rcond > len(centers) * jnp.finfo(X.dtype).eps
    return jnp.where(regular, jnp.maximum(1 - known, 0), jnp.nan)


def _weights(theta: ArrayLike, centers: Array) -> Array:
    theta = arrays.numbers(theta, "theta", like=centers)
    if theta.shape != (len(centers),):
        raise ValueError(f"theta must have shape ({len(centers)},), one per center; got shape {theta.shape}")
    if theta.dtype != centers.dtype:
        raise TypeError(f"theta must have the dtype of X, {centers.dtype}; got {theta.dtype}: convert one of them")
    return theta


def _one_penalty(penalty: ArrayLike, X: Array) -> Array:
    penalty = arrays.numbers(penalty, "penalty", like=X)
    if penalty.ndim:
        raise ValueError(f"penalty must be a scalar, the same for all kernels; got shape {penalty.shape}")
    return checks.penalties(penalty, X[0, 0])


def _problem(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, scale: ArrayLike, penalty: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    X = checks.design(X)
    theta, y = _weights(theta, X), checks.targets(y, X)
    return theta, kernel(X, X, checks.positive(scale, "scale", X)), y, _one_penalty(penalty, X)


def _training(X: ArrayLike, y: ArrayLike, scale: ArrayLike, penalty: ArrayLike) -> tuple[Array, Array, Array, Array]:
    X = checks.training_design(X)
    y = checks.finite(checks.targets(y, X), "y")
    return X, y, checks.positive(scale, "scale", X), checks.nonnegative(_one_penalty(penalty, X))


def _fitted(theta: ArrayLike, X: ArrayLike, scale: ArrayLike, penalty: ArrayLike) -> tuple[Array, Array, Array, Array]:
    X = checks.design(X)
    scale, delta2 = checks.positive(scale, "scale", X), checks.nonnegative(_one_penalty(penalty, X))
    return _weights(theta, X), X, scale, delta2
