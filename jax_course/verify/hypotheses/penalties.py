"""Hypotheses on the penalty, and on the bias, which is not penalised.

p is the contribution of a keyword to the reference; θ is the parameters for a gradient, the unit matrix for a Hessian,
the direction for a product.
"""

import math
from collections.abc import Iterator

import numpy as np

from jax_course.verify.findings import Guess, Kind
from jax_course.verify.hypotheses.constants import origin
from jax_course.verify.parts import FIT, Part

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
    """h − r = a θ in entries where p = 0, and 0 elsewhere."""
    difference, theta = part.hand - part.reference, part.select(part.evidence.identity)
    for name, p in _contributions(part, everywhere=True):
        unpenalised = ~p.any(axis=0)
        if not (unpenalised & part.wrong).any() or (part.wrong & ~unpenalised).any():
            continue
        for entries in (unpenalised, part.wrong):
            a = part.constant(np.where(entries, difference, 0), np.where(entries, theta, 0))
            if a is not None and (entries is unpenalised or _same_factor(a, p, theta)):
                words = f"yours penalises what `{name}` does not (the bias): {a:+.4g} × {UNIT[part.evidence.name]}."
                return Guess(Kind.PENALTY, words.replace(f"`{name}`", name) if " " in name else words)
    return None


def _same_factor(a: float, p: np.ndarray, theta: np.ndarray) -> bool:
    """Whether p = a θ where it is not 0."""
    return bool(p.any() and np.allclose(p[p != 0], a * theta[p != 0], rtol=1e-5))


def penalty_of_each_row(part: Part) -> Guess | None:
    """h − r = (k_i − 1) p in row, or column, i with whole numbers k_i: the penalty once for each example with it."""
    if part.evidence.name != "gradient":
        return None
    for name, p in _contributions(part, everywhere=True):
        counts, start = [], 0
        for shape in part.shapes:
            entries = np.arange(start, start + math.prod(shape)).reshape(shape or (1,))
            start += entries.size
            counts += next(filter(None, (_counts(part, p, entries, axis) for axis in range(entries.ndim))), [-1])
        if min(counts) >= 0 and max(counts) > 1 and min(counts) < max(counts):
            span = f"from {min(counts)} to {max(counts)} times in each row or column"
            return Guess(Kind.PENALTY, f"what {name} contributes is there {span}; once is right.")
    return None


def _counts(part: Part, p: np.ndarray, entries: np.ndarray, axis: int) -> list[int]:
    """The whole numbers k_i with h − r = (k_i − 1) p in the slices of entries along an axis; none if there are none."""
    counts = []
    for row in np.moveaxis(entries, axis, 0).reshape(entries.shape[axis], -1):
        difference, of_row = (part.hand - part.reference)[:, row], p[:, row]
        total = np.sum(of_row**2)
        k = round(float(1 + np.sum(difference * of_row) / total)) if total else 1
        bar = np.minimum(part.allowed[:, row], 1e-3 * np.abs(of_row) + part.select(part.evidence.tolerance)[:, row])
        if k < 0 or not (np.abs(difference - (k - 1) * of_row) <= bar).all():
            return []
        counts.append(k)
    return counts


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


def _contributions(part: Part, *, everywhere: bool = False) -> list[tuple[str, np.ndarray]]:
    """The contributions of each keyword, and of each other term of the cost that is a penalty.

    everywhere: also those that are 0 in this part.
    """
    whole = part.evidence.penalty
    keywords = [(name, part.select(p)) for name, p in whole.items() if p.any()]
    penalties = [term for term in part.evidence.terms if term.penalty and not (term.keywords and whole)]
    terms = [(term.name, part.select(term.values)) for term in penalties]
    several = [(name, p) for name, p in terms if everywhere or np.count_nonzero(p.any(axis=0)) > 1]
    if part.evidence.name == "value":  # one number fits every form
        several = []
    return [(name, p) for name, p in (*keywords, *several) if everywhere or p.any()]


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
