"""The mean of m examples comes as near to μ as σ/√m: slowly, and from any distribution that has a σ (course 4.2)."""

import math

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course import gaussian

TITLE = "The sample mean and its 1/√m"
SECTION = "4.2"

Z = 1.96  # a normal variable is within ±1.96 σ in 95 % of all draws
SHOWN = (1, 8, 128)

# name: (draw, μ, σ, κ), with κ the excess kurtosis: 0 of a bell curve, larger where far draws are more frequent
DISTRIBUTIONS = {
    "normal": (lambda rng, shape: rng.normal(2, 1.5, shape), 2.0, 1.5, 0.0),
    "exponential": (lambda rng, shape: rng.exponential(0.5, shape), 0.5, 0.5, 6.0),
    "coin": (lambda rng, shape: 1.0 * (rng.uniform(size=shape) < 0.2), 0.2, 0.4, 0.04 / 0.16),
}

mean = jax.jit(gaussian.mean)  # of every run by itself: the runs are columns


@in_float64
def run(quick: bool) -> Result:
    """Means of many runs for each m, all at once, and some of them followed as m grows."""
    sizes, runs, longest = 2 ** np.arange(9 if quick else 12), 2_000 if quick else 5_000, 2_000 if quick else 20_000
    means = {name: _means(np.random.default_rng(j), name, sizes, runs) for j, name in enumerate(DISTRIBUTIONS)}
    errors = {name: np.sqrt(np.mean((of - DISTRIBUTIONS[name][1]) ** 2, axis=1)) for name, of in means.items()}
    draw, *_ = DISTRIBUTIONS["normal"]
    followed = np.cumsum(draw(np.random.default_rng(19), (longest, 8)), axis=0).T / np.arange(1, longest + 1)
    expected = math.erf(Z / math.sqrt(2))
    inside = {name: _share_inside(name, sizes, of) for name, of in means.items()}
    of_normal, of_exponential = (
        float(np.max(np.abs(share - expected)) / np.sqrt(expected * (1 - expected) / runs))
        for share in (inside["normal"], inside["exponential"][-1])
    )
    percent = f"{100 * expected:.3g} %"
    slopes = {name: float(np.polyfit(np.log(sizes), np.log(error), 1)[0]) for name, error in errors.items()}
    return Result(
        {
            "means": Picture(
                _figure(followed, sizes, errors),
                f"Left: eight running means of normal draws and the band μ ± {Z:g} σ/√m, which holds {percent} of "
                "all of them at each m. Some leave it for a while and come back. Right: the root mean squared error of "
                f"the mean over {runs:,} runs (dots) on σ/√m (lines). One more digit costs a hundred times the "
                "examples, whatever the distribution.",
            ),
            "bells": Picture(
                _bells(means["exponential"], sizes),
                "The error of the mean of exponential draws in units of σ/√m. A single draw is far from normal; the "
                f"mean of many is nearly so (dashed: the bell curve), and {Z:g} of its standard deviations hold "
                f"{percent} of the means again.",
            ),
        },
        {
            "runs": runs,
            "slope in the logarithms": slopes,
            "m": sizes.tolist(),
            "root mean squared error": {name: error.tolist() for name, error in errors.items()},
            f"share inside μ ± {Z:g} σ/√m": {name: share.tolist() for name, share in inside.items()},
        },
        (
            *(check for name in DISTRIBUTIONS for check in _claims(name, sizes, runs, errors[name], slopes[name])),
            Check(f"normal: {percent} are in the band at every m, standard errors off", of_normal, of_normal < 4.5),
            Check("exponential: at the largest m too, standard errors off", of_exponential, of_exponential < 4.5),
        ),
        (),
    )


def _means(rng, name, sizes, runs):
    """The means of new draws for each m, a row per m and a column per run."""
    return np.stack([np.asarray(mean(DISTRIBUTIONS[name][0](rng, (runs, m)).T)) for m in sizes])


def _share_inside(name, sizes, means):
    """The share of the runs whose mean is within μ ± Zσ/√m, for each m."""
    _, mu, sigma, _ = DISTRIBUTIONS[name]
    return np.mean(np.abs(means - mu) <= Z * sigma / np.sqrt(sizes[:, None]), axis=1)


def _claims(name, sizes, runs, error, slope):
    """Level and slope of the error, in the standard errors that the number of runs leaves them."""
    _, _, sigma, kurtosis = DISTRIBUTIONS[name]
    deviation = np.sqrt((2 + kurtosis / sizes) / runs) / 2  # of the logarithm of each error
    level = float(np.max(np.abs(np.log(error * np.sqrt(sizes) / sigma)) / deviation))
    centred = np.log(sizes) - np.mean(np.log(sizes))
    weights = centred / np.sum(centred**2)
    off = float(abs(slope + 0.5) / np.sqrt(np.sum((weights * deviation) ** 2)))
    return (
        Check(f"{name}: the error is σ/√m at every m, standard errors off", level, level < 4.5),
        Check(f"{name}: the slope is −1/2, standard errors off", off, off < 4.5),
    )


def _figure(followed, sizes, errors):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    _, mu, sigma, _ = DISTRIBUTIONS["normal"]
    m = np.unique(np.geomspace(1, followed.shape[1], 400).astype(int))
    followed = followed[:, m - 1]
    half = Z * sigma / np.sqrt(m)
    left.fill_between(m, mu - half, mu + half, color=MUTED, alpha=0.3, lw=0, label=f"μ ± {Z:g} σ/√m")
    left.plot(m, followed[1:].T, color=DATA, lw=0.8, alpha=0.6)
    left.plot(m, followed[0], color=FIT, lw=1.5, label="one running mean")
    left.axhline(mu, ls="--", color=TRUTH, label="μ")
    left.set(xscale="log", xlabel="number of examples m", ylabel="mean", title="Running means", xlim=(1, m[-1]))
    left.legend(loc="upper right")
    for (name, error), color in zip(errors.items(), CLASSES, strict=False):
        right.plot(sizes, DISTRIBUTIONS[name][2] / np.sqrt(sizes), color=color, lw=1)
        right.plot(sizes, error, "o", color=color, ms=4, label=f"{name}, σ = {DISTRIBUTIONS[name][2]:g}")
    right.set(xscale="log", yscale="log", xlabel="number of examples m", ylabel="root mean squared error",
              title="Error of the mean, and σ/√m")  # fmt: skip
    right.legend(loc="upper right")
    return figure


def _bells(means, sizes):
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(11, 3.6), sharex=True, sharey=True)
    _, mu, sigma, _ = DISTRIBUTIONS["exponential"]
    x = np.linspace(-4, 4, 200)
    density = jax.jit(gaussian.pdf)(x, 0.0, 1.0)
    for axis, m in zip(axes, SHOWN, strict=True):
        errors = (means[list(sizes).index(m)] - mu) * np.sqrt(m) / sigma
        axis.hist(errors, np.arange(-4, 4.1, 0.25), density=True, color=DATA, alpha=0.5)
        axis.plot(x, density, "--", color=TRUTH)
        axis.set(xlabel="(mean − μ) √m/σ", title=f"m = {m}", xlim=(-4, 4))
    axes[0].set_ylabel("density")
    return figure
