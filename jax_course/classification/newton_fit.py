r"""The fit of a linear classifier: the minimiser, or the reason why there is none. In stages, the cheapest first.

    L-BFGS with a preconditioner        many examples                               `preconditioned_lbfgs`
    Newton's method                     few, well-conditioned examples              `newton`
    Newton's method, whitened           any data; complete separation               `whitened_newton`
    quasi-complete separation           where some direction has no curvature       `separation`
    least norm                          dependent columns                           `whitened_newton.least_norm`
    corrected in θ                      whatever came before                        `whitened_newton.corrected`

The first two say whether their result is accepted, and end the fit if it is. Outside jit a stage is compiled only when
data need it, under vmap when one member does. Inside jit a fit of little data is `one_program`; of more, all stages are
branches of `lax.cond`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.classification import newton, whitened_newton
from jax_course.classification.one_program import fit_in_one_program
from jax_course.classification.preconditioned_lbfgs import Start, is_worth_it, preconditioned_lbfgs, subsample_start
from jax_course.classification.separation import is_quasi_separable
from jax_course.classification.subsample import subsample_size
from jax_course.classification.whitened_newton import End
from jax_course.implicit import minimiser
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import first_accepted
from jax_course.linear_cost import LinearCost, conditions
from jax_course.losses import Loss
from jax_course.padding import padded_rows
from jax_course.solution import Solution
from jax_course.tiers import compiled, is_staged

# Numbers in X up to which a fit inside jit is one program. It compiles in half the time (logistic 1,000 × 20: 3.6 and
# 7.4 s of CPU) and takes as long later; at 3,000 × 30 7 % longer (softmax), at 10,000 × 50 a quarter (logistic).
LARGEST_IN_ONE_PROGRAM = 2**16
NEWTON_STEPS, QUASI_NEWTON_STEPS = 8, 20  # as a rule


class PaddedProblem(NamedTuple):
    """X, y, weights, penalties as in `inputs.Problem`; the rows after the first `rows` are zeros and no examples."""

    X: Array
    y: Array
    weights: Array
    penalty: Array
    rows: Any


Data = tuple[Array, Array, Array, Array] | PaddedProblem  # X, y, weights, penalties


def newton_operations(loss: Loss, data: Data, *_: Any) -> float:
    """The multiplications of Newton's method, about: those of its Hessians."""
    X, delta2 = data[0], data[3]
    return NEWTON_STEPS * len(X) * delta2.size**2


def _quasi_newton_operations(m: int, data: Data) -> float:
    """The multiplications of L-BFGS with m examples, about: two products in a step, and a Gram matrix."""
    X, delta2 = data[0], data[3]
    return QUASI_NEWTON_STEPS * 2 * m * delta2.size + subsample_size(*X.shape) * X.shape[1] ** 2


def subsample_operations(loss: Loss, data: Data, *_: Any) -> float:
    """The multiplications of the fit of the subsample, about."""
    return _quasi_newton_operations(subsample_size(*data[0].shape), data)


def quasi_newton_operations(loss: Loss, data: Data, *_: Any) -> float:
    """The multiplications of the fit of all examples by L-BFGS, about."""
    return _quasi_newton_operations(len(data[0]), data)


def fit(
    loss: Loss, problem: tuple[Array, Array, Array, Array], max_steps: Array | int, penalty: ArrayLike = 0.0
) -> Solution:
    """The theta, of the shape of the penalties, of least Σ weights loss + Σ penalties theta².

    penalty: as the caller gave it; inside jit a program for penalties that are known to be above 0 is smaller.
    """
    is_penalised = inputs.is_concrete(penalty) and bool(np.all(np.asarray(penalty) > 0))
    return minimiser(conditions(loss), partial(_fit, loss, max_steps=max_steps, is_penalised=is_penalised), problem)


def _fit(
    loss: Loss, problem: tuple[Array, Array, Array, Array], max_steps: Array | int, is_penalised: bool
) -> Solution:
    X, y, w, delta2 = problem
    if is_staged() and X.size <= LARGEST_IN_ONE_PROGRAM and not is_worth_it(len(X), delta2):
        return fit_in_one_program(LinearCost(loss, *problem), max_steps, is_penalised)
    if is_worth_it(len(X), delta2):
        quick, data = quasi_newton_stage, problem
    else:
        rows, (X, y, w) = len(X), padded_rows(X, y, w)
        quick, data = newton_stage, PaddedProblem(X, y, w, delta2, rows)
    found, accepted = quick(loss, data, max_steps)
    return first_accepted(lambda: (found, accepted), otherwise=partial(complete_fit, loss, data, max_steps))


def complete_fit(loss: Loss, data: Data, max_steps: Array | int) -> Solution:
    """The fit by the stages that know every kind of data."""
    end = whitened_stage(loss, data, max_steps)
    separated = first_accepted(
        lambda: (end.separated, end.separated | ~end.nearly_singular),
        otherwise=partial(separation_stage, loss, data, end),
    )
    theta, rank = first_accepted(
        lambda: ((end.theta, jnp.array(len(end.theta))), end.is_unique | separated),
        otherwise=partial(least_norm_stage, loss, data, end),
    )
    return corrected_stage(loss, data, end, theta, rank, separated)


def quasi_newton_stage(loss: Loss, data: Data, max_steps: Array | int) -> tuple[Solution, Array]:
    """Many examples, and whether the result is accepted."""
    return all_examples_stage(loss, data, subsample_stage(loss, data, max_steps), max_steps)


@compiled(static_argnums=0, operations=subsample_operations)
def subsample_stage(loss: Loss, data: Data, max_steps: Array | int) -> Start:
    """The start of the fit of many examples."""
    return subsample_start(LinearCost(loss, *data), max_steps)


@compiled(static_argnums=0, operations=quasi_newton_operations)
def all_examples_stage(loss: Loss, data: Data, start: Start, max_steps: Array | int) -> tuple[Solution, Array]:
    """Many examples from that start, and whether the result is accepted."""
    return preconditioned_lbfgs(LinearCost(loss, *data), start, max_steps)


@compiled(static_argnums=0, operations=newton_operations)
def newton_stage(loss: Loss, data: Data, max_steps: Array | int) -> tuple[Solution, Array]:
    """Well-conditioned examples, and whether the result is accepted."""
    return newton.newton(LinearCost(loss, *data), max_steps)


@compiled(static_argnums=0, operations=newton_operations)
def whitened_stage(loss: Loss, data: Data, max_steps: Array | int) -> End:
    """The end of Newton's method in whitened coordinates."""
    return whitened_newton.whitened_newton(LinearCost(loss, *data), max_steps)


@compiled(static_argnums=0, operations=newton_operations)
def separation_stage(loss: Loss, data: Data, end: End) -> Array:
    """Whether the classes are separated quasi-completely."""
    return is_quasi_separable(
        LinearCost(loss, *data), end.white.X, end.white.T, end.found.point.extra.q, end.extra_curvature
    )


@compiled(static_argnums=0, operations=newton_operations)
def least_norm_stage(loss: Loss, data: Data, end: End) -> tuple[Array, Array]:
    """The theta of least norm, and the rank."""
    return whitened_newton.least_norm(LinearCost(loss, *data), end.theta)


@compiled(static_argnums=0, operations=newton_operations)
def corrected_stage(loss: Loss, data: Data, end: End, theta: Array, rank: Array, separated: Array) -> Solution:
    """The solution at theta, after further steps."""
    return whitened_newton.corrected(LinearCost(loss, *data), end, theta, rank, separated)
