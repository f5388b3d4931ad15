"""Bell curves, clouds and ellipses: the normal distribution in one dimension and in two (course 4.1, 4.3 to 4.5)."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, SECOND, TRUTH
from jax_course import gaussian

TITLE = "Bell curves, clouds and ellipses"
SECTION = "4.1"

BELLS = np.array([[0.0, 1.0], [0.0, 0.5], [0.0, 2.0], [3.0, 0.7]])  # μ, σ
CLOUDS = {name: np.array([[1.0, c], [c, 1.5]]) for name, c in (("negative", -0.9), ("zero", 0.0), ("positive", 0.9))}
MEAN, SHOWN = np.array([1.0, 2.0]), 200
STEPS = 0.1 * np.arange(-120, 121)  # in standard deviations; what lies beyond 12 is less than the rounding of 1
INSIDE = 1 - np.exp(-np.array([1.0, 4.0]) / 2)  # 1 − exp(−k²/2), where rᵀΣ⁻¹r < k² in two dimensions

fit = jax.jit(jax.vmap(gaussian.fit))


@in_float64
def run(quick: bool) -> Result:
    """Integrals by the trapezoidal rule, clouds drawn and fitted, and a density beside its marginals."""
    draws = 20_000 if quick else 200_000
    sigmas = np.stack([*CLOUDS.values()])
    keys = jax.random.split(jax.random.key(0), len(sigmas))
    clouds = jax.jit(jax.vmap(lambda key, of: gaussian.sample(key, MEAN, of, draws)))(keys, sigmas)
    clouds = np.asarray(clouds)
    fits = [np.asarray(of) for of in fit(clouds[:, :SHOWN])]
    bells, of_bells = _one_dimension()
    sides = _sides()
    grid = np.stack(np.meshgrid(*sides.T, indexing="ij"), axis=-1).reshape(-1, 2)
    densities = np.asarray(jax.jit(jax.vmap(lambda of: gaussian.pdf(grid, MEAN, of)))(sigmas[1:]))
    independent, correlated = densities.reshape(2, len(STEPS), len(STEPS))
    marginals = np.asarray(jax.jit(jax.vmap(gaussian.pdf))(sides.T, MEAN, np.diagonal(CLOUDS["zero"])))
    shares, of_clouds = _of_clouds(clouds)
    return Result(
        {
            "bells": Picture(
                _bells(*bells),
                "Left: bell curves of several μ and σ. The area under each is 1, so the narrow ones are tall. The dots "
                "are where a curve turns from bending down to bending up: σ from the middle. Right: their logarithms "
                "are parabolas of curvature −1/σ².",
            ),
            "clouds": Picture(
                _clouds(clouds[:, :SHOWN], fits),
                f"{SHOWN} draws each of negative, zero and positive covariance, which is the way the cloud leans. "
                "Ellipses of one and two standard deviations; the true ones hold 39 % and 86 % of the probability, "
                "less than the 68 % and 95 % of one dimension.",
            ),
            "density": Picture(
                _density(correlated, independent, marginals),
                "Left and middle: a density and its level curves; the ellipses of one, two and three standard "
                "deviations (dashed) are level curves. Right: another density of the same marginals (along the edges). "
                "It is their product, because its coordinates are independent; the one in the middle is not.",
            ),
            "marginals": Picture(
                _marginals(independent, marginals),
                "Left: the joint density of two independent coordinates, with its marginals along the sides. Middle: "
                "the product of these two bell curves, at every point the same number. Right: cuts through the joint "
                "(lines) at three values of x₁: all of them are the bell curve of x₂, each p(x₁) times as tall (dots).",
            ),
        },
        {
            "integral of the density": _integral(correlated),
            "the same with the printed (2π)^d/2 (slip E 4)": _integral(correlated) * 2 * np.pi / (2 * np.pi**2),
            "fitted covariances": dict(zip(CLOUDS, fits[1].tolist(), strict=True)),
            "shares inside 1 and 2 standard deviations": dict(zip(CLOUDS, shares.tolist(), strict=True)),
        },
        (*of_bells, *_of_density(correlated, independent, marginals), *of_clouds),
        (),
    )


def _sides():
    """Both axes of the grid around the mean, a column each."""
    return MEAN + np.sqrt(np.diagonal(CLOUDS["zero"])) * STEPS[:, None]


def _one_dimension():
    """∫p = 1, ∫xp = μ, ∫(x − μ)²p = σ², and p'' = p (g² + h) of the slope g and the curvature h of log p."""

    @jax.jit
    @jax.vmap
    def at_all(mu, sigma):
        x, over_x = mu + sigma * STEPS, (0, None, None)
        second = jax.vmap(jax.grad(jax.grad(gaussian.pdf)), over_x)(x, mu, sigma**2)
        g, h = gaussian.gradient_x(x, mu, sigma**2), gaussian.hessian_x(x, mu, sigma**2)
        p, log_p = gaussian.pdf(x, mu, sigma**2), gaussian.log_pdf(x, mu, sigma**2)
        return x, p, log_p, p * (g**2 + h), second

    mu, sigma = BELLS.T
    x, p, log_p, by_hand, by_autodiff = map(np.asarray, at_all(mu, sigma))
    mass, mean, variance = (np.trapezoid(of * p, x) for of in (np.ones_like(x), x, (x - mu[:, None]) ** 2))
    moments = max(apart(mean, mu), apart(variance, sigma**2))
    whole, second = apart(mass, 1.0), apart(by_hand, by_autodiff)
    turns = float(np.max(np.abs(by_autodiff[:, np.isclose(np.abs(STEPS), 1)])) / np.max(by_autodiff))
    return (x, p, log_p), (
        Check("bell curves: the integral is 1", whole, whole < 1e-13),
        Check("bell curves: mean μ and variance σ² by integration", moments, moments < 1e-13),
        Check("bell curves: p'' by hand = autodiff", second, second < 1e-13),
        Check("bell curves: p'' = 0 at μ ± σ", turns, turns < 1e-13),
    )


def _of_density(correlated, independent, marginals):
    """The integral, the marginals, the level curves, and the joint density of independent coordinates."""
    whole = abs(_integral(correlated) - 1)
    x, y = _sides().T
    by_integration = [np.trapezoid(correlated, y, axis=1), np.trapezoid(correlated, x, axis=0)]
    product = marginals[0][:, None] * marginals[1][None, :]
    edges, same, other = apart(by_integration, marginals), apart(independent, product), apart(correlated, product)
    on_ellipses = np.concatenate([_ellipse(MEAN, CLOUDS["positive"], k) for k in range(4)])
    log_p = np.asarray(jax.jit(gaussian.log_pdf)(on_ellipses, MEAN, CLOUDS["positive"])).reshape(4, -1)
    levels = apart(log_p - log_p[0], -(np.arange(4)[:, None] ** 2) / 2)
    (variance_1, covariance), (_, variance_2) = CLOUDS["positive"]
    least = covariance / np.sqrt(variance_1 * variance_2) / 4
    return (
        Check("in two dimensions the integral is 1", whole, whole < 1e-13),
        Check("the marginals by integration are bell curves", edges, edges < 1e-13),
        Check("log p is k²/2 less on the ellipse of k deviations", levels, levels < 1e-13),
        Check("independent: joint = product of the marginals", same, same < 1e-13),
        Check(f"of covariance {covariance:g} it is not, but off by", other, bool(other > least)),
    )


def _of_clouds(clouds):
    """The shares inside the ellipses, the two forms of the covariance, and both in standard errors from theory."""
    form, entry, shares = 0.0, 0.0, []
    for of, X, mean, covariance in zip(CLOUDS.values(), clouds, *map(np.asarray, fit(clouds)), strict=True):
        variances = np.diagonal(of)
        form = max(form, apart(X.T @ X / len(X) - np.outer(mean, mean), covariance))
        deviations = np.sqrt((np.outer(variances, variances) + of**2) / len(X))
        entry = max(entry, float(np.max(np.abs(covariance - of) / deviations)))
        squared = np.sum((X - MEAN) * np.linalg.solve(of, (X - MEAN).T).T, axis=1)
        shares.append(np.mean(squared[:, None] <= np.array([1, 4]), axis=0))
    deviations = np.sqrt(INSIDE * (1 - INSIDE) / clouds.shape[1])
    away = float(np.max(np.abs(np.array(shares) - INSIDE) / deviations))
    return np.array(shares), (
        Check("cov(X, Y) = E[XY] − E[X] E[Y]", form, form < 1e-13),
        Check("covariances of the draws, standard errors from Σ", entry, entry < 4.5),
        Check("shares inside the ellipses, standard errors from theory", away, away < 4.5),
    )


def _integral(density):
    x, y = _sides().T
    return float(np.trapezoid(np.trapezoid(density, y, axis=1), x))


def _ellipse(mean, covariance, k):
    """Where rᵀΣ⁻¹r = k²: at μ + kBz for z on the unit circle and Σ = BBᵀ."""
    phi = np.linspace(0, 2 * np.pi, 121)
    return mean + k * np.stack([np.cos(phi), np.sin(phi)], axis=-1) @ np.linalg.cholesky(covariance).T


def _bells(x, p, log_p):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    ends = float(np.min(BELLS @ [1, -3])), float(np.max(BELLS @ [1, 3]))
    for j, ((mu, sigma), color) in enumerate(zip(BELLS, CLASSES, strict=False)):
        turns = np.isclose(np.abs(STEPS), 1)
        left.plot(x[j], p[j], color=color, label=f"μ = {mu:g}, σ = {sigma:g}")
        left.plot(x[j, turns], p[j, turns], "o", color=color, ms=4)
        right.plot(x[j], log_p[j], color=color)
    left.set(xlabel="x", ylabel="p(x)", title="Bell curves, each of area 1", xlim=ends, ylim=(0, None))
    left.legend(loc="upper left")
    right.set(xlabel="x", ylabel="log p(x)", title="Their logarithms", xlim=ends, ylim=(-12, np.max(log_p) + 1))
    return figure


def _clouds(clouds, fits):
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.8), sharex=True, sharey=True, layout="constrained")
    reach = 4.3 * np.sqrt(np.diagonal(CLOUDS["zero"]))
    ends = np.stack([MEAN - reach, MEAN + reach], axis=1)
    for axis, (name, of), X, mean, fit in zip(axes, CLOUDS.items(), clouds, *fits, strict=True):
        axis.plot(*X.T, ".", color=DATA, ms=4, alpha=0.6, label="draws")
        for k in (1, 2):
            axis.plot(*_ellipse(MEAN, of, k).T, "--", color=TRUTH, label="Σ true")
            axis.plot(*_ellipse(mean, fit, k).T, color=FIT, label="Σ fitted")
        axis.set(xlabel="x₁", aspect="equal", xlim=ends[0], ylim=ends[1])
        axis.set_title(f"{name}: {of[0, 1]:g}, fitted {fit[0, 1]:.2f}".replace("-", "−"))
    figure.legend(handles=axes[0].get_lines()[:3], loc="outside lower center", ncols=3)
    axes[0].set_ylabel("x₂")
    return figure


def _density(correlated, independent, marginals):
    figure = plt.figure(figsize=(11, 4))
    near = np.abs(STEPS) < 4.05
    (x, y), edges = _sides()[near].T, marginals[:, near]
    edges = edges / np.max(edges)  # as wide as a standard deviation, about
    surface, shown = figure.add_subplot(1, 3, 1, projection="3d"), correlated[np.ix_(near, near)]
    surface.plot_surface(x[:, None], y[None, :], shown, cmap="viridis", rstride=1, cstride=1, antialiased=False,
                         rasterized=True)  # fmt: skip
    surface.set(xlabel="x₁", ylabel="x₂", title=f"p(x), covariance {CLOUDS['positive'][0, 1]:g}")
    for place, density, name in ((2, correlated, "positive"), (3, independent, "zero")):
        axis = figure.add_subplot(1, 3, place)
        levels = np.max(density) * np.exp(-(np.arange(3, 0, -0.5) ** 2) / 2)
        axis.contour(x, y, density[np.ix_(near, near)].T, levels, cmap="viridis", linewidths=1)
        for k in (1, 2, 3):
            axis.plot(*_ellipse(MEAN, CLOUDS[name], k).T, "--", color=FIT)
        axis.fill_between(x, y[0], y[0] + edges[0], color=SECOND, alpha=0.4, lw=0)
        axis.fill_betweenx(y, x[0], x[0] + edges[1], color=SECOND, alpha=0.4, lw=0)
        axis.set(xlabel="x₁", ylabel="x₂", aspect="equal", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        axis.set_title(f"covariance {CLOUDS[name][0, 1]:g}")
    figure.tight_layout()
    return figure


def _marginals(joint, marginals):
    near = np.flatnonzero(np.abs(STEPS) < 3.05)
    (x, y), (p1, p2) = _sides()[near].T, marginals[:, near]
    figure, parts = plt.subplot_mosaic(
        [["above", ".", ".", "."], ["joint", "beside", "product", "cuts"]],
        figsize=(11, 4.6), height_ratios=(1, 4.6), width_ratios=(4, 1, 4, 5), layout="constrained",
    )  # fmt: skip
    for name, density in (("joint", joint[np.ix_(near, near)]), ("product", p1[:, None] * p2[None, :])):
        parts[name].contourf(x, y, density.T, np.max(joint) * np.linspace(0.02, 1, 11), cmap="viridis")
        parts[name].set(xlabel="x₁", ylabel="x₂")
        parts[name].grid(False)
    parts["above"].set_title("joint p(x₁, x₂), its marginals")
    parts["product"].set_title("product p(x₁) p(x₂)")
    for axis, curve in ((parts["above"], (x, p1)), (parts["beside"], (p2, y))):
        axis.plot(*curve, color=SECOND)
    parts["above"].set(ylabel="p(x₁)", xlim=parts["joint"].get_xlim(), ylim=(0, None), xticklabels=[])
    parts["beside"].set(xlabel="p(x₂)", xlim=(0, None), ylim=parts["joint"].get_ylim(), xticks=[0.2], yticklabels=[])
    for step, color in zip((0.0, -1.0, 2.0), CLASSES, strict=False):
        cut = int(np.flatnonzero(np.isclose(STEPS, step))[0])
        parts["joint"].axvline(_sides()[cut, 0], color=color, lw=1.5)
        parts["cuts"].plot(y, joint[cut, near], color=color, label=f"x₁ = {_sides()[cut, 0]:.3g}")
        parts["cuts"].plot(y[::4], marginals[0][cut] * p2[::4], "o", color=color, ms=3.5)
    parts["cuts"].set(xlabel="x₂", ylabel="density", ylim=(0, None), title="three cuts through the joint")
    parts["cuts"].legend()
    return figure
