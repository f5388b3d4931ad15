"""Differences decide where the reader and autodiff differ: a kink, an error of autodiff, or a mistake of the reader."""

from typing import NamedTuple

import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify import differences
from jax_course.verify.context import (
    ENTRYWISE,
    SAMPLE,
    SMALL,
    Comparison,
    Context,
    Derivative,
    difference_gradient,
    leaf_scales,
    shows_in_a_short_step,
    unit_directions,
)
from jax_course.verify.custom_rules import WithoutRules
from jax_course.verify.evaluation import gradients
from jax_course.verify.findings import Finding, Kind
from jax_course.verify.kinks import first_per_leaf, gradient_has_kink, kinks_of_gradient, kinks_of_second
from jax_course.verify.tracing import traits
from jax_course.verify.witnesses import compare


class Sampled(NamedTuple):
    """Entries (k,) of a gradient at one of the points, by differences."""

    row: int
    entries: np.ndarray
    value: np.ndarray
    error: np.ndarray  # with the tolerance of the comparison


def arbitrate(context: Context, derivative: Derivative, hand, reference, tolerance) -> Comparison:
    """The comparison of the reader's derivative with differences; hand, reference, tolerance: (points, E).

    Entries that neither autodiff nor differences can tell get an infinite tolerance.
    """
    compare_with_differences = _gradient if derivative.name == "gradient" else _second_derivative
    return compare_with_differences(context, derivative, hand, reference.copy(), tolerance.copy())


def autodiff_is_wrong(context: Context) -> bool:
    """Whether differences of the cost contradict autodiff's gradient, as with a wrong custom rule."""
    point, n = context.points[0], context.points.shape[1]
    v = np.random.default_rng(9).standard_normal((4, n)) * leaf_scales(context.layout, point)
    slope = differences.along(context.values, point, v)
    autodiff = v @ context.gradients(point[None])[0]
    contradicted = _contradicted(slope.value, slope.error, autodiff)
    return bool(contradicted.all() and not shows_in_a_short_step(context.values, point, v, autodiff).any())


def without_wrong_rules(context: Context) -> Context:
    """The context without the rules of the cost's functions, if differences side with the derivative without them."""
    inputs = context.inputs
    bare = Function(WithoutRules(context.cost))
    try:
        if not traits(inputs, context.cost, context.points[0]).has_rules:
            return context
        ruled, plain = context.gradients(context.points), gradients(inputs, bare, context.points)
    except Exception:  # a loop that has no derivative without its rule
        return context
    distance = np.abs(ruled - plain)
    different = distance > 1e-10 * np.maximum(np.abs(ruled), np.abs(plain))
    if not np.isfinite(plain).all():
        return context
    if not different.any():
        return context._replace(plain=True)
    row = int(np.argmax(different.sum(axis=1)))
    entries = np.argsort(-np.where(different[row], distance[row] / np.abs(plain[row]).clip(1e-300), 0))[: SAMPLE // 2]
    entries = entries[different[row, entries]]
    value, error = difference_gradient(context, context.points[row], entries)
    near, far = (np.abs(values[row, entries] - value) for values in (plain, ruled))
    refuted = (near <= error) & (far > 3 * error + near)
    if not refuted.any() or ((far <= error) & (near > error)).any():
        return context
    return context._replace(cost=bare, ruled=ruled)


def right_beside_rules(context: Context, derivative: Derivative, hand, reference, tolerance) -> list[Finding]:
    """Findings where the reader's gradient is right and a rule of the cost is not."""
    if context.ruled is None or derivative.name != "gradient":
        return []
    ruled = context.ruled[0]
    off = np.abs(ruled - reference[0]) > tolerance[0] + 1e-10 * np.abs(reference[0])
    right = np.flatnonzero(off & (np.abs(hand[0] - reference[0]) <= tolerance[0]))
    return first_per_leaf(derivative, right, Kind.AUTODIFF, hand[0], ruled, [
        f"your formula is right; autodiff is off here: a rule in the cost (custom_vjp, custom_jvp) gives "
        f"{ruled[e]:.9g} where {reference[0, e]:.9g} is right." for e in right])  # fmt: skip


def _gradient(context: Context, derivative: Derivative, hand, reference, tolerance) -> Comparison:
    excess = _excess(hand, reference, tolerance)
    sampled = _sample(context, excess, tolerance)
    row, entries = sampled.row, sampled.entries
    kinks, findings = _kinks(context, derivative, sampled, excess, hand, reference)
    reference[row, kinks] = hand[row, kinks]
    wrong, error = _autodiff_errors(context, sampled, hand, reference)
    wrong &= ~np.isin(entries, kinks)
    if wrong.any():  # not where autodiff's own value is one that a kink allows
        wrong &= ~np.isin(entries, kinks_of_gradient(context, derivative, row, entries[wrong], reference, reference)[0])
    if wrong.any():
        right = wrong & (np.abs(hand[row, entries] - sampled.value) <= sampled.error)
        findings += first_per_leaf(derivative, entries[right], Kind.AUTODIFF, hand[row], reference[row], [
            f"your formula is right; autodiff is off here: {reference[row, entry]:.6g} where differences give "
            f"{value:.6g}." for entry, value in zip(entries[right], sampled.value[right], strict=True)])  # fmt: skip
        reference, tolerance = _replace_autodiff(context, reference, tolerance, entries)
    tolerance[~np.isfinite(reference) & np.isfinite(hand)] = np.inf
    value = np.where(np.isin(entries, kinks), hand[row, entries], sampled.value)
    remark = f"{len(entries)} of {hand.shape[1]} entries, each with its own error bar"
    witness = compare("central differences", "gradient", hand[row, entries], value, error, remark)
    return Comparison(findings, reference, tolerance, witness)


def _sample(context: Context, excess, tolerance) -> Sampled:
    """The entries that differ most, and some others; at the point given, if any differs there."""
    row = 0 if (excess[0] > 1).any() else int(np.argmax(excess.max(axis=1)))
    worst = np.argsort(-excess[row], kind="stable")[: SAMPLE // 2]
    others = np.random.default_rng(2).permutation(excess.shape[1])[: SAMPLE // 2]
    entries = np.unique(np.concatenate([worst, others]))
    value, error = difference_gradient(context, context.points[row], entries)
    return Sampled(row, entries, value, error + tolerance[row, entries])


def _kinks(
    context: Context, derivative: Derivative, sampled: Sampled, excess, hand, reference
) -> tuple[np.ndarray, list[Finding]]:
    """The entries at which the reader or autodiff differs from differences and there is a kink."""
    row, entries, value, error = sampled
    close = [np.abs(values[row, entries] - value) <= error for values in (hand, reference)]
    doubtful = entries[~np.logical_and(*close)]
    kinks, findings = kinks_of_gradient(context, derivative, row, doubtful, hand, reference)
    if findings:  # one kink may be one of many: every entry that differs is looked at
        different = np.union1d(doubtful, np.flatnonzero(excess[row] > 1)[:ENTRYWISE])
        return kinks_of_gradient(context, derivative, row, different, hand, reference)
    return kinks, findings


def _autodiff_errors(context: Context, sampled: Sampled, hand, reference) -> tuple[np.ndarray, np.ndarray]:
    """Whether differences refute autodiff (a custom rule, stop_gradient, NaN of a branch not taken); their error."""
    row, entries, value, error = sampled
    contradicted = _contradicted(value, error, reference[row, entries])
    right = np.abs(hand[row, entries] - value) <= error
    if not (contradicted & ~right).any():
        return contradicted, error
    directions, sizes = unit_directions(context.layout, context.points[row], entries)
    slopes = reference[row, entries] * sizes
    shown = shows_in_a_short_step(context.values, context.points[row], directions, slopes)
    return contradicted & (right | ~shown), np.where(contradicted & ~right & shown, np.inf, error)


def _contradicted(slopes, error, autodiff) -> np.ndarray:
    """Whether differences with small error bars are far from autodiff, or autodiff has no number."""
    distance = np.abs(autodiff - slopes)
    largest = np.max(np.abs(slopes), initial=0.0, where=np.isfinite(slopes))
    far = ~(distance <= 1e-5 * largest) & (20 * error < np.where(np.isnan(distance), np.inf, distance))
    return np.isfinite(slopes) & far


def _excess(hand, reference, tolerance) -> np.ndarray:
    """The difference of each entry in units of its tolerance; infinite where one of the two is not finite."""
    with np.errstate(all="ignore"):
        excess = np.abs(hand - reference) / np.maximum(tolerance, 1e-300)
    return np.where(np.isfinite(hand) & np.isfinite(reference), excess, np.inf)


def _replace_autodiff(context: Context, reference, tolerance, entries) -> tuple[np.ndarray, np.ndarray]:
    """Differences in place of autodiff, with their error bars, at all points: where it is wrong, it is so elsewhere."""
    if reference.shape[1] <= ENTRYWISE:
        entries = np.arange(reference.shape[1])
    for row, point in enumerate(context.points):
        value, error = difference_gradient(context, point, entries)
        known = np.isfinite(error)
        reference[row, entries[known]] = value[known]
        bar = error[known] + 1e-10 * np.abs(value[known])
        tolerance[row, entries[known]] = np.maximum(tolerance[row, entries[known]], bar)
    return reference, tolerance


def _second_derivative(context: Context, derivative: Derivative, hand, reference, tolerance) -> Comparison:
    """Hessians and products: digits that autodiff loses, kinks of the gradient, and differences of it."""
    findings = _lost_digits(context, derivative, hand[0], reference[0], tolerance[0])
    name, point, gradient = derivative.name, context.points[0], context.gradients
    excess = _excess(hand, reference, tolerance)
    if (name == "hessian_product" or len(point) <= SMALL) and (excess[0] > 1).any() and not (excess[1:] > 1).any():
        kinks, more = kinks_of_second(context, derivative, gradient, np.flatnonzero(excess[0] > 1), hand, reference)
        reference[0, kinks], findings = hand[0, kinks], findings + more
    if name == "hessian":
        v = np.random.default_rng(3).standard_normal((4, point.size)) * leaf_scales(context.layout, point)
        products = v @ context.layout.block_matrix(hand[0]).T
        bar = np.abs(v) @ context.layout.block_matrix(tolerance[0]).T
    else:
        v, products, bar = derivative.identity[:1], hand[:1], tolerance[:1]
    tolerance[~np.isfinite(reference) & np.isfinite(hand)] = np.inf
    slope = differences.along(gradient, point, v, noise=1e-14)
    error = 5 * slope.error + bar
    unseen = (np.abs(products - slope.value) > error).any(axis=1)
    if unseen.any():
        steep = shows_in_a_short_step(gradient, point, v, products)
        error[unseen & (steep | gradient_has_kink(gradient, point, v))] = np.inf
    remark = f"along {len(v)} direction" + "s" * (len(v) > 1)
    witness = compare("differences of the gradient", name, products, slope.value, error, remark)
    return Comparison(findings, reference, tolerance, witness)


def _lost_digits(context: Context, derivative: Derivative, hand, reference, tolerance) -> list[Finding]:
    """Entries within autodiff's rounding of the reader's, but the reader's keeps its digits in float32."""
    largest = np.max(np.maximum(np.abs(hand), np.abs(reference)), initial=0.0)
    lost = (np.abs(hand - reference) > 1e-6 * largest) & (np.abs(hand - reference) <= tolerance)
    if not lost.any():
        return []
    points = context.points if derivative.name == "hessian_product" else context.points[:1]  # a direction for each
    single = context.inputs.cast(np.float32), points.astype(np.float32)
    hand32 = derivative.hand(*single).astype(float)[0]
    steady = np.flatnonzero(lost & (np.abs(hand32 - hand) <= 1e-4 * np.abs(hand)) & (hand != 0))
    return first_per_leaf(derivative, steady, Kind.AUTODIFF, hand, reference, [
        f"your formula is right; autodiff lost accuracy here: it gives {reference[e]:.3g}, and its rounding is "
        f"{tolerance[e]:.1e}; yours keeps its digits ({hand[e]:.6g}, in float32 too)." for e in steady])  # fmt: skip
