"""Hypotheses on the penalty, and on the bias, which is not penalised.

p is the contribution of a keyword to the reference; θ is the parameters for a gradient, the unit matrix for a Hessian,
the direction for a product.
"""

from collections.abc import Iterator

import numpy as np

from jax_course.verify.evidence import FIT, Part
from jax_course.verify.findings import Guess, Kind
from jax_course.verify.hypotheses.constants import origin

TIMES = {-1.0: "is missing", 1.0: "is counted twice", -0.5: "is halved", -2.0: "has the wrong sign"}
UNIT = {"value": "θ", "gradient": "θ", "hessian": "the unit matrix", "hessian_product": "v"}


def penalty_scaled(part: Part) -> Guess | None:
    """h − r = a p."""
    for name, p in _contributions(part):
        if name not in part.evidence.penalty:  # a term of the cost, which has a hypothesis of its own
            continue
        a = part.constant(part.hand - part.reference, p)
        if a is None:
            continue
        if part.evidence.of_data(name):
            return _of_data(name, a)
        for value, what in TIMES.items():
            if abs(a - value) < 1e-4:
                words = f"the penalty {what}; yours is off by {a:+.4g} × what `{name}` contributes."
                return Guess(Kind.PENALTY, words)
        if np.count_nonzero(p.any(axis=0)) > 1:  # a single entry could have any factor by accident
            m = part.evidence.examples
            divided = f", divided by m = {m:.0f}" if m and abs((1 + a) * m - 1) < 1e-6 else ""
            return Guess(Kind.PENALTY, f"yours has {1 + a:.6g} times what `{name}` contributes{divided}.")
    return None


def _of_data(name: str, a: float) -> Guess:
    """The guess for h − r = a p where p depends on the data: the keyword is no factor of a penalty."""
    if abs(a + 1) < FIT:
        return Guess(Kind.MISSING, f"yours is computed as if `{name}` were 0.")
    if abs(a + 2) < FIT:
        return Guess(Kind.SIGN, f"what `{name}` contributes has the wrong sign.")
    return Guess(Kind.FACTOR, f"what `{name}` contributes is {1 + a:.6g} times what it should be.")


def penalty_of_another_form(part: Part) -> Guess | None:
    """h − (r − p) = a θ/‖θ‖, a sign θ, a θ², a: for a Hessian a everywhere."""
    for _, p in _contributions(part):
        left = part.hand - part.reference + p  # in place of the penalty's part
        if part.holds(part.reference - p):  # nothing
            continue
        penalised = np.asarray(p.any(axis=0))
        if part.evidence.name == "hessian":
            if part.constant(left, np.ones_like(left)) is not None:
                return Guess(Kind.PENALTY, "the penalty is added to every entry; it belongs on the diagonal only.")
            continue
        if part.evidence.name == "hessian_product":
            for form, what in _products(part, p):
                if part.constant(left, form) is not None:
                    return Guess(Kind.PENALTY, f"the penalty's part {what}.")
            continue
        if not penalised.any():
            continue
        if part.constant(left, np.ones_like(left)) is not None and left.shape[1] > 1:
            return Guess(Kind.PENALTY, "the penalty's part is a constant in every entry: it is not multiplied with θ.")
        for form, what in _forms(part, p, penalised):
            a = part.constant(left, form)
            if a is not None and a > 0:  # else another term is missing
                return Guess(Kind.PENALTY, f"the penalty's part {what}.")
    return None


def _forms(part: Part, p: np.ndarray, penalised: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    """Wrong forms of the penalty's part of a gradient, each with its words; to within a constant factor."""
    theta = np.where(penalised, part.select(part.evidence.identity), 0)
    everything = part.evidence.identity[part.rows]
    slope = p * np.sign(theta)
    if penalised.sum() > 1 and np.ptp(slope[:, penalised]) <= FIT * np.abs(slope).max():  # p is a sign θ
        yield np.abs(theta), "has a factor |θ|; the derivative of |θ| is sign θ"
        yield theta, "is that of θ², with a factor θ; the derivative of |θ| is sign θ"
    for values in (theta, everything):
        norm = np.linalg.norm(values, axis=1, keepdims=True)
        yield p / np.where(norm > 0, norm, 1), "is that of ‖θ‖, not of its square"
    yield p / np.where(theta != 0, np.abs(theta), 1), "is that of |θ|, not of θ²"
    if penalised.sum() > 1:
        yield p * theta, "is that of θ³, not of θ²: the penalty itself and not its derivative"
        yield (
            np.sum(p * theta, axis=1, keepdims=True) * penalised,
            "is the penalty itself, one number, not its derivative",
        )
        for constant in (p / np.where(theta != 0, theta, 1), penalised * 1.0):
            yield np.where(theta != 0, constant, 0), "is that of θ, not of θ² or |θ|: a constant"


def _products(part: Part, p: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    """The penalty's part of a product with θ, or with nothing, where p is its part of the product with v."""
    v, theta = part.select(part.evidence.identity), part.evidence.points[part.rows][:, part.chosen]
    diagonal = p / np.where(v != 0, v, 1)
    yield diagonal * theta, "is multiplied with θ, not with v"
    if p.shape[1] > 1:
        yield diagonal, "is not multiplied with v"


def penalty_on_unpenalised(part: Part) -> Guess | None:
    """h − r = a θ where p = 0, and 0 elsewhere."""
    difference, theta = part.hand - part.reference, part.select(part.evidence.identity)
    for name, contribution in part.evidence.penalty.items():
        unpenalised = ~part.select(contribution).any(axis=0)
        if (
            not contribution.any()
            or not unpenalised.any()
            or (np.abs(difference) > part.select(part.evidence.tolerance))[:, ~unpenalised].any()
        ):
            continue
        a = part.constant(np.where(unpenalised, difference, 0), np.where(unpenalised, theta, 0))
        if a is not None:
            words = f"yours penalises what `{name}` does not (the bias): {a:+.4g} × {UNIT[part.evidence.name]}."
            return Guess(Kind.PENALTY, words)
    return None


def extra_penalty(part: Part) -> Guess | None:
    """h − r = a θ or a sign θ: a penalty that is in no keyword."""
    theta, difference = part.select(part.evidence.identity), part.hand - part.reference
    if np.count_nonzero(theta.any(axis=0)) < 2:  # of one number, a linear gradient with a wrong constant looks the same
        return None
    unit = UNIT[part.evidence.name]
    for form, name in ((theta, unit), (np.sign(theta), f"sign {unit}")):
        if form is not theta and len(np.unique(form)) == 1:  # the signs are a constant, which may come from anywhere
            break
        a = part.constant(difference, form)
        shows = 0 if a is None else int((np.abs(a * form) > part.allowed).any(axis=0).sum())
        if a is not None and shows > 1:  # in one entry only, any number is such a multiple
            return Guess(Kind.PENALTY, f"yours is off by {a:+.6g} × {name}: a penalty is added, or missing.")
        if part.evidence.name != "gradient":
            break
    return None


def _contributions(part: Part) -> list[tuple[str, np.ndarray]]:
    """The contributions of each keyword, and of each term of the cost that is a penalty without a keyword."""
    keywords = [(name, part.select(p)) for name, p in part.evidence.penalty.items()]
    terms = [
        (term.name, part.select(term.values)) for term in part.evidence.terms if term.penalty and not term.keywords
    ]
    several = [(name, p) for name, p in terms if np.count_nonzero(p.any(axis=0)) > 1]  # one number fits every form
    if part.evidence.name == "value":
        return [(name, p) for name, p in keywords if p.any()]
    return [(name, p) for name, p in (*keywords, *several) if p.any()]


def bias(part: Part) -> Guess | None:
    """h = r but for the bias: its leaf, or the row of a column of ones."""
    evidence = part.evidence
    biases = evidence.biases[part.chosen]
    if not part.whole or not part.wrong.any() or not biases[part.wrong].all() or evidence.biases.all():
        return None
    wrong = part.wrong
    if not part.hand[:, wrong].any():
        return Guess(Kind.MISSING, "yours is 0 for the bias: it was never computed.")
    difference = np.where(wrong, part.hand - part.reference, 0)
    a = part.constant(difference, np.where(wrong, part.select(evidence.identity), 0))
    if a is not None and (evidence.penalty or wrong.sum() > 1):
        unit = UNIT[evidence.name]
        words = f"yours is off by {a:+.4g} × {unit} for the bias: it is penalised and should not be, or the reverse."
        return Guess(Kind.PENALTY, words)
    c = part.factor(wrong)
    if c is None:
        return Guess(Kind.BIAS, "yours differs for the bias only: look at how it is summed.")
    if abs(c + 1) < FIT:
        return Guess(Kind.SIGN, "for the bias, and only there, yours has the wrong sign.")
    suffix = ", with the wrong sign" if c < 0 else ""
    because = origin(evidence, part.chosen[wrong], abs(c)) or ("" if c < 0 else ": look at how it is summed")
    return Guess(Kind.BIAS, f"for the bias, and only there, yours is {c:.6g} times the derivative{suffix}{because}.")


def bias_of_a_gradient(part: Part) -> Guess | None:
    """h = r but for the bias of a gradient: tried before factors, because it says more."""
    return None if part.evidence.name == "hessian" else bias(part)
