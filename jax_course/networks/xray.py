r"""The X-ray of a network on a batch: what to look at, layer by layer, when training fails (course 12.1).

    ‖z‖                   what a layer makes of its input: grows or dies out where the weights begin too large or small
    dead                  the share of its units whose output is the same for every example
    ‖δ‖                   what comes back to the layer from the cost, ∂C/∂z: the vanishing gradient
    ‖∂C/∂θ‖ / ‖θ‖         how far a step with a learning rate of 1 would go
    difference            the largest between its backward method and `jax.vjp`, relative to the largest entry

At a kink the derivative is any number between the one-sided ones: at z = 0 relu takes 0, `jnp.maximum` 1/2. So the
difference is computed at the batch and at numbers a little beside it, where there is no kink, and the smaller one
counts: a mistake is in both. Whether the number at the kink itself is a possible one, `verify.layer` says.

A layer whose output or δ is not finite is named by `XRay.trouble`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.networks.layer import Layer
from jax_course.networks.network import Network


class LayerXRay(NamedTuple):
    """One row of the table. The share of the gradient is 0 where a layer has no parameters."""

    name: str
    shape: tuple[int, ...]  # of z_out
    z_norm: float
    dead: float
    delta_norm: float
    gradient_share: float
    difference: float


class XRay(NamedTuple):
    """A row per layer, and the cost. Prints as a table where rich is installed."""

    layers: tuple[LayerXRay, ...]
    cost: float

    @property
    def trouble(self) -> str:
        """The first layer whose output, else the last whose δ is not finite, in a sentence; empty where none is."""
        for row in self.layers:
            if not jnp.isfinite(row.z_norm):
                return f"layer {row.name}: its output is not finite"
        for row in reversed(self.layers):
            if not jnp.isfinite(row.delta_norm + row.gradient_share):
                return f"layer {row.name}: its δ or gradient is not finite"
        return ""

    def __rich__(self) -> Any:
        """The table, for `rich.print`."""
        try:
            from rich.table import Table
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "the table is drawn by rich, which is not installed: pip install 'jax-course[experiments]'"
            ) from error
        heads = "layer", "z", "‖z‖", "dead", "‖δ‖", "‖∂C/∂θ‖/‖θ‖", "against vjp"
        table = Table(*heads, title=f"cost {self.cost:.6g}", title_justify="left", caption=self.trouble, box=None)
        for row in self.layers:
            share = f"{row.gradient_share:.2e}" if row.gradient_share else ""
            sizes = f"{row.z_norm:.3g}", f"{row.dead:.0%}", f"{row.delta_norm:.2e}", share, f"{row.difference:.0e}"
            table.add_row(row.name, " × ".join(map(str, row.shape)), *sizes)
        return table


def xray(network: Network, theta: Any, X: ArrayLike, y: ArrayLike) -> XRay:
    """Every layer's numbers on this batch, forwards and backwards. Course 12.1.

    >>> from jax_course.networks import costs, mlp
    >>> net = mlp([4, 1], "relu", costs.squared_error())
    >>> report = xray(net, net.init(jax.random.key(0), 3), jnp.ones((8, 3)), jnp.zeros(8))
    >>> [row.name for row in report.layers], report.layers[1].shape, report.trouble
    (['0: linear(4)', '1: relu', '2: linear(1)'], (8, 4), '')
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be one of jax_course.networks; got {type(network).__name__}")
    z, entering, caches = inputs.design(X), [], []
    for layer, params in zip(network.layers, theta, strict=True):
        entering.append(z)
        z, cache = layer.forward(params, z)
        caches.append((z, cache))
    y = network.last.targets(y, z)
    delta, rows = network.last.slope(z, y), []
    steps = zip(network.layers, theta, entering, caches, strict=True)
    for i, (layer, params, z_in, (z_out, cache)) in reversed(list(enumerate(steps))):
        gradient, delta_in = layer.backward(params, cache, delta)
        rows.append(
            LayerXRay(
                f"{i}: {layer.name}",
                z_out.shape,
                float(jnp.linalg.norm(z_out)),
                float(jnp.mean(jnp.all(z_out == z_out[:1], axis=0))),
                float(jnp.linalg.norm(delta)),
                _share(gradient, params),
                _difference(layer, params, z_in, delta, (gradient, delta_in)),
            )
        )
        delta = delta_in
    return XRay(tuple(reversed(rows)), float(network.last.value(z, jnp.asarray(y))))


def _share(gradient: Any, params: Any) -> float:
    if not jax.tree.leaves(params):
        return 0.0
    return float(optax.tree.norm(gradient) / optax.tree.norm(params))


def _difference(layer: Layer, params: Any, z: Array, delta: Array, hand: Any) -> float:
    at_batch = _against_vjp(layer, params, z, delta, hand)
    if not at_batch > 0:  # NaN stays
        return at_batch
    params, z = _perturbed((params, z))
    perturbed = _against_vjp(layer, params, z, delta, layer.backward(params, layer.forward(params, z)[1], delta))
    return min(at_batch, perturbed)  # at_batch, where the perturbed numbers are outside of the layer's domain: NaN


def _against_vjp(layer: Layer, params: Any, z: Array, delta: Array, hand: Any) -> float:
    _, pull = jax.vjp(lambda params, z: layer.forward(params, z)[0], params, z)
    pairs = list(zip(jax.tree.leaves(hand), jax.tree.leaves(pull(delta)), strict=True))
    # in NumPy: in JAX each shape would be a program
    apart = np.max([np.max(np.abs(np.asarray(a) - np.asarray(b)), initial=0.0) for a, b in pairs])
    size = np.max([np.max(np.abs(np.asarray(b)), initial=0.0) for _, b in pairs])
    return float(apart / size if size else apart)


def _perturbed(tree: Any) -> Any:
    """Every number moved by about a thousandth of what the numbers of its array are large."""
    rng = np.random.default_rng(0)

    def moved(leaf: Array) -> Array:
        values = np.asarray(leaf, float)
        size = np.sqrt(np.mean(values**2)) if values.any() else 1.0
        return jnp.asarray(values + 1e-3 * size * rng.standard_normal(values.shape), leaf.dtype)

    return jax.tree.map(moved, tree)
