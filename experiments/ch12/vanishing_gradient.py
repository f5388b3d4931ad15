"""Vanishing gradients: what is left of δ below many layers of sigmoid, tanh and ReLU, by two ways to begin (12.1).

    δ_l−1 = (δ_l f'(z_l)) Θ_lᵀ,   E‖δ_l−1‖² = d var θ · E[f'²] · E‖δ_l‖²   for weights independent of δ_l

    sigmoid    f' ≤ 1/4                       at most √(d var θ)/4 a layer: it dies whatever the initializer
    tanh       f' = 1 only at z = 0           near 1 where LeCun keeps z small
    ReLU       f'² is 0 or 1, half of each    √(d var θ/2): exactly 1 with He's var θ = 2/d, 1/√2 with LeCun's 1/d

Where all layers have one width d, Glorot's 2/(d + d) is LeCun's 1/d: the same weights.
"""

from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax import lax

from experiments.interactive import depth
from experiments.lab.result import Check, Picture, Result, in_float64
from experiments.lab.style import CLASSES, MUTED
from jax_course.networks import initializers, layers

TITLE = "The vanishing gradient"
SECTION = "12.1"
DEPTH, WIDTH, EXAMPLES = 40, 64, 8
ACTIVATIONS = {"sigmoid": layers.sigmoid(), "tanh": layers.tanh(), "ReLU": layers.relu()}
INITIALIZERS = {"He, var θ = 2/d": (initializers.he, 2), "LeCun and Glorot, var θ = 1/d": (initializers.lecun, 1)}
FORMULAS = {  # f(z) and f'(z)
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: z > 0),
}
COLOR = dict(zip(ACTIVATIONS, (CLASSES[1], CLASSES[0], CLASSES[2]), strict=True))


@in_float64
def run(quick: bool) -> Result:
    """δ at the input of every layer, by the layers' backward methods, for many draws of the weights."""
    draws = 20 if quick else 100
    thetas = _weights(draws)
    ends = np.random.default_rng(1).standard_normal((draws, 2, EXAMPLES, WIDTH))  # x, and δ at the top
    found = {
        (activation, name): _measured(number, theta, ends)
        for number, activation in enumerate(ACTIVATIONS)
        for name, theta in thetas.items()
    }
    left = {key: _root_mean_square(deltas) for key, (deltas, _) in found.items()}
    factor = {key: float((size[0] / size[-1]) ** (1 / DEPTH)) for key, size in left.items()}
    he, lecun = INITIALIZERS
    return Result(
        {
            "norms": Picture(
                _norms(left, draws),
                f"‖δ‖ at the input of each of {DEPTH} layers, in units of its size at the top. Backpropagation runs "
                "from right to left. Through sigmoids δ loses a constant factor a layer and is gone after a few. "
                "Through ReLU it stays with He's weights, which make up for the half of the units that are off.",
            ),
            "draws": Picture(
                _draws({name: found[name, he][0] for name in ACTIVATIONS}),
                f"What is left of ‖δ‖ at the first layer in each of {draws} draws of He's weights. The mean square "
                "says what to expect; a single network may be off by some factor, but sigmoid stays far apart.",
            ),
        },
        {
            "layers": DEPTH,
            "width": WIDTH,
            "draws": draws,
            "factor per layer": {", ".join(key): value for key, value in factor.items()},
            "left at the first layer": {", ".join(key): float(size[0] / size[-1]) for key, size in left.items()},
        },
        (
            *(Check(f"{key[0]}, {key[1].split(',')[0]}: δ by hand = autodiff", gap, gap < 1e-10)
              for key, (_, gap) in found.items()),
            _sigmoid_dies(he, left["sigmoid", he]),
            _sigmoid_dies(lecun, left["sigmoid", lecun]),
            _stays("ReLU, He: ‖δ‖ at any layer / at the top, within a factor of 3", left["ReLU", he], 1),
            _stays("ReLU, LeCun: the same beside (1/√2)ᵏ", left["ReLU", lecun], np.sqrt(0.5)),
            _glorot_is_lecun(),
        ),
        (),
        {"slider": _slider(thetas, ends)},
    )  # fmt: skip


def _weights(draws):
    """By initializer, the parameters of all layers: (draws, layers, …)."""
    linears = {name: layers.linear(WIDTH, initializer=of) for name, (of, _) in INITIALIZERS.items()}

    @jax.jit
    def drawn(key):
        def of(key):
            return {name: linear.init(key, WIDTH)[0] for name, linear in linears.items()}

        return jax.vmap(jax.vmap(of))(jax.random.split(key, (draws, DEPTH)))

    return drawn(jax.random.key(0))


@jax.jit
@partial(jax.vmap, in_axes=(None, 0, 0))
def _deltas(number, theta, ends):
    """δ at the input of each layer and at the top, (layers + 1, examples, d), and autodiff's.

    Which of the activations it is, is a number, so that one program serves them all.
    """
    linear, activations = layers.linear(WIDTH), [*ACTIVATIONS.values()]
    x, top = ends  # C = Σ top · z: δ at the top is `top`

    def forward(z, of_layer):
        params, added = of_layer
        z, of_linear = linear.forward(params, z + added)
        z, of_activation = lax.switch(number, [of.forward for of in activations], (), z)
        return z, (of_linear, of_activation)

    def backward(delta, of_layer):
        params, (of_linear, of_activation) = of_layer
        _, delta = lax.switch(number, [of.backward for of in activations], (), of_activation, delta)
        _, delta = linear.backward(params, of_linear, delta)
        return delta, delta

    added = jnp.zeros((DEPTH, EXAMPLES, WIDTH))  # to every input: the derivative by it is δ there
    _, caches = lax.scan(forward, x, (theta, added))
    _, deltas = lax.scan(backward, top, (theta, caches), reverse=True)
    by_autodiff = jax.grad(lambda added: jnp.sum(top * lax.scan(forward, x, (theta, added))[0]))(added)
    return jnp.concatenate([deltas, top[None]]), by_autodiff


def _measured(number, theta, ends):
    """δ of every draw, (draws, layers + 1, examples, d), and how far autodiff's is from it."""
    deltas, by_autodiff = map(np.asarray, _deltas(number, theta, ends))
    largest = np.max(np.abs(by_autodiff), axis=(2, 3))  # of a layer: the first ones' δ are smaller by many digits
    gap = np.max(np.abs(deltas[:, :-1] - by_autodiff), axis=(2, 3)) / largest
    return deltas, float(np.max(gap))


def _slider(thetas, ends):
    """The same in networks of fewer layers: δ begins at the input of a lower one, where the layers above are not.

    By the formulas, for a few draws of the weights; the biases are 0.
    """
    some = 1, 2, 3, 4, 5, 6, 8, 10, 12, *range(15, DEPTH, 5)
    depths, left, draws = np.array([*(count for count in some if count < DEPTH), DEPTH]), {}, 10
    x, top = ends[:draws].swapaxes(0, 1)
    for activation, (f, slope) in FORMULAS.items():
        for name, theta in thetas.items():
            by_layer = np.asarray(theta.weights)[:draws].swapaxes(0, 1)
            out, slopes = x, []
            for weights in by_layer:
                z = out @ weights
                out, slopes = f(z), [*slopes, slope(z)]
            delta = np.tile(top, (len(depths), 1, 1, 1))
            sizes = [_size(delta)]
            for number in reversed(range(DEPTH)):
                there = depths > number
                delta[there] = (delta[there] * slopes[number]) @ by_layer[number].swapaxes(1, 2)
                sizes.append(_size(delta))
            left[activation, name] = np.stack(sizes[::-1], axis=1) / sizes[0][:, None]
    return depth.draw(depths, left, COLOR)


def _size(delta):
    """√E‖δ‖² over draws and examples, the last axes but that of δ."""
    return np.sqrt(np.mean(np.sum(delta**2, axis=-1), axis=(-2, -1)))


def _root_mean_square(deltas):
    """√E‖δ‖² for each layer, over draws and examples."""
    return np.sqrt(np.mean(np.sum(deltas**2, axis=3), axis=(0, 2)))


def _sigmoid_dies(name, size):
    gain = INITIALIZERS[name][1]
    factors = size[:-1] / size[1:]
    bound = np.sqrt(gain) / 4
    worst = float(np.max(factors))
    return Check(f"sigmoid, {name.split(',')[0]}: largest factor of a layer, at most √(d var θ)/4 = {bound:.2f} < 1/2",
                 worst, bool(worst < 1.05 * bound < 0.5))  # fmt: skip


def _stays(claim, size, factor):
    left = size / size[-1] / factor ** np.arange(DEPTH, -1, -1)
    off = float(np.exp(np.max(np.abs(np.log(left)))))
    return Check(claim, off, off < 3)


def _glorot_is_lecun():
    key = jax.random.key(1)
    glorot, lecun = (np.asarray(of(key, WIDTH, WIDTH)) for of in (initializers.glorot, initializers.lecun))
    gap = float(np.max(np.abs(glorot - lecun)))
    return Check("Glorot = LeCun between layers of one width", gap, gap == 0)


def _norms(left, draws):
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.3), sharey=True, layout="constrained")
    depth = np.arange(DEPTH + 1)
    for axis, (name, (_, gain)) in zip(axes, INITIALIZERS.items(), strict=True):
        for activation, color in COLOR.items():
            size = left[activation, name]
            axis.plot(depth, size / size[-1], "o-", color=color, ms=2.5, lw=1, label=activation)
        for factor in (np.sqrt(gain) / 4, np.sqrt(gain / 2)):
            axis.plot(depth, factor ** (DEPTH - depth), "--", color="black", lw=0.8, zorder=3)
        axis.plot([], [], "--", color="black", lw=0.8, label="√(d var θ)/4, √(d var θ/2) a layer")
        axis.set(yscale="log", xlabel="layers below", title=name)
    axes[0].set_ylabel(f"‖δ‖ / ‖δ‖ at the top, over {draws} draws")
    axes[0].legend(loc="lower right")
    return figure


def _draws(deltas):
    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    for row, (activation, found) in enumerate(deltas.items()):
        size = np.sqrt(np.mean(np.sum(found**2, axis=3), axis=2))
        left = size[:, 0] / size[:, -1]
        jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(left))
        axes.plot(left, -row + jitter, "o", color=COLOR[activation], ms=3, alpha=0.6)
        axes.plot(np.sqrt(np.mean(left**2)), -row, "|", color="black", ms=26)
    axes.axvline(1, color=MUTED, lw=1)
    axes.set(xscale="log", yticks=[0, -1, -2], yticklabels=list(deltas), xlabel="‖δ‖ at the first layer / at the top",
             ylim=(-2.5, 0.5), title="Each draw of the weights, and the root of the mean square (bar)")  # fmt: skip
    return figure
