r"""Whether the classes can be separated, so that the cost has no minimum (Albert and Anderson, Biometrika 71, 1984).

If some v has margins ≥ 0 on all examples and > 0 on one, the cost decreases along v without end.

Complete separation: all margins are > 0. It shows in θ itself, which is tried after every step of Newton's method.

Quasi-complete separation: some examples are tied, their margin is 0. The iterate is then a growing multiple of the
separating direction v plus a bounded part fixed by the tied examples. The tied examples are those whose class stays
uncertain; with H their Hessian, inverse iteration, v ← (I + H/μ)⁻¹ v, keeps the null space of H, where v lies, and
damps the rest, where μ is in units of a curvature of about 1 per example. Every v on the way is tried.
`newton_fit.complete_fit` calls it after Newton's method where no complete separation was found, some parameter has no
penalty, and some direction has less than ε^⅓ of the largest curvature.

It is a sufficient test: no v found does not prove that none exists. A margin counts as 0 within the rounding of its own
sum Σ_j x_j v_j. A penalised parameter cannot grow without end, so only the others count in v.
"""

import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import product
from jax_course.linalg.lapack import cho_solve, cholesky
from jax_course.linear_cost import LinearCost

DAMPING = 1 / 2  # power of ε, μ: curvature above it is damped, and what rounding leaves of none is below it
POWER_STEPS = 8  # in float64 four leave only rounding of what the ties see; float32 shrinks it more slowly
UNCERTAINTY_THRESHOLDS = (1e-2, 1e-4, 1e-6, 1e-8)  # of π, or π(1 − π): a class above is uncertain; each is tried
MARGIN_ROUNDINGS = 128  # with 32, ties of v from the solve below still counted as margins below 0


def separates(cost: LinearCost, v: Array) -> tuple[Array, Array]:
    """Whether v, like theta, separates the examples completely, and whether quasi-completely."""
    v = jnp.where(cost.delta2 == 0, v, 0)
    z, size = product(cost.X, v), product(jnp.abs(cost.X), jnp.abs(v))
    margins, scale = cost.loss.margin(z, cost.y), size
    if z.ndim == 2:  # a margin of K classes is the difference of two scores
        scale = size + jnp.take_along_axis(size, cost.y[:, None], axis=1)
    counts = (cost.is_example() & (cost.w > 0)).reshape((-1, 1) if z.ndim == 2 else -1)
    asked = jnp.isfinite(margins) & counts
    margins = jnp.where(asked, margins, jnp.inf)
    largest = jnp.max(margins, initial=0, where=asked)
    rounding = MARGIN_ROUNDINGS * jnp.finfo(z.dtype).eps * (scale + largest)
    completely = jnp.all(margins > rounding) & jnp.any(asked)
    return completely, jnp.all(margins >= -rounding) & jnp.any(asked & (margins > rounding))


def is_quasi_separable(cost: LinearCost, white_X: Array, T: Array, theta: Array, extra_curvature: Array) -> Array:
    """Whether a quasi-complete separation is found from where Newton's method ended.

    theta: in the coordinates of white_X = X T, so that T theta are the parameters.
    """
    mu = jnp.finfo(white_X.dtype).eps ** DAMPING
    length = jnp.linalg.norm(white_X, axis=1, keepdims=True)
    unit_rows = white_X / jnp.where(length > 0, length, 1)

    def is_found(threshold: Array) -> Array:
        counted = (cost.w > 0).astype(white_X.dtype)
        H = cost.loss.hessian(product(white_X, theta), cost.y, unit_rows, counted, threshold) + extra_curvature
        H = H.reshape(theta.size, theta.size)
        largest = jnp.max(jnp.diagonal(H))
        # with probabilities between 1 and m, if anything is uncertain; with means of any size
        unit = jnp.where(largest > 0, largest / jnp.clip(largest, 1, len(unit_rows)), 1)
        L = cholesky(H / (mu * unit) + jnp.eye(theta.size, dtype=white_X.dtype))

        def inverse_iteration(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
            v, found = state
            found |= separates(cost, product(T, v.reshape(theta.shape)))[1]
            return cho_solve(L, v), found

        return lax.fori_loop(0, POWER_STEPS, inverse_iteration, (theta.reshape(-1), jnp.array(False)))[1]

    return jnp.any(lax.map(is_found, jnp.array(UNCERTAINTY_THRESHOLDS, white_X.dtype)))
