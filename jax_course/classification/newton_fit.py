r"""The fit of a linear classifier: the minimiser, or the reason why there is none. In stages, the cheapest first.

    L-BFGS with a preconditioner        many examples                               `preconditioned_lbfgs`
    Newton's method                     few, well-conditioned examples              `newton`
    Newton's method, whitened           any data; complete separation               `whitened_newton`
    quasi-complete separation           where some direction has no curvature       `separation`
    least norm                          dependent columns                           `whitened_newton.least_norm`
    corrected in θ                      whatever came before                        `whitened_newton.corrected`

The first two say whether their result is accepted, and end the fit if it is. Outside jit a stage is compiled only when
data need it, under vmap when one member does; inside jit all are branches of `lax.cond`.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array

from jax_course.classification import newton, whitened_newton
from jax_course.classification.objective import LinearCost
from jax_course.classification.preconditioned_lbfgs import is_worth_it, preconditioned_lbfgs
from jax_course.classification.separation import is_quasi_separable
from jax_course.classification.whitened_newton import End
from jax_course.linalg import first_accepted
from jax_course.losses import Loss
from jax_course.solution import Solution
from jax_course.tiers import compiled

STEPS = 8  # of Newton's method, as a rule
Data = tuple[Array, Array, Array, Array]  # X, y, weights, penalties


def operations(loss: Loss, data: Data, *_: Any) -> float:
    """The multiplications of a fit, about: those of the Hessians of STEPS steps."""
    X, _, _, delta2 = data
    return STEPS * len(X) * delta2.size**2


def fit(loss: Loss, data: Data, max_steps: Array | int) -> Solution:
    """The theta, of the shape of the penalties, of least Σ weights loss + Σ penalties theta²."""
    X, _, _, delta2 = data
    quick = quasi_newton_stage if is_worth_it(X, delta2) else newton_stage
    found, accepted = quick(loss, data, max_steps)
    return first_accepted(lambda: (found, accepted), otherwise=partial(complete_fit, loss, data, max_steps))


def complete_fit(loss: Loss, data: Data, max_steps: Array | int) -> Solution:
    """The fit by the stages that know every kind of data."""
    end = whitened_stage(loss, data, max_steps)
    separated = first_accepted(
        lambda: (end.separated, end.separated | ~end.is_flat), otherwise=partial(separation_stage, loss, data, end)
    )
    theta, rank = first_accepted(
        lambda: ((end.theta, jnp.array(len(end.theta))), end.is_unique | separated),
        otherwise=partial(least_norm_stage, loss, data, end),
    )
    return corrected_stage(loss, data, end, theta, rank, separated)


@compiled(static_argnums=0, operations=operations)
def quasi_newton_stage(loss: Loss, data: Data, max_steps: Array | int) -> tuple[Solution, Array]:
    """Many examples, and whether the result is accepted."""
    return preconditioned_lbfgs(LinearCost(loss, *data), max_steps)


@compiled(static_argnums=0, operations=operations)
def newton_stage(loss: Loss, data: Data, max_steps: Array | int) -> tuple[Solution, Array]:
    """Well-conditioned examples, and whether the result is accepted."""
    return newton.newton(LinearCost(loss, *data), max_steps)


@compiled(static_argnums=0, operations=operations)
def whitened_stage(loss: Loss, data: Data, max_steps: Array | int) -> End:
    """The end of Newton's method in whitened coordinates."""
    return whitened_newton.whitened_newton(LinearCost(loss, *data), max_steps)


@compiled(static_argnums=0, operations=operations)
def separation_stage(loss: Loss, data: Data, end: End) -> Array:
    """Whether the classes are separated quasi-completely."""
    return is_quasi_separable(
        LinearCost(loss, *data), end.white.X, end.white.T, end.found.point.extra.q, end.extra_curvature
    )


@compiled(static_argnums=0, operations=operations)
def least_norm_stage(loss: Loss, data: Data, end: End) -> tuple[Array, Array]:
    """The theta of least norm, and the rank."""
    return whitened_newton.least_norm(LinearCost(loss, *data), end)


@compiled(static_argnums=0, operations=operations)
def corrected_stage(loss: Loss, data: Data, end: End, theta: Array, rank: Array, separated: Array) -> Solution:
    """The solution at theta, after further steps."""
    return whitened_newton.corrected(LinearCost(loss, *data), end, theta, rank, separated)
