r"""The examination: every witness is compared with the reader's derivative, and what differs is diagnosed.

Reference. Reverse-mode autodiff if JAX can trace the cost; central differences if it cannot.

Points. The point given and a few beside it, seeded: a formula that is right is right in a neighbourhood, and a missing
penalty does not show at θ = 0.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.analytic import build_derivative
from jax_course.verify.arbiter import arbitrate, autodiff_is_wrong, right_beside_rules, without_wrong_rules
from jax_course.verify.closures import in_double, in_single
from jax_course.verify.context import EPS, PROBES, Context, Derivative, entry_scales, first_line, leaf_scales
from jax_course.verify.diagnosis import diagnose
from jax_course.verify.evaluation import evaluate
from jax_course.verify.evidence import Evidence
from jax_course.verify.findings import HARMLESS, Finding, Kind, Witness
from jax_course.verify.numerical import TOO_WIDE, without_autodiff
from jax_course.verify.numpy_costs import traceable
from jax_course.verify.parameters import Inputs, Layout, flatten_inputs
from jax_course.verify.report import Report
from jax_course.verify.tracing import is_differentiable, traits
from jax_course.verify.witnesses import (
    along_directions,
    autodiff_abstains,
    compare,
    explained,
    precision_scaling,
    second_order,
)

BLUR = 1e-4  # of the largest entry of a leaf; loops that people write end at changes of 1e-4 to 1e-8
NEARLY = 1e-5  # of the largest entry of a leaf; solvers that people differentiate through end at 1e-6 to 1e-8
COARSE = 8  # roundings of the largest entry of a leaf by which a float32 gradient of float32 parameters may differ
FULL_HESSIAN = 600  # parameters; with more, the eigenvalues of the Hessian are not computed


class Checked(NamedTuple):
    """The outcome of the checks of one derivative."""

    findings: list[Finding]
    witnesses: list[Witness]
    notes: list[str]


def examine(cost: Callable, params: Any, arguments: tuple, keywords: dict[str, Any], hands: dict) -> Report:
    """The report on the derivatives in `hands`, a dictionary of gradient, hessian, hessian_product. See `derivatives`.

    >>> examine(lambda x: x**2, 3.0, (), {}, {"gradient": lambda x: 2 * x}).headline
    'RIGHT: gradient'
    """
    started = time.perf_counter()
    inputs, point = flatten_inputs(cost, params, arguments, keywords)
    if wrap := _wrapper(inputs, cost, point):
        cost, hands = wrap(cost), {name: wrap(hand) for name, hand in hands.items()}
    cost, hands = Function(cost), {name: Function(hand) for name, hand in hands.items()}
    once = is_differentiable(inputs, cost, point, jax.grad)
    if not once and (traced := _traced(inputs, cost, point)):
        cost, once = traced, True
    twice = once and bool(hands.keys() - {"gradient"}) and is_differentiable(inputs, cost, point, jax.hessian)
    context = Context(inputs, cost, point[None], once, twice)
    problem = _check_cost(context)
    if problem:
        return Report((problem,), (), (), inputs.layout.size, 1, time.perf_counter() - started)
    context = context._replace(points=seeded_points(context))
    if once:
        context = without_wrong_rules(context)
    if "gradient" not in hands and once and autodiff_is_wrong(context):
        context = context._replace(has_gradient=False, has_hessian=False)
    findings, witnesses, notes = [], [], []
    gradient_is_right = False
    for name, hand in hands.items():
        derivative, structural = build_derivative(
            context, name, hand, hands.get("gradient") if gradient_is_right else None
        )
        if derivative is None:
            witness = Witness("structure", name, "disagrees", float("nan"), "compared before any number")
            checked = Checked(structural, [witness], [])
        else:
            checked = run_checks(context, derivative)
        findings, witnesses, notes = findings + checked.findings, witnesses + checked.witnesses, notes + checked.notes
        if name == "gradient" and derivative is not None:
            gradient_is_right = all(finding.kind in HARMLESS for finding in checked.findings)
            if gradient_is_right and Kind.AUTODIFF in {finding.kind for finding in checked.findings}:
                context = context._replace(has_gradient=False, has_hessian=False)  # the reader's gradient is better
    seconds = time.perf_counter() - started
    return Report(tuple(findings), tuple(witnesses), tuple(notes), inputs.layout.size, len(context.points), seconds)


def _wrapper(inputs: Inputs, cost: Callable, point: np.ndarray) -> Callable | None:
    """The change without which the cost raises: float64 for the arrays that it holds, or its own float32 for all."""
    for wrap in (None, in_double, in_single):
        with contextlib.suppress(Exception):
            evaluate(inputs, Function(wrap(cost) if wrap else cost), point[None])
            return wrap
    return None


def _traced(inputs: Inputs, cost: Function, point: np.ndarray) -> Callable | None:
    """The cost, if it is written in NumPy and JAX can differentiate it all the same, with the same value."""
    traced = Function(traceable(cost.function))
    try:
        if not is_differentiable(inputs, traced, point, jax.grad):
            return None
        values = [float(np.asarray(evaluate(inputs, f, point[None]))[0]) for f in (cost, traced)]
    except Exception:  # the cost raises by itself, of which the checks say more
        return None
    return traced if np.isclose(*values, rtol=1e-12, atol=0) else None


def run_checks(context: Context, derivative: Derivative) -> Checked:
    """Compare one derivative with every witness, and diagnose what differs."""
    points = context.points if len(derivative.identity) == len(context.points) else context.points[[0, -1]]
    hand = derivative.hand(context.inputs, points)
    if derivative.reference is None:
        witnesses = autodiff_abstains(context, derivative.name)
        findings, reference, tolerance, numerical = without_autodiff(context, derivative, points, hand)
    else:
        reference = derivative.reference(context.inputs, points)
        tolerance, precision = precision_scaling(context, derivative, points, hand, reference)
        if hand.dtype != reference.dtype:  # as coarse as the reader's own parameters
            hand = hand.astype(reference.dtype)
            coarse = COARSE * context.inputs.eps * _largest_of_leaves(derivative.layout, reference)
            tolerance = np.maximum(tolerance, coarse)
        findings, reference, tolerance, numerical = arbitrate(context, derivative, hand, reference, tolerance)
        findings += right_beside_rules(context, derivative, hand, reference, tolerance)
        name = "reverse-mode autodiff" if derivative.name == "gradient" else "autodiff"
        witnesses = [compare(name, derivative.name, hand, reference, tolerance), precision]
    witnesses.append(numerical)
    if derivative.name == "gradient":
        witnesses += along_directions(context, derivative, hand, tolerance)
    else:
        witnesses.append(second_order(context, derivative, hand))
    if numerical.remark == TOO_WIDE:  # the other witnesses see sums over the entries, in which the small ones vanish
        witnesses = [w._replace(verdict="abstains") if w.verdict == "agrees" else w for w in witnesses]
    if (unknown := ~np.isfinite(reference[0]) & np.isfinite(hand[0])).any():
        remark = f"autodiff and differences give no reliable number in {unknown.sum()} of {unknown.size} entries"
        witnesses = [witness._replace(verdict="abstains", remark=remark) for witness in witnesses]
    evidence = Evidence(context, derivative, points, hand=hand, reference=reference, tolerance=tolerance)
    if evidence.wrong.any() and _iterates(context):
        blurred = np.maximum(tolerance, BLUR * _largest_of_leaves(derivative.layout, reference))
        evidence = Evidence(context, derivative, points, hand=hand, reference=reference, tolerance=blurred)
        if not evidence.wrong.any():
            remark = f"the cost iterates until it converges: its derivative is not known to better than {BLUR:g}"
            witnesses = [witness._replace(verdict="abstains", remark=remark) for witness in witnesses]
    wrong = diagnose(evidence)
    if {finding.kind for finding in wrong} == {Kind.UNKNOWN} and _is_nearly_right(evidence):
        remark = f"yours differs by less than {NEARLY:g} of the largest entry, as if an iteration ended early"
        witnesses, wrong = [witness._replace(verdict="abstains", remark=remark) for witness in witnesses], []
    if findings and not wrong:
        witnesses = [explained(witness) for witness in witnesses]
    return Checked(findings + wrong, witnesses, _hessian_notes(context, derivative, hand))


def _is_nearly_right(evidence: Evidence) -> bool:
    """Whether all that differs is a small part of its leaf and of itself: of iterations, or of rounded constants."""
    distance, size = np.abs(evidence.hand - evidence.reference), np.abs(evidence.reference)
    nearly = NEARLY * _largest_of_leaves(evidence.layout, evidence.reference)
    return bool((distance <= np.maximum(np.minimum(nearly, 1e-3 * size), evidence.tolerance)).all())


def _iterates(context: Context) -> bool:
    """Whether the cost has a loop that ends when it converges, so that its derivative has not all digits."""
    return context.has_gradient and traits(context.inputs, context.cost, context.points[0]).has_loops


def _largest_of_leaves(layout: Layout, values: np.ndarray) -> np.ndarray:
    """The largest size of the leaf of each entry, (E,)."""
    size = np.nan_to_num(np.abs(values))
    return np.concatenate([np.full(part.stop - part.start, size[:, part].max(initial=0.0)) for part in layout.slices])


def _check_cost(context: Context) -> Finding | None:
    """Raise if it is no cost; a finding if it is not finite at the point given."""
    try:
        value = evaluate(context.inputs, context.cost, context.points)
    except Exception as error:
        raise ValueError(f"the cost raised {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(value, np.ndarray) or value.shape != (1,):
        shapes = ", ".join(str(np.shape(leaf)[1:]) for leaf in jax.tree_util.tree_leaves(value)) or "none"
        described = "an array" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise ValueError(f"the cost must return one number; it returned {described} of shape {shapes}")
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"the cost must return a floating-point number; it returned {value.dtype}")
    number = float(value[0])
    if np.isfinite(number):
        return None
    sentence = f"the cost is {number} at the point given, where no derivative can be examined: choose another point."
    return Finding(Kind.NONFINITE, "cost", "cost", (), number, None, sentence)


def seeded_points(context: Context) -> np.ndarray:
    """The point given and a few beside it, (1 + PROBES, n): near enough that the cost keeps its size, or is finite.

    A small parameter moves by the size of its leaf, or, if that is too far, by its own.
    """
    point, layout = context.points[0], context.layout
    rng = np.random.default_rng(0)
    leaf, entry = leaf_scales(layout, point), entry_scales(layout, point)
    center = float(context.values(point[None])[0])
    for largest_change in (10 * abs(center), np.inf):
        for distance in (0.1 * leaf, 0.1 * entry, 0.01 * leaf, 0.001 * leaf):
            beside = point + distance * rng.standard_normal((PROBES, point.size))
            beside = beside.astype(np.float32).astype(np.float64)
            with contextlib.suppress(Exception):  # outside of its domain a cost may raise
                values = context.values(beside)
                if (np.isfinite(values) & (np.abs(values - center) <= largest_change)).all():
                    return np.concatenate([point[None], beside])
    return point[None]


def _hessian_notes(context: Context, derivative: Derivative, hand: np.ndarray) -> list[str]:
    """Symmetry, definiteness and rank of the reader's Hessian at the point given."""
    n = context.layout.size
    if derivative.name != "hessian" or n > FULL_HESSIAN or not np.isfinite(hand[0]).all():
        return []
    H = context.layout.block_matrix(hand[0])
    if np.abs(H - H.T).max() > 1e-8 * np.abs(H).max():
        return ["your Hessian is not symmetric"]
    eigenvalues = np.linalg.eigvalsh(H)
    tiny = n * EPS * 10 * np.abs(eigenvalues).max()
    rank = int((np.abs(eigenvalues) > tiny).sum())
    kind = "positive" if eigenvalues[0] > -tiny else "negative" if eigenvalues[-1] < tiny else None
    sign = f"{kind} {'definite' if rank == n else 'semi-definite'}" if kind else "indefinite"
    null = "" if rank == n else f", a null space of dimension {n - rank}"
    spectrum = f"eigenvalues {eigenvalues[0]:.3g} … {eigenvalues[-1]:.3g}"
    return [f"your Hessian is symmetric, {sign}, rank {rank} of {n}{null}; {spectrum}"]
