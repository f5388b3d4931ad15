r"""Linear and ridge regression of data larger than memory.

    A = Σ XᵀX + diag(δ²),  b = Σ Xᵀy,  A θ = b                                        one pass
    θ ← θ + A⁻¹ (Σ Xᵀ(y − Xθ) − δ²θ)           if A alone gives too few digits,      a pass each

The result is that of `linear.fit` and `ridge.fit` of all rows at once, to the digits that these have. Memory: two
batches and d² numbers, whatever the number of rows.

`checkpoint` names a file that is written after the first pass, atomically. A call that finds it goes on from there, on
the same source. It holds data only, no code. A checkpoint of another problem is refused; of the data, the first 32 MB
are compared, and the number of rows if the source knows it.

In a program of several processes each gives a source of its own rows, and all get the result for the rows of all. The
first process that has rows reads and writes the checkpoint.
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import Factored, gram_and_moment, inner, product, residual_moments, shortest_solution, spd_factor
from jax_course.scale import processes
from jax_course.scale.batches import Pair
from jax_course.scale.fold import global_sums
from jax_course.scale.start import File, begin, load_fit, save_fit, solution
from jax_course.solution import Method, Solution, Status
from jax_course.tiers import compiled

ERROR_OF_THETA = 1e-13  # relative; an estimate above it asks for a further pass
RESIDUAL_SHARE = 1e-2  # of Σy²: below, the cost is a difference of much larger numbers, and a further pass sums it anew
MAX_PASSES = 8  # each multiplies the error by about ε / rcond; the loop ends once a pass does not halve it


def fit_linear(source: Iterable[Pair], *, checkpoint: File = None) -> Solution:
    """The θ (d,) that minimises Σ (y − ŷ)² over all rows of a source. Course 3.3.

    RANK_DEFICIENT and errors: as for `fit_ridge`.

    >>> import numpy as np
    >>> fit_linear([(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.0, 3.0]))]).theta
    Array([1., 2.], dtype=float64)
    """
    return fit_ridge(source, penalty=0.0, checkpoint=checkpoint)


def fit_ridge(source: Iterable[Pair], *, penalty: ArrayLike = 0.0, checkpoint: File = None) -> Solution:
    """The θ (d,) that minimises Σ (y − ŷ)² + Σ penalty θ² over all rows of a source; steps are passes. Course 6.1.

    penalty: at least 0, a number or one for each column. checkpoint: a file to go on from, see the module.
    RANK_DEFICIENT: A is singular; of all minimisers theta is the one of least norm, to half the digits.
    NO_DESCENT: A is singular only within rounding, as of float32 columns far from 0: standardize them first.
    DataError: a row is not finite, or a file cannot be read. CheckpointError: the checkpoint is of another fit.

    >>> import numpy as np
    >>> fit_ridge([(np.array([[1.0]]), np.array([3.0])), (np.array([[2.0]]), np.array([7.0]))], penalty=3.5).theta
    Array([2.], dtype=float64)
    """
    begun = begin(source, checkpoint, penalty)
    theta = jnp.zeros(begun.columns, begun.dtype)
    delta2 = inputs.nonnegative(inputs.penalties(penalty, theta))
    zero = jnp.zeros((), theta.dtype)
    template = theta, solution(theta, zero, zero, 0, Status.CONVERGED, Method.NORMAL_EQUATIONS)
    sums = (lambda theta: global_sums(source, _moments)[0]), (lambda theta: global_sums(source, _residuals, theta)[0])
    return processes.led_by(begun.leader, _fit(theta, delta2, begun.data, checkpoint), sums, template)


MOMENTS, RESIDUALS = 0, 1  # the sums of a pass


def _fit(theta: Array, delta2: Array, data: np.ndarray, checkpoint: File) -> processes.Fit[Solution]:
    """The fit as a generator: it yields which sums it needs, and is sent them."""
    d, dtype = theta.size, theta.dtype
    reached = load_fit(checkpoint, _Reached(_Moments(*(jnp.zeros((d,) * n, dtype) for n in (2, 1, 0))), data))
    if reached is None:
        reached = _Reached((yield MOMENTS, theta), data)
        save_fit(checkpoint, reached)
    G, b, yy = reached.moments
    factored, theta, error = _solved(G, b, delta2)
    g, cost, passes = product(G, theta) + delta2 * theta - b, _cost(theta, G, b, yy, delta2), 1
    size = jnp.max(jnp.abs(theta / factored.scale))
    while (
        factored.is_regular()
        and passes < MAX_PASSES
        and (error > ERROR_OF_THETA or (passes == 1 and cost < RESIDUAL_SHARE * yy))
    ):
        moment, squares = yield RESIDUALS, theta
        g, cost, passes = delta2 * theta - moment, squares + jnp.sum(delta2 * theta**2), passes + 1
        step = factored.solve(g)
        last, error = error, jnp.max(jnp.abs(step / factored.scale)) / jnp.where(size > 0, size, 1)
        if passes > 2 and error > last / 2:
            break
        theta = theta - step
    status = Status.CONVERGED
    if not factored.is_regular():
        theta = shortest_solution(G + jnp.diag(delta2), b)
        moment, squares = yield RESIDUALS, theta
        g, cost, passes = delta2 * theta - moment, squares + jnp.sum(delta2 * theta**2), passes + 1
        # otherwise A is singular only within rounding, as of columns far from 0 in float32: theta misses what is lost
        limit = jnp.sqrt(jnp.finfo(b.dtype).eps) * jnp.linalg.norm(factored.scale * b)
        is_minimum = jnp.linalg.norm(factored.scale * g) <= limit
        status = Status.RANK_DEFICIENT if is_minimum else Status.NO_DESCENT
    return solution(theta, cost, 2 * jnp.linalg.norm(g), passes, status, Method.NORMAL_EQUATIONS)


class _Moments(NamedTuple):
    """Σ xxᵀ, Σ xy and Σ y²."""

    G: Array
    b: Array
    yy: Array


class _Reached(NamedTuple):
    """The sums of a pass, and the fingerprint of the data."""

    moments: _Moments
    data: np.ndarray


def _moments(X: Array, y: Array, w: Array) -> _Moments:
    y = y.astype(X.dtype)
    return _Moments(*gram_and_moment(X, y, w, X.dtype), jnp.sum(w * y**2))


def _residuals(X: Array, y: Array, w: Array, theta: Array) -> tuple[Array, Array]:
    return residual_moments(theta, X, y.astype(X.dtype), w)


@compiled
def _solved(G: Array, b: Array, delta2: Array) -> tuple[Factored, Array, Array]:
    """The factor of A, θ, and an estimate of its relative error by the rounding of A."""
    factored = spd_factor(G + jnp.diag(delta2))
    theta = factored.solve(b)
    theta = theta + factored.solve(b - product(G, theta) - delta2 * theta)
    return factored, theta, jnp.finfo(b.dtype).eps / jnp.maximum(factored.rcond, jnp.finfo(b.dtype).tiny)


def _cost(theta: Array, G: Array, b: Array, yy: Array, delta2: Array) -> Array:
    return yy - inner(2 * theta, b) + inner(theta, product(G, theta)) + jnp.sum(delta2 * theta**2)
