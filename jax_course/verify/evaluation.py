"""Evaluation of the reader's functions, and of their derivatives by autodiff, at many points.

A function that JAX can trace is compiled, as `tracing` says; one that it cannot is called as it is, point by point.
`transform` turns a function of a vector into what is wanted: its value, gradient, Hessian. Points are rows (p, n), and
outputs have a first axis of length p.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.compile_cache import StaticValues
from jax_course.tiers import compiled
from jax_course.verify.parameters import Inputs, Layout
from jax_course.verify.tracing import is_traceable, trace

SINGLY = 256  # points; up to so many, calling a program for each takes less time than compiling one with a loop
ROOM = 1024  # points; a program with a loop is compiled for so many, so that one serves every smaller number
LARGE = 5_000  # parameters; with more, ROOM points would take too much memory


def evaluate(inputs: Inputs, function: Callable, points: np.ndarray, *extra: Any) -> Any:
    """The function at points (p, n): its outputs with a first axis of length p.

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> inputs, _ = flatten_inputs(sum, np.ones(2), (np.array([3.0, 1.0]),), {})
    >>> evaluate(inputs, lambda x, a: x @ a, np.array([[1.0, 0.0], [1.0, 2.0]])).tolist()
    [3.0, 5.0]
    """
    return _evaluate(_value, inputs, function, points, extra)


def evaluate_one(inputs: Inputs, function: Callable, point: np.ndarray, extra: tuple = ()) -> Any:
    """The function's output at one point (n,)."""
    return jax.tree_util.tree_map(lambda leaf: leaf[0], evaluate(inputs, function, point[None], *extra))


def gradients(inputs: Inputs, cost: Callable, points: np.ndarray) -> np.ndarray:
    """Gradients (p, n) by reverse mode at points (p, n).

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> inputs, point = flatten_inputs(sum, np.array([1.0, 2.0]), (), {})
    >>> gradients(inputs, lambda x: x @ x, point[None]).tolist()
    [[2.0, 4.0]]
    """
    return np.asarray(_evaluate(jax.grad, inputs, cost, points, ()))


def hessians(inputs: Inputs, cost: Callable, points: np.ndarray) -> np.ndarray:
    """Hessians (p, n, n) by forward over reverse mode at points (p, n)."""
    return np.asarray(_evaluate(jax.hessian, inputs, cost, points, ()))


def evaluate_both(
    transform: Callable,
    inputs: Inputs,
    function: Callable,
    cost: Callable,
    points: np.ndarray,
    *directions: np.ndarray,
) -> tuple[Any, np.ndarray] | None:
    """The function and transform(cost) at points (p, n) from one program, which halves the compiling.

    directions: arrays (p, n); both take a row of each beside the point. None if JAX cannot trace both.
    """
    extra = tuple(inputs.layout.tree(rows[0]) for rows in directions)
    structure, with_data = trace(inputs, function, points[0], extra)
    cost_structure, cost_with_data = trace(inputs, cost, points[0], ())
    if structure is None or cost_structure is None or with_data != cost_with_data or len(points) > SINGLY:
        return None
    at_point = _program(_both_at_point, inputs, function, points[0], (cost, transform), extra)
    outputs = [at_point(point, rows) for point, *rows in zip(points, *directions, strict=True)]
    return jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *outputs)


def directional(inputs: Inputs, cost: Callable, point: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Slopes (k,) at one point along directions (k, n), by forward mode."""
    along = _program(_slope_along, inputs, cost, point)
    return np.stack([along(point, v) for v in directions])


def product(cost: Callable) -> Callable:
    """The Hessian product (point, v) ↦ ∇²f(point) v of a function of a vector, by forward over reverse mode.

    >>> product(lambda x: x[0] ** 2 * x[1])(jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0])).tolist()
    [6.0, 2.0]
    """
    return lambda point, v: jax.jvp(jax.grad(cost), (point,), (v,))[1]


def products(inputs: Inputs, cost: Callable, points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Hessian products (p, n) at points (p, n), each with its own direction (p, n)."""
    along = _program(_product_along, inputs, cost, points[0])
    return np.stack([along(point, v) for point, v in zip(points, directions, strict=True)])


def _evaluate(transform: Callable, inputs: Inputs, function: Callable, points: np.ndarray, extra: tuple) -> Any:
    if not is_traceable(inputs, function, points[0], *extra):
        return _run_all(inputs, function, points, extra)
    count, n = points.shape
    if count <= SINGLY:
        at_point = _program(_at_point, inputs, function, points[0], (transform,), extra)
        outputs = [at_point(point, extra) for point in points]
        return jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *outputs)
    room = ROOM if count <= ROOM and n <= LARGE else count
    padded = np.concatenate([points, np.zeros((room - count, n), points.dtype)])
    outputs = _program(_at_points, inputs, function, points[0], (transform, room), extra)(count, padded, extra)
    return jax.tree_util.tree_map(lambda leaf: np.asarray(leaf)[:count], outputs)


def _run_all(inputs: Inputs, function: Callable, points: np.ndarray, extra: tuple) -> Any:
    """A function that JAX cannot trace, point by point: NaN where it raises, unless it raises at every point."""
    outputs: list[Any] = []
    errors = []
    for point in points:
        try:
            outputs.append(_run(inputs, function, point, extra))
        except Exception as error:
            outputs.append(None)
            errors.append(error)
    known = next((output for output in outputs if output is not None), None)
    if known is None:
        if errors:
            raise errors[0]
        return None  # a function without `return`
    nan = jax.tree_util.tree_map(lambda leaf: np.full_like(leaf, np.nan, dtype=np.result_type(leaf, float)), known)
    filled = [nan if output is None else output for output in outputs]
    return jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *filled)


def _run(inputs: Inputs, function: Callable, point: np.ndarray, extra: tuple) -> Any:
    """A function that JAX cannot trace, on NumPy's arrays (a copy, which it may change), or on JAX's if it must."""
    try:
        output = inputs.call(function, point.copy(), extra)
    except (AttributeError, TypeError):
        in_jax = jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf) if np.ndim(leaf) else leaf, inputs.data)
        output = inputs._replace(arguments=in_jax[0], numbers=in_jax[1]).call(function, jnp.asarray(point), extra)
    return jax.tree_util.tree_map(np.asarray, output)


def _value(function: Callable) -> Callable:
    return function


def _function_of_vector(
    function: Callable, layout: Layout, others: StaticValues, data: Any, extra: tuple = ()
) -> Callable:
    arguments, numbers = data.values if isinstance(data, StaticValues) else data
    return lambda vector: Inputs(layout, arguments, numbers, others).call(function, vector, extra)


def _program(
    program: Callable, inputs: Inputs, function: Callable, point: np.ndarray, static: tuple = (), extra: tuple = ()
) -> Callable:
    """program(function, layout, others, data, *static, …) of the arguments that follow, compiled once."""
    _, with_data = trace(inputs, function, point, extra)
    data = inputs.data if with_data else StaticValues(inputs.data)
    return partial(
        _compiled(program, len(static), not with_data), function, inputs.layout, inputs.others, data, *static
    )


@cache
def _compiled(program: Callable, count: int, constant_data: bool) -> Callable:
    static = (0, 1, 2, *((3,) if constant_data else ()), *range(4, 4 + count))
    return compiled(program, static_argnums=static, operations=partial(_operations, program))


def _operations(program: Callable, function: Callable, layout: Layout, others: Any, data: Any, *_: Any) -> int:
    """The multiplications of a call, about: a Hessian by autodiff takes the data once for each parameter."""
    values = data.values if isinstance(data, StaticValues) else data
    numbers = sum(np.size(leaf) for leaf in jax.tree_util.tree_leaves(values))
    return (ROOM if program is _at_points else 1) * (1 + numbers) * layout.size


def _at_point(function, layout, others, data, transform, point, extra):
    return transform(_function_of_vector(function, layout, others, data, extra))(point)


def _both_at_point(function, layout, others, data, cost, transform, point, directions):
    extra = tuple(layout.tree(v) for v in directions)
    output = _function_of_vector(function, layout, others, data, extra)(point)
    return output, transform(_function_of_vector(cost, layout, others, data))(point, *directions)


def _at_points(function, layout, others, data, transform, room, count, points, extra):
    """The first `count` of `room` rows: a loop of variable length, so one program serves many numbers of points."""
    at_point, points = transform(_function_of_vector(function, layout, others, data, extra)), jnp.asarray(points)
    structure = jax.eval_shape(at_point, points[0])
    outputs = jax.tree_util.tree_map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), structure)

    def step(i, outputs):
        return jax.tree_util.tree_map(lambda rows, row: rows.at[i].set(row), outputs, at_point(points[i]))

    return lax.fori_loop(0, count, step, outputs)


def _slope_along(cost, layout, others, data, point, v):
    return jax.jvp(_function_of_vector(cost, layout, others, data), (point,), (v,))[1]


def _product_along(cost, layout, others, data, point, v):
    return product(_function_of_vector(cost, layout, others, data))(point, v)
