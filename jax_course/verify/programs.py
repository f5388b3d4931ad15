"""The programs of an examination: what JAX traces of the reader's functions, interpreted or compiled.

The arguments of each are the reader's function, the layout of the parameters, the keywords that are no numbers, and the
data; those are the same in every call. Others are the point and what changes with it.
"""

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.compile_cache import StaticValues
from jax_course.tiers import compiled
from jax_course.verify.interpreter import interpreted
from jax_course.verify.moves import Moves
from jax_course.verify.parameters import Inputs, Layout

# Numbers of the data times parameters and EVALUATIONS, up to which programs are interpreted. CPU seconds of an
# examination of logistic regression, gradient, Hessian and product, interpreted and compiled: 1,000 × 20 0.45 and 1.2,
# 4,000 × 20 1.3 and 1.3, 16,000 × 3 0.85 and 1.1, 30,000 × 20 8 and 2.2.
LITTLE = 2**22
EVALUATIONS = 32  # the evaluations of a cost take as long as so many columns of Hessians
# Numbers that an interpreted program reads and writes at all points together: 20 to 100 ms, as compiling takes.
MOST = 2**26
ROOM = 1024  # points; a program with a loop is compiled for so many, so that one serves every smaller number


class Interpreted(NamedTuple):
    """A program that NumPy runs, and its data."""

    run: Callable
    data: list[Any]
    structure: Any
    moves: Moves | None

    def __call__(self, *arguments: Any) -> Any:
        """The outputs for one point."""
        outputs = self.run([*self.data, *jax.tree_util.tree_leaves(arguments)], self.moves)
        return jax.tree_util.tree_unflatten(self.structure, outputs)


def traced(
    program: Callable, inputs: Inputs, function: Callable, static: tuple, arguments: tuple, *, with_data: bool
) -> Any:
    """The program as JAX traces it, kept; with_data: whether the data is traced, too, or constant."""
    return _compiled(program, len(static), not with_data).trace(
        *_known(inputs, function, static, with_data), *arguments
    )


def interpreted_program(
    program: Callable, inputs: Inputs, function: Callable, static: tuple, arguments: tuple, count: int, with_data: bool
) -> Interpreted | None:
    """program(function, layout, others, data, *static, …) of `count` arguments like these, if NumPy is to run it."""
    if not is_little(inputs):
        return None
    known = traced(program, inputs, function, static, arguments, with_data=with_data)
    plan = _interpreted(known.jaxpr)
    if plan is None or count * plan.numbers > MOST:
        return None
    structure = jax.tree_util.tree_structure(known.out_info)
    data = jax.tree_util.tree_leaves(inputs.data) if with_data else []
    return Interpreted(plan.run, data, structure, inputs.moves)


def compiled_program(
    program: Callable, inputs: Inputs, function: Callable, static: tuple, *, with_data: bool
) -> Callable:
    """program(function, layout, others, data, *static, …) of the arguments that follow, compiled once."""
    return partial(_compiled(program, len(static), not with_data), *_known(inputs, function, static, with_data))


def run_once(transform: Callable, inputs: Inputs, function: Callable, points: np.ndarray) -> list[Any]:
    """transform(function) at points (p, n) by a program that is not kept: it is large, and of no use afterwards."""
    program = transform(lambda vector: inputs.call(function, vector))
    plan = interpreted(jax.make_jaxpr(program)(points[0])) if is_little(inputs) else None
    if plan is not None and len(points) * plan.numbers <= MOST:
        return [plan.run([point], None)[0] for point in points]
    run = compiled(program)
    return [run(point) for point in points]


def is_little(inputs: Inputs) -> bool:
    """Whether so little is computed at a point that compiling takes longer."""
    return _numbers(inputs.data) * (inputs.layout.size + EVALUATIONS) <= LITTLE


_interpreted = lru_cache(maxsize=256)(interpreted)


def _known(inputs: Inputs, function: Callable, static: tuple, with_data: bool) -> tuple:
    data = inputs.data if with_data else StaticValues(inputs.data)
    return function, inputs.layout, inputs.others, data, *static


@cache
def _compiled(program: Callable, count: int, constant_data: bool) -> Callable:
    static = (0, 1, 2, *((3,) if constant_data else ()), *range(4, 4 + count))
    return compiled(program, static_argnums=static, operations=partial(_operations, program))


def _operations(program: Callable, function: Callable, layout: Layout, others: Any, data: Any, *_: Any) -> int:
    """The multiplications of a call, about: a Hessian by autodiff takes the data once for each parameter."""
    values = data.values if isinstance(data, StaticValues) else data
    return (ROOM if program is at_points else 1) * _numbers(values) * layout.size


def _numbers(data: Any) -> int:
    return 1 + sum(np.size(leaf) for leaf in jax.tree_util.tree_leaves(data))


def value(function: Callable) -> Callable:
    """The function itself, in the place of its derivatives."""
    return function


def product(cost: Callable) -> Callable:
    """The Hessian product (point, v) ↦ ∇²f(point) v of a function of a vector, by forward over reverse mode.

    >>> product(lambda x: x[0] ** 2 * x[1])(jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0])).tolist()
    [6.0, 2.0]
    """
    return lambda point, v: jax.jvp(jax.grad(cost), (point,), (v,))[1]


def at_point(function, layout, others, data, transform, point, extra):
    """transform(function) at a point (n,): its value, gradient or Hessian."""
    return transform(_function_of_vector(function, layout, others, data, extra))(point)


def both_at_point(function, layout, others, data, cost, transform, point, directions):
    """The function and transform(cost) at a point."""
    extra = tuple(layout.tree(v) for v in directions)
    output = _function_of_vector(function, layout, others, data, extra)(point)
    return output, transform(_function_of_vector(cost, layout, others, data))(point, *directions)


def at_points(function, layout, others, data, transform, room, count, points, extra):
    """The first `count` of `room` rows: a loop of variable length, so one program serves many numbers of points."""
    at_point, points = transform(_function_of_vector(function, layout, others, data, extra)), jnp.asarray(points)
    structure = jax.eval_shape(at_point, points[0])
    outputs = jax.tree_util.tree_map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), structure)

    def step(i, outputs):
        return jax.tree_util.tree_map(lambda rows, row: rows.at[i].set(row), outputs, at_point(points[i]))

    return lax.fori_loop(0, count, step, outputs)


def slope_along(cost, layout, others, data, point, v):
    """The slope of the cost at a point along v, by forward mode."""
    return jax.jvp(_function_of_vector(cost, layout, others, data), (point,), (v,))[1]


def product_along(cost, layout, others, data, point, v):
    """The product of the cost's Hessian at a point with v."""
    return product(_function_of_vector(cost, layout, others, data))(point, v)


def _function_of_vector(
    function: Callable, layout: Layout, others: StaticValues, data: Any, extra: tuple = ()
) -> Callable:
    arguments, numbers = data.values if isinstance(data, StaticValues) else data
    return lambda vector: Inputs(layout, arguments, numbers, others).call(function, vector, extra)
