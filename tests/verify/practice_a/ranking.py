"""Ranking: Bradley-Terry, Plackett-Luce, pairwise hinge, RankNet, LambdaRank, ListNet, triplets."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import log_softmax, sigmoid, softmax, softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(81)
players = 6
winners = np.array([0, 0, 1, 2, 0, 3, 4, 1, 5, 2, 3, 0, 1, 4])
losers = np.array([1, 2, 2, 3, 4, 5, 5, 3, 0, 4, 4, 5, 5, 3])
home = np.where(_rng.uniform(size=14) < 0.6, 1.0, -1.0)


# Bradley-Terry, a Gaussian prior in the closure


precision = 0.25


def bradley_terry(skill):
    return jnp.sum(softplus(skill[losers] - skill[winners])) + 0.5 * precision * jnp.sum(skill**2)


def bradley_terry_gradient(skill):
    p = sigmoid(skill[losers] - skill[winners])
    return jnp.zeros(players).at[winners].add(-p).at[losers].add(p) + precision * skill


def bradley_terry_winners_only(skill):
    p = sigmoid(skill[losers] - skill[winners])
    return jnp.zeros(players).at[winners].add(-p) + precision * skill


def bradley_terry_overwritten(skill):
    p = sigmoid(skill[losers] - skill[winners])
    g = np.zeros(players)
    g[winners] -= p
    g[losers] += p
    return g + precision * skill


def bradley_terry_of_win(skill):
    """The probability of the result, not of its opposite."""
    p = sigmoid(skill[winners] - skill[losers])
    return jnp.zeros(players).at[winners].add(-p).at[losers].add(p) + precision * skill


def bradley_terry_prior_doubled(skill):
    p = sigmoid(skill[losers] - skill[winners])
    return jnp.zeros(players).at[winners].add(-p).at[losers].add(p) + 2 * precision * skill


def bradley_terry_reversed_two(skill):
    """The sign of the matches' part, and the prior is forgotten."""
    p = sigmoid(skill[losers] - skill[winners])
    return jnp.zeros(players).at[winners].add(p).at[losers].add(-p)


def bradley_terry_prior_of_norm(skill):
    p = sigmoid(skill[losers] - skill[winners])
    g = jnp.zeros(players).at[winners].add(-p).at[losers].add(p)
    return g + precision * skill / jnp.linalg.norm(skill)


def bradley_terry_integers(skill):
    """Collected in an array of integers."""
    g = np.zeros(players, dtype=int)
    for w, loser in zip(winners, losers, strict=True):
        p = 1 / (1 + np.exp(skill[w] - skill[loser]))
        g[w] -= p
        g[loser] += p
    return g


def bradley_terry_without_return(skill):
    g = precision * np.array(skill)
    for w, loser in zip(winners, losers, strict=True):
        p = 1 / (1 + np.exp(skill[w] - skill[loser]))
        g[w] -= p
        g[loser] += p


def bradley_terry_asserts(skill):
    """Skills are anchored to sum to 0; elsewhere an assertion fails."""
    assert abs(float(np.sum(skill))) < 1e-8, "skills must sum to 0"
    return bradley_terry_gradient(skill)


def bradley_terry_hessian(skill):
    p = sigmoid(skill[losers] - skill[winners])
    w = p * (1 - p)
    H = jnp.zeros((players, players)).at[winners, winners].add(w).at[losers, losers].add(w)
    H = H.at[winners, losers].add(-w).at[losers, winners].add(-w)
    return H + precision * jnp.eye(players)


def bradley_terry_hessian_diagonal(skill):
    p = sigmoid(skill[losers] - skill[winners])
    w = p * (1 - p)
    return jnp.diag(jnp.zeros(players).at[winners].add(w).at[losers].add(w)) + precision * jnp.eye(players)


def bradley_terry_hessian_one_triangle(skill):
    p = sigmoid(skill[losers] - skill[winners])
    w = p * (1 - p)
    H = jnp.zeros((players, players)).at[winners, winners].add(w).at[losers, losers].add(w)
    return H.at[winners, losers].add(-w) + precision * jnp.eye(players)


def bradley_terry_hessian_unweighted(skill):
    p = sigmoid(skill[losers] - skill[winners])
    H = jnp.zeros((players, players)).at[winners, winners].add(p).at[losers, losers].add(p)
    H = H.at[winners, losers].add(-p).at[losers, winners].add(-p)
    return H + precision * jnp.eye(players)


def bradley_terry_product(skill, v):
    p = sigmoid(skill[losers] - skill[winners])
    s = p * (1 - p) * (v[winners] - v[losers])
    return jnp.zeros(players).at[winners].add(s).at[losers].add(-s) + precision * v


def bradley_terry_product_prior_by_skill(skill, v):
    p = sigmoid(skill[losers] - skill[winners])
    s = p * (1 - p) * (v[winners] - v[losers])
    return jnp.zeros(players).at[winners].add(s).at[losers].add(-s) + precision * skill


# Elo's scale and the advantage at home; params a dict


def elo(params, winners, losers, home):
    z = (params["rating"][winners] - params["rating"][losers] + params["home"] * home) * np.log(10) / 400
    return -jnp.mean(jax.nn.log_sigmoid(z))


def elo_gradient(params, winners, losers, home):
    c = np.log(10) / 400
    z = c * (params["rating"][winners] - params["rating"][losers] + params["home"] * home)
    s = -c * sigmoid(-z) / len(z)
    return {"rating": jnp.zeros(players).at[winners].add(s).at[losers].add(-s), "home": jnp.sum(s * home)}


def elo_gradient_no_scale(params, winners, losers, home):
    z = np.log(10) / 400 * (params["rating"][winners] - params["rating"][losers] + params["home"] * home)
    s = -sigmoid(-z) / len(z)
    return {"rating": jnp.zeros(players).at[winners].add(s).at[losers].add(-s), "home": jnp.sum(s * home)}


def elo_gradient_always_at_home(params, winners, losers, home):
    g = elo_gradient(params, winners, losers, home)
    z = np.log(10) / 400 * (params["rating"][winners] - params["rating"][losers] + params["home"] * home)
    return {**g, "home": jnp.sum(-np.log(10) / 400 * sigmoid(-z)) / len(z)}


# Plackett-Luce (ListMLE): rankings as rows, a linear score, a scan from the last to the first


rankings = np.stack([_rng.permutation(5) for _ in range(4)])
features = _rng.standard_normal((5, 3))


def plackett_luce(w, features, rankings):
    def total(ranking):
        s = jnp.dot(features, w)[ranking]

        def step(log_rest, score):
            log_rest = jnp.logaddexp(log_rest, score)
            return log_rest, log_rest - score

        return lax.scan(step, -jnp.inf, s[::-1])[1].sum()

    return jnp.mean(jax.vmap(total)(rankings))


def plackett_luce_gradient(w, features, rankings):
    s = np.asarray(features @ w)
    g = np.zeros(5)
    for ranking in rankings:
        for i in range(5):
            rest = ranking[i:]
            p = np.exp(s[rest] - s[rest].max())
            g[rest] += p / p.sum()
            g[ranking[i]] -= 1
    return features.T @ g / len(rankings)


def plackett_luce_first_place(w, features, rankings):
    """Only the choice of the first."""
    p = softmax(features @ w)
    g = len(rankings) * p - jnp.zeros(5).at[rankings[:, 0]].add(1.0)
    return features.T @ g / len(rankings)


def plackett_luce_last_first(w, features, rankings):
    return plackett_luce_gradient(w, features, rankings[:, ::-1])


def plackett_luce_sum(w, features, rankings):
    return len(rankings) * plackett_luce_gradient(w, features, rankings)


# Pairwise hinge of a linear score, within queries; a penalty by keyword; NumPy loops


documents = _rng.standard_normal((12, 4))
grade = _rng.integers(0, 3, 12)
query = np.repeat([0, 1, 2], 4)


def hinge(w, X, grade, query, C=1.0):
    s = X @ w
    better = (grade[:, None] > grade) & (query[:, None] == query)
    return 0.5 * w @ w + C * jnp.sum(jnp.where(better, jnp.maximum(0, 1 - (s[:, None] - s)), 0.0))


def hinge_gradient(w, X, grade, query, C=1.0):
    s = X @ w
    g = np.array(w)
    for i in range(len(X)):
        for j in range(len(X)):
            if query[i] == query[j] and grade[i] > grade[j] and s[i] - s[j] < 1:
                g -= C * (X[i] - X[j])
    return g


def hinge_gradient_all_pairs(w, X, grade, query, C=1.0):
    """The pairs beyond the margin count too."""
    g = np.array(w)
    for i in range(len(X)):
        for j in range(len(X)):
            if query[i] == query[j] and grade[i] > grade[j]:
                g -= C * (X[i] - X[j])
    return g


def hinge_gradient_across_queries(w, X, grade, query, C=1.0):
    s = X @ w
    active = (grade[:, None] > grade) & (s[:, None] - s < 1)
    return w - C * (active.sum(axis=1) - active.sum(axis=0)) @ X


def hinge_gradient_c_on_the_wrong_part(w, X, grade, query, C=1.0):
    s = X @ w
    active = (grade[:, None] > grade) & (query[:, None] == query) & (s[:, None] - s < 1)
    return C * w - (active.sum(axis=1) - active.sum(axis=0)) @ X


def hinge_gradient_of_difference(w, X, grade, query, C=1.0):
    """x_j - x_i in place of x_i - x_j."""
    s = X @ w
    active = (grade[:, None] > grade) & (query[:, None] == query) & (s[:, None] - s < 1)
    return w + C * (active.sum(axis=1) - active.sum(axis=0)) @ X


# RankNet with one hidden layer, LambdaRank's weights given


gains = np.abs(2.0 ** grade[:, None] - 2.0**grade) * np.abs(_rng.uniform(0.2, 1.0, (12, 12)))
better = ((grade[:, None] > grade) & (query[:, None] == query)).astype(float)


def rank_net(params, X, pairs):
    h = jnp.tanh(X @ params[0]["W"] + params[0]["b"])
    s = h @ params[1]["w"]
    return jnp.sum(pairs * jnp.log1p(jnp.exp(-(s[:, None] - s[None, :])))) / jnp.sum(pairs > 0)


def rank_net_gradient(params, X, pairs):
    h = jnp.tanh(X @ params[0]["W"] + params[0]["b"])
    s = h @ params[1]["w"]
    L = pairs * sigmoid(s[None, :] - s[:, None]) / jnp.sum(pairs > 0)
    delta = L.sum(axis=0) - L.sum(axis=1)
    back = delta[:, None] * params[1]["w"] * (1 - h**2)
    return [{"W": X.T @ back, "b": back.sum(axis=0)}, {"w": h.T @ delta}]


def rank_net_no_tanh(params, X, pairs):
    h = jnp.tanh(X @ params[0]["W"] + params[0]["b"])
    s = h @ params[1]["w"]
    L = pairs * sigmoid(s[None, :] - s[:, None]) / jnp.sum(pairs > 0)
    delta = L.sum(axis=0) - L.sum(axis=1)
    back = delta[:, None] * params[1]["w"]
    return [{"W": X.T @ back, "b": back.sum(axis=0)}, {"w": h.T @ delta}]


def rank_net_unweighted(params, X, pairs):
    """The weights of LambdaRank forgotten."""
    return rank_net_gradient(params, X, (pairs > 0).astype(float))


def rank_net_better_half(params, X, pairs):
    h = jnp.tanh(X @ params[0]["W"] + params[0]["b"])
    s = h @ params[1]["w"]
    L = pairs * sigmoid(s[None, :] - s[:, None]) / jnp.sum(pairs > 0)
    delta = -L.sum(axis=1)
    back = delta[:, None] * params[1]["w"] * (1 - h**2)
    return [{"W": X.T @ back, "b": back.sum(axis=0)}, {"w": h.T @ delta}]


def rank_net_axes(params, X, pairs):
    """The sums over the wrong axes."""
    return jax.tree.map(jnp.negative, rank_net_gradient(params, X, pairs))


# ListNet: cross-entropy of softmaxes, a query in each row, scores linear in (queries, documents, features)


lists = _rng.standard_normal((3, 5, 4))
relevance = _rng.integers(0, 3, (3, 5)).astype(float)


def list_net(w, lists, relevance):
    return -jnp.sum(softmax(relevance, axis=1) * log_softmax(lists @ w, axis=1))


def list_net_gradient(w, lists, relevance):
    return jnp.einsum("qd,qdf->f", softmax(lists @ w, axis=1) - softmax(relevance, axis=1), lists)


def list_net_over_queries(w, lists, relevance):
    return jnp.einsum("qd,qdf->f", softmax(lists @ w, axis=0) - softmax(relevance, axis=1), lists)


def list_net_relevance(w, lists, relevance):
    """The grades in place of their softmax."""
    return jnp.einsum("qd,qdf->f", softmax(lists @ w, axis=1) - relevance, lists)


def list_net_hessian(w, lists, relevance):
    p = softmax(lists @ w, axis=1)
    mean = jnp.einsum("qd,qdf->qf", p, lists)
    return jnp.einsum("qd,qdf,qdg->fg", p, lists, lists) - mean.T @ mean


def list_net_hessian_sigmoid(w, lists, relevance):
    """p (1 - p) on the diagonal, the documents' covariances forgotten."""
    p = softmax(lists @ w, axis=1)
    return jnp.einsum("qd,qdf,qdg->fg", p * (1 - p), lists, lists)


# Triplets of an embedding, kinks at a generic point; the cost counts from a large constant


anchor, near, far = _rng.standard_normal((3, 8, 4))


def triplets(W):
    a, p, n = anchor @ W, near @ W, far @ W
    d = jnp.sum((a - p) ** 2, axis=1) - jnp.sum((a - n) ** 2, axis=1)
    return 1e6 + jnp.sum(jnp.maximum(d + 1.0, 0.0))


def triplets_gradient(W):
    u, v = anchor - near, anchor - far
    on = (jnp.sum((u @ W) ** 2, axis=1) - jnp.sum((v @ W) ** 2, axis=1) + 1.0 > 0)[:, None]
    return 2 * (u.T @ (on * (u @ W)) - v.T @ (on * (v @ W)))


def triplets_gradient_margin(W):
    """The margin is forgotten in the mask."""
    u, v = anchor - near, anchor - far
    on = (jnp.sum((u @ W) ** 2, axis=1) - jnp.sum((v @ W) ** 2, axis=1) > 0)[:, None]
    return 2 * (u.T @ (on * (u @ W)) - v.T @ (on * (v @ W)))


def triplets_gradient_positive_only(W):
    u, v = anchor - near, anchor - far
    on = (jnp.sum((u @ W) ** 2, axis=1) - jnp.sum((v @ W) ** 2, axis=1) + 1.0 > 0)[:, None]
    return 2 * u.T @ (on * (u @ W))


skill = np.array([0.9, 0.4, 0.1, -0.2, -0.5, -0.7])
ratings = {"rating": 1500 + 200 * skill, "home": np.array(35.0)}
w3 = np.array([0.4, -0.6, 0.2])
w4 = np.array([1.0, -0.6, 0.4, 0.8])
judged = (documents, grade, query)
hidden = [{"W": 0.7 * _rng.standard_normal((4, 3)), "b": np.array([0.1, -0.2, 0.3])}, {"w": np.array([1.1, -0.7, 0.5])}]
embedding = 0.6 * _rng.standard_normal((4, 2))

CASES = [
    Practice("Bradley-Terry with a prior", bradley_terry, skill, gradient=bradley_terry_gradient),
    Practice("Bradley-Terry, Hessian", bradley_terry, skill, hessian=bradley_terry_hessian),
    Practice("Bradley-Terry, product of the Hessian", bradley_terry, skill, hessian_product=bradley_terry_product),
    Practice(
        "Bradley-Terry: the losers' half left out",
        *(bradley_terry, skill),
        gradient=bradley_terry_winners_only,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Bradley-Terry: the matches of one player overwrite each other",
        *(bradley_terry, skill),
        gradient=bradley_terry_overwritten,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice(
        "Bradley-Terry: the probability of the result, not of its opposite",
        *(bradley_terry, skill),
        gradient=bradley_terry_of_win,
        kinds=frozenset({Kind.INDEX, Kind.CHAIN_RULE}),
    ),
    Practice(
        "Bradley-Terry: the prior doubled",
        *(bradley_terry, skill),
        gradient=bradley_terry_prior_doubled,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "Bradley-Terry: the sign of the matches' part, and the prior forgotten",
        *(bradley_terry, skill),
        gradient=bradley_terry_reversed_two,
        kinds=frozenset({Kind.SIGN, Kind.PENALTY}),
        all_needed=True,
    ),
    Practice(
        "Bradley-Terry: the prior of the norm, not of its square",
        *(bradley_terry, skill),
        gradient=bradley_terry_prior_of_norm,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "Bradley-Terry: collected in integers",
        *(bradley_terry, skill),
        gradient=bradley_terry_integers,
        kinds=frozenset({Kind.DTYPE}),
    ),
    Practice(
        "Bradley-Terry: the return forgotten",
        *(bradley_terry, skill),
        gradient=bradley_terry_without_return,
        kinds=frozenset({Kind.SHAPE}),
    ),
    Practice(
        "Bradley-Terry: an assertion beside the point",
        *(bradley_terry, skill),
        gradient=bradley_terry_asserts,
        kinds=frozenset({Kind.UNKNOWN, Kind.NONFINITE}),
    ),
    Practice(
        "Bradley-Terry: only the diagonal of the Hessian",
        *(bradley_terry, skill),
        hessian=bradley_terry_hessian_diagonal,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    Practice(
        "Bradley-Terry: one triangle of the Hessian",
        *(bradley_terry, skill),
        hessian=bradley_terry_hessian_one_triangle,
        kinds=frozenset({Kind.ASYMMETRIC}),
    ),
    Practice(
        "Bradley-Terry, Hessian: p in place of p (1 - p)",
        *(bradley_terry, skill),
        hessian=bradley_terry_hessian_unweighted,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Bradley-Terry, product of the Hessian: the prior with the skills, not the direction",
        *(bradley_terry, skill),
        hessian_product=bradley_terry_product_prior_by_skill,
        kinds=frozenset({Kind.PENALTY, Kind.INDEX}),
    ),
    Practice("Elo with an advantage at home", elo, ratings, (winners, losers, home), gradient=elo_gradient),
    Practice(
        "Elo: the scale ln 10 / 400 forgotten",
        *(elo, ratings, (winners, losers, home)),
        gradient=elo_gradient_no_scale,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "Elo: the winner taken to be at home always",
        *(elo, ratings, (winners, losers, home)),
        gradient=elo_gradient_always_at_home,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.BIAS}),
    ),
    Practice("Plackett-Luce", plackett_luce, w3, (features, rankings), gradient=plackett_luce_gradient),
    Practice(
        "Plackett-Luce: only the first places",
        *(plackett_luce, w3, (features, rankings)),
        gradient=plackett_luce_first_place,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Plackett-Luce: the rankings from the last to the first",
        *(plackett_luce, w3, (features, rankings)),
        gradient=plackett_luce_last_first,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "Plackett-Luce: a sum for the mean",
        *(plackett_luce, w3, (features, rankings)),
        gradient=plackett_luce_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice("pairwise hinge", hinge, w4, judged, {"C": 0.7}, gradient=hinge_gradient),
    Practice(
        "pairwise hinge: the mask of the margin forgotten",
        *(hinge, w4, judged, {"C": 0.7}),
        gradient=hinge_gradient_all_pairs,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "pairwise hinge: pairs across the queries",
        *(hinge, w4, judged, {"C": 0.7}),
        gradient=hinge_gradient_across_queries,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "pairwise hinge: C at the penalty, not at the hinge",
        *(hinge, w4, judged, {"C": 0.7}),
        gradient=hinge_gradient_c_on_the_wrong_part,
        kinds=frozenset({Kind.FACTOR, Kind.PENALTY}),
    ),
    Practice(
        "pairwise hinge: the sign of the difference",
        *(hinge, w4, judged, {"C": 0.7}),
        gradient=hinge_gradient_of_difference,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice("RankNet with a hidden layer", rank_net, hidden, (documents, better), gradient=rank_net_gradient),
    Practice(
        "LambdaRank with a hidden layer", rank_net, hidden, (documents, gains * better), gradient=rank_net_gradient
    ),
    Practice(
        "RankNet: the derivative of tanh forgotten",
        *(rank_net, hidden, (documents, better)),
        gradient=rank_net_no_tanh,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "LambdaRank: the pairs' weights forgotten",
        *(rank_net, hidden, (documents, gains * better)),
        gradient=rank_net_unweighted,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "RankNet: only the better one of each pair",
        *(rank_net, hidden, (documents, better)),
        gradient=rank_net_better_half,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "RankNet: the pairs summed over the wrong axes",
        *(rank_net, hidden, (documents, better)),
        gradient=rank_net_axes,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice("ListNet", list_net, w4, (lists, relevance), gradient=list_net_gradient),
    Practice("ListNet, Hessian", list_net, w4, (lists, relevance), hessian=list_net_hessian),
    Practice(
        "ListNet: softmax over the queries",
        *(list_net, w4, (lists, relevance)),
        gradient=list_net_over_queries,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "ListNet: the grades in place of their softmax",
        *(list_net, w4, (lists, relevance)),
        gradient=list_net_relevance,
        kinds=frozenset({Kind.UNKNOWN, Kind.CHAIN_RULE}),
    ),
    Practice(
        "ListNet, Hessian: p (1 - p), the documents' covariances forgotten",
        *(list_net, w4, (lists, relevance)),
        hessian=list_net_hessian_sigmoid,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice("triplets, a constant of a million", triplets, embedding, gradient=triplets_gradient),
    Practice(
        "triplets: the margin forgotten in the mask",
        *(triplets, embedding),
        gradient=triplets_gradient_margin,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    Practice(
        "triplets: the distance to the far one left out",
        *(triplets, embedding),
        gradient=triplets_gradient_positive_only,
        kinds=frozenset({Kind.MISSING}),
    ),
]
