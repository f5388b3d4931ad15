"""Kalman filters and the likelihoods of state-space models."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(101)

# the local level model: a random walk seen through noise; parameters are log variances
Y = np.cumsum(0.5 * rng.standard_normal(18)) + 0.8 * rng.standard_normal(18)
LEVEL = {"log_q": np.array(-1.1), "log_r": np.array(-0.4)}


def level_cost(params, y):
    q, r = jnp.exp(params["log_q"]), jnp.exp(params["log_r"])

    def step(state, y_t):
        a, P = state
        P = P + q
        F, v = P + r, y_t - a
        K = P / F
        return (a + K * v, P * (1 - K)), 0.5 * (jnp.log(2 * jnp.pi * F) + v**2 / F)

    return jnp.sum(jax.lax.scan(step, (0.0, 10.0), y)[1])


def level_gradient(params, y):
    """Sensitivities of the filter, run along with it."""
    names = ("log_q", "log_r")
    q, r = np.exp(params["log_q"]), np.exp(params["log_r"])
    dq, dr = np.array([q, 0.0]), np.array([0.0, r])
    a, P, da, dP, g = 0.0, 10.0, np.zeros(2), np.zeros(2), np.zeros(2)
    for y_t in np.asarray(y):
        P, dP = P + q, dP + dq
        F, dF, v, dv = P + r, dP + dr, y_t - a, -da
        g = g + 0.5 * (dF / F - v**2 * dF / F**2) + v * dv / F
        K, dK = P / F, dP / F - P * dF / F**2
        a, da = a + K * v, da + dK * v + K * dv
        P, dP = P * (1 - K), dP * (1 - K) - P * dK
    return dict(zip(names, g, strict=True))


def level_scan(params, y, log_determinant=1.0, moving=1.0, chain=True):
    q, r = jnp.exp(params["log_q"]), jnp.exp(params["log_r"])
    dq = jnp.array([q if chain else 1.0, 0.0])
    dr = jnp.array([0.0, r if chain else 1.0])

    def step(state, y_t):
        a, P, da, dP = state
        P, dP = P + q, dP + dq
        F, dF, v = P + r, dP + dr, y_t - a
        g = 0.5 * (log_determinant * dF / F - v**2 * dF / F**2) - moving * v * da / F
        K, dK = P / F, (dP * r - P * dr) / F**2
        return (a + K * v, P * (1 - K), da + dK * v - K * da, dP * (1 - K) - P * dK), g

    start = (0.0, 10.0, jnp.zeros(2), jnp.zeros(2))
    g = jnp.sum(jax.lax.scan(step, start, y)[1], axis=0)
    return {"log_q": g[0], "log_r": g[1]}


# transition matrix and noise of a state that is seen itself; time in rows
A0 = np.array([[0.9, 0.2, 0.0], [-0.1, 0.8, 0.1], [0.05, -0.2, 0.7]])
S = [rng.standard_normal(3)]
for _ in range(15):
    S.append(A0 @ S[-1] + np.array([0.3, 0.5, 0.8]) * rng.standard_normal(3))
S = np.array(S)
DYNAMICS = {"A": A0 + 0.1 * rng.standard_normal((3, 3)), "log_q": np.array([-1.0, -0.3, 0.2])}


def dynamics_cost(p, states):
    E = states[1:] - states[:-1] @ p["A"].T
    return 0.5 * jnp.sum(E**2 / jnp.exp(p["log_q"])) + 0.5 * (len(states) - 1) * jnp.sum(p["log_q"])


def dynamics_gradient(p, states):
    E = states[1:] - states[:-1] @ p["A"].T
    W = E / jnp.exp(p["log_q"])
    return {"A": -W.T @ states[:-1], "log_q": 0.5 * (len(E) - jnp.sum(E * W, axis=0))}


def dynamics_transposed(p, states):
    E = states[1:] - states[:-1] @ p["A"].T
    W = E / jnp.exp(p["log_q"])
    return {"A": -states[:-1].T @ W, "log_q": 0.5 * (len(E) - jnp.sum(E * W, axis=0))}


def dynamics_one(p, states):
    E = states[1:] - states[:-1] @ p["A"].T
    W = E / jnp.exp(p["log_q"])
    return {"A": -W.T @ states[:-1], "log_q": 0.5 * (1 - jnp.sum(E * W, axis=0))}


def dynamics_lag(p, states):
    E = states[1:] - states[:-1] @ p["A"].T
    W = E / jnp.exp(p["log_q"])
    return {"A": -W.T @ states[1:], "log_q": 0.5 * (len(E) - jnp.sum(E * W, axis=0))}


# AR(1) with gaps: where the mask is 0 the residual was not observed
Z = rng.standard_normal(24).cumsum() * 0.4
SEEN = (rng.random(23) > 0.3).astype(float)


def gaps_cost(theta, z, seen):
    phi, log_s = theta
    e = z[1:] - phi * z[:-1]
    return jnp.sum(seen * (0.5 * e**2 * jnp.exp(-2 * log_s) + log_s))


def gaps_gradient(theta, z, seen):
    phi, log_s = theta
    e, w = seen * (z[1:] - phi * z[:-1]), jnp.exp(-2 * log_s)
    return jnp.array([-w * e @ z[:-1], seen.sum() - w * e @ e])


def gaps_all(theta, z, seen):
    phi, log_s = theta
    e, w = z[1:] - phi * z[:-1], jnp.exp(-2 * log_s)
    return jnp.array([-w * e @ z[:-1], len(e) - w * e @ e])


def gaps_hessian(theta, z, seen):
    phi, log_s = theta
    e, w, x = seen * (z[1:] - phi * z[:-1]), jnp.exp(-2 * log_s), z[:-1]
    cross = 2 * w * e @ x
    return jnp.array([[w * jnp.sum(seen * x**2), cross], [cross, 2 * w * e @ e]])


def gaps_fisher(theta, z, seen):
    w = jnp.exp(-2 * theta[1])
    return jnp.diag(jnp.array([w * jnp.sum(seen * z[:-1] ** 2), 2 * seen.sum()]))


# the exact likelihood of a stationary AR(1): the first observation has the variance s² / (1 − φ²)
def stationary_cost(p, z):
    s2, c = np.exp(2 * p["log_s"]), 1 - p["phi"] ** 2
    e = z[1:] - p["phi"] * z[:-1]
    return 0.5 * (len(z) * np.log(2 * np.pi * s2) - np.log(c) + (c * z[0] ** 2 + e @ e) / s2)


def stationary_gradient(p, z):
    phi, s2 = p["phi"], np.exp(2 * p["log_s"])
    e = z[1:] - phi * z[:-1]
    return {
        "phi": phi / (1 - phi**2) - (phi * z[0] ** 2 + e @ z[:-1]) / s2,
        "log_s": len(z) - ((1 - phi**2) * z[0] ** 2 + e @ e) / s2,
    }


def stationary_first(p, z):
    phi, s2 = p["phi"], np.exp(2 * p["log_s"])
    e = z[1:] - phi * z[:-1]
    return {"phi": -(e @ z[:-1]) / s2, "log_s": len(z) - ((1 - phi**2) * z[0] ** 2 + e @ e) / s2}


AR = {"phi": np.array(0.6), "log_s": np.array(-0.5)}

CASES = [
    Practice("local level, NumPy sensitivities beside a JAX filter", level_cost, LEVEL, (Y,), gradient=level_gradient),
    Practice("local level, sensitivities in the scan", level_cost, LEVEL, (Y,), gradient=level_scan),
    Practice(
        "local level, variances for their logarithms",
        level_cost,
        LEVEL,
        (Y,),
        gradient=lambda params, y: level_scan(params, y, chain=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "local level, log F left out",
        level_cost,
        LEVEL,
        (Y,),
        gradient=lambda params, y: level_scan(params, y, log_determinant=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "local level, the innovations taken as data",
        level_cost,
        LEVEL,
        (Y,),
        gradient=lambda params, y: level_scan(params, y, moving=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice("state seen itself, transition and noise", dynamics_cost, DYNAMICS, (S,), gradient=dynamics_gradient),
    Practice(
        "state seen itself, the transition transposed",
        dynamics_cost,
        DYNAMICS,
        (S,),
        gradient=dynamics_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "state seen itself, log det Q once and not for each step",
        dynamics_cost,
        DYNAMICS,
        (S,),
        gradient=dynamics_one,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "state seen itself, the residual meets the later state",
        dynamics_cost,
        DYNAMICS,
        (S,),
        gradient=dynamics_lag,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "AR(1) with gaps, gradient and Hessian",
        gaps_cost,
        np.array([0.5, -0.3]),
        (Z, SEEN),
        gradient=gaps_gradient,
        hessian=gaps_hessian,
    ),
    Practice(
        "AR(1) with gaps, the mask forgotten",
        gaps_cost,
        np.array([0.5, -0.3]),
        (Z, SEEN),
        gradient=gaps_all,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "AR(1) with gaps, Fisher information for the Hessian",
        gaps_cost,
        np.array([0.5, -0.3]),
        (Z, SEEN),
        gradient=gaps_gradient,
        hessian=gaps_fisher,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice("stationary AR(1) in NumPy", stationary_cost, AR, (Z,), gradient=stationary_gradient),
    Practice(
        "stationary AR(1), φ in the first observation's variance forgotten",
        stationary_cost,
        AR,
        (Z,),
        gradient=stationary_first,
        kinds=frozenset({Kind.MISSING}),
    ),
]
