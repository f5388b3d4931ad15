r"""The fit of a linear classifier: the minimiser by Newton's method, or the reason why there is none.

Coordinates. Newton's steps are taken in w, θ = T w, where the columns of [X; diag(δ)] are orthonormal. There the cost
is as round as the examples allow, whatever the units, offsets and powers in X. Back in θ, two more steps with the
gradient taken there remove what the rounding of T left.

Separable classes. If some v has margins ≥ 0 on all examples and > 0 on one, the cost falls for ever along v and has no
minimum (Albert and Anderson, Biometrika 71, 1984). A complete separation shows in θ itself, which is tried after every
step. But for ties: θ is the sum of v, which grows, and of what the tied examples determine. Those are the examples
whose class stays in doubt; with H their Hessian, v is sought by the power method on (I + H/μ)⁻¹, which leaves alone what
they do not see and shrinks the rest. Every v on the way is tried. A margin counts as 0 within the rounding of its own
sum Σ_j x_j v_j, and the length of an example does not matter. A parameter that is penalised cannot escape, so only the
others count in v.

Dependent columns. The minimiser is not unique, and of all of them θ is made the one of least norm.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import cho_solve

from jax_course.linalg import Whitened, gram, minimum_norm, product, spd_solve, transpose_product, whiten
from jax_course.optimization.newton import newton
from jax_course.optimization.solution import Solution, Status

CORRECTIONS = 2
POWER_STEPS = 8
DOUBTS = (1e-2, 1e-4, 1e-6, 1e-8)  # a class is in doubt while its π, or π(1 − π), is above; each is tried


class Likelihood(NamedTuple):
    """What a model makes of its examples, without the penalty. X is an argument because it changes coordinates."""

    cost: Callable[[Array, Array], Array]  # of theta and X
    gradient: Callable[[Array, Array], Array]
    hessian: Callable[[Array, Array], Array]
    hessian_in_doubt: Callable[[Array, Array, Array], Array]  # of logits, X and a doubt: of the classes above it only
    probabilities: Callable[[Array], Array]  # of logits
    margins: Callable[[Array], Array]  # of logits: how far each puts its example on the right side
    reach: Callable[[Array], Array]  # of |X||θ|: what the margins are differences of


def minimise(of: Likelihood, X: Array, delta2: Array, max_steps: Array | int) -> Solution:
    """The theta, of the shape of the penalties delta2, at the minimum of the cost plus Σ delta2 theta²."""
    columns = delta2.reshape(X.shape[1], -1)
    white = whiten(X, jnp.mean(columns, axis=1))
    extra = _extra_curvature(white, columns).reshape(delta2.shape + delta2.shape)
    origin = jnp.zeros_like(delta2)

    def theta_of(w):
        return product(white.T, w)

    def gradient_of(theta):
        return of.gradient(theta, X) + 2 * delta2 * theta

    def hessian(w):
        return of.hessian(w, white.X) + extra

    def separates(w):
        v = jnp.where(delta2 == 0, theta_of(w), 0)
        return _separates(of, X, v)

    start = gradient_of(origin)
    found = newton(
        lambda w: of.cost(w, white.X) + jnp.sum(delta2 * theta_of(w) ** 2),
        origin,
        gradient=lambda w: of.gradient(w, white.X) + transpose_product(white.T, 2 * delta2 * theta_of(w)),
        hessian=hessian,
        tolerance=_tolerance(of, transpose_product(white.T, start), origin, white.X, delta2),
        max_steps=max_steps,
        unbounded=lambda w: separates(w)[0],
    )
    escaped = found.status == Status.UNBOUNDED
    size = origin.size
    H = hessian(found.theta).reshape(size, size)
    rcond = spd_solve(H, jnp.zeros(size, X.dtype)).rcond

    def escapes():
        Z, unit_rows = product(white.X, found.theta), _unit_rows(white.X)

        def try_a_doubt(_, doubt):
            H = (of.hessian_in_doubt(Z, unit_rows, doubt) + extra).reshape(size, size)
            return None, _some_power(H, found.theta, lambda w: separates(w)[1])

        return jnp.any(lax.scan(try_a_doubt, None, jnp.array(DOUBTS, X.dtype))[1])

    least_curvature = rcond * jnp.min(jnp.diagonal(H)) / jnp.max(jnp.diagonal(H))
    flat = least_curvature < jnp.cbrt(jnp.finfo(X.dtype).eps)  # along an escape it vanishes with the gradient
    escaped = lax.cond(~escaped & flat & jnp.any(delta2 == 0), escapes, lambda: escaped)
    unique = jnp.all(white.kept) & (rcond > 10 * size * jnp.finfo(X.dtype).eps)
    theta, rank = lax.cond(
        unique | escaped,
        lambda theta: (theta, jnp.array(X.shape[1])),
        lambda theta: _least_norm(theta, X, delta2),
        theta_of(found.theta),
    )

    def corrected(_, state):
        theta, g = state
        step = spd_solve(H, transpose_product(white.T, g).reshape(-1)).x
        new_theta = theta - theta_of(step.reshape(theta.shape))
        new_g = gradient_of(new_theta)
        better = jnp.linalg.norm(new_g) < jnp.linalg.norm(g)
        return jnp.where(better, new_theta, theta), jnp.where(better, new_g, g)

    theta, g = lax.fori_loop(0, CORRECTIONS, corrected, (theta, gradient_of(theta)))
    norm = jnp.linalg.norm(g)
    small = norm <= _tolerance(of, start, theta, X, delta2)
    status = jnp.select(
        [escaped, small & (rank < X.shape[1]), small, found.status == Status.CONVERGED],
        [Status.SEPARABLE, Status.RANK_DEFICIENT, Status.CONVERGED, Status.NO_DESCENT],
        found.status,
    ).astype(jnp.int32)
    return Solution(theta, of.cost(theta, X) + jnp.sum(delta2 * theta**2), norm, found.steps, status)


def _extra_curvature(white: Whitened, columns: Array) -> Array:
    """The penalty's curvature in w; and 1 wherever C has none, so that H is not singular. There the gradient is 0 too.

    C is flat along the directions that the rank lacks, and along one vector added to all classes, where the penalty
    does not tell the classes apart.
    """
    d, K = columns.shape
    dtype = columns.dtype
    of_penalty = lax.map(lambda delta2: 2 * gram(white.T, weights=delta2), columns.T)
    missing = jnp.diag(jnp.where(white.kept, 0, 1).astype(dtype))
    alike = jnp.all(columns == columns[:, :1]) & (K > 1)
    shifts = jnp.where(alike, 1 / K**2, 0).astype(dtype) * jnp.eye(d, dtype=dtype)
    of_a_class = jnp.einsum("kjl,kn->jkln", of_penalty + missing, jnp.eye(K, dtype=dtype))
    return of_a_class + shifts[:, None, :, None]


def _tolerance(of: Likelihood, start: Array, theta: Array, X: Array, delta2: Array) -> Array:
    """1e-10 of the gradient at the start, or what rounding leaves of it at theta if that is more.

    Every z is rounded as a sum of x_j θ_j, and takes π along with the slope π(1 − π); π is rounded as a number up to 1.
    """
    pi, size = of.probabilities(product(X, theta)), jnp.abs(X)
    of_pi = 1 + pi * (1 - pi) * product(size, jnp.abs(theta))
    terms = transpose_product(size, of_pi) + 2 * delta2 * jnp.abs(theta)
    return jnp.maximum(1e-10 * jnp.linalg.norm(start), 8 * jnp.finfo(X.dtype).eps * jnp.linalg.norm(terms))


def _separates(of: Likelihood, X: Array, v: Array) -> tuple[Array, Array]:
    """Whether v separates the examples completely, and whether it does so but for ties."""
    margins = of.margins(product(X, v))
    largest = jnp.max(margins, initial=0, where=jnp.isfinite(margins))
    rounding = 128 * jnp.finfo(X.dtype).eps * (of.reach(product(jnp.abs(X), jnp.abs(v))) + largest)
    some = jnp.any(jnp.isfinite(margins) & (margins > rounding))
    return jnp.all(margins > rounding), some & jnp.all(margins >= -rounding)


def _unit_rows(X: Array) -> Array:
    length = jnp.linalg.norm(X, axis=1, keepdims=True)
    return X / jnp.where(length > 0, length, 1)


def _some_power(H: Array, w: Array, proves: Callable[[Array], Array]) -> Array:
    """Whether (I + H/μ)⁻ⁿ w proves something, for some n from 0 on."""
    mu = jnp.sqrt(jnp.finfo(w.dtype).eps)
    L = lax.linalg.cholesky(H / mu + jnp.eye(w.size, dtype=w.dtype), symmetrize_input=False)

    def step(_, state):
        v, proven = state
        return cho_solve((L, True), v), proven | proves(v.reshape(w.shape))

    return lax.fori_loop(0, POWER_STEPS, step, (w.reshape(-1), jnp.array(False)))[1]


def _least_norm(theta: Array, X: Array, delta2: Array) -> tuple[Array, Array]:
    def of_a_class(theta_and_delta2):
        theta, delta2 = theta_and_delta2
        return minimum_norm(jnp.concatenate([X, jnp.diag(jnp.sqrt(delta2))]), theta)

    classes = (values.reshape(X.shape[1], -1).T for values in (theta, delta2))
    theta, rank = lax.map(of_a_class, tuple(classes))
    return theta.T.reshape(delta2.shape), jnp.min(rank)
