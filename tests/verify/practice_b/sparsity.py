"""Penalties of groups, elastic nets and total variation, smoothed or away from their kinks."""

import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(104)
X = rng.standard_normal((20, 6))
y = X @ np.array([1.0, 0.5, -0.7, 0.0, 0.2, -1.2]) + 0.3 * rng.standard_normal(20)
THETA = np.array([0.6, 0.4, -0.5, 0.15, 0.3, -0.9])

# group lasso, groups as slices of one vector
GROUPS = (slice(0, 1), slice(1, 3), slice(3, 6))


def group_cost(theta, X, y, penalty):
    r = X @ theta - y
    norms = sum(np.sqrt(g.stop - g.start) * jnp.linalg.norm(theta[g]) for g in GROUPS)
    return r @ r / (2 * len(y)) + penalty * norms


def group_gradient(theta, X, y, penalty):
    parts = [np.sqrt(g.stop - g.start) * theta[g] / jnp.linalg.norm(theta[g]) for g in GROUPS]
    return X.T @ (X @ theta - y) / len(y) + penalty * jnp.concatenate(parts)


def group_size(theta, X, y, penalty):
    parts = [theta[g] / jnp.linalg.norm(theta[g]) for g in GROUPS]
    return X.T @ (X @ theta - y) / len(y) + penalty * jnp.concatenate(parts)


def group_squared(theta, X, y, penalty):
    """As if the norms were squared and halved."""
    parts = [np.sqrt(g.stop - g.start) * theta[g] for g in GROUPS]
    return X.T @ (X @ theta - y) / len(y) + penalty * jnp.concatenate(parts)


# groups as the leaves of a dictionary: one norm for each feature of a multi-task model
TASKS = {"shared": rng.standard_normal((6, 3)), "level": np.array([0.3, -0.2, 0.5])}
YY = X @ rng.standard_normal((6, 3)) + 0.4 * rng.standard_normal((20, 3))


def tasks_cost(p):
    R = X @ p["shared"] + p["level"] - YY
    return 0.5 * jnp.sum(R**2) + 2.0 * jnp.sum(jnp.sqrt(jnp.sum(p["shared"] ** 2, axis=1) + 1e-6))


def tasks_gradient(p):
    R = X @ p["shared"] + p["level"] - YY
    rows = jnp.sqrt(jnp.sum(p["shared"] ** 2, axis=1, keepdims=True) + 1e-6)
    return {"shared": X.T @ R + 2.0 * p["shared"] / rows, "level": R.sum(axis=0)}


def tasks_columns(p):
    R = X @ p["shared"] + p["level"] - YY
    columns = jnp.sqrt(jnp.sum(p["shared"] ** 2, axis=0) + 1e-6)
    return {"shared": X.T @ R + 2.0 * p["shared"] / columns, "level": R.sum(axis=0)}


# elastic net as scikit-learn writes it, the penalties in a lambda
def net(alpha, ratio):
    return lambda theta: alpha * (ratio * jnp.sum(jnp.abs(theta)) + 0.5 * (1 - ratio) * jnp.sum(theta**2))


PENALTY = net(0.6, 0.3)


def net_cost(theta, X, y):
    return jnp.sum((X @ theta - y) ** 2) / (2 * len(y)) + PENALTY(theta)


def net_gradient(theta, X, y):
    return X.T @ (X @ theta - y) / len(y) + 0.6 * (0.3 * jnp.sign(theta) + 0.7 * theta)


def net_exchanged(theta, X, y):
    return X.T @ (X @ theta - y) / len(y) + 0.6 * (0.7 * jnp.sign(theta) + 0.3 * theta)


def net_doubled(theta, X, y):
    return X.T @ (X @ theta - y) / len(y) + 0.6 * (0.3 * jnp.sign(theta) + 2 * 0.7 * theta)


def net_absolute(theta, X, y):
    return X.T @ (X @ theta - y) / len(y) + 0.6 * (0.3 * jnp.abs(theta) + 0.7 * theta)


def net_none(theta, X, y):
    return X.T @ (X @ theta - y) / len(y)


def net_summed(theta, X, y):
    return X.T @ (X @ theta - y) + 0.6 * (0.3 * jnp.sign(theta) + 0.7 * theta)


def ridge_norm_cost(theta):
    return 0.5 * np.sum((X @ theta - y) ** 2) + 0.8 * np.sum(theta**2)


def ridge_norm_gradient(theta):
    return X.T @ (X @ theta - y) + 0.8 * theta / np.linalg.norm(theta)


# total variation of a signal and of an image, smoothed
SIGNAL = np.repeat([0.0, 1.0, 0.4], 6) + 0.2 * rng.standard_normal(18)
GUESS = SIGNAL + 0.1 * rng.standard_normal(18)


def signal_cost(u, f, lam=0.5, eps=1e-2):
    return 0.5 * jnp.sum((u - f) ** 2) + lam * jnp.sum(jnp.sqrt(jnp.diff(u) ** 2 + eps))


def signal_gradient(u, f, lam=0.5, eps=1e-2):
    q = jnp.diff(u) / jnp.sqrt(jnp.diff(u) ** 2 + eps)
    return u - f - lam * jnp.diff(q, prepend=0.0, append=0.0)


def signal_one_neighbour(u, f, lam=0.5, eps=1e-2):
    q = jnp.diff(u) / jnp.sqrt(jnp.diff(u) ** 2 + eps)
    return jnp.asarray(u - f).at[1:].add(lam * q)


def signal_eps(u, f, lam=0.5, eps=1e-2):
    return u - f - lam * jnp.diff(jnp.sign(jnp.diff(u)), prepend=0.0, append=0.0)


def signal_ring(u, f, lam=0.5, eps=1e-2):
    """As if the last point were a neighbour of the first."""

    def q(d):
        return d / jnp.sqrt(d**2 + eps)

    return u - f + lam * (q(u - jnp.roll(u, 1)) - q(jnp.roll(u, -1) - u))


def signal_product(u, f, v, lam=0.5, eps=1e-2):
    w = eps / (jnp.diff(u) ** 2 + eps) ** 1.5
    return v - lam * jnp.diff(w * jnp.diff(v), prepend=0.0, append=0.0)


def signal_sqrt(u, f, v, lam=0.5, eps=1e-2):
    """The weight is held fixed (lagged diffusivity)."""
    w = 1 / jnp.sqrt(jnp.diff(u) ** 2 + eps)
    return v - lam * jnp.diff(w * jnp.diff(v), prepend=0.0, append=0.0)


IMAGE = rng.standard_normal((5, 5))
SEEN = IMAGE + 0.3 * rng.standard_normal((5, 5))


def image_cost(u, f, lam):
    return 0.5 * np.sum((u - f) ** 2) + lam * (
        np.sqrt(np.diff(u, axis=0) ** 2 + 1e-2).sum() + 0.5 * np.sqrt(np.diff(u, axis=1) ** 2 + 1e-2).sum()
    )


def image_gradient(u, f, lam):
    g = u - f
    for axis, weight in ((0, lam), (1, 0.5 * lam)):
        d = np.diff(u, axis=axis)
        g = g - weight * np.diff(d / np.sqrt(d**2 + 1e-2), axis=axis, prepend=0, append=0)
    return g


def image_axes(u, f, lam):
    g = u - f
    for axis, weight in ((1, lam), (0, 0.5 * lam)):
        d = np.diff(u, axis=axis)
        g = g - weight * np.diff(d / np.sqrt(d**2 + 1e-2), axis=axis, prepend=0, append=0)
    return g


# fused lasso of a float32 model
BETA32 = rng.standard_normal(8).astype(np.float32)
D32 = rng.standard_normal((12, 8)).astype(np.float32)
Y32 = rng.standard_normal(12).astype(np.float32)


def fused_cost(beta):
    return jnp.mean((D32 @ beta - Y32) ** 2) + 0.1 * jnp.sum(jnp.abs(beta)) + 0.2 * jnp.sum(jnp.abs(jnp.diff(beta)))


def fused_gradient(beta):
    """2/12 of the data is rounded to float32, whatever the parameters are."""
    s = jnp.sign(jnp.diff(beta))
    jump = jnp.zeros_like(beta).at[1:].add(s).at[:-1].add(-s)
    return (2 / 12) * D32.T @ (D32 @ beta - Y32) + 0.1 * jnp.sign(beta) + 0.2 * jump


CASES = [
    Practice("group lasso", group_cost, THETA, (X, y), {"penalty": 0.3}, gradient=group_gradient),
    Practice(
        "group lasso, the root of the group's size forgotten",
        group_cost,
        THETA,
        (X, y),
        {"penalty": 0.3},
        gradient=group_size,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "group lasso, as if the norms were squared",
        group_cost,
        THETA,
        (X, y),
        {"penalty": 0.3},
        gradient=group_squared,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice("multi-task lasso, data in the closure", tasks_cost, TASKS, gradient=tasks_gradient),
    Practice(
        "multi-task lasso, norms of columns for norms of rows",
        tasks_cost,
        TASKS,
        gradient=tasks_columns,
        kinds=frozenset({Kind.PENALTY, Kind.TRANSPOSE}),
    ),
    Practice("elastic net, the penalty in a lambda", net_cost, THETA, (X, y), gradient=net_gradient),
    Practice(
        "elastic net, its two shares exchanged",
        net_cost,
        THETA,
        (X, y),
        gradient=net_exchanged,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "elastic net, the half of the square forgotten",
        net_cost,
        THETA,
        (X, y),
        gradient=net_doubled,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "elastic net, |θ| for its sign",
        net_cost,
        THETA,
        (X, y),
        gradient=net_absolute,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "elastic net, no penalty at all",
        net_cost,
        THETA,
        (X, y),
        gradient=net_none,
        kinds=frozenset({Kind.PENALTY, Kind.MISSING}),
    ),
    Practice(
        "elastic net, the data summed beside the penalty",
        net_cost,
        THETA,
        (X, y),
        gradient=net_summed,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "ridge in NumPy, the norm's gradient for that of its square",
        ridge_norm_cost,
        THETA,
        gradient=ridge_norm_gradient,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "total variation of a signal, with Hessian products",
        signal_cost,
        GUESS,
        (SIGNAL,),
        gradient=signal_gradient,
        hessian_product=signal_product,
    ),
    Practice(
        "total variation, the neighbour on the right forgotten",
        signal_cost,
        GUESS,
        (SIGNAL,),
        gradient=signal_one_neighbour,
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
    ),
    Practice(
        "total variation, ε under the root forgotten",
        signal_cost,
        GUESS,
        (SIGNAL,),
        gradient=signal_eps,
        kinds=frozenset({Kind.PENALTY, Kind.CHAIN_RULE}),
    ),
    Practice(
        "total variation, the ends joined to a ring",
        signal_cost,
        GUESS,
        (SIGNAL,),
        gradient=signal_ring,
        kinds=frozenset({Kind.ENTRY, Kind.PENALTY}),
    ),
    Practice(
        "total variation, lagged diffusivity for the Hessian",
        signal_cost,
        GUESS,
        (SIGNAL,),
        gradient=signal_gradient,
        hessian_product=signal_sqrt,
        kinds=frozenset({Kind.EXPECTED, Kind.PENALTY}),
    ),
    Practice("total variation of an image in NumPy", image_cost, IMAGE, (SEEN, 0.4), gradient=image_gradient),
    Practice(
        "total variation of an image, the weights of the axes exchanged",
        image_cost,
        IMAGE,
        (SEEN, 0.4),
        gradient=image_axes,
        kinds=frozenset({Kind.TRANSPOSE, Kind.PENALTY}),
    ),
    Practice("fused lasso in float32 at a generic point", fused_cost, BETA32, gradient=fused_gradient),
]
