"""Embeddings: skip-gram with negative samples, CBOW, GloVe, factors of ratings, translations of knowledge graphs."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, sigmoid, softmax

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(51)
V, d = 7, 3
centers = _rng.integers(0, V, 12)
contexts = _rng.integers(0, V, 12)
negatives = _rng.integers(0, V, (12, 4))


# Skip-gram with negative samples


def skip_gram(params, centers, contexts, negatives):
    v, u, n = params["in"][centers], params["out"][contexts], params["out"][negatives]
    positive = jnp.sum(v * u, axis=1)
    negative = jnp.einsum("id,ikd->ik", v, n)
    return -jnp.sum(log_sigmoid(positive)) - jnp.sum(log_sigmoid(-negative))


def skip_gram_rows(params, centers, contexts, negatives):
    v, u, n = params["in"][centers], params["out"][contexts], params["out"][negatives]
    p = sigmoid(jnp.sum(v * u, axis=1)) - 1
    q = sigmoid(jnp.einsum("id,ikd->ik", v, n))
    return p[:, None] * u + jnp.einsum("ik,ikd->id", q, n), p[:, None] * v, q[..., None] * v[:, None, :]


def skip_gram_gradient(params, centers, contexts, negatives):
    dv, du, dn = skip_gram_rows(params, centers, contexts, negatives)
    zero = jnp.zeros((V, d))
    return {"in": zero.at[centers].add(dv), "out": zero.at[contexts].add(du).at[negatives].add(dn)}


def skip_gram_gradient_overwritten(params, centers, contexts, negatives):
    dv, du, dn = skip_gram_rows(params, centers, contexts, negatives)
    g = {"in": np.zeros((V, d)), "out": np.zeros((V, d))}
    g["in"][centers] += dv
    g["out"][contexts] += du
    g["out"][negatives] += dn
    return g


def skip_gram_gradient_exchanged(params, centers, contexts, negatives):
    g = skip_gram_gradient(params, centers, contexts, negatives)
    return {"in": g["out"], "out": g["in"]}


def skip_gram_gradient_no_negatives(params, centers, contexts, negatives):
    v, u = params["in"][centers], params["out"][contexts]
    p = (sigmoid(jnp.sum(v * u, axis=1)) - 1)[:, None]
    zero = jnp.zeros((V, d))
    return {"in": zero.at[centers].add(p * u), "out": zero.at[contexts].add(p * v)}


def skip_gram_gradient_negatives_sign(params, centers, contexts, negatives):
    v, u, n = params["in"][centers], params["out"][contexts], params["out"][negatives]
    p = (sigmoid(jnp.sum(v * u, axis=1)) - 1)[:, None]
    q = -sigmoid(jnp.einsum("id,ikd->ik", v, n))[..., None]
    zero = jnp.zeros((V, d))
    out = zero.at[contexts].add(p * v).at[negatives].add(q * v[:, None, :])
    return {"in": zero.at[centers].add(p * u + (q * n).sum(axis=1)), "out": out}


def skip_gram_gradient_negatives_mean(params, centers, contexts, negatives):
    v, u, n = params["in"][centers], params["out"][contexts], params["out"][negatives]
    p = (sigmoid(jnp.sum(v * u, axis=1)) - 1)[:, None]
    q = sigmoid(jnp.einsum("id,ikd->ik", v, n))[..., None] / negatives.shape[1]
    zero = jnp.zeros((V, d))
    out = zero.at[contexts].add(p * v).at[negatives].add(q * v[:, None, :])
    return {"in": zero.at[centers].add(p * u + (q * n).sum(axis=1)), "out": out}


def skip_gram_gradient_first_negative(params, centers, contexts, negatives):
    """A slip of the index: the first negative k times."""
    return skip_gram_gradient(params, centers, contexts, np.repeat(negatives[:, :1], 4, axis=1))


# The same in NumPy, a loop, as in the exercise


def skip_gram_numpy(params, pairs):
    U, W = params
    cost = 0.0
    for c, o, label in pairs:
        cost += np.log1p(np.exp(-label * (U[c] @ W[o])))
    return cost


def skip_gram_numpy_gradient(params, pairs):
    U, W = params
    dU, dW = np.zeros_like(U), np.zeros_like(W)
    for c, o, label in pairs:
        s = -label / (1 + np.exp(label * (U[c] @ W[o])))
        dU[c] += s * W[o]
        dW[o] += s * U[c]
    return dU, dW


def skip_gram_numpy_gradient_updated(params, pairs):
    """The in vector has moved by a step before the out vector looks at it."""
    U, W = params
    dU, dW = np.zeros_like(U), np.zeros_like(W)
    for c, o, label in pairs:
        s = -label / (1 + np.exp(label * (U[c] @ W[o])))
        dU[c] += s * W[o]
        dW[o] += s * (U[c] - 0.5 * dU[c])
    return dU, dW


def skip_gram_numpy_gradient_no_label(params, pairs):
    U, W = params
    dU, dW = np.zeros_like(U), np.zeros_like(W)
    for c, o, label in pairs:
        s = -1 / (1 + np.exp(label * (U[c] @ W[o])))
        dU[c] += s * W[o]
        dW[o] += s * U[c]
    return dU, dW


pairs = [(int(c), int(o), 1) for c, o in zip(centers, contexts, strict=True)]
pairs += [(int(c), int(o), -1) for c, o in zip(centers, negatives[:, 0], strict=True)]


# CBOW: the mean of a padded window, softmax over the vocabulary, one matrix for both (tied)


windows = np.array([[0, 2, 3, -1], [1, 1, -1, -1], [4, 5, 6, 0], [2, 6, -1, -1], [3, 4, 1, 5], [6, -1, -1, -1]])
words = np.array([1, 3, 2, 4, 0, 5])


def cbow(params, windows, words):
    mask = (windows >= 0)[..., None]
    h = jnp.sum(params["E"][windows] * mask, axis=1) / mask.sum(axis=1)
    log_p = log_softmax(h @ params["E"].T + params["b"], axis=1)
    return -log_p[jnp.arange(len(words)), words].mean()


def cbow_gradient(params, windows, words, mask_rows=True, divide=True, outputs=True, window_part=True):
    E, m = params["E"], len(words)
    mask = (windows >= 0)[..., None]
    count = mask.sum(axis=1) if divide else 1
    h = jnp.sum(E[windows] * mask, axis=1) / mask.sum(axis=1)
    delta = (softmax(h @ E.T + params["b"], axis=1) - jax.nn.one_hot(words, V)) / m
    dh = (delta @ E / count)[:, None, :] * (mask if mask_rows else 1.0)
    dE = jnp.zeros_like(E)
    if window_part:
        dE = dE.at[windows].add(jnp.broadcast_to(dh, (*windows.shape, d)))
    if outputs:
        dE = dE + delta.T @ h
    return {"E": dE, "b": delta.sum(axis=0)}


def cbow_gradient_padding(params, windows, words):
    return cbow_gradient(params, windows, words, mask_rows=False)


def cbow_gradient_sum_of_window(params, windows, words):
    return cbow_gradient(params, windows, words, divide=False)


def cbow_gradient_output_use(params, windows, words):
    return cbow_gradient(params, windows, words, window_part=False)


def cbow_gradient_bias_sum(params, windows, words):
    g = cbow_gradient(params, windows, words)
    return {**g, "b": len(words) * g["b"]}


def cbow_gradient_labels(params, windows, words):
    """The words counted from 1."""
    return cbow_gradient(params, windows, words - 1)


# GloVe: weighted squares of log counts, dicts in a dict


N = _rng.integers(1, 60, (V, V)).astype(float)


def glove(params, N):
    word, context = params["word"], params["context"]
    E = word["w"] @ context["w"].T + word["b"][:, None] + context["b"] - jnp.log(N)
    return jnp.sum(jnp.minimum(1.0, (N / 30.0) ** 0.75) * E**2)


def glove_gradient(params, N):
    word, context = params["word"], params["context"]
    E = word["w"] @ context["w"].T + word["b"][:, None] + context["b"] - jnp.log(N)
    D = 2 * jnp.minimum(1.0, (N / 30.0) ** 0.75) * E
    return {
        "word": {"w": D @ context["w"], "b": D.sum(axis=1)},
        "context": {"w": D.T @ word["w"], "b": D.sum(axis=0)},
    }


def glove_gradient_unweighted(params, N):
    word, context = params["word"], params["context"]
    D = 2 * (word["w"] @ context["w"].T + word["b"][:, None] + context["b"] - jnp.log(N))
    return {
        "word": {"w": D @ context["w"], "b": D.sum(axis=1)},
        "context": {"w": D.T @ word["w"], "b": D.sum(axis=0)},
    }


def glove_gradient_transposed(params, N):
    word, context = params["word"], params["context"]
    E = word["w"] @ context["w"].T + word["b"][:, None] + context["b"] - jnp.log(N)
    D = 2 * jnp.minimum(1.0, (N / 30.0) ** 0.75) * E
    return {
        "word": {"w": D @ context["w"], "b": D.sum(axis=1)},
        "context": {"w": D @ word["w"], "b": D.sum(axis=0)},
    }


def glove_gradient_bias_axes(params, N):
    g = glove_gradient(params, N)
    return {
        "word": {**g["word"], "b": g["context"]["b"]},
        "context": {**g["context"], "b": g["word"]["b"]},
    }


def glove_gradient_bias_unweighted(params, N):
    word, context = params["word"], params["context"]
    g = glove_gradient(params, N)
    E = word["w"] @ context["w"].T + word["b"][:, None] + context["b"] - jnp.log(N)
    return {
        "word": {**g["word"], "b": 2 * E.sum(axis=1)},
        "context": {**g["context"], "b": 2 * E.sum(axis=0)},
    }


def glove_gradient_two(params, N):
    """The weights forgotten in the vectors, the two biases exchanged."""
    g, plain = glove_gradient(params, N), glove_gradient_unweighted(params, N)
    return {
        "word": {"w": plain["word"]["w"], "b": g["context"]["b"]},
        "context": {"w": plain["context"]["w"], "b": g["word"]["b"]},
    }


# Factors of ratings, only some known, latent variables in columns; a penalty in a lambda


known = (_rng.uniform(size=(5, 6)) < 0.6).astype(float)
R = _rng.integers(1, 6, (5, 6)).astype(float) * known
squared_error = lambda P, Q, R, known: jnp.sum(known * (R - P.T @ Q) ** 2)  # noqa: E731
ratings = lambda params, R, known: (  # noqa: E731
    squared_error(params[0], params[1], R, known) + 0.1 * (jnp.sum(params[0] ** 2) + jnp.sum(params[1] ** 2))
)


def ratings_gradient(params, R, known):
    P, Q = params
    E = known * (R - P.T @ Q)
    return [-2 * Q @ E.T + 0.2 * P, -2 * P @ E + 0.2 * Q]


def ratings_gradient_unknown_as_zero(params, R, known):
    P, Q = params
    E = R - P.T @ Q
    return [-2 * Q @ E.T + 0.2 * P, -2 * P @ E + 0.2 * Q]


def ratings_gradient_penalty_one_side(params, R, known):
    P, Q = params
    E = known * (R - P.T @ Q)
    return [-2 * Q @ E.T + 0.2 * P, -2 * P @ E]


def ratings_gradient_penalty_halved(params, R, known):
    P, Q = params
    E = known * (R - P.T @ Q)
    return [-2 * Q @ E.T + 0.1 * P, -2 * P @ E + 0.1 * Q]


def ratings_gradient_counted(params, R, known):
    """The penalty at every rating, as in stochastic descent."""
    P, Q = params
    E = known * (R - P.T @ Q)
    return [-2 * Q @ E.T + 0.2 * known.sum(axis=1) * P, -2 * P @ E + 0.2 * known.sum(axis=0) * Q]


def ratings_gradient_returned_tuple(params, R, known):
    P, Q = params
    E = known * (R - P.T @ Q)
    return jnp.concatenate([-2 * Q @ E.T + 0.2 * P, -2 * P @ E + 0.2 * Q], axis=1)


# TransE: a hinge of distances, and unit vectors by cosine


triples = np.array([[0, 0, 1], [1, 1, 2], [3, 0, 4], [2, 1, 5], [6, 0, 3]])
broken = np.array([4, 0, 6, 3, 1])


def translations(params, triples, broken, margin=1.0):
    E, T = params["entities"], params["relations"]
    h, r, t = E[triples[:, 0]], T[triples[:, 1]], E[triples[:, 2]]
    near, distant = jnp.linalg.norm(h + r - t, axis=1), jnp.linalg.norm(h + r - E[broken], axis=1)
    return jnp.sum(jnp.maximum(0.0, margin + near - distant))


def translations_gradient(params, triples, broken, margin=1.0):
    E, T = params["entities"], params["relations"]
    dE, dT = np.zeros(E.shape), np.zeros(T.shape)
    for (h, r, t), b in zip(triples, broken, strict=True):
        near, distant = E[h] + T[r] - E[t], E[h] + T[r] - E[b]
        if margin + np.linalg.norm(near) - np.linalg.norm(distant) > 0:
            p, q = near / np.linalg.norm(near), distant / np.linalg.norm(distant)
            dE[h] += p - q
            dE[t] -= p
            dE[b] += q
            dT[r] += p - q
    return {"entities": dE, "relations": dT}


def translations_gradient_squared(params, triples, broken, margin=1.0):
    """The gradient of the squared distances: not divided by the norm."""
    E, T = params["entities"], params["relations"]
    dE, dT = np.zeros(E.shape), np.zeros(T.shape)
    for (h, r, t), b in zip(triples, broken, strict=True):
        near, distant = E[h] + T[r] - E[t], E[h] + T[r] - E[b]
        if margin + np.linalg.norm(near) - np.linalg.norm(distant) > 0:
            dE[h] += near - distant
            dE[t] -= near
            dE[b] += distant
            dT[r] += near - distant
    return {"entities": dE, "relations": dT}


def cosine(E, left, right, similarity):
    a, b = E[left], E[right]
    c = jnp.sum(a * b, axis=1) / (jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1))
    return jnp.mean((c - similarity) ** 2)


def cosine_gradient(E, left, right, similarity):
    na, nb = (jnp.linalg.norm(E[i], axis=1, keepdims=True) for i in (left, right))
    a, b = E[left] / na, E[right] / nb
    c = jnp.sum(a * b, axis=1, keepdims=True)
    s = 2 * (c - similarity[:, None]) / len(left)
    return jnp.zeros_like(E).at[left].add(s * (b - c * a) / na).at[right].add(s * (a - c * b) / nb)


def cosine_gradient_no_projection(E, left, right, similarity):
    """The norms are taken for constants."""
    na, nb = (jnp.linalg.norm(E[i], axis=1, keepdims=True) for i in (left, right))
    a, b = E[left] / na, E[right] / nb
    s = 2 * (jnp.sum(a * b, axis=1, keepdims=True) - similarity[:, None]) / len(left)
    return jnp.zeros_like(E).at[left].add(s * b / na).at[right].add(s * a / nb)


table = {"in": 0.7 * _rng.standard_normal((V, d)), "out": 0.7 * _rng.standard_normal((V, d))}
single = {name: leaf.astype(np.float32) for name, leaf in table.items()}
tied = {"E": table["in"], "b": 0.1 * _rng.standard_normal(V)}
nested = {
    "word": {"w": table["in"], "b": 0.3 * _rng.standard_normal(V)},
    "context": {"w": table["out"], "b": 0.3 * _rng.standard_normal(V)},
}
factors = [_rng.standard_normal((2, 5)), _rng.standard_normal((2, 6))]
graph = {"entities": table["in"], "relations": _rng.standard_normal((2, d))}
samples = (centers, contexts, negatives)
likeness = (centers, contexts, _rng.uniform(-1, 1, 12))


CASES = [
    Practice("skip-gram with negative samples", skip_gram, table, samples, gradient=skip_gram_gradient),
    Practice("skip-gram, float32 tables", skip_gram, single, samples, gradient=skip_gram_gradient),
    Practice(
        "skip-gram: repeated words overwrite each other",
        *(skip_gram, table, samples),
        gradient=skip_gram_gradient_overwritten,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice(
        "skip-gram: in and out exchanged",
        *(skip_gram, table, samples),
        gradient=skip_gram_gradient_exchanged,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "skip-gram: the negatives are left out",
        *(skip_gram, table, samples),
        gradient=skip_gram_gradient_no_negatives,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "skip-gram: the sign of the negatives' part",
        *(skip_gram, table, samples),
        gradient=skip_gram_gradient_negatives_sign,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "skip-gram: the negatives averaged, not summed",
        *(skip_gram, table, samples),
        gradient=skip_gram_gradient_negatives_mean,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "skip-gram: the first negative in place of each",
        *(skip_gram, table, samples),
        gradient=skip_gram_gradient_first_negative,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "skip-gram in NumPy, a loop over pairs",
        *(skip_gram_numpy, (table["in"], table["out"]), (pairs,)),
        gradient=skip_gram_numpy_gradient,
    ),
    Practice(
        "skip-gram in NumPy: the label's sign forgotten",
        *(skip_gram_numpy, (table["in"], table["out"]), (pairs,)),
        gradient=skip_gram_numpy_gradient_no_label,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.SIGN}),
    ),
    Practice(
        "skip-gram in NumPy: the out vectors see in vectors that have moved",
        *(skip_gram_numpy, (table["in"], table["out"]), (pairs,)),
        gradient=skip_gram_numpy_gradient_updated,
        kinds=frozenset({Kind.UNKNOWN}),
    ),
    Practice("CBOW, padded windows, one table", cbow, tied, (windows, words), gradient=cbow_gradient),
    Practice(
        "CBOW: the padding's mask forgotten",
        *(cbow, tied, (windows, words)),
        gradient=cbow_gradient_padding,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.ENTRY}),
    ),
    Practice(
        "CBOW: not divided by the size of the window",
        *(cbow, tied, (windows, words)),
        gradient=cbow_gradient_sum_of_window,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "CBOW: the table's use in the window is left out",
        *(cbow, tied, (windows, words)),
        gradient=cbow_gradient_output_use,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "CBOW: the bias summed, not averaged",
        *(cbow, tied, (windows, words)),
        gradient=cbow_gradient_bias_sum,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice(
        "CBOW: the words counted from 1",
        *(cbow, tied, (windows, words)),
        gradient=cbow_gradient_labels,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("GloVe", glove, nested, (N,), gradient=glove_gradient),
    Practice(
        "GloVe: the weights forgotten",
        *(glove, nested, (N,)),
        gradient=glove_gradient_unweighted,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "GloVe: the contexts' residuals not transposed",
        *(glove, nested, (N,)),
        gradient=glove_gradient_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "GloVe: the two biases exchanged",
        *(glove, nested, (N,)),
        gradient=glove_gradient_bias_axes,
        kinds=frozenset({Kind.INDEX, Kind.TRANSPOSE}),
    ),
    Practice(
        "GloVe: the weights forgotten in the biases",
        *(glove, nested, (N,)),
        gradient=glove_gradient_bias_unweighted,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.BIAS}),
    ),
    Practice(
        "GloVe: the weights forgotten in the vectors and the two biases exchanged",
        *(glove, nested, (N,)),
        gradient=glove_gradient_two,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.INDEX}),
        all_needed=True,
    ),
    Practice("ratings, penalty in a lambda", ratings, factors, (R, known), gradient=ratings_gradient),
    Practice(
        "ratings: the unknown ones taken for 0",
        *(ratings, factors, (R, known)),
        gradient=ratings_gradient_unknown_as_zero,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "ratings: one side without its penalty",
        *(ratings, factors, (R, known)),
        gradient=ratings_gradient_penalty_one_side,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "ratings: the penalty halved",
        *(ratings, factors, (R, known)),
        gradient=ratings_gradient_penalty_halved,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "ratings: the penalty at each rating",
        *(ratings, factors, (R, known)),
        gradient=ratings_gradient_counted,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "ratings: one array in place of the two",
        *(ratings, factors, (R, known)),
        gradient=ratings_gradient_returned_tuple,
        kinds=frozenset({Kind.SHAPE}),
    ),
    Practice("translations, a hinge of norms", translations, graph, (triples, broken), gradient=translations_gradient),
    Practice(
        "translations: not divided by the norms",
        *(translations, graph, (triples, broken)),
        gradient=translations_gradient_squared,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("cosines", cosine, table["in"], likeness, gradient=cosine_gradient),
    Practice(
        "cosines: the norms taken for constants",
        *(cosine, table["in"], likeness),
        gradient=cosine_gradient_no_projection,
        kinds=frozenset({Kind.MISSING}),
    ),
]
