"""The context of an examination: the cost, its inputs and the points; and its derivatives there by differences."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jax_course.verify import differences
from jax_course.verify.evaluation import evaluate, gradients
from jax_course.verify.findings import Finding, Witness
from jax_course.verify.parameters import Inputs, Layout

PROBES = 3  # points beside the one given; with one only, a factor that changes with a parameter is not named
SMALL = 100  # parameters; with more, Hessians and differences of every entry are computed at two points only
ENTRYWISE = 2_000  # parameters; with more, differences are taken of SAMPLE entries only
SAMPLE = 40  # entries of a gradient, half of them the worst; with 10 every mistake of the tests is found, too
EPS = float(np.finfo(np.float64).eps)

Entries = Callable[[Inputs, np.ndarray], np.ndarray]  # of inputs and points (p, n): a row of E entries for each point


class Context(NamedTuple):
    """The cost, its inputs and the points at which its derivatives are examined.

    points: (points, n), the point given first. has_gradient, has_hessian: whether autodiff gives them. ruled: the
    gradients (points, n) by wrong rules that the cost's functions had for their derivatives, if there were any. plain:
    whether the derivative is that without such rules, too, so that the diagnosis may look into the functions.

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> inputs, point = flatten_inputs(sum, np.array([1.0, 2.0]), (), {})
    >>> context = Context(inputs, lambda x: x @ x, point[None], True, True)
    >>> context.values(context.points).tolist(), context.gradients(context.points).tolist()
    ([5.0], [[2.0, 4.0]])
    """

    inputs: Inputs
    cost: Callable
    points: np.ndarray
    has_gradient: bool
    has_hessian: bool
    ruled: np.ndarray | None = None
    plain: bool = False

    @property
    def layout(self) -> Layout:
        """The layout of the parameters."""
        return self.inputs.layout

    def values(self, points: np.ndarray) -> np.ndarray:
        """The cost at points (p, n), shape (p,)."""
        return np.asarray(evaluate(self.inputs, self.cost, points))

    def gradients(self, points: np.ndarray) -> np.ndarray:
        """The gradients of the cost at points (p, n) by autodiff, shape (p, n)."""
        return gradients(self.inputs, self.cost, points)


class Derivative(NamedTuple):
    """One derivative of the reader's with E entries, the reference for it, and the layout of the entries.

    name: "gradient", "hessian" or "hessian_product". hand, reference, estimate, gradient: functions of inputs and
    points (p, n). hand: the reader's derivative, (p, E). reference: autodiff's, if there is one. estimate: the
    reference, or else differences, for the diagnosis. gradient: the cost's gradients (p, n), to take differences of:
    autodiff's, or the reader's once it is known to be right. identity: the derivative of ½‖θ‖² at the points: θ itself,
    the unit matrix, or the direction v of a product. function: as the reader wrote it, where
    the diagnosis may look into it.
    """

    name: str
    layout: Layout
    hand: Entries
    reference: Entries | None
    identity: np.ndarray
    gradient: Entries | None
    estimate: Entries | None
    function: Callable | None = None

    @property
    def pair(self) -> tuple[Entries, Entries]:
        """hand and reference, of a derivative that has a reference."""
        assert self.reference is not None
        return self.hand, self.reference


class Comparison(NamedTuple):
    """The reader's derivative compared with differences.

    findings: reasons why a difference from autodiff is no mistake. reference, tolerance: (points, E), corrected where
    autodiff is wrong; an infinite tolerance where nothing is known. witness: the comparison itself.
    """

    findings: list[Finding]
    reference: np.ndarray
    tolerance: np.ndarray
    witness: Witness


def leaf_scales(layout: Layout, point: np.ndarray) -> np.ndarray:
    """The size of each parameter, (n,): |θ_j|, at least the root mean square of its leaf; 1 in a leaf of zeros.

    >>> leaf_scales(Layout(None, ("b", "w"), ((), (2,))), np.array([0.0, 3.0, 0.0])).round(3).tolist()
    [1.0, 3.0, 2.121]
    """
    parts = [np.ravel(leaf) for leaf in layout.leaves(point)]
    typical = [np.sqrt(np.mean(part**2)) if part.any() else 1.0 for part in parts]
    return np.concatenate([np.maximum(np.abs(part), size) for part, size in zip(parts, typical, strict=True)])


def entry_scales(layout: Layout, point: np.ndarray) -> np.ndarray:
    """The size of each parameter, (n,): |θ_j|, however small; as in `leaf_scales` where it is 0.

    >>> entry_scales(Layout(None, ("w",), ((2,),)), np.array([4.0, 1e-3])).tolist()
    [4.0, 0.001]
    """
    return np.where(point != 0, np.abs(point), leaf_scales(layout, point))


def unit_directions(
    layout: Layout, point: np.ndarray, entries: np.ndarray, scales: Callable = leaf_scales
) -> tuple[np.ndarray, np.ndarray]:
    """Directions along single parameters (k, n), each as long as its parameter is large, and those lengths (k,).

    >>> unit_directions(Layout(None, ("w",), ((2,),)), np.array([4.0, 4.0]), np.array([1]))[0].tolist()
    [[0.0, 4.0]]
    """
    sizes = scales(layout, point)[entries]
    directions = np.zeros((len(entries), point.size))
    directions[np.arange(len(entries)), entries] = sizes
    return directions, sizes


def difference_gradient(context: Context, point: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entries (k,) of the gradient at a point, and their error bars (k,).

    A parameter that is small in its leaf is moved by its own size, too, if that tells more.
    """
    value, error, sizes = _differences(context, point, entries, leaf_scales)
    small = entry_scales(context.layout, point)[entries] < sizes
    wide = np.flatnonzero(small & ~(error <= 1e-3 * np.abs(value)))
    if len(wide):
        closer, narrower, _ = _differences(context, point, entries[wide], entry_scales)
        better = narrower < error[wide]
        value[wide[better]], error[wide[better]] = closer[better], narrower[better]
    return value, error


def _differences(context: Context, point: np.ndarray, entries: np.ndarray, scales: Callable) -> tuple[np.ndarray, ...]:
    """Entries (k,) of the gradient, their error bars and the sizes of the moves."""
    directions, sizes = unit_directions(context.layout, point, entries, scales)
    slope = differences.along(context.values, point, directions)
    return slope.value / sizes, 5 * slope.error / sizes, sizes


def difference_hessian(layout: Layout, gradient: Callable, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Hessian at a point in block order (n²,) from differences of the gradient, and its error bars (n²,)."""
    directions, sizes = unit_directions(layout, point, np.arange(point.size))
    slope = differences.along(gradient, point, directions, noise=1e-14)
    return layout.block_entries(slope.value / sizes[:, None]), layout.block_entries(5 * slope.error / sizes[:, None])


def shows_in_a_short_step(
    values: Callable, point: np.ndarray, directions: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    """Whether a step just longer than rounding shows the claimed slopes (k,) or (k, q) of values along directions.

    If so, the steps of differences are too long: the function changes over less than the smallest of them.
    """
    center = values(point[None])
    size, steepness = np.max(np.abs(center)), np.abs(slopes).reshape(len(slopes), -1).max(axis=1)
    t = np.where(steepness > 0, 1e-5 * size / np.where(steepness > 0, steepness, 1), 0)
    t = np.where(np.isfinite(t), np.minimum(t, 0.1), 0)
    offsets = t[:, None] * directions
    length = np.where(t > 0, 2 * t, 1).reshape(-1, *(1,) * (slopes.ndim - 1))
    seen = (values(point + offsets) - values(point - offsets)) / length
    far = np.abs(seen - slopes).reshape(len(slopes), -1).max(axis=1)
    return far <= 2e-2 * steepness


def first_line(error: Exception) -> str:
    """The first line of an error's message, 200 characters at most.

    >>> first_line(ValueError("too short" + chr(10) + "by 2"))
    'too short'
    """
    return (str(error).strip().splitlines() or [""])[0][:200]
