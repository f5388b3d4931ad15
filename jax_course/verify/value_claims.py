"""The claim of a line of any shape: compared with what it should be at several points, each entry by itself.

What it should be is the line before or its derivative by autodiff. Where JAX cannot differentiate the line before, as
one in plain NumPy, central differences of that line decide, each with its own error bar.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify import differences
from jax_course.verify.context import Context, Derivative, unit_directions
from jax_course.verify.diagnosis import diagnose
from jax_course.verify.evaluation import evaluate, evaluate_one
from jax_course.verify.evidence import Evidence
from jax_course.verify.findings import Finding
from jax_course.verify.line_hypotheses import with_kinds
from jax_course.verify.lines import Jacobian, Judgement
from jax_course.verify.parameters import Inputs, Layout
from jax_course.verify.settings import LINE, Setting, entries, read_setting, shape_findings, value_layout
from jax_course.verify.witnesses import compare, precision_scaling

WORDS = {
    "the derivative": "what it should be", "of the cost": "of the line before", f"`{LINE}`": "this line",
    "yours is": "it is", "your ": "its ",
}  # fmt: skip


def judge_value(setting: Setting) -> Judgement:
    """A claim of arrays of any shape."""
    claim = setting.claim
    try:
        expected = setting.output(claim.reference)
    except Exception as error:  # no fault of this line: JAX cannot differentiate the one before, or it raises
        return _judge_by_differences(setting, error)
    layout = value_layout(expected)
    if structural := shape_findings(list(layout.shapes), setting.output(claim.hand)):
        return Judgement(False, np.nan, tuple(structural), "")
    points, hand, reference = setting.points(claim.reference), *map(setting.function, (claim.hand, claim.reference))
    is_array = layout.names == (LINE,)  # not a tuple of arrays
    cost = reference if is_array else Function(_Total(reference))
    context = Context(setting.inputs, cost, points, is_array, is_array)
    identity = points if layout.size == setting.point.size else np.zeros((len(points), layout.size))
    ours, theirs = partial(entries, hand), partial(entries, reference)
    derivative = Derivative("value", layout, ours, theirs, identity, None, theirs, hand)
    h, r = (function(context.inputs, points) for function in derivative.pair)
    if not np.isfinite(r).any():
        return Judgement(None, np.nan, (), "what it should equal is not finite here")
    tolerance, _ = precision_scaling(context, derivative, points, h, r)
    evidence = Evidence(context, derivative, points, hand=h, reference=r, tolerance=np.broadcast_to(tolerance, h.shape))
    return _judgement(setting, evidence, "")


class _Total:
    """The sum of all entries of a quantity's leaves: one number, where a cost is asked for."""

    def __init__(self, quantity: Function):
        self.quantity = quantity
        self.__wrapped__ = quantity

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        leaves = jax.tree_util.tree_leaves(self.quantity(*arguments, **keywords))
        return sum(jnp.sum(leaf) for leaf in leaves)


def _judge_by_differences(setting: Setting, error: Exception) -> Judgement:
    """A claim to be the Jacobian of a line that JAX cannot differentiate. error: what JAX said."""
    claim, unknown = setting.claim, f"no derivative of the line before ({type(error).__name__})"
    jacobian = claim.reference
    if not isinstance(jacobian, Jacobian):
        return Judgement(None, np.nan, (), f"the line before could not be computed ({type(error).__name__})")
    if isinstance(jacobian.quantity, Jacobian):  # differences of differences tell nothing
        return Judgement(None, np.nan, (), unknown)
    setting = read_setting(setting.arguments, claim._replace(moved=jacobian.names, cost=jacobian.quantity))
    inputs, before = setting.inputs, setting.function(jacobian.quantity)
    try:
        value = evaluate_one(inputs, before, setting.point)
        points = setting.points(jacobian.quantity)
    except Exception:  # the line before raises
        return Judgement(None, np.nan, (), unknown)
    outputs = value_layout(value)
    layout = value_layout(_blocks(setting, value))
    if structural := shape_findings(list(layout.shapes), setting.output(claim.hand)):
        return Judgement(False, np.nan, tuple(structural), "")

    def estimate(inputs: Inputs, points: np.ndarray) -> np.ndarray:
        return np.stack([_differences(inputs, before, outputs, point)[0] for point in points])

    hand = setting.function(claim.hand)
    reference, bar = (np.stack(rows) for rows in zip(*(_differences(inputs, before, outputs, p) for p in points),
                                                     strict=True))  # fmt: skip
    h = entries(hand, inputs, points)
    size = np.maximum(np.abs(h), np.abs(reference))
    bar = bar + 1e-10 * size
    remark = "by central differences: JAX cannot differentiate the line before"
    unseen = (bar > 1e-2 * size).all(axis=0) & (size > 0).any(axis=0)  # an entry of 0 in both is 0
    context = Context(inputs, before, points, False, False)
    derivative = Derivative("value", layout, partial(entries, hand), None, np.zeros_like(h), None, estimate, hand)
    evidence = Evidence(context, derivative, points, hand=h, reference=reference, tolerance=bar)
    found = _judgement(setting, evidence, remark)
    if found.holds and unseen.any():
        return Judgement(None, found.error, (), f"{remark}; too noisy for {unseen.sum()} of {unseen.size} entries")
    return found


def _blocks(setting: Setting, value: Any) -> Any:
    """Arrays of the shapes of the Jacobian of a line with that value, structured as by `jax.jacobian`."""
    params = setting.inputs.layout.tree(setting.point)
    inner = params[0] if len(params) == 1 else params
    return jax.tree_util.tree_map(
        lambda out: jax.tree_util.tree_map(lambda leaf: np.zeros(np.shape(out) + np.shape(leaf)), inner), value
    )


def _differences(
    inputs: Inputs, function: Function, outputs: Layout, point: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The entries (E,) of the Jacobian at a point, block after block, and their error bars (E,)."""
    directions, sizes = unit_directions(inputs.layout, point, np.arange(point.size))
    slope = differences.along(partial(entries, function, inputs), point, directions)

    def in_blocks(columns: np.ndarray) -> np.ndarray:
        J = (columns / sizes[:, None]).T
        return np.concatenate([J[o, a].ravel() for o in outputs.slices for a in inputs.layout.slices])

    return in_blocks(slope.value), in_blocks(5 * slope.error)


def _judgement(setting: Setting, evidence: Evidence, remark: str) -> Judgement:
    """The verdict on a line from its entries and what they should be; compared where the condition holds."""
    if setting.claim.where is not None:
        where = _condition(setting, evidence)
        if not where.any():
            return Judgement(None, np.nan, (), "the condition holds at none of the points")
        evidence = _where(evidence, where)
        remark = f"compared where the condition holds: {where.mean():.0%} of the entries"
    witness = compare("", "value", evidence.hand, evidence.reference, evidence.tolerance)
    found = with_kinds(setting, evidence.points, diagnose(evidence))
    findings = tuple(map(_in_words_of_lines, found))
    return Judgement(not findings and witness.verdict == "agrees", witness.error, findings, remark)


def _condition(setting: Setting, evidence: Evidence) -> np.ndarray:
    """The condition for each entry (p, E): one for all, or one for each of the first axes of a line's only array."""
    assert setting.claim.where is not None
    points = evidence.points
    values = np.asarray(evaluate(setting.inputs, setting.function(setting.claim.where), points), bool)
    if values.ndim == 1:
        return np.repeat(values[:, None], evidence.layout.size, axis=1)
    (shape,) = evidence.layout.shapes
    extended = values.reshape(values.shape + (1,) * (1 + len(shape) - values.ndim))
    return np.broadcast_to(extended, (len(points), *shape)).reshape(len(points), -1)


def _where(evidence: Evidence, where: np.ndarray) -> Evidence:
    tolerance = np.where(where, evidence.tolerance, np.inf)
    return Evidence(
        evidence.context, evidence.derivative, evidence.points,
        hand=evidence.hand, reference=evidence.reference, tolerance=tolerance,
    )  # fmt: skip


def _in_words_of_lines(finding: Finding) -> Finding:
    """A finding on a value, with the doctor's words for derivatives replaced by those for lines."""
    words = finding.sentence
    for derivative, line_before in WORDS.items():
        words = words.replace(derivative, line_before)
    return finding._replace(sentence=words)
