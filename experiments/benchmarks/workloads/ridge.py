"""W2, ridge regression for 100 penalties: leaving one out against RidgeCV, and the path against scikit-learn's fits."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import torch_card
from experiments.benchmarks.problems import regression
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from jax_course import ridge

PENALTIES = np.geomspace(1e-2, 1e5, 100)


def spectrum(X: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Penalties to the thetas, a row each, from NumPy's singular values."""
    U, sizes, Vt = np.linalg.svd(X.astype(np.float64), full_matrices=False)
    of_y = U.T @ y
    return lambda penalties: (sizes * of_y / (sizes**2 + penalties[:, None])) @ Vt


def apart(found: Any, theta: np.ndarray) -> float:
    """The largest distance of a row, in units of the row."""
    found = np.asarray(found, np.float64).reshape(theta.shape)
    return float(np.max(np.linalg.norm(found - theta, axis=-1) / np.linalg.norm(theta, axis=-1)))


def leave_one_out(m: int, d: int, *, dtype: str = "float64", target: float | None = None) -> Race:
    """The best penalty's theta (d,)."""
    X, y = regression(m, d, dtype=dtype)
    theta_of = spectrum(X, y)

    def error(found: tuple[float, Any]) -> float:
        penalty, theta = found
        # near the best penalty the error is flat: whichever is taken, its theta must be right
        return apart(theta, theta_of(np.array([float(penalty)]))[0])

    return Race(
        f"ridge, leaving one out, 100 penalties, {m:,} × {d:,}",
        Contender("jax_course", partial(ours_left_out, X, y)),
        (Contender("scikit-learn RidgeCV", partial(with_ridge_cv, X, y)),),
        error,
        1e-9 if dtype == "float64" else 1e-3,
        X.nbytes + y.nbytes,
        _work(m, d, X.nbytes),
        dtype,
        target,
        (Contender("PyTorch, singular values", partial(torch_card.ridge_left_out, X, y, PENALTIES)),),
    )


def path(m: int, d: int, *, dtype: str = "float64", target: float | None = None) -> Race:
    """theta (100, d); target: against 100 fits."""
    X, y = regression(m, d, dtype=dtype)
    theta = spectrum(X, y)(PENALTIES)
    return Race(
        f"ridge path, 100 penalties, {m:,} × {d:,}",
        Contender("jax_course", partial(ours_path, X, y)),
        (
            Contender("scikit-learn, 100 fits of Ridge", partial(with_ridge, X, y), target),
            Contender("scikit-learn, y 100 times", partial(with_targets, X, y)),
            Contender("NumPy, singular values", lambda: lambda: spectrum(X, y)(PENALTIES)),
        ),
        lambda found: apart(found, theta),
        1e-9 if dtype == "float64" else 1e-3,
        X.nbytes + y.nbytes,
        _work(m, d, X.nbytes),
        dtype,
        card=(Contender("PyTorch, singular values", partial(torch_card.ridge_path, X, y, PENALTIES)),),
    )


def _work(m: int, d: int, size: int) -> Work:
    """A Gram matrix, of the smaller side, and 100 predictions of all examples."""
    return Work(size, m * d * min(m, d) + 2 * m * d * len(PENALTIES))


def ours_left_out(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """`ridge.leave_one_out` for all, and `ridge.fit` with the best."""
    data, penalties = (jnp.asarray(X), jnp.asarray(y)), jnp.asarray(PENALTIES, X.dtype)

    def run():
        errors = ridge.leave_one_out(*data, penalties)
        best = penalties[jnp.argmin(errors)]
        return best, np.asarray(ridge.fit(*data, penalty=best).theta)

    return run


def ours_path(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """`ridge.path`."""
    data = jnp.asarray(X), jnp.asarray(y), jnp.asarray(PENALTIES, X.dtype)
    return lambda: np.asarray(ridge.path(*data))


def with_ridge_cv(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Its own way of leaving one out."""
    from sklearn.linear_model import RidgeCV

    def run():
        model: Any = RidgeCV(PENALTIES, fit_intercept=False).fit(X, y)
        return model.alpha_, model.coef_

    return run


def with_ridge(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """A fit for each penalty."""
    from sklearn.linear_model import Ridge

    settings: Any = {"fit_intercept": False, "solver": "cholesky"}
    return lambda: np.stack([Ridge(alpha=p, **settings).fit(X, y).coef_ for p in PENALTIES])


def with_targets(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """One fit to as many copies of y as there are penalties: one Gram matrix for all, where one knows the trick."""
    from sklearn.linear_model import Ridge

    Y = np.tile(y[:, None], (1, len(PENALTIES)))
    settings: Any = {"alpha": PENALTIES, "fit_intercept": False, "solver": "cholesky"}
    return lambda: Ridge(**settings).fit(X, Y).coef_


def races(quick: bool) -> Iterator[Race]:
    """Both at one size, in float32, and with fewer rows than columns."""
    share, d = (20, 40) if quick else (1, 200)
    yield leave_one_out(20_000 // share, d, target=30)
    yield path(20_000 // share, d, target=50)
    yield path(20_000 // share, d, dtype="float32")
    yield path(1_000 // share, 2_000 // share)


WORKLOAD = Workload(
    "W2 ridge regression, 100 penalties",
    races,
    Scaling(leave_one_out, (1_000, 10_000, 100_000), 100, (10, 30, 100, 300, 1000), 5_000),
)
