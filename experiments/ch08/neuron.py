"""A neuron: a weighted sum, a sigmoid, the plane it separates, and what an example costs (course 8.1 to 8.4).

z = Σ x_j θ_j,  π = σ(z)                               8.1
σ(z) = 1/(1 + e⁻ᶻ),  σ′ = σ(1 − σ)                     8.2
{xθ = 0} is where π = ½, at right angles to θ          8.3
C = −[y log π + (1 − y) log(1 − π)],  ∂C/∂z = π − y    8.4
∂C/∂π = (π − y)/(π(1 − π))                             8.4
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import DATA, FIT, MUTED, TRUTH
from jax_course import logistic
from jax_course.networks import costs as last_layers

TITLE = "A neuron, its sigmoid and its cost"
SECTION = "8.1-8.4"
X, THETA = np.array([1.0, 0.5, -1.5]), np.array([-0.4, 1.2, -0.8])
Z = np.linspace(-8, 8, 161)
ACROSS, OF_PLANE = np.linspace(-3, 3, 61), np.array([-1.0, 1.5, 1.0])  # a bias and two weights
ROUNDED = 40.0  # where σ(z), in float64, is exactly 1


@in_float64
def run(quick: bool) -> Result:
    """σ, σ′ and the cost of one example along z and along π, against their definitions and autodiff."""
    sigma, slope = (np.asarray(jax.jit(of)(Z)) for of in (logistic.sigmoid, logistic.sigmoid_derivative))
    costs, slopes = _of_one_example()
    pi = float(jax.jit(logistic.predict)(THETA, X[None])[0])
    over_plane, of_plane = _over_the_plane()
    by_pi, of_pi = _by_pi(sigma, slopes)
    return Result(
        {
            "neuron": Picture(
                _neuron(pi),
                "A neuron after McCulloch and Pitts: each input times its weight, their sum z, and the sigmoid of it, "
                "which is read as the probability π of class 1.",
            ),
            "sigmoid": Picture(
                _sigmoid(sigma, slope),
                "The sigmoid and its derivative σ(1 − σ), which is at most ¼, at z = 0, and fades to both sides: there "
                "a neuron learns nothing more.",
            ),
            "plane": Picture(
                _plane(over_plane),
                "A neuron of two inputs and a bias: its π over the plane. It is ½ on the line θ₀ + x₁θ₁ + x₂θ₂ = 0, "
                "which is at right angles to (θ₁, θ₂), and rises from class 0 to class 1 along that arrow. All level "
                "lines of π are parallel.",
            ),
            "cost": Picture(
                _cost(costs, slopes),
                "What one example costs, against z. Where the neuron is wrong, the cost grows like |z|, with the slope "
                "π − y near ±1 (right); it is computed from z, not from π, and so stays finite however wrong it is.",
            ),
            "by_pi": Picture(
                _draw_by_pi(sigma, by_pi, slopes),
                "The same cost's derivative by π (left) and by z (right), both against π. By π it has no bound where "
                "the neuron is wrong, and is ±1 where it is right. The derivative σ′ = π(1 − π) cancels that "
                "denominator: by z two straight lines are left, from 0 where the neuron is right to ±1 where it is "
                "wrong.",
            ),
        },
        {
            "z of the neuron": float(X @ THETA),
            "π of the neuron": pi,
            "largest σ′": float(slope.max()),
            "largest |∂C/∂π| shown and largest |∂C/∂z|": [float(np.abs(of).max()) for of in (by_pi, slopes)],
        },
        (*_checks(sigma, slope, costs, slopes, pi), *of_plane, *of_pi),
        (),
    )


def _of_one_example():
    """C and ∂C/∂z by hand for y = 0 and y = 1, along z: with the input 1 the parameter is z."""
    one = np.ones((1, 1))

    def at(z, y):
        return logistic.cost(z[None], one, y[None]), logistic.gradient(z[None], one, y[None])[0]

    both = jax.jit(jax.vmap(jax.vmap(at, (0, None)), (None, 0)))(Z, np.array([0.0, 1.0]))
    return tuple(np.asarray(values) for values in both)


def _over_the_plane():
    """π on a grid, and that it is ½ on the line, and the same along it."""
    x1, x2 = np.meshgrid(ACROSS, ACROSS)
    on_the_line = -(OF_PLANE[0] + OF_PLANE[1] * ACROSS) / OF_PLANE[2]
    beside = np.stack([ACROSS, on_the_line + 1], axis=-1)  # one higher in x₂: z is θ₂ there
    places = np.concatenate([np.stack([x1.ravel(), x2.ravel()], axis=-1), np.stack([ACROSS, on_the_line], -1), beside])
    pi = np.asarray(jax.jit(logistic.predict)(OF_PLANE, np.insert(places, 0, 1.0, axis=1)))
    half, parallel = apart(pi[x1.size : -len(ACROSS)], 0.5), apart(pi[-len(ACROSS) :], 1 / (1 + np.exp(-OF_PLANE[2])))
    return pi[: x1.size].reshape(x1.shape), (
        Check("the plane: π = ½ where xθ = 0", half, half < 1e-14),
        Check("the plane: one π on a line parallel to it", parallel, parallel < 1e-14),
    )


def _by_pi(sigma, slopes):
    """∂C/∂π for y = 0 and y = 1; by autodiff, and times σ′ the derivative by z."""
    y = np.array([[0.0], [1.0]])
    by_hand = (sigma - y) / (sigma * (1 - sigma))

    @jax.jit
    def witnesses(pi, z):
        on_curve = jax.vmap(jax.vmap(jax.grad(_of_pi), (0, None)), (None, 0))
        return on_curve(pi, y[:, 0]), last_layers.binary_cross_entropy().delta(z, jnp.zeros(1))

    by_autodiff, far = witnesses(sigma, np.array([[ROUNDED]]))
    gaps = float(np.max(np.abs(by_autodiff / by_hand - 1))), apart(by_hand * sigma * (1 - sigma), slopes)
    finite = apart(far, 1.0)
    return by_hand, (
        Check("∂C/∂π = (π − y)/(π(1 − π)), by autodiff", gaps[0], gaps[0] < 1e-11),
        Check("∂C/∂π σ′ = ∂C/∂z", gaps[1], gaps[1] < 1e-11),
        Check(f"∂C/∂z = 1 at z = {ROUNDED:g}, y = 0, where 1 − π is rounded to 0", finite, finite < 1e-14),
    )


def _of_pi(pi, y):
    return -(y * jnp.log(pi) + (1 - y) * jnp.log(1 - pi))


def _checks(sigma, slope, costs, slopes, pi):
    definition = 1 / (1 + np.exp(-Z))
    by_autodiff = jax.jit(jax.vmap(jax.grad(logistic.sigmoid)))(Z)
    far = jax.jit(logistic.cost)(np.ones(1), np.array([[-1e4]]), np.array([1.0]))
    claims = {
        "σ = 1/(1 + e⁻ᶻ)": apart(sigma, definition),
        "σ′ = σ(1 − σ), by autodiff": apart(slope, by_autodiff),
        "the neuron: σ(Σ x θ)": apart(pi, 1 / (1 + np.exp(-sum(x * t for x, t in zip(X, THETA, strict=True))))),
        "C = −log π where y = 1": apart(costs[1], -np.log(definition)),
        "C = −log(1 − π) where y = 0": apart(costs[0], -np.log(1 - definition)),
        "∂C/∂z = π − y": apart(slopes[1], definition - 1),
        "the cost of z = −10⁴ where y = 1 is 10⁴": apart(far, 1e4),
    }
    return tuple(Check(claim, error, error < 1e-11) for claim, error in claims.items())


def _neuron(pi):
    figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
    axes.axis("off")
    for j, (x, theta) in enumerate(zip(X, THETA, strict=True)):
        height = 1.2 * (1 - j)
        axes.annotate(
            "", (3.6, 0), (0.55, height), arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6 + 2 * abs(theta)}
        )
        axes.text(0, height, f"x{'₀₁₂'[j]} = {x:g}", ha="center", va="center", color=DATA)
        axes.text(1.9, height * 0.57 + 0.16, f"θ{'₀₁₂'[j]} = {theta:g}", ha="center", va="bottom", color=FIT)
    for place, text in ((4, f"Σ\nz = {X @ THETA:g}"), (6.2, f"σ(z)\nπ = {pi:.3f}")):
        axes.text(
            place, 0, text, ha="center", va="center", bbox={"boxstyle": "circle,pad=0.5", "fc": "white", "ec": "black"}
        )
    axes.annotate("", (5.55, 0), (4.65, 0), arrowprops={"arrowstyle": "->"})
    axes.annotate("", (7.75, 0), (6.85, 0), arrowprops={"arrowstyle": "->"})
    axes.text(7.85, 0, "P(y = 1)", va="center")
    axes.set(xlim=(-0.8, 9), ylim=(-1.8, 1.8), title="A neuron")
    return figure


def _sigmoid(sigma, slope):
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    axes.plot(Z, sigma, color=FIT, label="σ(z)")
    axes.plot(Z, slope, color=TRUTH, label="σ′(z) = σ(1 − σ)")
    axes.axhline(0.25, color=MUTED, lw=0.8, ls="--")
    axes.set(xlabel="z", ylabel="value", title="The sigmoid and its derivative")
    axes.legend(loc="upper left")
    return figure


def _plane(pi):
    figure, axes = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
    image = axes.contourf(ACROSS, ACROSS, pi, levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.6)
    axes.plot(ACROSS, -(OF_PLANE[0] + OF_PLANE[1] * ACROSS) / OF_PLANE[2], color="black", label="xθ = 0, π = ½")
    foot = -OF_PLANE[0] * OF_PLANE[1:] / (OF_PLANE[1:] @ OF_PLANE[1:])
    axes.annotate("", foot + 0.8 * OF_PLANE[1:], foot, arrowprops={"arrowstyle": "->", "lw": 1.5})
    axes.annotate("(θ₁, θ₂)", foot + 0.8 * OF_PLANE[1:], (4, 4), textcoords="offset points")
    ends = ACROSS[0], ACROSS[-1]
    axes.set(xlabel="x₁", ylabel="x₂", xlim=ends, ylim=ends, aspect="equal", title="The plane in two halves")
    axes.legend(loc="lower left")
    axes.grid(False)
    figure.colorbar(image, label="π")
    return figure


def _draw_by_pi(pi, by_pi, by_z):
    figure, both = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for y, color in ((0, DATA), (1, FIT)):
        for axes, values in zip(both, (by_pi, by_z), strict=True):
            axes.plot(pi, values[y], color=color, label=f"y = {y}")
    both[0].set(xlabel="π", ylabel="∂C/∂π = (π − y)/(π(1 − π))", ylim=(-30, 30), title="By π, cut at ±30")
    both[1].set(xlabel="π", ylabel="∂C/∂z = π − y", title="By z")
    for axes in both:
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.legend(loc="upper left")
    return figure


def _cost(costs, slopes):
    figure, both = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for y, color in ((0, DATA), (1, FIT)):
        for axes, values in zip(both, (costs, slopes), strict=True):
            axes.plot(Z, values[y], color=color, label=f"y = {y}")
    both[0].set(xlabel="z", ylabel="C of one example, in nats", title="Cost")
    both[1].set(xlabel="z", ylabel="∂C/∂z = π − y", title="Its slope")
    for axes, free in zip(both, ("upper center", "center right"), strict=True):
        axes.legend(loc=free)
    return figure
