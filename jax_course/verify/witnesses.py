r"""The witnesses: ways to compute a derivative that fail differently, each with its own error estimate.

Tolerance. Nobody chooses it. The derivatives are computed in float32 as well; rounding shrinks 2²⁹-fold from there to
float64, a mistake does not shrink. So what an entry may differ by is what rounding made it differ by in float32, over
2²⁹, with a margin. It is at least what the derivatives change by when parameters and data are moved in their last
digit, with a margin; and a few thousand units in the last place.
"""

import warnings
from functools import partial

import numpy as np

from jax_course.verify import differences
from jax_course.verify.evaluation import directional, evaluate, gradients, is_traceable
from jax_course.verify.findings import Witness
from jax_course.verify.ground import EPS, as_matrix, first_line, shows_in_a_short_step, sizes_of, values_of
from jax_course.verify.kinks import gradient_has_kink

SHRINKS = float(np.finfo(np.float32).eps) / EPS


def judge(name: str, of: str, hand: np.ndarray, reference: np.ndarray, tolerance: np.ndarray, remark="") -> Witness:
    """Whether the reader and a witness agree within the tolerance, and how far apart they are."""
    known = np.isfinite(tolerance)
    if not known.any():
        return Witness(name, of, "abstains", float("nan"), "no step gives a number to rely on here")
    hand, reference, tolerance = hand[known], reference[known], tolerance[known]
    distance = np.abs(hand - reference)
    agrees = bool((distance <= tolerance).all())
    size = np.max(np.abs(reference), initial=0.0)
    error = float(np.max(distance, initial=0.0) / size) if size else float(np.max(distance, initial=0.0))
    return Witness(name, of, "agrees" if agrees else "disagrees", error, remark)


def overruled(witness: Witness) -> Witness:
    """Where a kink or autodiff's own loss explains a disagreement, it is none."""
    remark = "its disagreement is explained by the finding"
    return witness if witness.verdict != "disagrees" else witness._replace(verdict="abstains", remark=remark)


def without_opinion(ground, of: str) -> list[Witness]:
    """Autodiff's witnesses where it has nothing to say."""
    why = "autodiff is off here" if ground.once or ground.twice else "JAX cannot differentiate the cost (plain NumPy?)"
    names = ("reverse-mode autodiff", "forward-mode autodiff") if of == "gradient" else ("autodiff",)
    return [Witness(name, of, "abstains", float("nan"), why) for name in names]


def rounding(ground, derivative, points, hand, reference) -> tuple[np.ndarray, Witness]:
    """What each entry may differ by, and what the comparison in float32 says about the difference."""
    of, subject = derivative.of, ground.subject
    finite = np.nan_to_num(np.maximum(np.abs(hand), np.abs(reference)), posinf=0.0)
    tolerance = np.broadcast_to(2e-12 * finite.max(axis=0), hand.shape)
    at_zero = np.nan_to_num(np.abs(derivative.reference(subject, np.zeros_like(points))[0]), posinf=0.0)
    largest = np.nan_to_num(np.abs(reference), posinf=0.0).max(axis=1, keepdims=True)
    tolerance = np.maximum(tolerance, 64 * EPS * at_zero)
    nothing = np.nan_to_num(np.abs(reference)).max(axis=0) <= 16 * EPS * largest.max()  # 0 but for rounding
    tolerance = np.maximum(tolerance, np.where(nothing, 16 * EPS * largest, 0))
    if np.asarray(evaluate(subject, ground.cost, points)).dtype == np.float32 or hand.dtype == np.float32:
        tolerance = np.maximum(tolerance, 64 * np.finfo(np.float32).eps * largest)  # float32 inside, whatever comes in
    moved = 16 * _moved_in_the_last_digit(derivative, subject, points, hand, reference)
    tolerance = np.maximum(
        tolerance, np.where(moved < 1e-2 * largest, moved, 0)
    )  # more is a jump: a kink, not rounding
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


def _moved_in_the_last_digit(derivative, subject, points, hand, reference) -> np.ndarray:
    """How far either derivative moves with the last digits of parameters and data: the rounding no formula escapes."""
    moved = np.zeros(hand.shape[1])
    for seed in (6, 7):
        rng = np.random.default_rng(seed)

        def move(values, rng=rng):
            return values * (1 + EPS * rng.choice([-1.0, 1.0], values.shape)) if values.dtype.kind == "f" else values

        beside = subject.with_arrays(move), move(points)
        for function, value in ((derivative.hand, hand), (derivative.reference, reference)):
            moved = np.maximum(moved, np.nan_to_num(np.abs(function(*beside) - value), posinf=0.0).max(axis=0))
    return moved


def along_directions(ground, derivative, hand, reference, tolerance) -> list[Witness]:
    """Forward mode, complex step and the order of the Taylor remainder, along a few seeded directions."""
    point, n = ground.points[0], ground.points.shape[1]
    v = np.random.default_rng(4).standard_normal((6, n)) * sizes_of(ground.subject.layout, point)
    slope = v @ hand[0]
    # Error bars of differences are no measure of the rounding of others.
    allowed = tolerance[0] if derivative.reference is not None else 1e-9 * np.abs(hand[0])
    bar = np.abs(v) @ np.where(np.isfinite(allowed), allowed, 0) + 1e-12 * np.abs(v) @ np.abs(hand[0])
    heard = []
    if ground.once:
        heard.append(_forward(ground, point, v, slope, bar))
    by_differences = differences.along(values_of(ground), point, v)
    heard.append(_complex_step(ground, point, v, slope, bar, by_differences))
    heard.append(_taylor(ground, "gradient", point, v[0], (slope[0],)))
    return heard


def _forward(ground, point, v, slope, bar) -> Witness:
    name, of = "forward-mode autodiff", "gradient"
    try:
        forward = directional(ground.subject, ground.cost, point, v)
    except Exception as error:  # a custom_vjp has no forward mode
        return Witness(name, of, "abstains", float("nan"), first_line(error))
    return judge(name, of, slope, forward, bar, "along 6 directions")


def _complex_step(ground, point, v, slope, bar, by_differences) -> Witness:
    name, of = "complex step", "gradient"
    refused = Witness(name, of, "abstains", float("nan"), "the cost does not take complex numbers")
    if ground.once and not is_traceable(ground.subject, ground.cost, point.astype(complex)):
        return refused
    try:
        with warnings.catch_warnings(action="ignore"):  # of a cost that drops the imaginary part; the probe sees it
            value = differences.complex_step(lambda p: np.asarray(evaluate(ground.subject, ground.cost, p)), point, v)
    except Exception:
        return refused
    size = np.abs(by_differences.value)
    probe = np.abs(value - by_differences.value) <= 5 * by_differences.error + 1e-6 * size
    if not (np.isfinite(value).all() and probe.all()):
        why = "its probe fails: the cost is not analytic in floating point"
    elif (5 * by_differences.error > 1e-2 * size + 1e-9 * np.max(np.abs(slope))).any():
        why = "nothing to probe it with: the differences are too noisy"
    else:
        return judge(name, of, slope, value, bar + 1e-12 * np.abs(value), "along 6 directions; its probe holds")
    return Witness(name, of, "abstains", float("nan"), why)


def second_order(ground, derivative, hand) -> Witness:
    """The order of the Taylor remainder with the reader's Hessian or product in it."""
    of, point = derivative.of, ground.points[0]
    size = sizes_of(ground.subject.layout, point)
    if derivative.gradient is None:
        return Witness("Taylor order", of, "abstains", float("nan"), "it needs a gradient= that is right")
    v = np.random.default_rng(5).standard_normal(point.size) * size if of == "hessian" else derivative.identity[0]
    v_hand_v = v @ as_matrix(ground.subject.layout, hand[0]) @ v if of == "hessian" else v @ hand[0]
    shrunk = min(1.0, 1 / np.max(np.abs(v) / size))
    slope = derivative.gradient(ground.subject, point[None])[0] @ v
    return _taylor(ground, of, point, shrunk * v, (shrunk * slope, shrunk**2 * v_hand_v / 2))


def _steeper_than_steps(ground, point, v, terms: tuple[float, ...]) -> bool:
    """Whether the cost, or its slope along v, shows what is claimed of it in a step shorter than all others."""
    if len(terms) == 1:
        return bool(shows_in_a_short_step(values_of(ground), point, v[None], np.array(terms))[0])
    if not ground.once:
        return False

    def slope(points):
        return gradients(ground.subject, ground.cost, points) @ v

    return bool(shows_in_a_short_step(slope, point, v[None], np.array([2 * terms[1]]))[0])


def _has_kink(ground, point, v, degree: int) -> bool:
    """Whether the cost, for degree 2 its gradient, has a kink along v."""
    if degree == 2:
        return ground.once and bool(
            gradient_has_kink(partial(gradients, ground.subject, ground.cost), point, v[None])[0]
        )
    before, after = differences.one_sided(values_of(ground), point, v[None])
    return bool(np.abs(after.value - before.value)[0] > 20 * np.maximum(before.error, after.error)[0])


def _taylor(ground, of: str, point, v, terms: tuple[float, ...]) -> Witness:
    """f(x + tv) − f(x) − Σ termₖ tᵏ falls as t to the number of terms and one, if the last term is right."""
    t = 0.05 * 0.5 ** np.arange(16)
    f = np.asarray(evaluate(ground.subject, ground.cost, np.concatenate([point[None], point + t[:, None] * v])))
    remainder = np.abs(f[1:] - f[0] - sum(term * t ** (k + 1) for k, term in enumerate(terms)))
    floor = 1e3 * EPS * np.max(np.abs(f), where=np.isfinite(f), initial=0.0)
    seen = np.isfinite(remainder) & (remainder > floor)
    degree = len(terms)
    if seen.sum() < 3:
        if not np.isfinite(remainder).all() or abs(terms[-1]) * t[0] ** degree < 1e3 * floor:
            words = "what the derivative says of f(x + tv) is too small to be seen beside rounding"
            return Witness("Taylor order", of, "abstains", float("nan"), words)
        words = f"the remainder is below rounding: the cost is {'linear' if degree == 1 else 'quadratic'} here"
        return Witness("Taylor order", of, "agrees", 0.0, words)
    orders = np.diff(np.log2(remainder[seen][-3:])) / np.diff(np.log2(t[seen][-3:]))
    order = float(orders.mean())
    words = f"what the derivative leaves of f(x + tv) falls as t^{order:.2f}; t^{degree + 1} if it is right"
    if order > degree + 0.5:
        return Witness("Taylor order", of, "agrees", float("nan"), words)
    clean = np.ptp(orders) < 0.1 and abs(order - degree) < 0.1
    if clean and _has_kink(ground, point, v, degree):
        words = f"the {'cost' if degree == 1 else 'gradient'} has a kink here"
        return Witness("Taylor order", of, "abstains", float("nan"), words)
    if clean and _steeper_than_steps(ground, point, v, terms):
        return Witness(
            "Taylor order", of, "abstains", float("nan"), "the cost changes over less than the shortest step"
        )
    return Witness("Taylor order", of, "disagrees" if clean else "abstains", float("nan"), words)
