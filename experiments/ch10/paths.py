"""Paths against layers: the chain rule multiplies width^depth times along every path, depth · width² by layers (10.1).

two paths               ∂z/∂u = ∂z/∂x ∂x/∂u + ∂z/∂y ∂y/∂u,  drawn for x = uv, y = u + v², z = xy          7.3
L layers of width d     d^L paths, (L − 1) d^L products along them;     (L − 1) d² products by layers
softmax on one example  z¹ = xΘ,  z² = log softmax z¹,  C = z³ = −z²_y
"""

from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, SECOND, TRUTH
from jax_course.networks import chain

TITLE = "Paths against layers"
SECTION = "7.3, 10.1"
WIDTHS, DEPTHS = (2, 4, 8), range(2, 13)
X, Y = np.array([1.0, 2.0]), 0
THETA = np.array([[1.0, 0.0, -1.0], [1.0, 2.0, 1.0]])
U, V = 2.0, 3.0


@in_float64
def run(quick: bool) -> Result:
    """Count the products of both ways for several widths and depths; and walk the course's example by layers."""
    most = 2_000 if quick else 100_000
    counts = {width: _counted(width, most) for width in WIDTHS}
    values, deltas = _example()
    (to_xy, to_z), of_two = _two_paths()
    largest = WIDTHS[-1], DEPTHS[-1]
    return Result(
        {
            "two_paths": Picture(
                _draw_two_paths(to_xy, to_z),
                "z depends on u by two paths, through x and through y. Along a path the derivatives are multiplied, "
                f"and the paths are added: ∂z/∂u = {to_z[0]:g} · {to_xy[0, 0]:g} + {to_z[1]:g} · {to_xy[1, 0]:g} = "
                f"{to_z @ to_xy[:, 0]:g}. In every node its value, at every edge its derivative.",
            ),
            "products": Picture(
                _products(counts),
                "Products on the way to ∂C/∂z⁰, on a logarithmic scale. Along every path (dots: counted in a run; "
                "line: by the formula) each layer more costs a factor of the width. By layers (squares) each layer "
                f"more costs width² products: for {largest[1]} layers of width {largest[0]} there are "
                f"{_along_paths(*largest):.1e} against {_by_layers(*largest)}.",
            ),
            "graph": Picture(
                _graph(values, deltas),
                "Softmax regression on one example as layers. Above each unit its value, computed from left to right; "
                "below it δ = ∂C/∂z, computed from right to left. An edge is as thick as its local derivative is "
                "large, and dotted where that is 0.",
            ),
        },
        {
            f"products along the paths, by width, from {DEPTHS[0]} layers on": {
                str(width): [_along_paths(width, depth) for depth in DEPTHS] for width in WIDTHS
            },
            f"products by layers, by width, from {DEPTHS[0]} layers on": {
                str(width): counted["by layers"] for width, counted in counts.items()
            },
            "paths followed one by one, at most": most,
            "δ of the example, from x to C": [np.asarray(delta).tolist() for delta in deltas],
        },
        (
            *of_two,
            *_equal_autodiff(),
            *_network_equals_autodiff(3, 6),
            Check(
                "naive = backpropagation, the same gradient in every run",
                gap := max(counted["gap"] for counted in counts.values()),
                gap < 1e-12,
            ),
            _counts_are("along the paths: (L − 1) d^L products", counts, "naive", _along_paths),
            _counts_are("by layers: (L − 1) d² products", counts, "by layers", _by_layers),
        ),
        (),
    )


def _two_paths():
    """∂(x, y)/∂(u, v) and ∂z/∂(x, y); and that both ways to multiply them give autodiff's derivative of z."""

    def between(uv):
        return jnp.stack([uv[0] * uv[1], uv[0] + uv[1] ** 2])

    def end(xy):
        return xy[0] * xy[1]

    @jax.jit
    def derivatives(uv):
        return jax.jacobian(between)(uv), jax.grad(end)(between(uv)), jax.grad(lambda uv: end(between(uv)))(uv)

    to_xy, to_z, whole = map(np.asarray, derivatives(np.array([U, V])))
    gaps = apart(chain.naive([to_xy, to_z[None]]).gradient, whole), apart(to_z @ to_xy, whole)
    return (to_xy, to_z), (
        Check("two paths: one by one, added = autodiff", gaps[0], gaps[0] < 1e-14),
        Check("two paths: as a product of Jacobians = autodiff", gaps[1], gaps[1] < 1e-14),
    )


def _along_paths(width, depth):
    return (depth - 1) * chain.paths([width] * depth)


def _by_layers(width, depth):
    return (depth - 1) * width**2


def _counted(width, most):
    """The products of both ways for every depth; of the naive one only while there are few enough paths."""
    rng = np.random.default_rng(width)
    found = {"naive": [], "by layers": [], "gap": 0.0}
    for depth in DEPTHS:
        J = [*rng.normal(size=(depth - 1, width, width)) / np.sqrt(width), rng.normal(size=(1, width))]
        by_layers = chain.backpropagation(J)
        found["by layers"].append(by_layers.products)
        if chain.paths([width] * depth) <= most:
            naive = chain.naive(J)
            found["naive"].append(naive.products)
            found["gap"] = max(found["gap"], apart(naive.gradient, by_layers.gradient))
    return found


def _counts_are(claim, counts, way, formula):
    wrong = max(
        abs(count / formula(width, depth) - 1)
        for width, counted in counts.items()
        for count, depth in zip(counted[way], DEPTHS, strict=False)
    )
    return Check(claim, wrong, wrong == 0)


def _example():
    """The forward values z⁰ … z³, and the δ of each layer: what `backpropagation` gives from that layer on."""
    z1 = X @ THETA
    z2 = z1 - np.log(np.sum(np.exp(z1)))
    J = chain.softmax_jacobians(THETA, X, Y)
    deltas = [np.asarray(chain.backpropagation(J[layer:]).gradient) for layer in range(3)]
    return [X, z1, z2, -z2[Y : Y + 1]], [*deltas, np.ones(1)]


def _equal_autodiff():
    by_autodiff = jax.jit(jax.grad(lambda x: -jax.nn.log_softmax(x @ THETA)[Y]))(X)
    for name, way in (("naive", chain.naive), ("backpropagation", chain.backpropagation)):
        gap = apart(way(chain.softmax_jacobians(THETA, X, Y)).gradient, by_autodiff)
        yield Check(f"softmax example: {name} = autodiff", gap, gap < 1e-12)


def _network_equals_autodiff(width, depth):
    """C = Σ z^(L−1), z^l = tanh(z^(l−1) W^l): the Jacobian of a layer is Wᵀ with its rows times 1 − z²."""
    W = np.random.default_rng(1).normal(size=(depth - 1, width, width))

    def forward(x):
        z = [x]
        for weights in W:
            z.append(jnp.tanh(z[-1] @ weights))
        return z

    derivative = jax.grad(lambda x: jnp.sum(forward(x)[-1]))
    z, by_autodiff = jax.tree.map(np.asarray, jax.jit(lambda x: (forward(x), derivative(x)))(np.ones(width)))
    J = [(1 - z_out**2)[:, None] * weights.T for z_out, weights in zip(z[1:], W, strict=True)]
    for name, way in (("naive", chain.naive), ("backpropagation", chain.backpropagation)):
        gap = apart(way([*J, np.ones((1, width))]).gradient, by_autodiff)
        yield Check(f"tanh, {depth} layers of width {width}: {name} = autodiff", gap, gap < 1e-12)


def _draw_two_paths(to_xy, to_z):
    figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
    x, y = U * V, U + V**2
    nodes = {"u": (0, 1, U), "v": (0, -1, V), "x = uv": (3, 1, x), "y = u + v²": (3, -1, y), "z = xy": (6, 0, x * y)}
    for start, end, slope, name, color in (
        ("v", "x = uv", to_xy[0, 1], "∂x/∂v", MUTED),
        ("v", "y = u + v²", to_xy[1, 1], "∂y/∂v", MUTED),
        ("u", "x = uv", to_xy[0, 0], "∂x/∂u", SECOND),
        ("u", "y = u + v²", to_xy[1, 0], "∂y/∂u", TRUTH),
        ("x = uv", "z = xy", to_z[0], "∂z/∂x", SECOND),
        ("y = u + v²", "z = xy", to_z[1], "∂z/∂y", TRUTH),
    ):
        (x0, y0, _), (x1, y1, _) = nodes[start], nodes[end]
        axes.plot([x0, x1], [y0, y1], color=color, lw=1 if color == MUTED else 3, zorder=1)
        axes.text(x0 + 0.36 * (x1 - x0), y0 + 0.36 * (y1 - y0), f"{name} = {slope:g}", ha="center", va="center",
                  color="black" if color == MUTED else color, size=9,
                  bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"})  # fmt: skip
    for name, (x, y, value) in nodes.items():
        axes.plot(x, y, "o", ms=30, mfc="white", mec="black", zorder=2)
        axes.text(x, y, f"{value:g}", ha="center", va="center", color=DATA, weight="bold", zorder=3)
        axes.text(x, y + 0.38, name, ha="center", va="bottom")
    axes.set(xlim=(-0.6, 6.8), ylim=(-1.5, 1.8), title="Two paths from u to z")
    axes.axis("off")
    return figure


def _products(counts):
    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    for (width, counted), color in zip(counts.items(), CLASSES, strict=False):
        formula = [_along_paths(width, depth) for depth in DEPTHS]
        axes.plot(DEPTHS, formula, color=color, lw=1)
        axes.plot(DEPTHS[: len(counted["naive"])], counted["naive"], "o", color=color, ms=5)
        axes.plot(DEPTHS, counted["by layers"], "s--", color=color, ms=3.5, lw=1)
        axes.annotate(f"width {width}", (DEPTHS[-1], formula[-1]), (8, 0), color=color, **BESIDE)
        axes.annotate(f"width {width}", (DEPTHS[-1], counted["by layers"][-1]), (8, 0), color=color, **BESIDE)
    axes.plot([], [], "o-", color="black", lw=1, label="along every path")
    axes.plot([], [], "s--", color="black", ms=3.5, lw=1, label="by layers")
    axes.set(yscale="log", xlabel="layers", ylabel="products", title="How many numbers are multiplied",
             xlim=(DEPTHS[0] - 0.3, DEPTHS[-1] + 1.4), xticks=DEPTHS)  # fmt: skip
    axes.legend(loc="upper left")
    return figure


BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": "small"}


def _graph(values, deltas):
    figure, axes = plt.subplots(figsize=(9, 4.8), layout="constrained")
    names = (("x", "z⁰"), ("xΘ", "z¹"), ("log softmax z¹", "z²"), (f"−z²{'₁₂₃'[Y]}", "C"))
    J = [np.asarray(of_layer) for of_layer in chain.softmax_jacobians(THETA, X, Y)]
    where = [
        [(2.2 * layer, 1.3 * ((len(z) - 1) / 2 - unit)) for unit in range(len(z))] for layer, z in enumerate(values)
    ]
    for layer, of_layer in enumerate(J):
        for (to, at), slope in np.ndenumerate(of_layer):
            ends = np.transpose([where[layer][at], where[layer + 1][to]])
            style = {"ls": ":", "lw": 0.8} if slope == 0 else {"lw": 0.4 + 2.2 * abs(slope)}
            axes.plot(*ends, color=MUTED, zorder=1, **style)
    for layer, (z, delta) in enumerate(zip(values, deltas, strict=True)):
        for unit, (x, y) in enumerate(where[layer]):
            name = names[layer][1] + ("₁₂₃"[unit] if len(z) > 1 else "")
            axes.text(x, y, name, ha="center", va="center", zorder=3, size=9,
                      bbox={"boxstyle": "circle,pad=0.35", "fc": "white", "ec": "black", "lw": 0.8})  # fmt: skip
            for number, side, color in ((z[unit], 0.36, DATA), (delta[unit], -0.36, FIT)):
                text = f"{number + 0:.3g}".replace("-", "−")
                axes.text(x, y + side, text, ha="center", va="center", color=color, size=9, zorder=3,
                          bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"})  # fmt: skip
        axes.text(2.2 * layer, 2.15, names[layer][0], ha="center", color="black", size=10)
    axes.annotate("", (6.6, -2.2), (0, -2.2), arrowprops={"arrowstyle": "->", "color": DATA})
    axes.text(3.3, -2.1, "forward: values", ha="center", color=DATA, size=9)
    axes.annotate("", (0, -2.65), (6.6, -2.65), arrowprops={"arrowstyle": "->", "color": FIT})
    axes.text(3.3, -2.55, "backward: δ", ha="center", color=FIT, size=9)
    axes.set(xlim=(-0.6, 7.2), ylim=(-2.8, 2.5))
    axes.axis("off")
    return figure
