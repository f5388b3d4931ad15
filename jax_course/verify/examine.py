r"""The examination: the witnesses are heard, and what disagrees is diagnosed.

Reference. Reverse-mode autodiff where JAX can trace the cost; central differences where it cannot.

Points. The point given and a few beside it, seeded: a formula that is right is right in a neighbourhood, and a missing
penalty does not show at θ = 0.
"""

import contextlib
import time
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.functions import Function
from jax_course.verify.arbitration import arbitrate, autodiff_is_off
from jax_course.verify.circumstances import (
    averages,
    biases,
    divided_parts,
    hessians_at,
    lengths,
    notes_on,
    on_fewer,
    on_single_examples,
    penalty_parts,
    scalars,
    stand_ins,
    term_parts,
)
from jax_course.verify.counterfactuals import otherwise
from jax_course.verify.diagnosis import diagnose
from jax_course.verify.evaluation import (
    evaluate,
    is_differentiable,
)
from jax_course.verify.findings import HARMLESS, Finding, Kind, Witness
from jax_course.verify.given import derivative_of
from jax_course.verify.ground import (
    PROBES,
    Derivative,
    Ground,
    first_line,
    own_sizes,
    sizes_of,
)
from jax_course.verify.numerical import without_autodiff
from jax_course.verify.report import Report
from jax_course.verify.subject import subject_of
from jax_course.verify.suspicion import Evidence
from jax_course.verify.witnesses import along_directions, judge, overruled, rounding, second_order, without_opinion


def examine(cost, params, arguments, keywords, hands) -> Report:
    """The report on the derivatives in `hands`: a dictionary of gradient, hessian, hessian_product."""
    started = time.perf_counter()
    subject, point = subject_of(cost, params, arguments, keywords)
    cost, hands = Function(cost), {of: Function(hand) for of, hand in hands.items()}
    once = is_differentiable(subject, cost, point, jax.grad)
    twice = once and bool(hands.keys() - {"gradient"}) and is_differentiable(subject, cost, point, jax.hessian)
    ground = Ground(subject, cost, point[None], once, twice)
    problem = _cost_at(ground)
    if problem:
        return Report((problem,), (), (), subject.layout.size, 1, time.perf_counter() - started)
    ground = ground._replace(points=_points(ground))
    if "gradient" not in hands and once and autodiff_is_off(ground):
        ground = ground._replace(once=False, twice=False)
    findings, witnesses, notes = [], [], []
    gradient_is_right = False
    for of, hand in hands.items():
        derivative, structural = derivative_of(ground, of, hand, hands.get("gradient") if gradient_is_right else None)
        if structural or derivative is None:
            findings += structural
            witnesses.append(Witness("structure", of, "disagrees", float("nan"), "compared before any number"))
            continue
        found, heard, said = _hear(ground, derivative)
        findings, witnesses, notes = findings + found, witnesses + heard, notes + said
        if of == "gradient":
            gradient_is_right = not [f for f in found if f.kind not in HARMLESS]
            if gradient_is_right and Kind.AUTODIFF in {f.kind for f in found}:
                ground = ground._replace(once=False, twice=False)  # then the reader's gradient is the better witness
    seconds = time.perf_counter() - started
    return Report(tuple(findings), tuple(witnesses), tuple(notes), subject.layout.size, len(ground.points), seconds)


def _cost_at(ground: Ground) -> Finding | None:
    """Raise what cannot be a cost; a finding where it is not finite at the point given."""
    try:
        value = evaluate(ground.subject, ground.cost, ground.points)
    except Exception as error:
        raise ValueError(f"the cost raised {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(value, np.ndarray) or value.shape != (1,):
        shapes = ", ".join(str(np.shape(leaf)[1:]) for leaf in jax.tree_util.tree_leaves(value))
        raise ValueError(
            f"the cost must return one number; it returned {_described(value)} of shape {shapes or 'none'}"
        )
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"the cost must return a floating-point number; it returned {value.dtype}")
    number = float(value[0])
    if np.isfinite(number):
        return None
    sentence = f"the cost is {number} at the point given, where no derivative can be judged: choose another point."
    return Finding(Kind.NONFINITE, "cost", "cost", (), number, None, sentence)


def _described(value: Any) -> str:
    return "an array" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _points(ground: Ground) -> np.ndarray:
    """The point given and a few beside it: near enough that the cost keeps its size, or is finite at least.

    A small parameter moves by the size of its leaf, or, where that is too far, by its own.
    """
    point, layout = ground.points[0], ground.subject.layout
    rng, of_leaf = np.random.default_rng(0), sizes_of(layout, point)
    own = own_sizes(layout, point)
    at = float(np.asarray(evaluate(ground.subject, ground.cost, point[None]))[0])
    for farthest in (10 * abs(at), np.inf):
        for reach in (0.1 * of_leaf, 0.1 * own, 0.01 * of_leaf, 0.001 * of_leaf):
            beside = point + reach * rng.standard_normal((PROBES, point.size))
            beside = beside.astype(np.float32).astype(np.float64)
            with contextlib.suppress(Exception):  # outside of its domain a cost may raise
                values = np.asarray(evaluate(ground.subject, ground.cost, beside))
                near = np.isfinite(values) & (np.abs(values - at) <= farthest)
                if near.all():
                    return np.concatenate([point[None], beside])
    return point[None]


def _hear(ground: Ground, derivative: Derivative) -> tuple[list[Finding], list[Witness], list[str]]:
    points = ground.points if len(derivative.identity) == len(ground.points) else ground.points[[0, -1]]
    of, subject = derivative.of, ground.subject
    hand = derivative.hand(subject, points)
    if derivative.reference is None:
        heard = without_opinion(ground, of)
        found, reference, tolerance, arbiter = without_autodiff(ground, derivative, points, hand)
    else:
        reference = derivative.reference(subject, points)
        tolerance, precision = rounding(ground, derivative, points, hand, reference)
        found, reference, tolerance, arbiter = arbitrate(ground, derivative, hand, reference, tolerance)
        name = "reverse-mode autodiff" if of == "gradient" else "autodiff"
        heard = [judge(name, of, hand, reference, tolerance), precision]
    heard.append(arbiter)
    if of == "gradient":
        heard += along_directions(ground, derivative, hand, reference, tolerance)
    else:
        heard.append(second_order(ground, derivative, hand))
    if (unknown := ~np.isfinite(reference[0]) & np.isfinite(hand[0])).any():
        why = f"autodiff gives no number in {unknown.sum()} of {unknown.size} entries, and differences none to rely on"
        heard = [witness._replace(verdict="abstains", remark=why) for witness in heard]
    wrong = diagnose(_evidence(ground, derivative, points, hand, reference, tolerance))
    if found and not wrong:
        heard = [overruled(witness) for witness in heard]
    return found + wrong, heard, notes_on(ground, derivative, hand)


def _evidence(ground: Ground, derivative: Derivative, points, hand, reference, tolerance) -> Evidence:
    return Evidence(
        derivative.of,
        derivative.layout,
        ground.subject.layout,
        points,
        hand,
        reference,
        tolerance,
        penalty_parts(ground, derivative, points, reference),
        lambda: divided_parts(ground, derivative, points, reference),
        scalars(ground.subject),
        derivative.identity,
        biases(ground, derivative),
        lengths(ground.subject),
        lambda chosen: on_fewer(ground, derivative, chosen),
        lambda: averages(ground),
        lambda: on_single_examples(ground, derivative),
        lambda: stand_ins(ground, points, derivative),
        lambda: hessians_at(ground, derivative),
        lambda: otherwise(ground, derivative, points),
        cache(lambda: term_parts(ground, derivative, points)),
    )
