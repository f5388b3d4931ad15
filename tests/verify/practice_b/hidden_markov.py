"""Hidden Markov models by the forward and backward recursions."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, softmax
from jax.scipy.special import logsumexp

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(102)
K, V = 3, 4
SYMBOLS = rng.integers(0, V, 12)
DISCRETE = {
    "initial": rng.standard_normal(K),
    "transition": rng.standard_normal((K, K)),
    "emission": rng.standard_normal((K, V)),
}


def discrete_cost(params, symbols):
    log_T, log_B = log_softmax(params["transition"], axis=1), log_softmax(params["emission"], axis=1)

    def step(log_alpha, symbol):
        return logsumexp(log_alpha[:, None] + log_T, axis=0) + log_B[:, symbol], None

    first = log_softmax(params["initial"]) + log_B[:, symbols[0]]
    return -logsumexp(jax.lax.scan(step, first, symbols[1:])[0])


def smooth(params, symbols):
    """p(state) at each time, and the expected number of moves from row to column."""
    pi, T, B = (np.asarray(softmax(params[name], axis=-1)) for name in ("initial", "transition", "emission"))
    alpha, beta = np.zeros((len(symbols), K)), np.ones((len(symbols), K))
    alpha[0] = pi * B[:, symbols[0]]
    for t in range(1, len(symbols)):
        alpha[t] = alpha[t - 1] @ T * B[:, symbols[t]]
    for t in range(len(symbols) - 2, -1, -1):
        beta[t] = T @ (B[:, symbols[t + 1]] * beta[t + 1])
    p = alpha[-1].sum()
    moves = T * (alpha[:-1].T @ (B[:, symbols[1:]].T * beta[1:])) / p
    return alpha * beta / p, moves, (pi, T, B)


def discrete_gradient(params, symbols):
    gamma, moves, (pi, T, B) = smooth(params, symbols)
    seen = np.zeros_like(B)
    np.add.at(seen.T, symbols, gamma)
    return {
        "initial": pi - gamma[0],
        "transition": T * moves.sum(axis=1, keepdims=True) - moves,
        "emission": B * gamma.sum(axis=0)[:, None] - seen,
    }


def discrete_columns(params, symbols):
    gamma, moves, (pi, T, B) = smooth(params, symbols)
    seen = np.zeros_like(B)
    np.add.at(seen.T, symbols, gamma)
    return {
        "initial": pi - gamma[0],
        "transition": T.T * moves.sum(axis=1) - moves.T,
        "emission": B * gamma.sum(axis=0)[:, None] - seen,
    }


def discrete_counts(params, symbols):
    gamma, moves, (_, _, B) = smooth(params, symbols)
    seen = np.zeros_like(B)
    np.add.at(seen.T, symbols, gamma)
    return {"initial": -gamma[0], "transition": -moves, "emission": -seen}


def discrete_overwritten(params, symbols):
    gamma, moves, (pi, T, B) = smooth(params, symbols)
    seen = np.zeros(B.shape)
    for t, s in enumerate(symbols):
        seen[:, s] = gamma[t]
    return {
        "initial": pi - gamma[0],
        "transition": T * moves.sum(axis=1, keepdims=True) - moves,
        "emission": B * gamma.sum(axis=0)[:, None] - seen,
    }


# normal emissions, the chain known
T0 = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.25, 0.7]])
STATES = rng.integers(0, K, 20)
X = np.array([-2.0, 0.3, 2.5])[STATES] + 0.7 * rng.standard_normal(20)
NORMAL = {"mean": np.array([-1.6, 0.5, 2.2]), "log_sd": np.array([-0.2, 0.1, 0.3])}


def normal_cost(params, x):
    alpha, total = np.full(K, 1 / K), 0.0
    for t, value in enumerate(x):
        z = (value - params["mean"]) / np.exp(params["log_sd"])
        alpha = (alpha @ T0 if t else alpha) * np.exp(-0.5 * z**2 - params["log_sd"]) / np.sqrt(2 * np.pi)
        total += np.log(alpha.sum())
        alpha = alpha / alpha.sum()
    return -total


def posterior(params, x):
    s = np.exp(params["log_sd"])
    b = np.exp(-0.5 * ((x[:, None] - params["mean"]) / s) ** 2) / s
    alpha, beta = np.ones((len(x), K)), np.ones((len(x), K))
    alpha[0] = b[0] / b[0].sum()
    for t in range(1, len(x)):
        alpha[t] = alpha[t - 1] @ T0 * b[t]
        alpha[t] /= alpha[t].sum()
    for t in range(len(x) - 2, -1, -1):
        beta[t] = T0 @ (b[t + 1] * beta[t + 1])
        beta[t] /= beta[t].sum()
    return alpha * beta / (alpha * beta).sum(axis=1, keepdims=True)


def normal_gradient(params, x):
    s = np.exp(params["log_sd"])
    gamma, e = posterior(params, x), x[:, None] - params["mean"]
    return {"mean": -(gamma * e).sum(0) / s**2, "log_sd": (gamma * (1 - (e / s) ** 2)).sum(0)}


def normal_width(params, x):
    s = np.exp(params["log_sd"])
    gamma, e = posterior(params, x), x[:, None] - params["mean"]
    return {"mean": -(gamma * e).sum(0) / s, "log_sd": (gamma * (1 - (e / s) ** 2)).sum(0)}


def normal_normaliser(params, x):
    s = np.exp(params["log_sd"])
    gamma, e = posterior(params, x), x[:, None] - params["mean"]
    return {"mean": -(gamma * e).sum(0) / s**2, "log_sd": -(gamma * (e / s) ** 2).sum(0)}


def normal_shifted(params, x):
    """The posterior of the time before meets each observation."""
    s = np.exp(params["log_sd"])
    gamma, e = np.roll(posterior(params, x), 1, axis=0), x[:, None] - params["mean"]
    return {"mean": -(gamma * e).sum(0) / s**2, "log_sd": (gamma * (1 - (e / s) ** 2)).sum(0)}


# the same with a state that two parameters share, in float32
COUNTS = rng.poisson(np.array([1.0, 6.0])[rng.integers(0, 2, 14)]).astype(np.float32)
STAY = np.log(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))


def poisson_cost(log_rate, counts):
    log_b = counts[:, None] * log_rate - jnp.exp(log_rate)

    def step(a, b):
        return logsumexp(a[:, None] + STAY, axis=0) + b, None

    return -logsumexp(jax.lax.scan(step, log_b[0], log_b[1:])[0])


def state_posterior(log_b):
    """The derivative of the log likelihood by the log emissions."""

    def likelihood(log_b):
        def step(a, b):
            return logsumexp(a[:, None] + STAY, axis=0) + b, None

        return logsumexp(jax.lax.scan(step, log_b[0], log_b[1:])[0])

    return jax.vjp(likelihood, log_b)[1](jnp.ones((), log_b.dtype))[0]


def poisson_gradient(log_rate, counts):
    gamma = state_posterior(counts[:, None] * log_rate - jnp.exp(log_rate))
    return jnp.sum(gamma * (jnp.exp(log_rate) - counts[:, None]), axis=0)


def poisson_rate(log_rate, counts):
    gamma = state_posterior(counts[:, None] * log_rate - jnp.exp(log_rate))
    return jnp.sum(gamma * (1 - counts[:, None] / jnp.exp(log_rate)), axis=0)


RATES = np.array([0.2, 1.6], np.float32)

CASES = [
    Practice("symbols, expected counts", discrete_cost, DISCRETE, (SYMBOLS,), gradient=discrete_gradient),
    Practice(
        "symbols, expected moves from column to row",
        discrete_cost,
        DISCRETE,
        (SYMBOLS,),
        gradient=discrete_columns,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "symbols, the softmax's normaliser left out",
        discrete_cost,
        DISCRETE,
        (SYMBOLS,),
        gradient=discrete_counts,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "symbols, a symbol seen twice overwrites its count",
        discrete_cost,
        DISCRETE,
        (SYMBOLS,),
        gradient=discrete_overwritten,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice("normal emissions in NumPy", normal_cost, NORMAL, (X,), gradient=normal_gradient),
    Practice(
        "normal emissions, means divided by σ and not σ²",
        normal_cost,
        NORMAL,
        (X,),
        gradient=normal_width,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "normal emissions, the density's 1/σ left out",
        normal_cost,
        NORMAL,
        (X,),
        gradient=normal_normaliser,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "normal emissions, posteriors one time late",
        normal_cost,
        NORMAL,
        (X,),
        gradient=normal_shifted,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "Poisson emissions in float32, posterior by vjp", poisson_cost, RATES, (COUNTS,), gradient=poisson_gradient
    ),
    Practice(
        "Poisson emissions in float32, by the rate and not its logarithm",
        poisson_cost,
        RATES,
        (COUNTS,),
        gradient=poisson_rate,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
]
