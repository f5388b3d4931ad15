r"""Descent: the loop of all methods that choose a direction and then search along it. Course 7.5, 7.6.

    p_k from g_k and a memory,  θ_k+1 = θ_k + α_k p_k,  the memory from s_k = θ_k+1 − θ_k and y_k = g_k+1 − g_k

If the line search finds no good α, the memory is emptied once and the method restarts with steepest descent.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course.inputs.types import ArrayLike
from jax_course.optimization.objective import Objective, Point, tree_where
from jax_course.optimization.run import Algorithm
from jax_course.optimization.step_rules import LineSearch
from jax_course.optimization.termination import (
    cost_floor,
    first_status,
    tolerance_or_default,
    verified_with_lanczos,
)
from jax_course.solution import Evaluations, Status, select_status

# Factor on the first α: a longer step that still descends finds no minimum. With 1e30 conjugate gradients on a linear
# cost end as OUT_OF_STEPS; a smaller factor gives up minima that are that many first steps away.
ENDLESS = 1e12


class Direction(NamedTuple):
    """A search direction p (n,), the step length α to try first, and the number of Hessian products it took."""

    p: Array
    alpha: Array
    products: Array | int = 0


class DescentMethod(NamedTuple):
    """A rule for directions: start(point) → memory, direction(f, point, memory), update(memory, …) → memory."""

    start: Callable[[Point], Any]
    direction: Callable[[Objective, Point, Any], Direction]
    update: Callable[[Any, Point, Point, Direction, Array], Any]  # memory, old and new point, direction, α


class State(NamedTuple):
    """The state of the loop between two steps."""

    point: Point
    memory: Any
    tolerance: Array
    floor: Array  # a cost below it has no minimum
    steps: Array
    evaluations: Evaluations
    status: Array
    running: Array
    is_fresh: Array  # whether the memory is empty


def descent(
    method: DescentMethod, line_search: LineSearch, tolerance: ArrayLike | None, max_steps: Array | int
) -> Algorithm:
    """The algorithm that takes steps along the directions of the method, of a length found by the line search."""

    def start(f: Objective, x: Array) -> State:
        point = Point(x, *f.value_and_gradient(x))
        limit = tolerance_or_default(tolerance, point.g)
        status = first_status(point, limit)
        running = (status == Status.OUT_OF_STEPS) & (0 < jnp.asarray(max_steps))
        one = jnp.asarray(1, jnp.int32)
        evaluations = Evaluations(one, one, jnp.zeros_like(one))
        zero, is_fresh = jnp.zeros_like(one), jnp.asarray(True)
        memory = method.start(point)
        return State(point, memory, limit, cost_floor(point), zero, evaluations, status, running, is_fresh)

    def step(f: Objective, state: State) -> State:
        point = state.point
        direction = method.direction(f, point, state.memory)
        found = line_search(f, point, direction.p, direction.alpha)
        finite = jnp.isfinite(found.point.f) & jnp.all(jnp.isfinite(found.point.g))
        moved = finite & (found.success | (found.point.f < point.f))
        endless = moved & ~found.success & (found.alpha > ENDLESS * direction.alpha) | (found.point.f < state.floor)
        new = tree_where(moved, found.point, point)
        updated = method.update(state.memory, point, new, direction, found.alpha)
        memory = tree_where(moved, updated, method.start(point))
        small = jnp.linalg.norm(new.g) <= state.tolerance
        status = select_status(
            [~finite, endless, small, ~moved & state.is_fresh],
            [Status.NOT_FINITE, Status.UNBOUNDED, Status.CONVERGED, Status.NO_DESCENT],
            Status.OUT_OF_STEPS,
        )
        steps = state.steps + moved.astype(jnp.int32)
        evaluations = state.evaluations.plus(
            found.function_evaluations, found.gradient_evaluations, direction.products + found.hessian_evaluations
        )
        running = (status == Status.OUT_OF_STEPS) & (steps < max_steps)
        return State(new, memory, state.tolerance, state.floor, steps, evaluations, status, running, ~moved)

    return Algorithm(start, step, verified_with_lanczos)
