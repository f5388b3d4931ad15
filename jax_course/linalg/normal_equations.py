r"""Least squares of tall or wide data: a few reads of X instead of a factorisation of it.

    A = Xᵀ W X + diag(δ²) = S L Lᵀ S                                    once, one read of X
    g = Xᵀ W (y − Xθ) − δ² θ,  θ ← θ + A⁻¹ g                            until the step is rounding

XᵀX squares the condition number of X, so that one solution with it has half of the digits at worst. The steps make up
for it: each is computed from the residual, to full precision, and multiplies the error by about ε cond². They say
themselves how many digits there are, for rounding in g comes back as a step that does not shrink. Where too few are
left, or A has not full rank, the orthogonal factorisation of [√W X; δ] takes over.

With far more columns than rows, the same by rows: X D⁻¹Xᵀ α = y, θ = D⁻¹Xᵀα, the shortest θ for D = I.

A factor in float32 costs half and divides the error by less; the digits are those of the steps, float64's.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from jax_course.linalg.blocks import residual_moments
from jax_course.linalg.grams import gram_and_moment
from jax_course.linalg.least_squares import LeastSquares, shortest_least_squares, unique_least_squares
from jax_course.linalg.products import product, transpose_product
from jax_course.linalg.solve import spd_factor
from jax_course.linalg.trust import first_trusted

TALL = 4  # rows for each column, at least
WORK = 2**20  # m d²: below, the orthogonal factorisation takes no time worth saving
MANY_COLUMNS = 192  # from here on a Gram matrix in float32 saves more than the further steps take
MOST_STEPS = 8
LEAST_DIGITS = 0.65  # of all digits: ten in float64, four or five in float32
ORTHOGONAL, CHOLESKY, HALF_PRECISION = range(3)  # the ways, the dearest first


class Solved(NamedTuple):
    """theta (d,); gradient Xᵀ W (Xθ − y) + δ²θ; cost Σ w (y − Xθ)² + Σ δ²θ²; rank; and which way was taken."""

    theta: Array
    gradient: Array
    cost: Array
    rank: Array
    way: Array


class _State(NamedTuple):
    unknown: Array
    missing: Array
    cost: Array
    step: Array
    last_size: Array
    size: Array
    steps: Array


def penalized_least_squares(X: Array, y: Array, delta2: Array, w: Array) -> Solved:
    """The θ of least Σ w (y − Xθ)² + Σ δ²θ², of least norm among several; delta2 (d,), w a scalar or (m,).

    >>> X, y = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0])
    >>> penalized_least_squares(X, y, jnp.array([3.5]), jnp.array(1.0)).theta
    Array([2.], dtype=float64)
    """
    m, d = X.shape
    if m * m * d >= WORK and d >= TALL * m and not w.ndim:
        ways = [_by_rows]
    elif m < TALL * d or m * d * d < WORK:
        ways = []
    elif X.dtype == jnp.float64 and d >= MANY_COLUMNS:
        ways = [_by_half_precision, _by_cholesky]
    else:
        ways = [_by_cholesky]
    data = X, y, delta2, w
    tried = (partial(way, *data) for way in (*ways, _orthogonal))
    return first_trusted(*tried, otherwise=partial(_shortest, *data))


def predictive_least_squares(X: Array, y: Array, delta2: Array) -> Solved:
    """The same for w = 1, to ten digits of what θ predicts, in float64, if not of θ where columns nearly depend.

    >>> X, y = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0])
    >>> predictive_least_squares(X, y, jnp.array([3.5])).theta
    Array([2.], dtype=float64)
    """
    (m, d), w = X.shape, jnp.ones((), X.dtype)
    ways = [partial(_by_cholesky_for_predictions, X, y, delta2)] if m >= TALL * d and m * d * d >= WORK else []
    return first_trusted(*ways, otherwise=lambda: penalized_least_squares(X, y, delta2, w))


@jax.jit
def _by_cholesky_for_predictions(X: Array, y: Array, delta2: Array) -> tuple[Solved, Array]:
    def energy(step, missing, _):  # √(dθᵀ A dθ), the length of (X dθ, δ dθ)
        return jnp.sqrt(jnp.maximum(step @ missing, 0))

    return _by_columns(X, y, delta2, jnp.ones((), X.dtype), X.dtype, CHOLESKY, energy)


@jax.jit
def _by_cholesky(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    return _by_columns(X, y, delta2, w, X.dtype, CHOLESKY)


@jax.jit
def _by_half_precision(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    return _by_columns(X, y, delta2, w, jnp.float32, HALF_PRECISION)


def _largest_entry(step: Array, _: Array, scale: Array) -> Array:
    return jnp.max(jnp.abs(step / scale))


def _by_columns(
    X: Array, y: Array, delta2: Array, w: Array, dtype: DTypeLike, way: int, size: Callable = _largest_entry
) -> tuple[Solved, Array]:
    G, moment = gram_and_moment(X, y, w, dtype)
    factored = spd_factor(G + jnp.diag(delta2.astype(dtype)))
    scale = factored.scale.astype(X.dtype)

    def solve(minus_gradient):
        step = factored.solve(minus_gradient.astype(dtype)).astype(X.dtype)
        return step, size(step, minus_gradient.astype(X.dtype), scale)

    evaluate = partial(_gradient_and_cost, X=X, y=y, delta2=delta2, w=w)
    end, trusted = _refined(jnp.zeros_like(delta2), moment, solve, evaluate)
    solved = Solved(end.unknown, -end.missing, end.cost, jnp.array(len(delta2)), jnp.array(way))
    return solved, trusted & factored.is_regular()


@jax.jit
def _by_rows(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    free = jnp.all(delta2 == 0)
    inverse = jnp.where(delta2 > 0, 1 / jnp.where(delta2 > 0, delta2, 1), 1)
    ridge = jnp.where(free, 0, 1 / w)
    factored = spd_factor(product(X * inverse[None, :], X.T) + ridge * jnp.eye(len(X), dtype=X.dtype))

    def solve(missing):
        step = factored.solve(missing)
        return step, jnp.max(jnp.abs(step / factored.scale))

    def evaluate(alpha):
        return y - product(X, inverse * transpose_product(X, alpha)) - ridge * alpha, jnp.zeros((), X.dtype)

    end, trusted = _refined(jnp.zeros_like(y), y, solve, evaluate)
    theta = inverse * transpose_product(X, end.unknown)
    minus_gradient, cost = _gradient_and_cost(theta, X, y, delta2, w)
    rank = jnp.where(free, len(X), len(delta2))
    trusted &= factored.is_regular() & (free | jnp.all(delta2 > 0)) & (w > 0)
    return Solved(theta, -minus_gradient, cost, rank, jnp.array(CHOLESKY)), trusted


@jax.jit
def _orthogonal(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    found, full_rank = unique_least_squares(*_augmented_rows(X, y, delta2, w))
    return _solved(found, X, y, delta2, w), full_rank


@jax.jit
def _shortest(X: Array, y: Array, delta2: Array, w: Array) -> Solved:
    return _solved(shortest_least_squares(*_augmented_rows(X, y, delta2, w)), X, y, delta2, w)


def _augmented_rows(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Array, Array]:
    """√W X above diag(δ), and √W y above 0."""
    root, delta = jnp.sqrt(w), jnp.diag(jnp.sqrt(delta2))
    rows = jnp.concatenate([root.reshape(-1, 1) * X, delta])
    return rows, jnp.concatenate([root * y, jnp.zeros_like(delta2)])


def _solved(found: LeastSquares, X: Array, y: Array, delta2: Array, w: Array) -> Solved:
    minus_gradient, cost = _gradient_and_cost(found.theta, X, y, delta2, w)
    return Solved(found.theta, -minus_gradient, cost, found.rank, jnp.array(ORTHOGONAL))


def _gradient_and_cost(theta: Array, X: Array, y: Array, delta2: Array, w: Array) -> tuple[Array, Array]:
    moment, cost = residual_moments(theta, X, y, w)
    penalty = delta2 * theta
    return moment - penalty, cost + jnp.sum(penalty * theta)


def _refined(start: Array, missing: Array, solve: Callable, evaluate: Callable) -> tuple[_State, Array]:
    """Where the steps of `solve` lead, and whether they can be trusted.

    solve(missing) gives a step and its size; evaluate(unknown) what is still missing, and the cost.
    """
    step, first_size = solve(missing)
    eps = jnp.finfo(start.dtype).eps

    def take(state: _State) -> _State:
        unknown = state.unknown + state.step
        missing, cost = evaluate(unknown)
        step, size = solve(missing)
        return _State(unknown, missing, cost, step, state.size, size, state.steps + 1)

    def running(state: _State) -> Array:
        shrinks = (state.steps < 2) | (state.size < state.last_size / 2)
        large = (state.size > 64 * eps * first_size) | (state.steps == 0)
        return large & shrinks & (state.steps < MOST_STEPS)

    infinite, zero = jnp.array(jnp.inf, start.dtype), jnp.zeros((), start.dtype)
    state = _State(start, missing.astype(start.dtype), zero, step, infinite, first_size, jnp.array(0))
    end = lax.while_loop(running, take, state)
    # the last step is not taken: it is what rounding leaves
    return end, end.size <= eps**LEAST_DIGITS * first_size
