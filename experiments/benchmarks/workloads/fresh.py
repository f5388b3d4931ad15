"""A fresh process: the seconds from its start to the end of its first fit, imports and compiling among them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg

from experiments.benchmarks.problems import generator
from experiments.benchmarks.race import Contender, Race, Workload

CACHED = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
DATA = """
import numpy as np, json
rng = np.random.Generator(np.random.PCG64(0))
X = rng.standard_normal(({m}, 20))
real = X @ np.linspace(-1, 1, 20) + rng.standard_normal({m})
binary = (real > 0) * 1.0
three = np.digitize(real, [-1, 1])
"""
OURS = {
    "ridge": """
import jax
jax.config.update("jax_enable_x64", True)
from jax_course import ridge
print(json.dumps(ridge.fit(X, real, penalty=1.0).theta.tolist()))
""",
    "logistic": """
import jax
jax.config.update("jax_enable_x64", True)
from jax_course import logistic
print(json.dumps(logistic.fit(X, binary, penalty=0.5).theta.tolist()))
""",
    "network": """
import jax
from jax_course.networks import costs, mlp
from jax_course.optimization import optimizers
from jax_course.train import train
net, X = mlp([32, 3], "relu", costs.cross_entropy()), X.astype(np.float32)
key, adam = jax.random.key(0), optimizers.adam(1e-2)
theta = train(net.gradient, adam, net.init(key, 20), X, three, key=key, epochs=5, batch_size=100).theta
print(json.dumps(float(np.mean(np.asarray(net.predict(theta, X)).argmax(1) == three))))
""",
}
THEIRS = {
    "ridge": """
from sklearn.linear_model import Ridge
print(json.dumps(Ridge(alpha=1.0, fit_intercept=False).fit(X, real).coef_.tolist()))
""",
    "logistic": """
from sklearn.linear_model import LogisticRegression
print(json.dumps(LogisticRegression(fit_intercept=False, tol=1e-9).fit(X, binary).coef_[0].tolist()))
""",
    "network": """
import warnings
warnings.simplefilter("ignore")
from sklearn.neural_network import MLPClassifier
net, X = MLPClassifier((32,), alpha=0, learning_rate_init=1e-2, batch_size=100, max_iter=5), X.astype(np.float32)
print(json.dumps(net.fit(X, three).score(X, three)))
""",
}


def process(script: str, m: int, settings: dict[str, str]) -> Callable[[], Any]:
    """A run of the script in a process of its own."""
    command = [sys.executable, "-c", DATA.format(m=m) + script]

    def run() -> Any:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | settings)
        return json.loads(done.stdout)

    return run


def problem(m: int) -> tuple[np.ndarray, np.ndarray]:
    """The X and the real y of the scripts."""
    rng = generator()
    X = rng.standard_normal((m, 20))
    return X, X @ np.linspace(-1, 1, 20) + rng.standard_normal(m)


def error_of(task: str, m: int) -> Callable[[Any], float]:
    """Ridge: by the coefficients; logistic: by the gradient in units of that at 0; a network: its share of mistakes."""
    X, y = problem(m)
    binary, theta = (y > 0) * 1.0, linalg.solve(X.T @ X + np.eye(20), X.T @ y, assume_a="pos")

    def gradient(found: np.ndarray) -> float:
        return float(np.linalg.norm((1 / (1 + np.exp(-X @ found)) - binary) @ X + found))

    return {
        "ridge": lambda found: float(np.linalg.norm(found - theta) / np.linalg.norm(theta)),
        "logistic": lambda found: gradient(np.asarray(found)) / gradient(np.zeros(20)),
        "network": lambda right: 1 - right,
    }[task]


def race(task: str, m: int, cache: str | None = None, target: float | None = None) -> Race:
    """One fit; with a directory in which JAX keeps what it compiled before, that is measured."""
    settings = CACHED | {"JAX_COMPILATION_CACHE_DIR": cache} if cache else {}
    return Race(
        f"fresh process, {task}, {m:,} × 20{', compiled before' if cache else ''}",
        Contender("jax_course", partial(process, OURS[task], m, settings)),
        (Contender("scikit-learn", partial(process, THEIRS[task], m, {})),),
        error_of(task, m),
        {"ridge": 1e-9, "logistic": 1e-6, "network": 0.35}[task],
        0,
        target=target,
    )


def races(quick: bool) -> Iterator[Race]:
    """Three fits, compiled in the time or before."""
    m, targets = 500 if quick else 10_000, {"ridge": 1.4, "logistic": 1.3, "network": 1.0}
    for task, target in {"ridge": 1.4}.items() if quick else targets.items():
        yield race(task, m, target=target)
        with tempfile.TemporaryDirectory() as cache:
            yield race(task, m, cache)


WORKLOAD = Workload("W10 fresh process", races)
