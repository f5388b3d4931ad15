r"""The lasso (course 6.2): least squares with a penalty that sets parameters to exactly zero.

    J = (y − Xθ)ᵀ(y − Xθ) + Σ penalty |θ|                           cost          6.2
    g_j = 2x_jᵀ(Xθ − y) + penalty_j sign θ_j      where θ_j ≠ 0     subgradient   6.2
    g_j = soft(2x_jᵀ(Xθ − y), penalty_j)          where θ_j = 0
    J(θ) − min J ≤ gap                                              duality_gap   6.2

The norm in the penalty is ‖θ‖₁ = |θ₁| + |θ₂| + …, with absolute values (the course leaves them out). At θ_j = 0 the
slope of |θ_j| is any number in [−1, 1], and the subgradient takes the one with g_j nearest to 0. So it is the shortest
of all subgradients, and 0 exactly at the minimisers.

Shapes: theta (d,), X (m, d), y (m,). `penalty` is a scalar or an array that broadcasts against theta; a 0 spares the
bias. There is no 1/2 and no 1/m: scikit-learn's alpha is penalty / 2m, the λ of glmnet (which standardizes) likewise.

`fit` and `path` end on a certificate: a duality gap of at most 1e-8 J in float64, 1e-5 J in float32. Columns F without
a penalty are eliminated first: with Q an orthonormal basis of them, the other parameters are fitted to X − QQᵀX and
y − QQᵀy, and θ_F is the least squares fit of their residual. For any θ, with r̃ = r − QQᵀr and u = 2sr̃,

    J(θ) − D(u) = ‖Qᵀr‖² + (1 − s)²‖r̃‖² + Σ (penalty_j |θ_j| − 2s θ_j x_jᵀr̃)

where each term is at least 0. D and the minimisation: `regression.coordinate_descent`, `regression.working_set`.

The elastic net, Σ (y − ŷ)² + Σ penalty |θ| + δ²θᵀθ, is the lasso with δ as d more examples whose targets are 0:
`fit(jnp.concatenate([X, delta * jnp.eye(d)]), jnp.concatenate([y, jnp.zeros(d)]), penalty=penalty)`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.implicit import minimiser, minimisers
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import least_squares, product, transpose_product
from jax_course.optimization.proximal import soft_threshold
from jax_course.padding import is_small, padded_rows
from jax_course.regression import coordinate_descent
from jax_course.regression.lasso_conditions import CONDITIONS, Data
from jax_course.regression.linear import predict
from jax_course.regression.unpenalized_columns import count_unpenalized, project, unpenalized_columns
from jax_course.regression.working_set import Descent, descend, gram_work
from jax_course.solution import Solution, Status, select_status
from jax_course.tiers import compiled

__all__ = ["cost", "duality_gap", "fit", "largest_penalty", "path", "predict", "screened", "subgradient"]


def __dir__() -> list[str]:
    return __all__


def cost(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Array:
    """J(θ) = Σ (y − ŷ)² + Σ penalty |θ|, a scalar. Course 6.2.

    >>> cost(jnp.array([-2.0]), jnp.array([[1.0], [2.0]]), jnp.array([-3.0, -7.0]), penalty=0.5)
    Array(11., dtype=float64)
    """
    theta, X, y = inputs.regression(theta, X, y)
    residual = product(X, theta) - y
    return jnp.sum(residual**2) + jnp.sum(inputs.penalties(penalty, theta) * jnp.abs(theta))


def subgradient(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Array:
    """The shortest subgradient, shape (d,): ∇J where no θ_j is 0, and 0 exactly at the minimisers. Course 6.2.

    >>> X, y = jnp.eye(3), jnp.array([3.0, 1.0, 2.0])
    >>> subgradient(jnp.array([1.0, 0.0, 0.0]), X, y, penalty=3.0)  # −4 + 3,  −2 → 0,  −4 → −1
    Array([-1., -0., -1.], dtype=float64)
    """
    theta, X, y = inputs.regression(theta, X, y)
    p = inputs.penalties(penalty, theta)
    return _shortest(2 * transpose_product(X, product(X, theta) - y), theta, p)


def _shortest(smooth: Array, theta: Array, p: Array) -> Array:
    return jnp.where(theta != 0, smooth + p * jnp.sign(theta), soft_threshold(smooth, p))


def duality_gap(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Array:
    """A bound from above for J(θ) − min J, a scalar in squared units of y; 0 at the minimisers. Course 6.2.

    >>> X, y = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0])
    >>> duality_gap(jnp.array([3.0]), X, y, penalty=4.0), duality_gap(jnp.array([0.0]), X, y, penalty=17.0)
    (Array(0., dtype=float64), Array(14.5, dtype=float64))
    """
    theta, X, y = inputs.regression(theta, X, y)
    p = inputs.penalties(penalty, theta)
    projected = project(X, y - product(X, theta), p, count_unpenalized(penalty, X))
    h = transpose_product(projected.X, projected.y)
    return projected.lost + coordinate_descent.duality_gap(theta, h, jnp.sum(projected.y**2), p)[0]


def screened(theta: ArrayLike, X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0) -> Array:
    """Gap-safe screening: True for parameters that the gap at this theta proves 0 in every minimiser, (d,). Course 6.2.

    >>> screened(jnp.array([2.0, 0.0]), jnp.eye(2), jnp.array([3.0, 0.5]), penalty=2.0)
    Array([False,  True], dtype=bool)
    """
    theta, X, y = inputs.regression(theta, X, y)
    p = inputs.penalties(penalty, theta)
    projected = project(X, y - product(X, theta), p, count_unpenalized(penalty, X))
    h, sizes = transpose_product(projected.X, projected.y), jnp.sum(projected.X**2, axis=0)
    return coordinate_descent.screened(theta, h, jnp.sum(projected.y**2), p, sizes)


def largest_penalty(X: ArrayLike, y: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """The least penalty for which every parameter with a factor > 0 is 0: where a path begins. Course 6.2.

    >>> largest_penalty(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]))  # 2 (1·3 + 2·7)
    Array(34., dtype=float64)
    """
    X, y, _, p = inputs.regression_problem(X, y, penalty=factors, name="factors")
    return _largest_penalty(X, y, p, count_unpenalized(factors, X))


def fit(X: ArrayLike, y: ArrayLike, *, penalty: ArrayLike = 0.0, max_steps: int = 10_000) -> Solution:
    """The minimiser of J, certified by its duality gap; gradient_norm is of the shortest subgradient. Course 6.2.

    A step is a sweep over the coordinates. If the columns without a penalty depend on each other, their parameters are
    those of least norm, status RANK_DEFICIENT.

    >>> fit(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), penalty=14.0).theta  # (17 − 14/2) / 5
    Array([2.], dtype=float64)
    """
    X, y, _, p = inputs.regression_problem(X, y, penalty=penalty)
    most, free = inputs.whole(max_steps, "max_steps"), count_unpenalized(penalty, X)

    def found(p: Data) -> Solution:
        X, y, penalties = p
        return _first(_minimisers(X, y, penalties[None, :], most, free))

    return minimiser(CONDITIONS, found, (X, y, p))


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
    X, y, _, p = inputs.regression_problem(X, y, penalty=factors, name="factors")
    P = _descending(penalties, X)[:, None] * p[None, :]
    most, free = inputs.whole(max_steps, "max_steps"), count_unpenalized(factors, X)

    def found(p: Data) -> Solution:
        return _minimisers(*p, most, free)

    return minimisers(CONDITIONS, found, (X, y, P), axes=(None, None, 0))


def _minimisers(X: Array, y: Array, P: Array, max_steps: Array | int, free: int) -> Solution:
    """A Solution for each row of P; all rows are 0 in the same columns, `free` of them."""
    if not is_small(X):
        return _in_stages(X, y, P, max_steps, free)
    return _in_one_program(*padded_rows(X, y), P, max_steps, free)


def _in_stages(X: Array, y: Array, P: Array, max_steps: Array | int, free: int) -> Solution:
    if free == 0:
        return _solutions(descend(X, y, P, max_steps), P, max_steps)
    projected = project(X, y, P[0], free)
    found = descend(projected.X, projected.y, P, max_steps)
    return _with_unpenalized_columns(found, X, y, P, max_steps, free)


@compiled
def _first(found: Solution) -> Solution:
    return jax.tree.map(lambda leaf: leaf[0], found)


# of small data: each stage by itself is a program, and none of them is left out
_in_one_program = compiled(_in_stages, static_argnums=4, operations=gram_work)


@compiled
def _solutions(found: Descent, P: Array, max_steps: Array | int) -> Solution:
    def solution(found: Descent, p: Array) -> Solution:
        J = coordinate_descent.penalised_cost(found.theta, found.rr, p)
        g = _shortest(-2 * found.h, found.theta, p)
        solved = jnp.full_like(found.steps, Status.CONVERGED)
        return Solution(found.theta, J, jnp.linalg.norm(g), found.steps, _status(solved, J, found, max_steps))

    return jax.vmap(solution)(found, P)


@compiled(static_argnums=5)
def _with_unpenalized_columns(
    found: Descent, X: Array, y: Array, P: Array, max_steps: Array | int, free: int
) -> Solution:
    indices, columns = unpenalized_columns(X, P[0], free)

    def solution(found: Descent, p: Array) -> Solution:
        theta_F, rank, _ = least_squares(columns, y - product(X, found.theta))
        theta = found.theta.at[indices].set(theta_F, mode="drop")
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


@compiled(static_argnums=3)
def _largest_penalty(X: Array, y: Array, factors: Array, free: int) -> Array:
    projected = project(X, y, factors, free)
    slopes = 2 * jnp.abs(transpose_product(projected.X, projected.y))
    return jnp.max(jnp.where(factors > 0, slopes / jnp.where(factors > 0, factors, 1), factors))


def _descending(penalties: ArrayLike, X: Array) -> Array:
    """penalties (n,) in the dtype of X; refused if there is none, one is not above 0, or one rises."""
    penalties = inputs.as_array(penalties, "penalties", like=X)
    if penalties.dtype.kind in "bc":
        raise TypeError(f"penalties must hold real numbers; got {penalties.dtype}")
    if penalties.ndim != 1 or not penalties.size:
        raise ValueError(f"penalties must have shape (n,), n at least 1; got shape {penalties.shape}")
    penalties = inputs.nonnegative(penalties.astype(X.dtype), "penalties")
    if inputs.is_concrete(penalties):
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
