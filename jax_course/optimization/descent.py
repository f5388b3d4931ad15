r"""Descent: the loop of all methods that choose a direction and then search along it. Course 7.5, 7.6.

    p_k from g_k and a memory,  θ_k+1 = θ_k + α_k p_k,  the memory from s_k = θ_k+1 − θ_k and y_k = g_k+1 − g_k

If the line search finds no good α, the memory is emptied once and the method restarts with steepest descent.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course.inputs.types import ArrayLike
from jax_course.optimization.objective import Objective, Point, tree_where
from jax_course.optimization.run import Algorithm
from jax_course.optimization.step_rules import LineSearch
from jax_course.optimization.termination import (
    cost_floor,
    euclidean_norm,
    first_status,
    tolerance_or_default,
    verified_with_lanczos,
)
from jax_course.solution import Evaluations, Solution, Status, select_status

# Factor on the first α: a longer step that still descends finds no minimum. With 1e30 conjugate gradients on a linear
# cost end as OUT_OF_STEPS; a smaller factor gives up minima that are that many first steps away.
LARGEST_STEP = 1e12


class Direction(NamedTuple):
    """A search direction p (n,), the step length α to try first, and the number of Hessian products it took.

    extra: what the memory of the method is to take over of its computation.
    """

    p: Array
    alpha: Array
    products: Array | int = 0
    extra: Any = ()


class DescentMethod(NamedTuple):
    """A rule for directions, and for the end.

    start: point → memory; direction: (f, point, memory) → Direction; update: (memory, old and new point, Direction, α)
    → memory. restarts: whether the memory is emptied, and the step tried again, where no step is found.
    is_small: (point, ‖g‖, memory, tolerance) → whether the gradient is. is_unbounded: point → whether it proves that
    there is no minimum. is_refined: (‖g‖ before, ‖g‖ after, change of x, x) → whether a step is worth another one
    although the gradient is small; by default no run goes on then.
    """

    start: Callable[[Point], Any]
    direction: Callable[[Objective, Point, Any], Direction]
    update: Callable[[Any, Point, Point, Direction, Array], Any]
    restarts: bool = True
    is_small: Callable[[Point, Array, Any, Array], Array] = lambda point, norm, memory, tolerance: norm <= tolerance
    is_unbounded: Callable[[Point], Array | bool] = lambda point: False
    is_refined: Callable[[Array, Array, Array, Array], Array] | None = None


class State(NamedTuple):
    """The state of the loop between two steps."""

    point: Point
    norm: Array  # ‖g‖
    memory: Any
    tolerance: Array
    floor: Array  # a cost below it has no minimum
    steps: Array
    evaluations: Evaluations
    status: Array
    running: Array
    is_fresh: Array  # whether the memory is empty


class _Rules(NamedTuple):
    method: DescentMethod
    line_search: LineSearch
    tolerance: ArrayLike | Callable[[Array], Array] | None
    max_steps: Array | int


def descent(
    method: DescentMethod,
    line_search: LineSearch,
    tolerance: ArrayLike | Callable[[Array], Array] | None,
    max_steps: Array | int,
    end: Callable[[Objective, State], Solution] = verified_with_lanczos,
) -> Algorithm:
    """The algorithm that takes steps along the directions of the method, of a length found by the line search.

    tolerance: a norm of the gradient, or a function of the first gradient that gives one.
    """
    rules = _Rules(method, line_search, tolerance, max_steps)
    return Algorithm(partial(_start, rules), partial(_step, rules), end)


def _start(rules: _Rules, f: Objective, x: Array) -> State:
    method, _, tolerance, max_steps = rules
    point = f.point(x)
    norm, memory = euclidean_norm(point.g), method.start(point)
    limit = tolerance(point.g) if callable(tolerance) else tolerance_or_default(tolerance, point.g)
    status = first_status(point, method.is_small(point, norm, memory, limit))
    runs = status == Status.OUT_OF_STEPS
    if method.is_refined is not None:
        runs |= status == Status.CONVERGED
    one = jnp.asarray(1, jnp.int32)
    evaluations, zero = Evaluations(one, one, jnp.zeros_like(one)), jnp.zeros_like(one)
    running, is_fresh = runs & (0 < jnp.asarray(max_steps)), jnp.asarray(True)
    return State(point, norm, memory, limit, cost_floor(point), zero, evaluations, status, running, is_fresh)


def _step(rules: _Rules, f: Objective, state: State) -> State:
    method, line_search, _, max_steps = rules
    point = state.point
    direction = method.direction(f, point, state.memory)
    found = line_search(f, point, direction.p, direction.alpha)
    norm = euclidean_norm(found.point.g)
    updated = method.update(state.memory, point, found.point, direction, found.alpha)
    was_small = state.status == Status.CONVERGED
    small = was_small | method.is_small(found.point, norm, updated, state.tolerance)
    finite = jnp.isfinite(found.point.f) & jnp.isfinite(norm)
    moved = finite & (found.success | (found.point.f < point.f)) & ~(was_small & (norm > state.norm))
    endless = moved & ~found.success & (found.alpha > LARGEST_STEP * direction.alpha)
    endless |= (found.point.f < state.floor) | method.is_unbounded(found.point)
    stuck = ~moved & state.is_fresh if method.restarts else ~moved
    status = select_status(
        [endless, small, ~finite, stuck],
        [Status.UNBOUNDED, Status.CONVERGED, Status.NOT_FINITE, Status.NO_DESCENT],
        Status.OUT_OF_STEPS,
    )
    steps = state.steps + moved.astype(jnp.int32)
    evaluations = state.evaluations.plus(
        found.function_evaluations, found.gradient_evaluations, direction.products + found.hessian_evaluations
    )
    runs = status == Status.OUT_OF_STEPS
    if method.is_refined is not None:
        change = found.point.x - point.x
        refined = method.is_refined(state.norm, norm, change, found.point.x)
        runs |= (status == Status.CONVERGED) & moved & refined
    new, norm = tree_where(moved, (found.point, norm), (point, state.norm))
    memory = tree_where(moved, updated, method.start(point)) if method.restarts else updated
    running = runs & (steps < max_steps)
    return State(new, norm, memory, state.tolerance, state.floor, steps, evaluations, status, running, ~moved)
