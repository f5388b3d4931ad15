"""The laboratory: spectra and peaks in their own units, equilibria, isotherms, and results in a wrong form."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(218)

# a peak over a baseline: counts are Poisson; {"area", "centre", "log_width", "base"}; Lorentz
CHANNEL = np.linspace(-3.0, 3.0, 21)
COUNTS = rng.poisson(20 / np.pi * 0.6 / ((CHANNEL - 0.2) ** 2 + 0.36) + 3.0).astype(float)
PEAK = {name: np.array(value) for name, value in dict(area=18.0, centre=0.1, log_width=-0.4, base=2.5).items()}


def peak_cost(p, x, n):
    w = jnp.exp(p["log_width"])
    model = p["area"] / jnp.pi * w / ((x - p["centre"]) ** 2 + w**2) + p["base"]
    return jnp.sum(model - n * jnp.log(model))


def peak_gradient(p, x, n, own=1.0, weigh=True):
    w, u = jnp.exp(p["log_width"]), x - p["centre"]
    shape = w / (jnp.pi * (u**2 + w**2))
    model = p["area"] * shape + p["base"]
    e = 1 - n / model if weigh else model - n
    return {
        "area": e @ shape,
        "centre": p["area"] * jnp.sum(e * shape * 2 * u / (u**2 + w**2)),
        "log_width": p["area"] * jnp.sum(e * shape * (own - 2 * w**2 / (u**2 + w**2))),
        "base": e.sum(),
    }


def peak_as_array(p, x, n):
    """In the order of the formula, as one array."""
    g = peak_gradient(p, x, n)
    return jnp.array([g["area"], g["centre"], g["log_width"], g["base"]])


def peak_column(p, x, n):
    """x as a column: each derivative has one entry a channel."""
    w = jnp.exp(p["log_width"])
    shape = w / (jnp.pi * ((x - p["centre"]) ** 2 + w**2))
    return {**peak_gradient(p, x, n), "area": (1 - n / (p["area"] * shape + p["base"])) * shape}


# Planck's law in SI units: the radiances are 1e-8 and less; log T and log emissivity
WAVE, HC_K = np.array([2.0, 4.0, 6.0, 9.0, 13.0]) * 1e-6, 1.438777e-2
GLOW = 1.19e-16 / WAVE**5 / np.expm1(HC_K / (WAVE * 900.0)) * 1e-9


def glow_cost(v, wave, seen):
    model = np.exp(v[1]) * 1.19e-25 / wave**5 / np.expm1(HC_K / (wave * np.exp(v[0])))
    return 0.5 * np.sum((model - seen) ** 2)


def glow_gradient(v, wave, seen, chain=True):
    u = HC_K / (wave * np.exp(v[0]))
    model = np.exp(v[1]) * 1.19e-25 / wave**5 / np.expm1(u)
    e = (model - seen) * model
    return np.array([e @ (u / -np.expm1(-u) if chain else 1 / -np.expm1(-u)), e.sum()])


# a weak acid by titration: the charge balance is solved for log h by Newton to convergence; pKa and concentration
BASE, PH = np.array([0.0, 0.02, 0.04, 0.05, 0.07, 0.09]), np.array([2.9, 4.1, 4.6, 4.8, 5.1, 5.7])
LN10, KW = np.log(10.0), 1e-14


def balance(lnh, pka, total, base):
    h, ka = jnp.exp(lnh), jnp.exp(-LN10 * pka)
    return h + base - KW / h - total * ka / (ka + h)


def acid_lnh(pka, total, base):
    lnh = -LN10 * 5.0 + 0.0 * base
    for _ in range(40):
        h, ka = jnp.exp(lnh), jnp.exp(-LN10 * pka)
        slope = h + KW / h + total * ka * h / (ka + h) ** 2
        lnh = lnh - jnp.clip(balance(lnh, pka, total, base) / slope, -2.0, 2.0)
    return lnh


def acid_cost(v, base, ph):
    return jnp.sum((-acid_lnh(v[0], jnp.exp(v[1]), base) / LN10 - ph) ** 2)


def acid_gradient(v, base, ph, buffer=1.0, units=LN10):
    """Implicit: ∂ ln h / ∂v = −(∂ balance / ∂v) / (∂ balance / ∂ ln h)."""
    total, ka = jnp.exp(v[1]), jnp.exp(-LN10 * v[0])
    lnh = acid_lnh(v[0], total, base)
    h = jnp.exp(lnh)
    slope = h + KW / h + buffer * total * ka * h / (ka + h) ** 2
    e = -2 / LN10 * (-lnh / LN10 - ph)
    by_pka, by_total = units * total * ka * h / (ka + h) ** 2, -total * ka / (ka + h)
    return jnp.array([-e @ (by_pka / slope), -e @ (by_total / slope)])


# an isotherm with two kinds of sites, amounts as they are; the Hessian is asked of log constants of 1e-3 and 1e4
PRESSURE = np.array([1e-5, 1e-4, 1e-3, 1e-1, 10.0, 1e3])
LOADED = np.array([0.05, 0.3, 0.8, 1.1, 1.2, 1.9])


def sites_cost(v, pressure, loaded):
    s = jax.nn.sigmoid(jnp.log(pressure)[:, None] + v)
    return 0.5 * jnp.sum((s @ jnp.array([1.1, 0.9]) - loaded) ** 2)


def sites_hessian(v, pressure, loaded, mixed=1.0):
    a, s = jnp.array([1.1, 0.9]), jax.nn.sigmoid(jnp.log(pressure)[:, None] + v)
    J = a * s * (1 - s)
    H = J.T @ J
    H = jnp.where(jnp.eye(2) > 0, H, mixed * H)
    return H + jnp.diag((s @ a - loaded) @ (J * (1 - 2 * s)))


# a line through calibration points, a report in each of the wrong forms
DOSE, READING = np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([0.1, 1.3, 1.9, 3.2, 3.9])
FIT = np.array([0.2, 0.9])


def line_cost(v, dose, reading):
    return jnp.sum(jnp.sqrt(1 + (v[0] + v[1] * dose - reading) ** 2) - 1)


def line_gradient(v, dose, reading):
    r = v[0] + v[1] * dose - reading
    return np.array([np.sum(r / np.hypot(1, r)), np.sum(dose * r / np.hypot(1, r))])


def line_row(v, dose, reading):
    """A row of a matrix, from a design matrix."""
    return line_gradient(v, dose, reading)[None, :]


def line_logged(v, dose, reading):
    """By d log r = 1 / r over doses, where the first dose is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (v[0] + v[1] * dose - reading) / np.asarray(dose)
        return np.array([np.sum(dose * r / np.sqrt(1 + (dose * r) ** 2)), line_gradient(v, dose, reading)[1]])


def line_unfinished(v, dose, reading):
    r = v[0] + v[1] * dose - reading
    by = np.zeros(2)
    by[0] = np.sum(r / np.hypot(1, r))
    return by


# temperatures of a plate beside each other, all in float32 but for the sum; sides insulated
PLATE = rng.standard_normal((4, 5))


def plate_cost(T, source):
    down, right = jnp.diff(T, axis=0), jnp.diff(T, axis=1)
    flows = (jnp.sum(down.astype(jnp.float32) ** 2) + jnp.sum(right.astype(jnp.float32) ** 2)).astype(T.dtype)
    return 0.5 * flows - jnp.sum(source * T) + 0.25 * jnp.mean(T**4)


def plate_gradient(T, source, sides: Literal["edge", "wrap"] = "edge"):
    wide = np.pad(np.asarray(T), 1, mode=sides)
    inner = wide[1:-1, 1:-1]
    neighbours = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    return 4 * inner - neighbours - source + inner**3 / inner.size


CASES = [
    peak := Practice("a peak over a baseline", peak_cost, PEAK, (CHANNEL, COUNTS), gradient=peak_gradient),
    peak._replace(
        name="a peak over a baseline, the width above the line held fixed",
        gradient=lambda p, x, n: peak_gradient(p, x, n, own=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    peak._replace(
        name="a peak over a baseline, residuals as for squares",
        gradient=lambda p, x, n: peak_gradient(p, x, n, weigh=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    peak._replace(
        name="a peak over a baseline, one array for the dictionary",
        gradient=peak_as_array,
        kinds=frozenset({Kind.SHAPE}),
    ),
    peak._replace(
        name="a peak over a baseline, the area's derivative channel by channel",
        gradient=peak_column,
        kinds=frozenset({Kind.SHAPE}),
    ),
    glow := Practice(
        "Planck's law in SI units, NumPy",
        glow_cost,
        np.array([np.log(850.0), -0.1]),
        (WAVE, GLOW),
        gradient=glow_gradient,
    ),
    glow._replace(
        name="Planck's law, the exponent's derivative forgotten",
        gradient=lambda v, wave, seen: glow_gradient(v, wave, seen, chain=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    acid := Practice(
        "titration of a weak acid, implicit", acid_cost, np.array([4.6, -2.2]), (BASE, PH), gradient=acid_gradient
    ),
    acid._replace(
        name="titration, the buffer's part of the slope forgotten",
        gradient=lambda v, base, ph: acid_gradient(v, base, ph, buffer=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    acid._replace(
        name="titration, natural for decimal logarithms at the pKa",
        gradient=lambda v, base, ph: acid_gradient(v, base, ph, units=1.0),
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    sites := Practice(
        "isotherm of two kinds of sites, Hessian",
        sites_cost,
        np.array([8.0, 3.0]),
        (PRESSURE, LOADED),
        hessian=sites_hessian,
    ),
    sites._replace(
        name="isotherm of two kinds of sites, no mixed derivative",
        hessian=lambda v, pressure, loaded: sites_hessian(v, pressure, loaded, mixed=0.0),
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    line := Practice("calibration line, pseudo-Huber", line_cost, FIT, (DOSE, READING), gradient=line_gradient),
    line._replace(name="calibration line, a row of a matrix", gradient=line_row, kinds=frozenset({Kind.SHAPE})),
    line._replace(
        name="calibration line, divided by a dose of 0", gradient=line_logged, kinds=frozenset({Kind.NONFINITE})
    ),
    line._replace(
        name="calibration line, the slope left at zero", gradient=line_unfinished, kinds=frozenset({Kind.MISSING})
    ),
    plate := Practice("insulated plate, squares in float32", plate_cost, PLATE, (PLATE**2,), gradient=plate_gradient),
    plate._replace(
        name="insulated plate, neighbours across the plate",
        gradient=lambda T, source: plate_gradient(T, source, sides="wrap"),
        kinds=frozenset({Kind.INDEX, Kind.ENTRY}),
    ),
]
