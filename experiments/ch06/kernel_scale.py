"""The size λ of the kernels: too small, right, too large, chosen by leaving one out in closed form (course 6.5)."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.interactive import kernel_size
from experiments.lab.result import Check, Picture, Result, check_derivatives, fitted, in_float64
from experiments.lab.style import DATA, FIT, MUTED, TRUTH
from jax_course import kernel

TITLE = "The choice of the kernel size λ"
SECTION = "6.5"

M, SIGMA = 40, 0.25
DELTA2 = 0.1
SMALL, LARGE = 5e-4, 5.0  # λ that are too small and too large
GRID = np.linspace(-1, 1, 400)[:, None]


@in_float64
def run(quick: bool) -> Result:
    """One kernel on each training point; at each λ of a grid every example is left out, from one eigendecomposition."""
    scales = np.geomspace(1e-4, 30, 61 if quick else 301)
    draws = 400 if quick else 4_000
    X, y = _data()
    at = np.append(scales, [SMALL, LARGE])
    left_out = np.asarray(kernel.leave_one_out(X, y, scales=at, penalties=[DELTA2]))[:, 0]
    fits, deviations = map(np.asarray, _fits(X, y, at, DELTA2))
    loo = np.sqrt(left_out[:-2])
    measured = np.sqrt(np.mean((fits[:-2] - _truth(GRID[:, 0])) ** 2, axis=1) + SIGMA**2)
    chosen = int(np.argmin(loo))
    right = float(scales[chosen])
    solution = kernel.fit(X, y, scale=right, penalty=DELTA2).check()
    excess = float(measured[chosen] / np.min(measured) - 1)
    three = {"too small": -2, "chosen": chosen, "too large": -1}  # their places in `at`
    return Result(
        {
            "scale": Picture(
                _scale(X, y, {of: (at[i], fits[i], deviations[i]) for of, i in three.items()}, scales, loo, measured),
                f"One kernel on each of {M} examples. With too small a λ the fit knows nothing between them; with too "
                "large a λ it cannot bend, and even the band of ± 2 standard deviations misses the truth. Below, the "
                "error of leaving one out, which needs no truth, is least where the error on new examples is low too.",
            )
        },
        {
            "λ chosen by leaving one out": right,
            "λ of least error on new examples": float(scales[int(np.argmin(measured))]),
            "RMSE of leaving one out": float(loo[chosen]),
            "RMSE on new examples": float(measured[chosen]),
            "RMSE on new examples, λ too small": float(np.interp(SMALL, scales, measured)),
            "RMSE on new examples, λ too large": float(np.interp(LARGE, scales, measured)),
            "noise": SIGMA,
        },
        (
            *check_derivatives("kernel", kernel, solution.theta, X, y, scale=right, penalty=DELTA2),
            *_by_scale(X, y, solution, right),
            *(_left_out(X, y, of, at[i], left_out[i]) for of, i in three.items()),
            _variance(X, right),
            _coverage(X, right, draws),
            Check("λ chosen: error on new examples above the least possible, relative", excess, excess < 0.1),
        ),
        (fitted("kernel", f"a curve, {M} examples", f"λ = {right:.2f} by leaving one out", solution),),
        {"slider": _slider(X, y, scales, fits, deviations, loo, measured)},
    )


def _truth(x):
    return np.sin(4 * x) * np.exp(-x) / 1.5


def _data():
    rng = np.random.default_rng(4)
    x = (np.arange(M) + rng.uniform(0, 1, M)) * 2 / M - 1
    return x[:, None], _truth(x) + SIGMA * rng.standard_normal(M)


@jax.jit
def _fits(X, y, scales, delta2):
    """For each λ the fit on the grid and its standard deviation."""

    def of(scale):
        theta = kernel.fit(X, y, scale=scale, penalty=delta2).theta
        # of the height of f nothing is known beforehand: its most likely variance is yᵀ(K + δ²I)⁻¹y/m
        variance = kernel.predict_variance(GRID, centers=X, scale=scale, penalty=delta2) * (y @ theta / len(y))
        return kernel.predict(theta, GRID, centers=X, scale=scale), jnp.sqrt(variance)

    return jax.lax.map(of, scales)


def _slider(X, y, scales, fits, deviations, loo, measured):
    """The fit and its band at some 40 of the λ."""
    some, few = np.unique(np.linspace(0, len(scales) - 1, 41).astype(int)), slice(None, None, 3)
    x = GRID[few, 0]
    return kernel_size.draw(X[:, 0], y, x, _truth(x), scales[some], fits[some, few], deviations[some, few],
                            loo[some], measured[some])  # fmt: skip


def _by_scale(X, y, solution, scale):
    """The derivatives by λ, by hand, of θ = (K + δ²I)⁻¹y and of its cost, which is δ²θᵀy, against autodiff."""

    def least(scale):
        K = jnp.exp(-((X - X[:, 0][None, :]) ** 2) / scale)
        theta = jnp.linalg.solve(K + DELTA2 * jnp.eye(M), y)
        return DELTA2 * theta @ y, theta

    @jax.jit
    def both(theta, scale):
        by_hand = [
            of(theta, X, scale=scale, penalty=DELTA2) for of in (kernel.cost_scale_derivative, kernel.scale_derivative)
        ]
        return by_hand, jax.jvp(least, (scale,), (1.0,))

    by_hand, ((J, _), (dJ, dtheta)) = both(solution.theta, scale)
    return (
        _same("J at the fit = δ²θᵀy", solution.cost, J, 1e-12),
        _same("kernel.cost_scale_derivative", by_hand[0], dJ, 1e-10),
        _same("kernel.scale_derivative", by_hand[1], dtheta, 1e-10),
    )


def _same(claim, a, b, limit):
    error = float(np.max(np.abs(np.asarray(a) - b)) / np.max(np.abs(b)))
    return Check(claim, error, error < limit)


@jax.jit
def _refitted(X, y, others, scale, delta2):
    """The mean squared error of M fits, each to all examples but one."""

    def without(split):
        i, rest = split
        theta = kernel.fit(X[rest], y[rest], scale=scale, penalty=delta2).theta
        return y[i] - kernel.predict(theta, X[i][None, :], centers=X[rest], scale=scale)[0]

    # one after the other: at once, each with a K of its own, XLA's threads on a CPU can wait for each other for ever
    return jnp.mean(jax.lax.map(without, (jnp.arange(len(y)), others)) ** 2)


def _left_out(X, y, name, scale, closed):
    others = np.array([np.delete(np.arange(M), i) for i in range(M)])
    refitted = _refitted(X, y, others, scale, DELTA2)
    return _same(f"λ {name}: leaving one out in closed form = {M} fits without one", closed, refitted, 1e-10)


def _variance(X, scale):
    K, k = (np.exp(-((X - Z[:, 0]) ** 2) / scale) for Z in (X, GRID))
    by_hand = 1 - np.sum(k * np.linalg.solve(K + DELTA2 * np.eye(M), k), axis=0)
    variance = kernel.predict_variance(GRID, centers=X, scale=scale, penalty=DELTA2)
    return _same("kernel.predict_variance = 1 − kᵀ(K + δ²I)⁻¹k", variance, by_hand, 1e-11)


def _coverage(X, scale, draws):
    """Over functions with covariance k, drawn at the examples and at new points: the share in the 95 % band."""
    rng = np.random.default_rng(0)
    new = np.linspace(-1.5, 1.5, 7)[:, None]
    both = np.concatenate([X, new])
    factor = np.linalg.cholesky(np.exp(-((both - both[:, 0]) ** 2) / scale) + 1e-10 * np.eye(len(both)))
    F = rng.standard_normal((draws, len(both))) @ factor.T
    Y = F[:, :M] + np.sqrt(DELTA2) * rng.standard_normal((draws, M))

    @jax.jit
    def predictions(Y):
        def of(y):
            theta = kernel.fit(X, y, scale=scale, penalty=DELTA2).theta
            return kernel.predict(theta, new, centers=X, scale=scale)

        return jax.lax.map(of, Y), jnp.sqrt(kernel.predict_variance(new, centers=X, scale=scale, penalty=DELTA2))

    predicted, deviation = map(np.asarray, predictions(Y))
    share = np.mean(np.abs(F[:, M:] - predicted) < 1.959964 * deviation, axis=0)
    away = float(np.max(np.abs(share - 0.95)) / np.sqrt(0.95 * 0.05 / draws))
    return Check("share of drawn functions in the 95 % band, standard errors from 0.95", away, away < 4.5)


def _scale(X, y, three, scales, loo, measured):
    figure = plt.figure(figsize=(11, 7), layout="constrained")
    *above, below = figure.subplot_mosaic([[0, 1, 2], [3, 3, 3]]).values()
    for axes, (name, (scale, fit, deviation)) in zip(above, three.items(), strict=True):
        two = 2 * deviation
        axes.fill_between(GRID[:, 0], fit - two, fit + two, color=FIT, alpha=0.2, lw=0, label="± 2 sd")
        axes.plot(GRID, _truth(GRID), "--", color=TRUTH, label="truth")
        axes.plot(GRID, fit, color=FIT, label="fit")
        axes.plot(X[:, 0], y, "o", color=DATA, ms=3.5, label="examples")
        axes.set(xlabel="x", title=f"{name}: λ = {scale:.2g}")
        below.axvline(scale, color=MUTED, lw=1, ls="--")
        below.annotate(name, (scale, 0.98), (4, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
                       va="top", color=MUTED)  # fmt: skip
    low, high = np.min(_truth(GRID)), np.max(_truth(GRID))
    for axes in above:
        axes.set_ylim(low - 4.7 * SIGMA, high + 2.1 * SIGMA)
    above[0].legend(fontsize="small", loc="lower right", ncols=2)
    below.plot(scales, measured, color=TRUTH, label="error on new examples, from the truth")
    below.plot(scales, loo, color=FIT, label="error of leaving one out")
    below.plot(scales[np.argmin(loo)], np.min(loo), "o", color=FIT)
    below.axhline(SIGMA, color=MUTED, lw=1, ls=":", label="noise σ")
    below.set(xscale="log", xlabel="λ", ylabel="root mean squared error", ylim=(0.92 * SIGMA, 1.12 * np.max(loo)))
    below.legend(loc="upper center", bbox_to_anchor=(0.4, 1))
    return figure
