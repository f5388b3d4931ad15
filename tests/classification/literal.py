"""Linear classifiers as their formulas stand in the course, in NumPy: theta (d,) is logistic, (d, K) is softmax."""

import numpy as np

Values = np.ndarray | float


def probabilities(theta, X):
    Z = X @ theta
    if Z.ndim == 1:
        return 1 / (1 + np.exp(-Z))
    exp_Z = np.exp(Z - Z.max(axis=1, keepdims=True))
    return exp_Z / exp_Z.sum(axis=1, keepdims=True)


def cost(theta, X, y, penalty: Values = 0.0, weights: Values = 1.0):
    Z = X @ theta
    if Z.ndim == 1:
        of_examples = np.logaddexp(0, (1 - 2 * y) * Z)
    else:
        of_examples = np.logaddexp.reduce(Z, axis=1) - Z[np.arange(len(Z)), y]
    return np.sum(weights * of_examples) + np.sum(penalty * theta**2)


def gradient(theta, X, y, penalty: Values = 0.0, weights: Values = 1.0):
    pi = probabilities(theta, X)
    residuals = pi - (y if pi.ndim == 1 else np.eye(theta.shape[1])[y])
    return (weights * X.T) @ residuals + 2 * penalty * theta


def hessian(theta, X, penalty: Values = 0.0, weights: Values = 1.0):
    """Of shape (d K, d K)."""
    pi = probabilities(theta, X).reshape(len(X), -1)
    own = np.ones((1, 1)) if theta.ndim == 1 else np.eye(theta.shape[1])
    curvature = pi[:, :, None] * (own - pi[:, None, :])
    H = ((weights * X.T)[:, None, None, :] * curvature.transpose(1, 2, 0)) @ X  # entries [j, k, n, l]
    H = H.transpose(0, 1, 3, 2)
    return H.reshape(theta.size, theta.size) + 2 * np.diag(np.broadcast_to(penalty, theta.shape).reshape(-1))


def minimum(shape, X, y, penalty: Values = 0.0, weights: Values = 1.0, steps=30):
    """By Newton's method, from 0 and in the units of the columns; of several minima that of least norm there."""
    theta, units = np.zeros(shape), 1 / np.sqrt(np.mean(X**2, axis=0)).repeat(np.prod(shape) // len(X.T))
    for _ in range(steps):
        H, g = hessian(theta, X, penalty, weights), gradient(theta, X, y, penalty, weights).reshape(-1)
        step = np.linalg.lstsq(units[:, None] * H * units, units * g, rcond=1e-11)[0]
        theta = theta - (units * step).reshape(shape)
    return theta
