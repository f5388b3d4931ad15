"""A neuron: a weighted sum, a sigmoid, and what an example costs (course 8.1, 8.2, 8.4).

z = Σ x_j θ_j,  π = σ(z)                           8.1
σ(z) = 1/(1 + e⁻ᶻ),  σ′ = σ(1 − σ)                 8.2
C = −[y log π + (1 − y) log(1 − π)],  ∂C/∂z = π − y  8.4
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab import DATA, FIT, MUTED, TRUTH, Picture, Proof, Result, apart
from jax_course import logistic

TITLE = "A neuron, its sigmoid and its cost"
SECTION = "8.1, 8.2, 8.4"
X, THETA = np.array([1.0, 0.5, -1.5]), np.array([-0.4, 1.2, -0.8])
Z = np.linspace(-8, 8, 161)


def run(quick: bool) -> Result:
    """σ, σ′ and the cost of one example along z, against their definitions and autodiff."""
    sigma, slope = (np.asarray(of(Z)) for of in (logistic.sigmoid, logistic.sigmoid_derivative))
    costs, slopes = _of_one_example()
    pi = float(logistic.predict(THETA, X[None])[0])
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
            "cost": Picture(
                _cost(costs, slopes),
                "What one example costs, against z. Where the neuron is wrong, the cost grows like |z|, with the slope "
                "π − y near ±1 (right); it is computed from z, not from π, and so stays finite however wrong it is.",
            ),
        },
        {"z of the neuron": float(X @ THETA), "π of the neuron": pi, "largest σ′": float(slope.max())},
        _proofs(sigma, slope, costs, slopes, pi),
        (),
    )


def _of_one_example():
    """C and ∂C/∂z by hand for y = 0 and y = 1, along z: with the input 1 the parameter is z."""
    one = jnp.ones((1, 1))

    def at(z, y):
        return logistic.cost(z[None], one, y[None]), logistic.gradient(z[None], one, y[None])[0]

    both = [jax.vmap(at, (0, None))(jnp.asarray(Z), jnp.array(y)) for y in (0.0, 1.0)]
    return tuple(np.asarray(values) for values in zip(*both, strict=True))


def _proofs(sigma, slope, costs, slopes, pi):
    definition = 1 / (1 + np.exp(-Z))
    by_autodiff = jax.vmap(jax.grad(logistic.sigmoid))(jnp.asarray(Z))
    far = np.asarray(logistic.cost(jnp.ones(1), jnp.array([[-1e4]]), jnp.array([1.0])))
    claims = {
        "σ = 1/(1 + e⁻ᶻ)": apart(sigma, definition),
        "σ′ = σ(1 − σ), by autodiff": apart(slope, by_autodiff),
        "the neuron: σ(Σ x θ)": apart(pi, 1 / (1 + np.exp(-sum(x * t for x, t in zip(X, THETA, strict=True))))),
        "C = −log π where y = 1": apart(costs[1], -np.log(definition)),
        "C = −log(1 − π) where y = 0": apart(costs[0], -np.log(1 - definition)),
        "∂C/∂z = π − y": apart(slopes[1], definition - 1),
        "the cost of z = −10⁴ where y = 1 is 10⁴": apart(far, 1e4),
    }
    return tuple(Proof(claim, error, error < 1e-11) for claim, error in claims.items())


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
