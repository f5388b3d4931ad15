r"""A network: layers and a cost, as a model (course 10–12).

    z⁰ = X,  z^l = f^l(z^(l−1), θ^l),  ŷ = ŷ(z^L),  C = C(z^L, y)                 predict, cost           12.1
    δ^L = ∂C/∂z^L,  (∂C/∂θ^l, δ^(l−1)) = backward^l(δ^l)                          gradient                10.2
    ∇²C v = R{∂C/∂θ}                                                              hessian_product
    G v = Jᵀ (∂²C/∂z²) J v,  J = ∂z^L/∂θ                                          gauss_newton_product

Backpropagation, from the cost down; J v is R{z^L}, so that neither matrix is ever formed. G is ∇²C without the second
derivatives of the layers: positive semidefinite, and equal to ∇²C where the network is linear in θ.

Shapes: theta, a tuple with the parameters of each layer; X (m, d_in); y as the cost takes it (`networks.costs`).
`penalty` is the course's δ², a number, or a tree like theta of numbers: `decay(theta, δ²)` spares the biases.
`weights`, a scalar or (m,): an example of weight w counts as w examples, its row of δ^L and of Jv times w.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.arrays import as_array
from jax_course.inputs.types import ArrayLike
from jax_course.losses import Loss
from jax_course.networks import costs
from jax_course.networks import layers as kinds
from jax_course.networks.layer import Layer, serial


class Network(NamedTuple):
    """A model by the contract, made of layers and a cost. Course 12.1."""

    init: Callable  # (key, d_in)                     → theta
    predict: Callable  # (theta, X)                      → ŷ
    cost: Callable  # (theta, X, y, *, penalty=0.0, weights=1.0)   → C, a scalar
    gradient: Callable  # (theta, X, y, *, penalty=0.0, weights=1.0)   → like theta
    hessian_product: Callable  # (theta, X, y, v, *, penalty=0.0, weights=1.0) → like theta
    gauss_newton_product: Callable  # (theta, X, y, v, *, penalty=0.0, weights=1.0) → like theta
    layers: tuple[Layer, ...]
    last: Loss

    def __repr__(self) -> str:
        return f"Network({' → '.join(part.name for part in (*self.layers, self.last))})"


def network(*layers: Layer, cost: Loss) -> Network:
    """The layers one after the other, and the cost behind them. Course 10.2, 12.1.

    Errors: ValueError where the widths do not fit each other, the cost or the labels, by number and name of the layer.

    >>> from jax_course.networks import costs
    >>> line = network(kinds.linear(1), cost=costs.squared_error())
    >>> theta = (kinds.LinearParams(bias=jnp.array([1.0]), weights=jnp.array([[2.0]])),)
    >>> X, y = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0])
    >>> line.predict(theta, X), line.cost(theta, X, y), line.gradient(theta, X, y)[0].weights
    (Array([3., 5.], dtype=float64), Array(4., dtype=float64), Array([[-8.]], dtype=float64))
    """
    chain, last = serial(*layers), _made(cost)

    def init(key: Array, d_in: int) -> Any:
        theta, d_out = chain.init(key, int(inputs.whole(d_in, "d_in")))
        last.width(d_out)
        return theta

    def predict(theta: Any, X: ArrayLike) -> Array:
        return last.prediction(chain.forward(theta, inputs.design(X))[0])

    def total_cost(theta: Any, X: ArrayLike, y: ArrayLike, *, penalty: Any = 0.0, weights: ArrayLike = 1.0) -> Array:
        z, _ = chain.forward(theta, inputs.design(X))
        C = jnp.sum(inputs.example_weights(weights, z) * last.values(z, _targets(last, y, z)))
        return C + _sum(penalties(penalty, theta, lambda p, t: jnp.sum(p * t**2)))

    def gradient(theta: Any, X: ArrayLike, y: ArrayLike, *, penalty: Any = 0.0, weights: ArrayLike = 1.0) -> Any:
        z, caches = chain.forward(theta, inputs.design(X))
        dtheta, _ = chain.backward(theta, caches, _weighted(weights, last.slope(z, _targets(last, y, z))))
        return _plus(dtheta, penalties(penalty, theta, lambda p, t: 2 * p * t))

    def hessian_product(
        theta: Any, X: ArrayLike, y: ArrayLike, v: Any, *, penalty: Any = 0.0, weights: ArrayLike = 1.0
    ) -> Any:
        X = inputs.design(X)
        z, Rz = chain.forward(theta, X)[0], _tangent(chain, theta, X, v)
        y = _targets(last, y, z)
        delta, Rdelta = (_weighted(weights, rows) for rows in (last.slope(z, y), last.curvature_product(z, y, Rz)))
        Hv, _ = chain.tangent_backward(theta, X, delta, v, jnp.zeros_like(X), Rdelta)  # pyright: ignore[reportOptionalCall]
        return _plus(Hv, penalties(penalty, v, lambda p, direction: 2 * p * direction))

    def gauss_newton_product(
        theta: Any, X: ArrayLike, y: ArrayLike, v: Any, *, penalty: Any = 0.0, weights: ArrayLike = 1.0
    ) -> Any:
        X = inputs.design(X)
        z, caches = chain.forward(theta, X)
        u = last.curvature_product(z, _targets(last, y, z), _tangent(chain, theta, X, v))
        dtheta, _ = chain.backward(theta, caches, _weighted(weights, u))
        return _plus(dtheta, penalties(penalty, v, lambda p, w: 2 * p * w))

    return Network(init, predict, total_cost, gradient, hessian_product, gauss_newton_product, layers, last)


def _made(cost: Any) -> Loss:
    """The cost, refused where it is none."""
    if isinstance(cost, Loss):
        return cost
    name = getattr(cost, "__name__", type(cost).__name__)
    if cost in (costs.binary_cross_entropy, costs.cross_entropy, costs.squared_error):
        raise TypeError(f"cost must be made by calling costs.{name}: write cost=costs.{name}()")
    raise TypeError(
        f"cost must be one of networks.costs, as costs.squared_error() is, or a costs.Cost with its derivatives; "
        f"got {name}: a function alone has no δ to begin backpropagation with"
    )


def _weighted(weights: ArrayLike, rows: Array) -> Array:
    return inputs.example_weights(weights, rows).reshape(-1, *(1,) * (rows.ndim - 1)) * rows


ACTIVATIONS = {
    "relu": kinds.relu,
    "sigmoid": kinds.sigmoid,
    "tanh": kinds.tanh,
    "softplus": kinds.softplus,
    "gelu": kinds.gelu,
}


def mlp(widths: list[int] | tuple[int, ...], activation: str, cost: Loss) -> Network:
    """Linear layers of these widths with the activation between them: the four forms of chapter 11. Course 11.1–11.4.

    `mlp([1], "tanh", costs.binary_cross_entropy())` is logistic regression, `mlp([8, 1], …)` has a hidden layer.

    >>> from jax_course.networks import costs
    >>> [layer.name for layer in mlp([8, 3], "relu", costs.squared_error()).layers]
    ['linear(8)', 'relu', 'linear(3)']
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
    if not widths:
        raise ValueError("widths must hold at least the width of the last layer; it is empty")
    hidden = [layer for width in widths[:-1] for layer in (kinds.linear(width), ACTIVATIONS[activation]())]
    return network(*hidden, kinds.linear(widths[-1]), cost=cost)


def decay(theta: Any, penalty: ArrayLike) -> Any:
    """A penalty for every leaf with two axes or more, 0 for the others: biases are spared. Course 6.1, 7.4."""
    penalty = as_array(penalty, "penalty")
    if penalty.ndim or penalty.dtype.kind in "bc":
        raise TypeError(f"penalty must be one real number; got {penalty.dtype} of shape {penalty.shape}")

    def leaf_penalty(leaf: Array) -> Array:
        return penalty.astype(leaf.dtype) if leaf.ndim > 1 else jnp.zeros((), leaf.dtype)

    return jax.tree.map(lambda leaf: leaf_penalty(as_array(leaf, "theta")), theta)


def penalties(penalty: Any, theta: Any, term: Callable[[Array, Array], Array]) -> Any:
    """term(penalty, leaf) for every leaf of theta; None where the penalty is the number 0."""
    if isinstance(penalty, float | int) and penalty == 0:
        return None
    if jax.tree.structure(penalty).num_leaves == 1 and jnp.ndim(jax.tree.leaves(penalty)[0]) == 0:
        penalty = jax.tree.map(lambda _: jax.tree.leaves(penalty)[0], theta)
    if jax.tree.structure(penalty) != jax.tree.structure(theta):
        raise ValueError("penalty must be a number, or a tree like theta with a number for every leaf: decay(theta, p)")
    return jax.tree.map(
        lambda p, leaf: term(as_array(p, "penalty", like=leaf).astype(leaf.dtype), leaf), penalty, theta
    )


def _tangent(chain: Layer, theta: Any, X: Array, v: Any) -> Array:
    if jax.tree.structure(v) != jax.tree.structure(theta):
        raise ValueError(f"v must be a tree like theta; got {jax.tree.structure(v)}")
    return chain.tangent(theta, X, v, jnp.zeros_like(X))  # pyright: ignore[reportOptionalCall]


def _targets(last: Loss, y: ArrayLike, z: Array) -> Array:
    last.width(z.shape[1])
    return last.targets(y, z)


def _sum(tree: Any) -> Array | float:
    return sum(jax.tree.leaves(tree))


def _plus(tree: Any, more: Any) -> Any:
    return tree if more is None else jax.tree.map(jnp.add, tree, more)
