"""Attention: several heads by einsum, positions, kernels in place of softmax, pooling by a query, sparse gates."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import elu, softmax

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(206)

# two heads over a batch, a learned bias for each distance; the padding is masked by −1e9
B, T, H, D = 2, 4, 2, 3
X = rng.standard_normal((B, T, 5))
TARGET = rng.standard_normal((B, T, 5))
PAD = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
HEADS = {
    "q": 0.5 * rng.standard_normal((5, H, D)),
    "k": 0.5 * rng.standard_normal((5, H, D)),
    "v": 0.5 * rng.standard_normal((5, H, D)),
    "out": 0.5 * rng.standard_normal((H, D, 5)),
    "distance": 0.3 * rng.standard_normal((H, 2 * T - 1)),
}
DISTANCE = np.arange(T)[:, None] - np.arange(T) + T - 1


def heads_forward(p, X, pad):
    q, k, v = (jnp.einsum("btc,chd->bhtd", X, p[name]) for name in ("q", "k", "v"))
    s = jnp.einsum("bhtd,bhsd->bhts", q, k) / np.sqrt(D) + p["distance"][:, DISTANCE]
    P = softmax(s + (1 - pad)[:, None, None] * -1e9, axis=-1)
    return q, k, v, P, jnp.einsum("bhts,bhsd->bhtd", P, v)


def heads_cost(p, X, pad, target):
    out = jnp.einsum("bhtd,hdc->btc", heads_forward(p, X, pad)[-1], p["out"])
    return 0.5 * jnp.sum(pad[:, :, None] * (out - target) ** 2)


def heads_gradient(p, X, pad, target, scale=1 / D**0.5, masked=True, projected=True, swapped=False):
    q, k, v, P, z = heads_forward(p, X, pad)
    e = jnp.einsum("bhtd,hdc->btc", z, p["out"]) - target
    e = e * pad[:, :, None] if masked else e
    dz = jnp.einsum("btc,hdc->bhtd", e, p["out"])
    dP = jnp.einsum("bhtd,bhsd->bhts", dz, v)
    ds = P * (dP - jnp.sum(P * dP, axis=-1, keepdims=True)) if projected else P * (1 - P) * dP
    dq = jnp.einsum("bhts,bhsd->bhtd", ds, k) * scale
    dk = jnp.einsum("bhts,bhtd->bhsd", ds, q) * scale
    by_distance = jnp.zeros((H, 2 * T - 1)).at[:, DISTANCE.T if swapped else DISTANCE].add(ds.sum(axis=0))
    return {
        "q": jnp.einsum("btc,bhtd->chd", X, dq),
        "k": jnp.einsum("btc,bhtd->chd", X, dk),
        "v": jnp.einsum("btc,bhts,bhsd->chd", X, jnp.swapaxes(P, 2, 3), dz),
        "out": jnp.einsum("bhtd,btc->hdc", z, e),
        "distance": by_distance,
    }


def heads_distance_overwritten(p, X, pad, target):
    """Each distance keeps the last pair that has it."""
    g = heads_gradient(p, X, pad, target)
    by_distance = np.zeros((H, 2 * T - 1))
    by_distance[:, DISTANCE] = distance_part(p, X, pad, target)
    return {**g, "distance": by_distance}


def distance_part(p, X, pad, target):
    _, _, v, P, z = heads_forward(p, X, pad)
    e = (jnp.einsum("bhtd,hdc->btc", z, p["out"]) - target) * pad[:, :, None]
    dP = jnp.einsum("btc,hdc,bhsd->bhts", e, p["out"], v)
    return (P * (dP - jnp.sum(P * dP, axis=-1, keepdims=True))).sum(axis=0)


# kernels for the softmax: features elu(x) + 1, causal, running sums in a scan; params (q, k, v) themselves
SEQUENCE = tuple(rng.standard_normal((6, 2)) for _ in range(3))
WANTED = rng.standard_normal((6, 2))


def linear_cost(params, wanted):
    q, k, v = params

    def step(state, qkv):
        S, n = state
        fq, fk = elu(qkv[0]) + 1, elu(qkv[1]) + 1
        S, n = S + jnp.outer(fk, qkv[2]), n + fk
        return (S, n), fq @ S / (fq @ n)

    out = jax.lax.scan(step, (jnp.zeros((2, 2)), jnp.zeros(2)), (q, k, v))[1]
    return jnp.sum((out - wanted) ** 2)


def linear_gradient(params, wanted, normaliser=1.0, slope=True, future=0):
    """All pairs at once: the weights are F / F's row sums below the diagonal."""
    q, k, v = params
    fq, fk = elu(q) + 1, elu(k) + 1
    F = jnp.tril(fq @ fk.T)
    n = F.sum(axis=1, keepdims=True)
    e = 2 * (F @ v / n - wanted)
    dF = jnp.tril((e @ v.T - normaliser * jnp.sum(e * (F @ v / n), axis=1, keepdims=True)) / n, future)
    dq, dk = dF @ fk, dF.T @ fq
    if slope:
        dq, dk = dq * jnp.where(q > 0, 1.0, jnp.exp(q)), dk * jnp.where(k > 0, 1.0, jnp.exp(k))
    return dq, dk, (F / n).T @ e


# rotated positions: pairs of coordinates turned by t ω; one query, keys at their places
PLACES, OMEGA = np.arange(5.0), np.array([1.0, 0.3])
ROTARY = {"query": rng.standard_normal(4), "keys": rng.standard_normal((5, 4))}
LABEL = np.array([0.1, 0.2, 0.4, 0.2, 0.1])


def rotated(x, place, sign=1.0):
    a, c, s = x.reshape(*x.shape[:-1], 2, 2), jnp.cos(place * OMEGA), jnp.sin(sign * place * OMEGA)
    return jnp.stack([c * a[..., 0] - s * a[..., 1], s * a[..., 0] + c * a[..., 1]], axis=-1).reshape(x.shape)


def rotary_cost(p, label):
    scores = jnp.stack([rotated(p["keys"][t], PLACES[t]) @ rotated(p["query"], 4.0) for t in range(5)])
    return jax.nn.logsumexp(scores) - label @ scores


def rotary_gradient(p, label, back=-1.0):
    """A turn forward in the scores is a turn backward in the gradient."""
    query = rotated(p["query"], 4.0)
    keys = jnp.stack([rotated(p["keys"][t], PLACES[t]) for t in range(5)])
    e = softmax(keys @ query) - label
    return {
        "query": rotated(e @ keys, 4.0, back),
        "keys": jnp.stack([rotated(e[t] * query, PLACES[t], back) for t in range(5)]),
    }


# pooling of a bag of instances by gated attention, NumPy
BAG, LABELS = rng.standard_normal((3, 5, 2)), np.array([1.0, 0.0, 1.0])
GATED = {"V": rng.standard_normal((2, 3)), "U": rng.standard_normal((2, 3)), "w": rng.standard_normal(3)}


def pooling_cost(p, bags, labels, readout):
    total = 0.0
    for bag, label in zip(bags, labels, strict=True):
        s = (np.tanh(bag @ p["V"]) / (1 + np.exp(-bag @ p["U"]))) @ p["w"]
        a = np.exp(s) / np.exp(s).sum()
        logit = (a @ bag) @ readout
        total += np.log(1 + np.exp(logit)) - label * logit
    return total


def pooling_gradient(p, bags, labels, readout, gate=True, tanh=True):
    g = {name: np.zeros_like(np.asarray(leaf)) for name, leaf in p.items()}
    for bag, label in zip(bags, labels, strict=True):
        t, u = np.tanh(bag @ p["V"]), 1 / (1 + np.exp(-bag @ p["U"]))
        s = (t * u) @ p["w"]
        a = np.exp(s - s.max())
        a /= a.sum()
        pooled = a @ bag
        e = 1 / (1 + np.exp(-pooled @ readout)) - label
        ds = a * (e * ((bag - pooled) @ readout))
        g["w"] += ds @ (t * u)
        inner = np.outer(ds, p["w"])
        g["V"] += bag.T @ (inner * u * (1 - t**2 if tanh else 1.0))
        g["U"] += bag.T @ (inner * t * (u * (1 - u) if gate else u))
    return g


CASES = [
    heads := Practice("heads with biases by distance", heads_cost, HEADS, (X, PAD, TARGET), gradient=heads_gradient),
    heads._replace(
        name="heads, the scale 1/sqrt(d) of the whole width",
        gradient=lambda p, X, pad, target: heads_gradient(p, X, pad, target, scale=1 / 6**0.5),
        kinds=frozenset({Kind.FACTOR}),
    ),
    heads._replace(
        name="heads, padded outputs in the error",
        gradient=lambda p, X, pad, target: heads_gradient(p, X, pad, target, masked=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    heads._replace(
        name="heads, P (1 - P) for the softmax's Jacobian",
        gradient=lambda p, X, pad, target: heads_gradient(p, X, pad, target, projected=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING, Kind.DIAGONAL}),
    ),
    heads._replace(
        name="heads, distances from key to query",
        gradient=lambda p, X, pad, target: heads_gradient(p, X, pad, target, swapped=True),
        kinds=frozenset({Kind.INDEX, Kind.TRANSPOSE}),
    ),
    heads._replace(
        name="heads, equal distances overwrite each other",
        gradient=heads_distance_overwritten,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    linear := Practice(
        "attention by running sums, all pairs at once", linear_cost, SEQUENCE, (WANTED,), gradient=linear_gradient
    ),
    linear._replace(
        name="attention by running sums, the normaliser held fixed",
        gradient=lambda params, wanted: linear_gradient(params, wanted, normaliser=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    linear._replace(
        name="attention by running sums, the features' slope forgotten",
        gradient=lambda params, wanted: linear_gradient(params, wanted, slope=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    linear._replace(
        name="attention by running sums, one key of the future in the backward pass",
        gradient=lambda params, wanted: linear_gradient(params, wanted, future=1),
        kinds=frozenset({Kind.INDEX, Kind.CHAIN_RULE}),
    ),
    rotary := Practice("rotated positions, turned back", rotary_cost, ROTARY, (LABEL,), gradient=rotary_gradient),
    rotary._replace(
        name="rotated positions, turned forward again",
        gradient=lambda p, label: rotary_gradient(p, label, back=1.0),
        kinds=frozenset({Kind.TRANSPOSE, Kind.SIGN}),
    ),
    pooling := Practice(
        "bags pooled by gated attention, NumPy",
        pooling_cost,
        GATED,
        (BAG, LABELS, np.array([1.2, -0.7])),
        gradient=pooling_gradient,
    ),
    pooling._replace(
        name="bags pooled by gated attention, the gate's 1 - u forgotten",
        gradient=lambda p, bags, labels, readout: pooling_gradient(p, bags, labels, readout, gate=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
]
