"""W6, an epoch of a network by Adam, float32: `train` against scikit-learn and PyTorch; many steps of a tiny one."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from experiments.benchmarks import networks, torch_card
from experiments.benchmarks.problems import images
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from experiments.benchmarks.torch_lbfgs import THREADS
from jax_course.networks import costs, mlp
from jax_course.optimization import optimizers

Layers = list[tuple[np.ndarray, np.ndarray]]


def mean_cost(layers: Layers, X: np.ndarray, y: np.ndarray) -> float:
    """In units of that of a guess, in NumPy."""
    *hidden, (bias, weights) = [(np.asarray(b, np.float64), np.asarray(w, np.float64)) for b, w in layers]
    for b, w in hidden:
        X = np.maximum(X @ w + b, 0)
    Z = X @ weights + bias
    of_class = Z[np.arange(len(y)), y]
    return float(np.mean(np.logaddexp.reduce(Z, axis=1) - of_class) / np.log(10))


def epoch(m: int, *hidden: int, side: int = 28, target: float | None = None) -> Race:
    """The parameters after an epoch; half of the cost of a guess must be gone, or in a short one some of it."""
    X, y = images(m, side=side, dtype="float32")
    widths = [X.shape[1], *hidden, 10]
    weights = [a * b for a, b in pairwise(widths)]
    of_weights = 6 * sum(weights) - 2 * weights[0]  # two products back for each one there, but none to the inputs
    return Race(
        f"an epoch of {m:,}, batches of {networks.BATCH}, {'-'.join(map(str, widths))}",
        Contender("jax_course", partial(ours, X, y, hidden)),
        (
            Contender("scikit-learn MLPClassifier", lambda: networks.with_sklearn(X, y, *hidden)),
            Contender("PyTorch", partial(with_torch, X, y, hidden, "PyTorch")),
            Contender("PyTorch, fused Adam", partial(with_torch, X, y, hidden, "PyTorch, fused Adam")),
            Contender("PyTorch, compiled", partial(with_compiled, X, y, hidden), compiles=True),
        ),
        lambda layers: mean_cost(layers, X, y),
        0.5 if m >= 50_000 else 1,
        X.nbytes + y.nbytes,
        Work(X.nbytes, m * of_weights),
        "float32",
        target,
        (Contender("PyTorch, fused Adam", partial(with_torch, X, y, hidden, "PyTorch, fused Adam", on_card=True)),),
    )


def ours(X: np.ndarray, y: np.ndarray, hidden: tuple[int, ...]) -> Callable[[], Layers]:
    """`train` with the network's gradient by hand."""
    net = networks.classifier(*hidden)
    theta = networks.start(net, X)
    settings = {"epochs": 1, "batch_size": networks.BATCH}
    run = networks.trained(net.gradient, optimizers.adam(networks.RATE), theta, X, y, **settings)
    return lambda: networks.linear(run())


def with_torch(
    X: np.ndarray, y: np.ndarray, hidden: tuple[int, ...], name: str, *, on_card: bool = False
) -> Callable[[], Layers]:
    """Its loop, from the same parameters; on the CPU, or on the device that JAX has."""
    import torch  # pyright: ignore[reportMissingImports]

    device = torch_card.device() if on_card else "cpu"
    run = networks.with_torch(networks.start(networks.classifier(*hidden), X), X, y, device)[name]
    torch.set_num_threads(THREADS)
    return run


def with_compiled(X: np.ndarray, y: np.ndarray, hidden: tuple[int, ...]) -> Callable[[], Layers]:
    """The same with the cost compiled and the fused Adam, where there is a compiler for C++."""
    import torch  # pyright: ignore[reportMissingImports]

    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise ModuleNotFoundError(name="a C++ compiler")
    torch.set_num_threads(THREADS)
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y.astype(np.int64))
    layers = networks.linear(networks.start(networks.classifier(*hidden), X))
    modules = [module for b, w in layers for module in (torch.nn.Linear(*w.shape), torch.nn.ReLU())][:-1]
    model = torch.nn.Sequential(*modules)
    cost = torch.compile(lambda X, y: torch.nn.functional.cross_entropy(model(X), y))

    def run():
        for layer, (b, w) in zip(model[::2], layers, strict=True):
            layer.load_state_dict({"bias": torch.tensor(np.array(b)), "weight": torch.tensor(np.array(w).T)})
        optimizer = torch.optim.Adam(model.parameters(), lr=networks.RATE, fused=True)
        for rows in torch.randperm(len(inputs)).split(networks.BATCH):
            optimizer.zero_grad()
            cost(inputs[rows], labels[rows]).backward()
            optimizer.step()
        return [(layer.bias.detach().numpy(), layer.weight.detach().numpy().T) for layer in model[::2]]

    return run


def tiny(steps: int, *, target: float | None = None) -> Race:
    """XOR by 2-2-1: the parameters after so many full-batch steps are those of NumPy's loop in float64."""
    net = mlp([2, 1], "tanh", costs.binary_cross_entropy())

    def begin(dtype: Any) -> Layers:
        return [(np.array(b, dtype), np.array(w, dtype)) for b, w in networks.linear(networks.start(net, X))]

    def ours() -> Callable[[], Layers]:
        settings = {"epochs": steps, "batch_size": 4}
        run = networks.trained(net.gradient, optimizers.sgd(0.5), networks.start(net, X), X, y, **settings)
        return lambda: networks.linear(run())

    def error(layers: Layers) -> float:
        right = in_numpy(begin(np.float64), X, y, steps)
        pairs = zip(layers, right, strict=True)
        return max(float(np.max(np.abs(a - b))) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True))

    X, y = networks.XOR
    return Race(
        f"2-2-1, {steps:,} full-batch steps",
        Contender("jax_course", ours),
        (Contender("NumPy", lambda: lambda: in_numpy(begin(np.float32), X, y, steps)),),
        error,
        1e-2,
        X.nbytes + y.nbytes,
        dtype="float32",
        target=target,
    )


def in_numpy(layers: Layers, X: np.ndarray, y: np.ndarray, steps: int) -> Layers:
    """Gradient descent on the mean cost, written out."""
    (b1, W1), (b2, W2) = layers
    for _ in range(steps):
        hidden = np.tanh(X @ W1 + b1)
        pi = 1 / (1 + np.exp(-(hidden @ W2 + b2)))
        delta2 = (pi - y[:, None]) / len(y)
        delta1 = delta2 @ W2.T * (1 - hidden**2)
        W2, b2 = W2 - 0.5 * hidden.T @ delta2, b2 - 0.5 * delta2.sum(0)
        W1, b1 = W1 - 0.5 * X.T @ delta1, b1 - 0.5 * delta1.sum(0)
    return [(b1, W1), (b2, W2)]


def races(quick: bool) -> Iterator[Race]:
    """Two networks on pictures, and the tiny one."""
    m = 600 if quick else 60_000
    yield epoch(m, 128, target=2.3)
    if not quick:
        yield epoch(m, 512, 256, target=2.5)
    yield tiny(100 if quick else 10_000, target=15)


def at(m: int, d: int) -> Race:
    """Pictures of about d pixels, one hidden layer."""
    return epoch(m, 128, side=round(d**0.5))


WORKLOAD = Workload(
    "W6 networks, an epoch",
    races,
    Scaling(at, (1_280, 10_240, 61_440), 784, (64, 256, 784, 2304), 10_240),
)
