r"""The witnesses: ways to compute a derivative that fail differently, each with its own error estimate.

Tolerance. Nobody chooses it. The derivatives are computed in float32 as well; rounding shrinks 2²⁹-fold from there to
float64, a mistake does not shrink. So an entry may differ by its rounding in float32 over 2²⁹, with a margin. The
tolerance is at least the change of the derivatives when they are computed with moved last digits, with a margin, and a
few thousand units in the last place of the entry itself. So an entry is judged by what it was computed from, and not by
the size of the others.
"""

import contextlib
import warnings

import jax
import numpy as np

from jax_course.verify import differences
from jax_course.verify.context import EPS, Context, Derivative, first_line, leaf_scales, shows_in_a_short_step
from jax_course.verify.evaluation import directional, transformed
from jax_course.verify.findings import Witness, abstention
from jax_course.verify.kinks import gradient_has_kink
from jax_course.verify.moves import Moves
from jax_course.verify.tracing import is_traceable, traits

SINGLE_EPS = float(np.finfo(np.float32).eps)
SEEDS = (6, 7, 8)  # of moves; that all leave an entry within a sixteenth has a probability of 1 in 16³
LOW_MARGIN = 8  # times the difference of two roundings of a low precision, the largest of a leaf
SHRINKS = SINGLE_EPS / EPS  # 2²⁹, the factor from rounding in float32 to rounding in float64


def compare(
    name: str, derivative: str, hand: np.ndarray, reference: np.ndarray, tolerance: np.ndarray, remark: str = ""
) -> Witness:
    """A witness from the reader's entries, the reference and the tolerance, of one shape; infinite: not compared.

    >>> compare("autodiff", "gradient", np.array([1.0, 2.0]), np.array([1.0, 4.0]), np.array([0.1, 0.1]))[2:4]
    ('disagrees', 0.5)
    """
    known = np.isfinite(tolerance)
    if not known.any():
        return abstention(name, derivative, "no step gives a reliable number here")
    hand, reference, tolerance = hand[known], reference[known], tolerance[known]
    distance = np.abs(hand - reference)
    agrees = bool((distance <= tolerance).all())
    size = np.max(np.abs(reference), initial=0.0)
    error = float(np.max(distance, initial=0.0) / size) if size else float(np.max(distance, initial=0.0))
    return Witness(name, derivative, "agrees" if agrees else "disagrees", error, remark)


def explained(witness: Witness) -> Witness:
    """A witness that abstains where it disagreed: a kink or a loss of autodiff is the reason.

    >>> explained(Witness("autodiff", "gradient", "disagrees", 0.5, "")).verdict
    'abstains'
    """
    remark = "its disagreement is explained by the finding"
    return witness if witness.verdict != "disagrees" else witness._replace(verdict="abstains", remark=remark)


def autodiff_abstains(context: Context, derivative: str) -> list[Witness]:
    """The witnesses of autodiff where it gives no derivative, or a wrong one."""
    wrong = context.has_gradient or context.has_hessian
    reason = "autodiff is off here" if wrong else "JAX cannot differentiate the cost (plain NumPy?)"
    names = ("reverse-mode autodiff", "forward-mode autodiff") if derivative == "gradient" else ("autodiff",)
    return [abstention(name, derivative, reason) for name in names]


def precision_scaling(context: Context, derivative: Derivative, points, hand, reference) -> tuple[np.ndarray, Witness]:
    """The tolerance (p, E) of each entry, and the comparison of float32 with float64; hand, reference: (p, E)."""
    name, inputs = "precision scaling", context.inputs
    tolerance = _double_tolerance(context, derivative, points, hand, reference)
    tolerance = np.maximum(tolerance, _low_precision(context, derivative, points, reference))
    single, rounded = inputs.cast(np.float32), points.astype(np.float32)
    try:
        hand32, reference32 = (f(single, rounded).astype(float) for f in derivative.pair)
        double = single.cast(np.float64), rounded.astype(np.float64)
        hand64, reference64 = (f(*double) for f in derivative.pair)
    except Exception as error:  # a function that insists on float64
        return tolerance, abstention(name, derivative.name, f"float32: {first_line(error)}")
    noise = np.maximum(np.abs(hand32 - hand64), np.abs(reference32 - reference64))
    if not np.isfinite(noise).all():
        return tolerance, abstention(name, derivative.name, "float32 overflows here")
    difference32, difference = np.abs(hand32 - reference32), np.abs(hand64 - reference64)
    tolerance = np.maximum(tolerance, 32 / SHRINKS * noise.max(axis=0))
    tolerance = np.maximum(tolerance, 1e-6 * difference32.max(axis=0))
    stays = (difference > tolerance).any()
    remark = f"largest difference {difference32.max():.1e} in float32, {difference.max():.1e} in float64: " + (
        "a mistake does not shrink" if stays else "it shrinks as rounding does"
    )
    size = np.max(np.abs(reference64), initial=0.0) or 1.0
    verdict = "disagrees" if stays else "agrees"
    return tolerance, Witness(name, derivative.name, verdict, float(difference.max() / size), remark)


def _double_tolerance(context: Context, derivative: Derivative, points, hand, reference) -> np.ndarray:
    """The tolerance (p, E) that float64 alone asks for: of each entry, whatever the size of the others."""
    finite = np.nan_to_num(np.maximum(np.abs(hand), np.abs(reference)), posinf=0.0)
    largest = finite.max(axis=1)
    scatter = _scatter(context, derivative, points, hand, reference, 8.0)
    unclear = scatter > 1e-3 * largest.max()  # rounding, or a jump at a kink, which larger moves leave as it is
    if unclear.any():
        farther = _scatter(context, derivative, points, hand, reference, 512.0)
        scatter = np.where(unclear & (farther < 8 * scatter), 0, scatter)
    return np.broadcast_to(np.maximum(2e-12 * finite.max(axis=0), 2 * scatter), hand.shape)


def _low_precision(context: Context, derivative: Derivative, points, reference) -> np.ndarray:
    """The tolerance (p, E) that a cost asks for which computes in less than float64: its forward mode rounds otherwise.

    The rounding is that of the worst entry of a leaf, and at least one of the low precision.
    """
    zero = np.zeros_like(reference)
    eps = traits(context.inputs, context.cost, points[0]).eps
    if eps <= EPS:
        return zero
    rounding = LOW_MARGIN * eps * np.abs(reference)
    if derivative.name == "gradient":
        with contextlib.suppress(Exception):  # a custom_vjp has no forward mode
            forward = transformed(jax.jacfwd, context.inputs, context.cost, points)
            rounding = LOW_MARGIN * np.nan_to_num(np.abs(forward - reference)) + eps * np.abs(reference)
    leaves = [np.broadcast_to(rounding[:, part].max(), zero[:, part].shape) for part in derivative.layout.slices]
    return np.concatenate(leaves, axis=1)


def _scatter(context: Context, derivative: Derivative, points, hand, reference, size: float) -> np.ndarray:
    """The change (E,) of either derivative computed with moved last digits: its rounding, times the size."""
    moved = np.zeros(hand.shape[1])
    for seed in SEEDS:
        inputs = context.inputs._replace(moves=Moves(seed, size))
        for function, value in zip(derivative.pair, (hand, reference), strict=True):
            change = np.nan_to_num(np.abs(function(inputs, points) - value), posinf=0.0)
            moved = np.maximum(moved, change.max(axis=0))
    return moved


def along_directions(context: Context, derivative: Derivative, hand, tolerance) -> list[Witness]:
    """Forward mode, complex step and the order of the Taylor remainder of a gradient, along 6 seeded directions."""
    point, n = context.points[0], context.points.shape[1]
    v = np.random.default_rng(4).standard_normal((6, n)) * leaf_scales(context.layout, point)
    slope = v @ hand[0]
    # Error bars of differences are no measure of the rounding of others.
    allowed = tolerance[0] if derivative.reference is not None else 1e-9 * np.abs(hand[0])
    bar = np.abs(v) @ np.where(np.isfinite(allowed), allowed, 0) + 1e-12 * np.abs(v) @ np.abs(hand[0])
    forward = [_forward(context, point, v, slope, bar)] if context.has_gradient else []
    complex_step = _complex_step(context, point, v, slope, bar)
    return [*forward, complex_step, _taylor(context, "gradient", point, v[0], (slope[0],))]


def _forward(context: Context, point, v, slope, bar) -> Witness:
    name, derivative = "forward-mode autodiff", "gradient"
    try:
        forward = directional(context.inputs, context.cost, point, v)
    except Exception as error:  # a custom_vjp has no forward mode
        return abstention(name, derivative, first_line(error))
    return compare(name, derivative, slope, forward, bar, "along 6 directions")


def _complex_step(context: Context, point, v, slope, bar) -> Witness:
    """The complex step, after a comparison with central differences: it fails silently in abs, softplus, logaddexp."""
    name, derivative = "complex step", "gradient"
    real = abstention(name, derivative, "the cost does not take complex numbers")
    if context.has_gradient and not is_traceable(context.inputs, context.cost, point.astype(complex)):
        return real
    try:
        with warnings.catch_warnings(action="ignore"):  # of a cost that drops the imaginary part: compared below
            value = differences.complex_step(context.values, point, v)
    except Exception:
        return real
    central = differences.along(context.values, point, v)
    size = np.abs(central.value)
    close = np.abs(value - central.value) <= 5 * central.error + 1e-6 * size
    if not (np.isfinite(value).all() and close.all()):
        reason = "it differs from central differences: the cost is not analytic in floating point"
        return abstention(name, derivative, reason)
    if (5 * central.error > 1e-2 * size + 1e-9 * np.max(np.abs(slope))).any():
        return abstention(name, derivative, "central differences are too noisy to check it")
    remark = "along 6 directions; central differences confirm it"
    return compare(name, derivative, slope, value, bar + 1e-12 * np.abs(value), remark)


def second_order(context: Context, derivative: Derivative, hand) -> Witness:
    """The order of the Taylor remainder with the reader's Hessian or product (p, E) in it."""
    name, point = derivative.name, context.points[0]
    size = leaf_scales(context.layout, point)
    if derivative.gradient is None:
        return abstention("Taylor order", name, "it needs a gradient= that is right")
    v = np.random.default_rng(5).standard_normal(point.size) * size if name == "hessian" else derivative.identity[0]
    v_hand_v = v @ context.layout.block_matrix(hand[0]) @ v if name == "hessian" else v @ hand[0]
    shrunk = min(1.0, 1 / np.max(np.abs(v) / size))
    slope = derivative.gradient(context.inputs, point[None])[0] @ v
    return _taylor(context, name, point, shrunk * v, (shrunk * slope, shrunk**2 * v_hand_v / 2))


def _taylor(context: Context, derivative: str, point, v, terms: tuple[float, ...]) -> Witness:
    """f(x + tv) − f(x) − Σ termₖ tᵏ falls as t to the number of terms and one, if the last term is right."""
    name, degree = "Taylor order", len(terms)
    t = 0.05 * 0.5 ** np.arange(16)
    f = context.values(np.concatenate([point[None], point + t[:, None] * v]))
    remainder = np.abs(f[1:] - f[0] - sum(term * t ** (k + 1) for k, term in enumerate(terms)))
    spacing = traits(context.inputs, context.cost, point).eps if context.has_gradient else EPS
    floor = max(1e3 * EPS, LOW_MARGIN * spacing if spacing > EPS else 0) * np.abs(f[np.isfinite(f)]).max(initial=0.0)
    seen = np.isfinite(remainder) & (remainder > floor)
    if seen.sum() < 3:
        if not np.isfinite(remainder).all() or abs(terms[-1]) * t[0] ** degree < 1e3 * floor:
            return abstention(name, derivative, "the derivative's part of f(x + tv) is smaller than rounding")
        words = f"the remainder is below rounding: the cost is {'linear' if degree == 1 else 'quadratic'} here"
        return Witness(name, derivative, "agrees", 0.0, words)
    orders = np.diff(np.log2(remainder[seen][-3:])) / np.diff(np.log2(t[seen][-3:]))
    order = float(orders.mean())
    words = f"the Taylor remainder falls as t^{order:.2f}; t^{degree + 1} if the derivative is right"
    if order > degree + 0.5:
        return Witness(name, derivative, "agrees", float("nan"), words)
    clean = np.ptp(orders) < 0.1 and abs(order - degree) < 0.1
    if clean and _has_kink(context, point, v, degree):
        return abstention(name, derivative, f"the {'cost' if degree == 1 else 'gradient'} has a kink here")
    if clean and _is_steeper_than_steps(context, point, v, terms):
        return abstention(name, derivative, "the cost changes over less than the shortest step")
    return Witness(name, derivative, "disagrees" if clean else "abstains", float("nan"), words)


def _is_steeper_than_steps(context: Context, point, v, terms: tuple[float, ...]) -> bool:
    """Whether the cost, or its slope along v, shows the claimed slope in a step shorter than all others."""
    if len(terms) == 1:
        return bool(shows_in_a_short_step(context.values, point, v[None], np.array(terms))[0])
    if not context.has_gradient:
        return False
    slope = np.array([2 * terms[1]])
    return bool(shows_in_a_short_step(lambda points: context.gradients(points) @ v, point, v[None], slope)[0])


def _has_kink(context: Context, point, v, degree: int) -> bool:
    """Whether the cost, for degree 2 its gradient, has a kink along v."""
    if degree == 2:
        return context.has_gradient and bool(gradient_has_kink(context.gradients, point, v[None])[0])
    before, after = differences.one_sided(context.values, point, v[None])
    return bool(np.abs(after.value - before.value)[0] > 20 * np.maximum(before.error, after.error)[0])
