r"""The hypotheses: what each kind of mistake predicts, tested on the entries under suspicion. See `diagnosis`."""

from collections.abc import Iterator

import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.suspicion import FIT, Evidence, Guess, Part


def _nonfinite(part: Part) -> Guess | None:
    if not np.isfinite(part.hand).all():
        return Guess(
            Kind.NONFINITE, "yours is NaN or infinite where the cost is not: look for 0/0, log 0 or an overflow."
        )
    return None


def _missing(part: Part) -> Guess | None:
    if not part.hand.any():
        return Guess(Kind.MISSING, "yours is 0: this part was never computed.")
    return None


def _factor(part: Part) -> Guess | None:
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
    if abs(c) < FIT:
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


def _penalty(part: Part) -> Guess | None:
    difference = part.hand - part.reference
    theta = part.of(part.evidence.identity)
    unit = "θ" if part.evidence.of == "gradient" else "the unit matrix" if part.evidence.of == "hessian" else "v"
    for name, contribution in part.evidence.penalty.items():
        p = part.of(contribution)
        a = part.constant(difference, p) if p.any() else None
        if a is not None:
            words = {-1.0: "is missing", 1.0: "is counted twice", -0.5: "is halved", -2.0: "has the wrong sign"}
            for value, what in words.items():
                if abs(a - value) < 1e-4:
                    return Guess(
                        Kind.PENALTY, f"the penalty {what}; yours is off by {a:+.4g} × what `{name}` contributes."
                    )
            if np.count_nonzero(p.any(axis=0)) > 1:  # a single entry could have any factor by accident
                return Guess(Kind.PENALTY, f"yours has {1 + a:.6g} times what `{name}` contributes.")
        if p.any() and part.evidence.of == "gradient":
            norm = np.linalg.norm(part.evidence.identity[part.rows], axis=1, keepdims=True)
            size = np.where(theta != 0, np.abs(theta), 1)
            for length, what in ((norm, "of ‖θ‖, not of its square"), (size, "of |θ|, not of θ²")):
                if part.constant(difference + p, p / length) is not None:
                    return Guess(Kind.PENALTY, f"the penalty's part is that {what}.")
        spared = ~p.any(axis=0)
        if p.any() and spared.any():
            a = part.constant(np.where(spared, difference, 0), np.where(spared, theta, 0))
            if a is not None and not (np.abs(difference) > part.of(part.evidence.tolerance))[:, ~spared].any():
                return Guess(Kind.PENALTY, f"yours penalises what `{name}` spares (the bias): {a:+.4g} × {unit}.")
    a = part.constant(difference, theta)
    if a is not None and theta.any():
        return Guess(Kind.PENALTY, f"yours is off by {a:+.6g} × {unit}: a penalty too much, or one too little.")
    return None


def _bias(part: Part) -> Guess | None:
    biases = part.evidence.biases[part.chosen]
    if not part.wrong.any() or not biases[part.wrong].all() or biases.all():
        return None
    if not part.hand[:, part.wrong].any():
        return Guess(Kind.MISSING, "yours is 0 for the bias: it was never computed.")
    theta = part.of(part.evidence.identity)
    difference = np.where(part.wrong, part.hand - part.reference, 0)
    a = part.constant(difference, np.where(part.wrong, theta, 0))
    if a is not None and part.evidence.penalty:
        return Guess(
            Kind.PENALTY,
            f"yours is off by {a:+.4g} × θ for the bias: it is penalised and should not be, or the reverse.",
        )
    h, r = part.hand[:, part.wrong], part.reference[:, part.wrong]
    ratio = h / np.where(r != 0, r, np.nan)
    constant = np.ptp(ratio) <= 1e-6 * np.abs(ratio).max() if np.isfinite(ratio).all() else False
    words = f"is {ratio.flat[0]:.6g} times the derivative" if constant else "differs"
    return Guess(Kind.BIAS, f"yours {words} for the bias only: look at how it is summed.")


def _diagonal(part: Part) -> Guess | None:
    if part.evidence.of != "hessian":
        return None
    zero, right = np.asarray(~part.hand.any(axis=0)), ~part.wrong
    if not part.wrong.any() or not zero[part.wrong].all() or zero.all():
        return None
    for names, mask in _blocks(part):
        if mask.any() and (~mask).any() and zero[~mask].all() and right[mask].all():
            return Guess(Kind.DIAGONAL, f"yours has only {names}, everything off it is 0.")
    return None


def _blocks(part: Part) -> Iterator[tuple[str, np.ndarray]]:
    """Masks of what lies on a diagonal: of each index that rows and columns share, and of all together."""
    shape = part.shapes[0]
    if len(part.shapes) > 1 or len(shape) % 2 or shape[: len(shape) // 2] != shape[len(shape) // 2 :]:
        return
    half = len(shape) // 2
    grid = np.indices(shape).reshape(len(shape), -1)
    same = grid[:half] == grid[half:]
    yield "the diagonal", same.all(axis=0)
    for axis in range(half if half > 1 else 0):
        yield f"the block diagonal (equal index {axis})", same[axis]


def _expected(part: Part) -> Guess | None:
    if part.evidence.of != "hessian" or len(part.chosen) != part.evidence.hand.shape[1]:
        return None
    for name, prediction in part.evidence.expected():
        scale = np.abs(prediction).max()
        if np.abs(part.evidence.hand[-1] - prediction).max() <= 1e-6 * scale:
            return Guess(Kind.EXPECTED, f"yours is {name}, not the Hessian: the curvature of the model is left out.")
    return None


def _transpose(part: Part) -> Guess | None:
    if len(part.shapes) > 1:
        return None
    shape, batch = part.shapes[0], len(part.hand)
    if part.evidence.of == "hessian" or len(shape) != 2 or min(shape) < 2:
        return None
    reference = part.reference.reshape((batch, *shape))
    if part.holds(np.swapaxes(reference, 1, 2).reshape(batch, -1)):
        return Guess(Kind.TRANSPOSE, "yours is transposed: rows and columns are exchanged.")
    return None


def _index(part: Part) -> Guess | None:
    if len(part.shapes) > 1:
        return None
    shape, batch = part.shapes[0], len(part.hand)
    hand, reference = part.hand.reshape((batch, *shape)), part.reference.reshape((batch, *shape))
    allowed = np.broadcast_to(part.allowed, part.hand.shape).reshape((batch, *shape))
    names = ("entries",) if len(shape) == 1 else ("rows", "columns", "third indices", "fourth indices")
    for axis, name in zip(range(len(shape)), names, strict=False):
        order = _permutation(np.moveaxis(hand, axis + 1, 0), np.moveaxis(reference, axis + 1, 0),
                             np.moveaxis(allowed, axis + 1, 0))  # fmt: skip
        if order is not None:
            return Guess(Kind.INDEX, f"yours has the right numbers in the wrong places: {name} {_moves(order)}.")
    return None


def _permutation(hand: np.ndarray, reference: np.ndarray, allowed: np.ndarray) -> list[int] | None:
    """The order in which slices of the reference stand in the reader's; None if they are no permutation of it."""
    order, size = [], len(hand)
    if not 1 < size <= 512:
        return None
    hand, reference, allowed = (values.reshape(size, -1) for values in (hand, reference, allowed))
    for i in range(size):
        same = (np.abs(reference - hand[i]) <= np.minimum(allowed[i], allowed)).all(axis=1)
        same[order] = False  # a slice can stand in one place only
        matches = np.flatnonzero(same)
        if not len(matches):
            return None
        order.append(i if i in matches else int(matches[0]))
    return order if order != list(range(size)) else None


def _moves(order: list[int]) -> str:
    size = len(order)
    for shift in (1, -1):
        if order == [(i + shift) % size for i in range(size)]:
            return f"are shifted by {-shift:+d}"
    if order == list(range(size))[::-1]:
        return "are reversed"
    moved = [i for i, j in enumerate(order) if i != j]
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} are exchanged"
    return "are permuted"


def _isolated(part: Part) -> Guess | None:
    count, total = int(part.wrong.sum()), len(part.wrong)
    if not 0 < count < total or (count > 2 and count > 0.25 * total):
        return None
    if not part.hand[:, part.wrong].any():
        return Guess(Kind.MISSING, "yours is left at 0 there; the others agree.")
    return Guess(Kind.ENTRY, "yours differs there; the others agree.")


def _chain_rule(part: Part) -> Guess | None:
    found = part.evidence.examples()
    if found is None:
        return None
    hand, reference, factors = found
    hand, reference = hand[:, part.chosen], reference[:, part.chosen]
    last = part.shapes[0][-1] if len(part.shapes) == 1 and part.evidence.of != "hessian" and part.shapes[0] else 1
    for width in {1, last}:
        h, r = (values.reshape(len(values), -1, width) for values in (hand, reference))
        if h.shape[1] < 2:
            continue  # one number is always a multiple of another
        square = np.sum(r**2, axis=1)
        seen = square > 1e-24 * np.max(square, initial=0)
        ratio = np.sum(h * r, axis=1) / np.where(seen, square, 1)
        size = np.abs(h).max(axis=1) + np.abs(r).max(axis=1)
        parallel = (np.abs(h - ratio[:, None] * r).max(axis=1) <= 1e-6 * size + 1e-300)[seen]
        values = ratio[seen]
        if seen.sum() > 1 and parallel.all() and np.ptp(values) > 1e-4 * np.abs(values).max():
            return Guess(Kind.CHAIN_RULE, "yours is off by a factor that changes from example to example"
                         + _factor_name(ratio, seen, factors))  # fmt: skip
    return None


def _factor_name(ratio: np.ndarray, seen: np.ndarray, factors: dict[str, np.ndarray]) -> str:
    for name, values in factors.items():
        values = values.reshape(len(ratio), -1)
        if values.shape[1] not in (1, ratio.shape[1]):
            continue
        values = np.broadcast_to(values, ratio.shape)
        for form, expected in ((f"{name} is there once too often", values), (f"{name} is missing", 1 / values)):
            if np.allclose(ratio[seen], expected[seen], rtol=1e-5, atol=1e-12):
                return f": {form}."
    values = ratio[seen]
    if np.isin(np.round(values, 9), (0, 1)).all():
        return ": 0 or 1, a mask."
    if np.isin(np.round(values, 9), (-1, 1)).all():
        return ": −1 or 1, the sign is turned for some of them."
    return f", from {values.min():.4g} to {values.max():.4g}: a factor of the chain rule."


def _row_and_column(part: Part) -> Guess | None:
    """One parameter's row and column scaled: a transformed parameter without the factor of its transformation."""
    if not _is_matrix(part):
        return None
    n = round(len(part.chosen) ** 0.5)
    wrong = part.wrong.reshape(n, n)
    crossed = np.flatnonzero(wrong.all(axis=0) & wrong.all(axis=1))
    if n < 3 or len(crossed) != 1 or wrong.sum() != 2 * n - 1:
        return None
    j = int(crossed[0])
    others = np.arange(n) != j
    h, r = (values.reshape(-1, n, n)[:, j, others] for values in (part.hand, part.reference))
    ratio = np.sum(h * r, axis=1, keepdims=True) / np.maximum(np.sum(r**2, axis=1, keepdims=True), 1e-300)
    if (np.abs(h - ratio * r) <= 1e-5 * (np.abs(h) + np.abs(r))).all():
        name = part.evidence.layout.names[0]
        words = f"row and column {j} of yours are {ratio[0, 0]:.6g} times the Hessian's"
        return Guess(Kind.CHAIN_RULE, f"{words}: the factor of a transformation of {name}[{j}] is missing.")
    return None


def _is_matrix(part: Part) -> bool:
    """Whether the part is the whole Hessian of one leaf."""
    return part.evidence.of == "hessian" and len(part.chosen) == part.evidence.hand.shape[1] and len(part.shapes) == 1


def _factor_here(part: Part) -> Guess | None:
    """A factor at the point given only, as a derivative has that holds at the optimum alone."""
    h, r = part.hand[0], part.reference[0]
    seen = np.abs(r) > 1e-6 * np.max(np.abs(r), initial=0.0)
    if seen.sum() < 3:
        return None
    c = float(np.sum(h * r / part.size**2, where=seen) / np.sum((r / part.size) ** 2, where=seen))
    if not (np.abs(h - c * r) <= 1e-5 * np.abs(r) + part.of(part.evidence.tolerance)[0])[seen].all():
        return None
    return Guess(Kind.FACTOR, f"at the point given yours is {c:.5g} times the derivative; beside it the ratio differs.")


def _triangle(part: Part) -> Guess | None:
    if not _is_matrix(part):
        return None
    n = round(len(part.chosen) ** 0.5)
    H, right = part.hand[0].reshape(n, n), ~part.wrong.reshape(n, n)
    upper = np.triu(np.ones((n, n), bool), 1)
    for name, one, other in (("upper", upper, upper.T), ("lower", upper.T, upper)):
        if n > 1 and not H[one].any() and H[other].any() and right[~one].all():
            return Guess(Kind.ASYMMETRIC, f"yours has zeros in the {name} triangle, and a Hessian is symmetric.")
    return None


def _asymmetric(part: Part) -> Guess | None:
    if not _is_matrix(part):
        return None
    n = round(len(part.chosen) ** 0.5)
    H, allowed = part.hand[0].reshape(n, n), part.allowed.max(axis=0).reshape(n, n)
    if (np.abs(H - H.T) <= np.maximum(allowed, allowed.T)).all():
        return None
    return Guess(Kind.ASYMMETRIC, "yours is not symmetric, as a Hessian is.")


HYPOTHESES = (
    _nonfinite,
    _missing,
    _factor,
    _penalty,
    _diagonal,
    _expected,
    _triangle,
    _row_and_column,
    _bias,
    _transpose,
    _index,
    _isolated,
    _chain_rule,
    _asymmetric,
    _factor_here,
)
