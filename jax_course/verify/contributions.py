"""Contributions to a derivative: the parts of the reference that come from a keyword, or from one term of the cost."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.addends import one_term, terms
from jax_course.verify.context import Context, Derivative
from jax_course.verify.evaluation import evaluate, gradients, hessians, products
from jax_course.verify.parameters import Inputs, positional_names
from jax_course.verify.tracing import output_structure

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
TERMS = len(ORDINALS)  # of a cost with more terms none is looked at by itself: each is a program more


class Contribution(NamedTuple):
    """The contribution (p, E) of a term of the cost; penalty: whether it is one; keywords: whether with a keyword's."""

    name: str
    values: np.ndarray
    penalty: bool = False
    keywords: bool = False


def are_penalties(values: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    """Whether functions (p, n) ↦ (p, k) of the parameters alone are penalties: even, and small at θ = 0.

    A log determinant, an entropy or a barrier is none; a norm that is smoothed at 0 is one.

    >>> are_penalties(lambda x: np.stack([x[:, 0] ** 2, 3 * x[:, 0]], axis=1), np.array([[1.0], [2.0]])).tolist()
    [True, False]
    """
    here, opposite, zero = (values(place) for place in (points, -points, np.zeros_like(points[:1])))
    sign, even = np.sign(here[0]), (np.abs(here - opposite) <= 1e-9 * np.abs(here)).all(axis=0)
    smallest = (sign * here).min(axis=0)
    return even & (smallest > 0) & (sign * zero[0] > -1e-9 * smallest) & (sign * zero[0] < 0.5 * smallest)


def penalty_parts(context: Context, derivative: Derivative, points, reference) -> dict[str, np.ndarray]:
    """The contribution (p, E) of each numeric keyword: the reference minus the reference with that keyword at 0."""
    parts: dict[str, np.ndarray] = {}
    if derivative.estimate is None:
        return parts
    for name, value in context.inputs.numbers.items():
        zero = jax.tree_util.tree_map(_zero_like, value)
        without = context.inputs._replace(numbers=context.inputs.numbers | {name: zero})
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


def divided_parts(context: Context, derivative: Derivative, points, reference) -> dict[str, np.ndarray]:
    """The part (p, E) of the reference that a keyword divides, as a variance does: known from twice and four times it.

    A part A/s changes by A/s (1 − ½) and A/s (1 − ¼), a part A/s² by A/s² (1 − ¼) and A/s² (1 − 1/16).
    """
    parts: dict[str, np.ndarray] = {}
    estimate, inputs = derivative.estimate, context.inputs
    if estimate is None:
        return parts
    for name, value in scalars(inputs).items():
        larger = [inputs._replace(numbers=inputs.numbers | {name: k * value}) for k in (2, 4)]
        try:
            change, larger_change = (reference - estimate(other, points) for other in larger)
        except Exception:  # a keyword that may not be that large tells nothing
            continue
        for power in (1, 2):  # a variance, or a standard deviation
            part = change / (1 - 0.5**power)
            bar = 1e-9 * np.abs(part).max()
            if bar and np.allclose(larger_change, part * (1 - 0.25**power), rtol=1e-6, atol=bar):
                parts[name] = part
    return parts


def scalars(inputs: Inputs) -> dict[str, float]:
    """The keywords that are one positive number.

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> scalars(flatten_inputs(sum, np.ones(2), (), {"variance": 2.0, "penalty": np.ones(2), "kind": "mean"})[0])
    {'variance': 2.0}
    """
    single = {name: v for name, v in inputs.numbers.items() if not isinstance(v, dict) and np.ndim(v) == 0}
    return {name: float(value) for name, value in single.items() if float(value) > 0}


def term_parts(context: Context, derivative: Derivative, points: np.ndarray) -> list[Contribution]:
    """The contribution of each term of the cost; none if the cost has one term or too many."""
    inputs, cost = context.inputs, context.cost
    if not (context.has_hessian if derivative.name.startswith("hessian") else context.has_gradient):
        return []
    try:
        leaves = _leaves_of_terms(inputs, cost, points[0])
        if not 1 < len(leaves) <= TERMS:
            return []
        parts = [_term_part(context, derivative, points, k) for k in range(len(leaves))]
    except Exception:  # the program of the cost cannot be taken apart
        return []
    names = _argument_names(inputs, cost)
    single = _are_numbers(inputs)
    if all(single[i] for of_term in leaves for i in of_term):  # the data are numbers, so that they tell no penalty
        single = [name == "" and derivative.name != "value" for name in names]
    found = []
    for k, (of_term, part) in enumerate(zip(leaves, parts, strict=True)):
        penalty = all(single[i] for i in of_term) and _is_penalty(context, derivative, points, k)
        if k == 0 and derivative.name == "gradient":  # before the data a penalty stands only where it is a plain one
            penalty = penalty and bool((part * points >= 0).all())
        inside = [f"`{name}`" for name in dict.fromkeys(names[i] for i in sorted(of_term)) if name]
        found.append(Contribution(_term_name(k, inside, penalty), part, penalty, bool(inside)))
    return found


def _is_penalty(context: Context, derivative: Derivative, points: np.ndarray, k: int) -> bool:
    """Whether a term without data is a penalty."""
    if derivative.name == "value":
        return True
    term = Function(one_term(context.cost, k))
    try:
        return bool(
            are_penalties(lambda points: np.asarray(evaluate(context.inputs, term, points))[:, None], points)[0]
        )
    except Exception:  # no value at 0
        return False


def _leaves_of_terms(inputs: Inputs, cost: Callable, point: np.ndarray) -> list[frozenset[int]]:
    """The leaves that each term of the cost is computed from; the terms are traced, so that nothing is compiled."""
    leaves: list[frozenset[int]] = []

    def values(vector):
        found = inputs.call(partial(terms, cost), vector)
        leaves.extend(term.leaves for term in found)
        return [term.value for term in found]

    jax.eval_shape(values, point)
    return leaves


def own_term_parts(context: Context, derivative: Derivative, points: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Each term (p, E) of the reader's function, under its name; none if it has one term, too many, or many leaves."""
    inputs, function = context.inputs, derivative.function
    if function is None:
        return []
    try:
        if len(jax.tree_util.tree_leaves(output_structure(inputs, function, points[0]))) != 1:
            return []
        count = len(_leaves_of_terms(inputs, function, points[0]))
        if not 1 < count <= TERMS:
            return []
        parts = [np.asarray(evaluate(inputs, Function(one_term(function, k)), points)) for k in range(count)]
    except Exception:  # the reader's program cannot be taken apart
        return []
    return [(f"your {ORDINALS[k]} term", part.reshape(len(points), -1)) for k, part in enumerate(parts)]


def _term_part(context: Context, derivative: Derivative, points: np.ndarray, k: int) -> np.ndarray:
    term = Function(one_term(context.cost, k))
    if derivative.name == "value":
        return np.asarray(evaluate(context.inputs, term, points)).reshape(len(points), -1)
    if derivative.name == "gradient":
        return gradients(context.inputs, term, points)
    if derivative.name == "hessian":
        return np.stack([context.layout.block_entries(H) for H in hessians(context.inputs, term, points)])
    return products(context.inputs, term, points, derivative.identity)


def _argument_names(inputs: Inputs, cost: Callable) -> list[str]:
    """The name of every leaf of (parameters, arguments, keywords), "" for a parameter."""
    names = [""] * len(inputs.layout.names)
    for name, argument in zip(positional_names(cost, len(inputs.arguments)), inputs.arguments, strict=True):
        names += [name] * len(jax.tree_util.tree_leaves(argument))
    keywords = inputs.numbers | inputs.others.values
    for name in sorted(keywords):  # as JAX orders the keys of a dictionary
        names += [name] * len(jax.tree_util.tree_leaves(keywords[name]))
    return names


def _are_numbers(inputs: Inputs) -> list[bool]:
    """Whether every leaf of (parameters, arguments, keywords) is a single number, or a parameter."""
    keywords = inputs.numbers | inputs.others.values
    data = jax.tree_util.tree_leaves((inputs.arguments, [keywords[name] for name in sorted(keywords)]))
    return [True] * len(inputs.layout.names) + [np.size(leaf) == 1 for leaf in data]


def _term_name(k: int, inside: list[str], penalty: bool) -> str:
    what = "a penalty" if penalty else "" if inside else "without data"
    data = f"with {' and '.join(inside)}" if inside else ""
    return f"the {ORDINALS[k]} term of the cost ({' '.join(words for words in (what, data) if words)})"
