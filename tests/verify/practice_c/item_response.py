"""Psychometrics: item response models, factor analysis, ordered and paired judgements, magnitudes."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(204)

# two parameters an item: P(right) = σ(a_j (θ_i − b_j)); some answers are not given
PEOPLE, ITEMS = 9, 6
ANSWERS = (rng.random((PEOPLE, ITEMS)) < 0.55).astype(float)
GIVEN = rng.random((PEOPLE, ITEMS)) < 0.85
TEST = {
    "ability": rng.standard_normal(PEOPLE),
    "log_slope": 0.3 * rng.standard_normal(ITEMS),
    "difficulty": rng.standard_normal(ITEMS),
}


def answer_cost(p, answers, given):
    z = jnp.exp(p["log_slope"]) * (p["ability"][:, None] - p["difficulty"])
    nll = jnp.where(given, softplus(z) - answers * z, 0.0)
    return nll.sum() + 0.5 * jnp.sum(p["ability"] ** 2) + 0.25 * jnp.sum(p["log_slope"] ** 2)


def score_gradient(p, answers, given):
    """Person by person and item by item."""
    ability, a, b = np.asarray(p["ability"]), np.exp(p["log_slope"]), np.asarray(p["difficulty"])
    g = {"ability": ability.copy(), "log_slope": 0.5 * np.asarray(p["log_slope"]), "difficulty": np.zeros(ITEMS)}
    for i in range(PEOPLE):
        for j in range(ITEMS):
            if given[i, j]:
                e = 1 / (1 + np.exp(-a[j] * (ability[i] - b[j]))) - answers[i, j]
                g["ability"][i] += a[j] * e
                g["difficulty"][j] -= a[j] * e
                g["log_slope"][j] += a[j] * (ability[i] - b[j]) * e
    return g


def errors(p, answers, given):
    gap = p["ability"][:, None] - p["difficulty"]
    a = jnp.exp(p["log_slope"])
    return a, gap, given * (sigmoid(a * gap) - answers)


def score_all_given(p, answers, given):
    """Blanks count as wrong answers."""
    return score_gradient(p, answers, np.ones_like(given))


def score_without_slope(p, answers, given):
    """As in Rasch's model by ability and difficulty."""
    a, gap, e = errors(p, answers, given)
    slope = a * (gap * e).sum(axis=0) + 0.5 * p["log_slope"]
    return {"ability": e.sum(axis=1) + p["ability"], "log_slope": slope, "difficulty": -e.sum(axis=0)}


def score_two_slips(p, answers, given):
    """The difficulty's sign, and no prior on the abilities."""
    a, gap, e = errors(p, answers, given)
    slope = a * (gap * e).sum(axis=0) + 0.5 * p["log_slope"]
    return {"ability": e @ a, "log_slope": slope, "difficulty": a * e.sum(axis=0)}


def score_prior_doubled(p, answers, given):
    a, gap, e = errors(p, answers, given)
    slope = a * (gap * e).sum(axis=0) + p["log_slope"]
    return {"ability": e @ a + p["ability"], "log_slope": slope, "difficulty": -a * e.sum(axis=0)}


# abilities alone, items known: the Hessian is diagonal


def ability_cost(ability, answers, slope, difficulty):
    z = slope * (ability[:, None] - difficulty)
    return jnp.mean(softplus(z) - answers * z)


def ability_hessian(ability, answers, slope, difficulty):
    pi = sigmoid(slope * (ability[:, None] - difficulty))
    return jnp.diag((pi * (1 - pi)) @ slope**2) / answers.size


def ability_slope_once(ability, answers, slope, difficulty):
    pi = sigmoid(slope * (ability[:, None] - difficulty))
    return jnp.diag((pi * (1 - pi)) @ slope) / answers.size


def ability_each_person(ability, answers, slope, difficulty):
    """The mean over items, where the cost has one over all answers."""
    pi = sigmoid(slope * (ability[:, None] - difficulty))
    return jnp.diag(((pi * (1 - pi)) * slope**2).mean(axis=1))


# factor analysis: Σ = ΛΛᵀ + Ψ, the sample covariance S; Wishart's likelihood
SCORES = rng.standard_normal((40, 5)) @ rng.standard_normal((5, 5))
S = np.cov(SCORES.T)
FACTORS = {"loadings": rng.standard_normal((5, 2)), "log_psi": 0.5 * rng.standard_normal(5)}


def factor_cost(p, S, n):
    Sigma = p["loadings"] @ p["loadings"].T + jnp.diag(jnp.exp(p["log_psi"]))
    return 0.5 * n * (jnp.linalg.slogdet(Sigma)[1] + jnp.trace(jnp.linalg.solve(Sigma, S)))


def factor_gradient(p, S, n):
    """By Woodbury's inverse."""
    L, psi = p["loadings"], jnp.exp(p["log_psi"])
    scaled = L / psi[:, None]
    inverse = jnp.diag(1 / psi) - scaled @ jnp.linalg.solve(jnp.eye(2) + L.T @ scaled, scaled.T)
    G = n * (inverse - inverse @ S @ inverse)
    return {"loadings": G @ L, "log_psi": 0.5 * psi * jnp.diag(G)}


def factor_slip(p, S, n, determinant=1.0, data=1.0, chain=True, half=0.5):
    L, psi = p["loadings"], jnp.exp(p["log_psi"])
    inverse = jnp.linalg.inv(L @ L.T + jnp.diag(psi))
    G = n * (determinant * inverse - data * inverse @ S @ inverse)
    return {"loadings": 2 * half * G @ L, "log_psi": 0.5 * (psi if chain else 1.0) * jnp.diag(G)}


# Thurstone's paired judgements, probit, the first stimulus fixed at 0
PAIRS = np.array([[0, 1], [2, 0], [1, 2], [3, 1], [2, 3], [3, 0], [1, 0], [3, 2], [1, 2]])
SCALE = np.array([0.4, -0.3, 0.9])


def judgement_cost(scale, pairs):
    full = jnp.concatenate([jnp.zeros(1), scale])
    d = (full[pairs[:, 0]] - full[pairs[:, 1]]) / jnp.sqrt(2.0)
    return -jnp.sum(jax.scipy.special.log_ndtr(d))


def judgement_gradient(scale, pairs, root=2.0**0.5, both=True):
    full = np.concatenate([[0.0], scale])
    g = np.zeros(4)
    for better, worse in pairs:
        d = (full[better] - full[worse]) / np.sqrt(2.0)
        mills = np.exp(-(d**2) / 2) / np.sqrt(2 * np.pi) / jax.scipy.stats.norm.cdf(d)
        g[better] -= mills / root
        if both:
            g[worse] += mills / root
    return g[1:]


# Stevens' power law, NumPy: magnitudes of loudness, log-log with a guessing floor
INTENSITY = np.array([0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])
LOUDNESS = np.array([0.5, 0.9, 1.2, 1.7, 2.9, 4.2, 5.8])
POWER = np.array([0.2, 0.5, -1.0])  # log gain, exponent, log floor


def loudness_cost(v, intensity, loudness):
    return np.mean(np.abs(np.log(np.exp(v[0]) * intensity ** v[1] + np.exp(v[2])) - np.log(loudness)))


def loudness_gradient(v, intensity, loudness):
    signal, floor = np.exp(v[0]) * intensity ** v[1], np.exp(v[2])
    s = np.sign(np.log(signal + floor) - np.log(loudness)) / (signal + floor) / len(loudness)
    return np.array([s @ signal, s @ (signal * np.log(intensity)), s.sum() * floor])


def loudness_error(v, intensity, loudness):
    """The error for its sign: the gradient of half the squares."""
    signal, floor = np.exp(v[0]) * intensity ** v[1], np.exp(v[2])
    s = (np.log(signal + floor) - np.log(loudness)) / (signal + floor) / len(loudness)
    return np.array([s @ signal, s @ (signal * np.log(intensity)), s.sum() * floor])


def loudness_power_rule(v, intensity, loudness):
    """x^(p − 1) p, the derivative by the base and not by the exponent."""
    g = loudness_gradient(v, intensity, loudness)
    signal, floor = np.exp(v[0]) * intensity ** v[1], np.exp(v[2])
    s = np.sign(np.log(signal + floor) - np.log(loudness)) / (signal + floor) / len(loudness)
    return np.array([g[0], s @ (signal * v[1] / intensity), g[2]])


CASES = [
    score := Practice(
        "items of two parameters, a double loop", answer_cost, TEST, (ANSWERS, GIVEN), gradient=score_gradient
    ),
    score._replace(
        name="items of two parameters, blanks counted as wrong",
        gradient=score_all_given,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    score._replace(
        name="items of two parameters, the slope forgotten",
        gradient=score_without_slope,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    score._replace(
        name="items of two parameters, the difficulty's sign and no prior on abilities",
        gradient=score_two_slips,
        kinds=frozenset({Kind.SIGN, Kind.PENALTY}),
        all_needed=True,
    ),
    score._replace(
        name="items of two parameters, the slopes' prior doubled",
        gradient=score_prior_doubled,
        kinds=frozenset({Kind.PENALTY, Kind.FACTOR}),
    ),
    abilities := Practice(
        "abilities, Hessian by a diagonal",
        ability_cost,
        TEST["ability"],
        (ANSWERS, np.exp(TEST["log_slope"]), TEST["difficulty"]),
        hessian=ability_hessian,
    ),
    abilities._replace(
        name="abilities, the slope once and not squared in the Hessian",
        hessian=ability_slope_once,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    abilities._replace(
        name="abilities, the Hessian averaged over items only",
        hessian=ability_each_person,
        kinds=frozenset({Kind.FACTOR}),
    ),
    factors := Practice("factor analysis by Woodbury", factor_cost, FACTORS, (S, 40.0), gradient=factor_gradient),
    factors._replace(
        name="factor analysis, the log-determinant left out",
        gradient=lambda p, S, n: factor_slip(p, S, n, determinant=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
    factors._replace(
        name="factor analysis, the sign of the trace",
        gradient=lambda p, S, n: factor_slip(p, S, n, data=-1.0),
        kinds=frozenset({Kind.SIGN}),
    ),
    factors._replace(
        name="factor analysis, the loadings on one side only",
        gradient=lambda p, S, n: factor_slip(p, S, n, half=0.25),
        kinds=frozenset({Kind.FACTOR}),
    ),
    factors._replace(
        name="factor analysis, by the uniquenesses and not their logarithms",
        gradient=lambda p, S, n: factor_slip(p, S, n, chain=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    factors._replace(
        name="factor analysis, the trace's sign and by the uniquenesses themselves",
        gradient=lambda p, S, n: factor_slip(p, S, n, data=-1.0, chain=False),
        kinds=frozenset({Kind.SIGN, Kind.CHAIN_RULE}),
        all_needed=True,
    ),
    judgements := Practice(
        "paired judgements, a loop over pairs", judgement_cost, SCALE, (PAIRS,), gradient=judgement_gradient
    ),
    judgements._replace(
        name="paired judgements, the root of 2 forgotten",
        gradient=lambda scale, pairs: judgement_gradient(scale, pairs, root=1.0),
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    judgements._replace(
        name="paired judgements, the worse of the two forgotten",
        gradient=lambda scale, pairs: judgement_gradient(scale, pairs, both=False),
        kinds=frozenset({Kind.MISSING, Kind.INDEX}),
    ),
    loudness := Practice(
        "power law of loudness, absolute errors",
        loudness_cost,
        POWER,
        (INTENSITY, LOUDNESS),
        gradient=loudness_gradient,
    ),
    loudness._replace(
        name="power law of loudness, the error for its sign",
        gradient=loudness_error,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    loudness._replace(
        name="power law of loudness, by the base and not the exponent",
        gradient=loudness_power_rule,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.ENTRY}),
    ),
]
