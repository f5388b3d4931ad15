"""Networks by hand against autodiff, PyTorch and scikit-learn: an epoch, tiny steps, a deep network, and memory.

`python -m experiments.benchmarks.networks [--quick] [--out DIR]`. One process, all in float32, everybody in turn, the
median of the runs; ratios are against the hand-written backward. Ours counts from the call of `train` on: the
permutation is drawn and the examples are gathered in the time, as in PyTorch's loop, which has them in memory; the
first call, which compiles, is told apart. The data are arrays of the library that is measured, and all but
scikit-learn begin at the same parameters. PyTorch is measured where it is installed; its threads wait for each other,
so that it is slowed down the most where other work runs beside.
"""

import argparse
import copy
import json
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from experiments.benchmarks.training import measure
from jax_course.networks import costs
from jax_course.networks.network import Network, mlp
from jax_course.optimization import optimizers
from jax_course.train import train

RATE, BATCH = 1e-3, 128
HAND, AUTODIFF = "by hand", "autodiff"
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0], np.float32)

Run = Callable[[], Any]


def problem(m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """X (m, d) and y (m,) in 0…9, at random."""
    rng = np.random.Generator(np.random.PCG64(0))
    return rng.standard_normal((m, d), np.float32), rng.integers(10, size=m, dtype=np.int32)


def classifier(*widths: int, activation: str = "relu") -> Network:
    """Hidden layers of these widths, and ten classes."""
    return mlp([*widths, 10], activation, costs.cross_entropy())


def start(net: Network, X: np.ndarray) -> Any:
    """The parameters everybody begins at."""
    return net.init(jax.random.key(0), X.shape[1])


def trained(gradient: Callable, optimizer: optax.GradientTransformation, theta: Any, *data, **settings) -> Run:
    """`train`, as a user writes it."""
    run = partial(train, gradient, optimizer, theta, *map(jnp.asarray, data), key=jax.random.key(0), **settings)
    return lambda: jax.block_until_ready(run().check().theta)


def both(net: Network, optimizer: optax.GradientTransformation, *data: np.ndarray, **settings) -> dict[str, Run]:
    """The hand-written backward, and autodiff of the same network's cost."""
    gradients = {HAND: net.gradient, AUTODIFF: jax.grad(net.cost)}
    return {name: trained(g, optimizer, start(net, data[0]), *data, **settings) for name, g in gradients.items()}


def plain_cost(theta: Any, X: Any, y: Any) -> jax.Array:
    """The cost with ReLU as one writes it without this package; theta: (bias, weights) of every layer."""
    *hidden, (bias, weights) = linear(theta)
    for b, w in hidden:
        X = jax.nn.relu(X @ w + b)
    return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(X @ weights + bias, y))


def linear(theta: Any) -> list[tuple[Any, Any]]:
    """(bias, weights) of every layer that has any."""
    return [tuple(layer) for layer in theta if layer]


def with_torch(theta: Any, X: np.ndarray, y: np.ndarray, device: str = "cpu") -> dict[str, Run]:
    """One epoch of PyTorch's loop from these parameters, with both forms of its Adam; none if it is not installed. The
    data are on the device before."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        return {}
    torch.set_num_threads(os.cpu_count() or 1)
    inputs, labels = (torch.from_numpy(a).to(device) for a in (X, y.astype(np.int64)))
    modules = []
    for bias, weights in linear(theta):
        layer = torch.nn.Linear(*weights.shape)
        layer.load_state_dict({"bias": torch.tensor(np.array(bias)), "weight": torch.tensor(np.array(weights).T)})
        modules += [layer, torch.nn.ReLU()]
    untrained = torch.nn.Sequential(*modules[:-1]).to(device)

    def run(**settings):
        model = copy.deepcopy(untrained)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, **settings)
        for rows in torch.randperm(len(inputs), device=device).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
        return [(layer.bias.detach().cpu().numpy(), layer.weight.detach().cpu().numpy().T) for layer in model[::2]]

    return {"PyTorch": run, "PyTorch, fused Adam": partial(run, fused=True)}


def with_sklearn(X: np.ndarray, y: np.ndarray, *hidden: int) -> Run:
    """One epoch of scikit-learn's, from a start of its own, without its penalty."""
    settings = {"batch_size": BATCH, "max_iter": 1, "solver": "adam", "learning_rate_init": RATE, "alpha": 0.0}
    model: Any = MLPClassifier(hidden_layer_sizes=hidden, random_state=0, **settings)

    def run():
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(X, y)
        return list(zip(model.intercepts_, model.coefs_, strict=True))

    return run


def epoch(X: np.ndarray, y: np.ndarray, *hidden: int, times: int, sklearn: bool) -> dict[str, dict[str, float]]:
    """Everybody's time for one epoch, and the mean cost after it."""
    net = classifier(*hidden)
    theta = start(net, X)
    runs = both(net, optimizers.adam(RATE), X, y, epochs=1, batch_size=BATCH)
    plain = trained(jax.grad(plain_cost), optimizers.adam(RATE), linear(theta), X, y, epochs=1, batch_size=BATCH)
    runs |= {"autodiff of plain jnp": plain} | with_torch(theta, X, y)
    runs |= {"MLPClassifier": with_sklearn(X, y, *hidden)} if sklearn else {}
    found = measure(runs, times)
    return {name: found[name] | {"mean cost": float(plain_cost(run(), X, y)) / len(X)} for name, run in runs.items()}


def anew(run: Run) -> Run:
    """The run with everything compiled again."""
    return lambda: (jax.clear_caches(), run())[1]


def gradients(net: Network, X: np.ndarray, y: np.ndarray, times: int) -> dict[str, dict[str, float]]:
    """One compiled gradient: its time, and the bytes it needs besides its arguments and what it returns."""
    functions, data = (
        {HAND: net.gradient, AUTODIFF: jax.grad(net.cost)},
        (start(net, X), jnp.asarray(X), jnp.asarray(y)),
    )
    programs = {name: jax.jit(function).lower(*data).compile() for name, function in functions.items()}
    found = measure(
        {name: lambda p=program: jax.block_until_ready(p(*data)) for name, program in programs.items()}, times
    )
    analyses: dict[str, Any] = {name: program.memory_analysis() for name, program in programs.items()}
    return {name: found[name] | {"bytes": analysis.temp_size_in_bytes} for name, analysis in analyses.items()}


def times_table(title: str, found: dict[str, dict[str, float]]) -> Table:
    """Milliseconds of everybody, their ratio to the hand-written one, and the mean cost where it is known."""
    table = Table(title, "first, ms", "median, ms", "fastest, ms", "ratio", box=None)
    if "mean cost" in found[HAND]:
        table.add_column("mean cost")
    for name, of in found.items():
        seconds = (f"{of[key] * 1e3:.1f}" for key in ("first", "median", "fastest"))
        cost = [f"{of['mean cost']:.4f}"] if "mean cost" in of else []
        table.add_row(name, *seconds, f"{of['median'] / found[HAND]['median']:.2f}", *cost)
    return table


def gradients_table(found: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Milliseconds and KiB of a compiled gradient, each with the ratio to the hand-written one."""
    columns = [f"{name}, {unit}" for unit in ("ms", "KiB") for name in (HAND, AUTODIFF)]
    table = Table("a gradient, batch of 128", *columns[:2], "ratio", *columns[2:], "ratio", box=None)
    for title, of in found.items():
        cells = []
        for key, scale, digits in (("median", 1e3, 3), ("bytes", 2**-10, 0)):
            hand, autodiff = (of[name][key] for name in (HAND, AUTODIFF))
            cells += [f"{hand * scale:.{digits}f}", f"{autodiff * scale:.{digits}f}", f"{autodiff / hand:.2f}"]
        table.add_row(title, *cells)
    return table


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables, and leave networks.json."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.networks", description="Networks by hand against autodiff and others."
    )
    parser.add_argument("--quick", action="store_true", help="a hundredth of the examples and steps, and few runs")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    share, times = (100, 3) if options.quick else (1, 15)
    with jax.enable_x64(False):
        X, y = problem(60_000 // share, 784)
        found = {"784-128-10, one epoch": epoch(X, y, 128, times=times, sklearn=True)}
        found["784-512-256-10, one epoch"] = epoch(X, y, 512, 256, times=times, sklearn=False)
        steps, xor = 10_000 // share, mlp([2, 1], "tanh", costs.binary_cross_entropy())
        found[f"2-2-1, {steps} steps"] = measure(
            both(xor, optimizers.sgd(0.5), *XOR, epochs=steps, batch_size=4), times
        )
        deep, few = classifier(*[64] * 49), problem(max(BATCH, 1280 // share), 64)
        runs = both(deep, optimizers.adam(RATE), *few, epochs=1, batch_size=BATCH)
        found["49 hidden layers, compiled before"] = measure(runs, times)
        found["49 hidden layers, compiled anew"] = measure({name: anew(run) for name, run in runs.items()}, times)
        by_net = {
            "784-512-256-10, relu": gradients(classifier(512, 256), *problem(BATCH, 784), times),
            "64-512-256-10, gelu": gradients(classifier(512, 256, activation="gelu"), *problem(BATCH, 64), times),
            "49 hidden layers, relu": gradients(deep, *problem(BATCH, 64), times),
        }
    record = {"m": len(X), "cores": os.cpu_count(), "runs": found, "gradients": by_net}
    (options.out / "networks.json").write_text(json.dumps(record, indent=2) + "\n")
    console = Console(width=120)  # the columns of a table are read side by side
    for title, times_of in found.items():
        console.print(times_table(title, times_of), "")
    if not any("PyTorch" in times_of for times_of in found.values()):
        console.print("PyTorch is not installed: its rows are left out\n")
    console.print(gradients_table(by_net))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
