"""Gradient descent against IRLS on the breast cancer table (course 8.5, 8.6).

g = Xᵀ(π − y)                          descent        8.5
H = XᵀSX, S = diag(π(1 − π))           IRLS           8.6
"""

import jax
import matplotlib.pyplot as plt
import numpy as np
from jax import lax

from experiments.lab.result import Check, Picture, Result, apart, check_derivatives, fitted, in_float64
from experiments.lab.style import DATA, FIT, MUTED, SECOND
from jax_course import data, features, logistic

TITLE = "Gradient descent against IRLS"
SECTION = "8.5, 8.6"
DELTA2 = 1.0

predict, hessian = jax.jit(logistic.predict), jax.jit(logistic.hessian)


@in_float64
def run(quick: bool) -> Result:
    """Both from θ = 0 to the same minimum, each a compiled scan over its updates."""
    steps = 2_000 if quick else 20_000
    table = data.table("breast_cancer")
    (X, y), (X_test, y_test) = data.split(table.X, table.y, seed=0)
    mean, scale = map(np.asarray, data.standardize(X))
    Phi, Phi_test = (np.asarray(features.with_bias((np.asarray(D) - mean) / scale)) for D in (X, X_test))
    y, y_test = np.asarray(y), np.asarray(y_test)
    penalty = np.append(0.0, np.full(X.shape[1], DELTA2))
    solution = logistic.fit(Phi, y, penalty=penalty).check()
    theta = np.asarray(solution.theta)
    learning_rate = _largest_stable_rate(Phi, penalty)

    def descend(theta):
        return theta - learning_rate * logistic.gradient(theta, Phi, y, penalty=penalty)

    def newton(theta):
        return logistic.irls_step(theta, Phi, y, penalty=penalty)

    minimum = float(solution.cost)
    above_by_descent = _excess(descend, steps, Phi, y, penalty, minimum)
    above_by_irls = _excess(newton, 10, Phi, y, penalty, minimum)
    pi_test = np.asarray(predict(theta, Phi_test))
    accuracy = float(np.mean((pi_test > 0.5) == y_test))
    weights, spectra, of_weights = _weights(theta, Phi, y)
    half = int(np.searchsorted(np.cumsum(np.sort(weights)[::-1]), weights.sum() / 2)) + 1
    numbers = {
        "penalty": DELTA2,
        "cost at the minimum": minimum,
        "learning rate (1 / largest curvature)": float(learning_rate),
        "gradient descent: steps to 1e-6 above the minimum": _first_below(above_by_descent, 1e-6),
        "IRLS: steps to 1e-6 above the minimum": _first_below(above_by_irls, 1e-6),
        "examples with half of the weight in H": half,
        "largest curvature at θ = 0 and at the minimum": [float(of[0]) for of in spectra.values()],
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
                _probabilities(pi_test, y_test, table.classes),
                f"The fitted probabilities on the 142 examples put aside: accuracy {accuracy:.1%}.",
            ),
            "weights": Picture(
                _draw_weights(Phi @ theta, weights, y, table.classes, spectra),
                "Left: the weight π(1 − π) of each training example in H = XᵀSX, which is σ′ at its z. Half of all the "
                f"weight at the minimum is in {half} of the {len(y)} examples, those the model is not sure of; beyond "
                "|z| = 12 none weighs 10⁻⁵. Right: the curvatures, the eigenvalues of XᵀSX. At θ = 0 every weight is "
                "¼, the most it can be; at the minimum few examples are left to bend the cost, and it is flatter in "
                "every direction.",
            ),
        },
        numbers,
        (*check_derivatives("logistic", logistic, theta, Phi, y, penalty=penalty), *of_weights),
        (fitted("logistic", "breast cancer, 427 × 30", f"test accuracy {accuracy:.1%}", solution),),
    )


def _largest_stable_rate(Phi, penalty):
    """1 / λ_max of XᵀX/4 + 2 diag(penalty), which bounds the Hessian everywhere because π(1 − π) ≤ 1/4."""
    bound = Phi.T @ Phi / 4 + 2 * np.diag(penalty)
    return 1 / np.linalg.eigvalsh(bound)[-1]


def _excess(update, steps, Phi, y, penalty, minimum):
    def body(theta, _):
        return update(theta), logistic.cost(theta, Phi, y, penalty=penalty) - minimum

    _, excess = jax.jit(lambda theta: lax.scan(body, theta, length=steps))(np.zeros(Phi.shape[1]))
    return np.maximum(np.asarray(excess), 1e-13)


def _first_below(excess, bound):
    return int(np.argmax(excess < bound)) if (excess < bound).any() else f"more than {len(excess)}"


def _weights(theta, Phi, y):
    """S at theta; the eigenvalues of XᵀSX there and at 0, where S = I/4; and that this is the Hessian."""
    pi = np.asarray(predict(theta, Phi))
    weights = pi * (1 - pi)
    by_weights = (Phi.T * weights) @ Phi
    spectra = {
        name: np.linalg.eigvalsh(H)[::-1] for name, H in (("θ = 0", Phi.T @ Phi / 4), ("the minimum", by_weights))
    }
    same, flatter = apart(by_weights, hessian(theta, Phi, y)), float(np.max(spectra["the minimum"] / spectra["θ = 0"]))
    return (
        weights,
        spectra,
        (
            Check("Σ π(1 − π) x xᵀ, summed in NumPy = logistic.hessian", same, same < 1e-12),
            Check("each curvature at the minimum, in units of that at θ = 0", flatter, flatter < 1),
        ),
    )


def _race(above_by_descent, above_by_irls):
    figure, axes = plt.subplots(figsize=(6.5, 4))
    axes.plot(1 + np.arange(len(above_by_descent)), above_by_descent, color=DATA, label="gradient descent")
    axes.plot(1 + np.arange(len(above_by_irls)), above_by_irls, "o-", color=FIT, ms=4, label="IRLS")
    axes.axhline(1e-13, color=MUTED, lw=0.8, ls=":")
    axes.set(xscale="log", yscale="log", xlabel="updates, from 1", ylabel="C(θ) − C(minimum), nats",
             title=f"Breast cancer, δ² = {DELTA2:g}")  # fmt: skip
    axes.legend()
    return figure


def _probabilities(pi, y, names):
    figure, axes = plt.subplots(figsize=(6.5, 3.4))
    bins = list(np.linspace(0, 1, 21))
    for label, color in ((0, FIT), (1, DATA)):
        axes.hist(pi[y == label], bins=bins, color=color, alpha=0.75, label=names[label])
    axes.axvline(0.5, color=MUTED, ls="--", lw=1)
    axes.set(xlabel=f"π = P({names[1]} given x)", ylabel="test examples", title="What the model is sure of")
    axes.legend()
    return figure


def _draw_weights(z, weights, y, names, spectra):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    along = np.linspace(-12, 12, 241)
    left.plot(along, jax.jit(logistic.sigmoid_derivative)(along), color=MUTED, lw=1, zorder=1)
    for label, color in ((0, FIT), (1, DATA)):
        chosen = y == label
        left.scatter(z[chosen], weights[chosen], s=8 + 300 * weights[chosen], color=color, alpha=0.6,
                     edgecolor="white", lw=0.4, label=names[label])  # fmt: skip
    left.set(xlabel="z = xθ", ylabel="weight π(1 − π)", title="What each example weighs in H", xlim=(-12, 12))
    left.legend(markerscale=0.7)
    for (name, of), color in zip(spectra.items(), (MUTED, SECOND), strict=True):
        right.plot(1 + np.arange(len(of)), of, "o-", color=color, ms=3.5, lw=1, label=f"at {name}")
    right.set(yscale="log", xlabel="direction, by curvature", ylabel="eigenvalue of XᵀSX", title="The curvatures")
    right.legend()
    return figure
