r"""The Bernoulli distribution: one toss of a coin (course 5.4, 5.5).

    P(x) = pˣ(1 − p)^(1−x)                                          pmf, log_pmf               5.4
    log P(x₁ … x_m) = Σ log P(x)                                    log_likelihood             5.4
    ∂/∂p = Σ [x/p − (1 − x)/(1 − p)]                                log_likelihood_derivative  5.4
    p = (1/m) Σ x, where that is 0                                  fit                        5.4
    H = −[p log p + (1 − p) log(1 − p)]                             entropy                    5.5
    dH/dp = log((1 − p)/p)                                          entropy_derivative         5.5

Shapes: x, 0 or 1 (truth values, whole or floating-point numbers), and p in [0, 1] have one shape, or one of them is a
scalar. Both ends p = 0 and p = 1 are exact: log 0 is −∞, 0 log 0 is 0, and no derivative is NaN. Other x and p are
refused; inside jit the results are NaN.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import xlog1py, xlogy

from jax_course.inputs.types import ArrayLike
from jax_course.probability import parameters

__all__ = ["entropy", "entropy_derivative", "fit", "log_likelihood", "log_likelihood_derivative", "log_pmf", "pmf"]


def __dir__() -> list[str]:
    return __all__


def pmf(x: ArrayLike, p: ArrayLike) -> Array:
    """P(x) = pˣ(1 − p)^(1−x), the shape of x and p. Course 5.4.

    >>> pmf(jnp.array([0, 1]), 0.25)
    Array([0.75, 0.25], dtype=float64)
    """
    success, p = _check(x, p)
    return jnp.where(success, p, 1 - p)


def log_pmf(x: ArrayLike, p: ArrayLike) -> Array:
    """log P(x) = x log p + (1 − x) log(1 − p), the shape of x and p. Course 5.4.

    >>> log_pmf(jnp.array([0, 1]), 0.0)
    Array([  0., -inf], dtype=float64)
    """
    success, p = _check(x, p)
    return jnp.log(jnp.where(success, p, 1)) + jnp.log1p(-jnp.where(success, 0, p))


def log_likelihood(x: ArrayLike, p: ArrayLike) -> Array:
    """Σ log P(x), a scalar. Course 5.4.

    >>> log_likelihood(jnp.array([0, 1, 1]), 0.5) / jnp.log(2)
    Array(-3., dtype=float64)
    """
    return jnp.sum(log_pmf(x, p))


def log_likelihood_derivative(x: ArrayLike, p: ArrayLike) -> Array:
    """∂/∂p Σ log P(x) = Σ [x/p − (1 − x)/(1 − p)], the shape of p. Course 5.4.

    >>> log_likelihood_derivative(jnp.array([0, 1, 1]), 0.5)
    Array(2., dtype=float64)
    """
    success, p_each = _check(x, p)
    terms = jnp.where(success, 1, -1) / jnp.where(success, p_each, 1 - p_each)
    return terms if np.ndim(p) else jnp.sum(terms)


def fit(x: ArrayLike) -> Array:
    """p = (1/m) Σ x, a scalar: the maximum likelihood; x (m,). Course 5.4.

    >>> fit(jnp.array([True, False, True, True]))
    Array(0.75, dtype=float64)
    """
    (x,) = parameters.floats(x=x)
    return jnp.mean(jnp.where(_is_outcome(parameters.one_axis(x, "x")), x, jnp.nan))


def entropy(p: ArrayLike) -> Array:
    """H = −[p log p + (1 − p) log(1 − p)] in nats, the shape of p. Course 5.5.

    >>> entropy(jnp.array([0.0, 0.5, 1.0])) / jnp.log(2)
    Array([0., 1., 0.], dtype=float64)
    """
    (p,) = parameters.floats(p=p)
    return _entropy(parameters.probabilities(p))


def entropy_derivative(p: ArrayLike) -> Array:
    """dH/dp = log((1 − p)/p), the shape of p: ∞ at 0, −∞ at 1. Course 5.5.

    >>> entropy_derivative(jnp.array([0.0, 0.5, 1.0]))
    Array([ inf,   0., -inf], dtype=float64)
    """
    (p,) = parameters.floats(p=p)
    p = parameters.probabilities(p)
    return jnp.log1p(-p) - jnp.log(p)


@jax.custom_jvp
def _entropy(p: Array) -> Array:
    return xlog1py(p - 1, -p) - xlogy(p, p)


_entropy.defjvps(lambda dp, H, p: entropy_derivative(p) * dp)  # term by term it would be ∞ − ∞ at both ends


def _check(x: ArrayLike, p: ArrayLike) -> tuple[Array, Array]:
    """Whether each x is 1, and its p, of one shape; p is NaN where x is no outcome."""
    x, p = parameters.floats(x=x, p=p)
    if x.ndim and p.ndim and x.shape != p.shape:
        raise ValueError(f"p must be a scalar or have the shape of x, {x.shape}; got shape {p.shape}")
    p = jnp.where(_is_outcome(x), parameters.probabilities(p), jnp.nan)
    return jnp.broadcast_to(x == 1, p.shape), p


def _is_outcome(x: Array) -> Array:
    return parameters.outcomes(x, (x == 0) | (x == 1), "the outcomes 0 and 1")
