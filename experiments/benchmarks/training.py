"""Stochastic training against scikit-learn's: one epoch of online logistic regression, and what a step costs.

`python -m experiments.benchmarks.training [--quick] [--out DIR]`. One process, all in float64, everybody in turn, the
median of the runs. Ours counts from the call of `train` on: the permutation is drawn and the examples are gathered in
the time; the first call, which compiles, is told apart. The data are arrays of the library that is measured.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import SGDClassifier

from jax_course import logistic
from jax_course.optimization import optimizers
from jax_course.train import train

RATE = 0.01
SGD = optimizers.sgd(RATE)


def problem(m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """X (m, d) and y (m,) in {0, 1}, of a logistic model."""
    rng = np.random.default_rng(0)
    X, theta = rng.standard_normal((m, d)), rng.standard_normal(d)
    return X, (rng.random(m) < 1 / (1 + np.exp(-X @ theta))) * 1.0


def ours(X: np.ndarray, y: np.ndarray, *, batch_size: int = 1, epochs: int = 1) -> Callable[[], np.ndarray]:
    """Logistic regression by `train`, as a user writes it."""
    arguments = logistic.gradient, SGD, jnp.zeros(X.shape[1]), jnp.asarray(X), jnp.asarray(y)
    run = partial(train, *arguments, key=jax.random.key(0), epochs=epochs, batch_size=batch_size)
    return lambda: np.asarray(run().check().theta)


def theirs(X: np.ndarray, y: np.ndarray, **settings) -> Callable[[], np.ndarray]:
    """One epoch of scikit-learn's, shuffled as by default."""
    settings |= {"tol": None, "max_iter": 1, "random_state": 0}
    model: Any = SGDClassifier(loss="log_loss", **settings)
    return lambda: np.ravel(model.fit(X, y).coef_)


def seconds(run: Callable[[], np.ndarray]) -> float:
    """Of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(runs: dict[str, Callable[[], np.ndarray]], times: int) -> dict[str, dict[str, float]]:
    """The first call, and the median and the fastest of as many others in turn."""
    first = {name: seconds(run) for name, run in runs.items()}
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            found[name].append(seconds(run))
    return {
        name: {"first": first[name], "median": statistics.median(found[name]), "fastest": min(found[name])}
        for name in runs
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables, and leave training.json."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.training", description="Stochastic training against scikit-learn's."
    )
    parser.add_argument("--quick", action="store_true", help="a hundredth of the examples, three runs")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    m, times = (10_000, 3) if options.quick else (1_000_000, 7)
    with jax.enable_x64(True):
        X, y = problem(m, 20)
        constant = {"learning_rate": "constant", "eta0": RATE, "alpha": 0.0}
        runs = {"SGDClassifier": theirs(X, y), "SGDClassifier, our steps": theirs(X, y, **constant)}
        runs |= {f"train, batches of {size}": ours(X, y, batch_size=size) for size in (1, 32, 1024)}
        epoch = measure(runs, times)
        cost = {name: float(logistic.cost(run(), X, y)) / m for name, run in runs.items()}
        sizes = {"4 examples, batch 1": (4, 1), "4 examples, batch 4": (4, 4), "1000, batch 2": (1000, 2)}
        steps = {
            name: (examples, size, (1 if options.quick else 10) * 20_000 * size // examples)
            for name, (examples, size) in sizes.items()
        }
        tiny = measure(
            {n: ours(X[:k, :2], y[:k], batch_size=size, epochs=e) for n, (k, size, e) in steps.items()}, times
        )
    per_step = {name: tiny[name]["median"] * size / (k * e) for name, (k, size, e) in steps.items()}
    record = {"m": m, "epoch": epoch, "mean cost": cost, "seconds per step": per_step}
    (options.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    table = Table("one epoch", "first, ms", "median, ms", "share", "mean cost", box=None)
    for name, found in epoch.items():
        share = f"{found['median'] / epoch['SGDClassifier']['median']:.2f}"
        table.add_row(name, f"{found['first'] * 1e3:.0f}", f"{found['median'] * 1e3:.1f}", share, f"{cost[name]:.4f}")
    Console().print(table)
    table = Table("2 parameters", "one step, ns", box=None)
    for name, found in per_step.items():
        table.add_row(name, f"{found * 1e9:.0f}")
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
