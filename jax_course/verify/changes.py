"""How a slip in one operation of the cost changes its gradient.

Let y be the output of an operation, c = ∂C/∂y, and z the array whose derivative a slip puts in the place of that of y.
Then the gradient changes by cᵀ(∂z/∂θ − ∂y/∂θ): c is known from one gradient by additions to every output, the
derivatives of all y and z from one Jacobian by forward mode. So all slips of a cost cost as much as a Hessian.

Slips in several operations at once, as in every layer, are no sum of changes: their gradients are computed, each with
the slip built into the operations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify.findings import Guess, Kind
from jax_course.verify.plans import is_examined, keys, position
from jax_course.verify.slips import omissions, slips
from jax_course.verify.turn_slips import Turn, turn_slips
from jax_course.verify.walk import Step, walk


class Change(NamedTuple):
    """A slip, and the change (p, n) of the gradient that it makes; path: whether multiples of it are slips, too.

    step: its number. terms: the numbers of the steps that end the terms without data in which it is; none elsewhere.
    """

    kind: Kind
    words: str
    path: bool
    values: np.ndarray
    step: int
    terms: frozenset[int]


class Altered(NamedTuple):
    """A slip in several operations, or one left out, and the gradient (p, n) with it."""

    guess: Guess
    values: np.ndarray


class Changes(NamedTuple):
    """The function cost ↦ (point (n,) ↦ the change (slips, n) of the gradient by each slip of the cost).

    nested: the operations that are entered. jacobian: jax.jacfwd, or jax.jacrev for a cost that has no forward mode.

    >>> Changes(("jit",))(lambda x: jnp.sum(x**2) * 3)(jnp.array([1.0, 2.0])).shape[1]
    2
    """

    nested: tuple[str, ...]
    jacobian: Callable = jax.jacfwd

    def __call__(self, cost: Callable) -> Callable:
        """The changes as a function of a point."""

        def at_point(point):
            additions = _zeros(cost, point, self.nested)
            slopes = jax.grad(lambda additions: _perturbed(cost, point, additions, self.nested))(additions)
            return self.jacobian(lambda x: _weighted(cost, x, slopes, self.nested))(point)

        return at_point


class Outputs(NamedTuple):
    """The function cost ↦ (point (n,) ↦ the outputs (k,) of k steps that end terms of the cost), by their numbers."""

    nested: tuple[str, ...]
    numbers: tuple[int, ...]

    def __call__(self, cost: Callable) -> Callable:
        """The outputs as a function of a point."""

        def at_point(point):
            found: dict[int, Any] = {}

            def visit(step: Step, outputs: list[Any]) -> list[Any]:
                if step.number in self.numbers:
                    found[step.number] = jnp.sum(outputs[0])
                return outputs

            walk(cost, point, visit, self.nested)
            return jnp.stack([found[number] for number in self.numbers])

        return at_point


class Alterations(NamedTuple):
    """The function cost ↦ (point (n,) ↦ the gradients (rows, n) with each alteration of a plan)."""

    nested: tuple[str, ...]
    rows: tuple[tuple[tuple[str, Any], int], ...]

    def __call__(self, cost: Callable) -> Callable:
        """The gradients with each alteration, as a function of a point."""
        rows = dict(self.rows)

        def altered(point, switches):
            def visit(step: Step, outputs: list[Any]) -> list[Any]:
                if not is_examined(outputs):
                    return outputs
                y = outputs[0]
                for slip in slips(step, outputs[0]):
                    on = [switches[rows[key]] for key in keys(step, slip.words) if key in rows]
                    if on:
                        instead = outputs[0] - slip.instead if slip.path else slip.instead
                        y = _with_derivative(y, instead, sum(on))
                for _, words, value in omissions(step, outputs[0]):
                    on = [switches[rows[key]] for key in keys(step, words) if key in rows]
                    if on:
                        y = jax.lax.select(jnp.broadcast_to(sum(on) > 0, y.shape), value, y)
                return [y]

            return walk(cost, point, visit, self.nested)

        return lambda point: jax.vmap(jax.grad(altered), (None, 0))(point, jnp.eye(len(rows), dtype=point.dtype))


@jax.custom_jvp
def _with_derivative(y, instead, switch):
    """y, with the derivative of another array where the switch is 1."""
    return y


@_with_derivative.defjvp
def _with_derivative_tangent(primals, tangents):
    (y, _, switch), (y_tangent, tangent, _) = primals, tangents
    return y, (1 - switch).astype(y_tangent.dtype) * y_tangent + switch.astype(y_tangent.dtype) * tangent


def _zeros(cost: Callable, point: Any, nested: tuple[str, ...]) -> dict[int, Any]:
    """An addition of 0 to the output of each step."""
    shapes: dict[int, Any] = {}

    def visit(step: Step, outputs: list[Any]) -> list[Any]:
        if is_examined(outputs):
            shapes[step.number] = outputs[0]
        return outputs

    jax.eval_shape(lambda x: walk(cost, x, visit, nested), point)
    return {number: jnp.zeros(y.shape, y.dtype) for number, y in shapes.items()}


def _perturbed(cost: Callable, point: Any, additions: dict[int, Any], nested: tuple[str, ...]) -> Any:
    """The cost with an addition to the output of each step."""

    def visit(step: Step, outputs: list[Any]) -> list[Any]:
        return [outputs[0] + additions[step.number]] if step.number in additions else outputs

    return walk(cost, point, visit, nested)


def _weighted(cost: Callable, point: Any, slopes: dict[int, Any], nested: tuple[str, ...]) -> Any:
    """cᵀ(z − y) of each slip (slips,), whose derivatives are the changes."""
    products: list[Any] = []
    by_place: dict[Any, list[Turn]] = {}

    def visit(step: Step, outputs: list[Any]) -> list[Any]:
        if is_examined(outputs):
            y, c = outputs[0], slopes[step.number]
            by_place.setdefault(position(step), []).append(Turn(step, y))
            for slip in slips(step, y):
                products.append(jnp.sum(c * (slip.instead if slip.path else slip.instead - y)).real)
        return outputs

    walk(cost, point, visit, nested)
    for _, _, _, pairs in turn_slips(by_place):
        products.append(sum((jnp.sum(slopes[number] * z).real for number, z in pairs), jnp.zeros((), point.dtype)))
    return jnp.stack(products)
