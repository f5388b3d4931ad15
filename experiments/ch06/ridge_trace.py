"""The ridge trace: what a growing δ² does to the coefficients of a real table, and why it spares the bias (6.1, 7.4).

J = Σ (θ₀ + xθ₁ − y)² + δ²θ₁²        ∂J/∂θ₀ = 2 Σ (θ₀ + xθ₁ − y)            7.4, slip E 10
                                     ∂J/∂θ₁ = 2 Σ (θ₀ + xθ₁ − y) x + 2δ²θ₁
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, check_derivatives, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, SECOND
from jax_course import data, features, ridge

TITLE = "The ridge trace on diabetes"
SECTION = "6.1, 7.4"
HEAVY, LIGHT, ETA, STEPS = 30.0, 3.0, 0.003, 150  # two δ² for a line far above 0, and a descent with the light one


@in_float64
def run(quick: bool) -> Result:
    """All coefficients along the path from one factorisation, and the error on examples put aside."""
    penalties = np.logspace(-4, 3, 40 if quick else 200)
    table = data.table("diabetes")
    (X, y), (X_test, y_test) = data.split(table.X, table.y, seed=1)
    mean, scale = map(np.asarray, data.standardize(X))
    Phi, Phi_test = (np.asarray(features.with_bias((np.asarray(D) - mean) / scale)) for D in (X, X_test))
    y, y_test = np.asarray(y), np.asarray(y_test)
    weights = np.append(0.0, np.ones(X.shape[1]))  # the bias is not penalised
    thetas = np.asarray(ridge.path(Phi, y, penalties * len(y), factors=weights))
    error, error_test = (
        np.sqrt(np.mean((D @ thetas.T - t[:, None]) ** 2, axis=0)) for D, t in ((Phi, y), (Phi_test, y_test))
    )
    best = int(np.argmin(error_test))
    delta2 = float(penalties[best] * len(y))
    solution = ridge.fit(Phi, y, penalty=delta2 * weights).check()
    agreement = apart(thetas[best], solution.theta)
    numbers = {
        "best penalty": delta2,
        "RMSE, training": float(error[best]),
        "RMSE, test": float(error_test[best]),
        "RMSE, test, least squares": float(error_test[0]),
        "standard deviation of y, test": float(np.std(y_test)),
        "path against fit, relative difference": agreement,
        "coefficients that are exactly 0 at the largest penalty": int(np.sum(thetas[-1] == 0)),
        "coefficients": dict(zip(("bias", *table.features), solution.theta.tolist(), strict=True)),
    }
    lines, slopes, printed, of_line = _line()
    return Result(
        {
            "trace": Picture(
                _trace(penalties, thetas, table.features, error, error_test, best),
                "Coefficients against δ² per example (features standardized, bias not penalised). They shrink towards "
                "0 and none is ever exactly 0: it is the lasso that removes features (slip E 7 of the printed "
                "course). s1, a large coefficient in least squares, changes its sign on the way: it was there to "
                "cancel s2.",
            ),
            "free_bias": Picture(
                _free_bias(lines, slopes, printed),
                f"Left: lines through points far above 0, δ² = {HEAVY:g}. Where the bias is free, only the slope "
                "shrinks and the line turns about the middle of the points; where it is penalised, the line sinks and "
                "misses nearly all. Right: the two partial derivatives along gradient descent go to 0. With the (−1) "
                "that is printed in ∂J/∂θ₀ (slip E 10, dashed) every step climbs along θ₀, and they grow instead.",
            ),
        },
        numbers,
        (*check_derivatives("ridge", ridge, solution.theta, Phi, y, penalty=delta2 * weights), *of_line),
        (fitted("ridge", "diabetes, 332 × 10", f"test RMSE {error_test[best]:.1f}", solution),),
    )


def _points():
    rng = np.random.Generator(np.random.PCG64(4))
    x = np.sort(rng.uniform(0, 4, 15))
    return x, 8 + 1.5 * x + 0.7 * rng.standard_normal(15)


def _partials(theta, x, y, delta2):
    """∂J/∂θ₀ and ∂J/∂θ₁, with a sum each."""
    residual = theta[0] + x * theta[1] - y
    return np.array([2 * np.sum(residual), 2 * np.sum(residual * x) + 2 * delta2 * theta[1]])


def _descend(x, y, sign):
    """The θ and the partial derivatives of a descent from 0, ∂J/∂θ₀ times sign."""
    theta, found = np.zeros(2), []
    for _ in range(STEPS):
        slope = _partials(theta, x, y, LIGHT)
        found.append((theta, slope))
        theta = theta - ETA * slope * np.array([sign, 1.0])
    return map(np.array, zip(*found, strict=True))


def _line():
    """Lines of free and penalised bias; the derivatives along a descent, by the printed signs too."""
    x, y = _points()
    X = np.stack([np.ones_like(x), x], axis=1)
    penalties = {"least squares": [0.0, 0.0], "bias free": [0.0, HEAVY], "bias penalised": [HEAVY, HEAVY]}
    lines = {name: np.asarray(ridge.fit(X, y, penalty=np.array(of)).check().theta) for name, of in penalties.items()}
    (thetas, slopes), (_, printed) = _descend(x, y, 1.0), _descend(x, y, -1.0)
    spares = np.array([0.0, LIGHT])

    @jax.jit
    @jax.vmap
    def witnesses(theta):
        return (ridge.gradient(theta, X, y, penalty=spares), jax.grad(ridge.cost)(theta, X, y, penalty=spares))

    by_matrix, by_autodiff = (apart(slopes, of) for of in witnesses(thetas))
    middle = apart(lines["bias free"] @ [1, x.mean()], y.mean())
    return (
        lines,
        slopes,
        printed,
        (
            Check("free bias: the two sums of 7.4 = ridge.gradient", by_matrix, by_matrix < 1e-12),
            Check("free bias: the same by autodiff", by_autodiff, by_autodiff < 1e-12),
            Check("free bias: the line goes through (mean of x, mean of y)", middle, middle < 1e-12),
        ),
    )


def _free_bias(lines, slopes, printed):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    x, y = _points()
    left.plot(x, y, "o", color=DATA, ms=5, label="examples")
    ends = np.array([0.0, 4.0])
    for (name, theta), color in zip(lines.items(), (MUTED, FIT, SECOND), strict=True):
        left.plot(ends, theta[0] + theta[1] * ends, color=color, label=f"{name}: {theta[0]:.1f} + {theta[1]:.2f} x")
    left.plot(x.mean(), y.mean(), "+", color="black", ms=11, mew=2, label="the two means")
    left.set(xlabel="x", ylabel="y", title=f"Lines, δ² = {HEAVY:g}", ylim=(0, None))
    left.legend(loc="lower right", fontsize="small")
    for values, style, of in ((slopes, "-", ""), (printed, "--", ", by the printed sign")):
        for j, color in ((0, CLASSES[4]), (1, CLASSES[5])):
            right.plot(np.abs(values[:, j]), style, color=color, label=f"∂J/∂θ{'₀₁'[j]}{of}")
    right.set(yscale="log", xlabel="step", ylabel="|partial derivative|", ylim=(0.5 * np.min(np.abs(slopes[-1])), None))
    right.set_title(f"Along a descent, δ² = {LIGHT:g}, η = {ETA:g}")
    right.legend(loc="center right", bbox_to_anchor=(1, 0.54), fontsize="small")
    return figure


def _trace(penalties, thetas, names, error, error_test, best):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    for j, name in enumerate(names):
        style = "-" if j < len(CLASSES) else "--"
        left.plot(penalties, thetas[:, j + 1], style, color=CLASSES[j % len(CLASSES)], lw=1.5, label=name)
    left.axhline(0, color=MUTED, lw=0.8)
    left.set(xscale="log", xlabel="δ² per example", ylabel="coefficient", title="Ridge trace")
    left.legend(ncols=2, fontsize="small", loc="upper right")
    right.plot(penalties, error, color=CLASSES[0], label="training")
    right.plot(penalties, error_test, color=CLASSES[1], label="test")
    right.plot(penalties[best], error_test[best], "o", color=FIT)
    right.set(xscale="log", xlabel="δ² per example", ylabel="root mean squared error", title="Error")
    right.set_ylim(float(np.min(error)) * 0.97, float(np.min(error_test)) * 1.25)
    right.legend()
    return figure
