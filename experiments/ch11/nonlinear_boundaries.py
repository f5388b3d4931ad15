"""What a hidden layer adds: boundaries that bend, on XOR, two moons and circles, as training forms them (11.1, 11.2).

    0 hidden layers    π = σ(θ₀ + xθ)                     {π = 1/2} is a line (or nothing, where θ = 0)
    1 hidden layer     π = σ(θ₀ + tanh(b + xΘ) θ)         {π = 1/2} may bend

On XOR no line gets more than three corners right, and the cost of 0 hidden layers is least at θ = 0, where π = 1/2.
"""

import functools
from functools import partial
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_circles, make_moons

from experiments.interactive import boundaries
from experiments.lab.result import Check, Picture, Result, check_derivatives, fitted, in_float64
from experiments.lab.style import DATA, FIT
from jax_course.networks import costs, mlp
from jax_course.networks.layers import LinearParams
from jax_course.optimization import bfgs, optimizers
from jax_course.train import each_epoch, train

TITLE = "Boundaries that bend"
SECTION = "11.1-11.2"
EXAMPLES, UNITS, ETA = 200, 8, 0.05
FRAMES = {True: (*range(9), *range(10, 31, 2)), False: (*range(20), *range(20, 60, 4), *range(60, 180, 20))}  # epochs
LINE = mlp([1], "tanh", costs.binary_cross_entropy())
# Two units by hand: 0 on the lines x₁ − x₂ = 1 and x₁ − x₂ = −1
TWO = mlp([2, 1], "tanh", costs.binary_cross_entropy())
BY_HAND: Any = [np.array(a) for a in ([-2.0, 2.0], [[2.0, 2.0], [-2.0, -2.0]], [4.0], [[4.0], [-4.0]])]
FIRST = LinearParams(*BY_HAND[:2])
LAST = LinearParams(*BY_HAND[2:])


@functools.cache
def _network(units: int) -> Any:
    """A network with so many hidden units: always the same, so that its programs are compiled once."""
    return mlp([units, 1], "tanh", costs.binary_cross_entropy())


def _hidden() -> Any:
    return _network(UNITS)


@functools.cache
def _init(net):
    return jax.jit(partial(net.init, d_in=2))


@functools.cache
def _predict(net):
    return jax.jit(net.predict)


@in_float64
def run(quick: bool) -> Result:
    """The line of 0 hidden layers, and one hidden layer after more and more epochs, for three data sets."""
    epochs = (1, 10, 40, 160) if quick else (1, 10, 100, 1000)
    problems = _problems()
    fit = jax.jit(lambda X, y: bfgs(lambda theta: LINE.cost(theta, X, y), LINE.init(jax.random.key(1), 2)))
    lines = {name: fit(X, y).check() for name, (X, y) in problems.items()}
    thetas = {
        name: [lines[name].theta, *(_trained(X, y, count) for count in epochs)] for name, (X, y) in problems.items()
    }
    nets = (LINE, *[_hidden()] * len(epochs))
    accuracies = {
        name: [_accuracy(net, theta, *problems[name]) for net, theta in zip(nets, of_problem, strict=True)]
        for name, of_problem in thetas.items()
    }
    X, y = problems["XOR"]
    by_gradient = _hidden()._replace(hessian_product=None)  # the doctor then checks the gradient alone
    return Result(
        {
            "boundaries": Picture(
                _boundaries(problems, thetas, accuracies, nets, epochs),
                "Left: the best that 0 hidden layers can do, a line; on XOR not even that, for π = 1/2 everywhere. "
                f"Then one hidden layer of {UNITS} units after more and more epochs: the boundary (black, π = 1/2) "
                "begins anywhere and bends around the classes. Above each panel, the share of examples that are right.",
            ),
            "hidden": Picture(
                _draw_hidden(X, y),
                "XOR with two hidden units, set by hand. Left: the plane of x, with the lines on which a hidden unit "
                "is 0 (dashed). Right: the plane of the units' outputs, where two corners fall on one point and a line "
                "separates the classes. The last layer is logistic regression on what the hidden layer makes.",
            ),
        },
        {"hidden units": UNITS, "epochs": list(epochs), "accuracy, 0 hidden layers, then by epochs": accuracies},
        (
            *check_derivatives("1 hidden layer", by_gradient, thetas["moons"][1], *problems["moons"]),
            *_on_xor(lines["XOR"], accuracies["XOR"], X, y),
            *(_beats_the_line(name, accuracies[name]) for name in ("moons", "circles")),
        ),
        tuple(fitted("logistic", f"{name}, {EXAMPLES} × 2", f"accuracy {accuracies[name][0]:.1%}", lines[name])
              for name in problems),
        {"slider": _slider({name: problems[name] for name in ("XOR", "moons")}, FRAMES[quick])},
    )  # fmt: skip


def _problems():
    """All of one size, so that one program trains them all: of XOR each corner comes equally often."""
    corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    found = {
        "XOR": (np.tile(corners, (EXAMPLES // 4, 1)), np.tile([0, 1, 1, 0], EXAMPLES // 4)),
        "moons": make_moons(EXAMPLES, noise=0.15, random_state=0),
        "circles": make_circles(EXAMPLES, noise=0.08, factor=0.45, random_state=0),
    }
    return {name: (X - X.mean(axis=0), np.asarray(y, float)) for name, (X, y) in found.items()}


def _start():
    return _init(_hidden())(jax.random.key(0))


def _trained(X, y, epochs):
    training = train(
        _hidden().gradient,
        optimizers.adam(ETA),
        _start(),
        X,
        y,
        key=jax.random.key(0),
        epochs=epochs,
        batch_size=EXAMPLES // 4,
    )
    return training.check().theta


def _accuracy(net, theta, X, y):
    return float(np.mean((np.asarray(_predict(net)(theta, X)) > 0.5) == y))


def _on_xor(line, accuracies, X, y):
    gap = abs(float(line.cost) / (EXAMPLES * float(np.log(2))) - 1)
    yield Check("XOR, 0 hidden layers: least cost is m log 2, that of π = 1/2", gap, gap < 1e-8)
    angles, offsets = np.meshgrid(np.linspace(0, 2 * np.pi, 721), np.linspace(-2, 2, 401))
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    right = ((normals @ X[:4].T > offsets[:, :, None]) == y[:4]).mean(axis=-1)
    best = float(right.max())
    yield Check(f"XOR: the best of {right.size} lines gets 3/4 right", best, best == 0.75)
    yield Check("XOR, 0 hidden layers: accuracy, at most 3/4", accuracies[0], accuracies[0] <= 0.75)
    wrong = 1 - _accuracy(TWO, (FIRST, (), LAST), X, y)
    yield Check("XOR, two hidden units by hand: wrong examples", wrong, wrong == 0)
    yield Check("XOR, 1 hidden layer: wrong examples after training", 1 - accuracies[-1], accuracies[-1] == 1)


def _beats_the_line(name, accuracies):
    wrong = 1 - accuracies[-1]
    return Check(f"{name}, 1 hidden layer: wrong examples, less than a fifth of the line's", wrong,
                 wrong < 0.2 * (1 - accuracies[0]))  # fmt: skip


def _boundaries(problems, thetas, accuracies, nets, epochs):
    figure, axes = plt.subplots(3, 5, figsize=(11.5, 7), layout="constrained")
    across = np.linspace(-2, 2, 90)
    grid = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
    for row, (name, (X, y)) in zip(axes, problems.items(), strict=True):
        reach = 1.15 * np.abs(X).max()
        for axis, net, theta, accuracy in zip(row, nets, thetas[name], accuracies[name], strict=True):
            pi = np.asarray(_predict(net)(theta, grid * (reach / 2))).reshape(len(across), -1)
            scaled = across * (reach / 2)
            if np.ptp(pi) > 1e-3:  # else π = 1/2 everywhere, up to rounding
                axis.contourf(scaled, scaled, pi, levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.5)
                axis.contour(scaled, scaled, pi, levels=[0.5], colors="black", linewidths=1.5)
            _points(axis, X, y, 6 if name != "XOR" else 40)
            axis.set(
                aspect="equal",
                xticks=[],
                yticks=[],
                xlim=(-reach, reach),
                ylim=(-reach, reach),
                title=f"{accuracy:.1%} right" if np.ptp(pi) > 1e-3 else "π = 1/2 everywhere",
            )
            axis.grid(False)
        row[0].set_ylabel(name)
    above = ["0 hidden layers", *(f"1 hidden layer,\n{count} epoch{'s' * (count > 1)}" for count in epochs)]
    for axis, text in zip(axes[0], above, strict=True):
        axis.set_title(f"{text}\n{axis.get_title()}")
    return figure


def _slider(problems, epochs):
    across = np.linspace(-1, 1, 45)
    grid = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
    drawn, maps = {}, {}
    for name, (X, y) in problems.items():
        reach = 1.25 * np.abs(X).max()
        drawn[name] = X, y, reach
        maps[name] = {
            epoch: np.asarray(_predict(_hidden())(theta, grid * reach)).reshape(45, 45)
            for epoch, theta in _on_the_way(X, y, epochs)
        }
    return boundaries.draw(drawn, maps)


def _on_the_way(X, y, epochs):
    """(epoch, theta) for these epochs."""
    yield 0, _start()
    runs = each_epoch(_hidden().gradient, optimizers.adam(ETA), _start(), X, y, key=jax.random.key(0),
                      epochs=epochs[-1], batch_size=EXAMPLES // 4)  # fmt: skip
    yield from ((run.epochs, run.theta) for run in runs if run.epochs in epochs)


def _points(axis, X, y, size):
    for label, color in ((0, DATA), (1, FIT)):
        axis.scatter(*X[y == label].T, s=size, color=color, edgecolor="white", lw=0.3, zorder=3)


def _draw_hidden(X, y):
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 4), layout="constrained")
    first, last = FIRST, LAST
    across = np.array([-1.6, 1.6])
    for unit in range(2):
        bias, (a, b) = float(first.bias[unit]), first.weights[:, unit]
        left.plot(across, -(bias + a * across) / b, "--", color="black", lw=1)
    made = np.tanh(X[:4] @ first.weights + first.bias)
    a, b = last.weights[:, 0]
    right.plot(across, -(float(last.bias[0]) + a * across) / b, color="black", lw=1.5)
    _points(left, X[:4], y[:4], 90)
    _points(right, made, y[:4], 90)
    left.set(title="x", xlabel="x₁", ylabel="x₂", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
    right.set(title="behind the hidden layer", xlabel="z₁", ylabel="z₂", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3),
              aspect="equal")  # fmt: skip
    return figure
