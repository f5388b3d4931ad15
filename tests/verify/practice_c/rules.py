"""Custom rules in the cost, answers of equations, single precision inside, costs that change their scale."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(209)

# log(1 − e^−x), with a rule that does not overflow: waiting times rounded up to whole days


@jax.custom_vjp
def log1mexp(x):
    return jnp.where(x > 0.7, jnp.log1p(-jnp.exp(-x)), jnp.log(-jnp.expm1(-x)))


log1mexp.defvjp(lambda x: (log1mexp(x), x), lambda x, ct: (ct / jnp.expm1(x),))

DAYS = np.ceil(rng.exponential(2.5, 20))
GROUP = rng.standard_normal((20, 2))
RATE = {"beta": np.array([0.3, -0.2]), "log_rate": np.array(-0.9)}


def days_cost(p, group, days):
    rate = jnp.exp(p["log_rate"] + group @ p["beta"])
    return jnp.sum(rate * (days - 1) - log1mexp(rate))


def days_gradient(p, group, days):
    rate = jnp.exp(p["log_rate"] + group @ p["beta"])
    slope = rate * (days - 1 - 1 / jnp.expm1(rate))
    return {"beta": slope @ group, "log_rate": slope.sum()}


def days_continuous(p, group, days):
    """As if the days were exact: rate · t − log rate."""
    slope = jnp.exp(p["log_rate"] + group @ p["beta"]) * days - 1
    return {"beta": slope @ group, "log_rate": slope.sum()}


def days_day_counted(p, group, days):
    rate = jnp.exp(p["log_rate"] + group @ p["beta"])
    slope = rate * (days - 1 / jnp.expm1(rate))
    return {"beta": slope @ group, "log_rate": slope.sum()}


# Kepler's equation E − e sin E = M by Newton to convergence; radial velocities of a star
PHASE = np.linspace(0.3, 5.9, 9)
SPEED = 1.4 * np.cos(PHASE + 0.5) + 0.1 * rng.standard_normal(9)
ORBIT = (np.array(1.2), np.array(-0.9), np.array(0.4))  # amplitude, logit of the eccentricity, argument


def anomaly(e, M):
    E = M
    for _ in range(9):
        E = E - (E - e * jnp.sin(E) - M) / (1 - e * jnp.cos(E))
    return E


def orbit_cost(params, M, seen):
    K, q, omega = params
    e = jax.nn.sigmoid(q)
    E = anomaly(e, M)
    true = 2 * jnp.arctan2(jnp.sqrt(1 + e) * jnp.sin(E / 2), jnp.sqrt(1 - e) * jnp.cos(E / 2))
    return 0.5 * jnp.sum((K * (jnp.cos(true + omega) + e * jnp.cos(omega)) - seen) ** 2)


def orbit_gradient(params, M, seen, moving=1.0, logit=True):
    """∂E/∂e = sin E / (1 − e cos E); ∂ν/∂e = (2 + e cos ν) sin ν / (1 − e²) along with it."""
    K, q, omega = params
    e = jax.nn.sigmoid(q)
    E = anomaly(e, M)
    nu = jnp.arctan2(jnp.sqrt(1 - e**2) * jnp.sin(E), jnp.cos(E) - e)
    r = K * (jnp.cos(nu + omega) + e * jnp.cos(omega)) - seen
    held = jnp.sin(nu) / (1 - e**2)
    by_e = held + moving * jnp.sqrt(1 - e**2) / (1 - e * jnp.cos(E)) * jnp.sin(E) / (1 - e * jnp.cos(E))
    slope = K * (jnp.cos(omega) - jnp.sin(nu + omega) * by_e)
    return (
        r @ (jnp.cos(nu + omega) + e * jnp.cos(omega)),
        r @ slope * (e * (1 - e) if logit else 1.0),
        -K * r @ (jnp.sin(nu + omega) + e * jnp.sin(omega)),
    )


# ridge's penalty by the error on held-out data: the inner problem is solved exactly
TRAIN, HELD = rng.standard_normal((12, 4)), rng.standard_normal((9, 4))
TRUTH = np.array([1.0, -0.5, 0.0, 0.7])
Y_TRAIN, Y_HELD = TRAIN @ TRUTH + rng.standard_normal(12), HELD @ TRUTH + rng.standard_normal(9)


def held_out_cost(log_lam, A, b, A2, b2):
    w = jnp.linalg.solve(A.T @ A + jnp.diag(jnp.exp(log_lam)), A.T @ b)
    return jnp.mean((A2 @ w - b2) ** 2)


def held_out_gradient(log_lam, A, b, A2, b2):
    """Implicit, the adjoint system by conjugate gradients, iterated to the end."""
    H, lam = A.T @ A + np.diag(np.exp(log_lam)), np.exp(log_lam)
    w = np.linalg.solve(H, A.T @ b)
    target = 2 * A2.T @ (A2 @ w - b2) / len(b2)
    u, r = np.zeros(4), target.copy()
    p = r.copy()
    for _ in range(6):
        if r @ r < 1e-28:
            break
        alpha = r @ r / (p @ H @ p)
        u, new = u + alpha * p, r - alpha * (H @ p)
        p, r = new + (new @ new) / (r @ r) * p, new
    return -lam * u * w


def held_out_sign(log_lam, A, b, A2, b2):
    return -held_out_gradient(log_lam, A, b, A2, b2)


def held_out_training(log_lam, A, b, A2, b2):
    """The adjoint system with the residuals of the training data."""
    lam = jnp.exp(log_lam)
    H = A.T @ A + jnp.diag(lam)
    w = jnp.linalg.solve(H, A.T @ b)
    return -lam * w * jnp.linalg.solve(H, 2 * A.T @ (A @ w - b) / len(b2))


# entropic transport by Sinkhorn's iterations to convergence: by the envelope, the gradient by the cost matrix is P
SUPPLY, DEMAND = np.array([0.3, 0.5, 0.2]), np.array([0.4, 0.35, 0.25])
SPOTS = np.array([[0.1, 0.2], [0.8, 0.4], [0.4, 0.9]])
SHOPS = np.array([[0.2, 0.6], [0.7, 0.8], [0.9, 0.1]])
HEAT = 0.4


def plan(M):
    v = jnp.ones(3)
    G = jnp.exp(-M / HEAT)
    u, v = jax.lax.fori_loop(0, 200, lambda _, s: (SUPPLY / (G @ s[1]), DEMAND / (G.T @ (SUPPLY / (G @ s[1])))), (v, v))
    return u[:, None] * G * v


def transport_cost(spots, shops):
    M = jnp.sum((spots[:, None] - shops) ** 2, axis=-1)
    P = plan(M)
    return jnp.sum(P * M) + HEAT * jnp.sum(P * jnp.log(P))


def transport_gradient(spots, shops):
    P = plan(jnp.sum((spots[:, None] - shops) ** 2, axis=-1))
    return 2 * (SUPPLY[:, None] * spots - P @ shops)


def transport_transposed(spots, shops):
    P = plan(jnp.sum((spots[:, None] - shops) ** 2, axis=-1))
    return 2 * (P.sum(axis=1)[:, None] * spots - P.T @ shops)


def transport_supply(spots, shops):
    """Shops weighted as rows that sum to one, spots not weighted."""
    P = plan(jnp.sum((spots[:, None] - shops) ** 2, axis=-1))
    return 2 * (spots - P @ shops)


# single precision in one product of a calibration, everything else in double
SENSORS, FIELD = rng.standard_normal((30, 3)), rng.standard_normal(30)
GAIN = {"gain": np.array([0.9, 1.1, 1.3]), "offset": np.array([0.1, -0.2, 0.05])}


def gain_cost(p, sensors, field):
    c = p["offset"] + p["gain"] * sensors
    strength = jnp.sum((c * c).astype(jnp.float32), axis=1).astype(c.dtype)
    return jnp.mean((jnp.sqrt(strength) - jnp.abs(field)) ** 2)


def gain_gradient(p, sensors, field):
    c = p["offset"] + p["gain"] * sensors
    strength = jnp.sqrt(jnp.sum(c * c, axis=1))
    e = 2 * (1 - jnp.abs(field) / strength)[:, None] * c / len(field)
    return {"gain": jnp.sum(e * sensors, axis=0), "offset": e.sum(axis=0)}


def gain_offset(p, sensors, field):
    g = gain_gradient(p, sensors, field)
    return {"gain": g["gain"], "offset": g["offset"] * jnp.array([1.0, 1.0, 1.03])}


# a cost with stop_gradient only as a shift against overflow: it changes nothing
LOGITS = 5.0 * rng.standard_normal((4, 3))


def shifted_cost(z):
    top = jax.lax.stop_gradient(z.max(axis=1, keepdims=True))
    return jnp.sum(jnp.log(jnp.sum(jnp.exp(z - top), axis=1)) + top[:, 0]) - z[:, 0].sum()


def shifted_gradient(z):
    return jnp.exp(z - jnp.log(jnp.sum(jnp.exp(z), axis=1, keepdims=True))) - jnp.array([1.0, 0.0, 0.0])


def shifted_hessian(z):
    P = jax.nn.softmax(z, axis=1)
    blocks = jnp.einsum("ni,ij->nij", P, jnp.eye(3)) - P[:, :, None] * P[:, None, :]
    return jnp.einsum("nm,nij->nimj", jnp.eye(4), blocks)


CASES = [
    days := Practice("days rounded up, its own log1mexp", days_cost, RATE, (GROUP, DAYS), gradient=days_gradient),
    days._replace(
        name="days rounded up, as if they were exact",
        gradient=days_continuous,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    days._replace(
        name="days rounded up, the last day at risk counted",
        gradient=days_day_counted,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.INDEX, Kind.MISSING}),
    ),
    orbit := Practice("orbit by Kepler's equation", orbit_cost, ORBIT, (PHASE, SPEED), gradient=orbit_gradient),
    orbit._replace(
        name="orbit, the eccentric anomaly held fixed",
        gradient=lambda params, M, seen: orbit_gradient(params, M, seen, moving=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    orbit._replace(
        name="orbit, by the eccentricity and not its logit",
        gradient=lambda params, M, seen: orbit_gradient(params, M, seen, logit=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    held := Practice(
        "penalties by held-out data, conjugate gradients",
        held_out_cost,
        np.array([0.0, 0.7, -0.4, 1.0]),
        (TRAIN, Y_TRAIN, HELD, Y_HELD),
        gradient=held_out_gradient,
    ),
    held._replace(name="penalties by held-out data, the sign", gradient=held_out_sign, kinds=frozenset({Kind.SIGN})),
    held._replace(
        name="penalties by held-out data, residuals of the training data",
        gradient=held_out_training,
        kinds=frozenset({Kind.INDEX, Kind.CHAIN_RULE}),
    ),
    transport := Practice(
        "entropic transport by the envelope", transport_cost, SPOTS, (SHOPS,), gradient=transport_gradient
    ),
    transport._replace(
        name="entropic transport, the plan transposed",
        gradient=transport_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    transport._replace(
        name="entropic transport, the spots not weighted",
        gradient=transport_supply,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.FACTOR}),
    ),
    gain := Practice(
        "calibration, squares summed in float32", gain_cost, GAIN, (SENSORS, FIELD), gradient=gain_gradient
    ),
    gain._replace(
        name="calibration, squares summed in float32, one offset 3 % too large",
        gradient=gain_offset,
        kinds=frozenset({Kind.ENTRY, Kind.FACTOR}),
    ),
    Practice("softmax with a shift that is stopped", shifted_cost, LOGITS, gradient=shifted_gradient),
    Practice("softmax with a shift that is stopped, Hessian by blocks", shifted_cost, LOGITS, hessian=shifted_hessian),
]
