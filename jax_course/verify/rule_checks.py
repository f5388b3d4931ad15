"""Checks of a rule before its numbers are compared: its forward pass, its linearity, and its residuals."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.custom_rules import Rule
from jax_course.verify.evaluation import evaluate_one
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.parameters import Inputs
from jax_course.verify.primals import (
    Call,
    Primals,
    Shapes,
    columns,
    forward_of_jvp,
    forward_of_vjp,
    late_pullback,
    pullback,
    pushforward,
    scalar,
    value,
)
from jax_course.verify.rule_structure import RULE, mismatch

SAME = 1e-6  # fraction of the largest entry up to which two results count as one: float32 may be inside
SCALES = (-1.0, 1e3, 1e-3)  # of a cotangent: a sign, and far enough for a rule that is clipped or thresholded

OF_COTANGENTS = (scalar, pullback, columns)

Arrays = dict[str, np.ndarray]


class Examined(NamedTuple):
    """A rule with its inputs at one point.

    inputs: of the calls below, with a cotangent as the first argument. outputs: the names of the floating-point
    outputs, and an array of the shape of each.
    """

    rule: Rule
    function: Callable
    primals: Primals
    inputs: Inputs
    point: np.ndarray
    outputs: Arrays

    def call(self, quantity: Callable, *, with_rule: bool = True) -> Function:
        """A quantity of the function, with its rule or without."""
        function = self.function if with_rule else self.rule.plain
        return Function(Call(quantity, function, self.primals, self.shapes if quantity in OF_COTANGENTS else None))

    @property
    def shapes(self) -> Shapes:
        """The shapes of the outputs."""
        return tuple(tuple(leaf.shape) for leaf in self.outputs.values())

    def at(self, quantity: Callable, cotangent: Any, *, with_rule: bool = True) -> Any:
        """The quantity at the point, for a cotangent."""
        inputs = self.inputs._replace(arguments=(cotangent, *self.inputs.arguments[1:]))
        return evaluate_one(inputs, self.call(quantity, with_rule=with_rule), self.point)


def random_like(arrays: Arrays, seed: int) -> Arrays:
    """Arrays of normal random numbers.

    >>> random_like({"x": np.zeros(2)}, 0)["x"].round(2).tolist()
    [0.13, -0.13]
    """
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.standard_normal(array.shape)) for name, array in arrays.items()}


def check_forward(examined: Examined) -> tuple[list[Finding], list[Witness]]:
    """Whether the function has the same outputs with its rule at work."""
    plain = examined.at(value, list(random_like(examined.outputs, 0).values()), with_rule=False)
    quantity = forward_of_jvp if examined.rule.kind == "jvp" else forward_of_vjp
    try:
        forward = examined.at(quantity, list(random_like(examined.outputs, 0).values()))
    except Exception:
        if examined.rule.kind != "inside":
            raise
        forward = examined.at(forward_of_jvp, list(random_like(examined.outputs, 0).values()))
    findings = []
    error = 0.0
    for name, ours, theirs in zip(examined.outputs, forward, plain, strict=True):
        distance, size = np.abs(ours - theirs), np.max(np.abs(theirs), initial=0.0)
        if not np.isfinite(distance).all() and np.isfinite(theirs).all():
            distance = np.where(np.isfinite(distance), distance, np.inf)
        error = max(error, float(np.nanmax(distance, initial=0.0) / (size or 1.0)))
        if (distance > SAME * size).any():
            entry = np.unravel_index(int(np.argmax(distance)), distance.shape)
            where = "the forward pass of the rule" if quantity is forward_of_vjp else "the rule"
            words = f"{where} returns another value than the function does without it."
            finding = mismatch(Kind.OUTPUT, name, words, float(ours[entry]), float(theirs[entry]))
            findings.append(finding._replace(index=tuple(map(int, entry))))
    verdict = "disagrees" if findings else "agrees"
    return findings, [Witness("forward pass", RULE, verdict, error, "the outputs with the rule and without")]


def check_linearity(examined: Examined) -> tuple[list[Finding], list[Witness]]:
    """Whether the rule is linear in the cotangent; a rule of custom_jvp in the tangent."""
    forward = examined.rule.kind == "jvp"
    sources = dict(examined.primals.moving) if forward else examined.outputs
    names = list(examined.outputs) if forward else list(examined.primals.moving)

    def run(given: Arrays) -> Arrays:
        argument = given if forward else list(given.values())
        result = examined.at(pushforward if forward else pullback, argument)
        return dict(zip(names, result, strict=True)) if forward else result

    first, second = random_like(sources, 1), random_like(sources, 2)
    results = [run(first), run(second), run(jax.tree_util.tree_map(np.add, first, second))]
    zero = run({name: 0 * array for name, array in first.items()})
    scaled = [run({name: c * array for name, array in first.items()}) for c in SCALES]
    what = "tangent" if forward else "cotangent"
    findings, error = [], 0.0
    for name in names:
        sums, multiples = ([np.asarray(result[name], float) for result in group] for group in (results, scaled))
        words, kind, distance = departure(sums, np.asarray(zero[name], float), multiples, what)
        error = max(error, distance)
        if words:
            findings.append(mismatch(kind, name, words))
    verdict = "disagrees" if findings else "agrees"
    return findings, [Witness(f"linear in the {what}", RULE, verdict, error, "sums and multiples of two")]


def departure(sums: list[np.ndarray], zero: np.ndarray, scaled: list[np.ndarray], what: str) -> tuple[str, Kind, float]:
    """The reason why a result is not linear, "" if it is, its kind and size; sums: of two cotangents and their sum."""
    r1, r2, both = sums
    size = max(np.max(np.abs(r), initial=0.0) for r in (r1, r2))
    if not all(np.isfinite(r).all() for r in (r1, r2, both, *scaled)):
        return "", Kind.NONLINEAR, np.nan  # NaN and infinity are compared with the derivative
    if not r1.size:
        return "", Kind.NONLINEAR, 0.0
    if size and max(np.abs(r1 - r2).max(), np.abs(r1 - zero).max()) <= SAME * size:
        words = f"the result is the same for every {what}: the rule ignores it; it must multiply by it (chain rule)."
        return words, Kind.COTANGENT, 1.0
    if zero.any() and np.abs(zero).max() > SAME * size:
        return f"for a {what} of 0 the result is not 0: a term lacks the {what}.", Kind.NONLINEAR, 1.0
    for c, r in zip(SCALES, scaled, strict=True):
        distance = np.abs(r - c * r1).max() / (abs(c) * size or 1.0)
        if distance > SAME:
            square = np.sum(r1 * r1)
            ratio = float(np.sum(r * r1) / square) if square else np.nan
            words = f"{c:g} times the {what} gives {ratio:.4g} times the result; a rule is linear in the {what}."
            return words, Kind.NONLINEAR, float(distance)
    if not np.isfinite(zero).all():
        return f"for a {what} of 0 the result is NaN or infinite.", Kind.NONFINITE, 1.0
    distance = np.abs(both - r1 - r2).max() / (size or 1.0)
    if distance > SAME:
        return f"the result for a sum of two {what}s is not the sum of their results.", Kind.NONLINEAR, float(distance)
    return "", Kind.NONLINEAR, float(distance)


def check_residuals(examined: Examined, other: np.ndarray) -> tuple[list[Finding], list[Witness]]:
    """Whether a backward pass is the same after a later forward pass, at another point (n,)."""
    cotangent = list(random_like(examined.outputs, 1).values())
    elsewhere = examined.inputs.layout.tree(other)
    fresh, late = examined.at(pullback, cotangent), examined.at(late_pullback, (elsewhere, cotangent))
    findings, error = [], 0.0
    for name, ours in fresh.items():
        size = np.max(np.abs(ours), initial=0.0)
        distance = np.max(np.abs(late[name] - ours), initial=0.0) / (size or 1.0)
        error = max(error, float(distance))
        if distance > SAME:
            words = "the result changes when the function is called once more before the backward pass"
            findings.append(mismatch(Kind.STALE, name, f"{words}: the rule reads the last call, not its residuals."))
    verdict = "disagrees" if findings else "agrees"
    return findings, [Witness("residuals of its own call", RULE, verdict, error, "after a later forward pass")]


def taken_at_another_point(hand: np.ndarray, reference: np.ndarray) -> bool:
    """Whether the rule gives at every point the derivative at one of them; hand, reference: (points, n).

    >>> taken_at_another_point(np.array([[2.0], [2.0]]), np.array([[2.0], [4.0]]))
    True
    """
    if len(hand) < 2 or not np.isfinite(reference).all():
        return False
    bar = SAME * np.abs(reference).max(axis=0)
    for k, row in enumerate(reference):
        others = np.delete(reference, k, axis=0)
        moves = (np.abs(others - row) > 100 * bar).any(axis=1).all()  # at each of the others, not at a kink alone
        if moves and (np.abs(hand - row) <= bar).all():
            return True
    return False
