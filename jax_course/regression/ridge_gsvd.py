r"""The numbers of `ridge_path` by the generalised SVD, whose letters are those of its docstring (course 6.1).

All take X (m, d), y (m,), weights w (m,) or (), penalties (n,) and factors (d,). Derivatives: `ridge_formulas`.
"""

import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import GSVD, product, sum_over_blocks, transpose_product, with_gsvd
from jax_course.regression import ridge_formulas
from jax_course.tiers import compiled

BLOCK = 512  # rows of X: their errors for all penalties are in memory at once, BLOCK × n numbers; 2,048 are no faster


def _scaled(X: Array, y: Array, w: Array) -> tuple[Array, Array, Array]:
    """X and y of a problem without weights that has the solutions of this one, and the unit of its penalties."""
    if w.ndim == 0:
        return X, y, jnp.where(w > 0, w, jnp.nan)
    root = jnp.sqrt(w)
    return root[:, None] * X, root * y, jnp.ones((), X.dtype)


def _shares(gsvd: GSVD, penalties: Array) -> tuple[Array, Array]:
    """s and 1 − s, a row per penalty; s is 0 where C is only rounding."""
    C2 = jnp.where(gsvd.C > len(gsvd.rows) * jnp.finfo(gsvd.C.dtype).eps, gsvd.C**2, 0)[None, :]
    pS2 = (penalties / gsvd.tau)[:, None] * gsvd.S[None, :] ** 2
    total = jnp.where(C2 + pS2 == 0, 1, C2 + pS2)
    return C2 / total, jnp.where(C2 > 0, pS2 / total, 1)


def _work(X: Array, y: Array, w: Array, penalties: Array, *_: Array) -> float:
    """The multiplications of one factorisation, and of two products with X for each penalty."""
    return X.size * (2 * min(X.shape) + 2 * penalties.size)


@compiled(operations=_work)
def path(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """θ for each penalty, shape (n, d)."""
    X, y, unit = _scaled(X, y, w)
    penalties = penalties / unit

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
            more = jnp.max(jnp.abs(step) / largest) > jnp.sqrt(jnp.finfo(X.dtype).eps)
            return theta + step, more, steps + 1

        start = product((gsvd.C * gsvd.coordinates(y))[None, :] / shrunk, gsvd.B.T)
        size = jnp.max(jnp.abs(start), axis=1, keepdims=True)
        largest = jnp.where(size > 0, size, 1)
        return lax.while_loop(lambda state: state[1] & (state[2] < 2), corrected, (start, ~gsvd.is_close, 0))[0]

    return with_gsvd(thetas, X, factors)


@compiled(operations=_work)
def leave_one_out(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """(1/Σw) Σ w ((y − ŷ)/(1 − h))² for each penalty, shape (n,)."""
    X, y, unit = _scaled(X, y, w)
    equal = jnp.where(w > 0, w, 1)  # examples in a row; one without any has no residual
    each = (equal,) if w.ndim else ()

    def mean_square(gsvd: GSVD) -> Array:
        (_, one_minus_s), Zy = _shares(gsvd, penalties / unit), gsvd.coordinates(y)

        def squares_in_block(rows: Array, y: Array, *each: Array) -> Array:
            Z, residual = _residuals(gsvd, Zy, rows, y, one_minus_s)
            count = each[0] if each else equal
            share = Z**2 / count.reshape(-1, 1)
            # 1 − ‖z‖² of an example in the span of Z is only rounding
            outside = 1 - jnp.sum(share, axis=1)
            rounding = 8 * len(gsvd.C) * jnp.finfo(X.dtype).eps / jnp.minimum(count, 1)
            outside = jnp.where(jnp.abs(outside) > rounding, outside, 0)
            one_minus_h = outside[:, None] + product(share, one_minus_s.T)
            unknown = one_minus_h <= 0
            return jnp.sum(jnp.where(unknown, jnp.inf, (residual / jnp.where(unknown, 1, one_minus_h)) ** 2), axis=0)

        return sum_over_blocks(squares_in_block, gsvd.rows, y, *each, rows=BLOCK) * unit / ridge_formulas.count(w, y)

    return with_gsvd(mean_square, X, factors)


@compiled(operations=_work)
def generalized_cross_validation(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """(1/m) Σ w ((y − ŷ)/(1 − tr H/m))², m = Σ w, for each penalty, shape (n,)."""
    X, y, unit = _scaled(X, y, w)
    m = ridge_formulas.count(w, y)

    def mean_square(gsvd: GSVD) -> Array:
        (_, one_minus_s), Zy = _shares(gsvd, penalties / unit), gsvd.coordinates(y)

        def squares_in_block(rows: Array, y: Array) -> Array:
            return jnp.sum(_residuals(gsvd, Zy, rows, y, one_minus_s)[1] ** 2, axis=0)

        squares = sum_over_blocks(squares_in_block, gsvd.rows, y, rows=BLOCK) * unit / m
        one_minus_mean = (m - len(gsvd.C) + jnp.sum(one_minus_s, axis=1)) / m
        unknown = one_minus_mean <= 0
        return jnp.where(unknown, jnp.inf, squares / jnp.where(unknown, 1, one_minus_mean) ** 2)

    return with_gsvd(mean_square, X, factors)


def _residuals(gsvd: GSVD, Zy: Array, rows: Array, y: Array, one_minus_s: Array) -> tuple[Array, Array]:
    """Z and y − ŷ of some rows, a column per penalty."""
    Z = product(rows, gsvd.turn)
    outside = y - product(Z, Zy) if len(gsvd.rows) > len(gsvd.C) else jnp.zeros_like(y)
    return Z, outside[:, None] + product(Z, (one_minus_s * Zy[None, :]).T)


@compiled(operations=_work)
def degrees_of_freedom(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """tr H for each penalty, shape (n,)."""
    X, _, unit = _scaled(X, y, w)
    return with_gsvd(lambda gsvd: jnp.sum(_shares(gsvd, penalties / unit)[0], axis=1), X, factors)


@compiled(operations=_work)
def budget(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """t for each penalty, shape (n,)."""
    X, y, unit = _scaled(X, y, w)
    return with_gsvd(lambda gsvd: _size(gsvd, gsvd.coordinates(y), penalties / unit), X, factors)


def _size(gsvd: GSVD, Zy: Array, penalties: Array) -> Array:
    s, _ = _shares(gsvd, penalties)
    return jnp.sum((s * (gsvd.S * Zy / jnp.where(gsvd.C > 0, gsvd.C, 1))[None, :]) ** 2, axis=1) / gsvd.tau


@compiled(operations=_work)
def constrained(X: Array, y: Array, w: Array, t: Array, factors: Array) -> tuple[Array, Array]:
    """θ (d,) of the budget t, and its penalty."""
    X, y, unit = _scaled(X, y, w)
    penalty = with_gsvd(lambda gsvd: _penalty_for_budget(gsvd, gsvd.coordinates(y), t), X, factors)
    return path(X, y, jnp.ones_like(unit), penalty[None], factors)[0], penalty * unit


def constrained_formula(*problem: Array) -> tuple[Array, Array]:
    """`constrained`, for autodiff."""
    penalty = lax.stop_gradient(constrained(*lax.stop_gradient(problem))[1])
    return ridge_formulas.constrained(penalty, *problem)


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
