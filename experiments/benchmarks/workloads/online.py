"""W8, one example at a time: an epoch of `train` with batches of one against SGDRegressor and SGDClassifier."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.problems import regression, two_classes
from experiments.benchmarks.race import Contender, Race, Scaling, Work, Workload
from jax_course import linear, logistic
from jax_course.optimization import optimizers
from jax_course.train import train

RATE = 1e-3


def step_by_step(X: np.ndarray, y: np.ndarray, *, classifier: bool) -> np.ndarray:
    """The epoch in order, in Python."""
    theta = np.zeros(X.shape[1])
    for x, label in zip(X, y.tolist(), strict=True):
        z = float(x @ theta)
        predicted = 1 / (1 + math.exp(-z)) if classifier else z
        theta -= RATE * (predicted - label) * x
    return theta


def race(
    m: int,
    d: int,
    *,
    classifier: bool = False,
    shuffle: bool = False,
    dtype: str = "float64",
    target: float | None = None,
) -> Race:
    """theta (d,) after an epoch: the same for all in order, and close to it in an order that everybody draws."""
    X, y = two_classes(m, d, dtype=dtype) if classifier else regression(m, d, dtype=dtype)
    theta = step_by_step(X.astype(np.float64), y.astype(np.float64), classifier=classifier)
    kind = "logistic" if classifier else "linear"
    return Race(
        f"SGD one by one, {kind}, {'shuffled' if shuffle else 'in order'}, {m:,} × {d}",
        Contender("jax_course", partial(ours, X, y, classifier, shuffle)),
        (Contender(f"scikit-learn {_name(classifier)}", partial(with_sklearn, X, y, classifier, shuffle)),),
        lambda found: float(np.linalg.norm(np.ravel(found) - theta) / np.linalg.norm(theta)),
        0.2 if shuffle else 1e-9 if dtype == "float64" else 1e-3,
        X.nbytes + y.nbytes,
        Work(X.nbytes),
        dtype,
        target,
    )


def ours(X: np.ndarray, y: np.ndarray, classifier: bool, shuffle: bool) -> Callable[[], Any]:
    """`train`; linear regression here has no 1/2 in its cost."""
    gradient, rate = (logistic.gradient, RATE) if classifier else (linear.gradient, RATE / 2)
    data = jnp.zeros(X.shape[1], X.dtype), jnp.asarray(X), jnp.asarray(y)
    key = jax.random.key(0) if shuffle else None
    run = partial(train, gradient, optimizers.sgd(rate), *data, key=key, epochs=1, batch_size=1)
    return lambda: np.asarray(run().check().theta)


def _name(classifier: bool) -> str:
    return "SGDClassifier" if classifier else "SGDRegressor"


def with_sklearn(X: np.ndarray, y: np.ndarray, classifier: bool, shuffle: bool) -> Callable[[], Any]:
    """The same steps."""
    from sklearn import linear_model

    settings = {"learning_rate": "constant", "eta0": RATE, "alpha": 0.0, "fit_intercept": False, "shuffle": shuffle}
    settings |= {"loss": "log_loss" if classifier else "squared_error"}
    model = getattr(linear_model, _name(classifier))(max_iter=1, tol=None, random_state=0, **settings)
    return lambda: np.ravel(model.fit(X, y).coef_)


def races(quick: bool) -> Iterator[Race]:
    """Both models, in order and shuffled, and in float32."""
    m, d = (1_000 if quick else 1_000_000), 20
    yield race(m, d, target=2)
    yield race(m, d, classifier=True, target=2)
    yield race(m, d, shuffle=True, target=1.7)
    yield race(m, d, classifier=True, shuffle=True, target=1.7)
    yield race(m, d, classifier=True, dtype="float32")


WORKLOAD = Workload(
    "W8 one example at a time",
    races,
    Scaling(partial(race, classifier=True), (1_000, 10_000, 100_000, 1_000_000), 20, (3, 10, 30, 100, 300), 20_000),
)
