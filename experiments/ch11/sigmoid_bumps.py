"""Sigmoids that sum to a bump, and bumps that sum to a function: one hidden layer with weights set by hand (11.3).

    σ(a(x − l)) − σ(a(x − r))                                         a bump between l and r: about 1 there, 0 outside
    Σ_n f(c_n) [σ(a(x − l_n)) − σ(a(x − l_n+1))],  c_n in the middle   a staircase along f, better with every step

With N bumps of width h = 6/N, the staircase is at most h/2 · max |f'| off f. The sigmoids round its steps, which
brings it nearer.
"""

import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import CLASSES, FIT, MUTED, TRUTH
from jax_course.networks import costs, mlp
from jax_course.networks.layers import LinearParams

TITLE = "Sigmoids that sum to a bump"
SECTION = "11.3"
SHOWN = 12
GRID = np.linspace(-3, 3, 601)
INSIDE = np.abs(GRID) < 2.5  # the outermost bumps have no neighbour on one side


@in_float64
def run(quick: bool) -> Result:
    """The staircase for more and more bumps, predicted by the network that it is."""
    counts = (6, 12, 24) if quick else (6, 12, 24, 48, 96, 192)  # each twice the one before
    predictions = {count: _predict(_network(count)) for count in {*counts, SHOWN}}
    errors = {count: _error(predictions[count]) for count in counts}
    return Result(
        {
            "bumps": Picture(
                _bumps(predictions[SHOWN]),
                "Left: two sigmoids of opposite sign make a bump. Right: bumps side by side, each as high as the "
                f"function in its middle, are a staircase along the function: {2 * SHOWN} hidden units, set by hand.",
            ),
            "error": Picture(
                _falling(errors),
                "The largest distance between function and staircase against the number of bumps, and the height of "
                "half a step where the function is steepest (dashed). Twice the bumps, half the error.",
            ),
        },
        {"largest error, by bumps": {str(count): error for count, error in errors.items()}},
        (
            _adds_up(predictions[SHOWN]),
            _is_flat(),
            _below_half_a_step(errors),
            _halves(errors),
        ),
        (),
    )


def _f(x):
    return np.sin(2 * x) * np.exp(-(x**2) / 8) + 0.2 * x


def _sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def _steps(count):
    """The edges of the bumps, how steep the sigmoids are, the height of each bump."""
    edges = np.linspace(-3, 3, count + 1)
    return edges, 8 * count / 6, _f((edges[:-1] + edges[1:]) / 2)


def _parts(count, x):
    """The bumps one by one: (examples, bumps)."""
    edges, steep, height = _steps(count)
    sigmoids = _sigmoid(steep * (x[:, None] - edges))
    return height * (sigmoids[:, :-1] - sigmoids[:, 1:])


def _network(count):
    """θ of a network with two sigmoids for each bump."""
    edges, steep, height = _steps(count)
    at = np.concatenate([edges[:-1], edges[1:]])
    return (
        LinearParams(jnp.asarray(-steep * at), jnp.asarray(np.full((1, 2 * count), steep))),
        (),
        LinearParams(jnp.asarray(np.zeros(1)), jnp.asarray(np.concatenate([height, -height])[:, None])),
    )


def _predict(theta):
    net = mlp([theta[0].bias.size, 1], "sigmoid", costs.squared_error())
    return np.asarray(jax.jit(net.predict)(theta, GRID[:, None]))


def _error(prediction):
    return float(np.max(np.abs(prediction - _f(GRID))[INSIDE]))


def _half_a_step(count):
    return 3 / count * float(np.max(np.abs(np.gradient(_f(GRID), GRID))))


def _adds_up(prediction):
    gap = apart(_parts(SHOWN, GRID).sum(axis=1), prediction)
    return Check("the sum of the bumps = prediction of the network", gap, gap < 1e-12)


def _is_flat():
    """σ(a(x + 1)) − σ(a(x − 1)) for steep sigmoids: 1 between −1 and 1, 0 outside, but for a strip at the edges."""
    steep, off_the_edges = 40, np.abs(np.abs(GRID) - 1) > 0.5
    bump = _sigmoid(steep * (GRID + 1)) - _sigmoid(steep * (GRID - 1))
    gap = float(np.max(np.abs(bump - (np.abs(GRID) < 1))[off_the_edges]))
    return Check("a bump of steep sigmoids: 1 inside, 0 outside", gap, gap < 1e-8)


def _below_half_a_step(errors):
    share = max(error / _half_a_step(count) for count, error in errors.items())
    return Check("largest error / half a step of the staircase, at most 1", share, share <= 1)


def _halves(errors):
    ratio = max(after / before for before, after in itertools.pairwise(errors.values()))
    return Check("error with twice the bumps / error, at most 0.65", ratio, ratio < 0.65)


def _bumps(prediction):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")
    up, down = _sigmoid(6 * (GRID + 1)), -_sigmoid(6 * (GRID - 1))
    left.plot(GRID, up + down, color=FIT, lw=3, label="their sum")
    left.plot(GRID, up, color=CLASSES[0], lw=1.2, label="σ(6(x + 1))")
    left.plot(GRID, down, color=CLASSES[4], lw=1.2, label="−σ(6(x − 1))")
    left.set(title="Two sigmoids", xlabel="x")
    right.plot(GRID, _parts(SHOWN, GRID), color=MUTED, lw=0.8)
    right.plot([], [], color=MUTED, lw=0.8, label="bumps")
    right.plot(GRID, _f(GRID), color=TRUTH, lw=1.5, label="the function")
    right.plot(GRID, prediction, color=FIT, lw=2, label="sum of the bumps")
    right.set(title=f"{SHOWN} bumps", xlabel="x")
    left.legend(loc="lower left", fontsize="small")
    right.legend(loc="lower right", fontsize="small")
    return figure


def _falling(errors):
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    axes.plot(list(errors), list(errors.values()), "o-", color=FIT, label="largest error")
    axes.plot(list(errors), [_half_a_step(count) for count in errors], "--", color="black", lw=1, label="half a step")
    axes.set(xscale="log", yscale="log", xlabel="bumps", xticks=list(errors), xticklabels=[str(n) for n in errors])
    axes.minorticks_off()
    axes.legend()
    return figure
