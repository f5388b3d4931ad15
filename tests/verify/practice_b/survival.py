"""Times to an event with censoring: Weibull, log-normal, log-logistic, Gompertz, hazards in discrete time."""

import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus
from jax.scipy.special import log_ndtr
from jax.scipy.stats import norm

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(111)
m = 26
X = np.column_stack([np.ones(m), rng.standard_normal((m, 2))])
TRUE = np.exp(X @ np.array([0.5, 0.4, -0.6])) * rng.weibull(1.6, m)
CENSOR = rng.exponential(3.0, m)
TIME, EVENT = np.minimum(TRUE, CENSOR), (TRUE <= CENSOR).astype(float)
DATA = (X, TIME, EVENT)

# Weibull, accelerated failure times: log t = xβ + noise / k
WEIBULL = {"beta": np.array([0.4, 0.3, -0.5]), "log_k": np.array(0.35)}


def weibull_cost(p, X, t, event):
    k = jnp.exp(p["log_k"])
    z = k * (jnp.log(t) - X @ p["beta"])
    return -jnp.sum(event * (p["log_k"] + z - jnp.log(t)) - jnp.exp(z))


def weibull_gradient(p, X, t, event):
    k = jnp.exp(p["log_k"])
    z = k * (jnp.log(t) - X @ p["beta"])
    r = event - jnp.exp(z)
    return {"beta": k * X.T @ r, "log_k": -jnp.sum(event + r * z)}


def weibull_censored(p, X, t, event):
    k = jnp.exp(p["log_k"])
    z = k * (jnp.log(t) - X @ p["beta"])
    r = event * (1 - jnp.exp(z))
    return {"beta": k * X.T @ r, "log_k": -jnp.sum(event + r * z)}


def weibull_shape(p, X, t, event):
    """By k, not log k."""
    k = jnp.exp(p["log_k"])
    z = k * (jnp.log(t) - X @ p["beta"])
    r = event - jnp.exp(z)
    return {"beta": k * X.T @ r, "log_k": -jnp.sum(event + r * z) / k}


def weibull_density(p, X, t, event):
    """The density's factor k is forgotten."""
    k = jnp.exp(p["log_k"])
    z = k * (jnp.log(t) - X @ p["beta"])
    r = event - jnp.exp(z)
    return {"beta": k * X.T @ r, "log_k": -jnp.sum(r * z)}


def weibull_hessian(p, X, t, event):
    k = jnp.exp(p["log_k"])
    z = k * (jnp.log(t) - X @ p["beta"])
    w, r = jnp.exp(z), event - jnp.exp(z)
    cross = X.T @ (k * (r - w * z))
    own = jnp.sum(w * z**2 - r * z)
    return {"beta": {"beta": k**2 * (X.T * w) @ X, "log_k": cross}, "log_k": {"beta": cross, "log_k": own}}


def weibull_fisher(p, X, t, event):
    """Expected values: exp(z) is replaced by 1, its mean."""
    k = jnp.exp(p["log_k"])
    cross = -k * 0.4228 * X.sum(0)
    return {
        "beta": {"beta": k**2 * X.T @ X, "log_k": cross},
        "log_k": {"beta": cross, "log_k": 1.8237 * len(t)},
    }


def weibull_blocks(p, X, t, event):
    H = weibull_hessian(p, X, t, event)
    zero = jnp.zeros(3)
    return {"beta": H["beta"] | {"log_k": zero}, "log_k": H["log_k"] | {"beta": zero}}


# log-normal times
NORMAL = (np.array([0.3, 0.2, -0.4]), np.array(-0.2))


def lognormal_cost(params, X, t, event):
    beta, log_s = params
    z = (jnp.log(t) - X @ beta) * jnp.exp(-log_s)
    return jnp.mean(event * (log_s + 0.5 * z**2) - (1 - event) * log_ndtr(-z))


def lognormal_gradient(params, X, t, event):
    beta, log_s = params
    z = (jnp.log(t) - X @ beta) * jnp.exp(-log_s)
    mills = norm.pdf(z) / norm.cdf(-z)
    dz = (event * z + (1 - event) * mills) / len(t)
    return -X.T @ dz * jnp.exp(-log_s), event.sum() / len(t) - dz @ z


def lognormal_sign(params, X, t, event):
    """d log(1 − Φ) / dz has a minus, which was lost."""
    beta, log_s = params
    z = (jnp.log(t) - X @ beta) * jnp.exp(-log_s)
    mills = norm.pdf(z) / norm.cdf(-z)
    dz = (event * z - (1 - event) * mills) / len(t)
    return -X.T @ dz * jnp.exp(-log_s), event.sum() / len(t) - dz @ z


def lognormal_everyone(params, X, t, event):
    beta, log_s = params
    z = (jnp.log(t) - X @ beta) * jnp.exp(-log_s)
    dz = z / len(t)
    return -X.T @ dz * jnp.exp(-log_s), 1 - dz @ z


# log-logistic in NumPy with a ridge in the closure
RIDGE = 0.25


def loglogistic_cost(theta):
    z = np.exp(theta[-1]) * (np.log(TIME) - X @ theta[:-1])
    loglik = EVENT * (theta[-1] + z - np.log(TIME)) - (1 + EVENT) * np.log1p(np.exp(z))
    return -loglik.sum() + RIDGE * np.sum(theta[1:-1] ** 2)


def loglogistic_gradient(theta):
    k = np.exp(theta[-1])
    z = k * (np.log(TIME) - X @ theta[:-1])
    dz = (1 + EVENT) / (1 + np.exp(-z)) - EVENT
    g = np.append(-k * X.T @ dz, dz @ z - EVENT.sum())
    g[1:-1] += 2 * RIDGE * theta[1:-1]
    return g


def loglogistic_intercept(theta):
    k = np.exp(theta[-1])
    z = k * (np.log(TIME) - X @ theta[:-1])
    dz = (1 + EVENT) / (1 + np.exp(-z)) - EVENT
    g = np.append(-k * X.T @ dz, dz @ z - EVENT.sum())
    g[:-1] += 2 * RIDGE * theta[:-1]
    return g


def loglogistic_half(theta):
    k = np.exp(theta[-1])
    z = k * (np.log(TIME) - X @ theta[:-1])
    dz = (1 + EVENT) / (1 + np.exp(-z)) - EVENT
    g = np.append(-k * X.T @ dz, dz @ z - EVENT.sum())
    g[1:-1] += RIDGE * theta[1:-1]
    return g


def loglogistic_half_shape(theta):
    """The ridge's 2, and k for log k."""
    k = np.exp(theta[-1])
    z = k * (np.log(TIME) - X @ theta[:-1])
    dz = (1 + EVENT) / (1 + np.exp(-z)) - EVENT
    g = np.append(-k * X.T @ dz, (dz @ z - EVENT.sum()) / k)
    g[1:-1] += RIDGE * theta[1:-1]
    return g


def loglogistic_once(theta):
    """An event's survival counted once where it is there twice."""
    k = np.exp(theta[-1])
    z = k * (np.log(TIME) - X @ theta[:-1])
    dz = 1 / (1 + np.exp(-z)) - EVENT
    g = np.append(-k * X.T @ dz, dz @ z - EVENT.sum())
    g[1:-1] += 2 * RIDGE * theta[1:-1]
    return g


# Gompertz in float32; ages at entry (left truncation)
ENTRY = (0.4 * TIME).astype(np.float32)
GOMPERTZ = np.array([-1.2, 0.5], np.float32)
AGES = (ENTRY, TIME.astype(np.float32), EVENT.astype(np.float32))


def gompertz_cost(p, entry, t, event):
    a, b = p
    return jnp.sum(jnp.exp(a) * (jnp.exp(b * t) - jnp.exp(b * entry)) / b - event * (a + b * t))


def gompertz_gradient(p, entry, t, event):
    a, b = p
    late, early = jnp.exp(a + b * t), jnp.exp(a + b * entry)
    hazard = (late - early) / b
    return jnp.stack([jnp.sum(hazard - event), jnp.sum((t * late - entry * early - hazard) / b - event * t)])


def gompertz_entry(p, entry, t, event):
    """Everybody is at risk from birth."""
    a, b = p
    late = jnp.exp(a + b * t)
    hazard = (late - jnp.exp(a)) / b
    return jnp.stack([jnp.sum(hazard - event), jnp.sum((t * late - hazard) / b - event * t)])


# discrete time: one intercept for each interval, who is still at risk by a mask
LAST = np.clip((TIME * 2).astype(int), 0, 4)
AT_RISK = (np.arange(5) <= LAST[:, None]).astype(float)
DIES = AT_RISK * (np.arange(5) == LAST[:, None]) * EVENT[:, None]
DISCRETE = {"interval": np.linspace(-1.5, -0.5, 5), "beta": np.array([-0.3, 0.5])}


def discrete_cost(p, x):
    s = p["interval"] + (x @ p["beta"])[:, None]
    return jnp.sum(AT_RISK * softplus(s) - DIES * s)


def discrete_gradient(p, x):
    e = AT_RISK * sigmoid(p["interval"] + (x @ p["beta"])[:, None]) - DIES
    return {"interval": e.sum(axis=0), "beta": x.T @ e.sum(axis=1)}


def discrete_risk(p, x):
    e = sigmoid(p["interval"] + (x @ p["beta"])[:, None]) - DIES
    return {"interval": e.sum(axis=0), "beta": x.T @ e.sum(axis=1)}


def discrete_product(p, x, v):
    pi = sigmoid(p["interval"] + (x @ p["beta"])[:, None])
    r = AT_RISK * pi * (1 - pi) * (v["interval"] + (x @ v["beta"])[:, None])
    return {"interval": r.sum(axis=0), "beta": x.T @ r.sum(axis=1)}


def discrete_separate(p, x, v):
    pi = sigmoid(p["interval"] + (x @ p["beta"])[:, None])
    w = AT_RISK * pi * (1 - pi)
    return {"interval": w.sum(axis=0) * v["interval"], "beta": x.T @ (w.sum(axis=1) * (x @ v["beta"]))}


LOGISTIC = np.array([0.3, 0.5, -0.4, 0.2])

CASES = [
    Practice(
        "Weibull, gradient and Hessian", weibull_cost, WEIBULL, DATA, gradient=weibull_gradient, hessian=weibull_hessian
    ),
    Practice(
        "Weibull, the censored left out",
        weibull_cost,
        WEIBULL,
        DATA,
        gradient=weibull_censored,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "Weibull, by the shape and not its logarithm",
        weibull_cost,
        WEIBULL,
        DATA,
        gradient=weibull_shape,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Weibull, the density's factor k forgotten",
        weibull_cost,
        WEIBULL,
        DATA,
        gradient=weibull_density,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Weibull, the expected Hessian",
        weibull_cost,
        WEIBULL,
        DATA,
        gradient=weibull_gradient,
        hessian=weibull_fisher,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice(
        "Weibull, no block between β and log k",
        weibull_cost,
        WEIBULL,
        DATA,
        gradient=weibull_gradient,
        hessian=weibull_blocks,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    Practice("log-normal times", lognormal_cost, NORMAL, DATA, gradient=lognormal_gradient),
    Practice(
        "log-normal times, the sign of the censored",
        lognormal_cost,
        NORMAL,
        DATA,
        gradient=lognormal_sign,
        kinds=frozenset({Kind.SIGN, Kind.CHAIN_RULE}),
    ),
    Practice(
        "log-normal times, censoring ignored",
        lognormal_cost,
        NORMAL,
        DATA,
        gradient=lognormal_everyone,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    Practice("log-logistic in NumPy, a ridge", loglogistic_cost, LOGISTIC, gradient=loglogistic_gradient),
    Practice(
        "log-logistic, the intercept penalised too",
        loglogistic_cost,
        LOGISTIC,
        gradient=loglogistic_intercept,
        kinds=frozenset({Kind.PENALTY, Kind.BIAS}),
    ),
    Practice(
        "log-logistic, the ridge's 2 forgotten",
        loglogistic_cost,
        LOGISTIC,
        gradient=loglogistic_half,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "log-logistic, the ridge's 2 forgotten, and by k for log k",
        loglogistic_cost,
        LOGISTIC,
        gradient=loglogistic_half_shape,
        kinds=frozenset({Kind.PENALTY, Kind.CHAIN_RULE}),
        all_needed=True,
    ),
    Practice(
        "log-logistic, the survival of events counted once",
        loglogistic_cost,
        LOGISTIC,
        gradient=loglogistic_once,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    Practice("Gompertz from an age at entry, float32", gompertz_cost, GOMPERTZ, AGES, gradient=gompertz_gradient),
    Practice(
        "Gompertz, the age at entry taken for 0",
        gompertz_cost,
        GOMPERTZ,
        AGES,
        gradient=gompertz_entry,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "hazards in discrete time, with products",
        discrete_cost,
        DISCRETE,
        (X[:, 1:],),
        gradient=discrete_gradient,
        hessian_product=discrete_product,
    ),
    Practice(
        "hazards in discrete time, everybody always at risk",
        discrete_cost,
        DISCRETE,
        (X[:, 1:],),
        gradient=discrete_risk,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "hazards in discrete time, products of the blocks alone",
        discrete_cost,
        DISCRETE,
        (X[:, 1:],),
        gradient=discrete_gradient,
        hessian_product=discrete_separate,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
]
