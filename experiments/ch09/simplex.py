"""Three classes on a triangle: softmax, its cost, and why two classes are logistic regression (course 9.1 to 9.3).

π_c = e^{z_c} / Σ e^{z_c'},  π ≥ 0,  Σ π = 1       a plane of z onto the inside of a triangle    9.1
π_a/π_b = e^{z_a − z_b}                            of one value on a line through the corner c
C = −log π_c,  ∂C/∂z = π − 1_c                     parallel lines of one cost in the triangle    9.2
π₂ = σ(xθ), θ = θ₂ − θ₁                            with two classes                              9.3

Adding a number to all z changes no π, so the plane Σ z = 0 has them all. Its point Σ z_c e_c and the triangle's point
Σ π_c e_c are drawn with the same e_c, three arrows at 120° to each other.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Polygon

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, mixed
from jax_course import logistic, softmax

TITLE = "Three classes on a triangle"
SECTION = "9.1-9.3"
ANGLES = np.pi / 2 + 2 * np.pi / 3 * np.arange(3)
CORNERS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # e_c, class 1 on top
REACH, LINES = 4.5, np.arange(-3.0, 4.0)  # of the plane shown; the differences z_a − z_b that get a line
PAIRS = ((1, 2), (2, 0), (0, 1))  # a, b: their lines go through the corner of the third
OF_TWO = np.array([[0.6, -0.9], [-0.4, 0.7]])  # θ₁ and θ₂, columns: a bias and a weight


@in_float64
def run(quick: bool) -> Result:
    """Everything from one call of `softmax.predict` with θ = I, for which the examples are the z."""
    sides = np.linspace(-REACH, REACH, 121 if quick else 401)
    plane = np.stack(np.meshgrid(sides, sides), axis=-1)
    lines = _lines()
    z = _logits(np.concatenate([plane.reshape(-1, 2), lines.reshape(-1, 2)]))
    pi = np.asarray(jax.jit(softmax.predict)(np.eye(3), z))
    over_plane, on_lines = pi[: plane[..., 0].size].reshape(*plane.shape[:2], 3), pi[plane[..., 0].size :]
    of_two, of_line, gap = _two_classes()
    return Result(
        {
            "map": Picture(
                _map(over_plane, lines, on_lines.reshape(*lines.shape[:-1], 3)),
                "Softmax takes the whole plane of scores (left) to the inside of a triangle (right), where π ≥ 0 and "
                "Σ π = 1; the corners are certainty. The colour mixes those of the classes by π. On a line of one "
                "difference z_a − z_b the ratio π_a/π_b is one number, and the line becomes one through the third "
                "corner. Thick lines: the two classes are equally probable. Steps of 1 far out hardly move π.",
            ),
            "cost": Picture(
                _cost(over_plane, sides),
                "What an example of class 1 costs, −log π₁. Left: over the triangle; it depends on π₁ alone, is 0 in "
                "the corner of class 1 and has no bound towards the other side. Right: over the plane of scores, where "
                "it is convex. The arrows are −∂C/∂z = 1_c − π, downhill, longest where the model is surely wrong.",
            ),
            "two_classes": Picture(
                _draw_two(*of_line),
                "Two classes with a score each. Left: the scores, and their difference, the z of logistic regression. "
                "Right: π₂ of softmax regression (wide) and σ(xθ) with θ = θ₂ − θ₁ (dashed) on one curve; they "
                f"differ by {gap:.0e} at most.",
            ),
        },
        {
            "largest difference of the two classes' π₂ and σ": gap,
            "largest |Σ π − 1|": float(np.max(np.abs(pi.sum(axis=1) - 1))),
            "θ₂ − θ₁": (OF_TWO[:, 1] - OF_TWO[:, 0]).tolist(),
        },
        (*_of_map(z, pi), *_of_cost(z[:: len(z) // 50]), *of_two),
        (),
    )


def _logits(points):
    """The z, Σ z = 0, of points Σ z_c e_c of the plane: e_a · e_b is −½ for a ≠ b."""
    return points @ CORNERS.T * (2 / 3)


def _lines():
    """Points (pair, value, along, 2) where z_a − z_b is one of LINES."""
    along = 2 * REACH * np.linspace(-1, 1, 61)[:, None]
    return np.array([[0.5 * value * (CORNERS[a] - CORNERS[b]) + along * CORNERS[c] for value in LINES]
                     for c, (a, b) in enumerate(PAIRS)])  # fmt: skip


def _of_map(z, pi):
    whole, definition = apart(pi.sum(axis=1), 1.0), apart(pi, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
    shifted = apart(jax.jit(softmax.predict)(np.eye(3), z + 7), pi)
    ratio = max(float(np.max(np.abs(pi[:, a] / pi[:, b] / np.exp(z[:, a] - z[:, b]) - 1))) for a, b in PAIRS)
    return (
        Check("Σ π = 1", whole, whole < 1e-14),
        Check("π = eᶻ/Σ eᶻ", definition, definition < 1e-14),
        Check("7 more for every z changes no π", shifted, shifted < 1e-14),
        Check("π_a/π_b = e^{z_a − z_b}: lines through the corners", ratio, ratio < 1e-12),
    )


def _of_cost(z):
    """With one example, its only feature 1, the parameters are z."""

    @jax.jit
    @jax.vmap
    def at_all(z):
        theta, one, first = z[None], jnp.ones((1, 1)), jnp.zeros(1, int)
        return (
            softmax.cost(theta, one, first),
            softmax.gradient(theta, one, first)[0],
            jax.grad(softmax.cost)(theta, one, first)[0],
            softmax.hessian(theta, one, first)[0, :, 0],
        )

    C, g, by_autodiff, H = map(np.asarray, at_all(z))
    pi = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    gaps = apart(C, -np.log(pi[:, 0])), apart(g, pi - [1, 0, 0]), apart(g, by_autodiff)
    return (
        Check("C = −log π_c", gaps[0], gaps[0] < 1e-13),
        Check("∂C/∂z = π − 1_c", gaps[1], gaps[1] < 1e-13),
        Check("the same by autodiff", gaps[2], gaps[2] < 1e-13),
        Check(
            "C is convex: its least curvature, below 0",
            below := max(0.0, -float(np.linalg.eigvalsh(H).min())),
            below < 1e-14,
        ),
    )


def _two_classes():
    """π₂, σ and the scores along x; and that costs and gradients on labelled examples are the same."""
    x = np.linspace(-4, 4, 161)
    X, difference = np.stack([np.ones_like(x), x], axis=1), OF_TWO[:, 1] - OF_TWO[:, 0]
    y = (np.random.Generator(np.random.PCG64(2)).uniform(size=len(x)) < 0.5).astype(int)

    @jax.jit
    def both(theta, X, y, real_y):
        of_softmax = (of(theta, X, y) for of in (softmax.cost, softmax.gradient))
        of_logistic = (of(theta[:, 1] - theta[:, 0], X, real_y) for of in (logistic.cost, logistic.gradient))
        pi, sigma = softmax.predict(theta, X)[:, 1], logistic.predict(theta[:, 1] - theta[:, 0], X)
        return pi, sigma, *of_softmax, *of_logistic

    pi, sigma, C, g, C_two, g_two = map(np.asarray, both(OF_TWO, X, y, y * 1.0))
    gap = float(np.max(np.abs(pi - sigma)))
    gaps = apart(C, C_two), apart(g[:, 1], g_two), apart(g[:, 0], -g_two)
    return (
        (
            Check("two classes: π₂ = σ(x(θ₂ − θ₁))", gap, gap < 1e-15),
            Check("two classes: the costs", gaps[0], gaps[0] < 1e-13),
            Check("two classes: ∂C/∂θ₂ = −∂C/∂θ₁ = that of logistic regression", max(gaps[1:]), max(gaps[1:]) < 1e-13),
        ),
        (x, X @ OF_TWO, X @ difference, pi, sigma),
        gap,
    )


def _triangle(axes, image_of, size=161):
    """An image over the triangle, of a function of π; the corners named."""
    (low, bottom), (high, top) = CORNERS.min(axis=0), CORNERS.max(axis=0)
    points = np.stack(np.meshgrid(np.linspace(low, high, size), np.linspace(bottom, top, size)), axis=-1)
    pi = np.clip((1 + 2 * points @ CORNERS.T) / 3, 0, 1)  # Σ π_c e_c and Σ π_c = 1, solved for π
    edge = Polygon(CORNERS, fill=False, ec="black", lw=1.2, zorder=3)
    axes.add_patch(edge)
    drawn = image_of(points, pi)
    drawn.set_clip_path(edge)
    for c, (corner, place) in enumerate(zip(CORNERS, ("bottom", "top", "top"), strict=True)):
        axes.text(*(1.04 * corner), f"π{'₁₂₃'[c]} = 1", color=CLASSES[c], ha="center", va=place, weight="bold")
    axes.set(aspect="equal", xlim=(-1.1, 1.1), ylim=(-0.72, 1.18))
    axes.axis("off")


def _plane(axes):
    for c, corner in enumerate(CORNERS):
        axes.annotate("", 0.76 * REACH * corner, (0, 0), arrowprops={"arrowstyle": "->", "lw": 1.2})
        axes.text(*(0.83 * REACH * corner), f"z{'₁₂₃'[c]}", ha="center", va="center", weight="bold")
    axes.set(aspect="equal", xlim=(-REACH, REACH), ylim=(-REACH, REACH))
    axes.axis("off")


def _map(pi, lines, on_lines):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
    extent = (-REACH, REACH, -REACH, REACH)
    left.imshow(mixed(pi), origin="lower", extent=extent, interpolation="bilinear")
    reach = CORNERS[:, 0].min(), CORNERS[:, 0].max(), CORNERS[:, 1].min(), CORNERS[:, 1].max()
    _triangle(right, lambda _, pi: right.imshow(mixed(pi), origin="lower", extent=reach, interpolation="bilinear"))
    for of_pair, images in zip(lines, on_lines @ CORNERS, strict=True):
        for value, line, image in zip(LINES, of_pair, images, strict=True):
            for axes, points in ((left, line), (right, image)):
                axes.plot(*points.T, color="white", lw=2 if value == 0 else 0.8)
    _plane(left)
    left.set_title("the plane of the scores, Σ z = 0")
    right.set_title("the probabilities, Σ π = 1")
    return figure


def _cost(pi, sides):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    levels = np.arange(0, 6.5, 0.5)
    style = {"levels": levels, "cmap": "viridis_r", "extend": "max"}
    _triangle(
        left, lambda at, pi: left.contourf(at[..., 0], at[..., 1], -np.log(np.maximum(pi[..., 0], 1e-6)), **style)
    )
    drawn = right.contourf(sides, sides, -np.log(pi[..., 0]), **style)
    chosen = np.s_[6:-5:12, 6:-5:12] if len(sides) == 121 else np.s_[20:-19:40, 20:-19:40]
    across, up = (of[chosen] for of in np.meshgrid(sides, sides))
    downhill = (np.array([1.0, 0, 0]) - pi[chosen]) @ CORNERS
    right.quiver(across, up, downhill[..., 0], downhill[..., 1], color="black", scale=32, width=0.004)
    for c, corner in enumerate(CORNERS):
        right.text(*(0.87 * REACH * corner), f"z{'₁₂₃'[c]}", ha="center", va="center", weight="bold", size="large",
                   bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8})  # fmt: skip
    right.set(aspect="equal")
    right.axis("off")
    left.set_title("C over the probabilities")
    right.set_title("C over the plane of the scores, and −∂C/∂z")
    figure.colorbar(drawn, ax=[left, right], label="C = −log π₁, in nats", shrink=0.85)
    return figure


def _draw_two(x, scores, z, pi, sigma):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for c in range(2):
        left.plot(x, scores[:, c], color=CLASSES[c], label=f"z{'₁₂'[c]} = xθ{'₁₂'[c]}")
    left.plot(x, z, "--", color="black", label="z₂ − z₁ = xθ")
    left.axhline(0, color=MUTED, lw=0.8)
    right.plot(x, 1 - pi, color=DATA, lw=1.5, label="softmax, π₁")
    right.plot(x, pi, color=FIT, lw=6, alpha=0.5, label="softmax, π₂")
    right.plot(x, sigma, "--", color="black", label="σ(xθ)")
    for axes in (left, right):
        axes.axvline(-z[0] * (x[1] - x[0]) / (z[1] - z[0]) + x[0], color=MUTED, lw=0.8, ls=":")
        axes.legend()
    left.set(xlabel="x", ylabel="score", title="Two scores, one difference")
    right.set(xlabel="x", ylabel="probability", title="The same probability twice")
    return figure
