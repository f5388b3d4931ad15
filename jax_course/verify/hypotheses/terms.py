"""Hypotheses on one term of the cost: its sign, a factor, a function of a parameter, or that it is left out."""

import numpy as np

from jax_course.verify.contributions import Contribution
from jax_course.verify.findings import Guess, Kind
from jax_course.verify.hypotheses.chain_rule import FUNCTIONS, SIGMOIDS, named_function
from jax_course.verify.parts import FIT, Part


def factor_of_a_term(part: Part) -> Guess | None:
    """h = r − g + c g or r − g + c(θ) g, where g is the contribution of one term of the cost to r."""
    for term in part.evidence.terms:
        name, g = term.name, part.select(term.values)
        if not g.any():
            continue
        a = part.constant(part.hand - part.reference, g)
        if a is not None:
            return _term_guess(part, term, 1 + a)
        if form := _function(part, g):
            return Guess(Kind.CHAIN_RULE, f"{name} is {form} times what it should be; the others are right.")
    return None


def function_of_entries_in_a_term(part: Part) -> Guess | None:
    """h_j = r_j − g_j + ρ(θ_j) g_j, where g is the contribution of one term of the cost."""
    if part.evidence.name != "gradient":
        return None
    theta = part.evidence.points[part.rows][:, part.chosen]
    for term in part.evidence.terms:
        g = part.select(term.values)
        if np.count_nonzero(g.any(axis=0)) < 2:
            continue
        for form, function in (FUNCTIONS | SIGMOIDS).items():
            with np.errstate(all="ignore"):
                change = np.where(g != 0, (function(theta) - 1) * g, 0)
            if np.isfinite(change).all() and part.constant_is(part.hand - part.reference, change, 1.0):
                words = (
                    f"in every entry {term.name} is {form.format('θ')} times what it should be; the others are right."
                )
                return Guess(Kind.PENALTY if term.penalty else Kind.CHAIN_RULE, words)
    return None


def changing_factor_of_a_term(part: Part) -> Guess | None:
    """h = r − g + ρ g with a ρ for each point, where g is the contribution of one term of the cost."""
    difference = part.hand - part.reference
    if part.evidence.name == "value" or part.is_close:
        return None
    for term in part.evidence.terms:
        g = part.select(term.values)
        total = np.sum(part.weight * g**2, axis=1)
        if np.count_nonzero(g.any(axis=0)) < 3 or not (total > 0).all():
            continue
        ratio = np.sum(part.weight * difference * g, axis=1) / total
        if part.constant_is(difference, ratio[:, None] * g, 1.0):
            span = f"from {1 + ratio.min():.4g} to {1 + ratio.max():.4g}"
            words = f"{term.name} is {span} times what it should be, a factor that changes with the parameters"
            return Guess(Kind.PENALTY if term.penalty else Kind.CHAIN_RULE, f"{words}; the others are right.")
    return None


def moved_term(part: Part) -> Guess | None:
    """h = r − g + P g, where g is the contribution of a term, turned round or shifted along an axis."""
    if len(part.shapes) > 1 or part.evidence.name != "gradient":
        return None
    shape, batch = part.shapes[0], len(part.hand)
    for term in part.evidence.terms:
        g = part.select(term.values).reshape(batch, *shape)
        for axis, size in enumerate(shape, start=1):
            moves = {"turned round": np.flip(g, axis)} | ({} if size < 3 else {
                f"shifted by {step:+d}": np.roll(g, step, axis) for step in (1, -1)})  # fmt: skip
            for what, moved in moves.items():
                change = (moved - g).reshape(batch, -1)
                if size > 1 and change.any() and part.constant_is(part.hand - part.reference, change, 1.0):
                    return Guess(Kind.INDEX, f"{term.name} is {what} along axis {axis - 1}; the others are right.")
    return None


def diagonal_of_a_term(part: Part) -> Guess | None:
    """h = r − g + diag g, where g is the contribution of one term to a Hessian."""
    evidence = part.evidence
    if evidence.name != "hessian" or not part.whole:
        return None
    outside = evidence.context.layout.block_entries(1 - np.eye(evidence.context.layout.size))[part.chosen]
    for term in evidence.terms:
        change = -part.select(term.values) * outside
        if change.any() and part.constant_is(part.hand - part.reference, change, 1.0):
            return Guess(Kind.DIAGONAL, f"of {term.name} yours has only the diagonal; the others are right.")
    return None


def transposed_term(part: Part) -> Guess | None:
    """h = r − g + gᵀ, where g is the contribution of a term, or of a part of the cost, to a square leaf."""
    shape = part.shapes[0]
    if len(part.shapes) > 1 or len(shape) != 2 or shape[0] != shape[1] or part.evidence.name != "gradient":
        return None
    difference, batch = part.hand - part.reference, len(part.hand)
    parts = [
        *((term.name, term.values) for term in part.evidence.terms),
        *((c.words, c.values) for c in part.evidence.changes if c.path),
    ]
    for name, contribution in parts:
        g = part.select(contribution).reshape(batch, *shape)
        change = (np.swapaxes(g, 1, 2) - g).reshape(batch, -1)
        if change.any() and part.constant_is(difference, change, 1.0):
            return Guess(Kind.TRANSPOSE, f"{name} is transposed; the others are right.")
    return None


def factor_of_an_own_term(part: Part) -> Guess | None:
    """r = h − g + c g, where g is one term of h as the reader wrote it."""
    for name, contribution in part.evidence.own_terms:
        g = part.select(contribution)
        a = part.constant(part.reference - part.hand, g) if g.any() else None
        if a is None or abs(1 + a) < FIT:
            continue
        if abs(a + 2) < FIT:
            return Guess(Kind.SIGN, f"{name} has the wrong sign; the others are right.")
        return Guess(Kind.FACTOR, f"{name} is {1 / (1 + a):.6g} times what it should be; the others are right.")
    return None


def _term_guess(part: Part, term: Contribution, c: float) -> Guess:
    name, penalty = term.name, term.penalty
    if abs(c) < FIT:
        return Guess(Kind.PENALTY if penalty else Kind.MISSING, f"{name} is missing; the others are right.")
    if abs(c + 1) < FIT:
        kind = Kind.PENALTY if penalty and term.keywords else Kind.SIGN
        return Guess(kind, f"{name} has the wrong sign; the others are right.")
    m = part.evidence.examples
    because = ""
    if m > 1 and abs(c * m - 1) < FIT:
        because = f" = 1/m: it is counted once, and not for each of the m = {m:g} examples"
    elif m > 1 and abs(c / m - 1) < FIT:
        because = f" = m: it is counted for each of the m = {m:g} examples, and the cost has it once"
    kind = Kind.PENALTY if penalty else Kind.FACTOR
    return Guess(kind, f"{name} is {c:.6g} times what it should be{because}; the others are right.")


def _function(part: Part, g: np.ndarray) -> str | None:
    """The function of a parameter that a term is multiplied with, at each point another number."""
    total = np.sum(part.weight * g**2, axis=1)
    if len(g) < 3 or not (total > 0).all():
        return None
    term = part.hand - part.reference + g
    ratio = np.sum(part.weight * term * g, axis=1) / total
    if not (np.abs(term - ratio[:, None] * g) <= part.allowed).all():
        return None
    return named_function(part, ratio)
