"""Softmax regression on handwritten digits: ten classes, ten weight images (course 9.1–9.3)."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Picture, Result, check_derivatives, fitted, in_float64
from jax_course import data, features, softmax

TITLE = "Softmax regression on digits"
SECTION = "9.1-9.3"
FEW = np.array([0, *range(26, 32)])  # the bias and six pixels in the middle

predict_class = jax.jit(softmax.predict_class)


@in_float64
def run(quick: bool) -> Result:
    """Choose δ² on a part of the training examples; then the confusion matrix and the weights as pictures."""
    table = data.table("digits")
    (X, y), (X_test, y_test) = data.split(np.asarray(table.X) / 16, table.y, seed=0)
    if quick:
        X, y = np.asarray(X)[:600], np.asarray(y)[:600]
    Phi, Phi_test = (np.asarray(features.with_bias(of)) for of in (X, X_test))
    y, y_test = np.asarray(y), np.asarray(y_test)
    penalty, by_penalty = _choose_penalty(Phi, y)
    solution = softmax.fit(Phi, y, classes=10, penalty=penalty, weights=np.ones(len(y))).check()
    theta = np.asarray(solution.theta)
    predicted = np.asarray(predict_class(theta, Phi_test))
    accuracy = float(np.mean(np.asarray(predict_class(theta, Phi)) == y))
    accuracy_test = float(np.mean(predicted == y_test))
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (y_test, predicted), 1)
    numbers = {
        "penalty": penalty,
        "accuracy on the part put aside, by penalty": by_penalty,
        "accuracy, training": accuracy,
        "accuracy, test": accuracy_test,
        "parameters": theta.size,
        "confusion": confusion.tolist(),
    }
    return Result(
        {
            "confusion": Picture(
                _confusion(confusion),
                f"Test examples by true and predicted class: {accuracy_test:.1%} on the diagonal.",
            ),
            "weights": Picture(
                _weights(theta),
                "The parameters of the 64 pixels for each class: ink on red speaks for the digit, on blue against it.",
            ),
        },
        numbers,
        check_derivatives("softmax", softmax, theta[FEW], Phi[:40, FEW], y[:40], penalty=penalty),
        (fitted("softmax", f"digits, {len(y)} × 64", f"test accuracy {accuracy_test:.1%}", solution),),
    )


def _choose_penalty(Phi, y):
    """By the accuracy on a quarter of the examples, which are put aside by the weight 0: one program fits them all."""
    _, (_, aside) = data.split(Phi, np.arange(len(y)), seed=1)
    aside, weights = np.asarray(aside), np.ones(len(y))
    weights[aside] = 0
    by_penalty = {}
    for penalty in (0.1, 1.0, 10.0):
        theta = softmax.fit(Phi, y, classes=10, penalty=penalty, weights=weights).theta
        by_penalty[penalty] = float(np.mean(np.asarray(predict_class(theta, Phi))[aside] == y[aside]))
    return max(by_penalty, key=lambda penalty: by_penalty[penalty]), by_penalty


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
    pixels = theta[1:]
    reach = np.abs(pixels).max()
    for digit, axis in enumerate(axes.flat):
        image = axis.imshow(pixels[:, digit].reshape(8, 8), cmap="RdBu_r", vmin=-reach, vmax=reach)
        axis.set(xticks=[], yticks=[], title=str(digit))
        axis.grid(False)
    figure.colorbar(image, ax=axes, shrink=0.8, label="weight per unit of ink")
    return figure
