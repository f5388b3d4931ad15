r"""Two ways to the derivative of a composition f^L(… f²(f¹(x))) (course 12.2).

    solution 1    ∂C/∂x = δ^L (J^L (J^(L−1) … (J² J¹)))            every J^l = ∂f^l/∂f^(l−1) formed, matrix × matrix
    solution 2    ∂C/∂x = ((δ^L J^L) J^(L−1) …) J¹                 vector × matrix, and no J formed: backpropagation

The product is associative, the work is not: for L layers of width d the first takes L d³ multiplications and keeps
L d² numbers, the second L d² and L d. (The first is right where there are fewer inputs than outputs.)

Shapes: x (d,), one example; for many, map over them: `jax.vmap(solution_2, in_axes=(None, None, 0, 0))`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product
from jax_course.networks.network import Network


def layer_jacobians(network: Network, theta: Any, x: ArrayLike) -> list[Array]:
    """J^l = ∂f^l/∂f^(l−1) at x, a matrix (d_l, d_(l−1)) for each layer: its backward method on every unit. Course 12.2.

    >>> from jax_course.networks import costs, mlp
    >>> net = mlp([2, 1], "relu", costs.squared_error())
    >>> [J.shape for J in layer_jacobians(net, net.init(jax.random.key(0), 3), jnp.ones(3))]
    [(2, 3), (2, 2), (1, 2)]
    """
    z, matrices = jnp.asarray(x)[None, :], []
    for layer, params in zip(network.layers, theta, strict=True):
        z, cache = layer.forward(params, z)
        units = jnp.eye(z.shape[1], dtype=z.dtype)

        def row(delta: Array, layer=layer, params=params, cache=cache) -> Array:
            return layer.backward(params, cache, delta[None, :])[1][0]

        matrices.append(jax.vmap(row)(units))
    return matrices


def solution_1(network: Network, theta: Any, x: ArrayLike, y: ArrayLike) -> Array:
    """∂C/∂x (d,) from all Jacobians, multiplied in the order of the layers. Course 12.2.

    >>> from jax_course.networks import costs, mlp
    >>> net = mlp([2, 1], "relu", costs.squared_error())
    >>> theta = net.init(jax.random.key(0), 3)
    >>> both = [solution(net, theta, jnp.ones(3), jnp.array(5.0)) for solution in (solution_1, solution_2)]
    >>> bool(jnp.allclose(*both, rtol=1e-12))
    True
    """
    x = jnp.asarray(x)
    J = jnp.eye(x.size, dtype=x.dtype)
    for layer_params in layer_jacobians(network, theta, x):
        J = product(layer_params, J)
    return product(_delta(network, theta, x, y)[0], J)


def solution_2(network: Network, theta: Any, x: ArrayLike, y: ArrayLike) -> Array:
    """∂C/∂x (d,) by the backward methods, from the cost down. Course 12.2."""
    z, caches = jnp.asarray(x)[None, :], []
    for layer, params in zip(network.layers, theta, strict=True):
        z, cache = layer.forward(params, z)
        caches.append(cache)
    delta = _delta(network, theta, x, y)
    for layer, params, cache in reversed(list(zip(network.layers, theta, caches, strict=True))):
        _, delta = layer.backward(params, cache, delta)
    return delta[0]


def _delta(network: Network, theta: Any, x: ArrayLike, y: ArrayLike) -> Array:
    """∂C/∂z^L, shape (1, d_L)."""
    z = jnp.asarray(x)[None, :]
    for layer, params in zip(network.layers, theta, strict=True):
        z, _ = layer.forward(params, z)
    return network.last.slope(z, network.last.targets(jnp.asarray(y)[None], z))
