"""The analytic derivatives: those that the reader derived, each with autodiff's as its reference."""

import contextlib
import copy
import dis
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from jax_course.verify.context import (
    PROBES,
    SMALL,
    Context,
    Derivative,
    Entries,
    difference_gradient,
    difference_hessian,
    first_line,
)
from jax_course.verify.evaluation import evaluate, evaluate_both, evaluate_one, gradients, hessians, products
from jax_course.verify.findings import Finding, Kind
from jax_course.verify.parameters import Inputs, Layout, cast
from jax_course.verify.programs import product
from jax_course.verify.structure import structural_findings
from jax_course.verify.tracing import output_structure

WRITING = ("+=", "-=", "*=", "/=", "@=", "**=")


def build_derivative(
    context: Context, name: str, function: Callable, gradient: Callable | None
) -> tuple[Derivative | None, list[Finding]]:
    """The derivative of that name, or findings where it cannot be computed or has a wrong structure.

    gradient: the reader's gradient, if it is known to be right; of use where there is no autodiff.
    """
    layout, point = context.layout, context.points[0]
    v = np.random.default_rng(1).standard_normal((PROBES + 1, layout.size))[: len(context.points)]
    extra = (layout.tree(v[0]),) if name == "hessian_product" else ()
    try:
        structure = output_structure(context.inputs, function, point, *extra)
        output = evaluate_one(context.inputs, function, point, extra) if structure is None else structure
    except Exception as error:
        sentence = f"yours could not be computed: it raised {type(error).__name__}: {first_line(error)}"
        return None, [Finding(Kind.UNKNOWN, name, name, (), None, None, sentence)]
    changed = "" if structure is None else _changed_structure(context, function, extra)
    if structure is None or _writes(function):
        changed = changed or _changed_arguments(context, function, extra)
    if changed:
        sentence = f"yours changes {changed} in place, so that another call gives another value: work on a copy."
        return None, [Finding(Kind.UNKNOWN, name, name, (), None, None, sentence)]
    value = evaluate_one(context.inputs, context.cost, point)
    if structural := structural_findings(layout, name, output, value, context.inputs.eps):
        return None, structural
    if name == "gradient":
        return _gradient(context, function), []
    slopes = _slopes(context, gradient)
    return (_hessian(context, function, slopes) if name == "hessian" else _product(context, function, slopes, v)), []


def _changed_arguments(context: Context, function: Callable, extra: tuple) -> str:
    """The arguments that a function of NumPy's arrays writes into: its parameters, its data, or none ("")."""
    point, inputs = context.points[0], copy.deepcopy(context.inputs.data)
    given = context.points[0].copy()
    copied = context.inputs._replace(arguments=inputs[0], numbers=inputs[1])
    try:
        copied.call(function, given, extra)
    except Exception:  # it asks for arrays of JAX's, which cannot be changed
        return ""
    if given.tobytes() != point.tobytes():
        return "its parameters"
    pairs = zip(*(jax.tree_util.tree_leaves(data) for data in (inputs, context.inputs.data)), strict=True)
    changed = [isinstance(a, np.ndarray) and a.tobytes() != b.tobytes() for a, b in pairs]
    return "its data" if any(changed) else ""


def _writes(function: Callable) -> bool:
    """Whether a function's code writes: under a trace `w *= 2` makes another array, on NumPy's it changes w."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    instructions = dis.get_instructions(code) if code else ()
    return any(step.opname == "STORE_SUBSCR" or step.argrepr in WRITING for step in instructions)


def _changed_structure(context: Context, function: Callable, extra: tuple) -> str:
    """The parameters if a function that JAX can trace puts other arrays into them, else nothing ("")."""
    changed: list[bool] = []

    def watched(vector: Any) -> Any:
        params = context.layout.tree(vector)
        before = jax.tree_util.tree_leaves(params)
        arguments = (*context.inputs.arguments, *extra)
        output = function(params, *arguments, **context.inputs.numbers, **context.inputs.others.values)
        after = jax.tree_util.tree_leaves(params)
        changed.append(len(after) != len(before) or any(a is not b for a, b in zip(after, before, strict=True)))
        return output

    with contextlib.suppress(Exception):  # of one that needs its data traced, too
        jax.eval_shape(watched, context.points[0])
    return "its parameters" if any(changed) else ""


def _gradient(context: Context, function: Callable) -> Derivative:
    layout = context.layout
    if context.has_gradient:
        hand, autodiff = _from_one_program(context, function, layout, jax.grad, gradients)
        return Derivative("gradient", layout, hand, autodiff, context.points, None, autodiff, function)

    def estimate(inputs, points):
        changed, entries = context._replace(inputs=inputs), np.arange(layout.size)
        return np.stack([difference_gradient(changed, point, entries)[0] for point in points])

    hand = partial(_rows, function, layout)
    return Derivative("gradient", layout, hand, None, context.points, None, estimate if layout.size <= SMALL else None)


def _hessian(context: Context, function: Callable, slopes: Entries | None) -> Derivative:
    layout, n = context.layout, context.layout.size
    names = tuple(a if len(layout.names) == 1 else f"{a}, {b}" for a in layout.names for b in layout.names)
    blocks = Layout(None, names, tuple(a + b for a in layout.shapes for b in layout.shapes))

    def entries(matrices):
        return np.stack([layout.block_entries(matrix) for matrix in matrices])

    points = context.points if n <= SMALL else context.points[[0, -1]]
    identity = entries(np.broadcast_to(np.eye(n), (len(points), n, n)))
    if context.has_hessian:
        hand, autodiff = _from_one_program(context, function, blocks, jax.hessian, hessians, entries)
        return Derivative("hessian", blocks, hand, autodiff, identity, slopes, autodiff, function)
    hand = partial(_rows, function, blocks)
    if slopes is None or n > SMALL:
        return Derivative("hessian", blocks, hand, None, identity, slopes, None)

    def estimate(inputs, points):
        return np.stack([difference_hessian(layout, partial(slopes, inputs), point)[0] for point in points])

    return Derivative("hessian", blocks, hand, None, identity, slopes, estimate)


def _product(context: Context, function: Callable, slopes: Entries | None, v: np.ndarray) -> Derivative:
    layout = context.layout
    if context.has_hessian:
        hand, autodiff = _from_one_program(context, function, layout, product, products, v=v)
    else:
        hand, autodiff = partial(_rows, function, layout, v=v), None
    return Derivative("hessian_product", layout, hand, autodiff, v, slopes, autodiff)


def _slopes(context: Context, gradient: Callable | None) -> Entries | None:
    """The gradients to take differences of: autodiff's, or the reader's."""
    if context.has_gradient:
        return lambda inputs, points: gradients(inputs, context.cost, points)
    return None if gradient is None else partial(_rows, gradient, context.layout)


def _rows(
    function: Callable, layout: Layout, inputs: Inputs, points: np.ndarray, v: np.ndarray | None = None
) -> np.ndarray:
    """The reader's derivative, a row of entries for each point, and for a product each with its own direction."""
    if v is None:
        return layout.vector(evaluate(inputs, function, points), (len(points),))
    directions = [(cast(layout.tree(direction), points.dtype),) for direction in v]
    outputs = [evaluate_one(inputs, function, *pair) for pair in zip(points, directions, strict=True)]
    return np.stack([layout.vector(output) for output in outputs])


def _from_one_program(
    context: Context,
    function: Callable,
    layout: Layout,
    transform: Callable,
    autodiff: Callable,
    entries: Callable[[np.ndarray], np.ndarray] = np.asarray,
    v: np.ndarray | None = None,
) -> tuple[Entries, Entries]:
    """The reader's derivative and autodiff's, from one program where JAX can trace both, else each from its own.

    autodiff: the function that evaluates transform(cost); entries: brings its output into the order of the reader's.
    The last pair is kept, because both are asked for at the same points.
    """
    last: list[Any] = [None, None, None]  # inputs, points, and the pair there

    def pair(inputs, points):
        if last[0] is not inputs or last[1] is not points:
            found = evaluate_both(transform, inputs, function, context.cost, points, *directions(points))
            last[:] = inputs, points, found and (layout.vector(found[0], (len(points),)), entries(found[1]))
        return last[2]

    def directions(points):
        return () if v is None else (v.astype(points.dtype),)

    def hand(inputs, points):
        found = pair(inputs, points)
        return _rows(function, layout, inputs, points, v) if found is None else found[0]

    def reference(inputs, points):
        found = pair(inputs, points)
        return entries(autodiff(inputs, context.cost, points, *directions(points))) if found is None else found[1]

    return hand, reference
