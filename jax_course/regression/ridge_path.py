r"""Ridge regression for many penalties at once, from one factorisation (course 6.1): path, errors, degrees of freedom.

Row i of a path minimises Σ (y − ŷ)² + penalties[i] Σ factors θ². `linalg.spectrum` takes both terms apart, for
p = penalty/τ:

    θ(p) = B · C Zᵀy / (C² + p S²)                                                         path
    ŷ = H y,  H = Z diag(s) Zᵀ,  s = C² / (C² + p S²)
    tr H = Σ s                                                                             degrees_of_freedom
    (1/m) Σ ((y − ŷ)_i / (1 − H_ii))²                                                      leave_one_out
    (1/m) Σ ((y − ŷ)_i / (1 − tr H/m))²                                                    generalized_cross_validation
    t(p) = Σ factors θ² = (1/τ) Σ (S C Zᵀy / (C² + p S²))²                                 budget       6.1b

One or two corrections with the gradient of each θ give back the digits that one factorisation for all penalties costs.

Leaving out an example changes its prediction to ŷ_i − H_ii(y − ŷ)_i/(1 − H_ii) (Sherman and Morrison), hence the error
above without a second fit. 1 − s is p S²/(C² + p S²), so that nothing cancels where the fit nearly interpolates.

t falls from that of least squares to 0 while the penalty rises: to each budget t belongs one penalty, and the minimiser
of ‖y − Xθ‖² under Σ factors θ² ≤ t is the ridge solution with that penalty (Course 6.1).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course import arrays, boundary, checks
from jax_course.differentiation import forward_only
from jax_course.linalg import Spectrum, product, sum_over_blocks, transpose_product, with_spectrum
from jax_course.typing import ArrayLike

BLOCK = 2048  # rows whose errors are there at once


class Constrained(NamedTuple):
    """theta (d,), and the penalty whose ridge solution it is: 0 where the budget binds nothing."""

    theta: Array
    penalty: Array


def path(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """θ for each of many penalties, shape (number of penalties, d). Course 6.1.

    penalties ≥ 0, shape (n,), in any order; factors ≥ 0 broadcast against theta, a 0 spares the bias. Fewer digits than
    `fit` has where penalties are below rounding on columns of very different units; NaN or infinity where neither data
    nor penalty determines theta.

    >>> path(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.5, 12.0]))
    Array([[2.],
           [1.]], dtype=float64)
    """
    return forward_only(_path(*_check(X, y, penalties, factors)), "ridge_path.path")


def leave_one_out(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """The mean squared error of predicting each example from all others, for each penalty, shape (n,). Course 6.1.

    Infinite where the others do not determine the prediction. Examples 1 and 3 of a constant predict 3 and 1:

    >>> leave_one_out(jnp.ones((2, 1)), jnp.array([1.0, 3.0]), jnp.array([0.0]))
    Array([4.], dtype=float64)
    """
    return _leave_one_out(*_check(X, y, penalties, factors))


def generalized_cross_validation(
    X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0
) -> Array:
    """`leave_one_out` with every H_ii replaced by their mean, for each penalty, shape (n,). Course 6.1.

    It does not change when examples are mixed by a rotation (Golub, Heath and Wahba 1979).

    >>> generalized_cross_validation(jnp.ones((2, 1)), jnp.array([1.0, 3.0]), jnp.array([0.0]))
    Array([4.], dtype=float64)
    """
    return _generalized_cross_validation(*_check(X, y, penalties, factors))


def degrees_of_freedom(X: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """tr H for each penalty, shape (n,): d without a penalty, what is not penalised with a large one. Course 6.1.

    >>> degrees_of_freedom(jnp.array([[3.0, 0.0], [0.0, 3.0]]), jnp.array([0.0, 9.0]))
    Array([2., 1.], dtype=float64)
    """
    X = boundary.training_design(X)
    return _degrees_of_freedom(*_check(X, jnp.zeros_like(X[:, 0]), penalties, factors))


def budget(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """t = Σ factors θ² of each solution, shape (n,): falls while the penalty rises. Course 6.1.

    >>> budget(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.5, 12.0]))
    Array([4., 1.], dtype=float64)
    """
    return _budget(*_check(X, y, penalties, factors))


def constrained(X: ArrayLike, y: ArrayLike, *, budget: ArrayLike, factors: ArrayLike = 1.0) -> Constrained:
    """The minimiser of Σ (y − ŷ)² under Σ factors θ² ≤ budget, and its penalty. Course 6.1.

    >>> constrained(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), budget=4.0).theta
    Array([2.], dtype=float64)
    """
    X = boundary.training_design(X)
    t = boundary.positive(budget, "budget", X)
    X, y, _, factors = _check(X, y, [0.0], factors)
    return _constrained(X, y, t, factors)


def _check(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, factors: ArrayLike) -> tuple[Array, Array, Array, Array]:
    X = boundary.training_design(X)
    y = boundary.finite(checks.targets(y, X), "y")
    penalties = arrays.numbers(penalties, "penalties", like=X).astype(X.dtype)
    if penalties.ndim != 1 or not penalties.size:
        raise ValueError(f"penalties must have shape (n,), at least one; got shape {penalties.shape}")
    factors = boundary.column_penalties(factors, X, "factors")
    return X, y, boundary.nonnegative(penalties, "penalties"), factors


def _shares(by: Spectrum, penalties: Array) -> tuple[Array, Array]:
    """s and 1 − s, a row per penalty; s is 0 where C is nothing but rounding."""
    C2 = jnp.where(by.C > len(by.rows) * jnp.finfo(by.C.dtype).eps, by.C**2, 0)[None, :]
    pS2 = (penalties / by.tau)[:, None] * by.S[None, :] ** 2
    total = jnp.where(C2 + pS2 > 0, C2 + pS2, 1)
    return C2 / total, jnp.where(C2 > 0, pS2 / total, 1)


@jax.jit
def _path(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    def thetas(by: Spectrum) -> Array:
        shrunk = by.C[None, :] ** 2 + (penalties / by.tau)[:, None] * by.S[None, :] ** 2

        def corrected(state):
            theta, _, steps = state

            def of_block(X: Array, y: Array) -> Array:
                return transpose_product(X, y[:, None] - product(X, theta.T)).T

            minus_g = sum_over_blocks(of_block, X, y, rows=BLOCK) - penalties[:, None] * factors[None, :] * theta
            step = product(product(minus_g, by.B) / shrunk, by.B.T)
            # below the root of rounding a correction leaves nothing for another
            more = jnp.max(jnp.abs(step) / by_size) > jnp.sqrt(jnp.finfo(X.dtype).eps)
            return theta + step, more, steps + 1

        start = product((by.C * by.coordinates(y))[None, :] / shrunk, by.B.T)
        size = jnp.max(jnp.abs(start), axis=1, keepdims=True)
        by_size = jnp.where(size > 0, size, 1)
        return lax.while_loop(lambda state: state[1] & (state[2] < 2), corrected, (start, jnp.array(True), 0))[0]

    return with_spectrum(thetas, X, factors)


@jax.jit
def _leave_one_out(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    def mean_square(by: Spectrum) -> Array:
        (_, one_minus_s), Zy = _shares(by, penalties), by.coordinates(y)

        def of_block(rows: Array, y: Array) -> Array:
            Z, residual = _residuals(by, Zy, rows, y, one_minus_s)
            # what of an example lies outside the columns of X: rounding where it is nothing
            outside = 1 - jnp.sum(Z**2, axis=1)
            outside = jnp.where(outside > 8 * len(by.C) * jnp.finfo(X.dtype).eps, outside, 0)
            one_minus_h = outside[:, None] + product(Z**2, one_minus_s.T)
            determined = one_minus_h > 0
            errors = jnp.where(determined, residual / jnp.where(determined, one_minus_h, 1), jnp.inf)
            return jnp.sum(errors**2, axis=0)

        return sum_over_blocks(of_block, by.rows, y, rows=BLOCK) / m

    m = len(y)
    return with_spectrum(mean_square, X, factors)


@jax.jit
def _generalized_cross_validation(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    def mean_square(by: Spectrum) -> Array:
        (_, one_minus_s), Zy = _shares(by, penalties), by.coordinates(y)

        def of_block(rows: Array, y: Array) -> Array:
            return jnp.sum(_residuals(by, Zy, rows, y, one_minus_s)[1] ** 2, axis=0)

        squares = sum_over_blocks(of_block, by.rows, y, rows=BLOCK) / m
        one_minus_mean = (m - len(by.C) + jnp.sum(one_minus_s, axis=1)) / m
        determined = one_minus_mean > 0
        return jnp.where(determined, squares / jnp.where(determined, one_minus_mean, 1) ** 2, jnp.inf)

    m = len(y)
    return with_spectrum(mean_square, X, factors)


def _residuals(by: Spectrum, Zy: Array, rows: Array, y: Array, one_minus_s: Array) -> tuple[Array, Array]:
    """Z and y − ŷ of some rows, a column per penalty."""
    Z = product(rows, by.turn)
    outside = y - product(Z, Zy) if len(by.rows) > len(by.C) else jnp.zeros_like(y)
    return Z, outside[:, None] + product(Z, (one_minus_s * Zy[None, :]).T)


@jax.jit
def _degrees_of_freedom(X: Array, _: Array, penalties: Array, factors: Array) -> Array:
    return with_spectrum(lambda by: jnp.sum(_shares(by, penalties)[0], axis=1), X, factors)


@jax.jit
def _budget(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    return with_spectrum(lambda by: _size(by, by.coordinates(y), penalties), X, factors)


def _size(by: Spectrum, Zy: Array, penalties: Array) -> Array:
    s, _ = _shares(by, penalties)
    return jnp.sum((s * (by.S * Zy / jnp.where(by.C > 0, by.C, 1))[None, :]) ** 2, axis=1) / by.tau


@jax.jit
def _constrained(X: Array, y: Array, t: Array, factors: Array) -> Constrained:
    penalty = with_spectrum(lambda by: _penalty_of(by, by.coordinates(y), t), X, factors)
    return Constrained(_path(X, y, penalty[None], factors)[0], penalty)


def _penalty_of(by: Spectrum, Zy: Array, t: Array) -> Array:
    """The penalty to the budget t, by bisection; 0 where t binds nothing."""
    info = jnp.finfo(Zy.dtype)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        too_long = _size(by, Zy, by.tau * jnp.exp(middle)[None])[0] > t
        return jnp.where(too_long, middle, low), jnp.where(too_long, high, middle)

    ends = jnp.log(jnp.array([info.tiny, info.max]))
    low, high = lax.fori_loop(0, info.bits, halve, (ends[0], ends[1]))  # a bit of log p in each
    binds = _size(by, Zy, jnp.zeros_like(Zy[:1]))[0] > t
    return jnp.where(binds, by.tau * jnp.exp((low + high) / 2), 0)
