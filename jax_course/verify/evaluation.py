"""Evaluation of the reader's functions, and of their derivatives by autodiff, at many points.

A function that JAX can trace is interpreted or compiled, as `programs` says; one that it cannot is called as it is,
point by point. `transform` turns a function of a vector into what is wanted: its value, gradient, Hessian. Points are
rows (p, n), and outputs have a first axis of length p.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import programs
from jax_course.verify.parameters import Inputs
from jax_course.verify.programs import ROOM, compiled_program, interpreted_program, is_little, run_once
from jax_course.verify.tracing import trace

SINGLY = 256  # points; up to so many, calling a program for each takes less time than compiling one with a loop
LARGE = 5_000  # parameters; with more, ROOM points would take too much memory


def evaluate(inputs: Inputs, function: Callable, points: np.ndarray, *extra: Any) -> Any:
    """The function at points (p, n): its outputs with a first axis of length p.

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> inputs, _ = flatten_inputs(sum, np.ones(2), (np.array([3.0, 1.0]),), {})
    >>> evaluate(inputs, lambda x, a: x @ a, np.array([[1.0, 0.0], [1.0, 2.0]])).tolist()
    [3.0, 5.0]
    """
    return _evaluate(programs.value, inputs, function, points, extra)


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


def transformed(transform: Callable, inputs: Inputs, function: Callable, points: np.ndarray) -> Any:
    """transform(function) at points (p, n), an array with a first axis of length p; both functions are of a vector."""
    return np.stack(run_once(transform, inputs, function, points))


def evaluate_both(
    transform: Callable,
    inputs: Inputs,
    function: Callable,
    cost: Callable,
    points: np.ndarray,
    *directions: np.ndarray,
) -> tuple[Any, np.ndarray] | None:
    """The function and transform(cost) at points (p, n) from one program, which halves the compiling.

    directions: arrays (p, n); both take a row of each beside the point. None if JAX cannot trace both, or if there is
    so little work that it is not compiled.
    """
    if is_little(inputs) or len(points) > SINGLY:
        return None
    extra = tuple(inputs.layout.tree(rows[0]) for rows in directions)
    structure, with_data = trace(inputs, function, points[0], extra)
    cost_structure, cost_with_data = trace(inputs, cost, points[0], ())
    if structure is None or cost_structure is None or with_data != cost_with_data:
        return None
    static, (inputs, points) = (cost, transform), _moved(inputs, points)
    at_point = compiled_program(programs.both_at_point, inputs, function, static, with_data=with_data)
    return _stacked([at_point(point, rows) for point, *rows in zip(points, *directions, strict=True)])


def directional(inputs: Inputs, cost: Callable, point: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Slopes (k,) at one point along directions (k, n), by forward mode."""
    return _along(programs.slope_along, inputs, cost, [(point, v) for v in directions])


def products(inputs: Inputs, cost: Callable, points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Hessian products (p, n) at points (p, n), each with its own direction (p, n)."""
    return _along(programs.product_along, inputs, cost, list(zip(points, directions, strict=True)))


def _along(program: Callable, inputs: Inputs, cost: Callable, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The program at pairs of a point and a direction."""
    _, with_data = trace(inputs, cost, pairs[0][0], ())
    run = interpreted_program(program, inputs, cost, (), pairs[0], len(pairs), with_data)
    if not run:
        inputs, points = _moved(inputs, np.stack([point for point, _ in pairs]))
        run = compiled_program(program, inputs, cost, (), with_data=with_data)
        pairs = [(point, v) for point, (_, v) in zip(points, pairs, strict=True)]
    return np.stack([run(*pair) for pair in pairs])


def _evaluate(transform: Callable, inputs: Inputs, function: Callable, points: np.ndarray, extra: tuple) -> Any:
    structure, with_data = trace(inputs, function, points[0], extra)
    if structure is None:
        return _run_all(*_moved(inputs, points), function, extra)
    static, (count, n) = (transform,), points.shape
    run = interpreted_program(programs.at_point, inputs, function, static, (points[0], extra), count, with_data)
    if not run:
        inputs, points = _moved(inputs, points)
    if run or count <= SINGLY:
        run = run or compiled_program(programs.at_point, inputs, function, static, with_data=with_data)
        return _stacked([run(point, extra) for point in points])
    room = ROOM if count <= ROOM and n <= LARGE else count
    padded = np.concatenate([points, np.zeros((room - count, n), points.dtype)])
    run = compiled_program(programs.at_points, inputs, function, (*static, room), with_data=with_data)
    return jax.tree_util.tree_map(lambda leaf: np.asarray(leaf)[:count], run(count, padded, extra))


def _stacked(outputs: list[Any]) -> Any:
    return jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *outputs)


def _moved(inputs: Inputs, points: np.ndarray) -> tuple[Inputs, np.ndarray]:
    """Data and points moved in their last digits, where the inputs ask for it: rounding, as far as it shows there."""
    if not inputs.moves:
        return inputs, points
    move = inputs.moves.mover()
    return inputs.with_arrays(move)._replace(moves=None), move(points)


def _run_all(inputs: Inputs, points: np.ndarray, function: Callable, extra: tuple) -> Any:
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
    return _stacked(filled)


def _run(inputs: Inputs, function: Callable, point: np.ndarray, extra: tuple) -> Any:
    """A function that JAX cannot trace, on NumPy's arrays (a copy, which it may change), or on JAX's if it must."""
    try:
        output = inputs.call(function, point.copy(), extra)
    except (AttributeError, TypeError):
        in_jax = jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf) if np.ndim(leaf) else leaf, inputs.data)
        output = inputs._replace(arguments=in_jax[0], numbers=in_jax[1]).call(function, jnp.asarray(point), extra)
    return jax.tree_util.tree_map(np.asarray, output)
