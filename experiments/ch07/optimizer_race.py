"""Six optimizers from one start over the same batches, and what Adam is made of (7.8, slip E 13).

The course has "momentum + Adagrad = Adam". With g_j the gradients so far, j = 1 … k, Adam's step is −η û / (√ŝ + ε),

    û = Σ_j β₁ᵏ⁻ʲ g_j (1 − β₁) / (1 − β₁ᵏ)       momentum, corrected for its start at 0
    ŝ = Σ_j β₂ᵏ⁻ʲ g_j² (1 − β₂) / (1 − β₂ᵏ)      RMSprop, corrected alike: a running mean, where Adagrad has Σ_j g_j²

The mean forgets. The sum does not: steps divided by its root get ever shorter, as 1/√k where all g are alike.

Rosenbrock's valley (1 − θ₁)² + 100 (θ₂ − θ₁²)², Beale's function, and a logistic cost on mini-batches: as optimizers
work entry by entry, all three, at all learning rates of a grid, are entries of one θ, with a row for each optimizer: it
is trained once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from jax import lax

from experiments.interactive import race
from experiments.lab.result import Check, Picture, Result, fitted, in_float64
from experiments.lab.style import CLASSES, FIT, MUTED, SECOND
from jax_course import logistic
from jax_course.optimization import bfgs, optimizers
from jax_course.optimization.test_functions import beale, rosenbrock
from jax_course.train import train

TITLE = "An optimizer race"
SECTION = "7.8"
M, BATCH, FAR = 400, 20, 1e6
STARTS = {"Rosenbrock": np.array([-1.2, 1.0]), "Beale": np.array([-1.0, -1.5]), "logistic": np.array([-1.5, 1.0])}
WINDOWS = {
    "Rosenbrock": ((-1.8, 1.8), (-0.8, 2.8)),
    "Beale": ((-1.5, 4), (-2.5, 3)),
    "logistic": ((-2, 4), (-2.5, 3.5)),
}
map_leaves = jax.tree_util.tree_map

# name: (the optimizer of η, optax's counterpart)
OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "SGD": (optimizers.sgd, optax.sgd),
    "momentum": (optimizers.momentum, lambda eta: optax.sgd(0.1 * eta, momentum=0.9)),
    "Nesterov": (optimizers.nesterov, lambda eta: optax.sgd(0.1 * eta, momentum=0.9, nesterov=True)),
    "Adagrad": (optimizers.adagrad, optax.adagrad),
    "RMSprop": (optimizers.rmsprop, optax.rmsprop),
    "Adam": (optimizers.adam, optax.adam),
}


class Run(NamedTuple):
    """One optimizer on one landscape at one η: the gradients it saw, θ and the cost above the minimum after each."""

    eta: float
    gradients: np.ndarray
    path: np.ndarray
    excess: np.ndarray


@in_float64
def run(quick: bool) -> Result:
    """Every optimizer at every learning rate; then each at its best one, by landscape."""
    epochs, etas = (20, np.geomspace(1e-4, 10, 11)) if quick else (100, np.geomspace(1e-4, 10, 21))
    X, y = _examples()
    costs = {"Rosenbrock": rosenbrock, "Beale": beale, "logistic": lambda theta: logistic.cost(theta, X, y) / M}
    minima = _minima(costs)
    surfaces = {on: jax.jit(jax.vmap(jax.vmap(cost))) for on, cost in costs.items()}
    gradients, paths = _all_rates(etas, epochs, X, y)
    excess = {on: _above(surfaces[on], paths[on], minima[on]) for on in costs}
    best = {
        name: {on: _best(etas, gradients[on][:, i], paths[on][:, i], excess[on][:, i]) for on in costs}
        for i, name in enumerate(OPTIMIZERS)
    }
    return Result(
        {
            "paths": Picture(
                _paths(best, surfaces, minima),
                "The paths on the level curves, every optimizer at its best η: of a grid, the one with the least log "
                "of the cost above the minimum, on average over the race. Momentum overshoots; Nesterov's, which looks "
                "ahead, does so less. Adagrad begins with a step of length η along each axis.",
            ),
            "costs": Picture(
                _costs(best, minima),
                "Cost above the minimum against steps, at these η. With exact gradients RMSprop stops short, as its "
                "steps do not get shorter, and Adam may be thrown out again: at the minimum it forgets how large the "
                "gradients were. Over mini-batches all end in noise. Dashed: where BFGS, which looks at all "
                "examples for each of its gradients, has seen as many and is there.",
            ),
            "adam": Picture(
                _forgetting(),
                "The step in units of η where the gradient is 1, and 0.1 from step 500 on; β₂ = 0.99. Adam comes back "
                "to steps of η: it forgets the large gradients. Without the correction its first steps are too long. "
                "Momentum + Adagrad, as printed, forgets nothing.",
            ),
        },
        {
            "steps": epochs * -(-M // BATCH),
            "gradients of BFGS": {on: int(of.evaluations.gradient) for on, of in minima.items()},
            "best learning rate": {name: {on: of.eta for on, of in by.items()} for name, by in best.items()},
            "last cost above the minimum": {
                name: {on: max(0.0, float(of.excess[-1])) for on, of in by.items()} for name, by in best.items()
            },
        },
        (
            _is_derivative(best["Adam"]["logistic"].path, X, y),
            *(_is_optax(name, best[name]) for name in OPTIMIZERS),
            *_is_no_sum(best["Adam"]["Rosenbrock"]),
        ),
        tuple(fitted("BFGS", on, f"{of.evaluations.gradient} gradients", of) for on, of in minima.items()),
        {"slider": _slider(best, minima)},
    )


def _examples():
    """Two features, the second in units a quarter as large, so that the cost is a ravine."""
    rng = np.random.Generator(np.random.PCG64(9))
    X = rng.standard_normal((M, 2)) * np.array([1.0, 4.0])
    return X, (rng.random(M) < 1 / (1 + np.exp(-X @ np.array([2.0, 0.5])))) * 1.0


def _minima(costs):
    """By BFGS: one program, which is told the number of the landscape."""

    @jax.jit
    def minimum(number, start):
        return bfgs(lambda theta: lax.switch(number, [*costs.values()], theta), start)

    return {on: minimum(number, STARTS[on]).check() for number, on in enumerate(costs)}


def _all_rates(etas, epochs, X, y):
    """By landscape: the gradients at every step, (steps, optimizers, ηs, 2), and where they led, of the same shape."""

    def gradient(theta, X, y):
        of = {
            "Rosenbrock": lambda theta: len(y) * jax.grad(rosenbrock)(theta),  # the same for each example
            "Beale": lambda theta: len(y) * jax.grad(beale)(theta),
            "logistic": lambda theta: logistic.gradient(theta, X, y),
        }
        return {on: jax.vmap(jax.vmap(of[on]))(theta[on]) for on in theta}

    theta = {on: np.tile(start, (len(OPTIMIZERS), len(etas), 1)) for on, start in STARTS.items()}
    recording = _recording(_row_by_row([of(etas[:, None]) for of, _ in OPTIMIZERS.values()]), epochs * -(-M // BATCH))
    training = train(gradient, recording, theta, X, y, key=jax.random.key(0), epochs=epochs, batch_size=BATCH).check()
    return map_leaves(np.asarray, training.state[1:3])


def _row_by_row(every):
    """One optimizer of many: the first is that of the first row of each leaf, and so on."""

    def rows(tree):
        return [map_leaves(lambda leaf, i=i: leaf[i], tree) for i in range(len(every))]

    def init(params):
        return [optimizer.init(row) for optimizer, row in zip(every, rows(params), strict=True)]

    def update(updates, state, params=None):
        of_each = zip(every, rows(updates), state, rows(params), strict=True)
        steps, state = zip(*(optimizer.update(g, inner, theta) for optimizer, g, inner, theta in of_each), strict=True)
        return map_leaves(lambda *steps: jnp.stack(steps), *steps), [*state]

    return optax.GradientTransformation(init, update)


def _recording(optimizer, steps):
    """The optimizer with what it saw and where it led kept in its state. A run that leaves the map stands still."""

    def init(params):
        room = map_leaves(lambda leaf: jnp.zeros((steps, *leaf.shape)), params)
        return optimizer.init(params), room, room, jnp.array(0)

    def update(updates, state, params=None):
        inner, gradients, path, k = state
        step, inner = optimizer.update(updates, inner, params)
        near = map_leaves(lambda theta, s: jnp.all(jnp.abs(theta + s) < FAR, axis=-1, keepdims=True), params, step)
        step = map_leaves(lambda s, near: jnp.where(near, s, 0), step, near)
        new = map_leaves(jnp.add, params, step)
        gradients, path = map_leaves(lambda rows, row: rows.at[k].set(row), (gradients, path), (updates, new))
        return step, (inner, gradients, path, k + 1)

    return optax.GradientTransformation(init, update)


def _above(surface, paths, minimum):
    """The cost above the minimum at every θ of the paths."""
    return np.asarray(surface(paths.reshape(len(paths), -1, 2))).reshape(paths.shape[:-1]) - float(minimum.cost)


def _best(etas, gradients, path, excess):
    """Of the runs at all η the one that is lowest over the race; below 1e-12 all are alike."""
    k = int(np.argmin(np.mean(np.log(np.maximum(excess, 1e-12)), axis=0)))
    return Run(float(etas[k]), gradients[:, k], path[:, k], excess[:, k])


def _is_derivative(path, X, y):
    """At every θ of a path, over all examples."""
    both = jax.vmap(lambda theta: (logistic.gradient(theta, X, y), jax.grad(logistic.cost)(theta, X, y)))
    by_hand, by_autodiff = map(np.asarray, jax.jit(both)(path))
    error = float(np.max(np.abs(by_hand - by_autodiff)) / np.max(np.abs(by_hand)))
    return Check("logistic.gradient along a path = autodiff", error, error < 1e-13)


def _is_optax(name, runs):
    """optax's steps for the gradients that ours saw lead to the same θ."""

    def steps(eta, gradients):
        init, update = OPTIMIZERS[name][1](eta)
        return lax.scan(lambda state, g: update(g, state)[::-1], init(gradients[0]), gradients)[1]

    etas, gradients, path = (np.stack([getattr(of, part) for of in runs.values()]) for part in Run._fields[:3])
    with jax.numpy_dtype_promotion("standard"):
        theirs = np.asarray(jax.jit(jax.vmap(steps))(etas, gradients))
    starts = np.stack([STARTS[on] for on in runs])[:, None]
    apart = float(np.max(np.abs(starts + np.cumsum(theirs, axis=1) - path)) / np.max(np.abs(path)))
    return Check(f"{name} = optax's, over the {path.shape[1]} steps of three races", apart, apart < 1e-12)


def _written_out(g, beta1, beta2):
    """The steps / −η for gradients g (k, entries): Adam's, the same without its correction, and with Σ g² for ŝ."""
    k = np.arange(1, len(g) + 1)[:, None]
    u, s = ((1 - beta) * np.tril(beta ** np.maximum(k - k.T, 0)) @ of for beta, of in ((beta1, g), (beta2, g**2)))
    corrected = u / (1 - beta1**k) / (np.sqrt(s / (1 - beta2**k)) + 1e-8)
    return corrected, u / (np.sqrt(s) + 1e-8), u / np.sqrt(np.cumsum(g**2, axis=0) + 1e-8)


def _is_no_sum(run):
    """E 13, in the race on Rosenbrock: θ by the formulas written out, from the gradients that Adam saw."""
    thetas = [STARTS["Rosenbrock"] - run.eta * np.cumsum(of, axis=0) for of in _written_out(run.gradients, 0.9, 0.999)]
    apart, other, as_sum = (float(np.max(np.abs(theta - run.path)) / np.max(np.abs(run.path))) for theta in thetas)
    return (
        Check("E 13: Adam = momentum and RMSprop, both corrected, as written out", apart, apart < 1e-11),
        Check("E 13: without the correction: elsewhere, by", other, other > 0.1),
        Check("E 13: momentum + Adagrad: elsewhere, by", as_sum, as_sum > 0.1),
    )


def _slider(best, minima):
    on = "Rosenbrock"
    sides = np.linspace(-4, 4, 161), np.linspace(-1.5, 4, 56)
    costs = np.asarray(jax.jit(jax.vmap(jax.vmap(rosenbrock)))(np.stack(np.meshgrid(*sides), axis=-1)))
    paths = {name: np.concatenate([STARTS[on][None, :], runs[on].path]) for name, runs in best.items()}
    return race.draw(sides, costs, paths, np.asarray(minima[on].theta))


def _paths(best, surfaces, minima):
    figure, axes = plt.subplots(1, 3, figsize=(13, 5), layout="constrained")
    for axis, (on, surface) in zip(axes, surfaces.items(), strict=True):
        sides = [np.linspace(limits[0], limits[1], 100) for limits in WINDOWS[on]]
        values = np.asarray(surface(np.stack(np.meshgrid(*sides), axis=-1)))
        levels = values.min() + np.geomspace(1e-3, 0.8, 14) * np.ptp(values)
        axis.contour(*sides, values, levels=levels, colors=MUTED, linewidths=0.5)
        for (name, runs), color in zip(best.items(), CLASSES, strict=True):
            axis.plot(*np.concatenate([STARTS[on][None, :], runs[on].path]).T, color=color, lw=1, label=name)
        axis.plot(*STARTS[on], "o", color="black", ms=5)
        axis.plot(*np.asarray(minima[on].theta), "+", color="black", ms=12, mew=2)
        axis.set(aspect="equal", xlim=WINDOWS[on][0], ylim=WINDOWS[on][1], xlabel="θ₁", ylabel="θ₂", title=on)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def _costs(best, minima):
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
    for axis, (on, minimum) in zip(axes, minima.items(), strict=True):
        for (name, runs), color in zip(best.items(), CLASSES, strict=True):
            excess = runs[on].excess
            k = np.unique(np.geomspace(1, len(excess), 250).astype(int))
            axis.plot(k, np.maximum(excess[k - 1], 1e-12), color=color, lw=1.2, label=name)
        gradients = int(minimum.evaluations.gradient) * (-(-M // BATCH) if on == "logistic" else 1)
        axis.axvline(gradients, color="black", ls="--", lw=1, label="BFGS is there")
        axis.set(xscale="log", yscale="log", xlabel="steps", ylabel="cost above the minimum", title=on)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=7)
    return figure


def _forgetting():
    figure, axes = plt.subplots(figsize=(7, 4))
    g = np.where(np.arange(1_500) < 500, 1.0, 0.1)[:, None]
    names = ("Adam", "without the correction", "momentum + Adagrad, as printed")
    looks = (("-", CLASSES[5]), ("--", SECOND), ("-", FIT))
    for steps, name, (style, color) in zip(_written_out(g, 0.9, 0.99), names, looks, strict=True):
        axes.plot(1 + np.arange(len(g)), steps[:, 0], style, color=color, label=name)
    axes.axvline(500, color=MUTED, ls=":", lw=1)
    axes.set(yscale="log", xlabel="steps", ylabel="length of the step / η", title="What Adam forgets")
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.35))
    return figure
