"""Econometrics: censored regression, conditional logit, GARCH, moments with instruments, panels."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr
from jax.scipy.stats import norm

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(203)

# Tobit: hours of work, censored at 0; parameters (beta, log sigma)
X = np.column_stack([np.ones(22), rng.standard_normal((22, 2))])
WORK = np.maximum(0.0, X @ np.array([0.4, 1.0, -0.7]) + 0.8 * rng.standard_normal(22))
TOBIT = (np.array([0.3, 0.8, -0.6]), np.array(-0.2))


def tobit_cost(params, X, y):
    beta, log_s = params
    r = (y - X @ beta) / jnp.exp(log_s)
    return -jnp.sum(jnp.where(y > 0, norm.logpdf(r) - log_s, log_ndtr(r)))


def tobit_gradient(params, X, y):
    beta, log_s = params
    r = (y - X @ beta) / jnp.exp(log_s)
    mills = jnp.exp(norm.logpdf(r) - log_ndtr(r))
    by_r = jnp.where(y > 0, r, -mills)
    return -X.T @ by_r / jnp.exp(log_s), (y > 0).sum() - by_r @ r


def tobit_least_squares(params, X, y):
    """The zeros are taken for observed."""
    beta, log_s = params
    r = (y - X @ beta) / jnp.exp(log_s)
    return -X.T @ r / jnp.exp(log_s), len(y) - r @ r


def tobit_density(params, X, y):
    """φ for φ / Φ."""
    beta, log_s = params
    r = (y - X @ beta) / jnp.exp(log_s)
    by_r = jnp.where(y > 0, r, -norm.pdf(r))
    return -X.T @ by_r / jnp.exp(log_s), (y > 0).sum() - by_r @ r


def tobit_all_scales(params, X, y):
    """log σ of the density counted for the censored too."""
    by_beta, by_scale = tobit_gradient(params, X, y)
    return by_beta, by_scale + (y <= 0).sum()


# conditional logit: traveller n chooses among four modes with attributes Z[n, j]; the last constant is 0
Z = rng.standard_normal((14, 4, 2))
CHOICE = rng.integers(0, 4, 14)
TRAVEL = {"taste": np.array([-0.8, 0.5]), "constant": np.array([0.4, -0.3, 0.2])}


def travel_cost(p, Z, choice):
    u = Z @ p["taste"] + jnp.append(p["constant"], 0.0)
    return jnp.sum(jax.nn.logsumexp(u, axis=1) - u[jnp.arange(len(choice)), choice])


def travel_gradient(p, Z, choice):
    u = np.asarray(Z @ p["taste"] + np.append(p["constant"], 0.0))
    by_taste, by_constant = np.zeros(2), np.zeros(4)
    for attributes, un, chosen in zip(Z, u, choice, strict=True):
        share = np.exp(un - un.max())
        share /= share.sum()
        by_taste += share @ attributes - attributes[chosen]
        by_constant += share
        by_constant[chosen] -= 1
    return {"taste": by_taste, "constant": by_constant[:-1]}


def travel_first_base(p, Z, choice):
    """Drops the first mode, where the cost sets the last to zero."""
    u = Z @ p["taste"] + jnp.append(p["constant"], 0.0)
    e = jax.nn.softmax(u, axis=1) - jax.nn.one_hot(choice, 4)
    return {"taste": jnp.einsum("nj,njk->k", e, Z), "constant": e.sum(axis=0)[1:]}


def travel_overwritten(p, Z, choice):
    u = Z @ p["taste"] + jnp.append(p["constant"], 0.0)
    share = jax.nn.softmax(u, axis=1)
    e = share - jax.nn.one_hot(choice, 4)
    by_constant = np.array(share.sum(axis=0))
    by_constant[choice] -= 1  # each mode once, however often it was chosen
    return {"taste": jnp.einsum("nj,njk->k", e, Z), "constant": by_constant[:3]}


def travel_travellers(p, Z, choice):
    """Shares over travellers, not over modes."""
    u = Z @ p["taste"] + jnp.append(p["constant"], 0.0)
    e = jax.nn.softmax(u, axis=0) - jax.nn.one_hot(choice, 4)
    return {"taste": jnp.einsum("nj,njk->k", e, Z), "constant": e.sum(axis=0)[:3]}


def taste_cost(beta, Z, choice):
    u = Z @ beta
    return jnp.sum(jax.nn.logsumexp(u, axis=1) - jnp.take_along_axis(u, choice[:, None], axis=1)[:, 0])


def taste_hessian(beta, Z, choice):
    P = jax.nn.softmax(Z @ beta, axis=1)
    centred = Z - jnp.einsum("nj,njk->nk", P, Z)[:, None]
    return jnp.einsum("nj,njk,njl->kl", P, centred, centred)


def taste_uncentred(beta, Z, choice):
    P = jax.nn.softmax(Z @ beta, axis=1)
    return jnp.einsum("nj,njk,njl->kl", P, Z, Z)


# GARCH(1, 1): logarithms of omega, alpha, beta; the first variance is that of the sample
RETURNS = 0.9 * rng.standard_normal(25)
GARCH = np.log(np.array([0.2, 0.15, 0.6]))


def garch_cost(theta, r):
    omega, alpha, beta = jnp.exp(theta)

    def step(h, r_t):
        return omega + alpha * r_t**2 + beta * h, jnp.log(h) + r_t**2 / h

    return 0.5 * jnp.sum(jax.lax.scan(step, jnp.mean(r**2), r)[1])


def garch_gradient(theta, r, lag=1.0):
    omega, alpha, beta = np.exp(theta)
    h, dh, g = np.mean(r**2), np.zeros(3), np.zeros(3)
    for r_t in r:
        g = g + 0.5 * (1 / h - r_t**2 / h**2) * dh
        dh = np.array([omega, alpha * r_t**2, beta * h]) + lag * beta * dh
        h = omega + alpha * r_t**2 + beta * h
    return g


def garch_updated(theta, r):
    """The variance is updated first, its derivatives then meet the new one."""
    omega, alpha, beta = np.exp(theta)
    h, dh, g = np.mean(r**2), np.zeros(3), np.zeros(3)
    for r_t in r:
        g = g + 0.5 * (1 / h - r_t**2 / h**2) * dh
        h = omega + alpha * r_t**2 + beta * h
        dh = np.array([omega, alpha * r_t**2, beta * h]) + beta * dh
    return g


# moments with instruments: g = Wᵀ(y − Xβ) / n, cost n gᵀ A g
W = np.column_stack([np.ones(22), rng.standard_normal((22, 3)) + 0.5 * X[:, 1:2]])
A = np.linalg.inv(W.T @ W / 22)
PRICE = X @ np.array([0.2, 0.9, -0.4]) + rng.standard_normal(22)


def moments_cost(beta, X, y, W, A):
    g = W.T @ (y - X @ beta) / len(y)
    return len(y) * g @ A @ g


def moments_gradient(beta, X, y, W, A):
    projected = W @ np.linalg.solve(W.T @ W, W.T @ X)  # the first stage's fit
    return -2 * projected.T @ (y - X @ beta)


def moments_hessian(beta, X, y, W, A):
    cross = W.T @ X
    return 2 * cross.T @ A @ cross / len(y)


def moments_half(beta, X, y, W, A):
    """One of the two sides of the quadratic form."""
    g = W.T @ (y - X @ beta) / len(y)
    return -X.T @ W @ (A @ g)


def moments_unprojected(beta, X, y, W, A):
    return -2 * X.T @ (y - X @ beta)


def moments_hessian_mean(beta, X, y, W, A):
    return moments_hessian(beta, X, y, W, A) / len(y)


# a panel: firm effects by an index, a ridge on them
FIRM = rng.integers(0, 5, 22)
PANEL = {"slope": np.array([0.4, -0.2]), "firm": 0.3 * rng.standard_normal(5)}


def panel_cost(p, X, y, firm, shrink=1.5):
    r = y - X @ p["slope"] - p["firm"][firm]
    return 0.5 * jnp.sum(r**2) + 0.5 * shrink * jnp.sum(p["firm"] ** 2)


def panel_gradient(p, X, y, firm, shrink=1.5):
    r = y - X @ p["slope"] - p["firm"][firm]
    return {"slope": -r @ X, "firm": shrink * p["firm"] - jnp.bincount(firm, weights=r, length=5)}


def panel_mean(p, X, y, firm, shrink=1.5):
    """The mean residual of each firm, as in a within estimator."""
    r = y - X @ p["slope"] - p["firm"][firm]
    mean = jnp.bincount(firm, weights=r, length=5) / jnp.bincount(firm, length=5)
    return {"slope": -r @ X, "firm": shrink * p["firm"] - mean}


def panel_shrink(p, X, y, firm, shrink=1.5):
    """The shrinkage once an observation."""
    r = y - X @ p["slope"] - p["firm"][firm]
    return {"slope": -r @ X, "firm": jnp.bincount(firm, weights=shrink * p["firm"][firm] - r, length=5)}


CASES = [
    tobit := Practice("Tobit with Mills' ratio", tobit_cost, TOBIT, (X, WORK), gradient=tobit_gradient),
    tobit._replace(
        name="Tobit, zeros taken for observed",
        gradient=tobit_least_squares,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    tobit._replace(
        name="Tobit, the density for Mills' ratio", gradient=tobit_density, kinds=frozenset({Kind.CHAIN_RULE})
    ),
    tobit._replace(
        name="Tobit, the scale of the censored counted",
        gradient=tobit_all_scales,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    travel := Practice(
        "conditional logit, a loop over travellers", travel_cost, TRAVEL, (Z, CHOICE), gradient=travel_gradient
    ),
    travel._replace(
        name="conditional logit, the wrong mode as base", gradient=travel_first_base, kinds=frozenset({Kind.INDEX})
    ),
    travel._replace(
        name="conditional logit, choices overwrite each other",
        gradient=travel_overwritten,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    travel._replace(
        name="conditional logit, shares over the travellers",
        gradient=travel_travellers,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    taste := Practice(
        "tastes, the Hessian by centred attributes",
        taste_cost,
        np.array([-0.8, 0.5]),
        (Z, CHOICE),
        hessian=taste_hessian,
    ),
    taste._replace(
        name="tastes, attributes not centred in the Hessian",
        hessian=taste_uncentred,
        kinds=frozenset({Kind.MISSING, Kind.DIAGONAL}),
    ),
    garch := Practice(
        "GARCH, derivatives beside the recursion", garch_cost, GARCH, (RETURNS,), gradient=garch_gradient
    ),
    garch._replace(
        name="GARCH, the last variance held fixed",
        gradient=lambda theta, r: garch_gradient(theta, r, lag=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    garch._replace(
        name="GARCH, derivatives with the variance already updated",
        gradient=garch_updated,
        kinds=frozenset({Kind.INDEX, Kind.CHAIN_RULE}),
    ),
    moments := Practice(
        "two-stage least squares for moments",
        moments_cost,
        np.array([0.1, 0.7, -0.2]),
        (X, PRICE, W, A),
        gradient=moments_gradient,
        hessian=moments_hessian,
    ),
    moments._replace(
        name="moments, the quadratic form's 2 forgotten",
        gradient=moments_half,
        hessian=None,
        kinds=frozenset({Kind.FACTOR}),
    ),
    moments._replace(
        name="moments, instruments forgotten",
        gradient=moments_unprojected,
        hessian=None,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    moments._replace(
        name="moments, the Hessian divided by n twice",
        gradient=None,
        hessian=moments_hessian_mean,
        kinds=frozenset({Kind.FACTOR}),
    ),
    panel := Practice(
        "panel with shrunk firm effects", panel_cost, PANEL, (X[:, 1:], PRICE, FIRM), gradient=panel_gradient
    ),
    panel._replace(
        name="panel, a firm's mean for its sum", gradient=panel_mean, kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE})
    ),
    panel._replace(
        name="panel, the shrinkage once an observation",
        gradient=panel_shrink,
        kinds=frozenset({Kind.PENALTY, Kind.FACTOR}),
    ),
]
