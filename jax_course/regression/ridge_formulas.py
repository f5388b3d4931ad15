r"""The formulas of `ridge_path` written out, for their derivatives (course 6.1). The values come from `ridge_path`.

With F = diag(factors), W = diag(weights) and A = XᵀWX + pF, for each penalty p:

    θ = A⁻¹XᵀWy,  h_i = x_i A⁻¹x_iᵀ,  tr H = tr A⁻¹XᵀWX = Σ w h,  m = Σ w
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import Factored, gram, product, spd_factor, transpose_product


def path(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """θ for each penalty, shape (n, d)."""
    return _for_each(penalties, lambda p: _theta(X, y, w, p, factors))


def leave_one_out(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """(1/m) Σ w ((y − ŷ)_i / (1 − h_i))² for each penalty, shape (n,); NaN where the error is infinite."""

    def error(p: Array) -> Array:
        factored, theta = _fitted(X, y, w, p, factors)
        one_minus_h = 1 - _leverages(factored, X)
        errors = jnp.where(one_minus_h > 0, (y - product(X, theta)) / one_minus_h, jnp.nan)
        return jnp.sum(w * errors**2) / count(w, y)

    return _for_each(penalties, error)


def generalized_cross_validation(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """(1/m) Σ w ((y − ŷ)_i / (1 − tr H/m))² for each penalty, shape (n,); NaN where the error is infinite."""

    def error(p: Array) -> Array:
        factored, theta = _fitted(X, y, w, p, factors)
        one_minus_mean = 1 - jnp.sum(w * _leverages(factored, X)) / count(w, y)
        one_minus_mean = jnp.where(one_minus_mean > 0, one_minus_mean, jnp.nan)
        return jnp.sum(w * ((y - product(X, theta)) / one_minus_mean) ** 2) / count(w, y)

    return _for_each(penalties, error)


def degrees_of_freedom(X: Array, _: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """tr H for each penalty, shape (n,)."""
    return _for_each(penalties, lambda p: jnp.sum(w * _leverages(_factor(X, w, p, factors), X)))


def budget(X: Array, y: Array, w: Array, penalties: Array, factors: Array) -> Array:
    """Σ factors θ² for each penalty, shape (n,)."""
    return _for_each(penalties, lambda p: jnp.sum(factors * _theta(X, y, w, p, factors) ** 2))


def constrained(found: Array, X: Array, y: Array, w: Array, t: Array, factors: Array) -> tuple[Array, Array]:
    """θ (d,) and its penalty, the root of budget(penalty) = t that was found; 0 is that of least squares."""

    def excess(p: Array) -> Array:
        return jnp.sum(factors * _theta(X, y, w, p, factors) ** 2) - t

    root = lax.custom_root(excess, found, lambda _, guess: guess, lambda slope, b: b / slope(jnp.ones_like(b)))
    penalty = jnp.where(found > 0, root, 0)
    return _theta(X, y, w, penalty, factors), penalty


def _for_each(penalties: Array, formula: Callable[[Array], Array]) -> Array:
    return jax.vmap(formula)(penalties)


def _factor(X: Array, w: Array, p: Array, factors: Array) -> Factored:
    """A factor of A; NaN where A is singular to rounding."""
    factored = spd_factor(gram(X, w) + p * jnp.diag(factors))
    known = jnp.where(lax.stop_gradient(factored.is_regular()), 1, jnp.nan).astype(X.dtype)
    return factored._replace(L=known * factored.L)


def _fitted(X: Array, y: Array, w: Array, p: Array, factors: Array) -> tuple[Factored, Array]:
    factored = _factor(X, w, p, factors)
    return factored, factored.solve(transpose_product(X, w * y))


def _theta(X: Array, y: Array, w: Array, p: Array, factors: Array) -> Array:
    return _fitted(X, y, w, p, factors)[1]


def _leverages(factored: Factored, X: Array) -> Array:
    """h, shape (m,)."""
    return jnp.sum(factored.half_solve(X.T) ** 2, axis=0)


def count(w: Array, y: Array) -> Array:
    """m = Σ w, the number of examples."""
    return jnp.sum(w) if w.ndim else w * len(y)
