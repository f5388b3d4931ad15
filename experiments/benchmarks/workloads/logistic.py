"""W4, logistic regression without a penalty: `logistic.fit` against PyTorch, scikit-learn, glum and statsmodels."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import torch_card, torch_lbfgs
from experiments.benchmarks.problems import two_classes
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from jax_course import logistic

PASSES = 10  # over the data: what a method without second derivatives does with on isotropic data
MOST_STEPS = 100_000


def race(m: int, d: int, *, condition: float = 1.0, dtype: str = "float64", target: float | None = None) -> Race:
    """theta (d,), with a gradient of at most 1e-9 of that at 0 in float64, 1e-4 in float32."""
    X, y = two_classes(m, d, condition=condition, dtype=dtype)
    bound = 1e-9 if dtype == "float64" else 1e-4

    def gradient(theta: np.ndarray) -> float:
        z = X.astype(np.float64, copy=False) @ theta
        return float(np.linalg.norm((1 / (1 + np.exp(-z)) - y) @ X))

    at_0 = gradient(np.zeros(d))
    of_sum = bound * at_0 / np.sqrt(d)  # on the largest entry, which is what the peers ask for
    tolerance = of_sum / m  # of the mean
    peers = [
        Contender("PyTorch LBFGS", partial(with_torch, X, y, of_sum)),
        Contender("scikit-learn lbfgs", partial(with_sklearn, X, y, tolerance, "lbfgs")),
        Contender("scikit-learn newton-cholesky", partial(with_sklearn, X, y, tolerance, "newton-cholesky")),
        Contender("glum", partial(with_glum, X, y, tolerance)),
    ]
    if dtype == "float64":  # all it computes in
        peers.append(Contender("statsmodels Logit", partial(with_statsmodels, X, y)))
    return Race(
        f"logistic {m:,} × {d:,}{'' if condition == 1 else f', condition {condition:,.0f}'}",
        Contender("jax_course", partial(ours, X, y)),
        tuple(peers),
        lambda theta: gradient(np.ravel(theta).astype(np.float64)) / at_0,
        bound,
        X.nbytes + y.nbytes,
        Work(PASSES * X.nbytes),
        dtype,
        target,
        (Contender("PyTorch LBFGS", partial(torch_card.logistic_lbfgs, X, y, of_sum)),),
    )


def ours(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """`logistic.fit`."""
    data = jnp.asarray(X), jnp.asarray(y)
    return lambda: np.asarray(logistic.fit(*data).theta)


def with_torch(X: np.ndarray, y: np.ndarray, tolerance: float) -> Callable[[], Any]:
    """Its L-BFGS; on the sum, with which it comes closer than with the mean."""
    import torch  # pyright: ignore[reportMissingImports]

    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    start = np.zeros(X.shape[1], X.dtype)
    return lambda: torch_lbfgs.minimise(lambda theta: loss(inputs @ theta, labels, reduction="sum"), start, tolerance)


def with_sklearn(X: np.ndarray, y: np.ndarray, tolerance: float, solver: str) -> Callable[[], Any]:
    """LogisticRegression by one of its solvers."""
    from sklearn.linear_model import LogisticRegression

    settings = {"C": np.inf, "fit_intercept": False, "tol": tolerance, "max_iter": MOST_STEPS}
    return lambda: LogisticRegression(solver=solver, **settings).fit(X, y).coef_


def with_glum(X: np.ndarray, y: np.ndarray, tolerance: float) -> Callable[[], Any]:
    """Its weighted least squares with a line search."""
    from glum import GeneralizedLinearRegressor  # pyright: ignore[reportMissingImports]

    settings = {"alpha": 0, "fit_intercept": False, "gradient_tol": tolerance, "max_iter": MOST_STEPS}
    return lambda: GeneralizedLinearRegressor(family="binomial", solver="irls-ls", **settings).fit(X, y).coef_


def with_statsmodels(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Newton's steps."""
    import statsmodels.api as sm  # pyright: ignore[reportMissingImports]

    return lambda: sm.Logit(y, X).fit(method="newton", disp=False).params


def races(quick: bool) -> Iterator[Race]:
    """Two shapes, of a bad condition, and in float32."""
    share = 100 if quick else 1
    yield race(1_000_000 // share, 50, target=1.2)
    yield race(100_000 // share, 500 // min(share, 20), target=1.1)
    yield race(1_000_000 // share, 50, condition=1e2, target=6)
    yield race(100_000 // share, 50, condition=1e4)
    yield race(1_000_000 // share, 50, dtype="float32")


WORKLOAD = Workload(
    "W4 logistic regression",
    races,
    Scaling(race, (1_000, 10_000, 100_000, 1_000_000), 50, (10, 30, 100, 300, 1000), 20_000),
)
