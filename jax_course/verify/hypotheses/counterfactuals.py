"""Hypotheses that the formula is right, but for other data or at other parameters."""

from collections.abc import Callable, Iterator

import numpy as np

from jax_course.verify.context import Context
from jax_course.verify.contributions import scalars
from jax_course.verify.evidence import Evidence
from jax_course.verify.findings import Guess, Kind
from jax_course.verify.parameters import Inputs
from jax_course.verify.parts import FIT, Part

Predictions = Iterator[tuple[Guess, np.ndarray]]  # a mistake, and the derivative (p, E) that it would give


def counterfactual(part: Part) -> Guess | None:
    """h is the derivative of the cost with something forgotten, exchanged or transposed."""
    evidence = part.evidence
    if not part.whole or not np.isfinite(evidence.tolerance).all() or evidence.may_not_end:
        return None
    hand, bar = evidence.hand, evidence.tolerance
    for guess, prediction in _predictions(evidence):
        size = np.maximum(np.abs(hand), np.abs(prediction)).max(axis=0)
        if prediction.shape == hand.shape and (np.abs(hand - prediction) <= FIT * size + bar).all():
            return guess
    return None


def complement_of_a_keyword(part: Part) -> Guess | None:
    """h is the derivative with 1 − τ in the place of a keyword τ, as where two shares are exchanged."""
    evidence = part.evidence
    estimate, inputs = evidence.derivative.estimate, evidence.context.inputs
    if estimate is None or not part.whole or evidence.may_not_end:
        return None
    for name, value in scalars(inputs).items():
        if value >= 1 or value == 0.5:
            continue
        other = inputs._replace(numbers=inputs.numbers | {name: 1 - inputs.numbers[name]})
        guess = Guess(Kind.INDEX, f"yours is computed with 1 − `{name}` in the place of `{name}`.")
        for found, prediction in _predicted(guess, lambda other=other: estimate(other, evidence.points)):
            if part.holds(part.select(prediction)) and not part.holds(part.reference):
                return found
    return None


def parameters_at_zero(part: Part) -> Guess | None:
    """h is the gradient with all parameters at 0."""
    estimate = part.evidence.derivative.estimate
    if part.evidence.name != "gradient" or not part.whole or estimate is None or part.evidence.may_not_end:
        return None
    guess, zero = (
        Guess(Kind.MISSING, "yours is computed as if all parameters were 0."),
        np.zeros_like(part.evidence.points),
    )
    for found, prediction in _predicted(guess, lambda: estimate(part.evidence.context.inputs, zero)):
        if part.holds(part.select(prediction)):
            return found
    return None


def constant_in_parameters(part: Part) -> Guess | None:
    """h is the same at every point, and r is not."""
    if part.evidence.name != "gradient" or len(part.hand) < 3 or np.isclose(part.hand, part.reference).all():
        return None
    still = np.ptp(part.hand, axis=0) <= 1e-12 * np.abs(part.hand).max(axis=0)
    moving = np.ptp(part.reference, axis=0) > 1e-6 * np.abs(part.reference).max(axis=0)
    if not still.all() or not moving.any():
        return None
    words = "yours does not change with the parameters, as the derivative does"
    return Guess(Kind.UNKNOWN, f"{words}: it is taken at another point, or a part is left out.")


def _predictions(evidence: Evidence) -> Predictions:
    """Mistakes in the data or the parameters, each with the derivative that it would give."""
    context, points, estimate = evidence.context, evidence.points, evidence.derivative.estimate
    inputs, hand = context.inputs, evidence.derivative.hand
    if estimate is None:
        return
    for name, array in reversed(list(inputs.named_arrays(context.cost))):  # targets are written last
        for guess, changed in (*_opposite_order(evidence, name, array), *_changes(name, array)):
            other = _with_array(inputs, array, changed)
            yield from _predicted(guess, lambda other=other: estimate(other, points))
        if array.ndim == 2 and array.shape[0] == array.shape[1] and evidence.name == "gradient":
            words = f"yours is right only for a symmetric `{name}`: {name} where ({name} + {name}ᵀ)/2 is meant."
            even = _with_array(inputs, array, (array + array.T) / 2)
            yield from _predicted(Guess(Kind.TRANSPOSE, words), lambda even=even: (
                hand(inputs, points) + estimate(even, points) - hand(even, points)))  # fmt: skip
    for place, kept in (("last", slice(0, -1)), ("first", slice(1, None))) if inputs.examples > 2 else ():
        guess = Guess(Kind.MISSING, f"yours is computed without the {place} example.")
        yield from _predicted(guess, lambda kept=kept: estimate(inputs.rows(kept), points))
    for name, changed in _without_leaves(context, points):
        guess = Guess(Kind.MISSING, f"yours is computed as if {name} were 0.")
        yield from _predicted(guess, lambda changed=changed: estimate(inputs, changed))
    for name, changed in _opposite_leaves(context, points):
        guess = Guess(Kind.SIGN, f"yours is computed as if {name} had the opposite sign.")
        yield from _predicted(guess, lambda changed=changed: estimate(inputs, changed))


def _with_array(inputs: Inputs, old: np.ndarray, new: np.ndarray) -> Inputs:
    return inputs.with_arrays(lambda array: new if array is old else array)


def _predicted(guess: Guess, predict: Callable[[], np.ndarray]) -> Predictions:
    try:
        prediction = predict()
    except Exception:  # data of that kind is no data for this cost
        return
    if np.isfinite(prediction).all():
        yield guess, prediction


def _opposite_order(evidence: Evidence, name: str, array: np.ndarray) -> Predictions:
    """An array of which only the order counts, as of times, in the opposite order."""
    estimate, inputs, points = evidence.derivative.estimate, evidence.context.inputs, evidence.points
    if array.ndim != 1 or array.dtype.kind != "f" or len(np.unique(array)) < 3 or estimate is None:
        return
    order = np.unique(array, return_inverse=True)[1].reshape(array.shape).astype(array.dtype)
    if np.array_equal(order, array):  # numbers of classes
        return
    ranks = _predicted(Guess(Kind.INDEX, ""), lambda: estimate(_with_array(inputs, array, order), points))
    if any(np.allclose(prediction, evidence.reference, rtol=1e-9, atol=0) for _, prediction in ranks):
        yield Guess(Kind.INDEX, f"yours is computed in the opposite order of `{name}`."), -array


def _changes(name: str, array: np.ndarray) -> Predictions:
    """Mistakes in an array of data, each with the array that it would be right for."""
    if array.dtype.kind == "u":  # a key of random numbers
        return
    kind, values = array.dtype.kind, np.unique(array)
    if kind == "f":
        yield Guess(Kind.MISSING, f"yours is computed as if `{name}` were 0: it is left out."), np.zeros_like(array)
        yield Guess(Kind.SIGN, f"yours is computed as if `{name}` had the opposite sign."), -array
    if np.isin(values, (0, 1)).all() and kind in "fiu":
        yield Guess(Kind.INDEX, f"yours is computed with the labels 0 and 1 of `{name}` exchanged."), 1 - array
    elif np.isin(values, (-1, 1)).all() and kind in "fi":
        words = f"yours is computed with 0 in the place of −1 in `{name}`, so that these examples are left out."
        yield Guess(Kind.MISSING, words), np.maximum(array, 0)
    elif kind in "iu" and values[0] >= 0:
        for step in (1, -1):
            words = f"yours is computed with the class numbers in `{name}` off by {step:+d}."
            yield Guess(Kind.INDEX, words), (array + step) % (values[-1] + 1)
        words = f"yours is computed with the class numbers in `{name}` in reversed order."
        yield Guess(Kind.INDEX, words), values[-1] - array
    if len(array) > 1:
        for step in (1, -1):
            words = f"yours is computed with `{name}` shifted by {step:+d} against the other data."
            yield Guess(Kind.INDEX, words), np.roll(array, step, axis=0)
        yield Guess(Kind.INDEX, f"yours is computed with `{name}` in reversed order."), array[::-1]
    if array.ndim == 2 and array.shape[1] > 1:
        yield Guess(Kind.INDEX, f"yours is computed with the columns of `{name}` in reversed order."), array[:, ::-1]
        for step in (1, -1) if array.shape[1] > 2 else ():
            words = f"yours is computed with the columns of `{name}` shifted by {step:+d}."
            yield Guess(Kind.INDEX, words), np.roll(array, step, axis=1)
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        words = f"yours is computed with `{name}` transposed: {name} and {name}ᵀ are exchanged somewhere."
        yield Guess(Kind.TRANSPOSE, words), np.ascontiguousarray(array.T)


def _without_leaves(context: Context, points: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The points with one leaf of several at 0."""
    layout = context.layout
    for name, entries in zip(layout.names, layout.slices, strict=True) if len(layout.names) > 1 else ():
        changed = points.copy()
        changed[:, entries] = 0
        yield f"`{name}`", changed


def _opposite_leaves(context: Context, points: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The points with one leaf of several with the opposite sign."""
    layout = context.layout
    for name, entries in zip(layout.names, layout.slices, strict=True) if len(layout.names) > 1 else ():
        changed = points.copy()
        changed[:, entries] *= -1
        yield f"`{name}`", changed
