"""Filters and hidden states: a Kalman filter in two dimensions, smoothing, moving averages, chains of states."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp, sigmoid

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(211)

# place and speed, the place is seen; parameters log q (of the speed), log r
F, Q0 = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
TRACK = np.cumsum(np.cumsum(0.3 * rng.standard_normal(14))) + 0.5 * rng.standard_normal(14)


def track_cost(theta, z):
    q, r = jnp.exp(theta)

    def step(state, seen):
        x, P = F @ state[0], F @ state[1] @ F.T + q * Q0
        S, v = P[0, 0] + r, seen - x[0]
        K = P[:, 0] / S
        return (x + K * v, P - jnp.outer(K, P[0])), 0.5 * (jnp.log(S) + v**2 / S)

    return jax.lax.scan(step, (jnp.zeros(2), 4.0 * jnp.eye(2)), z)[1].sum()


def track_gradient(theta, z, gain=1.0, transpose=True, shrink=1.0):
    """Derivatives of the state and its covariance, beside them, by Joseph's form."""
    q, r = np.exp(theta)
    x, P, dx, dP, g = np.zeros(2), 4.0 * np.eye(2), np.zeros((2, 2)), np.zeros((2, 2, 2)), np.zeros(2)
    for seen in z:
        x, P = F @ x, F @ P @ F.T + q * Q0
        dx, dP = dx @ F.T, F @ dP @ (F.T if transpose else F)
        dP[0] += q * Q0
        S, v, dv = P[0, 0] + r, seen - x[0], -dx[:, 0]
        dS = dP[:, 0, 0] + np.array([0.0, r])
        g = g + 0.5 * dS / S + v * dv / S - 0.5 * v**2 * dS / S**2
        K = P[:, 0] / S
        dK = gain * (dP[:, :, 0] / S - np.outer(dS, P[:, 0]) / S**2)
        x, dx = x + K * v, dx + dK * v + np.outer(dv, K)
        dP = dP - shrink * (dK[:, :, None] * P[0] + K[:, None] * dP[:, None, 0])
        P = P - np.outer(K, P[0])
    return g


# exponential smoothing with a trend: logits of both weights, start as parameters
SALES = 5 + 0.4 * np.arange(12) + 0.5 * rng.standard_normal(12)
HOLT = {"weights": np.array([-0.4, -1.5]), "start": np.array([4.6, 0.3])}


def holt_cost(p, y):
    a, b = 1 / (1 + np.exp(-p["weights"]))
    level, trend = p["start"]
    total = 0.0
    for seen in y:
        e = seen - level - trend
        total += e * e
        level, trend = level + trend + a * e, trend + a * b * e
    return total / len(y)


def holt_gradient(p, y, stale=False, logit=True):
    """Four sensitivities: of the two weights, of level and trend at the start."""
    a, b = 1 / (1 + np.exp(-p["weights"]))
    level, trend = p["start"]
    d_level, d_trend = np.array([0.0, 0, 1, 0]), np.array([0.0, 0, 0, 1])
    unit, g = np.eye(4), np.zeros(4)
    for seen in y:
        e, de = seen - level - trend, -d_level - d_trend
        g += 2 * e * de / len(y)
        if stale:
            level, trend = level + trend + a * e, trend + a * b * e
            e = seen - level - trend  # the next error, not the one that the update used
        d_level, d_trend = (
            d_level + d_trend + a * de + unit[0] * e,
            d_trend + a * b * de + (b * unit[0] + a * unit[1]) * e,
        )
        if not stale:
            level, trend = level + trend + a * e, trend + a * b * e
    slope = np.array([a * (1 - a), b * (1 - b)]) if logit else 1.0
    return {"weights": g[:2] * slope, "start": g[2:]}


# ARMA(1, 1) by conditional sum of squares: e_t = y_t − φ y_{t−1} − ψ e_{t−1}
Y = rng.standard_normal(16)


def arma_cost(v, y):
    def step(e, pair):
        e = pair[1] - v[0] * pair[0] - v[1] * e
        return e, e**2

    return 0.5 * jnp.sum(jax.lax.scan(step, 0.0, (y[:-1], y[1:]))[1])


def arma_gradient(v, y, own=1.0):
    e, de, g = 0.0, np.zeros(2), np.zeros(2)
    for before, now in itertools.pairwise(y):
        de = -np.array([before, e]) - own * v[1] * de
        e = now - v[0] * before - v[1] * e
        g += e * de
    return g


def arma_hessian(v, y, second=1.0):
    e, de, dde, H = 0.0, np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2))
    for before, now in itertools.pairwise(y):
        shift = np.outer([0.0, 1.0], de)
        dde = -shift - shift.T - v[1] * dde
        de = -np.array([before, e]) - v[1] * de
        e = now - v[0] * before - v[1] * e
        H += np.outer(de, de) + second * e * dde
    return H


# a chain of two states seen through normal noise; logits of staying, means, one log σ
BURSTS = np.array([0.1, -0.3, 2.2, 1.8, 2.5, 0.2, 0.4, -0.1, 1.9, 2.1])
STATES = {"stay": np.array([0.8, 0.5]), "mean": np.array([0.1, 1.9]), "log_s": np.array(-0.5)}


def states_cost(p, y):
    s = jnp.exp(p["log_s"])
    logs = -0.5 * ((y[:, None] - p["mean"]) / s) ** 2 - p["log_s"]
    stay = sigmoid(p["stay"])
    A = jnp.log(jnp.array([[stay[0], 1 - stay[0]], [1 - stay[1], stay[1]]]))

    def step(alpha, log_b):
        return logsumexp(alpha[:, None] + A, axis=0) + log_b, None

    return -logsumexp(jax.lax.scan(step, jnp.log(0.5) + logs[0], logs[1:])[0])


def states_gradient(p, y, count=True, filtered=False, leave=True):
    s, stay = np.exp(p["log_s"]), 1 / (1 + np.exp(-np.asarray(p["stay"])))
    A = np.array([[stay[0], 1 - stay[0]], [1 - stay[1], stay[1]]])
    b = np.exp(-0.5 * ((y[:, None] - p["mean"]) / s) ** 2)
    alpha, beta = np.zeros((10, 2)), np.ones((10, 2))
    alpha[0] = b[0] / b[0].sum()
    for t in range(1, 10):
        alpha[t] = alpha[t - 1] @ A * b[t]
        alpha[t] /= alpha[t].sum()
    for t in range(8, -1, -1):
        beta[t] = A @ (b[t + 1] * beta[t + 1])
        beta[t] /= beta[t].sum()
    w = alpha if filtered else alpha * beta / (alpha * beta).sum(axis=1, keepdims=True)
    moves = np.zeros((2, 2))
    for t in range(9):
        joint = alpha[t][:, None] * A * (b[t + 1] * beta[t + 1])
        moves += joint / joint.sum()
    gone = np.array([moves[0, 1], moves[1, 0]])
    r = (y[:, None] - p["mean"]) / s
    return {
        "stay": -(np.diag(moves) * (1 - stay) - (gone * stay if leave else 0.0)),
        "mean": -np.sum(w * r, axis=0) / s,
        "log_s": (len(y) if count else 0.0) - np.sum(w * r**2),
    }


# a chain that stays or goes on by one state, three states, emissions by a softmax
LETTERS = np.array([0, 0, 1, 2, 2, 2])
PROFILE = rng.standard_normal((3, 3))


def profile_cost(logits, letters):
    emit = log_softmax(logits, axis=1)[:, letters]  # state, time
    alpha = jnp.array([emit[0, 0], -jnp.inf, -jnp.inf])
    for t in range(1, len(letters)):
        alpha = jnp.logaddexp(alpha, jnp.concatenate([jnp.array([-jnp.inf]), alpha[:-1]])) + emit[:, t]
    return -alpha[-1]


def profile_gradient(logits, letters, visits=True):
    """All places of the two moves, each path weighted by its probability."""
    P = np.exp(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    counts, total, n = np.zeros((3, 3)), 0.0, len(letters)
    for first in range(1, n):
        for second in range(first + 1, n):
            state = (np.arange(n) >= first).astype(int) + (np.arange(n) >= second)
            weight = np.prod(P[state, letters])
            total += weight
            np.add.at(counts, (state, letters), weight)
    counts /= total
    return P * (counts.sum(axis=1, keepdims=True) if visits else 1.0) - counts


CASES = [
    track := Practice(
        "track of place and speed", track_cost, np.array([-1.8, -1.0]), (TRACK,), gradient=track_gradient
    ),
    track._replace(
        name="track of place and speed, the gain held fixed",
        gradient=lambda theta, z: track_gradient(theta, z, gain=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    track._replace(
        name="track of place and speed, the transition not transposed",
        gradient=lambda theta, z: track_gradient(theta, z, transpose=False),
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    holt := Practice("smoothing with a trend, NumPy", holt_cost, HOLT, (SALES,), gradient=holt_gradient),
    holt._replace(
        name="smoothing with a trend, the error of after the update",
        gradient=lambda p, y: holt_gradient(p, y, stale=True),
        kinds=frozenset({Kind.INDEX, Kind.CHAIN_RULE}),
    ),
    holt._replace(
        name="smoothing with a trend, by the weights and not their logits",
        gradient=lambda p, y: holt_gradient(p, y, logit=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    arma := Practice(
        "moving average, gradient and Hessian",
        arma_cost,
        np.array([0.4, 0.5]),
        (Y,),
        gradient=arma_gradient,
        hessian=arma_hessian,
    ),
    arma._replace(
        name="moving average, the last error taken as data",
        gradient=lambda v, y: arma_gradient(v, y, own=0.0),
        hessian=None,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    arma._replace(
        name="moving average, Gauss-Newton",
        gradient=None,
        hessian=lambda v, y: arma_hessian(v, y, second=0.0),
        kinds=frozenset({Kind.EXPECTED}),
    ),
    states := Practice("bursts by two hidden states", states_cost, STATES, (BURSTS,), gradient=states_gradient),
    states._replace(
        name="bursts, log sigma of the normaliser left out",
        gradient=lambda p, y: states_gradient(p, y, count=False),
        kinds=frozenset({Kind.MISSING}),
    ),
    states._replace(
        name="bursts, filtered states for smoothed ones",
        gradient=lambda p, y: states_gradient(p, y, filtered=True),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    states._replace(
        name="bursts, the moves away left out",
        gradient=lambda p, y: states_gradient(p, y, leave=False),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    profile := Practice(
        "left-to-right chain, paths one by one", profile_cost, PROFILE, (LETTERS,), gradient=profile_gradient
    ),
    profile._replace(
        name="left-to-right chain, the visits of a state forgotten",
        gradient=lambda logits, letters: profile_gradient(logits, letters, visits=False),
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
]
