r"""Losses of counts, of positive numbers and of numbers with outliers, which the course does not have.

              ŷ(z)   value of an example                    slope ∂C/∂z              ∂²C/∂z²
    poisson   eᶻ     eᶻ − yz                                eᶻ − y                  eᶻ
    gamma     eᶻ     z + y e⁻ᶻ                              1 − y e⁻ᶻ                y e⁻ᶻ
    huber     z      ½r²; |r| − ½ where |r| > 1, r = y − z  −r; ∓1 where |r| > 1     1; 0 where |r| > 1

All are convex in z. Those of gamma and huber grow without bound along z and along −z.

Shapes: z (m,) or (m, 1), y (m,), of poisson at least 0, of gamma above 0. ŷ (m,).
"""

import jax.numpy as jnp
from jax import Array

from jax_course.losses import Loss, one_score_loss

__all__ = ["gamma", "huber", "poisson"]


def __dir__() -> list[str]:
    return __all__


def poisson() -> Loss:
    """eᶻ − yz, −log of Poisson's probability of y with mean eᶻ, without log y!. McCullagh & Nelder (1989) 6.2.

    No minimum: along scores that fall where y = 0, and stay where y > 0.

    >>> C, z, y = poisson(), jnp.array([[0.0]]), jnp.array([3.0])
    >>> C.value(z, y), C.slope(z, y)
    (Array(1., dtype=float64), Array([[-2.]], dtype=float64))
    """
    return one_score_loss(
        "poisson",
        prediction=jnp.exp,
        values=lambda z, y: jnp.exp(z) - y * z,
        slope=lambda z, y: jnp.exp(z) - y,
        curvature=lambda z, y: jnp.exp(z),
        margin=lambda z, y: jnp.where(y == 0, -z, -jnp.abs(z)),
        terms=lambda z, y: jnp.exp(z) + y,
        # of any size where all means are large or small; an example with y > 0 is never separated from its mean
        is_certain=lambda y, S, threshold: (y == 0) & (S <= threshold * jnp.max(S)),
    )


def gamma() -> Loss:
    """z + y e⁻ᶻ, −log of the exponential density of y with mean eᶻ. McCullagh & Nelder (1989) 8.3.

    Of a gamma density with this mean and any shape ν it is −log divided by ν, without what theta does not change.

    >>> C, z, y = gamma(), jnp.array([[0.0]]), jnp.array([3.0])
    >>> C.value(z, y), C.slope(z, y)
    (Array(3., dtype=float64), Array([[-2.]], dtype=float64))
    """
    return one_score_loss(
        "gamma",
        prediction=jnp.exp,
        values=lambda z, y: z + y * jnp.exp(-z),
        slope=lambda z, y: 1 - y * jnp.exp(-z),
        curvature=lambda z, y: y * jnp.exp(-z),
        margin=_never,
        terms=lambda z, y: 1 + y * jnp.exp(-z),
    )


def huber() -> Loss:
    """½r² of r = y − z up to |r| = 1, |r| − ½ beyond. Another threshold is another unit of y. Huber (1981) 7.3.

    >>> C, z, y = huber(), jnp.array([[0.0], [0.0]]), jnp.array([0.5, -3.0])
    >>> C.value(z, y), C.slope(z, y).T
    (Array(2.625, dtype=float64), Array([[-0.5,  1. ]], dtype=float64))
    """

    def values(z: Array, y: Array) -> Array:
        cut = jnp.clip(y - z, -1, 1)
        return cut * (y - z - cut / 2)

    return one_score_loss(
        "huber",
        prediction=lambda z: z,
        values=values,
        slope=lambda z, y: jnp.clip(z - y, -1, 1),
        curvature=lambda z, y: (jnp.abs(y - z) <= 1).astype(z.dtype),
        margin=_never,
        terms=lambda z, y: jnp.ones_like(z),
    )


def _never(z: Array, y: Array) -> Array:
    """Margins of a loss that grows along z and along −z."""
    return -jnp.abs(z)
