"""Generalised linear models: Poisson, gamma, negative binomial, probit, ordinal."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, gammaln, log_ndtr
from jax.scipy.stats import norm

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(11)
X = np.column_stack([np.ones(24), _rng.standard_normal((24, 3))])
theta = np.array([0.4, -0.3, 0.5, 0.2])
exposure = _rng.uniform(0.3, 4.0, 24)
counts = _rng.poisson(exposure * np.exp(X @ theta)).astype(float)
waits = _rng.gamma(3.0, np.exp(X @ theta) / 3.0)
signs = np.where(_rng.standard_normal(24) < X @ theta, 1.0, -1.0)
grades = _rng.integers(0, 4, 24)


# Poisson regression with an offset


def poisson(theta, X, y, offset):
    eta = X @ theta + offset
    return jnp.sum(jnp.exp(eta) - y * eta)


def poisson_gradient(theta, X, y, offset):
    return X.T @ (jnp.exp(X @ theta + offset) - y)


def poisson_without_offset(theta, X, y, offset):
    return X.T @ (jnp.exp(X @ theta) - y)


def poisson_reversed(theta, X, y, offset):
    return X.T @ (y - jnp.exp(X @ theta + offset))


def poisson_hessian(theta, X, y, offset):
    mu = jnp.exp(X @ theta + offset)
    return (X.T * mu) @ X


def poisson_hessian_unweighted(theta, X, y, offset):
    return X.T @ X


def poisson_deviance_numpy(theta, X, y, offset):
    total = 0.0
    for x, yi, o in zip(X, y, offset, strict=True):
        mu = np.exp(x @ theta + o)
        total += 2 * ((yi * np.log(yi / mu) if yi > 0 else 0.0) - (yi - mu))
    return total / len(y)


def poisson_deviance_gradient_numpy(theta, X, y, offset):
    g = np.zeros(X.shape[1])
    for x, yi, o in zip(X, y, offset, strict=True):
        g += 2 * (np.exp(x @ theta + o) - yi) * x
    return g / len(y)


def poisson_deviance_gradient_of_likelihood(theta, X, y, offset):
    """The deviance is twice the log-likelihood: the 2 is forgotten."""
    mu = np.exp(X @ theta + offset)
    return X.T @ (mu - y) / len(y)


# The same with all that does not depend on theta, for counts of ticks of a clock: a constant of 1e8


def poisson_ticks(theta, X, y):
    eta = X @ theta + 14.0
    return jnp.sum(jnp.exp(eta) - y * eta + gammaln(y + 1))


def poisson_ticks_gradient(theta, X, y):
    return X.T @ (jnp.exp(X @ theta + 14.0) - y)


ticks = np.round(np.exp(14.0) * counts)


# A count per income (in cents) and a share (in millionths)


wealth = X * np.array([1.0, 1e6, 1.0, 1e-6])
theta_wealth = theta / np.array([1.0, 1e6, 1.0, 1e-6])
nothing = np.zeros(24)


def poisson_small_sign(theta, X, y, offset):
    residual = jnp.exp(X @ theta + offset) - y
    return jnp.array([residual.sum(), residual @ X[:, 1], residual @ X[:, 2], -(residual @ X[:, 3])])


# Gamma regression, log link, the shape k estimated too: params (beta, log k)


def gamma(params, X, y):
    beta, log_k = params
    k = jnp.exp(log_k)
    eta = X @ beta
    return -jnp.sum(k * log_k - k * eta + (k - 1) * jnp.log(y) - k * y * jnp.exp(-eta) - gammaln(k))


def gamma_gradient(params, X, y):
    beta, log_k = params
    k = jnp.exp(log_k)
    ratio = y * jnp.exp(-X @ beta)
    return k * X.T @ (1 - ratio), -k * jnp.sum(log_k + 1 + jnp.log(ratio) - ratio - digamma(k))


def gamma_gradient_by_k(params, X, y):
    beta, log_k = params
    k = jnp.exp(log_k)
    ratio = y * jnp.exp(-X @ beta)
    return k * X.T @ (1 - ratio), -jnp.sum(log_k + 1 + jnp.log(ratio) - ratio - digamma(k))


def gamma_gradient_without_digamma(params, X, y):
    beta, log_k = params
    k = jnp.exp(log_k)
    ratio = y * jnp.exp(-X @ beta)
    return k * X.T @ (1 - ratio), -k * jnp.sum(log_k + 1 + jnp.log(ratio) - ratio)


def gamma_gradient_of_poisson(params, X, y):
    beta, log_k = params
    k = jnp.exp(log_k)
    mu = jnp.exp(X @ beta)
    log_k_part = -k * jnp.sum(log_k + 1 + jnp.log(y / mu) - y / mu - digamma(k))
    return k * X.T @ (mu - y), log_k_part


# Negative binomial, params {"beta", "log_r"}, with a prior on log r in the closure

tau = 0.7


def negative_binomial(params, X, y, exposure):
    r = jnp.exp(params["log_r"])
    mu = exposure * jnp.exp(X @ params["beta"])
    ll = gammaln(y + r) - gammaln(r) + r * jnp.log(r / (r + mu)) + y * jnp.log(mu / (r + mu))
    return -ll.sum() + params["log_r"] ** 2 / (2 * tau**2)


def negative_binomial_gradient(params, X, y, exposure):
    r = jnp.exp(params["log_r"])
    mu = exposure * jnp.exp(X @ params["beta"])
    by_r = digamma(y + r) - digamma(r) + jnp.log(r / (r + mu)) + 1 - (y + r) / (r + mu)
    return {
        "beta": X.T @ (r * (mu - y) / (r + mu)),
        "log_r": -r * by_r.sum() + params["log_r"] / tau**2,
    }


def negative_binomial_poisson_residual(params, X, y, exposure):
    g = negative_binomial_gradient(params, X, y, exposure)
    mu = exposure * jnp.exp(X @ params["beta"])
    return {**g, "beta": X.T @ (mu - y)}


def negative_binomial_prior_halved(params, X, y, exposure):
    r = jnp.exp(params["log_r"])
    mu = exposure * jnp.exp(X @ params["beta"])
    by_r = digamma(y + r) - digamma(r) + jnp.log(r / (r + mu)) + 1 - (y + r) / (r + mu)
    return {
        "beta": X.T @ (r * (mu - y) / (r + mu)),
        "log_r": -r * by_r.sum() + params["log_r"] / (2 * tau**2),
    }


def negative_binomial_dispersion(params, X, y, exposure):
    """By log(1 / r), as the textbook parametrises it."""
    g = negative_binomial_gradient(params, X, y, exposure)
    return {"beta": g["beta"], "log_r": -g["log_r"]}


def negative_binomial_beta(beta, X, y, r):
    mu = jnp.exp(X @ beta)
    return jnp.sum((y + r) * jnp.log(r + mu) - y * (X @ beta))


def negative_binomial_hessian(beta, X, y, r):
    mu = jnp.exp(X @ beta)
    return X.T @ jnp.diag((y + r) * r * mu / (r + mu) ** 2) @ X


def negative_binomial_fisher(beta, X, y, r):
    mu = jnp.exp(X @ beta)
    return X.T @ jnp.diag(r * mu / (r + mu)) @ X


# Probit with labels -1, 1


def probit(w, X, s):
    return -jnp.mean(log_ndtr(s * (X @ w)))


def probit_gradient(w, X, s):
    z = s * (X @ w)
    mills = jnp.exp(norm.logpdf(z) - log_ndtr(z))
    return -X.T @ (s * mills) / len(s)


def probit_gradient_without_labels(w, X, s):
    z = s * (X @ w)
    mills = jnp.exp(norm.logpdf(z) - log_ndtr(z))
    return -X.T @ mills / len(s)


def probit_gradient_density(w, X, s):
    """The derivative of Phi, without the 1 / Phi of the logarithm."""
    z = s * (X @ w)
    return -X.T @ (s * norm.pdf(z)) / len(s)


def probit_hessian(w, X, s):
    z = s * (X @ w)
    mills = jnp.exp(norm.logpdf(z) - log_ndtr(z))
    return (X.T * (mills * (mills + z))) @ X / len(s)


def probit_hessian_expected(w, X, s):
    z = X @ w
    weights = norm.pdf(z) ** 2 / (norm.cdf(z) * norm.cdf(-z))
    return (X.T * weights) @ X / len(s)


def probit_product(w, X, s, v):
    z = s * (X @ w)
    mills = jnp.exp(norm.logpdf(z) - log_ndtr(z))
    return X.T @ (mills * (mills + z) * (X @ v)) / len(s)


def probit_product_sum(w, X, s, v):
    z = s * (X @ w)
    mills = jnp.exp(norm.logpdf(z) - log_ndtr(z))
    return X.T @ (mills * (mills + z) * (X @ v))


# Ordinal logit, 4 grades, 3 cuts


def ordinal(params, X, y):
    cuts = jnp.concatenate([jnp.array([-jnp.inf]), params["cuts"], jnp.array([jnp.inf])])
    eta = X @ params["beta"]
    return -jnp.sum(jnp.log(jax.nn.sigmoid(cuts[y + 1] - eta) - jax.nn.sigmoid(cuts[y] - eta)))


def ordinal_pieces(params, X, y):
    cuts = jnp.concatenate([jnp.array([-jnp.inf]), params["cuts"], jnp.array([jnp.inf])])
    eta = X @ params["beta"]
    upper, lower = jax.nn.sigmoid(cuts[y + 1] - eta), jax.nn.sigmoid(cuts[y] - eta)
    p = upper - lower
    return upper * (1 - upper) / p, lower * (1 - lower) / p


def ordinal_gradient(params, X, y):
    up, low = ordinal_pieces(params, X, y)
    g = jnp.zeros(5).at[y + 1].add(-up).at[y].add(low)
    return {"beta": X.T @ (up - low), "cuts": g[1:-1]}


def ordinal_gradient_overwritten(params, X, y):
    up, low = (np.asarray(a) for a in ordinal_pieces(params, X, y))
    g = np.zeros(5)
    g[y + 1] -= up  # the examples of one grade share an entry
    g[y] += low
    return {"beta": X.T @ (up - low), "cuts": g[1:-1]}


def ordinal_gradient_off_by_one(params, X, y):
    up, low = ordinal_pieces(params, X, y)
    g = jnp.zeros(5).at[y + 1].add(-up).at[y].add(low)
    return {"beta": X.T @ (up - low), "cuts": g[:-2]}


def ordinal_gradient_upper_only(params, X, y):
    up, low = ordinal_pieces(params, X, y)
    g = jnp.zeros(5).at[y + 1].add(-up)
    return {"beta": X.T @ (up - low), "cuts": g[1:-1]}


beta = np.array([0.3, -0.2, 0.4, 0.1])
skewed = {"beta": beta, "log_r": np.array(0.6)}
steps = {"beta": beta, "cuts": np.array([-0.9, 0.2, 1.1])}
rates = (X, counts, np.log(exposure))

CASES = [
    Practice("Poisson regression with an offset", poisson, beta, rates, gradient=poisson_gradient),
    Practice("Poisson regression with an offset, Hessian", poisson, beta, rates, hessian=poisson_hessian),
    Practice(
        "Poisson regression: the offset is forgotten in the mean",
        *(poisson, beta, rates),
        gradient=poisson_without_offset,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "Poisson regression: the gradient of the log-likelihood, not of the cost",
        *(poisson, beta, rates),
        gradient=poisson_reversed,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "Poisson regression, Hessian: the weights mu are forgotten",
        *(poisson, beta, rates),
        hessian=poisson_hessian_unweighted,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "mean Poisson deviance in NumPy, a loop",
        *(poisson_deviance_numpy, beta, rates),
        gradient=poisson_deviance_gradient_numpy,
    ),
    Practice(
        "mean Poisson deviance in NumPy: the 2 of the deviance is forgotten",
        *(poisson_deviance_numpy, beta, rates),
        gradient=poisson_deviance_gradient_of_likelihood,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "Poisson regression of millions of ticks, log y! in the cost",
        *(poisson_ticks, beta, (X, ticks)),
        gradient=poisson_ticks_gradient,
    ),
    Practice(
        "Poisson regression, columns in cents and in millionths",
        *(poisson, theta_wealth, (wealth, counts, nothing)),
        gradient=poisson_gradient,
    ),
    Practice(
        "Poisson regression, columns in cents and in millionths: the sign of the smallest entry",
        *(poisson, theta_wealth, (wealth, counts, nothing)),
        gradient=poisson_small_sign,
        kinds=frozenset({Kind.SIGN, Kind.ENTRY}),
    ),
    Practice("gamma regression with its shape", gamma, (beta, np.array(0.8)), (X, waits), gradient=gamma_gradient),
    Practice(
        "gamma regression: by the shape, not by its logarithm",
        *(gamma, (beta, np.array(0.8)), (X, waits)),
        gradient=gamma_gradient_by_k,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "gamma regression: the normaliser log Gamma(k) is left out",
        *(gamma, (beta, np.array(0.8)), (X, waits)),
        gradient=gamma_gradient_without_digamma,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "gamma regression: the residual of a Poisson model, not divided by mu",
        *(gamma, (beta, np.array(0.8)), (X, waits)),
        gradient=gamma_gradient_of_poisson,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "negative binomial with exposure and a prior on log r",
        *(negative_binomial, skewed, (X, counts, exposure)),
        gradient=negative_binomial_gradient,
    ),
    Practice(
        "negative binomial: the residual of Poisson, without r / (r + mu)",
        *(negative_binomial, skewed, (X, counts, exposure)),
        gradient=negative_binomial_poisson_residual,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "negative binomial: the prior on log r halved",
        *(negative_binomial, skewed, (X, counts, exposure)),
        gradient=negative_binomial_prior_halved,
        kinds=frozenset({Kind.PENALTY, Kind.FACTOR}),
    ),
    Practice(
        "negative binomial: by the logarithm of 1 / r",
        *(negative_binomial, skewed, (X, counts, exposure)),
        gradient=negative_binomial_dispersion,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "negative binomial, r known, Hessian",
        *(negative_binomial_beta, beta, (X, counts, 1.5)),
        hessian=negative_binomial_hessian,
    ),
    Practice(
        "negative binomial, r known: Fisher's information for the Hessian",
        *(negative_binomial_beta, beta, (X, counts, 1.5)),
        hessian=negative_binomial_fisher,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice("probit, mean", probit, beta, (X, signs), gradient=probit_gradient),
    Practice("probit, Hessian", probit, beta, (X, signs), hessian=probit_hessian),
    Practice("probit, product of the Hessian", probit, beta, (X, signs), hessian_product=probit_product),
    Practice(
        "probit: the label's sign is forgotten outside",
        *(probit, beta, (X, signs)),
        gradient=probit_gradient_without_labels,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "probit: the 1 / Phi of the logarithm is forgotten",
        *(probit, beta, (X, signs)),
        gradient=probit_gradient_density,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "probit: the expected Hessian",
        *(probit, beta, (X, signs)),
        hessian=probit_hessian_expected,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice(
        "probit, product of the Hessian: a sum where the cost is a mean",
        *(probit, beta, (X, signs)),
        hessian_product=probit_product_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice("ordinal logit with four grades", ordinal, steps, (X, grades), gradient=ordinal_gradient),
    Practice(
        "ordinal logit: the examples of one grade overwrite each other",
        *(ordinal, steps, (X, grades)),
        gradient=ordinal_gradient_overwritten,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice(
        "ordinal logit: the cuts' gradient one place off",
        *(ordinal, steps, (X, grades)),
        gradient=ordinal_gradient_off_by_one,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "ordinal logit: each example moves only the cut above it",
        *(ordinal, steps, (X, grades)),
        gradient=ordinal_gradient_upper_only,
        kinds=frozenset({Kind.MISSING}),
    ),
]
