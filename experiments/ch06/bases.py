"""A curve is still linear regression: on the features φ(x) in place of x (course 6.3, 6.4)."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, check_derivatives, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, SECOND, TRUTH
from jax_course import features, kernel, linear

TITLE = "Basis functions: parabola, surface, mixed, RBF"
SECTION = "6.3"

M = 60
BUMPS, THREE = np.array([[-0.5], [0.6]]), np.array([[1.0], [2.0], [3.0]])
NARROW, WIDE = 0.03, 1.0  # λ of the two bumps and of the three bases


class Problem(NamedTuple):
    """y = φ(x)θ + noise, x uniform between low and high in each of d dimensions."""

    phi: Callable
    theta: np.ndarray
    low: float
    high: float
    d: int
    noise: float


@partial(jax.jit, static_argnames="degree")
def _beside(X, degree, centers, scale):
    """The polynomials up to a degree, and a kernel at each centre."""
    polynomial = partial(features.polynomial, degree=degree)
    return features.concatenate(polynomial, partial(features.rbf, centers=centers, scale=scale))(X)


def mixed(X):
    """[1, x, x², k(x, μ₁), k(x, μ₂)]."""
    return _beside(X, 2, BUMPS, NARROW)


def bumps_with_bias(X):
    """[1, k(x, μ₁), k(x, μ₂)]."""
    return _beside(X, 0, BUMPS, NARROW)


def three_with_bias(X):
    """[1, k(x, μ₁), k(x, μ₂), k(x, μ₃)]."""
    return _beside(X, 0, THREE, WIDE)


quadratic = jax.jit(partial(features.polynomial, degree=2))

PROBLEMS = {
    "parabola": Problem(quadratic, np.array([1.0, -1.0, 2.0]), -1, 1, 1, 0.3),
    "surface": Problem(quadratic, np.array([0.5, 1.0, -0.5, -1.0, 1.0, 1.5]), -1, 1, 2, 0.3),
    "mixed": Problem(mixed, np.array([0.4, 0.5, -1.0, 1.2, -0.9]), -1, 1, 1, 0.15),
    "three RBFs": Problem(three_with_bias, np.array([0.5, 1.0, -1.5, 1.2]), -1, 5, 1, 0.1),
}


@in_float64
def run(quick: bool) -> Result:
    """Four bases and one way to fit them all: least squares on their columns."""
    examples = {name: _examples(problem, seed) for seed, (name, problem) in enumerate(PROBLEMS.items())}
    fits = {name: linear.fit(PROBLEMS[name].phi(X), y).check() for name, (X, y) in examples.items()}
    x, y = examples["mixed"]
    alone = {"parabola": linear.fit(quadratic(x), y), "kernels": linear.fit(bumps_with_bias(x), y)}
    share = float(fits["mixed"].cost) / min(float(solution.cost) for solution in alone.values())
    noise = {name: (float(fit.cost) / (M - len(fit.theta))) ** 0.5 for name, fit in fits.items()}
    return Result(
        {
            "polynomials": Picture(
                _polynomials(examples, fits),
                "ŷ = φ(x)θ. With φ = [1, x, x²] the line becomes a parabola; with [1, x₁, x₂, x₁², x₂², x₁x₂] the "
                "plane becomes a surface, here a saddle. In θ both are as linear as before, and fitted as before.",
            ),
            "mixed": Picture(
                _mixed(x, y, fits["mixed"], alone),
                "Mixed bases. A parabola bends the whole curve, a kernel k(x, μ) only what is near its μ: neither fits "
                "alone (left). Side by side in one φ they share the work as least squares finds best (right).",
            ),
            "three": Picture(
                _three(*examples["three RBFs"], fits["three RBFs"]),
                f"Three bases k(x, μ) at μ = {', '.join(_names(THREE))}, each times its θ, and the bias: their sum is "
                "the fit. A θ below 0 turns its bell over; far from all three μ the bias is all that is left.",
            ),
        },
        {
            name: {"theta": fit.theta.tolist(), "truth": PROBLEMS[name].theta.tolist(), "noise": noise[name]}
            for name, fit in fits.items()
        },
        (
            *check_derivatives("linear", linear, fits["mixed"].theta, mixed(x), y),
            *_written_out(examples),
            *_solved(examples, fits),
            Check("mixed bases: cost, in costs of the better half alone", share, share < 0.5),
        ),
        tuple(
            fitted("linear", f"{name}, {M} examples", f"noise {noise[name]:.2f} of {PROBLEMS[name].noise:.2f}", fit)
            for name, fit in fits.items()
        ),
    )


def _examples(problem, seed):
    rng = np.random.default_rng([63, seed])
    X = rng.uniform(problem.low, problem.high, (M, problem.d))
    return X, np.asarray(problem.phi(X)) @ problem.theta + problem.noise * rng.standard_normal(M)


def _written_out(examples):
    """The columns of φ one after the other, as the course has them."""
    x, x1, x2, z = (c for of in ("mixed", "surface", "three RBFs") for c in examples[of][0].T)
    k_mixed = [np.exp(-((x - mu) ** 2) / NARROW) for mu in BUMPS[:, 0]]
    k_three = [np.exp(-((z - mu) ** 2) / WIDE) for mu in THREE[:, 0]]
    for name, formula, columns in (
        ("surface", "[1, x₁, x₂, x₁², x₂², x₁x₂]", (x1**0, x1, x2, x1**2, x2**2, x1 * x2)),
        ("mixed", f"[1, x, x², {_kernels(BUMPS)}]", (x**0, x, x**2, *k_mixed)),
        ("three RBFs", f"[1, {_kernels(THREE)}]", (z**0, *k_three)),
    ):
        Phi = PROBLEMS[name].phi(examples[name][0])
        yield _same(f"φ = {formula}, column by column", Phi, np.stack(columns, axis=1), 1e-13)


def _names(centers):
    return [f"{mu:g}".replace("-", "−") for mu in centers[:, 0]]


def _kernels(centers):
    return ", ".join(f"k(x, {mu})" for mu in _names(centers))


def _solved(examples, fits):
    for name, (X, y) in examples.items():
        Phi, truth = np.asarray(PROBLEMS[name].phi(X)), PROBLEMS[name].theta
        yield _same(f"{name}: θ = (ΦᵀΦ)⁻¹Φᵀy", fits[name].theta, np.linalg.solve(Phi.T @ Phi, Phi.T @ y), 1e-11)
        yield _same(f"{name}: without noise the fit is the truth", linear.fit(Phi, Phi @ truth).theta, truth, 1e-11)
    X, y = examples["three RBFs"]
    Phi, delta2 = np.asarray(three_with_bias(X))[:, 1:], 0.5
    by_ridge = kernel.fit_on_centers(X, y, centers=THREE, scale=WIDE, penalty=delta2).check().theta
    by_hand = np.linalg.solve(Phi.T @ Phi + delta2 * np.eye(3), Phi.T @ y)
    yield _same("three RBFs by ridge: θ = (ΦᵀΦ + δ²I)⁻¹Φᵀy", by_ridge, by_hand, 1e-11)


def _same(claim, a, b, limit):
    error = float(np.max(np.abs(np.asarray(a) - b)) / np.max(np.abs(b)))
    return Check(claim, error, error < limit)


def _curve(axes, problem, x, y, theta):
    """The examples, the truth and the fit in one x; the grid that they are drawn on."""
    grid = np.linspace(problem.low, problem.high, 300)[:, None]
    Phi = np.asarray(problem.phi(grid))
    axes.plot(x[:, 0], y, "o", color=DATA, ms=4, label="examples")
    axes.plot(grid, Phi @ problem.theta, "--", color=TRUTH, label="truth")
    axes.plot(grid, Phi @ np.asarray(theta), color=FIT, lw=2, label="fit")
    axes.set(xlabel="x", ylabel="y")
    return grid


def _formula(theta, names):
    signed = [f"{'+−'[value < 0]} {abs(value):.2f}{name}" for value, name in zip(theta.tolist(), names, strict=True)]
    return "ŷ = " + " ".join(signed).removeprefix("+ ")


def _polynomials(examples, fits):
    figure = plt.figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
    _curve(left, PROBLEMS["parabola"], *examples["parabola"], theta=fits["parabola"].theta)
    left.set_title(_formula(fits["parabola"].theta, ("", "x", "x²")))
    left.legend()
    X, y, theta = (np.asarray(of) for of in (*examples["surface"], fits["surface"].theta))
    low, high = PROBLEMS["surface"].low, PROBLEMS["surface"].high
    grid = np.mgrid[low:high:25j, low:high:25j][::-1]
    surface = (np.asarray(quadratic(grid.reshape(2, -1).T)) @ theta).reshape(25, 25)
    right.plot_surface(grid[0], grid[1], surface, color=FIT, alpha=0.35)
    for (a, b), predicted, observed in zip(X, np.asarray(quadratic(X)) @ theta, y, strict=True):
        right.plot([a, a], [b, b], [predicted, observed], color=MUTED, lw=1)
    right.plot(X[:, 0], X[:, 1], y, "o", color=DATA, ms=4)
    right.set(xlabel="x₁", ylabel="x₂", zlabel="y", xticks=(low, 0, high), yticks=(low, 0, high),
              title=_formula(theta, ("", "x₁", "x₂", "x₁²", "x₂²", "x₁x₂")))  # fmt: skip
    right.view_init(elev=24, azim=-60)
    right.set_box_aspect((4, 4, 3))
    return figure


def _mixed(x, y, together, alone):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    grid = _curve(right, PROBLEMS["mixed"], x, y, together.theta)
    left.plot(x[:, 0], y, "o", color=DATA, ms=4, label="examples")
    theta, Phi = np.asarray(together.theta), np.asarray(mixed(grid))
    for (name, solution), phi, part, color in zip(
        alone.items(), (quadratic, bumps_with_bias), (slice(0, 3), slice(3, 5)), (SECOND, CLASSES[4]), strict=True
    ):
        fit = np.asarray(phi(grid)) @ np.asarray(solution.theta)
        left.plot(grid, fit, color=color, lw=2, label=f"{name} alone: J = {solution.cost:.1f}")
        right.plot(grid, Phi[:, part] @ theta[part], ":", color=color, lw=1.5, label=f"its {name}")
    left.set(xlabel="x", ylabel="y", title="[1, x, x²], and [1, k(x, μ₁), k(x, μ₂)]")
    right.set(ylabel="", title=f"[1, x, x², k(x, μ₁), k(x, μ₂)]: J = {together.cost:.1f}")
    left.legend(fontsize="small")
    right.legend(fontsize="small", ncols=2)
    return figure


def _three(x, y, solution):
    figure, axes = plt.subplots(figsize=(8, 4.4))
    grid = _curve(axes, PROBLEMS["three RBFs"], x, y, solution.theta)
    bias, *thetas = solution.theta.tolist()
    axes.axhline(bias, color=MUTED, lw=1, ls=":", label=f"θ₀ = {bias:.2f}")
    columns = np.asarray(three_with_bias(grid))[:, 1:].T
    for center, mu, theta, column, color in zip(
        THREE[:, 0], _names(THREE), thetas, columns, (SECOND, *CLASSES[4:]), strict=True
    ):
        axes.plot(grid, theta * column, color=color, lw=1.2, label=f"{theta:.2f} k(x, {mu})".replace("-", "−"))
        axes.axvline(float(center), color=color, lw=0.6, ls="--")
    terms = " + ".join(f"θ{'₁₂₃'[n]}k(x, {mu})" for n, mu in enumerate(_names(THREE)))
    axes.set_title(f"ŷ = θ₀ + {terms},  λ = {WIDE:g}")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
