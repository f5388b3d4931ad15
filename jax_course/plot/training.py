"""The figure of a training: what was recorded, epoch by epoch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jax_course.inputs.types import ArrayLike
from jax_course.plot.canvas import canvas, legend
from jax_course.plot.checks import numbers
from jax_course.plot.style import CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 10  # times the smallest value: from there on the axis is logarithmic


def history(values: Mapping[str, ArrayLike], *, ax: "Axes | None" = None) -> "Axes":
    """Each recorded number as a line over the epochs, from 1 on; returns the Axes. Course 7.8.

    values: the history of a `Training`, or a part of it, such as {"cost": run.history["cost"]}: a name for the legend
    and a number for each epoch, shape (epochs,). A single name is that of the axis. The axis is logarithmic where
    all numbers are positive and the largest is 10 times the smallest; what is not finite is left out. ax: the Axes to
    draw on, or a new one. TypeError, ValueError: no mapping, nothing in it, or other shapes.

    >>> history({"cost": [4.0, 1.0]}).lines[0].get_xydata().tolist()
    [[1.0, 4.0], [2.0, 1.0]]
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"values must be a history, such as {{'cost': …}}; got {type(values).__name__}: run.history")
    if not values:
        raise ValueError("values must hold a record; it is empty: train(…, cost=…) records the cost after each epoch")
    records = {name: numbers(record, f"values[{name!r}]", ("epochs",)) for name, record in values.items()}
    records = {name: np.where(np.isfinite(record), record, np.nan) for name, record in records.items()}
    ax = canvas(ax)
    for i, (name, record) in enumerate(records.items()):
        marker = "o" if len(record) == 1 else ""
        epochs = np.arange(1, len(record) + 1)
        ax.plot(epochs, record, marker=marker, color=CLASSES[i % len(CLASSES)], lw=1.8, label=name.replace("_", " "))
    together = np.concatenate(list(records.values()))
    together = together[np.isfinite(together)]
    if together.size and together.min() > 0 and together.max() >= WIDE * together.min():
        ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.locator_params(axis="x", integer=True)
    if len(records) == 1:
        ax.set_ylabel(next(iter(records)).replace("_", " "))
    else:
        legend(ax)
    return ax
