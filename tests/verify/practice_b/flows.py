"""Normalising flows: negative log likelihoods with the log determinants of the maps."""

import jax.numpy as jnp
import numpy as np
from jax.nn import softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(113)
m, d = 14, 3
Z = rng.standard_normal((m, d)) @ np.array([[1.0, 0.4, 0.0], [0.0, 0.8, -0.3], [0.2, 0.0, 1.2]])

# a planar layer
PLANAR = {"u": np.array([0.4, -0.2, 0.3]), "w": np.array([0.5, 0.6, -0.4]), "b": np.array(0.2)}


def planar_cost(p, z):
    h = jnp.tanh(z @ p["w"] + p["b"])
    x = z + h[:, None] * p["u"]
    return jnp.sum(0.5 * jnp.sum(x**2, axis=1) - jnp.log(jnp.abs(1 + (1 - h**2) * (p["u"] @ p["w"]))))


def planar_gradient(p, z):
    h, uw = jnp.tanh(z @ p["w"] + p["b"]), p["u"] @ p["w"]
    slope = 1 - h**2
    x = z + h[:, None] * p["u"]
    c = slope / (1 + slope * uw)
    da = (x @ p["u"]) * slope + 2 * h * c * uw
    return {"u": h @ x - c.sum() * p["w"], "w": da @ z - c.sum() * p["u"], "b": da.sum()}


def planar_volume(p, z):
    h = jnp.tanh(z @ p["w"] + p["b"])
    x = z + h[:, None] * p["u"]
    da = (x @ p["u"]) * (1 - h**2)
    return {"u": h @ x, "w": da @ z, "b": da.sum()}


def planar_slope(p, z):
    """The slope of tanh in the log determinant is taken as constant."""
    h, uw = jnp.tanh(z @ p["w"] + p["b"]), p["u"] @ p["w"]
    slope = 1 - h**2
    x = z + h[:, None] * p["u"]
    c = slope / (1 + slope * uw)
    da = (x @ p["u"]) * slope
    return {"u": h @ x - c.sum() * p["w"], "w": da @ z - c.sum() * p["u"], "b": da.sum()}


# an invertible 1×1 convolution: x → W x, one log determinant for each example
MIXING = np.array([[1.1, 0.3, -0.2], [0.1, 0.9, 0.4], [-0.3, 0.2, 1.3]])


def mixing_cost(W, z):
    return 0.5 * jnp.sum((z @ W.T) ** 2) - len(z) * jnp.linalg.slogdet(W)[1]


def mixing_gradient(W, z):
    return W @ z.T @ z - len(z) * jnp.linalg.inv(W).T


def mixing_inverse(W, z):
    return W @ z.T @ z - len(z) * jnp.linalg.inv(W)


def mixing_once(W, z):
    return W @ z.T @ z - jnp.linalg.inv(W).T


def mixing_determinant(W, z):
    """The derivative of det W for that of its logarithm."""
    return W @ z.T @ z - len(z) * jnp.linalg.det(W) * jnp.linalg.inv(W).T


def mixing_product(W, z, v):
    inverse = jnp.linalg.inv(W)
    return v @ z.T @ z + len(z) * (inverse @ v @ inverse).T


def mixing_product_transposed(W, z, v):
    inverse = jnp.linalg.inv(W)
    return v @ z.T @ z + len(z) * (inverse @ v.T @ inverse).T


# affine coupling: the first half scales and shifts the second
COUPLING = [
    {"s": 0.3 * rng.standard_normal((2, 2)), "t": rng.standard_normal((2, 2)), "c": np.array([0.1, -0.1])}
    for _ in range(2)
]
HALVES = rng.standard_normal((m, 4))


def coupling_cost(layers, x):
    a, b, total = x[:, :2], x[:, 2:], 0.0
    for p in layers:
        s = jnp.tanh(a @ p["s"] + p["c"])
        a, b = b * jnp.exp(s) + a @ p["t"], a
        total = total - jnp.sum(s)
    return total + 0.5 * (jnp.sum(a**2) + jnp.sum(b**2))


def coupling_back(layers, x, volume=1.0, slope=True, scaled=True):
    a, b, seen = x[:, :2], x[:, 2:], []
    for p in layers:
        s = jnp.tanh(a @ p["s"] + p["c"])
        seen.append((a, b, s))
        a, b = b * jnp.exp(s) + a @ p["t"], a
    da, db, g = a, b, []
    for p, (a, b, s) in zip(layers[::-1], seen[::-1], strict=True):
        scale = jnp.exp(s)
        ds = (da * b * (scale if scaled else 1.0) - volume) * ((1 - s**2) if slope else 1.0)
        g.insert(0, {"s": a.T @ ds, "t": a.T @ da, "c": ds.sum(axis=0)})
        da, db = db + da @ p["t"].T + ds @ p["s"].T, da * scale
    return g


# actnorm on images in (batch, channel, position), scale by its logarithm; NumPy
IMAGES = rng.standard_normal((5, 3, 4)) * np.array([1.0, 0.2, 3.0])[:, None]
ACT = {"log_scale": np.array([0.1, 1.2, -0.8]), "shift": np.array([0.2, 0.0, -0.4])}


def act_cost(p, x):
    y = np.exp(p["log_scale"])[:, None] * (x - p["shift"][:, None])
    return 0.5 * np.sum(y**2) / len(x) - x.shape[2] * p["log_scale"].sum()


def act_gradient(p, x):
    scale = np.exp(p["log_scale"])
    y = scale[:, None] * (x - p["shift"][:, None])
    return {"log_scale": (y**2).sum((0, 2)) / len(x) - x.shape[2], "shift": -scale * y.sum((0, 2)) / len(x)}


def act_positions(p, x):
    """One log determinant for all positions."""
    scale = np.exp(p["log_scale"])
    y = scale[:, None] * (x - p["shift"][:, None])
    return {"log_scale": (y**2).sum((0, 2)) / len(x) - 1, "shift": -scale * y.sum((0, 2)) / len(x)}


def act_plus(p, x):
    scale = np.exp(p["log_scale"])
    y = scale[:, None] * (x - p["shift"][:, None])
    return {"log_scale": (y**2).sum((0, 2)) / len(x) - x.shape[2], "shift": scale * y.sum((0, 2)) / len(x)}


# a monotone map in one dimension: a sum of steps with positive slopes, float32
STEPS = (np.array([0.2, -0.3, 0.5], np.float32), np.array([-1.0, 0.0, 1.2], np.float32))
ONE = rng.standard_normal(20).astype(np.float32)


def monotone_cost(p, x):
    raw, place = p
    a = softplus(raw)
    t = jnp.tanh(x[:, None] - place)
    y, slope = x + t @ a, 1 + (1 - t**2) @ a
    return jnp.mean(0.5 * y**2 - jnp.log(slope))


def monotone_gradient(p, x):
    raw, place = p
    a = softplus(raw)
    t = jnp.tanh(x[:, None] - place)
    y, u = x + t @ a, 1 - t**2
    slope = 1 + u @ a
    da = (y @ t - (1 / slope) @ u) / len(x)
    dplace = -a * (y @ u + (1 / slope) @ (2 * t * u)) / len(x)
    return da / (1 + jnp.exp(-raw)), dplace


def monotone_sign(p, x):
    """tanh″ has a minus, which was lost."""
    raw, place = p
    a = softplus(raw)
    t = jnp.tanh(x[:, None] - place)
    y, u = x + t @ a, 1 - t**2
    slope = 1 + u @ a
    da = (y @ t - (1 / slope) @ u) / len(x)
    dplace = -a * (y @ u - (1 / slope) @ (2 * t * u)) / len(x)
    return da / (1 + jnp.exp(-raw)), dplace


CASES = [
    Practice("planar layer", planar_cost, PLANAR, (Z,), gradient=planar_gradient),
    Practice(
        "planar layer, the log determinant left out",
        planar_cost,
        PLANAR,
        (Z,),
        gradient=planar_volume,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "planar layer, tanh′ in the log determinant held fixed",
        planar_cost,
        PLANAR,
        (Z,),
        gradient=planar_slope,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "invertible mixing, with products",
        mixing_cost,
        MIXING,
        (Z,),
        gradient=mixing_gradient,
        hessian_product=mixing_product,
    ),
    Practice(
        "invertible mixing, W⁻¹ for its transpose",
        mixing_cost,
        MIXING,
        (Z,),
        gradient=mixing_inverse,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "invertible mixing, the log determinant once and not for each example",
        mixing_cost,
        MIXING,
        (Z,),
        gradient=mixing_once,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "invertible mixing, by det W and not its logarithm",
        mixing_cost,
        MIXING,
        (Z,),
        gradient=mixing_determinant,
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    Practice(
        "invertible mixing, the direction transposed in the product",
        mixing_cost,
        MIXING,
        (Z,),
        gradient=mixing_gradient,
        hessian_product=mixing_product_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice("affine coupling, a list of layers", coupling_cost, COUPLING, (HALVES,), gradient=coupling_back),
    Practice(
        "affine coupling, the log determinants with the wrong sign",
        coupling_cost,
        COUPLING,
        (HALVES,),
        gradient=lambda layers, x: coupling_back(layers, x, volume=-1.0),
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "affine coupling, tanh′ of the scale forgotten",
        coupling_cost,
        COUPLING,
        (HALVES,),
        gradient=lambda layers, x: coupling_back(layers, x, slope=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "affine coupling, exp s forgotten",
        coupling_cost,
        COUPLING,
        (HALVES,),
        gradient=lambda layers, x: coupling_back(layers, x, scaled=False),
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("normalised channels in NumPy", act_cost, ACT, (IMAGES,), gradient=act_gradient),
    Practice(
        "normalised channels, one log determinant for all positions",
        act_cost,
        ACT,
        (IMAGES,),
        gradient=act_positions,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "normalised channels, the sign of the shift",
        act_cost,
        ACT,
        (IMAGES,),
        gradient=act_plus,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice("monotone map in float32", monotone_cost, STEPS, (ONE,), gradient=monotone_gradient),
    Practice(
        "monotone map in float32, the sign of tanh″",
        monotone_cost,
        STEPS,
        (ONE,),
        gradient=monotone_sign,
        kinds=frozenset({Kind.SIGN}),
    ),
]
