"""Recurrent networks: backpropagation through time, gates, padded sequences."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(106)
T, d, k = 7, 2, 3
X, Y = rng.standard_normal((T, d)), rng.standard_normal(T)
CELL = {
    "in": 0.7 * rng.standard_normal((k, d)),
    "back": 0.5 * rng.standard_normal((k, k)),
    "bias": 0.1 * rng.standard_normal(k),
    "out": rng.standard_normal(k),
}


def elman_cost(p, x, y):
    def step(h, x_t):
        h = jnp.tanh(p["in"] @ x_t + p["back"] @ h + p["bias"])
        return h, p["out"] @ h

    return 0.5 * jnp.sum((jax.lax.scan(step, jnp.zeros(k), x)[1] - y) ** 2)


def elman_gradient(p, x, y):
    """Backpropagation through time in NumPy."""
    h = [np.zeros(k)]
    for x_t in x:
        h.append(np.tanh(p["in"] @ x_t + p["back"] @ h[-1] + p["bias"]))
    g = {name: np.zeros_like(value) for name, value in p.items()}
    later = np.zeros(k)
    for t in range(len(x), 0, -1):
        e = p["out"] @ h[t] - y[t - 1]
        g["out"] += e * h[t]
        delta = (e * p["out"] + later) * (1 - h[t] ** 2)
        g["in"] += np.outer(delta, x[t - 1])
        g["back"] += np.outer(delta, h[t - 1])
        g["bias"] += delta
        later = p["back"].T @ delta
    return g


def elman_scan(p, x, y, slope=True, transposed=True, through_time=True, late=False):
    def forward(h, x_t):
        new = jnp.tanh(p["in"] @ x_t + p["back"] @ h + p["bias"])
        return new, (h, new)

    _, (before, h) = jax.lax.scan(forward, jnp.zeros(k), x)
    e = h @ p["out"] - y

    def backward(later, at):
        e_t, h_t = at
        delta = (e_t * p["out"] + later) * ((1 - h_t**2) if slope else 1.0)
        earlier = (p["back"].T if transposed else p["back"]) @ delta
        return earlier if through_time else jnp.zeros(k), delta

    delta = jax.lax.scan(backward, jnp.zeros(k), (e, h), reverse=True)[1]
    return {
        "in": delta.T @ x,
        "back": delta.T @ (h if late else before),
        "bias": delta.sum(axis=0),
        "out": e @ h,
    }


def elman_last_bias(p, x, y):
    """The bias' part is set at each step, not added."""
    h = [np.zeros(k)]
    for x_t in x:
        h.append(np.tanh(p["in"] @ x_t + p["back"] @ h[-1] + p["bias"]))
    g = {name: np.zeros_like(value) for name, value in p.items()}
    later = np.zeros(k)
    for t in range(len(x), 0, -1):
        e = p["out"] @ h[t] - y[t - 1]
        g["out"] += e * h[t]
        delta = (e * p["out"] + later) * (1 - h[t] ** 2)
        g["in"] += np.outer(delta, x[t - 1])
        g["back"] += np.outer(delta, h[t - 1])
        g["bias"] = delta
        later = p["back"].T @ delta
    return g


# a gate that sees the input only: h ← (1 − z) h + z tanh(W x), the last state is judged
GATED = {"gate": rng.standard_normal((k, d)), "new": rng.standard_normal((k, d)), "start": rng.standard_normal(k)}
GOAL = rng.standard_normal(k)


def gated_cost(p, x, goal):
    def step(h, x_t):
        z = jax.nn.sigmoid(p["gate"] @ x_t)
        return (1 - z) * h + z * jnp.tanh(p["new"] @ x_t), None

    return jnp.sum((jax.lax.scan(step, p["start"], x)[0] - goal) ** 2)


def gated_back(p, x, goal, sign=1.0, slope=True, start=True):
    h, seen = p["start"], []
    for x_t in x:
        z, n = jax.nn.sigmoid(p["gate"] @ x_t), jnp.tanh(p["new"] @ x_t)
        seen.append((h, z, n))
        h = (1 - z) * h + z * n
    delta, gate, new = 2 * (h - goal), 0.0, 0.0
    for (h, z, n), x_t in zip(reversed(seen), x[::-1], strict=True):
        gate = gate + jnp.outer(sign * delta * (n - h) * (z * (1 - z) if slope else 1.0), x_t)
        new = new + jnp.outer(delta * z * (1 - n**2), x_t)
        delta = delta * (1 - z)
    return {"gate": gate, "new": new, "start": delta if start else jnp.zeros(k)}


# sequences padded to one length; an exponential moving average with learned forgetting
LENGTHS = np.array([5, 3, 6, 2])
PADDED, ENDS = rng.standard_normal((4, 6)), rng.standard_normal(4)
STEPS = np.arange(6)[None, :] < LENGTHS[:, None]
AVERAGE = np.array([0.3, 1.2])


def average_cost(theta, x, steps, y):
    keep, scale = jax.nn.sigmoid(theta[0]), theta[1]
    h, total = jnp.zeros(len(x)), 0.0
    for t in range(x.shape[1]):
        h = keep * h + (1 - keep) * x[:, t]
        total = total + jnp.sum(steps[:, t] * (scale * h - y) ** 2)
    return total / steps.sum()


def average_gradient(theta, x, steps, y):
    keep, scale = jax.nn.sigmoid(theta[0]), theta[1]
    h, dh, g = jnp.zeros(len(x)), jnp.zeros(len(x)), jnp.zeros(2)
    for t in range(x.shape[1]):
        dh = keep * dh + (h - x[:, t]) * keep * (1 - keep)
        h = keep * h + (1 - keep) * x[:, t]
        e = 2 * steps[:, t] * (scale * h - y) / steps.sum()
        g = g + jnp.array([e @ dh * scale, e @ h])
    return g


def average_padding(theta, x, steps, y):
    keep, scale = jax.nn.sigmoid(theta[0]), theta[1]
    h, dh, g = jnp.zeros(len(x)), jnp.zeros(len(x)), jnp.zeros(2)
    for t in range(x.shape[1]):
        dh = keep * dh + (h - x[:, t]) * keep * (1 - keep)
        h = keep * h + (1 - keep) * x[:, t]
        e = 2 * (scale * h - y) / steps.sum()
        g = g + jnp.array([e @ dh * scale, e @ h])
    return g


# a float32 model with its data in the closure
X32, Y32 = X.astype(np.float32), Y.astype(np.float32)
CELL32 = {name: value.astype(np.float32) for name, value in CELL.items()}


def small_cost(p):
    def step(h, x_t):
        return jnp.tanh(p["in"] @ x_t + p["back"] @ h + p["bias"]), None

    h = jax.lax.scan(step, np.zeros(k, np.float32), X32)[0]
    return (p["out"] @ h - Y32[-1]) ** 2 / 2


def small_gradient(p):
    h: list = [np.zeros(k, np.float32)]
    for x_t in X32:
        h.append(jnp.tanh(p["in"] @ x_t + p["back"] @ h[-1] + p["bias"]))
    e = p["out"] @ h[-1] - Y32[-1]
    delta, g = e * p["out"] * (1 - h[-1] ** 2), {"out": e * h[-1], "in": 0.0, "back": 0.0, "bias": 0.0}
    for t in range(T - 1, -1, -1):
        g["in"] += jnp.outer(delta, X32[t])
        g["back"] += jnp.outer(delta, h[t])
        g["bias"] += delta
        delta = p["back"].T @ delta * (1 - h[t] ** 2)
    return g


def small_bias(p):
    """1 % too small in the bias alone, from a decay that was meant for the weights."""
    g = small_gradient(p)
    return g | {"bias": 0.99 * g["bias"]}


CASES = [
    Practice("Elman network, through time in NumPy", elman_cost, CELL, (X, Y), gradient=elman_gradient),
    Practice("Elman network, through time by a reversed scan", elman_cost, CELL, (X, Y), gradient=elman_scan),
    Practice(
        "Elman network, tanh′ forgotten",
        elman_cost,
        CELL,
        (X, Y),
        gradient=lambda p, x, y: elman_scan(p, x, y, slope=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Elman network, the recurrent matrix not transposed",
        elman_cost,
        CELL,
        (X, Y),
        gradient=lambda p, x, y: elman_scan(p, x, y, transposed=False),
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "Elman network, errors not carried through time",
        elman_cost,
        CELL,
        (X, Y),
        gradient=lambda p, x, y: elman_scan(p, x, y, through_time=False),
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Elman network, the state after the step for that before it",
        elman_cost,
        CELL,
        (X, Y),
        gradient=lambda p, x, y: elman_scan(p, x, y, late=True),
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "Elman network, the bias of the first step only",
        elman_cost,
        CELL,
        (X, Y),
        gradient=elman_last_bias,
        kinds=frozenset({Kind.BIAS, Kind.MISSING}),
    ),
    Practice("gated average, a loop", gated_cost, GATED, (X, GOAL), gradient=gated_back),
    Practice(
        "gated average, old minus new at the gate",
        gated_cost,
        GATED,
        (X, GOAL),
        gradient=lambda p, x, goal: gated_back(p, x, goal, sign=-1.0),
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "gated average, σ′ of the gate forgotten",
        gated_cost,
        GATED,
        (X, GOAL),
        gradient=lambda p, x, goal: gated_back(p, x, goal, slope=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "gated average, the learned initial state left at zero",
        gated_cost,
        GATED,
        (X, GOAL),
        gradient=lambda p, x, goal: gated_back(p, x, goal, start=False),
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("padded sequences", average_cost, AVERAGE, (PADDED, STEPS, ENDS), gradient=average_gradient),
    Practice(
        "padded sequences, padding counted",
        average_cost,
        AVERAGE,
        (PADDED, STEPS, ENDS),
        gradient=average_padding,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("Elman network in float32, data in the closure", small_cost, CELL32, gradient=small_gradient),
    Practice(
        "Elman network in float32, the bias 1 % off",
        small_cost,
        CELL32,
        gradient=small_bias,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
]
