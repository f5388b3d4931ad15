"""The claim of one line: compared with the line before it, or with that line's derivative, and diagnosed.

A claim to be the gradient or the Hessian of a cost is examined by the doctor with all its witnesses. Any other claim,
of arrays of any shape, is compared at the point given and at points beside it, each entry with its own error bar, and
diagnosed with the same hypotheses.
"""

import jax
import numpy as np

from jax_course.verify.analytic import build_derivative
from jax_course.verify.context import Context, first_line
from jax_course.verify.examine import run_checks, seeded_points
from jax_course.verify.findings import HARMLESS, Finding, Kind
from jax_course.verify.line_hypotheses import with_kinds
from jax_course.verify.lines import Arguments, Claim, Judgement
from jax_course.verify.settings import Setting, read_setting, shape_findings
from jax_course.verify.tracing import is_differentiable
from jax_course.verify.value_claims import judge_value


def judge(arguments: Arguments, claim: Claim) -> Judgement:
    """Whether the claim holds at the values of the arguments and beside them."""
    try:
        setting = read_setting(arguments, claim)
        of_a_cost = claim.name in ("gradient", "hessian") and claim.where is None
        return _judge_derivative(setting) if of_a_cost else judge_value(setting)
    except Exception as error:  # the reader's functions may raise anything
        sentence = f"this line could not be computed: it raised {type(error).__name__}: {first_line(error)}"
        return Judgement(False, np.nan, (Finding(Kind.UNKNOWN, claim.name, "line", (), None, None, sentence),), "")


def _judge_derivative(setting: Setting) -> Judgement:
    """A gradient or Hessian of a cost, with all witnesses of the doctor."""
    claim, inputs, point = setting.claim, setting.inputs, setting.point
    nested = (1 if claim.name == "gradient" else 2) if len(claim.moved) == 1 else 0
    cost, hand = setting.function(claim.cost), setting.function(claim.hand, nested)
    once = is_differentiable(inputs, cost, point, jax.grad)
    twice = once and claim.name == "hessian" and is_differentiable(inputs, cost, point, jax.hessian)
    if claim.name == "hessian" and not once:
        return judge_value(setting)
    context = Context(inputs, cost, point[None], once, twice)
    context = context._replace(points=seeded_points(context))
    shapes = inputs.layout.shapes
    expected = list(shapes) if claim.name == "gradient" else [a + b for a in shapes for b in shapes]
    structural = shape_findings(expected, setting.output(claim.hand))
    if not structural:
        derivative, structural = build_derivative(context, claim.name, hand, None)
    if structural or derivative is None:
        return Judgement(False, np.nan, tuple(structural), "")
    checked = run_checks(context, derivative)
    findings = with_kinds(setting, context.points, checked.findings)
    compared = [witness for witness in checked.witnesses if witness.verdict != "abstains"]
    error = next((witness.error for witness in compared), np.nan)
    wrong = any(finding.kind not in HARMLESS for finding in findings)
    agree = bool(compared) and all(witness.verdict == "agrees" for witness in compared)
    return Judgement(False if wrong else True if agree else None, error, tuple(findings), "")
