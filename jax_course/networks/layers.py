r"""Layers with parameters, and layers made of layers (course 11, 12.3). Those without stand in `networks.activations`.

    linear      z_o = θ₀_o + Σ_i z_i θ_io                                                       forward   12.3
                δ_i = Σ_o δ_o θ_io,  ∂C/∂θ_io = δ_o z_i,  ∂C/∂θ₀_o = δ_o, summed over the rows  backward (slip E 20)
    rbf         k_n = e^{−D_n/λ_n},  D_n = ‖z − μ_n‖²                                           forward   11.2, 11.3
                with w = δ k/λ:  δ₋ = −2 Σ_n w_n (z − μ_n),  ∂C/∂μ_n = 2 w_n (z − μ_n)          backward
                ∂C/∂λ_n = w_n D_n/λ_n, summed over the rows
                R{D_n} = 2⟨z − μ_n, R{z} − R{μ_n}⟩,  R{k_n} = k_n (D_n R{λ_n}/λ_n − R{D_n})/λ_n
                R{w} = (R{δ} k + δ R{k} − w R{λ})/λ, and the product rule on the three lines above
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

from jax_course.checks import random_key, whole
from jax_course.linalg import product, squared_distances, transpose_product
from jax_course.networks.activations import gelu, log_softmax, relu, sigmoid, softmax, softplus, tanh
from jax_course.networks.initializers import Initializer, he
from jax_course.networks.layer import Layer, at, tangent_backward_of, tangent_of

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
    _width(d_out, "d_out")

    def init(key: Array, d_in: int) -> tuple[LinearParams, int]:
        weights = initializer(key, d_in, d_out)
        return LinearParams(jnp.zeros(d_out, weights.dtype), weights), d_out

    def forward(params: LinearParams, z: Array) -> tuple[Array, Array]:
        _fits(z, len(params.weights))
        return product(z, params.weights) + params.bias[None, :], z

    def backward(params: LinearParams, z: Array, delta: Array) -> tuple[LinearParams, Array]:
        # ∂C/∂θ₀ = Σ rows of δ,  ∂C/∂θ = zᵀ δ,  δ₋ = δ θᵀ
        return LinearParams(jnp.sum(delta, axis=0), transpose_product(z, delta)), product(delta, params.weights.T)

    def tangent(params: LinearParams, z: Array, v: LinearParams, Rz: Array) -> Array:
        return product(Rz, params.weights) + product(z, v.weights) + v.bias[None, :]

    def tangent_backward(params, z, delta, v, Rz, Rdelta) -> tuple[LinearParams, Array]:
        of_weights = transpose_product(Rz, delta) + transpose_product(z, Rdelta)
        Rdelta_in = product(Rdelta, params.weights.T) + product(delta, v.weights.T)
        return LinearParams(jnp.sum(Rdelta, axis=0), of_weights), Rdelta_in

    return Layer(init, forward, backward, tangent, tangent_backward, f"linear({d_out})")


class RBFParams(NamedTuple):
    """μ (n, d_in) and λ > 0 (n,), in squared units of z. Course 11.3."""

    centers: Array
    scales: Array


def rbf(units: int) -> Layer:
    """k_n = e^{−‖z − μ_n‖²/λ_n}; centres begin as standard normal, λ as d_in. Course 11.2, 11.3.

    A step of training can take a λ to 0 or below, where a unit is no bump any more: `optax.keep_params_nonnegative`
    under `optax.masked`, or a smaller learning rate.

    >>> params = RBFParams(centers=jnp.array([[3.0]]), scales=jnp.array([4.0]))
    >>> k, cache = rbf(1).forward(params, jnp.array([[3.0], [1.0]]))
    >>> jnp.log(k)
    Array([[ 0.],
           [-1.]], dtype=float64)
    """
    _width(units, "units")

    def init(key: Array, d_in: int) -> tuple[RBFParams, int]:
        centers = jax.random.normal(key, (units, d_in))
        return RBFParams(centers, jnp.full(units, float(d_in), centers.dtype)), units

    def forward(params: RBFParams, z: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        _fits(z, params.centers.shape[1])
        D = squared_distances(z, params.centers)
        k = jnp.exp(-D / params.scales[None, :])
        return k, (z, D, k)

    def backward(params: RBFParams, cache: tuple, delta: Array) -> tuple[RBFParams, Array]:
        z, D, k = cache
        w = delta * k / params.scales[None, :]
        delta_in = 2 * (product(w, params.centers) - jnp.sum(w, axis=1)[:, None] * z)
        of_centers = 2 * (transpose_product(w, z) - jnp.sum(w, axis=0)[:, None] * params.centers)
        return RBFParams(of_centers, jnp.sum(w * D, axis=0) / params.scales), delta_in

    def tangents(params: RBFParams, z: Array, v: RBFParams, Rz: Array) -> tuple[Array, Array, Array, Array]:
        """D, R{D}, k and R{k}."""
        k, (_, D, _) = forward(params, z)
        of_z = jnp.sum(z * Rz, axis=1)[:, None] + jnp.sum(params.centers * v.centers, axis=1)[None, :]
        RD = 2 * (of_z - product(z, v.centers.T) - product(Rz, params.centers.T))
        return D, RD, k, k * (D * v.scales[None, :] / params.scales[None, :] - RD) / params.scales[None, :]

    def tangent(params: RBFParams, z: Array, v: RBFParams, Rz: Array) -> Array:
        return tangents(params, z, v, Rz)[-1]

    def tangent_backward(params, z, delta, v, Rz, Rdelta) -> tuple[RBFParams, Array]:
        mu, scales = params.centers, params.scales[None, :]
        D, RD, k, Rk = tangents(params, z, v, Rz)
        w = delta * k / scales
        Rw = (Rdelta * k + delta * Rk - w * v.scales[None, :]) / scales
        # the columns' and the rows' sums of w and R{w}
        by_unit, Rby_unit = (jnp.sum(a, axis=0)[:, None] for a in (w, Rw))
        by_row, Rby_row = (jnp.sum(a, axis=1)[:, None] for a in (w, Rw))
        Rdelta_in = 2 * (product(Rw, mu) + product(w, v.centers) - Rby_row * z - by_row * Rz)
        of_centers = transpose_product(Rw, z) + transpose_product(w, Rz) - Rby_unit * mu - by_unit * v.centers
        of_scales = jnp.sum(Rw * D + w * RD - w * D * v.scales[None, :] / scales, axis=0) / params.scales
        return RBFParams(2 * of_centers, of_scales), Rdelta_in

    return Layer(init, forward, backward, tangent, tangent_backward, f"rbf({units})")


def residual(inner: Layer) -> Layer:
    """z_out = z + f(z), for an f that keeps the width. Course 12.1.

    >>> residual(relu()).forward((), jnp.array([[-1.0, 2.0]]))[0]
    Array([[-1.,  4.]], dtype=float64)
    """

    def init(key: Array, d_in: int) -> tuple[Any, int]:
        params, d_out = at(inner, inner.init, key, d_in)
        if d_out != d_in:
            raise ValueError(f"residual needs a layer that keeps the width; {inner.name} makes {d_out} of {d_in}")
        return params, d_in

    def forward(params: Any, z: Array) -> tuple[Array, Any]:
        change, cache = at(inner, inner.forward, params, z)
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

    def to(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)

    def like(tree: Any, other: Any) -> Any:
        return jax.tree.map(lambda leaf, model: leaf.astype(model.dtype), tree, other)

    def forward(params: Any, z: Array) -> tuple[Array, Any]:
        z_out, cache = inner.forward(to(params), to(z))
        return z_out.astype(z.dtype), cache

    def backward(params: Any, cache: Any, delta: Array) -> tuple[Any, Array]:
        gradient, delta_in = inner.backward(to(params), cache, to(delta))
        return like(gradient, params), delta_in.astype(delta.dtype)

    return Layer(inner.init, forward, backward, name=f"{inner.name} in {jnp.dtype(dtype).name}", keys=inner.keys)


def _width(width: int, name: str) -> None:
    if whole(width, name) < 1:
        raise ValueError(f"{name} must be at least 1; got {width}")


def _fits(z: Array, d_in: int) -> None:
    if z.ndim != 2 or z.shape[1] != d_in:
        raise ValueError(f"z must have shape (m, {d_in}), a row per example; got shape {z.shape}")
