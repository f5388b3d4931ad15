"""The slips in the printed course that are no derivative: what is printed, what is meant, and a witness to both."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from experiments.lab.result import Check, Picture, Result, in_float64
from experiments.lab.style import FIT, TRUTH
from jax_course import Status, data, gaussian, lasso, logistic, ridge
from jax_course.optimization import optimizers

TITLE = "The other printed slips, each with a witness"
SECTION = "4.2-8.6"

ETA, STEPS = 0.1, 5


@in_float64
def run(quick: bool) -> Result:
    """Each printed statement must miss what the witness says, each corrected one must not."""
    cases = {
        "E 3": ("4.2", "(1/m) Σ δ(x⁽ⁱ⁾) is no density of x: it has no x", _empirical_density()),
        "E 5": ("4.5", "det(aΣ) = a² det Σ holds for d = 2 only: a^d", _determinant()),
        "E 7": ("6.1", "ridge removes no axis, the lasso does", _removed_axes()),
        "E 12": ("7.8", "Adagrad divides by √Σg², not by Σg²", _adagrad()),
        "E 13": ("7.8", "Adam: a running mean of g² with bias correction, not its sum", _adam()),
        "E 15": ("8.6", "H is positive definite and a minimum exists: not always", _one_minimum()),
    }
    rows = {name: {"section": where, "meant": meant} | _errors(*of) for name, (where, meant, of) in cases.items()}
    return Result(
        {
            "statements": Picture(
                _figure(rows),
                "How far the printed statement (orange) and the corrected one (green) are from a witness that knows "
                "neither, relative to the witness: integrals, determinants, optax, eigenvalues, and fits of data with "
                "known truth.",
            )
        },
        rows,
        tuple(
            check
            for name, row in rows.items()
            for check in (
                Check(f"{name} as printed is wrong", row["as printed"], row["as printed"] > 0.1),
                Check(f"{name} as corrected is right", row["as corrected"], row["as corrected"] < 1e-9),
            )
        ),
        (),
    )


def _errors(printed, corrected, witness):
    size = np.max(np.abs(witness))
    distances = [float(np.max(np.abs(np.asarray(value) - witness))) for value in (printed, corrected)]
    return {"as printed": float(distances[0] / size), "as corrected": float(distances[1] / size)}


def _empirical_density():
    """δ as a narrow bell, on a grid: the total and the mean of x that each density gives; the sample has 1 and x̄."""
    x = np.random.default_rng(0).normal(2.0, 0.5, 40)
    h, grid, pdf = 0.1, np.linspace(-2.0, 6.0, 4001), jax.jit(gaussian.pdf)
    as_meant = np.asarray(pdf(grid[:, None] - x[None, :], 0.0, h**2)).mean(axis=1)
    as_printed = np.full_like(grid, np.asarray(pdf(x, 0.0, h**2)).mean())
    weigh = np.stack([np.ones_like(grid), grid]) * (grid[1] - grid[0])
    return weigh @ as_printed, weigh @ as_meant, np.array([1.0, np.mean(x)])


def _determinant():
    """For d = 3; the witness is the product of the eigenvalues of aΣ."""
    a, A = 2.5, np.random.default_rng(1).standard_normal((3, 3))
    Sigma = A @ A.T + np.eye(3)
    det = np.exp(2 * np.asarray(jax.jit(gaussian.entropy)(Sigma)) - 3 * np.log(2 * np.pi * np.e))
    return a**2 * det, a**3 * det, np.prod(np.linalg.eigvalsh(a * Sigma))


def _removed_axes():
    """The share of 15 axes without influence that is exactly 0: under ridge, whatever the penalty, and the lasso."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 20))
    y = X[:, :5] @ [3.0, -2.0, 2.0, 1.5, -1.5] + 0.3 * rng.standard_normal(60)
    by_ridge = np.max(np.mean(np.asarray(ridge.path(X, y, np.logspace(-3, 6, 50)))[:, 5:] == 0, axis=1))
    by_lasso = np.mean(np.asarray(lasso.fit(X, y, penalty=60.0).check().theta)[5:] == 0)
    return np.array([1.0, 1.0]), np.array([0.0, 1.0]), np.array([by_ridge, by_lasso])


def _adagrad():
    sums = np.cumsum(_gradients() ** 2, axis=0) + 0.1  # optax's sum begins at 0.1
    return -ETA * _gradients() / sums, *_steps(optimizers.adagrad(ETA), optax.adagrad(ETA))


def _adam():
    momentum, ours, theirs = _steps(optimizers.momentum(ETA, 0.9), optimizers.adam(ETA), optax.adam(ETA))
    as_printed = momentum / np.sqrt(np.cumsum(_gradients() ** 2, axis=0) + 1e-8)
    return as_printed, ours, theirs


def _gradients():
    return np.random.default_rng(3).standard_normal((STEPS, 4))


def _steps(*every):
    """What each optimizer does with these gradients, a row per step."""

    def of(optimizer, gradients):
        start = optimizer.init(jnp.zeros(4))
        return jax.lax.scan(lambda state, g: optimizer.update(g, state)[::-1], start, gradients)[1]

    with jax.numpy_dtype_promotion("standard"):  # optax mixes types
        of_each = jax.jit(lambda gradients: [of(optimizer, gradients) for optimizer in every])(_gradients())
    return [np.asarray(steps) for steps in of_each]


def _one_minimum():
    """Whether H is positive definite where two columns are one, and whether separable classes have a minimum."""
    X = np.random.default_rng(4).standard_normal((12, 2))
    twice = np.concatenate([X, X[:, :1]], axis=1)
    eigenvalues = np.linalg.eigvalsh(jax.jit(logistic.hessian)(np.zeros(3), twice, np.arange(12) % 2 * 1.0))
    apart = data.separable()
    status = int(logistic.fit(apart.X, apart.y).status)
    found = np.array([eigenvalues[0] > 1e-12 * eigenvalues[-1], status == Status.CONVERGED, 1.0], float)
    return np.array([1.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]), found


def _figure(rows):
    figure, axes = plt.subplots(figsize=(9, 3.6))
    place = np.arange(len(rows))[::-1]
    for key, color in (("as printed", FIT), ("as corrected", TRUTH)):
        axes.plot([max(row[key], 1e-17) for row in rows.values()], place, "o", color=color, label=key)
    for y, row in zip(place, rows.values(), strict=True):
        axes.annotate(
            row["meant"], (1e-15, y), xytext=(8, 0), textcoords="offset points", va="center", fontsize="small"
        )
    labels = [f"{name} (course {row['section']})" for name, row in rows.items()]
    axes.set(xscale="log", yticks=place, yticklabels=labels, xlabel="largest error, relative to the witness",
             xlim=(3e-18, 1e3), ylim=(-0.7, len(rows) - 0.3), title=f"{len(rows)} printed statements")  # fmt: skip
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return figure
