"""Language: a log-bilinear model, subwords, chains of tags, trees of words, smoothed labels, topics."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp, sigmoid, softmax, softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(207)

# log-bilinear: the context's vectors, each through the matrix of its place, predict the next word; shared table
WORDS, WIDTH = 7, 3
TEXT = rng.integers(0, WORDS, (10, 3))
CONTEXT, NEXT = TEXT[:, :2], TEXT[:, 2]
BILINEAR = {
    "table": 0.6 * rng.standard_normal((WORDS, WIDTH)),
    "place": 0.6 * rng.standard_normal((2, WIDTH, WIDTH)),
    "bias": 0.1 * rng.standard_normal(WORDS),
}


def bilinear_cost(p, context, following, smooth=0.1):
    h = jnp.einsum("npi,pij->nj", p["table"][context], p["place"])
    log_p = log_softmax(h @ p["table"].T + p["bias"])
    hit = jnp.take_along_axis(log_p, following[:, None], axis=1)[:, 0]
    return -jnp.mean((1 - smooth) * hit + smooth * log_p.mean(axis=1))


def bilinear_gradient(p, context, following, smooth=0.1, tied=True, transpose=True, smoothed=True):
    U = p["table"]
    h = jnp.einsum("npi,pij->nj", U[context], p["place"])
    label = jax.nn.one_hot(following, WORDS)
    label = (1 - smooth) * label + smooth / WORDS if smoothed else label
    e = (softmax(h @ U.T + p["bias"]) - label) / len(following)
    dh = e @ U
    back = jnp.einsum("nj,pij->npi", dh, p["place"]) if transpose else jnp.einsum("ni,pij->npj", dh, p["place"])
    by_table = jnp.zeros_like(U).at[context].add(back)
    return {
        "table": by_table + e.T @ h if tied else by_table,
        "place": jnp.einsum("npi,nj->pij", U[context], dh),
        "bias": e.sum(axis=0),
    }


# words as means of their subwords, a linear classifier on the mean of the words, NumPy with slots of −1 for none
SUBWORDS = np.array([[0, 3, -1], [1, 2, 4], [5, -1, -1], [0, 1, 5], [2, 3, -1], [4, 4, 1]])
TOPIC = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])
GRAMS = {"grams": 0.8 * rng.standard_normal((6, 2)), "w": np.array([0.9, -1.1])}


def gram_cost(p, subwords, topic):
    total = 0.0
    for grams, label in zip(subwords, topic, strict=True):
        kept = grams[grams >= 0]
        z = p["grams"][kept].mean(axis=0) @ p["w"]
        total += np.log1p(np.exp(z)) - label * z
    return total / len(topic)


def gram_gradient(p, subwords, topic, size=True, gather="add"):
    by_grams, by_w = np.zeros((6, 2)), np.zeros(2)
    for grams, label in zip(subwords, topic, strict=True):
        kept = grams[grams >= 0] if gather != "padding" else grams
        mean = p["grams"][grams[grams >= 0]].mean(axis=0)
        e = (1 / (1 + np.exp(-mean @ p["w"])) - label) / len(topic)
        by_w += e * mean
        update = e * p["w"] / (np.sum(grams >= 0) if size else 1)
        if gather == "once":
            by_grams[kept] += update  # NumPy adds to an index once
        else:
            np.add.at(by_grams, kept, update)
    return {"grams": by_grams, "w": by_w}


# a chain of tags (CRF): unary scores of the words' features, transitions; the partition by a scan
FEATURES, TAGS = rng.standard_normal((8, 4)), np.array([0, 1, 1, 2, 0, 2, 2, 1])
CHAIN = {"emit": 0.5 * rng.standard_normal((4, 3)), "move": 0.5 * rng.standard_normal((3, 3))}


def chain_cost(p, features, tags):
    u = features @ p["emit"]

    def step(alpha, unary):
        return logsumexp(alpha[:, None] + p["move"], axis=0) + unary, None

    log_Z = logsumexp(jax.lax.scan(step, u[0], u[1:])[0])
    return log_Z - u[jnp.arange(len(tags)), tags].sum() - p["move"][tags[:-1], tags[1:]].sum()


def chain_gradient(p, features, tags, direction=1, first=0, expected=True):
    """Marginals by the forward and backward recursions, on probabilities."""
    u, M = np.exp(features @ p["emit"]), np.exp(p["move"])
    n = len(tags)
    a, b = [u[0] / u[0].sum()], [np.ones(3)]
    for t in range(1, n):
        a.append(u[t] * (a[-1] @ M))
        a[-1] /= a[-1].sum()
    for t in range(n - 1, 0, -1):
        b.insert(0, M @ (u[t] * b[0]))
        b[0] /= b[0].sum()
    one, two = np.zeros((n, 3)), np.zeros((3, 3))
    for t in range(n):
        one[t] = a[t] * b[t] / (a[t] @ b[t])
    for t in range(1, n):
        joint = a[t - 1][:, None] * M * u[t] * b[t]
        two += joint / joint.sum()
    by_emit = one.copy()
    by_emit[np.arange(n), tags] -= 1
    by_move = two if expected else one[:-1].T @ one[1:]
    np.add.at(by_move, (tags[:-1], tags[1:])[::direction], -1.0)
    return {"emit": features[first:].T @ by_emit[first:], "move": by_move}


# a tree of words: each word is a path of left and right turns at inner nodes
PATHS = np.array([[0, 1, 3], [0, 1, 3], [0, 1, 4], [0, 2, -1], [0, 2, -1]])
TURNS = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 0], [-1, -1, 0]])
LEAVES = np.array([0, 2, 3, 1, 4, 2, 3, 0])
TREE = (rng.standard_normal((8, 3)), 0.7 * rng.standard_normal((5, 3)))


def tree_cost(params, leaves):
    h, nodes = params
    path, turn = PATHS[leaves], TURNS[leaves]
    z = jnp.einsum("ni,nki->nk", h, nodes[path])
    return jnp.sum(jnp.where(path >= 0, softplus(-turn * z), 0.0))


def tree_gradient(params, leaves, masked=True, turns=True):
    h, nodes = params
    path, turn = PATHS[leaves], TURNS[leaves]
    z = jnp.einsum("ni,nki->nk", h, nodes[path])
    outer = turn if turns else jnp.abs(turn)
    e = -outer * sigmoid(-turn * z)
    if not masked:
        e = jnp.where(path >= 0, e, -0.5)
    return jnp.einsum("nk,nki->ni", e, nodes[path]), jnp.zeros_like(nodes).at[path].add(e[..., None] * h[:, None])


# topics of a document's counts: mixture of two known topics by a logit, Hessian of one logit a document
COUNTS = rng.poisson(3.0, (4, 6)).astype(float)
TOPICS = np.array([[0.4, 0.3, 0.1, 0.1, 0.05, 0.05], [0.05, 0.05, 0.2, 0.2, 0.25, 0.25]])


def topic_cost(z, counts):
    s = sigmoid(z)[:, None]
    return -jnp.sum(counts * jnp.log(s * TOPICS[0] + (1 - s) * TOPICS[1]))


def topic_hessian(z, counts, curvature=1.0):
    s = sigmoid(z)[:, None]
    ratio = (TOPICS[0] - TOPICS[1]) / (s * TOPICS[0] + (1 - s) * TOPICS[1])
    inner, bend = s * (1 - s), s * (1 - s) * (1 - 2 * s)
    return jnp.diag(jnp.sum(counts * ((ratio * inner) ** 2 - curvature * ratio * bend), axis=1))


def topic_gradient(z, counts):
    """By each word's odds."""
    s = sigmoid(z)[:, None]
    ratio = s * (1 - s) * (TOPICS[0] - TOPICS[1]) / (s * TOPICS[0] + (1 - s) * TOPICS[1])
    return -jnp.einsum("nw,nw->n", ratio, counts)


CASES = [
    bilinear := Practice(
        "log-bilinear model, smoothed labels, one table",
        bilinear_cost,
        BILINEAR,
        (CONTEXT, NEXT),
        gradient=bilinear_gradient,
    ),
    bilinear._replace(
        name="log-bilinear model, the table's use as output forgotten",
        gradient=lambda p, context, following: bilinear_gradient(p, context, following, tied=False),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    bilinear._replace(
        name="log-bilinear model, the places' matrices not transposed",
        gradient=lambda p, context, following: bilinear_gradient(p, context, following, transpose=False),
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    bilinear._replace(
        name="log-bilinear model, labels not smoothed",
        gradient=lambda p, context, following: bilinear_gradient(p, context, following, smoothed=False),
        kinds=frozenset({Kind.MISSING, Kind.FACTOR}),
    ),
    grams := Practice("means of subwords, NumPy", gram_cost, GRAMS, (SUBWORDS, TOPIC), gradient=gram_gradient),
    grams._replace(
        name="means of subwords, their number forgotten",
        gradient=lambda p, subwords, topic: gram_gradient(p, subwords, topic, size=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    grams._replace(
        name="means of subwords, a subword twice in a word added once",
        gradient=lambda p, subwords, topic: gram_gradient(p, subwords, topic, gather="once"),
        kinds=frozenset({Kind.INDEX, Kind.ENTRY, Kind.MISSING}),
    ),
    grams._replace(
        name="means of subwords, empty slots added to the last",
        gradient=lambda p, subwords, topic: gram_gradient(p, subwords, topic, gather="padding"),
        kinds=frozenset({Kind.INDEX, Kind.ENTRY}),
    ),
    chain := Practice("chain of tags by marginals", chain_cost, CHAIN, (FEATURES, TAGS), gradient=chain_gradient),
    chain._replace(
        name="chain of tags, seen moves from the later to the earlier",
        gradient=lambda p, features, tags: chain_gradient(p, features, tags, direction=-1),
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    chain._replace(
        name="chain of tags, the first word left out",
        gradient=lambda p, features, tags: chain_gradient(p, features, tags, first=1),
        kinds=frozenset({Kind.MISSING, Kind.INDEX}),
    ),
    chain._replace(
        name="chain of tags, products of marginals for the pairs",
        gradient=lambda p, features, tags: chain_gradient(p, features, tags, expected=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    tree := Practice("words as leaves of a tree", tree_cost, TREE, (LEAVES,), gradient=tree_gradient),
    tree._replace(
        name="words as leaves of a tree, the turn's sign forgotten outside",
        gradient=lambda params, leaves: tree_gradient(params, leaves, turns=False),
        kinds=frozenset({Kind.SIGN, Kind.CHAIN_RULE}),
    ),
    tree._replace(
        name="words as leaves of a tree, paths beyond their end",
        gradient=lambda params, leaves: tree_gradient(params, leaves, masked=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.INDEX}),
    ),
    topics := Practice(
        "two topics a document, gradient and Hessian",
        topic_cost,
        np.array([0.3, -0.6, 1.1, 0.2]),
        (COUNTS,),
        gradient=topic_gradient,
        hessian=topic_hessian,
    ),
    topics._replace(
        name="two topics a document, the sigmoid's second derivative left out",
        gradient=None,
        hessian=lambda z, counts: topic_hessian(z, counts, curvature=0.0),
        kinds=frozenset({Kind.EXPECTED, Kind.MISSING}),
    ),
]
