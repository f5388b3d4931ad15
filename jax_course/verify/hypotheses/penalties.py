"""Hypotheses about the penalty and about the bias, which a penalty spares.

p is what a keyword contributes to the reference; θ is the parameters for a gradient, the unit matrix for a Hessian, the
direction for a product.
"""

import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.suspicion import Guess, Part

TIMES = {-1.0: "is missing", 1.0: "is counted twice", -0.5: "is halved", -2.0: "has the wrong sign"}
UNIT = {"gradient": "θ", "hessian": "the unit matrix", "hessian_product": "v"}


def penalty_scaled(part: Part) -> Guess | None:
    """h − r = a p."""
    for name, p in _contributions(part):
        a = part.constant(part.hand - part.reference, p)
        if a is None:
            continue
        for value, what in TIMES.items():
            if abs(a - value) < 1e-4:
                words = f"the penalty {what}; yours is off by {a:+.4g} × what `{name}` contributes."
                return Guess(Kind.PENALTY, words)
        if np.count_nonzero(p.any(axis=0)) > 1:  # a single entry could have any factor by accident
            return Guess(Kind.PENALTY, f"yours has {1 + a:.6g} times what `{name}` contributes.")
    return None


def penalty_of_the_norm(part: Part) -> Guess | None:
    """h − r = a θ/‖θ‖ − p, or a sign θ − p."""
    if part.evidence.of != "gradient":
        return None
    theta = part.of(part.evidence.identity)
    norm = np.linalg.norm(part.evidence.identity[part.rows], axis=1, keepdims=True)
    size = np.where(theta != 0, np.abs(theta), 1)
    for _, p in _contributions(part):
        for length, what in ((norm, "of ‖θ‖, not of its square"), (size, "of |θ|, not of θ²")):
            if part.constant(part.hand - part.reference + p, p / length) is not None:
                return Guess(Kind.PENALTY, f"the penalty's part is that {what}.")
    return None


def penalty_on_the_spared(part: Part) -> Guess | None:
    """h − r = a θ where p = 0, and 0 elsewhere."""
    difference, theta = part.hand - part.reference, part.of(part.evidence.identity)
    for name, p in _contributions(part):
        spared = ~p.any(axis=0)
        if not spared.any() or (np.abs(difference) > part.of(part.evidence.tolerance))[:, ~spared].any():
            continue
        a = part.constant(np.where(spared, difference, 0), np.where(spared, theta, 0))
        if a is not None:
            words = f"yours penalises what `{name}` spares (the bias): {a:+.4g} × {UNIT[part.evidence.of]}."
            return Guess(Kind.PENALTY, words)
    return None


def penalty_too_much(part: Part) -> Guess | None:
    """h − r = a θ: a penalty that no keyword knows of."""
    theta = part.of(part.evidence.identity)
    a = part.constant(part.hand - part.reference, theta)
    if a is None or not theta.any():
        return None
    words = f"yours is off by {a:+.6g} × {UNIT[part.evidence.of]}: a penalty too much, or one too little."
    return Guess(Kind.PENALTY, words)


def _contributions(part: Part) -> list[tuple[str, np.ndarray]]:
    parts = [(name, part.of(contribution)) for name, contribution in part.evidence.penalty.items()]
    return [(name, p) for name, p in parts if p.any()]


def bias(part: Part) -> Guess | None:
    """What is wrong is confined to the bias."""
    biases = part.evidence.biases[part.chosen]
    if not part.wrong.any() or not biases[part.wrong].all() or biases.all():
        return None
    if not part.hand[:, part.wrong].any():
        return Guess(Kind.MISSING, "yours is 0 for the bias: it was never computed.")
    theta = part.of(part.evidence.identity)
    difference = np.where(part.wrong, part.hand - part.reference, 0)
    a = part.constant(difference, np.where(part.wrong, theta, 0))
    if a is not None and part.evidence.penalty:
        words = f"yours is off by {a:+.4g} × θ for the bias: it is penalised and should not be, or the reverse."
        return Guess(Kind.PENALTY, words)
    h, r = part.hand[:, part.wrong], part.reference[:, part.wrong]
    ratio = h / np.where(r != 0, r, np.nan)
    constant = np.ptp(ratio) <= 1e-6 * np.abs(ratio).max() if np.isfinite(ratio).all() else False
    words = f"is {ratio.flat[0]:.6g} times the derivative" if constant else "differs"
    return Guess(Kind.BIAS, f"yours {words} for the bias only: look at how it is summed.")
