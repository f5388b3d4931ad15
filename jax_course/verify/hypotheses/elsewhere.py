"""Hypotheses that the formula is right, for other data or at other parameters."""

import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.suspicion import FIT, Guess, Part


def otherwise(part: Part) -> Guess | None:
    """h is the derivative of the same cost with something forgotten, exchanged or transposed."""
    if not part.whole or not np.isfinite(part.evidence.tolerance).all():
        return None
    hand, bar = part.evidence.hand, part.evidence.tolerance
    for guess, prediction in part.evidence.otherwise():
        size = np.maximum(np.abs(hand), np.abs(prediction)).max(axis=0)
        if prediction.shape == hand.shape and (np.abs(hand - prediction) <= FIT * size + bar).all():
            return guess
    return None


def off_by_a_constant(part: Part) -> Guess | None:
    """h − r = a in every entry, at every point."""
    if part.evidence.of != "gradient" or part.hand.shape[1] < 2 or part.hand.shape[0] < 2:
        return None
    a = part.constant(part.hand - part.reference, np.ones_like(part.hand))
    if a is None:
        return None
    words = f"yours is off by {a:+.6g} in every entry: a constant is left out, or has the wrong sign."
    return Guess(Kind.UNKNOWN, words)


def unmoved(part: Part) -> Guess | None:
    """h is the same at every point, and r is not."""
    if part.evidence.of != "gradient" or len(part.hand) < 3 or np.isclose(part.hand, part.reference).all():
        return None
    still = np.ptp(part.hand, axis=0) <= 1e-12 * np.abs(part.hand).max(axis=0)
    moving = np.ptp(part.reference, axis=0) > 1e-6 * np.abs(part.reference).max(axis=0)
    if not still.all() or not moving.any():
        return None
    words = "yours does not change with the parameters, as the derivative does"
    return Guess(Kind.UNKNOWN, f"{words}: it is taken at another point, or a part is left out.")
