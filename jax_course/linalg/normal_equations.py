r"""Least squares of tall or wide data: a few reads of X instead of a factorisation of it.

    A = Xᵀ W X + diag(δ²) = S L Lᵀ S                                    once, one read of X
    g = Xᵀ W (y − Xθ) − δ² θ,  θ ← θ + A⁻¹ g                            until the step is rounding

XᵀX squares the condition number of X, so that one solution with it has half of the digits at worst. The steps make up
for it: each is computed from the residual, to full precision, and multiplies the error by about ε cond². They say
themselves how many digits there are, for rounding in g comes back as a step that does not shrink. Where too few are
left, or A has not full rank, the orthogonal factorisation of [√W X; δ] takes over.

With far more columns than rows, the same by rows: X D⁻¹Xᵀ α = y, θ = D⁻¹Xᵀα, the shortest θ for D = I.

Of t targets, y (m, t), all have the factor in common, and a method is accepted if it is for each of them.

A factor in float32 costs half and divides the error by less; the digits are those of the steps, float64's.
"""

import enum
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jax_course.linalg.blocks import residual_moments
from jax_course.linalg.cholesky import spd_factor
from jax_course.linalg.fallback import first_accepted
from jax_course.linalg.grams import gram_and_moment, row_gram
from jax_course.linalg.least_squares import LeastSquares, shortest_least_squares, unique_least_squares
from jax_course.linalg.products import inner, product, transpose_product
from jax_course.linalg.refinement import CLOSE_DIGITS, Refined, refined, relative_noise
from jax_course.padding import padded_rows
from jax_course.tiers import compiled

TALL = 4  # rows for each column, at least
WORK = 2**20  # m d²: below, the orthogonal factorisation takes no time worth saving
MANY_COLUMNS = 192  # from here on a Gram matrix in float32 saves more than the further steps take
COST_DIGITS = 1 / 4  # of all digits, may be lost of a cost that is a difference of squares


class LeastSquaresMethod(enum.IntEnum):
    """The algorithm that solved a least-squares problem, the slowest first."""

    ORTHOGONAL = 0
    NORMAL_EQUATIONS = 1
    HALF_PRECISION = 2


class Solved(NamedTuple):
    """theta (d,); gradient Xᵀ W (Xθ − y) + δ²θ; cost Σ w (y − Xθ)² + Σ δ²θ²; rank; a `LeastSquaresMethod`.

    Of t targets: theta and gradient (d, t), the sum of their costs.
    """

    theta: Array
    gradient: Array
    cost: Array
    rank: Array
    method: Array


def penalized_least_squares(
    X: Array, y: Array, delta2: Array, w: Array, *, refuse: Callable[[], None] = lambda: None
) -> Solved:
    """The θ of least Σ w (y − Xθ)² + Σ δ²θ², of least norm among several; delta2 (d,), w a scalar or (m,).

    y (m,), or (m, t) of t targets, for which theta is (d, t): each column minimises its own sum.

    refuse() raises an error where X or y is not finite. A method whose sums show it needs no read of X to find out;
    before any other, and where such a method has failed, `refuse` is called.

    >>> X, y = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0])
    >>> penalized_least_squares(X, y, jnp.array([3.5]), jnp.array(1.0)).theta
    Array([2.], dtype=float64)
    """
    m, d = X.shape
    if m * m * d >= WORK and d >= TALL * m and not w.ndim:
        methods = [_row_equations]
    elif m < TALL * d or m * d * d < WORK:
        methods = []
    elif X.dtype == jnp.float64 and d >= MANY_COLUMNS:
        methods = [_half_precision, _double_precision]
    else:
        methods = [_double_precision]
    X, y, w = padded_rows(X, y, w)
    data = X, y, delta2, w

    def orthogonal() -> tuple[Solved, Array]:
        refuse()
        return _orthogonal(*data)

    tried = (partial(method, *data) for method in methods)
    return first_accepted(*tried, orthogonal, otherwise=partial(_shortest, *data))


def predictive_least_squares(X: Array, y: Array, delta2: Array) -> Solved:
    """Penalised least squares for w = 1, with ten digits of the predictions in float64, if not of θ.

    Where columns nearly depend on each other, digits of θ are lost that the predictions do not need.

    >>> X, y = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0])
    >>> predictive_least_squares(X, y, jnp.array([3.5])).theta
    Array([2.], dtype=float64)
    """
    (m, d), w = X.shape, jnp.ones((), X.dtype)
    methods = [partial(_accurate_predictions, X, y, delta2)] if m >= TALL * d and m * d * d >= WORK else []
    return first_accepted(*methods, otherwise=lambda: penalized_least_squares(X, y, delta2, w))


def _for_each_target(solve: Callable[..., tuple[Solved, Array]], *columns: Array) -> tuple[Solved, Array]:
    """solve(*columns) of vectors, or of each column of matrices: what it makes of other arrays is made once for all."""
    if columns[0].ndim == 1:
        return solve(*columns)
    each, accepted = jax.vmap(solve, in_axes=1)(*columns)
    solved = Solved(each.theta.T, each.gradient.T, jnp.sum(each.cost), jnp.min(each.rank), each.method[0])
    return solved, jnp.all(accepted)


def column_work(X: Array, *_: Array) -> float:
    """The multiplications of XᵀX."""
    return X.size * X.shape[1]


def row_work(X: Array, *_: Array) -> float:
    """The multiplications of XXᵀ."""
    return X.size * X.shape[0]


def factor_work(X: Array, *_: Array) -> float:
    """The multiplications of an orthogonal factorisation of X, with its refinement."""
    return 4 * X.size * min(X.shape)


@compiled(operations=column_work)
def _accurate_predictions(X: Array, y: Array, delta2: Array) -> tuple[Solved, Array]:
    def energy(step, missing, _):  # √(dθᵀ A dθ), the length of (X dθ, δ dθ)
        return jnp.sqrt(jnp.maximum(inner(step, missing), 0))

    return _column_equations(X, y, delta2, jnp.ones((), X.dtype), X.dtype, LeastSquaresMethod.NORMAL_EQUATIONS, energy)


@compiled(operations=column_work)
def _double_precision(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    return _column_equations(X, y, delta2, w, X.dtype, LeastSquaresMethod.NORMAL_EQUATIONS)


@compiled(operations=column_work)
def _half_precision(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    return _column_equations(X, y, delta2, w, jnp.float32, LeastSquaresMethod.HALF_PRECISION)


def _largest_entry(step: Array, _: Array, scale: Array) -> Array:
    return jnp.max(jnp.abs(step / scale))


def _column_equations(
    X: Array, y: Array, delta2: Array, w: Array, dtype: DTypeLike, method: int, size: Callable = _largest_entry
) -> tuple[Solved, Array]:
    G, moment = gram_and_moment(X, y, w, dtype)
    factored = spd_factor(G + jnp.diag(delta2.astype(dtype)))
    scale, A, moment = factored.scale.astype(X.dtype), G.astype(X.dtype) + jnp.diag(delta2), moment.astype(X.dtype)

    def solve(minus_gradient):
        step = factored.solve(minus_gradient.astype(dtype)).astype(X.dtype)
        return step, size(step, minus_gradient, scale)

    def solve_target(moment, y):
        theta, first_size = solve(moment)
        missing, squares = moment - product(A, theta), jnp.sum(w * y**2)
        cost = squares - jnp.sum(theta * (moment + missing))
        enough = (dtype == X.dtype) & factored.is_regular(relative_noise(X.dtype, 1 - CLOSE_DIGITS))
        enough &= cost > relative_noise(X.dtype, COST_DIGITS) * squares
        left, infinite = jnp.where(enough, 0, first_size), jnp.array(jnp.inf, X.dtype)
        start = Refined(theta, missing, cost, left, infinite, jnp.array(0))
        evaluate = partial(_gradient_and_cost, X=X, y=y, delta2=delta2, w=w)
        end, trusted = refined(start, first_size, solve, evaluate, partial(product, A))
        solved = Solved(end.unknown, -end.missing, end.cost, jnp.array(len(delta2)), jnp.array(method))
        return solved, trusted & factored.is_regular()

    return _for_each_target(solve_target, moment, y)


@compiled(operations=row_work)
def _row_equations(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    free = jnp.all(delta2 == 0)
    inverse = jnp.where(delta2 > 0, 1 / jnp.where(delta2 > 0, delta2, 1), 1)
    ridge = jnp.where(free, 0, 1 / w)
    A = row_gram(X * jnp.sqrt(inverse)[None, :]) + ridge * jnp.eye(len(X), dtype=X.dtype)
    factored = spd_factor(A)

    def solve(missing):
        step = factored.solve(missing)
        return step, jnp.max(jnp.abs(step / factored.scale))

    def solve_target(y):
        def evaluate(alpha):
            return y - product(X, inverse * transpose_product(X, alpha)) - ridge * alpha, jnp.zeros((), X.dtype)

        alpha, first_size = solve(y)
        zero, infinite = jnp.zeros((), X.dtype), jnp.array(jnp.inf, X.dtype)
        start = Refined(alpha, jnp.zeros_like(y), zero, first_size, infinite, jnp.array(0))
        end, trusted = refined(start, first_size, solve, evaluate, partial(product, A))
        theta = inverse * transpose_product(X, end.unknown)
        minus_gradient, cost = _gradient_and_cost(theta, X, y, delta2, w)
        rank = jnp.where(free, len(X), len(delta2))
        trusted &= factored.is_regular() & (free | jnp.all(delta2 > 0)) & (w > 0)
        return Solved(theta, -minus_gradient, cost, rank, jnp.array(LeastSquaresMethod.NORMAL_EQUATIONS)), trusted

    return _for_each_target(solve_target, y)


@compiled(operations=factor_work)
def _orthogonal(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Solved, Array]:
    def solve_target(y):
        found, full_rank = unique_least_squares(*_augmented_rows(X, y, delta2, w))
        return _solved(found, X, y, delta2, w), full_rank

    return _for_each_target(solve_target, y)


@compiled(operations=factor_work)
def _shortest(X: Array, y: Array, delta2: Array, w: Array) -> Solved:
    def solve_target(y):
        found = shortest_least_squares(*_augmented_rows(X, y, delta2, w))
        return _solved(found, X, y, delta2, w), jnp.array(True)

    return _for_each_target(solve_target, y)[0]


def _augmented_rows(X: Array, y: Array, delta2: Array, w: Array) -> tuple[Array, Array]:
    """√W X above diag(δ), and √W y above 0."""
    root, delta = jnp.sqrt(w), jnp.diag(jnp.sqrt(delta2))
    rows = jnp.concatenate([root.reshape(-1, 1) * X, delta])
    return rows, jnp.concatenate([root * y, jnp.zeros_like(delta2)])


def _solved(found: LeastSquares, X: Array, y: Array, delta2: Array, w: Array) -> Solved:
    minus_gradient, cost = _gradient_and_cost(found.theta, X, y, delta2, w)
    return Solved(found.theta, -minus_gradient, cost, found.rank, jnp.array(LeastSquaresMethod.ORTHOGONAL))


def _gradient_and_cost(theta: Array, X: Array, y: Array, delta2: Array, w: Array) -> tuple[Array, Array]:
    moment, cost = residual_moments(theta, X, y, w)
    penalty = delta2 * theta
    return moment - penalty, cost + jnp.sum(penalty * theta)
