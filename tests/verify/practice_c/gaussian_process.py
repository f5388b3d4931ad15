"""Gaussian processes: left-out predictions, classification by Laplace, inducing points, coregionalised outputs."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(212)
x = np.sort(rng.uniform(0, 5, 11))
y = np.sin(1.5 * x) + 0.3 * rng.standard_normal(11)
GAP2 = (x[:, None] - x) ** 2
SCALES = {"log_length": np.array(-0.2), "log_signal": np.array(0.1), "log_noise": np.array(-1.8)}  # both variances


def kernel_parts(p):
    return jnp.exp(p["log_signal"]) * jnp.exp(-0.5 * GAP2 / jnp.exp(2 * p["log_length"])), jnp.exp(p["log_noise"])


# squares of the left-out residuals, α_i / (K⁻¹)_ii


def left_out_cost(p, y):
    S, noise = kernel_parts(p)
    inverse = jnp.linalg.inv(S + noise * jnp.eye(len(y)))
    return 0.5 * jnp.sum((inverse @ y / jnp.diag(inverse)) ** 2)


def left_out_gradient(p, y, diagonal=1.0, square=2.0):
    S, noise = kernel_parts(p)
    inverse = jnp.linalg.inv(S + noise * jnp.eye(len(y)))
    alpha, c = inverse @ y, jnp.diag(inverse)
    slopes = {"log_length": S * GAP2 / jnp.exp(square * p["log_length"]), "log_signal": S}
    slopes["log_noise"] = noise * jnp.eye(len(y))
    g = {}
    for name, dK in slopes.items():
        Z = inverse @ dK
        g[name] = jnp.sum(alpha / c**2 * (-Z @ alpha + diagonal * alpha / c * jnp.diag(Z @ inverse)))
    return g


# Laplace: the mode by Newton to convergence, then log q(y); the mode moves with the parameters
LABEL = np.where(y > 0, 1.0, 0.0)
MARGIN = np.array([0.2, 0.8])  # log length, log signal variance


def laplace_mode(K, label):
    f = jnp.zeros(len(label))
    for _ in range(12):
        pi = sigmoid(f)
        w = pi * (1 - pi)
        f = K @ jnp.linalg.solve(jnp.eye(len(label)) + w[:, None] * K, w * f + label - pi)
    return f


def laplace_cost(v, label):
    K = jnp.exp(v[1] - 0.5 * GAP2 / jnp.exp(2 * v[0])) + 1e-4 * jnp.eye(len(label))
    f = laplace_mode(K, label)
    pi = sigmoid(f)
    fit = 0.5 * f @ (label - pi) + jnp.sum(softplus(f) - label * f)
    return fit + 0.5 * jnp.linalg.slogdet(jnp.eye(len(label)) + (pi * (1 - pi))[:, None] * K)[1]


def laplace_gradient(v, label, implicit=1.0, log_determinant=1.0):
    S = np.exp(v[1] - 0.5 * GAP2 / np.exp(2 * v[0]))
    K = S + 1e-4 * np.eye(11)
    f = np.asarray(laplace_mode(K, label))
    pi = 1 / (1 + np.exp(-f))
    w, a = pi * (1 - pi), label - pi
    R = np.linalg.inv(np.diag(1 / w) + K)
    variance = np.diag(K - K @ R @ K)
    by_mode = 0.5 * variance * w * (1 - 2 * pi)
    g = []
    for dK in (S * GAP2 / np.exp(2 * v[0]), S):
        explicit = -0.5 * a @ dK @ a + log_determinant * 0.5 * np.sum(R * dK)
        moved = np.linalg.solve(np.eye(11) + K * w, dK @ a)
        g.append(explicit + implicit * by_mode @ moved)
    return np.array(g)


# inducing points: ½ yᵀ(Q + s)⁻¹y + ½ log|Q + s| + trace / 2s, by the points u
INDUCING = np.array([0.6, 2.1, 4.0])


def inducing_cost(u, y):
    Ku = jnp.exp(-0.5 * (u[:, None] - u) ** 2) + 1e-3 * jnp.eye(3)
    Kx = jnp.exp(-0.5 * (u[:, None] - x) ** 2)
    Q = Kx.T @ jnp.linalg.solve(Ku, Kx)
    M = Q + 0.1 * jnp.eye(len(y))
    trace = (len(y) - jnp.trace(Q)) / 0.2
    return 0.5 * y @ jnp.linalg.solve(M, y) + 0.5 * jnp.linalg.slogdet(M)[1] + trace


def inducing_gradient(u, y, trace=1.0, own=1.0, both=2.0):
    Ku = jnp.exp(-0.5 * (u[:, None] - u) ** 2) + 1e-3 * jnp.eye(3)
    Kx = jnp.exp(-0.5 * (u[:, None] - x) ** 2)
    A = jnp.linalg.solve(Ku, Kx)
    inverse = jnp.linalg.inv(A.T @ Kx + 0.1 * jnp.eye(len(y)))
    alpha = inverse @ y
    G = 0.5 * (inverse - jnp.outer(alpha, alpha)) - trace * jnp.eye(len(y)) / 0.2
    by_cross, by_own = both * A @ G, -A @ G @ A.T
    part = jnp.sum(by_cross * Kx * (x - u[:, None]), axis=1)
    return part + own * 2 * jnp.sum(by_own * Ku * (u - u[:, None]), axis=1)


# two outputs: covariance (L Lᵀ) ⊗ K + noise; by the triangular L, of which only the lower part counts
PAIR = np.stack([y, np.cos(x) + 0.2 * rng.standard_normal(11)])
L0 = np.array([[0.9, 0.0], [0.3, 0.7]])
K1 = np.exp(-0.5 * GAP2)


def outputs_cost(L, Y):
    lower = jnp.tril(L)
    M = jnp.kron(lower @ lower.T, K1) + 0.1 * jnp.eye(22)
    factor = jnp.linalg.cholesky(M)
    half = jax.scipy.linalg.solve_triangular(factor, Y.ravel(), lower=True)
    return 0.5 * half @ half + jnp.sum(jnp.log(jnp.diag(factor)))


def outputs_gradient(L, Y, side=2.0, transpose=False, flat="C"):
    M = np.kron(np.tril(L) @ np.tril(L).T, K1) + 0.1 * np.eye(22)
    alpha = np.linalg.solve(M, Y.ravel(order=flat))
    G = 0.5 * (np.linalg.inv(M) - np.outer(alpha, alpha)).reshape(2, 11, 2, 11)
    by_B = np.einsum("aibj,ij->ab", G, K1)
    return np.tril(side * (np.tril(L).T @ by_B if transpose else by_B @ np.tril(L)))


CASES = [
    left := Practice("left-out squares", left_out_cost, SCALES, (y,), gradient=left_out_gradient),
    left._replace(
        name="left-out squares, the diagonal of the inverse held fixed",
        gradient=lambda p, y: left_out_gradient(p, y, diagonal=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    left._replace(
        name="left-out squares, by the cube of the length",
        gradient=lambda p, y: left_out_gradient(p, y, square=3.0),
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    laplace := Practice("Laplace, the mode moves along", laplace_cost, MARGIN, (LABEL,), gradient=laplace_gradient),
    laplace._replace(
        name="Laplace, the mode held fixed",
        gradient=lambda v, label: laplace_gradient(v, label, implicit=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    laplace._replace(
        name="Laplace, the determinant's explicit part left out",
        gradient=lambda v, label: laplace_gradient(v, label, log_determinant=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
    inducing := Practice("places of inducing points", inducing_cost, INDUCING, (y,), gradient=inducing_gradient),
    inducing._replace(
        name="places of inducing points, the trace left out",
        gradient=lambda u, y: inducing_gradient(u, y, trace=0.0),
        kinds=frozenset({Kind.MISSING}),
    ),
    inducing._replace(
        name="places of inducing points, their own kernel held fixed",
        gradient=lambda u, y: inducing_gradient(u, y, own=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    outputs := Practice("two outputs by a triangular factor", outputs_cost, L0, (PAIR,), gradient=outputs_gradient),
    outputs._replace(
        name="two outputs, the factor on the wrong side",
        gradient=lambda L, Y: outputs_gradient(L, Y, transpose=True),
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    outputs._replace(
        name="two outputs, one side of the factor only",
        gradient=lambda L, Y: outputs_gradient(L, Y, side=1.0),
        kinds=frozenset({Kind.FACTOR}),
    ),
    outputs._replace(
        name="two outputs, the data flattened the other way",
        gradient=lambda L, Y: outputs_gradient(L, Y, flat="F"),
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
]
