r"""Newton's method in one loop that is small to compile, for the fit inside jit: `classification.one_program`.

The steps are those of `optimization.descent` with `newton_method` and `StrongWolfe`, where the values of the cost are
given as 0. There the search is a loop within the loop, and the start evaluates the gradient by itself. Here a pass of
one loop is one trial, after a new direction if the last search has ended; the first trial, with α = 0, is the start.

    p = −H⁻¹ g,  θ_p = T p,  z_p = X T p                                   a direction: H, its factor, and products
    z ← z + α z_p,  g = (X T)ᵀ (w · ∂C_z/∂z) + Tᵀ 2 δ² θ                   a trial: one read of X
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.classification.newton import FALL
from jax_course.classification.separation import separates
from jax_course.linalg import Factored, Whitened, inner, product, spd_factor, transpose_product
from jax_course.linalg.cholesky import rounding_noise
from jax_course.linalg.lapack import cholesky
from jax_course.linear_cost import LinearCost, weighted
from jax_course.optimization.line_search import Search, Trial, begin_search, is_searching, next_search
from jax_course.optimization.newton import is_refined
from jax_course.optimization.objective import tree_where
from jax_course.solution import Status, select_status

TRIALS = 30  # along one direction


class Task(NamedTuple):
    """A cost in the coordinates θ = T w, and when the steps end.

    extra_curvature: of H beside the loss's. is_watched: whether the steps end where the classes are separated
    completely; None where they cannot be.
    """

    cost: LinearCost
    white: Whitened
    extra_curvature: Array
    max_steps: Array | int
    is_watched: Array | None


class Point(NamedTuple):
    """The point: w and θ, like theta, the scores Z, and the gradient in w, (n,)."""

    w: Array
    theta: Array
    Z: Array
    g: Array


class Direction(NamedTuple):
    """A direction in w (n,), in θ and in Z, and the Hessian from which it comes."""

    p: Array
    theta_p: Array
    Z_p: Array
    factored: Factored
    curvature: Array  # the diagonal of H
    g: Array  # the gradient where H was taken


class Numbers(NamedTuple):
    """‖g‖ and what it was at 0; and the search along the direction, whose trials have no values."""

    norm: Array
    first_norm: Array
    slope: Array  # at α = 0
    low: Array
    low_slope: Array
    high: Array
    high_slope: Array
    alpha: Array


class Counts(NamedTuple):
    """Steps, trials, directions, trials along the last direction; and the status."""

    steps: Array
    trials: Array
    directions: Array
    line_trials: Array
    status: Array


class State(NamedTuple):
    """The state between two trials. Scalars are kept in vectors, for each of which one kernel is compiled."""

    point: Point
    direction: Direction
    number_vector: Array
    count_vector: Array
    is_new: Array  # whether the next trial needs a new direction
    running: Array

    @property
    def numbers(self) -> Numbers:
        """The numbers, each a scalar."""
        return Numbers(*self.number_vector)

    @property
    def counts(self) -> Counts:
        """The counts, each a scalar."""
        return Counts(*self.count_vector)


def newton_trials(task: Task) -> State:
    """The end of Newton's method from 0."""
    delta2 = task.cost.delta2
    n, dtype = delta2.size, delta2.dtype
    origin, x, Z = jnp.zeros_like(delta2), jnp.zeros(n, dtype), jnp.zeros(task.cost.y.shape + delta2.shape[1:], dtype)
    no_factor = Factored(jnp.eye(n, dtype=dtype), jnp.ones(n, dtype), jnp.zeros((), dtype))
    numbers = jnp.zeros(len(Numbers._fields), dtype)
    counts = jnp.array([0, 0, 0, 0, Status.OUT_OF_STEPS], jnp.int32)
    direction = Direction(x, origin, Z, no_factor, jnp.ones(n, dtype), x)
    start = State(Point(origin, origin, Z, x), direction, numbers, counts, jnp.array(False), jnp.array(True))
    return lax.while_loop(lambda state: state.running, lambda state: _next_state(task, state), start)


def _next_state(task: Task, state: State) -> State:
    old, counts = state.numbers, state.counts
    line, search = _line(task, state)
    point = _moved(task, state.point, line, search.alpha)
    found = next_search(search, jnp.zeros_like(old.slope), inner(point.g, line.p), ())
    norm, change, size = jnp.linalg.norm(jnp.stack([point.g, search.alpha * line.p, point.w.reshape(-1)]), axis=1)
    is_start, was_small = counts.trials == 0, counts.status == Status.CONVERGED
    good, finite = is_start | (found.good & (search.start.slope < 0)), jnp.isfinite(norm)
    ended, moved = good | ~is_searching(found, TRIALS), good & finite & ~(was_small & (norm > old.norm))
    first_norm = jnp.where(is_start, norm, old.first_norm)
    is_small = was_small | (moved & (norm <= _smallness(norm) * first_norm))
    status = select_status(
        [~ended, _is_separated(task, point.theta, ended), is_small, good & ~finite, ~moved],
        [counts.status, Status.UNBOUNDED, Status.CONVERGED, Status.NOT_FINITE, Status.NO_DESCENT],
        Status.OUT_OF_STEPS,
    )
    steps = counts.steps + (moved & ~is_start).astype(jnp.int32)
    goes_on = (status == Status.CONVERGED) & moved & (is_start | is_refined(old.norm, norm, change, size))
    running = ~ended | (((status == Status.OUT_OF_STEPS) | goes_on) & (steps < task.max_steps))
    norm, low, high = jnp.where(moved, norm, old.norm), found.low, found.high
    numbers = Numbers(norm, first_norm, search.start.slope, low.alpha, low.slope, high.alpha, high.slope, found.alpha)
    directions = counts.directions + state.is_new.astype(jnp.int32)
    new_counts = Counts(steps, counts.trials + 1, directions, found.count, status)
    return State(tree_where(moved, point, state.point), line, jnp.stack(numbers), jnp.stack(new_counts), ended, running)


def _smallness(like: Array) -> float:
    """The norm of a small gradient, relative to that at the start."""
    return max(FALL, 64 * float(jnp.finfo(like.dtype).eps))


def _line(task: Task, state: State) -> tuple[Direction, Search]:
    """The direction and the search along it, new ones if the last search has ended."""
    old, zero = state.numbers, jnp.zeros((), state.number_vector.dtype)
    line, slope = lax.cond(
        state.is_new, lambda point: _new_direction(task, point), lambda _: (state.direction, old.slope), state.point
    )
    start = Trial(zero, zero, slope)
    low, high = Trial(old.low, zero, old.low_slope), Trial(old.high, zero, old.high_slope)
    last = Search(start, low, high, (), old.alpha, state.counts.line_trials, jnp.array(False))
    return line, tree_where(state.is_new, begin_search(start, ()), last)


def _new_direction(task: Task, point: Point) -> tuple[Direction, Array]:
    """The direction, and the slope along it."""
    cost, X, T = task.cost, task.white.X, task.white.T
    H = (cost.loss.hessian(point.Z, cost.y, X, cost.w) + task.extra_curvature).reshape(point.g.size, point.g.size)
    factored = spd_factor(H)
    p = -_damped(H, factored).solve(point.g)
    step = p.reshape(point.w.shape)
    return Direction(p, product(T, step), product(X, step), factored, jnp.diagonal(H), point.g), inner(point.g, p)


def _damped(H: Array, factored: Factored) -> Factored:
    """The factor of H; where H is not safely positive definite, of H with some more curvature in each coordinate."""

    def damped() -> Array:
        C = factored.scale[:, None] * H * factored.scale[None, :]
        return cholesky(C + rounding_noise(len(H), H.dtype) * jnp.eye(len(H), dtype=H.dtype))

    return factored._replace(L=lax.cond(factored.is_regular(), lambda: factored.L, damped))


def _moved(task: Task, point: Point, line: Direction, alpha: Array) -> Point:
    """The point at α along the line."""
    cost, (X, T, _) = task.cost, task.white
    w, theta = point.w + alpha * line.p.reshape(point.w.shape), point.theta + alpha * line.theta_p
    Z = point.Z + alpha * line.Z_p
    slope = lax.optimization_barrier(weighted(cost.w, cost.loss.slope(Z, cost.y)))
    g = transpose_product(X, slope) + transpose_product(T, 2 * cost.delta2 * theta)
    return Point(w, theta, Z, g.reshape(-1))


def _is_separated(task: Task, theta: Array, ended: Array) -> Array:
    """Whether theta separates the classes completely, where that is watched."""
    no = jnp.array(False)
    if task.is_watched is None:
        return no
    return lax.cond(task.is_watched & ended, lambda: separates(task.cost, theta)[0], lambda: no)
