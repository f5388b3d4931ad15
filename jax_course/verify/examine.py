r"""The examination: the witnesses are heard, and what disagrees is diagnosed.

Reference. Reverse-mode autodiff where JAX can trace the cost; central differences where it cannot.

Points. The point given and a few beside it, seeded: a formula that is right is right in a neighbourhood, and a missing
penalty does not show at θ = 0.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify.arbitration import arbitrate, without_autodiff
from jax_course.verify.circumstances import (
    biases,
    lengths,
    notes_on,
    on_fewer,
    on_single_examples,
    penalty_parts,
    stand_ins,
)
from jax_course.verify.diagnosis import diagnose
from jax_course.verify.evaluation import (
    evaluate,
    evaluate_one,
    gradients,
    hessians,
    is_differentiable,
    products,
    shape_of,
)
from jax_course.verify.findings import HARMLESS, Finding, Kind, Witness
from jax_course.verify.functions import Function
from jax_course.verify.ground import (
    SMALL,
    Derivative,
    Ground,
    by_blocks,
    first_line,
    gradient_by_differences,
    hessian_by_differences,
    sizes_of,
)
from jax_course.verify.report import Report
from jax_course.verify.structure import structural_findings
from jax_course.verify.subject import Layout, Subject, cast, subject_of
from jax_course.verify.suspicion import Evidence
from jax_course.verify.witnesses import along_directions, judge, overruled, rounding, second_order, without_opinion

PROBES = 3


def examine(cost, params, arguments, keywords, hands) -> Report:
    """The report on the derivatives in `hands`: a dictionary of gradient, hessian, hessian_product."""
    started = time.perf_counter()
    subject, point = subject_of(cost, params, arguments, keywords)
    cost, hands = Function(cost), {of: Function(hand) for of, hand in hands.items()}
    once, twice = (is_differentiable(subject, cost, point, transform) for transform in (jax.grad, jax.hessian))
    ground = Ground(subject, cost, point[None], once, twice)
    problem = _cost_at(ground)
    if problem:
        return Report((problem,), (), (), subject.layout.size, 1, time.perf_counter() - started)
    ground = ground._replace(points=_points(ground))
    findings, witnesses, notes = [], [], []
    gradient_is_right = False
    for of, hand in hands.items():
        derivative, structural = _derivative(ground, of, hand, hands.get("gradient") if gradient_is_right else None)
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
    point, layout = ground.points[0], ground.subject.layout
    rng = np.random.default_rng(0)
    size = sizes_of(layout, point)
    points = [point]
    for reach in (0.1, 0.01, 0.001):
        beside = point + reach * size * rng.standard_normal((PROBES, point.size))
        beside = beside.astype(np.float32).astype(np.float64)
        finite = np.isfinite(np.asarray(evaluate(ground.subject, ground.cost, beside)))
        points += list(beside[finite])
        if len(points) > PROBES:
            break
    return np.stack(points[: PROBES + 1])


def _derivative(ground: Ground, of: str, hand: Callable, gradient: Callable | None) -> tuple[Any, list[Finding]]:
    layout, n = ground.subject.layout, ground.subject.layout.size
    rng = np.random.default_rng(1)
    v = rng.standard_normal((PROBES + 1, n))[: len(ground.points)]
    extra = (layout.tree(v[0]),) if of == "hessian_product" else ()
    try:
        shape = shape_of(ground.subject, hand, ground.points[0], *extra)
        output = shape if shape is not None else evaluate_one(ground.subject, hand, ground.points[0], extra)
    except Exception as error:
        sentence = f"yours could not be computed: it raised {type(error).__name__}: {first_line(error)}"
        return None, [Finding(Kind.UNKNOWN, of, of, (), None, None, sentence)]
    if structural := structural_findings(
        layout, of, output, evaluate_one(ground.subject, ground.cost, ground.points[0])
    ):
        return None, structural
    if of == "hessian":
        return _hessian(ground, hand, gradient), []
    if of == "hessian_product":
        return _product(ground, hand, gradient, v), []

    def by_hand(subject, points):
        return layout.vector(evaluate(subject, hand, points), (len(points),))

    def by_autodiff(subject, points):
        return gradients(subject, ground.cost, points)

    def by_differences(subject, points):
        return np.stack([gradient_by_differences(ground._replace(subject=subject), p, np.arange(n))[0] for p in points])

    if ground.once:
        return Derivative(of, layout, by_hand, by_autodiff, ground.points, None, by_autodiff), []
    return Derivative(of, layout, by_hand, None, ground.points, None, by_differences if n <= SMALL else None), []


def _hessian(ground: Ground, hand: Callable, gradient: Callable | None) -> Derivative:
    layout, n = ground.subject.layout, ground.subject.layout.size
    names = tuple(a if len(layout.names) == 1 else f"{a}, {b}" for a in layout.names for b in layout.names)
    blocks = Layout(None, names, tuple(a + b for a in layout.shapes for b in layout.shapes))

    def as_entries(matrices):
        return np.stack([by_blocks(layout, matrix) for matrix in matrices])

    def by_hand(subject, points):
        return blocks.vector(evaluate(subject, hand, points), (len(points),))

    def by_autodiff(subject, points):
        return as_entries(hessians(subject, ground.cost, points))

    points = ground.points if n <= SMALL else ground.points[[0, -1]]
    identity = as_entries(np.broadcast_to(np.eye(n), (len(points), n, n)))
    slopes = _gradient_values(ground, gradient)

    if ground.twice:
        return Derivative("hessian", blocks, by_hand, by_autodiff, identity, slopes, by_autodiff)
    if slopes is None or n > SMALL:
        return Derivative("hessian", blocks, by_hand, None, identity, slopes, None)

    def by_differences(subject, points):
        return np.stack([hessian_by_differences(layout, partial(slopes, subject), point)[0] for point in points])

    return Derivative("hessian", blocks, by_hand, None, identity, slopes, by_differences)


def _gradient_values(ground: Ground, gradient: Callable | None) -> Callable[[Subject, np.ndarray], np.ndarray] | None:
    if ground.once:
        return lambda subject, points: gradients(subject, ground.cost, points)
    if gradient is None:
        return None
    layout = ground.subject.layout
    return lambda subject, points: layout.vector(evaluate(subject, gradient, points), (len(points),))


def _product(ground: Ground, hand: Callable, gradient: Callable | None, v: np.ndarray) -> Derivative:
    layout = ground.subject.layout

    def by_hand(subject, points):
        rows = [
            evaluate_one(subject, hand, point, (cast(layout.tree(direction), point.dtype),))
            for point, direction in zip(points, v, strict=True)
        ]
        return np.stack([layout.vector(row) for row in rows])

    def by_autodiff(subject, points):
        return products(subject, ground.cost, points, v.astype(points.dtype))

    reference = by_autodiff if ground.twice else None
    return Derivative("hessian_product", layout, by_hand, reference, v, _gradient_values(ground, gradient), reference)


def _hear(ground: Ground, derivative: Derivative) -> tuple[list[Finding], list[Witness], list[str]]:
    points = ground.points if len(derivative.identity) == len(ground.points) else ground.points[[0, -1]]
    of, subject = derivative.of, ground.subject
    hand = derivative.hand(subject, points)
    heard: list[Witness] = []
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
        hand,
        reference,
        tolerance,
        penalty_parts(ground, derivative, points, reference),
        derivative.identity,
        biases(ground, derivative),
        lengths(ground.subject),
        lambda chosen: on_fewer(ground, derivative, chosen),
        lambda: on_single_examples(ground, derivative),
        lambda: stand_ins(ground, points, derivative),
    )
