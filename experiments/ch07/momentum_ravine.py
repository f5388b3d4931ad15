"""In a ravine momentum needs the root of the steps: √κ where gradient descent needs κ, the condition number (7.8).

    Δ ← αΔ − (1 − α) η ∇J,  θ ← θ + Δ          which is the heavy ball v ← αv + ∇J,  θ ← θ − η'v,  η' = (1 − α) η

On J = ½ θᵀHθ with eigenvalues from μ to L, κ = L/μ, the best that each can do per step (Polyak, 1964):

    gradient descent    η = 2/(L + μ)                                       distance × (κ − 1)/(κ + 1)
    momentum            η' = 4/(√L + √μ)²,  α = ((√κ − 1)/(√κ + 1))²        distance × (√κ − 1)/(√κ + 1) = √α
"""

from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from jax import lax

from experiments.lab.result import Check, Picture, Result, in_float64
from experiments.lab.style import DATA, FIT, MUTED
from jax_course.optimization import optimizers

TITLE = "A ravine, with and without momentum"
SECTION = "7.8"
KAPPA, GOAL = 100.0, 1e-6
SMALLEST = 1e-150  # the square of a smaller distance is no longer a float64


def _descent(kappa):
    return optimizers.sgd(2 / (kappa + 1))


def _momentum(kappa):
    rate, alpha = _best_of_heavy_ball(kappa)
    return optimizers.momentum(rate / (1 - alpha), alpha)


def _best_of_heavy_ball(kappa):
    """η' and α for eigenvalues 1 … κ."""
    root = kappa**0.5
    return 4 / (root + 1) ** 2, ((root - 1) / (root + 1)) ** 2


# name: (the method at its best for κ, its theoretical pace, colour)
METHODS = {
    "gradient descent": (_descent, lambda kappa: (kappa - 1) / (kappa + 1), DATA),
    "momentum": (_momentum, lambda kappa: (kappa**0.5 - 1) / (kappa**0.5 + 1), FIT),
}


@in_float64
def run(quick: bool) -> Result:
    """Both at their best in one ravine; momentum as heavy ball; and the steps needed as ravines get narrower."""
    kappas = np.geomspace(10, 1e3 if quick else 1e4, 5 if quick else 7)
    paths = {name: _path(method(KAPPA), 1_501) for name, (method, *_) in METHODS.items()}
    distances = {name: np.linalg.norm(path, axis=1) for name, path in paths.items()}
    paces = {name: _late_pace(distance) for name, distance in distances.items()}
    steps = {
        name: np.asarray(jax.jit(jax.vmap(partial(_steps, method)))(kappas)) for name, (method, *_) in METHODS.items()
    }
    slopes = {name: float(np.polyfit(np.log(kappas), np.log(n), 1)[0]) for name, n in steps.items()}
    numbers = {
        name: {
            "pace measured": paces[name],
            "pace in theory": pace(KAPPA),
            f"steps to {GOAL:g} of the distance by condition number": {
                f"{kappa:.4g}": int(n) for kappa, n in zip(kappas, steps[name], strict=True)
            },
            "slope of log steps against log condition number": slopes[name],
        }
        for name, (_, pace, _) in METHODS.items()
    }
    return Result(
        {
            "ravine": Picture(
                _ravine(paths),
                f"The first {_shown()} steps in a ravine with condition number {KAPPA:g}. Gradient descent bounces "
                "between the walls and hardly moves along. Momentum is thrown across, at first up the walls, while its "
                "steps along the ravine add up: it is there.",
            ),
            "steps": Picture(
                _pace(distances, kappas, steps),
                f"Left: distance to the minimum, and the theoretical paces (dotted). Right: steps until it is {GOAL:g} "
                "of the first: κ against √κ. Momentum needs a little more than its pace alone says: at its best two "
                "modes coincide, and the distance falls as k (√α)ᵏ.",
            ),
        },
        numbers,
        _claims(paths["momentum"], paces, slopes),
        (),
    )


def _start(kappa):
    """J is as far up along the ravine as across."""
    return jnp.stack([kappa**0.5, 1.0])


def _shown():
    """Steps that are drawn: some for each time that momentum needs to bring the distance down to 1/e."""
    return round(6 * KAPPA**0.5)


def _late_pace(distance):
    """The factor of a step, over the second half of the steps whose distance float64 can tell."""
    last = int(np.flatnonzero(distance > SMALLEST)[-1])
    half = last // 2
    return float((distance[last] / distance[half]) ** (1 / (last - half)))


def _step(optimizer, eigenvalues):
    def step(theta, state):
        change, state = optimizer.update(eigenvalues * theta, state)
        return theta + change, state

    return step


def _path(optimizer, length):
    """θ₀, θ₁, … in the ravine with κ = KAPPA."""
    step, start = _step(optimizer, np.array([1.0, KAPPA])), _start(KAPPA)
    walk = jax.jit(lambda carry: lax.scan(lambda carry, _: (step(*carry), carry[0]), carry, length=length)[1])
    return np.asarray(walk((start, optimizer.init(start))))


def _steps(method, kappa):
    """The number of steps until ‖θ‖ is GOAL of what it was, in the ravine with eigenvalues 1 and κ."""
    optimizer, start = method(kappa), _start(kappa)
    step = _step(optimizer, jnp.stack([1.0, kappa]))

    def far(carry):
        return jnp.linalg.norm(carry[0]) > GOAL * jnp.linalg.norm(start)

    def count(carry):
        theta, state, k = carry
        return *step(theta, state), k + 1

    return lax.while_loop(far, count, (start, optimizer.init(start), 0))[-1]


def _claims(path, paces, slopes):
    rate, alpha = _best_of_heavy_ball(KAPPA)
    heavy_ball = _path(optax.sgd(rate, momentum=alpha), len(path))
    apart = float(np.max(np.abs(path - heavy_ball)) / np.max(path[0]))
    checks = [Check("momentum = heavy ball of optax, η' = (1 − α) η", apart, apart < 1e-13)]
    for (name, (_, pace, _)), power, bound in zip(METHODS.items(), (1, 0.5), (1e-12, 2e-3), strict=True):
        off, bent = abs(paces[name] - pace(KAPPA)), abs(slopes[name] - power)
        checks.append(Check(f"{name}: pace as in theory", off, off < bound))
        checks.append(Check(f"{name}: steps ∝ κ^{power}, power off by", bent, bent < 0.02))
    return tuple(checks)


def _ravine(paths):
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
    end = KAPPA**0.5
    along, across = np.linspace(-0.25 * end, 1.1 * end, 160), np.linspace(-0.42 * end, 0.42 * end, 160)
    J = (along[None, :] ** 2 + KAPPA * across[:, None] ** 2) / 2
    for axis, (name, (*_, color)) in zip(axes, METHODS.items(), strict=True):
        axis.contour(along, across, J, levels=KAPPA * np.geomspace(0.005, 10, 12), colors=MUTED, linewidths=0.6)
        axis.plot(*paths[name][: _shown() + 1].T, "o-", color=color, ms=2.5, lw=1)
        axis.plot(0, 0, "+", color="black", ms=10)
        axis.set(aspect="equal", xlabel="θ₁", title=f"{name}, {_shown()} steps")
    axes[0].set_ylabel("θ₂")
    figure.tight_layout()
    return figure


def _pace(distances, kappas, steps):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4))
    for name, (_, pace, color) in METHODS.items():
        k = np.arange(800)
        left.plot(k, distances[name][k] / distances[name][0], color=color, label=name)
        left.plot(k, pace(KAPPA) ** k, color=color, ls=":", lw=1.5)
        right.plot(kappas, steps[name], "o", color=color, label=name)
        right.plot(kappas, np.log(GOAL) / np.log(pace(kappas)), color=color, ls=":", lw=1.5)
    left.axhline(GOAL, color=MUTED, lw=0.8)
    left.set(yscale="log", xlabel="steps", ylabel="distance to the minimum / at the start", ylim=(1e-4 * GOAL, 10),
             title=f"κ = {KAPPA:g}")  # fmt: skip
    right.set(xscale="log", yscale="log", xlabel="condition number κ", ylabel=f"steps to {GOAL:g} of the distance",
              title="Steps against condition number")  # fmt: skip
    for axis in (left, right):
        axis.legend()
    return figure
