"""W3, the lasso for one penalty and for a path: against skglm, celer, and scikit-learn with and without the Gram."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.problems import sparse_regression
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from jax_course import lasso

MOST_STEPS = 100_000


class Problem:
    """X (m, d), y (m,) and penalties, ours and theirs, alpha = penalty / 2m; and how good a solution must be."""

    def __init__(self, m: int, d: int, shares: np.ndarray, rho: float, dtype: str):
        from sklearn.linear_model import lasso_path

        self.X, self.y = sparse_regression(m, d, rho=rho, dtype=dtype)
        self.exact = self.X.astype(np.float64, copy=False), self.y.astype(np.float64, copy=False)
        self.penalties = 2 * np.max(np.abs(self.exact[1] @ self.exact[0])) * shares
        self.alphas, self.dtype = self.penalties / (2 * m), dtype
        self.bound = 1e-8 if dtype == "float64" else 1e-4
        settings: Any = {"precompute": True, "tol": self.bound / 1e3, "max_iter": MOST_STEPS}
        thetas = lasso_path(*self.exact, alphas=self.alphas, **settings)[1].T
        costs, self.least = zip(*map(self.between, thetas, self.penalties), strict=True)
        # the gap in units of ‖y‖², which is scikit-learn's and celer's measure
        self.tolerance = float(self.bound / 2 * min(costs) / np.sum(self.exact[1] ** 2))

    def between(self, theta: np.ndarray, penalty: float) -> tuple[float, float]:
        """J(θ), and a bound from below for min J: the dual at the residual, scaled into what is allowed."""
        X, y = self.exact
        residual = y - X @ theta
        scale = min(1, penalty / (2 * np.max(np.abs(residual @ X))))
        J = residual @ residual + penalty * np.sum(np.abs(theta))
        return float(J), float(y @ y - np.sum((y - scale * residual) ** 2))

    def error(self, thetas: Any) -> float:
        """J above the highest bound from below, in units of it, at the worst penalty: a peer's own one may be poor."""
        found = np.asarray(thetas, np.float64).reshape(len(self.penalties), -1)
        values = map(self.between, found, self.penalties)
        return max((J - max(D, least)) / J for (J, D), least in zip(values, self.least, strict=True))


def race(
    m: int, d: int, *, share: float = 0.1, rho: float = 0.0, dtype: str = "float64", target: float | None = None
) -> Race:
    """theta (d,) for one share of the largest penalty, by its certificate."""
    problem = Problem(m, d, np.array([share]), rho, dtype)
    peers = (
        Contender("skglm", partial(with_skglm, problem), compiles=True),
        Contender("celer", partial(with_celer, problem)),
        Contender("scikit-learn", partial(with_sklearn, problem, False)),
        Contender("scikit-learn, Gram", partial(with_sklearn, problem, True)),
    )
    return _race(f"lasso {m:,} × {d:,}, {share:g} of the largest penalty", problem, ours, peers, rho, target)


def path(m: int, d: int, *, rho: float = 0.0, dtype: str = "float64", target: float | None = None) -> Race:
    """theta (100, d) down to a hundredth of the largest penalty, each by its certificate."""
    problem = Problem(m, d, np.geomspace(1, 0.01, 100), rho, dtype)
    peers = (
        Contender("skglm", partial(path_with_skglm, problem), compiles=True),
        Contender("celer", partial(path_with_celer, problem)),
        Contender("scikit-learn", partial(path_with_sklearn, problem, False)),
        Contender("scikit-learn, Gram", partial(path_with_sklearn, problem, True)),
    )
    return _race(f"lasso path, 100 penalties, {m:,} × {d:,}", problem, our_path, peers, rho, target)


def _race(
    name: str,
    problem: Problem,
    ours: Callable[[Problem], Callable[[], Any]],
    peers: tuple[Contender, ...],
    rho: float,
    target: float | None,
) -> Race:
    m, d = problem.X.shape
    return Race(
        f"{name}{f', correlated {rho:g}' if rho else ''}",
        Contender("jax_course", partial(ours, problem)),
        peers,
        problem.error,
        problem.bound,
        problem.X.nbytes + problem.y.nbytes,
        Work(problem.X.nbytes, m * d * min(m, d) if len(problem.penalties) > 1 else 0),
        problem.dtype,
        target,
    )


def ours(problem: Problem) -> Callable[[], Any]:
    """`lasso.fit`."""
    data, penalty = (jnp.asarray(problem.X), jnp.asarray(problem.y)), float(problem.penalties[0])
    return lambda: np.asarray(lasso.fit(*data, penalty=penalty).theta)


def our_path(problem: Problem) -> Callable[[], Any]:
    """`lasso.path`."""
    data = jnp.asarray(problem.X), jnp.asarray(problem.y), jnp.asarray(problem.penalties, problem.X.dtype)
    return lambda: np.asarray(lasso.path(*data).theta)


def with_skglm(problem: Problem) -> Callable[[], Any]:
    """Its working sets with Anderson's acceleration, until the conditions of a minimum hold to the bound."""
    from skglm import Lasso  # pyright: ignore[reportMissingImports]

    settings = {"alpha": problem.alphas[0], "fit_intercept": False, "tol": _violation(problem)}
    return lambda: Lasso(**settings).fit(problem.X, problem.y).coef_


def path_with_skglm(problem: Problem) -> Callable[[], Any]:
    """The same from penalty to penalty."""
    from skglm import Lasso  # pyright: ignore[reportMissingImports]

    model = Lasso(fit_intercept=False, tol=_violation(problem))
    return lambda: model.path(problem.X, problem.y, problem.alphas)[1].T


def _violation(problem: Problem) -> float:
    """How far a slope may be from what it is at a minimum: by this share of a penalty, the gap by that share of J."""
    return float(problem.alphas[-1] * problem.bound)


def with_celer(problem: Problem) -> Callable[[], Any]:
    """Its working sets by dual extrapolation."""
    from celer import Lasso  # pyright: ignore[reportMissingImports]

    settings = {"alpha": problem.alphas[0], "fit_intercept": False, "tol": problem.tolerance}
    return lambda: Lasso(**settings).fit(problem.X, problem.y).coef_


def path_with_celer(problem: Problem) -> Callable[[], Any]:
    """The same from penalty to penalty."""
    from celer import celer_path  # pyright: ignore[reportMissingImports]

    X, y, alphas = problem.X, problem.y, problem.alphas
    return lambda: celer_path(X, y, pb="lasso", alphas=alphas, tol=problem.tolerance, max_iter=1_000)[1].T


def with_sklearn(problem: Problem, gram: bool) -> Callable[[], Any]:
    """Cyclic descent, on the residual or on the Gram."""
    from sklearn.linear_model import Lasso

    settings: Any = {"fit_intercept": False, "tol": problem.tolerance, "max_iter": MOST_STEPS, "precompute": gram}
    return lambda: Lasso(alpha=problem.alphas[0], **settings).fit(problem.X, problem.y).coef_


def path_with_sklearn(problem: Problem, gram: bool) -> Callable[[], Any]:
    """The same from penalty to penalty."""
    from sklearn.linear_model import lasso_path

    settings: Any = {"tol": problem.tolerance, "max_iter": MOST_STEPS, "precompute": gram}
    return lambda: lasso_path(problem.X, problem.y, alphas=problem.alphas, **settings)[1].T


def races(quick: bool) -> Iterator[Race]:
    """Two penalties and a path; with correlated features, fewer rows than columns, and in float32."""
    m, d = (500, 50) if quick else (10_000, 1_000)
    yield race(m, d, target=2.5)
    yield race(m, d, share=0.01, target=1.2)
    yield path(m, d, target=1.5)
    yield race(m, d, share=0.01, rho=0.9)
    yield path(m, d, rho=0.9)
    yield race(d // 2, 2 * d, share=0.1)
    yield path(m, d, dtype="float32")


WORKLOAD = Workload(
    "W3 lasso",
    races,
    Scaling(race, (1_000, 3_000, 10_000, 30_000), 300, (100, 300, 1000, 3000), 2_000),
)
