r"""The methods of kernel ridge regression with one kernel on each training point (course 6.4).

    (K + δ²I) θ = y  by Cholesky's factor, or by conjugate gradients from products K θ
    P = δ²I + B Bᵀ,  B = K_mn L⁻ᵀ,  K_nn = L Lᵀ                      the preconditioner, from n of the m points
    P⁻¹v = (v − B (δ²I + BᵀB)⁻¹ Bᵀv) / δ²                            by Woodbury

B Bᵀ is Nyström's approximation of K from n of the points: its large eigenvalues, which make conjugate gradients slow.
If K does not fit in memory, K θ is computed by blocks of rows of K: memory is O(m n) for B and `BLOCK` numbers for a
block, instead of O(m²). If it fits, conjugate gradients often cost less than its factor.

Shapes: X (m, d), y (m,), scale and delta2 (), theta (m,). Of t targets: y and theta (m, t), the sum of the costs, the
worst status. `regression.kernel` chooses the method.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.features import rbf
from jax_course.linalg import Factored, gram, inner, product, rank_tolerance, spd_factor, transpose_product
from jax_course.linalg.lapack import cholesky, eigh, solve_triangular
from jax_course.solution import Method, Solution, Status
from jax_course.tiers import compiled

BLOCK = 2**21  # numbers in a block of the kernel: 16 MB in float64
PRECONDITIONER_POINTS = 512  # training points; fewer cost more steps, more cost a longer factor of K_nn
ITERATIVE_STEPS = 60  # of conjugate gradients, which take as long as half a factor, until they are given up
MOST_STEPS = 1000  # of conjugate gradients, until a fit is OUT_OF_STEPS
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}  # of ‖y − (K + δ²I)θ‖ relative to ‖y‖


class WithBias(NamedTuple):
    """The parameters of ŷ = Σ_j weights_j k(x, x_j) + bias: weights (m,), bias ()."""

    weights: Array
    bias: Array


def _for_each_target(fit: Callable[[Array], tuple[Solution, Array]], y: Array) -> tuple[Solution, Array]:
    """fit(y), or of each column of y, and whether all are accepted.

    What fit computes from other arrays, such as a factor, is computed once for all columns.
    """
    if y.ndim == 1:
        return fit(y)
    each, accepted = jax.vmap(fit, in_axes=1)(y)
    cost, gradient_norm = jnp.sum(each.cost), jnp.linalg.norm(each.gradient_norm)
    status, method = jnp.max(each.status), jnp.asarray(each.method)[0]
    found = Solution(each.theta.T, cost, gradient_norm, jnp.max(each.steps), status, method=method)
    return found, jnp.all(accepted)


def _kernel_work(X: Array, *_: Array) -> float:
    """The multiplications of the kernel and of its factor."""
    m, d = X.shape
    return m**2 * (d + m / 3)


@compiled(operations=_kernel_work)
def conjugate_gradient_fit(X: Array, y: Array, scale: Array, delta2: Array) -> tuple[Solution, Array]:
    """By conjugate gradients, to rounding; accepted where δ² makes θ unique, after fewer than `ITERATIVE_STEPS`."""
    K, tolerance = rbf(X, centers=X, scale=scale), 4 * float(jnp.finfo(X.dtype).eps)
    times = partial(product, K)

    unique = delta2 > _rounding(K)

    def fit_target(y):
        def iterated():
            return _conjugate_gradients(times, X, y, scale, delta2, tolerance, ITERATIVE_STEPS)

        theta, steps = lax.cond(unique, iterated, lambda: (jnp.zeros_like(y), jnp.zeros((), jnp.int32)))
        fitted = product(K, theta)
        sizes = jnp.linalg.norm(y) + jnp.linalg.norm(product(K, jnp.abs(theta)))
        solved = jnp.linalg.norm(y - fitted - delta2 * theta) <= 4 * tolerance * sizes
        found = _solution(times, y, delta2, theta, fitted, Status.CONVERGED, Method.CONJUGATE_GRADIENTS)
        return found._replace(steps=steps), unique & (steps < ITERATIVE_STEPS) & solved

    return _for_each_target(fit_target, y)


@compiled(operations=_kernel_work)
def cholesky_fit(X: Array, y: Array, scale: Array, delta2: Array) -> tuple[Solution, Array]:
    """By Cholesky's factor of K + δ²I with a step of refinement; accepted where that is regular."""
    K = rbf(X, centers=X, scale=scale)
    A = K + delta2 * jnp.eye(len(X), dtype=X.dtype)
    factored = spd_factor(A)

    def fit_target(y):
        theta = factored.solve(y)
        theta = theta + factored.solve(y - product(A, theta))
        found = _solution(partial(product, K), y, delta2, theta, product(K, theta), Status.CONVERGED, Method.CHOLESKY)
        return found, is_regular(factored, A, delta2)

    return _for_each_target(fit_target, y)


@compiled(operations=_kernel_work)
def least_norm_fit(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    """θ of least norm by the eigenvalues of K + δ²I."""
    K = rbf(X, centers=X, scale=scale)
    eigenvalues, V = eigh(K + delta2 * jnp.eye(len(X), dtype=X.dtype))
    kept = eigenvalues > rank_tolerance(K) * eigenvalues[-1]

    def fit_target(y):
        theta = product(V, jnp.where(kept, product(V.T, y) / jnp.where(kept, eigenvalues, 1), 0))
        status, method = Status.RANK_DEFICIENT, Method.CHOLESKY
        return _solution(partial(product, K), y, delta2, theta, product(K, theta), status, method), jnp.array(True)

    return _for_each_target(fit_target, y)[0]


def is_regular(factored: Factored, A: Array, delta2: Array) -> Array:
    """Whether A = K + δ²I is regular, by its factor, or because δ² is more than rounding."""
    return factored.is_regular() | (delta2 > _rounding(A))


def _rounding(K: Array) -> Array:
    """A bound on the rounding of the eigenvalues of K, which are at least 0: a larger δ² makes K + δ²I regular."""
    return 16 * jnp.finfo(K.dtype).eps * jnp.max(jnp.sum(K, axis=1))


@compiled(operations=_kernel_work)
def block_fit(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    """By conjugate gradients without K in memory."""
    delta2 = _at_least_rounding(X, delta2)
    times, tolerance = partial(kernel_product, X=X, centers=X, scale=scale), TOLERANCE[str(y.dtype)]

    def fit_target(y):
        theta, steps = _conjugate_gradients(times, X, y, scale, delta2, tolerance / 2, MOST_STEPS)
        fitted, sizes = kernel_product(jnp.stack([theta, jnp.abs(theta)], axis=1), X, X, scale).T
        rounding = jnp.finfo(y.dtype).eps * jnp.linalg.norm(sizes)  # of the sums in Kθ
        solved = jnp.linalg.norm(y - fitted - delta2 * theta) <= jnp.maximum(tolerance * jnp.linalg.norm(y), rounding)
        status = jnp.where(steps < MOST_STEPS, Status.NO_DESCENT, Status.OUT_OF_STEPS)
        status = jnp.where(solved, Status.CONVERGED, status)
        found = _solution(times, y, delta2, theta, fitted, status, Method.CONJUGATE_GRADIENTS)
        return found._replace(steps=steps), jnp.array(True)

    return _for_each_target(fit_target, y)[0]


def _at_least_rounding(X: Array, delta2: Array) -> Array:
    """δ², of which less than the rounding of K counts as none."""
    return jnp.maximum(delta2, len(X) * jnp.finfo(X.dtype).eps)


def solve_by_blocks(X: Array, b: Array, scale: Array, delta2: Array) -> Array:
    """(K + δ²I)⁻¹ b by conjugate gradients without K in memory; NaN where they do not end."""
    delta2, times = _at_least_rounding(X, delta2), partial(kernel_product, X=X, centers=X, scale=scale)
    x, steps = _conjugate_gradients(times, X, b, scale, delta2, TOLERANCE[str(b.dtype)] / 2, MOST_STEPS)
    return jnp.where(steps < MOST_STEPS, x, jnp.nan)


@compiled(operations=_kernel_work)
def bias_fit(X: Array, y: Array, scale: Array, delta2: Array) -> Solution:
    """The weights and a bias b with (K + δ²I) weights = y − b and Σ weights = 0, by Cholesky's factor."""
    K, ones = rbf(X, centers=X, scale=scale), jnp.ones_like(y)
    factored = spd_factor(K + delta2 * jnp.eye(len(X), dtype=X.dtype))
    weights_of_y, weights_of_ones = factored.solve(y), factored.solve(ones)
    bias = inner(ones, weights_of_y) / inner(ones, weights_of_ones)
    weights = weights_of_y - bias * weights_of_ones
    fitted, status = product(K, weights), jnp.where(factored.is_regular(), Status.CONVERGED, Status.NOT_FINITE)
    found = _solution(partial(product, K), y - bias, delta2, weights, fitted, status, Method.THE_ONLY_ONE)
    bias_slope = -2 * jnp.sum(y - bias - fitted)
    return found._replace(theta=WithBias(weights, bias), gradient_norm=jnp.hypot(found.gradient_norm, bias_slope))


def _solution(
    times: Callable, y: Array, delta2: Array, theta: Array, fitted: Array, status: Array | int, method: Method
) -> Solution:
    """θ with its cost and gradient, given fitted = Kθ and times(v) = Kv; NOT_FINITE if the cost is not finite."""
    J = jnp.sum((y - fitted) ** 2) + inner(delta2 * theta, fitted)
    g = 2 * times(fitted - y + delta2 * theta)
    status = jnp.where(jnp.isfinite(J), status, Status.NOT_FINITE).astype(jnp.int32)
    return Solution(theta, J, jnp.linalg.norm(g), jnp.array(1), status, method=jnp.array(method, jnp.int32))


def kernel_product(theta: Array, X: Array, centers: Array, scale: Array) -> Array:
    """The kernel times theta (n,) or (n, K), shape (m,) or (m, K); at most `BLOCK` numbers of the kernel at a time."""
    rows = max(1, BLOCK // len(centers))
    if len(X) <= rows:
        return product(rbf(X, centers=centers, scale=scale), theta)

    @jax.checkpoint  # a derivative computes the kernel of the rows again, and does not keep all of it
    def row_product(x: Array, theta: Array, centers: Array, scale: Array) -> Array:
        return product(rbf(x[None, :], centers=centers, scale=scale), theta)[0]

    return lax.map(lambda x: row_product(x, theta, centers, scale), X, batch_size=rows)


class _State(NamedTuple):
    theta: Array
    r: Array
    p: Array
    rz: Array
    steps: Array


def _conjugate_gradients(
    times: Callable[[Array], Array], X: Array, y: Array, scale: Array, delta2: Array, tolerance: float, most_steps: int
) -> tuple[Array, Array]:
    """θ with (K + δ²I)θ = y to a residual of tolerance ‖y‖, and the number of steps; times(v) = Kv."""
    P_inverse = _preconditioner(X, scale, delta2)

    def step(state):
        theta, r, p, rz, steps = state
        Ap = times(p) + delta2 * p
        alpha = rz / inner(p, Ap)
        r = r - alpha * Ap
        z = P_inverse(r)
        new_rz = inner(r, z)
        return _State(theta + alpha * p, r, z + new_rz / rz * p, new_rz, steps + 1)

    def running(state):
        norm = jnp.linalg.norm(state.r)
        return (norm > tolerance * jnp.linalg.norm(y)) & jnp.isfinite(norm) & (state.steps < most_steps)

    z = P_inverse(y)
    end = lax.while_loop(running, step, _State(jnp.zeros_like(y), y, z, inner(y, z), jnp.zeros((), jnp.int32)))
    return end.theta, end.steps


def _preconditioner(X: Array, scale: Array, delta2: Array) -> Callable[[Array], Array]:
    """The function v ↦ P⁻¹v."""
    chosen = X[:: max(1, len(X) // PRECONDITIONER_POINTS)][:PRECONDITIONER_POINTS]
    n = len(chosen)
    K_nn = rbf(chosen, centers=chosen, scale=scale) + 10 * n * jnp.finfo(X.dtype).eps * jnp.eye(n, dtype=X.dtype)
    B = solve_triangular(cholesky(K_nn), rbf(chosen, centers=X, scale=scale), lower=True).T
    inner = spd_factor(gram(B) + delta2 * jnp.eye(n, dtype=X.dtype))
    return lambda v: (v - product(B, inner.solve(transpose_product(B, v)))) / delta2
