r"""The witnesses: ways to compute a derivative that fail differently, each with its own error estimate.

Tolerance. Nobody chooses it. The derivatives are computed in float32 as well; rounding shrinks 2²⁹-fold from there to
float64, a mistake does not shrink. So what an entry may differ by is what rounding made it differ by in float32, over
2²⁹, with a margin; and never less than a few thousand units in the last place.
"""

from functools import partial

import numpy as np

from jax_course.verify import differences
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.ground import (
    EPS,
    SMALL,
    Ground,
    as_matrix,
    first_line,
    gradient_by_differences,
    hessian_by_differences,
    sizes_of,
    unit_directions,
    values_of,
)
from jax_course.verify.subject import directional, evaluate

ENTRYWISE = 2_000  # up to so many parameters differences are taken of every entry where there is no autodiff
SAMPLE = 40  # entries and directions where all would be too many
SHRINKS = float(np.finfo(np.float32).eps) / EPS


Arbitration = tuple[list[Finding], np.ndarray, np.ndarray, list[Witness]]


def judge(name: str, of: str, hand: np.ndarray, reference: np.ndarray, tolerance: np.ndarray, remark="") -> Witness:
    """Whether the reader and a witness agree within the tolerance, and how far apart they are."""
    distance = np.abs(hand - reference)
    agrees = not (distance > tolerance).any() and np.isfinite(hand).all()
    size = np.max(np.abs(reference), initial=0.0)
    error = float(np.max(distance, initial=0.0) / size) if size else float(np.max(distance, initial=0.0))
    return Witness(name, of, "agrees" if agrees else "disagrees", error, remark)


def overruled(witness: Witness) -> Witness:
    """Where a kink or autodiff's own loss explains a disagreement, it is none."""
    remark = "its disagreement is explained by the finding"
    return witness if witness.verdict != "disagrees" else witness._replace(verdict="abstains", remark=remark)


def rounding(ground, derivative, points, hand, reference) -> tuple[np.ndarray, Witness]:
    """What each entry may differ by, and what the comparison in float32 says about the difference."""
    of, subject = derivative.of, ground.subject
    finite = np.nan_to_num(np.maximum(np.abs(hand), np.abs(reference)), posinf=0.0)
    tolerance = np.broadcast_to(2e-12 * finite.max(axis=0), hand.shape)
    at_zero = np.nan_to_num(np.abs(derivative.reference(subject, np.zeros_like(points))[0]), posinf=0.0)
    tolerance = np.maximum(tolerance, 64 * EPS * at_zero)
    single = subject.cast(np.float32)
    rounded = points.astype(np.float32)
    try:
        hand32, reference32 = (f(single, rounded).astype(float) for f in (derivative.hand, derivative.reference))
        double = single.cast(np.float64), rounded.astype(np.float64)
        hand64, reference64 = derivative.hand(*double), derivative.reference(*double)
    except Exception as error:  # a function that insists on float64
        return tolerance, Witness("precision scaling", of, "abstains", float("nan"), f"float32: {first_line(error)}")
    noise = np.maximum(np.abs(hand32 - hand64), np.abs(reference32 - reference64))
    if not np.isfinite(noise).all():
        return tolerance, Witness("precision scaling", of, "abstains", float("nan"), "float32 overflows here")
    difference32, difference = np.abs(hand32 - reference32), np.abs(hand64 - reference64)
    tolerance = np.maximum(tolerance, 32 / SHRINKS * noise.max(axis=0))
    tolerance = np.maximum(tolerance, 1e-6 * difference32.max(axis=0))
    stays = (difference > tolerance).any()
    remark = f"largest difference {difference32.max():.1e} in float32, {difference.max():.1e} in float64: " + (
        "a mistake does not shrink" if stays else "it shrinks as rounding does"
    )
    size = np.max(np.abs(reference64), initial=0.0) or 1.0
    verdict = "disagrees" if stays else "agrees"
    return tolerance, Witness("precision scaling", of, verdict, float(difference.max() / size), remark)


def arbitrate(ground, derivative, hand, reference, tolerance) -> Arbitration:
    """Differences against both: they confirm autodiff, or find a kink, or find that it is autodiff that is off.

    Returns findings that speak for the reader, the reference and its tolerance with those entries mended, the witness.
    """
    if derivative.of != "gradient":
        return _arbitrate_second(ground, derivative, hand, reference, tolerance)
    excess = np.abs(hand - reference) / np.maximum(tolerance, 1e-300)
    row = 0 if (excess[0] > 1).any() else int(np.argmax(np.nan_to_num(excess).max(axis=1)))
    point, n = ground.points[row], ground.points.shape[1]
    worst = np.argsort(-np.nan_to_num(excess[row], nan=np.inf))[: SAMPLE // 2]
    others = np.random.default_rng(2).permutation(n)[: SAMPLE // 2]
    entries = np.unique(np.concatenate([worst, others]))
    directions, sizes = unit_directions(ground.subject.layout, point, entries)
    value, error = gradient_by_differences(ground, point, entries)
    error = error + tolerance[row, entries]
    h, r = hand[row, entries], reference[row, entries]
    by_hand, by_autodiff = np.abs(h - value) <= error, np.abs(r - value) <= error
    witness = judge(
        "central differences",
        "gradient",
        h,
        value,
        error,
        f"{len(entries)} of {n} entries, each with its own error bar",
    )
    findings, reference = [], reference.copy()
    doubtful = ~(by_autodiff & by_hand)
    if doubtful.any():
        left, right, blur = (
            v / sizes[doubtful] for v in differences.one_sided(values_of(ground), point, directions[doubtful])
        )
        low, high = np.minimum(left, right), np.maximum(left, right)
        kink = high - low > 20 * blur + 1e-6 * np.maximum(np.abs(low), np.abs(high))
        margin = 5 * blur + 1e-6 * np.maximum(np.abs(low), np.abs(high))
        inside = kink & (h[doubtful] >= low - margin) & (h[doubtful] <= high + margin)
        findings += _speak(derivative, entries[doubtful][inside], Kind.KINK, hand[row], reference[row], lambda e, i: (
            f"kink: the one-sided derivatives differ ({left[inside][i]:.4g} and {right[inside][i]:.4g}); "
            f"yours is the subgradient {hand[row, e]:.4g}."))  # fmt: skip
        reference[row, entries[doubtful][inside]] = hand[row, entries[doubtful][inside]]
        off = np.flatnonzero(doubtful)[~kink]
        off = off[by_hand[off] & ~by_autodiff[off]]
        if len(off):
            findings += _speak(derivative, entries[off], Kind.AUTODIFF, hand[row], reference[row], lambda e, i: (
                f"your formula is right; autodiff is off here: {reference[row, e]:.6g} where differences give "
                f"{value[off][i]:.6g}."))  # fmt: skip
            reference, tolerance = _instead_of_autodiff(ground, reference, tolerance, entries)
    return findings, reference, tolerance, [witness]


def _instead_of_autodiff(ground, reference, tolerance, entries) -> tuple[np.ndarray, np.ndarray]:
    """Where autodiff is off it is off at other points too: differences take its place, with their error bars."""
    reference, tolerance = reference.copy(), tolerance.copy()
    if reference.shape[1] <= ENTRYWISE:
        entries = np.arange(reference.shape[1])
    for row, point in enumerate(ground.points):
        value, error = gradient_by_differences(ground, point, entries)
        reference[row, entries] = value
        tolerance[row, entries] = np.maximum(tolerance[row, entries], error + 1e-10 * np.abs(value))
    return reference, tolerance


def _arbitrate_second(ground, derivative, hand, reference, tolerance):
    """For Hessians and products: differences of the gradient, and digits that autodiff loses."""
    of, point, n = derivative.of, ground.points[0], ground.points.shape[1]
    findings: list[Finding] = []
    local = np.max(np.maximum(np.abs(hand[0]), np.abs(reference[0])), initial=0.0)
    lost = np.abs(hand[0] - reference[0]) > 1e-6 * local
    lost &= np.abs(hand[0] - reference[0]) <= tolerance[0]
    if lost.any():
        single = ground.subject.cast(np.float32), point[None].astype(np.float32)
        hand32 = derivative.hand(*single).astype(float)[0]
        steady = lost & (np.abs(hand32 - hand[0]) <= 1e-4 * np.abs(hand[0])) & (hand[0] != 0)
        findings += _speak(derivative, np.flatnonzero(steady), Kind.AUTODIFF, hand[0], reference[0], lambda e, i: (
            f"your formula is right; autodiff lost accuracy here: it gives {reference[0, e]:.3g}, and its rounding is "
            f"{tolerance[0, e]:.1e}; yours keeps its digits ({hand[0, e]:.6g}, in float32 too)."))  # fmt: skip
    rng = np.random.default_rng(3)
    v = (
        rng.standard_normal((4, n)) * sizes_of(ground.subject.layout, point)
        if of == "hessian"
        else derivative.identity[:1]
    )
    slope = differences.along(partial(derivative.gradient, ground.subject), point, v, noise=1e-14)
    if of == "hessian":
        by_hand = np.stack([_times(ground, hand[0], direction) for direction in v])
        bar = np.stack([_times(ground, tolerance[0], np.abs(direction)) for direction in v])
    else:
        by_hand, bar = hand[:1], tolerance[:1]
    error = 5 * slope.error + bar
    return (
        findings,
        reference,
        tolerance,
        [judge("differences of the gradient", of, by_hand, slope.value, error, f"along {len(v)} directions")],
    )


def _speak(derivative, entries, kind, hand, reference, sentence) -> list[Finding]:
    """At most one finding of a kind for each leaf: its first entry speaks for the others."""
    findings: dict[str, Finding] = {}
    for i, entry in enumerate(entries):
        leaf, index = derivative.layout.leaf_of(int(entry))
        name = derivative.layout.names[leaf]
        if name not in findings:
            values = float(hand[entry]), float(reference[entry])
            findings[name] = Finding(kind, derivative.of, name, index, *values, sentence(entry, i))
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


def along_directions(ground, hand, reference, tolerance) -> list[Witness]:
    """Forward mode, complex step and the order of the Taylor remainder, along a few seeded directions."""
    point, n = ground.points[0], ground.points.shape[1]
    v = np.random.default_rng(4).standard_normal((6, n)) * sizes_of(ground.subject.layout, point)
    slope, bar = v @ hand[0], np.abs(v) @ np.minimum(tolerance[0], 1e300)
    heard = []
    if ground.traceable:
        heard.append(_forward(ground, point, v, slope, bar + 1e-12 * np.abs(v) @ np.abs(reference[0])))
    by_differences = differences.along(values_of(ground), point, v)
    heard.append(_complex_step(ground, point, v, slope, bar, by_differences))
    heard.append(_taylor(ground, point, v[0], slope[0]))
    return heard


def _forward(ground, point, v, slope, bar) -> Witness:
    name, of = "forward-mode autodiff", "gradient"
    try:
        forward = directional(ground.subject, ground.cost, point, v)
    except TypeError as error:  # a custom_vjp has no forward mode
        return Witness(name, of, "abstains", float("nan"), first_line(error))
    return judge(name, of, slope, forward, bar, "along 6 directions")


def _complex_step(ground, point, v, slope, bar, by_differences) -> Witness:
    name, of = "complex step", "gradient"
    try:
        value = differences.complex_step(lambda p: np.asarray(evaluate(ground.subject, ground.cost, p)), point, v)
    except Exception:
        return Witness(name, of, "abstains", float("nan"), "the cost does not take complex numbers")
    probe = np.abs(value - by_differences.value) <= 5 * by_differences.error + 1e-6 * np.abs(by_differences.value)
    if not (np.isfinite(value).all() and probe.all()):
        return Witness(
            name, of, "abstains", float("nan"), "its probe fails: the cost is not analytic in floating point"
        )
    return judge(name, of, slope, value, bar + 1e-12 * np.abs(value), "along 6 directions; its probe holds")


def _taylor(ground, point, v, slope) -> Witness:
    t = 0.05 * 0.5 ** np.arange(12)
    f = np.asarray(evaluate(ground.subject, ground.cost, np.concatenate([point[None], point + t[:, None] * v])))
    remainder = np.abs(f[1:] - f[0] - t * slope)
    seen = remainder > 1e3 * EPS * np.max(np.abs(f))
    if seen.sum() < 3:
        return Witness(
            "Taylor order", "gradient", "agrees", 0.0, "the remainder is below rounding: the cost is linear here"
        )
    last, smallest = remainder[seen][-3:], t[seen][-3:]
    order = float(np.log2(last[0] / last[-1]) / np.log2(smallest[0] / smallest[-1]))
    verdict = "agrees" if order > 1.5 else "disagrees"
    return Witness(
        "Taylor order",
        "gradient",
        verdict,
        float("nan"),
        f"f(x + tv) − f − t gᵀv falls as t^{order:.2f}; t² if g is right",
    )
