"""`python -m experiments.benchmarks.streaming [--gigabytes N] [--features D]`: fits of a file against reading it.

A file of N GB is written, then three speeds are measured in this process, in rows a second: merely reading the file in
the same batches, the fit in memory of a gigabyte of it, and the fit of the whole file; and the most memory that the
last one held beyond what there was before it. A share counts against the slower of the first two; a fit that needs
several passes reads the file as often.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.benchmarks.clock import weighed
from jax_course import inputs, linear, logistic, scale
from jax_course.solution import Solution

GIGABYTE = 2**30
ROWS = 2**16  # drawn at once


class Speed(NamedTuple):
    """Rows a second: reading, the fit in memory, the fit of the file; its passes, and its bytes of memory."""

    reading: float
    in_memory: float
    streamed: float
    passes: int
    memory: int | None

    @property
    def share(self) -> float:
        """Of the slower of reading as often and fitting in memory."""
        return self.streamed / min(self.reading / self.passes, self.in_memory)


def write(folder: Path, gigabytes: float, d: int) -> tuple[Path, Path, Path]:
    """X (m, d), numbers y (m,) and truth values (m,), as files of NumPy."""
    m = max(2, int(gigabytes * GIGABYTE / (8 * d)) // ROWS) * ROWS
    rng = np.random.Generator(np.random.PCG64(0))
    theta, some = rng.normal(size=d) / np.sqrt(d), rng.normal(size=(ROWS, d))
    paths = folder / "X.npy", folder / "y.npy", folder / "truth.npy"
    X, y, truth = (
        np.lib.format.open_memmap(path, "w+", np.float64, shape)
        for path, shape in zip(paths, ((m, d), (m,), (m,)), strict=True)
    )
    for first in range(0, m, ROWS):
        rows = slice(first, first + ROWS)
        X[rows] = some[rng.permutation(ROWS)]
        z = X[rows] @ theta
        y[rows], truth[rows] = z + rng.normal(size=ROWS), z > rng.logistic(size=ROWS)
    for file in (X, y, truth):
        file.flush()
    return paths


def measured(source: scale.Batches, streamed: Callable[[Any], Solution], in_memory: Callable[..., Solution]) -> Speed:
    """The speeds of a fit, every program being compiled before."""
    X, y = (np.concatenate(a) for a in zip(*_a_gigabyte_of(source), strict=True))
    X, y = inputs.as_array(X, "X"), inputs.as_array(y, "y")
    streamed([pair for _, pair in zip(range(20), source, strict=False)])
    in_memory(X, y)
    fitted, seconds, _ = weighed(partial(in_memory, X, y))
    rows_in_memory = len(X) / seconds
    del X, y
    rows = sum(len(X) for X, _ in source)  # once before it is timed: then whatever can lie in the system's memory does
    _, reading, _ = weighed(lambda: sum(X[0, 0] + y[0] for X, y in source))
    found, seconds, memory = weighed(lambda: streamed(source))
    for solution in (fitted, found):
        solution.check()
    return Speed(rows / reading, rows_in_memory, rows / seconds, int(found.steps), memory)


def _a_gigabyte_of(source: scale.Batches) -> list[tuple[np.ndarray, np.ndarray]]:
    some, size = [], 0
    for X, y in source:
        some.append((X, y))
        size += X.nbytes
        if size >= GIGABYTE:
            break
    return some


def shown(speeds: dict[str, Speed]) -> Table:
    """A row for each fit."""
    table = Table("million rows a second", "reading", "in memory", "of the file", "passes", "share", "memory, MB")
    for name, speed in speeds.items():
        millions = (f"{value / 1e6:.2f}" for value in speed[:3])
        memory = "unknown" if speed.memory is None else f"{speed.memory / 1e6:.0f}"
        table.add_row(name, *millions, str(speed.passes), f"{speed.share:.0%}", memory)
    return table


def main(arguments: list[str] | None = None) -> int:
    """Write, measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.streaming", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=20, metavar="N", help="default: 20")
    parser.add_argument("--features", type=int, default=50, metavar="D", help="default: 50")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="for the file; default: where temporary files are")
    options = parser.parse_args(arguments)
    fits = {"linear": (scale.fit_linear, linear.fit), "logistic": (scale.fit_logistic, logistic.fit)}
    with jax.enable_x64(True), tempfile.TemporaryDirectory(dir=options.folder) as folder:
        X, *targets = write(Path(folder), options.gigabytes, options.features)
        speeds = {
            name: measured(scale.from_npy(X, y), *both) for (name, both), y in zip(fits.items(), targets, strict=True)
        }
    Console().print(shown(speeds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
