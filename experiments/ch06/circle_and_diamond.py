"""Two budgets: the ellipses of the cost touch a circle anywhere, a diamond at a corner (course 6.2)."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, check_derivatives, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course import lasso, linear, ridge, verify

TITLE = "The circle and the diamond"
SECTION = "6.2"

T = 1.0  # the budget of both: θᵀθ ≤ T and |θ₁| + |θ₂| ≤ T
DIAMOND = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])  # its corners where T = 1
FRAME = ((-1.5, 2.6), (-1.5, 1.9))  # of θ₁ and θ₂


@in_float64
def run(quick: bool) -> Result:
    """Ridge by its budget and the penalty found for it; the lasso by the penalty that ends in the corner."""
    points, penalties = (120, 60) if quick else (240, 400)
    X, y = _data()
    least_squares = np.asarray(linear.fit(X, y).check().theta)
    on_circle = ridge.constrained(X, y, budget=T)
    by_ridge = ridge.fit(X, y, penalty=on_circle.penalty).check()
    corner_penalty = 2 * X[:, 0] @ (y - T * X[:, 0])  # which makes the slope along θ₁ 0 at (T, 0)
    falling = np.linspace(float(lasso.largest_penalty(X, y)), 1e-6, penalties)  # between knots the lasso is linear
    falling = np.sort(np.append(falling, corner_penalty))[::-1]
    of_lasso, corner = lasso.path(X, y, falling).check(), int(np.argmax(falling == corner_penalty))
    by_lasso = jax.device_get(of_lasso[corner])
    touching = {"ridge": np.asarray(on_circle.theta), "lasso": by_lasso.theta}
    paths = {
        "ridge": np.asarray(ridge.path(X, y, np.geomspace(1e4, 1e-6, penalties))),
        "lasso": np.asarray(of_lasso.theta),
    }
    alone = float(np.max(np.abs(of_lasso.theta[:, 0])[of_lasso.theta[:, 1] == 0]))
    share, differing = _corners(X, 10 * points, points)
    return Result(
        {
            "touching": Picture(
                _touching(X, y, least_squares, touching, paths, points),
                "The level curves of ‖y − Xθ‖² around least squares, and the first of them (orange) to touch what the "
                f"budget t = {T:g} allows; dotted, where they touch as t grows. On the circle −∇J is the normal; the "
                "diamond is touched at its corner, where θ₂ is exactly 0. So it is for every minimum in the shaded "
                f"strips, which are {share:.0%} of this frame outside the diamond.",
            ),
            "budget": Picture(
                _against_budget(paths),
                "Both parameters against the budget, up to that of least squares. The lasso keeps θ₂ at exactly 0 "
                f"until t is above {alone:.1f}; ridge has both from the start (slip E 7 of the printed course).",
            ),
        },
        {
            "least squares": least_squares.tolist(),
            "penalties": {"ridge": float(on_circle.penalty), "lasso": float(corner_penalty)},
            "at the budget": {name: theta.tolist() for name, theta in touching.items()},
            "share of the minima that end in a corner": share,
        },
        (
            *check_derivatives("ridge", ridge, by_ridge.theta, X, y, penalty=on_circle.penalty),
            _doctor(X, y, corner_penalty),
            *_on_circle(X, y, touching["ridge"], by_ridge.theta, points),
            *_on_diamond(X, y, by_lasso, corner_penalty, points),
            Check("corners: share of minima whose edge, tried out, says otherwise", differing, differing < 2 / points),
        ),
        (
            fitted("ridge", "two features, 40 examples", f"θᵀθ = {np.sum(np.square(by_ridge.theta)):.6f}", by_ridge),
            fitted("lasso", "two features, 40 examples", f"Σ|θ| = {np.sum(np.abs(by_lasso.theta)):.6f}", by_lasso),
        ),
    )  # fmt: skip


def _data():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((40, 2)) @ np.array([[1.0, 0.35], [0.0, 0.75]])
    return X, X @ np.array([1.6, 0.6]) + 0.5 * rng.standard_normal(40)


def _costs(thetas, X, y):
    return np.sum((thetas @ X.T - y) ** 2, axis=-1)


def _circle(points):
    angle = np.linspace(0, 2 * np.pi, points)
    return np.sqrt(T) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _diamond(points):
    """Its edge, with a corner every `points` places."""
    share, corners = np.arange(points)[:, None] / points, T * DIAMOND
    return np.concatenate([(1 - share) * corners[i] + share * corners[(i + 1) % 4] for i in range(4)])


def _doctor(X, y, penalty):
    theta = np.array([0.7, -0.4])  # where no parameter is 0 the cost has a gradient
    report = verify.derivatives(lasso.cost, theta, X, y, gradient=lasso.subgradient, penalty=penalty)
    errors = [witness.error for witness in report.witnesses if "autodiff" in witness.name]
    return Check("lasso.subgradient where no parameter is 0", max(errors), report.ok is True)


def _on_circle(X, y, theta, by_ridge, points):
    gradient = np.asarray(jax.jit(linear.gradient)(theta, X, y))
    budget, outward, distance = float(abs(theta @ theta / T - 1)), theta / np.sqrt(T), apart(by_ridge, theta)
    slanted = float(np.linalg.norm(-gradient / np.linalg.norm(gradient) - outward))
    return (
        Check("circle: θᵀθ = t", budget, budget < 1e-12),
        Check("circle: constrained = the ridge solution at the penalty found", distance, distance < 1e-12),
        Check("circle: −∇J is its normal at the touching point", slanted, slanted < 1e-12),
        _none_better("circle", theta, _circle(4 * points), X, y, points),
    )


def _on_diamond(X, y, solution, penalty, points):
    theta, slope = solution.theta, solution.gradient_norm / penalty
    budget = float(abs(np.sum(np.abs(theta)) / T - 1))
    gap = float(jax.jit(lasso.duality_gap)(theta, X, y, penalty=penalty) / solution.cost)
    return (
        Check("diamond: |θ₁| + |θ₂| = t", budget, budget < 1e-12),
        Check("diamond: θ₂ is exactly 0", float(abs(theta[1])), float(theta[1]) == 0),
        Check("diamond: the shortest subgradient is 0", float(slope), float(slope) < 1e-12),
        Check("diamond: duality gap", gap, gap < 1e-8),
        _none_better("diamond", theta, _diamond(points), X, y, points),
    )


def _none_better(name, theta, edge, X, y, points):
    """Over a grid of the whole inside, the edge shrunk step by step to 0."""
    inside = (np.linspace(0, 1, points)[:, None, None] * edge).reshape(-1, 2)
    better = max(0.0, 1 - float(np.min(_costs(inside, X, y)) / _costs(theta, X, y)))
    return Check(f"{name}: of {len(inside):,} points inside none is better", better, better < 1e-12)


def _depth(minima, X):
    """Above 0 where −∇J at a corner points between the normals of its two edges, for minima (…, 2)."""
    pull = (minima[..., None, :] - T * DIAMOND) @ (X.T @ X)
    return np.max(np.sum(pull * DIAMOND, axis=-1) - np.abs(np.sum(pull * DIAMOND[:, ::-1], axis=-1)), axis=-1)


def _corners(X, draws, points):
    """Of minima in the frame outside the diamond: the share that end in a corner, and that where its edge differs."""
    edge, (low, high) = _diamond(points), np.transpose(FRAME)
    minima = np.random.default_rng(2).uniform(low, high, (draws, 2))
    minima = minima[np.sum(np.abs(minima), axis=1) > T]
    costs = np.sum(((minima[:, None, :] - edge) @ np.linalg.cholesky(X.T @ X)) ** 2, axis=-1)
    in_strips, at_corner = _depth(minima, X) >= 0, np.argmin(costs, axis=1) % points == 0
    return float(np.mean(in_strips)), float(np.mean(in_strips != at_corner))


def _touching(X, y, minimum, solutions, paths, points):
    figure, axes = plt.subplots(1, 2, figsize=(11, 5), sharey=True, layout="constrained")
    sides = [np.linspace(*reach, points) for reach in FRAME]
    grid = np.stack(np.meshgrid(*sides), axis=-1)
    J = _costs(grid, X, y)
    shapes = {"ridge": _circle(200), "lasso": T * DIAMOND}
    names = {"ridge": "ridge: θᵀθ ≤ t", "lasso": "lasso: |θ₁| + |θ₂| ≤ t"}
    axes[1].contourf(*sides, _depth(grid, X), levels=[0, np.inf], colors=[MUTED], alpha=0.2)
    for axis, (name, theta) in zip(axes, solutions.items(), strict=True):
        least, touched = (float(_costs(at, X, y)) for at in (minimum, theta))
        levels = least + (touched - least) * np.array([0.04, 0.2, 0.5, 1.8, 3.0, 4.6])
        axis.contour(*sides, J, levels=levels, colors=MUTED, linewidths=0.8)
        axis.contour(*sides, J, levels=[touched], colors=CLASSES[4], linewidths=2)
        axis.fill(*shapes[name].T, facecolor=(DATA, 0.25), edgecolor=DATA, lw=1.5)
        axis.plot([*FRAME[0], np.nan, 0, 0], [0, 0, np.nan, *FRAME[1]], color=MUTED, lw=0.8)
        axis.plot(*paths[name].T, ":", color=FIT, lw=1.5)
        axis.plot(*minimum, "o", color=TRUTH, label="least squares")
        axis.plot(*theta, "o", color=FIT, label=f"({theta[0]:.2g}, {theta[1]:.2g})")
        downhill = -2 * X.T @ (X @ theta - y)
        end = theta + 0.6 * downhill / np.linalg.norm(downhill)
        axis.annotate("", end, theta, arrowprops={"arrowstyle": "->", "color": FIT, "lw": 2})
        axis.annotate("−∇J", end, (0, 5), textcoords="offset points", color=FIT, ha="right",
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})  # fmt: skip
        axis.set(xlabel="θ₁", aspect="equal", xlim=FRAME[0], ylim=FRAME[1], title=names[name])
        axis.grid(False)
        axis.legend(loc="lower left")
    axes[0].set_ylabel("θ₂")
    return figure


def _against_budget(paths):
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    budgets = {"ridge": ("θᵀθ", np.square), "lasso": ("|θ₁| + |θ₂|", np.abs)}
    for axis, (name, (label, of)) in zip(axes, budgets.items(), strict=True):
        thetas = paths[name]
        axis.set_prop_cycle(color=CLASSES)
        axis.plot(np.sum(of(thetas), axis=1), thetas, label=["θ₁", "θ₂"])
        axis.axhline(0, color=MUTED, lw=0.8)
        axis.axvline(T, color=MUTED, lw=1, ls="--")
        axis.set(xlabel=f"budget t = {label}", title=name)
    axes[0].set_ylabel("parameter")
    axes[0].legend()
    return figure
