r"""Kinks: where the one-sided derivatives differ, any number between them is right, as a subgradient is.

Several kinks may meet at a point, those of Σ_o δ_o relu(⟨x, θ_o⟩) at x = 0. Then any sum of numbers is right that are
each between the one-sided derivatives of one kink, as 0 is; it need not lie between those of the sum. What the kinks
allow shows in the derivatives g on a half circle around the point, which crosses each kink once: there g jumps by the
difference of its one-sided derivatives.

    right is what lies within (g(x + u) + g(x − u))/2 ± V/2,  V = Σ |jumps of g on the way from x + u to x − u|

A product with the Hessian, or its entries, are g as well.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from jax_course.verify import differences
from jax_course.verify.evaluation import gradients, products
from jax_course.verify.findings import Finding, Kind
from jax_course.verify.ground import Derivative, by_blocks, sizes_of, unit_directions, values_of

CIRCLES, POINTS = 4, 256  # so many half circles, of so many points
RADII = 1e-6, 1e-8  # in sizes of the parameters; a bend, unlike a kink, is less on the smaller one


def kinks_of_gradient(ground, derivative, row: int, entries, hand, reference) -> tuple[np.ndarray, list[Finding]]:
    """The entries of a gradient where there are kinks and the reader's is what they allow."""
    if not len(entries):
        return entries, []
    point = ground.points[row]
    directions, sizes = unit_directions(ground.subject.layout, point, entries)
    before, after = differences.one_sided(values_of(ground), point, directions)
    inside, sentences = _between(before, after, sizes, hand[row, entries])
    still = _still_there(ground, point, directions, before.value, after.value)
    sentences = [sentence for sentence, there in zip(sentences, still[inside], strict=True) if there]
    kinks, others = entries[inside & still], entries[~(inside & still)]
    if ground.once and len(others):
        around = partial(gradients, ground.subject, ground.cost)
        meeting, more = where_kinks_meet(ground.subject.layout, point, around, others, hand[row])
        kinks, sentences = np.concatenate([kinks, meeting]), sentences + more
    return kinks, speak(derivative, kinks, Kind.KINK, hand[row], reference[row], sentences)


def where_kinks_meet(layout, point, derivatives: Callable, entries, hand) -> tuple[np.ndarray, list[str]]:
    """The entries whose derivative jumps around the point and is at the point what these jumps allow."""
    if not _jumps(layout, point, derivatives, entries):
        return entries[:0], []
    middle, variation = _around(layout, point, derivatives, entries)
    value, size = hand[entries], np.maximum(np.abs(middle), variation)
    inside = (variation > 1e-4 * size) & (np.abs(value - middle) <= variation / 2 + 1e-5 * size)
    return entries[inside], [
        f"kink: the derivative jumps around the point, {m:.4g} ± {v / 2:.4g} is right; yours is {g:.4g}."
        for m, v, g in zip(middle[inside], variation[inside], value[inside], strict=True)
    ]


def _jumps(layout, point, derivatives: Callable, entries) -> bool:
    """Whether any of the derivatives differs on opposite sides of the point, and as much on nearer ones."""
    u = np.random.default_rng(11).standard_normal(point.size) * sizes_of(layout, point)
    offsets = np.array([radius * side for radius in RADII for side in (-1, 1)])[:, None] * u
    behind, ahead, just_behind, just_ahead = derivatives(point + offsets)[:, entries]
    short, long = np.abs(just_ahead - just_behind), np.abs(ahead - behind)
    return bool(((short > 0.5 * long) & (short > 1e-5 * np.abs(just_ahead))).any())


def _around(layout, point, derivatives: Callable, entries) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the derivatives on opposite sides of the point, and what they vary by on the way between."""
    points = POINTS if point.size <= 5_000 else POINTS // 8  # for memory
    rng, angles = np.random.default_rng(10), np.linspace(0, np.pi, points)[:, None]
    middles, variations = [], []
    for _ in range(CIRCLES):
        u, v = rng.standard_normal((2, point.size)) * sizes_of(layout, point)
        circle = np.cos(angles) * u + np.sin(angles) * v
        on_each = [derivatives(point + radius * circle)[:, entries] for radius in RADII]
        middles.append((on_each[-1][0] + on_each[-1][-1]) / 2)
        variations.append(np.min([np.abs(np.diff(values, axis=0)).sum(axis=0) for values in on_each], axis=0))
    return middles[0], np.max(variations, axis=0)


def _still_there(ground, point, directions, left, right) -> np.ndarray:
    """Whether the slopes differ in a step just long enough to be seen, too: if not, it is a bend and no kink."""
    values, steepness = values_of(ground), np.maximum(np.abs(left), np.abs(right))
    at = values(point[None])[0]
    t = 1e-6 * np.maximum(np.abs(at), 1e-3 * steepness) / np.where(steepness > 0, steepness, 1)
    offsets = np.minimum(t, 1e-3)[:, None] * directions
    bend = (values(point + offsets) - 2 * at + values(point - offsets)) / np.minimum(t, 1e-3)
    return np.abs(bend) > 0.5 * np.abs(right - left)


def _between(before, after, sizes, hand) -> tuple[np.ndarray, list[str]]:
    """Where the reader's value is a subgradient: between one-sided derivatives that differ."""
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


def kinks_of_second(ground, derivative, gradient, entries, hand, reference) -> tuple[np.ndarray, list[Finding]]:
    """Entries of a Hessian or a product in dispute at the point given only, where the gradient has a kink or jumps."""
    layout, point = ground.subject.layout, ground.points[0]
    kinks, sentences = entries[:0], []
    if derivative.of == "hessian":
        kinks, sentences = _kinks_of_hessian(layout, gradient, point, entries, hand)
    if ground.twice and len(others := np.setdiff1d(entries, kinks)):
        meeting, more = where_kinks_meet(layout, point, _second(ground, derivative), others, hand[0])
        kinks, sentences = np.concatenate([kinks, meeting]), sentences + more
    return kinks, speak(derivative, kinks, Kind.KINK, hand[0], reference[0], sentences)


def _kinks_of_hessian(layout, gradient, point, entries, hand) -> tuple[np.ndarray, list[str]]:
    n = point.size
    place = by_blocks(layout, np.arange(n * n).reshape(n, n))[entries]
    directions, sizes = unit_directions(layout, point, place % n)
    sides = differences.one_sided(gradient, point, directions)
    chosen = np.arange(len(entries)), place // n
    before, after = (differences.Differences(side.value[chosen], side.error[chosen]) for side in sides)
    inside, sentences = _between(before, after, sizes, hand[0, entries])
    return entries[inside], sentences


def _second(ground, derivative) -> Callable:
    """The Hessian's entries, or its product with the direction at the point given, at rows of parameters."""
    subject, cost = ground.subject, ground.cost
    if derivative.of == "hessian":
        return partial(derivative.reference, subject)
    return lambda points: products(subject, cost, points, np.broadcast_to(derivative.identity[0], points.shape))


def gradient_has_kink(gradient: Callable, point, directions) -> np.ndarray:
    """Whether the gradient or its slope jumps at the point, along each of the directions."""
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


def speak(derivative: Derivative, entries, kind: Kind, hand, reference, sentences: list[str]) -> list[Finding]:
    """At most one finding of a kind for each leaf: its first entry speaks for the others."""
    findings: dict[str, Finding] = {}
    for entry, sentence in zip(entries, sentences, strict=True):
        leaf, index = derivative.layout.leaf_of(int(entry))
        name = derivative.layout.names[leaf]
        values = float(hand[entry]), float(reference[entry])
        findings.setdefault(name, Finding(kind, derivative.of, name, index, *values, sentence))
    return list(findings.values())
