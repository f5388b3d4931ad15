r"""The second stage of a fit: Newton's method in coordinates in which the design is orthonormal.

Steps are taken in w, θ = T w, where the columns of [X; diag(δ)] are orthonormal (the rows of X times the roots of their
weights). There the cost is as round as the examples allow, whatever the units, offsets and powers in X. Back in θ, two
more steps with the gradient taken there remove what the rounding of T left.

Dependent columns. The minimiser is not unique, and of all of them θ is made the one of least norm.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.classification.objective import Coordinates, convex_objective, tolerance
from jax_course.classification.separation import separates
from jax_course.linalg import Factored, Whitened, gram, minimum_norm, product, spd_factor, transpose_product, whiten
from jax_course.linear_cost import LinearCost
from jax_course.optimization.descent import State, descent
from jax_course.optimization.newton import newton_direction, newton_method
from jax_course.optimization.objective import Point
from jax_course.optimization.run import last_state
from jax_course.optimization.step_rules import StrongWolfe
from jax_course.solution import Method, Solution, Status, select_status

VANISHING_CURVATURE = 1 / 3  # power of ε, of the largest curvature: along a direction with less, it may be separation
CORRECTIONS = 2  # steps in θ after those in w; one is enough as a rule


class End(NamedTuple):
    """The end of Newton's method in w, and what the later stages need of it."""

    found: State  # in w
    theta: Array  # T w
    white: Whitened  # with X T, without the roots of the weights
    first_gradient: Array  # at θ = 0
    extra_curvature: Array
    H: Array
    factored: Factored
    separated: Array  # whether some w on the way separated the classes completely
    nearly_singular: Array  # whether the curvature nearly vanishes along some direction
    is_unique: Array


def whitened_newton(cost: LinearCost, max_steps: Array | int) -> End:
    """The end of Newton's method in w, from θ = 0.

    Along a direction of separation the curvature vanishes with the gradient: where there is curvature in all directions
    that no penalty holds, quasi-complete separation is out of the question.
    """
    white = whiten(weighted_rows(cost), row_penalties(cost.delta2))
    white = white._replace(X=product(cost.X, white.T))
    extra_curvature = penalty_curvature(white, cost.delta2)
    origin = jnp.zeros_like(cost.delta2)
    first_gradient = cost.gradient(origin)

    def hessian(point: Point) -> Array:
        H = cost.loss.hessian(point.extra.Z, cost.y, white.X, cost.w) + extra_curvature
        return H.reshape(point.x.size, point.x.size)

    def gradient(moment: Array, theta: Array) -> Array:
        return moment + transpose_product(white.T, 2 * cost.delta2 * theta)

    w = Coordinates(white.X, origin, lambda p: p, partial(product, white.T), gradient)
    first_norm = jnp.linalg.norm(transpose_product(white.T, first_gradient))
    rounded = cost._replace(X=white.X, delta2=jnp.zeros_like(origin)).rounded_gradient(origin)

    def is_unbounded(point: Point) -> Array:
        return separates(cost, product(white.T, point.extra.q))[0]

    method = newton_method(lambda H, g: (newton_direction(H, g), ()), is_unbounded=is_unbounded)
    algorithm = descent(method, StrongWolfe(), tolerance(first_norm, rounded), max_steps)
    found: State = last_state(algorithm, convex_objective(cost, w, hessian), origin.reshape(-1))
    H = hessian(found.point)
    factored, separated = spd_factor(H), found.status == Status.UNBOUNDED
    is_unique = jnp.all(white.kept) & factored.is_regular()
    is_singular = nearly_singular(jnp.diagonal(H), factored, cost.delta2)
    theta = product(white.T, found.point.extra.q)
    return End(found, theta, white, first_gradient, extra_curvature, H, factored, separated, is_singular, is_unique)


def least_norm(cost: LinearCost, theta: Array) -> tuple[Array, Array]:
    """The theta of least norm with the predictions and the penalty of this one, and the least rank of a class."""
    rows = weighted_rows(cost)

    def one_class(theta_and_delta2: tuple[Array, Array]) -> tuple[Array, Array]:
        theta, delta2 = theta_and_delta2
        return minimum_norm(jnp.concatenate([rows, jnp.diag(jnp.sqrt(delta2))]), theta)

    classes = (values.reshape(rows.shape[1], -1).T for values in (theta, cost.delta2))
    theta, rank = lax.map(one_class, tuple(classes))
    return theta.T.reshape(cost.delta2.shape), jnp.min(rank)


def corrected(cost: LinearCost, end: End, theta: Array, rank: Array, separated: Array) -> Solution:
    """The solution at theta after further steps there, with its status."""
    theta, g = _corrected(theta, cost.gradient, end.white.T, end.factored)
    small = jnp.linalg.norm(g) <= tolerance(jnp.linalg.norm(end.first_gradient), cost.rounded_gradient(theta))
    status = select_status(
        [separated, small & (rank < len(theta)), small, end.found.status == Status.CONVERGED],
        [Status.SEPARABLE, Status.RANK_DEFICIENT, Status.CONVERGED, Status.NO_DESCENT],
        end.found.status,
    )
    found, method = end.found, jnp.array(Method.NEWTON, jnp.int32)
    return Solution(theta, cost.value(theta), jnp.linalg.norm(g), found.steps, status, found.evaluations, method)


def weighted_rows(cost: LinearCost) -> Array:
    """X, the rows times the roots of their weights."""
    return cost.X if cost.w.ndim == 0 else jnp.sqrt(cost.w)[:, None] * cost.X


def row_penalties(delta2: Array) -> Array:
    """The penalties (d,), on average over the classes."""
    return jnp.mean(delta2.reshape(len(delta2), -1), axis=1)


def nearly_singular(curvature: Array, factored: Factored, delta2: Array) -> Array:
    """Whether there is hardly any curvature along some direction, and a parameter without a penalty.

    curvature: the diagonal of H.
    """
    least = factored.rcond * jnp.min(curvature) / jnp.max(curvature)
    return (least < jnp.finfo(curvature.dtype).eps ** VANISHING_CURVATURE) & jnp.any(delta2 == 0)


def penalty_curvature(white: Whitened, delta2: Array, sizes: Array | None = None) -> Array:
    """The penalty's curvature in w; and 1 wherever C has none, so that H is not singular. There the gradient is 0 too.

    C is flat along the directions that the rank lacks, and along one vector added to all classes, where the penalty
    does not tell the classes apart. sizes (d,): the squared lengths of the columns, by default 1.
    """
    columns = delta2.reshape(delta2.shape[0], -1)
    d, K = columns.shape
    missing = jnp.diag(jnp.where(white.kept, 0, 1).astype(delta2.dtype))
    blocks = lax.map(lambda delta2: 2 * gram(white.T, weights=delta2) + missing, columns.T)
    alike = jnp.all(columns == columns[:, :1]) & (K > 1)
    shift = jnp.where(alike, 1 / K**2, 0).astype(delta2.dtype) * jnp.eye(d, dtype=delta2.dtype)
    shift = shift if sizes is None else shift * sizes[None, :]
    blocks = jnp.einsum("kjl,kn->jkln", blocks, jnp.eye(K, dtype=delta2.dtype), precision=lax.Precision.HIGHEST)
    curvature = blocks + shift[:, None, :, None]
    return curvature.reshape(delta2.shape + delta2.shape)


def _corrected(theta: Array, gradient: Callable[[Array], Array], T: Array, factored: Factored) -> tuple[Array, Array]:
    """theta after Newton's steps with its own gradient, and the gradient; no step where it would not help."""

    def correct(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        theta, g = state
        step = factored.solve(transpose_product(T, g).reshape(-1)).reshape(theta.shape)
        new_theta = theta - product(T, step)
        new_g = gradient(new_theta)
        better = jnp.linalg.norm(new_g) < jnp.linalg.norm(g)
        return jnp.where(better, new_theta, theta), jnp.where(better, new_g, g)

    return lax.fori_loop(0, CORRECTIONS, correct, (theta, gradient(theta)))
