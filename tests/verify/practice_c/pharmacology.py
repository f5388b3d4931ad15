"""Pharmacology: concentrations after a dose, dose and response, elimination that saturates."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(201)

# one compartment, a dose by mouth: absorbed at the rate ka, eliminated at the rate ke, volume V
HOURS = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 12.0])
ORAL = {"log_ka": np.array(0.3), "log_ke": np.array(-1.2), "log_V": np.array(1.1)}
SEEN = np.array([1.6, 3.1, 4.4, 4.9, 5.2, 4.1, 3.6, 2.2, 0.8, 0.5])
DOSE = 25.0


def oral_cost(p, t, c, dose):
    ka, ke, V = np.exp(p["log_ka"]), np.exp(p["log_ke"]), np.exp(p["log_V"])
    model = dose * ka / (V * (ka - ke)) * (np.exp(-ke * t) - np.exp(-ka * t))
    return 0.5 * np.sum((model - c) ** 2)


def oral_gradient(p, t, c, dose):
    ka, ke, V = np.exp(p["log_ka"]), np.exp(p["log_ke"]), np.exp(p["log_V"])
    by_ka = by_ke = by_V = 0.0
    for ti, ci in zip(t, c, strict=True):
        slow, fast = np.exp(-ke * ti), np.exp(-ka * ti)
        front = dose * ka / (V * (ka - ke))
        model = front * (slow - fast)
        r = model - ci
        by_ka += r * (front * ti * fast - model * ke / (ka * (ka - ke)))
        by_ke += r * (model / (ka - ke) - front * ti * slow)
        by_V -= r * model / V
    return {"log_ka": ka * by_ka, "log_ke": ke * by_ke, "log_V": V * by_V}


def oral_rates(p, t, c, dose):
    """By the rates and the volume themselves."""
    g = oral_gradient(p, t, c, dose)
    return {name: g[name] / np.exp(p[name]) for name in g}


def oral_front(p, t, c, dose):
    """Only the exponentials are differentiated, not the factor before them."""
    ka, ke, V = np.exp(p["log_ka"]), np.exp(p["log_ke"]), np.exp(p["log_V"])
    front = dose * ka / (V * (ka - ke))
    r = front * (np.exp(-ke * t) - np.exp(-ka * t)) - c
    return {
        "log_ka": ka * np.sum(r * front * t * np.exp(-ka * t)),
        "log_ke": -ke * np.sum(r * front * t * np.exp(-ke * t)),
        "log_V": -np.sum(r * (r + c)),
    }


def oral_volume(p, t, c, dose):
    g = oral_gradient(p, t, c, dose)
    return {**g, "log_V": -g["log_V"]}


# dose and response: E0 + Emax dʰ / (dʰ + EC50ʰ); parameters (E0, Emax, log EC50, log h)
DOSES = np.array([0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0])
EFFECT = np.array([2.3, 1.9, 3.4, 5.2, 8.9, 11.5, 11.0, 12.6])
HILL = (np.array(1.8), np.array(9.5), np.array(1.7), np.array(0.2))


def hill_cost(params, d, effect):
    E0, Emax, log_ec50, log_h = params
    power = (d / jnp.exp(log_ec50)) ** jnp.exp(log_h)
    return jnp.sum((E0 + Emax * power / (1 + power) - effect) ** 2)


def hill_gradient(params, d, effect):
    E0, Emax, log_ec50, log_h = params
    h, x = jnp.exp(log_h), jnp.log(d) - log_ec50
    s = sigmoid(h * x)
    r = 2 * (E0 + Emax * s - effect)
    slope = r * Emax * s * (1 - s) * h
    return r.sum(), r @ s, -slope.sum(), slope @ x


def hill_occupied(params, d, effect):
    """The share of free receptors 1 − s forgotten."""
    E0, Emax, log_ec50, log_h = params
    h, x = jnp.exp(log_h), jnp.log(d) - log_ec50
    s = sigmoid(h * x)
    r = 2 * (E0 + Emax * s - effect)
    slope = r * Emax * s * h
    return r.sum(), r @ s, -slope.sum(), slope @ x


def hill_plain_log(params, d, effect):
    """log d for log d − log EC50 in the derivative by the exponent."""
    E0, Emax, log_ec50, log_h = params
    h = jnp.exp(log_h)
    s = sigmoid(h * (jnp.log(d) - log_ec50))
    r = 2 * (E0 + Emax * s - effect)
    slope = r * Emax * s * (1 - s) * h
    return r.sum(), r @ s, -slope.sum(), slope @ jnp.log(d)


def hill_exponent(params, d, effect):
    """By log EC50 without the exponent."""
    g = hill_gradient(params, d, effect)
    return g[0], g[1], g[2] / jnp.exp(params[3]), g[3]


# the Hessian of the same by an array of the four


def vector_cost(v, d, effect):
    s = sigmoid(jnp.exp(v[3]) * (jnp.log(d) - v[2]))
    return jnp.sum((v[0] + v[1] * s - effect) ** 2)


def vector_hessian(v, d, effect, residuals=1.0):
    h, x = jnp.exp(v[3]), jnp.log(d) - v[2]
    s = sigmoid(h * x)
    s1, s2 = s * (1 - s), s * (1 - s) * (1 - 2 * s)
    r = residuals * (v[0] + v[1] * s - effect)
    J = jnp.stack([jnp.ones_like(s), s, -v[1] * s1 * h, v[1] * s1 * h * x])
    H = J @ J.T
    by_emax = jnp.array([-(r @ s1) * h, (r * x) @ s1 * h])
    ec50_ec50 = v[1] * h**2 * r @ s2
    ec50_h = -v[1] * r @ (h * s1 + h**2 * x * s2)
    h_h = v[1] * (r * x) @ (h * s1 + h**2 * x * s2)
    H = H.at[1, 2:].add(by_emax).at[2:, 1].add(by_emax)
    return 2 * H.at[2:, 2:].add(jnp.array([[ec50_ec50, ec50_h], [ec50_h, h_h]]))


def vector_gauss_newton(v, d, effect):
    return vector_hessian(v, d, effect, residuals=0.0)


# elimination that saturates, dc/dt = −Vmax c / (Km + c), by Runge and Kutta's four stages
STEP, LEVELS = 0.5, np.array([8.1, 7.4, 6.2, 5.6, 4.4, 3.9, 2.7, 2.2])
SATURATED = np.array([0.9, 1.1, 2.2])  # log Vmax, log Km, log c(0)


def saturated_cost(v, levels):
    Vmax, Km = jnp.exp(v[0]), jnp.exp(v[1])

    def rate(c):
        return -Vmax * c / (Km + c)

    def step(c, level):
        k1 = rate(c)
        k2 = rate(c + STEP / 2 * k1)
        k3 = rate(c + STEP / 2 * k2)
        k4 = rate(c + STEP * k3)
        c = c + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return c, (jnp.log(c) - jnp.log(level)) ** 2

    return jnp.mean(jax.lax.scan(step, jnp.exp(v[2]), levels)[1])


def saturated_gradient(v, levels, stages=1.0, start=1.0, late=False):
    Vmax, Km, c = np.exp(v[0]), np.exp(v[1]), np.exp(v[2])
    s, g = np.array([0.0, 0.0, start * c]), np.zeros(3)

    def rate(c, s):
        """The rate and its derivatives by the three parameters."""
        own = np.array([-Vmax * c / (Km + c), Vmax * c * Km / (Km + c) ** 2, 0.0])
        return own[0], own - Vmax * Km / (Km + c) ** 2 * s

    for level in levels:
        before = s
        k1, d1 = rate(c, s)
        k2, d2 = rate(c + STEP / 2 * k1, s + stages * STEP / 2 * d1)
        k3, d3 = rate(c + STEP / 2 * k2, s + stages * STEP / 2 * d2)
        k4, d4 = rate(c + STEP * k3, s + stages * STEP * d3)
        c, s = c + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4), s + STEP / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
        g = g + 2 * (np.log(c) - np.log(level)) * (before if late else s) / c
    return g / len(levels)


CASES = [
    oral := Practice(
        "dose by mouth, a loop over samples", oral_cost, ORAL, (HOURS, SEEN, DOSE), gradient=oral_gradient
    ),
    oral._replace(
        name="dose by mouth, by rates and volume and not their logarithms",
        gradient=oral_rates,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    oral._replace(
        name="dose by mouth, the factor before the exponentials held fixed",
        gradient=oral_front,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    oral._replace(name="dose by mouth, the volume's sign", gradient=oral_volume, kinds=frozenset({Kind.SIGN})),
    hill := Practice("dose and response by a sigmoid", hill_cost, HILL, (DOSES, EFFECT), gradient=hill_gradient),
    hill._replace(
        name="dose and response, s for s (1 - s)", gradient=hill_occupied, kinds=frozenset({Kind.CHAIN_RULE})
    ),
    hill._replace(
        name="dose and response, log d for log d - log EC50",
        gradient=hill_plain_log,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE, Kind.ENTRY}),
    ),
    hill._replace(
        name="dose and response, the exponent forgotten by EC50",
        gradient=hill_exponent,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    curve := Practice(
        "dose and response, Hessian",
        vector_cost,
        np.array([1.8, 9.5, 1.7, 0.2]),
        (DOSES, EFFECT),
        hessian=vector_hessian,
    ),
    curve._replace(
        name="dose and response, Gauss-Newton", hessian=vector_gauss_newton, kinds=frozenset({Kind.EXPECTED})
    ),
    saturated := Practice(
        "saturated elimination, sensitivities of all stages",
        saturated_cost,
        SATURATED,
        (LEVELS,),
        gradient=saturated_gradient,
    ),
    saturated._replace(
        name="saturated elimination, the stages' own sensitivities forgotten",
        gradient=lambda v, levels: saturated_gradient(v, levels, stages=0.0),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    saturated._replace(
        name="saturated elimination, the start taken as known",
        gradient=lambda v, levels: saturated_gradient(v, levels, start=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
    saturated._replace(
        name="saturated elimination, the sensitivities of before the step",
        gradient=lambda v, levels: saturated_gradient(v, levels, late=True),
        kinds=frozenset({Kind.INDEX, Kind.CHAIN_RULE}),
    ),
]
