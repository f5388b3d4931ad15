"""The slips in the printed course, those in derivatives and densities: as printed and corrected, through the doctor.

The costs are in JAX, whose autodiff is a witness. The derivatives by hand are in NumPy: there is nothing to compile.
"""

from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, in_float64
from experiments.lab.style import FIT, TRUTH
from jax_course import logistic, softmax, verify

TITLE = "The printed slips, through the doctor"
SECTION = "3.3-12.3"

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((12, 3)), RNG.standard_normal(12)
LABELS, CLASSES = np.arange(12) % 2 * 1.0, np.arange(12) % 3
THETA = np.array([0.4, -0.7, 0.2])
A = RNG.standard_normal((3, 3))
LINE = np.concatenate([np.ones((12, 1)), X[:, :2]], axis=1)


def _quadratic(theta, A):
    return theta @ A @ theta


def _gaussian(sigma, y):
    return jnp.sum(0.5 * jnp.log(2 * jnp.pi * sigma**2) + y**2 / (2 * sigma**2))


def _density(mu, Sigma, x):
    """N(x; μ, Σ) at one x."""
    r = x - mu
    return jnp.exp(-0.5 * r @ jnp.linalg.solve(Sigma, r)) / jnp.sqrt(jnp.linalg.det(2 * jnp.pi * Sigma))


def _density_slope(mu, Sigma, x):
    r = np.asarray(x) - mu
    density = np.exp(-0.5 * r @ np.linalg.solve(Sigma, r)) / np.sqrt(np.linalg.det(2 * np.pi * Sigma))
    return density * np.linalg.solve(Sigma, r)


def _density_slope_as_printed(mu, Sigma, x):
    """(2π)^d / 2 in the denominator where (2π)^(d/2) is meant."""
    d = len(x)
    return _density_slope(mu, Sigma, x) * (2 * np.pi) ** (d / 2) / ((2 * np.pi) ** d / 2)


def _entropy(Sigma):
    return 0.5 * jnp.linalg.slogdet(2 * jnp.pi * jnp.e * Sigma)[1]


def _lasso(theta, X, y, penalty):
    return jnp.sum((y - X @ theta) ** 2) + penalty * jnp.sum(jnp.abs(theta))


def _least_squares(theta, X, y):
    return jnp.sum((y - X @ theta) ** 2)


def _cross_entropy(theta, X, y):
    return logistic.cost(theta, X, y)


def _cross_entropy_slope(theta, X, y):
    return X.T @ (1 / (1 + np.exp(-X @ theta)) - y)


def _as_printed_cross_entropy(theta, X, y):
    """−Σ a + b where −Σ (a + b) is meant: the minus reaches the first term only."""
    pi = 1 / (1 + np.exp(-X @ theta))
    return X.T @ (-y * (1 - pi) - (1 - y) * pi)


def _softmax_slope(theta, X, y):
    pi = np.exp(X @ theta)
    return X.T @ (pi / np.sum(pi, axis=1, keepdims=True) - (y[:, None] == np.arange(3)))


def _as_printed_softmax(theta, X, y):
    """Σ z in the denominator of π, where Σ eᶻ is meant."""
    Z = X @ theta
    pi = np.exp(Z) / np.sum(Z, axis=1, keepdims=True)
    return X.T @ (pi - (y[:, None] == np.arange(3)))


def _of_a_sum_of_powers(theta, X, y):
    """The likelihood of an example as Σ_c π_c^1_c(y) = π_y + K − 1, where Π_c is meant."""
    pi = np.exp(X @ theta)
    pi = pi / np.sum(pi, axis=1, keepdims=True)
    truth = (y[:, None] == np.arange(3)) * 1.0
    pi_y = np.sum(pi * truth, axis=1)
    return X.T @ ((pi - truth) * (pi_y / (pi_y + 2))[:, None])


def _two_layers(weights, X, y):
    return jnp.sum((jnp.tanh(X @ weights["first"]) @ weights["second"] - y) ** 2)


def _backpropagation(weights, X, y):
    z = np.tanh(X @ weights["first"])
    delta = 2 * (z @ weights["second"] - y)
    return {"first": X.T @ (delta[:, None] * weights["second"][None, :] * (1 - z**2)), "second": z.T @ delta}


def _without_the_cost(weights, X, y):
    """The last line of the printed derivation has lost ∂C/∂z: δ starts at 1."""
    z = np.tanh(X @ weights["first"])
    return {"first": X.T @ (weights["second"][None, :] * (1 - z**2)), "second": z.sum(axis=0)}


def _bump(theta, x):
    return jnp.sum(1 / (1 + jnp.exp(-x * theta)))


def _linear_layer(theta, z, target):
    return jnp.sum((z @ theta - target) ** 2)


def _summed_over_outputs(theta, z, target):
    """Σ_o δ_o where δ_o z_i is meant."""
    delta = 2 * (z @ theta - target)
    return z.T @ delta.sum(axis=1, keepdims=True) * np.ones((1, theta.shape[1]))


TARGETS = RNG.standard_normal((12, 2))
WEIGHTS = {"first": RNG.standard_normal((3, 4)), "second": RNG.standard_normal(4)}

S = np.cov(X.T) + np.eye(3)

# number: (where, cost, parameters, data, which derivative, as printed, as corrected)
ERRATA = {
    1: ("5.2", _gaussian, 0.7, (Y,), "gradient",
        lambda s, y: len(y) / (2 * s) - np.sum(y**2) / s**3, lambda s, y: len(y) / s - np.sum(y**2) / s**3),
    2: ("3.3", _quadratic, THETA, (A,), "gradient",
        lambda t, A: np.dot(2 * A.T, t), lambda t, A: np.dot(A + A.T, t)),
    4: ("4.4", _density, THETA, (S, X[0]), "gradient", _density_slope_as_printed, _density_slope),
    6: ("5.5", _entropy, S, (), "gradient",
        lambda S: np.linalg.det(S) * np.linalg.inv(S).T, lambda S: 0.5 * np.linalg.inv(S).T),
    8: ("6.2", _lasso, THETA, (X, Y), "gradient",
        lambda t, X, y, penalty: np.dot(2 * X.T, X @ t - y) + penalty,
        lambda t, X, y, penalty: np.dot(2 * X.T, X @ t - y) + penalty * np.sign(t)),
    9: ("7.4", _least_squares, THETA, (X, Y), "hessian",
        lambda t, X, y: 2 * np.sum(X) * np.ones((3, 3)), lambda t, X, y: np.dot(2 * X.T, X)),
    10: ("7.4", _least_squares, THETA, (LINE, Y), "gradient",
         lambda t, X, y: np.dot(2 * X.T, X @ t - y) * np.array([-1.0, 1.0, 1.0]),
         lambda t, X, y: np.dot(2 * X.T, X @ t - y)),
    11: ("7.8", _least_squares, THETA, (X, Y), "gradient",
         lambda t, X, y: np.dot(X.T, X @ t - y), lambda t, X, y: np.dot(2 * X.T, X @ t - y)),
    14: ("8.4", _cross_entropy, THETA, (X, LABELS), "gradient", _as_printed_cross_entropy,
         _cross_entropy_slope),
    16: ("9.1", softmax.cost, RNG.standard_normal((3, 3)), (X, CLASSES), "gradient", _as_printed_softmax,
         _softmax_slope),
    17: ("10.2", _two_layers, WEIGHTS, (X, Y), "gradient", _without_the_cost, _backpropagation),
    18: ("11.3", _bump, 0.8, (Y,), "gradient",
         lambda t, x: np.sum(-x * np.exp(-x * t) / (1 - np.exp(-x * t)) ** 2),
         lambda t, x: np.sum(x * np.exp(-x * t) / (1 + np.exp(-x * t)) ** 2)),
    19: ("11.4", softmax.cost, RNG.standard_normal((3, 3)), (X, CLASSES), "gradient", _of_a_sum_of_powers,
         _softmax_slope),
    20: ("12.3", _linear_layer, RNG.standard_normal((3, 2)), (X, TARGETS), "gradient", _summed_over_outputs,
         lambda t, z, y: np.dot(z.T, 2 * (z @ t - y))),
}  # fmt: skip


@in_float64
def run(quick: bool) -> Result:
    """Each slip must be found wrong, each correction right."""
    rows, checks = {}, []
    for number, (section, cost, params, data, of, printed, corrected) in ERRATA.items():
        keywords: dict[str, Any] = {"penalty": 0.8} if cost is _lasso else {}
        wrong, right = (
            verify.derivatives(cost, params, *data, **{of: hand}, **keywords) for hand in (printed, corrected)
        )
        error, error_corrected = (_error(report, of) for report in (wrong, right))
        checks.append(Check(f"E {number} as printed is wrong", error, wrong.ok is False))
        checks.append(Check(f"E {number} as corrected is right", error_corrected, right.ok is True))
        rows[f"E {number}"] = {
            "section": section,
            "as printed": {"error": error, "diagnosis": [f"{f.kind.name}: {f.sentence}" for f in wrong.findings]},
            "as corrected": {"error": error_corrected},
        }
    return Result(
        {
            "errata": Picture(
                _figure(rows),
                f"Largest relative error of {len(rows)} printed derivatives against autodiff (orange), and of the same "
                "with the slip corrected (green). Between a slip and rounding lie more than ten powers of ten.",
            )
        },
        rows,
        tuple(checks),
        (),
    )


def _error(report: verify.Report, of: str) -> float:
    errors = [witness.error for witness in report.witnesses if witness.derivative == of and not np.isnan(witness.error)]
    return float(max(errors[0], jnp.finfo(jax.dtypes.canonicalize_dtype(float)).eps / 4))


def _figure(rows):
    figure, axes = plt.subplots(figsize=(7, 5))
    place = np.arange(len(rows))[::-1]
    for key, color in (("as printed", FIT), ("as corrected", TRUTH)):
        axes.plot([row[key]["error"] for row in rows.values()], place, "o", color=color, label=key)
    kinds = [row["as printed"]["diagnosis"][0].split(":")[0] for row in rows.values()]
    labels = [f"{name} (course {row['section']})" for name, row in rows.items()]
    for y, row, kind in zip(place, rows.values(), kinds, strict=True):
        axes.annotate(kind, (row["as printed"]["error"], y), xytext=(8, 0), textcoords="offset points", va="center",
                      fontsize="small", color=FIT)  # fmt: skip
    axes.set(xscale="log", yticks=place, yticklabels=labels, xlabel="largest relative error", xlim=(2e-17, 1e6),
             title=f"{len(rows)} printed derivatives and what the doctor calls their slips")  # fmt: skip
    axes.legend(loc="lower center")
    return figure
