"""Where the reader and autodiff disagree, differences decide: a kink, autodiff's own loss of digits, or a mistake.

Where there is no autodiff (plain NumPy), they are the reference.
"""

from functools import partial

import numpy as np

from jax_course.verify import differences
from jax_course.verify.evaluation import gradients
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.ground import (
    SMALL,
    Derivative,
    Ground,
    as_matrix,
    gradient_by_differences,
    hessian_by_differences,
    sizes_of,
    unit_directions,
    values_of,
)
from jax_course.verify.witnesses import judge

ENTRYWISE = 2_000  # up to so many parameters differences are taken of every entry where there is no autodiff
SAMPLE = 40  # entries where all would be too many

Arbitration = tuple[list[Finding], np.ndarray, np.ndarray, Witness]


def arbitrate(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    """Findings that speak for the reader, the reference and its tolerance mended there, and the witness."""
    by_differences = _of_gradient if derivative.of == "gradient" else _of_second
    return by_differences(ground, derivative, hand, reference, tolerance)


def _of_gradient(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    excess = np.nan_to_num(np.abs(hand - reference) / np.maximum(tolerance, 1e-300), nan=np.inf)
    row = 0 if (excess[0] > 1).any() else int(np.argmax(excess.max(axis=1)))
    n = hand.shape[1]
    worst = np.argsort(-excess[row])[: SAMPLE // 2]
    others = np.random.default_rng(2).permutation(n)[: SAMPLE // 2]
    entries = np.unique(np.concatenate([worst, others]))
    value, error = gradient_by_differences(ground, ground.points[row], entries)
    error = error + tolerance[row, entries]
    remark = f"{len(entries)} of {n} entries, each with its own error bar"
    witness = judge("central differences", "gradient", hand[row, entries], value, error, remark)
    by_hand, by_autodiff = (np.abs(values[row, entries] - value) <= error for values in (hand, reference))

    doubtful = entries[~(by_autodiff & by_hand)]
    kinks, findings = _kinks(ground, derivative, row, doubtful, hand, reference)
    if findings and len(doubtful) < n:  # where there is one there may be many: every entry in dispute is looked at
        disputed = np.union1d(doubtful, np.flatnonzero(excess[row] > 1)[:ENTRYWISE])
        kinks, findings = _kinks(ground, derivative, row, disputed, hand, reference)
    reference = reference.copy()
    reference[row, kinks] = hand[row, kinks]

    off = by_hand & ~by_autodiff & ~np.isin(entries, kinks)
    if off.any():
        findings += _speak(derivative, entries[off], Kind.AUTODIFF, hand[row], reference[row], [
            f"your formula is right; autodiff is off here: {r:.6g} where differences give {v:.6g}."
            for r, v in zip(reference[row, entries[off]], value[off], strict=True)])  # fmt: skip
        reference, tolerance = _instead_of_autodiff(ground, reference, tolerance, entries)
    return findings, reference, tolerance, witness


def _kinks(ground: Ground, derivative: Derivative, row: int, entries, hand, reference) -> tuple[np.ndarray, list]:
    """The entries where the one-sided derivatives differ and the reader's lies between them."""
    if not len(entries):
        return entries, []
    point = ground.points[row]
    directions, sizes = unit_directions(ground.subject.layout, point, entries)
    before, after = differences.one_sided(values_of(ground), point, directions)
    left, right = before.value / sizes, after.value / sizes
    blur = np.maximum(before.error, after.error) / sizes
    low, high = np.minimum(left, right), np.maximum(left, right)
    large = 1e-6 * np.maximum(np.abs(low), np.abs(high))
    h, margin = hand[row, entries], 5 * blur + large
    inside = (high - low > 20 * blur + large) & (h >= low - margin) & (h <= high + margin)
    sentences = [
        f"kink: the one-sided derivatives differ ({a:.4g} and {b:.4g}); yours is the subgradient {g:.4g}."
        for a, b, g in zip(left[inside], right[inside], h[inside], strict=True)
    ]
    kinks = entries[inside]
    return kinks, _speak(derivative, kinks, Kind.KINK, hand[row], reference[row], sentences)


def _instead_of_autodiff(ground: Ground, reference, tolerance, entries) -> tuple[np.ndarray, np.ndarray]:
    """Where autodiff is off it is off at other points too: differences take its place, with their error bars."""
    reference, tolerance = reference.copy(), tolerance.copy()
    if reference.shape[1] <= ENTRYWISE:
        entries = np.arange(reference.shape[1])
    for row, point in enumerate(ground.points):
        value, error = gradient_by_differences(ground, point, entries)
        reference[row, entries] = value
        tolerance[row, entries] = np.maximum(tolerance[row, entries], error + 1e-10 * np.abs(value))
    return reference, tolerance


def _of_second(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    """For Hessians and products: digits that autodiff loses, and differences of the gradient as the witness."""
    findings = _lost_digits(ground, derivative, hand[0], reference[0], tolerance[0])
    of, point = derivative.of, ground.points[0]
    if of == "hessian":
        v = np.random.default_rng(3).standard_normal((4, point.size)) * sizes_of(ground.subject.layout, point)
        by_hand = np.stack([_times(ground, hand[0], direction) for direction in v])
        bar = np.stack([_times(ground, tolerance[0], np.abs(direction)) for direction in v])
    else:
        v, by_hand, bar = derivative.identity[:1], hand[:1], tolerance[:1]
    slope = differences.along(partial(gradients, ground.subject, ground.cost), point, v, noise=1e-14)
    remark = f"along {len(v)} direction" + "s" * (len(v) > 1)
    witness = judge("differences of the gradient", of, by_hand, slope.value, 5 * slope.error + bar, remark)
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
    return _speak(derivative, steady, Kind.AUTODIFF, hand, reference, [
        f"your formula is right; autodiff lost accuracy here: it gives {reference[e]:.3g}, and its rounding is "
        f"{tolerance[e]:.1e}; yours keeps its digits ({hand[e]:.6g}, in float32 too)." for e in steady])  # fmt: skip


def _speak(derivative: Derivative, entries, kind: Kind, hand, reference, sentences: list[str]) -> list[Finding]:
    """At most one finding of a kind for each leaf: its first entry speaks for the others."""
    findings: dict[str, Finding] = {}
    for entry, sentence in zip(entries, sentences, strict=True):
        leaf, index = derivative.layout.leaf_of(int(entry))
        name = derivative.layout.names[leaf]
        values = float(hand[entry]), float(reference[entry])
        findings.setdefault(name, Finding(kind, derivative.of, name, index, *values, sentence))
    return list(findings.values())


def _times(ground: Ground, entries: np.ndarray, v: np.ndarray) -> np.ndarray:
    """H v from the Hessian's entries in block order."""
    return as_matrix(ground.subject.layout, entries) @ v


def without_autodiff(ground, derivative, points, hand) -> tuple[list[Witness], np.ndarray, np.ndarray]:
    """The reference where JAX cannot trace the cost: differences of it, or of the reader's gradient.

    Entries that are not computed keep the reader's value with an infinite tolerance: nothing is claimed of them.
    """
    reference, tolerance = hand.copy(), np.full_like(hand, np.inf)
    n, of = points.shape[1], derivative.of
    why = "JAX cannot trace the cost (plain NumPy?)"
    names = ("reverse-mode autodiff", "forward-mode autodiff") if of == "gradient" else ("autodiff",)
    abstains = [Witness(name, of, "abstains", float("nan"), why) for name in names]
    if of != "gradient" and derivative.gradient is None:
        why = "without autodiff it needs a gradient= that is right, to take differences of"
        return (
            [*abstains, Witness("differences of the gradient", of, "abstains", float("nan"), why)],
            reference,
            tolerance,
        )
    entries = np.arange(n) if n <= ENTRYWISE else np.sort(np.random.default_rng(2).permutation(n)[:SAMPLE])
    for row, point in enumerate(points if n <= SMALL else points[:2]):
        if of == "gradient":
            reference[row, entries], tolerance[row, entries] = gradient_by_differences(ground, point, entries)
        elif of == "hessian":
            gradient = partial(derivative.gradient, ground.subject)
            reference[row], tolerance[row] = hessian_by_differences(ground.subject.layout, gradient, point)
        else:
            gradient, v = partial(derivative.gradient, ground.subject), derivative.identity[row : row + 1]
            slope = differences.along(gradient, point, v, noise=1e-14)
            reference[row], tolerance[row] = slope.value[0], 5 * slope.error[0]
    tolerance += 1e-10 * np.max(np.abs(reference), axis=0, initial=0.0)
    blind = np.isfinite(tolerance) & (tolerance > 1e-2 * np.max(np.abs(reference), initial=0.0))
    name = "central differences" if of == "gradient" else "differences of the gradient"
    remark = f"{len(entries)} of {n} directions, each entry with its own error bar"
    witness = judge(name, of, hand, reference, tolerance, remark)
    if blind.any() and witness.verdict == "agrees":
        witness = witness._replace(
            verdict="abstains", remark="its error bars are too wide to tell: the cost is too noisy here"
        )
    return [*abstains, witness], reference, tolerance
