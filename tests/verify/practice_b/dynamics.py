"""Fits of differential equations: Euler, Runge–Kutta, sensitivities, adjoints, solvers with a tolerance."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(109)

# logistic growth by Euler's method: rate, capacity, size at the start
DT, STEPS = 0.25, 16
GROWTH = np.array([0.8, 5.0, 0.4])
SIZES = 5 / (1 + 11 * np.exp(-0.8 * DT * np.arange(1, STEPS + 1))) + 0.1 * rng.standard_normal(STEPS)


def growth_cost(theta, sizes):
    r, capacity, x = theta
    total = 0.0
    for size in sizes:
        x = x + DT * r * x * (1 - x / capacity)
        total = total + 0.5 * (x - size) ** 2
    return total


def growth_sensitivities(theta, sizes, dt=DT, through=True, start=1.0):
    r, capacity, x = theta
    s, g = jnp.array([0.0, 0.0, start]), jnp.zeros(3)
    for size in sizes:
        by_theta = jnp.array([x * (1 - x / capacity), r * x**2 / capacity**2, 0.0])
        by_x = r * (1 - 2 * x / capacity)
        s = s + dt * ((by_x * s if through else 0.0) + by_theta)
        x = x + DT * r * x * (1 - x / capacity)
        g = g + (x - size) * s
    return g


def growth_adjoint(theta, sizes):
    """From the end to the start, in NumPy."""
    r, capacity, x = (float(value) for value in theta)
    path = [x]
    for _ in sizes:
        path.append(path[-1] + DT * r * path[-1] * (1 - path[-1] / capacity))
    lam, g = 0.0, np.zeros(3)
    for t in range(len(sizes), 0, -1):
        x, lam = path[t - 1], lam + path[t] - sizes[t - 1]
        g[:2] += lam * DT * np.array([x * (1 - x / capacity), r * x**2 / capacity**2])
        lam += lam * DT * r * (1 - 2 * x / capacity)
    g[2] = lam
    return g


def growth_late(theta, sizes):
    """The residual of the size before."""
    r, capacity, x = (float(value) for value in theta)
    path = [x]
    for _ in sizes:
        path.append(path[-1] + DT * r * path[-1] * (1 - path[-1] / capacity))
    lam, g = 0.0, np.zeros(3)
    for t in range(len(sizes), 0, -1):
        x, lam = path[t - 1], lam + path[t - 1] - sizes[t - 2]
        g[:2] += lam * DT * np.array([x * (1 - x / capacity), r * x**2 / capacity**2])
        lam += lam * DT * r * (1 - 2 * x / capacity)
    g[2] = lam
    return g


def growth_continuous(theta, sizes):
    """The adjoint equation of the differential equation, discretised at its own points."""
    r, capacity, x = theta
    path = [x]
    for _ in sizes:
        path.append(path[-1] + DT * r * path[-1] * (1 - path[-1] / capacity))
    lam, g = 0.0, jnp.zeros(3)
    for t in range(len(sizes), 0, -1):
        x = path[t]
        lam = lam + x - sizes[t - 1]
        g = g + lam * DT * jnp.array([x * (1 - x / capacity), r * x**2 / capacity**2, 0.0])
        lam = lam + lam * DT * r * (1 - 2 * x / capacity)
    return g.at[2].set(lam)


# predator and prey by Runge–Kutta, the rates by their logarithms; the adjoint of one step by vjp
RATES = {"log_rates": np.log(np.array([1.0, 0.5, 0.8, 0.4])), "start": np.array([1.5, 1.0])}


def lotka(rates, z):
    a, b, c, d = rates
    return jnp.array([a * z[0] - b * z[0] * z[1], d * z[0] * z[1] - c * z[1]])


def kutta(rates, z, h=0.2):
    k1 = lotka(rates, z)
    k2 = lotka(rates, z + h / 2 * k1)
    k3 = lotka(rates, z + h / 2 * k2)
    k4 = lotka(rates, z + h * k3)
    return z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def path_of(p, n):
    rates = jnp.exp(p["log_rates"])
    return jax.lax.scan(lambda z, _: (kutta(rates, z),) * 2, p["start"], length=n)[1]


SEEN = np.abs(1.2 + 0.5 * rng.standard_normal((10, 2)))


def lotka_cost(p, seen):
    return jnp.mean((jnp.log(path_of(p, len(seen))) - jnp.log(seen)) ** 2)


def lotka_back(p, seen, log=True, chain=True, start=True):
    rates, path = jnp.exp(p["log_rates"]), path_of(p, len(seen))
    forcing = 2 * (jnp.log(path) - jnp.log(seen)) / seen.size
    if log:
        forcing = forcing / path

    def back(lam, at):
        before, force = at
        by_rates, by_z = jax.vjp(kutta, rates, before)[1](lam + force)
        return by_z, by_rates

    before = jnp.concatenate([p["start"][None], path[:-1]])
    lam, g = jax.lax.scan(back, jnp.zeros(2), (before, forcing), reverse=True)
    g = g.sum(axis=0)
    return {"log_rates": g * rates if chain else g, "start": lam if start else jnp.zeros(2)}


# a damped oscillator by leapfrog, sensitivities by hand; k in N/m and a tiny damping in s/m²
SPRING = {"stiffness": np.array(4.0), "damping": np.array(2e-7)}
SWING = np.cos(2 * 0.1 * np.arange(1, 21)) + 0.02 * rng.standard_normal(20)


def spring_cost(p, swing):
    x, v, total = 1.0, 0.0, 0.0
    for seen in swing:
        v += 0.1 * (-p["stiffness"] * x - 1e6 * p["damping"] * v)
        x += 0.1 * v
        total += (x - seen) ** 2
    return total


def spring_gradient(p, swing):
    x, v, dx, dv, g = 1.0, 0.0, np.zeros(2), np.zeros(2), np.zeros(2)
    k, c = p["stiffness"], p["damping"]
    for seen in swing:
        dv = dv + 0.1 * (-k * dx - 1e6 * c * dv - np.array([x, 1e6 * v]))
        v = v + 0.1 * (-k * x - 1e6 * c * v)
        dx, x = dx + 0.1 * dv, x + 0.1 * v
        g = g + 2 * (x - seen) * dx
    return {"stiffness": g[0], "damping": g[1]}


def spring_unit(p, swing):
    g = spring_gradient(p, swing)
    return g | {"damping": g["damping"] / 1e6}


# a solver with a tolerance: decay A → B → C with sensitivities; both are right to the solver's 1e-6
TIMES = np.linspace(0.5, 4.0, 8)
MASS = np.exp(-0.9 * TIMES) + 0.02 * rng.standard_normal(8)


def decay(_, z, k1, k2):
    return [-k1 * z[0], k1 * z[0] - k2 * z[1]]


def decay_cost(theta, times, mass):
    k = tuple(np.exp(theta))
    z = solve_ivp(decay, (0, times[-1]), [1.0, 0.0], args=k, t_eval=times, rtol=1e-6, atol=1e-9).y
    return 0.5 * np.sum((z[0] + 0.5 * z[1] - mass) ** 2)


def decay_with(_, z, k1, k2):
    a, b, a1, b1, _, b2 = z
    return [-k1 * a, k1 * a - k2 * b, -a - k1 * a1, a + k1 * a1 - k2 * b1, 0.0, -b - k2 * b2]


def decay_gradient(theta, times, mass):
    k = tuple(np.exp(theta))
    z = solve_ivp(decay_with, (0, times[-1]), [1.0, *[0.0] * 5], args=k, t_eval=times, rtol=1e-6, atol=1e-9).y
    e = z[0] + 0.5 * z[1] - mass
    return np.array([k[0] * e @ (z[2] + 0.5 * z[3]), k[1] * e @ (0.5 * z[5])])


def decay_signs(theta, times, mass):
    k = tuple(np.exp(theta))
    z = solve_ivp(decay_with, (0, times[-1]), [1.0, *[0.0] * 5], args=k, t_eval=times, rtol=1e-6, atol=1e-9).y
    e = z[0] + 0.5 * z[1] - mass
    return np.array([k[0] * e @ (z[2] + 0.5 * z[3]), -k[1] * e @ (0.5 * z[5])])


# a fixed point iterated until nothing changes by 1e-6: mean-field magnetisations
COUPLING = 0.25 * rng.standard_normal((4, 4))
COUPLING = (COUPLING + COUPLING.T) / 2
FIELD, MEANS = rng.standard_normal(4), np.tanh(rng.standard_normal(4))


def settle(field):
    m, change = np.zeros(len(field)), 1.0
    while change > 1e-6:
        new = np.tanh(field + COUPLING @ m)
        m, change = new, np.abs(new - m).max()
    return m


def field_cost(field, means):
    return np.sum((settle(field) - means) ** 2)


def field_gradient(field, means):
    m = settle(field)
    slope = 1 - m**2
    return np.linalg.solve(np.eye(len(m)) - COUPLING * slope, 2 * (m - means)) * slope


def field_direct(field, means):
    """As if the neighbours did not move."""
    m = settle(field)
    return 2 * (m - means) * (1 - m**2)


CASES = [
    Practice("growth by Euler, sensitivities", growth_cost, GROWTH, (SIZES,), gradient=growth_sensitivities),
    Practice("growth by Euler, its adjoint in NumPy", growth_cost, GROWTH, (SIZES,), gradient=growth_adjoint),
    Practice(
        "growth by Euler, the step's length forgotten in the sensitivities",
        growth_cost,
        GROWTH,
        (SIZES,),
        gradient=partial(growth_sensitivities, dt=1.0),
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    Practice(
        "growth by Euler, the state's own sensitivity not carried on",
        growth_cost,
        GROWTH,
        (SIZES,),
        gradient=partial(growth_sensitivities, through=False),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "growth by Euler, the initial size's derivative left at zero",
        growth_cost,
        GROWTH,
        (SIZES,),
        gradient=partial(growth_sensitivities, start=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "growth by Euler, residuals one time early",
        growth_cost,
        GROWTH,
        (SIZES,),
        gradient=growth_late,
        kinds=frozenset({Kind.INDEX}),
    ),
    # no name of a kind fits: the derivative of another cost
    Practice(
        "growth by Euler, the continuous adjoint of a discrete cost",
        growth_cost,
        GROWTH,
        (SIZES,),
        gradient=growth_continuous,
        kinds=frozenset({Kind.UNKNOWN, Kind.INDEX}),
    ),
    Practice("predator and prey by Runge–Kutta, the adjoint", lotka_cost, RATES, (SEEN,), gradient=lotka_back),
    Practice(
        "predator and prey, by the rates and not their logarithms",
        lotka_cost,
        RATES,
        (SEEN,),
        gradient=partial(lotka_back, chain=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "predator and prey, 1/z of the logarithm forgotten",
        lotka_cost,
        RATES,
        (SEEN,),
        gradient=partial(lotka_back, log=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "predator and prey, the start not fitted",
        lotka_cost,
        RATES,
        (SEEN,),
        gradient=partial(lotka_back, start=False),
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("oscillator by leapfrog, damping in tiny units", spring_cost, SPRING, (SWING,), gradient=spring_gradient),
    Practice(
        "oscillator, the damping's unit forgotten",
        spring_cost,
        SPRING,
        (SWING,),
        gradient=spring_unit,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "decay by solve_ivp to 1e-6, sensitivity equations",
        decay_cost,
        np.array([-0.1, -0.7]),
        (TIMES, MASS),
        gradient=decay_gradient,
    ),
    Practice(
        "decay by solve_ivp to 1e-6, the sign of the second rate",
        decay_cost,
        np.array([-0.1, -0.7]),
        (TIMES, MASS),
        gradient=decay_signs,
        kinds=frozenset({Kind.SIGN, Kind.ENTRY}),
    ),
    Practice(
        "mean field iterated to 1e-6, implicit differentiation", field_cost, FIELD, (MEANS,), gradient=field_gradient
    ),
    Practice(
        "mean field, the neighbours held fixed",
        field_cost,
        FIELD,
        (MEANS,),
        gradient=field_direct,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
]
