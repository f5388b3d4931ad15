"""A network layer by layer, with numbers to check by hand; and two kinds of layer, ReLU and RBF (course 10.2 to 12.4).

z = f(z₋, θ)                                       forward, from the inputs to the cost       10.2
δ₋ = δ ∂z/∂z₋,  ∂C/∂θ = δ ∂z/∂θ                    backward, from the cost to the inputs      10.2
linear  δ_i = Σ_o δ_o θ_io,  ∂C/∂θ_io = δ_o z_i    no sum in the second, slip E 20            12.3
ReLU    max(0, z),  δ₋ = δ 1[z > 0]                0 at the kink, by convention               12.4
RBF     k_n = e^{−‖x − μ_n‖²/λ_n}                  1/e at the distance √λ from the centre     11.2
"""

from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course.networks import costs, layers
from jax_course.networks.layers import LinearParams, RBFParams

TITLE = "A network, layer by layer"
SECTION = "10.2, 11.2, 12.3, 12.4"

X, Y = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]])
LAYERS = (layers.linear(3), layers.relu(), layers.linear(2))
WEIGHTS: Any = (
    np.array([[1.0, -2.0, 3.0], [1.0, 0.5, -1.0]]),
    np.array([[1.0, -1.0], [2.0, 1.0], [-1.0, 2.0]]),
)
NO_BIAS: Any = (np.zeros(3), np.zeros(2))
Z = np.linspace(-2, 2, 21)
OF_LINE = np.array([1.0, -0.7, 1.4])
CENTERS: Any = (
    np.array([[-1.5], [0.0], [2.0]]),
    np.array([[-1.2, -0.8], [0.2, 0.9], [1.5, -0.4], [0.0, -0.6]]),
)
SCALES: Any = (np.array([0.5, 1.5, 3.0]), np.array([0.8, 1.2, 0.6, 0.4]))
ON_LINE, ON_PLANE = (RBFParams(*of) for of in zip(CENTERS, SCALES, strict=True))
OF_PLANE, BIAS = np.array([1.3, 1.4, 1.2, -1.5]), -0.5


@in_float64
def run(quick: bool) -> Result:
    """One example forward and backward through each layer; ReLU and RBF along a line, RBF over a plane."""
    values, deltas, gradients = _walked()
    passed, arriving, of_relu = _relu()
    on_line, over_plane, sides, of_rbf = _rbf(61 if quick else 201)
    return Result(
        {
            "graph": Picture(
                _graph(values, deltas, gradients),
                "One example through a linear layer, ReLU, another linear layer and the squared error. In the units "
                "the values, from left to right; below them δ = ∂C/∂z, from right to left. Along each edge its θ, and "
                "∂C/∂θ = δ z: the δ at its right end times the value at its left end, no sum (slip E 20). Nothing "
                "passes a hidden unit below 0 (dotted), and the edges to it and from it learn nothing.",
            ),
            "relu": Picture(
                _draw_relu(passed, arriving),
                "ReLU, its derivative, and a δ on the way back. Where z > 0 it passes unchanged, elsewhere it stops. "
                "At z = 0 there is no derivative; 0 is what is used here (dot), so that there δ stops too.",
            ),
            "rbf": Picture(
                _draw_rbf(on_line, over_plane, sides),
                "RBF units answer near their centres only. Left: three of them, on a line; at √λ from its centre "
                "each is down to 1/e (dots). Dashed, the units times their weights, and the sum of these. Right: four "
                "units on a plane, circles of radius √λ, a minus sign where the weight is negative. z, their weighted "
                "sum and a bias, is 0 on the black line: a boundary that closes.",
            ),
        },
        {
            "values": [z.ravel().tolist() for z in values],
            "δ": [delta.ravel().tolist() for delta in deltas],
            "∂C/∂θ": [gradient.tolist() for gradient in gradients],
        },
        (*_of_walk(values, deltas, gradients), *of_relu, *of_rbf),
        (),
    )


def _walked():
    """The z of the inputs, of each layer and of the cost; their δ; ∂C/∂θ of the two linear layers."""

    @jax.jit
    def walk(theta, z):
        last, y, values, caches = costs.squared_error(), jnp.asarray(Y), [z], []
        for layer, of_layer in zip(LAYERS, theta, strict=True):
            z, cache = layer.forward(of_layer, z)
            values.append(z)
            caches.append(cache)
        deltas, gradients = [last.delta(z, y)], []
        for layer, of_layer, cache in reversed(list(zip(LAYERS, theta, caches, strict=True))):
            gradient, delta = layer.backward(of_layer, cache, deltas[-1])
            deltas.append(delta)
            gradients.append(gradient)
        return [*values, last.value(z, y)], deltas[::-1], gradients[::-1]

    first, last = (LinearParams(*of_layer) for of_layer in zip(NO_BIAS, WEIGHTS, strict=True))
    values, deltas, (first, _, second) = jax.tree.map(np.asarray, walk((first, (), last), X))
    return values, [*deltas, np.ones(1)], [first.weights, second.weights]


def _of_walk(values, deltas, gradients):
    """Against autodiff of the cost in plain JAX, by the weights and by a number added to every z on the way."""

    def cost(first, second, added):
        z = (X + added[0]) @ first + added[1]
        z = (jnp.maximum(z, 0) + added[2]) @ second + added[3]
        return jnp.sum((z - Y) ** 2)

    by_hand = float(np.sum((np.maximum(X @ WEIGHTS[0], 0) @ WEIGHTS[1] - Y) ** 2))
    nothing = [np.zeros_like(z) for z in values[:4]]
    *of_weights, of_values = jax.jit(jax.grad(cost, (0, 1, 2)))(*WEIGHTS, nothing)
    errors = {
        "δ of every layer = autodiff": max(apart(*pair) for pair in zip(deltas[:4], of_values, strict=True)),
        "∂C/∂θ of both linear layers = autodiff": max(apart(*pair) for pair in zip(gradients, of_weights, strict=True)),
        "∂C/∂θ_io = δ_o z_i, edge by edge": max(
            apart(gradients[0], np.outer(values[0], deltas[1])), apart(gradients[1], np.outer(values[2], deltas[3]))
        ),
        f"C = {by_hand:g}, by hand": apart(values[-1], by_hand),
    }
    return [Check(claim, error, error < 1e-14) for claim, error in errors.items()]


def _relu():
    """What passes of a δ, for z that meet the kink."""
    arriving = np.random.Generator(np.random.PCG64(5)).uniform(-1, 1, (1, len(Z)))

    @jax.jit
    def through(z, delta):
        out, cache = layers.relu().forward((), z)
        by_autodiff = jax.vjp(jax.nn.relu, z)[1](delta)[0]
        return out, layers.relu().backward((), cache, delta)[1], by_autodiff

    out, passed, by_autodiff = map(np.asarray, through(Z[None], arriving))
    value, back = apart(out[0], np.where(Z > 0, Z, 0)), apart(passed, arriving * (Z > 0))
    same = apart(passed, by_autodiff)
    at_the_kink = float(np.sum(np.abs(passed[0, Z == 0])))
    return (
        passed[0],
        arriving[0],
        (
            Check("ReLU: max(0, z)", value, value < 1e-15),
            Check("ReLU: δ₋ = δ 1[z > 0]", back, back < 1e-15),
            Check("ReLU: the same as jax.nn.relu's", same, same < 1e-15),
            Check("ReLU: what passes at the kink", at_the_kink, at_the_kink == 0),
        ),
    )


def _rbf(points):
    """The units along the line and the sum over the plane; both by the layer, held against their formula."""
    line, sides = np.linspace(-4, 5, 181), np.linspace(-2.6, 2.6, points)
    plane = np.stack(np.meshgrid(sides, sides), axis=-1).reshape(-1, 2)
    found, claims = [], []
    for name, params, of, at in (("line", ON_LINE, OF_LINE, line[:, None]), ("plane", ON_PLANE, OF_PLANE, plane)):

        def through(params, z, of=of):
            k, cache = layers.rbf(len(of)).forward(params, z)
            gradient, _ = layers.rbf(len(of)).backward(params, cache, jnp.broadcast_to(jnp.asarray(of), k.shape))
            by_autodiff = jax.grad(lambda p: jnp.sum(layers.rbf(len(of)).forward(p, z)[0] @ of))(params)
            return k, gradient, by_autodiff

        k, gradient, by_autodiff = jax.tree.map(np.asarray, jax.jit(through)(params, at))
        squares = np.sum((at[:, None, :] - params.centers) ** 2, axis=-1)
        form = apart(k, np.exp(-squares / params.scales))
        slopes = max(apart(*pair) for pair in zip(gradient, by_autodiff, strict=True))
        claims += [
            Check(f"RBF on the {name}: e^(−‖x − μ‖²/λ)", form, form < 1e-12),
            Check(f"RBF on the {name}: ∂C/∂μ and ∂C/∂λ = autodiff", slopes, slopes < 1e-10),
        ]
        found.append(k)
    return (line, found[0]), (found[1] @ OF_PLANE + BIAS).reshape(points, points), sides, claims


SPACING, HEIGHT = 3.3, 1.7


def _graph(values, deltas, gradients):
    figure, axes = plt.subplots(figsize=(12, 6), layout="constrained")
    columns, y = [np.ravel(z) for z in values], ", ".join(_number(target) for target in Y[0])
    heads = "x", "linear", "ReLU", "linear", f"squared error\nfrom y = ({y})"
    where = [
        [(SPACING * layer, HEIGHT * ((len(z) - 1) / 2 - unit)) for unit in range(len(z))]
        for layer, z in enumerate(columns)
    ]
    axes.set(xlim=(-0.7, 4 * SPACING + 0.7), ylim=(-3.3, 2.9), aspect="equal")
    for layer, weights, gradient in zip((0, 2), WEIGHTS, gradients, strict=True):
        for (i, o), theta in np.ndenumerate(weights):
            _edge(axes, where[layer][i], where[layer + 1][o], 0.66 if layer == 0 else 0.34, theta, gradient[i, o])
    for unit, z in enumerate(columns[1]):
        axes.plot(*np.transpose([where[1][unit], where[2][unit]]), "-" if z > 0 else ":", color=MUTED, zorder=1)
    for unit in range(2):
        axes.plot(*np.transpose([where[3][unit], where[4][0]]), color=MUTED, zorder=1)
    for places, z, delta, head in zip(where, columns, deltas, heads, strict=True):
        for (x, y), value, back in zip(places, z, np.ravel(delta), strict=True):
            axes.plot(x, y, "o", ms=26, mfc="white", mec="black", mew=0.8, zorder=2)
            axes.text(x, y, _number(value), ha="center", va="center", color=DATA, zorder=3, weight="bold")
            axes.text(x, y - 0.5, f"δ {_number(back)}", ha="center", va="center", color=FIT, zorder=3,
                      bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none"})  # fmt: skip
        axes.text(places[0][0], 2.6, head, ha="center", va="center")
    for height, ends, color, text in ((-2.6, (0, 4), DATA, "forward: z"), (-3.1, (4, 0), FIT, "backward: δ, ∂C/∂θ")):
        axes.annotate("", (SPACING * ends[1], height), (SPACING * ends[0], height),
                      arrowprops={"arrowstyle": "->", "color": color})  # fmt: skip
        axes.text(2 * SPACING, height + 0.06, text, ha="center", va="bottom", color=color)
    axes.axis("off")
    return figure


def _edge(axes, start, end, share, theta, gradient):
    """θ above the line, ∂C/∂θ below it, at a share of the way where the edges are apart."""
    start, along = np.array(start), np.subtract(end, start)
    axes.plot(*np.transpose([start, end]), color=MUTED, lw=1, zorder=1)
    across = 0.14 * np.array([-along[1], along[0]]) / np.hypot(*along)
    for side, text, color in ((1, f"θ {_number(theta)}", "black"), (-1, _number(gradient), FIT)):
        axes.text(*(start + share * along + side * across), text, rotation=np.degrees(np.arctan2(along[1], along[0])),
                  rotation_mode="anchor", ha="center", va="center", color=color, size=9, zorder=2)  # fmt: skip


def _number(value):
    return f"{value + 0:.3g}".replace("-", "−")


def _draw_relu(passed, arriving):
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 3.6), layout="constrained")
    left.plot(Z, np.maximum(Z, 0), color=FIT)
    left.set(xlabel="z", ylabel="max(0, z)", title="ReLU")
    middle.plot([Z[0], 0, np.nan, 0, Z[-1]], [0, 0, np.nan, 1, 1], color=TRUTH)
    middle.plot(0, 1, "o", color=TRUTH, mfc="white")
    middle.plot(0, 0, "o", color=TRUTH)
    middle.annotate("0 at the kink", (0, 0), (0.15, 0.03), color=TRUTH)
    middle.set(xlabel="z", ylabel="1[z > 0]", title="Its derivative")
    right.plot(Z, arriving, "o", color=MUTED, mfc="none", ms=8, label="δ that arrives")
    right.vlines(Z, 0, passed, color=FIT, lw=1.5)
    right.plot(Z, passed, "o", color=FIT, ms=4, label="δ that passes")
    right.set(xlabel="z", ylabel="δ", title="On the way back", ylim=(-1.1, 1.6))
    right.legend(loc="upper left", ncols=2, fontsize="small")
    return figure


def _draw_rbf(on_line, over_plane, sides):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", width_ratios=(1.3, 1))
    line, k = on_line
    for n, (center, scale, weight) in enumerate(zip(ON_LINE.centers[:, 0], ON_LINE.scales, OF_LINE, strict=True)):
        color = CLASSES[(0, 3, 4)[n]]
        left.plot(line, k[:, n], color=color, lw=1.2, label=f"μ = {_number(center)}, λ = {scale:g}")
        left.plot(line, weight * k[:, n], "--", color=color, lw=1)
        left.plot(center + np.sqrt(scale) * np.array([-1, 1]), [np.exp(-1)] * 2, "o", color=color, ms=4)
    left.axhline(np.exp(-1), color=MUTED, lw=0.8, ls=":")
    left.plot(line, k @ OF_LINE, color=FIT, lw=2, label="Σ k θ")
    left.set(xlabel="x", ylabel="k, kθ and their sum", title="Three units on a line",
             ylim=(None, 1.3 * float(np.max([*(k @ OF_LINE), *OF_LINE, 1.0]))))  # fmt: skip
    left.legend(ncols=2, fontsize="small", loc="upper left")
    reach = np.ceil(5 * np.max(np.abs(over_plane))) / 5
    image = right.contourf(sides, sides, over_plane, reach * np.arange(-8, 9) / 8, cmap="RdBu_r", alpha=0.7)
    right.contour(sides, sides, over_plane, [0], colors="black")
    for center, scale, weight in zip(*ON_PLANE, OF_PLANE, strict=True):
        right.plot(*center, "k+" if weight > 0 else "k_", ms=9)
        right.add_patch(Circle(center, np.sqrt(scale), fill=False, ls=":", lw=1.2))
    right.set(xlabel="x₁", ylabel="x₂", aspect="equal", title="The sum of four on a plane, and a bias")
    right.grid(False)
    figure.colorbar(image, label="z", shrink=0.9)
    return figure
