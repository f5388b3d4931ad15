r"""Probabilities of values that are farther from 0 than one that was seen: p-values of two-sided tests.

    P(|T| ≥ |t|) = I_{ν/(ν + t²)}(ν/2, ½),  T Student's with ν degrees of freedom          student_tail
    P(|Z| ≥ |z|) = erfc(|z|/√2),  Z standard normal                                        normal_tail

with I the regularised incomplete beta function. For large ν it is a difference of large logarithms; there t is turned
into the z of the same probability by Hill's expansion in 1/ν (Algorithm 395, Communications of the ACM 13, 1970).
"""

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import betainc, erfc

from jax_course.tiers import compiled

LARGE = 1000.0  # degrees of freedom from which on the expansion has more digits: ten for p > 1e-100


@compiled
def student_tail(t: Array, degrees_of_freedom: Array) -> Array:
    """P(|T| ≥ |t|), shape as t (...,); degrees_of_freedom ν, a scalar > 0.

    With one degree of freedom, Cauchy's distribution, half of all values lie beyond ±1:

    >>> student_tail(jnp.array([1.0]), jnp.array(1.0)).round(15)
    Array([0.5], dtype=float64)
    """
    nu = degrees_of_freedom.astype(t.dtype)
    moderate = betainc(nu / 2, jnp.full_like(t, 0.5), nu / (nu + t**2))
    return jnp.where(nu < LARGE, moderate, normal_tail(_normal_deviate(t, nu)))


@compiled
def normal_tail(z: Array) -> Array:
    """P(|Z| ≥ |z|), shape as z.

    >>> normal_tail(jnp.array([0.6744897501960817])).round(15)
    Array([0.5], dtype=float64)
    """
    return erfc(jnp.abs(z) / jnp.sqrt(2).astype(z.dtype))


def _normal_deviate(t: Array, nu: Array) -> Array:
    """z with P(|Z| ≥ z) = P(|T| ≥ |t|), for large ν."""
    a = nu - 0.5
    b, z = 48 * a**2, jnp.sqrt(a * jnp.log1p(t**2 / nu))
    second = z * (((4 * z**2 + 33) * z**2 + 240) * z**2 + 855) / (10 * b * (b + 0.8 * z**4 + 100))
    return z + z * (z**2 + 3) / b - second
