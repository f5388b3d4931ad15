"""The record of a training: the parameters, the history, the end, and all that a later call needs to continue it."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.core import Tracer


class Stop(NamedTuple):
    """The first value that is not finite. Course 7.7.

    leaf: its name, "theta['w']", or "cost" or "gradient_norm". epoch and step are those of the whole run, counted from
    1. examples: the rows of X in the batch of this step, an integer array (batch_size,), shorter for the last batch.

    >>> print(Stop("theta", 1, 2, np.array([3])))
    theta is not finite after step 2 (epoch 1, rows 3 of X). theta is the last finite one: look for NaN, ...
    """

    leaf: str
    epoch: int
    step: int
    examples: np.ndarray

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.examples[:5])) + (", …" if len(self.examples) > 5 else "")
        return (
            f"{self.leaf} is not finite after step {self.step} (epoch {self.epoch}, rows {rows} of X). theta is the "
            "last finite one: look for NaN, infinity or overflow in these rows, or take a smaller learning rate."
        )


_NAN = (
    "theta is NaN: a value of a run inside jit or vmap was not finite. Outside, the run ends at its last finite theta "
    "and names the step and the rows of X."
)


class NotTrained(RuntimeError):
    """The error of `Training.check`: a value is not finite. `training` is the run up to the last finite theta."""

    def __init__(self, training: "Training"):
        super().__init__(f"NOT_FINITE: {training.stop or _NAN}")
        self.training = training


class Training(NamedTuple):
    """The state of a run after a number of whole epochs. Course 7.7.

    theta: the parameters. state: that of the optimizer. history: a NumPy array for each recorded name, its first axis
    the epochs. epochs: how many are done. key, m and batch_size: all that the order of the examples depends on.
    stop: the first value that is not finite, or None. Inside jit and vmap there is none: from this value on theta and
    history are NaN, and `epochs` are those before it.

    >>> Training(0.5, None, {"cost": np.array([4.0, 1.0])}, 2, None, 10, 5)
    Training(2 epochs of 10 examples by 5, cost 1)
    """

    theta: Any
    state: Any
    history: dict[str, Any]
    epochs: int
    key: Array | None
    m: int
    batch_size: int
    stop: Stop | None = None

    def __repr__(self) -> str:
        last = {name: values[-1:] for name, values in self.history.items()}
        numbers = [f", {name} {float(value[0]):.6g}" for name, value in last.items() if np.shape(value) == (1,)]
        ended = "" if self.stop is None else f", stopped: {self.stop}"
        return f"Training({self.epochs} epochs of {self.m} examples by {self.batch_size}{''.join(numbers)}{ended})"

    def check(self) -> "Training":
        """Return this training if everything stayed finite; raise `NotTrained` otherwise.

        The error names the step, the leaf of theta and the rows of X.

        >>> Training(0.5, None, {}, 2, None, 10, 5).check().theta
        0.5
        """
        leaves = [leaf for leaf in jax.tree.leaves(self.theta) if not isinstance(leaf, Tracer)]
        if self.stop is not None or any(np.any(np.isnan(leaf)) for leaf in leaves):
            raise NotTrained(self)
        return self
