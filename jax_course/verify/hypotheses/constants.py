"""Hypotheses on one constant: NaN, zero, a sign, a factor, an addend; for all entries or for rows and columns."""

import itertools

import numpy as np

from jax_course.verify.contributions import scalars
from jax_course.verify.evidence import Evidence
from jax_course.verify.findings import Guess, Kind
from jax_course.verify.parts import FIT, Part
from jax_course.verify.probes import averages, factor_on_half


def nonfinite(part: Part) -> Guess | None:
    """h is no number where the cost is one."""
    if np.isfinite(part.hand).all():
        return None
    return Guess(Kind.NONFINITE, "yours is NaN or infinite where the cost is not: look for 0/0, log 0 or an overflow.")


def missing(part: Part) -> Guess | None:
    """h = 0."""
    return None if part.hand.any() else Guess(Kind.MISSING, "yours is 0: this part was never computed.")


def factor(part: Part) -> Guess | None:
    """h = c r."""
    c = part.factor()
    return factor_guess(part.evidence, part.chosen, c, "") if c else None


def factor_beside_the_penalty(part: Part) -> Guess | None:
    """h − p = c (r − p)."""
    for name, contribution in part.evidence.penalty.items():
        p = part.select(contribution)
        data = part.reference - p
        c = float(np.sum(part.weight * (part.hand - p) * data) / max(np.sum(part.weight * data**2), 1e-300))
        if p.any() and abs(c) > FIT and part.holds(c * data + p):
            return factor_guess(part.evidence, part.chosen, c, f"but for the part of `{name}`, ")
    return None


def factor_of_a_divided_part(part: Part) -> Guess | None:
    """h − r = a A, where A is the part of r that a keyword, a variance, divides."""
    for name, contribution in part.evidence.divided.items():
        a = part.constant(part.hand - part.reference, part.select(contribution))
        if a is None:
            continue
        if abs(a + 1) < FIT:
            return Guess(Kind.MISSING, f"the part that `{name}` divides is missing.")
        because = origin(part.evidence, part.chosen, abs(1 + a))
        return Guess(Kind.FACTOR, f"the part that `{name}` divides is {1 + a:.6g} times what it should be{because}.")
    return None


def factor_guess(evidence: Evidence, chosen: np.ndarray, c: float, prefix: str) -> Guess:
    """The guess for the factor c of some entries, with its origin if there is one; prefix: begins the sentence."""
    if abs(c + 1) < FIT:
        return Guess(Kind.SIGN, f"{prefix}yours has the wrong sign: it is −1 times the derivative.")
    suffix = ", with the wrong sign" if c < 0 else ""
    return Guess(
        Kind.FACTOR, f"{prefix}yours is {c:.6g} times the derivative{suffix}{origin(evidence, chosen, abs(c))}."
    )


def origin(evidence: Evidence, chosen: np.ndarray, c: float) -> str:
    """The origin of a positive factor, as the end of a sentence: the number of examples, a length, a keyword, a 2."""
    if abs(c - 1) < FIT:
        return ""
    context = evidence.context
    if found := factor_on_half(context, evidence.derivative, chosen):
        share, half = found[0], abs(found[1])
        if abs(half * share / c - 1) < 1e-3:
            averaged = "averaged twice" if averages(context) else "averaged where the cost sums"
            return f" = 1/{1 / c:.6g}, and this grows as the examples get fewer: {averaged}{_m(evidence, 1 / c)}"
        if abs(half / share / c - 1) < 1e-3:
            sums = averages(context) is False
            summed = "every example counted m times" if sums else "summed where the cost averages"
            return f", and this shrinks as the examples get fewer: {summed}{_m(evidence, c)}"
    lengths = {name: n for name, n in evidence.lengths.items() if n > 1}
    same = [name for name, n in lengths.items() if abs(c / n - 1) < FIT]
    inverse = [f"1 / {name}" for name, n in lengths.items() if abs(c * n - 1) < FIT]
    also = f", or {' or '.join(same + inverse)}" if same + inverse else ""
    if abs(c - 2) < FIT:
        return f": a factor 2 too much, as from a square whose 1/2 the cost has and the derivative has not{also}"
    if abs(c - 0.5) < FIT:
        return f": a factor 2 is missing, as from differentiating a square{also}"
    if same:
        return f" = {' or '.join(same)}: summed where the cost averages"
    if inverse:
        return f" = {' or '.join(inverse)}: averaged where the cost sums"
    for name, value in [*_keyword_factors(scalars(evidence.context.inputs)), *_length_factors(lengths)]:
        if abs(c / value - 1) < FIT:
            return f" = {name}"
    return ""


def _keyword_factors(keywords: dict[str, float]) -> list[tuple[str, float]]:
    """Values of keywords, their inverses, squares and roots, and quotients."""
    found = []
    for name, v in keywords.items():
        found += [(f"`{name}`", v), (f"1 / `{name}`", 1 / v), (f"`{name}`²", v**2), (f"1 / `{name}`²", v**-2)]
        found += [(f"√`{name}`", v**0.5), (f"1 / √`{name}`", v**-0.5)]
    for (a, v), (b, w) in itertools.permutations(keywords.items(), 2):
        found.append((f"`{a}` / `{b}`", v / w))
    return found


def _length_factors(lengths: dict[str, float]) -> list[tuple[str, float]]:
    """Twice, half, and quotients of lengths."""
    products = []
    for name, n in lengths.items():
        products += [
            (f"2 × {name}", 2 * n),
            (f"{name} / 2", n / 2),
            (f"2 / {name}", 2 / n),
            (f"1 / (2 × {name})", 0.5 / n),
        ]
        if n > 2:
            products += [(f"m / (m − 1) of {name}", n / (n - 1)), (f"(m − 1) / m of {name}", (n - 1) / n)]
    for (a, n), (b, k) in itertools.permutations(lengths.items(), 2):
        products += [(f"{a} / {b}", n / k)]
    return products


def _m(evidence: Evidence, factor: float) -> str:
    m = evidence.examples
    for name, value in (("m", m), ("2m", 2 * m), ("m/2", m / 2)):
        if m and abs(factor / value - 1) < FIT:
            return f" ({name} = {value:g})"
    return ""


def factor_at_the_point(part: Part) -> Guess | None:
    """A factor at the point given only, as a derivative has that holds at the optimum alone."""
    h, r = part.hand[0], part.reference[0]
    seen = np.abs(r) > 1e-6 * np.max(np.abs(r), initial=0.0)
    if seen.sum() < 3:
        return None
    c = float(np.sum(h * r / part.size**2, where=seen) / np.sum((r / part.size) ** 2, where=seen))
    if (
        abs(c - 1) < 1e-4
        or not (np.abs(h - c * r) <= 1e-5 * np.abs(r) + part.select(part.evidence.tolerance)[0])[seen].all()
    ):
        return None
    return Guess(Kind.FACTOR, f"at the point given yours is {c:.5g} times the derivative; beside it the ratio differs.")


def factor_of_slices(part: Part) -> Guess | None:
    """h = c_j r in every row, or every column, j."""
    if len(part.shapes) > 1 or len(part.shapes[0]) < 2:
        return None
    shape, entries = part.shapes[0], np.arange(len(part.chosen)).reshape(part.shapes[0])
    for axis in reversed(range(len(shape))):
        slices = np.moveaxis(entries, axis, 0).reshape(shape[axis], -1)
        wrong = [j for j, entry in enumerate(slices) if part.wrong[entry].any()]
        factors = [part.factor(slices[j]) for j in wrong]
        if slices.shape[1] < 2 or len(wrong) < 1 or any(c is None for c in factors):
            continue
        return _slices_guess(part, _axis_name(part, axis), wrong, [c for c in factors if c is not None], slices)
    return None


def _axis_name(part: Part, axis: int) -> str:
    return ("row", "column")[axis] if len(part.shapes[0]) == 2 else f"index {axis} ="


def _slices_guess(part: Part, name: str, wrong: list[int], factors: list[float], slices: np.ndarray) -> Guess:
    listed = ", ".join(map(str, wrong[:6])) + (", …" if len(wrong) > 6 else "")
    place = f"{name}{'s' * (len(wrong) > 1 and not name.endswith('='))} {listed}"
    if not any(factors):
        return Guess(Kind.MISSING, f"yours is 0 in {place}: never computed there.")
    if np.ptp(factors) > 10 * FIT * max(map(abs, factors)):
        words = (
            f"from {min(factors):.6g} to {max(factors):.6g} times the derivative: each {name} has a factor of its own"
        )
        return Guess(Kind.FACTOR, f"in {place} yours is {words}.")
    return factor_guess(part.evidence, part.chosen[slices[wrong].ravel()], factors[0], f"in {place} ")


def off_by_a_constant(part: Part) -> Guess | None:
    """h − r = a in every entry, at every point."""
    if part.evidence.name != "gradient" or part.hand.shape[1] < 2 or part.hand.shape[0] < 2:
        return None
    a = part.constant(part.hand - part.reference, np.ones_like(part.hand))
    if a is None:
        return None
    words = f"yours is off by {a:+.6g} in every entry: a constant is left out, or has the wrong sign."
    return Guess(Kind.UNKNOWN, words)
