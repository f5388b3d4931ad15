r"""Ridge regression for many penalties at once, from one factorisation (course 6.1): path, errors, degrees of freedom.

Row i of a path minimises Σ (y − ŷ)² + penalties[i] Σ factors θ². With X = QR and W = diag(factors), a generalised
singular value decomposition takes both terms apart:

    [R; √τ √W] = [A; B] T,  A = U C Vᵀ,  S = ‖columns of B V‖,  Z = QU,  p = penalty/τ
    θ(p) = T⁻¹ V · C Zᵀy / (C² + p S²)                                                     path
    ŷ = H y,  H = Z diag(s) Zᵀ,  s = C² / (C² + p S²)
    tr H = Σ s                                                                             degrees_of_freedom
    (1/m) Σ ((y − ŷ)_i / (1 − H_ii))²                                                      leave_one_out
    (1/m) Σ ((y − ŷ)_i / (1 − tr H/m))²                                                    generalized_cross_validation
    t(p) = Σ factors θ² = (1/τ) Σ (S C Zᵀy / (C² + p S²))²                                 budget       6.1b

τ only brings both blocks to one size; the columns are equilibrated as in least squares. Two corrections with the
gradient of each θ give back the digits that one factorisation for all penalties costs.

Leaving out an example changes its prediction to ŷ_i − H_ii(y − ŷ)_i/(1 − H_ii) (Sherman and Morrison), hence the error
above without a second fit. 1 − s is p S²/(C² + p S²), so that nothing cancels where the fit nearly interpolates.

t falls from that of least squares to 0 while the penalty rises: to each budget t belongs one penalty, and the minimiser
of ‖y − Xθ‖² under Σ factors θ² ≤ t is the ridge solution with that penalty (Course 6.1).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import solve_triangular

from jax_course import arrays, boundary, checks
from jax_course.linalg import column_scale, product, transpose_product
from jax_course.typing import ArrayLike


class Constrained(NamedTuple):
    """theta (d,), and the penalty whose ridge solution it is: 0 where the budget binds nothing."""

    theta: Array
    penalty: Array


class _Factored(NamedTuple):
    """The letters of the formulas above, T for X with its columns multiplied by scale."""

    Z: Array
    C: Array
    S: Array
    Vt: Array
    T: Array
    scale: Array
    tau: Array

    def shrunk(self, penalties: Array) -> Array:
        """C² + p S², a row per penalty."""
        return self.C[None, :] ** 2 + (penalties / self.tau)[:, None] * self.S[None, :] ** 2

    def shares(self, penalties: Array) -> tuple[Array, Array]:
        """s and 1 − s, a row per penalty; s is 0 where C is nothing but rounding."""
        C2 = jnp.where(self.C > len(self.Z) * jnp.finfo(self.C.dtype).eps, self.C**2, 0)[None, :]
        pS2 = (penalties / self.tau)[:, None] * self.S[None, :] ** 2
        total = jnp.where(C2 + pS2 > 0, C2 + pS2, 1)
        return C2 / total, jnp.where(C2 > 0, pS2 / total, 1)


def path(X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0) -> Array:
    """θ for each of many penalties, shape (number of penalties, d). Course 6.1.

    penalties ≥ 0, shape (n,), in any order; factors ≥ 0 broadcast against theta, a 0 spares the bias. Fewer digits than
    `fit` has where penalties are below rounding on columns of very different units; NaN or infinity where neither data
    nor penalty determines theta.

    >>> path(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.5, 12.0]))
    Array([[2.],
           [1.]], dtype=float64)
    """
    return _path(*_check(X, y, penalties, factors))


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
    factors = boundary.nonnegative(checks.penalties(factors, X[0]), "factors")
    return X, y, boundary.nonnegative(penalties, "penalties"), factors


def _factored(X: Array, factors: Array) -> _Factored:
    Q, R = jnp.linalg.qr(X)
    size_of_X, size_of_W = jnp.sum(jnp.abs(R)), jnp.sum(jnp.sqrt(factors))
    tau = jnp.where((size_of_X > 0) & (size_of_W > 0), size_of_X / jnp.where(size_of_W > 0, size_of_W, 1), 1) ** 2
    both = jnp.concatenate([R, jnp.diag(jnp.sqrt(tau * factors))])
    scale = column_scale(both)
    AB, T = jnp.linalg.qr(both * scale[None, :])
    U, C, Vt = jnp.linalg.svd(AB[: R.shape[0]], full_matrices=False)
    S = jnp.linalg.norm(product(AB[R.shape[0] :], Vt.T), axis=0)
    return _Factored(product(Q, U), C, S, Vt, T, scale, tau)


@jax.jit
def _path(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    by = _factored(X, factors)
    shrunk = by.shrunk(penalties)

    def back(z):
        """D T⁻¹ V z for every row of z."""
        return by.scale[None, :] * solve_triangular(by.T, product(by.Vt.T, z.T)).T

    def corrected(_, theta):
        residual = y[:, None] - product(X, theta.T)
        minus_g = transpose_product(X, residual).T - penalties[:, None] * factors[None, :] * theta
        in_V = product(by.Vt, solve_triangular(by.T, (by.scale[None, :] * minus_g).T, trans=1)).T
        return theta + back(in_V / shrunk)

    theta = back(by.C[None, :] * transpose_product(by.Z, y)[None, :] / shrunk)
    return lax.fori_loop(0, 2, corrected, theta)


@jax.jit
def _leave_one_out(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    by = _factored(X, factors)
    _, one_minus_s = by.shares(penalties)
    # what of an example lies outside the columns of X: rounding where it is nothing
    outside = 1 - jnp.sum(by.Z**2, axis=1)
    outside = jnp.where(outside > 8 * len(by.C) * jnp.finfo(X.dtype).eps, outside, 0)
    one_minus_h = outside[None, :] + product(one_minus_s, by.Z.T**2)
    errors = jnp.where(
        one_minus_h > 0, _residuals(by, y, one_minus_s) / jnp.where(one_minus_h > 0, one_minus_h, 1), jnp.inf
    )
    return jnp.mean(errors**2, axis=1)


@jax.jit
def _generalized_cross_validation(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    by, m = _factored(X, factors), len(y)
    _, one_minus_s = by.shares(penalties)
    one_minus_mean = (m - len(by.C) + jnp.sum(one_minus_s, axis=1)) / m
    mean_square = jnp.mean(_residuals(by, y, one_minus_s) ** 2, axis=1)
    return jnp.where(one_minus_mean > 0, mean_square / jnp.where(one_minus_mean > 0, one_minus_mean, 1) ** 2, jnp.inf)


def _residuals(by: _Factored, y: Array, one_minus_s: Array) -> Array:
    """y − ŷ, a row per penalty."""
    Zy = transpose_product(by.Z, y)
    outside = jnp.where(len(y) > len(by.C), y - product(by.Z, Zy), 0)
    return outside[None, :] + product(one_minus_s * Zy[None, :], by.Z.T)


@jax.jit
def _degrees_of_freedom(X: Array, _: Array, penalties: Array, factors: Array) -> Array:
    return jnp.sum(_factored(X, factors).shares(penalties)[0], axis=1)


@jax.jit
def _budget(X: Array, y: Array, penalties: Array, factors: Array) -> Array:
    by = _factored(X, factors)
    return _size(by, transpose_product(by.Z, y), penalties)


def _size(by: _Factored, Zy: Array, penalties: Array) -> Array:
    s, _ = by.shares(penalties)
    return jnp.sum((s * (by.S * Zy / jnp.where(by.C > 0, by.C, 1))[None, :]) ** 2, axis=1) / by.tau


@jax.jit
def _constrained(X: Array, y: Array, t: Array, factors: Array) -> Constrained:
    by = _factored(X, factors)
    Zy, info = transpose_product(by.Z, y), jnp.finfo(X.dtype)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        too_long = _size(by, Zy, by.tau * jnp.exp(middle)[None])[0] > t
        return jnp.where(too_long, middle, low), jnp.where(too_long, high, middle)

    ends = jnp.log(jnp.array([info.tiny, info.max]))
    low, high = lax.fori_loop(0, info.bits, halve, (ends[0], ends[1]))  # a bit of log p in each
    binds = _size(by, Zy, jnp.zeros_like(Zy[:1]))[0] > t
    penalty = jnp.where(binds, by.tau * jnp.exp((low + high) / 2), 0)
    return Constrained(_path(X, y, penalty[None], factors)[0], penalty)
