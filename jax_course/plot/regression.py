"""Figures of a regression: coefficients with their intervals, residuals, a path over penalties, bands."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jax_course.inputs.types import ArrayLike
from jax_course.plot.canvas import canvas, legend, opacity
from jax_course.plot.checks import finite, interval_ends, texts
from jax_course.plot.style import CLASSES, DATA, FIT, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DASHES = "-", "--", ":", "-."
MOST_IN_LEGEND = len(CLASSES) * len(DASHES)  # lines that colour and dashes tell apart


def coefficients(
    estimates: ArrayLike, interval: Any, *, names: Iterable[Any] | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Each estimate as a point with its interval as a line, the first on top; returns the Axes. Course 5.3.

    estimates (d,); interval (lower, upper), each (d,), from `linear.confidence_interval`, a `summary` or
    `resampling.percentile_interval`. An interval that is NaN is left out. names (d,): x0, x1, … where none are given.
    ax: the Axes to draw on, or a new one. TypeError, ValueError: other shapes, or an estimate that is not finite.

    >>> ax = coefficients([1.0, -2.0], ([0.5, -3.0], [1.5, -1.0]), names=["age", "bmi"])
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['age', 'bmi']
    """
    estimates = finite(estimates, "estimates", ("d",))
    d = len(estimates)
    lower, upper = interval_ends(interval, "interval", d)
    labels = texts(names, d, "estimate, the bias too", "x")
    ax, rows = canvas(ax, (5.6, 1.1 + 0.27 * d)), np.arange(d)
    ax.axvline(0, color=MUTED, lw=0.8)
    ax.hlines(rows, lower, upper, color=DATA, lw=2)
    ax.plot(estimates, rows, "o", color=DATA, ms=5)
    ax.set_yticks(rows, labels)
    ax.set(ylim=(d - 0.5, -0.5), xlabel="coefficient")
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    return ax


def residuals(y: ArrayLike, predicted: ArrayLike, *, ax: "Axes | None" = None) -> "Axes":
    """The residuals y − ŷ against the predictions ŷ, a point for each example; returns the Axes. Course 3.1.

    y and predicted (m,). Where the model is right the points have no trend and one spread. ax: the Axes to draw on, or
    a new one. TypeError, ValueError: different shapes, or values that are not finite.

    >>> residuals([1.0, 3.0], [2.0, 2.5]).lines[-1].get_xydata().tolist()
    [[2.0, -1.0], [2.5, 0.5]]
    """
    predicted = finite(predicted, "predicted", ("m",))
    y = finite(y, "y", predicted.shape)
    ax = canvas(ax)
    ax.axhline(0, color=MUTED, lw=1)
    ax.plot(predicted, y - predicted, "o", color=DATA, ms=4.5, mew=0, alpha=opacity(len(y)))
    ax.set(xlabel="prediction ŷ", ylabel="residual y − ŷ")
    return ax


def path(
    penalties: ArrayLike, thetas: ArrayLike, *, names: Iterable[Any] | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Each coefficient as a line over the penalty, on a logarithmic axis; returns the Axes. Course 6.1, 6.2.

    penalties (n,) > 0, in any order; thetas (n, d), a row for each: `ridge.path(…)` or `lasso.path(…).theta`. names
    (d,): x0, x1, … where none are given. The legend has the order of the lines at the smallest penalty; more than 24
    have none. ax: the Axes to draw on, or a new one. TypeError, ValueError: other shapes, a penalty of 0, which has no
    logarithm, or values that are not finite.

    >>> path([1.0, 10.0], [[3.0], [2.0]]).lines[-1].get_xydata().tolist()
    [[1.0, 3.0], [10.0, 2.0]]
    """
    penalties = finite(penalties, "penalties", ("n",))
    if np.any(penalties <= 0):
        raise ValueError(
            f"penalties must be > 0 on a logarithmic axis; got {penalties.min():g}: leave it and its row of thetas out"
        )
    thetas = finite(thetas, "thetas", (len(penalties), "d"))
    d, order = thetas.shape[1], np.argsort(penalties)
    labels = texts(names, d, "column of thetas, the bias too", "x")
    many = d > MOST_IN_LEGEND
    ax = canvas(ax, (6.4, 4.0 if many else max(4.0, 0.6 + 0.18 * d)))  # room for the legend
    ax.axhline(0, color=MUTED, lw=0.8)
    for j in np.argsort(-thetas[order[0]], kind="stable"):
        color, dashes = CLASSES[j % len(CLASSES)], DASHES[j // len(CLASSES) % len(DASHES)]
        look = {"color": color, "lw": 0.8, "alpha": 0.7} if many else {"color": color, "ls": dashes, "lw": 1.6}
        ax.plot(penalties[order], thetas[order, j], label="" if many else labels[j], **look)
    ax.set(xscale="log", xlabel="penalty", ylabel="coefficient")
    if not many:
        legend(ax, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    return ax


def bands(
    x: ArrayLike,
    predicted: ArrayLike,
    intervals: Mapping[str, Any],
    *,
    observed: tuple[ArrayLike, ArrayLike] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """The predictions over x as a line, its intervals as bands, the widest behind; returns the Axes. Course 5.3.

    x and predicted (n,), in any order; intervals: a name for the legend and (lower, upper), each (n,), such as
    {"of the mean": linear.mean_interval(…), "of a new y": linear.predict_interval(…)}. observed: (x, y) of the
    examples. ax: the Axes to draw on, or a new one. TypeError, ValueError: other shapes, or values that are not finite.

    >>> bands([0.0, 1.0], [2.0, 3.0], {"95 %": ([1.0, 2.0], [3.0, 4.0])}).lines[0].get_ydata().tolist()
    [2.0, 3.0]
    """
    x = finite(x, "x", ("n",))
    predicted = finite(predicted, "predicted", x.shape)
    if not isinstance(intervals, Mapping):
        raise TypeError(f"intervals must name each, {{'95 %': (lower, upper)}}; got {type(intervals).__name__}")
    ends = {name: interval_ends(found, f"intervals[{name!r}]", len(x)) for name, found in intervals.items()}
    ax, order = canvas(ax), np.argsort(x, kind="stable")
    ax.plot(x[order], predicted[order], color=FIT, lw=2, label="prediction", zorder=2.5)
    widest_first = sorted(ends.items(), key=lambda item: -np.nansum(item[1][1] - item[1][0]))
    for i, (name, (lower, upper)) in enumerate(widest_first):
        ax.fill_between(
            x[order], lower[order], upper[order], color=FIT, alpha=min(0.15 + 0.2 * i, 0.6), lw=0, label=name
        )
    if observed is not None:
        seen = finite(observed[0], "the x of observed", ("m",))
        y = finite(observed[1], "the y of observed", seen.shape)
        ax.plot(seen, y, "o", color=DATA, ms=4.5, mew=0, alpha=opacity(len(y)), label="data")
    ax.set(xlabel="x", ylabel="y")
    legend(ax)
    return ax
