"""W7, RBF kernels: ridge regression with one on each example against KernelRidge, and with 1,000 against Nystroem."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import torch_card
from experiments.benchmarks.problems import design, generator
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from jax_course import kernel

PENALTY, NOISE = 0.1, 0.1
ON_WEIGHTS = 1e-4  # θᵀθ instead of θᵀKθ: with it the predictions come out as good as with the other


def problem(m: int, d: int, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    """X (m, d) and y (m,): a smooth function, and noise."""
    X = design(m, d, dtype=dtype)
    clean = np.sin(X[:, 0]) + np.cos(X[:, 1 % d])
    return X, (clean + NOISE * generator(3).standard_normal(m)).astype(dtype)


def blocks(X: np.ndarray, centers: np.ndarray, scale: float) -> Iterator[np.ndarray]:
    """The kernels of 1,000 rows at a time, in float64."""
    X, centers = X.astype(np.float64), centers.astype(np.float64)
    for rows in np.split(X, range(1_000, len(X), 1_000)):
        distances = np.sum(rows**2, 1)[:, None] + np.sum(centers**2, 1) - 2 * rows @ centers.T
        yield np.exp(-np.maximum(distances, 0) / scale)


def exact(m: int, d: int, *, dtype: str = "float64", target: float | None = None) -> Race:
    """theta (m,), with a residual of the system of at most 1e-9 of y."""
    X, y = problem(m, d, dtype)
    scale = 2.0 * d

    def error(theta: Any) -> float:
        theta = np.ravel(theta).astype(np.float64)
        fitted = np.concatenate([K @ theta for K in blocks(X, X, scale)])
        return float(np.linalg.norm(fitted + PENALTY * theta - y) / np.linalg.norm(y))

    return Race(
        f"RBF ridge, a kernel on each of {m:,} × {d}",
        Contender("jax_course", partial(ours, X, y, scale)),
        (Contender("scikit-learn KernelRidge", partial(with_kernel_ridge, X, y, scale)),),
        error,
        1e-9 if dtype == "float64" else 1e-3,
        X.nbytes + y.nbytes,
        Work(operations=m**3 / 3 + 2 * m**2 * d),
        dtype,
        target,
        (Contender("PyTorch, Cholesky", partial(torch_card.kernel_ridge, X, y, scale, PENALTY)),),
    )


def on_centers(m: int, d: int, n: int, *, target: float | None = None) -> Race:
    """A function on n of the examples, by what it misses of new ones: the penalties are not the same."""
    X, y = problem(m + 1_000, d)
    X, X_new, y, y_new = X[:-1_000], X[-1_000:], y[:-1_000], y[-1_000:]
    scale = 2.0 * d
    centers = X[generator(5).choice(m, n, replace=False)]
    return Race(
        f"RBF ridge, {n:,} kernels on {m:,} × {d}",
        Contender("jax_course", partial(ours_on_centers, X, y, scale, centers, X_new)),
        (Contender("scikit-learn Nystroem and Ridge", partial(with_nystroem, X, y, scale, n, X_new)),),
        lambda predicted: float(np.sqrt(np.mean((np.asarray(predicted) - y_new) ** 2))),
        1.25 * NOISE,
        X.nbytes + y.nbytes,
        Work(operations=m * n**2 + 2 * m * n * d),
        target=target,
        card=(
            Contender(
                "PyTorch, normal equations",
                partial(torch_card.ridge_on_centers, X, y, scale, ON_WEIGHTS, centers, X_new),
            ),
        ),
    )


def ours(X: np.ndarray, y: np.ndarray, scale: float) -> Callable[[], Any]:
    """`kernel.fit`."""
    data = jnp.asarray(X), jnp.asarray(y)
    return lambda: np.asarray(kernel.fit(*data, scale=scale, penalty=PENALTY).theta)


def ours_on_centers(
    X: np.ndarray, y: np.ndarray, scale: float, centers: np.ndarray, X_new: np.ndarray
) -> Callable[[], Any]:
    """`kernel.fit_on_centers`, and `kernel.predict`."""
    data, mu, new = (jnp.asarray(X), jnp.asarray(y)), jnp.asarray(centers), jnp.asarray(X_new)

    def run():
        theta = kernel.fit_on_centers(*data, scale=scale, penalty=ON_WEIGHTS, centers=mu).theta
        return np.asarray(kernel.predict(theta, new, centers=mu, scale=scale))

    return run


def with_kernel_ridge(X: np.ndarray, y: np.ndarray, scale: float) -> Callable[[], Any]:
    """Cholesky's factor."""
    from sklearn.kernel_ridge import KernelRidge

    settings: Any = {"kernel": "rbf", "gamma": 1 / scale, "alpha": PENALTY}
    return lambda: KernelRidge(**settings).fit(X, y).dual_coef_


def with_nystroem(X: np.ndarray, y: np.ndarray, scale: float, n: int, X_new: np.ndarray) -> Callable[[], Any]:
    """Features of as many examples, and normal equations; and the prediction."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    features = Nystroem(kernel="rbf", gamma=1 / scale, n_components=n, random_state=0)
    model = make_pipeline(features, Ridge(alpha=PENALTY, fit_intercept=False, solver="cholesky"))
    return lambda: model.fit(X, y).predict(X_new)


def races(quick: bool) -> Iterator[Race]:
    """Both, and the first in float32."""
    m = 300 if quick else 5_000
    yield exact(m, 10, target=1.7)
    yield on_centers(10 * m, 2 if quick else 10, m // 5, target=2.4)
    yield exact(m, 10, dtype="float32")


WORKLOAD = Workload(
    "W7 kernel ridge regression",
    races,
    Scaling(exact, (300, 1_000, 3_000, 8_000), 10, (3, 10, 100, 1000), 2_000),
)
