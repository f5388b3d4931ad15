r"""Layers without parameters: on every number by itself, z_out = f(z), or on every row (course 8.2, 9.1, 12.4).

                forward f(z)       f'(z)                        f''(z)
    relu        max(0, z)          1[z > 0]                     0                       12.4; at the kink both are 0
    sigmoid     σ(z)               σ(z) σ(−z)                   σ(z) σ(−z) (1 − 2σ(z))  8.2
    tanh        tanh z             1 − tanh²z                   −2 tanh z (1 − tanh²z)
    softplus    log(1 + eᶻ)        σ(z)                         σ(z) σ(−z)              8.4
    gelu        z Φ(z)             Φ(z) + z φ(z)                φ(z) (2 − z²)

with φ and Φ the standard normal density and distribution function. By row, with ⟨a, b⟩ = Σ_c a_c b_c:

    softmax      π = eᶻ / Σ eᶻ     δ₋ = π (δ − ⟨π, δ⟩)          R{π} = π (R{z} − ⟨π, R{z}⟩)      9.1
    log_softmax  ℓ = z − log Σ eᶻ  δ₋ = δ − π ⟨1, δ⟩            R{ℓ} = R{z} − ⟨π, R{z}⟩          10.1

that is vector times Jacobian, ∂π_c/∂z_k = π_c (1_ck − π_k) and ∂ℓ_c/∂z_k = 1_ck − π_k, which are never formed.

Shapes: z, z_out and δ (m, d). Parameters are ().
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.scipy.stats import norm

from jax_course import scores
from jax_course.networks.layer import Layer

Function = Callable[[Array], Array]


def elementwise(name: str, f: Function, slope: Function, curvature: Function) -> Layer:
    """A layer of f, f' and f'', functions of z. Course 12.1.

    >>> square = elementwise("square", lambda z: z**2, lambda z: 2 * z, lambda z: 2 + 0 * z)
    >>> z_out, cache = square.forward((), jnp.array([[3.0]]))
    >>> z_out, square.backward((), cache, jnp.array([[10.0]]))
    (Array([[9.]], dtype=float64), ((), Array([[60.]], dtype=float64)))
    """

    def forward(params: Any, z: Array) -> tuple[Array, Array]:
        return f(z), z

    def backward(params: Any, z: Array, delta: Array) -> tuple[tuple, Array]:
        return (), delta * slope(z)

    def tangent(params: Any, z: Array, v: Any, Rz: Array) -> Array:
        return slope(z) * Rz

    def tangent_backward(params: Any, z: Array, delta: Array, v: Any, Rz: Array, Rdelta: Array) -> tuple[tuple, Array]:
        return (), Rdelta * slope(z) + delta * curvature(z) * Rz

    return Layer(_no_parameters, forward, backward, tangent, tangent_backward, name)


def relu() -> Layer:
    """z_out = max(0, z); the derivative at 0 is taken as 0, by autodiff too. Course 12.4.

    >>> relu().forward((), jnp.array([[-2.0, 0.0, 3.0]]))[0]
    Array([[0., 0., 3.]], dtype=float64)
    """
    # not jnp.maximum(z, 0), whose derivative at 0 is 1/2 by autodiff
    return elementwise("relu", lambda z: jnp.where(z <= 0, 0, z), lambda z: (z > 0).astype(z.dtype), jnp.zeros_like)


def sigmoid() -> Layer:
    """z_out = σ(z). Course 8.2.

    >>> sigmoid().forward((), jnp.array([[0.0]]))[0]
    Array([[0.5]], dtype=float64)
    """
    return elementwise(
        "sigmoid",
        scores.sigmoid,
        scores.sigmoid_derivative,
        lambda z: scores.sigmoid_derivative(z) * (1 - 2 * scores.sigmoid(z)),
    )


def tanh() -> Layer:
    """z_out = tanh z. Course 12.1.

    >>> tanh().backward((), jnp.array([[0.0]]), jnp.array([[3.0]]))
    ((), Array([[3.]], dtype=float64))
    """
    return elementwise("tanh", jnp.tanh, _tanh_slope, lambda z: -2 * jnp.tanh(z) * _tanh_slope(z))


def softplus() -> Layer:
    """z_out = log(1 + eᶻ). Course 8.4.

    >>> softplus().forward((), jnp.array([[0.0]]))[0] / jnp.log(2)
    Array([[1.]], dtype=float64)
    """
    return elementwise("softplus", scores.softplus, scores.sigmoid, scores.sigmoid_derivative)


def gelu() -> Layer:
    """z_out = z Φ(z), Φ the normal distribution function: not the approximation by tanh. Course 12.1.

    >>> gelu().backward((), jnp.array([[0.0]]), jnp.array([[2.0]]))
    ((), Array([[1.]], dtype=float64))
    """
    return elementwise(
        "gelu",
        lambda z: z * norm.cdf(z),
        lambda z: norm.cdf(z) + z * norm.pdf(z),
        lambda z: norm.pdf(z) * (2 - z**2),
    )


def softmax() -> Layer:
    """π = eᶻ / Σ eᶻ by rows; with a cross-entropy behind it use `costs.cross_entropy`, from z. Course 9.1.

    >>> softmax().forward((), jnp.zeros((1, 4)))[0]
    Array([[0.25, 0.25, 0.25, 0.25]], dtype=float64)
    """

    def forward(params: Any, z: Array) -> tuple[Array, Array]:
        pi = scores.probabilities(z)
        return pi, pi

    def backward(params: Any, pi: Array, delta: Array) -> tuple[tuple, Array]:
        return (), pi * (delta - _dot(pi, delta))

    def tangent(params: Any, z: Array, v: Any, Rz: Array) -> Array:
        pi = scores.probabilities(z)
        return pi * (Rz - _dot(pi, Rz))

    def tangent_backward(params: Any, z: Array, delta: Array, v: Any, Rz: Array, Rdelta: Array) -> tuple[tuple, Array]:
        pi = scores.probabilities(z)
        Rpi = pi * (Rz - _dot(pi, Rz))
        return (), Rpi * (delta - _dot(pi, delta)) + pi * (Rdelta - _dot(Rpi, delta) - _dot(pi, Rdelta))

    return Layer(_no_parameters, forward, backward, tangent, tangent_backward, "softmax")


def log_softmax() -> Layer:
    """ℓ = z − log Σ eᶻ by rows. Course 10.1.

    >>> log_softmax().forward((), jnp.zeros((1, 2)))[0] / jnp.log(2)
    Array([[-1., -1.]], dtype=float64)
    """

    def forward(params: Any, z: Array) -> tuple[Array, Array]:
        shifted = z - jnp.max(z, axis=1, keepdims=True)
        return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis=1, keepdims=True)), z

    def backward(params: Any, z: Array, delta: Array) -> tuple[tuple, Array]:
        return (), delta - scores.probabilities(z) * jnp.sum(delta, axis=1, keepdims=True)

    def tangent(params: Any, z: Array, v: Any, Rz: Array) -> Array:
        return Rz - _dot(scores.probabilities(z), Rz)

    def tangent_backward(params: Any, z: Array, delta: Array, v: Any, Rz: Array, Rdelta: Array) -> tuple[tuple, Array]:
        pi = scores.probabilities(z)
        Rpi = pi * (Rz - _dot(pi, Rz))
        total, Rtotal = (jnp.sum(a, axis=1, keepdims=True) for a in (delta, Rdelta))
        return (), Rdelta - Rpi * total - pi * Rtotal

    return Layer(_no_parameters, forward, backward, tangent, tangent_backward, "log_softmax")


def _no_parameters(key: Array, d_in: int) -> tuple[tuple, int]:
    return (), d_in


def _tanh_slope(z: Array) -> Array:
    return 1 - jnp.tanh(z) ** 2


def _dot(a: Array, b: Array) -> Array:
    return jnp.sum(a * b, axis=1, keepdims=True)
