"""The circumstances of a mistake, which the diagnosis may ask for.

What a penalty contributes, where the biases are, how the functions behave on fewer examples and on single ones, and
what else could stand in for the Hessian.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np

from jax_course.functions import Function
from jax_course.verify.counterfactuals import named_arrays, positional_names
from jax_course.verify.evaluation import evaluate, gradients, hessians, products
from jax_course.verify.ground import EPS, Derivative, Ground, as_matrix, by_blocks
from jax_course.verify.subject import Subject
from jax_course.verify.terms import one_term, terms

Singles = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
TERMS = len(ORDINALS)  # of a cost of more terms none is looked at by itself
FULL_HESSIAN = 600  # up to so many parameters the Hessian's eigenvalues are computed


def penalty_parts(ground, derivative, points, reference) -> dict[str, np.ndarray]:
    """What each numeric keyword contributes: the reference minus the reference with that keyword at 0."""
    parts: dict[str, np.ndarray] = {}
    if derivative.estimate is None:
        return parts
    for name, value in ground.subject.numbers.items():
        zero = jax.tree_util.tree_map(_zero_like, value)
        without = ground.subject._replace(numbers=ground.subject.numbers | {name: zero})
        try:
            part = reference - derivative.estimate(without, points)
        except Exception:  # a keyword that may not be 0 tells nothing
            continue
        if np.isfinite(part).all():
            parts[name] = part
    return parts


def _zero_like(leaf: Any) -> Any:
    """0 of the leaf's own type, for which the program of the reference is compiled already."""
    return type(leaf)(0) if isinstance(leaf, (int, float)) else np.zeros_like(leaf)


def divided_parts(ground, derivative, points, reference) -> dict[str, np.ndarray]:
    """The part of the reference that a keyword divides, as a variance does; those that may not be 0."""
    parts: dict[str, np.ndarray] = {}
    estimate = derivative.estimate
    if estimate is None:
        return parts
    for name, value in scalars(ground.subject).items():
        two, four = (ground.subject._replace(numbers=ground.subject.numbers | {name: k * value}) for k in (2, 4))
        try:
            by_two, by_four = (reference - estimate(other, points) for other in (two, four))
        except Exception:  # a keyword that may not be that large tells nothing
            continue
        for power in (1, 2):  # a variance, or a standard deviation
            part = by_two / (1 - 0.5**power)
            bar = 1e-9 * np.abs(part).max()
            if bar and np.allclose(by_four, part * (1 - 0.25**power), rtol=1e-6, atol=bar):
                parts[name] = part
    return parts


def term_parts(ground: Ground, derivative: Derivative, points: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """What each term of the cost contributes to the reference, under its name; none where the cost has but one."""
    subject, cost = ground.subject, ground.cost
    if not (ground.once if derivative.of == "gradient" else ground.twice):
        return []
    try:
        found = subject.call(partial(terms, cost), points[0])
        ofs = [_of_term(ground, derivative, points, k) for k in range(len(found))] if 1 < len(found) <= TERMS else []
    except Exception:  # of a cost whose program cannot be walked through there is nothing to tell
        return []
    names = _argument_names(subject, cost)
    return [(_term_name(k, names, term.leaves), part) for k, (term, part) in enumerate(zip(found, ofs, strict=False))]


def _of_term(ground: Ground, derivative: Derivative, points: np.ndarray, k: int) -> np.ndarray:
    term = Function(one_term(ground.cost, k))
    if derivative.of == "gradient":
        return gradients(ground.subject, term, points)
    if derivative.of == "hessian":
        return np.stack([by_blocks(ground.subject.layout, H) for H in hessians(ground.subject, term, points)])
    return products(ground.subject, term, points, derivative.identity)


def _argument_names(subject: Subject, cost: Callable) -> list[str]:
    """The name of every leaf of (parameters, arguments, keywords), "" for a parameter."""
    names = [""] * len(subject.layout.names)
    for name, argument in zip(positional_names(cost, len(subject.arguments)), subject.arguments, strict=True):
        names += [name] * len(jax.tree_util.tree_leaves(argument))
    keywords = subject.numbers | subject.others.values
    for name in sorted(keywords):  # as JAX orders the keys of a dictionary
        names += [name] * len(jax.tree_util.tree_leaves(keywords[name]))
    return names


def _term_name(k: int, names: list[str], leaves: frozenset[int]) -> str:
    inside = [f"`{name}`" for name in dict.fromkeys(names[i] for i in sorted(leaves)) if name]
    data = f"with {' and '.join(inside)}" if inside else "without data"
    return f"the {ORDINALS[k]} term of the cost ({data})"


def scalars(subject: Subject) -> dict[str, float]:
    """The keywords that are one positive number."""
    single = {name: v for name, v in subject.numbers.items() if not isinstance(v, dict) and np.ndim(v) == 0}
    return {name: float(value) for name, value in single.items() if float(value) > 0}


def _without_numbers(subject: Subject) -> Subject:
    zero = jax.tree_util.tree_map(lambda leaf: np.zeros_like(np.asarray(leaf, float)), subject.numbers)
    return subject._replace(numbers=zero)


def biases(ground: Ground, derivative: Derivative) -> np.ndarray:
    """Entries of a bias: in a leaf called so, or in the row of a column of ones of the first matrix of data."""
    layout, marks = ground.subject.layout, []
    X = next((a for a in ground.subject.arrays if a.ndim == 2), None)
    ones = (X == X[:1]).all(axis=0) if X is not None and X.shape[0] > 1 else None
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        called = name.split(".")[-1].strip("0123456789_") in ("b", "bias", "biases", "intercept")
        mark = np.full(shape, called)
        if ones is not None and shape[:1] == ones.shape and ones.any():
            mark |= ones.reshape((-1,) + (1,) * (len(shape) - 1))
        marks.append(mark.ravel())
    if derivative.of != "hessian":
        return np.concatenate(marks)
    return np.concatenate([(a[:, None] | b[None, :]).ravel() for a in marks for b in marks])


def lengths(subject: Subject) -> dict[str, float]:
    """The lengths that a factor may be, by what they are called in a sentence."""
    lengths: dict[str, float] = {}
    if subject.examples:
        lengths["the number of examples m"] = subject.examples
    for array in subject.arrays:
        if array.ndim == 2 and len(array) == subject.examples:
            lengths.setdefault("the number of columns of the data", array.shape[1])
    for name, shape in zip(subject.layout.names, subject.layout.shapes, strict=True):
        if len(shape) == 2:
            lengths.setdefault(f"the number of columns of `{name}` (outputs, classes)", shape[1])
    return lengths


def on_fewer(ground: Ground, derivative: Derivative, chosen: np.ndarray) -> tuple[float, float] | None:
    """The share of the examples in the first half, and the factor that the chosen entries have on them."""
    m = ground.subject.examples
    if m < 4 or derivative.estimate is None:
        return None
    part = _without_numbers(ground.subject).rows(slice(0, m // 2))
    points = ground.points[-1:] if derivative.of != "hessian_product" else ground.points
    try:
        hand, reference = (f(part, points)[:, chosen] for f in (derivative.hand, derivative.estimate))
    except Exception:  # a function that depends on the number of examples in some other way tells nothing
        return None
    square = np.sum(reference**2)
    return (m // 2 / m, float(np.sum(hand * reference) / square)) if square > 0 and np.isfinite(square) else None


def on_single_examples(ground: Ground, derivative: Derivative) -> Singles | None:
    """The reader's derivative and the reference, a row per example, and what their ratio could be."""
    m = ground.subject.examples
    if m < 2 or derivative.estimate is None:
        return None
    alone = _without_numbers(ground.subject)
    points = ground.points[-1:] if derivative.of != "hessian_product" else ground.points
    chosen = np.unique(np.linspace(0, m - 1, 12).astype(int))
    try:
        pairs = [
            [f(alone.rows(slice(i, i + 1)), points)[-1] for f in (derivative.hand, derivative.estimate)] for i in chosen
        ]
    except Exception:
        return None
    hand, reference = (np.stack(rows) for rows in zip(*pairs, strict=True))
    if hand.shape != reference.shape:
        return None
    return hand, reference, _known_factors(ground, points[-1], chosen)


def _known_factors(ground: Ground, point: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """What the ratio could be: functions of z = XW + b, and data with a number for each example."""
    subject = ground.subject
    factors = {f"`{name}`": array[chosen] for name, array in named_arrays(subject, ground.cost) if array.ndim == 1}
    X = next((a for a in subject.arrays if a.ndim == 2), None)
    leaves = dict(zip(subject.layout.shapes, subject.layout.leaves(point), strict=True))
    weights = [shape for shape in leaves if X is not None and shape[:1] == X.shape[1:]]
    if X is None or len(weights) != 1 or not set(leaves) <= {weights[0], weights[0][1:]}:
        return factors
    z = X[chosen] @ leaves[weights[0]] + leaves.get(weights[0][1:], 0.0)
    sigma = 1 / (1 + np.exp(-z))
    factors |= {
        "σ′(z) = σ(1 − σ)": sigma * (1 - sigma), "σ(z)": sigma, "1 − σ(z)": 1 - sigma, "eᶻ": np.exp(z),
        "e⁻ᶻ": np.exp(-z), "tanh′(z)": 1 - np.tanh(z) ** 2, "z": z,
    }  # fmt: skip
    if z.ndim == 2:
        pi = np.exp(z - z.max(axis=1, keepdims=True))
        pi = pi / pi.sum(axis=1, keepdims=True)
        factors |= {"π(1 − π)": pi * (1 - pi), "π": pi, "1 − π": 1 - pi}
    return factors


def averages(ground: Ground) -> bool | None:
    """Whether the cost averages over the examples: it does not change when each is there twice; None otherwise."""
    subject, m = _without_numbers(ground.subject), ground.subject.examples
    if m < 2:
        return None
    try:
        once, twice = (float(np.asarray(evaluate(s, ground.cost, ground.points[-1:]))[0])
                       for s in (subject, subject.rows(np.tile(np.arange(m), 2))))  # fmt: skip
    except Exception:  # a cost that depends on the number of examples in some other way tells nothing
        return None
    if np.isclose(twice, once, rtol=1e-9):
        return True
    return False if np.isclose(twice, 2 * once, rtol=1e-9) else None


def hessians_at(ground: Ground, derivative: Derivative) -> np.ndarray | None:
    """The Hessians at the points of a product, where they are small enough to be computed."""
    n = ground.points.shape[1]
    return hessians(ground.subject, ground.cost, ground.points) if ground.twice and n <= 300 else None


def stand_ins(ground: Ground, points: np.ndarray, derivative: Derivative) -> Iterator[tuple[str, np.ndarray]]:
    """What stands in for Hessians: of the costs c_i and gradients g_i of single examples, at the last point.

    Without the penalty; in units of the cost of one example, whatever the cost averages.
    """
    subject, point = ground.subject, points[-1:]
    m, n = subject.examples, point.size
    if derivative.reference is None or not (1 < m <= 2_000 and n <= 300):
        return
    try:
        alone = [_without_numbers(subject).rows(slice(i, i + 1)) for i in range(m)]
        g = np.concatenate([gradients(one, ground.cost, point) for one in alone])
        c = np.concatenate([np.asarray(evaluate(one, ground.cost, point)) for one in alone])
    except Exception:
        return
    if (c > 0).all():
        yield "Gauss–Newton's Σ JᵀJ", by_blocks(subject.layout, g.T @ (g / (2 * c[:, None])))
    yield "Fisher's Σ g gᵀ", by_blocks(subject.layout, g.T @ g)


def notes_on(ground: Ground, derivative: Derivative, hand: np.ndarray) -> list[str]:
    """What a Hessian is like at the point given: symmetric, definite, of which rank."""
    n = ground.points.shape[1]
    if derivative.of != "hessian" or n > FULL_HESSIAN or not np.isfinite(hand[0]).all():
        return []
    H = as_matrix(ground.subject.layout, hand[0])
    if np.abs(H - H.T).max() > 1e-8 * np.abs(H).max():
        return ["your Hessian is not symmetric"]
    eigenvalues = np.linalg.eigvalsh(H)
    rank = int((np.abs(eigenvalues) > n * EPS * 10 * np.abs(eigenvalues).max()).sum())
    tiny = n * EPS * 10 * np.abs(eigenvalues).max()
    kind = "positive" if eigenvalues[0] > -tiny else "negative" if eigenvalues[-1] < tiny else None
    sign = f"{kind} {'definite' if rank == n else 'semi-definite'}" if kind else "indefinite"
    null = "" if rank == n else f", a null space of dimension {n - rank}"
    spectrum = f"eigenvalues {eigenvalues[0]:.3g} … {eigenvalues[-1]:.3g}"
    return [f"your Hessian is symmetric, {sign}, rank {rank} of {n}{null}; {spectrum}"]
