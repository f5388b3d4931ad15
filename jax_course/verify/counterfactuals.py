"""What the derivative would be of other data, or at other parameters: a formula may be right, but not for this cost."""

import inspect
from collections.abc import Callable, Iterator

import jax
import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.ground import Derivative, Ground
from jax_course.verify.subject import Subject
from jax_course.verify.suspicion import Guess


def positional_names(cost: Callable, count: int) -> list[str]:
    """What the cost calls the arguments after its parameters."""
    try:
        names = [name for name, p in inspect.signature(cost).parameters.items() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        names = []
    return [names[i + 1] if i + 1 < len(names) else f"argument {i + 2}" for i in range(count)]


def named_arrays(subject: Subject, cost: Callable) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays among the arguments, under the names that the cost gives them."""
    for name, argument in zip(positional_names(cost, len(subject.arguments)), subject.arguments, strict=True):
        for path, leaf in jax.tree_util.tree_flatten_with_path(argument)[0]:
            if isinstance(leaf, np.ndarray) and leaf.ndim:
                below = jax.tree_util.keystr(path, simple=True, separator=".")
                yield f"{name}.{below}" if below else name, leaf


def otherwise(ground: Ground, derivative: Derivative, points: np.ndarray) -> Iterator[tuple[Guess, np.ndarray]]:
    """What would have to be wrong for each prediction of the derivative to be the reader's."""
    estimate, subject = derivative.estimate, ground.subject
    if estimate is None:
        return
    for name, array in reversed(list(named_arrays(subject, ground.cost))):  # targets are written last
        for guess, changed in _changes(name, array):
            other = subject.with_arrays(lambda leaf, old=array, new=changed: new if leaf is old else leaf)
            yield from _predicted(guess, lambda other=other: estimate(other, points))
        if array.ndim == 2 and array.shape[0] == array.shape[1] and derivative.of == "gradient":
            words = f"yours is right only for a symmetric `{name}`: {name} where ({name} + {name}ᵀ)/2 is meant."
            guess = Guess(Kind.TRANSPOSE, words)
            even = subject.with_arrays(lambda leaf, old=array: (old + old.T) / 2 if leaf is old else leaf)
            hand = derivative.hand(subject, points)
            yield from _predicted(guess, lambda even=even, hand=hand: (
                hand + estimate(even, points) - derivative.hand(even, points)))  # fmt: skip
    if derivative.of == "gradient":
        yield from _softmax_of_another_axis(subject, points, lambda: estimate(subject, points))
    for name, at in _without_leaves(ground, derivative.of, points):
        guess = Guess(Kind.MISSING, f"yours is computed as if {name} were 0.")
        yield from _predicted(guess, lambda at=at: estimate(subject, at))


def _softmax_of_another_axis(
    subject: Subject, points: np.ndarray, right: Callable
) -> Iterator[tuple[Guess, np.ndarray]]:
    """r + Xᵀ(P − π), where P is e^Z divided by its sum over the examples, or over everything, for Z = XW."""
    X, shapes = next((a for a in subject.arrays if a.ndim == 2), None), subject.layout.shapes
    if X is None or len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][0] != X.shape[1] or X.dtype.kind != "f":
        return
    Z = X @ points.reshape(-1, *shapes[0])
    E = np.exp(Z - Z.max(axis=(1, 2), keepdims=True))
    pi = E / E.sum(axis=2, keepdims=True)
    for axes, words in ((1, "over the examples (axis 0)"), ((1, 2), "over everything, without an axis")):
        change = (X.T @ (E / E.sum(axis=axes, keepdims=True) - pi)).reshape(len(points), -1)
        for weight in (1.0, 1 / len(X)):
            told = f"yours divides e^Z by its sum {words}; each example has a sum of its own: axis 1."
            guess = Guess(Kind.TRANSPOSE, told)
            yield from _predicted(guess, lambda change=change, weight=weight: right() + weight * change)


def _predicted(guess: Guess, predict: Callable[[], np.ndarray]) -> Iterator[tuple[Guess, np.ndarray]]:
    try:
        prediction = predict()
    except Exception:  # data of that kind is no data for this cost
        return
    if np.isfinite(prediction).all():
        yield guess, prediction


def _changes(name: str, array: np.ndarray) -> Iterator[tuple[Guess, np.ndarray]]:
    """What may be forgotten or mistaken in an array of data."""
    kind, values = array.dtype.kind, np.unique(array)
    if kind == "f":
        yield Guess(Kind.MISSING, f"yours is computed as if `{name}` were 0: it is left out."), np.zeros_like(array)
        yield Guess(Kind.SIGN, f"yours is computed as if `{name}` had the opposite sign."), -array
    if np.isin(values, (0, 1)).all() and kind in "fiu":
        yield Guess(Kind.INDEX, f"yours is computed with the labels 0 and 1 of `{name}` exchanged."), 1 - array
    elif kind in "iu" and values[0] >= 0:
        for step in (1, -1):
            words = f"yours is computed with the class numbers in `{name}` off by {step:+d}."
            yield Guess(Kind.INDEX, words), (array + step) % (values[-1] + 1)
    if len(array) > 1:
        for step in (1, -1):
            words = f"yours is computed with `{name}` shifted by {step:+d} against the other data."
            yield Guess(Kind.INDEX, words), np.roll(array, step, axis=0)
        yield Guess(Kind.INDEX, f"yours is computed with `{name}` in reversed order."), array[::-1]
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        words = f"yours is computed with `{name}` transposed: {name} and {name}ᵀ are exchanged somewhere."
        yield Guess(Kind.TRANSPOSE, words), np.ascontiguousarray(array.T)


def _without_leaves(ground: Ground, of: str, points: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The points with one leaf at 0, or all."""
    layout = ground.subject.layout
    ends = np.cumsum([0, *layout.sizes])
    for leaf, name in enumerate(layout.names if len(layout.names) > 1 else ()):
        at = points.copy()
        at[:, ends[leaf] : ends[leaf + 1]] = 0
        yield f"`{name}`", at
    if of == "gradient":
        yield "all parameters", np.zeros_like(points)
