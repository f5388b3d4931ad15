"""Networks with given dropout masks; examples in rows and in columns."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import relu, sigmoid, softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(107)
m, d, k, KEEP = 16, 3, 5, 0.75
X, Y = rng.standard_normal((m, d)), rng.standard_normal(m)
BITS = (Y > 0).astype(float)
MASK = (rng.random((m, k)) < KEEP).astype(float)
NET = {
    "hidden": {"W": rng.standard_normal((d, k)), "b": 0.2 * rng.standard_normal(k)},
    "out": {"w": rng.standard_normal(k), "b": np.array(0.1)},
}


def inverted_cost(p, X, bits, mask):
    h = sigmoid(X @ p["hidden"]["W"] + p["hidden"]["b"]) * mask / KEEP
    s = h @ p["out"]["w"] + p["out"]["b"]
    return jnp.mean(softplus(s) - bits * s)


def inverted_gradient(p, X, bits, mask):
    a = sigmoid(X @ p["hidden"]["W"] + p["hidden"]["b"])
    h = a * mask / KEEP
    e = (sigmoid(h @ p["out"]["w"] + p["out"]["b"]) - bits) / len(bits)
    delta = jnp.outer(e, p["out"]["w"]) * mask / KEEP * a * (1 - a)
    return {"hidden": {"W": X.T @ delta, "b": delta.sum(0)}, "out": {"w": h.T @ e, "b": e.sum()}}


def inverted_no_mask(p, X, bits, mask):
    a = sigmoid(X @ p["hidden"]["W"] + p["hidden"]["b"])
    h = a * mask / KEEP
    e = (sigmoid(h @ p["out"]["w"] + p["out"]["b"]) - bits) / len(bits)
    delta = jnp.outer(e, p["out"]["w"]) / KEEP * a * (1 - a)
    return {"hidden": {"W": X.T @ delta, "b": delta.sum(0)}, "out": {"w": h.T @ e, "b": e.sum()}}


def inverted_no_keep(p, X, bits, mask):
    a = sigmoid(X @ p["hidden"]["W"] + p["hidden"]["b"])
    h = a * mask / KEEP
    e = (sigmoid(h @ p["out"]["w"] + p["out"]["b"]) - bits) / len(bits)
    delta = jnp.outer(e, p["out"]["w"]) * mask * a * (1 - a)
    return {"hidden": {"W": X.T @ delta, "b": delta.sum(0)}, "out": {"w": h.T @ e, "b": e.sum()}}


def inverted_dropped_slope(p, X, bits, mask):
    """The slope h(1 − h) of what was dropped and scaled already."""
    h = sigmoid(X @ p["hidden"]["W"] + p["hidden"]["b"]) * mask / KEEP
    e = (sigmoid(h @ p["out"]["w"] + p["out"]["b"]) - bits) / len(bits)
    delta = jnp.outer(e, p["out"]["w"]) * mask / KEEP * h * (1 - h)
    return {"hidden": {"W": X.T @ delta, "b": delta.sum(0)}, "out": {"w": h.T @ e, "b": e.sum()}}


# examples in columns, ReLU, a penalty on the weights; the mask is of one column each
def column_setup():
    params = [rng.standard_normal((k, d)), 0.3 * rng.standard_normal(k), rng.standard_normal((2, k))]
    return params, X.T, rng.standard_normal((2, m)), MASK.T


COLUMNS, XT, YT, MT = column_setup()


def column_cost(params, lam=0.1):
    W, b, V = params
    h = relu(W @ XT + b[:, None]) * MT
    return 0.5 * jnp.sum((V @ h - YT) ** 2) / m + 0.5 * lam * (jnp.sum(W**2) + jnp.sum(V**2))


def column_gradient(params, lam=0.1):
    W, b, V = params
    h = relu(W @ XT + b[:, None]) * MT
    E = (V @ h - YT) / m
    delta = V.T @ E * (h > 0)  # where h is 0 either the unit or the mask was
    return [delta @ XT.T + lam * W, delta.sum(axis=1), E @ h.T + lam * V]


def column_relu(params, lam=0.1):
    W, b, V = params
    h = relu(W @ XT + b[:, None]) * MT
    E = (V @ h - YT) / m
    delta = V.T @ E * MT
    return [delta @ XT.T + lam * W, delta.sum(axis=1), E @ h.T + lam * V]


def column_shared(params, lam=0.1):
    """The penalty divided by the batch as the data are."""
    W, b, V = params
    h = relu(W @ XT + b[:, None]) * MT
    E = V @ h - YT
    delta = V.T @ E * (h > 0)
    return [(delta @ XT.T + lam * W) / m, delta.sum(axis=1) / m, (E @ h.T + lam * V) / m]


# DropConnect in NumPy: the mask lies on the weights
LINKS = (rng.random((d, k)) < 0.6).astype(float)
SHALLOW = (rng.standard_normal((d, k)), rng.standard_normal(k))


def connect_cost(params, X, y, links):
    W, v = params
    return ((np.tanh(X @ (W * links)) @ v - y) ** 2).mean()


def connect_gradient(params, X, y, links):
    W, v = params
    h = np.tanh(X @ (W * links))
    e = 2 * (h @ v - y) / len(y)
    return (X.T @ (np.outer(e, v) * (1 - h**2)) * links, h.T @ e)


def connect_no_links(params, X, y, links):
    W, v = params
    h = np.tanh(X @ (W * links))
    e = 2 * (h @ v - y) / len(y)
    return (X.T @ (np.outer(e, v) * (1 - h**2)), h.T @ e)


def connect_returns(params, X, y, links):
    """Computed, and kept."""
    W, v = params
    h = np.tanh(X @ (W * links))
    e = 2 * (h @ v - y) / len(y)
    _ = (X.T @ (np.outer(e, v) * (1 - h**2)) * links, h.T @ e)


# dropout of inputs, averaged over all masks: least squares with a penalty that each column's size sets
THETA = rng.standard_normal(d)
X_UNITS = X * np.array([1.0, 30.0, 0.05])


def averaged_cost(theta, X, y, q):
    return jnp.sum((X @ theta - y) ** 2) + q / (1 - q) * jnp.sum(jnp.sum(X**2, axis=0) * theta**2)


def averaged_gradient(theta, X, y, q):
    return 2 * X.T @ (X @ theta - y) + 2 * q / (1 - q) * jnp.sum(X**2, axis=0) * theta


def averaged_ridge(theta, X, y, q):
    return 2 * X.T @ (X @ theta - y) + 2 * q / (1 - q) * theta


def averaged_hessian(theta, X, y, q):
    G = X.T @ X
    return 2 * G + 2 * q / (1 - q) * jnp.diag(jnp.diag(G))


def averaged_diagonal(theta, X, y, q):
    return 2 * jnp.diag(jnp.sum(X**2, axis=0)) / (1 - q)


# float32, the mask drawn from a key
def keyed_cost(w, x, y, key):
    mask = jax.random.bernoulli(key, 0.8, x.shape)
    return jnp.mean((jnp.where(mask, x, 0) @ w / jnp.float32(0.8) - y) ** 2)


def keyed_gradient(w, x, y, key):
    x = jnp.where(jax.random.bernoulli(key, 0.8, x.shape), x, 0) / jnp.float32(0.8)
    return 2 * x.T @ (x @ w - y) / len(y)


def keyed_other(w, x, y, key):
    """Another key on the way back."""
    x = jnp.where(jax.random.bernoulli(jax.random.split(key)[0], 0.8, x.shape), x, 0) / jnp.float32(0.8)
    return 2 * x.T @ (x @ w - y) / len(y)


KEY = np.array([0, 7], np.uint32)
KEYED = (X.astype(np.float32), Y.astype(np.float32), KEY)

CASES = [
    Practice("inverted dropout, nested parameters", inverted_cost, NET, (X, BITS, MASK), gradient=inverted_gradient),
    Practice(
        "inverted dropout, the mask forgotten on the way back",
        inverted_cost,
        NET,
        (X, BITS, MASK),
        gradient=inverted_no_mask,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "inverted dropout, 1/keep forgotten on the way back",
        inverted_cost,
        NET,
        (X, BITS, MASK),
        gradient=inverted_no_keep,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "inverted dropout, the slope of the dropped values",
        inverted_cost,
        NET,
        (X, BITS, MASK),
        gradient=inverted_dropped_slope,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("ReLU in columns, one mask for both", column_cost, COLUMNS, gradient=column_gradient),
    Practice(
        "ReLU in columns, its slope forgotten",
        column_cost,
        COLUMNS,
        gradient=column_relu,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "ReLU in columns, the penalty divided by the batch",
        column_cost,
        COLUMNS,
        keywords={"lam": 0.3},
        gradient=column_shared,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice("DropConnect in NumPy", connect_cost, SHALLOW, (X, Y, LINKS), gradient=connect_gradient),
    Practice(
        "DropConnect, dropped weights have a derivative",
        connect_cost,
        SHALLOW,
        (X, Y, LINKS),
        gradient=connect_no_links,
        kinds=frozenset({Kind.ENTRY, Kind.CHAIN_RULE}),
    ),
    Practice(
        "DropConnect, nothing returned",
        connect_cost,
        SHALLOW,
        (X, Y, LINKS),
        gradient=connect_returns,
        kinds=frozenset({Kind.SHAPE}),
    ),
    Practice(
        "averaged dropout, columns of different units, with Hessian",
        averaged_cost,
        THETA,
        (X_UNITS, Y, 0.2),
        gradient=averaged_gradient,
        hessian=averaged_hessian,
    ),
    Practice(
        "averaged dropout, the columns' sizes forgotten",
        averaged_cost,
        THETA,
        (X_UNITS, Y, 0.2),
        gradient=averaged_ridge,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "averaged dropout, the Hessian's diagonal only",
        averaged_cost,
        THETA,
        (X_UNITS, Y, 0.2),
        gradient=averaged_gradient,
        hessian=averaged_diagonal,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    Practice(
        "dropout from a key, float32",
        keyed_cost,
        THETA.astype(np.float32),
        KEYED,
        gradient=keyed_gradient,
    ),
    # nobody can tell the second mask from the numbers
    Practice(
        "dropout from a key, another mask on the way back",
        keyed_cost,
        THETA.astype(np.float32),
        KEYED,
        gradient=keyed_other,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.UNKNOWN}),
    ),
]
