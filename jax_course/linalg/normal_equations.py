r"""Least squares of tall data: two or three passes over X instead of a factorisation of it.

    A = Xᵀ W X + diag(δ²) = S L Lᵀ S                                    once, one read of X
    g = Xᵀ W (y − Xθ) − δ² θ,  θ ← θ + A⁻¹ g                            until the step is rounding

XᵀX squares the condition number of X, so that one solution with it has half of the digits at worst. The steps make up
for it: each is computed from the residual, to full precision, and multiplies the error by about ε cond². They say
themselves how many digits there are, for rounding in g comes back as a step that does not shrink. Where too few are
left, or A has not full rank, the orthogonal factorisation of [√W X; δ] takes over.

A factor in float32 costs half and divides the error by less; the digits are those of the steps, float64's.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.arrays import first_trusted
from jax_course.linalg.least_squares import least_squares
from jax_course.linalg.products import gram, gram_in_half_precision, product, transpose_product
from jax_course.linalg.solve import Factored, spd_factor

TALL = 4  # rows for each column, at least
WORK = 2**24  # m d²: below, the orthogonal factorisation takes no time worth saving
MANY_COLUMNS = 192  # from here on a Gram matrix in float32 saves more than the further steps take
MOST_STEPS = 8
ORTHOGONAL, CHOLESKY, HALF_PRECISION = range(3)  # the ways, by their cost


class Solved(NamedTuple):
    """theta (d,); gradient Xᵀ W (Xθ − y) + δ²θ; cost Σ w (y − Xθ)² + Σ δ²θ²; rank; and which way was taken."""

    theta: Array
    gradient: Array
    cost: Array
    rank: Array
    way: Array


class _State(NamedTuple):
    theta: Array
    minus_gradient: Array
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
    data = X, y, delta2, w
    if m < TALL * d or m * d * d < WORK:
        return _orthogonal(*data)
    ways = [_by_cholesky]
    if X.dtype == jnp.float64 and d >= MANY_COLUMNS and not w.ndim:
        ways = [_by_half_precision, _by_cholesky]
    return first_trusted(*(partial(way, *data) for way in ways), otherwise=partial(_orthogonal, *data))


@jax.jit
def _by_cholesky(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    return _refined(spd_factor(gram(X, w) + jnp.diag(delta2)), CHOLESKY, X, y, delta2, w)


@jax.jit
def _by_half_precision(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    A = gram_in_half_precision(X) * w.astype(jnp.float32) + jnp.diag(delta2.astype(jnp.float32))
    return _refined(spd_factor(A), HALF_PRECISION, X, y, delta2, w)


@jax.jit
def _orthogonal(X: Array, y: Array, delta2: Array, w: Array) -> Solved:
    root, delta = jnp.sqrt(w), jnp.diag(jnp.sqrt(delta2))
    rows = jnp.concatenate([root.reshape(-1, 1) * X, delta])
    theta, rank, _ = least_squares(rows, jnp.concatenate([root * y, jnp.zeros_like(delta2)]))
    minus_gradient, cost = _gradient_and_cost(theta, X, y, delta2, w)
    return Solved(theta, -minus_gradient, cost, rank, jnp.array(ORTHOGONAL))


def _gradient_and_cost(theta: Array, X: Array, y: Array, delta2: Array, w: Array) -> tuple[Array, Array]:
    residual = y - product(X, theta)
    penalty = delta2 * theta
    return transpose_product(X, w * residual) - penalty, jnp.sum(w * residual**2) + jnp.sum(penalty * theta)


def _refined(factored: Factored, way: int, X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    """What the steps lead to, and whether they can be trusted."""
    eps = jnp.finfo(X.dtype).eps
    low = factored.L.dtype

    def next_step(minus_gradient):
        step = factored.solve(minus_gradient.astype(low)).astype(X.dtype)
        return step, jnp.max(jnp.abs(step / factored.scale.astype(X.dtype)))

    def take(state: _State) -> _State:
        theta = state.theta + state.step
        minus_gradient, cost = _gradient_and_cost(theta, X, y, delta2, w)
        step, size = next_step(minus_gradient)
        return _State(theta, minus_gradient, cost, step, state.size, size, state.steps + 1)

    def running(state: _State) -> Array:
        shrinks = (state.steps == 0) | (state.size < state.last_size / 2)
        return (state.size > 64 * eps * first_size) & shrinks & (state.steps < MOST_STEPS)

    zero = jnp.zeros_like(delta2)
    start = transpose_product(X, w * y)
    step, first_size = next_step(start)
    infinite = jnp.array(jnp.inf, X.dtype)
    state = _State(zero, start, jnp.sum(w * y**2), step, infinite, first_size, jnp.array(0))
    end = lax.while_loop(running, take, state)
    # the last step is not taken: it is what rounding leaves
    trusted = (end.size <= eps**0.75 * first_size) & (factored.rcond > 0)
    solved = Solved(end.theta, -end.minus_gradient, end.cost, jnp.array(len(delta2)), jnp.array(way))
    return solved, trusted
