r"""Exact fits of data larger than memory: passes over a source, each a sum over its batches.

    linear, ridge     A = Σ XᵀX + diag(δ²),  b = Σ Xᵀy,  A θ = b                                    one pass
                      θ ← θ + A⁻¹ (Σ Xᵀ(y − Xθ) − δ²θ)       where A alone leaves too few digits,   a pass each
    logistic, softmax θ ← θ − t H⁻¹ g,  C, g and H sums over the examples                           a pass each

The result is that of `linear.fit`, `ridge.fit`, `logistic.fit` and `softmax.fit` of all rows at once, to the digits
that these have. Memory: two batches, and d² numbers (for K classes d²K²), whatever the number of rows.

The classifiers begin at the minimiser for the first batch, and the length t of a step is halved until C falls.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import boundary, checks
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


def fit_linear(source: Iterable[Pair]) -> Solution:
    """θ of least Σ (y − ŷ)² over all rows of a source. Course 3.3.

    >>> import numpy as np
    >>> fit_linear([(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.0, 3.0]))]).theta
    Array([1., 2.], dtype=float64)
    """
    return fit_ridge(source, penalty=0.0)


def fit_ridge(source: Iterable[Pair], *, penalty: ArrayLike = 0.0) -> Solution:
    """θ of least Σ (y − ŷ)² + Σ penalty θ² over all rows of a source; steps are passes. Course 6.1.

    RANK_DEFICIENT: A is singular within rounding, and theta is NaN; a penalty, or fewer columns, make it regular.

    >>> import numpy as np
    >>> fit_ridge([(np.array([[1.0]]), np.array([3.0])), (np.array([[2.0]]), np.array([7.0]))], penalty=3.5).theta
    Array([2.], dtype=float64)
    """
    (G, b, yy), _ = fold(source, _moments)
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


def fit_logistic(source: Iterable[Pair], *, penalty: ArrayLike = 0.0, max_passes: int = 50) -> Solution:
    """`logistic.fit` of all rows of a source whose y are 0 and 1; steps are passes. Course 8.6.

    SEPARABLE: found where a pass meets no example on the wrong side; ties are not looked for.
    """
    return _by_newton(source, _of_logistic, logistic.fit, penalty, (), max_passes)


def fit_softmax(source: Iterable[Pair], *, classes: int, penalty: ArrayLike = 0.0, max_passes: int = 50) -> Solution:
    """`softmax.fit` of all rows of a source whose y are class numbers 0 … classes − 1; steps are passes. Course 9.2."""
    return _by_newton(source, _of_softmax, softmax.fit, penalty, (int(checks.whole(classes, "classes")),), max_passes)


def _moments(X: Array, y: Array, w: Array) -> tuple[Array, Array, Array]:
    y = y.astype(X.dtype)
    G, b = gram_and_moment(X, y, w, X.dtype)
    return G, b, jnp.sum(w * y**2)


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


def _by_newton(
    source: Iterable[Pair], of_batch: Callable, in_memory: Callable, penalty: Any, shape: tuple[int, ...], most: int
) -> Solution:
    X, y = next(((X, y) for X, y in source if len(X)), (None, None))
    if X is None:
        raise DataError("a source must hold at least one row; this one holds none")
    theta = jnp.zeros((X.shape[1], *shape), X.dtype)
    delta2 = boundary.nonnegative(checks.penalties(penalty, theta))

    def at(theta: Array) -> tuple[_Sums, Array, Array, int]:
        sums, rows = fold(source, of_batch, theta)
        if sums.strange > 0:
            raise DataError(
                f"y must hold 0…{shape[0] - 1 if shape else 1}; {int(sums.strange)} rows hold something else"
            )
        return sums, sums.cost + jnp.sum(delta2 * theta**2), sums.gradient + 2 * delta2 * theta, rows

    sums, cost, g, rows = at(theta)
    first, passes, status = jnp.linalg.norm(g), 1, Status.OUT_OF_STEPS
    nearer = _of_first_batch(in_memory, X, y, delta2 * (len(X) / rows), shape)
    if nearer is not None and passes < most and (new := at(nearer))[1] < cost:
        theta, (sums, cost, g, _) = nearer, new
        passes += 1
    while passes < most:
        step, safe = _newton_step(sums.hessian, g, delta2)
        if jnp.linalg.norm(g) <= FALL * first:
            theta, status = jnp.where(safe, theta - step, theta), Status.CONVERGED
            break
        if sums.wrong == 0 and jnp.all(delta2 == 0) and passes > 1:
            status = Status.SEPARABLE
            break
        t = 1.0
        for _ in range(HALVINGS):
            new = at(theta - t * step)
            passes += 1
            if new[1] <= cost or jnp.linalg.norm(new[2]) < jnp.linalg.norm(g) or passes >= most:
                break
            t /= 2
        else:
            status = Status.NO_DESCENT
            break
        theta, (sums, cost, g, _) = theta - t * step, new
    return _solution(theta, cost, jnp.linalg.norm(g), passes, status, Method.NEWTON)


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
