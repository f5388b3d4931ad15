"""Margins and corners: support vectors for regression and novelty, the dual, groups that overlap, fused pieces."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(208)
X = rng.standard_normal((18, 3))
y = X @ np.array([0.8, -0.5, 0.3]) + 0.4 * rng.standard_normal(18)
side = np.where(y > 0, 1.0, -1.0)

# regression with a tube of width epsilon: {"w", "b"}, C in the closure
C, TUBE = 2.0, 0.15
LINE = {"w": np.array([0.6, -0.2, 0.1]), "b": np.array(0.45)}


def tube_cost(p, X, y):
    r = X @ p["w"] + p["b"] - y
    return 0.5 * p["w"] @ p["w"] + C * jnp.sum(jnp.maximum(0.0, jnp.abs(r) - TUBE))


def tube_gradient(p, X, y):
    r = X @ p["w"] + p["b"] - y
    above, below = (r > TUBE).astype(float), (r < -TUBE).astype(float)
    return {"w": p["w"] + C * (X.T @ above - X.T @ below), "b": C * (above.sum() - below.sum())}


def tube_closed(p, X, y):
    """The tube forgotten: every example has its sign."""
    s = jnp.sign(X @ p["w"] + p["b"] - y)
    return {"w": p["w"] + C * X.T @ s, "b": C * s.sum()}


def tube_bias_without_cost(p, X, y):
    g = tube_gradient(p, X, y)
    return {**g, "b": g["b"] / C}


# a support vector machine at the origin of all: each margin is 0 < 1, the penalty's norm has its corner there


def corner_cost(w, X, side):
    return np.mean(np.maximum(0.0, 1 - side * (X @ w))) + 0.1 * np.sqrt(np.sum(w**2))


def corner_gradient(w, X, side):
    """At w = 0 the norm's subgradient 0."""
    norm = np.sqrt(np.sum(w**2))
    return -X.T @ (side * (side * (X @ w) < 1)) / len(side) + (0.1 * w / norm if norm > 0 else 0.0)


# novelty: one class, the radius is a parameter; exact ties are kinks where any share is a subgradient
RING = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [2.0, 0.0], [0.3, 0.1]])


def novelty_cost(p, points):
    return p["radius2"] + 0.8 * jnp.sum(jax.nn.relu(jnp.sum((points - p["centre"]) ** 2, axis=1) - p["radius2"]))


def novelty_gradient(p, points):
    """A point on the sphere counts by a half."""
    gap = jnp.sum((points - p["centre"]) ** 2, axis=1) - p["radius2"]
    share = 0.8 * jnp.where(gap > 1e-12, 1.0, jnp.where(gap < -1e-12, 0.0, 0.5))
    return {"centre": -2 * share @ (points - p["centre"]), "radius2": 1 - share.sum()}


def novelty_centre(p, points):
    g = novelty_gradient(p, points)
    return {**g, "centre": -g["centre"]}


def novelty_inside(p, points):
    """The points inside are counted, not those outside."""
    gap = jnp.sum((points - p["centre"]) ** 2, axis=1) - p["radius2"]
    share = 0.8 * (gap < 0)
    return {"centre": -2 * share @ (points - p["centre"]), "radius2": 1 - share.sum()}


# the dual with a kernel; an additive penalty holds αᵀy = 0
K = np.exp(-0.5 * np.sum((X[:, None] - X) ** 2, axis=-1))
ALPHA = rng.uniform(0.1, 0.9, 18)


def dual_cost(alpha, K, side):
    return 0.5 * (alpha * side) @ K @ (alpha * side) - alpha.sum() + 5.0 * (alpha @ side) ** 2


def dual_gradient(alpha, K, side):
    return side * (K @ (alpha * side)) - 1 + 10.0 * (alpha @ side) * side


def dual_hessian(alpha, K, side):
    return jnp.outer(side, side) * (K + 10.0)


def dual_product(alpha, K, side, v):
    return side * (K @ (side * v)) + 10.0 * side * (side @ v)


def dual_one_label(alpha, K, side):
    return K @ (alpha * side) - 1 + 10.0 * (alpha @ side) * side


def dual_rows(alpha, K, side):
    """The labels of the rows only."""
    return side[:, None] * K + 10.0 * jnp.outer(side, side)


# groups that overlap, each weighted by the root of its size
GROUPS = ((0, 1, 2), (2, 3), (3, 4, 5, 6))
Z = rng.standard_normal((20, 7))
t = Z @ np.array([1.0, 0.0, -0.5, 0.3, 0.0, 0.8, 0.0]) + 0.3 * rng.standard_normal(20)


def groups_cost(w, Z, t, lam):
    penalty = sum(jnp.sqrt(len(g)) * jnp.linalg.norm(w[jnp.array(g)]) for g in GROUPS)
    return jnp.sum((Z @ w - t) ** 2) / (2 * len(t)) + lam * penalty


def groups_gradient(w, Z, t, lam, add=True, weigh=True):
    g = np.array(Z.T @ (Z @ w - t) / len(t))
    penalty = np.zeros(7)
    for group in map(list, GROUPS):
        part = np.asarray(w)[group]
        term = (len(group) ** 0.5 if weigh else 1.0) * part / np.sqrt(part @ part)
        penalty[group] = term + (penalty[group] if add else 0.0)
    return g + lam * penalty


# fused pieces: |w_j| and |w_{j+1} − w_j|, at a point where two neighbours are equal and one is zero
PIECES = np.array([0.5, 0.5, 1.2, 0.0, -0.7, 0.3, 0.9])


def fused_cost(w, Z, t):
    return 0.5 * np.sum((Z @ w - t) ** 2) + 0.7 * np.sum(np.abs(np.diff(w))) + 0.2 * np.sum(np.abs(w))


def fused_gradient(w, Z, t):
    s = np.sign(np.diff(w))
    return Z.T @ (Z @ w - t) + 0.7 * (np.append(0.0, s) - np.append(s, 0.0)) + 0.2 * np.sign(w)


def fused_turned(w, Z, t):
    """The differences' part with its sign turned."""
    s = np.sign(np.diff(w))
    return Z.T @ (Z @ w - t) - 0.7 * (np.append(0.0, s) - np.append(s, 0.0)) + 0.2 * np.sign(w)


CASES = [
    tube := Practice("regression with a tube", tube_cost, LINE, (X, y), gradient=tube_gradient),
    tube._replace(
        name="regression with a tube, those within it counted",
        gradient=tube_closed,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    tube._replace(
        name="regression with a tube, C forgotten by the intercept",
        gradient=tube_bias_without_cost,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice("hinge and a norm at w = 0, NumPy", corner_cost, np.zeros(3), (X, side), gradient=corner_gradient),
    novelty := Practice(
        "sphere around one class, points exactly on it",
        novelty_cost,
        {"centre": np.zeros(2), "radius2": np.array(1.0)},
        (RING,),
        gradient=novelty_gradient,
    ),
    novelty._replace(
        name="sphere around one class, the centre's sign",
        params={"centre": np.array([0.2, 0.1]), "radius2": np.array(0.4)},
        gradient=novelty_centre,
        kinds=frozenset({Kind.SIGN}),
    ),
    novelty._replace(
        name="sphere around one class, those inside for those outside",
        params={"centre": np.array([0.2, 0.1]), "radius2": np.array(0.4)},
        gradient=novelty_inside,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.INDEX}),
    ),
    dual := Practice(
        "dual of a support vector machine, all derivatives",
        dual_cost,
        ALPHA,
        (K, side),
        gradient=dual_gradient,
        hessian=dual_hessian,
        hessian_product=dual_product,
    ),
    dual._replace(
        name="dual of a support vector machine, the label outside forgotten",
        gradient=dual_one_label,
        hessian=None,
        hessian_product=None,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.SIGN}),
    ),
    dual._replace(
        name="dual of a support vector machine, labels of the rows only",
        gradient=None,
        hessian=dual_rows,
        hessian_product=None,
        kinds=frozenset({Kind.ASYMMETRIC, Kind.CHAIN_RULE, Kind.SIGN}),
    ),
    groups := Practice(
        "groups that overlap", groups_cost, np.linspace(-0.6, 1.1, 7), (Z, t, 0.3), gradient=groups_gradient
    ),
    groups._replace(
        name="groups that overlap, a member of two kept in one",
        gradient=lambda w, Z, t, lam: groups_gradient(w, Z, t, lam, add=False),
        kinds=frozenset({Kind.PENALTY, Kind.INDEX, Kind.ENTRY}),
    ),
    groups._replace(
        name="groups that overlap, the root of the size forgotten",
        gradient=lambda w, Z, t, lam: groups_gradient(w, Z, t, lam, weigh=False),
        kinds=frozenset({Kind.PENALTY, Kind.FACTOR}),
    ),
    fused := Practice("fused pieces at their corners, NumPy", fused_cost, PIECES, (Z, t), gradient=fused_gradient),
    fused._replace(
        name="fused pieces, the sign of the differences",
        params=np.array([0.5, 0.1, 1.2, -0.4, -0.7, 0.3, 0.9]),
        gradient=fused_turned,
        kinds=frozenset({Kind.SIGN, Kind.PENALTY}),
    ),
]
