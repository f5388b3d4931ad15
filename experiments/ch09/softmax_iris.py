"""Softmax regression on iris: three classes, linear borders (course 9.1–9.3)."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.interactive import moving_class
from experiments.lab.result import Picture, Result, check_derivatives, fitted, in_float64
from experiments.lab.style import CLASSES, mixed
from jax_course import data, features, softmax

TITLE = "Softmax regression on iris"
SECTION = "9.1-9.3"
PENALTY = 0.05

predict, predict_class = jax.jit(softmax.predict), jax.jit(softmax.predict_class)


@in_float64
def run(quick: bool) -> Result:
    """Two features to be able to draw the regions, four to classify; and what happens without a penalty."""
    resolution = 120 if quick else 400
    table = data.table("iris")
    iris, classes = np.asarray(table.X), np.asarray(table.y)
    petal = iris[:, 2:]
    Phi = features.with_bias(petal)
    by_two = softmax.fit(Phi, classes, penalty=PENALTY).check()
    (X, y), (X_test, y_test) = data.split(features.with_bias(iris), classes, test=0.3, seed=0)
    by_four = softmax.fit(X, y, penalty=PENALTY).check()
    of_two, accuracy, accuracy_test = (
        float(np.mean(np.asarray(predict_class(solution.theta, of)) == np.asarray(labels)))
        for solution, of, labels in ((by_two, Phi, classes), (by_four, X, y), (by_four, X_test, y_test))
    )
    free = softmax.fit(X, y)
    numbers = {
        "penalty": PENALTY,
        "accuracy, petals only": of_two,
        "accuracy, training": accuracy,
        "accuracy, test": accuracy_test,
        "rows of theta sum to (0 by symmetry)": np.sum(by_four.theta, axis=1).tolist(),
        "without a penalty": str(free),
    }
    return Result(
        {
            "regions": Picture(
                _regions(by_two.theta, petal, classes, table.classes, resolution),
                "The colour mixes the three classes' colours by their probabilities. Borders between two classes are "
                "straight, since the difference of their log π is linear in x. Setosa stands apart from the others: "
                "without a penalty no minimum exists, and the fit says so.",
            )
        },
        numbers,
        check_derivatives("softmax", softmax, by_four.theta, X, y, penalty=PENALTY),
        (
            fitted("softmax", "iris, 105 × 4", f"test accuracy {accuracy_test:.1%}", by_four),
            fitted("softmax, no penalty", "iris, 105 × 4", "no minimum", free),
        ),
        {"slider": _slider()},
    )


def _slider():
    """Two clouds stay; the third goes from beside them to behind them."""
    rng = np.random.Generator(np.random.PCG64(11))
    spread = rng.standard_normal((3, 50, 2))
    clouds = spread[:2] * 0.8 + np.array([[[-2.0, -1.0]], [[2.0, -1.0]]])
    places = np.linspace(-4, 4, 21)
    moving = spread[2] * 0.8 + np.stack([places, 2.2 - 0.12 * places**2], axis=-1)[:, None, :]
    sides = np.linspace(-6, 6, 73), np.linspace(-4, 4.5, 52)
    plane = features.with_bias(np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2))
    y = np.repeat(np.arange(3), 50)

    def of(cloud):
        X = features.with_bias(np.concatenate([*clouds, cloud]))
        return predict(softmax.fit(X, y, penalty=0.1).theta, plane)

    pi = np.stack([of(cloud) for cloud in moving]).reshape(len(places), len(sides[1]), len(sides[0]), 3)
    return moving_class.draw(sides, pi, clouds, moving, places)


def _regions(theta, petal, y, names, resolution):
    figure, axes = plt.subplots(figsize=(6, 4.4))
    low, high = petal.min(axis=0) - 0.3, petal.max(axis=0) + 0.3
    grid = np.meshgrid(np.linspace(low[0], high[0], resolution), np.linspace(low[1], high[1], resolution))
    pi = np.asarray(predict(theta, features.with_bias(np.stack(grid, axis=-1).reshape(-1, 2))))
    axes.imshow(
        mixed(pi).reshape(resolution, resolution, 3),
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        aspect="auto",
        interpolation="bilinear",
    )
    for label, marker in enumerate("os^"):
        chosen = petal[y == label]
        axes.plot(*chosen.T, marker, color=CLASSES[label], mec="white", mew=0.6, ms=6, ls="", label=names[label])
    axes.set(xlabel="petal length, cm", ylabel="petal width, cm", title="P(class given x)")
    axes.grid(False)
    axes.legend(loc="upper left")
    return figure
