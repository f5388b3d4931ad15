"""W9, what is derived by hand against autodiff of the same cost: gradients and Hessians, compiled."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax as probabilities

from experiments.benchmarks import torch_card
from experiments.benchmarks.problems import classes, generator, two_classes
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from jax_course import logistic, softmax


def compiled(function: Callable, *arguments: np.ndarray) -> Callable[[], Any]:
    """The function of arrays that stay on the device."""
    program, data = jax.jit(function), [jnp.asarray(a) for a in arguments]
    return lambda: jax.block_until_ready(program(*data))


def race(
    name: str,
    by_hand: Callable,
    by_autodiff: Callable,
    arguments: tuple[np.ndarray, ...],
    right: np.ndarray,
    work: Work,
    target: float | None,
    with_torch: tuple[Contender, ...] = (),
) -> Race:
    """Both sides, and the right value from NumPy."""
    X = arguments[1]
    autodiff = Contender("autodiff", partial(compiled, by_autodiff, *arguments))
    return Race(
        f"{name}, {len(X):,} × {X.shape[1]}",
        Contender("jax_course", partial(compiled, by_hand, *arguments)),
        (autodiff,),
        lambda found: float(np.max(np.abs(np.asarray(found, np.float64) - right)) / np.max(np.abs(right))),
        1e-11 if X.dtype == np.float64 else 1e-4,
        X.nbytes + arguments[2].nbytes,
        work,
        str(X.dtype),
        target,
        (autodiff, *with_torch),
    )


def _logistic(m: int, d: int, dtype: str) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    X, y = two_classes(m, d, dtype=dtype)
    theta = (generator(6).standard_normal(d) / np.sqrt(d)).astype(dtype)
    return (theta, X, y), 1 / (1 + np.exp(-(X.astype(np.float64, copy=False) @ theta)))


def logistic_gradient(m: int, d: int, *, dtype: str = "float64", target: float | None = None) -> Race:
    """Xᵀ(π − y)."""
    (theta, X, y), pi = _logistic(m, d, dtype)
    sides = logistic.gradient, jax.grad(logistic.cost)
    card = Contender("PyTorch grad", partial(torch_card.logistic_derivative, "grad", theta, X, y))
    return race("logistic gradient", *sides, (theta, X, y), (pi - y) @ X, Work(X.nbytes), target, (card,))


def logistic_hessian(m: int, d: int, *, target: float | None = None) -> Race:
    """XᵀSX."""
    (theta, X, y), pi = _logistic(m, d, "float64")
    right = X.T @ ((pi * (1 - pi))[:, None] * X)
    sides, work = (logistic.hessian, jax.hessian(logistic.cost)), Work(X.nbytes, m * d**2)
    card = Contender("PyTorch hessian", partial(torch_card.logistic_derivative, "hessian", theta, X, y))
    return race("logistic Hessian", *sides, (theta, X, y), right, work, target, (card,))


def softmax_hessian(m: int, d: int, K: int, *, target: float | None = None) -> Race:
    """Σ π_k (δ_kl − π_l) x xᵀ."""
    X, y = classes(m, d, K)
    theta = generator(6).standard_normal((d, K)) / np.sqrt(d)
    pi = probabilities(X @ theta, axis=1)
    right = np.zeros((d, K, d, K))
    for k in range(K):
        for n in range(K):
            right[:, k, :, n] = X.T @ ((pi[:, k] * ((k == n) - pi[:, n]))[:, None] * X)
    sides, work = (softmax.hessian, jax.hessian(softmax.cost)), Work(X.nbytes, m * (d * K) ** 2)
    return race("softmax Hessian", *sides, (theta, X, y), right, work, target)


def races(quick: bool) -> Iterator[Race]:
    """The gradient, in float32 too, and two Hessians."""
    m, d = (1_000, 20) if quick else (100_000, 500)
    yield logistic_gradient(m, d, target=1.5)
    yield logistic_gradient(m, d, dtype="float32")
    yield logistic_hessian(m // 5, d, target=1.8)
    yield softmax_hessian(m // 20, d // 10, 5, target=1.8)


WORKLOAD = Workload(
    "W9 by hand against autodiff",
    races,
    Scaling(logistic_hessian, (1_000, 10_000, 100_000), 100, (10, 30, 100, 300), 10_000),
)
