r"""Penalties chosen by gradient instead of a grid: one, one for each column, two settings of a kernel (6.1, 6.5, 8.4).

The error of leaving one out of ridge regression, with A = XᵀX + diag(p) and G = XA⁻¹, and its slope by hand:

    E = (1/m) Σ e²,  e_i = (y − Xθ)_i / (1 − h_i),  θ = A⁻¹Xᵀy,  h_i = (GXᵀ)_ii
    ∂E/∂p_j = (2/m) Σ_i e_i (G_ij θ_j − e_i G_ij²) / (1 − h_i)

A grid of 50 values for each of 65 penalties has 50⁶⁵ points; the gradient has 65 numbers. But many penalties can fit
the error by which they are chosen. So the error on folds that have no part in the choice is measured as well.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from experiments.lab.result import Check, Picture, Result, apart, fitted, in_float64
from experiments.lab.style import DATA, FIT, MUTED, SECOND
from jax_course import data, features, kernel, logistic, metrics, ridge
from jax_course.optimization import lbfgs

TITLE = "Penalties chosen by gradient"
SECTION = "6.1, 6.5, 8.4"
FOLDS = 10
PENALTIES = np.logspace(-2, 5, 50)
SIGMA = 0.25


class Descent(NamedTuple):
    """The logarithms of the settings and the cost after each step, the first and the last gradient, the calls."""

    path: np.ndarray
    costs: np.ndarray
    slopes: tuple[np.ndarray, np.ndarray]
    calls: int


class Choice(NamedTuple):
    """Settings chosen by gradient, beside the cost on a grid of them; the first gradient by differences."""

    grid: tuple[np.ndarray, ...]
    costs: np.ndarray
    found: Descent
    differences: np.ndarray


@in_float64
def run(quick: bool) -> Result:
    """Ridge regression on diabetes with its squares and products (quick mode: without), logistic, a kernel."""
    table = data.table("diabetes")
    y, columns = np.asarray(table.y), np.asarray(table.X if quick else features.polynomial(table.X, degree=2)[:, 1:])
    X, d, w = _standardized(columns, columns), columns.shape[1], np.ones(len(y))
    timed = partial(_timed, calls=1 if quick else 2)
    by_grid, *of_grid = timed(lambda: np.asarray(ridge.leave_one_out(X, y, PENALTIES, factors=_factors(np.ones(d)))))
    least = float(np.min(by_grid))
    one, *of_one = timed(lambda: _one_penalty(X, y, w))
    each, *of_each = timed(lambda: _penalty_for_each(X, y, w, one.path[-1]))
    fold_of_each = np.random.default_rng(0).permutation(len(y)) % FOLDS
    folds = [fold_of_each == fold for fold in range(1 if quick else FOLDS)]
    outside_one, outside_each = _on_folds(columns, y, folds)
    (by_validation, solution), of_kernel = _logistic(quick), _kernel(quick)
    numbers = {
        "columns": d,
        "leave-one-out error, best of 50 penalties": least,
        "leave-one-out error, one penalty": float(one.costs[-1]),
        "leave-one-out error, a penalty for each column": float(each.costs[-1]),
        "error on other folds, one penalty": outside_one,
        "error on other folds, a penalty for each column": float(outside_each[-1]),
        "steps and gradients, one penalty": [len(one.path) - 1, one.calls],
        "steps and gradients, a penalty for each column": [len(each.path) - 1, each.calls],
        "seconds of the CPU, first call and a later one": {
            "50 penalties": of_grid,
            "one penalty": of_one,
            "a penalty for each column": of_each,
        },
        **({} if quick else {"a penalty for each column, by lbfgs": _by_lbfgs(X, y, w, each.path[0])}),
        "penalty of the logistic regression": float(np.exp(by_validation.found.path[-1, 0])),
        "λ and δ² of the kernel": np.exp(of_kernel.found.path[-1]).tolist(),
    }
    of_validation = f"log-loss {by_validation.found.costs[-1]:.3f} of validation"
    return Result(
        {
            "choice": Picture(
                _draw(by_grid, one, each, outside_each, by_validation, of_kernel),
                f"Top: ridge regression on diabetes, {d} columns. Left, one penalty for all of them. Right, a penalty "
                "for each, along the steps of L-BFGS: the error of leaving one out falls far below that of the best "
                "single penalty, for so many penalties can fit the error that chooses them. On examples that have no "
                f"part in the choice ({len(folds)} of {FOLDS} folds) they end at {outside_each[-1]:,.0f}, a single "
                f"penalty at {outside_one:,.0f}. Bottom left: the penalty of a logistic regression, by the log-loss "
                "on examples put aside. Bottom right: λ and δ² of a kernel together, by leaving one out, from the best "
                "of a coarse grid: there are two minima, and a gradient knows the nearer one only.",
            )
        },
        numbers,
        (
            _agree(
                "ridge: ∂E/∂log p by hand, at both ends", each.slopes, [_slope(u, X, y) for u in each.path[[0, -1]]]
            ),
            *_ended("ridge, one penalty", one, least),
            *_ended("ridge, a penalty for each column", each, least),
            _agree("logistic: the slope by differences", by_validation.found.slopes[0], by_validation.differences),
            *_ended("logistic", by_validation.found, np.min(by_validation.costs)),
            _agree("kernel: the gradient by differences", of_kernel.found.slopes[0], of_kernel.differences),
            *_ended("kernel", of_kernel.found, np.min(of_kernel.costs)),
        ),
        (fitted("logistic", "breast cancer, 426 × 31", of_validation, solution),),
    )


@jax.jit
@jax.value_and_grad
def left_out(u, X, y, w):
    """The error of leaving one out and its gradient by u, the logarithms of the penalties of all but the bias."""
    return ridge.leave_one_out(X, y, jnp.ones(1), factors=_factors(jnp.exp(u)), weights=w)[0]


def _factors(penalties):
    return jnp.concatenate([jnp.zeros(1), penalties])


def _standardized(columns, of):
    """Columns of mean 0 and deviation 1 in `of`, behind a bias."""
    return np.column_stack([np.ones(len(columns)), (columns - of.mean(axis=0)) / of.std(axis=0)])


def _timed(compute, calls):
    """What is computed, and the seconds of the CPU that each call takes."""
    seconds = []
    for _ in range(calls):
        started = time.process_time()
        found = compute()
        seconds.append(time.process_time() - started)
    return found, *seconds


def _descend(value_and_gradient: Callable[[Any], Any], start: np.ndarray) -> Descent:
    """L-BFGS of SciPy, which calls a compiled gradient: the whole search in one program takes longer to compile."""
    path, slopes = [], []

    def both(u):
        value, gradient = value_and_gradient(u)
        slopes.append(np.asarray(gradient))
        if not path:
            path.append((u.copy(), float(value)))
        return float(value), slopes[-1]

    def keep(intermediate_result):
        path.append((intermediate_result.x.copy(), float(intermediate_result.fun)))

    first = np.max(np.abs(value_and_gradient(start)[1]))
    tolerances = {"gtol": 1e-3 * float(first), "ftol": 1e-12}
    found = minimize(both, start, jac=True, method="L-BFGS-B", callback=keep, options=tolerances)
    points, costs = map(np.array, zip(*path, strict=True))
    return Descent(points, costs, (slopes[0], np.asarray(found.jac)), int(found.nfev))


def _one_penalty(X, y, w):
    """One penalty for all columns, from 1: its slope is the sum of the others'."""

    def tied(u):
        value, gradient = left_out(np.full(X.shape[1] - 1, u), X, y, w)
        return value, jnp.sum(gradient)[None]

    return _descend(tied, np.zeros(1))


def _penalty_for_each(X, y, w, start):
    """A penalty for each column, from the same for all."""
    return _descend(lambda u: left_out(u, X, y, w), np.full(X.shape[1] - 1, start))


def _by_lbfgs(X, y, w, start):
    """The same search by the package's solver, as one program."""
    search = jax.jit(lambda u: lbfgs(lambda u: left_out(u, X, y, w)[0], u, tolerance=1e-2, max_steps=200))
    found, *seconds = _timed(lambda: jax.block_until_ready(search(start)), calls=2)
    return {"leave-one-out error": float(found.cost), "steps": int(found.steps), "seconds": seconds}


def _slope(u, X, y):
    """∂E/∂log p by hand."""
    p = np.exp(u)
    G = X @ np.linalg.inv(X.T @ X + np.diag(np.append(0.0, p)))
    theta, one_minus_h = G.T @ y, 1 - np.sum(G * X, axis=1)
    e = (y - X @ theta) / one_minus_h
    by_penalty = 2 / len(y) * (e / one_minus_h) @ (G * theta - e[:, None] * G**2)
    return p * by_penalty[1:]


def _on_folds(columns, y, folds):
    """The mean squared error on folds, of one penalty, and of a penalty for each column after each step.

    Each choice is made, by leaving one out, from the examples outside of its fold.
    """
    of_one, of_each = [], []
    for fold in folds:
        X = _standardized(columns, columns[~fold])

        def error(u, X=X, fold=fold):
            penalties = np.append(0.0, np.exp(np.broadcast_to(u, X.shape[1] - 1)))
            rest, y_rest = X[~fold], y[~fold]
            theta = np.linalg.solve(rest.T @ rest + np.diag(penalties), rest.T @ y_rest)
            return np.mean((y - X @ theta)[fold] ** 2)

        one = _one_penalty(X, y, 1.0 - fold).path[-1]
        of_one.append(error(one))
        of_each.append([error(u) for u in _penalty_for_each(X, y, 1.0 - fold, one).path])
    longest = max(map(len, of_each))
    each_ended = [errors + errors[-1:] * (longest - len(errors)) for errors in of_each]
    return float(np.mean(of_one)), np.mean(each_ended, axis=0)


def _logistic(quick):
    """The penalty of a logistic regression by the log-loss on examples that are put aside."""
    table = data.table("breast_cancer")
    Z, y = np.asarray(table.X), np.asarray(table.y)
    rest, aside = np.split(np.random.default_rng(0).permutation(len(y)), [426])
    X, X_aside = (_standardized(Z[rows], Z[rest]) for rows in (rest, aside))
    y, y_aside = y[rest], y[aside]
    free = np.append(0.0, np.ones(X.shape[1] - 1))

    @jax.jit
    def log_loss(theta):
        return metrics.log_loss(y_aside, logistic.predict(theta, X_aside))

    # the fit is not inside of a `jax.jit`: outside, only its stages that these data need are compiled
    @jax.value_and_grad
    def cost(u):
        return log_loss(logistic.fit(X, y, penalty=free * jnp.exp(u)).theta)

    grid = np.logspace(-2, 3, 6 if quick else 50)
    costs = np.array([float(cost(np.log(p))[0]) for p in grid[:, None]])
    found = _descend(cost, np.log([100.0]))
    solution = logistic.fit(X, y, penalty=free * np.exp(found.path[-1]))
    return Choice((grid,), costs, found, _differences(cost, found.path[0])), solution


def _kernel(quick):
    """λ and δ² of one kernel on each example, by leaving one out."""
    rng = np.random.default_rng(4)
    x = (np.arange(40) + rng.uniform(0, 1, 40)) / 20 - 1
    X, y = x[:, None], np.sin(4 * x) * np.exp(-x) / 1.5 + SIGMA * rng.standard_normal(40)

    @jax.jit
    @jax.value_and_grad
    def cost(u):
        return kernel.leave_one_out(X, y, scales=jnp.exp(u[:1]), penalties=jnp.exp(u[1:]))[0, 0]

    count = 15 if quick else 60
    grid = np.geomspace(0.05, 20, count), np.geomspace(1e-4, 1, count)
    costs = np.asarray(kernel.leave_one_out(X, y, scales=grid[0], penalties=grid[1]))
    # there are two minima, and a gradient knows the nearer one only: the start is the best point of a coarse grid
    few = _coarse(count)
    best = np.unravel_index(np.argmin(costs[few, few]), (3, 3))
    found = _descend(cost, np.log([values[few][i] for values, i in zip(grid, best, strict=True)]))
    return Choice(grid, costs, found, _differences(cost, found.path[0]))


def _coarse(count):
    """Three places of a grid, inside."""
    return slice(count // 6, None, count // 3)


def _differences(value_and_gradient, u, h=1e-3):
    """The gradient by central differences of fourth order."""

    def along(e, k):
        ahead, behind = (float(value_and_gradient(jnp.asarray(u + step * e))[0]) for step in (k * h, -k * h))
        return (ahead - behind) / (12 * h)

    return np.array([sum(c * along(e, k) for k, c in ((1, 8), (2, -1))) for e in np.eye(len(u))])


def _agree(claim, found, expected):
    error = apart(found, expected)
    return Check(claim, error, error < 1e-7)


def _ended(name, found, least):
    """That the gradient at the end is small beside the first, and the cost not above the least of the grid."""
    first, last = (float(np.max(np.abs(slope))) for slope in found.slopes)
    above = float(found.costs[-1] / least - 1)
    return (
        Check(f"{name}: the last gradient, in units of the first", last / first, last < 1e-3 * first),
        Check(f"{name}: the cost is not above the least of the grid", max(0.0, above), above <= 0),
    )


def _draw(by_grid, one, each, on_folds, by_validation, of_kernel):
    figure, ((single, several), (validation, two)) = plt.subplots(2, 2, figsize=(11, 8.4), layout="constrained")
    single.plot(PENALTIES, by_grid, color=DATA, label="grid of 50")
    single.plot(np.exp(one.path[:, 0]), one.costs, "o", color=FIT, ms=5, label=f"{len(one.path) - 1} steps by gradient")
    single.set(xscale="log", xlabel="penalty δ²", ylabel="mean squared error", title="One penalty: leaving one out")
    single.legend()
    steps = np.arange(len(each.path))
    several.plot(steps, each.costs, color=FIT, label="leaving one out, by which it is chosen")
    several.plot(np.arange(len(on_folds)), on_folds, color=SECOND, label="folds that have no part in the choice")
    several.set(xlabel="step, from one penalty for all", ylabel="mean squared error", title="A penalty for each column")
    several.legend()
    chosen = by_validation.found
    validation.plot(by_validation.grid[0], by_validation.costs, color=DATA, label=f"grid of {len(by_validation.costs)}")
    validation.plot(
        np.exp(chosen.path[:, 0]), chosen.costs, "o", color=FIT, ms=5, label=f"{len(chosen.path) - 1} steps by gradient"
    )
    validation.set(xscale="log", xlabel="penalty δ²", ylabel="log-loss of validation", title="Logistic regression")
    validation.legend()
    chosen = of_kernel.found
    error = np.sqrt(of_kernel.costs).T
    levels = np.min(error) * np.array([1.005, 1.02, 1.05, 1.1, 1.2, 1.4, 1.7, 2.2])
    lines = two.contour(*of_kernel.grid, error, levels, colors=MUTED, linewidths=0.8)
    two.clabel(lines, lines.levels[1::2], fmt="%.2f", fontsize="small")
    few = _coarse(len(error))
    two.plot(
        *np.meshgrid(*(values[few] for values in of_kernel.grid)),
        "o",
        color=DATA,
        ms=4,
        label=["grid of 9", None, None],
    )
    two.plot(*np.exp(chosen.path.T), "o-", color=FIT, ms=4, lw=1.2, label=f"{len(chosen.path) - 1} steps by gradient")
    two.set(
        xscale="log",
        yscale="log",
        xlabel="size λ",
        ylabel="penalty δ²",
        title="Kernel: root of the leave-one-out error",
    )
    two.legend(loc="upper right", fontsize="small", frameon=True, framealpha=0.9, edgecolor="none")
    return figure
