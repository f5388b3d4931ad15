"""Hand-written Jacobians of functions with several outputs, against autodiff and differences, entry by entry."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.context import PROBES, Context, Derivative, first_line
from jax_course.verify.diagnosis import diagnose
from jax_course.verify.evaluation import evaluate, evaluate_one
from jax_course.verify.evidence import Evidence
from jax_course.verify.examine import examine, seeded_points
from jax_course.verify.findings import HARMLESS, Finding, Kind, Witness, abstention
from jax_course.verify.jacobian_differences import arbitrate, difference_jacobians
from jax_course.verify.jacobian_hypotheses import block_guess
from jax_course.verify.jacobian_layout import JACOBIAN, Blocks, build_blocks, structural_findings
from jax_course.verify.parameters import Inputs, double_precision, flatten_inputs
from jax_course.verify.report import Report
from jax_course.verify.tracing import is_traceable, output_structure
from jax_course.verify.witnesses import compare, explained, precision_scaling

WORDS = {"of the cost": "of the function", "the cost": "the function"}


def jacobian(f: Callable, params: Any, *arguments: Any, jacobian: Callable, **keywords: Any) -> Report:
    """Examine the hand-written Jacobian of f(params, *arguments, **keywords), any pytree of floating-point arrays.

    jacobian has the signature of f and returns what `jax.jacobian(f)` returns: for each output of shape s and each
    parameter array of shape p an array (*s, *p). All is computed in float64. f may be plain NumPy: then differences
    decide. Errors: TypeError for parameters or outputs that are no floating-point numbers; ValueError if f raises.

    >>> report = jacobian(lambda x: jnp.array([x[0] * x[1], x[1]]), jnp.array([2.0, 5.0]),
    ...                   jacobian=lambda x: -jnp.array([[x[1], x[0]], [0.0, 1.0]]))
    >>> report.ok, report.findings[0].kind.name, report.findings[0].location
    (False, 'SIGN', '∂f/∂x[0, 0]')
    """
    started = time.perf_counter()
    for name, function in {"f": f, "jacobian": jacobian}.items():
        if not callable(function):
            raise TypeError(f"{name} must be a function; got {type(function).__name__}")
    with double_precision():
        inputs, point = flatten_inputs(f, params, arguments, keywords)
        try:
            output = output_structure(inputs, Function(f), point)
            output = evaluate_one(inputs, Function(f), point) if output is None else output
        except Exception as error:
            raise ValueError(f"f raised {type(error).__name__}: {first_line(error)}") from error
        report = _examine(inputs, point, f, jacobian, build_blocks(output, inputs.layout))
    return report._replace(seconds=time.perf_counter() - started)


class Weighted:
    """⟨c, f⟩ for seeded weights c: one number, for what takes a cost."""

    def __init__(self, function: Callable, blocks: Blocks):
        self.function, self.shapes = function, blocks.outputs.shapes
        self.__wrapped__ = function

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        leaves = jax.tree_util.tree_leaves(self.function(*arguments, **keywords))
        if tuple(np.shape(leaf) for leaf in leaves) != self.shapes:
            raise ValueError("the outputs have another shape")
        return sum(jnp.vdot(c, leaf) for c, leaf in zip(weights(self.shapes), leaves, strict=True))


class WeightedRows:
    """cᵀJ for the weights of `Weighted`: the gradient that a hand-written Jacobian claims for it."""

    def __init__(self, function: Callable, blocks: Blocks):
        self.function, self.shapes, self.count = function, blocks.outputs.shapes, len(blocks.parameters.shapes)
        self.__wrapped__ = function

    def __call__(self, params: Any, *arguments: Any, **keywords: Any) -> Any:
        leaves = jax.tree_util.tree_leaves(self.function(params, *arguments, **keywords))
        c = [one for one in weights(self.shapes) for _ in range(self.count)]
        rows = [jnp.tensordot(one, leaf, np.ndim(one)) for one, leaf in zip(c, leaves, strict=True)]
        treedef = jax.tree_util.tree_structure(params)
        return jax.tree_util.tree_unflatten(treedef, [sum(rows[b :: self.count]) for b in range(self.count)])


def weights(shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    """Normal random numbers of these shapes, the same at every call.

    >>> [c.shape for c in weights(((2,), ()))]
    [(2,), ()]
    """
    rng = np.random.default_rng(0)
    return [np.asarray(rng.standard_normal(shape)) for shape in shapes]


class Jacobian:
    """The Jacobian of a function by autodiff; mode: jax.jacrev or jax.jacfwd."""

    def __init__(self, mode: Callable, function: Callable):
        self.mode, self.function = mode, function
        self.__wrapped__ = function

    def __call__(self, params: Any, *arguments: Any, **keywords: Any) -> Any:
        return self.mode(self.function)(params, *arguments, **keywords)


def _examine(inputs: Inputs, point: np.ndarray, f: Callable, hand: Callable, blocks: Blocks) -> Report:
    cost, function, ours = Function(Weighted(f, blocks)), Function(f), Function(hand)
    try:
        structure = output_structure(inputs, ours, point)
        findings = structural_findings(blocks, evaluate_one(inputs, ours, point) if structure is None else structure)
    except Exception as error:
        words = f"yours could not be computed: it raised {type(error).__name__}: {first_line(error)}"
        findings = [Finding(Kind.UNKNOWN, JACOBIAN, JACOBIAN, (), None, None, words)]
    if findings:
        witness = Witness("structure", JACOBIAN, "disagrees", float("nan"), "compared before any number")
        return Report(tuple(findings), (witness,), (), point.size, 1, 0.0)
    if not np.isfinite(blocks.outputs.vector(evaluate_one(inputs, function, point))).all():
        words = "the function is NaN or infinite at the point given, where no derivative can be examined."
        return Report((Finding(Kind.NONFINITE, "cost", "f", (), None, None, words),), (), (), point.size, 1, 0.0)
    context = Context(inputs, cost, point[None], False, False)
    context = context._replace(points=seeded_points(context))
    modes = [Function(Jacobian(mode, f)) for mode in (jax.jacrev, jax.jacfwd)]
    autodiff = next((one for one in modes if is_traceable(inputs, one, point)), None)
    estimate = None if autodiff is None else partial(_rows, blocks, autodiff)
    if autodiff is None and point.size <= PROBES * PROBES:
        estimate = partial(_differences, function, blocks)
    identity = np.zeros((len(context.points), blocks.layout.size))
    reference = None if autodiff is None else estimate
    name = "value"  # for the diagnosis: no cost's derivative
    derivative = Derivative(
        name, blocks.layout, partial(_rows, blocks, ours), reference, identity, None, estimate, ours
    )
    return _compare(context, derivative, function, hand, blocks)


def _compare(context: Context, derivative: Derivative, f: Function, hand: Callable, blocks: Blocks) -> Report:
    """The report on a Jacobian of the right structure."""
    inputs, points = context.inputs, context.points
    ours = derivative.hand(inputs, points)
    if derivative.reference is None:
        reference, tolerance = difference_jacobians(inputs, f, blocks, points, ours)
        witnesses = [
            abstention("autodiff", JACOBIAN, "JAX cannot differentiate the function (plain NumPy?)"),
            compare("central differences", JACOBIAN, ours, reference, tolerance, "each entry with its own error bar"),
        ]
        findings: list[Finding] = []
    else:
        autodiff = derivative.reference(inputs, points)
        tolerance, precision = precision_scaling(context, derivative, points, ours, autodiff)
        tolerance = np.array(np.broadcast_to(tolerance, ours.shape))
        findings, reference, tolerance, numerical = arbitrate(inputs, f, blocks, points, ours, autodiff, tolerance)
        witnesses = [compare("autodiff", JACOBIAN, ours, autodiff, tolerance), precision, numerical]
    evidence = Evidence(context, derivative, points, hand=ours, reference=reference, tolerance=tolerance)
    value = blocks.outputs.vector(evaluate(inputs, f, points), (len(points),))
    known = [_explained(evidence, value, blocks, finding) for finding in diagnose(evidence)]
    wrong = [_renamed(context, f, hand, blocks, finding) for finding in known]
    if not wrong and (findings or (derivative.reference is not None and witnesses[-1].verdict == "agrees")):
        witnesses = [explained(witness) for witness in witnesses]
    witnesses = [witness._replace(derivative=JACOBIAN) for witness in witnesses]
    return Report((*findings, *wrong), tuple(witnesses), (), points.shape[1], len(points), 0.0)


def _rows(blocks: Blocks, function: Callable, inputs: Inputs, points: np.ndarray) -> np.ndarray:
    """A Jacobian at points (p, n) as rows of entries (p, E). ValueError: on other data it has another shape."""
    leaves = jax.tree_util.tree_leaves(evaluate(inputs, function, points))
    if tuple(leaf.shape[1:] for leaf in leaves) != blocks.layout.shapes:
        raise ValueError("the Jacobian has another shape")
    return blocks.layout.vector(leaves, (len(points),))


def _differences(f: Callable, blocks: Blocks, inputs: Inputs, points: np.ndarray) -> np.ndarray:
    return difference_jacobians(inputs, f, blocks, points, np.zeros((len(points), blocks.layout.size)))[0]


def _explained(evidence: Evidence, value: np.ndarray, blocks: Blocks, finding: Finding) -> Finding:
    """A finding of no known kind, or of zeros, with the name of what is wrong in its block, if known; value: (p, q)."""
    if finding.kind not in (Kind.UNKNOWN, Kind.MISSING) or finding.leaf not in blocks.layout.names:
        return finding
    k = blocks.layout.names.index(finding.leaf)
    a, b = divmod(k, len(blocks.parameters.shapes))
    entries, shape = blocks.layout.slices[k], blocks.layout.shapes[k]
    matrices = evidence.hand, evidence.reference, evidence.tolerance
    hand, reference, tolerance = (rows[:, entries].reshape(-1, *shape) for rows in matrices)
    output = value[:, blocks.outputs.slices[a]].reshape(-1, *blocks.outputs.shapes[a])
    guess = block_guess(hand, reference, tolerance, output, blocks.parameters.shapes[b])
    if guess is None or (finding.kind == Kind.MISSING and guess.kind != Kind.DIAGONAL):
        return finding
    return finding._replace(kind=guess.kind, sentence=f"`{finding.leaf}`: {guess.words}")


def _renamed(context: Context, f: Callable, hand: Callable, blocks: Blocks, finding: Finding) -> Finding:
    """A finding in the words of Jacobians; one of no known kind with the name that a combination of the rows has."""
    words = finding.sentence
    for cost, function in WORDS.items():
        words = words.replace(cost, function)
    finding = finding._replace(derivative=JACOBIAN, sentence=words)
    if finding.kind != Kind.UNKNOWN:
        return finding
    inputs, layout = context.inputs, context.layout
    others = inputs.others.values | inputs.numbers
    rows = WeightedRows(hand, blocks)
    try:
        report = examine(
            context.cost.function, layout.tree(context.points[0]), inputs.arguments, others, {"gradient": rows}
        )
    except Exception:  # it was examined already, and is only named here
        return finding
    named = [one for one in report.findings if one.kind not in (*HARMLESS, Kind.UNKNOWN)]
    if len(named) != 1:
        return finding
    return finding._replace(
        kind=named[0].kind, sentence=f"of a sum of the outputs, each with a weight, {named[0].sentence}"
    )
