r"""The categorical distribution: one throw of a die with K faces (course 5.4, 5.5; as labels in 9.2).

    P(x) = p_x                                                      pmf, log_pmf
    log P(x₁ … x_m) = Σ log p_x = Σ_k m_k log p_k                   log_likelihood
    ∂/∂p_k = m_k/p_k                                                log_likelihood_gradient
    p_k = m_k/m, the maximum likelihood under Σ p_k = 1             fit
    H = −Σ p_k log p_k                                              entropy
    ∂H/∂p_k = −log p_k − 1                                          entropy_gradient

with m_k the number of examples of class k. The derivatives take the p_k as independent; along the simplex, where a
change of p sums to 0, the −1 drops out. For K = 2 all of this is `bernoulli` with p = p₁.

Shapes: x, class numbers 0…K−1, of any shape; p (K,), at least 0 and of sum 1. An entry 0 or 1 is exact: log 0 is −∞,
0 log 0 is 0. Other x and p are refused; inside jit an x or p_k out of its range gives NaN, and the sum is not checked.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import xlogy
from jax.typing import DTypeLike

from jax_course import inputs
from jax_course.inputs.arrays import as_array, is_concrete
from jax_course.inputs.types import ArrayLike
from jax_course.probability import parameters

__all__ = ["entropy", "entropy_gradient", "fit", "log_likelihood", "log_likelihood_gradient", "log_pmf", "pmf"]


def __dir__() -> list[str]:
    return __all__


def pmf(x: ArrayLike, p: ArrayLike) -> Array:
    """P(x) = p_x, the shape of x. Course 5.4.

    >>> pmf(jnp.array([2, 0]), jnp.array([0.25, 0.0, 0.75]))
    Array([0.75, 0.25], dtype=float64)
    """
    p = _simplex(p)
    valid, x = _classes(x, len(p))
    return jnp.where(valid, p[x], jnp.nan)


def log_pmf(x: ArrayLike, p: ArrayLike) -> Array:
    """log P(x) = log p_x, the shape of x. Course 5.4.

    >>> log_pmf(jnp.array([0, 1]), jnp.array([1.0, 0.0]))
    Array([  0., -inf], dtype=float64)
    """
    return jnp.log(pmf(x, p))


def log_likelihood(x: ArrayLike, p: ArrayLike) -> Array:
    """Σ log P(x), a scalar. Course 5.4.

    >>> log_likelihood(jnp.array([0, 1, 1]), jnp.array([0.25, 0.5, 0.25])) / jnp.log(2)
    Array(-4., dtype=float64)
    """
    return jnp.sum(log_pmf(x, p))


def log_likelihood_gradient(x: ArrayLike, p: ArrayLike) -> Array:
    """∂/∂p_k Σ log P(x) = m_k/p_k, shape (K,). Course 5.4.

    >>> log_likelihood_gradient(jnp.array([0, 1, 1]), jnp.array([0.25, 0.5, 0.25]))
    Array([4., 4., 0.], dtype=float64)
    """
    p = _simplex(p)
    counts = _counts(x, len(p), p.dtype)
    return jnp.where(counts == 0, 0, counts / p)


def fit(x: ArrayLike, *, classes: int) -> Array:
    """p_k = m_k/m, shape (K,): the maximum likelihood; x (m,), K = `classes`. Course 5.4.

    >>> fit(jnp.array([0, 1, 1, 1]), classes=3)
    Array([0.25, 0.75, 0.  ], dtype=float64)
    """
    if inputs.whole(classes, "classes") < 1:
        raise ValueError(f"classes must be at least 1; got {classes}")
    x = parameters.one_axis(as_array(x, "x"), "x")
    return _counts(x, int(classes), jnp.result_type(float)) / len(x)


def entropy(p: ArrayLike) -> Array:
    """H = −Σ p_k log p_k in nats, a scalar. Course 5.5.

    >>> entropy(jnp.array([0.5, 0.0, 0.25, 0.25])) / jnp.log(2)
    Array(1.5, dtype=float64)
    """
    return _entropy(_simplex(p))


def entropy_gradient(p: ArrayLike) -> Array:
    """∂H/∂p_k = −log p_k − 1, shape (K,): ∞ where p_k = 0. Course 5.5.

    >>> entropy_gradient(jnp.array([1.0, 0.0]))
    Array([-1., inf], dtype=float64)
    """
    return -jnp.log(_simplex(p)) - 1


@jax.custom_jvp
def _entropy(p: Array) -> Array:
    return jnp.sum(-xlogy(p, p))


_entropy.defjvps(lambda dp, H, p: jnp.sum(entropy_gradient(p) * dp))  # else 0/0 where p_k = 0


def _simplex(p: ArrayLike) -> Array:
    """p (K,), each in [0, 1]; refused where the sum is not 1 to rounding."""
    (p,) = parameters.floats(p=p)
    p = parameters.probabilities(parameters.one_axis(p, "p"))
    if is_concrete(p):
        total = np.sum(np.asarray(p, np.float64))
        if abs(total - 1) > 10 * np.sqrt(len(p)) * jnp.finfo(p.dtype).eps:
            raise ValueError(f"p must sum to 1; got a sum of {total}: divide p by it")
    return p


def _classes(x: ArrayLike, K: int) -> tuple[Array, Array]:
    """Whether x is one of the classes 0…K−1, and its number, 0 if it is none."""
    x = as_array(x, "x")
    if x.dtype.kind not in "iub":
        raise TypeError(f"x must hold class numbers 0…K−1, integers; got {x.dtype}: number them by data.encode(x)")
    x = x.astype(jnp.int32) if x.dtype.kind == "b" else x
    valid = (x >= 0) & (x <= min(K - 1, jnp.iinfo(x.dtype).max))
    parameters.outcomes(x, valid, f"class numbers 0…{K - 1}")
    return valid, jnp.where(valid, x, 0).astype(jnp.int32)


def _counts(x: ArrayLike, K: int, dtype: DTypeLike) -> Array:
    """m_k, shape (K,); NaN where an x is no class."""
    valid, x = _classes(x, K)
    return jnp.where(jnp.all(valid), jnp.bincount(x.ravel(), length=K).astype(dtype), jnp.nan)
