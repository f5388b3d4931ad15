"""Normalising layers: batch, layer, group, root mean square, weight norm; by parameters and by inputs."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(61)
X = 0.3 * _rng.standard_normal((10, 4)) + np.array([1.0, -0.5, 0.2, 2.0])
Y = _rng.standard_normal((10, 2))
T = _rng.standard_normal((10, 4))


# A linear layer, batch norm, a linear layer; squares; params a dict


def batch_norm(params, X, Y, eps=1e-3):
    z = X @ params["W"]
    h = (z - z.mean(axis=0)) / jnp.sqrt(z.var(axis=0) + eps)
    out = (params["gamma"] * h + params["beta"]) @ params["V"]
    return 0.5 * jnp.sum((out - Y) ** 2)


def batch_norm_gradient(params, X, Y, eps=1e-3):
    W, V, gamma, beta = params["W"], params["V"], params["gamma"], params["beta"]
    z = X @ W
    std = jnp.sqrt(z.var(axis=0) + eps)
    h = (z - z.mean(axis=0)) / std
    a = gamma * h + beta
    delta = a @ V - Y
    da = delta @ V.T
    dh = gamma * da
    dz = (dh - dh.mean(axis=0) - h * (dh * h).mean(axis=0)) / std
    return {"W": X.T @ dz, "V": a.T @ delta, "gamma": (da * h).sum(axis=0), "beta": da.sum(axis=0)}


def batch_norm_constant_statistics(params, X, Y, eps=1e-3):
    W, V, gamma, beta = params["W"], params["V"], params["gamma"], params["beta"]
    z = X @ W
    std = jnp.sqrt(z.var(axis=0) + eps)
    h = (z - z.mean(axis=0)) / std
    a = gamma * h + beta
    delta = a @ V - Y
    da = delta @ V.T
    dz = gamma * da / std
    return {"W": X.T @ dz, "V": a.T @ delta, "gamma": (da * h).sum(axis=0), "beta": da.sum(axis=0)}


def batch_norm_constant_mean(params, X, Y, eps=1e-3):
    W, V, gamma, beta = params["W"], params["V"], params["gamma"], params["beta"]
    z = X @ W
    std = jnp.sqrt(z.var(axis=0) + eps)
    h = (z - z.mean(axis=0)) / std
    a = gamma * h + beta
    delta = a @ V - Y
    da = delta @ V.T
    dh = gamma * da
    dz = (dh - h * (dh * h).mean(axis=0)) / std
    return {"W": X.T @ dz, "V": a.T @ delta, "gamma": (da * h).sum(axis=0), "beta": da.sum(axis=0)}


def batch_norm_without_gamma(params, X, Y, eps=1e-3):
    W, V, gamma, beta = params["W"], params["V"], params["gamma"], params["beta"]
    z = X @ W
    std = jnp.sqrt(z.var(axis=0) + eps)
    h = (z - z.mean(axis=0)) / std
    a = gamma * h + beta
    delta = a @ V - Y
    da = delta @ V.T
    dz = (da - da.mean(axis=0) - h * (da * h).mean(axis=0)) / std
    return {"W": X.T @ dz, "V": a.T @ delta, "gamma": (da * h).sum(axis=0), "beta": da.sum(axis=0)}


def batch_norm_without_eps(params, X, Y, eps=1e-3):
    W, V, gamma, beta = params["W"], params["V"], params["gamma"], params["beta"]
    z = X @ W
    std = jnp.sqrt(z.var(axis=0))
    h = (z - z.mean(axis=0)) / std
    a = gamma * h + beta
    delta = a @ V - Y
    da = delta @ V.T
    dh = gamma * da
    dz = (dh - dh.mean(axis=0) - h * (dh * h).mean(axis=0)) / std
    return {"W": X.T @ dz, "V": a.T @ delta, "gamma": (da * h).sum(axis=0), "beta": da.sum(axis=0)}


def batch_norm_beta_mean(params, X, Y, eps=1e-3):
    g = batch_norm_gradient(params, X, Y, eps)
    return {**g, "beta": g["beta"] / len(X)}


def batch_norm_gamma_of_output(params, X, Y, eps=1e-3):
    """gamma's gradient with the layer's output in place of the normalised input."""
    W, V = params["W"], params["V"]
    z = X @ W
    h = (z - z.mean(axis=0)) / jnp.sqrt(z.var(axis=0) + eps)
    a = params["gamma"] * h + params["beta"]
    da = (a @ V - Y) @ V.T
    return {**batch_norm_gradient(params, X, Y, eps), "gamma": (da * a).sum(axis=0)}


def batch_norm_first_layer_zero(params, X, Y, eps=1e-3):
    g = batch_norm_gradient(params, X, Y, eps)
    return {**g, "W": jnp.zeros_like(params["W"])}


def batch_norm_gamma_percent(params, X, Y, eps=1e-3):
    g = batch_norm_gradient(params, X, Y, eps)
    return {**g, "gamma": 1.01 * g["gamma"]}


# Batch norm by its inputs, examples in columns, NumPy


def columns(Z, T):
    mu, var = Z.mean(axis=1, keepdims=True), Z.var(axis=1, keepdims=True)
    return np.sum(np.tanh((Z - mu) / np.sqrt(var + 0.01)) * T)


def columns_gradient(Z, T):
    m = Z.shape[1]
    s = np.sqrt(Z.var(axis=1, keepdims=True) + 0.01)
    h = (Z - Z.mean(axis=1, keepdims=True)) / s
    dh = T * (1 - np.tanh(h) ** 2)
    return (m * dh - dh.sum(axis=1, keepdims=True) - h * (dh * h).sum(axis=1, keepdims=True)) / (m * s)


def columns_gradient_no_tanh(Z, T):
    m = Z.shape[1]
    s = np.sqrt(Z.var(axis=1, keepdims=True) + 0.01)
    h = (Z - Z.mean(axis=1, keepdims=True)) / s
    return (m * T - T.sum(axis=1, keepdims=True) - h * (T * h).sum(axis=1, keepdims=True)) / (m * s)


def columns_gradient_variance(Z, T):
    """Divided by the variance, not the deviation."""
    m = Z.shape[1]
    var = Z.var(axis=1, keepdims=True) + 0.01
    h = (Z - Z.mean(axis=1, keepdims=True)) / np.sqrt(var)
    dh = T * (1 - np.tanh(h) ** 2)
    return (m * dh - dh.sum(axis=1, keepdims=True) - h * (dh * h).sum(axis=1, keepdims=True)) / (m * var)


def columns_gradient_changes(Z, T):
    """The centred values are written into the argument."""
    m = Z.shape[1]
    s = np.sqrt(Z.var(axis=1, keepdims=True) + 0.01)
    T *= 1 - np.tanh((Z - Z.mean(axis=1, keepdims=True)) / s) ** 2
    h = (Z - Z.mean(axis=1, keepdims=True)) / s
    return (m * T - T.sum(axis=1, keepdims=True) - h * (T * h).sum(axis=1, keepdims=True)) / (m * s)


# Layer norm in a closure, a mean over the tokens


tokens = _rng.standard_normal((6, 5))
targets = _rng.standard_normal((6, 5))


def layer_norm(x):
    return (x - x.mean(axis=-1, keepdims=True)) / jnp.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)


def tokens_cost(params):
    gain, bias, mix = params
    return jnp.mean(jnp.sum((layer_norm(tokens @ mix) * gain + bias - targets) ** 2, axis=1))


def tokens_gradient(params):
    gain, bias, mix = params
    x = tokens @ mix
    std = jnp.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    h = (x - x.mean(axis=-1, keepdims=True)) / std
    delta = 2 * (h * gain + bias - targets) / len(tokens)
    dh = delta * gain
    dx = (dh - dh.mean(axis=-1, keepdims=True) - h * (dh * h).mean(axis=-1, keepdims=True)) / std
    return (delta * h).sum(axis=0), delta.sum(axis=0), tokens.T @ dx


def tokens_gradient_over_batch(params):
    """The means of the backward pass over the tokens, as in batch norm."""
    gain, bias, mix = params
    x = tokens @ mix
    std = jnp.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    h = (x - x.mean(axis=-1, keepdims=True)) / std
    delta = 2 * (h * gain + bias - targets) / len(tokens)
    dh = delta * gain
    dx = (dh - dh.mean(axis=0) - h * (dh * h).mean(axis=0)) / std
    return (delta * h).sum(axis=0), delta.sum(axis=0), tokens.T @ dx


def tokens_gradient_sum(params):
    return jax.tree.map(lambda g: len(tokens) * g, tokens_gradient(params))


def tokens_gradient_gain_last(params):
    gain, bias, mix = tokens_gradient(params)
    return bias, gain, mix


# Root mean square norm of float32 activations


activations = _rng.standard_normal((7, 6)).astype(np.float32)
answers = _rng.integers(0, 3, 7)


def rms(params, x, y):
    h = x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-6) * params["scale"]
    logits = h @ params["head"]
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y])


def rms_gradient(params, x, y):
    h = x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    delta = (jax.nn.softmax(h * params["scale"] @ params["head"]) - jax.nn.one_hot(y, 3)) / len(y)
    return {"scale": jnp.sum(h * (delta @ params["head"].T), axis=0), "head": (h * params["scale"]).T @ delta}


def rms_gradient_head_unscaled(params, x, y):
    h = x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    delta = (jax.nn.softmax(h * params["scale"] @ params["head"]) - jax.nn.one_hot(y, 3)) / len(y)
    return {"scale": jnp.sum(h * (delta @ params["head"].T), axis=0), "head": h.T @ delta}


def rms_gradient_labels(params, x, y):
    h = x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    delta = (jax.nn.softmax(h * params["scale"] @ params["head"]) - jax.nn.one_hot(y, 3)[:, ::-1]) / len(y)
    return {"scale": jnp.sum(h * (delta @ params["head"].T), axis=0), "head": (h * params["scale"]).T @ delta}


# Root mean square norm by its input: params = x


def rms_inputs(x, T):
    return jnp.sum(x / jnp.sqrt(jnp.mean(x**2, axis=1, keepdims=True) + 1e-6) * T)


def rms_inputs_gradient(x, T):
    r = jnp.sqrt(jnp.mean(x**2, axis=1, keepdims=True) + 1e-6)
    h = x / r
    return (T - h * jnp.mean(h * T, axis=1, keepdims=True)) / r


def rms_inputs_sum(x, T):
    """A sum over the features for their mean."""
    r = jnp.sqrt(jnp.mean(x**2, axis=1, keepdims=True) + 1e-6)
    h = x / r
    return (T - h * jnp.sum(h * T, axis=1, keepdims=True)) / r


def rms_inputs_product(x, T, v):
    r2 = jnp.mean(x**2, axis=1, keepdims=True) + 1e-6
    xt, xv, tv = (jnp.mean(a * b, axis=1, keepdims=True) for a, b in ((x, T), (x, v), (T, v)))
    return -(T * xv + v * xt + x * tv) / r2**1.5 + 3 * x * xt * xv / r2**2.5


def rms_inputs_product_two_terms(x, T, v):
    r2 = jnp.mean(x**2, axis=1, keepdims=True) + 1e-6
    xt, xv, tv = (jnp.mean(a * b, axis=1, keepdims=True) for a, b in ((x, T), (x, v), (T, v)))
    return -(T * xv + v * xt + x * tv) / r2**1.5


# Weight norm: direction and length; with decay of the lengths


def weight_norm(params, X, y, decay=0.0):
    w = params["g"] * params["v"] / jnp.linalg.norm(params["v"])
    return jnp.mean((X @ w - y) ** 2) + decay * params["g"] ** 2


def weight_norm_gradient(params, X, y, decay=0.0):
    g, v = params["g"], params["v"]
    norm = jnp.linalg.norm(v)
    dw = 2 * X.T @ (X @ (g * v / norm) - y) / len(y)
    return {"g": dw @ v / norm + 2 * decay * g, "v": g / norm * (dw - (dw @ v) * v / norm**2)}


def weight_norm_no_projection(params, X, y, decay=0.0):
    g, v = params["g"], params["v"]
    norm = jnp.linalg.norm(v)
    dw = 2 * X.T @ (X @ (g * v / norm) - y) / len(y)
    return {"g": dw @ v / norm + 2 * decay * g, "v": g / norm * dw}


def weight_norm_length_unnormalised(params, X, y, decay=0.0):
    g, v = params["g"], params["v"]
    norm = jnp.linalg.norm(v)
    dw = 2 * X.T @ (X @ (g * v / norm) - y) / len(y)
    return {"g": dw @ v + 2 * decay * g, "v": g / norm * (dw - (dw @ v) * v / norm**2)}


def weight_norm_decay_absent(params, X, y, decay=0.0):
    return weight_norm_gradient(params, X, y)


def weight_norm_two(params, X, y, decay=0.0):
    """Neither the projection nor the decay."""
    return weight_norm_no_projection(params, X, y)


# Group norm of channels, and a network whose batch statistics cancel the bias before them


def group_norm(x, T, groups):
    z = x.reshape(len(x), groups, -1)
    z = (z - z.mean(axis=2, keepdims=True)) / (z.std(axis=2, keepdims=True) + 0.05)
    return jnp.sum(jnp.sin(z.reshape(x.shape)) * T)


def group_norm_gradient(x, T, groups):
    z = x.reshape(len(x), groups, -1)
    c = z - z.mean(axis=2, keepdims=True)
    s = z.std(axis=2, keepdims=True)
    h = c / (s + 0.05)
    d = jnp.cos(h) * T.reshape(z.shape)
    g = (d - d.mean(axis=2, keepdims=True)) / (s + 0.05)
    g = g - c / s * (d * h).mean(axis=2, keepdims=True) / (s + 0.05)
    return g.reshape(x.shape)


def group_norm_gradient_one_group(x, T, groups):
    """The deviations of the groups, the backward pass over all channels."""
    z = x.reshape(len(x), groups, -1)
    c = z - z.mean(axis=2, keepdims=True)
    s = z.std(axis=2, keepdims=True)
    h = c / (s + 0.05)
    d = jnp.cos(h) * T.reshape(z.shape)
    g = (d - d.mean(axis=(1, 2), keepdims=True)) / (s + 0.05)
    g = g - c / s * (d * h).mean(axis=2, keepdims=True) / (s + 0.05)
    return g.reshape(x.shape)


def cancelled_bias(params, X, t):
    z = X @ params["w"] + params["b"]
    h = (z - z.mean()) / jnp.sqrt(z.var() + 1e-3)
    return jnp.sum(jax.nn.softplus(h) - t * h)


def cancelled_bias_gradient(params, X, t):
    z = X @ params["w"] + params["b"]
    s = jnp.sqrt(z.var() + 1e-3)
    h = (z - z.mean()) / s
    dh = jax.nn.sigmoid(h) - t
    dz = (dh - dh.mean() - h * (dh * h).mean()) / s
    return {"w": X.T @ dz, "b": 0.0 * params["b"]}


def cancelled_bias_of_plain_network(params, X, t):
    z = X @ params["w"] + params["b"]
    s = jnp.sqrt(z.var() + 1e-3)
    h = (z - z.mean()) / s
    dh = jax.nn.sigmoid(h) - t
    dz = (dh - dh.mean() - h * (dh * h).mean()) / s
    return {"w": X.T @ dz, "b": dh.sum()}


net = {
    "W": 0.5 * _rng.standard_normal((4, 3)),
    "V": _rng.standard_normal((3, 2)),
    "gamma": np.array([1.2, 0.7, 1.6]),
    "beta": np.array([0.1, -0.3, 0.2]),
}
gains = (np.array([1.1, 0.8, 1.3, 0.9, 1.2]), 0.1 * _rng.standard_normal(5), _rng.standard_normal((5, 5)))
small = {"scale": np.linspace(0.6, 1.4, 6).astype(np.float32), "head": _rng.standard_normal((6, 3)).astype(np.float32)}
polar = {"g": np.array(1.4), "v": np.array([0.4, -1.1, 0.6, 0.9])}
plain = {"w": np.array([0.6, -0.4, 0.9, 0.3]), "b": np.array(0.2)}
labels = (_rng.uniform(size=10) < 0.5).astype(float)
regression = (X, Y[:, 0])
Z = T.T[:3, :8].copy()
U = _rng.standard_normal((3, 8))

CASES = [
    Practice("batch norm between two layers", batch_norm, net, (X, Y), gradient=batch_norm_gradient),
    Practice(
        "batch norm: mean and variance taken for constants",
        *(batch_norm, net, (X, Y)),
        gradient=batch_norm_constant_statistics,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "batch norm: the mean taken for a constant",
        *(batch_norm, {**net, "beta": np.array([0.9, -0.8, 1.1])}, (X, Y)),
        gradient=batch_norm_constant_mean,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "batch norm: gamma forgotten below it",
        *(batch_norm, net, (X, Y)),
        gradient=batch_norm_without_gamma,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "batch norm: eps forgotten",
        *(batch_norm, net, (X, Y), {"eps": 0.1}),
        gradient=batch_norm_without_eps,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "batch norm: beta's gradient averaged",
        *(batch_norm, net, (X, Y)),
        gradient=batch_norm_beta_mean,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice(
        "batch norm: gamma's gradient with the output, not the normalised input",
        *(batch_norm, net, (X, Y)),
        gradient=batch_norm_gamma_of_output,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.UNKNOWN}),
    ),
    Practice(
        "batch norm: the first layer left at zero",
        *(batch_norm, net, (X, Y)),
        gradient=batch_norm_first_layer_zero,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "batch norm: gamma's gradient one percent too large",
        *(batch_norm, net, (X, Y)),
        gradient=batch_norm_gamma_percent,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice("batch norm by inputs in columns, NumPy", columns, Z, (U,), gradient=columns_gradient),
    Practice(
        "batch norm by inputs in columns: the derivative of tanh forgotten",
        *(columns, Z, (U,)),
        gradient=columns_gradient_no_tanh,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "batch norm by inputs in columns: the variance for the deviation",
        *(columns, Z, (U,)),
        gradient=columns_gradient_variance,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "batch norm by inputs in columns: the gradient writes into its argument",
        *(columns, Z, (U.copy(),)),
        gradient=columns_gradient_changes,
        kinds=frozenset({Kind.UNKNOWN}),
    ),
    Practice("layer norm, all in a closure", tokens_cost, gains, gradient=tokens_gradient),
    Practice(
        "layer norm: means over the batch in the backward pass",
        *(tokens_cost, gains),
        gradient=tokens_gradient_over_batch,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "layer norm: a sum over the tokens for their mean",
        *(tokens_cost, gains),
        gradient=tokens_gradient_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "layer norm: gain and bias returned in the other order",
        *(tokens_cost, gains),
        gradient=tokens_gradient_gain_last,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("root mean square norm, float32", rms, small, (activations, answers), gradient=rms_gradient),
    Practice(
        "root mean square norm, float32: the scale forgotten in the head's gradient",
        *(rms, small, (activations, answers)),
        gradient=rms_gradient_head_unscaled,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "root mean square norm, float32: the columns of the labels reversed",
        *(rms, small, (activations, answers)),
        gradient=rms_gradient_labels,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("root mean square norm by inputs", rms_inputs, X, (T,), gradient=rms_inputs_gradient),
    Practice(
        "root mean square norm by inputs: a sum over the features for their mean",
        *(rms_inputs, X, (T,)),
        gradient=rms_inputs_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "root mean square norm by inputs, product of the Hessian",
        *(rms_inputs, X, (T,)),
        hessian_product=rms_inputs_product,
    ),
    Practice(
        "root mean square norm by inputs, product of the Hessian: a term of the quotient rule left out",
        *(rms_inputs, X, (T,)),
        hessian_product=rms_inputs_product_two_terms,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("weight norm", weight_norm, polar, regression, gradient=weight_norm_gradient),
    Practice("weight norm, decay", weight_norm, polar, regression, {"decay": 0.2}, gradient=weight_norm_gradient),
    Practice(
        "weight norm: the projection forgotten",
        *(weight_norm, polar, regression),
        gradient=weight_norm_no_projection,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "weight norm: the length's gradient with v, not v / |v|",
        *(weight_norm, polar, regression, {"decay": 0.2}),
        gradient=weight_norm_length_unnormalised,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "weight norm: the decay of the length forgotten",
        *(weight_norm, polar, regression, {"decay": 0.2}),
        gradient=weight_norm_decay_absent,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "weight norm: the projection and the decay forgotten",
        *(weight_norm, polar, regression, {"decay": 0.2}),
        gradient=weight_norm_two,
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
        all_needed=True,
    ),
    Practice("group norm by inputs", group_norm, X, (T, 1), gradient=group_norm_gradient),
    Practice(
        "group norm by inputs: one mean over all groups",
        *(group_norm, U, (Z, 2)),
        gradient=group_norm_gradient_one_group,
        kinds=frozenset({Kind.UNKNOWN, Kind.TRANSPOSE}),
    ),
    Practice("a bias that batch norm cancels", cancelled_bias, plain, (X, labels), gradient=cancelled_bias_gradient),
    Practice(
        "a bias that batch norm cancels: its gradient as without batch norm",
        *(cancelled_bias, plain, (X, labels)),
        gradient=cancelled_bias_of_plain_network,
        kinds=frozenset({Kind.BIAS}),
    ),
]
