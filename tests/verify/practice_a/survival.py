"""Survival: Cox's partial likelihood, parametric models with censoring."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(21)
n = 18
X = _rng.standard_normal((n, 3))
time = np.ceil(8 * _rng.exponential(np.exp(-X @ np.array([0.5, -0.4, 0.2])))) / 4  # with ties
event = (_rng.uniform(size=n) < 0.7).astype(float)
ward = _rng.integers(0, 2, n)
distinct = time + 0.001 * _rng.permutation(n)
beta = np.array([0.4, -0.2, 0.3])


# Breslow's ties, the risk sets as a mask


def breslow(beta, X, time, event, ridge=0.0):
    eta = X @ beta
    at_risk = time[None, :] >= time[:, None]
    log_risk = logsumexp(jnp.where(at_risk, eta[None, :], -jnp.inf), axis=1)
    return -jnp.sum(event * (eta - log_risk)) + 0.5 * ridge * beta @ beta


def breslow_gradient(beta, X, time, event, ridge=0.0):
    w = (time[None, :] >= time[:, None]) * jnp.exp(X @ beta)
    w = w / w.sum(axis=1, keepdims=True)
    return -event @ (X - w @ X) + ridge * beta


def breslow_of_the_dead(beta, X, time, event, ridge=0.0):
    w = (time[None, :] <= time[:, None]) * jnp.exp(X @ beta)
    w = w / w.sum(axis=1, keepdims=True)
    return -event @ (X - w @ X) + ridge * beta


def breslow_of_all(beta, X, time, event, ridge=0.0):
    w = (time[None, :] >= time[:, None]) * jnp.exp(X @ beta)
    w = w / w.sum(axis=1, keepdims=True)
    return -(X - w @ X).sum(axis=0) + ridge * beta


def breslow_without_risk_sets(beta, X, time, event, ridge=0.0):
    return -event @ X + ridge * beta


def breslow_ridge_doubled(beta, X, time, event, ridge=0.0):
    w = (time[None, :] >= time[:, None]) * jnp.exp(X @ beta)
    w = w / w.sum(axis=1, keepdims=True)
    return -event @ (X - w @ X) + 2 * ridge * beta


def breslow_hessian(beta, X, time, event):
    w = (time[None, :] >= time[:, None]) * jnp.exp(X @ beta)
    w = w / w.sum(axis=1, keepdims=True)
    mean = w @ X
    second = jnp.einsum("ij,ja,jb->iab", w, X, X)
    return jnp.einsum("i,iab->ab", event, second - mean[:, :, None] * mean[:, None, :])


def breslow_hessian_raw_moment(beta, X, time, event):
    w = (time[None, :] >= time[:, None]) * jnp.exp(X @ beta)
    w = w / w.sum(axis=1, keepdims=True)
    return jnp.einsum("i,ij,ja,jb->ab", event, w, X, X)


def breslow_product(beta, X, time, event, v):
    w = (time[None, :] >= time[:, None]) * jnp.exp(X @ beta)
    w = w / w.sum(axis=1, keepdims=True)
    s = X @ v
    return event @ (w @ (s[:, None] * X) - (w @ s)[:, None] * (w @ X))


def breslow_product_with_beta(beta, X, time, event, v):
    w = (time[None, :] >= time[:, None]) * jnp.exp(X @ beta)
    w = w / w.sum(axis=1, keepdims=True)
    s = X @ beta
    return event @ (w @ (s[:, None] * X) - (w @ s)[:, None] * (w @ X))


# Examples sorted by falling time, cumulative sums; the mean over the deaths beside a penalty in the closure

latest_first = np.argsort(-distinct)
Xs, events = X[latest_first], event[latest_first]
alpha = 0.3


def sorted_cost(beta):
    eta = Xs @ beta
    log_risk = jnp.log(jnp.cumsum(jnp.exp(eta)))
    return -jnp.sum(events * (eta - log_risk)) / events.sum() + alpha * jnp.sum(beta**2)


def sorted_gradient(beta):
    risk = jnp.exp(Xs @ beta)
    means = jnp.cumsum(risk[:, None] * Xs, axis=0) / jnp.cumsum(risk)[:, None]
    return -events @ (Xs - means) / events.sum() + 2 * alpha * beta


def sorted_gradient_sum(beta):
    risk = jnp.exp(Xs @ beta)
    means = jnp.cumsum(risk[:, None] * Xs, axis=0) / jnp.cumsum(risk)[:, None]
    return -events @ (Xs - means) + 2 * alpha * beta


def sorted_gradient_penalty_halved(beta):
    risk = jnp.exp(Xs @ beta)
    means = jnp.cumsum(risk[:, None] * Xs, axis=0) / jnp.cumsum(risk)[:, None]
    return -events @ (Xs - means) / events.sum() + alpha * beta


def sorted_gradient_after_death(beta):
    """The risk set is without the one who dies."""
    risk = jnp.exp(Xs @ beta)
    total = jnp.cumsum(risk) - risk + 1e-300
    means = (jnp.cumsum(risk[:, None] * Xs, axis=0) - risk[:, None] * Xs) / total[:, None]
    return -events @ (Xs - means) / events.sum() + 2 * alpha * beta


def sorted_cost_single(beta):
    """The cumulative sum runs in float32, as on an accelerator."""
    eta = Xs @ beta
    risk = jnp.cumsum(jnp.exp(eta).astype(jnp.float32))
    return -jnp.sum(events * (eta - jnp.log(risk.astype(eta.dtype)))) / events.sum() + alpha * jnp.sum(beta**2)


# A loop in NumPy over the deaths


def cox_numpy(beta, X, time, event):
    cost = 0.0
    for i in np.flatnonzero(event):
        risk = X[time >= time[i]] @ beta
        cost -= X[i] @ beta - np.log(np.exp(risk).sum())
    return cost


def cox_numpy_gradient(beta, X, time, event):
    g = np.zeros(3)
    for i in np.flatnonzero(event):
        R = X[time >= time[i]]
        w = np.exp(R @ beta)
        g -= X[i] - w @ R / w.sum()
    return g


def cox_numpy_gradient_unnormalised(beta, X, time, event):
    g = np.zeros(3)
    for i in np.flatnonzero(event):
        R = X[time >= time[i]]
        w = np.exp(R @ beta)
        g -= X[i] - w @ R
    return g


def cox_numpy_gradient_indent(beta, X, time, event):
    """The return is in the loop: only the first death counts."""
    g = np.zeros(3)
    for i in np.flatnonzero(event):
        R = X[time >= time[i]]
        w = np.exp(R @ beta)
        g -= X[i] - w @ R / w.sum()
        return g


# Two wards, each with its own baseline


def stratified(beta, X, time, event, ward):
    cost = 0.0
    for k in range(2):
        mine = ward == k
        cost = cost + breslow(beta, X[mine], time[mine], event[mine])
    return cost


def stratified_gradient(beta, X, time, event, ward):
    return sum(breslow_gradient(beta, X[ward == k], time[ward == k], event[ward == k]) for k in range(2))


def stratified_last_ward(beta, X, time, event, ward):
    g = jnp.zeros(3)
    for k in range(2):
        mine = ward == k
        g = breslow_gradient(beta, X[mine], time[mine], event[mine])
    return g


# Boosting: the gradient by the scores, as XGBoost has it; sorted by rising time


rising = np.argsort(distinct)
event_by_time = event[rising]
scores = _rng.standard_normal(n)


def score_cost(f):
    f = f[rising]
    log_risk = jnp.log(jnp.cumsum(jnp.exp(f)[::-1])[::-1])
    return -jnp.sum(event_by_time * (f - log_risk))


def score_gradient(f):
    f = f[rising]
    risk = jnp.cumsum(jnp.exp(f)[::-1])[::-1]
    g = jnp.exp(f) * jnp.cumsum(event_by_time / risk) - event_by_time
    return jnp.zeros(n).at[rising].set(g)


def score_gradient_sorted(f):
    f = f[rising]
    risk = jnp.cumsum(jnp.exp(f)[::-1])[::-1]
    return jnp.exp(f) * jnp.cumsum(event_by_time / risk) - event_by_time


def score_hessian(f):
    e = jnp.exp(f[rising])
    risk = jnp.cumsum(e[::-1])[::-1]
    first, second = jnp.cumsum(event_by_time / risk), jnp.cumsum(event_by_time / risk**2)
    i = jnp.arange(n)
    H = jnp.diag(e * first) - e[:, None] * e[None, :] * second[jnp.minimum(i[:, None], i[None, :])]
    return jnp.zeros((n, n)).at[rising[:, None], rising[None, :]].set(H)


def score_hessian_diagonal(f):
    e = jnp.exp(f[rising])
    risk = jnp.cumsum(e[::-1])[::-1]
    first, second = jnp.cumsum(event_by_time / risk), jnp.cumsum(event_by_time / risk**2)
    return jnp.diag(jnp.zeros(n).at[rising].set(e * first - e**2 * second))


# Weibull, accelerated failure: log scale = intercept + x beta, log shape


def weibull(params, X, t, event):
    k = jnp.exp(params["log_shape"])
    z = k * (jnp.log(t) - params["intercept"] - X @ params["beta"])
    return -jnp.sum(event * (params["log_shape"] + z - jnp.log(t)) - jnp.exp(z))


def weibull_gradient(params, X, t, event):
    k = jnp.exp(params["log_shape"])
    z = k * (jnp.log(t) - params["intercept"] - X @ params["beta"])
    r = event - jnp.exp(z)
    return {"beta": k * X.T @ r, "intercept": k * r.sum(), "log_shape": -jnp.sum(event + r * z)}


def weibull_gradient_deaths_only(params, X, t, event):
    k = jnp.exp(params["log_shape"])
    z = k * (jnp.log(t) - params["intercept"] - X @ params["beta"])
    r = event * (1 - jnp.exp(z))
    return {"beta": k * X.T @ r, "intercept": k * r.sum(), "log_shape": -jnp.sum(event + r * z)}


def weibull_gradient_by_shape(params, X, t, event):
    k = jnp.exp(params["log_shape"])
    z = k * (jnp.log(t) - params["intercept"] - X @ params["beta"])
    r = event - jnp.exp(z)
    return {"beta": k * X.T @ r, "intercept": k * r.sum(), "log_shape": -jnp.sum(event + r * z) / k}


def weibull_gradient_intercept(params, X, t, event):
    """The intercept's gradient lacks the shape."""
    k = jnp.exp(params["log_shape"])
    z = k * (jnp.log(t) - params["intercept"] - X @ params["beta"])
    r = event - jnp.exp(z)
    return {"beta": k * X.T @ r, "intercept": r.sum(), "log_shape": -jnp.sum(event + r * z)}


# Piecewise exponential hazards with a penalty on neighbours' differences

width = 0.5
edges = np.arange(6) * width
spent = np.clip(time[:, None] - edges, 0, width)
deaths = np.array([((time > e) & (time <= e + width)) @ event for e in edges])


def hazard(log_h, spent, deaths, smoothness):
    fit = jnp.sum(spent @ jnp.exp(log_h)) - deaths @ log_h
    return fit + smoothness * jnp.sum(jnp.diff(log_h) ** 2)


def hazard_gradient(log_h, spent, deaths, smoothness):
    g = spent.sum(axis=0) * jnp.exp(log_h) - deaths
    d = 2 * smoothness * jnp.diff(log_h)
    return g.at[1:].add(d).at[:-1].add(-d)


def hazard_gradient_one_neighbour(log_h, spent, deaths, smoothness):
    g = spent.sum(axis=0) * jnp.exp(log_h) - deaths
    return g.at[1:].add(2 * smoothness * jnp.diff(log_h))


def hazard_gradient_spent_mean(log_h, spent, deaths, smoothness):
    g = spent.mean(axis=0) * jnp.exp(log_h) - deaths
    d = 2 * smoothness * jnp.diff(log_h)
    return g.at[1:].add(d).at[:-1].add(-d)


aft = {"beta": beta, "intercept": np.array(0.4), "log_shape": np.array(0.35)}
log_h = np.array([-0.5, -0.3, 0.1, 0.4, 0.2, -0.1])
known = (X, time, event)

CASES = [
    Practice("Cox, ties by Breslow, risk sets as a mask", breslow, beta, known, gradient=breslow_gradient),
    Practice("Cox with a ridge", breslow, beta, known, {"ridge": 0.8}, gradient=breslow_gradient),
    Practice("Cox, Hessian", breslow, beta, known, hessian=breslow_hessian),
    Practice("Cox, product of the Hessian", breslow, beta, known, hessian_product=breslow_product),
    Practice(
        "Cox: the risk set is of those already dead",
        *(breslow, beta, known),
        gradient=breslow_of_the_dead,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    Practice(
        "Cox: the censored are taken for deaths",
        *(breslow, beta, known),
        gradient=breslow_of_all,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Cox with a ridge: the risk sets' part is left out",
        *(breslow, beta, known, {"ridge": 0.8}),
        gradient=breslow_without_risk_sets,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Cox with a ridge of 1/2: its gradient doubled",
        *(breslow, beta, known, {"ridge": 0.8}),
        gradient=breslow_ridge_doubled,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "Cox, Hessian: the square of the mean is not subtracted",
        *(breslow, beta, known),
        hessian=breslow_hessian_raw_moment,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Cox, product of the Hessian: with beta, not with the direction",
        *(breslow, beta, known),
        hessian_product=breslow_product_with_beta,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("Cox, sorted, mean over deaths, penalty", sorted_cost, beta, gradient=sorted_gradient),
    Practice(
        "Cox, sorted: the deaths' part is summed beside the penalty, the cost has their mean",
        *(sorted_cost, beta),
        gradient=sorted_gradient_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "Cox, sorted: the penalty halved",
        *(sorted_cost, beta),
        gradient=sorted_gradient_penalty_halved,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "Cox, sorted: the risk set is without the one who dies",
        *(sorted_cost, beta),
        gradient=sorted_gradient_after_death,
        kinds=frozenset({Kind.MISSING, Kind.INDEX}),
    ),
    Practice("Cox, the cumulative sum in float32", sorted_cost_single, beta, gradient=sorted_gradient),
    Practice("Cox in NumPy, a loop over deaths", cox_numpy, beta, known, gradient=cox_numpy_gradient),
    Practice(
        "Cox in NumPy: the risk set's mean is not divided by its weight",
        *(cox_numpy, beta, known),
        gradient=cox_numpy_gradient_unnormalised,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Cox in NumPy: returned after the first death",
        *(cox_numpy, beta, known),
        gradient=cox_numpy_gradient_indent,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("Cox, two strata", stratified, beta, (*known, ward), gradient=stratified_gradient),
    Practice(
        "Cox, two strata: only the last one's gradient",
        *(stratified, beta, (*known, ward)),
        gradient=stratified_last_ward,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("Cox by the scores of boosting", score_cost, scores, gradient=score_gradient),
    Practice("Cox by the scores of boosting, Hessian", score_cost, scores, hessian=score_hessian),
    Practice(
        "Cox by the scores of boosting: the gradient stays sorted by time",
        *(score_cost, scores),
        gradient=score_gradient_sorted,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "Cox by the scores of boosting: only the diagonal of the Hessian",
        *(score_cost, scores),
        hessian=score_hessian_diagonal,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    Practice("Weibull with censoring", weibull, aft, known, gradient=weibull_gradient),
    Practice(
        "Weibull: the censored are left out",
        *(weibull, aft, known),
        gradient=weibull_gradient_deaths_only,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "Weibull: by the shape, not by its logarithm",
        *(weibull, aft, known),
        gradient=weibull_gradient_by_shape,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Weibull: the intercept's gradient lacks the shape",
        *(weibull, aft, known),
        gradient=weibull_gradient_intercept,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.BIAS}),
    ),
    Practice(
        "smooth piecewise hazards",
        *(hazard, log_h, (spent, deaths), {"smoothness": 1.3}),
        gradient=hazard_gradient,
    ),
    Practice(
        "smooth piecewise hazards: one neighbour of each difference forgotten",
        *(hazard, log_h, (spent, deaths), {"smoothness": 1.3}),
        gradient=hazard_gradient_one_neighbour,
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
    ),
    Practice(
        "smooth piecewise hazards: the time at risk averaged, not summed",
        *(hazard, log_h, (spent, deaths), {"smoothness": 1.3}),
        gradient=hazard_gradient_spent_mean,
        kinds=frozenset({Kind.FACTOR}),
    ),
]
