r"""The fit of a linear classifier: the minimiser by Newton's method, or the reason why there is none.

Coordinates. Newton's steps are taken in w, θ = T w, where the columns of [X; diag(δ)] are orthonormal (the rows of X
times the roots of their weights). There the cost is as round as the examples allow, whatever the units, offsets and
powers in X. Back in θ, two more steps with the gradient taken there remove what the rounding of T left.

Separable classes. If some v has margins ≥ 0 on all examples and > 0 on one, the cost falls for ever along v and has no
minimum (Albert and Anderson, Biometrika 71, 1984). A complete separation shows in θ itself, which is tried after every
step. But for ties: θ is the sum of v, which grows, and of what the tied examples determine. Those are the examples
whose class stays in doubt; with H their Hessian, v is sought by the power method on (I + H/μ)⁻¹, which leaves alone
what they do not see and shrinks the rest. Every v on the way is tried, and only a v that separates proves anything: a
margin counts as 0 within the rounding of its own sum Σ_j x_j v_j. A parameter that is penalised cannot escape, so only
the others count in v.

Dependent columns. The minimiser is not unique, and of all of them θ is made the one of least norm.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import (
    Factored,
    Whitened,
    gram,
    minimum_norm,
    product,
    spd_factor,
    transpose_product,
    whiten,
)
from jax_course.linalg.lapack import cho_solve, cholesky
from jax_course.optimization.newton import damped_newton
from jax_course.optimization.solution import Method, Solution, Status, select_status

CORRECTIONS = 2  # one is enough as a rule
POWER_STEPS = 8  # in float64 four leave only rounding of what the ties see; float32 shrinks it more slowly
DOUBTS = (1e-2, 1e-4, 1e-6, 1e-8)  # a class is in doubt while its π, or π(1 − π), is above; each is tried
MARGIN_ROUNDINGS = 128  # with 32, ties of v from the solve above still counted as margins below 0


class Likelihood(NamedTuple):
    """What a model makes of its examples, without the penalty. X is an argument because it changes coordinates."""

    cost: Callable[[Array, Array], Array]  # of theta and X
    gradient: Callable[[Array, Array], Array]
    hessian: Callable[[Array, Array], Array]
    hessian_in_doubt: Callable[[Array, Array, Array], Array]  # of logits, X and a doubt: of the classes above it only
    probabilities: Callable[[Array], Array]  # of logits
    margins: Callable[[Array], Array]  # of logits: how far each is on the right side; inf where nothing is asked of it
    reach: Callable[[Array], Array]  # of |X||θ|: the size of what the margins are differences of
    weights: Array  # how often each example counts, as broadcasts against the logits


def minimise(of: Likelihood, X: Array, delta2: Array, max_steps: Array | int) -> Solution:
    """The theta, of the shape of the penalties delta2, at the minimum of the cost plus Σ delta2 theta²."""
    rows = _weighted_rows(of, X)
    white = whiten(rows, _of_rows(delta2))
    end = _newton(of, X, delta2, white, max_steps)
    escaped = (end.found.status == Status.UNBOUNDED) | _escapes(of, X, delta2, end)
    unique = jnp.all(white.kept) & end.factored.is_regular()
    theta, rank = lax.cond(
        unique | escaped,
        lambda theta: (theta, jnp.array(X.shape[1])),
        lambda theta: _least_norm(theta, rows, delta2),
        product(white.T, end.found.theta),
    )
    solution, small = _solution(of, X, delta2, end, theta)
    return solution._replace(status=_status(end.found.status, escaped, small, rank < X.shape[1]))


class _End(NamedTuple):
    """Where Newton's method in w ended."""

    found: Solution
    white: Whitened  # X T, without the roots of the weights
    start: Array  # the gradient at θ = 0
    extra_curvature: Array
    H: Array
    factored: Factored


def _weighted_rows(of: Likelihood, X: Array) -> Array:
    return X if of.weights.size == 1 else jnp.sqrt(of.weights.reshape(-1, 1)) * X


def _of_rows(delta2: Array) -> Array:
    return jnp.mean(delta2.reshape(len(delta2), -1), axis=1)


def _newton(of: Likelihood, X: Array, delta2: Array, white: Whitened, max_steps: Array | int) -> _End:
    white = white._replace(X=product(X, white.T))
    extra_curvature = _extra_curvature(white, delta2)
    origin = jnp.zeros_like(delta2)
    start = of.gradient(origin, X)

    def hessian(w):
        return of.hessian(w, white.X) + extra_curvature

    def cost(w):
        return of.cost(w, white.X) + jnp.sum(delta2 * product(white.T, w) ** 2)

    def gradient(w):
        return of.gradient(w, white.X) + transpose_product(white.T, 2 * delta2 * product(white.T, w))

    rounded = rounded_gradient(of, white.X, jnp.zeros_like(delta2), origin)
    found = damped_newton(
        cost,
        origin,
        gradient=gradient,
        hessian=hessian,
        tolerance=tolerance(jnp.linalg.norm(transpose_product(white.T, start)), rounded),
        max_steps=max_steps,
        unbounded=lambda w: _separates(of, X, delta2, product(white.T, w))[0],
    )
    H = hessian(found.theta).reshape(origin.size, origin.size)
    return _End(found, white, start, extra_curvature, H, spd_factor(H))


def _is_flat(end: _End, delta2: Array) -> Array:
    """Whether there is hardly any curvature along some direction that no penalty holds: it may be an escape.

    Along an escape the curvature ends with the gradient: where there is some in all directions, none is looked for.
    """
    curvature = jnp.diagonal(end.H)
    least = end.factored.rcond * jnp.min(curvature) / jnp.max(curvature)
    return (least < jnp.cbrt(jnp.finfo(end.H.dtype).eps)) & jnp.any(delta2 == 0)


def _solution(of: Likelihood, X: Array, delta2: Array, end: _End, theta: Array) -> tuple[Solution, Array]:
    """At theta, corrected, with the status CONVERGED; and whether the gradient is small there."""

    def gradient(theta):
        return of.gradient(theta, X) + 2 * delta2 * theta

    theta, g = _corrected(theta, gradient, end.white.T, end.factored)
    small = jnp.linalg.norm(g) <= tolerance(jnp.linalg.norm(end.start), rounded_gradient(of, X, delta2, theta))
    cost = of.cost(theta, X) + jnp.sum(delta2 * theta**2)
    status, method = (jnp.array(code, jnp.int32) for code in (Status.CONVERGED, Method.NEWTON))
    found = end.found
    return Solution(theta, cost, jnp.linalg.norm(g), found.steps, status, found.evaluations, method), small


def _status(of_newton: Array, escaped: Array, small: Array, deficient: Array) -> Array:
    return select_status(
        [escaped, small & deficient, small, of_newton == Status.CONVERGED],
        [Status.SEPARABLE, Status.RANK_DEFICIENT, Status.CONVERGED, Status.NO_DESCENT],
        of_newton,
    )


def _extra_curvature(white: Whitened, delta2: Array) -> Array:
    """The penalty's curvature in w; and 1 wherever C has none, so that H is not singular. There the gradient is 0 too.

    C is flat along the directions that the rank lacks, and along one vector added to all classes, where the penalty
    does not tell the classes apart.
    """
    columns = delta2.reshape(delta2.shape[0], -1)
    d, K = columns.shape
    missing = jnp.diag(jnp.where(white.kept, 0, 1).astype(delta2.dtype))
    of_a_class = lax.map(lambda delta2: 2 * gram(white.T, weights=delta2) + missing, columns.T)
    alike = jnp.all(columns == columns[:, :1]) & (K > 1)
    of_a_shift = jnp.where(alike, 1 / K**2, 0).astype(delta2.dtype) * jnp.eye(d, dtype=delta2.dtype)
    curvature = jnp.einsum("kjl,kn->jkln", of_a_class, jnp.eye(K, dtype=delta2.dtype)) + of_a_shift[:, None, :, None]
    return curvature.reshape(delta2.shape + delta2.shape)


def tolerance(norm_at_start: Array, rounded: Array) -> Array:
    """1e-10 of the gradient at the start, or what rounding leaves of it if that is more."""
    return jnp.maximum(1e-10 * norm_at_start, jnp.linalg.norm(rounded))


def rounded_gradient(of: Likelihood, X: Array, delta2: Array, theta: Array) -> Array:
    """What rounding may add to the gradient at theta.

    Every z is rounded as a sum of x_j θ_j, and takes π along with the slope π(1 − π); π is rounded as a number up to 1.
    """
    pi, size = of.probabilities(product(X, theta)), jnp.abs(X)
    of_pi = 1 + pi * (1 - pi) * product(size, jnp.abs(theta))
    rounded = transpose_product(size, of.weights * of_pi) + 2 * delta2 * jnp.abs(theta)
    return 8 * jnp.finfo(X.dtype).eps * rounded


def _separates(of: Likelihood, X: Array, delta2: Array, v: Array) -> tuple[Array, Array]:
    """Whether v separates the examples completely, and whether it does but for ties."""
    v = jnp.where(delta2 == 0, v, 0)
    margins = of.margins(product(X, v))
    asked = jnp.isfinite(margins)
    largest = jnp.max(margins, initial=0, where=asked)
    rounding = MARGIN_ROUNDINGS * jnp.finfo(X.dtype).eps * (of.reach(product(jnp.abs(X), jnp.abs(v))) + largest)
    return jnp.all(margins > rounding), jnp.all(margins >= -rounding) & jnp.any(asked & (margins > rounding))


def _escapes(of: Likelihood, X: Array, delta2: Array, end: _End) -> Array:
    """Whether the examples are separable but for ties, seen from where Newton's method ended."""
    white, w = end.white, end.found.theta
    mu = jnp.sqrt(jnp.finfo(X.dtype).eps)
    length = jnp.linalg.norm(white.X, axis=1, keepdims=True)
    unit_rows = white.X / jnp.where(length > 0, length, 1)

    def is_seen(doubt):
        curvature = of.hessian_in_doubt(product(white.X, w), unit_rows, doubt) + end.extra_curvature
        L = cholesky(curvature.reshape(end.H.shape) / mu + jnp.eye(len(end.H), dtype=X.dtype))

        def purer(_, state):
            v, seen = state
            seen |= _separates(of, X, delta2, product(white.T, v.reshape(w.shape)))[1]
            return cho_solve(L, v), seen

        return lax.fori_loop(0, POWER_STEPS, purer, (w.reshape(-1), jnp.array(False)))[1]

    return lax.cond(
        _is_flat(end, delta2),
        lambda: jnp.any(lax.map(is_seen, jnp.array(DOUBTS, X.dtype))),
        lambda: jnp.array(False),
    )


def _least_norm(theta: Array, rows: Array, delta2: Array) -> tuple[Array, Array]:
    """Of all theta with these predictions and this penalty the one of least norm, and the least rank of a class."""

    def of_a_class(theta_and_delta2):
        theta, delta2 = theta_and_delta2
        return minimum_norm(jnp.concatenate([rows, jnp.diag(jnp.sqrt(delta2))]), theta)

    classes = (values.reshape(rows.shape[1], -1).T for values in (theta, delta2))
    theta, rank = lax.map(of_a_class, tuple(classes))
    return theta.T.reshape(delta2.shape), jnp.min(rank)


def _corrected(theta: Array, gradient: Callable[[Array], Array], T: Array, H: Factored) -> tuple[Array, Array]:
    """theta after Newton's steps with its own gradient, and the gradient; no step where it would not help."""

    def correct(_, state):
        theta, g = state
        step = H.solve(transpose_product(T, g).reshape(-1)).reshape(theta.shape)
        new_theta = theta - product(T, step)
        new_g = gradient(new_theta)
        better = jnp.linalg.norm(new_g) < jnp.linalg.norm(g)
        return jnp.where(better, new_theta, theta), jnp.where(better, new_g, g)

    return lax.fori_loop(0, CORRECTIONS, correct, (theta, gradient(theta)))
