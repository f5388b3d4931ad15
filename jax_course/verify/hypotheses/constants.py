"""Hypotheses of one constant for all: not a number, nothing, the sign, a factor."""

import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.suspicion import FIT, Evidence, Guess, Part


def nonfinite(part: Part) -> Guess | None:
    if not np.isfinite(part.hand).all():
        return Guess(
            Kind.NONFINITE, "yours is NaN or infinite where the cost is not: look for 0/0, log 0 or an overflow."
        )
    return None


def missing(part: Part) -> Guess | None:
    if not part.hand.any():
        return Guess(Kind.MISSING, "yours is 0: this part was never computed.")
    return None


def factor(part: Part) -> Guess | None:
    # Entries of very different size count alike; a vanishing reference cannot carry a factor.
    weight = 1 / np.where(part.size > 0, part.size, 1) ** 2
    total = np.sum(weight * part.reference**2)
    if not total:
        return None
    c = float(np.sum(weight * part.hand * part.reference) / total)
    if not part.holds(c * part.reference):
        return _factor_without_penalty(part, weight)
    if abs(c + 1) < FIT:
        return Guess(Kind.SIGN, "yours has the wrong sign: it is −1 times the derivative.")
    if abs(c) < FIT or abs(c - 1) < 10 * FIT:
        return None
    return Guess(Kind.FACTOR, f"yours is {c:.6g} times the derivative{_reason(part, c)}.")


def _factor_without_penalty(part: Part, weight: np.ndarray) -> Guess | None:
    for name, contribution in part.evidence.penalty.items():
        p = part.of(contribution)
        data = part.reference - p
        c = float(np.sum(weight * (part.hand - p) * data) / max(np.sum(weight * data**2), 1e-300))
        if p.any() and abs(c) > FIT and part.holds(c * data + p):
            return Guess(
                Kind.FACTOR, f"but for the part of `{name}`, yours is {c:.6g} times the derivative{_reason(part, c)}."
            )
    return None


def _reason(part: Part, c: float) -> str:
    evidence = part.evidence
    share_and_factor = evidence.fewer(part.chosen)
    if share_and_factor:
        share, c_fewer = share_and_factor
        if abs(c_fewer * share / c - 1) < 1e-3:
            return f" = 1/{1 / c:.6g}, and this grows as the examples get fewer: averaged where the cost sums" + _m(
                evidence, 1 / c
            )
        if abs(c_fewer / share / c - 1) < 1e-3:
            return ", and this shrinks as the examples get fewer: summed where the cost averages" + _m(evidence, c)
    if abs(c - 2) < FIT:
        return ": a factor 2 too much, as from a square whose 1/2 the cost has and the derivative has not"
    if abs(c - 0.5) < FIT:
        return ": a factor 2 is missing, as from differentiating a square"
    for name, length in evidence.sizes.items():
        if length > 1 and abs(c / length - 1) < FIT:
            return f" = {name}: summed where the cost averages"
        if length > 1 and abs(c * length - 1) < FIT:
            return f" = 1 / {name}: averaged where the cost sums"
    return ""


def _m(evidence: Evidence, factor: float) -> str:
    m = evidence.sizes.get("the number of examples m", 0)
    return f" (m = {m:.0f})" if m and abs(factor / m - 1) < FIT else ""


def factor_here(part: Part) -> Guess | None:
    """A factor at the point given only, as a derivative has that holds at the optimum alone."""
    h, r = part.hand[0], part.reference[0]
    seen = np.abs(r) > 1e-6 * np.max(np.abs(r), initial=0.0)
    if seen.sum() < 3:
        return None
    c = float(np.sum(h * r / part.size**2, where=seen) / np.sum((r / part.size) ** 2, where=seen))
    if not (np.abs(h - c * r) <= 1e-5 * np.abs(r) + part.of(part.evidence.tolerance)[0])[seen].all():
        return None
    return Guess(Kind.FACTOR, f"at the point given yours is {c:.5g} times the derivative; beside it the ratio differs.")
