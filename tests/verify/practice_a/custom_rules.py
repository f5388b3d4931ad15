"""Costs with rules of their own, by jax.custom_vjp and jax.custom_jvp: right rules and wrong ones.

The derivative is judged against the cost's values. So a right formula stays right beside a rule that is not, and a
formula that repeats a wrong rule is wrong with it.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(91)
X = _rng.standard_normal((12, 3))
y = _rng.standard_normal(12)
labels = (_rng.uniform(size=12) < 0.5).astype(float)


# A stable log(1 + exp(z)) with its own jvp, right; logistic regression


@jax.custom_jvp
def log1pexp(z):
    return jnp.logaddexp(0.0, z)


@log1pexp.defjvp
def _log1pexp_jvp(primals, tangents):
    (z,), (t,) = primals, tangents
    return log1pexp(z), jax.nn.sigmoid(z) * t


def logistic(params, X, labels):
    z = X @ params["w"] + params["b"]
    return jnp.sum(log1pexp(z) - labels * z) + 0.05 * jnp.sum(params["w"] ** 2)


def logistic_gradient(params, X, labels):
    r = jax.nn.sigmoid(X @ params["w"] + params["b"]) - labels
    return {"w": X.T @ r + 0.1 * params["w"], "b": r.sum()}


def logistic_gradient_squared_loss(params, X, labels):
    """With the derivative of the sigmoid, as for squares."""
    p = jax.nn.sigmoid(X @ params["w"] + params["b"])
    r = (p - labels) * p * (1 - p)
    return {"w": X.T @ r + 0.1 * params["w"], "b": r.sum()}


def logistic_gradient_decay_halved(params, X, labels):
    r = jax.nn.sigmoid(X @ params["w"] + params["b"]) - labels
    return {"w": X.T @ r + 0.05 * params["w"], "b": r.sum()}


def logistic_gradient_labels_flipped(params, X, labels):
    r = jax.nn.sigmoid(X @ params["w"] + params["b"]) - (1 - labels)
    return {"w": X.T @ r + 0.1 * params["w"], "b": r.sum()}


def logistic_gradient_two(params, X, labels):
    """The bias is not trained, and the decay is doubled."""
    r = jax.nn.sigmoid(X @ params["w"] + params["b"]) - labels
    return {"w": X.T @ r + 0.2 * params["w"], "b": jnp.zeros(())}


# A square root with a rule that is good to seven digits: the constant was typed


@jax.custom_jvp
def half_power(s):
    return jnp.sqrt(s)


@half_power.defjvp
def _half_power_jvp(primals, tangents):
    (s,), (t,) = primals, tangents
    return jnp.sqrt(s), 0.50000007 * t / jnp.sqrt(s)


def robust(w, X, y):
    return jnp.mean(half_power(1.0 + (X @ w - y) ** 2))


def robust_gradient(w, X, y):
    r = X @ w - y
    return X.T @ (r / jnp.sqrt(1.0 + r**2)) / len(y)


def robust_gradient_no_root(w, X, y):
    return X.T @ (X @ w - y) / len(y)


def robust_gradient_numpy_sign(w, X, y):
    """The limit of large residuals."""
    return X.T @ np.sign(X @ w - y) / len(y)


# A layer with custom_vjp whose rule has lost the mean over the batch in its small leaf, the bias


@jax.custom_vjp
def dense(x, W, b):
    return x @ W + b


def _dense_forward(x, W, b):
    return x @ W + b, (x, W)


def _dense_backward(saved, g):
    x, W = saved
    return g @ W.T, x.T @ g, g.mean(axis=0)


dense.defvjp(_dense_forward, _dense_backward)


def two_layers(params, X, y):
    h = jnp.tanh(X @ params["W"] + params["b"])
    return 0.5 * jnp.sum((dense(h, params["v"], params["c"])[:, 0] - y) ** 2)


def two_layers_gradient(params, X, y):
    h = jnp.tanh(X @ params["W"] + params["b"])
    delta = h @ params["v"] + params["c"] - y[:, None]
    back = delta @ params["v"].T * (1 - h**2)
    return {"W": X.T @ back, "b": back.sum(axis=0), "v": h.T @ delta, "c": delta.sum(axis=0)}


def two_layers_gradient_with_rule(params, X, y):
    """The bias averaged, as the wrong rule has it."""
    g = two_layers_gradient(params, X, y)
    return {**g, "c": g["c"] / len(X)}


def two_layers_drift(params, X, y):
    """The last bias counts in millionths."""
    return two_layers({**params, "c": 1e-6 * params["c"]}, X, y)


def two_layers_drift_gradient(params, X, y):
    g = two_layers_gradient({**params, "c": 1e-6 * params["c"]}, X, y)
    return {**g, "c": 1e-6 * g["c"]}


def two_layers_drift_percent(params, X, y):
    g = two_layers_gradient({**params, "c": 1e-6 * params["c"]}, X, y)
    return {**g, "c": 1.01e-6 * g["c"]}


def two_layers_drift_as_rule(params, X, y):
    g = two_layers_gradient({**params, "c": 1e-6 * params["c"]}, X, y)
    return {**g, "c": 1e-6 * g["c"] / len(X)}


def two_layers_gradient_no_tanh(params, X, y):
    h = jnp.tanh(X @ params["W"] + params["b"])
    delta = h @ params["v"] + params["c"] - y[:, None]
    back = delta @ params["v"].T
    return {"W": X.T @ back, "b": back.sum(axis=0), "v": h.T @ delta, "c": delta.sum(axis=0)}


# A fixed point x = tanh(A x + b), iterated to 1e-6 only, its rule by the implicit function theorem


@jax.custom_vjp
def equilibrium(A, b):
    def unfinished(carry):
        old, new = carry
        return jnp.max(jnp.abs(new - old)) > 1e-6

    start = jnp.zeros_like(b)
    return lax.while_loop(unfinished, lambda c: (c[1], jnp.tanh(A @ c[1] + b)), (start - 1, start))[1]


def _equilibrium_forward(A, b):
    x = equilibrium(A, b)
    return x, (A, x)


def _equilibrium_backward(saved, g):
    A, x = saved
    s = 1 - x**2
    u = jnp.linalg.solve(jnp.eye(len(x)) - A.T * s, g)
    return jnp.outer(s * u, x), s * u


equilibrium.defvjp(_equilibrium_forward, _equilibrium_backward)


def balanced(params, target):
    return 0.5 * jnp.sum((equilibrium(params["A"], params["b"]) - target) ** 2)


def balanced_gradient(params, target):
    A, b = params["A"], params["b"]
    x = jnp.zeros_like(b)
    for _ in range(80):
        x = jnp.tanh(A @ x + b)
    s = 1 - x**2
    u = s * jnp.linalg.solve((jnp.eye(len(b)) - s[:, None] * A).T, x - target)
    return {"A": jnp.outer(u, x), "b": u}


def balanced_gradient_one_step(params, target):
    """Through the last iteration only."""
    A, b = params["A"], params["b"]
    x = jnp.zeros_like(b)
    for _ in range(80):
        x = jnp.tanh(A @ x + b)
    u = (1 - x**2) * (x - target)
    return {"A": jnp.outer(u, x), "b": u}


def balanced_gradient_transposed(params, target):
    g = balanced_gradient(params, target)
    return {**g, "A": g["A"].T}


# A loss at a quantile whose rule is given; a clipped gradient: the rule changes what the values do not


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def clipped(x, bound):
    return x


clipped.defvjp(lambda x, bound: (x, None), lambda bound, _, g: (jnp.clip(g, -bound, bound),))


def clipped_squares(w, X, y):
    return jnp.sum((X @ clipped(w, 0.5) - y) ** 2)


def squares_gradient(w, X, y):
    return 2 * X.T @ (X @ w - y)


def squares_gradient_clipped(w, X, y):
    return jnp.clip(2 * X.T @ (X @ w - y), -0.5, 0.5)


# Mean and log-variance of a normal density; the rule of its logarithm has lost the variance's chain rule


@jax.custom_jvp
def log_density(y, mean, log_variance):
    return -0.5 * ((y - mean) ** 2 * jnp.exp(-log_variance) + log_variance)


@log_density.defjvp
def _log_density_jvp(primals, tangents):
    y, mean, log_variance = primals
    r = (y - mean) * jnp.exp(-log_variance)
    by_variance = 0.5 * r**2 - 0.5  # must be 0.5 (y - mean) r - 0.5
    return log_density(y, mean, log_variance), r * (tangents[1] - tangents[0]) + by_variance * tangents[2]


def heteroscedastic(params, X, y):
    mean, log_variance = X @ params[0], X @ params[1]
    return -jnp.sum(log_density(y, mean, log_variance))


def heteroscedastic_gradient(params, X, y):
    variance = jnp.exp(X @ params[1])
    r = y - X @ params[0]
    return -X.T @ (r / variance), 0.5 * X.T @ (1 - r**2 / variance)


def heteroscedastic_as_rule(params, X, y):
    variance = jnp.exp(X @ params[1])
    r = y - X @ params[0]
    return -X.T @ (r / variance), 0.5 * X.T @ (1 - r**2 / variance**2)


def heteroscedastic_residual_only(params, X, y):
    """The mean's gradient as if the variance were 1."""
    variance = jnp.exp(X @ params[1])
    r = y - X @ params[0]
    return -X.T @ r, 0.5 * X.T @ (1 - r**2 / variance)


def heteroscedastic_no_normaliser(params, X, y):
    variance = jnp.exp(X @ params[1])
    r = y - X @ params[0]
    return -X.T @ (r / variance), -0.5 * X.T @ (r**2 / variance)


# The log-determinant by Cholesky with its own rule, right; the covariance of a sample


@jax.custom_vjp
def log_det(S):
    return 2 * jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(S))))


log_det.defvjp(lambda S: (log_det(S), S), lambda S, g: (g * jnp.linalg.inv(S),))


def covariance(B, X):
    S = B @ B.T + 0.3 * jnp.eye(3)
    return 0.5 * len(X) * log_det(S) + 0.5 * jnp.sum(X.T * jnp.linalg.solve(S, X.T))


def covariance_gradient(B, X):
    P = jnp.linalg.inv(B @ B.T + 0.3 * jnp.eye(3))
    return (len(X) * P - P @ X.T @ X @ P) @ B


def covariance_one_side(B, X):
    """B B^T holds B twice."""
    P = jnp.linalg.inv(B @ B.T + 0.3 * jnp.eye(3))
    return 0.5 * (len(X) * P - P @ X.T @ X @ P) @ B


def covariance_no_determinant(B, X):
    P = jnp.linalg.inv(B @ B.T + 0.3 * jnp.eye(3))
    return -P @ X.T @ X @ P @ B


def covariance_no_ridge(B, X):
    P = jnp.linalg.pinv(B @ B.T)
    return (len(X) * P - P @ X.T @ X @ P) @ B


# A norm that is safe at 0; group lasso, the square root of the group's size


@jax.custom_jvp
def safe_norm(x):
    return jnp.sqrt(jnp.sum(x**2))


@safe_norm.defjvp
def _safe_norm_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    n = jnp.sqrt(jnp.sum(x**2))
    return n, jnp.where(n > 0, x @ t / jnp.where(n > 0, n, 1.0), 0.0)


groups = [slice(0, 1), slice(1, 3), slice(3, 6)]


def group_lasso(w, X, y):
    sizes = [np.sqrt(g.stop - g.start) for g in groups]
    penalty = sum(size * safe_norm(w[g]) for size, g in zip(sizes, groups, strict=True))
    return 0.5 * jnp.mean((X @ w - y) ** 2) + 0.3 * penalty


def group_lasso_gradient(w, X, y):
    pull = [np.sqrt(g.stop - g.start) * w[g] / jnp.linalg.norm(w[g]) for g in groups]
    return X.T @ (X @ w - y) / len(y) + 0.3 * jnp.concatenate(pull)


def group_lasso_no_root(w, X, y):
    pull = [(g.stop - g.start) * w[g] / jnp.linalg.norm(w[g]) for g in groups]
    return X.T @ (X @ w - y) / len(y) + 0.3 * jnp.concatenate(pull)


def group_lasso_of_squares(w, X, y):
    pull = [np.sqrt(g.stop - g.start) * 2 * w[g] for g in groups]
    return X.T @ (X @ w - y) / len(y) + 0.3 * jnp.concatenate(pull)


def group_lasso_sum(w, X, y):
    pull = [np.sqrt(g.stop - g.start) * w[g] / jnp.linalg.norm(w[g]) for g in groups]
    return X.T @ (X @ w - y) + 0.3 * jnp.concatenate(pull)


# A diffusion solved by Euler steps; the adjoint as a rule; params = logarithms of rates


@jax.custom_vjp
def decayed(rates, u):
    for _ in range(10):
        u = u + 0.1 * (-rates * u + jnp.roll(u, 1) - u)
    return u


def _decayed_forward(rates, u):
    states = [u]
    for _ in range(10):
        states.append(states[-1] + 0.1 * (-rates * states[-1] + jnp.roll(states[-1], 1) - states[-1]))
    return states[-1], (rates, states[:-1])


def _decayed_backward(saved, g):
    rates, states = saved
    by_rates = jnp.zeros_like(rates)
    for u in reversed(states):
        by_rates = by_rates - 0.1 * u * g
        g = g + 0.1 * (-rates * g + jnp.roll(g, -1) - g)
    return by_rates, g


decayed.defvjp(_decayed_forward, _decayed_backward)


def decay(log_rates, start, seen):
    return jnp.sum((decayed(jnp.exp(log_rates), start) - seen) ** 2)


def decay_sweep(log_rates, start, seen, neighbour=-1):
    rates = jnp.exp(log_rates)
    u, saved = _decayed_forward(rates, jnp.asarray(start))
    g, by_rates = 2 * (u - seen), jnp.zeros_like(rates)
    for u in reversed(saved[1]):
        by_rates = by_rates - 0.1 * u * g
        g = g + 0.1 * (-rates * g + jnp.roll(g, neighbour) - g)
    return by_rates, rates


def decay_gradient(log_rates, start, seen):
    by_rates, rates = decay_sweep(log_rates, start, seen)
    return by_rates * rates


def decay_gradient_by_rates(log_rates, start, seen):
    return decay_sweep(log_rates, start, seen)[0]


def decay_gradient_not_adjoint(log_rates, start, seen):
    """The flow is not transposed on the way back."""
    by_rates, rates = decay_sweep(log_rates, start, seen, neighbour=1)
    return by_rates * rates


def decay_gradient_last_step(log_rates, start, seen):
    rates = jnp.exp(log_rates)
    u, saved = _decayed_forward(rates, jnp.asarray(start))
    return -0.1 * saved[1][-1] * 2 * (u - seen) * rates


log_params = {"w": np.array([0.6, -0.9, 0.4]), "b": np.array(0.2)}
w = np.array([0.7, -0.4, 0.9])
layers = {
    "W": _rng.standard_normal((3, 4)),
    "b": 0.2 * _rng.standard_normal(4),
    "v": _rng.standard_normal((4, 1)),
    "c": np.array([0.3]),
}
recurrent = {"A": 0.3 * _rng.standard_normal((4, 4)), "b": _rng.standard_normal(4)}
target = np.array([0.5, -0.2, 0.1, 0.4])
pair = (w, np.array([0.3, 0.5, -0.4]))
B = _rng.standard_normal((3, 2))
wide = _rng.standard_normal((15, 6))
goal = _rng.standard_normal(15)
w6 = np.array([0.5, -0.8, 0.3, 0.2, 0.9, -0.4])
log_rates = np.array([-0.5, 0.1, 0.4, -0.2, 0.3])
field = (np.array([1.0, 0.2, -0.4, 0.8, 0.5]), np.array([0.1, 0.3, 0.2, 0.0, 0.4]))

CASES = [
    Practice("logistic, its own log1pexp", logistic, log_params, (X, labels), gradient=logistic_gradient),
    Practice(
        "logistic, its own log1pexp: the derivative of the sigmoid, as for squares",
        *(logistic, log_params, (X, labels)),
        gradient=logistic_gradient_squared_loss,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "logistic, its own log1pexp: the decay halved",
        *(logistic, log_params, (X, labels)),
        gradient=logistic_gradient_decay_halved,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "logistic, its own log1pexp: labels 0 and 1 exchanged",
        *(logistic, log_params, (X, labels)),
        gradient=logistic_gradient_labels_flipped,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "logistic, its own log1pexp: the bias left at zero and the decay doubled",
        *(logistic, log_params, (X, labels)),
        gradient=logistic_gradient_two,
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
        all_needed=True,
    ),
    Practice(
        "robust squares beside a rule good to seven digits",
        *(robust, w, (X, y)),
        gradient=robust_gradient,
    ),
    Practice(
        "robust squares beside a rule good to seven digits: plain squares",
        *(robust, w, (X, y)),
        gradient=robust_gradient_no_root,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "robust squares beside a rule good to seven digits: only the signs",
        *(robust, w, (X, y)),
        gradient=robust_gradient_numpy_sign,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "two layers beside a rule wrong in the last bias",
        *(two_layers, layers, (X, y)),
        gradient=two_layers_gradient,
    ),
    Practice(
        "two layers beside a rule wrong in the last bias: as the rule",
        *(two_layers, layers, (X, y)),
        gradient=two_layers_gradient_with_rule,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice(
        "two layers beside a rule wrong in the last bias: the derivative of tanh forgotten",
        *(two_layers, layers, (X, y)),
        gradient=two_layers_gradient_no_tanh,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "two layers beside a rule wrong in the last bias, in millionths",
        *(two_layers_drift, layers, (X, y)),
        gradient=two_layers_drift_gradient,
    ),
    Practice(
        "two layers beside a rule wrong in the last bias, in millionths: it is one percent too large",
        *(two_layers_drift, layers, (X, y)),
        gradient=two_layers_drift_percent,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice(
        "two layers beside a rule wrong in the last bias, in millionths: as the rule",
        *(two_layers_drift, layers, (X, y)),
        gradient=two_layers_drift_as_rule,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice("a fixed point iterated to 1e-6", balanced, recurrent, (target,), gradient=balanced_gradient),
    Practice(
        "a fixed point iterated to 1e-6: only the last iteration",
        *(balanced, recurrent, (target,)),
        gradient=balanced_gradient_one_step,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "a fixed point iterated to 1e-6: the matrix's gradient transposed",
        *(balanced, recurrent, (target,)),
        gradient=balanced_gradient_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice("squares beside a rule that clips", clipped_squares, w, (X, y), gradient=squares_gradient),
    Practice(
        "squares beside a rule that clips: clipped as the rule",
        *(clipped_squares, w, (X, y)),
        gradient=squares_gradient_clipped,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.ENTRY}),
    ),
    Practice(
        "mean and variance beside a rule wrong in the variance",
        *(heteroscedastic, pair, (X, y)),
        gradient=heteroscedastic_gradient,
    ),
    Practice(
        "mean and variance beside a rule wrong in the variance: as the rule",
        *(heteroscedastic, pair, (X, y)),
        gradient=heteroscedastic_as_rule,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "mean and variance: the mean's gradient not divided by the variance",
        *(heteroscedastic, pair, (X, y)),
        gradient=heteroscedastic_residual_only,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "mean and variance: the normaliser is left out",
        *(heteroscedastic, pair, (X, y)),
        gradient=heteroscedastic_no_normaliser,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("a covariance's factor, its own log-determinant", covariance, B, (X,), gradient=covariance_gradient),
    Practice(
        "a covariance's factor: one side of B Bᵀ only",
        *(covariance, B, (X,)),
        gradient=covariance_one_side,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "a covariance's factor: the log-determinant left out",
        *(covariance, B, (X,)),
        gradient=covariance_no_determinant,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "a covariance's factor: without the noise on the diagonal",
        *(covariance, B, (X,)),
        gradient=covariance_no_ridge,
        kinds=frozenset({Kind.MISSING, Kind.UNKNOWN}),
    ),
    Practice("group lasso, its own norm", group_lasso, w6, (wide, goal), gradient=group_lasso_gradient),
    Practice(
        "group lasso: the group's size, not its square root",
        *(group_lasso, w6, (wide, goal)),
        gradient=group_lasso_no_root,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "group lasso: the squares of the norms",
        *(group_lasso, w6, (wide, goal)),
        gradient=group_lasso_of_squares,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "group lasso: the squares summed beside the penalty, the cost has their mean",
        *(group_lasso, w6, (wide, goal)),
        gradient=group_lasso_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice("Euler steps, the adjoint as a rule", decay, log_rates, field, gradient=decay_gradient),
    Practice(
        "Euler steps: by the rates, not by their logarithms",
        *(decay, log_rates, field),
        gradient=decay_gradient_by_rates,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Euler steps: the flow not transposed on the way back",
        *(decay, log_rates, field),
        gradient=decay_gradient_not_adjoint,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    Practice(
        "Euler steps: only the last one",
        *(decay, log_rates, field),
        gradient=decay_gradient_last_step,
        kinds=frozenset({Kind.MISSING}),
    ),
]
