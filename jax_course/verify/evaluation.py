"""Evaluation of the reader's functions, and of their derivatives by autodiff, at many points.

A function that JAX can trace is compiled once, for all data of the same shapes. One that branches on its data, or calls
plain NumPy on it, is compiled for each data. One that JAX cannot trace at all is called as it is, point by point.
`transform` turns the function of a vector into what is wanted: its value, gradient, Hessian.
"""

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.functions import Fixed
from jax_course.verify.subject import Layout, Subject

# so many points are gone through one by one: a program with a loop takes longer to compile than the calls do
SINGLY = 256


def evaluate(subject: Subject, function: Callable, points: np.ndarray, *extra: Any) -> Any:
    """The function at each row of points: its outputs with a leading axis. Compiled where JAX can trace it."""
    return _evaluate(_identity, subject, function, points, extra)


def evaluate_one(subject: Subject, function: Callable, point: np.ndarray, extra: tuple = ()) -> Any:
    """The function's output at one point."""
    return jax.tree_util.tree_map(lambda leaf: leaf[0], evaluate(subject, function, point[None], *extra))


def gradients(subject: Subject, cost: Callable, points: np.ndarray) -> np.ndarray:
    """By reverse-mode autodiff, a row per point."""
    return np.asarray(_evaluate(jax.grad, subject, cost, points, ()))


def hessians(subject: Subject, cost: Callable, points: np.ndarray) -> np.ndarray:
    """By forward over reverse mode, shape (points, n, n)."""
    return np.asarray(_evaluate(jax.hessian, subject, cost, points, ()))


def evaluate_both(
    transform: Callable,
    subject: Subject,
    hand: Callable,
    cost: Callable,
    points: np.ndarray,
    directions: tuple[np.ndarray, ...] = (),
) -> tuple[Any, np.ndarray] | None:
    """The hand-derived derivative and transform(cost) at each row of points, from one program: half of the compiling.

    directions: arrays with a row for each point, which both are given besides. None where JAX cannot trace both.
    """
    extra = tuple(subject.layout.tree(rows[0]) for rows in directions)
    shape, along = _traced(subject, hand, points[0], extra)
    of_cost, cost_along = _traced(subject, cost, points[0], ())
    if shape is None or of_cost is None or along != cost_along or len(points) > SINGLY:
        return None
    at_point = _program(_both_at_point, subject, hand, points[0], (cost, transform), extra)
    outputs = [at_point(point, rows) for point, *rows in zip(points, *directions, strict=True)]
    return jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *outputs)


def directional(subject: Subject, cost: Callable, point: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """By forward mode, a number per direction."""
    along = _program(_along, subject, cost, point)
    return np.stack([along(point, v) for v in directions])


def product(cost: Callable) -> Callable:
    """The Hessian product of a function of a vector, at a point and along a direction, by forward over reverse mode."""
    return lambda point, v: jax.jvp(jax.grad(cost), (point,), (v,))[1]


def products(subject: Subject, cost: Callable, points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Hessian products: a row per point, each with its own direction."""
    along = _program(_product_along, subject, cost, points[0])
    return np.stack([along(point, v) for point, v in zip(points, directions, strict=True)])


def is_traceable(subject: Subject, function: Callable, point: np.ndarray, *extra: Any) -> bool:
    """Whether JAX can trace the function of the parameters: not if it is plain NumPy, or branches on their values."""
    return shape_of(subject, function, point, *extra) is not None


def is_differentiable(subject: Subject, cost: Callable, point: np.ndarray, transform: Callable) -> bool:
    """Whether autodiff gives jax.grad, or jax.hessian, of the cost: loops and custom rules may forbid it."""
    try:
        jax.eval_shape(transform(lambda vector: subject.call(cost, vector)), point)
    except Exception:  # it may fail in any way
        return False
    return True


def shape_of(subject: Subject, function: Callable, point: np.ndarray, *extra: Any) -> Any:
    """The structure of the function's output without running it; None where JAX cannot trace it."""
    shape, _ = _traced(subject, function, point, extra)
    return shape


def _traced(subject: Subject, function: Callable, point: np.ndarray, extra: tuple) -> tuple[Any, bool]:
    """The structure of the output, None where it cannot be traced, and whether the data can be traced along."""
    leaves = jax.tree_util.tree_leaves(subject.data)
    all_arrays = all(isinstance(leaf, (np.ndarray, np.generic, jax.Array, int, float, complex)) for leaf in leaves)
    for along in (True, False) if all_arrays else (False,):
        if (shape := _shape(Trace(subject, function, point, extra, along))) is not None:
            return shape, along
    return None, False


class Trace:
    """A function to be traced, equal to others of the same outcome; it drops what it holds once it was."""

    def __init__(self, subject: Subject, function: Callable, point: np.ndarray, extra: tuple, along: bool):
        self.call: tuple = (subject, function, point, extra)
        self.along = along
        data = jax.tree_util.tree_map(_signature, subject.data) if along else subject.data
        self.key = function, subject.layout, subject.others, along, Fixed((data, _signature(point), extra))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Trace) and self.key == other.key

    def shape(self) -> Any:
        """The structure of the output, None where it cannot be traced."""
        subject, function, point, extra = self.call
        self.call = ()

        def with_data(data, vector, *extra):
            arguments, numbers = data
            return subject._replace(arguments=arguments, numbers=numbers).call(function, vector, extra)

        try:
            if self.along:
                return jax.eval_shape(with_data, subject.data, point, *extra)
            return jax.eval_shape(partial(with_data, subject.data), point, *extra)
        except Exception:  # a function may fail to trace in any way; then it is run instead
            return None


@lru_cache(maxsize=1024)
def _shape(trace: Trace) -> Any:
    return trace.shape()


def _signature(leaf: Any) -> tuple:
    return np.shape(leaf), str(getattr(leaf, "dtype", type(leaf).__name__))


def _evaluate(transform: Callable, subject: Subject, function: Callable, points: np.ndarray, extra: tuple) -> Any:
    if not is_traceable(subject, function, points[0], *extra):
        return _run_all(subject, function, points, extra)
    count = len(points)
    if count <= SINGLY:
        at_point = _program(_at_point, subject, function, points[0], (transform,), extra)
        outputs = [at_point(point, extra) for point in points]
        return jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *outputs)
    room = _room(points)
    padded = np.concatenate([points, np.zeros((room - count, points.shape[1]), points.dtype)])
    outputs = _program(_at_points, subject, function, points[0], (transform, room), extra)(count, padded, extra)
    return jax.tree_util.tree_map(lambda leaf: np.asarray(leaf)[:count], outputs)


def _room(points: np.ndarray) -> int:
    """Few sizes, so that programs are few: 1024, as far as memory allows."""
    count, n = points.shape
    return 1024 if count <= 1024 and n <= 5_000 else count


def _run_all(subject: Subject, function: Callable, points: np.ndarray, extra: tuple) -> Any:
    """One that cannot be traced, point by point; NaN where it raises, as outside of its domain, but not everywhere."""
    outputs: list[Any] = []
    errors = []
    for point in points:
        try:
            outputs.append(_run(subject, function, point, extra))
        except Exception as error:
            outputs.append(None)
            errors.append(error)
    known = next((output for output in outputs if output is not None), None)
    if known is None:
        if errors:
            raise errors[0]
        return None  # a function without `return`
    nowhere = jax.tree_util.tree_map(lambda leaf: np.full_like(leaf, np.nan, dtype=np.result_type(leaf, float)), known)
    filled = [nowhere if output is None else output for output in outputs]
    return jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *filled)


def _run(subject: Subject, function: Callable, point: np.ndarray, extra: tuple) -> Any:
    """One that cannot be traced, on NumPy's arrays (a copy, that it may change), or on JAX's if it needs them."""
    try:
        output = subject.call(function, point.copy(), extra)
    except (AttributeError, TypeError):
        in_jax = jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf) if np.ndim(leaf) else leaf, subject.data)
        output = subject._replace(arguments=in_jax[0], numbers=in_jax[1]).call(function, jnp.asarray(point), extra)
    return jax.tree_util.tree_map(np.asarray, output)


def _identity(function: Callable) -> Callable:
    return function


def _of_vector(function: Callable, layout: Layout, others: Fixed, data: Any, extra: tuple = ()) -> Callable:
    arguments, numbers = data.values if isinstance(data, Fixed) else data
    return lambda vector: Subject(layout, arguments, numbers, others).call(function, vector, extra)


def _program(
    program: Callable, subject: Subject, function: Callable, point: np.ndarray, static: tuple = (), extra: tuple = ()
) -> Callable:
    """program(function, layout, others, data, *static, …) of what is left, compiled once for each of the functions."""
    _, along = _traced(subject, function, point, extra)
    data = subject.data if along else Fixed(subject.data)
    return partial(_jit(program, len(static), not along), function, subject.layout, subject.others, data, *static)


@cache
def _jit(program: Callable, count: int, fixed: bool) -> Callable:
    return jax.jit(program, static_argnums=(0, 1, 2, *((3,) if fixed else ()), *range(4, 4 + count)))


def _at_point(function, layout, others, data, transform, point, extra):
    return transform(_of_vector(function, layout, others, data, extra))(point)


def _both_at_point(hand, layout, others, data, cost, transform, point, directions):
    extra = tuple(layout.tree(v) for v in directions)
    by_hand = _of_vector(hand, layout, others, data, extra)(point)
    return by_hand, transform(_of_vector(cost, layout, others, data))(point, *directions)


def _at_points(function, layout, others, data, transform, room, count, points, extra):
    """The first `count` of `room` rows: a loop of variable length, so one program serves many numbers of points."""
    at_point, points = transform(_of_vector(function, layout, others, data, extra)), jnp.asarray(points)
    outputs = jax.tree_util.tree_map(
        lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), jax.eval_shape(at_point, points[0])
    )

    def step(i, outputs):
        return jax.tree_util.tree_map(lambda all, one: all.at[i].set(one), outputs, at_point(points[i]))

    return lax.fori_loop(0, count, step, outputs)


def _along(cost, layout, others, data, point, v):
    return jax.jvp(_of_vector(cost, layout, others, data), (point,), (v,))[1]


def _product_along(cost, layout, others, data, point, v):
    return product(_of_vector(cost, layout, others, data))(point, v)
