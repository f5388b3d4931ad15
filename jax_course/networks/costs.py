r"""The cost as one more layer: what stands behind the last z of a network (course 9.2, 11.1–11.4).

                            ŷ(z)       C, summed over the rows              δ = ∂C/∂z        (∂²C/∂z²) u
    squared_error           z          Σ (y − z)²                           2(z − y)         2u                   11.3
    binary_cross_entropy    σ(z)       −Σ [y log π + (1 − y) log(1 − π)]    π − y            π(1 − π)u            11.2
    cross_entropy           softmax z  −Σ log π_y                           π − 1_c(y)       π(u − ⟨π, u⟩)        11.4

The two cross-entropies take z, the logits, not π: −log π = softplus(−z) is finite for any z, and in δ the factor
(π − y)/(π(1 − π)) of ∂C/∂π (8.4) and σ' = π(1 − π) cancel before anybody divides by 0.

Shapes: z (m, d), the network's last output. squared_error: y (m, d), or (m,) for d = 1; binary_cross_entropy: d = 1,
y (m,) of 0 and 1; cross_entropy: d = K, y (m,) class numbers 0…K−1. ŷ has the shape (m,) where d = 1, else (m, d).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course import checks
from jax_course.classification import logits
from jax_course.classification.sigmoid import sigmoid, sigmoid_derivative, softplus

__all__ = ["Cost", "binary_cross_entropy", "cross_entropy", "squared_error"]


def __dir__() -> list[str]:
    return __all__


class Cost(NamedTuple):
    """The last layer of a network. Course 9.2."""

    prediction: Callable  # z → ŷ
    value: Callable  # (z, y) → C, a scalar
    delta: Callable  # (z, y) → ∂C/∂z, like z
    curvature_product: Callable  # (z, y, u) → (∂²C/∂z²) u, like z
    targets: Callable  # (y, z) → y as the functions above take it, refused where it does not fit z
    width: Callable  # d → None, refused where no z of that width fits
    name: str


def squared_error() -> Cost:
    """Σ (y − z)². Course 11.3.

    >>> C, z, y = squared_error(), jnp.array([[2.0]]), jnp.array([5.0])
    >>> C.value(z, y), C.delta(z, y)
    (Array(9., dtype=float64), Array([[-6.]], dtype=float64))
    """
    return Cost(
        _plain,
        lambda z, y: jnp.sum((y.reshape(z.shape) - z) ** 2),
        lambda z, y: 2 * (z - y.reshape(z.shape)),
        lambda z, y, u: 2 * u,
        _real_targets,
        lambda d: None,
        "squared_error",
    )


def binary_cross_entropy() -> Cost:
    """−Σ [y log π + (1 − y) log(1 − π)] with π = σ(z). Course 11.2.

    >>> C, z, y = binary_cross_entropy(), jnp.array([[0.0]]), jnp.array([1.0])
    >>> C.value(z, y) / jnp.log(2), C.delta(z, y), C.value(1e4 * jnp.ones((1, 1)), jnp.zeros(1))
    (Array(1., dtype=float64), Array([[-0.5]], dtype=float64), Array(10000., dtype=float64))
    """
    return Cost(
        lambda z: sigmoid(_plain(z)),
        lambda z, y: jnp.sum(softplus((1 - 2 * y) * z[:, 0])),
        lambda z, y: (sigmoid(z[:, 0]) - y)[:, None],
        lambda z, y, u: sigmoid_derivative(z) * u,
        lambda y, z: checks.targets(y, z),
        _one,
        "binary_cross_entropy",
    )


def cross_entropy() -> Cost:
    """−Σ log π_y with π = softmax(z). Course 11.4.

    >>> C, z, y = cross_entropy(), jnp.zeros((1, 2)), jnp.array([1])
    >>> C.value(z, y) / jnp.log(2), C.delta(z, y)
    (Array(1., dtype=float64), Array([[ 0.5, -0.5]], dtype=float64))
    """

    def delta(z: Array, y: Array) -> Array:
        pi = logits.probabilities(z)
        return pi - logits.indicator(y, pi)

    def curvature_product(z: Array, y: Array, u: Array) -> Array:
        pi = logits.probabilities(z)
        return pi * (u - jnp.sum(pi * u, axis=1, keepdims=True))

    return Cost(
        logits.probabilities,
        lambda z, y: jnp.sum(jnp.where(y < z.shape[1], logits.minus_log_pi(z, y), jnp.nan)),
        delta,
        curvature_product,
        lambda y, z: checks.class_numbers(y, z),
        _several,
        "cross_entropy",
    )


def _plain(z: Array) -> Array:
    return z[:, 0] if z.shape[1] == 1 else z


def _real_targets(y: Array, z: Array) -> Array:
    return checks.targets(y, z) if z.shape[1] == 1 else checks.target_rows(y, z)


def _one(d: int) -> None:
    if d != 1:
        raise ValueError(f"binary_cross_entropy needs a last layer of width 1, the logit of class 1; got {d}")


def _several(d: int) -> None:
    if d < 2:
        raise ValueError(f"cross_entropy needs a last layer with a width for each of K ≥ 2 classes; got {d}")
