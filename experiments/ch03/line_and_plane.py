"""A line and a plane through points: the residuals are what the cost adds up (course 3.1–3.3)."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Picture, Result, check_derivatives, fitted, in_float64
from experiments.lab.style import DATA, FIT, MUTED, TRUTH
from jax_course import data, features, linear

TITLE = "A line, a plane, and their residuals"
SECTION = "3.1-3.3"


@in_float64
def run(quick: bool) -> Result:
    """Fit both; the truth is known, so the estimate can be held against it."""
    line, plane = _in_numpy(data.line()), _in_numpy(data.plane())
    X_line, X_plane = (np.asarray(features.with_bias(problem.X)) for problem in (line, plane))
    by_line, by_plane = (_in_numpy(linear.fit(*of).check()) for of in ((X_line, line.y), (X_plane, plane.y)))
    numbers = {
        name: {
            "theta": solution.theta.tolist(),
            "truth": problem.theta.tolist(),
            "cost": float(solution.cost),
            "residual standard deviation": float((solution.cost / (len(problem.y) - solution.theta.size)) ** 0.5),
            "noise put in": float(problem.noise),
        }
        for name, solution, problem in (("line", by_line, line), ("plane", by_plane, plane))
    }
    return Result(
        {
            "line": Picture(
                _line(line, by_line, X_line @ by_line.theta),
                "Least squares makes the sum of the squared vertical distances smallest. The fitted line (orange) lies "
                f"near the one the points were drawn from (green), not on it: {len(line.y)} points, noise "
                f"{float(line.noise):g}.",
            ),
            "plane": Picture(
                _plane(plane, by_plane, X_plane @ by_plane.theta),
                "The same with two features: the residuals stand on a plane.",
            ),
        },
        numbers,
        check_derivatives("linear", linear, by_plane.theta, X_plane, plane.y),
        (
            fitted("linear", f"a line, {len(line.y)} points", _score(numbers["line"]), by_line),
            fitted("linear", f"a plane, {len(plane.y)} points", _score(numbers["plane"]), by_plane),
        ),
    )


def _in_numpy(tree):
    return jax.tree_util.tree_map(np.asarray, tree)


def _score(numbers):
    return f"residual {numbers['residual standard deviation']:.2f}, noise {numbers['noise put in']:.2f}"


def _line(problem, solution, predicted):
    figure, axes = plt.subplots(figsize=(6, 4))
    x, ends = problem.X[:, 0], np.array([0.0, 3.0])
    axes.vlines(x, predicted, problem.y, color=MUTED, lw=1, label="residual y − ŷ")
    truth, theta = problem.theta, solution.theta
    axes.plot(ends, truth[0] + truth[1] * ends, color=TRUTH, ls="--", label=f"truth {truth[0]:g} + {truth[1]:g}x")
    axes.plot(ends, theta[0] + theta[1] * ends, color=FIT, label=f"fit {theta[0]:.2f} + {theta[1]:.2f}x")
    axes.plot(x, problem.y, "o", color=DATA, ms=5, label="examples")
    axes.set(xlabel="x", ylabel="y", title=f"Least squares: J(θ) = {solution.cost:.2f}")
    axes.legend()
    return figure


def _plane(problem, solution, predicted):
    figure = plt.figure(figsize=(6, 5))
    axes = figure.add_subplot(projection="3d")
    x1, x2 = problem.X.T
    grid = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9))
    axes.plot_surface(*grid, solution.theta[0] + solution.theta[1] * grid[0] + solution.theta[2] * grid[1],
                      color=FIT, alpha=0.3)  # fmt: skip
    for a, b, from_, to in zip(x1, x2, predicted, problem.y, strict=True):
        axes.plot([a, a], [b, b], [from_, to], color=MUTED, lw=1)
    axes.scatter(x1, x2, problem.y, color=DATA, s=16, depthshade=False)
    axes.set(xlabel="x₁", ylabel="x₂", zlabel="y", title=f"A plane: J(θ) = {solution.cost:.2f}")
    axes.view_init(elev=22, azim=-125)
    axes.set_box_aspect((4, 4, 3))
    return figure
