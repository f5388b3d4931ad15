"""Complexity: against the amount of data, and under the control of δ² (course 6.3)."""

import matplotlib.pyplot as plt
import numpy as np

from experiments.interactive import penalty
from experiments.lab.result import Check, Picture, Result, check_derivatives, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course import ridge

TITLE = "Too simple, right, too complex"
SECTION = "6.3"

SIGMA = 0.25
RIGHT, HIGH = 5, 25  # degrees
SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
SHOWN = 24


@in_float64
def run(quick: bool) -> Result:
    """Errors against m over many draws; and a high degree tamed by a growing δ²."""
    draws, every = (60, 1) if quick else (200, 6)
    high = f"degree {HIGH}"
    errors = {name: _learning_curve(degree, draws) for name, degree in {"line": 1, "right": RIGHT, high: HIGH}.items()}
    x, y = _draw(np.random.default_rng(7), SHOWN)
    Phi, weights = _basis(x, HIGH), np.append(0.0, np.ones(HIGH))
    deltas = np.logspace(-10, 2, 36 * every + 1)
    loo = np.asarray(ridge.leave_one_out(Phi, y, deltas, factors=weights))
    best = float(deltas[int(np.argmin(loo))])
    solution = ridge.fit(Phi, y, penalty=best * weights).check()
    freedom = np.asarray(ridge.degrees_of_freedom(Phi, deltas, factors=weights))
    few, many = int(np.argmax(np.array(SIZES) > HIGH + 1)), len(SIZES) - 1  # few: as soon as it does not interpolate
    ahead = errors[high][1][few] / errors["right"][1][few]
    floor = abs(errors["right"][1][many] / np.sqrt(SIGMA**2 * (1 + (RIGHT + 1) / SIZES[many])) - 1)
    worse = errors[high][1] > errors["line"][1]
    useless = max(np.array(SIZES)[worse], default=0)
    return Result(
        {
            "curves": Picture(
                _curves(errors, draws),
                "Error on the examples (dashed) and on new ones (solid) against their number, medians over "
                f"{draws} draws. A line is hardly better with {SIZES[many]} examples than with few; degree {HIGH} "
                f"needs more than {useless} before it is of use, and is worst where it just interpolates; the right "
                "degree is first down to the noise.",
            ),
            "controlled": Picture(
                _controlled(x, y, weights, deltas, loo, best, freedom),
                f"Degree {HIGH} (orange) through {SHOWN} examples of the dashed curve: δ² sets how much of it works. "
                "Left to right too little, the least error of leaving one out, too much; below, that error and the "
                "degrees of freedom, tr H.",
            ),
        },
        {
            "median RMSE on new examples": {
                name: dict(zip(map(str, SIZES), of[1].tolist(), strict=True)) for name, of in errors.items()
            },
            f"best δ² on degree {HIGH}": best,
            "degrees of freedom there": float(freedom[int(np.argmin(loo))]),
        },
        (
            *check_derivatives("ridge", ridge, solution.theta, Phi, y, penalty=best * weights),
            Check(
                f"at {SIZES[few]} examples degree {HIGH} is the worse: error, right/degree {HIGH}",
                float(1 / ahead),
                bool(ahead > 1),
            ),
            Check(f"with {SIZES[many]} the right degree is down to the noise, off by", float(floor), bool(floor < 0.1)),
        ),
        (
            fitted(
                f"ridge, degree {HIGH}", f"a curve, {SHOWN} examples", f"δ² = {best:.1e} by leaving one out", solution
            ),
        ),
        {"slider": _slider(x, y, weights, *(of[::every] for of in (deltas, loo, freedom)))},
    )


def _truth(x):
    return np.sin(1.5 * np.pi * x)


def _draw(rng, m):
    x = rng.uniform(-1, 1, m)
    return x, _truth(x) + SIGMA * rng.standard_normal(m)


def _basis(x, degree):
    """The polynomials up to a degree in Legendre's basis: the fits of the powers of x, in rounder coordinates."""
    return np.polynomial.legendre.legvander(x, degree)


def _learning_curve(degree, draws):
    """Median RMSE over the draws for each size: on the examples, and on new ones."""
    x_new = np.linspace(-1, 1, 400)
    Phi_new = _basis(x_new, degree)

    def of_draw(x, y):
        """By NumPy, which needs no program for each m: of the fits that interpolate that of least norm."""
        Phi = _basis(x, degree)
        theta = np.linalg.lstsq(Phi, y)[0]
        training, new = np.mean((Phi @ theta - y) ** 2), np.mean((Phi_new @ theta - _truth(x_new)) ** 2)
        return np.sqrt([training, new + SIGMA**2])

    def median(m):
        x, y = _draw(np.random.default_rng(m), (draws, max(SIZES)))
        return np.median([of_draw(*examples) for examples in zip(x[:, :m], y[:, :m], strict=True)], axis=0)

    return np.array([median(m) for m in SIZES]).T


def _slider(x, y, weights, deltas, loo, freedom):
    grid = np.linspace(-1, 1, 160)
    fits = np.asarray(ridge.path(_basis(x, HIGH), y, deltas, factors=weights)) @ _basis(grid, HIGH).T
    return penalty.draw(HIGH, x, y, grid, _truth(grid), deltas, fits, np.sqrt(loo), freedom)


def _curves(errors, draws):
    figure, axes = plt.subplots(figsize=(7, 4.4))
    for (name, (training, new)), color in zip(errors.items(), CLASSES, strict=False):
        axes.plot(SIZES, new, "o-", ms=3, color=color, label=name if name != "right" else f"degree {RIGHT}")
        axes.plot(SIZES, training, "--", color=color, lw=1)
    axes.axhline(SIGMA, color=MUTED, lw=1, ls=":", label="noise σ")
    axes.set(xscale="log", yscale="log", xlabel="number of examples m", ylabel="root mean squared error",
             ylim=(SIGMA / 8, 120 * SIGMA), title="Error on the examples (dashed) and on new ones")  # fmt: skip
    axes.set_xticks(SIZES[::2], [str(m) for m in SIZES[::2]])
    axes.minorticks_off()
    axes.legend()
    return figure


def _controlled(x, y, weights, deltas, loo, best, freedom):
    figure = plt.figure(figsize=(11, 6.4))
    grid = np.linspace(-1, 1, 400)
    for place, (delta, name) in enumerate(((1e-10, "too little"), (best, "chosen"), (30.0, "too much"))):
        axes = figure.add_subplot(2, 3, place + 1)
        theta = np.asarray(ridge.fit(_basis(x, HIGH), y, penalty=delta * weights).theta)
        axes.plot(grid, _truth(grid), "--", color=TRUTH)
        axes.plot(grid, _basis(grid, HIGH) @ theta, color=FIT)
        axes.plot(x, y, "o", color=DATA, ms=4)
        axes.set(ylim=(-1 - 4.8 * SIGMA, 1 + 4.8 * SIGMA), xlabel="x", title=f"{name}: δ² = {delta:.1e}")
    axes = figure.add_subplot(2, 1, 2)
    axes.plot(deltas, np.sqrt(loo), color=FIT, label="error of leaving one out (left)")
    axes.plot(best, np.sqrt(np.min(loo)), "o", color=FIT)
    axes.set(xscale="log", yscale="log", xlabel="δ²", ylabel="root mean squared error")
    right = axes.twinx()
    right.plot(deltas, freedom, color=DATA, label="degrees of freedom (right)")
    right.set_ylabel("tr H")
    right.grid(False)
    lines = axes.get_lines()[:1] + right.get_lines()
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="lower left")
    figure.tight_layout()
    return figure
