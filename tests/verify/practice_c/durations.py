"""Durations: Cox with tied deaths, frailty, competing causes, cured shares, times known to an interval."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(214)
m = 16
X = rng.standard_normal((m, 2))
TIME = np.ceil(3 * rng.exponential(1.2, m))  # in whole months: ties
DEAD = (rng.random(m) < 0.7).astype(float)
BETA = np.array([0.5, -0.3])
MONTHS = np.unique(TIME[DEAD > 0])


# Cox's partial likelihood, ties as Efron has them: the l-th of d deaths sees the tied ones with weight 1 − l/d


def efron_cost(beta, X, time, dead):
    eta = X @ beta
    total = -jnp.sum(dead * eta)
    for month in MONTHS:
        risk = jnp.sum(jnp.where(time >= month, jnp.exp(eta), 0.0))
        tied = (time == month) & (dead > 0)
        own, d = jnp.sum(jnp.where(tied, jnp.exp(eta), 0.0)), int(tied.sum())
        for position in range(d):
            total += jnp.log(risk - position / d * own)
    return total


def efron_gradient(beta, X, time, dead, efron=1.0, strict=False):
    w = np.exp(X @ beta)
    g = -X.T @ dead
    for month in MONTHS:
        at_risk = time > month if strict else time >= month
        tied = (time == month) & (dead > 0)
        at_risk = at_risk | tied
        for position in range(tied.sum()):
            v = w * (at_risk - efron * position / tied.sum() * tied)
            g = g + v @ X / v.sum()
    return g


def efron_hessian(beta, X, time, dead, centred=True):
    w, H = np.exp(X @ beta), np.zeros((2, 2))
    for month in MONTHS:
        tied = (time == month) & (dead > 0)
        for position in range(tied.sum()):
            v = w * ((time >= month) - position / tied.sum() * tied)
            Z = X - v @ X / v.sum() if centred else X
            H += (Z.T * v) @ Z / v.sum()
    return H


# a gamma frailty of centres: {"beta", "log_rate", "log_theta"}, variance θ, exponential times
CENTRE = rng.integers(0, 4, m)
FRAIL = {"beta": BETA, "log_rate": np.array(-1.3), "log_theta": np.array(-0.6)}


def frailty_cost(p, X, time, dead):
    theta, eta = jnp.exp(p["log_theta"]), X @ p["beta"] + p["log_rate"]
    hazard = jax.ops.segment_sum(time * jnp.exp(eta), CENTRE, 4)
    deaths = np.bincount(CENTRE, dead, 4)
    rising = sum(jnp.sum(jnp.where(deaths > j, jnp.log1p(j * theta), 0.0)) for j in range(int(deaths.max())))
    return jnp.sum((deaths + 1 / theta) * jnp.log1p(theta * hazard)) - dead @ eta - rising


def frailty_gradient(p, X, time, dead, shrink=True, rising=1.0, share=1.0):
    theta, eta = np.exp(p["log_theta"]), X @ p["beta"] + p["log_rate"]
    risk = time * np.exp(eta)
    hazard, deaths = np.bincount(CENTRE, risk, 4), np.bincount(CENTRE, dead, 4)
    frailty = (1 + theta * deaths) / (1 + theta * hazard) if shrink else np.ones(4)
    e = frailty[CENTRE] * risk - dead
    by_theta = np.sum((deaths + 1 / theta) * hazard / (1 + theta * hazard))
    by_theta -= share * np.sum(np.log1p(theta * hazard)) / theta**2
    by_theta -= rising * sum(np.sum(j / (1 + j * theta)) for d in deaths for j in range(int(d)))
    return {"beta": e @ X, "log_rate": e.sum(), "log_theta": theta * by_theta}


# competing causes: a rate each by exp; cause 0 is censored, causes 1 and 2 are events; (slopes, intercepts)
CAUSE = rng.integers(0, 3, m)
RISKS = (0.4 * rng.standard_normal((2, 2)), np.array([-1.5, -1.1]))


def causes_cost(params, X, time, cause):
    eta = X @ params[0] + params[1]
    event = jnp.stack([cause == 1, cause == 2], axis=1)
    return jnp.mean(jnp.sum(time[:, None] * jnp.exp(eta) - event * eta, axis=1))


def causes_gradient(params, X, time, cause, shift=0, both=True):
    rate = jnp.exp(X @ params[0] + params[1])
    event = jax.nn.one_hot(cause - 1 + shift, 2)  # −1 has no column
    at_risk = rate if both else rate * event
    e = (time[:, None] * at_risk - event) / len(time)
    return jnp.einsum("ni,nk->ik", X, e), e.sum(axis=0)


# a share is cured: S(t) = 1 − π + π e^(−λt); NumPy
CURE = {"share": np.array([0.4, 0.7, -0.2]), "log_rate": np.array(-0.9)}


def cure_cost(p, X, time, dead):
    pi, rate = 1 / (1 + np.exp(-(p["share"][0] + X @ p["share"][1:]))), np.exp(p["log_rate"])
    density = np.log(pi) + np.log(rate) - rate * time
    return -np.sum(dead * density + (1 - dead) * np.log(1 - pi + pi * np.exp(-rate * time)))


def cure_gradient(p, X, time, dead, logit=True, survivors=True, sign=1.0):
    pi, rate = 1 / (1 + np.exp(-(p["share"][0] + X @ p["share"][1:]))), np.exp(p["log_rate"])
    alive = pi * np.exp(-rate * time)
    w = np.where(dead > 0, 1.0, alive / (1 - pi + alive if survivors else 1.0))
    e = pi - w if logit else (pi - w) / (pi * (1 - pi))
    return {
        "share": np.concatenate([[e.sum()], X.T @ e]),
        "log_rate": sign * (np.sum(w * rate * time) - dead.sum()),
    }


# known to an interval, log-logistic: F(b) − F(a); b may be infinite; Hessian by location and log scale
START, END = np.array([0.5, 1.0, 2.0, 2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.5, 5.0, np.inf, np.inf])


def interval_cost(v, a, b):
    late = jnp.where(jnp.isfinite(b), jnp.log(jnp.where(jnp.isfinite(b), b, 1.0)), 40.0)
    k = jnp.exp(v[1])
    return -jnp.sum(jnp.log(sigmoid(k * (late - v[0])) - sigmoid(k * (jnp.log(a) - v[0]))))


def interval_gradient(v, a, b, upper=1.0):
    k = np.exp(v[1])
    g = np.zeros(2)
    for begin, end in zip(a, b, strict=True):
        Fa = 1 / (1 + np.exp(-k * (np.log(begin) - v[0])))
        Fb = 1 / (1 + np.exp(-k * (np.log(end) - v[0]))) if np.isfinite(end) else 1.0
        fa, fb = Fa * (1 - Fa), Fb * (1 - Fb)
        width = Fb - Fa
        g[0] += k * (upper * fb - fa) / width
        later = k * (np.log(end) - v[0]) * fb if np.isfinite(end) else 0.0
        g[1] -= (upper * later - k * (np.log(begin) - v[0]) * fa) / width
    return g


# all times seen, exponential, by their logarithms; a soft penalty of large coefficients


def log_time_cost(beta, X, time):
    r = jnp.log(time) - X @ beta
    return jnp.sum(jnp.exp(r) - r) + 6.0 * jnp.sum(softplus(beta) ** 2)


def log_time_product(beta, X, time, v, slope=1.0):
    w = jnp.exp(jnp.log(time) - X @ beta)
    s = sigmoid(beta)
    return X.T @ (w * (X @ v)) + 12.0 * (s**2 + slope * softplus(beta) * s * (1 - s)) * v


CASES = [
    efron := Practice(
        "Cox, ties by Efron", efron_cost, BETA, (X, TIME, DEAD), gradient=efron_gradient, hessian=efron_hessian
    ),
    efron._replace(
        name="Cox, ties by Breslow where the cost has Efron's",
        gradient=lambda beta, X, time, dead: efron_gradient(beta, X, time, dead, efron=0.0),
        hessian=None,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    efron._replace(
        name="Cox with ties, those censored in the month not at risk",
        gradient=lambda beta, X, time, dead: efron_gradient(beta, X, time, dead, strict=True),
        hessian=None,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE, Kind.INDEX}),
    ),
    efron._replace(
        name="Cox with ties, covariates not centred in the Hessian",
        gradient=None,
        hessian=lambda beta, X, time, dead: efron_hessian(beta, X, time, dead, centred=False),
        kinds=frozenset({Kind.MISSING}),
    ),
    frailty := Practice("frailty of centres", frailty_cost, FRAIL, (X, TIME, DEAD), gradient=frailty_gradient),
    frailty._replace(
        name="frailty of centres, all frailties taken for 1",
        gradient=lambda p, X, time, dead: frailty_gradient(p, X, time, dead, shrink=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    frailty._replace(
        name="frailty of centres, 1/theta before the logarithm held fixed",
        gradient=lambda p, X, time, dead: frailty_gradient(p, X, time, dead, share=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    causes := Practice("competing causes", causes_cost, RISKS, (X, TIME, CAUSE), gradient=causes_gradient),
    causes._replace(
        name="competing causes, the cause off by one",
        gradient=lambda params, X, time, cause: causes_gradient(params, X, time, cause, shift=1),
        kinds=frozenset({Kind.INDEX}),
    ),
    causes._replace(
        name="competing causes, at risk only of the cause that came",
        gradient=lambda params, X, time, cause: causes_gradient(params, X, time, cause, both=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    cure := Practice("a cured share, NumPy", cure_cost, CURE, (X, TIME, DEAD), gradient=cure_gradient),
    cure._replace(
        name="a cured share, the cured not among the survivors",
        gradient=lambda p, X, time, dead: cure_gradient(p, X, time, dead, survivors=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    cure._replace(
        name="a cured share, by the share and not its logit, and the rate's sign",
        gradient=lambda p, X, time, dead: cure_gradient(p, X, time, dead, logit=False, sign=-1.0),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.SIGN}),
        all_needed=True,
    ),
    interval := Practice(
        "times known to an interval", interval_cost, np.array([0.8, 0.3]), (START, END), gradient=interval_gradient
    ),
    interval._replace(
        name="times known to an interval, its end forgotten",
        gradient=lambda v, a, b: interval_gradient(v, a, b, upper=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    log_time := Practice(
        "log times with a soft penalty, products", log_time_cost, BETA, (X, TIME), hessian_product=log_time_product
    ),
    log_time._replace(
        name="log times with a soft penalty, its second derivative left out",
        hessian_product=lambda beta, X, time, v: log_time_product(beta, X, time, v, slope=0.0),
        kinds=frozenset({Kind.MISSING, Kind.EXPECTED, Kind.PENALTY}),
    ),
]
