"""The claim of one line: compared with the line before it, or with that line's derivative, and diagnosed.

A claim to be the gradient or the Hessian of a cost is examined by the doctor with all its witnesses. Any other claim,
of arrays of any shape, is compared at the point given and at points beside it, each entry with its own error bar, and
diagnosed with the same hypotheses.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.analytic import build_derivative
from jax_course.verify.context import PROBES, Context, Derivative, first_line, leaf_scales
from jax_course.verify.diagnosis import diagnose
from jax_course.verify.evaluation import evaluate, evaluate_one
from jax_course.verify.evidence import Evidence
from jax_course.verify.examine import run_checks, seeded_points
from jax_course.verify.findings import HARMLESS, Finding, Kind
from jax_course.verify.lines import Arguments, Quantity
from jax_course.verify.parameters import Inputs, Layout, flatten_inputs
from jax_course.verify.tracing import is_differentiable, output_structure
from jax_course.verify.witnesses import compare, precision_scaling

LINE = "line"  # the name of the array that a line's function returns
WORDS = {
    "the derivative": "what it should be", "of the cost": "of the line before", f"`{LINE}`": "this line",
    "yours is": "it is", "your ": "its ",
}  # fmt: skip


class Claim(NamedTuple):
    """The claim of a line about one before it.

    hand: the line. reference: what it should be. cost: the line that was differentiated, the reference itself if none
    was. moved: the names of the arguments that are moved from point to
    point. where: the condition, or None.
    """

    hand: Quantity
    reference: Quantity
    cost: Quantity
    name: str  # "gradient" or "hessian" of a cost, or "value"
    moved: tuple[str, ...]
    where: Quantity | None


class Judgement(NamedTuple):
    """holds: True, False, or None where nothing can be said. error: in units of the largest entry."""

    holds: bool | None
    error: float
    findings: tuple[Finding, ...]
    remark: str


class Named:
    """A quantity as a function of the moved arguments, a tuple, and of the others: arrays in order, numbers by name."""

    def __init__(self, quantity: Quantity, moved: tuple[str, ...], arrays: tuple[str, ...], nested: int = 0):
        self.quantity, self.moved, self.arrays, self.nested = quantity, moved, arrays, nested

    def __call__(self, params: tuple, *arguments: Any, **keywords: Any) -> Any:
        given = {**keywords, **dict(zip(self.arrays, arguments, strict=False))}
        given |= dict(zip(self.moved, params, strict=True))
        value = self.quantity(given)
        for _ in range(self.nested):  # the structure of a derivative by a tuple of one parameter
            value = (value,)
        return value

    @property
    def __signature__(self) -> inspect.Signature:
        kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(name, kinds) for name in ("params", *self.arrays)])


def judge(arguments: Arguments, claim: Claim) -> Judgement:
    """Whether the claim holds at the values of the arguments and beside them."""
    try:
        return _judge(arguments, claim)
    except Exception as error:  # the reader's functions may raise anything
        sentence = f"this line could not be computed: it raised {type(error).__name__}: {first_line(error)}"
        return Judgement(False, np.nan, (Finding(Kind.UNKNOWN, claim.name, "line", (), None, None, sentence),), "")


def _judge(arguments: Arguments, claim: Claim) -> Judgement:
    others = {name: value for name, value in arguments.values.items() if name not in claim.moved}
    arrays = {name: value for name, value in others.items() if any(map(np.ndim, jax.tree_util.tree_leaves(value)))}
    numbers = {name: value for name, value in others.items() if name not in arrays}
    wrap = partial(Named, moved=claim.moved, arrays=tuple(arrays))
    params = tuple(jax.tree_util.tree_map(_as_float, arguments.look_up(name, arguments.values)) for name in claim.moved)
    inputs, point = flatten_inputs(wrap(claim.cost), params, tuple(arrays.values()), numbers)
    inputs = inputs._replace(layout=inputs.layout._replace(names=_names(inputs.layout.names, claim.moved)))
    if claim.name in ("gradient", "hessian") and claim.where is None:
        nested = (1 if claim.name == "gradient" else 2) if len(claim.moved) == 1 else 0
        return _judge_derivative(inputs, point, claim.name, wrap(claim.cost), wrap(claim.hand, nested=nested))
    return _judge_value(inputs, point, claim, wrap)


def _as_float(leaf: Any) -> np.ndarray:
    return np.asarray(leaf, float)


def _names(names: tuple[str, ...], moved: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the leaves of a tuple of arguments, "0.W1", with the name of the argument, "params.W1"."""
    found = []
    for name in names:
        number, _, below = name.partition(".")
        found.append(f"{moved[int(number)]}.{below}" if below else moved[int(number)])
    return tuple(found)


def _judge_derivative(inputs: Inputs, point: np.ndarray, name: str, cost: Callable, hand: Callable) -> Judgement:
    """A gradient or Hessian of a cost, with all witnesses of the doctor."""
    cost, hand = Function(cost), Function(hand)
    once = is_differentiable(inputs, cost, point, jax.grad)
    twice = once and name == "hessian" and is_differentiable(inputs, cost, point, jax.hessian)
    context = Context(inputs, cost, point[None], once, twice)
    context = context._replace(points=seeded_points(context))
    shapes = inputs.layout.shapes
    expected = list(shapes) if name == "gradient" else [a + b for a in shapes for b in shapes]
    structural = _structural_findings(expected, _output(inputs, hand, point))
    if not structural:
        derivative, structural = build_derivative(context, name, hand, None)
    if structural or derivative is None:
        return Judgement(False, np.nan, tuple(structural), "")
    checked = run_checks(context, derivative)
    compared = [witness for witness in checked.witnesses if witness.verdict != "abstains"]
    error = next((witness.error for witness in compared), np.nan)
    wrong = any(finding.kind not in HARMLESS for finding in checked.findings)
    agree = bool(compared) and all(witness.verdict == "agrees" for witness in compared)
    return Judgement(False if wrong else True if agree else None, error, tuple(checked.findings), "")


def _judge_value(inputs: Inputs, point: np.ndarray, claim: Claim, wrap: Callable) -> Judgement:
    """A claim of arrays of any shape."""
    hand, reference = Function(wrap(claim.hand)), Function(wrap(claim.reference))
    try:
        expected = _output(inputs, reference, point)
    except Exception as error:  # no fault of this line: JAX cannot differentiate the one before, or it raises
        return Judgement(None, np.nan, (), f"no derivative of the line before ({type(error).__name__}): is it NumPy?")
    layout = _value_layout(expected)
    if structural := _structural_findings(list(layout.shapes), _output(inputs, hand, point)):
        return Judgement(False, np.nan, tuple(structural), "")
    points = _points(inputs, reference, point)
    where = claim.where and _condition(inputs, Function(wrap(claim.where)), points, layout)
    if where is not None and not where.any():
        return Judgement(None, np.nan, (), "the condition holds at none of the points")
    is_array = layout.names == (LINE,)  # not a tuple of arrays
    context = Context(inputs, reference if is_array else Function(_Total(reference)), points, is_array, is_array)
    identity = points if layout.size == point.size else np.zeros((len(points), layout.size))
    ours, theirs = partial(_rows, layout, hand), partial(_rows, layout, reference)
    return _compare(context, Derivative("value", layout, ours, theirs, identity, None, theirs, hand), where)


def _compare(context: Context, derivative: Derivative, where: np.ndarray | None) -> Judgement:
    """The reader's line compared with what it should be; where: the entries (p, E) to compare, None for all."""
    points = context.points
    hand, reference = (function(context.inputs, points) for function in derivative.pair)
    if not np.isfinite(reference).any():
        return Judgement(None, np.nan, (), "what it should equal is not finite here")
    tolerance, _ = precision_scaling(context, derivative, points, hand, reference)
    tolerance, remark = np.array(np.broadcast_to(tolerance, hand.shape)), ""
    if where is not None:
        tolerance[~where] = np.inf
        remark = f"compared where the condition holds: {where.mean():.0%} of the entries"
    witness = compare("", "value", hand, reference, tolerance)
    evidence = Evidence(context, derivative, points, hand=hand, reference=reference, tolerance=tolerance)
    findings = tuple(map(_in_words_of_lines, diagnose(evidence)))
    return Judgement(not findings and witness.verdict == "agrees", witness.error, findings, remark)


def _in_words_of_lines(finding: Finding) -> Finding:
    """A finding on a value, with the doctor's words for derivatives replaced by those for lines."""
    words = finding.sentence
    for derivative, line_before in WORDS.items():
        words = words.replace(derivative, line_before)
    return finding._replace(sentence=words)


class _Total:
    """The sum of all entries of a quantity's leaves: one number, where a cost is asked for."""

    def __init__(self, quantity: Function):
        self.quantity = quantity
        self.__wrapped__ = quantity

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        leaves = jax.tree_util.tree_leaves(self.quantity(*arguments, **keywords))
        return sum(jnp.sum(leaf) for leaf in leaves)


def _rows(layout: Layout, function: Callable, inputs: Inputs, points: np.ndarray) -> np.ndarray:
    return layout.vector(evaluate(inputs, function, points), (len(points),))


def _value_layout(expected: Any) -> Layout:
    paths, treedef = jax.tree_util.tree_flatten_with_path(expected)
    names = tuple(jax.tree_util.keystr(path, simple=True, separator=".") or LINE for path, _ in paths)
    return Layout(treedef, names, tuple(np.shape(leaf) for _, leaf in paths))


def _output(inputs: Inputs, function: Callable, point: np.ndarray) -> Any:
    """The output of a function, or only its shapes where JAX can trace it."""
    structure = output_structure(inputs, function, point)
    return evaluate_one(inputs, function, point) if structure is None else structure


def _structural_findings(expected: list[tuple[int, ...]], output: Any) -> list[Finding]:
    """Findings where a line's output has not the shapes that it should have."""
    shapes = [np.shape(leaf) for leaf in jax.tree_util.tree_leaves(output)]
    if shapes == expected:
        return []
    if not shapes:
        words = "this line returns nothing (None): is `return` missing in front of its last line?"
        return [Finding(Kind.SHAPE, "value", "line", (), None, None, words)]
    got, needed = (", ".join(map(str, found)) for found in (shapes, expected))
    transposed = len(shapes) == len(expected) == 1 and shapes[0] == expected[0][::-1]
    hint = ": rows and columns are exchanged" if transposed else ""
    words = f"this line has shape {got} where {needed} is expected{hint}."
    return [Finding(Kind.TRANSPOSE if transposed else Kind.SHAPE, "value", "line", (), got, needed, words)]


def _points(inputs: Inputs, reference: Callable, point: np.ndarray) -> np.ndarray:
    """The point given and a few beside it, near enough that the line before is finite there."""
    rng = np.random.default_rng(0)
    for distance in (0.1, 0.01, 0.001):
        scale = distance * leaf_scales(inputs.layout, point)
        beside = point + scale * rng.standard_normal((PROBES, point.size))
        beside = beside.astype(np.float32).astype(np.float64)
        values = jax.tree_util.tree_leaves(evaluate(inputs, reference, beside))
        if all(np.isfinite(np.asarray(value, float)).all() for value in values):
            return np.concatenate([point[None], beside])
    return point[None]


def _condition(inputs: Inputs, where: Callable, points: np.ndarray, layout: Layout) -> np.ndarray:
    """The condition for each entry, (p, E): one for all, or one for each of the first axes of a line's only array."""
    values = np.asarray(evaluate(inputs, where, points), bool)
    if values.ndim == 1:
        return np.repeat(values[:, None], layout.size, axis=1)
    (shape,) = layout.shapes
    extended = values.reshape(values.shape + (1,) * (1 + len(shape) - values.ndim))
    return np.broadcast_to(extended, (len(points), *shape)).reshape(len(points), -1)
