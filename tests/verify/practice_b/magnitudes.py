"""Very large and very small numbers: units, decades, constants, cancellation, overflow, single precision."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(116)

# a quadratic whose curvatures span 18 decades
B = np.logspace(-9, 9, 19)
THETA = rng.uniform(0.5, 1.5, 19) * np.where(rng.random(19) < 0.5, -1, 1)


def decades_cost(theta, b):
    return 0.5 * jnp.sum((b * theta) ** 2) - jnp.sum(b * theta)


def decades_gradient(theta, b):
    return b**2 * theta - b


def decades_sign(theta, b):
    """The sign of the sixth of nineteen."""
    return jnp.asarray(b**2 * theta - b).at[5].multiply(-1)


def decades_percent(theta, b):
    return jnp.asarray(b**2 * theta - b).at[2].multiply(1.01)


def decades_missing(theta, b):
    """What is small is set to zero."""
    g = b**2 * theta - b
    return jnp.where(jnp.abs(g) < 1e-6 * jnp.max(jnp.abs(g)), 0.0, g)


def decades_hessian(theta, b):
    return jnp.diag(b**2)


def decades_hessian_small(theta, b):
    return jnp.diag(b**2).at[0, 0].multiply(2.0)


# logistic regression, columns in units from micro to mega; the bias is a leaf of its own
UNITS = np.array([1e-6, 1.0, 1e3, 1e6])
X = rng.standard_normal((24, 4)) * UNITS
LABELS = (rng.random(24) < 0.5).astype(float)
SCALED = {"w": np.array([0.5, -0.4, 0.3, 0.2]) / UNITS, "b": np.array(0.1)}


def units_cost(p, X, y):
    s = X @ p["w"] + p["b"]
    return jnp.sum(jnp.logaddexp(0, s) - y * s)


def units_gradient(p, X, y):
    e = jax.nn.sigmoid(X @ p["w"] + p["b"]) - y
    return {"w": X.T @ e, "b": e.sum()}


def units_sign(p, X, y):
    """The column in micro-units as if it had been measured downwards."""
    e = jax.nn.sigmoid(X @ p["w"] + p["b"]) - y
    return {"w": (X * np.array([-1.0, 1, 1, 1])).T @ e, "b": e.sum()}


def units_standardised(p, X, y):
    """For columns in units of 1."""
    e = jax.nn.sigmoid(X @ p["w"] + p["b"]) - y
    return {"w": (X / UNITS).T @ e, "b": e.sum()}


def units_bias(p, X, y):
    e = jax.nn.sigmoid(X @ p["w"] + p["b"]) - y
    return {"w": X.T @ e, "b": e.mean()}


# orbits in SI units: masses of 1e24 kg to 1e30 kg, metres
MASSES = np.array([2e30, 6e24, 7e22])
ORBITS = {"sun": np.array([1e8, -2e8]), "planets": np.array([[1.5e11, 2e9], [1.504e11, 2.1e9]])}
G = 6.674e-11


def orbit_energy(p):
    x, energy = np.vstack([p["sun"], p["planets"]]), 0.0
    for i in range(3):
        for j in range(i):
            energy -= G * MASSES[i] * MASSES[j] / np.sqrt(np.sum((x[i] - x[j]) ** 2))
    return energy


def orbit_gradient(p):
    x, g = np.vstack([p["sun"], p["planets"]]), np.zeros((3, 2))
    for i in range(3):
        for j in range(i):
            d = x[i] - x[j]
            f = G * MASSES[i] * MASSES[j] * d / np.sum(d**2) ** 1.5
            g[i] += f
            g[j] -= f
    return {"sun": g[0], "planets": g[1:]}


def orbit_moon(p):
    """The smallest pull, of the moon on the planet, is counted once and not on both."""
    g = orbit_gradient(p)
    d = p["planets"][1] - p["planets"][0]
    g["planets"][0] += G * MASSES[1] * MASSES[2] * d / np.sum(d**2) ** 1.5
    return g


# a large constant in the cost: an energy relative to that of the vacuum
POINTS = rng.standard_normal((16, 3))
VALUES = rng.standard_normal(16)


def constant_cost(theta):
    return 1e8 + np.sum(np.cos(POINTS @ theta - VALUES))


def constant_gradient(theta):
    return -POINTS.T @ np.sin(POINTS @ theta - VALUES)


def constant_sign(theta):
    return POINTS.T @ np.sin(POINTS @ theta - VALUES)


def constant_jax(theta):
    return 1e12 + jnp.sum(jnp.cos(POINTS @ theta - VALUES))


# a sum of exponentials where each alone overflows
STEEP = np.array([3.0, -2.0, 1.5])


def steep_cost(theta, x):
    return jax.nn.logsumexp(1000 * x @ theta) - 900 * x[0] @ theta


def steep_gradient(theta, x):
    return 1000 * x.T @ jax.nn.softmax(1000 * x @ theta) - 900 * x[0]


def steep_naive(theta, x):
    e = jnp.exp(1000 * x @ theta)
    return 1000 * x.T @ (e / e.sum()) - 900 * x[0]


# entries that cancel: least squares at its minimum, and a column orthogonal to the residuals
DESIGN = np.column_stack([np.ones(20), rng.standard_normal((20, 3))])
TARGETS = rng.standard_normal(20) + 100.0
SOLUTION = np.linalg.lstsq(DESIGN, TARGETS, rcond=None)[0]


def squares_cost(theta, X, y):
    return 0.5 * jnp.sum((X @ theta - y) ** 2)


def squares_gradient(theta, X, y):
    return X.T @ (X @ theta - y)


def squares_normal(theta, X, y):
    """By the Gram matrix, which cancels differently."""
    return (X.T @ X) @ theta - X.T @ y


def squares_y(theta, X, y):
    return X.T @ (X @ theta)


# Arrhenius rates: the factor of 1e13 and the energy in J/mol
ARRHENIUS = {"factor": np.array(2e13), "energy": np.array(8.5e4)}
KELVIN = np.linspace(280.0, 360.0, 9)
RATE = 2.1e13 * np.exp(-8.52e4 / (8.314 * KELVIN)) * np.exp(0.05 * rng.standard_normal(9))


def rates_cost(p, T, rate):
    return jnp.sum((jnp.log(p["factor"]) - p["energy"] / (8.314 * T) - jnp.log(rate)) ** 2)


def rates_gradient(p, T, rate):
    e = 2 * (jnp.log(p["factor"]) - p["energy"] / (8.314 * T) - jnp.log(rate))
    return {"factor": e.sum() / p["factor"], "energy": -e @ (1 / (8.314 * T))}


def rates_log(p, T, rate):
    e = 2 * (jnp.log(p["factor"]) - p["energy"] / (8.314 * T) - jnp.log(rate))
    return {"factor": e.sum(), "energy": -e @ (1 / (8.314 * T))}


def rates_hessian(p, T, rate):
    A, x = p["factor"], 1 / (8.314 * T)
    e = jnp.log(A) - p["energy"] * x - jnp.log(rate)
    cross = -2 * x.sum() / A
    return {
        "factor": {"factor": 2 * (len(T) - e.sum()) / A**2, "energy": cross},
        "energy": {"factor": cross, "energy": 2 * x @ x},
    }


def rates_newton(p, T, rate):
    """Without the curvature of the logarithm."""
    H = rates_hessian(p, T, rate)
    return H | {"factor": H["factor"] | {"factor": 2 * len(T) / p["factor"] ** 2}}


def rates_cross(p, T, rate):
    H = rates_hessian(p, T, rate)
    return {
        "factor": H["factor"] | {"energy": -H["factor"]["energy"]},
        "energy": H["energy"] | {"factor": -H["energy"]["factor"]},
    }


# single precision: a float32 model with a small leaf; a float32 product in a float64 cost
SINGLE = {"w": rng.standard_normal(5).astype(np.float32), "drift": np.array([1e-3, -2e-3], np.float32)}
X32, T32 = rng.standard_normal((18, 5)).astype(np.float32), 1e-3 * rng.standard_normal((18, 2)).astype(np.float32)
Y32 = rng.standard_normal(18).astype(np.float32)


def single_cost(p):
    return jnp.mean((X32 @ p["w"] + T32 @ p["drift"] - Y32) ** 2) / 2


def single_gradient(p):
    e = (X32 @ p["w"] + T32 @ p["drift"] - Y32) / 18
    return {"w": X32.T @ e, "drift": T32.T @ e}


def single_percent(p):
    g = single_gradient(p)
    return g | {"drift": g["drift"] * 1.01}


def single_double(p):
    e = (X32 @ p["w"] + T32 @ p["drift"] - Y32) / 18
    return {"w": X32.T @ e, "drift": 2 * T32.T @ e}


def single_cast(p):
    """Everything is brought to float32 first, as on a device."""
    p = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), p)
    e = (X32 @ p["w"] + T32 @ p["drift"] - Y32) / np.float32(18)
    return {"w": X32.T @ e, "drift": T32.T @ e}


SCORES = rng.standard_normal((20, 4))


def product_cost(theta, X, y):
    s = (X.astype(jnp.float32) @ theta.astype(jnp.float32)).astype(theta.dtype)
    return jnp.sum(jnp.logaddexp(0, s) - y * s) + 0.1 * theta @ theta


def product_gradient(theta, X, y):
    """In the precision of the parameters throughout."""
    return X.T @ (jax.nn.sigmoid(X @ theta) - y) + 0.2 * theta


def product_penalty(theta, X, y):
    return X.T @ (jax.nn.sigmoid(X @ theta) - y) + 0.1 * theta


# counts of whole numbers, into which the gradient is summed
COUNTS = rng.poisson(3.0, 12)


def counts_cost(theta, x, counts):
    return np.sum(np.exp(x @ theta) - counts * (x @ theta))


def counts_gradient(theta, x, counts):
    return x.T @ (np.exp(x @ theta) - counts)


def counts_whole(theta, x, counts):
    error = np.zeros_like(counts)
    error[:] = np.exp(x @ theta) - counts
    return x.T @ error


WEIGHTS = np.array([0.5, -0.4, 0.8, 0.1])
SLOPES = np.array([0.4, -0.2, 0.3])
BITS20 = (rng.random(20) < 0.5).astype(float)

CASES = [
    Practice("19 decades, with Hessian", decades_cost, THETA, (B,), gradient=decades_gradient, hessian=decades_hessian),
    Practice(
        "19 decades, the sign of a small entry",
        decades_cost,
        THETA,
        (B,),
        gradient=decades_sign,
        kinds=frozenset({Kind.SIGN, Kind.ENTRY}),
    ),
    Practice(
        "19 decades, a small entry 1 % off",
        decades_cost,
        THETA,
        (B,),
        gradient=decades_percent,
        kinds=frozenset({Kind.ENTRY, Kind.FACTOR}),
    ),
    Practice(
        "19 decades, small entries set to zero",
        decades_cost,
        THETA,
        (B,),
        gradient=decades_missing,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "19 decades, a small entry of the Hessian doubled",
        decades_cost,
        THETA,
        (B,),
        gradient=decades_gradient,
        hessian=decades_hessian_small,
        kinds=frozenset({Kind.ENTRY, Kind.FACTOR}),
    ),
    Practice("logistic regression, columns in many units", units_cost, SCALED, (X, LABELS), gradient=units_gradient),
    Practice(
        "logistic regression, the sign of the column in micro-units",
        units_cost,
        SCALED,
        (X, LABELS),
        gradient=units_sign,
        kinds=frozenset({Kind.SIGN, Kind.ENTRY}),
    ),
    Practice(
        "logistic regression, the columns' units forgotten",
        units_cost,
        SCALED,
        (X, LABELS),
        gradient=units_standardised,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    Practice(
        "logistic regression, the bias averaged and not summed",
        units_cost,
        SCALED,
        (X, LABELS),
        gradient=units_bias,
        kinds=frozenset({Kind.BIAS, Kind.FACTOR}),
    ),
    Practice("orbits in kilograms and metres, NumPy", orbit_energy, ORBITS, gradient=orbit_gradient),
    Practice(
        "orbits, the moon's pull on the planet left out",
        orbit_energy,
        ORBITS,
        gradient=orbit_moon,
        kinds=frozenset({Kind.MISSING, Kind.ENTRY}),
    ),
    Practice("a constant of 1e8 in the cost, NumPy", constant_cost, STEEP, gradient=constant_gradient),
    Practice(
        "a constant of 1e8 in the cost, the sign of −sin",
        constant_cost,
        STEEP,
        gradient=constant_sign,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice("a constant of 1e12 in the cost", constant_jax, STEEP, gradient=constant_gradient),
    Practice("log of a sum of huge exponentials", steep_cost, STEEP, (POINTS,), gradient=steep_gradient),
    Practice(
        "log of a sum of huge exponentials, overflow",
        steep_cost,
        STEEP,
        (POINTS,),
        gradient=steep_naive,
        kinds=frozenset({Kind.NONFINITE}),
    ),
    Practice(
        "least squares at the minimum, all entries cancel",
        squares_cost,
        SOLUTION,
        (DESIGN, TARGETS),
        gradient=squares_gradient,
    ),
    Practice(
        "least squares by the normal equations, at the minimum",
        squares_cost,
        SOLUTION,
        (DESIGN, TARGETS),
        gradient=squares_normal,
    ),
    Practice(
        "least squares, the target left out",
        squares_cost,
        SOLUTION,
        (DESIGN, TARGETS),
        gradient=squares_y,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Arrhenius rates, a factor of 1e13",
        rates_cost,
        ARRHENIUS,
        (KELVIN, RATE),
        gradient=rates_gradient,
        hessian=rates_hessian,
    ),
    Practice(
        "Arrhenius rates, by the factor's logarithm",
        rates_cost,
        ARRHENIUS,
        (KELVIN, RATE),
        gradient=rates_log,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Arrhenius rates, Gauss–Newton in a block of 1e-26",
        rates_cost,
        ARRHENIUS,
        (KELVIN, RATE),
        gradient=rates_gradient,
        hessian=rates_newton,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice(
        "Arrhenius rates, the sign of the mixed block",
        rates_cost,
        ARRHENIUS,
        (KELVIN, RATE),
        gradient=rates_gradient,
        hessian=rates_cross,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice("float32 with a small leaf", single_cost, SINGLE, gradient=single_gradient),
    Practice("float32 with a small leaf, the gradient cast to float32", single_cost, SINGLE, gradient=single_cast),
    Practice(
        "float32, the small leaf 1 % off",
        single_cost,
        SINGLE,
        gradient=single_percent,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "float32, the small leaf doubled",
        single_cost,
        SINGLE,
        gradient=single_double,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice("a float32 product in a float64 cost", product_cost, WEIGHTS, (SCORES, BITS20), gradient=product_gradient),
    Practice(
        "a float32 product in a float64 cost, the penalty halved",
        product_cost,
        WEIGHTS,
        (SCORES, BITS20),
        gradient=product_penalty,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice("counts in NumPy", counts_cost, SLOPES, (POINTS[:12], COUNTS), gradient=counts_gradient),
    # the errors become whole numbers, and the gradient jumps
    Practice(
        "counts in NumPy, errors cut to whole numbers",
        counts_cost,
        SLOPES,
        (POINTS[:12], COUNTS),
        gradient=counts_whole,
        kinds=frozenset({Kind.UNKNOWN, Kind.CHAIN_RULE}),
    ),
]
