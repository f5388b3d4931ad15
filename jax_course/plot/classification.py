"""Figures of a classification: calibration, the ROC curve, the confusion matrix, the boundary between classes."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from jax_course import inputs, metrics
from jax_course.inputs.types import ArrayLike
from jax_course.plot.canvas import canvas, legend, opacity, square
from jax_course.plot.checks import finite, texts
from jax_course.plot.style import CLASSES, DATA, MUTED, mixed, rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Z = 1.959963984540054  # standard deviations of a normal value in a 95 % interval
MOST_NUMBERS = 20  # classes up to which the confusion matrix is written out
LETTER = 0.1  # inches, the width of one of 10 points
ROUNDING = 1e-5  # by which a probability of a user's function may lie outside of [0, 1]
PIXELS = 200  # of a side of the plane that boundary evaluates


def calibration(
    y: ArrayLike,
    pi: ArrayLike,
    *,
    bins: int = 10,
    label: str | None = None,
    color: str = DATA,
    ax: "Axes | None" = None,
) -> "Axes":
    """How often class 1 occurs where it was predicted with a probability; returns the Axes. Murphy & Winkler (1977).

    y (m,) of 0 and 1, pi (m,) the predicted probabilities of 1. A point for each of `bins` equal parts of [0, 1] that
    holds a prediction: their mean, and the share of 1 with Wilson's 95 % interval. Probabilities that mean what they
    say lie on the diagonal. label: of the legend; color: to tell models on one Axes apart. ax: the Axes to draw on, or
    a new one. TypeError, ValueError: other labels or shapes, or no probabilities.

    >>> calibration([0, 1, 1], [0.2, 0.4, 0.9], bins=2).lines[1].get_xydata().round(2).tolist()
    [[0.3, 0.5], [0.9, 1.0]]
    """
    pi = finite(pi, "pi", ("m",))
    labels, wrong = _binary(y, len(pi)), pi[(pi < 0) | (pi > 1)]
    if wrong.size:
        raise ValueError(f"pi must hold probabilities, between 0 and 1; got {wrong[0]:g}")
    if inputs.whole(bins, "bins") < 1:
        raise ValueError(f"bins must be at least 1; got {bins}")
    ones = labels == 1
    part = np.minimum((pi * bins).astype(int), bins - 1)
    n, ones, total = (np.bincount(part, weights, minlength=bins) for weights in (None, ones, pi))
    seen = n > 0
    n, share, mean = n[seen], ones[seen] / n[seen], total[seen] / n[seen]
    center = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half_width = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    ax = canvas(ax, (4.4, 4.4))
    square(ax)
    ax.plot(mean, share, "o-", color=color, lw=1.6, ms=5, label=label)
    ax.vlines(mean, center - half_width, center + half_width, color=color, lw=1.2, alpha=0.6)
    ax.set(xlabel="predicted probability", ylabel="observed share")
    legend(ax, loc="upper left")
    return ax


def roc(
    y: ArrayLike, scores: ArrayLike, *, label: str | None = None, color: str = DATA, ax: "Axes | None" = None
) -> "Axes":
    """The ROC curve, and its area in the legend; returns the Axes. Fawcett (2006).

    y (m,) of 0 and 1, both must occur; scores (m,): probabilities, logits, or anything that rises with them. For each
    threshold, the share of class 1 above it over that of class 0 above it. label: before the area; color: to tell
    models on one Axes apart. ax: the Axes to draw on, or a new one. Errors: as of `metrics.roc_auc`, whose area it is.

    >>> ax = roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> ax.get_legend().get_texts()[0].get_text()
    'area 0.750'
    """
    scores = finite(scores, "scores", ("m",))
    labels, dtype = _binary(y, len(scores)), jnp.result_type(float)
    area = float(metrics.roc_auc(jnp.asarray(labels, dtype), jnp.asarray(scores, dtype)))
    thresholds, place = np.unique(-scores, return_inverse=True)
    shares = []
    for c in (0, 1):
        above = np.cumsum(np.bincount(place[labels == c], minlength=len(thresholds)))
        shares.append(np.append(0.0, above / above[-1]))
    ax = canvas(ax, (4.4, 4.4))
    square(ax)
    ax.plot(*shares, color=color, lw=2, label=f"{label}, area {area:.3f}" if label else f"area {area:.3f}")
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    legend(ax, loc="lower right")
    return ax


def confusion(C: ArrayLike, *, names: Iterable[Any] | None = None, ax: "Axes | None" = None) -> "Axes":
    """The confusion matrix, coloured by the share of each row, with its counts; returns the Axes. Fawcett (2006).

    C (K, K): `metrics.confusion(y, predicted)`, a row for each true class. names (K,): of the classes, else their
    numbers. Of more than 20 classes only the colours are shown. ax: the Axes to draw on, or a new one. TypeError,
    ValueError: another shape, a negative count, or other than K names.

    >>> ax = confusion([[3, 1], [0, 4]], names=["no", "yes"])
    >>> [text.get_text() for text in ax.texts]
    ['3', '1', '0', '4']
    """
    C = finite(C, "C", ("K", "K"))
    K = len(C)
    if C.shape != (K, K):
        raise ValueError(f"C must have shape (K, K), that of metrics.confusion(y, predicted); got shape {C.shape}")
    if np.any(C < 0):
        raise ValueError(f"C must hold counts, at least 0; got {C.min():g}")
    labels, total = texts(names, K, "class", ""), C.sum(axis=1, keepdims=True)
    share = np.divide(C, total, out=np.zeros_like(C), where=total > 0)
    side = 2.2 + 0.42 * min(K, MOST_NUMBERS)
    ax = canvas(ax, (side, side))
    ax.imshow(1 - share[..., None] * (1 - rgb(DATA)), aspect="equal")  # from white to the colour
    ax.grid(False)
    ax.spines[:].set(visible=True, color=MUTED, linewidth=0.6)
    shown = range(0, K, -(-K // MOST_NUMBERS))
    labels = [labels[k] for k in shown]
    cell = ax.bbox.width / ax.figure.dpi / len(labels)  # inches
    if K <= MOST_NUMBERS:
        _write_counts(ax, C, share, cell)
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if LETTER * max(map(len, labels)) > cell else {}
    ax.set_xticks(shown, labels, **turned)
    ax.set_yticks(shown, labels)
    ax.tick_params(length=0)
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def boundary(
    predict: Callable[[np.ndarray], Any],
    X: ArrayLike,
    y: ArrayLike,
    *,
    names: Iterable[Any] | None = None,
    class_names: Iterable[Any] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """The plane of two features coloured by a classifier's probabilities, with its boundaries; returns the Axes.

    predict: a function of points (n, 2) that gives the probability of class 1, (n,), or of K ≤ 6 classes, (n, K), such
    as lambda points: logistic.predict(theta, features.with_bias(points)). X (m, 2), without the column of ones, y (m,)
    of class numbers. names: of the two features; class_names (K,): of the classes, else their numbers. ax: the Axes to
    draw on, or a new one. TypeError, ValueError: other shapes, labels, or values that are not finite. Course 8.1, 9.1.

    >>> ax = boundary(lambda points: 1.0 * (points[:, 0] > 1), [[0.0, 0.0], [2.0, 1.0]], [0, 1])
    >>> ax.get_legend_handles_labels()[1]
    ['class 0', 'class 1']
    """
    given, X = X, finite(X, "X", ("m", 2))
    labels = finite(y, "y", (len(X),))
    features = texts(names, 2, "column of X", "x")
    low, high = X.min(axis=0), X.max(axis=0)
    margin = np.where(high > low, 0.06 * (high - low), 1.0)
    sides = [np.linspace(start, end, PIXELS) for start, end in zip(low - margin, high + margin, strict=True)]
    grid = np.stack(np.meshgrid(*sides), axis=-1)
    pi = _probabilities(predict, grid.reshape(-1, 2).astype(_dtype(given))).reshape(PIXELS, PIXELS, -1)
    K = pi.shape[-1]
    wrong = labels[(labels != np.round(labels)) | (labels < 0) | (labels >= K)]
    if wrong.size:
        raise ValueError(f"y must hold class numbers 0…{K - 1}, those that predict knows; got {wrong[0]:g}")
    shown = texts(class_names, K, "class", "class ", "class_names")
    ax = canvas(ax)
    half = [(side[1] - side[0]) / 2 for side in sides]
    (left, right), (bottom, top) = ((side[0] - h, side[-1] + h) for side, h in zip(sides, half, strict=True))
    ax.imshow(
        mixed(pi), extent=(left, right, bottom, top), origin="lower", aspect="auto", interpolation="bilinear", zorder=0
    )
    for k in range(1 if K == 2 else 0, K):
        lead = pi[..., k] - np.max(np.delete(pi, k, axis=-1), axis=-1)
        if lead.min() < 0 < lead.max():
            ax.contour(*sides, lead, levels=[0.0], colors="black", linewidths=1.2, zorder=1)
    for k, name in enumerate(shown):
        points = X[labels == k].T
        look = {"color": CLASSES[k], "ms": 5, "mec": "white", "mew": 0.5, "alpha": max(0.4, opacity(len(X)))}
        ax.plot(*points, "o", label=name, zorder=2, **look)
    ax.set(xlim=sides[0][[0, -1]], ylim=sides[1][[0, -1]], xlabel=features[0], ylabel=features[1])
    ax.grid(False)
    legend(ax, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _write_counts(ax: "Axes", C: np.ndarray, share: np.ndarray, cell: float) -> None:
    """The counts in their cells, cell inches wide, in a size that fits."""
    form = ".0f" if np.all(C == np.round(C)) else ".3g"
    longest = max(len(f"{count:{form}}") for count in C.flat)
    size = min(10.0, 10.0 * cell / (LETTER * longest))
    for (i, j), count in np.ndenumerate(C):
        color = "white" if share[i, j] > 0.55 else "black"
        ax.text(j, i, f"{count:{form}}", ha="center", va="center", size=size, color=color)


def _binary(y: ArrayLike, m: int) -> np.ndarray:
    """The labels y (m,), refused where one is neither 0 nor 1."""
    labels = finite(y, "y", (m,))
    wrong = labels[(labels != 0) & (labels != 1)]
    if wrong.size:
        raise ValueError(f"y must hold the labels 0 and 1; got {wrong[0]:g}")
    return labels


def _dtype(X: ArrayLike) -> np.dtype:
    """The dtype of X, of whole numbers and lists JAX's own: that of the fit, which takes no other."""
    dtype = jnp.result_type(X) if hasattr(X, "dtype") else jnp.result_type(float)
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def _probabilities(predict: Callable[[np.ndarray], Any], points: np.ndarray) -> np.ndarray:
    """The probabilities (n, K) of the points (n, 2), K from 2 to the number of colours."""
    n = len(points)
    pi = predict(points)
    pi = finite(pi, "predict(points)", (n,) if np.ndim(pi) == 1 else (n, "K"))
    if pi.ndim == 1:
        pi = np.stack([1 - pi, pi], axis=1)
    if not 2 <= pi.shape[1] <= len(CLASSES):
        raise ValueError(
            f"predict must give the probability of class 1, (n,), or of 2 to {len(CLASSES)} classes, (n, K); got shape "
            f"{pi.shape}"
        )
    if pi.min() < -ROUNDING or pi.max() > 1 + ROUNDING:
        raise ValueError(f"predict must give probabilities, between 0 and 1; got {pi.min():g} to {pi.max():g}")
    return pi
