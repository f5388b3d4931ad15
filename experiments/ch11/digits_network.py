"""Handwritten digits by a network with one hidden layer of ReLU units, ten classes, six seeds (11.4).

    z = θ₀ + max(0, b + xΘ) θ,  π = softmax z,  C = −Σ log π_y

64 pixels in [0, 1]; 80 % of each class to train, 20 % to test. Every seed has its own split, weights and order.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.model_selection import train_test_split

from experiments.lab.result import Check, Picture, Result, check_derivatives, in_float64
from experiments.lab.style import DATA, FIT, MUTED
from jax_course import data
from jax_course.networks import costs, mlp
from jax_course.train import train

TITLE = "Digits by a network"
SECTION = "11.4"
BATCH = 32


class Run(NamedTuple):
    """What one seed led to; `predicted` and `true` are of the test examples, history the mean cost by epochs."""

    theta: Any
    predicted: np.ndarray
    true: Any
    history: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of test examples that are right."""
        return float(np.mean(self.predicted == self.true))


@in_float64
def run(quick: bool) -> Result:
    """Train once for every seed; then the confusion matrix of all, and what the hidden units have learned."""
    seeds, epochs, units = (2, 8, 128) if quick else (6, 60, 512)
    net = mlp([units, 10], "relu", costs.cross_entropy())
    table = data.table("digits")
    X, y = np.asarray(table.X, np.float32) / 16, np.asarray(table.y)
    optimizer, begin, guess = _adamw(round(0.8 * len(y)), epochs), _begin(net), _guess(net)
    runs = [_trained(net, begin, guess, optimizer, X, y, seed, epochs) for seed in range(seeds)]
    accuracy = np.array([of_seed.accuracy for of_seed in runs])
    again = _trained(net, begin, guess, optimizer, X, y, 0, epochs)
    confusion = np.zeros((10, 10), int)
    for of_seed in runs:
        np.add.at(confusion, (of_seed.true, of_seed.predicted), 1)
    return Result(
        {
            "confusion": Picture(
                _confusion(confusion),
                f"Test examples of all {seeds} seeds by true and predicted digit: {accuracy.mean():.1%} are right.",
            ),
            "weights": Picture(
                _weights(begin(0), runs[0].theta),
                "What training has added to the random weights into 20 hidden units, as images of the 64 pixels; those "
                "that have changed most. A unit grows with ink on red and shrinks with ink on blue. Neighbouring "
                "pixels tend to one colour, strokes and gaps, which in the random weights they do not.",
            ),
            "seeds": Picture(
                _seeds(accuracy, runs),
                "Left: the share of test digits that are right, for each seed, and the mean (line). Right: the mean "
                "cost of a training example after each epoch, a line for each seed.",
            ),
        },
        {
            "accuracy, test, by seed": accuracy.tolist(),
            "accuracy, test, mean": float(accuracy.mean()),
            "epochs": epochs,
            "hidden units": units,
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(runs[0].theta)),
            "confusion": confusion.tolist(),
        },
        (
            *check_derivatives("network", net._replace(hessian_product=None), begin(0), X[:20], y[:20]),
            *_good_enough(accuracy, (0.93, 0.92) if quick else (0.98, 0.97)),
            _same_again(runs[0], again),
            _neighbours_go_together(begin(0), runs[0].theta),
        ),
        (),
    )  # fmt: skip


def _begin(net):
    """seed → θ. float32 throughout, also where the default is float64."""

    @jax.jit
    def begin(seed):
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), net.init(jax.random.key(seed), 64))

    return begin


def _guess(net):
    return jax.jit(lambda theta, X: jnp.argmax(net.predict(theta, X), axis=1))


def _trained(net, begin, guess, optimizer, X, y, seed, epochs):
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies the schedule's float64 with float32
        training = train(net.gradient, optimizer, begin(seed), X_train, y_train, key=jax.random.key(seed),
                         epochs=epochs, batch_size=BATCH, metrics={"C": net.cost}).check()  # fmt: skip
    predicted = np.asarray(guess(training.theta, X_test))
    return Run(training.theta, predicted, y_test, training.history["C"] / len(X_train))


def _adamw(m, epochs):
    steps = epochs * -(-m // BATCH)
    return optax.adamw(optax.cosine_decay_schedule(2e-3, steps), weight_decay=0.1)


def _good_enough(accuracy, least):
    mean, lowest = float(accuracy.mean()), float(accuracy.min())
    yield Check(f"digits: wrong on average, at most {1 - least[0]:.0%}", 1 - mean, mean >= least[0])
    yield Check(f"digits: wrong with the worst seed, at most {1 - least[1]:.0%}", 1 - lowest, lowest >= least[1])


def _same_again(first, again):
    leaves = zip(jax.tree.leaves(first.theta), jax.tree.leaves(again.theta), strict=True)
    gap = max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in leaves)
    return Check("digits: the same seed gives the same bits", gap, gap == 0)


def _neighbours_go_together(start, theta):
    """Correlation of pixels side by side over all hidden units; not at the rim, where there is hardly any ink."""
    before, after = (np.asarray(of[0].weights).reshape(8, 8, -1)[1:7, 1:7] for of in (start, theta))
    learned, random = (
        np.corrcoef(image[:, :-1].ravel(), image[:, 1:].ravel())[0, 1] for image in (after - before, before)
    )
    return Check(
        "digits: correlation of neighbouring pixels, of what was learned, beside that of the random weights",
        float(learned),
        bool(learned > 0.1 > abs(random)),
    )


def _confusion(confusion):
    figure, axes = plt.subplots(figsize=(5.4, 5), layout="constrained")
    axes.imshow(np.log1p(confusion), cmap="Blues")
    for (true, guess), count in np.ndenumerate(confusion):
        if count:
            dark = np.log1p(count) > 0.6 * np.log1p(confusion.max())
            axes.text(guess, true, str(count), ha="center", va="center", color="white" if dark else "black", size=8)
    axes.set(xticks=range(10), yticks=range(10), xlabel="predicted", ylabel="true", title="Confusion matrix")
    axes.grid(False)
    return figure


def _weights(start, theta):
    first, _, last = jax.tree.map(np.asarray, theta)
    learned = first.weights - np.asarray(start[0].weights)
    loud = np.linalg.norm(learned, axis=0) * np.linalg.norm(last.weights, axis=1)
    chosen = np.argsort(-loud)[:20]
    reach = np.abs(learned[:, chosen]).max()
    figure, axes = plt.subplots(2, 10, figsize=(10, 2.5), layout="constrained")
    for axis, unit in zip(axes.flat, chosen, strict=True):
        image = axis.imshow(learned[:, unit].reshape(8, 8), cmap="RdBu_r", vmin=-reach, vmax=reach)
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    figure.colorbar(image, ax=axes, shrink=0.9, label="weight added")
    return figure


def _seeds(accuracy, runs):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    left.plot(range(len(accuracy)), accuracy, "o", color=DATA)
    left.axhline(accuracy.mean(), color=FIT)
    left.set(xlabel="seed", xticks=range(len(accuracy)), ylabel="right, of the test digits", title="After training")
    left.yaxis.set_major_formatter("{x:.1%}")
    for of_seed in runs:
        right.plot(range(1, len(of_seed.history) + 1), of_seed.history, color=MUTED, lw=0.8)
    right.set(xlabel="epochs", ylabel="C / m, training", yscale="log", title="On the way")
    return figure
