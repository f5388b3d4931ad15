"""The setting of a claim: the values at which a line is judged, as inputs of the doctor, and the line's entries there.

The arguments that are moved from point to point are the doctor's parameters, a tuple; the others are its data.
"""

import inspect
from typing import Any, NamedTuple

import jax
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.context import PROBES, leaf_scales
from jax_course.verify.evaluation import evaluate, evaluate_one
from jax_course.verify.findings import Finding, Kind
from jax_course.verify.lines import Arguments, Claim, Quantity
from jax_course.verify.parameters import Inputs, Layout, flatten_inputs
from jax_course.verify.tracing import output_structure

LINE = "line"  # the name of the array that a line's function returns


class Named:
    """A quantity as a function of the moved arguments, a tuple, and of the others: arrays in order, numbers by name."""

    def __init__(self, quantity: Quantity, moved: tuple[str, ...], arrays: tuple[str, ...], nested: int = 0):
        self.quantity, self.moved, self.arrays, self.nested = quantity, moved, arrays, nested

    def __call__(self, params: tuple, *arguments: Any, **keywords: Any) -> Any:
        given = {**keywords, **dict(zip(self.arrays, arguments, strict=False))}
        given |= dict(zip(self.moved, params, strict=True))
        value = self.quantity(given)
        for _ in range(self.nested):  # the structure of a derivative by a tuple of one parameter
            value = (value,)
        return value

    @property
    def __signature__(self) -> inspect.Signature:
        kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(name, kinds) for name in ("params", *self.arrays)])


class Setting(NamedTuple):
    """A claim and the values at which it is judged. point: (n,), of the moved arguments. arrays: names of the data."""

    arguments: Arguments
    claim: Claim
    inputs: Inputs
    point: np.ndarray
    arrays: tuple[str, ...]

    def function(self, quantity: Quantity, nested: int = 0) -> Function:
        """The quantity as a function of the moved arguments and the data."""
        return Function(Named(quantity, self.claim.moved, self.arrays, nested))

    def output(self, quantity: Quantity) -> Any:
        """The quantity at the point, or only its shapes where JAX can trace it."""
        function = self.function(quantity)
        structure = output_structure(self.inputs, function, self.point)
        return evaluate_one(self.inputs, function, self.point) if structure is None else structure

    def rows(self, quantity: Quantity, points: np.ndarray) -> np.ndarray:
        """All entries of the quantity at points (p, n), shape (p, E)."""
        return entries(self.function(quantity), self.inputs, points)

    def points(self, quantity: Quantity) -> np.ndarray:
        """The point given and a few beside it, near enough that the quantity is finite there."""
        rng, point = np.random.default_rng(0), self.point
        for distance in (0.1, 0.01, 0.001):
            scale = distance * leaf_scales(self.inputs.layout, point)
            beside = point + scale * rng.standard_normal((PROBES, point.size))
            beside = beside.astype(np.float32).astype(np.float64)
            if np.isfinite(self.rows(quantity, beside).astype(float)).all():
                return np.concatenate([point[None], beside])
        return point[None]


def read_setting(arguments: Arguments, claim: Claim) -> Setting:
    """The setting of a claim at the values of the arguments."""
    others = {name: value for name, value in arguments.values.items() if name not in claim.moved}
    arrays = {name: value for name, value in others.items() if any(map(np.ndim, jax.tree_util.tree_leaves(value)))}
    numbers = {name: value for name, value in others.items() if name not in arrays}
    params = tuple(jax.tree_util.tree_map(_as_float, arguments.look_up(name, arguments.values)) for name in claim.moved)
    cost = Named(claim.cost, claim.moved, tuple(arrays))
    inputs, point = flatten_inputs(cost, params, tuple(arrays.values()), numbers)
    inputs = inputs._replace(layout=inputs.layout._replace(names=_names(inputs.layout.names, claim.moved)))
    return Setting(arguments, claim, inputs, point, tuple(arrays))


def _as_float(leaf: Any) -> np.ndarray:
    return np.asarray(leaf, float)


def _names(names: tuple[str, ...], moved: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the leaves of a tuple of arguments, "0.W1", with the name of the argument, "params.W1"."""
    found = []
    for name in names:
        number, _, below = name.partition(".")
        found.append(f"{moved[int(number)]}.{below}" if below else moved[int(number)])
    return tuple(found)


def entries(function: Function, inputs: Inputs, points: np.ndarray) -> np.ndarray:
    """All entries of a function's output at points (p, n), shape (p, E)."""
    leaves = [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(evaluate(inputs, function, points))]
    return np.concatenate([leaf.reshape(len(points), -1) for leaf in leaves], axis=1)


def value_layout(expected: Any) -> Layout:
    """The layout of a line's entries, from its value or its shapes."""
    paths, treedef = jax.tree_util.tree_flatten_with_path(expected)
    names = tuple(jax.tree_util.keystr(path, simple=True, separator=".") or LINE for path, _ in paths)
    return Layout(treedef, names, tuple(np.shape(leaf) for _, leaf in paths))


def shape_findings(expected: list[tuple[int, ...]], output: Any) -> list[Finding]:
    """Findings where a line's output has not the shapes that it should have."""
    shapes = [np.shape(leaf) for leaf in jax.tree_util.tree_leaves(output)]
    if shapes == expected:
        return []
    if not shapes:
        words = "this line returns nothing (None): is `return` missing in front of its last line?"
        return [Finding(Kind.SHAPE, "value", "line", (), None, None, words)]
    got, needed = (", ".join(map(str, found)) for found in (shapes, expected))
    alone = len(shapes) == len(expected) == 1
    transposed = alone and shapes[0] == expected[0][::-1]
    short = alone and shapes[0][1:] == expected[0][1:] and bool(shapes[0]) and shapes[0][0] == expected[0][0] - 1
    hint = ": rows and columns are exchanged" if transposed else ": one is left out" if short else ""
    words = f"this line has shape {got} where {needed} is expected{hint}."
    return [Finding(Kind.TRANSPOSE if transposed else Kind.SHAPE, "value", "line", (), got, needed, words)]
