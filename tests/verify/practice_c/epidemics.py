"""Epidemics and counts of animals: compartments by an adjoint, occupancy, distance sampling, zero-inflated counts."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus
from jax.scipy.special import gammaln

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(202)

# susceptible, ill, recovered in steps of a day; new cases are Poisson, a share is reported; three rates as logarithms
PEOPLE = 500.0
CASES_SEEN = rng.poisson(4.0 * np.exp(0.12 * np.arange(12))).astype(float)
RATES = {"infection": np.log(0.5), "recovery": np.log(0.25), "reported": np.log(0.6)}
RATES = {name: np.array(value) for name, value in RATES.items()}


def epidemic_cost(p, seen):
    beta, gamma, rho = jnp.exp(p["infection"]), jnp.exp(p["recovery"]), jnp.exp(p["reported"])

    def day(state, y):
        healthy, ill = state
        new = beta * healthy * ill / PEOPLE
        return (healthy - new, ill + new - gamma * ill), rho * new - y * jnp.log(rho * new)

    return jax.lax.scan(day, (PEOPLE - 10.0, 10.0), seen)[1].sum()


def epidemic_gradient(p, seen, susceptible=1.0, people=PEOPLE, early=False):
    """Forward through the days, then the adjoint states backward."""
    beta, gamma, rho = np.exp(p["infection"]), np.exp(p["recovery"]), np.exp(p["reported"])
    healthy, ill = [PEOPLE - 10.0], [10.0]
    for _ in seen:
        new = beta * healthy[-1] * ill[-1] / PEOPLE
        healthy.append(healthy[-1] - new)
        ill.append(ill[-1] + new - gamma * ill[-1])
    by_S = by_I = 0.0
    by = {"infection": 0.0, "recovery": 0.0, "reported": 0.0}
    for t in reversed(range(len(seen))):
        new = beta * healthy[t] * ill[t] / PEOPLE
        slope = rho - seen[t] / new
        by["reported"] += rho * new - seen[t]
        total = slope + by_I - by_S  # by the new infections of the day
        by["infection"] += total * new
        by["recovery"] -= by_I * gamma * ill[t + 1 if early else t]
        by_S += susceptible * total * beta * ill[t] / people
        by_I = by_I * (1 - gamma) + total * beta * healthy[t] / people
    return by


# occupancy: site i is occupied by psi_i, the species seen on a visit by p_i; params (site, visit) coefficients
SITES = np.column_stack([np.ones(15), rng.standard_normal((15, 2))])
EFFORT = rng.standard_normal(15)
VISITS, DETECTIONS = 4, np.array([0, 2, 0, 1, 0, 0, 3, 0, 4, 0, 1, 0, 0, 2, 0])
OCCUPANCY = (np.array([0.3, 0.8, -0.5]), np.array([-0.4, 0.6]))


def occupancy_cost(params, sites, effort, detections):
    a, b = params
    psi, q = sites @ a, b[0] + b[1] * effort
    seen = detections * q - VISITS * softplus(q) - softplus(-psi)
    never = jnp.logaddexp(-softplus(psi), -softplus(-psi) - VISITS * softplus(q))
    return -jnp.sum(jnp.where(detections > 0, seen, never))


def occupancy_weights(params, sites, effort, detections):
    """The probability that a site is occupied, given what was seen."""
    a, b = params
    psi, q = sigmoid(sites @ a), sigmoid(b[0] + b[1] * effort)
    missed = psi * (1 - q) ** VISITS
    return psi, q, jnp.where(detections > 0, 1.0, missed / (missed + 1 - psi))


def occupancy_gradient(params, sites, effort, detections):
    psi, q, w = occupancy_weights(params, sites, effort, detections)
    score = w * (VISITS * q - detections)
    return sites.T @ (psi - w), jnp.array([score.sum(), score @ effort])


def occupancy_naive(params, sites, effort, detections):
    """Sites without a detection are taken for empty."""
    psi, q, _ = occupancy_weights(params, sites, effort, detections)
    w = (detections > 0).astype(float)
    score = w * (VISITS * q - detections)
    return sites.T @ (psi - w), jnp.array([score.sum(), score @ effort])


def occupancy_one_visit(params, sites, effort, detections):
    psi, q, w = occupancy_weights(params, sites, effort, detections)
    score = w * (q - detections)
    return sites.T @ (psi - w), jnp.array([score.sum(), score @ effort])


def occupancy_certain(params, sites, effort, detections):
    """Detection differentiated as if each site were occupied."""
    psi, q, w = occupancy_weights(params, sites, effort, detections)
    score = VISITS * q - detections
    return sites.T @ (psi - w), jnp.array([score.sum(), score @ effort])


# distance sampling, half-normal detection on a strip of width w: the density is g(x) / ∫ g, by a trapezoid rule
DISTANCES = np.abs(rng.normal(0.0, 12.0, 30))
DISTANCES = DISTANCES[DISTANCES < 30.0]
GRID = np.linspace(0.0, 30.0, 61)


def distance_cost(log_sigma, x):
    s = np.exp(log_sigma)
    g = np.exp(-(GRID**2) / (2 * s**2))
    area = (g[0] / 2 + g[1:-1].sum() + g[-1] / 2) * (GRID[1] - GRID[0])
    return np.sum(x**2) / (2 * s**2) + len(x) * np.log(area)


def distance_gradient(log_sigma, x):
    s2 = np.exp(2 * log_sigma)
    g = np.exp(-(GRID**2) / (2 * s2))
    g[[0, -1]] /= 2
    return -np.sum(x**2) / s2 + len(x) * (g @ GRID**2) / (g.sum() * s2)


def distance_unnormalised(log_sigma, x):
    return -np.sum(x**2) / np.exp(2 * log_sigma)


def distance_one_normaliser(log_sigma, x):
    s2 = np.exp(2 * log_sigma)
    g = np.exp(-(GRID**2) / (2 * s2))
    g[[0, -1]] /= 2
    return -np.sum(x**2) / s2 + (g @ GRID**2) / (g.sum() * s2)


# zero-inflated Poisson counts of owls: {"count": coefficients, "zero": logit of an empty nest}
BROODS = np.column_stack([np.ones(20), rng.standard_normal((20, 2))])
CALLS = np.where(rng.random(20) < 0.35, 0, rng.poisson(np.exp(0.7 + 0.4 * BROODS[:, 1])))
OWLS = {"count": np.array([0.6, 0.3, -0.2]), "zero": np.array(-0.7)}


def owl_cost(p, X, y):
    eta, z = X @ p["count"], p["zero"]
    empty = jnp.logaddexp(z, -jnp.exp(eta))
    return jnp.sum(softplus(z) - jnp.where(y == 0, empty, y * eta - jnp.exp(eta) - gammaln(y + 1.0)))


def owl_gradient(p, X, y):
    mu = jnp.exp(X @ p["count"])
    structural = jnp.where(y == 0, 1 / (1 + jnp.exp(-p["zero"] - mu)), 0.0)
    return {
        "count": jnp.einsum("ij,i->j", X, (1 - structural) * (mu - y)),
        "zero": len(y) * sigmoid(p["zero"]) - structural.sum(),
    }


def owl_poisson(p, X, y):
    """Zeros weigh in the count's part as in plain Poisson regression."""
    return {**owl_gradient(p, X, y), "count": X.T @ (jnp.exp(X @ p["count"]) - y)}


def owl_single(p, X, y):
    """The normaliser log(1 + eᶻ) once, not for each nest."""
    g = owl_gradient(p, X, y)
    return {**g, "zero": g["zero"] - (len(y) - 1) * sigmoid(p["zero"])}


def owl_product(p, X, y, v):
    """The slope of the gradient along v, by hand."""
    mu = jnp.exp(X @ p["count"])
    pi = sigmoid(p["zero"])
    w = jnp.where(y == 0, 1 / (1 + jnp.exp(-p["zero"] - mu)), 0.0)
    d_mu = mu * (X @ v["count"])
    d_w = w * (1 - w) * (v["zero"] + d_mu)
    return {
        "count": X.T @ ((1 - w) * d_mu - d_w * (mu - y)),
        "zero": len(y) * pi * (1 - pi) * v["zero"] - d_w.sum(),
    }


def owl_frozen(p, X, y, v):
    """The posterior of EM is held fixed."""
    mu = jnp.exp(X @ p["count"])
    pi = sigmoid(p["zero"])
    w = jnp.where(y == 0, 1 / (1 + jnp.exp(-p["zero"] - mu)), 0.0)
    return {"count": X.T @ ((1 - w) * mu * (X @ v["count"])), "zero": len(y) * pi * (1 - pi) * v["zero"]}


CASES = [
    epidemic := Practice(
        "epidemic by days, adjoint states", epidemic_cost, RATES, (CASES_SEEN,), gradient=epidemic_gradient
    ),
    epidemic._replace(
        name="epidemic by days, the adjoint of the susceptible left at zero",
        gradient=lambda p, seen: epidemic_gradient(p, seen, susceptible=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    epidemic._replace(
        name="epidemic by days, the adjoint not divided by the population",
        gradient=lambda p, seen: epidemic_gradient(p, seen, people=1.0),
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    epidemic._replace(
        name="epidemic by days, recovery meets the infected of the day after",
        gradient=lambda p, seen: epidemic_gradient(p, seen, early=True),
        kinds=frozenset({Kind.INDEX}),
    ),
    occupancy := Practice(
        "occupancy by posterior weights",
        occupancy_cost,
        OCCUPANCY,
        (SITES, EFFORT, DETECTIONS),
        gradient=occupancy_gradient,
    ),
    occupancy._replace(
        name="occupancy, sites without detection taken for empty",
        gradient=occupancy_naive,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    occupancy._replace(
        name="occupancy, the number of visits forgotten",
        gradient=occupancy_one_visit,
        kinds=frozenset({Kind.FACTOR}),
    ),
    occupancy._replace(
        name="occupancy, detection as if all sites were occupied",
        gradient=occupancy_certain,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    distance := Practice(
        "distance sampling, area by trapezoids, NumPy",
        distance_cost,
        np.array(2.3),
        (DISTANCES,),
        gradient=distance_gradient,
    ),
    distance._replace(
        name="distance sampling, the normaliser forgotten",
        gradient=distance_unnormalised,
        kinds=frozenset({Kind.MISSING}),
    ),
    distance._replace(
        name="distance sampling, one normaliser for all animals",
        gradient=distance_one_normaliser,
        kinds=frozenset({Kind.FACTOR}),
    ),
    owls := Practice(
        "zero-inflated counts, gradient and products",
        owl_cost,
        OWLS,
        (BROODS, CALLS),
        gradient=owl_gradient,
        hessian_product=owl_product,
    ),
    owls._replace(
        name="zero-inflated counts, residuals of plain Poisson",
        gradient=owl_poisson,
        hessian_product=None,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    owls._replace(
        name="zero-inflated counts, the logit's normaliser once",
        gradient=owl_single,
        hessian_product=None,
        kinds=frozenset({Kind.FACTOR}),
    ),
    owls._replace(
        name="zero-inflated counts, products with posteriors held fixed",
        gradient=None,
        hessian_product=owl_frozen,
        kinds=frozenset({Kind.EXPECTED, Kind.MISSING, Kind.DIAGONAL}),
    ),
]
