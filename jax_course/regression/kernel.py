r"""RBF kernel regression (course 6.4, 6.5).

    k(x, μ) = exp(−‖x − μ‖²/λ),  ŷ = Σ_j θ_j k(x, μ_j)               predict                6.4

On chosen centers this is linear or ridge regression on `features.rbf` (`fit_on_centers`); with one kernel on each
training point, K = Kᵀ positive definite for distinct points:

    J = ‖y − Kθ‖² + δ²θᵀKθ                                           cost                   6.4
    ∇J = 2K(Kθ − y + δ²θ)                                            gradient
    ∇²J = 2K(K + δ²I)                                                hessian
    θ = (K + δ²I)⁻¹y                                                 fit

The penalty θᵀKθ is the squared norm of the function Σ θ_j k(·, x_j) in the space that k spans: with it the minimiser
solves a system with K, not K². The choice of λ, and the variance of predictions: `regression.kernel_choice`.

λ is called `scale`, > 0, in squared units of x; the μ are the rows of `centers`. Shapes: X (m, d), y (m,), centers
(n, d), theta (n,), or (m,) with one kernel on each training point.

Of t targets, y is (m, t) and theta (n, t): J is the sum of their costs, ∇J has a column for each, and ∇²J, the same for
all, is that of one, shape (m, m). `fit` and `fit_on_centers` factor once; the penalty is the same for all. The other
functions take one target.

`fit` solves by Cholesky's factor; from `ITERATIVE_POINTS` training points on by conjugate gradients, unless they take
many steps; beyond `LARGEST_EXACT` without K in memory. `fit_on_centers` is accurate in the predictions, less so in θ:
kernels close to each other have nearly the same values, and the data hardly determine the weight of each.
"""

from functools import partial

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.features import rbf
from jax_course.implicit import minimiser
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import first_accepted, predictive_least_squares, product
from jax_course.regression.kernel_choice import (
    cost_scale_derivative,
    leave_one_out,
    predict_variance,
    scale_derivative,
)
from jax_course.regression.kernel_conditions import CONDITIONS, CONDITIONS_WITH_BIAS, LARGEST_EXACT, Data
from jax_course.regression.kernel_fit import (
    WithBias,
    bias_fit,
    block_fit,
    cholesky_fit,
    conjugate_gradient_fit,
    kernel_product,
    least_norm_fit,
)
from jax_course.regression.least_squares_fit import least_squares_fit
from jax_course.solution import Solution

ITERATIVE_POINTS = 3_000  # training points from which on conjugate gradients take less time than Cholesky's factor

__all__ = [
    "LARGEST_EXACT",
    "WithBias",
    "cost",
    "cost_scale_derivative",
    "fit",
    "fit_on_centers",
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


def predict(theta: ArrayLike, X: ArrayLike, *, centers: ArrayLike, scale: ArrayLike) -> Array:
    """ŷ = Σ_j θ_j k(x, μ_j), shape (m,) or (m, t), computed in blocks of rows. Course 6.4.

    >>> predict(jnp.array([5.0]), jnp.array([[3.0]]), centers=jnp.array([[3.0]]), scale=2.0)
    Array([5.], dtype=float64)
    """
    X = inputs.design(X)
    centers = inputs.more_rows(centers, X, "centers")
    return kernel_product(
        inputs.multivariate_per_center(theta, centers), X, centers, inputs.positive(scale, "scale", X)
    )


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0) -> Array:
    """J(θ) = ‖y − Kθ‖² + δ²θᵀKθ, a scalar; one kernel on each row of X. Course 6.4.

    >>> cost(jnp.array([2.0]), jnp.zeros((1, 1)), jnp.array([5.0]), scale=1.0, penalty=0.5)
    Array(11., dtype=float64)
    """
    theta, K, y, delta2 = _problem(theta, X, y, scale, penalty)
    fitted = product(K, theta)
    return jnp.sum((y - fitted) ** 2) + jnp.sum(delta2 * theta * fitted)


def gradient(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0) -> Array:
    """∇J = 2K(Kθ − y + δ²θ), shape (m,) or (m, t). Course 6.4.

    >>> gradient(jnp.array([2.0]), jnp.zeros((1, 1)), jnp.array([5.0]), scale=1.0, penalty=0.5)
    Array([-4.], dtype=float64)
    """
    theta, K, y, delta2 = _problem(theta, X, y, scale, penalty)
    return 2 * product(K, product(K, theta) - y + delta2 * theta)


def hessian(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0) -> Array:
    """∇²J = 2K(K + δ²I), shape (m, m), of each target. Course 6.4.

    >>> hessian(jnp.array([2.0]), jnp.zeros((1, 1)), jnp.array([5.0]), scale=1.0, penalty=0.5)
    Array([[3.]], dtype=float64)
    """
    theta, K, y, delta2 = _problem(theta, X, y, scale, penalty)
    return 2 * (product(K, K) + delta2 * K)


def hessian_product(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, v: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0
) -> Array:
    """∇²J v = 2K(Kv + δ²v), shape (m,) or (m, t). Course 6.4.

    >>> hessian_product(jnp.array([2.0]), jnp.zeros((1, 1)), jnp.array([5.0]), jnp.array([4.0]), scale=1.0, penalty=0.5)
    Array([12.], dtype=float64)
    """
    theta, K, y, delta2 = _problem(theta, X, y, scale, penalty)
    v = inputs.direction(v, theta)
    return 2 * product(K, product(K, v) + delta2 * v)


def fit(X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike = 0.0) -> Solution:
    """θ = (K + δ²I)⁻¹y, shape (m,) or (m, t), for one kernel on each row of X; penalty is a scalar. Course 6.4.

    Where K + δ²I is singular to rounding: the θ of least norm, RANK_DEFICIENT. Beyond `LARGEST_EXACT` rows: to a
    relative residual of 1e-10 in float64, 1e-5 in float32, or to the rounding of the sums in Kθ.

    >>> fit(jnp.zeros((1, 1)), jnp.array([3.0]), scale=1.0, penalty=0.5).theta
    Array([2.], dtype=float64)
    """
    X, y, _, _ = inputs.multivariate_problem(X, y)
    return minimiser(CONDITIONS, _fit, (X, y, *_settings(X, scale, penalty)))


def _fit(p: Data) -> Solution:
    X, y, scale, delta2 = p
    if len(X) > LARGEST_EXACT:
        return block_fit(X, y, scale, delta2)
    iterative = [conjugate_gradient_fit] if len(X) >= ITERATIVE_POINTS else []
    methods = [partial(method, X, y, scale, delta2) for method in (*iterative, cholesky_fit)]
    return first_accepted(*methods, otherwise=lambda: least_norm_fit(X, y, scale, delta2))


def fit_on_centers(
    X: ArrayLike, y: ArrayLike, *, centers: ArrayLike, scale: ArrayLike, penalty: ArrayLike = 0.0
) -> Solution:
    """Ridge regression on `features.rbf`, theta (n,) or (n, t) for centers (n, d). Course 6.4.

    The penalty is that of `ridge.fit`, Σ penalty θ², not δ²θᵀKθ: a scalar or shape (n,).

    >>> fit_on_centers(jnp.ones((2, 1)), jnp.array([3.0, 7.0]), centers=jnp.ones((1, 1)), scale=1.0, penalty=0.5).theta
    Array([4.], dtype=float64)
    """
    problem = inputs.multivariate_problem(rbf(X, centers=centers, scale=scale), y, penalty=penalty)
    return least_squares_fit(problem, lambda Phi, y, delta2, _: predictive_least_squares(Phi, y, delta2))


def fit_with_bias(X: ArrayLike, y: ArrayLike, *, scale: ArrayLike, penalty: ArrayLike) -> Solution:
    """The weights of one kernel on each row of X and a bias without a penalty, theta a `WithBias`. Course 6.4.

    >>> fit_with_bias(jnp.array([[0.0], [1.0]]), jnp.array([7.0, 7.0]), scale=1.0, penalty=0.5).theta.bias
    Array(7., dtype=float64)
    """
    X, y, _, _ = inputs.regression_problem(X, y)
    return minimiser(CONDITIONS_WITH_BIAS, lambda p: bias_fit(*p), (X, y, *_settings(X, scale, penalty)))


def _problem(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, scale: ArrayLike, penalty: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    X = inputs.design(X)
    theta = inputs.multivariate_per_center(theta, X)
    y = inputs.targets_of(theta, y, X)
    return theta, rbf(X, centers=X, scale=inputs.positive(scale, "scale", X)), y, inputs.one_penalty(penalty, X)


def _settings(X: Array, scale: ArrayLike, penalty: ArrayLike) -> tuple[Array, Array]:
    return inputs.positive(scale, "scale", X), inputs.nonnegative(inputs.one_penalty(penalty, X))
