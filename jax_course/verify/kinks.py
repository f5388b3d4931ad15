"""Kinks: where the one-sided derivatives differ and the reader's lies between them, as a subgradient does."""

import numpy as np

from jax_course.verify import differences
from jax_course.verify.findings import Finding, Kind
from jax_course.verify.ground import Derivative, by_blocks, unit_directions, values_of


def kinks_of_gradient(ground, derivative, row: int, entries, hand, reference) -> tuple[np.ndarray, list[Finding]]:
    """The entries of a gradient where the one-sided derivatives differ and the reader's lies between them."""
    if not len(entries):
        return entries, []
    point = ground.points[row]
    directions, sizes = unit_directions(ground.subject.layout, point, entries)
    before, after = differences.one_sided(values_of(ground), point, directions)
    inside, sentences = _between(before, after, sizes, hand[row, entries])
    still = _still_there(ground, point, directions, before.value, after.value)
    sentences = [sentence for sentence, there in zip(sentences, still[inside], strict=True) if there]
    kinks = entries[inside & still]
    return kinks, speak(derivative, kinks, Kind.KINK, hand[row], reference[row], sentences)


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
    """Entries of a Hessian in dispute at the point given only, where the gradient has a kink."""
    point, n = ground.points[0], ground.points.shape[1]
    place = by_blocks(ground.subject.layout, np.arange(n * n).reshape(n, n))[entries]
    directions, sizes = unit_directions(ground.subject.layout, point, place % n)
    sides = differences.one_sided(gradient, point, directions)
    chosen = np.arange(len(entries)), place // n
    before, after = (differences.Differences(side.value[chosen], side.error[chosen]) for side in sides)
    inside, sentences = _between(before, after, sizes, hand[0, entries])
    return entries[inside], speak(derivative, entries[inside], Kind.KINK, hand[0], reference[0], sentences)


def speak(derivative: Derivative, entries, kind: Kind, hand, reference, sentences: list[str]) -> list[Finding]:
    """At most one finding of a kind for each leaf: its first entry speaks for the others."""
    findings: dict[str, Finding] = {}
    for entry, sentence in zip(entries, sentences, strict=True):
        leaf, index = derivative.layout.leaf_of(int(entry))
        name = derivative.layout.names[leaf]
        values = float(hand[entry]), float(reference[entry])
        findings.setdefault(name, Finding(kind, derivative.of, name, index, *values, sentence))
    return list(findings.values())
