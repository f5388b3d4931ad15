"""Networks: layers in a list with batch norm, feature maps, dropout from a given key, gates, a direction by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import relu, sigmoid, silu, softmax

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(210)

# dense layers in a list of (W, scale, shift): batch norm, then SiLU; softmax with weights of the classes
X, LABELS = rng.standard_normal((12, 3)), rng.integers(0, 3, 12)
CLASS_WEIGHT = np.array([1.0, 2.5, 0.6])
DEEP = [
    (0.7 * rng.standard_normal((3, 4)), rng.uniform(0.5, 1.5, 4), 0.2 * rng.standard_normal(4)),
    (0.7 * rng.standard_normal((4, 3)), rng.uniform(0.5, 1.5, 3), 0.2 * rng.standard_normal(3)),
]


def deep_cost(layers, X, labels):
    h = X
    for i, (W, scale, shift) in enumerate(layers):
        z = h @ W
        n = (z - z.mean(axis=0)) / jnp.sqrt(z.var(axis=0) + 1e-3)
        h = scale * n + shift
        h = silu(h) if i < len(layers) - 1 else h
    w = CLASS_WEIGHT[labels]
    return jnp.sum(w * (jax.nn.logsumexp(h, axis=1) - h[jnp.arange(len(labels)), labels])) / w.sum()


def deep_gradient(layers, X, labels, gate=True, spread=1.0, scaled=True, weighted=True):
    kept, h = [], X
    for i, (W, scale, shift) in enumerate(layers):
        z = h @ W
        deviation = jnp.sqrt(z.var(axis=0) + 1e-3)
        n = (z - z.mean(axis=0)) / deviation
        a = scale * n + shift
        kept.append((h, n, deviation, a))
        h = silu(a) if i < len(layers) - 1 else a
    w = CLASS_WEIGHT[labels] / CLASS_WEIGHT[labels].sum() if weighted else jnp.full(len(labels), 1 / len(labels))
    delta = w[:, None] * (softmax(h, axis=1) - jax.nn.one_hot(labels, 3))
    out = []
    for i in (1, 0):
        W, scale, _ = layers[i]
        h, n, deviation, a = kept[i]
        if i == 0:
            s = sigmoid(a)
            delta = delta * (s * (1 + a * (1 - s)) if gate else s)
        dn = delta * scale if scaled else delta
        dz = (dn - dn.mean(axis=0) - spread * n * jnp.mean(n * dn, axis=0)) / deviation
        out.insert(0, (h.T @ dz, jnp.sum(delta * n, axis=0), delta.sum(axis=0)))
        delta = dz @ W.T
    return out


# filters over a signal in two channels, mean over places, then a linear score
SIGNALS, TARGETS = rng.standard_normal((5, 2, 9)), rng.standard_normal(5)
FILTERS = {"kernel": 0.6 * rng.standard_normal((3, 2, 3)), "bias": 0.1 * rng.standard_normal(3), "head": np.ones(3)}


def filters_cost(p, signals, targets):
    dims = ("NCH", "OIH", "NCH")
    z = jax.lax.conv_general_dilated(signals, p["kernel"], (2,), ((1, 1),), dimension_numbers=dims)
    h = relu(z + p["bias"][:, None])
    return 0.5 * jnp.sum((h.mean(axis=2) @ p["head"] - targets) ** 2)


def filters_gradient(p, signals, targets, stride=2, active=True, averaged=True, flip=False):
    """Windows are cut out, all else is a product of matrices."""
    padded = jnp.pad(signals, ((0, 0), (0, 0), (1, 1)))
    windows = jnp.stack([padded[:, :, 2 * j : 2 * j + 3] for j in range(5)], axis=1)  # image, place, channel, tap
    z = jnp.einsum("njct,oct->noj", windows, p["kernel"]) + p["bias"][:, None]
    h = relu(z)
    e = h.mean(axis=2) @ p["head"] - targets
    delta = jnp.einsum("n,o->no", e, p["head"])[:, :, None] / (5 if averaged else 1) * jnp.ones(5)
    delta = delta * (z > 0) if active else delta
    if stride != 2:
        windows = jnp.stack([padded[:, :, stride * j : stride * j + 3] for j in range(5)], axis=1)
    kernel = jnp.einsum("noj,njct->oct", delta, windows)
    return {
        "kernel": kernel[:, :, ::-1] if flip else kernel,
        "bias": delta.sum(axis=(0, 2)),
        "head": h.mean(axis=2).T @ e,
    }


# dropout from a key, a gated unit, the decoder is the encoder transposed; the gradient in NumPy
KEY = np.array([0, 7], dtype=np.uint32)
GLU = {"value": 0.6 * rng.standard_normal((3, 5)), "gate": 0.6 * rng.standard_normal((3, 5))}


def glu_cost(p, X, key):
    h = (X @ p["value"]) * sigmoid(X @ p["gate"])
    h = jnp.where(jax.random.bernoulli(key, 0.7, h.shape), h / 0.7, 0.0)
    return jnp.mean((h @ p["value"].T - X) ** 2)


def glu_gradient(p, X, key, tied=True, kept=0.7, swapped=False):
    V, G = np.asarray(p["value"]), np.asarray(p["gate"])
    a, s = X @ V, 1 / (1 + np.exp(-X @ G))
    mask = np.asarray(jax.random.bernoulli(key, 0.7, a.shape))
    h = a * s * mask / 0.7
    e = 2 * (h @ V.T - X) / X.size
    dh = e @ V * mask / kept
    by_value = X.T @ (dh * s) + (e.T @ h if tied else 0.0)
    by_gate = X.T @ (dh * (a if not swapped else s) * s * (1 - s))
    return {"value": by_value, "gate": by_gate}


# a hidden layer by squares; the product of its Hessian with a direction, forward over backward by hand
TEACH = rng.standard_normal(12)
SHALLOW = (0.6 * rng.standard_normal((3, 4)), 0.7 * rng.standard_normal(4))


def shallow_cost(params, X, t):
    W, v = params
    return 0.5 * jnp.sum((jnp.exp(-((X @ W) ** 2)) @ v - t) ** 2)


def shallow_product(params, X, t, direction, bend=1.0, cross=1.0):
    W, v = params
    dW, dv = direction
    z, dz = X @ W, X @ dW
    h = jnp.exp(-(z**2))
    h1, h2 = -2 * z * h, (4 * z**2 - 2) * h
    e, de = h @ v - t, (h1 * dz) @ v + h @ dv
    d_delta = jnp.outer(de, v) * h1 + cross * jnp.outer(e, dv) * h1 + bend * jnp.outer(e, v) * h2 * dz
    return X.T @ d_delta, h.T @ de + cross * (h1 * dz).T @ e


# a network of one hidden layer all in single precision, parameters too
SINGLE = {"W": DEEP[0][0].astype(np.float32), "v": np.array([0.5, -0.8, 0.3, 1.1], dtype=np.float32)}
X32, T32 = X.astype(np.float32), TEACH.astype(np.float32)


def single_cost(p, X, t):
    return jnp.mean(jnp.log(jnp.cosh(jnp.tanh(X @ p["W"]) @ p["v"] - t)))


def single_gradient(p, X, t, outer=True):
    h = jnp.tanh(X @ p["W"])
    r = h @ p["v"] - t
    e = (jnp.tanh(r) if outer else r) / len(t)
    return {"W": X.T @ (jnp.outer(e, p["v"]) * (1 - h**2)), "v": h.T @ e}


CASES = [
    deep := Practice("layers with batch norm and SiLU", deep_cost, DEEP, (X, LABELS), gradient=deep_gradient),
    deep._replace(
        name="layers with batch norm, the slope of SiLU as its gate",
        gradient=lambda layers, X, labels: deep_gradient(layers, X, labels, gate=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    deep._replace(
        name="layers with batch norm, the variance held fixed",
        gradient=lambda layers, X, labels: deep_gradient(layers, X, labels, spread=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    deep._replace(
        name="layers with batch norm, the scale forgotten",
        gradient=lambda layers, X, labels: deep_gradient(layers, X, labels, scaled=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    deep._replace(
        name="layers with batch norm, the classes' weights forgotten",
        gradient=lambda layers, X, labels: deep_gradient(layers, X, labels, weighted=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    filters := Practice(
        "filters of stride two, windows cut out", filters_cost, FILTERS, (SIGNALS, TARGETS), gradient=filters_gradient
    ),
    filters._replace(
        name="filters of stride two, windows of stride one",
        gradient=lambda p, signals, targets: filters_gradient(p, signals, targets, stride=1),
        kinds=frozenset({Kind.INDEX}),
    ),
    filters._replace(
        name="filters of stride two, ReLU's mask and the mean over places forgotten",
        gradient=lambda p, signals, targets: filters_gradient(p, signals, targets, active=False, averaged=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
        all_needed=True,
    ),
    filters._replace(
        name="filters of stride two, the taps turned round",
        gradient=lambda p, signals, targets: filters_gradient(p, signals, targets, flip=True),
        kinds=frozenset({Kind.INDEX, Kind.TRANSPOSE}),
    ),
    glu := Practice("gated autoencoder with dropout from a key", glu_cost, GLU, (X, KEY), gradient=glu_gradient),
    glu._replace(
        name="gated autoencoder, the decoder's use forgotten",
        gradient=lambda p, X, key: glu_gradient(p, X, key, tied=False),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    glu._replace(
        name="gated autoencoder, 1/keep forgotten on the way back",
        gradient=lambda p, X, key: glu_gradient(p, X, key, kept=1.0),
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    shallow := Practice(
        "bumps, product of the Hessian", shallow_cost, SHALLOW, (X, TEACH), hessian_product=shallow_product
    ),
    shallow._replace(
        name="bumps, the bump's second derivative left out of the product",
        hessian_product=lambda params, X, t, direction: shallow_product(params, X, t, direction, bend=0.0),
        kinds=frozenset({Kind.EXPECTED, Kind.MISSING}),
    ),
    shallow._replace(
        name="bumps, Gauss-Newton products",
        hessian_product=lambda params, X, t, direction: shallow_product(params, X, t, direction, bend=0.0, cross=0.0),
        kinds=frozenset({Kind.EXPECTED}),
    ),
    single := Practice("log cosh, everything in float32", single_cost, SINGLE, (X32, T32), gradient=single_gradient),
    single._replace(
        name="log cosh in float32, the error for its tanh",
        gradient=lambda p, X, t: single_gradient(p, X, t, outer=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
]
