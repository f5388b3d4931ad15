"""Maximum likelihood, three times: the mean of three points, a line and its noise, a coin (course 5.1, 5.2, 5.4)."""

from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course import bernoulli, gaussian, linear, optimization, verify
from jax_course.regression import likelihood

TITLE = "Which parameters are likelier?"
SECTION = "5.1"

POINTS = np.array([1.0, 0.5, 1.5])
WRONG = 2.5  # a guess of θ that is not the likeliest
TRUE_THETA, TRUE_SIGMA, M = np.array([1.0, 0.8]), 0.5, 25
SIGMAS, P = np.array([0.4, 0.6, 1.0]), np.linspace(0.005, 0.995, 199)
TOSSES = {4: 3, 20: 15, 100: 75}  # m: heads, the same share of all

pdf, noise_variance = jax.jit(gaussian.pdf), jax.jit(linear.noise_variance)


@in_float64
def run(quick: bool) -> Result:
    """The likelihoods on grids, and where they are largest: by formula, by their derivatives, by Newton's method."""
    ends = (TRUE_THETA[1] - TRUE_SIGMA, TRUE_THETA[1] + TRUE_SIGMA), (0.6 * TRUE_SIGMA, 2.2 * TRUE_SIGMA)
    slopes, sigmas = (np.linspace(low, high, 120 if quick else 400) for low, high in ends)
    right, (thetas, densities, of_theta), (likely, unlikely), of_points = _points()
    X, Y = _examples()
    solution, newton, of_line = _line(X, Y)
    sigma = float(np.sqrt(noise_variance(solution.theta, X, Y)))
    (m, heads), *_ = TOSSES.items()
    coins = {m: _coin(m, heads) for m, heads in TOSSES.items()}
    return Result(
        {
            "points": Picture(
                _draw_points(thetas, densities, of_theta, right),
                f"{len(POINTS)} points and two guesses of the mean of their bell curve. The sticks are the densities "
                f"of the points, their product is the likelihood. θ = {right:g}, the mean of the points, is "
                f"{likely / unlikely:.0f} times as likely as θ = {WRONG:g}, and the likeliest of all.",
            ),
            "line": Picture(
                _draw_line(X, Y, solution.theta, sigma, slopes, sigmas),
                f"A line through {M} examples. Left: the sum of squares J and the negative log-likelihood (NLL) of "
                "some σ have their minimum at the same slope. Right: the NLL of slope and σ. For every σ the "
                "likeliest slope is that of least squares (dotted), for every slope the likeliest σ² is J/m (dashed).",
            ),
            "coin": Picture(
                _draw_coins({m: values for m, (values, _) in coins.items()}),
                f"The likelihood of p after {heads} heads in {m} tosses. Its peak is at the share of heads. With more "
                "tosses it is narrower, and nearer to a bell curve of variance p(1 − p)/m (dashed).",
            ),
        },
        {
            f"likelihood of θ = {right:g} and of θ = {WRONG:g}": [float(likely), float(unlikely)],
            "θ₀, θ₁ and σ of maximum likelihood": [*solution.theta.tolist(), sigma],
        },
        (*of_points, *of_line, *(check for _, checks in coins.values() for check in checks)),
        (
            fitted("linear", f"a line, {M} examples", f"σ = √(J/m) = {sigma:.4f}", solution),
            fitted("Newton on the NLL", f"a line, {M} examples", f"σ = {newton.theta[1]:.4f}", newton),
        ),
    )


def _points():
    """The likeliest θ; for both guesses, then along a grid: θ, the densities of the points, the likelihood."""
    right = float(np.mean(POINTS))
    low, high = min(right, WRONG) - 2, max(right, WRONG) + 1.5
    thetas = np.array([right, WRONG, *np.linspace(low, high, 101)])
    log_likelihood = partial(gaussian.log_likelihood, POINTS, covariance=1.0)

    @jax.jit
    @jax.vmap
    def at_all(theta):
        value, by_autodiff = jax.value_and_grad(log_likelihood)(theta)
        by_hand = jnp.sum(gaussian.gradient_mean(POINTS, theta, 1.0))
        return gaussian.pdf(POINTS, theta, 1.0), jnp.exp(value), by_hand, by_autodiff

    densities, of_theta, by_hand, by_autodiff = map(np.asarray, at_all(thetas))
    product, derivative = apart(np.prod(densities, axis=1), of_theta), apart(by_hand, by_autodiff)
    exponent = len(POINTS) * (WRONG - right) ** 2 / 2
    ratio, left = apart(of_theta[0] / of_theta[1], np.exp(exponent)), float(abs(by_hand[0]))
    checks = (
        Check("points: their densities multiplied are the likelihood", product, product < 1e-14),
        Check(
            f"points: θ = {right:g} is exp(m ({WRONG:g} − {right:g})²/2) times as likely as {WRONG:g}",
            ratio,
            ratio < 1e-13,
        ),
        Check("points: the derivative by hand = autodiff", derivative, derivative < 1e-14),
        Check(f"points: it is 0 at θ = {right:g}, the likeliest", left, left < 1e-14 and int(np.argmax(of_theta)) == 0),
    )
    return right, (thetas, densities, of_theta), of_theta[:2], checks


def _examples():
    X = np.stack([np.ones(M), np.linspace(-2, 2, M)], axis=1)
    return X, X @ TRUE_THETA + TRUE_SIGMA * np.random.default_rng(3).standard_normal(M)


def _line(X, Y):
    """Newton on the NLL of θ and σ, by derivatives written by hand that the doctor has judged, finds least squares."""

    def of(function):
        return lambda both: function(*both, X, Y)

    nll, gradient, hessian = map(of, (likelihood.negative_log_likelihood, likelihood.gradient, likelihood.hessian))
    start, elsewhere = (np.zeros(2), 1.0), np.array([0.3, -1.2])
    report = verify.derivatives(nll, start, gradient=gradient, hessian=hessian)
    newton = optimization.newton(nll, start, gradient=gradient, hessian=hessian).check()
    solution = linear.fit(X, Y).check()
    judged = max(witness.error for witness in report.witnesses if "autodiff" in witness.name)
    theta = apart(newton.theta[0], solution.theta)
    variance = apart(np.square(newton.theta[1]), noise_variance(solution.theta, X, Y))
    by_theta, _ = jax.jit(likelihood.gradient)(elsewhere, 0.7, X, Y)
    same = apart(by_theta, np.asarray(jax.jit(linear.gradient)(elsewhere, X, Y)) / (2 * 0.7**2))
    checks = (
        Check("line: gradient and Hessian by (θ, σ), the doctor's verdict", judged, report.ok is True),
        Check("line: ∂NLL/∂θ = ∇J/2σ²", same, same < 1e-14),
        Check("line: the likeliest θ, by Newton, is that of least squares", theta, theta < 1e-12),
        Check("line: the likeliest σ², by Newton, is J/m", variance, variance < 1e-12),
    )
    return solution, newton, checks


def _coin(m, heads):
    """The likelihood of each p, the derivative of its logarithm by hand, and both of its derivatives at the peak."""
    x = (np.arange(m) < heads) * 1.0
    log_likelihood, slope = (partial(of, x) for of in (bernoulli.log_likelihood, bernoulli.log_likelihood_derivative))

    @jax.jit
    def at_all(p):
        peak = bernoulli.fit(x)
        relative = jnp.exp(jax.vmap(log_likelihood)(p) - log_likelihood(peak))
        by_hand, by_autodiff = jax.vmap(slope)(p), jax.vmap(jax.grad(log_likelihood))(p)
        return relative, by_hand, by_autodiff, slope(peak), jax.grad(slope)(peak) * peak * (1 - peak)

    relative, by_hand, by_autodiff, left, curvature = at_all(P)
    error, left, curvature = apart(by_hand, by_autodiff), float(abs(left)) / (2 * m), apart(curvature, -float(m))
    checks = (
        Check(f"{m} tosses: the derivative by hand = autodiff", error, error < 1e-14),
        Check(f"{m} tosses: it is 0 at the share of heads", left, left < 1e-14),
        Check(f"{m} tosses: there the curvature is −m/p(1 − p)", curvature, curvature < 1e-14),
    )
    return np.asarray(relative), checks


def _draw_points(thetas, densities, of_theta, right):
    figure, (*sticks, curve) = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
    y = np.linspace(min(right, WRONG) - 3, max(right, WRONG) + 3, 200)
    for axis, place, color in zip(sticks, (0, 1), (TRUTH, FIT), strict=True):
        axis.plot(y, pdf(y, thetas[place], 1.0), color=color)
        axis.vlines(POINTS, 0, densities[place], color=DATA, lw=2)
        axis.plot(POINTS, 0 * POINTS, "o", color=DATA, ms=5, clip_on=False)
        product = " · ".join(f"{density:.3f}" for density in np.sort(densities[place]))
        axis.set(xlabel="y", ylabel="p(y)", ylim=(0, 0.45))
        axis.set_title(f"θ = {thetas[place]:g}:  {product} = {of_theta[place]:.2g}")
        curve.plot(thetas[place], of_theta[place], "o", color=color, label=f"θ = {thetas[place]:g}", zorder=3)
    curve.plot(thetas[2:], of_theta[2:], color=MUTED)
    curve.set(xlabel="θ", ylabel="likelihood", title="Likelihood of θ", ylim=(0, None))
    curve.legend()
    return figure


def _draw_line(X, Y, theta, sigma, slopes, sigmas):
    """Along the slope with θ₀ at its best, which is the same for every slope because Σx = 0."""
    thetas = np.stack([np.full_like(slopes, theta[0]), slopes], axis=1)
    J = np.asarray(jax.jit(jax.vmap(linear.cost, (0, None, None)))(thetas, X, Y))
    nll = jax.vmap(jax.vmap(likelihood.negative_log_likelihood, (0, None, None, None)), (None, 0, None, None))
    values = np.asarray(jax.jit(nll)(thetas, np.concatenate([SIGMAS, sigmas]), X, Y))
    figure, parts = plt.subplot_mosaic("ac;bc", figsize=(11, 5), layout="constrained")
    above, right, below = parts.values()
    above.plot(slopes, J, color=DATA)
    above.set(ylabel="J", title="Sum of squares and NLL along the slope")
    for curve, of, color in zip(values, SIGMAS, CLASSES[3:], strict=False):
        below.plot(slopes, curve, color=color, label=f"σ = {of:g}")
    below.set(xlabel="θ₁", ylabel="NLL")
    below.legend(ncols=3, loc="upper center", frameon=True, edgecolor="none")
    levels = np.min(values[len(SIGMAS) :]) + np.array([0.1, 0.5, 1, 2, 4, 7, 11, 16, 24, 36])
    right.contour(slopes, sigmas, values[len(SIGMAS) :], levels, cmap="viridis", linewidths=1)
    right.plot(slopes, np.sqrt(J / M), "--", color=DATA, label="σ² = J/m")
    for axis in (above, below, right):
        axis.axvline(float(theta[1]), ls=":", color=MUTED)
    right.plot(theta[1], sigma, "o", color=FIT, label="maximum of the likelihood")
    right.plot(TRUE_THETA[1], TRUE_SIGMA, "x", color=TRUTH, mew=2, label="truth")
    right.set(xlabel="θ₁", ylabel="σ", title="NLL of slope and σ", ylim=(sigmas[0], sigmas[-1]))
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=3)
    return figure


def _draw_coins(coins):
    figure, axes = plt.subplots(figsize=(6.5, 4))
    (few, heads), *_ = TOSSES.items()
    peak = heads / few
    for (m, relative), color in zip(coins.items(), CLASSES, strict=False):
        axes.plot(P, relative, color=color, label=f"{TOSSES[m]} of {m}")
        axes.plot(P, np.exp(-m * (P - peak) ** 2 / (2 * peak * (1 - peak))), "--", color=color, lw=1)
    axes.axvline(peak, ls=":", color=MUTED)
    axes.set(xlabel="p", ylabel="likelihood, largest = 1", title=f"{heads} of {few} are heads", xlim=(0, 1))
    axes.set_ylim(0, 1.05)
    axes.legend(title="heads", loc="upper left")
    return figure
