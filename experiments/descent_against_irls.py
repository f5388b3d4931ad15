"""Gradient descent against IRLS on the breast cancer table (course 8.5, 8.6)."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax import lax

from experiments.lab import DATA, FIT, MUTED, Picture, Result, fitted, prove
from jax_course import data, features, logistic

TITLE = "Gradient descent against IRLS"
SECTION = "8.5, 8.6"
DELTA2 = 1.0


def run(quick: bool) -> Result:
    """Both from θ = 0 to the same minimum, each a compiled scan over its updates."""
    steps = 2_000 if quick else 20_000
    table = data.table("breast_cancer")
    (X, y), (X_test, y_test) = data.split(table.X, table.y, seed=0)
    to_units = data.standardize(X)
    Phi, Phi_test = features.with_bias(to_units(X)), features.with_bias(to_units(X_test))
    penalty = jnp.full(Phi.shape[1], DELTA2).at[0].set(0)
    solution = logistic.fit(Phi, y, penalty=penalty).check()
    minimum = logistic.cost(solution.theta, Phi, y, penalty=penalty)
    learning_rate = _largest_stable_rate(Phi, penalty)

    def descend(theta):
        return theta - learning_rate * logistic.gradient(theta, Phi, y, penalty=penalty)

    def newton(theta):
        return logistic.irls_step(theta, Phi, y, penalty=penalty)

    above_by_descent = _excess(descend, steps, Phi, y, penalty, minimum)
    above_by_irls = _excess(newton, 10, Phi, y, penalty, minimum)
    accuracy = float(jnp.mean(logistic.predict_class(solution.theta, Phi_test) == y_test))
    numbers = {
        "penalty": DELTA2,
        "cost at the minimum": float(minimum),
        "learning rate (1 / largest curvature)": float(learning_rate),
        "gradient descent: steps to 1e-6 above the minimum": _first_below(above_by_descent, 1e-6),
        "IRLS: steps to 1e-6 above the minimum": _first_below(above_by_irls, 1e-6),
        "test accuracy": accuracy,
        "gradient norm": float(solution.gradient_norm),
        "without a penalty": str(logistic.fit(Phi, y)),
    }
    return Result(
        {
            "race": Picture(
                _race(above_by_descent, above_by_irls),
                "Cost above the minimum against the number of updates, both from θ = 0. IRLS squares its error at "
                "every step; gradient descent, at the largest rate that is safe everywhere (one over the largest "
                "curvature), multiplies it by a factor near 1. A step of IRLS costs a Hessian and a solve, 31 × 31.",
            ),
            "probabilities": Picture(
                _probabilities(logistic.predict(solution.theta, Phi_test), y_test, table.classes),
                f"The fitted probabilities on the 142 examples put aside: accuracy {accuracy:.1%}.",
            ),
        },
        numbers,
        prove("logistic", logistic, solution.theta, Phi, y, penalty=penalty),
        (fitted("logistic", "breast cancer, 427 × 30", f"test accuracy {accuracy:.1%}", solution),),
    )


def _largest_stable_rate(Phi, penalty):
    """1 / λ_max of XᵀX/4 + 2 diag(penalty), which bounds the Hessian everywhere because π(1 − π) ≤ 1/4."""
    bound = Phi.T @ Phi / 4 + 2 * jnp.diag(penalty)
    return 1 / jnp.linalg.eigvalsh(bound)[-1]


def _excess(update, steps, Phi, y, penalty, minimum):
    def body(theta, _):
        return update(theta), logistic.cost(theta, Phi, y, penalty=penalty) - minimum

    _, excess = jax.jit(lambda theta: lax.scan(body, theta, length=steps))(jnp.zeros(Phi.shape[1], Phi.dtype))
    return np.maximum(np.asarray(excess), 1e-13)


def _first_below(excess, bound):
    return int(np.argmax(excess < bound)) if (excess < bound).any() else f"more than {len(excess)}"


def _race(above_by_descent, above_by_irls):
    figure, axes = plt.subplots(figsize=(6.5, 4))
    axes.plot(1 + np.arange(len(above_by_descent)), above_by_descent, color=DATA, label="gradient descent")
    axes.plot(1 + np.arange(len(above_by_irls)), above_by_irls, "o-", color=FIT, ms=4, label="IRLS")
    axes.axhline(1e-13, color=MUTED, lw=0.8, ls=":")
    axes.set(xscale="log", yscale="log", xlabel="updates, from 1", ylabel="C(θ) − C(minimum), nats",
             title="Breast cancer, δ² = 1")  # fmt: skip
    axes.legend()
    return figure


def _probabilities(pi, y, names):
    figure, axes = plt.subplots(figsize=(6.5, 3.4))
    bins = list(np.linspace(0, 1, 21))
    for label, color in ((0, FIT), (1, DATA)):
        axes.hist(np.asarray(pi)[np.asarray(y) == label], bins=bins, color=color, alpha=0.75, label=names[label])
    axes.axvline(0.5, color=MUTED, ls="--", lw=1)
    axes.set(xlabel=f"π = P({names[1]} given x)", ylabel="test examples", title="What the model is sure of")
    axes.legend()
    return figure
