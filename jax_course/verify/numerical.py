"""Where there is no autodiff, in plain NumPy or where it is off, differences are the reference."""

from functools import partial

import numpy as np

from jax_course.verify import differences
from jax_course.verify.findings import Witness
from jax_course.verify.ground import (
    ENTRYWISE,
    SAMPLE,
    SMALL,
    Arbitration,
    Derivative,
    Ground,
    by_blocks,
    gradient_by_differences,
    hessian_by_differences,
    own_sizes,
    sizes_of,
    values_of,
)
from jax_course.verify.kinks import kinks_of_gradient
from jax_course.verify.witnesses import judge


def without_autodiff(ground: Ground, derivative: Derivative, points, hand) -> Arbitration:
    """Where JAX cannot trace the cost, or its autodiff is off: differences of the cost, or of the reader's gradient.

    Entries that are not computed keep the reader's value with an infinite tolerance.
    """
    if derivative.of == "gradient":
        return _gradient_without(ground, derivative, points, hand)
    reference, tolerance, of = hand.copy(), np.full_like(hand, np.inf), derivative.of
    if derivative.gradient is None:
        why = "without autodiff it needs a gradient= that is right, to take differences of"
        return [], reference, tolerance, Witness("differences of the gradient", of, "abstains", float("nan"), why)
    gradient, n = partial(derivative.gradient, ground.subject), points.shape[1]
    for row, point in enumerate(points if n <= SMALL else points[:2]):
        if of == "hessian":
            reference[row], tolerance[row] = hessian_by_differences(ground.subject.layout, gradient, point)
        else:
            slope = differences.along(gradient, point, derivative.identity[row : row + 1], noise=1e-14)
            reference[row], tolerance[row] = slope.value[0], 5 * slope.error[0]
    own = own_sizes(ground.subject.layout, points[0])
    sizes = by_blocks(ground.subject.layout, np.outer(own, own)) if of == "hessian" else own
    return [], *_weighed("differences of the gradient", of, hand, reference, tolerance, sizes, "every entry")


def _gradient_without(ground: Ground, derivative: Derivative, points, hand) -> Arbitration:
    reference, tolerance, n = hand.copy(), np.full_like(hand, np.inf), points.shape[1]
    entries = np.arange(n)
    if n > ENTRYWISE:
        sample = np.random.default_rng(2).permutation(n)[:SAMPLE]
        entries = np.union1d(sample, _searched(ground, points[0], hand[0]))
    for row, point in enumerate(points if n <= SMALL else points[:2]):
        reference[row, entries], tolerance[row, entries] = gradient_by_differences(ground, point, entries)
    own = own_sizes(ground.subject.layout, points[0])
    disputed = np.flatnonzero((np.abs(hand[0] - reference[0]) > tolerance[0]) & np.isfinite(tolerance[0]))
    kinks, findings = kinks_of_gradient(ground, derivative, 0, disputed[:ENTRYWISE], hand, reference)
    reference[0, kinks], tolerance[0, kinks] = hand[0, kinks], 0.0
    remark = f"{len(entries)} of {n} entries, each with its own error bar"
    if n > ENTRYWISE:
        remark += ", and halves of halves along random directions"
    return findings, *_weighed("central differences", "gradient", hand, reference, tolerance, own, remark)


def _weighed(name: str, of: str, hand, reference, tolerance, sizes, remark: str):
    """The reference, its tolerance, and a witness that abstains where its error bars are too wide to tell.

    sizes: of the parameter, or pair of parameters, of each entry; in these units entries are alike.
    """
    largest = np.max(np.maximum(np.abs(reference), np.abs(hand)) * sizes, initial=0.0) / sizes
    tolerance = tolerance + 1e-10 * np.max(np.abs(reference), axis=0, initial=0.0) + 1e-11 * largest
    blind = np.isfinite(tolerance[0]) & (tolerance[0] > 1e-2 * largest) & hand.any()
    witness = judge(name, of, hand, reference, tolerance, remark)
    if blind.any() and witness.verdict == "agrees":
        why = "its error bars are too wide to tell: the cost is too noisy here"
        witness = witness._replace(verdict="abstains", remark=why)
    return reference, tolerance, witness


def _searched(ground: Ground, point: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Entries of a large gradient that differences contradict: along random directions, halved until one is left."""
    rng, sizes, found = np.random.default_rng(8), sizes_of(ground.subject.layout, point), []

    def contradicted(entries: np.ndarray) -> bool:
        v = np.zeros((2, point.size))
        v[:, entries] = rng.standard_normal((2, len(entries))) * sizes[entries]
        slope = differences.along(values_of(ground), point, v)
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
