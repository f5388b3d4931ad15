"""Measurements on slips: how the gradient, or its slope along a direction, changes by each slip in the cost."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jax_course.verify.changes import Alterations, Altered, Change, Changes, Outputs
from jax_course.verify.context import Context, Derivative
from jax_course.verify.contributions import are_penalties
from jax_course.verify.evaluation import transformed
from jax_course.verify.findings import Kind
from jax_course.verify.plans import Plan, before, plan
from jax_course.verify.tracing import traits
from jax_course.verify.walk import LOOPS, NESTED, RULES, Step, walk_inputs


class Along(NamedTuple):
    """A transform of costs, applied to the slope of the cost along a direction."""

    transform: Callable
    direction: tuple[float, ...]

    def __call__(self, cost: Callable) -> Callable:
        """The transform of the slope."""
        return self.transform(partial(_slope, cost, np.array(self.direction)))


class Moved(NamedTuple):
    """A transform of costs into vector-valued functions, and how those change along a direction."""

    transform: Callable
    direction: tuple[float, ...]

    def __call__(self, cost: Callable) -> Callable:
        """The change of the transform along the direction, as a function of a point."""
        v, of_cost = np.array(self.direction), self.transform(cost)
        return lambda point: jax.jvp(of_cost, (point,), (v.astype(point.dtype),))[1]


def _slope(cost: Callable, direction: np.ndarray, point: Any) -> Any:
    return jax.jvp(cost, (point,), (direction.astype(point.dtype),))[1]


def slip_changes(context: Context, derivative: Derivative, points: np.ndarray) -> tuple[list[Change], list[list[int]]]:
    """The change (p, n) of the gradient by each slip, and the numbers of those that stand at one place in the code.

    Slips in operations of which none acts on another's output follow as one, as their changes add up. There are none
    for a cost that JAX cannot trace, or with too many steps.
    """
    known = _plan(context, derivative)
    if known is None or not known.slips:
        return [], []
    values = None
    for jacobian in (jax.jacfwd, jax.jacrev):  # a custom_vjp has no forward mode
        with contextlib.suppress(Exception):
            values = _evaluated(Changes(known.nested, jacobian), context, derivative, points)
            break
    if values is None:
        return [], []
    by_slip = np.swapaxes(values, 0, 1)
    by_slip = np.where(np.isfinite(by_slip).all(axis=(1, 2), keepdims=True), by_slip, 0.0)
    within = [frozenset({known.terms[step]} if step in known.terms else ()) for step in known.steps]
    found = [
        Change(slip.kind, slip.words, slip.path, change, step, terms)
        for slip, change, step, terms in zip(known.slips, by_slip, known.steps, within, strict=True)
    ]
    return found + [_together([found[i] for i in numbers]) for numbers in known.groups], known.turns


def _together(changes: list[Change]) -> Change:
    """Slips at several places as one."""
    within = [change.terms for change in changes]
    terms = frozenset().union(*within) if all(within) else frozenset()
    return changes[0]._replace(values=sum(change.values for change in changes), terms=terms, step=-1)


def penalty_terms(context: Context, derivative: Derivative, points: np.ndarray, numbers: set[int]) -> set[int]:
    """Of terms of the cost without data, by the numbers of the steps that end them, those that are penalties."""
    known, ends = _plan(context, derivative), tuple(sorted(numbers))
    if known is None or not ends:
        return set()
    transform = Outputs(known.nested, ends)

    def values(points: np.ndarray) -> np.ndarray:
        return np.asarray(transformed(transform, context.inputs, context.cost, points))

    with contextlib.suppress(Exception):  # no value at 0
        return {ends[k] for k in np.flatnonzero(are_penalties(values, points))}
    return set()


def altered_gradients(context: Context, derivative: Derivative, points: np.ndarray) -> list[Altered]:
    """The gradients (p, n) with slips in several operations, or with one left out; none as in `slip_changes`.

    Nor are there any for a cost with factors of matrices: a batch of them may stop XLA's threads for good.
    """
    known = _plan(context, derivative)
    if known is None or not known.rows or traits(context.inputs, context.cost, points[0]).has_factors:
        return []
    try:
        values = _evaluated(Alterations(known.nested, tuple(known.rows.items())), context, derivative, points)
    except Exception:  # an operation that has no such derivative
        return []
    pairs = zip(known.guesses, np.swapaxes(values, 0, 1), strict=True)
    return [Altered(guess, rows) for guess, rows in pairs if np.isfinite(rows).all()]


def _evaluated(transform: Callable, context: Context, derivative: Derivative, points: np.ndarray) -> np.ndarray:
    if derivative.name in ("slope", "moved"):
        along = Along if derivative.name == "slope" else Moved
        transform = along(transform, tuple(derivative.identity[0]))
    return np.asarray(transformed(transform, context.inputs, context.cost, points))


def _nested(context: Context) -> tuple[str, ...]:
    """The operations whose programs are entered: functions with rules, too, where their rules are right."""
    return (*NESTED, *LOOPS, *RULES) if context.plain else (*NESTED, *LOOPS)


def _plan(context: Context, derivative: Derivative) -> Plan | None:
    if derivative.name not in ("gradient", "slope", "moved") or not context.has_gradient:
        return None

    def cost(vector: Any) -> Any:
        return context.inputs.call(context.cost, vector)

    slope = partial(_slope, cost, derivative.identity[0])
    try:
        known = plan(slope if derivative.name == "slope" else cost, context.points[0], _nested(context))
        return _with_curvatures(known, cost, derivative, context) if known and derivative.name == "slope" else known
    except Exception:  # a program that cannot be walked through
        return None


def _with_curvatures(known: Plan, cost: Callable, derivative: Derivative, context: Context) -> Plan:
    """A plan for a slope, in which a path from a tangent ẏ in c ẏ is the curvature of y: without it, Gauss–Newton."""
    steps: dict[int, Step] = {}
    tangents: set[int] = set()
    numbers: dict[tuple[int, ...], set[int]] = {}

    def visit_all(step: Step, outputs: list[Any]) -> list[Any]:
        steps[step.number] = step
        numbers.setdefault(step.site, set()).add(step.number)
        return outputs

    def visit_tangents(step: Step, outputs: list[Any]) -> list[Any]:
        tangents.update(numbers.get(step.site, ()))
        return outputs

    def slope(point: Any, v: Any) -> Any:
        return jax.jvp(cost, (point,), (v,))[1]

    nested, inputs = known.nested, (context.points[0], derivative.identity[0].astype(context.points.dtype))
    jax.eval_shape(lambda *pair: walk_inputs(slope, list(pair), [True, False], visit_all, nested), *inputs)
    jax.eval_shape(lambda *pair: walk_inputs(slope, list(pair), [False, True], visit_tangents, nested), *inputs)
    multiplied: set[int] = set()
    for step in (steps[number] for number in tangents):
        moving = [parent for parent, moves in zip(step.parents, step.moving, strict=False) if moves]
        if any(parent is None or parent.number not in tangents for parent in moving):  # c moves, too
            multiplied = multiplied.union(
                *(before(parent) for parent in moving if parent and parent.number in tangents)
            )
    curved = tangents & multiplied
    slips = [
        slip._replace(kind=Kind.EXPECTED) if slip.path and step in curved and "operand" not in slip.words else slip
        for slip, step in zip(known.slips, known.steps, strict=True)
    ]
    return known._replace(slips=slips)
