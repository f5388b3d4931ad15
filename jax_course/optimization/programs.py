"""How an algorithm runs: one compiled loop, kept for the next call with functions that compute the same.

An algorithm is a start, a step from state to state and what it has to say at the end. `run` goes to the end, `trace`
keeps every point on the way.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, Protocol

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import AxisType, PartitionSpec

from jax_course.differentiation import forward_only, not_differentiable
from jax_course.functions import kept
from jax_course.optimization.objective import Objective, Point, leaves_of, objective, parameters, tree, vector
from jax_course.optimization.solution import Evaluations, Solution

FORWARD = ("newton",)  # its last step −H⁻¹g has the derivative of the minimiser
Settings = ParamSpec("Settings")
map_leaves = jax.tree_util.tree_map


class State(Protocol):
    """What every algorithm carries from step to step, beside what is its own."""

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
    """What a solver is asked for."""

    algorithm: Callable[..., Algorithm]  # of the settings
    functions: Mapping[str, Callable | None]  # cost, gradient, …: of trees like theta
    theta: Any
    settings: Mapping[str, Any]  # numbers: one program serves them all
    shape: Mapping[str, int] = {}  # numbers that a program is compiled for


class Trajectory(NamedTuple):
    """The points of a run, stacked: theta, cost and gradient_norm with a leading axis max_steps + 1, and its Solution.

    Behind entry `solution.steps` the last point is repeated.
    """

    theta: Any
    cost: Array
    gradient_norm: Array
    solution: Solution


def solver(prepare: Callable[Settings, Task]) -> Callable[Settings, Solution]:
    """The function that does the task which another one, kept as its attribute `task`, prepares."""

    @functools.wraps(prepare)
    def solve(*arguments: Settings.args, **settings: Settings.kwargs) -> Solution:
        solution = _program(Drive(_run, _solution_placed), prepare(*arguments, **settings))
        refused = forward_only if prepare.__name__ in FORWARD else not_differentiable
        return refused(solution, prepare.__name__)

    described: Any = solve
    described.task = prepare
    described.__signature__ = inspect.signature(prepare).replace(return_annotation=Solution)
    return solve


def trace(
    solver: Callable[..., Solution], cost: Callable[[Any], Any], theta: Any, *, max_steps: int = 50, **settings: Any
) -> Trajectory:
    """All points of `solver(cost, theta, max_steps=max_steps, **settings)`, for figures.

    >>> from jax_course.optimization import gradient_descent
    >>> trace(gradient_descent, lambda t: t**2, 1.0, line_search=0.25, max_steps=3).theta
    Array([1.   , 0.5  , 0.25 , 0.125], dtype=float64)
    """
    prepare = getattr(solver, "task", None)
    if prepare is None:
        raise TypeError(f"solver must be one of jax_course.optimization; got {solver!r}")
    task = prepare(cost, theta, max_steps=max_steps, **settings)
    return _program(Drive(functools.partial(_trace, length=max_steps), _trajectory_placed), task)


def _program(drive: "Drive", task: Task) -> Any:
    program = _compiled(drive, task.algorithm, dict(task.functions), dict(task.shape))
    return program(parameters(task.theta), dict(task.settings))


@kept
def _compiled(drive: "Drive", algorithm: Callable, functions: Mapping[str, Any], shape: Mapping[str, int]) -> Callable:
    @jax.jit
    def program(theta: Any, settings: Mapping[str, Any]) -> Any:
        def run(theta: Any) -> Any:
            return drive.run(algorithm(**shape, **settings), objective(theta, **functions), theta)

        return _wherever_it_lies(run, theta, drive.placed)

    return program


def _wherever_it_lies(run: Callable[[Any], Any], theta: Any, placed: Callable[[Any], Any]) -> Any:
    """run(theta), where theta may be spread over the devices of a mesh with explicit axes: the compiler then decides
    where everything in between lies, and what is like theta comes back lying as theta does."""
    shardings = map_leaves(lambda leaf: jax.typeof(leaf).sharding, theta)
    meshes = [sharding.mesh for sharding in leaves_of(shardings) if not sharding.mesh.empty]
    if not any(AxisType.Explicit in mesh.axis_types for mesh in meshes):
        return run(theta)
    with jax.sharding.use_abstract_mesh(meshes[0]):
        specs = map_leaves(lambda sharding: sharding.spec, shardings)
        return jax.sharding.auto_axes(run, out_sharding=placed(specs))(theta)


class Drive(NamedTuple):
    """How far a loop is driven, and where its result lies for the PartitionSpecs of theta."""

    run: Callable[..., Any]
    placed: Callable[[Any], Any]


def _run(algorithm: Algorithm, f: Objective, theta: Any) -> Solution:
    start = algorithm.start(f, vector(theta, theta))
    state = lax.while_loop(lambda state: state.running, functools.partial(algorithm.step, f), start)
    solution = algorithm.end(f, state)
    return solution._replace(theta=tree(solution.theta, theta))


def _trace(algorithm: Algorithm, f: Objective, theta: Any, length: int) -> Trajectory:
    def step(state: State, _: None) -> tuple[State, Point]:
        state = lax.cond(state.running, functools.partial(algorithm.step, f), lambda state: state, state)
        return state, state.point

    start = algorithm.start(f, vector(theta, theta))
    state, points = lax.scan(step, start, length=length)
    points = map_leaves(lambda a, b: jnp.concatenate([a[None], b]), start.point, points)
    solution = algorithm.end(f, state)
    norms = jnp.linalg.norm(points.g, axis=1)
    thetas = jax.vmap(lambda x: tree(x, theta))(points.x)
    return Trajectory(thetas, points.f, norms, solution._replace(theta=tree(solution.theta, theta)))


def _solution_placed(specs: Any) -> Solution:
    one: Any = PartitionSpec()
    return Solution(specs, one, one, one, one, Evaluations(one, one, one), one)


def _trajectory_placed(specs: Any) -> Trajectory:
    stacked = jax.tree_util.tree_map(
        lambda spec: PartitionSpec(None, *spec), specs, is_leaf=lambda spec: isinstance(spec, PartitionSpec)
    )
    one: Any = PartitionSpec()
    return Trajectory(stacked, one, one, _solution_placed(specs))
