"""Three spiral arms: borders between classes that bend, by one hidden layer, against the straight ones of none (11.4).

0 hidden layers    π = softmax(θ₀ + xΘ)                     two classes meet in a line
1 hidden layer     π = softmax(θ₀ + max(0, b + xΘ) θ)       two classes meet in a line with kinks
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, check_derivatives, fitted, in_float64
from experiments.lab.style import CLASSES
from jax_course import features, softmax
from jax_course.networks import costs, mlp
from jax_course.optimization import optimizers
from jax_course.train import train

TITLE = "Three arms of a spiral"
SECTION = "11.4"
UNITS = 32


@cache
def _network(units: int) -> Any:
    """A network with so many hidden units: always the same, so that its programs are compiled once."""
    return mlp([units, 3], "relu", costs.cross_entropy())


@in_float64
def run(quick: bool) -> Result:
    """Softmax regression, and a network after more and more epochs."""
    epochs = (1, 10, 100) if quick else (1, 10, 300)
    X, y = _arms()
    line = softmax.fit(features.with_bias(X), y, classes=3, penalty=1e-3).check()
    thetas = [_trained(X, y, count) for count in epochs]
    ways = {"0 hidden layers": partial(_by_lines, line.theta)} | {
        f"1 hidden layer, {count} epoch{'s' * (count > 1)}": partial(_by_network, theta)
        for count, theta in zip(epochs, thetas, strict=True)
    }
    right = {name: float(np.mean(np.asarray(of(X)) == y)) for name, of in ways.items()}
    wrong = 1 - list(right.values())[-1]
    return Result(
        {
            "regions": Picture(
                _regions(X, y, ways, right),
                "The class that each point of the plane is given. Softmax regression cuts the plane by straight lines. "
                f"One hidden layer of {UNITS} ReLU units begins with borders that are hardly better and bends them "
                "along the arms.",
            ),
        },
        {"hidden units": UNITS, "epochs": list(epochs), "right": right},
        (
            *check_derivatives("network", _network(UNITS)._replace(hessian_product=None), _start(2), X, y),
            Check("wrong with a hidden layer, less than a tenth of those without", wrong,
                  wrong < 0.1 * (1 - right["0 hidden layers"])),
            _straight(line.theta),
            _piecewise_linear(thetas[-1], X),
        ),
        (fitted("softmax", f"spirals, {len(y)} × 2", f"accuracy {right['0 hidden layers']:.1%}", line),),
    )  # fmt: skip


def _arms():
    rng = np.random.Generator(np.random.PCG64(4))
    y = np.arange(300) % 3
    along = np.sqrt(rng.uniform(0.02, 1, 300))
    angle = 2 * np.pi * y / 3 + 4 * along + 0.15 * rng.standard_normal(300)
    X = 2 * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X, y.astype(np.int32)


@cache
def _init(net):
    return jax.jit(partial(net.init, d_in=2))


def _start(seed):
    return _init(_network(UNITS))(jax.random.key(seed))


def _trained(X, y, epochs):
    return train(_network(UNITS).gradient, optimizers.adam(0.02), _start(0), X, y, key=jax.random.key(0), epochs=epochs,
                 batch_size=50).check().theta  # fmt: skip


@jax.jit
def _by_lines(theta, X):
    return softmax.predict_class(theta, features.with_bias(X))


@jax.jit
def _by_network(theta, X):
    return jnp.argmax(_network(UNITS).predict(theta, X), axis=1)  # its shape is that of theta


def _straight(theta):
    """z of two classes differ by a linear function: halfway between any two points it is the mean of theirs."""
    a, b = np.random.default_rng(0).normal(size=(2, 100, 2))
    z = [np.asarray(theta)[0] + points @ np.asarray(theta)[1:] for points in (a, b, (a + b) / 2)]
    gap = float(np.max(np.abs((z[0] + z[1]) / 2 - z[2])) / np.max(np.abs(z[0])))
    return Check("0 hidden layers: z is linear in x", gap, gap < 1e-12)


def _piecewise_linear(theta, X):
    """Near x no unit switches: there z(x + h) + z(x − h) = 2z(x). Far off they do."""

    def bend(h):
        z = [np.asarray(_logits(theta, X + shift)) for shift in (h, -h, 0.0)]
        return float(np.median(np.max(np.abs(z[0] + z[1] - 2 * z[2]), axis=1)) / np.max(np.abs(z[2])))

    near, far = bend(1e-6), bend(1.0)
    return Check("1 hidden layer: z is linear near x, and not far off", near, near < 1e-12 < 1e-3 < far)


@jax.jit
def _logits(theta, X):
    for layer, params in zip(_network(UNITS).layers, theta, strict=True):
        X, _ = layer.forward(params, X)
    return X


def _regions(X, y, ways, right):
    figure, axes = plt.subplots(2, 2, figsize=(8.5, 8.6), layout="constrained")
    across = np.linspace(-2.3, 2.3, 200)
    grid = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
    for axis, (name, of) in zip(axes.flat, ways.items(), strict=True):
        region = np.asarray(of(grid)).reshape(len(across), -1)
        axis.contourf(across, across, region, levels=[-0.5, 0.5, 1.5, 2.5], colors=CLASSES[:3], alpha=0.25)
        for label, color in enumerate(CLASSES[:3]):
            axis.scatter(*X[y == label].T, s=9, color=color)
        axis.set(aspect="equal", xlabel="x₁", ylabel="x₂", title=f"{name}: {right[name]:.1%} right")
        axis.grid(False)
    return figure
