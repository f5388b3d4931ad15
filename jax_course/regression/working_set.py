r"""The lasso for many penalties: coordinate descent with a working set, a Gram matrix or the residual (course 6.2).

Coordinate descent updates h = Xᵀr where the Gram matrix is no larger than X, O(d) a step, and r = y − Xθ where it would
be larger, O(m) a step. If few θ_j leave 0, it gets the Gram matrix of a working set of columns only, and in the next
round the columns that leave 0 then. Every round ends with h and the gap computed from X: a certificate never rests on
sums that the steps have updated.

Shapes: X (m, d), y (m,), penalties (n, d): n problems, each starting from the one before. p_j = 0 only where X_j is 0.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jax_course import inputs
from jax_course.linalg import column_scale, first_accepted, gram, inner, product, transpose_product
from jax_course.members import all_members
from jax_course.regression.coordinate_descent import (
    Form,
    Point,
    certified_point,
    form_of_gram,
    penalised_cost,
    relative_gap,
    tolerance,
)
from jax_course.tiers import compiled

ROUNDS = 4  # each computes h from X; after one the gap of correlated columns was up to 3e-8, after two below 1e-8
GRAM = 2048  # columns up to which the Gram matrix, 32 MB in float64, is used whatever m is
WORK = 2**27  # m d², multiplications of the whole Gram matrix; for a third of it a working set saved no time
WORKING_SET = 128  # columns; 256 take twice the time at 5000 × 1000, fewer suffice for fewer parameters only


class Descent(NamedTuple):
    """For each problem: θ (n, d), h = Xᵀr, ‖r‖² and the relative duality gap, all computed from X; and the sweeps."""

    theta: Array
    h: Array
    rr: Array
    gap: Array
    steps: Array


def descend(X: Array, y: Array, penalties: Array, max_steps: Array | int) -> Descent:
    """The minimisers for each row of penalties, to a relative gap of `TOLERANCE` or until max_steps sweeps each.

    >>> X, y, one = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array(10)
    >>> descend(X, y, jnp.array([[14.0], [4.0]]), one).theta  # (17 − p/2) / 5
    Array([[2.],
           [3.]], dtype=float64)
    """
    m, d = X.shape
    problem = _problem(X, y, penalties)
    on_all = _on_the_residual if d > max(m, GRAM) else _on_the_gram
    saves_work = m * d**2 >= WORK and d >= 2 * WORKING_SET
    methods = [partial(_on_a_working_set, problem, max_steps)] if saves_work else []
    return first_accepted(*methods, otherwise=lambda: on_all(problem, max_steps))


class _Problem(NamedTuple):
    """J of θ' = unit θ / size, with the columns of X diag(scale) and y' of one size; all factors are powers of two."""

    X: Array
    y: Array
    scale: Array
    penalties: Array
    size: Array
    unit: Array

    def columns(self, chosen: Array) -> Array:
        """Some of the columns of X diag(scale)."""
        return jnp.take(self.X, chosen, axis=1) * self.scale[chosen][None, :]

    def measured(self, thetas: Array, predictions: Array) -> tuple[Point, Array]:
        """The points of thetas (n, d) with these predictions (m, n), w being r; and their relative gaps (n,)."""
        r = self.y[None, :] - predictions.T
        h, rr = self.scale[None, :] * transpose_product(self.X, r.T).T, jnp.sum(r**2, axis=1)
        return Point(thetas, r, h, rr), jax.vmap(relative_gap)(thetas, h, rr, self.penalties)

    def at_zero(self) -> tuple[Point, Array]:
        """The points θ = 0 of all problems, w being r; and their relative gaps (n,)."""
        n = len(self.penalties)
        h, rr = self.scale * transpose_product(self.X, self.y), inner(self.y, self.y)
        each = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)), Point(jnp.zeros_like(h), self.y, h, rr)
        )
        return each, jax.vmap(relative_gap)(each.theta, each.h, each.rr, self.penalties)

    def descent(self, points: Point, gaps: Array, steps: Array) -> Descent:
        """The result in the units of the caller."""
        theta, _, h, rr = points
        size, unit = self.size[None, :], self.unit
        return Descent(theta * size / unit, h / size / unit, rr / unit**2, gaps, steps)


def _problem(X: Array, y: Array, penalties: Array) -> _Problem:
    """X is scaled only where a square could overflow: a copy of X would take longer than some fits."""
    scale, unit, extreme = _units(X, y)
    p = jnp.minimum(penalties * scale[None, :] * unit, 4 * len(X))  # above 2 max|h| all p have the solution 0
    found = all_members(extreme)
    if inputs.is_concrete(found) and not np.any(np.asarray(found)):
        return _Problem(X, y * unit, scale, p, scale, unit)
    return _Problem(X * scale[None, :], y * unit, jnp.ones_like(scale), p, scale, unit)


@compiled
def _units(X: Array, y: Array) -> tuple[Array, Array, Array]:
    scale, unit = column_scale(X), column_scale(y[:, None])[0]
    largest = jnp.finfo(X.dtype).max ** 0.2
    return scale, unit, (jnp.max(scale) > largest) | (jnp.min(scale) < 1 / largest)


SWEEPS = 1_000  # multiplications one after another for each pair of columns: 100 sweeps that take ten times as long


def gram_work(X: Array, y: Array, penalties: Array, *_: Array | int) -> float:
    """The multiplications of the Gram matrix, and of the sweeps on it."""
    (m, d), n = X.shape, len(penalties)
    return (m + SWEEPS * n) * d**2


def _problem_work(problem: _Problem, *_: Array | int) -> float:
    return gram_work(problem.X, problem.y, problem.penalties)


def _set_work(problem: _Problem, *_: Array | int) -> float:
    rounds, n = 4, len(problem.penalties)  # as a rule: few columns enter after the first set
    return rounds * n * ((len(problem.X) + SWEEPS) * WORKING_SET**2 + problem.X.size)


def _residual_work(problem: _Problem, *_: Array | int) -> float:
    return SWEEPS * len(problem.penalties) * problem.X.size


@compiled(operations=_problem_work)
def _on_the_gram(problem: _Problem, max_steps: Array | int) -> Descent:
    G = problem.scale[:, None] * gram(problem.X) * problem.scale[None, :]
    return _on_all_columns(problem, form_of_gram(G), max_steps)


@compiled(operations=_residual_work)
def _on_the_residual(problem: _Problem, max_steps: Array | int) -> Descent:
    rows = problem.scale[:, None] * problem.X.T
    sizes = jnp.sum(rows**2, axis=1)
    form = Form(rows, sizes, lambda w, j: product(rows[j], w), lambda w: product(rows, w), lambda r, h: r)
    return _on_all_columns(problem, form, max_steps)


def _on_all_columns(problem: _Problem, form: Form, max_steps: Array | int) -> Descent:
    def solve(state: _Round) -> tuple[Array, Array, Array]:
        thetas, steps = _in_sequence(form, problem.penalties, state, max_steps, inner(problem.y, problem.y))
        return thetas, product(problem.X, (problem.scale[None, :] * thetas).T), steps

    return _in_rounds(problem, max_steps, solve, lambda state: True)


@compiled(operations=_set_work)
def _on_a_working_set(problem: _Problem, max_steps: Array | int) -> tuple[Descent, Array]:
    """On the columns that leave 0 first, until no other does; accepted if all problems are solved."""

    def priority(points: Point) -> Array:
        p = problem.penalties
        excess = jnp.where(p > 0, 2 * jnp.abs(points.h) / jnp.where(p > 0, p, 1), 0)  # above 1, θ_j leaves 0
        return jnp.max(jnp.where(points.theta != 0, jnp.inf, excess), axis=0)

    patience = 3 if len(problem.penalties) == 1 else 1  # rounds on many problems cost as much as the whole Gram matrix

    def is_promising(state: _Round) -> Array:
        used = jnp.sum(jnp.any(state.points.theta != 0, axis=0))
        fits = jnp.sum(priority(state.points) > 1) <= WORKING_SET
        return (used < WORKING_SET) & (fits | (state.rounds < patience))

    def solve(state: _Round) -> tuple[Array, Array, Array]:
        chosen = lax.top_k(priority(state.points), WORKING_SET)[1]
        columns, p = problem.columns(chosen), problem.penalties[:, chosen]
        theta, _, h, rr = state.points
        some = state._replace(points=Point(theta[:, chosen], None, h[:, chosen], rr))
        in_set, steps = _in_sequence(form_of_gram(gram(columns)), p, some, max_steps, inner(problem.y, problem.y))
        return jnp.zeros_like(theta).at[:, chosen].set(in_set), product(columns, in_set.T), steps

    found = _in_rounds(problem, max_steps, solve, is_promising)
    return found, jnp.all(found.gap <= tolerance(problem.y))


class _Round(NamedTuple):
    """The points of all problems, computed from X, w being r; their relative gaps, and the sweeps."""

    points: Point
    gaps: Array
    steps: Array
    rounds: Array | int


def _in_rounds(problem: _Problem, max_steps: Array | int, solve: Callable, is_promising: Callable) -> Descent:
    """Rounds of solve, which returns thetas (n, d), their predictions (m, n) and steps, until all are certified."""

    def unfinished(state: _Round) -> Array:
        open_problems = (state.gaps > tolerance(state.gaps)) & (state.steps < max_steps)
        return jnp.any(open_problems) & (state.rounds < ROUNDS) & is_promising(state)

    def next_round(state: _Round) -> _Round:
        thetas, predictions, steps = solve(state)
        return _Round(*problem.measured(thetas, predictions), steps, state.rounds + 1)

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
