"""Gaussian processes: the log marginal likelihood by the logarithms of scales, and by inputs."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(31)
n = 12
X = _rng.uniform(-2, 2, (n, 2))
t = np.sort(_rng.uniform(0, 5, n))
y = np.sin(1.5 * X[:, 0]) + 0.5 * X[:, 1] + 0.2 * _rng.standard_normal(n)
squares = (t[:, None] - t) ** 2


# Squared exponential of one input; params = (log length, log signal, log noise), with the squared distances given


def marginal(params, squares, y):
    length, signal, noise = jnp.exp(params)
    K = signal**2 * jnp.exp(-0.5 * squares / length**2) + noise**2 * jnp.eye(len(y))
    L = cholesky(K, lower=True)
    a = solve_triangular(L, y, lower=True)
    return 0.5 * a @ a + jnp.log(jnp.diag(L)).sum() + 0.5 * len(y) * jnp.log(2 * jnp.pi)


def pieces(params, squares, y):
    length, signal, noise = jnp.exp(params)
    S = signal**2 * jnp.exp(-0.5 * squares / length**2)
    K = S + noise**2 * jnp.eye(len(y))
    derivatives = jnp.stack([S * squares / length**2, 2 * S, 2 * noise**2 * jnp.eye(len(y))])
    Ki = jnp.linalg.inv(K)
    return Ki, Ki @ y, derivatives


def marginal_gradient(params, squares, y):
    Ki, alpha, dK = pieces(params, squares, y)
    return 0.5 * jnp.einsum("ij,kij->k", Ki - jnp.outer(alpha, alpha), dK)


def marginal_no_half(params, squares, y):
    Ki, alpha, dK = pieces(params, squares, y)
    return jnp.einsum("ij,kij->k", Ki - jnp.outer(alpha, alpha), dK)


def marginal_no_determinant(params, squares, y):
    _, alpha, dK = pieces(params, squares, y)
    return -0.5 * jnp.einsum("i,j,kij->k", alpha, alpha, dK)


def marginal_sign_of_fit(params, squares, y):
    Ki, alpha, dK = pieces(params, squares, y)
    return 0.5 * jnp.einsum("ij,kij->k", Ki + jnp.outer(alpha, alpha), dK)


def marginal_by_scale(params, squares, y):
    Ki, alpha, dK = pieces(params, squares, y)
    by_log = 0.5 * jnp.einsum("ij,kij->k", Ki - jnp.outer(alpha, alpha), dK)
    return by_log / jnp.exp(params)


def marginal_noise_by_variance(params, squares, y):
    """The noise as if its parameter were the logarithm of the variance."""
    Ki, alpha, dK = pieces(params, squares, y)
    g = 0.5 * jnp.einsum("ij,kij->k", Ki - jnp.outer(alpha, alpha), dK)
    return g * jnp.array([1.0, 1.0, 0.5])


def marginal_noise_percent(params, squares, y):
    """A constant was copied from the table as 1.98."""
    noise = jnp.exp(params[2])
    Ki, alpha, dK = pieces(params, squares, y)
    M = Ki - jnp.outer(alpha, alpha)
    by_noise = 0.5 * 1.98 * noise**2 * jnp.trace(M)
    return jnp.array([0.5 * jnp.sum(M * dK[0]), 0.5 * jnp.sum(M * dK[1]), by_noise])


def marginal_hessian(params, squares, y):
    Ki, alpha, dK = pieces(params, squares, y)
    D = squares / jnp.exp(2 * params[0])
    zero = jnp.zeros_like(D)
    d2K = jnp.stack([
        jnp.stack([dK[0] * (D - 2), 2 * dK[0], zero]),
        jnp.stack([2 * dK[0], 2 * dK[1], zero]),
        jnp.stack([zero, zero, 2 * dK[2]]),
    ])  # fmt: skip
    KK = jnp.einsum("ij,kjl->kil", Ki, dK)
    data = dK @ alpha
    return (
        0.5 * jnp.einsum("ij,klij->kl", Ki - jnp.outer(alpha, alpha), d2K)
        - 0.5 * jnp.einsum("kij,lji->kl", KK, KK)
        + data @ Ki @ data.T
    )


def marginal_hessian_fisher(params, squares, y):
    Ki, _, dK = pieces(params, squares, y)
    KK = jnp.einsum("ij,kjl->kil", Ki, dK)
    return 0.5 * jnp.einsum("kij,lji->kl", KK, KK)


def marginal_hessian_upper(params, squares, y):
    """The loop over k <= l; the lower triangle is not filled."""
    return jnp.triu(marginal_hessian(params, squares, y))


def marginal_hessian_first_derivatives_only(params, squares, y):
    """The second derivatives of the kernel are left out."""
    Ki, alpha, dK = pieces(params, squares, y)
    KK = jnp.einsum("ij,kjl->kil", Ki, dK)
    data = dK @ alpha
    return data @ Ki @ data.T - 0.5 * jnp.einsum("kij,lji->kl", KK, KK)


# A length for each input, a linear mean, a prior on the logarithms; params a dict


def ard(params, X, y, prior=0.0):
    length = jnp.exp(params["log_length"])
    Z = X / length
    D = jnp.sum((Z[:, None, :] - Z[None, :, :]) ** 2, axis=-1)
    K = jnp.exp(2 * params["log_signal"] - 0.5 * D) + jnp.exp(2 * params["log_noise"]) * jnp.eye(len(y))
    r = y - X @ params["slope"]
    L = cholesky(K, lower=True)
    fit = 0.5 * r @ cho_solve((L, True), r) + jnp.sum(jnp.log(jnp.diag(L)))
    return fit + prior * jnp.sum(params["log_length"] ** 2)


def ard_state(params, X, y):
    length = jnp.exp(params["log_length"])
    differences = ((X[:, None, :] - X[None, :, :]) / length) ** 2
    S = jnp.exp(2 * params["log_signal"] - 0.5 * differences.sum(-1))
    noise = jnp.exp(2 * params["log_noise"])
    factor = cho_factor(S + noise * jnp.eye(len(y)), lower=True)
    alpha = cho_solve(factor, y - X @ params["slope"])
    M = cho_solve(factor, jnp.eye(len(y))) - jnp.outer(alpha, alpha)
    return differences, S, noise, alpha, M


def ard_gradient(params, X, y, prior=0.0):
    differences, S, noise, alpha, M = ard_state(params, X, y)
    return {
        "log_length": 0.5 * jnp.einsum("ij,ij,ijd->d", M, S, differences) + 2 * prior * params["log_length"],
        "log_noise": noise * jnp.trace(M),
        "log_signal": jnp.sum(M * S),
        "slope": -X.T @ alpha,
    }


def ard_gradient_inputs_exchanged(params, X, y, prior=0.0):
    differences, S, noise, alpha, M = ard_state(params, X, y)
    by_length = 0.5 * jnp.einsum("ij,ij,ijd->d", M, S, differences)
    return {
        "log_length": by_length[::-1] + 2 * prior * params["log_length"],
        "log_noise": noise * jnp.trace(M),
        "log_signal": jnp.sum(M * S),
        "slope": -X.T @ alpha,
    }


def ard_gradient_no_mean(params, X, y, prior=0.0):
    return {**ard_gradient(params, X, y, prior), "slope": jnp.zeros(2)}


def ard_gradient_mean_sign(params, X, y, prior=0.0):
    *_, alpha, _ = ard_state(params, X, y)
    return {**ard_gradient(params, X, y, prior), "slope": X.T @ alpha}


def ard_gradient_prior_once(params, X, y, prior=0.0):
    g = ard_gradient(params, X, y)
    return {**g, "log_length": g["log_length"] + prior * params["log_length"]}


def ard_gradient_two(params, X, y, prior=0.0):
    """The prior is forgotten, and the mean's part has the wrong sign."""
    g = ard_gradient(params, X, y)
    return {**g, "slope": -g["slope"]}


def ard_gradient_residual_of_zero_mean(params, X, y, prior=0.0):
    return ard_gradient({**params, "slope": jnp.zeros(2)}, X, y, prior)


# Matern 3/2 in NumPy, with a jitter


def matern(params, t, y, jitter=1e-6):
    length, noise = np.exp(params)
    r = np.sqrt(3.0) * np.abs(t[:, None] - t) / length
    K = (1 + r) * np.exp(-r) + (noise**2 + jitter) * np.eye(len(t))
    return 0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1]


def matern_gradient(params, t, y, jitter=1e-6):
    length, noise = np.exp(params)
    r = np.sqrt(3.0) * np.abs(t[:, None] - t) / length
    Ki = np.linalg.inv((1 + r) * np.exp(-r) + (noise**2 + jitter) * np.eye(len(t)))
    M = Ki - np.outer(Ki @ y, Ki @ y)
    return np.array([0.5 * np.sum(M * r**2 * np.exp(-r)), noise**2 * np.trace(M)])


def matern_gradient_of_exponential(params, t, y, jitter=1e-6):
    """The product rule is forgotten: only exp(-r) is differentiated."""
    length, noise = np.exp(params)
    r = np.sqrt(3.0) * np.abs(t[:, None] - t) / length
    Ki = np.linalg.inv((1 + r) * np.exp(-r) + (noise**2 + jitter) * np.eye(len(t)))
    M = Ki - np.outer(Ki @ y, Ki @ y)
    return np.array([0.5 * np.sum(M * (1 + r) * r * np.exp(-r)), noise**2 * np.trace(M)])


def matern_gradient_without_jitter(params, t, y, jitter=1e-6):
    length, noise = np.exp(params)
    r = np.sqrt(3.0) * np.abs(t[:, None] - t) / length
    Ki = np.linalg.inv((1 + r) * np.exp(-r) + noise**2 * np.eye(len(t)))
    M = Ki - np.outer(Ki @ y, Ki @ y)
    return np.array([0.5 * np.sum(M * r**2 * np.exp(-r)), noise**2 * np.trace(M)])


# Latent inputs (GPLVM): params = Z (n, 2), three outputs, a standard normal prior on Z

outputs = _rng.standard_normal((8, 3))
Z = _rng.standard_normal((8, 2))


def gplvm(Z, Y):
    D = jnp.sum((Z[:, None] - Z[None]) ** 2, axis=-1)
    K = jnp.exp(-0.5 * D) + 0.2 * jnp.eye(len(Z))
    _, logdet = jnp.linalg.slogdet(K)
    return 0.5 * jnp.trace(Y.T @ jnp.linalg.solve(K, Y)) + 0.5 * Y.shape[1] * logdet + 0.5 * jnp.sum(Z**2)


def gplvm_gradient(Z, Y):
    differences = Z[:, None] - Z[None]
    S = jnp.exp(-0.5 * jnp.sum(differences**2, axis=-1))
    Ki = jnp.linalg.inv(S + 0.2 * jnp.eye(len(Z)))
    G = 0.5 * (Y.shape[1] * Ki - Ki @ Y @ Y.T @ Ki)
    return -2 * jnp.einsum("ij,ijd->id", G * S, differences) + Z


def gplvm_gradient_one_side(Z, Y):
    """Only the row of z_i in K, not its column."""
    differences = Z[:, None] - Z[None]
    S = jnp.exp(-0.5 * jnp.sum(differences**2, axis=-1))
    Ki = jnp.linalg.inv(S + 0.2 * jnp.eye(len(Z)))
    G = 0.5 * (Y.shape[1] * Ki - Ki @ Y @ Y.T @ Ki)
    return -jnp.einsum("ij,ijd->id", G * S, differences) + Z


def gplvm_gradient_one_output(Z, Y):
    """The log-determinant counted once, not for each output."""
    differences = Z[:, None] - Z[None]
    S = jnp.exp(-0.5 * jnp.sum(differences**2, axis=-1))
    Ki = jnp.linalg.inv(S + 0.2 * jnp.eye(len(Z)))
    G = 0.5 * (Ki - Ki @ Y @ Y.T @ Ki)
    return -2 * jnp.einsum("ij,ijd->id", G * S, differences) + Z


def gplvm_gradient_towards(Z, Y):
    differences = Z[None] - Z[:, None]
    S = jnp.exp(-0.5 * jnp.sum(differences**2, axis=-1))
    Ki = jnp.linalg.inv(S + 0.2 * jnp.eye(len(Z)))
    G = 0.5 * (Y.shape[1] * Ki - Ki @ Y @ Y.T @ Ki)
    return -2 * jnp.einsum("ij,ijd->id", G * S, differences) + Z


# Periodic kernel; params a tuple (log period, log length)


def periodic(params, t, y):
    log_period, log_length = params
    s = jnp.sin(jnp.pi * (t[:, None] - t) / jnp.exp(log_period))
    K = jnp.exp(-2 * s**2 / jnp.exp(2 * log_length)) + 0.1 * jnp.eye(len(t))
    return 0.5 * y @ jnp.linalg.solve(K, y) + 0.5 * jnp.linalg.slogdet(K)[1]


def periodic_gradient(params, t, y):
    log_period, log_length = params
    phase = jnp.pi * (t[:, None] - t) / jnp.exp(log_period)
    q = 2 / jnp.exp(2 * log_length)
    S = jnp.exp(-q * jnp.sin(phase) ** 2)
    Ki = jnp.linalg.inv(S + 0.1 * jnp.eye(len(t)))
    M = 0.5 * (Ki - jnp.outer(Ki @ y, Ki @ y))
    by_period = jnp.sum(M * S * q * 2 * jnp.sin(phase) * jnp.cos(phase) * phase)
    return by_period, jnp.sum(M * S * 2 * q * jnp.sin(phase) ** 2)


def periodic_gradient_no_cosine(params, t, y):
    """The square of the sine is differentiated, the sine is not: no cosine."""
    log_period, log_length = params
    phase = jnp.pi * (t[:, None] - t) / jnp.exp(log_period)
    q = 2 / jnp.exp(2 * log_length)
    S = jnp.exp(-q * jnp.sin(phase) ** 2)
    Ki = jnp.linalg.inv(S + 0.1 * jnp.eye(len(t)))
    M = 0.5 * (Ki - jnp.outer(Ki @ y, Ki @ y))
    by_period = jnp.sum(M * S * q * 2 * jnp.sin(phase) * phase)
    return by_period, jnp.sum(M * S * 2 * q * jnp.sin(phase) ** 2)


# The marginal likelihood with the kernel's product in float32, as on an accelerator


def sparse(log_noise, features, y):
    A = features.astype(jnp.float32).T @ features.astype(jnp.float32)
    B = jnp.eye(len(A)) + A.astype(jnp.float64) / jnp.exp(2 * log_noise)
    b = features.T @ y / jnp.exp(log_noise)
    fit = 0.5 * (y @ y / jnp.exp(2 * log_noise) - b @ jnp.linalg.solve(B, b) / jnp.exp(2 * log_noise))
    return fit + 0.5 * jnp.linalg.slogdet(B)[1] + len(y) * log_noise


def sparse_gradient(log_noise, features, y):
    variance = jnp.exp(2 * log_noise)
    K = features @ features.T + variance * jnp.eye(len(y))
    Ki = jnp.linalg.inv(K)
    alpha = Ki @ y
    return variance * (jnp.trace(Ki) - alpha @ alpha)


features = np.exp(-squares[:, ::3])
scales = np.array([0.2, 0.1, -1.2])
quiet = np.array([0.2, 0.1, -4.5])
tree = {
    "log_length": np.array([0.3, 0.7]),
    "log_noise": np.array(-1.0),
    "log_signal": np.array(0.2),
    "slope": np.array([0.4, -0.3]),
}
two = np.array([0.1, -1.1])
wave = (np.array(0.6), np.array(0.1))

CASES = [
    Practice("marginal likelihood by log scales", marginal, scales, (squares, y), gradient=marginal_gradient),
    Practice("marginal likelihood by log scales, Hessian", marginal, scales, (squares, y), hessian=marginal_hessian),
    Practice(
        "marginal likelihood, noise of a hundredth",
        *(marginal, quiet, (squares, y)),
        gradient=marginal_gradient,
    ),
    Practice(
        "marginal likelihood: the half of trace and quadratic form forgotten",
        *(marginal, scales, (squares, y)),
        gradient=marginal_no_half,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "marginal likelihood: the log-determinant is left out",
        *(marginal, scales, (squares, y)),
        gradient=marginal_no_determinant,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "marginal likelihood: the sign of the quadratic form",
        *(marginal, scales, (squares, y)),
        gradient=marginal_sign_of_fit,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "marginal likelihood: by the scales, not by their logarithms",
        *(marginal, scales, (squares, y)),
        gradient=marginal_by_scale,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "marginal likelihood: the noise as a variance, not a deviation",
        *(marginal, scales, (squares, y)),
        gradient=marginal_noise_by_variance,
        kinds=frozenset({Kind.FACTOR, Kind.ENTRY}),
    ),
    Practice(
        "marginal likelihood: a factor 0.99 in the entry of the noise",
        *(marginal, scales, (squares, y)),
        gradient=marginal_noise_percent,
        kinds=frozenset({Kind.FACTOR, Kind.ENTRY}),
    ),
    Practice(
        "marginal likelihood: Fisher's information for the Hessian",
        *(marginal, scales, (squares, y)),
        hessian=marginal_hessian_fisher,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice(
        "marginal likelihood, Hessian: the lower triangle not filled",
        *(marginal, scales, (squares, y)),
        hessian=marginal_hessian_upper,
        kinds=frozenset({Kind.ASYMMETRIC}),
    ),
    Practice(
        "marginal likelihood, Hessian: the kernel's second derivatives are left out",
        *(marginal, scales, (squares, y)),
        hessian=marginal_hessian_first_derivatives_only,
        kinds=frozenset({Kind.MISSING, Kind.EXPECTED}),
    ),
    Practice("lengths for each input, linear mean", ard, tree, (X, y), gradient=ard_gradient),
    Practice("lengths for each input, prior", ard, tree, (X, y), {"prior": 0.6}, gradient=ard_gradient),
    Practice(
        "lengths for each input: the two exchanged",
        *(ard, tree, (X, y), {"prior": 0.6}),
        gradient=ard_gradient_inputs_exchanged,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "lengths for each input: the mean's slope left at zero",
        *(ard, tree, (X, y)),
        gradient=ard_gradient_no_mean,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "lengths for each input: the sign of the mean's slope",
        *(ard, tree, (X, y)),
        gradient=ard_gradient_mean_sign,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "lengths for each input: the prior's factor 2 forgotten",
        *(ard, tree, (X, y), {"prior": 0.6}),
        gradient=ard_gradient_prior_once,
        kinds=frozenset({Kind.PENALTY}),
    ),
    Practice(
        "lengths for each input: the prior forgotten and the sign of the mean's slope",
        *(ard, tree, (X, y), {"prior": 0.6}),
        gradient=ard_gradient_two,
        kinds=frozenset({Kind.PENALTY, Kind.SIGN}),
        all_needed=True,
    ),
    Practice(
        "lengths for each input: as if the mean were zero",
        *(ard, tree, (X, y), {"prior": 0.6}),
        gradient=ard_gradient_residual_of_zero_mean,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("Matern 3/2 in NumPy", matern, two, (t, y), gradient=matern_gradient),
    Practice(
        "Matern 3/2 in NumPy: the product rule forgotten",
        *(matern, two, (t, y)),
        gradient=matern_gradient_of_exponential,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Matern 3/2 in NumPy: the jitter forgotten",
        *(matern, two, (t, y), {"jitter": 0.05}),
        gradient=matern_gradient_without_jitter,
        kinds=frozenset({Kind.MISSING, Kind.UNKNOWN}),
    ),
    Practice("latent inputs", gplvm, Z, (outputs,), gradient=gplvm_gradient),
    Practice(
        "latent inputs: only the row of the kernel, not the column",
        *(gplvm, Z, (outputs,)),
        gradient=gplvm_gradient_one_side,
        kinds=frozenset({Kind.FACTOR, Kind.MISSING}),
    ),
    Practice(
        "latent inputs: the log-determinant once, not for each output",
        *(gplvm, Z, (outputs,)),
        gradient=gplvm_gradient_one_output,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "latent inputs: the sign of the differences",
        *(gplvm, Z, (outputs,)),
        gradient=gplvm_gradient_towards,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice("periodic kernel", periodic, wave, (t, y), gradient=periodic_gradient),
    Practice(
        "periodic kernel: the cosine of the sine's square forgotten",
        *(periodic, wave, (t, y)),
        gradient=periodic_gradient_no_cosine,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "low-rank kernel, its product in float32",
        *(sparse, np.array(-0.8), (features, y)),
        gradient=sparse_gradient,
    ),
]
