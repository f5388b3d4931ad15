"""Running an algorithm: one compiled loop, cached by what its functions compute.

An algorithm is a start, a step from state to state, and an end that makes a Solution of the last state. A solver runs
it to the end; `trace` also keeps every point.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, Protocol

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import AxisType, PartitionSpec

from jax_course.compile_cache import cached_by_value
from jax_course.differentiation import not_differentiable
from jax_course.implicit import minimiser
from jax_course.optimization.conditions import conditions, with_values, without_closures
from jax_course.optimization.objective import Objective, Point, objective, parameters, tree, vector
from jax_course.solution import Evaluations, Solution
from jax_course.tiers import compiled, count_numbers, is_traced

STEPS = 100  # of a solver, about: whether a cost has much work for a compiler to optimise is not known to the step
Settings = ParamSpec("Settings")


class State(Protocol):
    """The fields that the state of every algorithm has."""

    @property
    def point(self) -> Point: ...
    @property
    def running(self) -> Array: ...


class Algorithm(NamedTuple):
    """A loop in parts: start(f, x) → state, step(f, state) → state, end(f, state) → a Solution of x."""

    start: Callable[[Objective, Array], Any]
    step: Callable[[Objective, Any], Any]
    end: Callable[[Objective, Any], Solution]


class Task(NamedTuple):
    """The arguments of a solver. A program is compiled for the algorithm, functions and shape, not for settings."""

    algorithm: Callable[..., Algorithm]  # called with shape and settings
    functions: Mapping[str, Callable | None]  # cost, gradient, … of trees like theta
    theta: Any
    settings: Mapping[str, Any]  # numbers: one program serves them all
    shape: Mapping[str, int] = {}  # numbers that a program is compiled for
    values: Mapping[str, list[Array]] = {}  # further arguments of the functions, under their names


class Trajectory(NamedTuple):
    """All points of a run. theta, cost and gradient_norm have a leading axis of length max_steps + 1.

    After entry `solution.steps` the last point is repeated.
    """

    theta: Any
    cost: Array
    gradient_norm: Array
    solution: Solution


def solver(prepare: Callable[Settings, Task]) -> Callable[Settings, Solution]:
    """The solver that runs the task which `prepare` returns; `prepare` becomes its attribute `task`."""

    @functools.wraps(prepare)
    def solve(*arguments: Settings.args, **settings: Settings.kwargs) -> Solution:
        task = prepare(*arguments, **settings)
        return _differentiable(task) if is_traced() else _solved(task)

    with_attributes: Any = solve
    with_attributes.task = prepare
    with_attributes.__signature__ = inspect.signature(prepare).replace(return_annotation=Solution)
    return solve


def trace(
    solver: Callable[..., Solution], cost: Callable[[Any], Any], theta: Any, *, max_steps: int = 50, **settings: Any
) -> Trajectory:
    """All points of `solver(cost, theta, max_steps=max_steps, **settings)` as a `Trajectory`, for figures. Course 7.5.

    TypeError: the solver is none of jax_course.optimization; further errors are those of the solver.

    >>> from jax_course.optimization import gradient_descent
    >>> trace(gradient_descent, lambda t: t**2, 1.0, line_search=0.25, max_steps=3).theta
    Array([1.   , 0.5  , 0.25 , 0.125], dtype=float64)
    """
    prepare = getattr(solver, "task", None)
    if prepare is None:
        raise TypeError(f"solver must be one of jax_course.optimization; got {solver!r}")
    task = prepare(cost, theta, max_steps=max_steps, **settings)
    mode = RunMode(functools.partial(_trace, length=max_steps), _trajectory_specs)
    if not is_traced():
        return _program(mode, task)
    task = with_explicit_values(task)
    values = parameters(task.theta), dict(task.settings), task.values
    return not_differentiable(_program(mode, without_derivatives(task)), values, "trace")


def _solved(task: Task) -> Solution:
    return _program(RunMode(_run, _solution_specs), task)


def _differentiable(task: Task) -> Solution:
    """The solution, with derivatives by the values that the functions of the task close over."""
    task = with_explicit_values(task)
    stopped = without_derivatives(task)

    def flat_solution(values: Any) -> Solution:
        found = _solved(stopped._replace(values=values))
        return found._replace(theta=vector(found.theta, stopped.theta))

    found = minimiser(conditions(task.functions, stopped.theta), flat_solution, task.values)
    return found._replace(theta=tree(found.theta, stopped.theta))


def with_explicit_values(task: Task) -> Task:
    """The task, the values that its functions close over and that are being traced apart from the functions."""
    functions, values = without_closures(task.functions, task.theta)
    return task._replace(functions=functions, values=values)


def without_derivatives(task: Task) -> Task:
    """The task as it is to be computed, whatever is differentiated."""
    theta, settings, values = lax.stop_gradient((parameters(task.theta), dict(task.settings), task.values))
    return task._replace(theta=parameters(theta), settings=settings, values=values)


def _program(mode: "RunMode", task: Task) -> Any:
    program = _compiled(mode, task.algorithm, dict(task.functions), dict(task.shape))
    return program(parameters(task.theta), dict(task.settings), dict(task.values))


@cached_by_value
def _compiled(mode: "RunMode", algorithm: Callable, functions: Mapping[str, Any], shape: Mapping[str, int]) -> Callable:
    def operations(theta: Any, settings: Mapping[str, Any], values: Mapping[str, Any]) -> float:
        return STEPS * count_numbers(with_values(functions, values)["cost"], theta)

    @compiled(operations=operations)
    def program(theta: Any, settings: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        def run(theta: Any) -> Any:
            return mode.run(algorithm(**shape, **settings), objective(theta, **with_values(functions, values)), theta)

        return _with_shardings(run, theta, mode.result_specs)

    return program


def _with_shardings(run: Callable[[Any], Any], theta: Any, result_specs: Callable[[Any], Any]) -> Any:
    """run(theta), also for a theta sharded over a mesh with explicit axes: the compiler then chooses the shardings of
    all intermediate arrays, and trees like theta in the result are sharded like theta."""
    shardings = jax.tree.map(lambda leaf: jax.typeof(leaf).sharding, theta)
    meshes = [sharding.mesh for sharding in jax.tree.leaves(shardings) if not sharding.mesh.empty]
    if not any(AxisType.Explicit in mesh.axis_types for mesh in meshes):
        return run(theta)
    with jax.sharding.use_abstract_mesh(meshes[0]):
        specs = jax.tree.map(lambda sharding: sharding.spec, shardings)
        return jax.sharding.auto_axes(run, out_sharding=result_specs(specs))(theta)


class RunMode(NamedTuple):
    """run(algorithm, f, theta) → result; result_specs: the PartitionSpecs of theta → those of the result."""

    run: Callable[..., Any]
    result_specs: Callable[[Any], Any]


def last_state(algorithm: Algorithm, f: Objective, x: Array) -> Any:
    """The state in which the loop of an algorithm ends, from x (n,); to be called inside a program."""
    start = algorithm.start(f, x)
    return lax.while_loop(lambda state: state.running, functools.partial(algorithm.step, f), start)


def _run(algorithm: Algorithm, f: Objective, theta: Any) -> Solution:
    solution = algorithm.end(f, last_state(algorithm, f, vector(theta, theta)))
    return solution._replace(theta=tree(solution.theta, theta))


def _trace(algorithm: Algorithm, f: Objective, theta: Any, length: int) -> Trajectory:
    def step(state: State, _: None) -> tuple[State, Point]:
        state = lax.cond(state.running, functools.partial(algorithm.step, f), lambda state: state, state)
        return state, state.point

    start = algorithm.start(f, vector(theta, theta))
    state, points = lax.scan(step, start, length=length)
    points = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), start.point, points)
    solution = algorithm.end(f, state)
    norms = jnp.linalg.norm(points.g, axis=1)
    thetas = jax.vmap(lambda x: tree(x, theta))(points.x)
    return Trajectory(thetas, points.f, norms, solution._replace(theta=tree(solution.theta, theta)))


def _solution_specs(specs: Any) -> Solution:
    one: Any = PartitionSpec()
    return Solution(specs, one, one, one, one, Evaluations(one, one, one), one)


def _trajectory_specs(specs: Any) -> Trajectory:
    stacked = jax.tree.map(
        lambda spec: PartitionSpec(None, *spec), specs, is_leaf=lambda spec: isinstance(spec, PartitionSpec)
    )
    one: Any = PartitionSpec()
    return Trajectory(stacked, one, one, _solution_specs(specs))
