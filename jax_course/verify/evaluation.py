r"""Evaluation of the reader's functions, and of their derivatives by autodiff, at many points.

A function that JAX can trace is compiled once; one that it cannot (plain NumPy, control flow on values) is called as it
is, point by point. `transform` turns the function of a vector into what is wanted: its value, gradient, Hessian.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.verify.subject import Layout, Subject


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


def directional(subject: Subject, cost: Callable, point: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """By forward mode, a number per direction."""
    return np.asarray(_jit(_along)(cost, subject.layout, subject.others, point, subject[1:3], directions))


def products(subject: Subject, cost: Callable, points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Hessian products by forward over reverse mode: a row per point, each with its own direction."""
    return np.asarray(_jit(_products)(cost, subject.layout, subject.others, points, subject[1:3], directions))


def is_traceable(subject: Subject, function: Callable, point: np.ndarray, *extra: Any) -> bool:
    """Whether JAX can trace the function: not if it is plain NumPy, or branches on values."""
    return shape_of(subject, function, point, *extra) is not None


def shape_of(subject: Subject, function: Callable, point: np.ndarray, *extra: Any) -> Any:
    """The structure of the function's output without running it; None where JAX cannot trace it."""
    try:
        return jax.eval_shape(lambda vector, *extra: subject.call(function, vector, extra), point, *extra)
    except Exception:  # a function may fail to trace in any way; then it is run instead
        return None


def _evaluate(transform: Callable, subject: Subject, function: Callable, points: np.ndarray, extra: tuple) -> Any:
    if is_traceable(subject, function, points[0], *extra):
        count, room = len(points), _room(points)
        padded = np.concatenate([points, np.zeros((room - count, points.shape[1]), points.dtype)])
        at_points, fixed = _jit(_at_points), (transform, function, subject.layout, subject.others, room)
        outputs = at_points(*fixed, count, padded, subject[1:3], extra)
        return jax.tree_util.tree_map(lambda leaf: np.asarray(leaf)[:count], outputs)
    return jax.tree_util.tree_map(
        lambda *leaves: np.stack(leaves), *(_run(subject, function, p, extra) for p in points)
    )


def _room(points: np.ndarray) -> int:
    """Few sizes, so that programs are few: 8, or 1024 where memory allows."""
    count, n = points.shape
    return 8 if count <= 8 else 1024 if count <= 1024 and n <= 5_000 else count


def _run(subject: Subject, function: Callable, point: np.ndarray, extra: tuple) -> Any:
    """A function that cannot be traced, on NumPy's arrays, or on JAX's if it needs them."""
    try:
        output = subject.call(function, point, extra)
    except (AttributeError, TypeError):
        in_jax = jax.tree_util.tree_map(jnp.asarray, subject[1:3])
        output = subject._replace(arguments=in_jax[0], numbers=in_jax[1]).call(function, jnp.asarray(point), extra)
    return jax.tree_util.tree_map(np.asarray, output)


def _identity(function: Callable) -> Callable:
    return function


def _of_vector(function: Callable, layout: Layout, others: tuple, data: Any, extra: tuple = ()) -> Callable:
    arguments, numbers = data
    return lambda vector: Subject(layout, arguments, numbers, others).call(function, vector, extra)


def _at_points(transform, function, layout, others, room, count, points, data, extra):
    """The first `count` of `room` rows: a loop of variable length, so one program serves many numbers of points."""
    at_point = transform(_of_vector(function, layout, others, data, extra))
    outputs = jax.tree_util.tree_map(
        lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), jax.eval_shape(at_point, points[0])
    )

    def step(i, outputs):
        return jax.tree_util.tree_map(lambda all, one: all.at[i].set(one), outputs, at_point(points[i]))

    return lax.fori_loop(0, count, step, outputs)


def _along(cost, layout, others, point, data, directions):
    of_vector = _of_vector(cost, layout, others, data)
    return lax.map(lambda v: jax.jvp(of_vector, (point,), (v,))[1], directions)


def _products(cost, layout, others, points, data, directions):
    gradient = jax.grad(_of_vector(cost, layout, others, data))
    return lax.map(lambda pair: jax.jvp(gradient, pair[:1], pair[1:])[1], (points, directions))


@cache
def _jit(function: Callable) -> Callable:
    """Compiled once for each of the reader's functions; one that cannot be hashed is compiled at each call."""
    static = {_at_points: (0, 1, 2, 3, 4), _along: (0, 1, 2), _products: (0, 1, 2)}[function]
    compiled = jax.jit(function, static_argnums=static)

    def call(*arguments):
        try:
            hash(tuple(arguments[i] for i in static))
        except TypeError:
            return function(*arguments)
        return compiled(*arguments)

    return call
