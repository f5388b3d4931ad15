r"""The lasso for many penalties: coordinate descent on few columns, on the Gram matrix or on the residual (course 6.2).

Coordinate descent works on h = Xᵀr where the Gram matrix is no larger than X, O(d) a step, and on r = y − Xθ where it
would be, O(m) a step. Where few θ_j want to leave 0 it is given the Gram matrix of these few columns, and again with
the columns that want to leave then. Every round ends with h and the gap computed afresh from X: what certifies a
solution is never what the steps have carried along.

Shapes: X (m, d), y (m,), penalties (n, d): n problems, each starting from the one before. p_j = 0 only where X_j is 0.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course import arrays
from jax_course.linalg import column_scale, first_trusted, gram, product, transpose_product
from jax_course.regression.coordinate_descent import (
    Form,
    Point,
    certified_point,
    form_of_gram,
    penalised_cost,
    relative_gap,
    tolerance,
)

ROUNDS = 4  # in which h is computed afresh from X
GRAM = 2048  # columns up to which the Gram matrix is used whatever m is
WORK = 2**27  # m d²: below, the whole Gram matrix takes no time worth saving
WORKING_SET = 128  # columns


class Descent(NamedTuple):
    """For each problem: θ (n, d), h = Xᵀr, ‖r‖² and the relative duality gap, all from X itself; the sweeps."""

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
    few = m * d**2 >= WORK and d >= 2 * WORKING_SET
    ways = [partial(_on_a_working_set, problem, max_steps)] if few else []
    return first_trusted(*ways, otherwise=lambda: on_all(problem, max_steps))


class _Problem(NamedTuple):
    """J of θ' = unit θ / size, with the columns of X diag(scale) and y' of one size; factors that round nothing."""

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
        """What X makes of thetas (n, d) that predict so (m, n), with w = r; and their relative gaps (n,)."""
        r = self.y[None, :] - predictions.T
        h, rr = self.scale[None, :] * transpose_product(self.X, r.T).T, jnp.sum(r**2, axis=1)
        return Point(thetas, r, h, rr), jax.vmap(relative_gap)(thetas, h, rr, self.penalties)

    def at_zero(self) -> tuple[Point, Array]:
        """The same of 0 for all problems."""
        n = len(self.penalties)
        h, rr = self.scale * transpose_product(self.X, self.y), self.y @ self.y
        each = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)), Point(jnp.zeros_like(h), self.y, h, rr)
        )
        return each, jax.vmap(relative_gap)(each.theta, each.h, each.rr, self.penalties)

    def descent(self, points: Point, gaps: Array, steps: Array) -> Descent:
        """In the units of the caller."""
        theta, _, h, rr = points
        size, unit = self.size[None, :], self.unit
        return Descent(theta * size / unit, h / size / unit, rr / unit**2, gaps, steps)


def _problem(X: Array, y: Array, penalties: Array) -> _Problem:
    """The columns stay as they are where no square can overflow; a copy of X would take longer than some fits."""
    scale, unit, extreme = _units(X, y)
    p = jnp.minimum(penalties * scale[None, :] * unit, 4 * len(X))  # above 2 max|h| none differs
    if arrays.is_concrete(extreme) and not extreme:
        return _Problem(X, y * unit, scale, p, scale, unit)
    return _Problem(X * scale[None, :], y * unit, jnp.ones_like(scale), p, scale, unit)


@jax.jit
def _units(X: Array, y: Array) -> tuple[Array, Array, Array]:
    scale, unit = column_scale(X), column_scale(y[:, None])[0]
    largest = jnp.finfo(X.dtype).max ** 0.2
    return scale, unit, (jnp.max(scale) > largest) | (jnp.min(scale) < 1 / largest)


@jax.jit
def _on_the_gram(problem: _Problem, max_steps: Array | int) -> Descent:
    G = problem.scale[:, None] * gram(problem.X) * problem.scale[None, :]
    return _on_all_columns(problem, form_of_gram(G), max_steps)


@jax.jit
def _on_the_residual(problem: _Problem, max_steps: Array | int) -> Descent:
    rows = problem.scale[:, None] * problem.X.T
    sizes = jnp.sum(rows**2, axis=1)
    form = Form(rows, sizes, lambda w, j: product(rows[j], w), lambda w: product(rows, w), lambda r, h: r)
    return _on_all_columns(problem, form, max_steps)


def _on_all_columns(problem: _Problem, form: Form, max_steps: Array | int) -> Descent:
    def one_round(state: _Round) -> _Round:
        thetas, steps = _in_turn(form, problem.penalties, state, max_steps, problem.y @ problem.y)
        points, gaps = problem.measured(thetas, product(problem.X, (problem.scale[None, :] * thetas).T))
        return _Round(points, gaps, steps, state.rounds + 1)

    end = lax.while_loop(partial(_unfinished, max_steps), one_round, _first_round(problem))
    return problem.descent(end.points, end.gaps, end.steps)


@jax.jit
def _on_a_working_set(problem: _Problem, max_steps: Array | int) -> tuple[Descent, Array]:
    """The same on the columns that want to leave 0 most, until all of these do; and whether all problems are solved."""

    def wanted(points: Point) -> Array:
        p = problem.penalties
        urge = jnp.where(p > 0, 2 * jnp.abs(points.h) / jnp.where(p > 0, p, 1), 0)
        return jnp.max(jnp.where(points.theta != 0, jnp.inf, urge), axis=0)

    patience = 3 if len(problem.penalties) == 1 else 1  # rounds on many problems cost as much as the whole Gram matrix

    def unfinished(state: _Round) -> Array:
        used = jnp.sum(jnp.any(state.points.theta != 0, axis=0))
        fit = jnp.sum(wanted(state.points) > 1) <= WORKING_SET
        return _unfinished(max_steps, state) & (used < WORKING_SET) & (fit | (state.rounds < patience))

    def one_round(state: _Round) -> _Round:
        chosen = lax.top_k(wanted(state.points), WORKING_SET)[1]
        columns = problem.columns(chosen)
        theta, _, h, rr = state.points
        some = state._replace(points=Point(theta[:, chosen], None, h[:, chosen], rr))
        of_chosen, steps = _in_turn(
            form_of_gram(gram(columns)), problem.penalties[:, chosen], some, max_steps, problem.y @ problem.y
        )
        thetas = jnp.zeros_like(theta).at[:, chosen].set(of_chosen)
        return _Round(*problem.measured(thetas, product(columns, of_chosen.T)), steps, state.rounds + 1)

    end = lax.while_loop(unfinished, one_round, _first_round(problem))
    return problem.descent(end.points, end.gaps, end.steps), jnp.all(end.gaps <= tolerance(problem.y))


class _Round(NamedTuple):
    """What X itself says of all problems, w being r."""

    points: Point
    gaps: Array
    steps: Array
    rounds: Array | int


def _first_round(problem: _Problem) -> _Round:
    return _Round(*problem.at_zero(), jnp.zeros(len(problem.penalties), jnp.int32), 0)


def _unfinished(max_steps: Array | int, state: _Round) -> Array:
    return jnp.any((state.gaps > tolerance(state.gaps)) & (state.steps < max_steps)) & (state.rounds < ROUNDS)


def _in_turn(form: Form, penalties: Array, state: _Round, max_steps: Array | int, yy: Array) -> tuple[Array, Array]:
    """thetas and steps of all problems whose gap is too large, each from the better of its own and the one before."""

    def solve(before: Point, problem):
        own, p, gap, steps = problem
        nearer = penalised_cost(before.theta, before.rr, p) < penalised_cost(own.theta, own.rr, p)
        start = jax.tree.map(lambda a, b: jnp.where(nearer, a, b), before, own)
        end, more = certified_point(form, p, start, jnp.where(gap > tolerance(p), max_steps - steps, 0), yy)
        return end, (end.theta, steps + more)

    points = state.points._replace(w=form.w(state.points.w, state.points.h))
    first = jax.tree.map(lambda leaf: leaf[0], points)
    return lax.scan(solve, first, (points, penalties, state.gaps, state.steps))[1]
