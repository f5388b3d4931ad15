"""The derivatives given: how to compute each of them and its reference, and how its entries are laid out."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from jax_course.verify.evaluation import (
    evaluate,
    evaluate_both,
    evaluate_one,
    gradients,
    hessians,
    product,
    products,
    shape_of,
)
from jax_course.verify.findings import Finding, Kind
from jax_course.verify.ground import (
    PROBES,
    SMALL,
    Derivative,
    Ground,
    by_blocks,
    first_line,
    gradient_by_differences,
    hessian_by_differences,
)
from jax_course.verify.structure import structural_findings
from jax_course.verify.subject import Layout, Subject, cast


def derivative_of(
    ground: Ground, of: str, hand: Callable, gradient: Callable | None
) -> tuple[Derivative | None, list[Finding]]:
    """The derivative, or findings where its structure is wrong or it cannot be computed at all."""
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

        def both(subject, points):
            found = evaluate_both(jax.grad, subject, hand, ground.cost, points)
            return found and (layout.vector(found[0], (len(points),)), found[1])

        by_hand, by_autodiff = _from_one_program(both, by_hand, by_autodiff)
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

        def both(subject, points):
            found = evaluate_both(jax.hessian, subject, hand, ground.cost, points)
            return found and (blocks.vector(found[0], (len(points),)), as_entries(found[1]))

        by_hand, by_autodiff = _from_one_program(both, by_hand, by_autodiff)
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

    def both(subject, points):
        found = evaluate_both(product, subject, hand, ground.cost, points, (v.astype(points.dtype),))
        return found and (layout.vector(found[0], (len(points),)), found[1])

    reference = None
    if ground.twice:
        by_hand, reference = _from_one_program(both, by_hand, by_autodiff)
    return Derivative("hessian_product", layout, by_hand, reference, v, _gradient_values(ground, gradient), reference)


def _from_one_program(both: Callable, hand: Callable, reference: Callable) -> tuple[Callable, Callable]:
    """hand and reference by a program that computes both, where there is one; what it found last is kept for the other.

    both(subject, points) is the pair, or None.
    """
    last: list[Any] = [None, None, None]  # subject, points, and the pair there

    def pair(subject, points):
        if last[0] is not subject or last[1] is not points:
            last[:] = subject, points, both(subject, points)
        return last[2]

    def by_hand(subject, points):
        found = pair(subject, points)
        return hand(subject, points) if found is None else found[0]

    def by_reference(subject, points):
        found = pair(subject, points)
        return reference(subject, points) if found is None else found[1]

    return by_hand, by_reference
