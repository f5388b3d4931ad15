"""Geophysics: travel times, smooth inversions, transport by implicit steps, wavelets and gravity."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(205)

# transport of a tracer, implicit steps (1 + D) c' = c with an upwind and diffusive D: not symmetric
CELLS, STEPS = 7, 5
SEEN = np.array([0.9, 0.7, 0.55, 0.45, 0.3])
TRACER = {"start": np.exp(-((np.arange(CELLS) - 1.5) ** 2)), "wind": np.array(0.6), "log_k": np.array(-1.3)}
UPWIND = np.eye(CELLS) - np.eye(CELLS, k=-1)
LAPLACE = 2 * np.eye(CELLS) - np.eye(CELLS, k=1) - np.eye(CELLS, k=-1)


def tracer_cost(p, seen):
    M = jnp.eye(CELLS) + p["wind"] * UPWIND + jnp.exp(p["log_k"]) * LAPLACE
    c, total = p["start"], 0.0
    for observed in seen:
        c = jnp.linalg.solve(M, c)
        total += 0.5 * (c[3] - observed) ** 2
    return total


def tracer_gradient(p, seen, transpose=True, late=1, chain=True, every=True):
    """The adjoint, backward through the steps."""
    k = np.exp(p["log_k"])
    M = np.eye(CELLS) + p["wind"] * UPWIND + k * LAPLACE
    c = [np.asarray(p["start"])]
    for _ in seen:
        c.append(np.linalg.solve(M, c[-1]))
    adjoint, wind, diffusion = np.zeros(CELLS), 0.0, 0.0
    for t in range(STEPS, 0, -1):
        if every or t == STEPS:
            adjoint[3] += c[t][3] - seen[t - 1]
        adjoint = np.linalg.solve(M.T if transpose else M, adjoint)
        wind -= adjoint @ UPWIND @ c[t + late - 1]
        diffusion -= adjoint @ LAPLACE @ c[t + late - 1]
    return {"start": adjoint, "wind": wind, "log_k": diffusion * (k if chain else 1.0)}


# smooth slowness from travel times: ½ ‖W(Gm − t)‖² + ½ λ ‖second differences‖², the ends have none
RAYS = rng.uniform(0.0, 1.5, (9, 8))
TIMES = RAYS @ (1.0 + 0.2 * np.sin(np.arange(8))) + 0.05 * rng.standard_normal(9)
SIGMA = rng.uniform(0.05, 0.2, 9)


def slowness_cost(m, G, t, sigma, lam):
    return 0.5 * jnp.sum(((G @ m - t) / sigma) ** 2) + 0.5 * lam * jnp.sum((m[2:] - 2 * m[1:-1] + m[:-2]) ** 2)


def slowness_gradient(m, G, t, sigma, lam):
    b = jnp.convolve(m, jnp.array([1.0, -2.0, 1.0]), mode="valid")
    return G.T @ ((G @ m - t) / sigma**2) + lam * jnp.convolve(b, jnp.array([1.0, -2.0, 1.0]))


def slowness_product(m, G, t, sigma, lam, v):
    b = jnp.diff(v, n=2)
    rough = jnp.zeros(8).at[:-2].add(b).at[1:-1].add(-2 * b).at[2:].add(b)
    return G.T @ (G @ v / sigma**2) + lam * rough


def slowness_once(m, G, t, sigma, lam):
    """Divided by σ, not by σ²."""
    b = jnp.convolve(m, jnp.array([1.0, -2.0, 1.0]), mode="valid")
    return G.T @ ((G @ m - t) / sigma) + lam * jnp.convolve(b, jnp.array([1.0, -2.0, 1.0]))


def slowness_five_points(m, G, t, sigma, lam):
    """The inner stencil 1, −4, 6, −4, 1 at the ends too."""
    inner = jnp.convolve(m, jnp.array([1.0, -4.0, 6.0, -4.0, 1.0]), mode="same")
    return G.T @ ((G @ m - t) / sigma**2) + lam * inner


def slowness_first(m, G, t, sigma, lam):
    """First differences in the place of second ones."""
    d = jnp.diff(m)
    flat = jnp.zeros(8).at[:-1].add(-d).at[1:].add(d)
    return G.T @ ((G @ m - t) / sigma**2) + lam * flat


def slowness_product_of_data(m, G, t, sigma, lam, v):
    return G.T @ (G @ v / sigma**2)


def slowness_product_of_model(m, G, t, sigma, lam, v):
    """The roughness of the model, not of the direction."""
    b = jnp.diff(m, n=2)
    rough = jnp.zeros(8).at[:-2].add(b).at[1:-1].add(-2 * b).at[2:].add(b)
    return G.T @ (G @ v / sigma**2) + lam * rough


# wavelet and reflectivity of a trace: d = w ∗ r; params [w, r]
TRACE = rng.standard_normal(15)
SEISMIC = [np.array([-0.3, 1.0, -0.4, 0.1]), 0.5 * rng.standard_normal(12)]


def trace_cost(params, d):
    w, r = params
    sparse = jnp.sum(jnp.sqrt(r**2 + 1e-2) - 0.1)
    return 0.5 * jnp.sum((jnp.convolve(w, r) - d) ** 2) + 0.3 * sparse


def trace_gradient(params, d):
    """By sums over the lags."""
    w, r = np.asarray(params[0]), np.asarray(params[1])
    e = np.convolve(w, r) - d
    by_w = np.array([sum(e[lag + i] * r[i] for i in range(12)) for lag in range(4)])
    by_r = np.array([sum(e[lag + i] * w[lag] for lag in range(4)) for i in range(12)])
    return [by_w, by_r + 0.3 * r / np.sqrt(r**2 + 1e-2)]


def trace_convolved(params, d):
    """The residual convolved with the wavelet, not correlated."""
    w, r = params
    e = jnp.convolve(w, r) - d
    return [jnp.correlate(e, r, mode="valid"), jnp.convolve(e, w)[3:15] + 0.3 * r / jnp.sqrt(r**2 + 1e-2)]


def trace_sharp(params, d):
    """The sign of the reflectivity, without the rounding of the corner."""
    w, r = params
    e = jnp.convolve(w, r) - d
    return [jnp.correlate(e, r, mode="valid"), jnp.correlate(e, w, mode="valid") + 0.3 * jnp.sign(r)]


def trace_lag(params, d):
    """One sample late."""
    w, r = params
    e = jnp.convolve(w, r) - d
    by_w = jnp.roll(jnp.correlate(e, r, mode="valid"), 1)
    return [by_w, jnp.correlate(e, w, mode="valid") + 0.3 * r / jnp.sqrt(r**2 + 1e-2)]


# gravity of a buried sphere along a profile, NumPy: mass, place, depth in its logarithm
PROFILE = np.linspace(-4.0, 4.0, 11)
PULL = 3.0 / (1.5 + (PROFILE - 0.4) ** 2) ** 1.5 + 0.02 * rng.standard_normal(11)
SPHERE = {"mass": np.array(2.5), "place": np.array(0.2), "log_depth": np.array(0.1)}


def sphere_cost(p, x, g):
    h = np.exp(p["log_depth"])
    return np.sum((p["mass"] * h / ((x - p["place"]) ** 2 + h**2) ** 1.5 - g) ** 2)


def sphere_gradient(p, x, g, numerator=1.0, inner=-1.0, power=1.5):
    h, u = np.exp(p["log_depth"]), x - p["place"]
    q = u**2 + h**2
    e = 2 * (p["mass"] * h / q**1.5 - g)
    return {
        "mass": np.sum(e * h / q**1.5),
        "place": np.sum(e * p["mass"] * h * 2 * power * u * -inner / q**2.5),
        "log_depth": h * np.sum(e * p["mass"] * (numerator / q**1.5 - 2 * power * h**2 / q**2.5)),
    }


# a half-space that cools: temperatures at depths, by the error function; the second derivative by log kappa
DEPTH = np.array([0.3, 0.8, 1.4, 2.1, 3.0])
HEAT = np.array([0.22, 0.55, 0.74, 0.93, 0.97])


def cooling_cost(log_kappa, z, heat):
    return 0.5 * jnp.sum((jax.scipy.special.erf(z / (2 * jnp.sqrt(jnp.exp(log_kappa)))) - heat) ** 2)


def cooling_hessian(log_kappa, z, heat, residual=1.0):
    u = z / (2 * jnp.exp(0.5 * log_kappa))
    slope = -u * jnp.exp(-(u**2)) / jnp.sqrt(jnp.pi)  # of erf u by log κ: u' = −u/2
    bend = slope * (u**2 - 0.5)
    return jnp.sum(slope**2 + residual * (jax.scipy.special.erf(u) - heat) * bend)


CASES = [
    tracer := Practice("tracer by implicit steps, adjoint", tracer_cost, TRACER, (SEEN,), gradient=tracer_gradient),
    tracer._replace(
        name="tracer, the adjoint system not transposed",
        gradient=lambda p, seen: tracer_gradient(p, seen, transpose=False),
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    tracer._replace(
        name="tracer, adjoint with the state of before the step",
        gradient=lambda p, seen: tracer_gradient(p, seen, late=0),
        kinds=frozenset({Kind.INDEX}),
    ),
    tracer._replace(
        name="tracer, by the diffusivity and not its logarithm",
        gradient=lambda p, seen: tracer_gradient(p, seen, chain=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    tracer._replace(
        name="tracer, only the last observation enters the adjoint",
        gradient=lambda p, seen: tracer_gradient(p, seen, every=False),
        kinds=frozenset({Kind.MISSING}),
    ),
    slowness := Practice(
        "smooth slowness, gradient and products",
        slowness_cost,
        1.0 + 0.3 * np.cos(2.0 * np.arange(8)),
        (RAYS, TIMES, SIGMA, 80.0),
        gradient=slowness_gradient,
        hessian_product=slowness_product,
    ),
    slowness._replace(
        name="smooth slowness, by sigma and not its square",
        gradient=slowness_once,
        hessian_product=None,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    slowness._replace(
        name="smooth slowness, the inner stencil at the ends",
        gradient=slowness_five_points,
        hessian_product=None,
        kinds=frozenset({Kind.PENALTY, Kind.INDEX, Kind.ENTRY}),
    ),
    slowness._replace(
        name="smooth slowness, first differences for second",
        gradient=slowness_first,
        hessian_product=None,
        kinds=frozenset({Kind.PENALTY, Kind.INDEX}),
    ),
    slowness._replace(
        name="smooth slowness, products without the roughness",
        gradient=None,
        hessian_product=slowness_product_of_data,
        kinds=frozenset({Kind.PENALTY, Kind.MISSING}),
    ),
    slowness._replace(
        name="smooth slowness, the roughness of the model in the product",
        gradient=None,
        hessian_product=slowness_product_of_model,
        kinds=frozenset({Kind.PENALTY, Kind.INDEX}),
    ),
    trace := Practice(
        "wavelet and reflectivity, sums over lags", trace_cost, SEISMIC, (TRACE,), gradient=trace_gradient
    ),
    trace._replace(
        name="wavelet and reflectivity, convolved where it is correlated",
        gradient=trace_convolved,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    trace._replace(
        name="wavelet and reflectivity, a sharp corner for a rounded one",
        gradient=trace_sharp,
        kinds=frozenset({Kind.PENALTY, Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    trace._replace(
        name="wavelet and reflectivity, the wavelet one sample late",
        gradient=trace_lag,
        kinds=frozenset({Kind.INDEX}),
    ),
    sphere := Practice("gravity of a sphere, NumPy", sphere_cost, SPHERE, (PROFILE, PULL), gradient=sphere_gradient),
    sphere._replace(
        name="gravity of a sphere, the depth above the line held fixed",
        gradient=lambda p, x, g: sphere_gradient(p, x, g, numerator=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    sphere._replace(
        name="gravity of a sphere, the place's inner sign",
        gradient=lambda p, x, g: sphere_gradient(p, x, g, inner=1.0),
        kinds=frozenset({Kind.SIGN}),
    ),
    sphere._replace(
        name="gravity of a sphere, the power 3/2 not brought down",
        gradient=lambda p, x, g: sphere_gradient(p, x, g, power=1.0),
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    cooling := Practice(
        "half-space that cools, second derivative", cooling_cost, np.array(0.2), (DEPTH, HEAT), hessian=cooling_hessian
    ),
    cooling._replace(
        name="half-space that cools, Gauss-Newton",
        hessian=lambda log_kappa, z, heat: cooling_hessian(log_kappa, z, heat, residual=0.0),
        kinds=frozenset({Kind.EXPECTED}),
    ),
]
