r"""The fit of a linear classifier inside jit: the stages of `newton_fit` as one program that is small to compile.

Inside jit no result can be looked at, so that all stages are compiled, whether or not the data need them; and what
stands in two places is compiled twice. So here both kinds of Newton's method share a loop, `newton_trials`:

    first attempt       in θ itself, accepted as in `newton`
    second attempt      in the whitened coordinates of `whitened_newton`; separation, least norm, steps in θ

The results are those of the stages to rounding, the statuses the same. Beside them, the coordinates are always those of
singular values, which give the parameters of least norm too: their projection on the rows of [X; diag(δ)].
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.classification.newton import is_proven_inseparable
from jax_course.classification.newton_trials import State, Task, newton_trials
from jax_course.classification.objective import tolerance
from jax_course.classification.separation import is_quasi_separable
from jax_course.classification.whitened_newton import (
    CORRECTIONS,
    nearly_singular,
    penalty_curvature,
    row_penalties,
    weighted_rows,
)
from jax_course.linalg import Factored, Whitened, product, transpose_product
from jax_course.linalg.lapack import qr, qr_factor
from jax_course.linalg.least_squares import column_scale, truncated_svd
from jax_course.linear_cost import LinearCost
from jax_course.solution import Evaluations, Method, Solution, Status, select_status


class _Coordinates(NamedTuple):
    """θ = T w; and for each class an orthonormal basis (d, d) of the rows of [X; diag(δ)], with 0 for what is lost."""

    white: Whitened
    bases: Array


class _Attempt(NamedTuple):
    """The attempts so far, whether the last one is accepted, the norm of the gradient at θ = 0, and the solution."""

    count: Array
    accepted: Array
    first_norm: Array
    found: Solution


def fit_in_one_program(cost: LinearCost, max_steps: Array | int, is_penalised: bool) -> Solution:
    """The minimiser of the cost, or the reason why there is none.

    is_penalised: all penalties are known to be above 0, so that no separation has to be looked for.
    """
    zero, count = jnp.zeros((), cost.delta2.dtype), jnp.zeros((), jnp.int32)
    method, no = jnp.array(Method.NEWTON, jnp.int32), jnp.array(False)
    nothing = Solution(cost.delta2, zero, zero, count, count, Evaluations(count, count, count), method)
    return lax.while_loop(
        lambda attempt: (attempt.count < 2) & ~attempt.accepted,
        lambda attempt: _next_attempt(cost, max_steps, is_penalised, attempt),
        _Attempt(count, no, zero, nothing),
    ).found


def _next_attempt(cost: LinearCost, max_steps: Array | int, is_penalised: bool, before: _Attempt) -> _Attempt:
    is_first, eps = before.count == 0, jnp.finfo(cost.X.dtype).eps
    white, bases = lax.cond(is_first, lambda: _identity(cost), lambda: _whitened(cost))
    extra_curvature = penalty_curvature(white, cost.delta2, jnp.sum(white.X**2, axis=0))
    end = newton_trials(Task(cost, white, extra_curvature, max_steps, None if is_penalised else ~is_first))
    factored, counts = end.direction.factored, end.counts
    separated = counts.status == Status.UNBOUNDED
    if not is_penalised:
        separated |= _is_quasi_separated(cost, white, extra_curvature, end, ~is_first & ~separated)
    is_deficient = ~is_first & ~jnp.all(white.kept) & ~separated
    theta = jnp.where(is_deficient, _projected(bases, end.point.theta), end.point.theta)
    theta, g = _corrected(cost, theta, white.T, factored, jnp.where(is_first, 0, CORRECTIONS))
    value, rounded, norm = cost.value(theta), cost.rounded_gradient(theta), jnp.linalg.norm(g)
    first_norm = jnp.where(is_first, end.numbers.first_norm, before.first_norm)
    small = norm <= tolerance(first_norm, rounded)
    accepted = small & factored.is_regular(jnp.sqrt(eps)) & jnp.isfinite(value)
    if not is_penalised:
        accepted &= is_proven_inseparable(cost, factored, end.direction.g, rounded)
    status = select_status(
        [separated, small & is_deficient, small, counts.status == Status.CONVERGED],
        [Status.SEPARABLE, Status.RANK_DEFICIENT, Status.CONVERGED, Status.NO_DESCENT],
        counts.status,
    )
    evaluations = Evaluations(jnp.where(is_first, 1, counts.trials), counts.trials, counts.directions)
    found = Solution(theta, value, norm, counts.steps, status, evaluations, before.found.method)
    return _Attempt(before.count + 1, accepted, first_norm, found)


def _identity(cost: LinearCost) -> _Coordinates:
    """w = θ."""
    d, dtype = len(cost.delta2), cost.X.dtype
    white = Whitened(cost.X, jnp.eye(d, dtype=dtype), jnp.ones(d, bool))
    return _Coordinates(white, jnp.zeros((cost.delta2.size // d, d, d), dtype))


def _whitened(cost: LinearCost) -> _Coordinates:
    """The coordinates of `linalg.whitening` by singular values, and the same for the penalties of each class."""
    rows, columns = weighted_rows(cost), cost.delta2.reshape(len(cost.delta2), -1)
    R = qr_factor(rows)

    def factors(delta2: Array) -> tuple[Array, Array, Array]:
        A = jnp.concatenate([R, jnp.diag(jnp.sqrt(delta2))])
        scale = column_scale(A)
        _, S, Vt, kept = truncated_svd(A, scale, len(rows))
        T = scale[:, None] * jnp.where(kept[None, :], Vt.T / jnp.where(kept, S, 1)[None, :], 0)
        return T, kept, jnp.where(kept[None, :], qr(Vt.T / scale[:, None])[0], 0)

    penalties = jnp.concatenate([row_penalties(cost.delta2)[:, None], columns], axis=1).T
    T, kept, bases = lax.map(factors, penalties)
    return _Coordinates(Whitened(product(cost.X, T[0]), T[0], jnp.all(kept, axis=0)), bases[1:])


def _is_quasi_separated(
    cost: LinearCost, white: Whitened, extra_curvature: Array, end: State, is_asked: Array
) -> Array:
    """Whether the classes are separated quasi-completely; False where it is not asked, or H is not nearly singular."""
    is_singular = nearly_singular(end.direction.curvature, end.direction.factored, cost.delta2)
    return lax.cond(
        is_asked & is_singular,
        lambda: is_quasi_separable(cost, white.X, white.T, end.point.w, extra_curvature),
        lambda: jnp.array(False),
    )


def _projected(bases: Array, theta: Array) -> Array:
    """The parameters of least norm with the predictions and the penalty of theta."""
    columns = theta.reshape(len(theta), -1)
    within = jnp.einsum("kde,dk->ke", bases, columns, precision=lax.Precision.HIGHEST)
    return jnp.einsum("kde,ke->dk", bases, within, precision=lax.Precision.HIGHEST).reshape(theta.shape)


def _corrected(cost: LinearCost, theta: Array, T: Array, factored: Factored, steps: Array) -> tuple[Array, Array]:
    """theta after so many Newton steps with its own gradient, and the gradient; no step where it would not help."""

    def correct(i: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        theta, g, new_theta = state
        new_g = cost.gradient(new_theta)
        better = (i == 0) | (jnp.linalg.norm(new_g) < jnp.linalg.norm(g))
        theta, g = jnp.where(better, new_theta, theta), jnp.where(better, new_g, g)
        step = factored.solve(transpose_product(T, g).reshape(-1)).reshape(theta.shape)
        return theta, g, theta - product(T, step)

    return lax.fori_loop(0, steps + 1, correct, (theta, jnp.zeros_like(theta), theta))[:2]
