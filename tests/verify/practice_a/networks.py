"""Linear models and multi-layer perceptrons, of the kind of a first course."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, one_hot, relu, sigmoid, softmax

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(101)
X = np.column_stack([np.ones(20), _rng.standard_normal((20, 3))])
y = X @ np.array([0.5, 1.0, -2.0, 0.3]) + 0.3 * _rng.standard_normal(20)
Y = _rng.standard_normal((20, 2))
classes = _rng.integers(0, 3, 20)
binary = (y > 0).astype(float)


# Ridge regression in NumPy, the bias not penalised


def ridge(theta, X, y, lam):
    r = X @ theta - y
    return r @ r / (2 * len(y)) + lam / (2 * len(y)) * np.sum(theta[1:] ** 2)


def ridge_gradient(theta, X, y, lam):
    g = X.T @ (X @ theta - y) / len(y) + lam / len(y) * theta
    g[0] -= lam / len(y) * theta[0]
    return g


def ridge_gradient_bias_too(theta, X, y, lam):
    return X.T @ (X @ theta - y) / len(y) + lam / len(y) * theta


def ridge_gradient_penalty_not_divided(theta, X, y, lam):
    penalty = lam * np.array(theta)
    penalty[0] = 0
    return X.T @ (X @ theta - y) / len(y) + penalty


def ridge_gradient_in_place(theta, X, y, lam):
    """The bias is set to 0 in theta itself, not in a copy."""
    m = len(y)
    g = X.T @ (X @ theta - y) / m
    theta[0] = 0
    return g + lam / m * theta


# Least squares near nothing: parameters 0, data of billionths, NumPy


tiny_X, tiny_y = 1e-9 * X[:, 1:], 1e-9 * _rng.standard_normal(20)


def voltage(theta, X, y):
    return np.sum((X * 1e9 @ np.exp(theta * 1e9) - y * 1e9) ** 2)


def voltage_gradient(theta, X, y):
    e = np.exp(theta * 1e9)
    return 2e9 * e * (X.T * 1e9 @ (X * 1e9 @ e - y * 1e9))


def voltage_gradient_no_two(theta, X, y):
    e = np.exp(theta * 1e9)
    return 1e9 * e * (X.T * 1e9 @ (X * 1e9 @ e - y * 1e9))


# Robust losses


def huber(theta, X, y, k=0.5):
    r = jnp.abs(X @ theta - y)
    return jnp.sum(jnp.where(r < k, 0.5 * r**2, k * (r - 0.5 * k)))


def huber_gradient(theta, X, y, k=0.5):
    return X.T @ jnp.clip(X @ theta - y, -k, k)


def huber_gradient_unclipped(theta, X, y, k=0.5):
    return X.T @ (X @ theta - y)


def huber_gradient_sign_only(theta, X, y, k=0.5):
    r = X @ theta - y
    return X.T @ jnp.where(jnp.abs(r) < k, r, jnp.sign(r))


def quantile(theta, X, y, q):
    r = y - X @ theta
    return jnp.mean(jnp.maximum(q * r, (q - 1) * r))


def quantile_gradient(theta, X, y, q):
    r = y - X @ theta
    return -X.T @ jnp.where(r > 0, q, q - 1) / len(y)


def quantile_gradient_exchanged(theta, X, y, q):
    r = y - X @ theta
    return -X.T @ jnp.where(r > 0, q - 1, q) / len(y)


def elastic(theta, X, y, l1, l2):
    return jnp.sum((X @ theta - y) ** 2) + l1 * jnp.sum(jnp.abs(theta)) + l2 * jnp.sum(theta**2)


def elastic_gradient(theta, X, y, l1, l2):
    return 2 * X.T @ (X @ theta - y) + l1 * jnp.sign(theta) + 2 * l2 * theta


def elastic_gradient_abs(theta, X, y, l1, l2):
    return 2 * X.T @ (X @ theta - y) + l1 * jnp.abs(theta) + 2 * l2 * theta


def elastic_gradient_no_l1(theta, X, y, l1, l2):
    return 2 * X.T @ (X @ theta - y) + 2 * l2 * theta


# Logistic regression, 1/m, and its second derivatives


def logistic(theta, X, y):
    p = sigmoid(X @ theta)
    return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))


def logistic_scores(theta, X, y):
    z = X @ theta
    return np.mean(np.logaddexp(0, z) - y * z)


def logistic_gradient_by_quotients(theta, X, y):
    """y / p, times p (1 - p): 0 / 0 where p is 0."""
    p = 1 / (1 + np.exp(np.minimum(-(X @ theta), 700)))
    p = np.where(p < 1e-300, 0, p)
    return -X.T @ ((y / p - (1 - y) / (1 - p)) * p * (1 - p)) / len(y)


def logistic_gradient(theta, X, y):
    return X.T @ (1 / (1 + np.exp(-(X @ theta))) - y) / len(y)


def logistic_hessian(theta, X, y):
    p = sigmoid(X @ theta)
    return X.T @ np.diag(p * (1 - p)) @ X / len(y)


def logistic_hessian_sum(theta, X, y):
    p = sigmoid(X @ theta)
    return X.T @ np.diag(p * (1 - p)) @ X


def logistic_hessian_residuals(theta, X, y):
    """The weights are the residuals."""
    p = sigmoid(X @ theta)
    return X.T @ np.diag(p - y) @ X / len(y)


def logistic_epsilon(theta, X, y, eps=1e-2):
    p = 1 / (1 + jnp.exp(-X @ theta))
    return -jnp.sum(y * jnp.log(p + eps) + (1 - y) * jnp.log(1 - p + eps))


def logistic_epsilon_gradient(theta, X, y, eps=1e-2):
    p = 1 / (1 + jnp.exp(-X @ theta))
    return -X.T @ ((y / (p + eps) - (1 - y) / (1 - p + eps)) * p * (1 - p))


def logistic_epsilon_forgotten(theta, X, y, eps=1e-2):
    return X.T @ (1 / (1 + jnp.exp(-X @ theta)) - y)


# Softmax regression; theta (d, K)


def softmax_cost(theta, X, classes):
    return -jnp.sum(log_softmax(X @ theta, axis=1)[jnp.arange(len(classes)), classes])


def softmax_overflow(theta, X, classes):
    e = np.exp(np.asarray(X @ theta))
    return X.T @ (e / e.sum(axis=1, keepdims=True) - np.eye(3)[classes])


def softmax_gradient(theta, X, classes):
    return X.T @ (softmax(X @ theta, axis=1) - one_hot(classes, 3))


def softmax_over_rows(theta, X, classes):
    return X.T @ (softmax(X @ theta, axis=0) - one_hot(classes, 3))


def softmax_labels_flipped(theta, X, classes):
    return X.T @ (softmax(X @ theta, axis=1) - one_hot(classes, 3)[:, ::-1])


def softmax_hessian(theta, X, classes):
    p = softmax(X @ theta, axis=1)
    S = jnp.einsum("ia,ab->iab", p, jnp.eye(3)) - jnp.einsum("ia,ib->iab", p, p)
    return jnp.einsum("ij,iab,ik->jakb", X, S, X)


def softmax_hessian_blocks(theta, X, classes):
    """Only the blocks of a class with itself."""
    p = softmax(X @ theta, axis=1)
    return jnp.einsum("ij,ia,ab,ik->jakb", X, p * (1 - p), jnp.eye(3), X)


def softmax_hessian_order(theta, X, classes):
    """Classes before features in the second pair of axes."""
    H = np.array(softmax_hessian(theta, X, classes))
    return np.ascontiguousarray(H.transpose(0, 1, 3, 2)).reshape(H.shape)


# Regression by one hidden layer, decay in a closure; params a list of tuples


weight_decay = 0.02


def mlp(params, X, Y):
    h = X
    for W, b in params[:-1]:
        h = jnp.tanh(h @ W + b)
    out = h @ params[-1][0] + params[-1][1]
    return jnp.mean(jnp.sum((out - Y) ** 2, axis=1)) + weight_decay * sum(jnp.sum(W**2) for W, _ in params)


def mlp_gradient(params, X, Y, derivative=lambda h: 1 - h**2, decay=2 * weight_decay, scale=2.0 / 20):
    activations = [X]
    for W, b in params[:-1]:
        activations.append(jnp.tanh(activations[-1] @ W + b))
    delta = scale * (activations[-1] @ params[-1][0] + params[-1][1] - Y)
    grads = []
    for (W, _), h in zip(reversed(params), reversed(activations), strict=True):
        grads.append((h.T @ delta + decay * W, delta.sum(axis=0)))
        delta = delta @ W.T * derivative(h)
    return grads[::-1]


def mlp_no_derivative(params, X, Y):
    return mlp_gradient(params, X, Y, derivative=lambda h: 1.0)


def mlp_no_derivative_no_decay(params, X, Y):
    return mlp_gradient(params, X, Y, derivative=lambda h: 1.0, decay=0.0)


def mlp_sum(params, X, Y):
    """The squares are summed beside the decay."""
    return mlp_gradient(params, X, Y, scale=2.0)


def mlp_decay_halved(params, X, Y):
    return mlp_gradient(params, X, Y, decay=weight_decay)


def mlp_decay_of_biases(params, X, Y):
    g = mlp_gradient(params, X, Y)
    return [(dW, db + 2 * weight_decay * b) for (dW, db), (_, b) in zip(g, params, strict=True)]


def mlp_backward_order(params, X, Y):
    """The layers stay in the order of the backward pass; all have the same shape."""
    return mlp_gradient(params, X, Y)[::-1]


def mlp_last_delta(params, X, Y):
    """Each bias gets the error of the last layer."""
    g = mlp_gradient(params, X, Y)
    return [(dW, g[-1][1]) for dW, _ in g]


def mlp_derivative_of_z(params, X, Y):
    """1 - z^2 in place of 1 - tanh(z)^2."""
    return mlp_gradient(params, X, Y, derivative=lambda h: 1 - jnp.arctanh(h.clip(-0.999999, 0.999999)) ** 2)


# ReLU, dropout masks given, examples in columns, binary cross-entropy; a flat vector of parameters


keep = (_rng.uniform(size=(4, 20)) < 0.7) / 0.7
columns = X[:, 1:].T


def unpack(theta):
    return theta[:12].reshape(4, 3), theta[12:16], theta[16:20], theta[20]


def dropout(theta, columns, binary):
    W, b, v, c = unpack(theta)
    z = v @ (keep * relu(W @ columns + b[:, None])) + c
    return jnp.mean(jnp.logaddexp(0, z) - binary * z)


def dropout_pieces(theta, columns, binary):
    W, b, v, c = unpack(theta)
    z1 = W @ columns + b[:, None]
    h = keep * jnp.maximum(z1, 0)
    delta = (sigmoid(v @ h + c) - binary) / columns.shape[1]
    return z1, h, delta, v


def dropout_gradient(theta, columns, binary):
    z1, h, delta, v = dropout_pieces(theta, columns, binary)
    back = jnp.outer(v, delta) * keep * (z1 > 0)
    return jnp.concatenate([(back @ columns.T).ravel(), back.sum(axis=1), h @ delta, delta.sum()[None]])


def dropout_no_mask(theta, columns, binary):
    z1, h, delta, v = dropout_pieces(theta, columns, binary)
    back = jnp.outer(v, delta) * (z1 > 0)
    return jnp.concatenate([(back @ columns.T).ravel(), back.sum(axis=1), h @ delta, delta.sum()[None]])


def dropout_no_relu(theta, columns, binary):
    _, h, delta, v = dropout_pieces(theta, columns, binary)
    back = jnp.outer(v, delta) * keep
    return jnp.concatenate([(back @ columns.T).ravel(), back.sum(axis=1), h @ delta, delta.sum()[None]])


def dropout_columns_first(theta, columns, binary):
    z1, h, delta, v = dropout_pieces(theta, columns, binary)
    back = jnp.outer(v, delta) * keep * (z1 > 0)
    return jnp.concatenate([(back @ columns.T).T.ravel(), back.sum(axis=1), h @ delta, delta.sum()[None]])


def dropout_order(theta, columns, binary):
    """The output's weights before the hidden biases."""
    z1, h, delta, v = dropout_pieces(theta, columns, binary)
    back = jnp.outer(v, delta) * keep * (z1 > 0)
    return jnp.concatenate([(back @ columns.T).ravel(), h @ delta, back.sum(axis=1), delta.sum()[None]])


# An autoencoder with tied weights; sigmoid in float32


def autoencoder(params, x):
    h = sigmoid(x @ params["W"] + params["b"])
    return jnp.sum((h @ params["W"].T + params["c"] - x) ** 2) / len(x)


def autoencoder_gradient(params, x):
    h = sigmoid(x @ params["W"] + params["b"])
    delta = 2 * (h @ params["W"].T + params["c"] - x) / len(x)
    back = delta @ params["W"] * h * (1 - h)
    return {"W": delta.T @ h + x.T @ back, "b": back.sum(axis=0), "c": delta.sum(axis=0)}


def autoencoder_decoder_only(params, x):
    h = sigmoid(x @ params["W"] + params["b"])
    delta = 2 * (h @ params["W"].T + params["c"] - x) / len(x)
    back = delta @ params["W"] * h * (1 - h)
    return {"W": delta.T @ h, "b": back.sum(axis=0), "c": delta.sum(axis=0)}


def autoencoder_no_sigmoid(params, x):
    h = sigmoid(x @ params["W"] + params["b"])
    delta = 2 * (h @ params["W"].T + params["c"] - x) / len(x)
    back = delta @ params["W"]
    return {"W": delta.T @ h + x.T @ back, "b": back.sum(axis=0), "c": delta.sum(axis=0)}


def autoencoder_c_percent(params, x):
    g = autoencoder_gradient(params, x)
    return {**g, "c": 0.99 * g["c"]}


def autoencoder_doubled_c(params, x):
    g = autoencoder_gradient(params, x)
    return {**g, "c": 2 * g["c"]}


# One neuron by squares: Hessian, Gauss-Newton


def neuron(w, X, y):
    return jnp.sum((jnp.tanh(X @ w) - y) ** 2)


def neuron_hessian(w, X, y):
    t = jnp.tanh(X @ w)
    d = 1 - t**2
    return 2 * (X.T * (d**2 - 2 * (t - y) * t * d)) @ X


def neuron_gauss_newton(w, X, y):
    d = 1 - jnp.tanh(X @ w) ** 2
    return 2 * (X.T * d**2) @ X


def neuron_product(w, X, y, v):
    t = jnp.tanh(X @ w)
    d = 1 - t**2
    return 2 * X.T @ ((d**2 - 2 * (t - y) * t * d) * (X @ v))


def neuron_product_half(w, X, y, v):
    t = jnp.tanh(X @ w)
    d = 1 - t**2
    return X.T @ ((d**2 - 2 * (t - y) * t * d) * (X @ v))


# A residual block by scan, a learnt logarithm of the step; entries that cancel by symmetry


twins = np.concatenate([X[:5, 1:], -X[:5, 1:]])


def residual(params, x, target):
    def block(h, layer):
        W, log_step = layer
        return h + jnp.exp(log_step) * jnp.tanh(h @ W), None

    h, _ = jax.lax.scan(block, jnp.asarray(x), (params["W"], params["log_step"]))
    return 0.5 * jnp.sum((h + params["shift"] - target) ** 2)


def residual_gradient(params, x, target, by_log=True, skip=True):
    states, h = [], x
    steps = jnp.exp(jnp.asarray(params["log_step"]))
    for W, step in zip(params["W"], steps, strict=True):
        states.append(h)
        h = h + step * jnp.tanh(h @ W)
    delta = h + params["shift"] - target
    grads = {"shift": delta.sum(axis=0)}
    dW, ds = [], []
    for h, W, step in zip(reversed(states), reversed(params["W"]), reversed(steps), strict=True):
        t = jnp.tanh(h @ W)
        ds.append(jnp.sum(delta * t) * (step if by_log else 1.0))
        back = step * delta * (1 - t**2)
        dW.append(h.T @ back)
        delta = (delta if skip else 0.0) + back @ W.T
    return {**grads, "W": jnp.stack(dW[::-1]), "log_step": jnp.stack(ds[::-1])}


def residual_by_step(params, x, target):
    return residual_gradient(params, x, target, by_log=False)


def residual_without_skip(params, x, target):
    return residual_gradient(params, x, target, skip=False)


# A recurrent network in float32, its first state and inputs in the closure


start, inputs = np.zeros(3, np.float32), _rng.standard_normal((6, 2)).astype(np.float32)
last = np.array([0.5, -0.4, 0.2], np.float32)


def recurrent(params):
    def step(h, x):
        return jnp.tanh(h @ params["W"] + x @ params["U"]), None

    h, _ = jax.lax.scan(step, start, inputs)
    return jnp.sum((h - last) ** 2)


def recurrent_gradient(params, derivative=True, through=6):
    W, U = params["W"], params["U"]
    states = [jnp.asarray(start)]
    for x in jnp.asarray(inputs):
        states.append(jnp.tanh(states[-1] @ W + x @ U))
    delta = 2 * (states[-1] - jnp.asarray(last))
    dW, dU = jnp.zeros_like(W), jnp.zeros_like(U)
    for i in reversed(range(6 - through, 6)):
        dz = delta * (1 - states[i + 1] ** 2) if derivative else delta
        dW, dU = dW + jnp.outer(states[i], dz), dU + jnp.outer(jnp.asarray(inputs[i]), dz)
        delta = W @ dz
    return {"W": dW, "U": dU}


def recurrent_no_tanh(params):
    return recurrent_gradient(params, derivative=False)


def recurrent_truncated(params):
    return recurrent_gradient(params, through=2)


# Lengths in kilometres, masses in grams: leaves of very different units


def units(params, X, y):
    z = X[:, 1] * params["slope"] * 1e7 + X[:, 2] * params["share"] * 1e-5 + params["level"]
    return jnp.sum(jnp.log(jnp.cosh(z - y)))


def units_gradient(params, X, y):
    z = X[:, 1] * params["slope"] * 1e7 + X[:, 2] * params["share"] * 1e-5 + params["level"]
    t = jnp.tanh(z - y)
    return {"slope": 1e7 * t @ X[:, 1], "share": 1e-5 * t @ X[:, 2], "level": t.sum()}


def units_share_sign(params, X, y):
    g = units_gradient(params, X, y)
    return {**g, "share": -g["share"]}


def units_share_percent(params, X, y):
    g = units_gradient(params, X, y)
    return {**g, "share": 1.01 * g["share"]}


def units_share_absent(params, X, y):
    return {**units_gradient(params, X, y), "share": jnp.zeros_like(params["share"])}


theta = np.array([0.3, 0.8, -1.5, 0.2])
theta3 = 0.5 * _rng.standard_normal((4, 3))
deep = [(_rng.standard_normal((3, 3)), 0.3 * _rng.standard_normal(3)) for _ in range(3)]
X3, Y3 = X[:, 1:], _rng.standard_normal((20, 3))
flat = _rng.standard_normal(21)
pixels = _rng.uniform(size=(9, 5)).astype(np.float32)
code = {
    "W": _rng.standard_normal((5, 2)).astype(np.float32),
    "b": np.array([0.1, -0.2], np.float32),
    "c": np.full(5, 0.1, np.float32),
}
w = np.array([0.2, 0.5, -0.4, 0.3])
blocks = {"W": 0.5 * _rng.standard_normal((3, 3, 3)), "log_step": np.array([-1.0, -0.5, -0.8]), "shift": np.zeros(3)}
loop = {
    "W": 0.5 * _rng.standard_normal((3, 3)).astype(np.float32),
    "U": _rng.standard_normal((2, 3)).astype(np.float32),
}
mixed = {"slope": np.array(8e-8), "share": np.array(-9e4), "level": np.array(0.2)}


CASES = [
    Practice("ridge in NumPy, the bias free", ridge, theta, (X, y, 3.0), gradient=ridge_gradient),
    Practice(
        "ridge in NumPy: the bias penalised too",
        *(ridge, theta, (X, y, 3.0)),
        gradient=ridge_gradient_bias_too,
        kinds=frozenset({Kind.PENALTY, Kind.BIAS}),
    ),
    Practice(
        "ridge in NumPy: the penalty not divided by m",
        *(ridge, theta, (X, y, 3.0)),
        gradient=ridge_gradient_penalty_not_divided,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "ridge in NumPy: the gradient changes theta",
        *(ridge, theta.copy(), (X, y, 3.0)),
        gradient=ridge_gradient_in_place,
        kinds=frozenset({Kind.UNKNOWN}),
    ),
    Practice("nanovolts, NumPy, at 0", voltage, np.zeros(3), (tiny_X, tiny_y), gradient=voltage_gradient),
    Practice(
        "nanovolts, NumPy, at 0: the 2 of the square forgotten",
        *(voltage, np.zeros(3), (tiny_X, tiny_y)),
        gradient=voltage_gradient_no_two,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice("Huber", huber, theta, (X, y), gradient=huber_gradient),
    Practice(
        "Huber: the residuals not clipped",
        *(huber, theta, (X, y), {"k": 0.2}),
        gradient=huber_gradient_unclipped,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Huber: k forgotten in the linear part",
        *(huber, theta, (X, y), {"k": 0.2}),
        gradient=huber_gradient_sign_only,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("quantile regression", quantile, theta, (X, y, 0.8), gradient=quantile_gradient),
    Practice(
        "quantile regression: q and q - 1 exchanged",
        *(quantile, theta, (X, y, 0.8)),
        gradient=quantile_gradient_exchanged,
        kinds=frozenset({Kind.INDEX, Kind.CHAIN_RULE}),
    ),
    Practice("elastic net", elastic, theta, (X, y), {"l1": 2.0, "l2": 0.5}, gradient=elastic_gradient),
    Practice(
        "elastic net: |theta| in place of its sign",
        *(elastic, theta, (X, y), {"l1": 2.0, "l2": 0.5}),
        gradient=elastic_gradient_abs,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "elastic net: the part of |theta| forgotten",
        *(elastic, theta, (X, y), {"l1": 2.0, "l2": 0.5}),
        gradient=elastic_gradient_no_l1,
        kinds=frozenset({Kind.PENALTY, Kind.MISSING}),
    ),
    Practice("logistic in NumPy", logistic_scores, theta, (X, binary), gradient=logistic_gradient),
    Practice(
        "logistic in NumPy: by y / p, where p is 0",
        *(logistic_scores, 900 * theta, (X, binary)),
        gradient=logistic_gradient_by_quotients,
        kinds=frozenset({Kind.NONFINITE}),
    ),
    Practice("logistic, mean, Hessian", logistic, theta, (X, binary), hessian=logistic_hessian),
    Practice(
        "logistic, Hessian: a sum for the mean",
        *(logistic, theta, (X, binary)),
        hessian=logistic_hessian_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "logistic, Hessian: the residuals as weights",
        *(logistic, theta, (X, binary)),
        hessian=logistic_hessian_residuals,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("logistic with an epsilon", logistic_epsilon, 2 * theta, (X, binary), gradient=logistic_epsilon_gradient),
    Practice(
        "logistic with an epsilon: it is forgotten",
        *(logistic_epsilon, 2 * theta, (X, binary)),
        gradient=logistic_epsilon_forgotten,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    Practice("softmax", softmax_cost, theta3, (X, classes), gradient=softmax_gradient),
    Practice(
        "softmax: over the examples",
        *(softmax_cost, theta3, (X, classes)),
        gradient=softmax_over_rows,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "softmax: the columns of the labels reversed",
        *(softmax_cost, theta3, (X, classes)),
        gradient=softmax_labels_flipped,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "softmax: exp overflows",
        *(softmax_cost, 3000 * theta3, (X, classes)),
        gradient=softmax_overflow,
        kinds=frozenset({Kind.NONFINITE}),
    ),
    Practice("softmax, Hessian", softmax_cost, theta3, (X, classes), hessian=softmax_hessian),
    Practice(
        "softmax, Hessian: the blocks of different classes forgotten",
        *(softmax_cost, theta3, (X, classes)),
        hessian=softmax_hessian_blocks,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    Practice(
        "softmax, Hessian: the last two axes in the wrong order",
        *(softmax_cost, theta3, (X, classes)),
        hessian=softmax_hessian_order,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    Practice("three layers with decay", mlp, deep, (X3, Y3), gradient=mlp_gradient),
    Practice(
        "three layers: the derivative of tanh forgotten",
        *(mlp, deep, (X3, Y3)),
        gradient=mlp_no_derivative,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "three layers: the derivative of tanh and the decay forgotten",
        *(mlp, deep, (X3, Y3)),
        gradient=mlp_no_derivative_no_decay,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.PENALTY}),
        all_needed=True,
    ),
    Practice(
        "three layers: squares summed beside the decay, the cost has their mean",
        *(mlp, deep, (X3, Y3)),
        gradient=mlp_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "three layers: the decay halved",
        *(mlp, deep, (X3, Y3)),
        gradient=mlp_decay_halved,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "three layers: the biases decay too",
        *(mlp, deep, (X3, Y3)),
        gradient=mlp_decay_of_biases,
        kinds=frozenset({Kind.PENALTY, Kind.BIAS}),
    ),
    Practice(
        "three layers: in the order of the backward pass",
        *(mlp, deep, (X3, Y3)),
        gradient=mlp_backward_order,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "three layers: each bias with the last layer's error",
        *(mlp, deep, (X3, Y3)),
        gradient=mlp_last_delta,
        kinds=frozenset({Kind.INDEX, Kind.BIAS}),
    ),
    Practice(
        "three layers: 1 - z² for the derivative of tanh",
        *(mlp, deep, (X3, Y3)),
        gradient=mlp_derivative_of_z,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("dropout, columns, a flat vector", dropout, flat, (columns, binary), gradient=dropout_gradient),
    Practice(
        "dropout: its mask forgotten on the way back",
        *(dropout, flat, (columns, binary)),
        gradient=dropout_no_mask,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "dropout: the mask of ReLU forgotten",
        *(dropout, flat, (columns, binary)),
        gradient=dropout_no_relu,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "dropout: the matrix flattened by columns",
        *(dropout, flat, (columns, binary)),
        gradient=dropout_columns_first,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    Practice(
        "dropout: output weights before hidden biases",
        *(dropout, flat, (columns, binary)),
        gradient=dropout_order,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("tied autoencoder, float32", autoencoder, code, (pixels,), gradient=autoencoder_gradient),
    Practice(
        "tied autoencoder, float32: only the decoder's use of the weights",
        *(autoencoder, code, (pixels,)),
        gradient=autoencoder_decoder_only,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "tied autoencoder, float32: the derivative of the sigmoid forgotten",
        *(autoencoder, code, (pixels,)),
        gradient=autoencoder_no_sigmoid,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "tied autoencoder, float32: the last bias one percent too small",
        *(autoencoder, code, (pixels,)),
        gradient=autoencoder_c_percent,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice(
        "tied autoencoder, float32: the last bias doubled",
        *(autoencoder, code, (pixels,)),
        gradient=autoencoder_doubled_c,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice("one neuron by squares, Hessian", neuron, w, (X, y), hessian=neuron_hessian),
    Practice("one neuron by squares, product", neuron, w, (X, y), hessian_product=neuron_product),
    Practice(
        "one neuron by squares: Gauss-Newton for the Hessian",
        *(neuron, w, (X, y)),
        hessian=neuron_gauss_newton,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice(
        "one neuron by squares, product: the 2 of the square forgotten",
        *(neuron, w, (X, y)),
        hessian_product=neuron_product_half,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "residual blocks by scan, a shift that cancels",
        *(residual, blocks, (twins, 0.5 * twins)),
        gradient=residual_gradient,
    ),
    Practice("residual blocks by scan", residual, blocks, (X3, Y3), gradient=residual_gradient),
    Practice(
        "residual blocks: by the step, not by its logarithm",
        *(residual, blocks, (X3, Y3)),
        gradient=residual_by_step,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "residual blocks: the way around the block left out",
        *(residual, blocks, (X3, Y3)),
        gradient=residual_without_skip,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("recurrent network in float32, all in the closure", recurrent, loop, gradient=recurrent_gradient),
    Practice(
        "recurrent network in float32: the derivative of tanh forgotten",
        *(recurrent, loop),
        gradient=recurrent_no_tanh,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "recurrent network in float32: only the last two steps",
        *(recurrent, loop),
        gradient=recurrent_truncated,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("leaves of very different units", units, mixed, (X, y), gradient=units_gradient),
    Practice(
        "leaves of very different units: the sign of the smallest",
        *(units, mixed, (X, y)),
        gradient=units_share_sign,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "leaves of very different units: the smallest one percent too large",
        *(units, mixed, (X, y)),
        gradient=units_share_percent,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "leaves of very different units: the smallest left at zero",
        *(units, mixed, (X, y)),
        gradient=units_share_absent,
        kinds=frozenset({Kind.MISSING}),
    ),
]
