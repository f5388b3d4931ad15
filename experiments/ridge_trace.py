"""The ridge trace: what a growing δ² does to the coefficients of a real table (course 6.1)."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab import CLASSES, FIT, MUTED, Picture, Result, fitted, prove
from jax_course import data, features, linear, ridge

TITLE = "The ridge trace on diabetes"
SECTION = "6.1"


def run(quick: bool) -> Result:
    """All coefficients along the path from one factorisation, and the error on examples put aside."""
    penalties = jnp.logspace(-4, 3, 40 if quick else 200)
    table = data.table("diabetes")
    (X, y), (X_test, y_test) = data.split(table.X, table.y, seed=1)
    to_units = data.standardize(X)
    Phi, Phi_test = features.with_bias(to_units(X)), features.with_bias(to_units(X_test))
    weights = jnp.ones(Phi.shape[1]).at[0].set(0)  # the bias is not penalised
    thetas = ridge.path(Phi, y, penalties * len(y), factors=weights)
    error, error_test = (
        jax.vmap(lambda theta, D=D, t=t: jnp.sqrt(linear.cost(theta, D, t) / len(t)))(thetas)
        for D, t in ((Phi, y), (Phi_test, y_test))
    )
    best = int(jnp.argmin(error_test))
    delta2 = float(penalties[best] * len(y))
    solution = ridge.fit(Phi, y, penalty=delta2 * weights).check()
    agreement = float(jnp.max(jnp.abs(solution.theta - thetas[best])) / jnp.max(jnp.abs(solution.theta)))
    numbers = {
        "best penalty": delta2,
        "RMSE, training": float(error[best]),
        "RMSE, test": float(error_test[best]),
        "RMSE, test, least squares": float(error_test[0]),
        "standard deviation of y, test": float(jnp.std(y_test)),
        "path against fit, relative difference": agreement,
        "coefficients that are exactly 0 at the largest penalty": int(jnp.sum(thetas[-1] == 0)),
        "coefficients": dict(zip(("bias", *table.features), solution.theta.tolist(), strict=True)),
    }
    return Result(
        {
            "trace": Picture(
                _trace(penalties, thetas, table.features, error, error_test, best),
                "Coefficients against δ² per example (features standardized, bias not penalised). They shrink towards "
                "0 and none is ever exactly 0: it is the lasso that removes features (slip E 7 of the printed "
                "course). s1, a large coefficient in least squares, changes its sign on the way: it was there to "
                "cancel s2.",
            )
        },
        numbers,
        prove("ridge", ridge, solution.theta, Phi, y, penalty=delta2 * weights),
        (fitted("ridge", "diabetes, 332 × 10", f"test RMSE {error_test[best]:.1f}", solution),),
    )


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
