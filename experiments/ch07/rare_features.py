"""Adagrad gives every feature its own learning rate, larger where a feature is seen rarely (7.8, slip E 12).

    s ← s + g²,  θ ← θ − η g / √(s + ε)        Adagrad: s says how much an entry has been moved so far
    s ← s + g²,  θ ← θ − η g / s               as printed, without the root

Measure the cost in other units, J → cJ, so that g → cg: the step of Adagrad stays as it is; the printed one is divided
by c, and stalls; that of SGD is multiplied by c. What undoes it: η for Adagrad, cη as printed, η/c for SGD.
The data are y = Xθ + noise, where a feature is present, 1, or absent, 0.
"""

from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from jax import lax

from experiments.lab.result import Check, Picture, Result, apart, fitted, in_float64
from experiments.lab.style import DATA, FIT, MUTED, SECOND
from jax_course import linear
from jax_course.optimization import optimizers

TITLE = "Rare features and frequent ones"
SECTION = "7.8"
M, D, BATCH, EPOCHS, NOISE = 2_000, 20, 20, 5, 0.1
SEEN = {"rare": 0.01, "frequent": 0.5}
UNITS, ETA = 100.0, 0.1


def _as_printed(learning_rate):
    def init(params):
        return jnp.zeros_like(params)

    def update(updates, state, params=None):
        s = state + updates**2
        return -learning_rate * updates / jnp.where(s > 0, s, 1), s  # a feature not seen yet has g = 0

    return optax.GradientTransformation(init, update)


# name: (the optimizer of η, the power of c by which η must change, colour)
METHODS = {
    "SGD": (optimizers.sgd, -1, DATA),
    "Adagrad": (partial(optimizers.adagrad, epsilon=1e-30, start=0.0), 0, FIT),
    "as printed": (_as_printed, 1, SECOND),
}


@in_float64
def run(quick: bool) -> Result:
    """Each method for many η, from θ = 0, with the same batches; its best η is the one of the lowest final cost."""
    scaled = f"{UNITS:g} J"
    etas = np.geomspace(1e-4, 10, 11 if quick else 81)
    X, y, truth, orders = _problem()
    solution = linear.fit(X, y).check()
    paths, checks = {}, [_is_derivative(truth, X, y)]
    for name in METHODS:
        paths[name], paths[f"{name}, {scaled}"], check = _paths(name, etas, X, y, orders)
        checks.append(check)
    costs = {name: _cost(of[:, -1], X, y) for name, of in paths.items()}
    best = {name: int(np.argmin(costs[name])) for name in METHODS}
    curves = {name: _errors(paths[name][best[name]], truth) for name in METHODS}
    curves[f"as printed, {scaled}"] = _errors(paths[f"as printed, {scaled}"][best["as printed"]], truth)
    floor = _errors(np.asarray(solution.theta)[None, :], truth)
    numbers = {
        "examples": M,
        "epochs": EPOCHS,
        "best learning rate": {name: float(etas[k]) for name, k in best.items()},
        "error of the coefficients after the last epoch": {
            name: {group: float(of[-1]) for group, of in errors.items()}
            for name, errors in (*curves.items(), ("least squares", floor))
        },
    }
    for other in ("SGD", "as printed"):
        ratio = float(curves["Adagrad"]["rare"][-1] / curves[other]["rare"][-1])
        checks.append(Check(f"rare features: error, Adagrad / {other}, below 1/4", ratio, ratio < 0.25))
    return Result(
        {
            "epochs": Picture(
                _by_epoch(curves, floor),
                "Root mean squared error of the coefficients, each method at its best η. SGD learns the frequent ones "
                "(right) in one pass over the data, and the rare ones (left) as slowly as they are rare; Adagrad "
                "learns both. The printed step starts with η/g, longest where the gradient is smallest, and then "
                f"nearly stops; on {scaled}, with the same η (dotted), it does not even start.",
            ),
            "rates": Picture(
                _by_rate(etas, costs),
                f"Mean squared residual after {EPOCHS} epochs against η, for J and for {scaled} (dashed). Adagrad's "
                "two curves are one, and flat where it works: η need not be tuned to the units of the cost. Those of "
                f"SGD and of the printed step are a factor {UNITS:g} in η apart, to the left and to the right.",
            ),
        },
        numbers,
        tuple(checks),
        (fitted("linear", f"{M} × {2 * D}, rare and frequent", f"error {floor['rare'][0]:.3f} on rare", solution),),
    )


def _problem():
    """X (m, 2d), y, the true θ, and for every epoch the examples in the order of their mini-batches."""
    rng = np.random.Generator(np.random.PCG64(11))
    X = np.concatenate([rng.random((M, D)) < seen for seen in SEEN.values()], axis=1).astype(float)
    theta = rng.choice([-1.0, 1.0], 2 * D) * rng.uniform(0.5, 2, 2 * D)
    y = X @ theta + NOISE * rng.standard_normal(M)
    orders = np.stack([rng.permutation(M).reshape(-1, BATCH) for _ in range(EPOCHS)])
    return X, y, theta, orders


def _is_derivative(theta, X, y):
    """For every mini-batch of an epoch."""

    @jax.jit
    @partial(jax.vmap, in_axes=(None, 0, 0))
    def both(theta, X, y):
        return linear.gradient(theta, X, y), jax.grad(linear.cost)(theta, X, y)

    error = apart(*both(theta, X.reshape(-1, BATCH, 2 * D), y.reshape(-1, BATCH)))
    return Check("linear.gradient of mini-batches = autodiff", error, error < 1e-13)


def _paths(name, etas, X, y, orders):
    """θ after 0, 1, … epochs for every η, (η, epoch, 2d): on J, the mean over the batch, and on UNITS · J."""
    method, power, _ = METHODS[name]

    def run(eta, units):
        optimizer, theta = method(eta), jnp.zeros(2 * D)

        def step(carry, chosen):
            theta, state = carry
            g = units * linear.gradient(theta, jnp.asarray(X)[chosen], jnp.asarray(y)[chosen]) / BATCH
            change, state = optimizer.update(g, state)
            return (theta + change, state), None

        def epoch(carry, order):
            return lax.scan(step, carry, order)[0], carry[0]

        (theta, _), before = lax.scan(epoch, (theta, optimizer.init(theta)), orders)
        return jnp.concatenate([before, theta[None, :]])

    rates = np.concatenate([etas, etas, [ETA, ETA * UNITS**power]])
    units = np.repeat([1.0, UNITS, 1.0, UNITS], [len(etas), len(etas), 1, 1])
    *paths, path, other = np.asarray(jax.jit(jax.vmap(run))(rates, units))
    gap = apart(other, path)
    claim = Check(f"{name}: {UNITS:g} J with {UNITS**power:g} η is J with η", gap, gap < 1e-10)
    return np.array(paths[: len(etas)]), np.array(paths[len(etas) :]), claim


def _cost(thetas, X, y):
    """The mean squared residual, infinite where a path has left the numbers."""
    with np.errstate(all="ignore"):
        mean = np.mean((thetas @ X.T - y) ** 2, axis=1)
    return np.where(np.isfinite(mean), mean, np.inf)


def _errors(path, truth):
    squares = ((path - truth) ** 2).reshape(len(path), len(SEEN), D)
    return dict(zip(SEEN, np.sqrt(np.mean(squares, axis=2)).T, strict=True))


def _by_epoch(curves, floor):
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
    colors = [color for *_, color in METHODS.values()] + [SECOND]
    for axis, (group, seen) in zip(axes, SEEN.items(), strict=True):
        for (name, errors), color in zip(curves.items(), colors, strict=True):
            axis.plot(errors[group], ":" if "J" in name else "o-", color=color, ms=3.5, label=name)
        axis.axhline(floor[group][0], color=MUTED, ls="--", lw=1, label="least squares")
        axis.set(yscale="log", xlabel="epochs", title=f"{group} features, seen in {seen:.0%} of the examples")
    axes[0].set_ylabel("error of the coefficients")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _by_rate(etas, costs):
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for name, (*_, color) in METHODS.items():
        axes.plot(etas, costs[name], color=color, lw=1.5, label=name)
        axes.plot(etas, costs[f"{name}, {UNITS:g} J"], "--", color="black" if name == "Adagrad" else color, lw=1.2)
    axes.axhline(NOISE**2, color=MUTED, ls=":", lw=1, label="noise in y")
    axes.set(xscale="log", yscale="log", xlabel="η", ylabel="mean squared residual", ylim=(NOISE**2 / 2, 1e3),
             title=f"What each η leads to; dashed: {UNITS:g} J")  # fmt: skip
    axes.legend(ncols=2, loc="upper left")
    return figure
