"""Costs with custom rules, solvers and branches of their own, where autodiff is not the last word."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(117)
X, Y = rng.standard_normal((18, 3)), rng.standard_normal(18)
SEEN = (Y > 0).astype(float)


# a fused layer with a rule of its own, in which the derivative by the small leaf is wrong
@jax.custom_vjp
def fused(w, offset, X):
    return jnp.tanh(X @ w + 1e-4 * offset)


def fused_forward(w, offset, X):
    h = fused(w, offset, X)
    return h, (h, X)


def fused_backward(kept, delta):
    h, X = kept
    d = delta * (1 - h**2)
    return X.T @ d, 2e-4 * jnp.sum(d), jnp.zeros_like(X)


fused.defvjp(fused_forward, fused_backward)
FUSED = {"w": np.array([0.5, -0.4, 0.8]), "offset": np.array(0.3)}


def fused_cost(p, X, y):
    return 0.5 * jnp.sum((fused(p["w"], p["offset"], X) - y) ** 2)


def fused_gradient(p, X, y):
    h = jnp.tanh(X @ p["w"] + 1e-4 * p["offset"])
    d = (h - y) * (1 - h**2)
    return {"w": X.T @ d, "offset": 1e-4 * d.sum()}


def fused_slope(p, X, y):
    h = jnp.tanh(X @ p["w"] + 1e-4 * p["offset"])
    d = h - y
    return {"w": X.T @ d, "offset": 1e-4 * d.sum()}


# the normal distribution's function with a derivative good to seven digits
@jax.custom_jvp
def cdf(z):
    return 0.5 * (1 + erf(z / jnp.sqrt(2.0)))


@cdf.defjvp
def cdf_tangent(primals, tangents):
    (z,), (dz,) = primals, tangents
    return cdf(z), 0.3989423 * jnp.exp(-0.5 * z**2) * dz


def probit_cost(theta, X, y, lam=0.2):
    p = cdf(X @ theta)
    return -jnp.sum(y * jnp.log(p) + (1 - y) * jnp.log(1 - p)) + 0.5 * lam * theta @ theta


def probit_gradient(theta, X, y, lam=0.2):
    z = X @ theta
    p, density = 0.5 * (1 + erf(z / jnp.sqrt(2.0))), jnp.exp(-0.5 * z**2) / jnp.sqrt(2 * jnp.pi)
    return X.T @ ((p - y) * density / (p * (1 - p))) + lam * theta


def probit_density(theta, X, y, lam=0.2):
    """The density's 1/√2π is forgotten."""
    z = X @ theta
    p, density = 0.5 * (1 + erf(z / jnp.sqrt(2.0))), jnp.exp(-0.5 * z**2)
    return X.T @ ((p - y) * density / (p * (1 - p))) + lam * theta


# a right rule for a clipped logarithm; the kink is far from all data
@jax.custom_jvp
def safe_log(x):
    return jnp.log(jnp.maximum(x, 1e-12))


safe_log.defjvps(lambda dx, _, x: dx / jnp.maximum(x, 1e-12))
COUNTS = rng.poisson(4.0, 18).astype(float)


def identity_cost(p, X, counts):
    """Poisson regression with an identity link."""
    mean = 4 + X @ p[0] + p[1]
    return jnp.sum(mean - counts * safe_log(mean))


def identity_gradient(p, X, counts):
    e = 1 - counts / (4 + X @ p[0] + p[1])
    return X.T @ e, e.sum()


def identity_log(p, X, counts):
    """As with the logarithm as link."""
    e = 4 + X @ p[0] + p[1] - counts
    return X.T @ e, e.sum()


# a root by Newton's method in a while loop, which reverse mode does not pass
PRICES = np.array([0.9, 1.4, 2.2])


def quantity(a, price):
    """q with q + a q³ = price."""

    def step(state):
        q, _ = state
        change = (q + a * q**3 - price) / (1 + 3 * a * q**2)
        return q - change, jnp.max(jnp.abs(change))

    return jax.lax.while_loop(lambda s: s[1] > 1e-7, step, (price, jnp.ones(())))[0]


def market_cost(a, price):
    return jnp.sum((quantity(a, price) - 0.7) ** 2)


def market_gradient(a, price):
    q = quantity(a, price)
    return jnp.sum(2 * (q - 0.7) * -(q**3) / (1 + 3 * a * q**2))


def market_direct(a, price):
    """The slope 1 + 3 a q² of the equation is forgotten."""
    q = quantity(a, price)
    return jnp.sum(2 * (q - 0.7) * -(q**3))


# a deep equilibrium: twelve steps, differentiated implicitly as if there were more
INNER = 0.3 * rng.standard_normal((3, 3))


def equilibrium(w, x):
    z = jnp.zeros_like(x)
    for _ in range(12):
        z = jnp.tanh(w @ z + x)
    return z


def equilibrium_cost(w, x, target):
    return 0.5 * jnp.sum((equilibrium(w, x) - target) ** 2)


def equilibrium_gradient(w, x, target):
    z = equilibrium(w, x)
    D = jnp.diag(1 - z**2)
    return jnp.outer(jnp.linalg.solve(jnp.eye(3) - (D @ w).T, z - target) @ D, z)


def equilibrium_unrolled_once(w, x, target):
    z = equilibrium(w, x)
    return jnp.outer((z - target) * (1 - z**2), z)


def equilibrium_transposed(w, x, target):
    z = equilibrium(w, x)
    D = jnp.diag(1 - z**2)
    return jnp.outer(jnp.linalg.solve(jnp.eye(3) - D @ w, z - target) @ D, z)


# a norm that is guarded at 0 by a where; autodiff is NaN in the branch not taken
OFFSETS = np.array([[0.0, 0.0], [0.3, -0.4], [1.0, 2.0]])


def guarded_cost(shift):
    d = OFFSETS * shift
    r2 = jnp.sum(d**2, axis=1)
    return jnp.sum(jnp.where(r2 > 0, jnp.sqrt(r2), 0.0)) + jnp.sum(shift**4) / 4


def guarded_gradient(shift):
    d = OFFSETS * shift
    r = jnp.sqrt(jnp.sum(d**2, axis=1))
    return jnp.sum(OFFSETS * d / jnp.where(r > 0, r, 1.0)[:, None], axis=0) + shift**3


def guarded_nan(shift):
    d = OFFSETS * shift
    r = jnp.sqrt(jnp.sum(d**2, axis=1))
    return jnp.sum(OFFSETS * d / r[:, None], axis=0) + shift**3


# gradient clipping left in the gradient that is to be tested
def clipped(theta, X, y):
    g = X.T @ (X @ theta - y)
    return g * jnp.minimum(1, 1.0 / jnp.linalg.norm(g))


def squares_cost(theta, X, y):
    return 0.5 * jnp.sum((X @ theta - y) ** 2)


def squares_gradient(theta, X, y):
    return X.T @ (X @ theta - y)


# ReLU at a generic point, in NumPy, no unit near its kink; |θ| as penalty
W1 = np.array([[0.8, -0.5, 0.3], [0.2, 0.9, -0.7], [-0.6, 0.1, 0.5]])
NET = {"first": W1, "second": np.array([0.7, -1.1, 0.4])}


def kinks_cost(p, X, y, lam):
    s = np.maximum(X @ p["first"], 0) @ p["second"]
    return np.abs(s - y).mean() + lam * sum(np.abs(leaf).sum() for leaf in p.values())


def kinks_gradient(p, X, y, lam):
    a = X @ p["first"]
    e = np.sign(np.maximum(a, 0) @ p["second"] - y) / len(y)
    return {
        "first": X.T @ (np.outer(e, p["second"]) * (a > 0)) + lam * np.sign(p["first"]),
        "second": np.maximum(a, 0).T @ e + lam * np.sign(p["second"]),
    }


def kinks_residual(p, X, y, lam):
    """The residual for its sign."""
    a = X @ p["first"]
    e = (np.maximum(a, 0) @ p["second"] - y) / len(y)
    return {
        "first": X.T @ (np.outer(e, p["second"]) * (a > 0)) + lam * np.sign(p["first"]),
        "second": np.maximum(a, 0).T @ e + lam * np.sign(p["second"]),
    }


# a table, interpolated in NumPy
KNOTS = np.linspace(-3, 3, 13)
TABLE = np.sin(KNOTS)


def table_cost(theta):
    """Linear interpolation; each score lies within an interval."""
    return np.sum((np.interp(X @ theta, KNOTS, TABLE) - Y) ** 2)


def table_gradient(theta):
    s = X @ theta
    slope = (np.diff(TABLE) / np.diff(KNOTS))[np.clip(np.searchsorted(KNOTS, s) - 1, 0, 11)]
    slope = np.where(np.abs(s) < 3, slope, 0.0)
    return 2 * X.T @ ((np.interp(s, KNOTS, TABLE) - Y) * slope)


def table_next(theta):
    """The slope of the next interval."""
    s = X @ theta
    slope = (np.diff(TABLE) / np.diff(KNOTS))[np.clip(np.searchsorted(KNOTS, s), 0, 11)]
    slope = np.where(np.abs(s) < 3, slope, 0.0)
    return 2 * X.T @ ((np.interp(s, KNOTS, TABLE) - Y) * slope)


POINT = np.array([0.5, -0.4, 0.8])
SHIFTED = (np.array([0.4, -0.3, 0.2]), np.array(0.5))
INPUT, OUTPUT = rng.standard_normal(3), rng.standard_normal(3)

CASES = [
    Practice(
        "a rule that is wrong in a small leaf, the formula right", fused_cost, FUSED, (X, Y), gradient=fused_gradient
    ),
    Practice(
        "a rule that is wrong in a small leaf, tanh′ forgotten in the formula",
        fused_cost,
        FUSED,
        (X, Y),
        gradient=fused_slope,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("a rule good to seven digits, the formula right", probit_cost, POINT, (X, SEEN), gradient=probit_gradient),
    Practice(
        "a rule good to seven digits, 1/√2π forgotten in the formula",
        probit_cost,
        POINT,
        (X, SEEN),
        {"lam": 0.5},
        gradient=probit_density,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "Poisson with an identity link, a right rule", identity_cost, SHIFTED, (X, COUNTS), gradient=identity_gradient
    ),
    Practice(
        "Poisson with an identity link, as with a logarithm",
        identity_cost,
        SHIFTED,
        (X, COUNTS),
        gradient=identity_log,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("a root in a while loop, implicitly", market_cost, np.array(0.6), (PRICES,), gradient=market_gradient),
    Practice(
        "a root in a while loop, the equation's slope forgotten",
        market_cost,
        np.array(0.6),
        (PRICES,),
        gradient=market_direct,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "an equilibrium of twelve steps, implicitly",
        equilibrium_cost,
        INNER,
        (INPUT, OUTPUT),
        gradient=equilibrium_gradient,
    ),
    Practice(
        "an equilibrium, its last step only",
        equilibrium_cost,
        INNER,
        (INPUT, OUTPUT),
        gradient=equilibrium_unrolled_once,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "an equilibrium, the system not transposed",
        equilibrium_cost,
        INNER,
        (INPUT, OUTPUT),
        gradient=equilibrium_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice("a norm guarded at 0", guarded_cost, np.array([0.5, -0.8]), gradient=guarded_gradient),
    Practice(
        "a norm guarded at 0, not guarded in the gradient",
        guarded_cost,
        np.array([0.5, -0.8]),
        gradient=guarded_nan,
        kinds=frozenset({Kind.NONFINITE}),
    ),
    Practice("least squares", squares_cost, POINT, (X, Y), gradient=squares_gradient),
    Practice(
        "least squares, clipped to norm 1",
        squares_cost,
        POINT,
        (X, Y),
        gradient=clipped,
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    Practice("ReLU, |error| and |θ| at a generic point, NumPy", kinks_cost, NET, (X, Y, 0.1), gradient=kinks_gradient),
    Practice(
        "ReLU, |error| and |θ|, the error for its sign",
        kinks_cost,
        NET,
        (X, Y, 0.1),
        gradient=kinks_residual,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("linear interpolation of a table, NumPy", table_cost, POINT, gradient=table_gradient),
    Practice(
        "linear interpolation of a table, the next interval's slope",
        table_cost,
        POINT,
        gradient=table_next,
        kinds=frozenset({Kind.INDEX, Kind.CHAIN_RULE}),
    ),
]
