"""The solutions, as they are shown on request: one function for each exercise, named like it."""

import jax.numpy as jnp


def squares(theta, X, y):
    """2Xᵀ(Xθ − y), shape (d,)."""
    return 2 * X.T @ (X @ theta - y)


def squares_hessian(theta, X, y):
    """2XᵀX, shape (d, d): it does not depend on θ."""
    return 2 * X.T @ X


def mean_squares(theta, X, y):
    """(2/m) Xᵀ(Xθ − y), shape (d,)."""
    return 2 / len(y) * X.T @ (X @ theta - y)


def bell_curve(x):
    """−x f(x), shape (m,)."""
    return -x * jnp.exp(-(x**2) / 2) / jnp.sqrt(2 * jnp.pi)


def gaussian_mean(mean, X, precision):
    """−Σ⁻¹ Σ (x − μ), shape (d,)."""
    return -precision @ jnp.sum(X - mean, axis=0)


def noise(sigma, residual):
    """m/σ − Σ r²/σ³, a number."""
    return jnp.sum(1 / sigma - residual**2 / sigma**3)


def posterior(theta, X, y, variance, prior_variance):
    """Xᵀ(Xθ − y)/σ² + θ/τ², shape (d,)."""
    return X.T @ (X @ theta - y) / variance + theta / prior_variance


def coin(p, heads, tosses):
    """−h/p + (m − h)/(1 − p), a number."""
    return -heads / p + (tosses - heads) / (1 - p)


def entropy(p):
    """−log p − 1, shape (K,)."""
    return -jnp.log(p) - 1


def ridge(theta, X, y, penalty):
    """2Xᵀ(Xθ − y) + 2δ²θ, shape (d,)."""
    return 2 * X.T @ (X @ theta - y) + 2 * penalty * theta


def ridge_hessian(theta, X, y, penalty):
    """2XᵀX + 2δ²I, shape (d, d)."""
    return 2 * X.T @ X + 2 * penalty * jnp.eye(len(theta))


def lasso(theta, X, y, penalty):
    """2Xᵀ(Xθ − y) + penalty sign θ, shape (d,)."""
    return 2 * X.T @ (X @ theta - y) + penalty * jnp.sign(theta)


def kernel_size(scale, centers, theta, x, y):
    """−2 Σ (y − Φθ)(∂Φ/∂λ θ), ∂Φ/∂λ = Φ (x − μ)²/λ², a number."""
    squares = (x[:, None] - centers[None, :]) ** 2
    Phi = jnp.exp(-squares / scale)
    slope = Phi * squares / scale**2
    return -2 * (y - Phi @ theta) @ (slope @ theta)


def chain(x, A):
    """Aᵀ 2t(1 − t²), t = tanh(Ax), shape (d,)."""
    t = jnp.tanh(A @ x)
    return A.T @ (2 * t * (1 - t**2))


def free_bias(theta, x, y, penalty):
    """2Σr and 2Σrx + 2δ²θ₁, r = θ₀ + θ₁x − y, shape (2,)."""
    bias, slope = theta
    residual = bias + slope * x - y
    return jnp.stack([2 * jnp.sum(residual), 2 * jnp.sum(residual * x) + 2 * penalty * slope])


def quadratic(theta, A, b):
    """½(A + Aᵀ)θ − b, shape (d,)."""
    return (A + A.T) @ theta / 2 - b


def rosenbrock_hessian(x):
    """Shape (2, 2); it is not positive definite everywhere."""
    off = -400 * x[0]
    return jnp.array([[2 - 400 * x[1] + 1200 * x[0] ** 2, off], [off, 200.0]])


def batch(theta, X, y, chosen):
    """(2/n) X_Bᵀ(X_Bθ − y_B) of the rows of the batch, shape (d,)."""
    X, y = X[chosen], y[chosen]
    return 2 / len(y) * X.T @ (X @ theta - y)


def learning_rate(eta, theta, X, y):
    """−g(θ₁)ᵀg(θ), a number: at η = 0 it is −‖g‖², so that a small step descends."""

    def gradient(theta):
        return 2 * X.T @ (X @ theta - y)

    return -gradient(theta - eta * gradient(theta)) @ gradient(theta)


def sigmoid(z):
    """σ(1 − σ), shape (m,)."""
    s = 1 / (1 + jnp.exp(-z))
    return s * (1 - s)


def logistic(theta, X, y, penalty):
    """Xᵀ(π − y) + 2δ²θ, shape (d,)."""
    pi = 1 / (1 + jnp.exp(-X @ theta))
    return X.T @ (pi - y) + 2 * penalty * theta


def logistic_hessian(theta, X, y, penalty):
    """Xᵀ diag(π(1 − π)) X + 2δ²I, shape (d, d)."""
    pi = 1 / (1 + jnp.exp(-X @ theta))
    return (X.T * (pi * (1 - pi))) @ X + 2 * penalty * jnp.eye(len(theta))


def logistic_product(theta, X, y, penalty, v):
    """Xᵀ(π(1 − π) Xv) + 2δ²v, shape (d,): no matrix d × d."""
    pi = 1 / (1 + jnp.exp(-X @ theta))
    return X.T @ (pi * (1 - pi) * (X @ v)) + 2 * penalty * v


def softmax(theta, X, labels):
    """Xᵀ(π − Y), Y one-hot, shape (d, K)."""
    E = jnp.exp(X @ theta)
    pi = E / jnp.sum(E, axis=1, keepdims=True)
    return X.T @ (pi - jnp.eye(theta.shape[1])[labels])


def softmax_hessian(theta, X, labels):
    """Σ x_i π_k([k = l] − π_l) x_j at [i, k, j, l], shape (d, K, d, K)."""
    E = jnp.exp(X @ theta)
    pi = E / jnp.sum(E, axis=1, keepdims=True)
    of_each = pi[:, :, None] * (jnp.eye(theta.shape[1]) - pi[:, None, :])
    return jnp.einsum("mi,mkl,mj->ikjl", X, of_each, X)


def hidden_layer(theta, X, y):
    """Xᵀδ, Σδ and 2hᵀr, δ = 2r vᵀ (1 − h²), r = hv − y."""
    hidden = jnp.tanh(X @ theta["W"] + theta["b"])
    residual = hidden @ theta["v"] - y
    delta = 2 * residual[:, None] * theta["v"] * (1 - hidden**2)
    return {"W": X.T @ delta, "b": jnp.sum(delta, axis=0), "v": 2 * hidden.T @ residual}


def residual_layer(W, X, Y):
    """2Xᵀ((X + t − Y)(1 − t²)), t = tanh(XW), shape (d, d)."""
    t = jnp.tanh(X @ W)
    return 2 * X.T @ ((X + t - Y) * (1 - t**2))


def affine_layer(theta, X, Y):
    """Xᵀδ and Σδ, δ = 2(XW + b − Y)."""
    delta = 2 * (X @ theta["W"] + theta["b"] - Y)
    return {"W": X.T @ delta, "b": jnp.sum(delta, axis=0)}


def relu_layer(W, X, Y):
    """2Xᵀ((max(0, Z) − Y) [Z > 0]), Z = XW, shape (d, d)."""
    z = X @ W
    return 2 * X.T @ ((jnp.maximum(0, z) - Y) * (z > 0))
