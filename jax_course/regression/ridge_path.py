r"""Ridge regression for many penalties at once, from one factorisation (course 6.1): path, errors, degrees of freedom.

Row i of a path minimises Σ (y − ŷ)² + penalties[i] Σ factors θ². With the generalised SVD of X and √factors
(`linalg.gsvd`) and p = penalty/τ:

    θ(p) = B · C Zᵀy / (C² + p S²)                                                         path
    ŷ = H y,  H = Z diag(s) Zᵀ,  s = C² / (C² + p S²)
    tr H = Σ s                                                                             degrees_of_freedom
    (1/m) Σ ((y − ŷ)_i / (1 − H_ii))²                                                      leave_one_out
    (1/m) Σ ((y − ŷ)_i / (1 − tr H/m))²                                                    generalized_cross_validation
    t(p) = Σ factors θ² = (1/τ) Σ (S C Zᵀy / (C² + p S²))²                                 budget       6.1b

One or two corrections with the gradient of each θ restore the digits that one factorisation for all penalties costs.

Without example i its prediction is ŷ_i − H_ii(y − ŷ)_i/(1 − H_ii) (Sherman and Morrison), hence the error above without
a second fit. 1 − s is p S²/(C² + p S²), so that nothing cancels where the fit nearly interpolates.

t falls from that of least squares to 0 while the penalty rises: to each budget t belongs one penalty, and the minimiser
of ‖y − Xθ‖² under Σ factors θ² ≤ t is the ridge solution with that penalty (Course 6.1).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course import inputs
from jax_course.implicit import evaluated
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import GSVD, product, sum_over_blocks, transpose_product, with_gsvd
from jax_course.regression import ridge_formulas
from jax_course.tiers import compiled

BLOCK = 2048  # rows of X: their errors for all penalties are in memory at once, BLOCK × n numbers


class Constrained(NamedTuple):
    """theta (d,), and the penalty whose ridge solution it is: 0 where least squares keeps to the budget."""

    theta: Array
    penalty: Array


def path(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """θ for each penalty, shape (n, d). Course 6.1.

    penalties ≥ 0, shape (n,), in any order; factors ≥ 0 broadcast against theta, a 0 spares the bias. Fewer digits than
    `fit` for penalties below rounding on columns of very different units; NaN or infinity where neither data nor
    penalty determines theta.

    >>> path(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.5, 12.0]))
    Array([[2.],
           [1.]], dtype=float64)
    """
    return evaluated(_path, ridge_formulas.path, *_problem(X, y, penalties, factors))


def leave_one_out(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """The mean squared error of predicting each example from all others, for each penalty, shape (n,). Course 6.1.

    Infinite where the others do not determine the prediction. Examples 1 and 3 of a constant predict 3 and 1:

    >>> leave_one_out(jnp.ones((2, 1)), jnp.array([1.0, 3.0]), jnp.array([0.0]))
    Array([4.], dtype=float64)
    """
    return evaluated(_leave_one_out, ridge_formulas.leave_one_out, *_problem(X, y, penalties, factors))


def generalized_cross_validation(
    X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0
) -> Array:
    """`leave_one_out` with every H_ii replaced by their mean, for each penalty, shape (n,). Course 6.1.

    It does not change when examples are mixed by a rotation (Golub, Heath and Wahba 1979).

    >>> generalized_cross_validation(jnp.ones((2, 1)), jnp.array([1.0, 3.0]), jnp.array([0.0]))
    Array([4.], dtype=float64)
    """
    return evaluated(
        _generalized_cross_validation, ridge_formulas.generalized_cross_validation, *_problem(X, y, penalties, factors)
    )


def degrees_of_freedom(X: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """tr H for each penalty, shape (n,): from d without a penalty to the number of factors 0. Course 6.1.

    >>> degrees_of_freedom(jnp.array([[3.0, 0.0], [0.0, 3.0]]), jnp.array([0.0, 9.0]))
    Array([2., 1.], dtype=float64)
    """
    X = inputs.training_design(X)
    problem = _problem(X, jnp.zeros_like(X[:, 0]), penalties, factors)
    return evaluated(_degrees_of_freedom, ridge_formulas.degrees_of_freedom, *problem)


def budget(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """t = Σ factors θ² of each solution, shape (n,): falls while the penalty rises. Course 6.1.

    >>> budget(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.5, 12.0]))
    Array([4., 1.], dtype=float64)
    """
    return evaluated(_budget, ridge_formulas.budget, *_problem(X, y, penalties, factors))


def constrained(X: ArrayLike, y: ArrayLike, *, budget: ArrayLike, factors: ArrayLike = 1.0) -> Constrained:
    """The minimiser of Σ (y − ŷ)² under Σ factors θ² ≤ budget, and its penalty. Course 6.1.

    >>> constrained(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), budget=4.0).theta
    Array([2.], dtype=float64)
    """
    X, y, _, factors = inputs.regression_problem(X, y, penalty=factors, name="factors")
    return Constrained(
        *evaluated(_constrained, _constrained_formula, X, y, inputs.positive(budget, "budget", X), factors)
    )


def _problem(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, factors: ArrayLike) -> tuple[Array, Array, Array, Array]:
    X, y, _, factors = inputs.regression_problem(X, y, penalty=factors, name="factors")
    penalties = inputs.as_array(penalties, "penalties", like=X).astype(X.dtype)
    if penalties.ndim != 1 or not penalties.size:
        raise ValueError(f"penalties must have shape (n,), at least one; got shape {penalties.shape}")
    return X, y, inputs.nonnegative(penalties, "penalties"), factors


def _shares(gsvd: GSVD, penalties: Array) -> tuple[Array, Array]:
    """s and 1 − s, a row per penalty; s is 0 where C is only rounding."""
    C2 = jnp.where(gsvd.C > len(gsvd.rows) * jnp.finfo(gsvd.C.dtype).eps, gsvd.C**2, 0)[None, :]
    pS2 = (penalties / gsvd.tau)[:, None] * gsvd.S[None, :] ** 2
    total = jnp.where(C2 + pS2 > 0, C2 + pS2, 1)
    return C2 / total, jnp.where(C2 > 0, pS2 / total, 1)


@compiled
def _path(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    def thetas(gsvd: GSVD) -> Array:
        shrunk = gsvd.C[None, :] ** 2 + (penalties / gsvd.tau)[:, None] * gsvd.S[None, :] ** 2

        def corrected(state):
            theta, _, steps = state

            def minus_half_gradient(X: Array, y: Array) -> Array:
                return transpose_product(X, y[:, None] - product(X, theta.T)).T

            minus_g = sum_over_blocks(minus_half_gradient, X, y, rows=BLOCK)
            minus_g = minus_g - penalties[:, None] * factors[None, :] * theta
            step = product(product(minus_g, gsvd.B) / shrunk, gsvd.B.T)
            # after a correction below the root of rounding, a further one changes nothing
            more = jnp.max(jnp.abs(step) / unit) > jnp.sqrt(jnp.finfo(X.dtype).eps)
            return theta + step, more, steps + 1

        start = product((gsvd.C * gsvd.coordinates(y))[None, :] / shrunk, gsvd.B.T)
        size = jnp.max(jnp.abs(start), axis=1, keepdims=True)
        unit = jnp.where(size > 0, size, 1)
        return lax.while_loop(lambda state: state[1] & (state[2] < 2), corrected, (start, jnp.array(True), 0))[0]

    return with_gsvd(thetas, X, factors)


@compiled
def _leave_one_out(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    def mean_square(gsvd: GSVD) -> Array:
        (_, one_minus_s), Zy = _shares(gsvd, penalties), gsvd.coordinates(y)

        def squares_in_block(rows: Array, y: Array) -> Array:
            Z, residual = _residuals(gsvd, Zy, rows, y, one_minus_s)
            # 1 − ‖z‖² of an example in the span of Z is only rounding
            outside = 1 - jnp.sum(Z**2, axis=1)
            outside = jnp.where(outside > 8 * len(gsvd.C) * jnp.finfo(X.dtype).eps, outside, 0)
            one_minus_h = outside[:, None] + product(Z**2, one_minus_s.T)
            determined = one_minus_h > 0
            errors = jnp.where(determined, residual / jnp.where(determined, one_minus_h, 1), jnp.inf)
            return jnp.sum(errors**2, axis=0)

        return sum_over_blocks(squares_in_block, gsvd.rows, y, rows=BLOCK) / m

    m = len(y)
    return with_gsvd(mean_square, X, factors)


@compiled
def _generalized_cross_validation(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    def mean_square(gsvd: GSVD) -> Array:
        (_, one_minus_s), Zy = _shares(gsvd, penalties), gsvd.coordinates(y)

        def squares_in_block(rows: Array, y: Array) -> Array:
            return jnp.sum(_residuals(gsvd, Zy, rows, y, one_minus_s)[1] ** 2, axis=0)

        squares = sum_over_blocks(squares_in_block, gsvd.rows, y, rows=BLOCK) / m
        one_minus_mean = (m - len(gsvd.C) + jnp.sum(one_minus_s, axis=1)) / m
        determined = one_minus_mean > 0
        return jnp.where(determined, squares / jnp.where(determined, one_minus_mean, 1) ** 2, jnp.inf)

    m = len(y)
    return with_gsvd(mean_square, X, factors)


def _residuals(gsvd: GSVD, Zy: Array, rows: Array, y: Array, one_minus_s: Array) -> tuple[Array, Array]:
    """Z and y − ŷ of some rows, a column per penalty."""
    Z = product(rows, gsvd.turn)
    outside = y - product(Z, Zy) if len(gsvd.rows) > len(gsvd.C) else jnp.zeros_like(y)
    return Z, outside[:, None] + product(Z, (one_minus_s * Zy[None, :]).T)


@compiled
def _degrees_of_freedom(X: Array, _: Array, penalties: Array, factors: Array) -> Array:
    return with_gsvd(lambda gsvd: jnp.sum(_shares(gsvd, penalties)[0], axis=1), X, factors)


@compiled
def _budget(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    return with_gsvd(lambda gsvd: _size(gsvd, gsvd.coordinates(y), penalties), X, factors)


def _size(gsvd: GSVD, Zy: Array, penalties: Array) -> Array:
    s, _ = _shares(gsvd, penalties)
    return jnp.sum((s * (gsvd.S * Zy / jnp.where(gsvd.C > 0, gsvd.C, 1))[None, :]) ** 2, axis=1) / gsvd.tau


@compiled
def _constrained(X: Array, y: Array, t: Array, factors: Array) -> tuple[Array, Array]:
    penalty = with_gsvd(lambda gsvd: _penalty_for_budget(gsvd, gsvd.coordinates(y), t), X, factors)
    return _path(X, y, penalty[None], factors)[0], penalty


def _constrained_formula(X: Array, y: Array, t: Array, factors: Array) -> tuple[Array, Array]:
    penalty = lax.stop_gradient(_constrained(*lax.stop_gradient((X, y, t, factors)))[1])
    return ridge_formulas.constrained(penalty, X, y, t, factors)


def _penalty_for_budget(gsvd: GSVD, Zy: Array, t: Array) -> Array:
    """The penalty whose solution has the budget t, by bisection; 0 where least squares keeps to it."""
    info = jnp.finfo(Zy.dtype)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        too_long = _size(gsvd, Zy, gsvd.tau * jnp.exp(middle)[None])[0] > t
        return jnp.where(too_long, middle, low), jnp.where(too_long, high, middle)

    ends = jnp.log(jnp.array([info.tiny, info.max]))
    low, high = lax.fori_loop(0, info.bits, halve, (ends[0], ends[1]))  # a bit of log p in each
    binds = _size(gsvd, Zy, jnp.zeros_like(Zy[:1]))[0] > t
    return jnp.where(binds, gsvd.tau * jnp.exp((low + high) / 2), 0)
