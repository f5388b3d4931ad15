"""The cost of a line is a bowl over (θ₀, θ₁), and its Hessian says how round it is (course 3.3, 7.4)."""

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from experiments.lab.result import Picture, Result, check_derivatives, fitted, in_float64
from experiments.lab.style import DATA, FIT
from jax_course import data, features, linear

TITLE = "The cost bowl and its minimum"
SECTION = "3.3, 7.4"

hessian = jax.jit(linear.hessian)
costs = jax.jit(jax.vmap(jax.vmap(linear.cost, (0, None, None)), (0, None, None)))


@in_float64
def run(quick: bool) -> Result:
    """Evaluate J on a grid in one compiled call, raw and with the feature centred."""
    points = 60 if quick else 160
    problem = data.line()
    pictures, numbers = {}, {}
    x, y = np.asarray(problem.X), np.asarray(problem.y)
    raw = np.asarray(features.with_bias(x))
    designs = {"raw": raw, "centred": np.asarray(features.with_bias(x - x.mean()))}
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2))
    for axis, (name, X) in zip(axes, designs.items(), strict=True):
        solution = linear.fit(X, y).check()
        eigenvalues, vectors = np.linalg.eigh(hessian(solution.theta, X, y))
        condition = eigenvalues[-1] / eigenvalues[0]
        numbers[name] = {
            "theta": solution.theta.tolist(),
            "Hessian eigenvalues": eigenvalues.tolist(),
            "condition number": float(condition),
        }
        _bowl(axis, solution, X, y, vectors / np.sqrt(eigenvalues)[None, :], points)
        axis.set_title(f"{name} x: condition number of the Hessian {condition:.1f}")
    pictures["bowl"] = Picture(
        figure,
        "Level curves of J(θ), evenly spaced in log J. The arrows are the Hessian's eigenvectors, drawn as long as one "
        "must go to raise J by the same amount. Centring x turns the long valley into a round bowl: gradient descent "
        "will be as fast as the bowl is round.",
    )
    solution = linear.fit(raw, y)
    return Result(
        pictures,
        numbers,
        check_derivatives("linear", linear, solution.theta, raw, y),
        (fitted("linear", "a line, 20 points", f"J = {solution.cost:.3f}", solution),),
    )


def _bowl(axis, solution, X, y, half_axes, points):
    center = np.asarray(solution.theta)
    reach = 4 * np.abs(half_axes).max()
    theta0, theta1 = (np.linspace(c - reach, c + reach, points) for c in center)
    grid = np.stack(np.meshgrid(theta0, theta1), axis=-1)
    J = np.asarray(costs(grid, X, y))
    levels = np.geomspace(float(solution.cost) * 1.02, float(J.max()), 18)
    axis.contour(theta0, theta1, J, levels=levels, norm=LogNorm(), cmap="viridis", linewidths=1)
    for direction in half_axes.T:
        axis.annotate("", center + 1.5 * direction, center, arrowprops={"arrowstyle": "->", "color": DATA, "lw": 1.8})
    axis.plot(*center, "o", color=FIT, label="minimum: 2Xᵀ(Xθ − y) = 0")
    axis.set(xlabel="θ₀", ylabel="θ₁", aspect="equal")
    axis.legend(loc="lower left", frameon=True, framealpha=0.9)
