r"""Linear regression as maximum likelihood: y = Xθ + noise, the noise normal of standard deviation σ (course 5.2).

    p(y given X, θ, σ) = Π (2πσ²)^(−1/2) exp(−(y − xθ)²/2σ²)                                       5.2 (slip E 1)
    NLL = m/2 log(2πσ²) + ‖y − Xθ‖²/2σ²                              negative_log_likelihood       5.2
    ∂NLL/∂θ = Xᵀ(Xθ − y)/σ²,  ∂NLL/∂σ = m/σ − ‖y − Xθ‖²/σ³           gradient
    ∂²NLL/∂θ² = XᵀX/σ²,  ∂²NLL/∂θ∂σ = −2Xᵀ(Xθ − y)/σ³                hessian
    ∂²NLL/∂σ² = 3‖y − Xθ‖²/σ⁴ − m/σ²
    σ²_ML = ‖y − Xθ‖²/m                                              noise_variance                5.2
    σ² = ‖y − Xθ‖²/(m − d)                                           unbiased_noise_variance       5.3

An example of weight w counts as w examples: sums over the examples are Σ w …, and m is Σ w.

For any σ the maximum likelihood θ is that of least squares. There σ²_ML has the mean σ²(m − d)/m, because the residual
lies in a space of m − d dimensions; with m − d instead of m the mean is σ².

Shapes: theta (d,), sigma a scalar > 0 in units of y, X (m, d), y (m,); `weights`, at least 0, a scalar or (m,).
"""

from contextlib import nullcontext

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, product, transpose_product


def negative_log_likelihood(
    theta: ArrayLike, sigma: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0
) -> Array:
    """m/2 log(2πσ²) + Σ (y − xθ)²/2σ², a scalar in nats. Course 5.2.

    >>> negative_log_likelihood(jnp.zeros(1), 2.0, jnp.ones((1, 1)), jnp.array([4.0])) - jnp.log(8 * jnp.pi) / 2
    Array(2., dtype=float64)
    """
    theta, sigma, X, y, w = _check(theta, sigma, X, y, weights)
    residual = product(X, theta) - y
    return _count(w, X) * (0.5 * jnp.log(2 * jnp.pi) + jnp.log(sigma)) + jnp.sum(w * (residual / sigma) ** 2) / 2


def gradient(
    theta: ArrayLike, sigma: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0
) -> tuple[Array, Array]:
    """The derivatives in θ, shape (d,), and in σ, a scalar. Course 5.2.

    >>> gradient(jnp.zeros(1), 2.0, jnp.ones((1, 1)), jnp.array([4.0]))
    (Array([-1.], dtype=float64), Array(-1.5, dtype=float64))
    """
    theta, sigma, X, y, w = _check(theta, sigma, X, y, weights)
    residual = product(X, theta) - y
    sigma_slope = _count(w, X) / sigma - jnp.sum(w * residual**2) / sigma**3
    return transpose_product(X, w * residual) / sigma**2, sigma_slope


def hessian(
    theta: ArrayLike, sigma: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The second derivatives in (θ, σ), as blocks of shapes ((d, d), (d,)), ((d,), ()). Course 5.2.

    >>> hessian(jnp.zeros(1), 2.0, jnp.ones((1, 1)), jnp.array([4.0]))[0]
    (Array([[0.25]], dtype=float64), Array([1.], dtype=float64))
    """
    theta, sigma, X, y, w = _check(theta, sigma, X, y, weights)
    residual = product(X, theta) - y
    mixed = -2 * transpose_product(X, w * residual) / sigma**3
    sigma_curvature = 3 * jnp.sum(w * residual**2) / sigma**4 - _count(w, X) / sigma**2
    return (gram(X, w) / sigma**2, mixed), (mixed, sigma_curvature)


def noise_variance(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """σ²_ML = Σ (y − xθ)²/m, in squared units of y: the maximum likelihood, on average too small. Course 5.2.

    >>> noise_variance(jnp.array([1.0]), jnp.ones((3, 1)), jnp.array([0.0, 1.0, 2.0])) * 3
    Array(2., dtype=float64)
    """
    theta, X, y = inputs.regression(theta, X, y)
    w = inputs.training_weights(weights, X)
    return jnp.sum(w * (product(X, theta) - y) ** 2) / _count(w, X)


def unbiased_noise_variance(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """σ² = Σ (y − xθ)²/(m − d) at the fit, in squared units of y; needs m > d. Course 5.3.

    >>> unbiased_noise_variance(jnp.array([1.0]), jnp.ones((3, 1)), jnp.array([0.0, 1.0, 2.0]))
    Array(1., dtype=float64)
    """
    theta, X, y = inputs.regression(theta, X, y)
    nu = residual_degrees_of_freedom(weights, X, "an unbiased variance")
    w = inputs.training_weights(weights, X)
    return jnp.sum(w * (product(X, theta) - y) ** 2) / nu


def residual_degrees_of_freedom(weights: ArrayLike, X: Array, purpose: str) -> Array:
    """m − d of the residual, a scalar, m = Σ w; refused where it is not positive, NaN there in jit. Course 5.3.

    >>> residual_degrees_of_freedom([1.0, 4.0], jnp.ones((2, 1)), "an interval")
    Array(4., dtype=float64)
    """
    known = inputs.is_concrete(weights)
    with jax.ensure_compile_time_eval() if known else nullcontext():  # weights that jit closes over can be read, too
        w = inputs.training_weights(weights, X)
        nu = _count(w, X) - X.shape[1]
        if not known:
            return jnp.where(nu > 0, nu, jnp.nan)
        if not nu > 0:
            of_weights = "" if w.ndim == 0 and w == 1 else f", weights of sum {_count(w, X):g}"
            raise ValueError(f"{purpose} needs more rows than columns in X; got shape {X.shape}{of_weights}")
    return nu


def _count(w: Array, X: Array) -> Array:
    """m = Σ w, the number of examples."""
    return jnp.sum(w) if w.ndim else w * len(X)


def _check(
    theta: ArrayLike, sigma: ArrayLike, X: ArrayLike, y: ArrayLike, weights: ArrayLike
) -> tuple[Array, Array, Array, Array, Array]:
    theta, X, y = inputs.regression(theta, X, y)
    return theta, inputs.positive(sigma, "sigma", X), X, y, inputs.example_weights(weights, X)
