"""One first call in a process of its own: `python -m experiments.benchmarks.first_worker CASE`.

A case makes its data, imports what it needs and returns the call to be measured. Printed as JSON: the seconds of the
first call, CPU and wall, and those of a second one for cases in `WITH_LATER`; the programs compiled in the first call.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

Call = Callable[[], Any]
FITS = ("linear", "ridge", "logistic", "kernel", "softmax", "lasso")
SETTINGS: dict[str, dict[str, Any]] = {
    "linear": {},
    "ridge": {"penalty": 1.0},
    "logistic": {"penalty": 0.5},
    "kernel": {"scale": 18.0, "penalty": 1.0},
    "softmax": {"penalty": 0.5, "classes": 3},
    "lasso": {"penalty": 10.0},
}
SOLVERS = ("bfgs", "lbfgs", "newton", "newton_cg", "gradient_descent")
COMPILED = "/jax/core/compile/backend_compile_duration"
WITH_LATER = ("epoch",)


def examples(kind: str, m: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """X (m, 20) and y (m,): real, of two classes, or of three."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, 20))
    real = X @ np.linspace(-1, 1, 20) + rng.standard_normal(m)
    y = {"logistic": (real > 0) * 1.0, "softmax": np.digitize(real, [-1, 1])}
    return X, y.get(kind, real)


def ours(kind: str) -> Callable[..., Any]:
    """The fit, in float64."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return partial(import_module(f"jax_course.{kind}").fit, **SETTINGS[kind])


def fit(kind: str) -> Call:
    """1,000 × 20."""
    return partial(ours(kind), *examples(kind))


def jitted(kind: str) -> Call:
    """1,000 × 20 below the caller's jit."""
    import jax

    return partial(jax.jit(ours(kind)), *examples(kind))


def batched(kind: str) -> Call:
    """Three fits of 1,000 × 20 by vmap."""
    import jax

    X, y = examples(kind)
    return partial(jax.vmap(ours(kind)), np.stack([X, X + 1, 2 * X]), np.stack([y] * 3))


def growing(kind: str) -> Call:
    """100 fits of 100 different m, 500 to 1,500."""
    one = ours(kind)
    problems = [examples(kind, int(m)) for m in np.linspace(500, 1500, 100)]
    return lambda: [one(X, y) for X, y in problems]


def sklearn(kind: str) -> Call:
    """The same problem by scikit-learn."""
    from sklearn import linear_model

    X, y = examples(kind)
    if kind == "kernel":
        from sklearn.kernel_ridge import KernelRidge

        return partial(KernelRidge(kernel="rbf", gamma=1 / 18).fit, X, y)
    models: dict[str, Callable[[], Any]] = {
        "linear": lambda: linear_model.LinearRegression(fit_intercept=False),
        "ridge": lambda: linear_model.Ridge(alpha=1.0, fit_intercept=False),
        "lasso": lambda: linear_model.Lasso(alpha=5.0 / len(X), fit_intercept=False, tol=1e-10),
        "logistic": lambda: linear_model.LogisticRegression(fit_intercept=False, tol=1e-9),
        "softmax": lambda: linear_model.LogisticRegression(fit_intercept=False, tol=1e-9),
    }
    return partial(models[kind]().fit, X, y)


def network() -> Call:
    """Five epochs of 20-32-3 by Adam, float32."""
    X, y = examples("softmax", 10_000)
    return _training([32, 3], X, y, 5)


def sklearn_network() -> Call:
    """MLPClassifier with the same widths, batches and epochs."""
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # five epochs are no convergence
    X, y = examples("softmax", 10_000)
    settings: dict[str, Any] = {"alpha": 0, "learning_rate_init": 1e-2, "batch_size": 100, "max_iter": 5}
    model = MLPClassifier((32,), **settings)
    return partial(model.fit, X.astype(np.float32), y)


def epoch() -> Call:
    """One epoch of 784-128-10 on 6,000 examples."""
    rng = np.random.default_rng(0)
    return _training([128, 10], rng.random((6_000, 784)), rng.integers(0, 10, 6_000), 1)


def _training(widths: list[int], X: np.ndarray, y: np.ndarray, epochs: int) -> Call:
    import jax

    from jax_course.networks import costs, mlp
    from jax_course.optimization import optimizers
    from jax_course.train import train

    net, key, X = mlp(widths, "relu", costs.cross_entropy()), jax.random.key(0), X.astype(np.float32)
    arguments = net.gradient, optimizers.adam(1e-2), net.init(key, X.shape[1]), X, y
    return lambda: train(*arguments, key=key, epochs=epochs, batch_size=100).theta


def solver(name: str) -> Call:
    """Rosenbrock's function from (-1.2, 1)."""
    import jax

    from jax_course import optimization
    from jax_course.optimization.test_functions import rosenbrock

    jax.config.update("jax_enable_x64", True)
    return partial(getattr(optimization, name), rosenbrock, np.array([-1.2, 1.0]))


def separable() -> Call:
    """Softmax regression of classes that hyperplanes separate, without a penalty."""
    one, (X, _) = ours("softmax"), examples("softmax")
    return partial(one, X, X[:, :3].argmax(1), penalty=0.0)


def rank_deficient() -> Call:
    """Linear regression with a column twice."""
    one, (X, y) = ours("linear"), examples("linear")
    return partial(one, np.column_stack([X, X[:, 0]]), y)


def zero_weight_class() -> Call:
    """Softmax regression in which all examples of one class have weight 0, without a penalty."""
    one, (X, y) = ours("softmax"), examples("softmax")
    return partial(one, X, y, weights=(y != 2) * 1.0, penalty=0.0)


def derivatives() -> Call:
    """Gradient and Hessian of the cost of logistic regression, 20 parameters."""
    import jax

    from jax_course import logistic, verify

    jax.config.update("jax_enable_x64", True)
    X, y = examples("logistic", 100)
    functions = {"gradient": logistic.gradient, "hessian": logistic.hessian}
    return partial(verify.derivatives, logistic.cost, np.linspace(-1, 1, 20), X, y, **functions)


PARTS: tuple[tuple[str, Callable[[str], Call], tuple[str, ...]], ...] = (
    ("fit", fit, FITS),
    ("sklearn", sklearn, FITS),
    ("jit", jitted, FITS),
    ("vmap", batched, FITS),
    ("growing", growing, FITS),
    ("solver", solver, SOLVERS),
)
CASES: dict[str, Callable[[], Call]] = {
    f"{part} {name}": partial(make, name) for part, make, names in PARTS for name in names
} | {
    "fit network": network,
    "sklearn network": sklearn_network,
    "separable": separable,
    "rank deficient": rank_deficient,
    "zero-weight class": zero_weight_class,
    "derivatives": derivatives,
    "epoch": epoch,
}


def seconds(call: Call) -> tuple[float, float]:
    """CPU and wall, to the end of what the call has started."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = call()
    if "jax" in sys.modules:
        sys.modules["jax"].block_until_ready(found)
    return time.process_time() - cpu, time.perf_counter() - wall


def main(name: str) -> None:
    """Measure one case."""
    call, compiled = CASES[name](), []
    if "jax" in sys.modules:
        from jax import monitoring

        monitoring.register_event_duration_secs_listener(
            lambda event, *_, **__: compiled.append(event) if event == COMPILED else None
        )
    first, programs = seconds(call), len(compiled)
    later = seconds(call) if name in WITH_LATER else None
    print(json.dumps({"first": first, "later": later, "programs": programs}))


if __name__ == "__main__":
    main(sys.argv[1])
