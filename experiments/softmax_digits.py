"""Softmax regression on handwritten digits: ten classes, ten weight images (course 9.1–9.3)."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab import Picture, Result, fitted, prove
from jax_course import data, features, softmax

TITLE = "Softmax regression on digits"
SECTION = "9.1-9.3"


def run(quick: bool) -> Result:
    """Choose δ² on a part of the training examples; then the confusion matrix and the weights as pictures."""
    table = data.table("digits")
    (X, y), (X_test, y_test) = data.split(table.X / 16, table.y, seed=0)
    if quick:
        X, y = X[:600], y[:600]
    Phi, Phi_test = features.with_bias(X), features.with_bias(X_test)
    penalty, by_penalty = _choose_penalty(Phi, y)
    if quick:  # no second program for the examples that were put aside
        (Phi, y), _ = data.split(Phi, y, seed=1)
    free_bias = jnp.full((Phi.shape[1], 1), penalty).at[0].set(0)
    solution = softmax.fit(Phi, y, classes=10, penalty=free_bias).check()
    accuracy, accuracy_test = (_accuracy(solution.theta, *examples) for examples in ((Phi, y), (Phi_test, y_test)))
    predicted = softmax.predict_class(solution.theta, Phi_test)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (np.asarray(y_test), np.asarray(predicted)), 1)
    numbers = {
        "penalty": penalty,
        "accuracy on the part put aside, by penalty": by_penalty,
        "accuracy, training": accuracy,
        "accuracy, test": accuracy_test,
        "parameters": int(solution.theta.size),
        "confusion": confusion.tolist(),
    }
    return Result(
        {
            "confusion": Picture(
                _confusion(confusion),
                f"Test examples by true and predicted class: {accuracy_test:.1%} on the diagonal.",
            ),
            "weights": Picture(
                _weights(solution.theta),
                "The parameters of the 64 pixels for each class: ink on red speaks for the digit, on blue against it.",
            ),
        },
        numbers,
        prove("softmax", softmax, solution.theta, Phi[:200], y[:200], penalty=free_bias),
        (fitted("softmax", f"digits, {len(y)} × 64", f"test accuracy {accuracy_test:.1%}", solution),),
    )


def _choose_penalty(Phi, y):
    (X, t), (X_aside, t_aside) = data.split(Phi, y, seed=1)
    by_penalty = {
        penalty: _accuracy(softmax.fit(X, t, classes=10, penalty=penalty).theta, X_aside, t_aside)
        for penalty in (0.01, 0.1, 1.0)
    }
    return max(by_penalty, key=lambda penalty: by_penalty[penalty]), by_penalty


def _accuracy(theta, X, y):
    return float(jnp.mean(softmax.predict_class(theta, X) == y))


def _confusion(confusion):
    figure, axes = plt.subplots(figsize=(5, 4.6))
    axes.imshow(np.log1p(confusion), cmap="Blues")
    for true, row in enumerate(confusion):
        for guess, count in enumerate(row):
            if count:
                dark = np.log1p(count) > 0.6 * np.log1p(confusion.max())
                axes.text(guess, true, str(count), ha="center", va="center", color="white" if dark else "black", size=8)
    axes.set(xticks=range(10), yticks=range(10), xlabel="predicted", ylabel="true", title="Confusion matrix")
    axes.grid(False)
    return figure


def _weights(theta):
    figure, axes = plt.subplots(2, 5, figsize=(8, 3.7), layout="constrained")
    pixels = np.asarray(theta)[1:]
    reach = np.abs(pixels).max()
    for digit, axis in enumerate(axes.flat):
        image = axis.imshow(pixels[:, digit].reshape(8, 8), cmap="RdBu_r", vmin=-reach, vmax=reach)
        axis.set(xticks=[], yticks=[], title=str(digit))
        axis.grid(False)
    figure.colorbar(image, ax=axes, shrink=0.8, label="weight per unit of ink")
    return figure
