"""The examination of a rule: the doctor on ⟨c, f(primals)⟩, or a comparison with what the rule is meant to be."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.analytic import build_derivative
from jax_course.verify.context import Context, Derivative
from jax_course.verify.diagnosis import diagnose
from jax_course.verify.evaluation import evaluate, evaluate_one, gradients
from jax_course.verify.evidence import Evidence
from jax_course.verify.examine import examine, seeded_points
from jax_course.verify.findings import HARMLESS, Finding, Kind, Witness
from jax_course.verify.primals import Call, columns, pullback, scalar, scalar_of_another_cotangent
from jax_course.verify.report import Report
from jax_course.verify.rule_checks import (
    Examined,
    check_forward,
    check_linearity,
    check_residuals,
    taken_at_another_point,
)
from jax_course.verify.rule_hypotheses import explained_by_the_jacobian
from jax_course.verify.rule_structure import RULE, STRUCTURE, failure, mismatch
from jax_course.verify.tracing import is_differentiable, is_traceable
from jax_course.verify.witnesses import compare, precision_scaling

OUTPUTS = 8  # of a function with more, the outputs of a wrong rule are not examined one by one
WORDS = {
    " (with `cotangent`)": "", "`cotangent` and ": "", "of the cost": "of the function", "the cost": "the function",
    "with the parameters": "with the primals", "all parameters": "all primals",
    "JAX cannot differentiate the function (plain NumPy?)": "JAX cannot differentiate the function",
}  # fmt: skip


def _context(examined: Examined, cost: Function) -> Context:
    inputs, point = examined.inputs, examined.point
    context = Context(inputs, cost, point[None], is_differentiable(inputs, cost, point, jax.grad), False)
    return context._replace(points=seeded_points(context))


def examined_rule(examined: Examined) -> Report:
    """The report on a rule that is to be the derivative of its function."""
    size, cost, hand = examined.point.size, examined.call(scalar, with_rule=False), _hand(examined)
    context = _context(examined, cost)
    try:
        forward, witnesses = check_forward(examined)
        findings, more = check_linearity(examined)
        if examined.rule.kind != "jvp":
            stale, still_more = check_residuals(examined, context.points[-1] * (1 + 1e-3 * (len(context.points) < 2)))
            findings, more = stale or findings, more + still_more
    except Exception as error:  # the rule may raise anything
        return Report((failure(error),), (STRUCTURE,), (), size, 1, 0.0)
    witnesses = witnesses + more
    rows = context.layout.vector(evaluate(context.inputs, hand, context.points), (len(context.points),))
    if not findings and context.has_gradient:
        stale = taken_at_another_point(rows, gradients(context.inputs, cost, context.points))
        words = "the result does not change with the primals: the rule reads them from one call, not its residuals."
        findings = [mismatch(Kind.STALE, ", ".join(examined.primals.moving), words)] if stale else []
    if findings:
        return Report((*findings, *forward), tuple(witnesses), (), size, len(context.points), 0.0)
    report = in_words_of_rules(_doctor(examined, cost, hand, examined.inputs.arguments[0]))
    found = tuple(explained_by_the_jacobian(examined, context.points, rows, one) for one in report.findings)
    if report.ok is False and 1 < len(examined.outputs) <= OUTPUTS:
        cotangents = dict(zip(examined.outputs, examined.inputs.arguments[0], strict=True))
        found = by_outputs(cotangents, lambda single: in_words_of_rules(_doctor(examined, cost, hand, single))) or found
    return report._replace(findings=(*forward, *found), witnesses=(*witnesses, *report.witnesses))


def _hand(examined: Examined) -> Function:
    """The rule as a gradient: by reverse mode, or where JAX cannot transpose it by forward mode."""
    reverse = examined.call(pullback)
    if examined.rule.kind == "vjp" or is_traceable(examined.inputs, reverse, examined.point):
        return reverse
    return examined.call(columns)


def _doctor(examined: Examined, cost: Function, hand: Function, cotangent: list[np.ndarray]) -> Report:
    arguments = (cotangent, *examined.inputs.arguments[1:])
    return examine(cost.function, examined.primals.moving, arguments, {}, {"gradient": hand.function})


def by_outputs(cotangents: Mapping[str, np.ndarray], run: Callable[[list[np.ndarray]], Report]) -> tuple[Finding, ...]:
    """The findings for the cotangents of single outputs; none if all outputs have the mistake of the whole.

    run: the report for cotangents, of which all but one are 0.
    """
    found: list[Finding] = []
    right = []
    for name in cotangents:
        report = run([c if other == name else 0 * c for other, c in cotangents.items()])
        wrong = [finding for finding in report.findings if finding.kind not in HARMLESS]
        right += [name] * (not wrong)
        found += [one._replace(sentence=f"for the cotangent of {name}, {one.sentence}") for one in wrong]
    same = len({(one.kind, one.leaf) for one in found}) == 1 and not right
    return () if same else tuple(found)


def compared_with_meant(examined: Examined, meant: Callable, change: Callable | None) -> Report:
    """The report on a rule that is to be another function's derivative, as autodiff gives it."""
    quantity = scalar if change is None else partial(scalar_of_another_cotangent, change)
    cost, hand = Function(Call(quantity, meant, examined.primals, examined.shapes)), _hand(examined)
    try:
        forward, witnesses = check_forward(examined)
        value = evaluate_one(examined.inputs, cost, examined.point)
    except Exception as error:
        return Report((failure(error),), (STRUCTURE,), (), examined.point.size, 1, 0.0)
    if np.shape(value) or not np.isfinite(value):
        raise ValueError("meant must return what f returns, with the cotangent that takes its place, and be finite")
    context = _context(examined, cost)
    if not context.has_gradient:
        raise ValueError("JAX cannot differentiate what is meant: write it in JAX")
    derivative, findings = build_derivative(context, "gradient", hand, None)
    if derivative is not None:
        findings, more = _at_three_sizes(examined, context, derivative)
        witnesses += more
    report = Report((*forward, *findings), tuple(witnesses), (), examined.point.size, len(context.points), 0.0)
    return in_words_of_rules(report)


def _at_three_sizes(
    examined: Examined, context: Context, derivative: Derivative
) -> tuple[list[Finding], list[Witness]]:
    """The rule compared with what is meant, for the cotangent and 1,000 times and 1/1,000 of it."""
    findings, witnesses = [], []
    for scale in (1.0, 1e3, 1e-3):
        cotangent = [scale * c for c in examined.inputs.arguments[0]]
        inputs = examined.inputs._replace(arguments=(cotangent, *examined.inputs.arguments[1:]))
        scaled = context._replace(inputs=inputs)
        ours, theirs = (function(inputs, context.points) for function in derivative.pair)
        tolerance, _ = precision_scaling(scaled, derivative, context.points, ours, theirs)
        witnesses.append(compare(f"meant, cotangent × {scale:g}", RULE, ours, theirs, tolerance))
        evidence = Evidence(scaled, derivative, context.points, hand=ours, reference=theirs, tolerance=tolerance)
        findings = findings or diagnose(evidence)
    return findings, witnesses


def in_words_of_rules(report: Report) -> Report:
    """A report on a gradient, with the doctor's words for costs replaced by those for rules."""

    def reworded(words: str) -> str:
        for cost, function in WORDS.items():
            words = words.replace(cost, function)
        return words

    findings = [one._replace(derivative="cost" if one.derivative == "cost" else RULE, sentence=reworded(one.sentence))
                for one in report.findings]  # fmt: skip
    witnesses = [one._replace(derivative=RULE, remark=reworded(one.remark)) for one in report.witnesses]
    return report._replace(findings=tuple(findings), witnesses=tuple(witnesses))
