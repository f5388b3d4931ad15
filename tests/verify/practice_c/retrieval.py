"""Retrieval and ratings: contrastive pairs, factorisation machines, personal rankings, graphs of facts, clicks."""

import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, sigmoid, softmax

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(215)

# images and captions on the sphere, a temperature, both directions
IMAGES, CAPTIONS = rng.standard_normal((6, 5)), rng.standard_normal((6, 4))
PAIRED = {
    "image": 0.6 * rng.standard_normal((5, 3)),
    "caption": 0.6 * rng.standard_normal((4, 3)),
    "log_scale": np.array(0.7),
}


def paired_cost(p, images, captions):
    u, v = images @ p["image"], captions @ p["caption"]
    u, v = (z / jnp.linalg.norm(z, axis=1, keepdims=True) for z in (u, v))
    s = jnp.exp(p["log_scale"]) * u @ v.T
    return -0.5 * (jnp.diag(log_softmax(s, axis=1)).mean() + jnp.diag(log_softmax(s, axis=0)).mean())


def paired_gradient(p, images, captions, back=True, project=True, scaled=True):
    U, V, tau = images @ p["image"], captions @ p["caption"], jnp.exp(p["log_scale"])
    nu, nv = jnp.linalg.norm(U, axis=1, keepdims=True), jnp.linalg.norm(V, axis=1, keepdims=True)
    u, v = U / nu, V / nv
    c = u @ v.T
    rows, columns = softmax(tau * c, axis=1), softmax(tau * c, axis=0)
    e = ((rows + columns) / 2 if back else rows) / len(u) - jnp.eye(len(u)) / len(u)
    du, dv = tau * e @ v, tau * e.T @ u
    if project:
        du, dv = du - u * jnp.sum(u * du, 1, keepdims=True), dv - v * jnp.sum(v * dv, 1, keepdims=True)
    return {
        "image": images.T @ (du / nu),
        "caption": captions.T @ (dv / nv),
        "log_scale": jnp.sum(e * c) * (tau if scaled else 1.0),
    }


# a factorisation machine: linear and pairwise by factors; (w0, w, V), decay on V
F, CLICK = (rng.random((14, 5)) < 0.5) * rng.uniform(0.5, 1.5, (14, 5)), rng.standard_normal(14)
MACHINE = (np.array(0.1), 0.3 * rng.standard_normal(5), 0.5 * rng.standard_normal((5, 2)))


def machine_cost(params, F, click):
    w0, w, V = params
    pairs = 0.5 * jnp.sum((F @ V) ** 2 - F**2 @ V**2, axis=1)
    return jnp.mean((w0 + F @ w + pairs - click) ** 2) + 0.05 * jnp.sum(V**2)


def machine_gradient(params, F, click, own=1.0, decay=0.1):
    """Pair by pair of features."""
    w0, w, V = (np.asarray(leaf) for leaf in params)
    by_0, by_w, by_V = 0.0, np.zeros(5), decay * V
    for f, c in zip(F, click, strict=True):
        score = w0 + f @ w + sum(f[i] * f[j] * V[i] @ V[j] for i in range(5) for j in range(i))
        e = 2 * (score - c) / len(click)
        by_0 += e
        by_w += e * f
        for i in range(5):
            for j in range(5):
                by_V[i] = by_V[i] + e * f[i] * f[j] * V[j] * (1.0 if i != j else 1.0 - own)
    return by_0, by_w, by_V


# personal ranking: user, item liked, item not; factors of the items are shared by both
TRIPLES = np.array([[0, 1, 4], [0, 2, 3], [1, 3, 0], [2, 2, 1], [2, 0, 4], [1, 4, 2], [0, 1, 3], [2, 2, 4]])
FACTORS = {"user": rng.standard_normal((3, 2)), "item": rng.standard_normal((5, 2)), "popular": 0.2 * np.ones(5)}


def ranking_cost(p, triples):
    u, i, j = triples.T
    d = jnp.sum(p["user"][u] * (p["item"][i] - p["item"][j]), axis=1) + p["popular"][i] - p["popular"][j]
    return -jnp.sum(log_sigmoid(d))


def ranking_gradient(p, triples, stale=False, worse=1.0, probability=False):
    g = {name: np.zeros(np.shape(leaf)) for name, leaf in p.items()}
    user, item, popular = (np.array(p[name]) for name in ("user", "item", "popular"))
    for u, i, j in triples:
        d = user[u] @ (item[i] - item[j]) + popular[i] - popular[j]
        e = -1 / (1 + np.exp(d)) if not probability else -1 / (1 + np.exp(-d))
        g["user"][u] += e * (item[i] - item[j])
        if stale:
            user[u] -= 0.1 * e * (item[i] - item[j])  # a step of SGD before the items are treated
        g["item"][i] += e * user[u]
        g["item"][j] -= worse * e * user[u]
        g["popular"][i] += e
        g["popular"][j] -= worse * e
    return g


# facts (head, relation, tail) by complex numbers in two halves, real part of ⟨h, r, conj t⟩
FACTS = np.array([[0, 0, 1], [1, 1, 2], [3, 0, 2], [2, 1, 0], [3, 1, 1], [0, 0, 3]])
TRUE = np.array([1.0, 1.0, -1.0, 1.0, -1.0, -1.0])
COMPLEX = {"real": rng.standard_normal((4, 2)), "imag": rng.standard_normal((4, 2)), "turn": np.array([0.4, -1.0])}


def facts_cost(p, facts, truth):
    h, r, t = facts.T
    z = p["real"] + 1j * p["imag"]
    score = jnp.real(jnp.sum(z[h] * jnp.exp(1j * p["turn"][r])[:, None] * jnp.conj(z[t]), axis=1))
    return -jnp.mean(log_sigmoid(truth * score)) + 0.02 * jnp.sum(p["real"] ** 2 + p["imag"] ** 2)


def facts_gradient(p, facts, truth, conjugate=True, decay=0.04):
    h, r, t = facts.T
    a, b, c, s = (
        jnp.asarray(p["real"]),
        jnp.asarray(p["imag"]),
        jnp.cos(p["turn"])[r][:, None],
        jnp.sin(p["turn"])[r][:, None],
    )
    dot, cross = jnp.sum(a[h] * a[t] + b[h] * b[t], axis=1), jnp.sum(a[h] * b[t] - b[h] * a[t], axis=1)
    e = -truth * sigmoid(-truth * (c[:, 0] * dot + s[:, 0] * cross)) / len(truth)
    w, sign = e[:, None], 1.0 if conjugate else -1.0
    by_a = decay * a
    by_a = by_a.at[h].add(w * (c * a[t] + s * b[t])).at[t].add(w * (c * a[h] - sign * s * b[h]))
    by_b = decay * b
    by_b = by_b.at[h].add(w * (c * b[t] - s * a[t])).at[t].add(w * (c * b[h] + sign * s * a[h]))
    return {"real": by_a, "imag": by_b, "turn": jnp.zeros(2).at[r].add(e * (c[:, 0] * cross - s[:, 0] * dot))}


# clicks depend on the place in the list: examination (logits of places) times relevance; Hessian by the places
PLACE, CLICKED = rng.integers(0, 3, 20), (rng.random(20) < 0.4).astype(float)
RELEVANT = rng.uniform(0.3, 0.9, 20)


def click_cost(logit, place, relevance, clicked):
    p = sigmoid(logit)[place] * relevance
    return -jnp.sum(clicked * jnp.log(p) + (1 - clicked) * jnp.log1p(-p))


def click_gradient(logit, place, relevance, clicked):
    s = sigmoid(logit)[place]
    p = s * relevance
    return jnp.zeros(3).at[place].add((1 - s) * ((1 - clicked) * p / (1 - p) - clicked))


def click_hessian(logit, place, relevance, clicked):
    s = sigmoid(logit)[place]
    p = s * relevance
    bend = s * (1 - s) * (clicked - (1 - clicked) * p / (1 - p)) + (1 - clicked) * p * ((1 - s) / (1 - p)) ** 2
    return jnp.diag(jnp.bincount(place, bend, length=3))


def click_expected(logit, place, relevance, clicked):
    s = sigmoid(logit)[place]
    return jnp.diag(jnp.bincount(place, (1 - s) ** 2 * s * relevance / (1 - s * relevance), length=3))


def click_scattered(logit, place, relevance, clicked):
    s = np.asarray(sigmoid(logit))[place]
    p = s * relevance
    g = np.zeros(3)
    g[place] += (1 - s) * ((1 - clicked) * p / (1 - p) - clicked)
    return g


CASES = [
    paired := Practice("images and captions", paired_cost, PAIRED, (IMAGES, CAPTIONS), gradient=paired_gradient),
    paired._replace(
        name="images and captions, one direction only",
        gradient=lambda p, images, captions: paired_gradient(p, images, captions, back=False),
        kinds=frozenset({Kind.MISSING, Kind.TRANSPOSE}),
    ),
    paired._replace(
        name="images and captions, the lengths held fixed",
        gradient=lambda p, images, captions: paired_gradient(p, images, captions, project=False),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    paired._replace(
        name="images and captions, by the scale and not its logarithm",
        gradient=lambda p, images, captions: paired_gradient(p, images, captions, scaled=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    machine := Practice(
        "factorisation machine, pair by pair", machine_cost, MACHINE, (F, CLICK), gradient=machine_gradient
    ),
    machine._replace(
        name="factorisation machine, a feature paired with itself",
        gradient=lambda params, F, click: machine_gradient(params, F, click, own=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    machine._replace(
        name="factorisation machine, the 2 of the decay forgotten",
        gradient=lambda params, F, click: machine_gradient(params, F, click, decay=0.05),
        kinds=frozenset({Kind.PENALTY, Kind.FACTOR}),
    ),
    ranking := Practice("personal ranking, triples", ranking_cost, FACTORS, (TRIPLES,), gradient=ranking_gradient),
    ranking._replace(
        name="personal ranking, items see users already moved",
        gradient=lambda p, triples: ranking_gradient(p, triples, stale=True),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.INDEX}),
    ),
    ranking._replace(
        name="personal ranking, the item not liked has the same sign",
        gradient=lambda p, triples: ranking_gradient(p, triples, worse=-1.0),
        kinds=frozenset({Kind.SIGN}),
    ),
    ranking._replace(
        name="personal ranking, the probability of the right order",
        gradient=lambda p, triples: ranking_gradient(p, triples, probability=True),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.SIGN}),
    ),
    facts := Practice("facts by turns in the plane", facts_cost, COMPLEX, (FACTS, TRUE), gradient=facts_gradient),
    facts._replace(
        name="facts by turns in the plane, the tail not conjugated",
        gradient=lambda p, facts, truth: facts_gradient(p, facts, truth, conjugate=False),
        kinds=frozenset({Kind.SIGN, Kind.TRANSPOSE}),
    ),
    clicks := Practice(
        "clicks by place, gradient and Hessian",
        click_cost,
        np.array([0.9, 0.1, -0.7]),
        (PLACE, RELEVANT, CLICKED),
        gradient=click_gradient,
        hessian=click_hessian,
    ),
    clicks._replace(
        name="clicks by place, the expected Hessian",
        gradient=None,
        hessian=click_expected,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    clicks._replace(
        name="clicks by place, += with repeated places",
        gradient=click_scattered,
        hessian=None,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
]
