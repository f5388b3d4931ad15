r"""The lasso for many penalties: coordinate descent with a working set, a Gram matrix or the residual (course 6.2).

Coordinate descent updates h = Xᵀr where the Gram matrix is no larger than X, O(d) a step, and r = y − Xθ where it would
be larger, O(m) a step. If few θ_j are not 0, it gets the Gram matrix of a working set of columns only. In each round
those enter that leave 0 first, a few at a time: of correlated columns most are needed no longer once others have
entered. Every round ends with h and the gap computed from X: a certificate never rests on sums that the steps have
updated.

Shapes: X (m, d), y (m,), penalties (n, d): n problems, each starting from the one before. p_j = 0 only where X_j is 0.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import first_accepted, gram, inner, product
from jax_course.regression.coordinate_descent import (
    Form,
    Point,
    certified_point,
    form_of_gram,
    penalised_cost,
    tolerance,
)
from jax_course.regression.held_columns import Columns, exchanged, no_columns
from jax_course.regression.scaled_problem import Descent, Problem, scaled_problem
from jax_course.tiers import compiled

ROUNDS = 4  # each computes h from X; after one the gap of correlated columns was up to 3e-8, after two below 1e-8
GRAM = 2048  # columns up to which the Gram matrix, 32 MB in float64, is used whatever m is
WORK = 2**27  # m d², multiplications of the whole Gram matrix; for a third of it a working set saved no time
WORKING_SET = 128  # columns; 256 take twice the time at 5000 × 1000, fewer suffice for fewer parameters only
ENTERING = 32  # columns of a round; correlated by 0.9, 10,000 × 1000, it takes 8 rounds; with 64 they are 7, with 24 10
PATIENCE = 8  # rounds until no more columns may leave 0 than the set has; at a correlation of 0.9 four were too few
SET_ROUNDS = 16  # a path took up to 10, two of them on all problems


def descend(X: Array, y: Array, penalties: Array, max_steps: Array | int) -> Descent:
    """The minimisers for each row of penalties, to a relative gap of `TOLERANCE` or until max_steps sweeps each.

    >>> X, y, one = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array(10)
    >>> descend(X, y, jnp.array([[14.0], [4.0]]), one).theta  # (17 − p/2) / 5
    Array([[2.],
           [3.]], dtype=float64)
    """
    m, d = X.shape
    problem = scaled_problem(X, y, penalties)
    on_all = _on_the_residual if d > max(m, GRAM) else _on_the_gram
    saves_work = m * d**2 >= WORK and d >= 2 * WORKING_SET
    methods = [partial(_on_a_working_set, problem, max_steps)] if saves_work else []
    return first_accepted(*methods, otherwise=lambda: on_all(problem, max_steps))


SWEEPS = 1_000  # multiplications one after another for each pair of columns: 100 sweeps that take ten times as long


def gram_work(X: Array, y: Array, penalties: Array, *_: Array | int) -> float:
    """The multiplications of the Gram matrix, and of the sweeps on it."""
    (m, d), n = X.shape, len(penalties)
    return (m + SWEEPS * n) * d**2


def _problem_work(problem: Problem, *_: Array | int) -> float:
    return gram_work(problem.X, problem.y, problem.penalties)


def _set_work(problem: Problem, *_: Array | int) -> float:
    rounds, n = 4, len(problem.penalties)  # as a rule: few columns enter after the first set
    return rounds * n * ((len(problem.X) + SWEEPS) * WORKING_SET**2 + problem.X.size)


def _residual_work(problem: Problem, *_: Array | int) -> float:
    return SWEEPS * len(problem.penalties) * problem.X.size


@compiled(operations=_problem_work)
def _on_the_gram(problem: Problem, max_steps: Array | int) -> Descent:
    G = problem.scale[:, None] * gram(problem.X) * problem.scale[None, :]
    return _on_all_columns(problem, form_of_gram(G), max_steps)


@compiled(operations=_residual_work)
def _on_the_residual(problem: Problem, max_steps: Array | int) -> Descent:
    rows = problem.scale[:, None] * problem.X.T
    sizes = jnp.sum(rows**2, axis=1)
    form = Form(rows, sizes, lambda w, j: product(rows[j], w), lambda w: product(rows, w), lambda r, h: r)
    return _on_all_columns(problem, form, max_steps)


def _on_all_columns(problem: Problem, form: Form, max_steps: Array | int) -> Descent:
    def solve(state: _Round) -> tuple[Array, Array, Array]:
        thetas, steps = _in_sequence(form, problem.penalties, state, max_steps, inner(problem.y, problem.y))
        return thetas, product(problem.X, (problem.scale[None, :] * thetas).T), steps

    return _in_rounds(problem, max_steps, solve)


@compiled(operations=_set_work)
def _on_a_working_set(problem: Problem, max_steps: Array | int) -> tuple[Descent, Array]:
    """On the columns that leave 0 first, until no other does; accepted if all problems are solved."""
    P = problem.penalties

    def unfinished(state: _SetRound) -> Array:
        used = jnp.any(state.points.theta != 0, axis=0)
        leaving = jnp.sum(_priority(problem, state) > 1)
        is_promising = (jnp.sum(used) < WORKING_SET) & ((leaving <= WORKING_SET) | (state.rounds < PATIENCE))
        open_problems = (state.gaps > tolerance(P)) & (state.steps < max_steps)
        return jnp.any(open_problems) & is_promising & (state.rounds < SET_ROUNDS)

    points, gaps = problem.at_zero()
    zeros = jnp.zeros(len(P), jnp.int32)
    start = _SetRound(
        *(points._replace(w=None), gaps, zeros, jnp.zeros((), jnp.int32)),
        *(_is_last(zeros), no_columns(problem.X, WORKING_SET)),
    )
    end = lax.while_loop(unfinished, partial(_next_set_round, problem, max_steps), start)
    return problem.descent(end.points, end.gaps, end.steps), jnp.all(end.gaps <= tolerance(P))


class _SetRound(NamedTuple):
    """As `_Round`, without r; which of the problems the round was on, and the working set."""

    points: Point
    gaps: Array
    steps: Array
    rounds: Array
    solved: Array
    columns: Columns


def _is_last(values: Array) -> Array:
    return jnp.arange(len(values)) == len(values) - 1


def _priority(problem: Problem, state: _SetRound) -> Array:
    """How far the slopes of the problems that a round was on reach beyond the penalty, (d,): above 1, θ_j leaves 0."""
    P = problem.penalties
    excess = jnp.where((P > 0) & state.solved[:, None], 2 * jnp.abs(state.points.h) / jnp.where(P > 0, P, 1), 0)
    return jnp.max(jnp.where(state.points.theta != 0, jnp.inf, excess), axis=0)


def _next_set_round(problem: Problem, max_steps: Array | int, state: _SetRound) -> _SetRound:
    """Of a path the last problem alone until it is solved: its set has nearly all columns that any of them uses."""
    P, (theta, _, h, rr) = problem.penalties, state.points
    n, d = P.shape
    columns = exchanged(state.columns, problem.X, problem.scale, _priority(problem, state), ENTERING)
    chosen = _is_last(state.gaps) | (state.gaps[-1] <= tolerance(P))
    in_set = _Round(
        Point(columns.part(theta), None, columns.part(h), rr),
        *(jnp.where(chosen, state.gaps, 0), state.steps, state.rounds),
    )
    some, steps = _in_sequence(
        form_of_gram(columns.G), columns.part(P, 1), in_set, max_steps, inner(problem.y, problem.y)
    )
    thetas = columns.spread(some, d)

    def measured(first: int) -> tuple[Point, Array]:
        points, gaps = problem.measured(thetas[first:], product(some[first:], columns.rows).T, P[first:])
        before, new = (state.points, state.gaps), (points._replace(w=None), gaps)
        return jax.tree.map(lambda old, new: old.at[first:].set(new), before, new)

    points, gaps = measured(0) if n == 1 else lax.cond(chosen[0], partial(measured, 0), partial(measured, n - 1))
    return _SetRound(points, gaps, steps, state.rounds + 1, chosen, columns)


class _Round(NamedTuple):
    """The points of all problems, computed from X, w being r; their relative gaps, and the sweeps."""

    points: Point
    gaps: Array
    steps: Array
    rounds: Array | int


def _in_rounds(problem: Problem, max_steps: Array | int, solve: Callable) -> Descent:
    """Rounds of solve, which returns thetas (n, d), their predictions (m, n) and steps, until all are certified."""

    def unfinished(state: _Round) -> Array:
        open_problems = (state.gaps > tolerance(state.gaps)) & (state.steps < max_steps)
        return jnp.any(open_problems) & (state.rounds < ROUNDS)

    def next_round(state: _Round) -> _Round:
        thetas, predictions, steps = solve(state)
        return _Round(*problem.measured(thetas, predictions, problem.penalties), steps, state.rounds + 1)

    start = _Round(*problem.at_zero(), jnp.zeros(len(problem.penalties), jnp.int32), 0)
    end = lax.while_loop(unfinished, next_round, start)
    return problem.descent(end.points, end.gaps, end.steps)


def _in_sequence(form: Form, penalties: Array, state: _Round, max_steps: Array | int, yy: Array) -> tuple[Array, Array]:
    """thetas and steps; a problem whose gap is too large starts from its own point or the one before, the better."""

    def solve(previous: Point, problem):
        own, p, gap, steps = problem
        nearer = penalised_cost(previous.theta, previous.rr, p) < penalised_cost(own.theta, own.rr, p)
        start = jax.tree.map(lambda a, b: jnp.where(nearer, a, b), previous, own)
        end, more = certified_point(form, p, start, jnp.where(gap > tolerance(p), max_steps - steps, 0), yy)
        return end, (end.theta, steps + more)

    points = state.points._replace(w=form.w(state.points.w, state.points.h))
    first = jax.tree.map(lambda leaf: leaf[0], points)
    return lax.scan(solve, first, (points, penalties, state.gaps, state.steps))[1]
