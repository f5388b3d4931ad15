"""Matrix factorisation, recommenders, word vectors and ranking from implicit feedback."""

import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, sigmoid

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(108)

# ratings as triples
USERS, ITEMS, N = 5, 6, 22
u, i, r = rng.integers(0, USERS, N), rng.integers(0, ITEMS, N), rng.integers(1, 6, N).astype(float)
MODEL = {
    "mu": np.array(3.1),
    "user": {"bias": 0.2 * rng.standard_normal(USERS), "factors": 0.6 * rng.standard_normal((USERS, 2))},
    "item": {"bias": 0.2 * rng.standard_normal(ITEMS), "factors": 0.6 * rng.standard_normal((ITEMS, 2))},
}


def ratings_cost(p, u, i, r, lam):
    P, Q = p["user"]["factors"], p["item"]["factors"]
    e = p["mu"] + p["user"]["bias"][u] + p["item"]["bias"][i] + jnp.sum(P[u] * Q[i], axis=1) - r
    return jnp.sum(e**2) + lam * (jnp.sum(P**2) + jnp.sum(Q**2))


def ratings_back(p, u, i, r, lam, add=np.add.at, rows=None, mu=1.0, two=2.0, own=False):
    P, Q = np.asarray(p["user"]["factors"]), np.asarray(p["item"]["factors"])
    bu, bi = np.asarray(p["user"]["bias"]), np.asarray(p["item"]["bias"])
    e = two * (p["mu"] + bu[u] + bi[i] + (P[u] * Q[i]).sum(1) - r)
    dP, dQ, du, di = np.zeros_like(P), np.zeros_like(Q), np.zeros_like(bu), np.zeros_like(bi)
    add(dP, u, e[:, None] * (P[u] if own else Q[i]))
    add(dQ, i, e[:, None] * P[u])
    add(du, u, e)
    add(di, i, e)
    if rows is None:
        dP, dQ = dP + 2 * lam * P, dQ + 2 * lam * Q
    else:  # once for each rating
        np.add.at(dP, u, 2 * lam * P[u])
        np.add.at(dQ, i, 2 * lam * Q[i])
    return {"mu": mu * e.sum(), "user": {"bias": du, "factors": dP}, "item": {"bias": di, "factors": dQ}}


def overwrite(array, index, value):
    array[index] = value


# a full matrix with gaps
A, GAPS = rng.standard_normal((5, 5)), (rng.random((5, 5)) < 0.7).astype(float)
UV = (rng.standard_normal((5, 2)), rng.standard_normal((5, 2)))


def completion_cost(params, A, seen):
    U, V = params
    return 0.5 * jnp.sum(seen * (U @ V.T - A) ** 2) + 0.05 * (jnp.sum(U**2) + jnp.sum(V**2))


def completion_gradient(params, A, seen):
    U, V = params
    E = seen * (U @ V.T - A)
    return E @ V + 0.1 * U, E.T @ U + 0.1 * V


def completion_transposed(params, A, seen):
    U, V = params
    E = seen * (U @ V.T - A)
    return E @ V + 0.1 * U, E @ U + 0.1 * V


def completion_gaps(params, A, seen):
    U, V = params
    E = U @ V.T - seen * A
    return E @ V + 0.1 * U, E.T @ U + 0.1 * V


def completion_exchanged(params, A, seen):
    U, V = params
    E = seen * (U @ V.T - A)
    return E.T @ U + 0.1 * V, E @ V + 0.1 * U


def completion_product(params, A, seen, v):
    (U, V), (dU, dV) = params, v
    E, dE = seen * (U @ V.T - A), seen * (dU @ V.T + U @ dV.T)
    return dE @ V + E @ dV + 0.1 * dU, dE.T @ U + E.T @ dU + 0.1 * dV


def completion_gauss_newton(params, A, seen, v):
    (U, V), (dU, dV) = params, v
    dE = seen * (dU @ V.T + U @ dV.T)
    return dE @ V + 0.1 * dU, dE.T @ U + 0.1 * dV


def completion_alternating(params, A, seen, v):
    """U's block and V's, as alternating least squares has them."""
    (U, V), (dU, dV) = params, v
    return (seen * (dU @ V.T)) @ V + 0.1 * dU, (seen * (U @ dV.T)).T @ U + 0.1 * dV


# non-negative factors by their logarithms, Poisson's likelihood; ε keeps the logarithm finite
COUNTS = rng.poisson(2.0, (4, 6)).astype(float)
FACTORS = {"W": 0.5 * rng.standard_normal((4, 2)), "H": 0.5 * rng.standard_normal((2, 6))}
EPS = 0.05


def poisson_cost(p, counts):
    R = jnp.exp(p["W"]) @ jnp.exp(p["H"])
    return jnp.sum(R - counts * jnp.log(R + EPS))


def poisson_gradient(p, counts):
    W, H = jnp.exp(p["W"]), jnp.exp(p["H"])
    E = 1 - counts / (W @ H + EPS)
    return {"W": W * (E @ H.T), "H": H * (W.T @ E)}


def poisson_eps(p, counts):
    W, H = jnp.exp(p["W"]), jnp.exp(p["H"])
    E = 1 - counts / (W @ H)
    return {"W": W * (E @ H.T), "H": H * (W.T @ E)}


def poisson_log(p, counts):
    W, H = jnp.exp(p["W"]), jnp.exp(p["H"])
    E = 1 - counts / (W @ H + EPS)
    return {"W": E @ H.T, "H": W.T @ E}


def poisson_total(p, counts):
    W, H = jnp.exp(p["W"]), jnp.exp(p["H"])
    E = -counts / (W @ H + EPS)
    return {"W": W * (E @ H.T), "H": H * (W.T @ E)}


# implicit feedback (BPR): an item taken, an item not taken
TAKEN = np.stack([rng.integers(0, USERS, 14), rng.integers(0, 3, 14), rng.integers(3, ITEMS, 14)], axis=1)


def bpr_cost(params, triples):
    P, Q = params
    who, won, lost = triples.T
    return -jnp.mean(log_sigmoid(jnp.sum(P[who] * (Q[won] - Q[lost]), axis=1)))


def bpr_gradient(params, triples):
    P, Q = params
    who, won, lost = triples.T
    c = -sigmoid(-jnp.sum(P[who] * (Q[won] - Q[lost]), axis=1))[:, None] / len(triples)
    dP = jnp.zeros_like(P).at[who].add(c * (Q[won] - Q[lost]))
    return dP, jnp.zeros_like(Q).at[won].add(c * P[who]).at[lost].add(-c * P[who])


def bpr_winners(params, triples):
    P, Q = params
    who, won, lost = triples.T
    c = -sigmoid(-jnp.sum(P[who] * (Q[won] - Q[lost]), axis=1))[:, None] / len(triples)
    dP = jnp.zeros_like(P).at[who].add(c * (Q[won] - Q[lost]))
    return dP, jnp.zeros_like(Q).at[won].add(c * P[who])


def bpr_set(params, triples):
    P, Q = params
    who, won, lost = triples.T
    c = -sigmoid(-jnp.sum(P[who] * (Q[won] - Q[lost]), axis=1))[:, None] / len(triples)
    dP = jnp.zeros_like(P).at[who].set(c * (Q[won] - Q[lost]))
    return dP, jnp.zeros_like(Q).at[won].add(c * P[who]).at[lost].add(-c * P[who])


# GloVe: log counts of words together, weighted
PAIRS = np.array([(a, b) for a in range(4) for b in range(4) if a != b])
TOGETHER = rng.integers(1, 60, len(PAIRS)).astype(float)
VECTORS = [rng.standard_normal((4, 2)), rng.standard_normal((4, 2)), np.zeros(4), np.zeros(4)]


def glove_cost(params, pairs, x):
    W, C, b, c = params
    a, o = pairs[:, 0], pairs[:, 1]
    e = (W[a] * C[o]).sum(1) + b[a] + c[o] - np.log(x)
    return (np.minimum(1, (x / 40) ** 0.75) * e**2).sum()


def glove_back(params, pairs, x, weights=True):
    W, C, b, c = params
    g = [np.zeros_like(leaf) for leaf in params]
    for (a, o), count in zip(pairs, x, strict=True):
        f = min(1, (count / 40) ** 0.75) if weights else 1.0
        e = 2 * f * (W[a] @ C[o] + b[a] + c[o] - np.log(count))
        g[0][a] += e * C[o]
        g[1][o] += e * W[a]
        g[2][a] += e
        g[3][o] += e
    return g


RATINGS = (u, i, r, 0.3)

CASES = [
    Practice("ratings with biases, add.at", ratings_cost, MODEL, RATINGS, gradient=ratings_back),
    Practice(
        "ratings, later ones overwrite earlier ones",
        ratings_cost,
        MODEL,
        RATINGS,
        gradient=lambda p, *a: ratings_back(p, *a, add=overwrite),
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice(
        "ratings, the penalty once for each rating",
        ratings_cost,
        MODEL,
        RATINGS,
        gradient=lambda p, *a: ratings_back(p, *a, rows=True),
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "ratings, μ left at zero",
        ratings_cost,
        MODEL,
        RATINGS,
        gradient=lambda p, *a: ratings_back(p, *a, mu=0.0),
        kinds=frozenset({Kind.MISSING, Kind.BIAS}),
    ),
    Practice(
        "ratings, the square's 2 forgotten beside the penalty",
        ratings_cost,
        MODEL,
        RATINGS,
        gradient=lambda p, *a: ratings_back(p, *a, two=1.0),
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "ratings, the users' own factors for the items'",
        ratings_cost,
        MODEL,
        RATINGS,
        gradient=lambda p, *a: ratings_back(p, *a, own=True),
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "ratings, μ left at zero and the penalty once for each rating",
        ratings_cost,
        MODEL,
        RATINGS,
        gradient=lambda p, *a: ratings_back(p, *a, mu=0.0, rows=True),
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
        all_needed=True,
    ),
    Practice(
        "completion, Hessian products",
        completion_cost,
        UV,
        (A, GAPS),
        gradient=completion_gradient,
        hessian_product=completion_product,
    ),
    Practice(
        "completion, E for its transpose at V",
        completion_cost,
        UV,
        (A, GAPS),
        gradient=completion_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "completion, gaps taken for zeros",
        completion_cost,
        UV,
        (A, GAPS),
        gradient=completion_gaps,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "completion, the two gradients exchanged",
        completion_cost,
        UV,
        (A, GAPS),
        gradient=completion_exchanged,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "completion, Gauss–Newton products",
        completion_cost,
        UV,
        (A, GAPS),
        gradient=completion_gradient,
        hessian_product=completion_gauss_newton,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice(
        "completion, products with the blocks of alternating least squares",
        completion_cost,
        UV,
        (A, GAPS),
        gradient=completion_gradient,
        hessian_product=completion_alternating,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    Practice("non-negative factors by logarithms", poisson_cost, FACTORS, (COUNTS,), gradient=poisson_gradient),
    Practice(
        "non-negative factors, ε in the logarithm forgotten",
        poisson_cost,
        FACTORS,
        (COUNTS,),
        gradient=poisson_eps,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "non-negative factors, by the factors and not their logarithms",
        poisson_cost,
        FACTORS,
        (COUNTS,),
        gradient=poisson_log,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "non-negative factors, the expected total left out",
        poisson_cost,
        FACTORS,
        (COUNTS,),
        gradient=poisson_total,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "items taken or not, pairs", bpr_cost, (UV[0], VECTORS[0].repeat(2, 0)[:6]), (TAKEN,), gradient=bpr_gradient
    ),
    Practice(
        "items taken or not, the losers left out",
        bpr_cost,
        (UV[0], VECTORS[0].repeat(2, 0)[:6]),
        (TAKEN,),
        gradient=bpr_winners,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "items taken or not, .set for .add",
        bpr_cost,
        (UV[0], VECTORS[0].repeat(2, 0)[:6]),
        (TAKEN,),
        gradient=bpr_set,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice("word vectors in NumPy", glove_cost, VECTORS, (PAIRS, TOGETHER), gradient=glove_back),
    Practice(
        "word vectors, the weights of rare pairs forgotten",
        glove_cost,
        VECTORS,
        (PAIRS, TOGETHER),
        gradient=lambda params, pairs, x: glove_back(params, pairs, x, weights=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
]
