r"""Logistic and softmax regression of data larger than memory.

    C, g = sums over the examples, one pass each,  θ ← θ − α H⁻¹ g

The first θ is the minimiser for the first rows, and the first H is theirs. H is summed over all examples after the
first step, and again after each step that leaves more than a tenth of the gradient. Between, L-BFGS corrects it. The
step length is that of `line_search.strong_wolfe`, whose trials are passes.
The result is that of `logistic.fit` and `softmax.fit` of all rows at once, to the same digits. Memory: two batches and
d² numbers, for K classes d²K², whatever the number of rows.

`checkpoint` names a file that is written after every pass that was accepted, atomically. A call that finds it goes on
from there, on the same source. It holds data only, no code. A checkpoint of another problem is refused; of the data,
the first 32 MB are compared, and the number of rows if the source knows it.

In a program of several processes each gives a source of its own rows, and all get the result for the rows of all. The
first process that has rows computes the first θ, and reads and writes the checkpoint.
"""

from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import Any

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.classification import logistic, softmax
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product, shortest_solution
from jax_course.optimization.line_search import Trial, begin_search, is_searching, next_search
from jax_course.optimization.quasi_newton import empty_pairs
from jax_course.scale import processes
from jax_course.scale.batches import DataError, Pair
from jax_course.scale.class_sums import Sums, class_sums, class_sums_with_hessian
from jax_course.scale.fold import count_rows, global_sums
from jax_course.scale.newton_state import (
    MEMORY,
    Reached,
    curvature,
    has_small_gradient,
    is_minimiser,
    newton_step,
    state_template,
    updated_pairs,
)
from jax_course.scale.start import File, begin, load_fit, save_fit, solution
from jax_course.solution import Method, Solution, Status
from jax_course.tiers import compiled
from jax_course.training.checkpoint import CheckpointError

TRIALS = 30  # of a line search, each a pass
SLOW_SHARE = 0.1  # of the gradient: a step that leaves more makes the next pass sum the Hessian, too


def fit_logistic(
    source: Iterable[Pair], *, penalty: ArrayLike = 0.0, max_passes: int = 50, checkpoint: File = None
) -> Solution:
    """`logistic.fit` of all rows of a source, X (rows, d) and y (rows,) of 0 and 1; steps are passes. Course 8.6.

    SEPARABLE: θ classifies every example correctly, and there is no penalty; quasi-complete separation is not detected.
    RANK_DEFICIENT: the Hessian is singular within rounding; of all minimisers theta is the one of least norm, to half
    the digits. In float32 it may be so because of means far from 0: map `scale.standardize(source)` first.
    DataError: a label is neither 0 nor 1, or a row is not finite. CheckpointError: the checkpoint is of another fit.

    >>> source = [(jnp.ones((4, 1)), jnp.array([0.0, 1.0, 1.0, 1.0]))]
    >>> bool(jnp.isclose(fit_logistic(source).theta[0], jnp.log(3)))
    True
    """
    return _fit(source, logistic, penalty, None, max_passes, checkpoint)


def fit_softmax(
    source: Iterable[Pair], *, classes: int, penalty: ArrayLike = 0.0, max_passes: int = 50, checkpoint: File = None
) -> Solution:
    """`softmax.fit` of all rows of a source, X (rows, d) and y (rows,) of 0 … classes − 1; theta (d, classes).

    Steps are passes. Statuses and errors: as for `fit_logistic`. Course 9.2.
    """
    return _fit(source, softmax, penalty, int(inputs.whole(classes, "classes")), max_passes, checkpoint)


def _fit(
    source: Iterable[Pair], model: ModuleType, penalty: Any, K: int | None, max_passes: int, checkpoint: File
) -> Solution:
    begun = begin(source, checkpoint, penalty, K, max_passes)
    theta = jnp.zeros((begun.columns,) if K is None else (begun.columns, K), begun.dtype)
    delta2 = inputs.nonnegative(inputs.penalties(penalty, theta))

    def penalized_sums(batch_sums: Callable, theta: Array) -> Sums:
        sums, _ = global_sums(source, batch_sums, theta)
        if (rows := int(sums.invalid_labels)) > 0:
            expected = f"y must hold 0…{1 if K is None else K - 1}; {rows} rows hold something else"
            raise DataError(f"{expected}: number the labels of each batch by data.encode(y, classes=classes)")
        g = sums.gradient + 2 * delta2 * theta
        return sums._replace(cost=sums.cost + jnp.sum(delta2 * theta**2), gradient=g)

    batch_sums = class_sums(model.LOSS), class_sums_with_hessian(model.LOSS)
    answers = *(partial(penalized_sums, sums) for sums in batch_sums), lambda _: count_rows(source)
    first = partial(_start, model, begun.rows)
    zero = jnp.zeros((), theta.dtype)
    template = theta, solution(theta, zero, zero, 0, Status.CONVERGED, Method.NEWTON)
    fit = _steps(first, state_template(theta, delta2, begun.data), max_passes, checkpoint)
    return processes.led_by(begun.leader, fit, answers, template)


SUMS, SUMS_WITH_HESSIAN, ROWS = 0, 1, 2  # the requests of a fit


def _steps(first: Callable, template: Reached, max_passes: int, checkpoint: File) -> processes.Fit[Solution]:
    """The fit as a generator: it yields which sums it needs, and is sent them."""
    reached = load_fit(checkpoint, template)
    if reached is None:
        reached = yield from first(template)
        save_fit(checkpoint, reached)
    elif not jnp.array_equal(reached.delta2, template.delta2):
        raise CheckpointError(f"{checkpoint} is a checkpoint of a fit with another penalty")
    while (status := _status(reached, max_passes)) is None:
        following = yield from _line_search(reached, max_passes)
        if following is None:  # rounding hides any further descent
            status = Status.CONVERGED if has_small_gradient(reached) else Status.NO_DESCENT
            break
        reached = following
        save_fit(checkpoint, reached)
    theta, sums, *_ = reached
    if status == Status.CONVERGED:
        step, regular = newton_step(reached)
        theta = theta - step
        if not regular:
            theta, status = yield from _least_norm(reached, theta)
    return solution(theta, sums.cost, jnp.linalg.norm(sums.gradient), int(reached.passes), status, Method.NEWTON)


def _least_norm(reached: Reached, theta: Array) -> processes.Fit[tuple[Array, Status]]:
    """The theta of least norm if it is a minimiser too, else the theta that was reached.

    In float32, columns far from 0 make H singular within rounding although the minimiser is unique.
    """
    H = curvature(reached.sums.hessian, reached.delta2)
    shortest = shortest_solution(H, product(H, theta.reshape(-1))).reshape(theta.shape)
    sums = yield SUMS, shortest
    limit = jnp.sqrt(jnp.finfo(theta.dtype).eps) * reached.first  # the theta of least norm has half of the digits
    if jnp.linalg.norm(sums.gradient) <= limit:
        return shortest, Status.RANK_DEFICIENT
    return theta, Status.CONVERGED


def _start(model: ModuleType, first_rows: Pair, template: Reached) -> processes.Fit[Reached]:
    """The state at the minimiser for the first rows; at θ = 0 if there is no such minimiser or C is less at 0."""
    zero, passes, delta2 = template.theta, template.passes, template.delta2
    (X, y), rows = first_rows, (yield ROWS, zero)
    warm = _minimiser_of_first_rows(model, X, y, delta2 * (len(X) / rows))
    if warm is not None:
        batch = inputs.as_array(X, "X"), inputs.as_array(y, "y"), jnp.ones(len(X), delta2.dtype)
        batch_sums = compiled(class_sums_with_hessian(model.LOSS))
        zero_sums, warm_sums = (batch_sums(*batch, theta) for theta in (zero, warm))
        sums, passes = (yield SUMS, warm), passes + 1
        if sums.cost < zero_sums.cost / len(X) * rows:
            sums = sums._replace(hessian=warm_sums.hessian * (rows / len(X)))
            first = jnp.linalg.norm(zero_sums.gradient) * (rows / len(X))
            return template._replace(theta=warm, sums=sums, first=first, passes=passes)
    sums = yield SUMS_WITH_HESSIAN, zero
    return template._replace(sums=sums, first=jnp.linalg.norm(sums.gradient), passes=passes + 1)


def _status(reached: Reached, max_passes: int) -> Status | None:
    """The status if the fit ends in this state, else None."""
    # the last step, taken without another pass, leaves a hundredth of this
    if is_minimiser(reached):
        return Status.CONVERGED
    if reached.sums.misclassified == 0 and jnp.all(reached.delta2 == 0):
        return Status.SEPARABLE
    return Status.OUT_OF_STEPS if reached.passes >= max_passes else None


def _line_search(start: Reached, max_passes: int) -> processes.Fit[Reached | None]:
    """The state after a step that satisfies the strong Wolfe conditions; None if there is none.

    C is convex, so that its slopes tell how far to go; where θ is large, its values hide that in their rounding. Where
    H is singular, what the values hide is not worth a pass.
    """
    step, regular = newton_step(start)
    slope = -jnp.sum(start.sums.gradient * step)
    zero = jnp.zeros_like(slope)
    search = begin_search(Trial(zero, zero if regular else start.sums.cost, slope), start.theta)
    passes, with_hessian = start.passes, bool(start.slow) or not regular
    while is_searching(search, TRIALS):
        theta = start.theta - search.alpha * step
        sums = yield (SUMS_WITH_HESSIAN if with_hessian else SUMS), theta
        passes = passes + 1
        search = _next_search(search, zero if regular else sums.cost, -jnp.sum(sums.gradient * step), theta)
        if search.good:
            slow = jnp.linalg.norm(sums.gradient) > SLOW_SHARE * jnp.linalg.norm(start.sums.gradient)
            pairs = empty_pairs(MEMORY, theta) if with_hessian else updated_pairs(start, theta, sums.gradient)
            sums = sums if with_hessian else sums._replace(hessian=start.sums.hessian)
            return start._replace(theta=theta, sums=sums, pairs=pairs, slow=slow, passes=passes)
        if passes >= max_passes:
            return start._replace(passes=passes)
        with_hessian = True  # where the first trial is not good, the Hessian is too old
    return None


_next_search = compiled(next_search)


def _minimiser_of_first_rows(model: ModuleType, X: Any, y: Any, delta2: Array) -> Array | None:
    """The minimiser for these rows alone, or None."""
    settings, y = ({}, y.astype(X.dtype)) if delta2.ndim == 1 else ({"classes": delta2.shape[1]}, y.astype("int32"))
    try:
        found = model.fit(X, y, penalty=delta2, **settings)
    except ValueError:  # one class alone
        return None
    return found.theta if found.status == Status.CONVERGED else None
