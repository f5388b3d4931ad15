"""Flows: radial bumps, reflections, an autoregressive mask, sums of sigmoids, a matrix by its triangular parts."""

import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(216)
DATA = rng.standard_normal((10, 2)) * np.array([1.0, 0.6]) + 0.2

# a radial bump about a centre: z = x + β (x − c) / (α + r), α = exp, β as it is (small)
BUMP = {"centre": np.array([0.3, -0.2]), "log_alpha": np.array(0.2), "beta": np.array(0.7)}


def bump_cost(p, x):
    gap = x - p["centre"]
    r = jnp.sqrt(jnp.sum(gap**2, axis=1))
    h = 1 / (jnp.exp(p["log_alpha"]) + r)
    z = x + p["beta"] * h[:, None] * gap
    volume = jnp.log1p(p["beta"] * h) + jnp.log1p(p["beta"] * h - p["beta"] * h**2 * r)
    return jnp.sum(0.5 * jnp.sum(z**2, axis=1) - volume)


def bump_gradient(p, x, volume=1.0, radius=1.0):
    beta, alpha, g = p["beta"], np.exp(p["log_alpha"]), {"centre": np.zeros(2), "log_alpha": 0.0, "beta": 0.0}
    for point in x:
        gap = point - p["centre"]
        r = np.sqrt(gap @ gap)
        h = 1 / (alpha + r)
        z = point + beta * h * gap
        one, two = 1 + beta * h, 1 + beta * h - beta * h**2 * r
        by_h = beta * z @ gap - volume * (beta / one + (beta - 2 * beta * h * r) / two)
        by_r = -(h**2) * by_h + volume * beta * h**2 / two
        g["beta"] += h * z @ gap - volume * (h / one + (h - h**2 * r) / two)
        g["log_alpha"] -= alpha * h**2 * by_h
        g["centre"] -= beta * h * z + radius * by_r * gap / r
    return g


# an affine autoregressive layer: (x₁, x₂, x₃), mean and log scale of each by those before; masks on full matrices
TRIPLE = rng.standard_normal((9, 3))
BEFORE = np.tril(np.ones((3, 3)), -1)
MADE = (0.5 * rng.standard_normal((3, 3)), 0.4 * rng.standard_normal((3, 3)), 0.2 * rng.standard_normal(3))


def made_cost(params, x):
    A, B, c = params
    mean, log_s = x @ (A * BEFORE).T, jnp.tanh(x @ (B * BEFORE).T + c)
    u = (x - mean) * jnp.exp(-log_s)
    return jnp.mean(jnp.sum(0.5 * u**2 + log_s, axis=1))


def made_gradient(params, x, mask=BEFORE, volume=1.0, tanh=True):
    A, B, c = params
    log_s = jnp.tanh(x @ (B * BEFORE).T + c)
    u = (x - x @ (A * BEFORE).T) * jnp.exp(-log_s)
    by_log_s = (volume - u**2) / len(x) * (1 - log_s**2 if tanh else 1.0)
    by_mean = -u * jnp.exp(-log_s) / len(x)
    return jnp.einsum("ni,nj,ij->ij", by_mean, x, mask), by_log_s.T @ x * mask, by_log_s.sum(axis=0)


# a reflection 1 − 2vvᵀ/|v|², after it a scale for each axis: [v, log scales]
MIRROR = [np.array([0.8, 0.5]), np.array([0.2, -0.3])]


def mirror_cost(params, x):
    v, log_s = params
    z = (x - 2 * jnp.outer(x @ v, v) / (v @ v)) * jnp.exp(log_s)
    return jnp.sum(jnp.log(jnp.cosh(z))) - len(x) * log_s.sum()


def mirror_gradient(params, x, length=1.0, both=1.0):
    v, log_s = params
    reflected = x - 2 * jnp.outer(x @ v, v) / (v @ v)
    t = jnp.tanh(reflected * jnp.exp(log_s))
    G = t * jnp.exp(log_s)
    inner = jnp.einsum("ni,nj->ij", G, x)
    by_v = -2 * (both * inner + inner.T) @ v / (v @ v) + length * 4 * (v @ inner @ v) * v / (v @ v) ** 2
    return [by_v, jnp.sum(t * reflected * jnp.exp(log_s), axis=0) - len(x)]


# a monotone sum of sigmoids in one dimension, logistic base; the log density by the slope
LINE = np.sort(rng.standard_normal(14))
SUM = {"height": np.array([0.3, -0.5]), "place": np.array([-0.6, 0.8]), "slope": np.array([0.4, 0.1])}


def sum_cost(p, x):
    a, k = np.log1p(np.exp(p["height"])), np.exp(p["slope"])
    s = 1 / (1 + np.exp(-k * (x[:, None] - p["place"])))
    z, dz = 0.1 * x + s @ a, 0.1 + (s * (1 - s)) @ (a * k)
    return np.sum(z + 2 * np.log1p(np.exp(-z)) - np.log(dz))


def sum_gradient(p, x, density=1.0, softplus_slope=True, third=1.0):
    a, k = np.log1p(np.exp(p["height"])), np.exp(p["slope"])
    u = x[:, None] - p["place"]
    s = 1 / (1 + np.exp(-k * u))
    s1, s2 = s * (1 - s), third * s * (1 - s) * (1 - 2 * s)
    z, dz = 0.1 * x + s @ a, 0.1 + s1 @ (a * k)
    e, w = np.tanh(z / 2)[:, None], -density / dz[:, None]
    by_a = np.sum(e * s + w * s1 * k, axis=0)
    by_k = np.sum(e * a * s1 * u + w * a * (s1 + k * s2 * u), axis=0)
    return {
        "height": by_a * (1 / (1 + np.exp(-p["height"])) if softplus_slope else 1.0),
        "place": -np.sum(e * a * s1 * k + w * a * k**2 * s2, axis=0),
        "slope": k * by_k,
    }


# a normal with precision U Uᵀ, U upper triangular with softplus on its diagonal, written as a full matrix; products
FULL = np.array([[0.5, 0.3], [9.0, -0.2]])  # the 9 is not used


def precision_factor(A):
    return jnp.triu(A, 1) + jnp.diag(softplus(jnp.diag(A)))


def precision_cost(A, x):
    U = precision_factor(A)
    return 0.5 * jnp.sum((x @ U) ** 2) - len(x) * jnp.sum(jnp.log(jnp.diag(U)))


def precision_gradient(A, x):
    U, S = precision_factor(A), x.T @ x
    G = S @ U - len(x) * jnp.diag(1 / jnp.diag(U))
    return jnp.triu(G, 1) + jnp.diag(jnp.diag(G) * sigmoid(jnp.diag(A)))


def precision_product(A, x, V, bend=1.0, volume=1.0):
    U, S, d = precision_factor(A), x.T @ x, jnp.diag(A)
    s, dv = sigmoid(d), jnp.diag(V)
    dU = jnp.triu(V, 1) + jnp.diag(s * dv)
    slope = jnp.diag(S @ U) - len(x) / jnp.diag(U)
    turned = S @ dU + volume * len(x) * jnp.diag(s * dv / jnp.diag(U) ** 2)
    return jnp.triu(turned, 1) + jnp.diag(jnp.diag(turned) * s + bend * slope * s * (1 - s) * dv)


def precision_lower(A, x):
    U, S = precision_factor(A), x.T @ x
    G = S @ U - len(x) * jnp.diag(1 / jnp.diag(U))
    return jnp.tril(G, -1) + jnp.diag(jnp.diag(G) * sigmoid(jnp.diag(A)))


CASES = [
    bump := Practice("radial bump, point by point", bump_cost, BUMP, (DATA,), gradient=bump_gradient),
    bump._replace(
        name="radial bump, the volume left out",
        gradient=lambda p, x: bump_gradient(p, x, volume=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
    bump._replace(
        name="radial bump, the radius held fixed when the centre moves",
        gradient=lambda p, x: bump_gradient(p, x, radius=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    made := Practice("autoregressive by masks", made_cost, MADE, (TRIPLE,), gradient=made_gradient),
    made._replace(
        name="autoregressive, the mask forgotten in the gradient",
        gradient=lambda params, x: made_gradient(params, x, mask=np.ones((3, 3))),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    made._replace(
        name="autoregressive, tanh' forgotten and the volume's part left out",
        gradient=lambda params, x: made_gradient(params, x, tanh=False, volume=0.0),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
        all_needed=True,
    ),
    mirror := Practice("a reflection and scales", mirror_cost, MIRROR, (DATA,), gradient=mirror_gradient),
    mirror._replace(
        name="a reflection, the length of its vector held fixed",
        gradient=lambda params, x: mirror_gradient(params, x, length=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    mirror._replace(
        name="a reflection, one of the vector's two places",
        gradient=lambda params, x: mirror_gradient(params, x, both=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    sums := Practice("sum of sigmoids, NumPy", sum_cost, SUM, (LINE,), gradient=sum_gradient),
    sums._replace(
        name="sum of sigmoids, softplus' slope forgotten",
        gradient=lambda p, x: sum_gradient(p, x, softplus_slope=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    precision := Practice(
        "precision by a triangle in a full matrix",
        precision_cost,
        FULL,
        (DATA,),
        gradient=precision_gradient,
        hessian_product=precision_product,
    ),
    precision._replace(
        name="precision by a triangle, the lower one filled",
        params=np.array([[0.5, 0.3], [0.4, -0.2]]),
        gradient=precision_lower,
        hessian_product=None,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    precision._replace(
        name="precision by a triangle, softplus'' left out of the product",
        gradient=None,
        hessian_product=lambda A, x, V: precision_product(A, x, V, bend=0.0),
        kinds=frozenset({Kind.EXPECTED, Kind.MISSING}),
    ),
    precision._replace(
        name="precision by a triangle, the volume left out of the product",
        gradient=None,
        hessian_product=lambda A, x, V: precision_product(A, x, V, volume=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
]
