"""Differences as the reference where there is no autodiff: the cost is plain NumPy, or its autodiff is wrong."""

from functools import partial

import numpy as np

from jax_course.verify import differences
from jax_course.verify.context import (
    ENTRYWISE,
    SAMPLE,
    SMALL,
    Comparison,
    Context,
    Derivative,
    difference_gradient,
    difference_hessian,
    entry_scales,
    leaf_scales,
)
from jax_course.verify.findings import Finding, abstention
from jax_course.verify.kinks import kinks_of_gradient
from jax_course.verify.witnesses import compare

SEEN = 1e-2  # error bar of an entry, relative to it, with which it is judged: a wrong entry is off by more
TOO_WIDE = "its error bars are too wide to tell: the cost is too noisy here"


def without_autodiff(context: Context, derivative: Derivative, points, hand) -> Comparison:
    """The comparison with differences of the cost, or of the reader's gradient; hand: (points, E).

    Entries that are not computed keep the reader's value with an infinite tolerance.
    """
    if derivative.name == "gradient":
        return _gradient(context, derivative, points, hand)
    reference, tolerance, name = hand.copy(), np.full_like(hand, np.inf), derivative.name
    if derivative.gradient is None:
        reason = "without autodiff it needs a gradient= that is right, to take differences of"
        return Comparison([], reference, tolerance, abstention("differences of the gradient", name, reason))
    gradient, layout, n = partial(derivative.gradient, context.inputs), context.layout, points.shape[1]
    for row, point in enumerate(points if n <= SMALL else points[:2]):
        if name == "hessian":
            reference[row], tolerance[row] = difference_hessian(layout, gradient, point)
        else:
            slope = differences.along(gradient, point, derivative.identity[row : row + 1], noise=1e-14)
            reference[row], tolerance[row] = slope.value[0], 5 * slope.error[0]
    scales = entry_scales(layout, points[0])
    sizes = layout.block_entries(np.outer(scales, scales)) if name == "hessian" else scales
    return _comparison([], "differences of the gradient", name, hand, reference, tolerance, sizes, "every entry")


def _gradient(context: Context, derivative: Derivative, points, hand) -> Comparison:
    reference, tolerance, n = hand.copy(), np.full_like(hand, np.inf), points.shape[1]
    entries = np.arange(n)
    if n > ENTRYWISE:
        sample = np.random.default_rng(2).permutation(n)[:SAMPLE]
        entries = np.union1d(sample, _searched(context, points[0], hand[0]))
    for row, point in enumerate(points if n <= SMALL else points[:2]):
        reference[row, entries], tolerance[row, entries] = difference_gradient(context, point, entries)
    different = np.flatnonzero((np.abs(hand[0] - reference[0]) > tolerance[0]) & np.isfinite(tolerance[0]))
    kinks, findings = kinks_of_gradient(context, derivative, 0, different[:ENTRYWISE], hand, reference)
    reference[0, kinks], tolerance[0, kinks] = hand[0, kinks], 0.0
    remark = f"{len(entries)} of {n} entries, each with its own error bar"
    if n > ENTRYWISE:
        remark += ", and halves of halves along random directions"
    sizes = entry_scales(context.layout, points[0])
    return _comparison(findings, "central differences", "gradient", hand, reference, tolerance, sizes, remark)


def _comparison(
    findings: list[Finding], name: str, derivative: str, hand, reference, tolerance, sizes, remark: str
) -> Comparison:
    """The comparison, with a witness that abstains where its error bars are too wide to tell.

    sizes: of the parameter, or pair of parameters, of each entry; an entry times its size is in units of the cost.
    """
    largest = np.max(np.maximum(np.abs(reference), np.abs(hand)) * sizes, initial=0.0) / sizes
    tolerance = tolerance + 1e-10 * np.max(np.abs(reference), axis=0, initial=0.0) + 2e-14 * largest
    size = np.maximum(np.abs(reference), np.abs(hand))
    seen = (tolerance <= SEEN * size).any(axis=0) | ~hand.any(axis=0)
    blind = np.isfinite(tolerance).any(axis=0) & ~seen
    witness = compare(name, derivative, hand, reference, tolerance, remark)
    if blind.any() and witness.verdict == "agrees":
        witness = witness._replace(verdict="abstains", remark=TOO_WIDE)
    return Comparison(findings, reference, tolerance, witness)


def _searched(context: Context, point: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Entries of a large gradient that differences contradict: along random directions, halved until one is left."""
    rng, sizes, found = np.random.default_rng(8), leaf_scales(context.layout, point), []

    def contradicted(entries: np.ndarray) -> bool:
        v = np.zeros((2, point.size))
        v[:, entries] = rng.standard_normal((2, len(entries))) * sizes[entries]
        slope = differences.along(context.values, point, v)
        return bool((np.abs(v @ hand - slope.value) > 10 * slope.error + 1e-9 * np.abs(v) @ np.abs(hand)).any())

    for _ in range(4):  # each search ends at one entry, and random directions lead to different ones
        entries = rng.permutation(point.size)
        if not contradicted(entries):
            break
        while len(entries) > 1:
            half = entries[: len(entries) // 2]
            entries = half if contradicted(half) else entries[len(entries) // 2 :]
        found.append(entries[0])
    return np.array(found, int)
