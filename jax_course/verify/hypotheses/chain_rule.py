"""Hypotheses on a factor of the chain rule: one that differs between examples, or with the parameters."""

import numpy as np

from jax_course.verify.findings import Guess, Kind
from jax_course.verify.parameters import Layout
from jax_course.verify.parts import Part

FUNCTIONS = {
    "{}": lambda t: t,
    "1/{}": lambda t: 1 / t,
    "{}²": lambda t: t**2,
    "1/{}²": lambda t: t**-2,
    "exp({})": np.exp,
    "exp(−{})": lambda t: np.exp(-t),
    "exp(2 {})": lambda t: np.exp(2 * t),
    "exp(−2 {})": lambda t: np.exp(-2 * t),
}

SIGMOIDS = {
    "1/σ({})": lambda t: 1 + np.exp(-t),
    "1/(1 − σ({}))": lambda t: 1 + np.exp(t),
    "σ({})": lambda t: 1 / (1 + np.exp(-t)),
    "1 − σ({})": lambda t: 1 / (1 + np.exp(t)),
    "1/σ′({})": lambda t: 2 + np.exp(t) + np.exp(-t),
    "σ′({})": lambda t: 1 / (2 + np.exp(t) + np.exp(-t)),
    "1/tanh′({})": lambda t: np.cosh(t) ** 2,
    "tanh′({})": lambda t: np.cosh(t) ** -2,
}


def functions_of_parameters(part: Part) -> Guess | None:
    """h_j = ± ρ(θ_j) r_j: a factor of an entry's own parameter, as where a function acts on each entry."""
    if part.evidence.name != "gradient" or part.hand.shape[1] < 2:
        return None
    theta = part.evidence.points[part.rows][:, part.chosen]
    name = part.evidence.context.layout.names[part.leaves[0]] if len(part.leaves) == 1 else "θ"
    for form, function in (FUNCTIONS | SIGMOIDS).items():
        for sign, suffix in ((1, ""), (-1, ", with the wrong sign")):
            if part.holds(sign * function(theta) * part.reference):
                words = f"in every entry yours is {form.format(name)} times the derivative{suffix}."
                return Guess(Kind.CHAIN_RULE, words)
    return None


def as_a_wrong_rule(part: Part) -> Guess | None:
    """h is the gradient that a wrong rule of the cost's functions gives."""
    ruled = part.evidence.context.ruled
    if part.evidence.name != "gradient" or ruled is None or not part.holds(part.select(ruled)):
        return None
    words = "yours is what a rule in the cost (custom_vjp, custom_jvp) gives, and that rule is wrong."
    return Guess(Kind.CHAIN_RULE, words)


def function_of_a_parameter(part: Part) -> Guess | None:
    """h = ρ(θ) r with the same ρ in every entry of the part, at each point another."""
    r, h = part.reference, part.hand
    total = np.sum(part.weight * r**2, axis=1)
    if len(h) < 3 or not (total > 0).all():
        return None
    ratio = np.sum(part.weight * h * r, axis=1) / total
    if not (np.abs(h - ratio[:, None] * r) <= part.allowed).all() or np.ptp(ratio) < 1e-5 * np.abs(ratio).max():
        return None
    if (form := named_function(part, ratio)) is not None:
        return Guess(Kind.CHAIN_RULE, f"yours is {form} times the derivative.")
    if h.shape[1] < 2:  # one number is always a multiple of another
        return None
    span = f"from {ratio.min():.4g} to {ratio.max():.4g}"
    return Guess(Kind.CHAIN_RULE, f"yours is {span} times the derivative, a factor that changes with the parameters.")


def chain_rule(part: Part) -> Guess | None:
    """h_i = ρ_i r_i for every single example i, one ρ_i for all or one for each column (output, unit, class)."""
    found = part.evidence.singles
    if found is None:
        return None
    hand, reference, factors = found
    for h, r in _units(part, hand[:, part.chosen], reference[:, part.chosen]):
        square = np.sum(r**2, axis=1)
        seen = square > 1e-24 * np.max(square, initial=0)
        ratio = np.sum(h * r, axis=1) / np.where(seen, square, 1)
        size = np.abs(h).max(axis=1) + np.abs(r).max(axis=1)
        parallel = np.abs(h - ratio[:, None] * r).max(axis=1) <= 1e-6 * size + 1e-300
        passed = ~seen & (np.abs(h).max(axis=1) > 1e-12 * size.max())
        if not parallel[seen].all():
            continue
        if passed.any() and h.shape[1] > 1:
            return Guess(Kind.CHAIN_RULE, _mask(ratio[seen]))
        if not _varies(ratio, seen):
            continue
        name = _name(ratio, seen, factors)
        if name:
            return Guess(Kind.CHAIN_RULE, f"yours is off by a factor that changes from example to example: {name}.")
        if h.shape[1] > 1:  # one number is always a multiple of another
            return Guess(Kind.CHAIN_RULE, _varying(ratio[seen]))
    return None


def _units(part: Part, hand: np.ndarray, reference: np.ndarray):
    """Both derivatives as (examples, rows, units): all entries as one unit, then units along the last or first axis.

    A bias with as many entries as a matrix has columns becomes a row of that matrix.
    """
    slices = Layout(None, (), tuple(part.shapes)).slices
    yield hand[..., None], reference[..., None]
    if part.evidence.name == "hessian":
        return
    for axis in (-1, 0):
        widths = {shape[axis] for shape in part.shapes if shape}
        if len(widths) != 1 or not all(part.shapes) or widths == {1}:
            continue
        pair = []
        for values in (hand, reference):
            leaves = [
                values[:, entries].reshape(len(values), *shape)
                for entries, shape in zip(slices, part.shapes, strict=True)
            ]
            moved = [np.moveaxis(leaf, axis if axis < 0 else 1, -1) for leaf in leaves]
            pair.append(np.concatenate([leaf.reshape(len(leaf), -1, leaf.shape[-1]) for leaf in moved], axis=1))
        yield tuple(pair)


def _varies(ratio: np.ndarray, seen: np.ndarray) -> bool:
    """Whether the ratio changes from example to example, within a unit."""
    columns = [ratio[seen[:, k], k] for k in range(ratio.shape[1])]
    return any(len(c) > 1 and np.ptp(c) > 1e-4 * np.abs(c).max() for c in columns)


def _mask(ratio: np.ndarray) -> str:
    if np.allclose(ratio, 1, rtol=1e-6):
        return "for some examples yours is not 0 where the derivative is: a mask is missing, as of ReLU."
    if np.allclose(ratio, 0, atol=1e-9):
        return "yours is 0 where the derivative is not, and the reverse: a mask is the wrong way round."
    return "for some examples yours is not 0 where the derivative is, and elsewhere a multiple of it: another mask."


def _name(ratio: np.ndarray, seen: np.ndarray, factors: dict[str, np.ndarray]) -> str | None:
    """Which factor is missing, or there once too often, but for the sign."""
    for name, values in factors.items():
        values = values.reshape(len(ratio), -1)
        if values.shape[1] not in (1, ratio.shape[1]):
            continue
        values = np.broadcast_to(values, ratio.shape)
        for form, expected in ((f"{name} is a factor too many", values), (f"{name} is missing", 1 / values)):
            for sign, suffix in ((1, ""), (-1, ", and the sign is wrong")):
                if np.allclose(ratio[seen], sign * expected[seen], rtol=1e-5, atol=1e-12):
                    return form + suffix
    return None


def _varying(ratio: np.ndarray) -> str:
    changing = "yours is off by a factor that changes from example to example"
    if np.isin(np.round(ratio, 9), (0, 1)).all():
        return f"{changing}: 0 or 1, a mask."
    if np.isin(np.round(ratio, 9), (-1, 1)).all():
        return f"{changing}: the sign is wrong for some of them."
    span = f"from {ratio.min():.4g} to {ratio.max():.4g}"
    if ratio.min() >= 0:
        return f"{changing}, {span}: a factor of the chain rule."
    return (
        f"for each example yours is a multiple of the derivative, {span}: a factor of the chain rule, or of the "
        "residual (its target, label or link)."
    )


def named_function(part: Part, ratio: np.ndarray) -> str | None:
    """The function of one of the parameters whose values at the points are these."""
    theta, layout = part.evidence.points[part.rows], part.evidence.context.layout
    for j in range(min(theta.shape[1], 200)):
        leaf, index = layout.leaf_of(j)
        name = layout.names[leaf] + (f"[{', '.join(map(str, index))}]" if index else "")
        for form, function in FUNCTIONS.items():
            if np.allclose(ratio, function(theta[:, j]), rtol=1e-6, atol=0):
                return form.format(name)
    return None
