"""The state of a classifier's fit after a pass over a stream, and the Newton step from it."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course.linalg import Factored, product, shortest_solution, spd_factor
from jax_course.linalg.cholesky import rounding_noise
from jax_course.linalg.lapack import solve_triangular
from jax_course.losses import class_shift
from jax_course.optimization.quasi_newton import Pairs, add_pair, empty_pairs, two_loop_product
from jax_course.scale.class_sums import Sums
from jax_course.tiers import compiled

FALL = 1e-10  # of the gradient at θ = 0, and of θ: a smaller gradient or step counts as 0, as in the fits in memory
ROUNDINGS = 64  # ε: instead of FALL if it is more; rounding left up to 50 in float32, of means 100 deviations off 0
MEMORY = 8  # pairs of L-BFGS; most fits take fewer passes


class Reached(NamedTuple):
    """The state of a fit after a pass."""

    theta: Array
    sums: Sums  # at theta, with the penalty; the Hessian may be older
    pairs: Pairs  # the changes of the gradient since the Hessian
    slow: Array  # whether the next pass is to sum the Hessian
    delta2: Array  # the penalties
    first: Array  # ‖g‖ at θ = 0
    passes: Array
    data: np.ndarray  # the fingerprint of the data


def state_template(theta: Array, delta2: Array, data: np.ndarray) -> Reached:
    """The state before the first pass, of the shapes and dtypes of one in a checkpoint."""
    zero = jnp.zeros((), theta.dtype)
    sums = Sums(zero, theta, jnp.zeros(theta.shape * 2, theta.dtype), zero, zero)
    passes = jnp.zeros((), jnp.int32)
    return Reached(theta, sums, empty_pairs(MEMORY, theta), jnp.array(True), delta2, zero, passes, data)


def _tolerance(dtype: Any) -> float:
    """The relative size below which a gradient or a step counts as 0."""
    return max(FALL, ROUNDINGS * float(jnp.finfo(dtype).eps))


def has_small_gradient(reached: Reached) -> bool:
    """Whether the gradient is small relative to that at θ = 0."""
    return bool(jnp.linalg.norm(reached.sums.gradient) <= _tolerance(reached.theta.dtype) * reached.first)


@compiled
def is_minimiser(reached: Reached) -> Array:
    """Whether gradient and next step are small, or as small as the rounding of θ lets them be.

    Small: relative to the gradient at θ = 0, and to θ in the norm of H; a singular H asks for the gradient alone.
    """
    H, g, theta = curvature(reached.sums.hessian, reached.delta2), reached.sums.gradient, reached.theta.reshape(-1)
    factored, gradient = spd_factor(H), jnp.linalg.norm(g)
    is_short = _has_short_step(factored, g, theta, _tolerance(g.dtype))
    is_small = (gradient <= _tolerance(g.dtype) * reached.first) & (is_short | ~factored.is_regular())
    return is_small | _is_hidden_by_rounding(H, g, theta, reached.first)


def _is_hidden_by_rounding(H: Array, g: Array, theta: Array, first: Array) -> Array:
    """Whether the gradient is no larger than the rounding of θ makes it, and with the step small to half the digits.

    The rounding r of θ changes the gradient by H r, entries of about √Σ H_kj² r_j². Where H is singular, the step is
    that of H with the rounding of its diagonal added. Seen of a column that depends on others but for 10⁻⁷ or 10⁻⁸:
    relative steps of up to 3e-9 at the minimiser, and from 2e-5 on where it was not found.
    """
    eps, gradient = jnp.finfo(g.dtype).eps, jnp.linalg.norm(g)
    half, rounding = jnp.sqrt(eps), jnp.linalg.norm(H * (eps / 2 * jnp.abs(theta))[None, :])
    rounded = spd_factor(H + rounding_noise(len(H), H.dtype) * jnp.diag(jnp.diagonal(H)))
    return (gradient <= jnp.minimum(rounding, half * first)) & _has_short_step(rounded, g, theta, half)


def _has_short_step(factored: Factored, g: Array, theta: Array, share: Array | float) -> Array:
    """Whether the step H⁻¹ g is at most this share of θ, both in the norm of H."""
    size = jnp.linalg.norm(product(factored.L.T, theta / factored.scale))
    return jnp.linalg.norm(_whitened(factored, g)) <= share * size


def _factored(H: Array, delta2: Array) -> Factored:
    return spd_factor(curvature(H, delta2))


def curvature(H: Array, delta2: Array) -> Array:
    """The Hessian with the penalty, regular for several classes too.

    C has no curvature, and no gradient, along a vector added to all classes. There the curvature becomes that of the
    column's own entries, so that it fits the unit of each column.
    """
    H = H.reshape((delta2.size,) * 2) + jnp.diag(2 * delta2.reshape(-1))
    if delta2.ndim == 2:
        d, K = delta2.shape
        own = jnp.diag(jnp.mean(jnp.diagonal(H).reshape(d, K), axis=1))
        H = H + class_shift(own, K).reshape(H.shape)
    return H


def newton_step(reached: Reached) -> tuple[Array, bool]:
    """H⁻¹ g, and whether H is regular; if it is not, the step s of least norm with H s = g."""
    step, regular = _step(reached)
    if regular:
        return step, True
    H, g = curvature(reached.sums.hessian, reached.delta2), reached.sums.gradient
    shortest = shortest_solution(H, g.reshape(-1))
    return shortest.reshape(step.shape), False


@compiled
def _step(reached: Reached) -> tuple[Array, Array]:
    """H⁻¹ g, corrected by L-BFGS in coordinates in which H is the identity; and whether H is regular."""
    g, factored = reached.sums.gradient, _factored(reached.sums.hessian, reached.delta2)
    u = two_loop_product(reached.pairs, _whitened(factored, g))
    step = factored.scale * solve_triangular(factored.L, u, lower=True, trans=1)
    return step.reshape(g.shape), factored.is_regular()


@compiled
def updated_pairs(start: Reached, theta: Array, g: Array) -> Pairs:
    """The pairs after a step to theta, where the gradient is g."""
    factored = _factored(start.sums.hessian, start.delta2)
    s = product(factored.L.T, (theta - start.theta).reshape(-1) / factored.scale)
    return add_pair(start.pairs, s, _whitened(factored, g) - _whitened(factored, start.sums.gradient))


def _whitened(factored: Factored, g: Array) -> Array:
    """The gradient in coordinates in which H is the identity."""
    return factored.half_solve(g.reshape(-1, 1))[:, 0]
