r"""Layers with parameters, and layers made of layers (course 11, 12.3).

Those without parameters stand in `networks.activations`, the RBF units in `networks.rbf`.

    linear      z_o = θ₀_o + Σ_i z_i θ_io                                                       forward   12.3
                δ_i = Σ_o δ_o θ_io,  ∂C/∂θ_io = δ_o z_i,  ∂C/∂θ₀_o = δ_o, summed over the rows  backward (slip E 20)
    residual    z_out = z + f(z)                                                                forward   12.1
                δ₋ = δ + (δ through f)                                                          backward
    dropout     z_out = z b/(1 − p), b = 0 with probability p, else 1                           forward
                δ₋ = δ b/(1 − p)                                                                backward

Shapes: z (m, d_in), z_out and δ (m, d_out), a row per example.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jax_course.inputs.values import random_key
from jax_course.linalg import product, transpose_product
from jax_course.networks.activations import gelu, log_softmax, relu, sigmoid, softmax, softplus, tanh
from jax_course.networks.initializers import Initializer, he
from jax_course.networks.layer import Layer, call_layer, fits, positive_width, tangent_backward_of, tangent_of
from jax_course.networks.rbf import RBFParams, rbf

__all__ = [
    "LinearParams",
    "RBFParams",
    "computed_in",
    "dropout",
    "gelu",
    "linear",
    "log_softmax",
    "rbf",
    "relu",
    "residual",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]


def __dir__() -> list[str]:
    return __all__


class LinearParams(NamedTuple):
    """θ₀ (d_out,) and θ (d_in, d_out). Course 12.3."""

    bias: Array
    weights: Array


def linear(d_out: int, *, initializer: Initializer = he) -> Layer:
    """z_out = z θ + θ₀; the bias begins at 0. Course 12.3.

    >>> params = LinearParams(bias=jnp.array([1.0]), weights=jnp.array([[2.0], [3.0]]))
    >>> z_out, cache = linear(1).forward(params, jnp.array([[10.0, 100.0]]))
    >>> z_out, linear(1).backward(params, cache, jnp.array([[1.0]]))[1]
    (Array([[321.]], dtype=float64), Array([[2., 3.]], dtype=float64))
    """
    positive_width(d_out, "d_out")

    def init(key: Array, d_in: int) -> tuple[LinearParams, int]:
        weights = initializer(key, d_in, d_out)
        return LinearParams(jnp.zeros(d_out, weights.dtype), weights), d_out

    def forward(params: LinearParams, z: Array) -> tuple[Array, Array]:
        fits(z, len(params.weights))
        return product(z, params.weights) + params.bias[None, :], z

    def backward(params: LinearParams, z: Array, delta: Array) -> tuple[LinearParams, Array]:
        # ∂C/∂θ₀ = Σ rows of δ,  ∂C/∂θ = zᵀ δ,  δ₋ = δ θᵀ
        return LinearParams(jnp.sum(delta, axis=0), transpose_product(z, delta)), product(delta, params.weights.T)

    def tangent(params: LinearParams, z: Array, v: LinearParams, Rz: Array) -> Array:
        return product(Rz, params.weights) + product(z, v.weights) + v.bias[None, :]

    def tangent_backward(params, z, delta, v, Rz, Rdelta) -> tuple[LinearParams, Array]:
        dW = transpose_product(Rz, delta) + transpose_product(z, Rdelta)
        Rdelta_in = product(Rdelta, params.weights.T) + product(delta, v.weights.T)
        return LinearParams(jnp.sum(Rdelta, axis=0), dW), Rdelta_in

    return Layer(init, forward, backward, tangent, tangent_backward, f"linear({d_out})")


def residual(inner: Layer) -> Layer:
    """z_out = z + f(z), for an f that keeps the width. Course 12.1.

    >>> residual(relu()).forward((), jnp.array([[-1.0, 2.0]]))[0]
    Array([[-1.,  4.]], dtype=float64)
    """

    def init(key: Array, d_in: int) -> tuple[Any, int]:
        params, d_out = call_layer(inner, inner.init, key, d_in)
        if d_out != d_in:
            raise ValueError(f"residual needs a layer that keeps the width; {inner.name} makes {d_out} of {d_in}")
        return params, d_in

    def forward(params: Any, z: Array) -> tuple[Array, Any]:
        change, cache = call_layer(inner, inner.forward, params, z)
        return z + change, cache

    def backward(params: Any, cache: Any, delta: Array) -> tuple[Any, Array]:
        gradient, through = inner.backward(params, cache, delta)
        return gradient, delta + through

    def tangent(params: Any, z: Array, v: Any, Rz: Array) -> Array:
        return Rz + tangent_of(inner)(params, z, v, Rz)

    def tangent_backward(params, z, delta, v, Rz, Rdelta) -> tuple[Any, Array]:
        Rgradient, Rthrough = tangent_backward_of(inner)(params, z, delta, v, Rz, Rdelta)
        return Rgradient, Rdelta + Rthrough

    return Layer(init, forward, backward, tangent, tangent_backward, f"residual({inner.name})", inner.keys)


def dropout(rate: float, key: Array) -> Layer:
    """Each number of z is 0 with probability `rate`, and what stays is larger by 1/(1 − rate): on average z.

    One key, one mask. `train` hands another key to a gradient that takes one at every step; to predict, leave the layer
    out:

        def noisy(key): return network(linear(64), relu(), dropout(0.5, key), linear(10), cost=cross_entropy())
        def gradient(theta, X, y, *, key): return noisy(key).gradient(theta, X, y)

    >>> z_out = dropout(0.5, jax.random.key(0)).forward((), jnp.ones((1, 1000)))[0]
    >>> jnp.unique(z_out), bool(abs(jnp.mean(z_out) - 1) < 0.1)
    (Array([0., 2.], dtype=float64), True)
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be at least 0 and below 1; got {rate}")
    random_key(key, "key")

    def factors(z: Array) -> Array:
        return jax.random.bernoulli(key, 1 - rate, z.shape).astype(z.dtype) / (1 - rate)

    def forward(params: Any, z: Array) -> tuple[Array, Array]:
        b = factors(z)
        return z * b, b

    def backward(params: Any, b: Array, delta: Array) -> tuple[tuple, Array]:
        return (), delta * b

    def tangent(params: Any, z: Array, v: Any, Rz: Array) -> Array:
        return Rz * factors(z)

    def tangent_backward(params, z, delta, v, Rz, Rdelta) -> tuple[tuple, Array]:
        return (), Rdelta * factors(z)

    return Layer(
        lambda key, d_in: ((), d_in), forward, backward, tangent, tangent_backward, f"dropout({rate})", keys=(key,)
    )


def computed_in(dtype: DTypeLike, inner: Layer) -> Layer:
    """The layer computed in another precision, bfloat16 say; parameters, input, output and gradients keep theirs.

    >>> computed_in(jnp.bfloat16, relu()).forward((), jnp.array([[1 + 1e-6]]))[0]
    Array([[1.]], dtype=float64)
    """

    def lowered(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)

    def like(tree: Any, other: Any) -> Any:
        return jax.tree.map(lambda leaf, model: leaf.astype(model.dtype), tree, other)

    def forward(params: Any, z: Array) -> tuple[Array, Any]:
        z_out, cache = inner.forward(lowered(params), lowered(z))
        return z_out.astype(z.dtype), cache

    def backward(params: Any, cache: Any, delta: Array) -> tuple[Any, Array]:
        gradient, delta_in = inner.backward(lowered(params), cache, lowered(delta))
        return like(gradient, params), delta_in.astype(delta.dtype)

    return Layer(inner.init, forward, backward, name=f"{inner.name} in {jnp.dtype(dtype).name}", keys=inner.keys)
