"""Predictions with a confidence: bands that widen off the data, and whether they hold their promise (course 5.3)."""

from functools import partial

import jax
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from experiments.interactive import bands
from experiments.lab.result import Check, Picture, Result, apart, check_derivatives, fitted, in_float64
from experiments.lab.style import DATA, FIT, MUTED, SECOND, TRUTH
from jax_course import linear, logistic

TITLE = "Predictions with a confidence"
SECTION = "5.3"

M, SIGMA = 12, 0.5
TRUE_THETA = np.array([1.0, 0.8])
CONFIDENCES = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
CHOSEN = 0.95  # one of them, of the bands that are drawn
PLACES = np.array([-3.0, 0.0, 2.0, 6.0])  # at the edge, in the middle and off the data
GRID = np.linspace(-6, 8, 200)

predict = jax.jit(logistic.predict)
by_m = partial(linear.predict_interval, variance=linear.noise_variance)
INTERVALS = linear.mean_interval, linear.predict_interval
both_intervals = jax.jit(lambda *fit, confidence: [interval(*fit, confidence=confidence) for interval in INTERVALS])


@in_float64
def run(quick: bool) -> Result:
    """The bands of one data set, and the share of 10,000 whose bands hold the truth: all of them at once by vmap."""
    data_sets = 2_000 if quick else 10_000
    x = np.linspace(-3, 3, M)
    Phi, Phi_new = _with_bias(x), _with_bias(PLACES)
    rng = np.random.default_rng(0)
    line, line_new = (design @ TRUE_THETA for design in (Phi, Phi_new))
    Y = line + SIGMA * rng.standard_normal((data_sets, M))
    y_new = line_new + SIGMA * rng.standard_normal((data_sets, len(PLACES)))
    thetas = np.linalg.solve(Phi.T @ Phi, Phi.T @ Y.T).T
    of_line, of_new, coverage_by_m = _coverage(thetas, Phi, Y, Phi_new, line_new, y_new)
    coverage = {"the line": of_line, "a new observation": of_new}
    deviation = np.sqrt(CONFIDENCES * (1 - CONFIDENCES) / data_sets)
    away = {
        of: float(np.max(np.abs(share - CONFIDENCES[:, None]) / deviation[:, None])) for of, share in coverage.items()
    }
    solution = linear.fit(Phi, Y[0]).check()
    of_one = both_intervals(solution.theta, Phi, Y[0], _with_bias(GRID), confidence=CHOSEN)
    chosen, promise = int(np.argmax(CONFIDENCES == CHOSEN)), f"{100 * CHOSEN:g} %"
    widths = apart([(of.upper - of.lower) / 2 for of in of_one], _half_widths(Phi, Y[0], _with_bias(GRID)))
    x_class = rng.uniform(-4, 4, 80)
    Phi_class = _with_bias(x_class)
    y_class = 1.0 * (rng.uniform(size=80) < np.asarray(predict(TRUE_THETA, Phi_class)))
    of_class = logistic.fit(Phi_class, y_class).check()
    return Result(
        {
            "probability": Picture(
                _probability(x_class, Phi_class, y_class, of_class.theta),
                "The same for a probability: Wald's band is that of the logit, from the Hessian written by hand, taken "
                "through σ. So it stays between 0 and 1, and is widest where the class is in doubt.",
            ),
            "bands": Picture(
                _bands(x, Y[0], np.asarray(solution.theta), of_one, coverage, coverage_by_m, data_sets),
                f"Left: {M} examples, the fitted line, the {promise} band of the line (dark) and of a new observation "
                f"(light): both widen where there are no data. Right: the share of {data_sets:,} simulated data sets "
                "whose bands hold the truth, less the confidence they promise. Estimating σ² by m instead of m − d "
                "makes bands that promise too much.",
            ),
        },
        {
            "data sets": data_sets,
            f"coverage at {promise}": {
                of: dict(zip(map(str, PLACES), share[chosen].tolist(), strict=True)) for of, share in coverage.items()
            },
            f"coverage at {promise}, σ² by m": coverage_by_m[chosen].tolist(),
            "standard error of a coverage": float(deviation[chosen]),
        },
        (
            *check_derivatives("logistic", logistic, of_class.theta, Phi_class, y_class),
            *check_derivatives("linear", linear, solution.theta, Phi, Y[0]),
            Check("half the widths: t σ √h and t σ √(1 + h)", widths, widths < 1e-12),
            *(
                Check(f"coverage of {of}, standard errors from theory", error, error < 4.5)
                for of, error in away.items()
            ),
        ),
        (
            fitted(
                "linear", f"a line, {M} examples", f"θ₁ = {solution.theta[1]:.2f}, truth {TRUE_THETA[1]:.2f}", solution
            ),
            fitted(
                "logistic",
                "one feature, 80 examples",
                f"θ₁ = {of_class.theta[1]:.2f}, truth {TRUE_THETA[1]:.2f}",
                of_class,
            ),
        ),
        {"slider": _slider()},
    )


def _with_bias(x):
    return np.stack([np.ones_like(x), x], axis=1)


@jax.jit
def _holds(confidences, thetas, Phi, Y, Phi_new, line, y_new):
    """Whether the intervals of the line, of a new observation, and of one by m, hold it: data sets by confidences."""

    def at(confidence, theta, y, y_new):
        kinds = ((linear.mean_interval, line), (linear.predict_interval, y_new), (by_m, y_new))
        ends = [(of(theta, Phi, y, Phi_new, confidence=confidence), truth) for of, truth in kinds]
        return [(interval.lower <= truth) & (truth <= interval.upper) for interval, truth in ends]

    at_all = jax.vmap(at, (0, None, None, None))
    return jax.vmap(at_all, (None, 0, 0, 0))(confidences, thetas, Y, y_new)


def _coverage(*data):
    """The shares of the data sets whose interval holds the truth, a row per confidence and a column per place."""
    return [np.mean(np.asarray(of), axis=0) for of in _holds(CONFIDENCES, *data)]


def _half_widths(Phi, y, Phi_new):
    """t σ √h of the line and t σ √(1 + h) of a new observation, h = x(XᵀX)⁻¹xᵀ, at the confidence CHOSEN."""
    rest = y - Phi @ np.linalg.solve(Phi.T @ Phi, Phi.T @ y)
    freedom = len(y) - Phi.shape[1]
    h = np.sum(Phi_new @ np.linalg.inv(Phi.T @ Phi) * Phi_new, axis=1)
    return stats.t.ppf((1 + CHOSEN) / 2, freedom) * np.sqrt(rest @ rest / freedom * np.stack([h, 1 + h]))


def _slider():
    """At σ = 1; θ and the bands' widths are linear in σ."""
    sizes, sigmas, grid = (
        (3, 5, 8, 12, 25, 60),
        np.array([0.1, 0.25, 0.5, 1.0, 1.5, 2.0])[:, None],
        np.linspace(-6, 8, 57),
    )
    Phi_grid = _with_bias(grid)
    noise = np.random.Generator(np.random.PCG64(1)).standard_normal(max(sizes))

    def of(m):
        x, y = np.linspace(-3, 3, m), noise[:m]
        Phi = _with_bias(x)
        theta = np.linalg.solve(Phi.T @ Phi, Phi.T @ y)
        truth, fit = Phi @ TRUE_THETA, Phi_grid @ TRUE_THETA
        fits = fit + sigmas * (Phi_grid @ theta)
        both = [np.stack([fits - sigmas * half, fits + sigmas * half], axis=1)
                for half in _half_widths(Phi, y, Phi_grid)]  # fmt: skip
        return x, truth + sigmas * y, fits, *both

    return bands.draw(grid, Phi_grid @ TRUE_THETA, sigmas[:, 0], {m: of(m) for m in sizes}, CHOSEN)


def _bands(x, y, theta, intervals, coverage, by_m, data_sets):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    Phi_grid = _with_bias(GRID)
    of_line, of_new = intervals
    for ends, alpha, held in ((of_new, 0.15, "a new y"), (of_line, 0.35, "the line")):
        label = f"{100 * CHOSEN:g} %: {held}"
        left.fill_between(GRID, ends.lower, ends.upper, color=FIT, alpha=alpha, lw=0, label=label)
    left.plot(GRID, Phi_grid @ theta, color=FIT, label="fit")
    left.plot(GRID, Phi_grid @ TRUE_THETA, "--", color=TRUTH, label="truth")
    left.plot(x, y, "o", color=DATA, ms=5, label="examples")
    left.set(xlabel="x", ylabel="y", title=f"{len(x)} examples, σ = {SIGMA}", xlim=(GRID[0], GRID[-1]))
    left.legend(loc="upper left", fontsize="small")
    for (of, share), color in zip(
        (coverage | {"a new observation, σ² by m": by_m}).items(), (DATA, FIT, SECOND), strict=True
    ):
        right.plot(
            100 * CONFIDENCES,
            100 * (share - CONFIDENCES[:, None]),
            "o-",
            color=color,
            lw=1,
            ms=3,
            label=[of] + [None] * (len(PLACES) - 1),
        )
    error = 2 * np.sqrt(CONFIDENCES * (1 - CONFIDENCES) / data_sets)
    right.fill_between(
        100 * CONFIDENCES, -100 * error, 100 * error, color=MUTED, alpha=0.3, lw=0, label="± 2 standard errors"
    )
    places = ", ".join(f"{place:g}" for place in PLACES).replace("-", "−")
    right.set(
        xlabel="confidence promised, %", ylabel="share that holds the truth, less that, %", title=f"At x = {places}"
    )
    right.set_ylim(bottom=1.7 * float(np.min(100 * (by_m - CONFIDENCES[:, None]))))  # room for the legend
    right.legend(fontsize="small", loc="lower right")
    return figure


def _probability(x, Phi, y, theta):
    figure, axes = plt.subplots(figsize=(6.5, 4))
    grid = np.linspace(-4, 6, 200)
    Phi_grid = _with_bias(grid)
    ends = jax.jit(partial(logistic.predict_interval, confidence=CHOSEN))(theta, Phi, Phi_grid)
    axes.fill_between(grid, ends.lower, ends.upper, color=FIT, alpha=0.25, lw=0, label=f"{100 * CHOSEN:g} % band")
    axes.plot(grid, predict(theta, Phi_grid), color=FIT, label="fit")
    axes.plot(grid, predict(TRUE_THETA, Phi_grid), "--", color=TRUTH, label="truth")
    axes.plot(x, y, "|", color=DATA, ms=9, label="examples")
    axes.set(xlabel="x", ylabel="P(y = 1 given x)", title=f"Logistic regression, {len(x)} examples", xlim=(-4, 6))
    axes.legend(loc="center right", fontsize="small")
    return figure
