"""Attention, softmax networks and normalised layers, with their backward passes written out."""

import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, one_hot, sigmoid, softmax

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(105)

# one head over a sequence; positions in rows
T, d, k = 6, 4, 3
X, OUT = rng.standard_normal((T, d)), rng.standard_normal((T, k))
HEAD = {name: rng.standard_normal((d, k)) for name in ("query", "key", "value")}


def head_cost(p, X, out):
    Q, K, V = X @ p["query"], X @ p["key"], X @ p["value"]
    A = softmax(Q @ K.T / jnp.sqrt(k), axis=-1)
    return 0.5 * jnp.sum((A @ V - out) ** 2)


def head_gradient(p, X, out):
    Q, K, V = X @ p["query"], X @ p["key"], X @ p["value"]
    A = softmax(Q @ K.T / jnp.sqrt(k), axis=-1)
    dO = A @ V - out
    dA = dO @ V.T
    dS = A * (dA - jnp.sum(A * dA, axis=-1, keepdims=True)) / jnp.sqrt(k)
    return {"query": X.T @ dS @ K, "key": X.T @ dS.T @ Q, "value": X.T @ A.T @ dO}


def head_scale(p, X, out):
    Q, K, V = X @ p["query"], X @ p["key"], X @ p["value"]
    A = softmax(Q @ K.T / jnp.sqrt(k), axis=-1)
    dO = A @ V - out
    dA = dO @ V.T
    dS = A * (dA - jnp.sum(A * dA, axis=-1, keepdims=True))
    return {"query": X.T @ dS @ K, "key": X.T @ dS.T @ Q, "value": X.T @ A.T @ dO}


def head_key(p, X, out):
    Q, K, V = X @ p["query"], X @ p["key"], X @ p["value"]
    A = softmax(Q @ K.T / jnp.sqrt(k), axis=-1)
    dO = A @ V - out
    dA = dO @ V.T
    dS = A * (dA - jnp.sum(A * dA, axis=-1, keepdims=True)) / jnp.sqrt(k)
    return {"query": X.T @ dS @ K, "key": X.T @ dS @ Q, "value": X.T @ A.T @ dO}


def head_diagonal(p, X, out):
    """The derivative of a softmax as if each weight depended on its own score alone."""
    Q, K, V = X @ p["query"], X @ p["key"], X @ p["value"]
    A = softmax(Q @ K.T / jnp.sqrt(k), axis=-1)
    dO = A @ V - out
    dS = A * (1 - A) * (dO @ V.T) / jnp.sqrt(k)
    return {"query": X.T @ dS @ K, "key": X.T @ dS.T @ Q, "value": X.T @ A.T @ dO}


def head_axis(p, X, out):
    Q, K, V = X @ p["query"], X @ p["key"], X @ p["value"]
    A = softmax(Q @ K.T / jnp.sqrt(k), axis=-1)
    dO = A @ V - out
    dA = dO @ V.T
    dS = A * (dA - jnp.sum(A * dA, axis=0)) / jnp.sqrt(k)
    return {"query": X.T @ dS @ K, "key": X.T @ dS.T @ Q, "value": X.T @ A.T @ dO}


def head_key_scale(p, X, out):
    Q, K, V = X @ p["query"], X @ p["key"], X @ p["value"]
    A = softmax(Q @ K.T / jnp.sqrt(k), axis=-1)
    dO = A @ V - out
    dA = dO @ V.T
    dS = A * (dA - jnp.sum(A * dA, axis=-1, keepdims=True))
    return {"query": X.T @ dS @ K, "key": X.T @ dS @ Q, "value": X.T @ A.T @ dO}


# two heads in one array, causal, in a batch
BATCH, TARGETS = rng.standard_normal((3, 5, 4)), rng.standard_normal((3, 5, 4))
QKV = (
    rng.standard_normal((3, 2, 4, 2)),
    0.5 * rng.standard_normal((2, 2, 4)),
)  # (q k v, heads, d, width), (heads, width, d)
CAUSAL = np.where(np.tril(np.ones((5, 5))) > 0, 0.0, -np.inf)


def causal_cost(params, X, targets):
    W, back = params
    q, key, v = jnp.einsum("btd,xhdw->xbhtw", X, W)
    A = softmax(jnp.einsum("bhtw,bhsw->bhts", q, key) / jnp.sqrt(2) + CAUSAL, axis=-1)
    out = jnp.einsum("bhts,bhsw,hwd->btd", A, v, back)
    return jnp.mean((out - targets) ** 2)


def causal_back(params, X, targets, mask: np.ndarray | None = CAUSAL, permuted=False):
    W, back = params
    q, key, v = jnp.einsum("btd,xhdw->xbhtw", X, W)
    A = softmax(jnp.einsum("bhtw,bhsw->bhts", q, key) / jnp.sqrt(2) + CAUSAL, axis=-1)
    mixed = jnp.einsum("bhts,bhsw->bhtw", A, v)
    dout = 2 * (jnp.einsum("bhtw,hwd->btd", mixed, back) - targets) / targets.size
    dmixed = jnp.einsum("btd,hwd->bhtw", dout, back)
    if mask is None:
        A = softmax(jnp.einsum("bhtw,bhsw->bhts", q, key) / jnp.sqrt(2), axis=-1)
    dA = jnp.einsum("bhtw,bhsw->bhts", dmixed, v)
    dS = A * (dA - jnp.sum(A * dA, axis=-1, keepdims=True)) / jnp.sqrt(2)
    dq, dk = jnp.einsum("bhts,bhsw->bhtw", dS, key), jnp.einsum("bhts,bhtw->bhsw", dS, q)
    dv = jnp.einsum("bhts,bhtw->bhsw", A, dmixed)
    dW = jnp.einsum("btd,xbhtw->xhdw", X, jnp.stack([dq, dk, dv]))
    dO = jnp.einsum("btd,bhtw->whd" if permuted else "btd,bhtw->hwd", dout, mixed)
    return dW, dO


# a softmax network; the parameters are a list of layers, (weights, bias)
LABELS, F = rng.integers(0, 3, 14), rng.standard_normal((14, 4))
NET = [(0.6 * rng.standard_normal((4, 5)), 0.1 * rng.standard_normal(5)), (rng.standard_normal((5, 3)), np.zeros(3))]


def net_cost(layers, X, labels, decay):
    (W1, b1), (W2, b2) = layers
    logp = log_softmax(jnp.tanh(X @ W1 + b1) @ W2 + b2)
    return -jnp.mean(logp[jnp.arange(len(labels)), labels]) + decay * (jnp.sum(W1**2) + jnp.sum(W2**2))


def net_gradient(layers, X, labels, decay):
    (W1, b1), (W2, b2) = layers
    h = jnp.tanh(X @ W1 + b1)
    d2 = (softmax(h @ W2 + b2) - one_hot(labels, 3)) / len(labels)
    d1 = d2 @ W2.T * (1 - h**2)
    return [(X.T @ d1 + 2 * decay * W1, d1.sum(0)), (h.T @ d2 + 2 * decay * W2, d2.sum(0))]


def net_tanh(layers, X, labels, decay):
    (W1, b1), (W2, b2) = layers
    h = jnp.tanh(X @ W1 + b1)
    d2 = (softmax(h @ W2 + b2) - one_hot(labels, 3)) / len(labels)
    d1 = d2 @ W2.T
    return [(X.T @ d1 + 2 * decay * W1, d1.sum(0)), (h.T @ d2 + 2 * decay * W2, d2.sum(0))]


def net_tanh_and_half(layers, X, labels, decay):
    (W1, b1), (W2, b2) = layers
    h = jnp.tanh(X @ W1 + b1)
    d2 = (softmax(h @ W2 + b2) - one_hot(labels, 3)) / len(labels)
    d1 = d2 @ W2.T
    return [(X.T @ d1 + decay * W1, d1.sum(0)), (h.T @ d2 + decay * W2, d2.sum(0))]


def net_sum(layers, X, labels, decay):
    (W1, b1), (W2, b2) = layers
    h = jnp.tanh(X @ W1 + b1)
    d2 = softmax(h @ W2 + b2) - one_hot(labels, 3)
    d1 = d2 @ W2.T * (1 - h**2)
    return [(X.T @ d1 + 2 * decay * W1, d1.sum(0)), (h.T @ d2 + 2 * decay * W2, d2.sum(0))]


def net_labels(layers, X, labels, decay):
    """Label columns in the opposite order."""
    (W1, b1), (W2, b2) = layers
    h = jnp.tanh(X @ W1 + b1)
    d2 = (softmax(h @ W2 + b2) - one_hot(labels, 3)[:, ::-1]) / len(labels)
    d1 = d2 @ W2.T * (1 - h**2)
    return [(X.T @ d1 + 2 * decay * W1, d1.sum(0)), (h.T @ d2 + 2 * decay * W2, d2.sum(0))]


# a softmax with a temperature that is learned, by its logarithm
SHARP = {"W": rng.standard_normal((4, 3)), "log_temperature": np.array(0.4)}


def temperature_cost(p, X, labels):
    logp = log_softmax(X @ p["W"] * jnp.exp(-p["log_temperature"]))
    return -jnp.sum(logp * one_hot(labels, 3))


def temperature_gradient(p, X, labels):
    S = X @ p["W"] * jnp.exp(-p["log_temperature"])
    D = softmax(S) - one_hot(labels, 3)
    return {"W": X.T @ D * jnp.exp(-p["log_temperature"]), "log_temperature": -jnp.sum(D * S)}


def temperature_plus(p, X, labels):
    S = X @ p["W"] * jnp.exp(-p["log_temperature"])
    D = softmax(S) - one_hot(labels, 3)
    return {"W": X.T @ D * jnp.exp(-p["log_temperature"]), "log_temperature": jnp.sum(D * S)}


def temperature_itself(p, X, labels):
    t = jnp.exp(p["log_temperature"])
    D = softmax(X @ p["W"] / t) - one_hot(labels, 3)
    return {"W": X.T @ D / t, "log_temperature": -jnp.sum(D * (X @ p["W"])) / t**2}


# a normalised layer before a logistic output; ε is large enough to matter
NORMED = {
    "W": rng.standard_normal((4, 5)),
    "gamma": 1 + 0.3 * rng.standard_normal(5),
    "beta": 0.2 * rng.standard_normal(5),
}
BITS, V, EPS = rng.integers(0, 2, 14).astype(float), rng.standard_normal(5), 0.05


def layer_norm_cost(p, X, bits):
    Z = X @ p["W"]
    Z = (Z - Z.mean(1, keepdims=True)) / jnp.sqrt(Z.var(1, keepdims=True) + EPS)
    s = (p["gamma"] * Z + p["beta"]) @ V
    return jnp.sum(jnp.logaddexp(0, s) - bits * s)


def layer_norm_gradient(p, X, bits):
    Z = X @ p["W"]
    sd = jnp.sqrt(Z.var(1, keepdims=True) + EPS)
    H = (Z - Z.mean(1, keepdims=True)) / sd
    D = (sigmoid((p["gamma"] * H + p["beta"]) @ V) - bits)[:, None] * V
    DH = D * p["gamma"]
    DZ = (DH - DH.mean(1, keepdims=True) - H * (DH * H).mean(1, keepdims=True)) / sd
    return {"W": X.T @ DZ, "gamma": (D * H).sum(0), "beta": D.sum(0)}


def layer_norm_constant(p, X, bits):
    """Mean and variance taken as constants."""
    Z = X @ p["W"]
    sd = jnp.sqrt(Z.var(1, keepdims=True) + EPS)
    H = (Z - Z.mean(1, keepdims=True)) / sd
    D = (sigmoid((p["gamma"] * H + p["beta"]) @ V) - bits)[:, None] * V
    return {"W": X.T @ (D * p["gamma"] / sd), "gamma": (D * H).sum(0), "beta": D.sum(0)}


def layer_norm_gamma(p, X, bits):
    Z = X @ p["W"]
    sd = jnp.sqrt(Z.var(1, keepdims=True) + EPS)
    H = (Z - Z.mean(1, keepdims=True)) / sd
    D = (sigmoid((p["gamma"] * H + p["beta"]) @ V) - bits)[:, None] * V
    DZ = (D - D.mean(1, keepdims=True) - H * (D * H).mean(1, keepdims=True)) / sd
    return {"W": X.T @ DZ, "gamma": (D * H).sum(0), "beta": D.sum(0)}


def layer_norm_eps(p, X, bits):
    """ε only in the forward pass."""
    Z = X @ p["W"]
    centred, var = Z - Z.mean(1, keepdims=True), Z.var(1, keepdims=True)
    H = centred / jnp.sqrt(var + EPS)
    D = (sigmoid((p["gamma"] * H + p["beta"]) @ V) - bits)[:, None] * V
    DH = D * p["gamma"]
    hat = centred / jnp.sqrt(var)
    DZ = (DH - DH.mean(1, keepdims=True) - hat * (DH * hat).mean(1, keepdims=True)) / jnp.sqrt(var)
    return {"W": X.T @ DZ, "gamma": (D * H).sum(0), "beta": D.sum(0)}


# a softmax regression in mixed precision: both products in bfloat16, the rest not
W16 = rng.standard_normal((4, 3))


def mixed_cost(W, X, labels):
    S = (X.astype(jnp.bfloat16) @ W.astype(jnp.bfloat16)).astype(W.dtype)
    return -jnp.mean(jnp.take_along_axis(log_softmax(S), labels[:, None], axis=1)) + 0.5 * jnp.sum(W**2)


def mixed_gradient(W, X, labels):
    S = (X.astype(jnp.bfloat16) @ W.astype(jnp.bfloat16)).astype(W.dtype)
    D = (softmax(S) - one_hot(labels, 3, dtype=W.dtype)) / len(labels)
    return (X.astype(jnp.bfloat16).T @ D.astype(jnp.bfloat16)).astype(W.dtype) + W


CASES = [
    Practice("attention with one head", head_cost, HEAD, (X, OUT), gradient=head_gradient),
    Practice(
        "attention, 1/√d forgotten on the way back",
        head_cost,
        HEAD,
        (X, OUT),
        gradient=head_scale,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "attention, the scores' error not transposed for the keys",
        head_cost,
        HEAD,
        (X, OUT),
        gradient=head_key,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "attention, 1/√d forgotten and the keys' error not transposed",
        head_cost,
        HEAD,
        (X, OUT),
        gradient=head_key_scale,
        kinds=frozenset({Kind.FACTOR, Kind.TRANSPOSE}),
        all_needed=True,
    ),
    Practice(
        "attention, only the diagonal of the softmax's Jacobian",
        head_cost,
        HEAD,
        (X, OUT),
        gradient=head_diagonal,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.DIAGONAL}),
    ),
    Practice(
        "attention, the softmax's sum over queries for keys",
        head_cost,
        HEAD,
        (X, OUT),
        gradient=head_axis,
        kinds=frozenset({Kind.TRANSPOSE, Kind.CHAIN_RULE}),
    ),
    Practice("causal attention, two heads, a batch", causal_cost, QKV, (BATCH, TARGETS), gradient=causal_back),
    Practice(
        "causal attention, the weights computed again without the mask",
        causal_cost,
        QKV,
        (BATCH, TARGETS),
        gradient=lambda params, X, targets: causal_back(params, X, targets, mask=None),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "causal attention, heads and widths of the output matrix exchanged",
        causal_cost,
        QKV,
        (BATCH, TARGETS),
        gradient=lambda params, X, targets: causal_back(params, X, targets, permuted=True),
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    Practice("softmax network, a list of layers", net_cost, NET, (F, LABELS), {"decay": 0.02}, gradient=net_gradient),
    Practice(
        "softmax network, tanh′ forgotten beside a penalty",
        net_cost,
        NET,
        (F, LABELS),
        {"decay": 0.02},
        gradient=net_tanh,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "softmax network, tanh′ and the penalty's 2 forgotten",
        net_cost,
        NET,
        (F, LABELS),
        {"decay": 0.02},
        gradient=net_tanh_and_half,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.PENALTY}),
        all_needed=True,
    ),
    Practice(
        "softmax network, the data summed beside the penalty",
        net_cost,
        NET,
        (F, LABELS),
        {"decay": 0.02},
        gradient=net_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "softmax network, label columns in the opposite order",
        net_cost,
        NET,
        (F, LABELS),
        {"decay": 0.0},
        gradient=net_labels,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("softmax with a temperature", temperature_cost, SHARP, (F, LABELS), gradient=temperature_gradient),
    Practice(
        "softmax with a temperature, its sign",
        temperature_cost,
        SHARP,
        (F, LABELS),
        gradient=temperature_plus,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "softmax with a temperature, by T and not log T",
        temperature_cost,
        SHARP,
        (F, LABELS),
        gradient=temperature_itself,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("layer norm before a logistic output", layer_norm_cost, NORMED, (F, BITS), gradient=layer_norm_gradient),
    Practice(
        "layer norm, mean and variance as constants",
        layer_norm_cost,
        NORMED,
        (F, BITS),
        gradient=layer_norm_constant,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "layer norm, γ forgotten on the way back",
        layer_norm_cost,
        NORMED,
        (F, BITS),
        gradient=layer_norm_gamma,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "layer norm, ε forgotten on the way back",
        layer_norm_cost,
        NORMED,
        (F, BITS),
        gradient=layer_norm_eps,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("softmax regression, products in bfloat16", mixed_cost, W16, (F, LABELS), gradient=mixed_gradient),
]
