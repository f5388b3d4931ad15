"""The doctor over other libraries: are the derivatives they optimise with those of the losses they report?

`python -m experiments.benchmarks.audit [--out DIR]`. Losses, scores and Hessians are taken from models of scikit-learn
and statsmodels as their own optimizers call them, in NumPy; a library that is not installed is a row that says so.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from jax_course import verify


class Triple(NamedTuple):
    """A loss of a library's with its derivatives, and where to look at it."""

    name: str
    loss: Callable
    point: np.ndarray
    derivatives: dict[str, Callable]
    keywords: dict[str, Any]


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return np.concatenate([np.ones((40, 1)), rng.standard_normal((40, 3))], axis=1), rng.standard_normal(40)


def of_statsmodels() -> Iterator[Triple]:
    """loglike, score and hessian of the regression and discrete models, at a point beside the optimum."""
    import statsmodels.api as sm  # pyright: ignore[reportMissingImports]

    X, real = _data()
    binary, counts = (real > 0).astype(float), np.floor(np.exp(0.5 * real))
    three = np.digitize(real, [-0.4, 0.4])
    beside = np.array([0.1, 0.3, -0.2, 0.15])
    dispersed = np.append(beside, 0.7)
    models = {
        "OLS": (sm.OLS(real, X), np.linalg.lstsq(X, real)[0]),  # its Hessian is meant for the optimum
        "Logit": (sm.Logit(binary, X), beside),
        "Probit": (sm.Probit(binary, X), beside),
        "Poisson": (sm.Poisson(counts, X), beside),
        "MNLogit": (sm.MNLogit(three, X), np.concatenate([beside, -beside])),
        "NegativeBinomial (nb1)": (sm.NegativeBinomial(counts, X, loglike_method="nb1"), dispersed),
        "NegativeBinomial (nb2)": (sm.NegativeBinomial(counts, X, loglike_method="nb2"), dispersed),
        "GeneralizedPoisson": (sm.GeneralizedPoisson(counts, X), dispersed),
    }
    for name, (model, point) in models.items():
        yield Triple(
            f"statsmodels {name}",
            lambda p, model=model: float(model.loglike(np.real(p))),
            point,
            {
                "gradient": lambda p, model=model: np.asarray(model.score(p)).ravel(),
                "hessian": lambda p, model=model: np.asarray(model.hessian(p)),
            },
            {},
        )


def of_scikit_learn() -> Iterator[Triple]:
    """The loss and gradient that MLPRegressor and MLPClassifier hand to L-BFGS, by the number of outputs."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    X, real = _data()
    labels = np.digitize(real, [-0.4, 0.4])
    targets = {
        "MLPRegressor, 1 output": (MLPRegressor, real),
        "MLPRegressor, 3 outputs": (MLPRegressor, np.stack([real, real**2, -real], axis=1)),
        "MLPClassifier, 2 classes": (MLPClassifier, (real > 0).astype(int)),
        "MLPClassifier, 3 classes": (MLPClassifier, labels),
    }
    for name, (kind, y) in targets.items():
        network = kind(
            hidden_layer_sizes=(5,), activation="tanh", solver="lbfgs", max_iter=2, alpha=0.01, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network.fit(X, y)
        yield Triple(f"scikit-learn {name}", *_of_network(network, X, _encoded(network, y)))


def _encoded(network, y: np.ndarray) -> np.ndarray:
    if not hasattr(network, "classes_"):
        return y.reshape(len(y), -1)
    if len(network.classes_) == 2:
        return y[:, None]
    return np.eye(len(network.classes_), dtype=int)[y]


def _of_network(network, X: np.ndarray, y: np.ndarray) -> tuple[Callable, np.ndarray, dict[str, Callable], dict]:
    layers = [*network.coefs_, *network.intercepts_]

    def loss_and_gradient(packed: np.ndarray, alpha: float) -> tuple[float, np.ndarray]:
        weights, start = [], 0
        network.alpha = float(alpha)
        for layer in layers:
            weights.append(packed[start : start + layer.size].reshape(layer.shape))
            start += layer.size
        network.coefs_, network.intercepts_ = weights[: len(network.coefs_)], weights[len(network.coefs_) :]
        units = [X.shape[1], *network.hidden_layer_sizes, y.shape[1]]
        activations = [X] + [np.empty((len(X), width)) for width in units[1:]]
        deltas = [np.empty_like(activation) for activation in activations[1:]]
        gradients = [np.empty_like(w) for w in network.coefs_], [np.empty_like(b) for b in network.intercepts_]
        # The method that the network's own optimizer calls: there is no public one.
        loss, *parts = network._backprop(X, y, None, activations, deltas, *gradients)
        return float(loss), np.concatenate([part.ravel() for part in (*parts[0], *parts[1])])

    point = np.concatenate([layer.ravel() for layer in layers])

    def loss(weights, *, alpha):
        return loss_and_gradient(np.real(weights), alpha)[0]

    def gradient(weights, *, alpha):
        return loss_and_gradient(weights, alpha)[1]

    return loss, point, {"gradient": gradient}, {"alpha": 0.01}


def audit() -> list[dict]:
    """A row for every derivative of every library that is installed."""
    rows = []
    for library, triples in (("scikit-learn", of_scikit_learn), ("statsmodels", of_statsmodels)):
        try:
            found = list(triples())
        except ModuleNotFoundError:
            rows.append({"where": library, "verdict": "not installed", "finding": ""})
            continue
        for triple in found:
            report = verify.derivatives(triple.loss, triple.point, **triple.derivatives | triple.keywords)
            for of in triple.derivatives:
                wrong = [f"{f.kind.name}: {f.sentence}" for f in report.findings if f.derivative == of]
                agrees = any(w.derivative == of and w.verdict == "agrees" for w in report.witnesses)
                verdict = "wrong" if wrong else "right" if agrees else "undecided"
                rows.append({"where": f"{triple.name}, {of}", "verdict": verdict, "finding": "; ".join(wrong)})
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Audit, print the table and leave audit.json."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.audit")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = audit()
    (options.out / "audit.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    table = Table("derivative", "verdict", "finding", box=None)
    for row in rows:
        table.add_row(row["where"], row["verdict"], row["finding"])
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
