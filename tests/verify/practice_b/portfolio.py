"""Portfolios and costs with constraints: barriers, penalties of constraints, multipliers, ratios."""

import jax.numpy as jnp
import numpy as np
from jax.nn import relu, sigmoid, softmax, softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(115)
n = 5
RETURNS = 0.01 * rng.standard_normal((30, n)) @ (np.eye(n) + 0.4 * np.triu(np.ones((n, n)), 1)) + 0.002
MU, SIGMA = RETURNS.mean(0), np.cov(RETURNS.T)
W = np.array([0.3, 0.15, 0.25, 0.1, 0.2])
OLD = np.array([0.1, 0.3, 0.2, 0.25, 0.15])


# mean and variance, smooth transaction costs, the budget as a penalty
def markowitz_cost(w, mu, sigma, aversion=5.0, trade=1e-3, budget=2.0):
    trades = jnp.sum(jnp.sqrt((w - OLD) ** 2 + 1e-4))
    return 0.5 * aversion * w @ sigma @ w - mu @ w + trade * trades + budget * (jnp.sum(w) - 0.98) ** 2


def markowitz_gradient(w, mu, sigma, aversion=5.0, trade=1e-3, budget=2.0):
    d = w - OLD
    return aversion * sigma @ w - mu + trade * d / jnp.sqrt(d**2 + 1e-4) + 2 * budget * (jnp.sum(w) - 0.98)


def markowitz_budget(w, mu, sigma, aversion=5.0, trade=1e-3, budget=2.0):
    d = w - OLD
    return aversion * sigma @ w - mu + trade * d / jnp.sqrt(d**2 + 1e-4) + budget * (jnp.sum(w) - 0.98)


def markowitz_variance(w, mu, sigma, aversion=5.0, trade=1e-3, budget=2.0):
    d = w - OLD
    return 2 * aversion * sigma @ w - mu + trade * d / jnp.sqrt(d**2 + 1e-4) + 2 * budget * (jnp.sum(w) - 0.98)


def markowitz_trades(w, mu, sigma, aversion=5.0, trade=1e-3, budget=2.0):
    return aversion * sigma @ w - mu + 2 * budget * (jnp.sum(w) - 0.98)


def markowitz_hessian(w, mu, sigma, aversion=5.0, trade=1e-3, budget=2.0):
    curve = trade * 1e-4 / ((w - OLD) ** 2 + 1e-4) ** 1.5
    return aversion * sigma + jnp.diag(curve) + 2 * budget * jnp.ones((n, n))


def markowitz_hessian_budget(w, mu, sigma, aversion=5.0, trade=1e-3, budget=2.0):
    """The budget is taken for a square of each weight."""
    curve = trade * 1e-4 / ((w - OLD) ** 2 + 1e-4) ** 1.5
    return aversion * sigma + jnp.diag(curve + 2 * budget)


# the weights as a softmax, the risk as a standard deviation
LOGITS = np.array([0.4, -0.3, 0.1, 0.0, 0.6])


def softmax_cost(z):
    w = softmax(z)
    return jnp.sqrt(w @ SIGMA @ w) - 0.5 * MU @ w


def softmax_gradient(z):
    w = softmax(z)
    g = SIGMA @ w / jnp.sqrt(w @ SIGMA @ w) - 0.5 * MU
    return w * (g - w @ g)


def softmax_uncoupled(z):
    w = softmax(z)
    return w * (SIGMA @ w / jnp.sqrt(w @ SIGMA @ w) - 0.5 * MU)


def softmax_variance(z):
    """Of the variance and not its root."""
    w = softmax(z)
    g = 2 * SIGMA @ w - 0.5 * MU
    return w * (g - w @ g)


# barriers at zero (risk parity), NumPy; the covariance as a factor that is not symmetric
FACTOR = np.linalg.cholesky(SIGMA * 1e4)


def parity_cost(w, factor, tau):
    return 0.5 * np.sum((factor.T @ w) ** 2) - tau * np.sum(np.log(w))


def parity_gradient(w, factor, tau):
    return factor @ (factor.T @ w) - tau / w


def parity_hessian(w, factor, tau):
    return factor @ factor.T + np.diag(tau / w**2)


def parity_factor(w, factor, tau):
    return factor.T @ (factor @ w) - tau / w


def parity_barrier(w, factor, tau):
    return factor @ (factor.T @ w) + tau / w


def parity_barrier_half(w, factor, tau):
    """The barrier's sign, and the half of the variance."""
    return 2 * factor @ (factor.T @ w) + tau / w


def parity_inverse(w, factor, tau):
    return factor @ (factor.T @ w) - tau / w**2


def parity_curvature(w, factor, tau):
    return factor @ factor.T + np.diag(tau / w)


# a ratio: mean over deviation, with leverage
def sharpe_cost(p, returns):
    r = returns @ p["w"] + p["cash"] * 0.001
    return -jnp.mean(r) / jnp.std(r)


def sharpe_gradient(p, returns):
    r = returns @ p["w"] + p["cash"] * 0.001
    m, s = jnp.mean(r), jnp.std(r)
    dr = (-1 / s + m * (r - m) / s**3) / len(r)
    return {"w": returns.T @ dr, "cash": 0.001 * jnp.sum(dr)}


def sharpe_quotient(p, returns):
    """The quotient rule's second term with the other sign."""
    r = returns @ p["w"] + p["cash"] * 0.001
    m, s = jnp.mean(r), jnp.std(r)
    dr = (-1 / s - m * (r - m) / s**3) / len(r)
    return {"w": returns.T @ dr, "cash": 0.001 * jnp.sum(dr)}


def sharpe_sample(p, returns):
    """The deviation with n − 1."""
    r = returns @ p["w"] + p["cash"] * 0.001
    m, s = jnp.mean(r), jnp.std(r, ddof=1)
    dr = (-1 / s + m * (r - m) / s**3 * len(r) / (len(r) - 1)) / len(r)
    return {"w": returns.T @ dr, "cash": 0.001 * jnp.sum(dr)}


def sharpe_cash(p, returns):
    g = sharpe_gradient(p, returns)
    return g | {"cash": jnp.zeros(())}


# smoothed expected shortfall: a threshold and the weights
SHORT = (W, np.array(0.004))


def shortfall_cost(params, returns, level=0.8, width=0.002):
    w, v = params
    return v + jnp.mean(width * softplus((-returns @ w - v) / width)) / (1 - level) + 0.1 * w @ w


def shortfall_gradient(params, returns, level=0.8, width=0.002):
    w, v = params
    tail = sigmoid((-returns @ w - v) / width) / ((1 - level) * len(returns))
    return -returns.T @ tail + 0.2 * w, 1 - tail.sum()


def shortfall_tail(params, returns, level=0.8, width=0.002):
    """The share of the tail: level for 1 − level."""
    w, v = params
    tail = sigmoid((-returns @ w - v) / width) / (level * len(returns))
    return -returns.T @ tail + 0.2 * w, 1 - tail.sum()


def shortfall_width(params, returns, level=0.8, width=0.002):
    """The inner derivative 1/width is not cancelled by the factor before."""
    w, v = params
    tail = sigmoid((-returns @ w - v) / width) / ((1 - level) * len(returns)) / width
    return -returns.T @ tail + 0.2 * w, 1 - tail.sum()


# an augmented Lagrangian: equality and inequalities, multipliers given
A, CAPS, MULT = rng.standard_normal((3, n)), np.array([0.2, -0.5, 0.1]), np.array([0.3, 0.0, 0.8])


def lagrangian_cost(w, rho):
    excess = relu(MULT + rho * (A @ w - CAPS))
    return 0.5 * jnp.sum((w - OLD) ** 2) + jnp.sum(excess**2) / (2 * rho) + 0.4 * (jnp.sum(w) - 1)


def lagrangian_gradient(w, rho):
    return w - OLD + A.T @ relu(MULT + rho * (A @ w - CAPS)) + 0.4


def lagrangian_all(w, rho):
    return w - OLD + A.T @ (MULT + rho * (A @ w - CAPS)) + 0.4


def lagrangian_equality(w, rho):
    return w - OLD + A.T @ relu(MULT + rho * (A @ w - CAPS))


def lagrangian_hessian(w, rho):
    active = (MULT + rho * (A @ w - CAPS) > 0).astype(float)
    return jnp.eye(n) + rho * (A.T * active) @ A


# expected utility, growth: log(1 + r) over the days
def growth_cost(w, returns):
    return -jnp.mean(jnp.log1p(100 * returns @ w / 50))


def growth_gradient(w, returns):
    return -2 * returns.T @ (1 / (1 + 2 * returns @ w)) / len(returns)


def growth_product(w, returns, v):
    return 4 * returns.T @ (returns @ v / (1 + 2 * returns @ w) ** 2) / len(returns)


def growth_linear(w, returns):
    """1 + r is taken for 1."""
    return -2 * returns.mean(axis=0) * jnp.ones(len(w))


def growth_power(w, returns, v):
    return 4 * returns.T @ (returns @ v / (1 + 2 * returns @ w)) / len(returns)


DATA = (MU, SIGMA)
LEVER = {"w": W, "cash": np.array(0.5)}

CASES = [
    Practice("mean and variance", markowitz_cost, W, DATA, gradient=markowitz_gradient, hessian=markowitz_hessian),
    Practice(
        "mean and variance, the 2 of the budget's square forgotten",
        markowitz_cost,
        W,
        DATA,
        {"budget": 0.5},
        gradient=markowitz_budget,
        kinds=frozenset({Kind.FACTOR, Kind.PENALTY}),
    ),
    Practice(
        "mean and variance, the half of the variance forgotten",
        markowitz_cost,
        W,
        DATA,
        {"aversion": 8.0},
        gradient=markowitz_variance,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "mean and variance, transaction costs left out",
        markowitz_cost,
        W,
        DATA,
        gradient=markowitz_trades,
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
    ),
    Practice(
        "mean and variance, the budget's Hessian as a diagonal",
        markowitz_cost,
        W,
        DATA,
        gradient=markowitz_gradient,
        hessian=markowitz_hessian_budget,
        kinds=frozenset({Kind.DIAGONAL, Kind.PENALTY}),
    ),
    Practice("softmax weights, data in the closure", softmax_cost, LOGITS, gradient=softmax_gradient),
    Practice(
        "softmax weights, that they sum to 1 is forgotten",
        softmax_cost,
        LOGITS,
        gradient=softmax_uncoupled,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "softmax weights, of the variance and not its root",
        softmax_cost,
        LOGITS,
        gradient=softmax_variance,
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    Practice(
        "risk parity in NumPy, with Hessian",
        parity_cost,
        W,
        (FACTOR, 0.05),
        gradient=parity_gradient,
        hessian=parity_hessian,
    ),
    Practice(
        "risk parity, the factor on the wrong side",
        parity_cost,
        W,
        (FACTOR, 0.05),
        gradient=parity_factor,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "risk parity, the barrier's sign",
        parity_cost,
        W,
        (FACTOR, 0.05),
        gradient=parity_barrier,
        kinds=frozenset({Kind.SIGN, Kind.PENALTY}),
    ),
    Practice(
        "risk parity, the barrier's sign and the half of the variance",
        parity_cost,
        W,
        (FACTOR, 0.05),
        gradient=parity_barrier_half,
        kinds=frozenset({Kind.SIGN, Kind.FACTOR}),
        all_needed=True,
    ),
    Practice(
        "risk parity, 1/w² for 1/w",
        parity_cost,
        W,
        (FACTOR, 0.05),
        gradient=parity_inverse,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.PENALTY}),
    ),
    Practice(
        "risk parity, 1/w for 1/w² in the Hessian",
        parity_cost,
        W,
        (FACTOR, 0.05),
        gradient=parity_gradient,
        hessian=parity_curvature,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.PENALTY}),
    ),
    Practice("ratio of mean and deviation", sharpe_cost, LEVER, (RETURNS,), gradient=sharpe_gradient),
    Practice(
        "ratio of mean and deviation, a sign of the quotient rule",
        sharpe_cost,
        LEVER,
        (RETURNS,),
        gradient=sharpe_quotient,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "ratio of mean and deviation, n − 1 for n",
        sharpe_cost,
        LEVER,
        (RETURNS,),
        gradient=sharpe_sample,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "ratio of mean and deviation, cash left at zero",
        sharpe_cost,
        LEVER,
        (RETURNS,),
        gradient=sharpe_cash,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("expected shortfall, smoothed", shortfall_cost, SHORT, (RETURNS,), gradient=shortfall_gradient),
    Practice(
        "expected shortfall, level for 1 − level",
        shortfall_cost,
        SHORT,
        (RETURNS,),
        gradient=shortfall_tail,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "expected shortfall, 1/width left over",
        shortfall_cost,
        SHORT,
        (RETURNS,),
        gradient=shortfall_width,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "augmented Lagrangian",
        lagrangian_cost,
        W,
        keywords={"rho": 3.0},
        gradient=lagrangian_gradient,
        hessian=lagrangian_hessian,
    ),
    Practice(
        "augmented Lagrangian, slack constraints counted",
        lagrangian_cost,
        W,
        keywords={"rho": 3.0},
        gradient=lagrangian_all,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.PENALTY}),
    ),
    Practice(
        "augmented Lagrangian, the equality's multiplier left out",
        lagrangian_cost,
        W,
        keywords={"rho": 3.0},
        gradient=lagrangian_equality,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "growth of wealth, with products",
        growth_cost,
        W,
        (RETURNS,),
        gradient=growth_gradient,
        hessian_product=growth_product,
    ),
    Practice(
        "growth of wealth, 1 / (1 + r) forgotten",
        growth_cost,
        W,
        (RETURNS,),
        gradient=growth_linear,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "growth of wealth, a power forgotten in the product",
        growth_cost,
        W,
        (RETURNS,),
        gradient=growth_gradient,
        hessian_product=growth_power,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
]
