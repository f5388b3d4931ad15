"""The lasso for many penalties in units in which no square overflows: all columns have length 1 to 2 (course 6.2).

Shapes: X (m, d), y (m,), penalties (n, d): n problems. p_j = 0 only where X_j is 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jax_course import inputs
from jax_course.linalg import column_scale, inner, is_large, transpose_product
from jax_course.linalg.cholesky import power_of_two_scale
from jax_course.members import all_members
from jax_course.regression.coordinate_descent import Point, relative_gap
from jax_course.tiers import compiled


class Descent(NamedTuple):
    """For each problem: θ (n, d), h = Xᵀr, ‖r‖² and the relative duality gap, all computed from X; and the sweeps."""

    theta: Array
    h: Array
    rr: Array
    gap: Array
    steps: Array


class Problem(NamedTuple):
    """J of θ' = unit θ / size, with the columns of X diag(scale) and y' of one size; all factors are powers of two."""

    X: Array
    y: Array
    scale: Array
    penalties: Array
    size: Array
    unit: Array

    def measured(self, thetas: Array, predictions: Array, penalties: Array) -> tuple[Point, Array]:
        """The points of thetas (n, d) with these predictions (m, n), w being r; and their relative gaps (n,)."""
        r = self.y[None, :] - predictions.T
        h, rr = self.scale[None, :] * transpose_product(self.X, r.T).T, jnp.sum(r**2, axis=1)
        return Point(thetas, r, h, rr), jax.vmap(relative_gap)(thetas, h, rr, penalties)

    def at_zero(self) -> tuple[Point, Array]:
        """The points θ = 0 of all problems, w being r; and their relative gaps (n,)."""
        n = len(self.penalties)
        h, rr = self.scale * transpose_product(self.X, self.y), inner(self.y, self.y)
        each = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)), Point(jnp.zeros_like(h), self.y, h, rr)
        )
        return each, jax.vmap(relative_gap)(each.theta, each.h, each.rr, self.penalties)

    def descent(self, points: Point, gaps: Array, steps: Array) -> Descent:
        """The result in the units of the caller."""
        theta, _, h, rr = points
        size, unit = self.size[None, :], self.unit
        return Descent(theta * size / unit, h / size / unit, rr / unit**2, gaps, steps)


def scaled_problem(X: Array, y: Array, penalties: Array) -> Problem:
    """X is scaled only where a square could overflow: a copy of X would take longer than some fits."""
    scale, unit, extreme = _units(X, y)
    p = jnp.minimum(penalties * scale[None, :] * unit, 4 * len(X))  # above 2 max|h| all p have the solution 0
    found = all_members(extreme)
    if inputs.is_concrete(found) and not np.any(np.asarray(found)):
        return Problem(X, y * unit, scale, p, scale, unit)
    return Problem(X * scale[None, :], y * unit, jnp.ones_like(scale), p, scale, unit)


@compiled
def _units(X: Array, y: Array) -> tuple[Array, Array, Array]:
    """The scales of the columns and of y, and whether one is extreme."""
    scale, unit, largest = scales(X), column_scale(y[:, None])[0], _largest(X)
    return scale, unit, (jnp.max(scale) > largest) | (jnp.min(scale) < 1 / largest)


def scales(X: Array) -> Array:
    """`column_scale`, in one read of a large X unless the square of a column is too large or too small for it.

    >>> scales(jnp.array([[3.0, 0.0], [4.0, 0.5]]))
    Array([0.25, 2.  ], dtype=float64)
    """
    if not is_large(X):
        return column_scale(X)
    squares, largest = jnp.sum(X**2, axis=0), _largest(X)
    ordinary = jnp.all((squares > largest**-2) & (squares < largest**2))
    return lax.cond(ordinary, lambda: power_of_two_scale(jnp.sqrt(squares)), lambda: column_scale(X))


def _largest(X: Array) -> float:
    """A size whose square is far from overflow, as is the square of its inverse from 0."""
    return float(jnp.finfo(X.dtype).max) ** 0.2
