r"""Exact fits of data larger than memory: passes over a source, each a sum over its batches.

    linear, ridge     A = Σ XᵀX + diag(δ²),  b = Σ Xᵀy,  A θ = b                                    one pass
                      θ ← θ + A⁻¹ (Σ Xᵀ(y − Xθ) − δ²θ)       where A alone leaves too few digits,   a pass each
    logistic, softmax θ ← θ − t H⁻¹ g,  C, g and H sums over the examples                           a pass each

The result is that of `linear.fit`, `ridge.fit`, `logistic.fit` and `softmax.fit` of all rows at once, to the digits
that these have. Memory: two batches, and d² numbers (for K classes d²K²), whatever the number of rows.

The classifiers begin at the minimiser for the first batch, and the length t of a step is halved until C falls.

`checkpoint` names a file that is written after every pass that led on, whole or not at all; a call that finds it goes
on from there, on the same source. It is data: nothing in it is run. One of another problem is refused.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import boundary, checks
from jax_course.checkpoint import CheckpointError, load, save
from jax_course.classification import logistic, softmax
from jax_course.linalg import Factored, gram_and_moment, residual_moments, spd_factor
from jax_course.optimization.solution import Evaluations, Method, Solution, Status
from jax_course.scale.batches import DataError, Pair
from jax_course.scale.fold import fold
from jax_course.typing import ArrayLike

ENOUGH = 1e-13  # of θ: what the digits of A may leave to a further pass
MOST_PASSES = 8
FALL = 1e-10  # of the gradient, as in the fits of all rows
HALVINGS = 30

File = str | os.PathLike | None


def fit_linear(source: Iterable[Pair], *, checkpoint: File = None) -> Solution:
    """θ of least Σ (y − ŷ)² over all rows of a source. Course 3.3.

    >>> import numpy as np
    >>> fit_linear([(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.0, 3.0]))]).theta
    Array([1., 2.], dtype=float64)
    """
    return fit_ridge(source, penalty=0.0, checkpoint=checkpoint)


def fit_ridge(source: Iterable[Pair], *, penalty: ArrayLike = 0.0, checkpoint: File = None) -> Solution:
    """θ of least Σ (y − ŷ)² + Σ penalty θ² over all rows of a source; steps are passes. Course 6.1.

    RANK_DEFICIENT: A is singular within rounding, and theta is NaN; a penalty, or fewer columns, make it regular.

    >>> import numpy as np
    >>> fit_ridge([(np.array([[1.0]]), np.array([3.0])), (np.array([[2.0]]), np.array([7.0]))], penalty=3.5).theta
    Array([2.], dtype=float64)
    """
    X, _ = _first_batch(source)
    moments = _resumed(checkpoint, _Moments(*(jnp.zeros((X.shape[1],) * n, X.dtype) for n in (2, 1, 0))))
    if moments is None:
        moments, _ = fold(source, _moments)
        _keep(checkpoint, moments)
    G, b, yy = moments
    delta2 = boundary.nonnegative(checks.penalties(penalty, b))
    factored, theta, digits = _solved(G, b, delta2)
    g, cost, passes = G @ theta + delta2 * theta - b, _cost(theta, G, b, yy, delta2), 1
    size = jnp.max(jnp.abs(theta / factored.scale))
    # where nearly all of y is explained, the cost is a difference of what is much larger
    while factored.is_safe() and passes < MOST_PASSES and (digits > ENOUGH or (passes == 1 and cost < 1e-2 * yy)):
        (moment, squares), _ = fold(source, _residuals, theta)
        g, cost, passes = delta2 * theta - moment, squares + jnp.sum(delta2 * theta**2), passes + 1
        step = factored.solve(g)
        last, digits = digits, jnp.max(jnp.abs(step / factored.scale)) / jnp.where(size > 0, size, 1)
        if passes > 2 and digits > last / 2:
            break
        theta = theta - step
    status = Status.CONVERGED if factored.is_safe() else Status.RANK_DEFICIENT
    theta = jnp.where(factored.is_safe(), theta, jnp.nan)
    return _solution(theta, cost, 2 * jnp.linalg.norm(g), passes, status, Method.NORMAL_EQUATIONS)


def fit_logistic(
    source: Iterable[Pair], *, penalty: ArrayLike = 0.0, max_passes: int = 50, checkpoint: File = None
) -> Solution:
    """`logistic.fit` of all rows of a source whose y are 0 and 1; steps are passes. Course 8.6.

    SEPARABLE: found where a pass meets no example on the wrong side; ties are not looked for.
    """
    return _by_newton(source, _of_logistic, logistic.fit, penalty, (), max_passes, checkpoint)


def fit_softmax(
    source: Iterable[Pair], *, classes: int, penalty: ArrayLike = 0.0, max_passes: int = 50, checkpoint: File = None
) -> Solution:
    """`softmax.fit` of all rows of a source whose y are class numbers 0 … classes − 1; steps are passes. Course 9.2."""
    K = int(checks.whole(classes, "classes"))
    return _by_newton(source, _of_softmax, softmax.fit, penalty, (K,), max_passes, checkpoint)


class _Moments(NamedTuple):
    """Σ xxᵀ, Σ xy and Σ y²."""

    G: Array
    b: Array
    yy: Array


def _moments(X: Array, y: Array, w: Array) -> _Moments:
    y = y.astype(X.dtype)
    return _Moments(*gram_and_moment(X, y, w, X.dtype), jnp.sum(w * y**2))


def _residuals(X: Array, y: Array, w: Array, theta: Array) -> tuple[Array, Array]:
    return residual_moments(theta, X, y.astype(X.dtype), w)


@jax.jit
def _solved(G: Array, b: Array, delta2: Array) -> tuple[Factored, Array, Array]:
    """The factor of A, θ, and the relative error that rounding in A may leave in it."""
    factored = spd_factor(G + jnp.diag(delta2))
    theta = factored.solve(b)
    theta = theta + factored.solve(b - G @ theta - delta2 * theta)
    return factored, theta, jnp.finfo(b.dtype).eps / jnp.maximum(factored.rcond, jnp.finfo(b.dtype).tiny)


def _cost(theta: Array, G: Array, b: Array, yy: Array, delta2: Array) -> Array:
    return yy - 2 * theta @ b + theta @ (G @ theta) + jnp.sum(delta2 * theta**2)


class _Sums(NamedTuple):
    """Of the examples: cost, gradient, Hessian; how many are on the wrong side, and how many labels are none."""

    cost: Array
    gradient: Array
    hessian: Array
    wrong: Array
    strange: Array


def _of_logistic(X: Array, y: Array, w: Array, theta: Array) -> _Sums:
    y = y.astype(X.dtype)
    known = (y == 0) | (y == 1)
    y = jnp.where(known, y, 0)
    parts = [part(theta, X, y, weights=w) for part in (logistic.cost, logistic.gradient, logistic.hessian)]
    margins = (2 * y - 1) * (X @ theta)
    return _Sums(*parts, *(jnp.sum(jnp.where(bad, w, 0)) for bad in (margins <= 0, ~known)))


def _of_softmax(X: Array, y: Array, w: Array, theta: Array) -> _Sums:
    K = theta.shape[1]
    whole = y == jnp.floor(y) if y.dtype.kind == "f" else jnp.ones_like(y, bool)
    known = whole & (y >= 0) & (y < K)
    y = jnp.where(known, y, 0).astype(jnp.int32)
    parts = [part(theta, X, y, weights=w) for part in (softmax.cost, softmax.gradient, softmax.hessian)]
    Z = X @ theta
    own = y[:, None] == jnp.arange(K, dtype=y.dtype)[None, :]
    margins = jnp.sum(jnp.where(own, Z, 0), axis=1) - jnp.max(jnp.where(own, -jnp.inf, Z), axis=1)
    return _Sums(*parts, *(jnp.sum(jnp.where(bad, w, 0)) for bad in (margins <= 0, ~known)))


class _Reached(NamedTuple):
    """θ, and what a pass found there, the penalty included; the penalty, ‖g‖ at θ = 0, and the passes so far."""

    theta: Array
    sums: _Sums
    delta2: Array
    first: Array
    passes: Array


def _by_newton(
    source: Iterable[Pair], of_batch: Callable, in_memory: Callable, penalty: Any, shape: tuple[int, ...], most: int,
    checkpoint: File,
) -> Solution:  # fmt: skip
    X, y = _first_batch(source)
    theta = jnp.zeros((X.shape[1], *shape), X.dtype)
    delta2 = boundary.nonnegative(checks.penalties(penalty, theta))

    def at(theta: Array, first: Array | None, passes: Any) -> tuple[_Reached, int]:
        sums, rows = fold(source, of_batch, theta)
        if sums.strange > 0:
            last = shape[0] - 1 if shape else 1
            raise DataError(f"y must hold 0…{last}; {int(sums.strange)} rows hold something else")
        g = sums.gradient + 2 * delta2 * theta
        sums = sums._replace(cost=sums.cost + jnp.sum(delta2 * theta**2), gradient=g)
        first = jnp.linalg.norm(g) if first is None else first
        return _Reached(theta, sums, delta2, first, jnp.array(passes + 1, jnp.int32)), rows

    reached = _resumed(checkpoint, _like(theta, delta2))
    if reached is None:
        reached, rows = at(theta, None, 0)
        _keep(checkpoint, reached)
        nearer = _of_first_batch(in_memory, X, y, delta2 * (len(X) / rows), shape)
        if nearer is not None and most > 1:
            there, _ = at(nearer, reached.first, reached.passes)
            reached = there if there.sums.cost < reached.sums.cost else reached._replace(passes=there.passes)
            _keep(checkpoint, reached)
    elif not jnp.array_equal(reached.delta2, delta2):
        raise CheckpointError(f"{checkpoint} is a checkpoint of a fit with another penalty")
    while True:
        theta, sums, *_ = reached
        step, safe = _newton_step(sums.hessian, sums.gradient, delta2)
        status = _status_at(reached, most)
        found = _downhill(at, reached, step, most) if status is None else None
        if found is None:
            theta = jnp.where(safe, theta - step, theta) if status == Status.CONVERGED else theta
            status = Status.NO_DESCENT if status is None else status
            norm, passes = jnp.linalg.norm(sums.gradient), int(reached.passes)
            return _solution(theta, sums.cost, norm, passes, status, Method.NEWTON)
        reached = found
        _keep(checkpoint, reached)


def _status_at(reached: _Reached, most: int) -> Status | None:
    """How a fit ends there; None where it goes on."""
    _, sums, delta2, first, passes = reached
    if jnp.linalg.norm(sums.gradient) <= FALL * first:
        return Status.CONVERGED
    if sums.wrong == 0 and jnp.all(delta2 == 0):
        return Status.SEPARABLE
    return Status.OUT_OF_STEPS if passes >= most else None


def _downhill(at: Callable, start: _Reached, step: Array, most: int) -> _Reached | None:
    """The first of the points t = 1, ½, ¼ … at which cost or gradient is less; at the last pass whatever it finds."""
    t, passes = 1.0, start.passes
    for _ in range(HALVINGS):
        there, _ = at(start.theta - t * step, start.first, passes)
        lower = there.sums.cost <= start.sums.cost
        flatter = jnp.linalg.norm(there.sums.gradient) < jnp.linalg.norm(start.sums.gradient)
        if lower or flatter:
            return there
        if there.passes >= most:
            return start._replace(passes=there.passes)
        t, passes = t / 2, there.passes
    return None


def _like(theta: Array, delta2: Array) -> _Reached:
    """A tree of the shapes of what is kept."""
    number = jnp.zeros((), theta.dtype)
    sums = _Sums(number, theta, jnp.zeros(theta.shape * 2, theta.dtype), number, number)
    return _Reached(theta, sums, delta2, number, jnp.zeros((), jnp.int32))


def _first_batch(source: Iterable[Pair]) -> Pair:
    for X, y in source:
        if len(X):
            return X, y
    raise DataError("a source must hold at least one row; this one holds none")


def _resumed(checkpoint: File, like: Any) -> Any:
    return load(checkpoint, like) if checkpoint is not None and os.path.exists(checkpoint) else None


def _keep(checkpoint: File, reached: Any) -> None:
    if checkpoint is not None:
        save(checkpoint, reached)


def _of_first_batch(in_memory: Callable, X: Any, y: Any, delta2: Array, shape: tuple[int, ...]) -> Array | None:
    """The minimiser for these rows alone, where there is one."""
    settings = {"classes": shape[0]} if shape else {}
    try:
        found = in_memory(X, y.astype("int32") if shape else y.astype(X.dtype), penalty=delta2, **settings)
    except ValueError:  # one class alone
        return None
    return found.theta if found.status == Status.CONVERGED else None


@jax.jit
def _newton_step(H: Array, g: Array, delta2: Array) -> tuple[Array, Array]:
    """H⁻¹ g, and whether H is regular. What is added to all classes has no curvature of its own, and no gradient."""
    size = g.size
    H = H.reshape(size, size) + jnp.diag(2 * delta2.reshape(-1))
    if g.ndim == 2:
        d, K = g.shape
        of_a_shift = jnp.trace(H) / size * jnp.eye(d, dtype=g.dtype)[:, None, :, None] / K
        H = H + jnp.broadcast_to(of_a_shift, (d, K, d, K)).reshape(size, size)
    factored = spd_factor(H)
    return factored.solve(g.reshape(-1)).reshape(g.shape), factored.is_safe()


def _solution(theta: Array, cost: Array, norm: Array, passes: int, status: Status, method: Method) -> Solution:
    steps, code, way = (jnp.array(number, jnp.int32) for number in (passes, int(status), int(method)))
    return Solution(theta, cost, norm, steps, code, Evaluations(passes, passes, passes), way)
