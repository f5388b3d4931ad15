"""W1, least squares: `linear.fit` against scikit-learn, the normal equations in NumPy, and statsmodels."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import linalg

from experiments.benchmarks import torch_card
from experiments.benchmarks.problems import regression
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from jax_course import linear


def race(
    m: int,
    d: int,
    *,
    condition: float = 1.0,
    dtype: str = "float64",
    targets: tuple[float | None, float | None, float | None] = (None, None, None),
) -> Race:
    """theta (d,), to nine digits in float64; targets: against LinearRegression, Ridge and NumPy."""
    X, y = regression(m, d, condition=condition, dtype=dtype)
    theta = minimiser(X.astype(np.float64), y.astype(np.float64))

    def error(found: Any) -> float:
        return float(np.linalg.norm(np.ravel(found) - theta) / np.linalg.norm(theta))

    peers = [
        Contender("scikit-learn LinearRegression", partial(with_linear_regression, X, y), targets[0]),
        Contender("NumPy, normal equations", lambda: partial(normal_equations, X, y), targets[2]),
    ]
    if m >= d:  # else its system is singular
        peers.append(Contender("scikit-learn Ridge, Cholesky", partial(with_ridge, X, y), targets[1]))
    if dtype == "float64":  # all it computes in
        peers.append(Contender("statsmodels OLS", partial(with_statsmodels, X, y)))
    kind = "" if condition == 1 else f", condition {condition:,.0f}"
    return Race(
        f"least squares {m:,} × {d:,}{kind}",
        Contender("jax_course", partial(ours, X, y)),
        tuple(peers),
        error,
        1e-9 if dtype == "float64" else 1e-4,
        X.nbytes + y.nbytes,
        Work(X.nbytes, m * d * min(m, d)),
        dtype,
        card=(
            Contender("PyTorch lstsq", partial(torch_card.lstsq, X, y)),
            Contender("PyTorch, normal equations", partial(torch_card.normal_equations, X, y)),
        ),
    )


def minimiser(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of ‖y − Xθ‖², of the least norm: normal equations, and corrections with the residual itself."""
    wide = len(X) < X.shape[1]
    factor = linalg.cho_factor(X @ X.T if wide else X.T @ X)
    theta = np.zeros(X.shape[1])
    for _ in range(4):
        residual = y - X @ theta
        theta += X.T @ linalg.cho_solve(factor, residual) if wide else linalg.cho_solve(factor, X.T @ residual)
    return theta


def normal_equations(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The quick way, by BLAS's symmetric product and Cholesky's factor."""
    if len(X) < X.shape[1]:
        return X.T @ linalg.cho_solve(linalg.cho_factor(X @ X.T), y)
    return linalg.cho_solve(linalg.cho_factor(X.T @ X), X.T @ y)


def ours(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """`linear.fit`."""
    data = jnp.asarray(X), jnp.asarray(y)
    return lambda: np.asarray(linear.fit(*data).theta)


def with_linear_regression(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """By LAPACK's singular values."""
    from sklearn.linear_model import LinearRegression

    return lambda: LinearRegression(fit_intercept=False).fit(X, y).coef_


def with_ridge(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Normal equations, without a penalty."""
    from sklearn.linear_model import Ridge

    return lambda: Ridge(alpha=0.0, fit_intercept=False, solver="cholesky").fit(X, y).coef_


def with_statsmodels(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """QR, the faster of its two ways, where it applies."""
    import statsmodels.api as sm  # pyright: ignore[reportMissingImports]

    return lambda: sm.OLS(y, X).fit(method="qr" if len(X) >= X.shape[1] else "pinv").params


def races(quick: bool) -> Iterator[Race]:
    """Two shapes, in float32, of a bad condition, and with fewer rows than columns."""
    share = 100 if quick else 1
    yield race(1_000_000 // share, 50, targets=(8, 1.7, 0.95))
    yield race(100_000 // share, 500 // min(share, 10), targets=(8, 2.8, 0.95))
    yield race(1_000_000 // share, 50, dtype="float32")
    for condition in (1e2, 1e4):
        yield race(100_000 // share, 50, condition=condition)
    yield race(500 // min(share, 10), 2000 // min(share, 10))


WORKLOAD = Workload(
    "W1 least squares",
    races,
    Scaling(race, (1_000, 10_000, 100_000, 1_000_000), 50, (10, 30, 100, 300, 1000), 20_000),
)
