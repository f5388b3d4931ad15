"""One hidden layer as a sum of its units: a function fitted by sigmoids, and by radial basis functions (11.3).

    sigmoids    ŷ = θ₀ + Σ_n θ_n σ(b_n + w_n x)             each unit is a step
    RBF         ŷ = θ₀ + Σ_n θ_n e^{−(x − μ_n)²/λ_n}        each unit is a bump

With μ and λ fixed the second is RBF regression (6.4): the last layer is linear regression on what the first one makes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, check_derivatives, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course import features, linear
from jax_course.networks import costs, layers, mlp, network
from jax_course.networks.layers import LinearParams, RBFParams
from jax_course.optimization import lbfgs

TITLE = "Functions as sums of hidden units"
SECTION = "11.3"
M, NOISE, SHOWN = 60, 0.1, 4
GRID = np.linspace(-3, 3, 301)


@in_float64
def run(quick: bool) -> Result:
    """Fits with more and more units of both kinds, each the best of several starts."""
    units, starts = (sorted({2, SHOWN, 8}), 6) if quick else (sorted({1, 2, SHOWN, 8, 16}), 24)
    X, y = _problem()
    fits = {name: _fits(*kind(max(units)), units, starts, X, y) for name, kind in KINDS.items()}
    shown = {name: of_kind[SHOWN] for name, of_kind in fits.items()}
    errors = {name: [_rms(of_kind[count], GRID, _truth(GRID)) for count in units] for name, of_kind in fits.items()}
    of_examples = {name: [_rms(of_kind[count], X[:, 0], y) for count in units] for name, of_kind in fits.items()}
    return Result(
        {
            "units": Picture(
                _contributions(shown, X, y),
                f"Two fits with {SHOWN} hidden units. Thin: what each unit contributes, θ_n times its output, without "
                "θ₀; thick: θ₀ and their sum, the prediction. A sigmoid is a step that goes on to the end, and others "
                "cancel it there. An RBF unit acts where it stands.",
            ),
            "error": Picture(
                _falling(units, errors, of_examples),
                "Root mean square against the number of hidden units: from the truth (solid), and from the examples, "
                "with their noise (dotted). With many RBF units the fit follows the noise: the error from the "
                "examples falls on, that from the truth rises.",
            ),
        },
        {"units": list(units), "error from the truth": errors, "error from the examples": of_examples},
        (
            *check_derivatives("RBF network", _rbf(max(units))[0]._replace(hessian_product=None), shown["RBF"], X, y),
            *(_adds_up(name, theta) for name, theta in shown.items()),
            *(_falls(name, of_kind) for name, of_kind in of_examples.items()),
            *_is_rbf_regression(X, y),
        ),
        (),
    )  # fmt: skip


def _truth(x):
    return np.sin(2 * x) * np.exp(-(x**2) / 8) + 0.2 * x


def _problem():
    rng = np.random.Generator(np.random.PCG64(11))
    x = np.sort(rng.uniform(-3, 3, M))
    return x[:, None], _truth(x) + NOISE * rng.standard_normal(M)


def _sigmoids(units) -> tuple[Any, Any]:
    """The network, and a start whose steps stand anywhere in the data: with all biases 0 they would stand at x = 0."""
    net = mlp([units, 1], "sigmoid", costs.squared_error())

    def start(key):
        first, _, last = net.init(key, 1)
        steps = jax.random.uniform(key, (units,), minval=-3, maxval=3)
        weights = 3 * jnp.sign(first.weights) + first.weights
        return LinearParams(-weights[0] * steps, weights), (), last

    return net, start


def _rbf(units) -> tuple[Any, Any]:
    net = network(layers.rbf(units), layers.linear(1), cost=costs.squared_error())

    def start(key):
        _, last = net.init(key, 1)
        return RBFParams(jax.random.uniform(key, (units, 1), minval=-3, maxval=3), jnp.ones(units)), last

    return net, start


KINDS = {"sigmoids": _sigmoids, "RBF": _rbf}
COLOR = {"sigmoids": CLASSES[1], "RBF": CLASSES[2]}


def _fits(net, start, units, starts, X, y):
    """θ for every number of units. One program fits all: the largest network, with the last units switched off."""

    def switched(theta, on):
        *before, last = theta
        return *before, last._replace(weights=last.weights * on[:, None])

    @jax.jit
    def fit(key, on):
        def cost(theta):
            theta = switched(theta, on)
            return net.cost(theta, X, y) + 0.01 * jnp.sum(theta[-1].weights ** 2)

        solution = lbfgs(cost, start(key), max_steps=300)
        return solution.cost, switched(solution.theta, on)

    keys = list(jax.random.split(jax.random.key(0), starts))
    on = {count: (np.arange(max(units)) < count) * 1.0 for count in units}
    return {count: min((fit(key, on[count]) for key in keys), key=lambda found: float(found[0]))[1] for count in units}


def _total(theta, x):
    """θ₀ + Σ contributions."""
    return np.asarray(theta[-1].bias) + _unit_contributions(theta, x).sum(axis=1)


def _rms(theta, x, y):
    return float(np.sqrt(np.mean((_total(theta, np.asarray(x)) - np.asarray(y)) ** 2)))


def _unit_contributions(theta, x):
    """θ_n times the output of unit n, written out: (examples, units)."""
    first, last = theta[0], theta[-1]
    if isinstance(first, RBFParams):
        outputs = np.exp(-((x[:, None] - np.asarray(first.centers)[:, 0]) ** 2) / np.asarray(first.scales))
    else:
        outputs = 1 / (1 + np.exp(-(np.asarray(first.bias) + x[:, None] * np.asarray(first.weights)[0])))
    return outputs * np.asarray(last.weights)[:, 0]


def _adds_up(name, theta):
    net, _ = KINDS[name](len(theta[-1].weights))
    gap = apart(_total(theta, GRID), jax.jit(net.predict)(theta, GRID[:, None]))
    return Check(f"{name}: θ₀ + Σ contributions = prediction", gap, gap < 1e-12)


def _falls(name, errors):
    """However well it fits, the noise is left: NOISE² of the mean square."""
    few, many = (max(0.0, errors[which] ** 2 - NOISE**2) ** 0.5 for which in (0, -1))
    ratio = many / few if few else 0.0
    return Check(
        f"{name}: error from the examples beyond the noise, with most units / with fewest, below 0.6",
        ratio,
        ratio < 0.6,
    )


def _is_rbf_regression(X, y):
    net, _ = _rbf(7)
    first = RBFParams(jnp.asarray(np.linspace(-3, 3, 7)[:, None]), jnp.asarray(np.ones(7)))

    @jax.jit
    def both(X, y):
        Phi = features.with_bias(features.rbf(X, centers=first.centers, scale=1.0))
        theta = linear.fit(Phi, y).theta
        last = LinearParams(theta[:1], theta[1:, None])
        slopes = (net.gradient((first, of), X, y)[1].weights for of in (last, jax.tree.map(jnp.zeros_like, last)))
        return net.predict((first, last), X), linear.predict(theta, Phi), *slopes

    by_network, by_regression, slope, at_zero = both(X, y)
    gap, left = apart(by_network, by_regression), float(np.max(np.abs(slope)) / np.max(np.abs(at_zero)))
    yield Check("RBF regression is the RBF network with these μ, λ", gap, gap < 1e-12)
    yield Check("there ∂C/∂θ of the network's last layer is 0", left, left < 1e-9)


def _contributions(shown, X, y):
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    for axis, (name, theta) in zip(axes, shown.items(), strict=True):
        axis.plot(X[:, 0], y, "o", color=DATA, ms=3, alpha=0.6, label="examples")
        axis.plot(GRID, _unit_contributions(theta, GRID)[:, :SHOWN], color=MUTED, lw=1)
        axis.plot([], [], color=MUTED, lw=1, label="each unit's contribution")
        axis.plot(GRID, _truth(GRID), "--", color=TRUTH, lw=1.5, label="truth")
        axis.plot(GRID, _total(theta, GRID), color=FIT, lw=2.5, label="prediction")
        axis.set(title=f"{SHOWN} {name if name == 'sigmoids' else 'RBF units'}", xlabel="x")
    axes[0].legend(fontsize="small")
    return figure


def _falling(units, errors, of_examples):
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, color in COLOR.items():
        axes.plot(units, errors[name], "o-", color=color, label=name if name == "sigmoids" else "RBF units")
        axes.plot(units, of_examples[name], "o:", color=color, ms=3, lw=1)
    axes.axhline(NOISE, color=MUTED, lw=1)
    axes.annotate("σ of the noise", (units[0], NOISE), (0, -11), textcoords="offset points", color=MUTED, size="small")
    axes.set(xscale="log", yscale="log", xlabel="hidden units", ylabel="root mean square error", ylim=(NOISE / 5, 0.7))
    axes.set_xticks(units, [str(count) for count in units])
    axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"])
    axes.minorticks_off()
    axes.legend()
    return figure
