r"""RBF kernel regression: the choice of λ, and the variance of a prediction (course 6.5, 5.3).

    y_i − ŷ_i without example i = θ_i / [(K + δ²I)⁻¹]_ii             leave_one_out          6.5
    1 − kᵀ(K + δ²I)⁻¹k                                               predict_variance       5.3
    K' = ∂K/∂λ = K ∘ D/λ²,  D_ij = ‖x_i − x_j‖²
    ∂θ/∂λ = −(K + δ²I)⁻¹K'θ                                          scale_derivative       6.5
    dJ/dλ = −δ²θᵀK'θ at the fit                                      cost_scale_derivative  6.5

At the minimum ∂J/∂θ = 0, so that dJ/dλ is ∂J/∂λ with θ fixed, θᵀK'(2Kθ − 2y + δ²θ), and there y − Kθ = δ²θ.

Shapes: as in `regression.kernel`, with one kernel on each training point: X (m, d), theta (m,).
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course import inputs
from jax_course.features import rbf
from jax_course.implicit import evaluated
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import inner, product, rank_tolerance, spd_factor, squared_distances
from jax_course.linalg.lapack import eigh
from jax_course.tiers import compiled


def leave_one_out(X: ArrayLike, y: ArrayLike, *, scales: ArrayLike, penalties: ArrayLike) -> Array:
    """The mean squared error of predicting each example from all others, shape (scales, penalties). Course 6.5.

    One eigendecomposition for each scale. A penalty below rounding counts as rounding; there the derivatives are NaN.

    >>> leave_one_out(jnp.array([[0.0], [9e9]]), jnp.array([1.0, 3.0]), scales=[1.0], penalties=[0.5])
    Array([[5.]], dtype=float64)
    """
    X, y, _, _ = inputs.regression_problem(X, y)
    scales, penalties = (
        inputs.as_array(values, name, like=X).astype(X.dtype)
        for values, name in ((scales, "scales"), (penalties, "penalties"))
    )
    for values, name in ((scales, "scales"), (penalties, "penalties")):
        if values.ndim != 1 or not values.size:
            raise ValueError(f"{name} must have shape (n,), at least one; got shape {values.shape}")
    scales, penalties = inputs.all_positive(scales, "scales"), inputs.nonnegative(penalties, "penalties")
    return evaluated(_leave_one_out, _leave_one_out_formula, X, y, scales, penalties)


def predict_variance(X: ArrayLike, *, centers: ArrayLike, scale: ArrayLike, penalty: ArrayLike) -> Array:
    """1 − kᵀ(K + δ²I)⁻¹k for every row of X, shape (m,), centers being the training points. Course 5.3, 6.4.

    The variance of f(x) given the data, if f is a Gaussian process with covariance k and the noise has variance δ²: in
    units of the variance of f, between 0 and 1. The variance of a new y is larger by δ². Errors: ValueError where
    K + δ²I is singular to rounding.

    >>> predict_variance(jnp.array([[0.0], [9e9]]), centers=jnp.zeros((1, 1)), scale=1.0, penalty=1.0)
    Array([0.5, 1. ], dtype=float64)
    """
    X = inputs.training_design(X)
    centers = inputs.finite(inputs.more_rows(centers, X, "centers"), "centers")
    delta2 = inputs.nonnegative(inputs.one_penalty(penalty, X))
    variance = _predict_variance(X, centers, inputs.positive(scale, "scale", X), delta2)
    return inputs.refuse_nan(variance, "K + penalty I is singular to rounding: give a larger penalty")


def scale_derivative(theta: ArrayLike, X: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike) -> Array:
    """∂θ/∂λ = −(K + δ²I)⁻¹K'θ at the fit θ, shape (m,). Course 6.5.

    >>> scale_derivative(jnp.array([2.0]), jnp.zeros((1, 1)), scale=1.0, penalty=0.5) + 0
    Array([0.], dtype=float64)
    """
    theta, X, scale, delta2 = _fitted(theta, X, scale, penalty)
    A = rbf(X, centers=X, scale=scale) + delta2 * jnp.eye(len(X), dtype=X.dtype)
    return -spd_factor(A).solve(product(_kernel_derivative(X, scale), theta))


def cost_scale_derivative(theta: ArrayLike, X: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike) -> Array:
    """dJ/dλ = −δ²θᵀK'θ at the fit θ, a scalar. Course 6.5.

    >>> cost_scale_derivative(jnp.array([2.0]), jnp.zeros((1, 1)), scale=1.0, penalty=0.5) + 0
    Array(0., dtype=float64)
    """
    theta, X, scale, delta2 = _fitted(theta, X, scale, penalty)
    return inner(-delta2 * theta, product(_kernel_derivative(X, scale), theta))


def _kernel_derivative(X: Array, scale: Array) -> Array:
    D = squared_distances(X, X)
    return jnp.exp(-D / scale) * D / scale**2


@compiled
def _leave_one_out(X: Array, y: Array, scales: Array, penalties: Array) -> Array:
    D = squared_distances(X, X)

    def errors(scale):
        eigenvalues, V = eigh(jnp.exp(-D / scale))
        rounding = rank_tolerance(D) * eigenvalues[-1]
        inverse = 1 / (jnp.maximum(eigenvalues, 0)[None, :] + jnp.maximum(penalties, rounding)[:, None])
        theta, diagonal = product(inverse * product(V.T, y)[None, :], V.T), product(inverse, V.T**2)
        return jnp.mean((theta / diagonal) ** 2, axis=1)

    return lax.map(errors, scales)


def _leave_one_out_formula(X: Array, y: Array, scales: Array, penalties: Array) -> Array:
    """`_leave_one_out` for its derivatives: those of eigenvectors are lost where eigenvalues lie close together."""
    eye = jnp.eye(len(X), dtype=X.dtype)

    def error(scale: Array, delta2: Array) -> Array:
        factored = spd_factor(rbf(X, centers=X, scale=scale) + delta2 * eye)
        half = factored.half_solve(eye)
        mean_square = jnp.mean((product(half.T, product(half, y)) / jnp.sum(half**2, axis=0)) ** 2)
        return jnp.where(lax.stop_gradient(factored.is_regular()), 1, jnp.nan) * mean_square

    return lax.map(lambda scale: jax.vmap(lambda delta2: error(scale, delta2))(penalties), scales)


@compiled
def _predict_variance(X: Array, centers: Array, scale: Array, delta2: Array) -> Array:
    A = rbf(centers, centers=centers, scale=scale) + delta2 * jnp.eye(len(centers), dtype=X.dtype)
    factored = spd_factor(A)
    k = rbf(centers, centers=X, scale=scale)
    known = jnp.sum(factored.half_solve(k) ** 2, axis=0)
    return jnp.where(factored.is_regular(), jnp.maximum(1 - known, 0), jnp.nan)


def _fitted(theta: ArrayLike, X: ArrayLike, scale: ArrayLike, penalty: ArrayLike) -> tuple[Array, Array, Array, Array]:
    X = inputs.design(X)
    scale, delta2 = inputs.positive(scale, "scale", X), inputs.nonnegative(inputs.one_penalty(penalty, X))
    return inputs.per_center(theta, X), X, scale, delta2
