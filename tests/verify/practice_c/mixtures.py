"""Mixtures: of regressions, of directions, experts with a gate, Dirichlet counts, Student's tails, an ELBO."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import logsumexp, softmax
from jax.scipy.special import digamma, gammaln, i0e, i1e, polygamma

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(213)
X = np.column_stack([np.ones(16), rng.standard_normal(16)])
y = np.where(rng.random(16) < 0.5, X @ [1.0, 0.8], X @ [-1.0, 0.2]) + 0.4 * rng.standard_normal(16)

# experts: a gate by x, a line each, one precision for both (its logarithm)
EXPERTS = {
    "gate": 0.5 * rng.standard_normal((2, 2)),
    "line": np.array([[0.8, -0.7], [0.5, 0.1]]),
    "log_precision": np.array(0.9),
}


def experts_cost(p, X, y):
    gate = jax.nn.log_softmax(X @ p["gate"], axis=1)
    r = y[:, None] - X @ p["line"]
    return -jnp.sum(logsumexp(gate + 0.5 * p["log_precision"] - 0.5 * jnp.exp(p["log_precision"]) * r**2, axis=1))


def experts_gradient(p, X, y, prior=True, gated=True, each=True):
    tau = np.exp(p["log_precision"])
    pi = np.exp(X @ p["gate"])
    pi /= pi.sum(axis=1, keepdims=True)
    r = y[:, None] - X @ p["line"]
    joint = np.exp(-0.5 * tau * r**2) * (pi if gated else 1.0)
    w = joint / joint.sum(axis=1, keepdims=True)
    return {
        "gate": X.T @ ((pi if prior else 0.0) - w),
        "line": -tau * X.T @ (w * r),
        "log_precision": -0.5 * (len(y) if each else 1.0) + 0.5 * tau * np.sum(w * r**2),
    }


# directions: two von Mises components; {"mean", "log_kappa", "logit"}
ANGLES = rng.vonmises(0.5, 3.0, 18)
WIND = {"mean": np.array([0.4, -1.5]), "log_kappa": np.array([0.8, 0.1]), "logit": np.array(0.3)}


def wind_cost(p, angles):
    kappa = jnp.exp(p["log_kappa"])
    log_pi = jax.nn.log_sigmoid(jnp.stack([p["logit"], -p["logit"]]))
    density = kappa * (jnp.cos(angles[:, None] - p["mean"]) - 1) - jnp.log(i0e(kappa))
    return -jnp.sum(logsumexp(log_pi + density, axis=1))


def wind_gradient(p, angles, normaliser=1.0, chain=True):
    """A(κ) = I₁ / I₀."""
    kappa, gap = jnp.exp(p["log_kappa"]), angles[:, None] - p["mean"]
    pi = jax.nn.sigmoid(p["logit"])
    joint = jnp.array([pi, 1 - pi]) * jnp.exp(kappa * (jnp.cos(gap) - 1)) / i0e(kappa)
    w = joint / joint.sum(axis=1, keepdims=True)
    ratio = normaliser * i1e(kappa) / i0e(kappa)
    return {
        "mean": -kappa * jnp.sum(w * jnp.sin(gap), axis=0),
        "log_kappa": -(kappa if chain else 1.0) * jnp.sum(w * (jnp.cos(gap) - ratio), axis=0),
        "logit": len(angles) * pi - w[:, 0].sum(),
    }


# counts by a Dirichlet-multinomial, log α; the Hessian by trigamma
VOTES = rng.multinomial(12, [0.5, 0.3, 0.2], 7).astype(float)
LOG_ALPHA = np.array([0.9, 0.4, -0.1])


def votes_cost(log_alpha, votes):
    a = jnp.exp(log_alpha)
    terms = gammaln(a.sum()) - gammaln(votes.sum(axis=1) + a.sum()) + jnp.sum(gammaln(votes + a) - gammaln(a), axis=1)
    return -terms.sum()


def votes_gradient(log_alpha, votes, total=1.0):
    """Sums of 1 / (α + i) for whole counts, in the place of digamma."""
    a = np.exp(log_alpha)
    g = np.zeros(3)
    for row in votes.astype(int):
        for k in range(3):
            g[k] -= sum(1 / (a[k] + i) for i in range(row[k]))
        g += total * sum(1 / (a.sum() + i) for i in range(row.sum()))
    return a * g


def votes_hessian(log_alpha, votes, own=1.0):
    a = jnp.exp(log_alpha)
    n = votes.sum(axis=1)
    by_a = jnp.sum(digamma(n + a.sum()) - digamma(a.sum())) - jnp.sum(digamma(votes + a) - digamma(a), axis=0)
    common = jnp.sum(polygamma(1, n + a.sum()) - polygamma(1, a.sum()))
    each = jnp.sum(polygamma(1, votes + a) - polygamma(1, a), axis=0)
    return common * jnp.outer(a, a) - jnp.diag(each * a**2 - own * by_a * a)


# Student's tails: a line, log scale, log ν
HEAVY = (np.array([0.1, 0.4]), np.array(-0.4), np.array(1.2))


def heavy_cost(params, X, y):
    beta, log_s, log_nu = params
    nu, r = jnp.exp(log_nu), (y - X @ beta) / jnp.exp(log_s)
    each = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * jnp.log(nu * jnp.pi) - log_s
    return -jnp.mean(each - (nu + 1) / 2 * jnp.log1p(r**2 / nu))


def heavy_gradient(params, X, y, weigh=True, power=True):
    beta, log_s, log_nu = params
    nu, r = jnp.exp(log_nu), (y - X @ beta) / jnp.exp(log_s)
    u = (nu + 1) / (nu + r**2) if weigh else jnp.ones_like(r)
    by_nu = 0.5 * (digamma((nu + 1) / 2) - digamma(nu / 2) - 1 / nu - jnp.log1p(r**2 / nu))
    by_nu += (0.5 * u * r**2 / nu) if power else 0.0
    m = len(y)
    return -X.T @ (u * r) / (m * jnp.exp(log_s)), 1 - jnp.mean(u * r**2), -nu * jnp.mean(by_nu)


# ELBO of a logistic regression by fixed draws: mean and log deviation, prior N(0, 2)
BITS, DRAWS = (y > 0).astype(float), rng.standard_normal((6, 2))
POSTERIOR = [np.array([0.3, 0.8]), np.array([-0.7, -0.4])]


def elbo_cost(q, X, bits, draws):
    w = q[0] + jnp.exp(q[1]) * draws
    fit = jnp.mean(jnp.sum(jax.nn.softplus(w @ X.T) - bits * (w @ X.T), axis=1))
    return fit + 0.5 * jnp.sum((jnp.exp(2 * q[1]) + q[0] ** 2) / 2.0 - 2 * q[1])


def elbo_gradient(q, X, bits, draws, prior=2.0, entropy=1.0):
    s = jnp.exp(q[1])
    e = (jax.nn.sigmoid((q[0] + s * draws) @ X.T) - bits) @ X
    return [e.mean(axis=0) + q[0] / prior, s * jnp.mean(e * draws, axis=0) + s**2 / prior - entropy]


# fuzzy clusters: the memberships are logits, their entropy keeps them soft
SOFT = (rng.standard_normal((16, 3)), rng.standard_normal((3, 2)))


def soft_cost(params, data):
    R = softmax(params[0], axis=1)
    return jnp.einsum("nk,nk->", R, jnp.sum((data[:, None] - params[1]) ** 2, axis=-1)) + jnp.sum(R * jnp.log(R))


def soft_gradient(params, data, entropy=1.0):
    """The 1 of (R log R)′ cancels in the rows of the softmax."""
    Z, M = params
    R = softmax(Z, axis=1)
    d = jnp.sum((data[:, None] - M) ** 2, axis=-1) + entropy * jnp.log(R)
    return R * (d - jnp.sum(R * d, axis=1, keepdims=True)), 2 * (R.sum(axis=0)[:, None] * M - R.T @ data)


CASES = [
    experts := Practice("experts with a gate", experts_cost, EXPERTS, (X, y), gradient=experts_gradient),
    experts._replace(
        name="experts with a gate, the gate's normaliser left out",
        gradient=lambda p, X, y: experts_gradient(p, X, y, prior=False),
        kinds=frozenset({Kind.MISSING}),
    ),
    experts._replace(
        name="experts with a gate, responsibilities without the gate",
        gradient=lambda p, X, y: experts_gradient(p, X, y, gated=False),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    experts._replace(
        name="experts with a gate, one precision's normaliser for all",
        gradient=lambda p, X, y: experts_gradient(p, X, y, each=False),
        kinds=frozenset({Kind.FACTOR}),
    ),
    wind := Practice("directions of two winds", wind_cost, WIND, (ANGLES,), gradient=wind_gradient),
    wind._replace(
        name="directions of two winds, Bessel's normaliser left out",
        gradient=lambda p, angles: wind_gradient(p, angles, normaliser=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
    votes := Practice(
        "votes by a Dirichlet, gradient and Hessian",
        votes_cost,
        LOG_ALPHA,
        (VOTES,),
        gradient=votes_gradient,
        hessian=votes_hessian,
    ),
    votes._replace(
        name="votes by a Dirichlet, the totals' part left out",
        gradient=lambda log_alpha, votes: votes_gradient(log_alpha, votes, total=0.0),
        hessian=None,
        kinds=frozenset({Kind.MISSING}),
    ),
    votes._replace(
        name="votes by a Dirichlet, the gradient's part of the logarithm left out of the Hessian",
        gradient=None,
        hessian=lambda log_alpha, votes: votes_hessian(log_alpha, votes, own=0.0),
        kinds=frozenset({Kind.MISSING, Kind.EXPECTED, Kind.CHAIN_RULE}),
    ),
    heavy := Practice("Student's tails", heavy_cost, HEAVY, (X, y), gradient=heavy_gradient),
    heavy._replace(
        name="Student's tails, weights as for a normal",
        gradient=lambda params, X, y: heavy_gradient(params, X, y, weigh=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    heavy._replace(
        name="Student's tails, nu below the square held fixed",
        gradient=lambda params, X, y: heavy_gradient(params, X, y, power=False),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    elbo := Practice("ELBO by fixed draws", elbo_cost, POSTERIOR, (X, BITS, DRAWS), gradient=elbo_gradient),
    elbo._replace(
        name="ELBO by fixed draws, the prior's deviation for its variance",
        gradient=lambda q, X, bits, draws: elbo_gradient(q, X, bits, draws, prior=2.0**0.5),
        kinds=frozenset({Kind.PENALTY, Kind.FACTOR}),
    ),
    Practice("responsibilities as logits", soft_cost, SOFT, (np.column_stack([X[:, 1], y]),), gradient=soft_gradient),
]
