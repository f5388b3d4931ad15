r"""Kinks: points at which the one-sided derivatives differ, and any number between them is a subgradient.

Several kinks may meet at a point, those of Σ_o δ_o relu(⟨x, θ_o⟩) at x = 0. Then any sum of numbers is right that are
each between the one-sided derivatives of one kink, as 0 is; it need not lie between those of the sum. The numbers that
are right follow from the derivatives g on a half circle around the point, which crosses each kink once: there g jumps
by the difference of its one-sided derivatives.

    right:  within (g(x + u) + g(x − u))/2 ± V/2,  V = Σ |jumps of g on the way from x + u to x − u|

g may be the gradient of the cost, a product with its Hessian, or the entries of its Hessian.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from jax_course.verify import differences
from jax_course.verify.context import Context, Derivative, leaf_scales, unit_directions
from jax_course.verify.evaluation import products
from jax_course.verify.findings import Finding, Kind
from jax_course.verify.parameters import Layout

CIRCLES = 4  # half circles, in random planes; the largest variation of the four counts
POINTS = 256  # on each: jumps of opposite sign between two neighbours cancel; with 16, kinks that meet are missed
RADII = 1e-6, 1e-8  # in units of the parameters; a bend, unlike a kink, is smaller on the second
LARGE = 5_000  # parameters; with more, an eighth of the points, for memory

Kinks = tuple[np.ndarray, list[Finding]]  # entries (k,), and the findings on them


def kinks_of_gradient(context: Context, derivative: Derivative, row: int, entries, hand, reference) -> Kinks:
    """The entries of a gradient at which the cost has a kink and the reader's value is a subgradient.

    row: of the point; entries: (k,), those to look at; hand, reference: (points, n).
    """
    if not len(entries):
        return entries, []
    point = context.points[row]
    directions, sizes = unit_directions(context.layout, point, entries)
    before, after = differences.one_sided(context.values, point, directions)
    inside, sentences = _between(before, after, sizes, hand[row, entries])
    sharp = _is_sharp(context, point, directions, before.value, after.value)
    sentences = [sentence for sentence, kept in zip(sentences, sharp[inside], strict=True) if kept]
    kinks, others = entries[inside & sharp], entries[~(inside & sharp)]
    if context.has_gradient and len(others):
        meeting, more = _meeting_kinks(context.layout, point, context.gradients, others, hand[row])
        kinks, sentences = np.concatenate([kinks, meeting]), sentences + more
    return kinks, first_per_leaf(derivative, kinks, Kind.KINK, hand[row], reference[row], sentences)


def kinks_of_second(
    context: Context, derivative: Derivative, gradient: Callable, entries, hand, reference
) -> tuple[np.ndarray, list[Finding]]:
    """The entries of a Hessian or a product at which the gradient has a kink and the reader's value is between.

    entries: (k,), those that differ at the point given, and there only; hand, reference: (points, entries).
    """
    layout, point = context.layout, context.points[0]
    kinks, sentences = entries[:0], []
    if derivative.name == "hessian":
        kinks, sentences = _kinks_of_hessian(layout, gradient, point, entries, hand)
    if context.has_hessian and len(others := np.setdiff1d(entries, kinks)):
        meeting, more = _meeting_kinks(layout, point, _second_derivatives(context, derivative), others, hand[0])
        kinks, sentences = np.concatenate([kinks, meeting]), sentences + more
    return kinks, first_per_leaf(derivative, kinks, Kind.KINK, hand[0], reference[0], sentences)


def gradient_has_kink(gradient: Callable, point: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Whether the gradient or its slope jumps at a point (n,), along each of the directions (k, n); shape (k,).

    >>> gradient_has_kink(lambda x: np.sign(x) + x, np.array([0.0]), np.array([[1.0]])).tolist()
    [True]
    """
    radii = np.array([1e-4, 1e-5])
    offsets = np.array([-2, -1, 1, 2])[:, None, None, None] * radii[:, None, None] * directions
    far_behind, behind, ahead, far_ahead = gradient((point + offsets).reshape(-1, point.size)).reshape(offsets.shape)
    step = radii[:, None, None]
    slopes = np.stack([behind - far_behind, far_ahead - ahead]) / step
    found = np.zeros(len(directions), bool)
    size = np.max(np.abs(ahead)) + np.max(np.abs(slopes))
    for jump in (ahead - behind, slopes[1] - slopes[0]):
        long, short = np.abs(jump)
        found |= ((short > 0.5 * long) & (short > 1e-6 * size)).any(axis=1)
    return found


def first_per_leaf(
    derivative: Derivative, entries: np.ndarray, kind: Kind, hand: np.ndarray, reference: np.ndarray, sentences: list
) -> list[Finding]:
    """Findings of one kind on entries (k,) with a sentence each: of every leaf the first only."""
    findings: dict[str, Finding] = {}
    for entry, sentence in zip(entries, sentences, strict=True):
        leaf, index = derivative.layout.leaf_of(int(entry))
        name = derivative.layout.names[leaf]
        values = float(hand[entry]), float(reference[entry])
        findings.setdefault(name, Finding(kind, derivative.name, name, index, *values, sentence))
    return list(findings.values())


def _between(before, after, sizes, hand) -> tuple[np.ndarray, list[str]]:
    """Whether the reader's value lies between one-sided derivatives that differ; and a sentence where it does."""
    left, right = before.value / sizes, after.value / sizes
    blur = np.maximum(before.error, after.error) / sizes
    low, high = np.minimum(left, right), np.maximum(left, right)
    large = 1e-6 * np.maximum(np.abs(low), np.abs(high))
    margin = 5 * blur + large
    inside = (high - low > 20 * blur + large) & (hand >= low - margin) & (hand <= high + margin)
    return inside, [
        f"kink: the one-sided derivatives differ ({a:.4g} and {b:.4g}); yours is the subgradient {g:.4g}."
        for a, b, g in zip(left[inside], right[inside], hand[inside], strict=True)
    ]


def _is_sharp(context: Context, point, directions, left, right) -> np.ndarray:
    """Whether the slopes differ in a step just longer than rounding, too: if not, it is a bend and no kink."""
    steepness, center = np.maximum(np.abs(left), np.abs(right)), context.values(point[None])[0]
    t = 1e-6 * np.maximum(np.abs(center), 1e-3 * steepness) / np.where(steepness > 0, steepness, 1)
    offsets = np.minimum(t, 1e-3)[:, None] * directions
    bend = (context.values(point + offsets) - 2 * center + context.values(point - offsets)) / np.minimum(t, 1e-3)
    return np.abs(bend) > 0.5 * np.abs(right - left)


def _meeting_kinks(layout: Layout, point, derivatives: Callable, entries, hand) -> tuple[np.ndarray, list[str]]:
    """The entries whose derivative jumps around the point and is at the point within the range of these jumps."""
    if not _jumps(layout, point, derivatives, entries):
        return entries[:0], []
    middle, variation = _half_circles(layout, point, derivatives, entries)
    value, size = hand[entries], np.maximum(np.abs(middle), variation)
    inside = (variation > 1e-4 * size) & (np.abs(value - middle) <= variation / 2 + 1e-5 * size)
    return entries[inside], [
        f"kink: the derivative jumps around the point, {m:.4g} ± {v / 2:.4g} is right; yours is {g:.4g}."
        for m, v, g in zip(middle[inside], variation[inside], value[inside], strict=True)
    ]


def _jumps(layout: Layout, point, derivatives: Callable, entries) -> bool:
    """Whether any of the derivatives differs on opposite sides of the point, and as much on nearer ones."""
    u = np.random.default_rng(11).standard_normal(point.size) * leaf_scales(layout, point)
    offsets = np.array([radius * side for radius in RADII for side in (-1, 1)])[:, None] * u
    behind, ahead, just_behind, just_ahead = derivatives(point + offsets)[:, entries]
    short, long = np.abs(just_ahead - just_behind), np.abs(ahead - behind)
    return bool(((short > 0.5 * long) & (short > 1e-5 * np.abs(just_ahead))).any())


def _half_circles(layout: Layout, point, derivatives: Callable, entries) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the derivatives on opposite sides of the point, and their total variation on the way between."""
    points = POINTS if point.size <= LARGE else POINTS // 8
    rng, angles = np.random.default_rng(10), np.linspace(0, np.pi, points)[:, None]
    middles, variations = [], []
    for _ in range(CIRCLES):
        u, v = rng.standard_normal((2, point.size)) * leaf_scales(layout, point)
        circle = np.cos(angles) * u + np.sin(angles) * v
        found = [derivatives(point + radius * circle)[:, entries] for radius in RADII]
        middles.append((found[-1][0] + found[-1][-1]) / 2)
        variations.append(np.min([np.abs(np.diff(values, axis=0)).sum(axis=0) for values in found], axis=0))
    return middles[0], np.max(variations, axis=0)


def _kinks_of_hessian(layout: Layout, gradient, point, entries, hand) -> tuple[np.ndarray, list[str]]:
    n = point.size
    positions = layout.block_entries(np.arange(n * n).reshape(n, n))[entries]
    directions, sizes = unit_directions(layout, point, positions % n)
    chosen = np.arange(len(entries)), positions // n
    sides = differences.one_sided(gradient, point, directions)
    before, after = (differences.Differences(side.value[chosen], side.error[chosen]) for side in sides)
    inside, sentences = _between(before, after, sizes, hand[0, entries])
    return entries[inside], sentences


def _second_derivatives(context: Context, derivative: Derivative) -> Callable:
    """The Hessian's entries, or its product with the direction at the point given, at points (p, n)."""
    inputs, cost = context.inputs, context.cost
    if derivative.name == "hessian":
        return partial(derivative.pair[1], inputs)
    return lambda points: products(inputs, cost, points, np.broadcast_to(derivative.identity[0], points.shape))
