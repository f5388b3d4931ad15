r"""A layer, and the composition of layers (course 10.2, 12.1).

    z = f(z₋, θ)                                                    forward
    δ₋ = δ ∂z/∂z₋,  ∂C/∂θ = δ ∂z/∂θ                                 backward, with δ = ∂C/∂z

In series the forward methods run from the first layer to the last, the backward methods from the last to the first:
every product is that of a vector and a Jacobian, and none is computed twice.

The R-operator (Pearlmutter 1994), R{a} = ∂/∂ε a(θ + εv) at ε = 0, goes through both methods by the rules of
differentiation: R{z} in the order of the forward methods, R{δ₋} and R{∂C/∂θ} = (∇²C) v in that of the backward ones.

    R{z}  from θ, z₋ and their R{θ} = v, R{z₋}                        tangent
    R{∂C/∂θ}, R{δ₋}  from these, δ and R{δ}                           tangent_backward

Shapes: z (m, d), a row per example, δ like z. Parameters are any pytree, () where there are none.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import Tracer

from jax_course.inputs.shapes import whole
from jax_course.inputs.values import random_key


class Layer(NamedTuple):
    """One layer as pure functions. Course 10.2.

    `tangent` and `tangent_backward` are for products with the Hessian; where a layer has none, forward-mode autodiff
    of its forward and backward methods stands in.
    """

    init: Callable  # (key, d_in)                                 → params, d_out
    forward: Callable  # (params, z)                                 → z_out, cache
    backward: Callable  # (params, cache, delta)                      → dparams, delta_in
    tangent: Callable | None = None  # (params, z, v, Rz)                         → Rz_out
    tangent_backward: Callable | None = None  # (params, z, delta, v, Rz, Rdelta) → Rdparams, Rdelta_in
    name: str = "layer"
    keys: tuple[Array, ...] = ()  # the random keys it holds: no two layers in series may have the same


def serial(*layers: Layer) -> Layer:
    """The layers one after the other, which is a layer again; parameters and cache are tuples. Course 10.2.

    Errors: ValueError where there is no layer, where a width does not fit or where two layers hold the same random key,
    by number and name of the layer.
    """
    if not layers:
        raise ValueError("serial needs at least one layer; got none")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"serial takes layers; argument {i} is {type(layer).__name__}")
    named = tuple(layer._replace(name=f"{i}: {layer.name}") for i, layer in enumerate(layers))
    keys = _all_different(named)

    def init(key: Array, d_in: int) -> tuple[tuple, int]:
        params, layer_keys = [], jax.random.split(random_key(key, "key"), len(named))
        for layer, layer_key in zip(named, layer_keys, strict=True):
            layer_params, d_in = call_layer(layer, layer.init, layer_key, d_in)
            params.append(layer_params)
        return tuple(params), d_in

    def forward(params: tuple, z: Array) -> tuple[Array, tuple]:
        caches = []
        for layer, layer_params in zip(named, _one_for_each(named, params), strict=True):
            z, cache = call_layer(layer, layer.forward, layer_params, z)
            caches.append(cache)
        return z, tuple(caches)

    def backward(params: tuple, caches: tuple, delta: Array) -> tuple[tuple, Array]:
        gradients = []
        for layer, layer_params, cache in reversed(list(zip(named, params, caches, strict=True))):
            gradient, delta = layer.backward(layer_params, cache, delta)
            gradients.append(gradient)
        return tuple(reversed(gradients)), delta

    def tangent(params: tuple, z: Array, v: tuple, Rz: Array) -> Array:
        return _with_tangents(named, params, z, v, Rz)[-1][1]

    def tangent_backward(params, z, delta, v, Rz, Rdelta):
        return _tangents_back(named, params, v, _with_tangents(named, params, z, v, Rz)[:-1], delta, Rdelta)

    return Layer(init, forward, backward, tangent, tangent_backward, "serial", keys)


def _all_different(layers: tuple[Layer, ...]) -> tuple[Array, ...]:
    """The random keys of all layers; a key that two of them have is refused."""
    keys = [(key, layer.name) for layer in layers for key in layer.keys]
    for (one, first), (other, second) in combinations(keys, 2):
        if _same(one, other):
            raise ValueError(f"layer {second} has the random key of layer {first}: make two of it by jax.random.split")
    return tuple(key for key, _ in keys)


def _same(one: Array, other: Array) -> bool:
    if isinstance(one, Tracer) or isinstance(other, Tracer):
        return one is other
    with jax.ensure_compile_time_eval():
        return one.dtype == other.dtype and bool(jnp.array_equal(one, other))


def _with_tangents(layers: tuple[Layer, ...], params: tuple, z: Array, v: tuple, Rz: Array) -> list:
    """(z, R{z}) before every layer, and behind the last."""
    pairs = [(z, Rz)]
    for layer, layer_params, layer_v in zip(layers, _one_for_each(layers, params), v, strict=True):
        z, Rz = layer.forward(layer_params, z)[0], tangent_of(layer)(layer_params, z, layer_v, Rz)
        pairs.append((z, Rz))
    return pairs


def _tangents_back(layers: tuple[Layer, ...], params: tuple, v: tuple, inputs: list, delta: Array, Rdelta: Array):
    """R{∂C/∂θ} of every layer and R{δ} before the first; inputs: (z, R{z}) of every layer."""
    gradients = []
    for layer, layer_params, layer_v, (z, Rz) in reversed(list(zip(layers, params, v, inputs, strict=True))):
        Rgradient, Rdelta = tangent_backward_of(layer)(layer_params, z, delta, layer_v, Rz, Rdelta)
        _, delta = layer.backward(layer_params, layer.forward(layer_params, z)[1], delta)
        gradients.append(Rgradient)
    return tuple(reversed(gradients)), Rdelta


def tangent_of(layer: Layer) -> Callable:
    """The layer's R{z}, by hand or by autodiff of its forward method."""

    def autodiff(params: Any, z: Array, v: Any, Rz: Array) -> Array:
        return jax.jvp(lambda params, z: layer.forward(params, z)[0], (params, z), (v, Rz))[1]

    return layer.tangent or autodiff


def tangent_backward_of(layer: Layer) -> Callable:
    """The layer's R{∂C/∂θ} and R{δ₋}, by hand or by autodiff of its backward method."""

    def autodiff(params: Any, z: Array, delta: Array, v: Any, Rz: Array, Rdelta: Array) -> tuple[Any, Array]:
        def backward(params: Any, z: Array, delta: Array) -> tuple[Any, Array]:
            return layer.backward(params, layer.forward(params, z)[1], delta)

        return jax.jvp(backward, (params, z, delta), (v, Rz, Rdelta))[1]

    return layer.tangent_backward or autodiff


def call_layer(layer: Layer, function: Callable, *arguments: Any) -> Any:
    """function(*arguments); what it refuses is said with the name of the layer."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"layer {layer.name}: {error}") from None


def _one_for_each(layers: tuple[Layer, ...], params: Any) -> tuple:
    if not isinstance(params, tuple) or len(params) != len(layers):
        came = f"{type(params).__name__} of {len(params)}" if hasattr(params, "__len__") else type(params).__name__
        raise ValueError(f"params must be a tuple with an entry for each of the {len(layers)} layers; got {came}")
    return params


def positive_width(width: int, name: str) -> None:
    """Refuse what is no width of a layer."""
    if whole(width, name) < 1:
        raise ValueError(f"{name} must be at least 1; got {width}")


def fits(z: Array, d_in: int) -> None:
    """Refuse what a layer of this input width cannot take."""
    if z.ndim != 2 or z.shape[1] != d_in:
        raise ValueError(f"z must have shape (m, {d_in}), a row per example; got shape {z.shape}")
