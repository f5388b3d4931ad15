"""Where the reader and autodiff disagree, differences decide: a kink, autodiff's own failure, or a mistake."""

from functools import partial
from typing import NamedTuple

import numpy as np

from jax_course.verify import differences
from jax_course.verify.evaluation import gradients
from jax_course.verify.findings import Finding, Kind
from jax_course.verify.ground import (
    ENTRYWISE,
    SAMPLE,
    SMALL,
    Arbitration,
    Derivative,
    Ground,
    as_matrix,
    gradient_by_differences,
    shows_in_a_short_step,
    sizes_of,
    unit_directions,
    values_of,
)
from jax_course.verify.kinks import gradient_has_kink, kinks_of_gradient, kinks_of_second, speak
from jax_course.verify.witnesses import judge


def arbitrate(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    """Findings that speak for the reader, the reference and its tolerance mended there, and the witness.

    What neither autodiff nor differences can tell gets an infinite tolerance: nothing is claimed of it.
    """
    by_differences = _of_gradient if derivative.of == "gradient" else _of_second
    return by_differences(ground, derivative, hand, reference.copy(), tolerance.copy())


class Look(NamedTuple):
    """Entries of a gradient at one of the points, by differences."""

    row: int
    entries: np.ndarray
    value: np.ndarray
    error: np.ndarray  # with the tolerance of the comparison


def _of_gradient(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    excess = _excess(hand, reference, tolerance)
    look = _looked_at(ground, excess, tolerance)
    row, entries = look.row, look.entries
    kinks, findings = _kinks(ground, derivative, look, excess, hand, reference)
    reference[row, kinks] = hand[row, kinks]
    off, error = _overruled(ground, look, hand, reference)
    off &= ~np.isin(entries, kinks)
    if off.any():  # not where autodiff's own value is one that a kink allows
        off &= ~np.isin(entries, kinks_of_gradient(ground, derivative, row, entries[off], reference, reference)[0])
    if off.any():
        spoken = entries[off & (np.abs(hand[row, entries] - look.value) <= look.error)]
        values = dict(zip(entries, look.value, strict=True))
        findings += speak(derivative, spoken, Kind.AUTODIFF, hand[row], reference[row], [
            f"your formula is right; autodiff is off here: {reference[row, e]:.6g} where differences give "
            f"{values[e]:.6g}." for e in spoken])  # fmt: skip
        reference, tolerance = _instead_of_autodiff(ground, reference, tolerance, entries)
    tolerance[~np.isfinite(reference) & np.isfinite(hand)] = np.inf
    value = np.where(np.isin(entries, kinks), hand[row, entries], look.value)
    remark = f"{len(entries)} of {hand.shape[1]} entries, each with its own error bar"
    witness = judge("central differences", "gradient", hand[row, entries], value, error, remark)
    return findings, reference, tolerance, witness


def _looked_at(ground: Ground, excess, tolerance) -> Look:
    """The entries that are most in dispute, and some others; at the point given, if any is in dispute there."""
    row = 0 if (excess[0] > 1).any() else int(np.argmax(excess.max(axis=1)))
    worst = np.argsort(-excess[row], kind="stable")[: SAMPLE // 2]
    others = np.random.default_rng(2).permutation(excess.shape[1])[: SAMPLE // 2]
    entries = np.unique(np.concatenate([worst, others]))
    value, error = gradient_by_differences(ground, ground.points[row], entries)
    return Look(row, entries, value, error + tolerance[row, entries])


def _kinks(ground: Ground, derivative: Derivative, look: Look, excess, hand, reference) -> tuple[np.ndarray, list]:
    """Where hand or autodiff is off and there is a kink."""
    row, entries, value, error = look
    by_both = [np.abs(values[row, entries] - value) <= error for values in (hand, reference)]
    doubtful = entries[~np.logical_and(*by_both)]
    kinks, findings = kinks_of_gradient(ground, derivative, row, doubtful, hand, reference)
    if findings:  # where there is one there may be many: every entry in dispute is looked at
        disputed = np.union1d(doubtful, np.flatnonzero(excess[row] > 1)[:ENTRYWISE])
        return kinks_of_gradient(ground, derivative, row, disputed, hand, reference)
    return kinks, findings


def _overruled(ground: Ground, look: Look, hand, reference) -> tuple[np.ndarray, np.ndarray]:
    """Where differences overrule autodiff: a custom rule, stop_gradient, NaN of a branch not taken; and their error."""
    row, entries, value, error = look
    sure = _sure(value, error, reference[row, entries])
    by_hand = np.abs(hand[row, entries] - value) <= error
    if not (sure & ~by_hand).any():  # against both of them
        return sure, error
    directions, sizes = unit_directions(ground.subject.layout, ground.points[row], entries)
    slopes = reference[row, entries] * sizes
    shown = shows_in_a_short_step(values_of(ground), ground.points[row], directions, slopes)
    return sure & (by_hand | ~shown), np.where(sure & ~by_hand & shown, np.inf, error)


def autodiff_is_off(ground: Ground) -> bool:
    """Whether differences of the cost contradict autodiff's gradient, as with a wrong custom rule."""
    point, n = ground.points[0], ground.points.shape[1]
    v = np.random.default_rng(9).standard_normal((4, n)) * sizes_of(ground.subject.layout, point)
    slope = differences.along(values_of(ground), point, v)
    by_autodiff = v @ gradients(ground.subject, ground.cost, point[None])[0]
    sure = _sure(slope.value, slope.error, by_autodiff)
    return bool(sure.all() and not shows_in_a_short_step(values_of(ground), point, v, by_autodiff).any())


def _sure(slopes, error, by_autodiff) -> np.ndarray:
    """Where differences that are sure of themselves are far from autodiff, or autodiff has no number."""
    distance = np.abs(by_autodiff - slopes)
    largest = np.max(np.abs(slopes), initial=0.0, where=np.isfinite(slopes))
    far = ~(distance <= 1e-5 * largest) & (20 * error < np.where(np.isnan(distance), np.inf, distance))
    return np.isfinite(slopes) & far


def _excess(hand, reference, tolerance) -> np.ndarray:
    """How many times its tolerance each entry is off; infinite where one of the two is not finite."""
    with np.errstate(all="ignore"):
        excess = np.abs(hand - reference) / np.maximum(tolerance, 1e-300)
    return np.where(np.isfinite(hand) & np.isfinite(reference), excess, np.inf)


def _instead_of_autodiff(ground: Ground, reference, tolerance, entries) -> tuple[np.ndarray, np.ndarray]:
    """Where autodiff is off it is off at other points too: differences take its place, with their error bars."""
    if reference.shape[1] <= ENTRYWISE:
        entries = np.arange(reference.shape[1])
    for row, point in enumerate(ground.points):
        value, error = gradient_by_differences(ground, point, entries)
        known = np.isfinite(error)
        reference[row, entries[known]] = value[known]
        bar = error[known] + 1e-10 * np.abs(value[known])
        tolerance[row, entries[known]] = np.maximum(tolerance[row, entries[known]], bar)
    return reference, tolerance


def _of_second(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    """For Hessians and products: digits that autodiff loses, kinks of the gradient, and differences of it."""
    findings = _lost_digits(ground, derivative, hand[0], reference[0], tolerance[0])
    of, point = derivative.of, ground.points[0]
    gradient = partial(gradients, ground.subject, ground.cost)
    excess = _excess(hand, reference, tolerance)
    if (of == "hessian_product" or len(point) <= SMALL) and (excess[0] > 1).any() and not (excess[1:] > 1).any():
        kinks, spoken = kinks_of_second(ground, derivative, gradient, np.flatnonzero(excess[0] > 1), hand, reference)
        reference[0, kinks], findings = hand[0, kinks], findings + spoken
    if of == "hessian":
        v = np.random.default_rng(3).standard_normal((4, point.size)) * sizes_of(ground.subject.layout, point)
        by_hand = np.stack([_times(ground, hand[0], direction) for direction in v])
        bar = np.stack([_times(ground, tolerance[0], np.abs(direction)) for direction in v])
    else:
        v, by_hand, bar = derivative.identity[:1], hand[:1], tolerance[:1]
    tolerance[~np.isfinite(reference) & np.isfinite(hand)] = np.inf
    slope = differences.along(gradient, point, v, noise=1e-14)
    error = 5 * slope.error + bar
    unseen = (np.abs(by_hand - slope.value) > error).any(axis=1)
    if unseen.any():
        steep = shows_in_a_short_step(gradient, point, v, by_hand)
        error[unseen & (steep | gradient_has_kink(gradient, point, v))] = np.inf
    remark = f"along {len(v)} direction" + "s" * (len(v) > 1)
    witness = judge("differences of the gradient", of, by_hand, slope.value, error, remark)
    return findings, reference, tolerance, witness


def _lost_digits(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> list[Finding]:
    """Entries that autodiff's rounding cannot tell from the reader's, but the reader's keeps its digits in float32."""
    local = np.max(np.maximum(np.abs(hand), np.abs(reference)), initial=0.0)
    lost = (np.abs(hand - reference) > 1e-6 * local) & (np.abs(hand - reference) <= tolerance)
    if not lost.any():
        return []
    single = ground.subject.cast(np.float32), ground.points[:1].astype(np.float32)
    hand32 = derivative.hand(*single).astype(float)[0]
    steady = np.flatnonzero(lost & (np.abs(hand32 - hand) <= 1e-4 * np.abs(hand)) & (hand != 0))
    return speak(derivative, steady, Kind.AUTODIFF, hand, reference, [
        f"your formula is right; autodiff lost accuracy here: it gives {reference[e]:.3g}, and its rounding is "
        f"{tolerance[e]:.1e}; yours keeps its digits ({hand[e]:.6g}, in float32 too)." for e in steady])  # fmt: skip


def _times(ground: Ground, entries: np.ndarray, v: np.ndarray) -> np.ndarray:
    """H v from the Hessian's entries in block order."""
    return as_matrix(ground.subject.layout, entries) @ v
