r"""Logistic and softmax regression of data larger than memory.

    C, g = Σ over the examples of a pass,  θ ← θ − t H⁻¹ g

The first θ is the minimiser for the first rows, with H of these. H is summed over all examples after the first
step, and again only after one that has not brought the gradient down tenfold: between, L-BFGS keeps it up to date. The
length t of a step is halved until C falls.
The result is that of `logistic.fit` and `softmax.fit` of all rows at once, to the digits that these have. Memory: two
batches and d² numbers, for K classes d²K², whatever the number of rows.

`checkpoint` names a file that is written after every pass that led on, whole or not at all; a call that finds it goes
on from there, on the same source. It is data: nothing in it is run. One of another problem is refused; of the data, the
first 32 MB are compared, and the number of rows where the source knows it.

In a program of several processes each gives a source of its own rows, and the result, in all of them, is that of the
rows of all. The first process that has rows gives the first θ, and reads and writes the checkpoint.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import arrays, boundary, checks
from jax_course.checkpoint import CheckpointError
from jax_course.classification import logistic, softmax
from jax_course.linalg import Factored, product, shortest_solution, spd_factor
from jax_course.linalg.lapack import solve_triangular
from jax_course.optimization.quasi_newton import Pairs, no_pairs, remembered, two_loop_product
from jax_course.optimization.solution import Method, Solution, Status
from jax_course.scale import processes
from jax_course.scale.batches import DataError, Pair
from jax_course.scale.class_sums import (
    Sums,
    of_logistic,
    of_logistic_with_hessian,
    of_softmax,
    of_softmax_with_hessian,
)
from jax_course.scale.fold import count_rows, fold
from jax_course.scale.start import File, begin, keep, resumed, solution
from jax_course.typing import ArrayLike

FALL = 1e-10  # of the gradient, as in the fits of all rows
HALVINGS = 30
SLOW = 0.1  # of the gradient: a step that leaves more makes the next pass sum the Hessian, too
MEMORY = 8  # pairs


def fit_logistic(
    source: Iterable[Pair], *, penalty: ArrayLike = 0.0, max_passes: int = 50, checkpoint: File = None
) -> Solution:
    """`logistic.fit` of all rows of a source whose y are 0 and 1; steps are passes. Course 8.6.

    SEPARABLE: found where a pass meets no example on the wrong side; ties are not looked for.
    """
    of_batch = of_logistic, of_logistic_with_hessian
    return _fit(source, of_batch, logistic.fit, penalty, None, max_passes, checkpoint)


def fit_softmax(
    source: Iterable[Pair], *, classes: int, penalty: ArrayLike = 0.0, max_passes: int = 50, checkpoint: File = None
) -> Solution:
    """`softmax.fit` of all rows of a source whose y are class numbers 0 … classes − 1; steps are passes. Course 9.2."""
    K, of_batch = int(checks.whole(classes, "classes")), (of_softmax, of_softmax_with_hessian)
    return _fit(source, of_batch, softmax.fit, penalty, K, max_passes, checkpoint)


class _Reached(NamedTuple):
    """θ; what a pass found there, the penalty included, with the last Hessian; how its gradient went on changing since;
    whether the next pass is to sum it anew; the penalty; ‖g‖ at θ = 0; the passes so far; and what tells the data from
    others."""

    theta: Array
    sums: Sums
    pairs: Pairs
    slow: Array
    delta2: Array
    first: Array
    passes: Array
    data: np.ndarray


def _fit(
    source: Iterable[Pair], of_batch: tuple[Callable, Callable], in_memory: Callable, penalty: Any, K: int | None,
    most: int, checkpoint: File,
) -> Solution:  # fmt: skip
    begun = begin(source, checkpoint, penalty, K, most)
    theta = jnp.zeros((begun.columns,) if K is None else (begun.columns, K), begun.dtype)
    delta2 = boundary.nonnegative(checks.penalties(penalty, theta))

    def a_pass(theta: Array, with_hessian: bool) -> Sums:
        sums, _ = fold(source, of_batch[with_hessian], theta)
        if sums.strange > 0:
            raise DataError(f"y must hold 0…{1 if K is None else K - 1}; {int(sums.strange)} rows hold something else")
        g = sums.gradient + 2 * delta2 * theta
        return sums._replace(cost=sums.cost + jnp.sum(delta2 * theta**2), gradient=g)

    answers = partial(a_pass, with_hessian=False), partial(a_pass, with_hessian=True), lambda _: count_rows(source)
    first = partial(_start, of_batch[True], in_memory, begun.rows)
    number = jnp.zeros((), theta.dtype)
    like = theta, solution(theta, number, number, 0, Status.CONVERGED, Method.NEWTON)
    fit = _steps(first, _like(theta, delta2, begun.data), most, checkpoint)
    return processes.led_by(begun.leader, fit, answers, like)


SUMS, SUMS_WITH_HESSIAN, ROWS = 0, 1, 2  # what a fit asks for


def _steps(first: Callable, like: _Reached, most: int, checkpoint: File) -> processes.Fit[Solution]:
    """The fit, from the sums that it asks for."""
    delta2 = like.delta2
    reached = resumed(checkpoint, like)
    if reached is None:
        reached = yield from first(delta2, like.data)
        keep(checkpoint, reached)
    elif not jnp.array_equal(reached.delta2, delta2):
        raise CheckpointError(f"{checkpoint} is a checkpoint of a fit with another penalty")
    while (status := _status(reached, most)) is None:
        further = yield from _downhill(reached, most)
        if further is None:  # rounding has the last word
            small = jnp.linalg.norm(reached.sums.gradient) <= FALL * reached.first
            status = Status.CONVERGED if small else Status.NO_DESCENT
            break
        reached = further
        keep(checkpoint, reached)
    theta, sums, *_ = reached
    if status == Status.CONVERGED:
        step, safe = _newton_step(reached)
        theta = theta - step
        if not safe:
            H, status = _curvature(sums.hessian, delta2), Status.RANK_DEFICIENT
            theta = shortest_solution(H, H @ theta.reshape(-1)).reshape(theta.shape)
    return solution(theta, sums.cost, jnp.linalg.norm(sums.gradient), int(reached.passes), status, Method.NEWTON)


def _start(
    of_batch: Callable, in_memory: Callable, first_rows: Pair, delta2: Array, data: np.ndarray
) -> processes.Fit[_Reached]:
    """At the minimiser for the first rows alone, with the Hessian there; or at 0, if there is none, or C is less."""
    yes, zero, pairs = jnp.array(True), jnp.zeros_like(delta2), no_pairs(MEMORY, delta2)
    (X, y), rows = first_rows, (yield ROWS, zero)
    nearer = _of_first_rows(in_memory, X, y, delta2 * (len(X) / rows))
    passes = jnp.zeros((), jnp.int32)
    if nearer is not None:
        batch = (*(arrays.numbers(a, name) for a, name in ((X, "X"), (y, "y"))), jnp.ones(len(X), delta2.dtype))
        at_zero, there = (jax.jit(of_batch)(*batch, theta) for theta in (zero, nearer))
        sums, passes = (yield SUMS, nearer), passes + 1
        if sums.cost < at_zero.cost / len(X) * rows:
            sums = sums._replace(hessian=there.hessian * (rows / len(X)))
            first = jnp.linalg.norm(at_zero.gradient) * (rows / len(X))
            return _Reached(nearer, sums, pairs, yes, delta2, first, passes, data)
    sums = yield SUMS_WITH_HESSIAN, zero
    return _Reached(zero, sums, pairs, yes, delta2, jnp.linalg.norm(sums.gradient), passes + 1, data)


def _status(reached: _Reached, most: int) -> Status | None:
    """How a fit ends there; None where it goes on."""
    # the last step, taken without another pass, leaves a hundredth of this
    if jnp.linalg.norm(reached.sums.gradient) <= FALL * reached.first and _is_near(reached):
        return Status.CONVERGED
    if reached.sums.wrong == 0 and jnp.all(reached.delta2 == 0):
        return Status.SEPARABLE
    return Status.OUT_OF_STEPS if reached.passes >= most else None


def _downhill(start: _Reached, most: int) -> processes.Fit[_Reached | None]:
    """The first of the points t = 1, ½, ¼ … at which cost or gradient is less; None where none is."""
    old = jnp.linalg.norm(start.sums.gradient)
    step, safe = _newton_step(start)
    t, passes, anew = 1.0, start.passes, bool(start.slow) or not safe
    for _ in range(HALVINGS):
        theta = start.theta - t * step
        sums = yield (SUMS_WITH_HESSIAN if anew else SUMS), theta
        passes = passes + 1
        norm = jnp.linalg.norm(sums.gradient)
        if sums.cost <= start.sums.cost or norm < old:
            pairs = no_pairs(MEMORY, theta) if anew else _changed(start, theta, sums.gradient)
            sums = sums if anew else sums._replace(hessian=start.sums.hessian)
            return start._replace(theta=theta, sums=sums, pairs=pairs, slow=norm > SLOW * old, passes=passes)
        if passes >= most:
            return start._replace(passes=passes)
        t, anew = t / 2, True
    return None


@jax.jit
def _is_near(reached: _Reached) -> Array:
    """Whether the next step is short, in units of θ, all columns alike."""
    metric = _metric(reached.sums.hessian, reached.delta2)
    theta_in_u = product(metric.L.T, reached.theta.reshape(-1) / metric.scale)
    near = jnp.linalg.norm(_in_u(metric, reached.sums.gradient)) <= FALL * jnp.linalg.norm(theta_in_u)
    return near | ~metric.is_regular()


def _metric(H: Array, delta2: Array) -> Factored:
    return spd_factor(_curvature(H, delta2))


def _curvature(H: Array, delta2: Array) -> Array:
    """H with the penalty. What is added to all classes has no curvature of its own, and no gradient."""
    H = H.reshape((delta2.size,) * 2) + jnp.diag(2 * delta2.reshape(-1))
    if delta2.ndim == 2:
        d, K = delta2.shape
        of_a_shift = jnp.trace(H) / H.shape[0] * jnp.eye(d, dtype=H.dtype)[:, None, :, None] / K
        H = H + jnp.broadcast_to(of_a_shift, (d, K, d, K)).reshape(H.shape)
    return H


def _newton_step(reached: _Reached) -> tuple[Array, bool]:
    """H⁻¹ g and whether H is regular; if it is not, the shortest of those that H makes g of."""
    step, safe = _step(reached)
    if safe:
        return step, True
    _, sums, _, _, delta2, *_ = reached
    shortest = shortest_solution(_curvature(sums.hessian, delta2), sums.gradient.reshape(-1))
    return shortest.reshape(step.shape), False


@jax.jit
def _step(reached: _Reached) -> tuple[Array, Array]:
    """H⁻¹ g, with what has been learnt of H since, in coordinates in which it was the identity."""
    g, metric = reached.sums.gradient, _metric(reached.sums.hessian, reached.delta2)
    u = two_loop_product(reached.pairs, _in_u(metric, g))
    step = metric.scale * solve_triangular(metric.L, u, lower=True, trans=1)
    return step.reshape(g.shape), metric.is_regular()


@jax.jit
def _changed(start: _Reached, theta: Array, g: Array) -> Pairs:
    metric = _metric(start.sums.hessian, start.delta2)
    s = product(metric.L.T, (theta - start.theta).reshape(-1) / metric.scale)
    return remembered(start.pairs, s, _in_u(metric, g) - _in_u(metric, start.sums.gradient))


def _in_u(metric: Factored, g: Array) -> Array:
    return metric.half_solve(g.reshape(-1, 1))[:, 0]


def _of_first_rows(in_memory: Callable, X: Any, y: Any, delta2: Array) -> Array | None:
    """The minimiser for these rows alone, where there is one."""
    settings, y = ({}, y.astype(X.dtype)) if delta2.ndim == 1 else ({"classes": delta2.shape[1]}, y.astype("int32"))
    try:
        found = in_memory(X, y, penalty=delta2, **settings)
    except ValueError:  # one class alone
        return None
    return found.theta if found.status == Status.CONVERGED else None


def _like(theta: Array, delta2: Array, data: np.ndarray) -> _Reached:
    """A tree of the shapes of what is kept."""
    number = jnp.zeros((), theta.dtype)
    sums = Sums(number, theta, jnp.zeros(theta.shape * 2, theta.dtype), number, number)
    passes = jnp.zeros((), jnp.int32)
    return _Reached(theta, sums, no_pairs(MEMORY, theta), jnp.array(True), delta2, number, passes, data)
