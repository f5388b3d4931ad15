"""The gradient of a mini-batch is the full gradient plus noise, and the variance of the noise falls as 1/batch (7.7).

    g_B = 1/b Σ_B ∇f(θ, xᵢ),    E g_B = g,    E‖g_B − g‖² = σ²/b · (m − b)/(m − 1),    σ² = 1/m Σ ‖∇f(θ, xᵢ) − g‖²

for b of m examples drawn without replacement; with replacement the second factor, which vanishes at b = m, is 1.
θ_k+1 = [θ_k − η g] + η (g − g_B): what we want, and noise with mean 0. Here f is the logistic cost of one
example and g the mean, 1/m of the library's sum.
"""

import itertools

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import DATA, FIT, MUTED, SECOND
from jax_course import data, logistic

TITLE = "The noise in a mini-batch gradient"
SECTION = "7.7"
M = 1024
WAYS = ("with replacement", "without replacement")
THETA = np.array([0.3, 0.5, -0.4])


@in_float64
def run(quick: bool) -> Result:
    """Thousands of gradients at one θ for each batch size, drawn in both ways; and every batch of a few examples."""
    draws = 500 if quick else 5_000
    sizes = np.unique(np.append(2 ** np.arange(M.bit_length() - 1), M))  # of the batches
    problem = data.two_classes(m=M)
    X, y = np.insert(np.asarray(problem.X), 0, 1.0, axis=1), np.asarray(problem.y)
    each, by_autodiff = _of_each_example(X, y)
    error = apart(each, by_autodiff)
    g, sigma2 = each.mean(axis=0), np.sum(each.var(axis=0))
    rng = np.random.Generator(np.random.PCG64(3))
    orders = (rng.integers(0, M, (draws, M)), rng.permuted(np.tile(np.arange(M), (draws, 1)), axis=1))
    found = dict(zip(WAYS, (_of_batches(each, of, sizes) for of in orders), strict=True))
    variances = {way: np.sum((of - g) ** 2, axis=-1).mean(axis=0) for way, of in found.items()}
    expected = dict(zip(WAYS, (sigma2 / sizes, sigma2 / sizes * (M - sizes) / (M - 1)), strict=True))
    slope = float(np.polyfit(np.log(sizes), np.log(variances[WAYS[0]]), 1)[0])
    numbers = {
        "examples": M,
        "gradients drawn": draws,
        "variance of one example's gradient": float(sigma2),
        "squared length of the full gradient": float(g @ g),
        "batch sizes": sizes.tolist(),
        "variance of the noise": {way: of.tolist() for way, of in variances.items()},
        "slope of log variance against log batch size": slope,
    }
    return Result(
        {
            "clouds": Picture(
                _clouds(found[WAYS[1]], g, sizes),
                "Each dot is the gradient of one mini-batch, two of its three entries; the cross is the full gradient. "
                "The clouds sit on the cross, and four times the batch halves their width.",
            ),
            "variance": Picture(
                _variance(variances, expected, float(g @ g), sizes),
                f"The variance of the noise over {draws} mini-batches (dots) on the theory (lines). Without "
                "replacement a batch of all examples has no noise left. Above the grey line the noise is longer than "
                "the gradient.",
            ),
        },
        numbers,
        (
            Check("logistic.gradient of every example = autodiff", error, error < 1e-13),
            *_over_all_batches(each[:12]),
            *(check for way in WAYS for check in _within_chance(way, found[way], g, expected[way])),
            Check("variance ∝ 1/batch: slope + 1", abs(slope + 1), abs(slope + 1) < 0.03),
        ),
        (),
    )


def _of_each_example(X, y):
    """∇f(θ, xᵢ), (m, d), by hand and by autodiff."""

    @jax.jit
    @jax.vmap
    def of_one(x, label):
        return [of(THETA, x[None, :], label[None]) for of in (logistic.gradient, jax.grad(logistic.cost))]

    return map(np.asarray, of_one(X, y))


def _of_batches(each, orders, sizes):
    """g_B for every order of the examples and every batch size b, B the first b of them: (draw, batch size, d)."""
    return np.stack([np.cumsum(each[order], axis=0)[sizes - 1] for order in orders]) / sizes[:, None]


def _over_all_batches(each):
    """Mean and variance over every possible batch of every size: E in the formulas, with nothing left to chance."""
    m, g, sigma2 = len(each), each.mean(axis=0), np.sum(each.var(axis=0))
    bias, off = 0.0, 0.0
    for b in range(1, m + 1):
        gradients = each[np.array(list(itertools.combinations(range(m), b)))].mean(axis=1)
        variance = np.mean(np.sum((gradients - g) ** 2, axis=1))
        bias = max(bias, float(np.max(np.abs(gradients.mean(axis=0) - g)) / np.max(np.abs(g))))
        off = max(off, float(abs(variance / sigma2 - (m - b) / (m - 1) / b)))
    return (
        Check(f"E g_B = g over all {2**m - 1} batches of {m} examples", bias, bias < 1e-14),
        Check(f"E‖g_B − g‖² = σ²/b · (m − b)/(m − 1) over all {2**m - 1} batches", off, off < 1e-14),
    )


def _within_chance(way, gradients, g, expected):
    """The largest of all deviations in standard errors, at the batch sizes that leave noise."""
    deviation = gradients[:, :-1] - g
    square = np.sum(deviation**2, axis=-1) - expected[:-1]
    standard = np.sqrt(len(gradients))
    bias, off = (float(np.max(np.abs(of.mean(axis=0)) / of.std(axis=0)) * standard) for of in (deviation, square))
    return (
        Check(f"no bias, {way}: standard errors", bias, bias < 4.5),
        Check(f"variance as in theory, {way}: standard errors", off, off < 4.5),
    )


def _clouds(gradients, g, sizes):
    columns = range(2, len(sizes) - 1, 2)[:4]
    figure, axes = plt.subplots(1, len(columns), figsize=(11, 3.2), sharex=True, sharey=True, squeeze=False)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.plot(*gradients[:500, column, 1:].T, "o", color=DATA, ms=2, alpha=0.5)
        axis.plot(*g[1:], "+", color=FIT, ms=12, mew=2)
        axis.set(xlabel="∂f/∂θ₁", aspect="equal", title=f"mini-batches of {sizes[column]}")
    axes[0, 0].set_ylabel("∂f/∂θ₂")
    return figure


def _variance(variances, expected, signal, sizes):
    figure, axes = plt.subplots(figsize=(6.5, 4.2))
    for way, color, marker in zip(WAYS, (SECOND, DATA), "so", strict=True):
        noisy = expected[way] > 0
        axes.plot(sizes[noisy], expected[way][noisy], color=color, lw=1)
        axes.plot(sizes[noisy], variances[way][noisy], marker, color=color, ms=5, label=way)
    axes.axhline(signal, color=MUTED, ls="--", lw=1, label="‖g‖²")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="batch size b",
        ylabel=r"$E\,\Vert g_B - g\Vert^2$",
        title=f"Noise, {M} examples",
    )
    axes.set_xscale("log", base=2)
    axes.legend()
    return figure
