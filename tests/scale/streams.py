"""A program of several processes: streams of which each process reads its own rows, and what they give, to FILE.

python -m jax_course.scale --processes 3 streams.py FILE CHECKPOINT
"""

import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jax_course import scale
from jax_course.optimization import optimizers
from jax_course.regression import linear

ROWS = 1003
ENDS = {"full": (0, 300, 650, ROWS), "empty": (0, 0, 10, ROWS)}  # of the rows of each process; the first has none

Pair = tuple[np.ndarray, np.ndarray]


def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X in units that differ, far from 0; a number, a truth value and a class for each row."""
    rng = np.random.Generator(np.random.PCG64(11))
    X = np.concatenate([np.ones((ROWS, 1)), 5 + rng.normal(size=(ROWS, 3)) * np.array([1.0, 10.0, 100.0])], axis=1)
    unit = X / np.sqrt(np.mean(X**2, axis=0))
    y = X @ rng.normal(size=4) + rng.normal(size=ROWS)
    truth = (unit @ rng.normal(size=4) + rng.logistic(size=ROWS) > 0).astype(float)
    return X, y, truth, np.argmax(unit @ rng.normal(size=(4, 3)) + rng.gumbel(size=(ROWS, 3)), axis=1)


def batches(X: np.ndarray, y: np.ndarray, first: int = 0, end: int = ROWS) -> list[Pair]:
    """The rows from the first to the end, in batches of 100 at most."""
    return [(X[i : min(i + 100, end)], y[i : min(i + 100, end)]) for i in range(first, end, 100)]


def mine(X: np.ndarray, y: np.ndarray, ends: str = "full") -> list[Pair]:
    """The rows of this process."""
    return batches(X, y, *ENDS[ends][jax.process_index() :][:2])


class Failing:
    """A source that cannot be read in one process, after so many passes over it; then it calls `failed`."""

    def __init__(
        self,
        source: list[Pair],
        passes: float,
        message: str = "the disk is gone",
        failed: Callable[[], Any] = lambda: None,
    ):
        self.source, self.left, self.message, self.failed, self.read = source, passes, message, failed, 0

    def __iter__(self) -> Iterator[Pair]:
        self.left -= 1
        if self.left < 0 and jax.process_index() == 1:
            self.failed()
            raise OSError(self.message)
        self.read += 1
        return iter(self.source)


def error(function: Callable[[], Any]) -> str:
    """The error that the function raises, as text."""
    try:
        function()
    except Exception as raised:
        return f"{type(raised).__name__}: {raised}"
    return ""


def sums(X: jax.Array, y: jax.Array, w: jax.Array) -> dict[str, Any]:
    """Two sums, and so many of such shapes that their description is long."""
    return {"moment": w @ X, "rows": (w > 0).sum(), "many": [w.sum().reshape((1,) * 30)] * 50}


def fits(ends: str) -> dict[str, Any]:
    """Fits and other sums of the rows of all processes."""
    X, y, truth, classes = problem()
    fitted = {
        "linear": scale.fit_linear(mine(X, y, ends)).check(),
        "ridge": scale.fit_ridge(mine(X, y, ends), penalty=3.0).check(),
        "logistic": scale.fit_logistic(mine(X, truth, ends), penalty=1.0).check(),
        "softmax": scale.fit_softmax(mine(X, classes, ends), classes=3, penalty=1.0).check(),
    }
    found = {name: fit.theta for name, fit in fitted.items()} | {
        f"{name} cost": fit.cost for name, fit in fitted.items()
    }
    units = scale.standardize(mine(X, y, ends))
    total, rows = scale.fold(mine(X, y, ends), sums)
    total["last of many"] = total.pop("many")[-1].reshape(())
    everywhere = multihost_utils.process_allgather(np.asarray(found["logistic"]))
    found["same bits"] = np.all(everywhere == everywhere[0])
    return found | total | {"mean": units.mean, "scale": units.scale, "counted": np.array(rows)}


def interrupted(file: Path) -> dict[str, Any]:
    """A fit that an error ended, the errors of all processes, and its end by a second call.

    Also from the checkpoint as it was when the rows could not be read, which is what a process that is killed leaves.
    """
    X, _, truth, _ = problem()
    left = file.with_name("left")
    source = Failing(mine(X, truth), 4, failed=lambda: shutil.copy(file, left))
    found = {"failed": np.array(gathered(error(lambda: scale.fit_logistic(source, penalty=1.0, checkpoint=file))))}
    for name, checkpoint in (("resumed", file), ("resumed after a kill", left)):
        rest = Failing(mine(X, truth), np.inf)
        found[name] = scale.fit_logistic(rest, penalty=1.0, checkpoint=checkpoint).theta
        found[f"passes {name}"] = np.array(rest.read)
    return found


def refusals() -> dict[str, str]:
    """The errors that these calls raise in this process."""
    X, y, truth, classes = problem()
    second = jax.process_index() == 1
    other, narrow = mine(X[:, : 3 if second else 4], y), mine(X.astype("f4") if second else X, y)
    run = linear.gradient, optimizers.sgd(0.1), np.zeros(4), mine(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twice = error(lambda: scale.fit_linear([(X, y)]))
    return {
        "columns": error(lambda: scale.fit_linear(other)),
        "dtype": error(lambda: scale.standardize(narrow)),
        "penalty": error(lambda: scale.fit_ridge(mine(X, y), penalty=float(second))),
        "labels": error(lambda: scale.fit_logistic(mine(X, truth + second))),
        "leader": error(lambda: scale.fit_logistic(mine(X, truth), checkpoint=__file__)),
        "none": error(lambda: scale.fit_linear(scale.from_table(target="y"))),
        "train": error(lambda: scale.train(*run, key=None, epochs=1, batch_size=10)),
        "file": error(lambda: scale.fit_softmax(Failing(mine(X, classes), 0), classes=3)),
        "odd": error(lambda: scale.fit_linear(Failing(mine(X, y), 0, "file \udcff" + 900 * "\0"))),
        "twice": twice,
    }


def gathered(text: str) -> list[str]:
    """The texts of all processes."""
    padded = np.frombuffer(text.encode(errors="replace").ljust(2000), np.uint8)
    return [row.tobytes().decode().rstrip() for row in multihost_utils.process_allgather(padded)]


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    found: dict[str, Any] = {f"{ends}/{name}": value for ends in ENDS for name, value in fits(ends).items()}
    found |= interrupted(Path(sys.argv[2]))
    found |= {f"refused {name}": np.array(gathered(text)) for name, text in refusals().items()}
    if jax.process_index() == 0:
        np.savez(sys.argv[1], **jax.tree.map(np.asarray, found))
