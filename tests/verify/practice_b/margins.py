"""Support vector machines, ranking by margins, and regression with Huber's and the quantile loss."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(103)
m, d = 30, 4
X = rng.standard_normal((m, d))
TARGET = X @ np.array([1.0, -0.5, 0.0, 0.3]) + 0.8 * rng.standard_t(3, m)
SIGNS = np.sign(TARGET)
START = {"w": np.array([0.4, -0.3, 0.2, 0.1]), "b": np.array(0.15)}


def svm_cost(params, X, y, C=1.0):
    """In the form with C: the penalty has the factor one half, the examples are summed."""
    margin = y * (X @ params["w"] + params["b"])
    return 0.5 * params["w"] @ params["w"] + C * jnp.sum(jnp.maximum(0, 1 - margin))


def svm_gradient(params, X, y, C=1.0):
    active = y * (X @ params["w"] + params["b"]) < 1
    return {"w": params["w"] - C * X.T @ (active * y), "b": -C * jnp.sum(active * y)}


def svm_everyone(params, X, y, C=1.0):
    return {"w": params["w"] - C * X.T @ y, "b": -C * jnp.sum(y)}


def svm_bias(params, X, y, C=1.0):
    active = y * (X @ params["w"] + params["b"]) < 1
    return {"w": params["w"] - C * X.T @ (active * y), "b": params["b"] - C * jnp.sum(active * y)}


def svm_positives(params, X, y, C=1.0):
    """Labels 0 and 1 where −1 and 1 are needed."""
    active = y * (X @ params["w"] + params["b"]) < 1
    return {"w": params["w"] - C * X.T @ (active * (y > 0)), "b": -C * jnp.sum(active * (y > 0))}


# Pegasos' form in NumPy: λ/2 beside the mean over the examples
def pegasos_cost(w, X, y, lam):
    return lam / 2 * np.sum(w**2) + np.maximum(0, 1 - y * (X @ w)).mean()


def pegasos_gradient(w, X, y, lam):
    g = lam * w
    for x, label in zip(X, y, strict=True):
        if label * (x @ w) < 1:
            g = g - label * x / len(X)
    return g


def pegasos_summed(w, X, y, lam):
    g = lam * w
    for x, label in zip(X, y, strict=True):
        if label * (x @ w) < 1:
            g = g - label * x
    return g


def pegasos_doubled(w, X, y, lam):
    active = y * (X @ w) < 1
    return 2 * lam * w - X.T @ (active * y) / len(X)


def pegasos_inplace(w, X, y, lam):
    active = y * (X @ w) < 1
    w *= lam
    w -= X.T @ (active * y) / len(X)
    return w


# squared hinge with a Hessian
def squared_cost(w, X, y):
    return jnp.sum(jnp.maximum(0, 1 - y * (X @ w)) ** 2) + 0.3 * w @ w


def squared_gradient(w, X, y):
    return -2 * X.T @ (y * jnp.maximum(0, 1 - y * (X @ w))) + 0.6 * w


def squared_hessian(w, X, y):
    active = jnp.where(y * (X @ w) < 1, 1.0, 0.0)
    return 2 * (X.T * active) @ X + 0.6 * jnp.eye(len(w))


def squared_half(w, X, y):
    return -X.T @ (y * jnp.maximum(0, 1 - y * (X @ w))) + 0.6 * w


def squared_all(w, X, y):
    return 2 * X.T @ X + 0.6 * jnp.eye(len(w))


def squared_product(w, X, y, v):
    active = jnp.where(y * (X @ w) < 1, 1.0, 0.0)
    return 2 * X.T @ (active * (X @ v)) + 0.6 * v


# several classes, Crammer and Singer
Z = rng.integers(0, 3, m)
W = 0.5 * rng.standard_normal((d, 3))


def crammer_cost(W, X, z):
    S = jnp.asarray(X @ W)
    margins = S - S[jnp.arange(len(z)), z][:, None] + 1.0
    margins = margins.at[jnp.arange(len(z)), z].set(0.0)
    return jnp.mean(jnp.max(margins, axis=1)) + 0.05 * jnp.sum(W**2)


def crammer_gradient(W, X, z):
    rows = jnp.arange(len(z))
    S = jnp.asarray(X @ W + 1.0).at[rows, z].add(-1.0)
    D = jax.nn.one_hot(jnp.argmax(S, axis=1), 3) - jax.nn.one_hot(z, 3)
    return X.T @ D / len(z) + 0.1 * W


def crammer_rivals(W, X, z):
    """Only the rival's column, not that of the true class."""
    rows = jnp.arange(len(z))
    S = jnp.asarray(X @ W + 1.0).at[rows, z].add(-1.0)
    best = jnp.argmax(S, axis=1)
    D = jax.nn.one_hot(best, 3) * (best != z)[:, None]
    return X.T @ D / len(z) + 0.1 * W


# pairs: the first of each should rank above the second
PAIRS = rng.integers(0, m, (15, 2))
PAIRS = PAIRS[PAIRS[:, 0] != PAIRS[:, 1]]


def rank_cost(w, X, pairs):
    gap = X[pairs[:, 0]] @ w - X[pairs[:, 1]] @ w
    return jnp.sum(jax.nn.softplus(-gap)) + 0.1 * w @ w


def rank_gradient(w, X, pairs):
    D = X[pairs[:, 0]] - X[pairs[:, 1]]
    return -D.T @ jax.nn.sigmoid(-D @ w) + 0.2 * w


def rank_winners(w, X, pairs):
    D = X[pairs[:, 0]] - X[pairs[:, 1]]
    return -X[pairs[:, 0]].T @ jax.nn.sigmoid(-D @ w) + 0.2 * w


# regression: Huber, quantile, ε-insensitive
def huber_cost(p, X, y, delta=0.7):
    w, b = p
    r = X @ w + b - y
    return jnp.mean(jnp.where(jnp.abs(r) < delta, 0.5 * r**2, delta * (jnp.abs(r) - 0.5 * delta)))


def huber_gradient(p, X, y, delta=0.7):
    w, b = p
    psi = jnp.clip(X @ w + b - y, -delta, delta)
    return X.T @ psi / len(y), jnp.mean(psi)


def huber_sign(p, X, y, delta=0.7):
    w, b = p
    r = X @ w + b - y
    psi = jnp.where(jnp.abs(r) < delta, r, jnp.sign(r))
    return X.T @ psi / len(y), jnp.mean(psi)


def quantile_cost(p, X, y, tau):
    r = y - X @ p["w"] - p["b"]
    return jnp.sum(jnp.where(r > 0, tau * r, (tau - 1) * r)) / len(y)


def quantile_gradient(p, X, y, tau):
    slope = jnp.where(y - X @ p["w"] - p["b"] > 0, -tau, 1 - tau)
    return {"w": X.T @ slope / len(y), "b": slope.mean()}


def quantile_exchanged(p, X, y, tau):
    slope = jnp.where(y - X @ p["w"] - p["b"] > 0, tau - 1, tau)
    return {"w": X.T @ slope / len(y), "b": slope.mean()}


def quantile_summed(p, X, y, tau):
    """Summed, and the intercept forgotten."""
    slope = jnp.where(y - X @ p["w"] - p["b"] > 0, -tau, 1 - tau)
    return {"w": X.T @ slope, "b": jnp.zeros(())}


def svr_cost(theta, X, y):
    r = X @ theta[:-1] + theta[-1] - y
    return np.sum(np.maximum(np.abs(r) - 0.2, 0)) + 0.5 * np.sum(theta[:-1] ** 2)


def svr_gradient(theta, X, y):
    r = X @ theta[:-1] + theta[-1] - y
    s = np.sign(r) * (np.abs(r) > 0.2)
    return np.append(X.T @ s + theta[:-1], s.sum())


def svr_no_bias(theta, X, y):
    r = X @ theta[:-1] + theta[-1] - y
    s = np.sign(r) * (np.abs(r) > 0.2)
    return np.append(X.T @ s + theta[:-1], 0.0)


PAIR = (START["w"], START["b"])

CASES = [
    Practice("SVM with C", svm_cost, START, (X, SIGNS), {"C": 0.4}, gradient=svm_gradient),
    Practice(
        "SVM with C, examples beyond the margin counted",
        svm_cost,
        START,
        (X, SIGNS),
        {"C": 0.4},
        gradient=svm_everyone,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "SVM with C, the bias penalised",
        svm_cost,
        START,
        (X, SIGNS),
        gradient=svm_bias,
        kinds=frozenset({Kind.PENALTY, Kind.BIAS}),
    ),
    Practice(
        "SVM with C, labels 0 and 1 for −1 and 1",
        svm_cost,
        START,
        (X, SIGNS),
        gradient=svm_positives,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice("Pegasos, a loop in NumPy", pegasos_cost, START["w"], (X, SIGNS, 0.2), gradient=pegasos_gradient),
    Practice(
        "Pegasos, the hinge summed and not averaged beside the penalty",
        pegasos_cost,
        START["w"],
        (X, SIGNS, 0.2),
        gradient=pegasos_summed,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "Pegasos, the half of the penalty forgotten",
        pegasos_cost,
        START["w"],
        (X, SIGNS, 0.2),
        gradient=pegasos_doubled,
        kinds=frozenset({Kind.PENALTY}),
    ),
    # no kind names it: the report says it in words
    Practice(
        "Pegasos, the gradient is computed into the parameters",
        pegasos_cost,
        START["w"],
        (X, SIGNS, 0.2),
        gradient=pegasos_inplace,
        kinds=frozenset({Kind.UNKNOWN}),
    ),
    Practice(
        "squared hinge, its Hessian and product",
        squared_cost,
        START["w"],
        (X, SIGNS),
        gradient=squared_gradient,
        hessian=squared_hessian,
        hessian_product=squared_product,
    ),
    Practice(
        "squared hinge, its 2 forgotten beside a penalty in the cost's body",
        squared_cost,
        START["w"],
        (X, SIGNS),
        gradient=squared_half,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "squared hinge, a Hessian of all examples",
        squared_cost,
        START["w"],
        (X, SIGNS),
        gradient=squared_gradient,
        hessian=squared_all,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("Crammer and Singer", crammer_cost, W, (X, Z), gradient=crammer_gradient),
    Practice(
        "Crammer and Singer, the true class's column left out",
        crammer_cost,
        W,
        (X, Z),
        gradient=crammer_rivals,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("pairwise ranking", rank_cost, START["w"], (X, PAIRS), gradient=rank_gradient),
    Practice(
        "pairwise ranking, the losers left out",
        rank_cost,
        START["w"],
        (X, PAIRS),
        gradient=rank_winners,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("Huber, parameters in a tuple", huber_cost, PAIR, (X, TARGET), gradient=huber_gradient),
    Practice(
        "Huber, δ forgotten in the linear part",
        huber_cost,
        PAIR,
        (X, TARGET),
        gradient=huber_sign,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("quantile regression", quantile_cost, START, (X, TARGET), {"tau": 0.8}, gradient=quantile_gradient),
    Practice(
        "quantile regression, τ and 1 − τ exchanged",
        quantile_cost,
        START,
        (X, TARGET),
        {"tau": 0.8},
        gradient=quantile_exchanged,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.INDEX}),
    ),
    Practice(
        "quantile regression, summed and the intercept left at zero",
        quantile_cost,
        START,
        (X, TARGET),
        {"tau": 0.3},
        gradient=quantile_summed,
        kinds=frozenset({Kind.FACTOR, Kind.MISSING}),
        all_needed=True,
    ),
    Practice(
        "ε-insensitive regression in NumPy",
        svr_cost,
        np.append(START["w"], 0.1),
        (X, TARGET),
        gradient=svr_gradient,
    ),
    Practice(
        "ε-insensitive regression, the intercept's derivative left at 0",
        svr_cost,
        np.append(START["w"], 0.1),
        (X, TARGET),
        gradient=svr_no_bias,
        kinds=frozenset({Kind.MISSING, Kind.BIAS}),
    ),
]
