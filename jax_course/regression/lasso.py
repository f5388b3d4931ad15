r"""The lasso (course 6.2): least squares with a penalty that sets parameters to exactly zero.

    J = (y − Xθ)ᵀ(y − Xθ) + Σ penalty |θ|                           cost          6.2
    g_j = 2x_jᵀ(Xθ − y) + penalty_j sign θ_j      where θ_j ≠ 0     subgradient   6.2
    g_j = soft(2x_jᵀ(Xθ − y), penalty_j)          where θ_j = 0
    J(θ) − min J ≤ gap                                              duality_gap   6.2

The norm in the penalty is ‖θ‖₁ = |θ₁| + |θ₂| + …, with absolute values (the course leaves them out). At θ_j = 0 the
slope of |θ_j| is any number in [−1, 1]: the subgradient takes the one that brings g_j nearest to 0. It is then the
shortest of all subgradients, and 0 exactly at the minimisers.

Shapes: theta (d,), X (m, d), y (m,). `penalty` is a scalar or an array that broadcasts against theta; a 0 spares the
bias. There is no 1/2 and no 1/m: scikit-learn's alpha is penalty / 2m, the λ of glmnet (which standardizes) likewise.

`fit` and `path` end on a certificate: a duality gap of at most 1e-8 J in float64, 1e-5 J in float32. What has no
penalty is eliminated first: with Q an orthonormal basis of those columns F, the others are solved for on X − QQᵀX and
y − QQᵀy, and θ_F is the least squares of what they leave. For any θ, with r̃ = r − QQᵀr and u = 2sr̃,

    J(θ) − D(u) = ‖Qᵀr‖² + (1 − s)²‖r̃‖² + Σ (penalty_j |θ_j| − 2s θ_j x_jᵀr̃)

where each term is at least 0; D, and how the rest is minimised, stand in `regression.coordinate_descent` and
`regression.lasso_rounds`.

The elastic net, Σ (y − ŷ)² + Σ penalty |θ| + δ²θᵀθ, is the lasso with δ as d more examples whose targets are 0:
`fit(jnp.concatenate([X, delta * jnp.eye(d)]), jnp.concatenate([y, jnp.zeros(d)]), penalty=penalty)`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import arrays, boundary, checks
from jax_course.differentiation import forward_only
from jax_course.linalg import least_squares, product, transpose_product
from jax_course.optimization.proximal import soft_threshold
from jax_course.optimization.solution import Solution, Status, select_status
from jax_course.regression import coordinate_descent
from jax_course.regression.free_columns import count_free, free_columns, without_free_columns
from jax_course.regression.lasso_rounds import Descent, descend
from jax_course.regression.linear import predict
from jax_course.typing import ArrayLike

__all__ = ["certainly_zero", "cost", "duality_gap", "fit", "largest_penalty", "path", "predict", "subgradient"]


def __dir__() -> list[str]:
    return __all__


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Array:
    """J(θ) = Σ (y − ŷ)² + Σ penalty |θ|, a scalar. Course 6.2.

    >>> cost(jnp.array([-2.0]), jnp.array([[1.0], [2.0]]), jnp.array([-3.0, -7.0]), penalty=0.5)
    Array(11., dtype=float64)
    """
    theta, X, y = checks.regression(theta, X, y)
    residual = product(X, theta) - y
    return jnp.sum(residual**2) + jnp.sum(checks.penalties(penalty, theta) * jnp.abs(theta))


def subgradient(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Array:
    """The shortest subgradient, shape (d,): ∇J where no θ_j is 0, and 0 exactly at the minimisers. Course 6.2.

    >>> X, y = jnp.eye(3), jnp.array([3.0, 1.0, 2.0])
    >>> subgradient(jnp.array([1.0, 0.0, 0.0]), X, y, penalty=3.0)  # −4 + 3,  −2 → 0,  −4 → −1
    Array([-1., -0., -1.], dtype=float64)
    """
    theta, X, y = checks.regression(theta, X, y)
    p = checks.penalties(penalty, theta)
    return _shortest(2 * transpose_product(X, product(X, theta) - y), theta, p)


def _shortest(smooth: Array, theta: Array, p: Array) -> Array:
    return jnp.where(theta != 0, smooth + p * jnp.sign(theta), soft_threshold(smooth, p))


def duality_gap(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Array:
    """A bound from above for J(θ) − min J, a scalar in squared units of y; 0 at the minimisers. Course 6.2.

    >>> X, y = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0])
    >>> duality_gap(jnp.array([3.0]), X, y, penalty=4.0), duality_gap(jnp.array([0.0]), X, y, penalty=17.0)
    (Array(0., dtype=float64), Array(14.5, dtype=float64))
    """
    theta, X, y = checks.regression(theta, X, y)
    p = checks.penalties(penalty, theta)
    rest = without_free_columns(X, y - product(X, theta), p, count_free(penalty, X))
    h = transpose_product(rest.X, rest.y)
    return rest.lost + coordinate_descent.duality_gap(theta, h, jnp.sum(rest.y**2), p)[0]


def certainly_zero(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Array:
    """Which parameters are 0 in every minimiser, shape (d,), as far as the gap at this theta proves it. Course 6.2.

    >>> certainly_zero(jnp.array([2.0, 0.0]), jnp.eye(2), jnp.array([3.0, 0.5]), penalty=2.0)
    Array([False,  True], dtype=bool)
    """
    theta, X, y = checks.regression(theta, X, y)
    p = checks.penalties(penalty, theta)
    rest = without_free_columns(X, y - product(X, theta), p, count_free(penalty, X))
    h, sizes = transpose_product(rest.X, rest.y), jnp.sum(rest.X**2, axis=0)
    return coordinate_descent.certainly_zero(theta, h, jnp.sum(rest.y**2), p, sizes)


def largest_penalty(X: ArrayLike, y: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """The least penalty for which every parameter with a factor > 0 is 0: where a path begins. Course 6.2.

    >>> largest_penalty(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]))  # 2 (1·3 + 2·7)
    Array(34., dtype=float64)
    """
    X = boundary.training_design(X)
    y = boundary.finite(checks.targets(y, X), "y")
    free = count_free(factors, X)
    return _largest_penalty(X, y, boundary.column_penalties(factors, X, "factors"), free)


def fit(X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, max_steps: int = 10_000) -> Solution:
    """The minimiser of J, certified by its duality gap; gradient_norm is of the shortest subgradient. Course 6.2.

    A step is a sweep over the coordinates. Where the columns without a penalty depend on each other: of their
    parameters those of least norm, status RANK_DEFICIENT.

    >>> fit(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), penalty=14.0).theta  # (17 − 14/2) / 5
    Array([2.], dtype=float64)
    """
    X = boundary.training_design(X)
    y = boundary.finite(checks.targets(y, X), "y")
    p = boundary.column_penalties(penalty, X)
    found = _minimisers(X, y, p[None, :], checks.whole(max_steps, "max_steps"), count_free(penalty, X))
    return forward_only(jax.tree.map(lambda leaf: leaf[0], found), "lasso.fit")


def path(
    X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0, max_steps: int = 10_000
) -> Solution:
    """The fits for many penalties, each starting from the one before: a Solution of (n, d), (n,), … Course 6.2.

    Row i minimises Σ (y − ŷ)² + penalties[i] Σ factors |θ|; factors ≥ 0 broadcast against theta, a 0 spares the bias.
    penalties, shape (n,), descend and are above 0. Memory O(m (d + n)).

    >>> path(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([34.0, 14.0, 4.0])).theta
    Array([[0.],
           [2.],
           [3.]], dtype=float64)
    """
    X = boundary.training_design(X)
    y = boundary.finite(checks.targets(y, X), "y")
    penalties = _descending(penalties, X)
    free = count_free(factors, X)
    factors = boundary.column_penalties(factors, X, "factors")
    P = penalties[:, None] * factors[None, :]
    return forward_only(_minimisers(X, y, P, checks.whole(max_steps, "max_steps"), free), "lasso.path")


def _minimisers(X: Array, y: Array, P: Array, max_steps: Array | int, free: int) -> Solution:
    """A Solution for each row of P, whose zeros are in the same columns."""
    if free == 0:
        return _solutions(descend(X, y, P, max_steps), P, max_steps)
    rest = without_free_columns(X, y, P[0], free)
    found = descend(rest.X, rest.y, P, max_steps)
    return _with_free_columns(found, X, y, P, max_steps, free)


@jax.jit
def _solutions(found: Descent, P: Array, max_steps: Array | int) -> Solution:
    def solution(found: Descent, p: Array) -> Solution:
        J = coordinate_descent.penalised_cost(found.theta, found.rr, p)
        g = _shortest(-2 * found.h, found.theta, p)
        solved = jnp.full_like(found.steps, Status.CONVERGED)
        return Solution(found.theta, J, jnp.linalg.norm(g), found.steps, _status(solved, J, found, max_steps))

    return jax.vmap(solution)(found, P)


@partial(jax.jit, static_argnums=5)
def _with_free_columns(found: Descent, X: Array, y: Array, P: Array, max_steps: Array | int, free: int) -> Solution:
    where, columns = free_columns(X, P[0], free)

    def solution(found: Descent, p: Array) -> Solution:
        in_free, rank, _ = least_squares(columns, y - product(X, found.theta))
        theta = found.theta.at[where].set(in_free, mode="drop")
        J, g = (part(theta, X, y, penalty=p) for part in (cost, subgradient))
        solved = jnp.where(rank < jnp.sum(p == 0), Status.RANK_DEFICIENT, Status.CONVERGED)
        return Solution(theta, J, jnp.linalg.norm(g), found.steps, _status(solved, J, found, max_steps))

    return jax.vmap(solution)(found, P)


def _status(solved: Array, J: Array, found: Descent, max_steps: Array | int) -> Array:
    return select_status(
        [~jnp.isfinite(J + found.gap), found.gap <= coordinate_descent.tolerance(J), found.steps >= max_steps],
        [Status.NOT_FINITE, solved, Status.OUT_OF_STEPS],
        Status.NO_DESCENT,
    )


@partial(jax.jit, static_argnums=3)
def _largest_penalty(X: Array, y: Array, factors: Array, free: int) -> Array:
    rest = without_free_columns(X, y, factors, free)
    slopes = 2 * jnp.abs(transpose_product(rest.X, rest.y))
    return jnp.max(jnp.where(factors > 0, slopes / jnp.where(factors > 0, factors, 1), factors))


def _descending(penalties: ArrayLike, X: Array) -> Array:
    """penalties (n,) in the dtype of X; refused where there is none, one is not above 0, or one is above the last."""
    penalties = arrays.numbers(penalties, "penalties", like=X)
    if penalties.dtype.kind in "bc":
        raise TypeError(f"penalties must hold real numbers; got {penalties.dtype}")
    if penalties.ndim != 1 or not penalties.size:
        raise ValueError(f"penalties must have shape (n,), n at least 1; got shape {penalties.shape}")
    penalties = boundary.nonnegative(penalties.astype(X.dtype), "penalties")
    if arrays.is_concrete(penalties):
        values = np.asarray(penalties)
        if values.min() == 0:
            raise ValueError("penalties must be above 0; got 0.0: without a penalty it is linear.fit(X, y)")
        rises = np.flatnonzero(np.diff(values) > 0)
        if rises.size:
            i = int(rises[0])
            raise ValueError(
                f"penalties must descend; got {values[i]} before {values[i + 1]}, at {i}: "
                "sort them by np.sort(penalties)[::-1]"
            )
    return penalties
