"""W5, softmax regression: `softmax.fit` against scikit-learn and PyTorch on digits, normal features, and pictures."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import softmax as probabilities

from experiments.benchmarks import torch_card, torch_lbfgs
from experiments.benchmarks.problems import classes, images
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from jax_course import softmax

PENALTY = 0.5  # scikit-learn's C = 1
PASSES = 15  # over the data: what a method without second derivatives does with on isotropic data
MOST_STEPS = 100_000


def race(
    name: str,
    X: np.ndarray,
    y: np.ndarray,
    *,
    second_order: bool = True,
    target: float | None = None,
) -> Race:
    """theta (d, K), with a gradient of at most 1e-9 of that at 0 in float64, 1e-4 in float32."""
    m, d, K = *X.shape, 10
    bound = 1e-9 if X.dtype == np.float64 else 1e-4

    def gradient(theta: np.ndarray) -> float:
        pi = probabilities(X.astype(np.float64, copy=False) @ theta, axis=1)
        pi[np.arange(m), y] -= 1
        return float(np.linalg.norm(X.T @ pi + 2 * PENALTY * theta))

    def error(theta: Any) -> float:
        return gradient(np.asarray(theta, np.float64).reshape(d, K)) / at_0

    at_0 = gradient(np.zeros((d, K)))
    of_sum = bound * at_0 / np.sqrt(d * K)
    solvers = ["newton-cg", "lbfgs", *(["newton-cholesky"] if second_order else [])]
    return Race(
        f"softmax, {name}, {m:,} × {d} × {K}",
        Contender("jax_course", partial(ours, X, y)),
        (
            *(
                Contender(f"scikit-learn {solver}", partial(with_sklearn, X, y, of_sum / m, solver))
                for solver in solvers
            ),
            Contender("PyTorch LBFGS", partial(with_torch, X, y, of_sum)),
        ),
        error,
        bound,
        X.nbytes + y.nbytes,
        Work(PASSES * X.nbytes, PASSES * 4 * m * d * K),
        str(X.dtype),
        target,
        (Contender("PyTorch LBFGS", partial(torch_card.softmax_lbfgs, X, y, K, PENALTY, of_sum)),),
    )


def ours(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """`softmax.fit`."""
    data = jnp.asarray(X), jnp.asarray(y)
    return lambda: np.asarray(softmax.fit(*data, penalty=PENALTY).theta)


def with_sklearn(X: np.ndarray, y: np.ndarray, tolerance: float, solver: str) -> Callable[[], Any]:
    """LogisticRegression by one of its solvers."""
    from sklearn.linear_model import LogisticRegression

    settings = {"C": 1 / (2 * PENALTY), "fit_intercept": False, "tol": tolerance, "max_iter": MOST_STEPS}
    return lambda: LogisticRegression(solver=solver, **settings).fit(X, y).coef_.T


def with_torch(X: np.ndarray, y: np.ndarray, tolerance: float) -> Callable[[], Any]:
    """Its L-BFGS on the sum."""
    import torch  # pyright: ignore[reportMissingImports]

    inputs, labels = torch.from_numpy(X), torch.from_numpy(y.astype(np.int64))
    start = np.zeros((X.shape[1], 10), X.dtype)

    def cost(theta):
        of_data = torch.nn.functional.cross_entropy(inputs @ theta, labels, reduction="sum")
        return of_data + PENALTY * torch.sum(theta**2)

    return lambda: torch_lbfgs.minimise(cost, start, tolerance)


def digits(m: int, every: int) -> tuple[np.ndarray, np.ndarray]:
    """The first m of scikit-learn's 1,797 digits, every so many pixels, in [0, 1]."""
    from sklearn.datasets import load_digits

    X, y = map(np.asarray, load_digits(return_X_y=True))
    return X[:m, ::every] / 16, y[:m].astype(np.int32)


def at(m: int, d: int) -> Race:
    """Normal features."""
    return race("normal", *classes(m, d, 10))


def races(quick: bool) -> Iterator[Race]:
    """The three data sets, and normal features in float32."""
    m, d = (1_000, 20) if quick else (100_000, 100)
    pictures = images(500, side=8) if quick else images(70_000)
    yield race("digits", *(digits(200, 4) if quick else digits(1_797, 1)), target=4)
    yield race("normal", *classes(m, d, 10), target=1.3)
    yield race("pictures", *pictures, second_order=False, target=1)
    yield race("normal", *classes(m, d, 10, dtype="float32"))


WORKLOAD = Workload(
    "W5 softmax regression",
    races,
    Scaling(at, (1_000, 10_000, 100_000), 50, (10, 30, 100, 300), 10_000),
)
