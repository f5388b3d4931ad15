"""The lasso path beside the ridge trace, and 8 parameters found among 200 with 80 examples (course 6.2)."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course import Solution, data, features, lasso, ridge

TITLE = "The lasso path and sparse recovery"
SECTION = "6.2"

M, D, NOT_ZERO, SIGMA = 80, 200, 8, 0.5
SHARES = (0.5, 0.2, 0.03)  # more penalties, in units of the largest


@in_float64
def run(quick: bool) -> Result:
    """Both paths on diabetes, the lasso's against its exact knots; then more features than examples."""
    count = 60 if quick else 300
    names, Phi, y, Phi_test, y_test = _diabetes()
    m, factors = len(y), np.append(0.0, np.ones(len(names)))  # the bias is not penalised
    penalties = float(lasso.largest_penalty(Phi, y, factors=factors)) * np.geomspace(1, 1e-4, count)
    deltas = m * np.geomspace(1e3, 1e-4, count)
    path = _in_numpy(lasso.path(Phi, y, penalties, factors=factors).check())
    thetas = {"lasso": path.theta, "ridge": np.asarray(ridge.path(Phi, y, deltas, factors=factors))}
    errors = {of: np.sqrt(np.mean((Phi_test @ theta.T - y_test[:, None]) ** 2, 0)) for of, theta in thetas.items()}
    gap, slope = np.max(_certify(path.theta, penalties, Phi, y, factors)[0]), np.max(path.gradient_norm / penalties)
    knots, at_knots = _knots(Phi[:, 1:], y)
    between = np.stack([np.interp(penalties, knots[::-1], column[::-1]) for column in at_knots.T], axis=1)
    steps = np.diff((at_knots != 0).astype(int), axis=0)  # 1 after the knot that lets a parameter in
    order = [names[j] for j in np.argsort(np.argmax(steps > 0, axis=0))]
    again = [names[j] for j in np.flatnonzero(np.any(steps < 0, axis=0))]
    pictures, numbers, checks, of_sparse = _sparse(count)
    return Result(
        {
            "path": Picture(
                _paths(names, {"lasso": penalties / m, "ridge": deltas / m}, thetas, errors, knots / m),
                "Coefficients on diabetes, features standardized. The lasso's are exactly 0 until a knot (dotted) lets "
                f"them in, {order[0]} first, then {order[1]} and {order[2]}; one can put them out again ({again[0]}). "
                "Ridge's are never 0. Right: of the same Σ|θ| the lasso makes more, until both are least squares.",
            ),
            **pictures,
        },
        {
            "diabetes": {"order": order, "leave again": again, "knots, per example": (knots / m).tolist()},
            "diabetes: least RMSE, test": {of: float(np.min(error)) for of, error in errors.items()},
            **numbers,
        },
        (
            Check("diabetes: largest duality gap", float(gap), bool(gap <= 1e-8)),
            Check("diabetes: largest of the shortest subgradients, in penalties", float(slope), bool(slope < 1e-4)),
            _same("diabetes: lasso.path = lines between the exact knots", thetas["lasso"][:, 1:], between, 1e-5),
            _same("diabetes: lasso.largest_penalty = the first knot", penalties[0], knots[0], 1e-12),
            *checks,
        ),
        (
            fitted("lasso", "diabetes, 332 × 10", f"test RMSE {errors['lasso'][-1]:.1f}", _row(path, -1)),
            fitted("lasso", f"{M} × {D}, {NOT_ZERO} not 0", f"{np.sum(of_sparse.theta != 0)} not 0", of_sparse),
        ),
    )  # fmt: skip


def _diabetes():
    table = data.table("diabetes")
    (X, y), (X_test, y_test) = data.split(table.X, table.y, seed=1)
    mean, scale = map(np.asarray, data.standardize(X))
    Z, Z_test = (np.asarray(features.with_bias((np.asarray(of) - mean) / scale)) for of in (X, X_test))
    return table.features, Z, np.asarray(y), Z_test, np.asarray(y_test)


def _in_numpy(solution):
    return jax.tree_util.tree_map(np.asarray, solution)


def _row(path, i):
    return Solution(*(leaf[i] for leaf in path[:5]))


def _same(claim, a, b, limit):
    error = float(np.max(np.abs(a - b)) / np.max(np.abs(b)))
    return Check(claim, error, error < limit)


def _certify(thetas, penalties, X, y, factors):
    """For each penalty the duality gap, in units of J, and which parameters it proves to be 0."""

    @jax.jit
    @jax.vmap
    def of(theta, penalty):
        at = theta / penalty, X, y / penalty  # in these units the penalty is 1, known before any tracing
        gap = lasso.duality_gap(*at, penalty=factors) / lasso.cost(*at, penalty=factors)
        return gap, lasso.screened(*at, penalty=factors)

    return [np.asarray(result) for result in of(thetas, penalties)]


def _knots(X, y):
    """The path without a solver (Efron et al. 2004): the penalties at which a parameter joins or leaves, θ there."""
    X, y = X - X.mean(axis=0), y - y.mean()
    theta, slopes, active = np.zeros(X.shape[1]), 2 * X.T @ y, []
    penalty, changes = np.max(np.abs(slopes)), int(np.argmax(np.abs(slopes)))
    path = [(penalty, theta)]
    while penalty > 0:
        active = [j for j in active if j != changes] if changes in active else [*active, changes]
        move = np.zeros_like(theta)  # as the penalty falls by 1
        move[active] = np.linalg.solve(X[:, active].T @ X[:, active], np.sign(slopes[active])) / 2
        fall = 2 * X.T @ (X @ move)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.stack([(penalty - slopes) / (1 - fall), (penalty + slopes) / (1 + fall), -theta / move])
        ends[:2, active] = np.inf
        ends[~(ends > 1e-10 * penalty)] = np.inf  # what has just joined or left
        step, changes = min(penalty, np.min(ends)), int(np.argmin(np.min(ends, axis=0)))
        penalty, theta, slopes = penalty - step, theta + step * move, slopes - step * fall
        theta[np.abs(theta) < 1e-12 * np.max(np.abs(theta))] = 0  # what leaves, but for rounding
        path.append((penalty, theta))
    return [np.array(column) for column in zip(*path, strict=True)]


def _sparse(count):
    """Pictures, numbers, proofs and the lasso's fit of the problem with few parameters that are not 0."""
    rng = np.random.default_rng(0)
    where, truth, X = rng.choice(D, NOT_ZERO, replace=False), np.zeros(D), rng.standard_normal((M, D))
    truth[where] = rng.choice([-1, 1], NOT_ZERO) * rng.uniform(1, 3, NOT_ZERO)
    y = X @ truth + SIGMA * rng.standard_normal(M)
    largest = float(lasso.largest_penalty(X, y))
    penalty = 2 * SIGMA * np.sqrt(2 * M * np.log(D))  # what 2|xᵀnoise| of D columns hardly ever exceeds
    penalties = np.sort(np.append(np.multiply(largest, SHARES), penalty))[::-1]
    path, at = _in_numpy(lasso.path(X, y, penalties).check()), int(np.argmax(penalties == penalty))
    by_ridge = np.asarray(ridge.path(X, y, np.geomspace(1e-2, 1e4, count)))
    nearest = np.argmin(np.linalg.norm(by_ridge - truth, axis=1))
    found = {"lasso": path.theta[at], "ridge": by_ridge[nearest]}
    off = {of: float(np.linalg.norm(theta - truth) / np.linalg.norm(truth)) for of, theta in found.items()}
    fits = path.theta[:, None, :] * np.ones((count, 1))
    guesses = fits * (1 - np.append(np.geomspace(1, 1e-8, count - 1), 0))[:, None]
    gaps, zero = _certify(guesses.reshape(-1, D), np.repeat(penalties, count), X, y, 1.0)
    gaps, zero, lost = gaps.reshape(-1, count), zero.reshape(fits.shape), float(np.sum(found["lasso"][where] == 0))
    gap, wrong, ratio = float(np.max(gaps[:, -1])), float(np.sum(zero & (fits != 0))), off["lasso"] / off["ridge"]
    return (
        {
            "recovery": Picture(
                _stems(truth, found, off),
                f"{M} examples of {D} features, which leave least squares undetermined; {NOT_ZERO} parameters of the "
                "truth (circles) are not 0. The lasso finds all of them, shrunk, and a few small ones beside; ridge, "
                "even with the δ² that comes nearest to the truth, spreads them over all features.",
            ),
            "screening": Picture(
                _screening(penalties / largest, gaps[:, :-1], zero[:, :-1], fits),
                "How many parameters the duality gap of a guess proves to be 0 in the fit, for guesses on the way from "
                "0 to the fit. The smaller the gap the more, until hardly one of those that are 0 (dotted) is missing: "
                "they can be left out long before the fit is there, and none is left out wrongly.",
            ),
        },
        {"sparse: θ off by": off, "sparse: not 0": {of: int(np.sum(at != 0)) for of, at in found.items()}},
        (
            Check("sparse: largest duality gap", gap, gap <= 1e-8),
            Check(f"sparse: of {np.sum(zero):,} times that a parameter is proven to be 0, wrong", wrong, wrong == 0),
            Check("sparse: of the truth's parameters, those that the lasso sets to 0", lost, lost == 0),
            Check("sparse: error of the lasso, in errors of the best ridge", ratio, ratio < 0.5),
        ),
        _row(path, at),
    )  # fmt: skip


def _stems(truth, found, off):
    figure, axes = plt.subplots(2, 1, figsize=(10, 5.2), sharex=True, sharey=True, layout="constrained")
    for axis, (of, theta) in zip(axes, found.items(), strict=True):
        for label, values, color, size, fill in (("truth", truth, TRUTH, 8, "none"), ("found", theta, FIT, 3.5, FIT)):
            j = np.flatnonzero(values)
            axis.vlines(j, 0, values[j], color=color, lw=1.2)
            axis.plot(j, values[j], "o", color=color, ms=size, mfc=fill, label=label)
        axis.axhline(0, color=MUTED, lw=0.8)
        axis.set(ylabel="parameter", title=f"{of}: {np.sum(theta != 0)} of {D} not 0, θ off by {off[of]:.0%}")
    axes[0].legend(loc="lower right", ncols=2)
    axes[1].set_xlabel("feature")
    return figure


def _screening(shares, gaps, zero, fits):
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for share, gap, checked, fit, color in zip(shares, gaps, zero, fits[:, 0], CLASSES, strict=False):
        axes.plot(gap, np.sum(checked, axis=1), color=color, label=f"penalty {share:.2g} of the largest")
        axes.axhline(np.sum(fit == 0), color=color, lw=1, ls=":")
    axes.set(xscale="log", xlabel="duality gap of the guess, in units of J", ylabel=f"proven to be 0, of {D}")
    axes.invert_xaxis()
    axes.legend(fontsize="small")
    return figure


def _paths(names, along, thetas, errors, knots):
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    for axis, (of, penalties) in zip(axes, along.items(), strict=False):
        for j, name in enumerate(names):
            style = "-" if j < len(CLASSES) else "--"
            axis.plot(penalties, thetas[of][:, j + 1], style, color=CLASSES[j % len(CLASSES)], lw=1.5, label=name)
        axis.axhline(0, color=MUTED, lw=0.8)
        axis.set(xscale="log", xlabel=f"{'penalty' if of == 'lasso' else 'δ²'} per example", title=of)
    axes[0].vlines(knots[:-1], 0, 1, color=MUTED, lw=0.8, ls=":", transform=axes[0].get_xaxis_transform())
    axes[0].set_ylabel("coefficient")
    for of, color in zip(thetas, (FIT, DATA), strict=True):
        axes[2].plot(np.sum(np.abs(thetas[of][:, 1:]), axis=1), errors[of], color=color, label=of)
    axes[2].set(xlabel="Σ|θ| without the bias", ylabel="root mean squared error", title="error on examples put aside")
    axes[2].legend()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    return figure
