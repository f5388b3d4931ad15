"""Variational inference: the ELBO by reparametrisation with given noise, divergences, small autoencoders."""

import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, sigmoid, softmax, softplus
from jax.scipy.linalg import solve_triangular

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(112)
m, d, S = 20, 3, 4
X = rng.standard_normal((m, d))
BITS = (rng.random(m) < 0.5).astype(float)
NOISE = rng.standard_normal((S, d))

# logistic regression, independent normal posterior, prior of variance 4
MEAN_FIELD = {"mu": np.array([0.5, -0.3, 0.8]), "log_s": np.array([-0.6, -0.2, -1.0])}


def elbo_cost(q, X, y, noise, prior=4.0):
    theta = q["mu"] + jnp.exp(q["log_s"]) * noise
    scores = theta @ X.T
    nll = jnp.sum(softplus(scores) - y * scores) / len(noise)
    s2 = jnp.exp(2 * q["log_s"])
    return nll + 0.5 * jnp.sum((s2 + q["mu"] ** 2) / prior - 1 - 2 * q["log_s"] + np.log(prior))


def elbo_gradient(q, X, y, noise, prior=4.0):
    s = jnp.exp(q["log_s"])
    dtheta = (sigmoid((q["mu"] + s * noise) @ X.T) - y) @ X / len(noise)
    return {"mu": dtheta.sum(0) + q["mu"] / prior, "log_s": (dtheta * noise).sum(0) * s + s**2 / prior - 1}


def elbo_entropy(q, X, y, noise, prior=4.0):
    s = jnp.exp(q["log_s"])
    dtheta = (sigmoid((q["mu"] + s * noise) @ X.T) - y) @ X / len(noise)
    return {"mu": dtheta.sum(0) + q["mu"] / prior, "log_s": (dtheta * noise).sum(0) * s + s**2 / prior}


def elbo_chain(q, X, y, noise, prior=4.0):
    """By s and not log s, in the part of the data."""
    s = jnp.exp(q["log_s"])
    dtheta = (sigmoid((q["mu"] + s * noise) @ X.T) - y) @ X / len(noise)
    return {"mu": dtheta.sum(0) + q["mu"] / prior, "log_s": (dtheta * noise).sum(0) + s**2 / prior - 1}


def elbo_samples(q, X, y, noise, prior=4.0):
    """The noise is summed, not averaged."""
    s = jnp.exp(q["log_s"])
    dtheta = (sigmoid((q["mu"] + s * noise) @ X.T) - y) @ X
    return {"mu": dtheta.sum(0) + q["mu"] / prior, "log_s": (dtheta * noise).sum(0) * s + s**2 / prior - 1}


def elbo_half(q, X, y, noise, prior=4.0):
    """The divergence is halved twice."""
    s = jnp.exp(q["log_s"])
    dtheta = (sigmoid((q["mu"] + s * noise) @ X.T) - y) @ X / len(noise)
    return {
        "mu": dtheta.sum(0) + 0.5 * q["mu"] / prior,
        "log_s": (dtheta * noise).sum(0) * s + 0.5 * (s**2 / prior - 1),
    }


def elbo_entropy_chain(q, X, y, noise, prior=4.0):
    """No entropy, and by s in the part of the data."""
    s = jnp.exp(q["log_s"])
    dtheta = (sigmoid((q["mu"] + s * noise) @ X.T) - y) @ X / len(noise)
    return {"mu": dtheta.sum(0) + q["mu"] / prior, "log_s": (dtheta * noise).sum(0) + s**2 / prior}


def elbo_noise(q, X, y, noise, prior=4.0):
    """The gradient by the standard deviation without the noise in it."""
    s = jnp.exp(q["log_s"])
    dtheta = (sigmoid((q["mu"] + s * noise) @ X.T) - y) @ X / len(noise)
    return {"mu": dtheta.sum(0) + q["mu"] / prior, "log_s": dtheta.sum(0) * s + s**2 / prior - 1}


# a full covariance by its Cholesky factor; what stands above the diagonal is not used
FULL = (np.array([0.2, -0.1, 0.4]), np.array([[0.9, 0.3, -0.2], [0.3, 1.1, 0.1], [-0.4, 0.2, 0.7]]))
Y = X @ np.array([1.0, -0.5, 0.3]) + 0.5 * rng.standard_normal(m)


def full_cost(q, X, y, noise):
    mu, L = q[0], jnp.tril(q[1])
    theta = mu + noise @ L.T
    fit = 0.5 * jnp.mean(jnp.sum((theta @ X.T - y) ** 2, axis=1)) / 0.25
    return fit + 0.5 * (jnp.sum(L**2) + mu @ mu) - jnp.sum(jnp.log(jnp.abs(jnp.diag(L))))


def full_gradient(q, X, y, noise):
    mu, L = q[0], jnp.tril(q[1])
    dtheta = ((mu + noise @ L.T) @ X.T - y) @ X / (0.25 * len(noise))
    return dtheta.sum(0) + mu, jnp.tril(dtheta.T @ noise) + L - jnp.diag(1 / jnp.diag(L))


def full_determinant(q, X, y, noise):
    mu, L = q[0], jnp.tril(q[1])
    dtheta = ((mu + noise @ L.T) @ X.T - y) @ X / (0.25 * len(noise))
    return dtheta.sum(0) + mu, jnp.tril(dtheta.T @ noise) + L


def full_square(q, X, y, noise):
    mu, L = q[0], jnp.tril(q[1])
    dtheta = ((mu + noise @ L.T) @ X.T - y) @ X / (0.25 * len(noise))
    return dtheta.sum(0) + mu, dtheta.T @ noise + L - jnp.diag(1 / jnp.diag(L))


def full_transposed(q, X, y, noise):
    mu, L = q[0], jnp.tril(q[1])
    dtheta = ((mu + noise @ L.T) @ X.T - y) @ X / (0.25 * len(noise))
    return dtheta.sum(0) + mu, jnp.tril(noise.T @ dtheta) + L - jnp.diag(1 / jnp.diag(L))


# the divergence of two full normals, in NumPy
P_MEAN, P_COV = np.array([0.5, 0.0, -0.5]), np.array([[1.0, 0.3, 0.0], [0.3, 2.0, 0.4], [0.0, 0.4, 1.5]])


def divergence_cost(q):
    L, e = np.tril(q["L"]), q["mu"] - P_MEAN
    inverse = np.linalg.inv(P_COV)
    logdet = np.log(np.linalg.det(P_COV)) - 2 * np.sum(np.log(np.abs(np.diag(L))))
    return 0.5 * (np.trace(inverse @ L @ L.T) + e @ inverse @ e - 3 + logdet)


def divergence_gradient(q):
    L, inverse = np.tril(q["L"]), np.linalg.inv(P_COV)
    return {"mu": inverse @ (q["mu"] - P_MEAN), "L": np.tril(inverse @ L) - np.diag(1 / np.diag(L))}


def divergence_precision(q):
    """The covariance for its inverse."""
    L = np.tril(q["L"])
    return {"mu": P_COV @ (q["mu"] - P_MEAN), "L": np.tril(P_COV @ L) - np.diag(1 / np.diag(L))}


def divergence_returned(q):
    """The means' part only, as an array."""
    return np.linalg.inv(P_COV) @ (q["mu"] - P_MEAN)


# an autoencoder: softplus for the deviations, Bernoulli outputs
PIXELS = (rng.random((8, 5)) < 0.5).astype(float)
EPS = rng.standard_normal((8, 2))
VAE = {
    "encoder": {"mean": 0.5 * rng.standard_normal((5, 2)), "raw": 0.5 * rng.standard_normal((5, 2))},
    "decoder": rng.standard_normal((2, 5)),
}


def vae_cost(p, x, eps):
    mu, s = x @ p["encoder"]["mean"], softplus(x @ p["encoder"]["raw"])
    logits = (mu + s * eps) @ p["decoder"]
    kl = 0.5 * jnp.sum(mu**2 + s**2 - 1 - 2 * jnp.log(s))
    return (jnp.sum(softplus(logits) - x * logits) + kl) / len(x)


def vae_gradient(p, x, eps):
    raw = x @ p["encoder"]["raw"]
    mu, s = x @ p["encoder"]["mean"], softplus(raw)
    z = mu + s * eps
    d = (sigmoid(z @ p["decoder"]) - x) / len(x)
    dz = d @ p["decoder"].T
    ds = dz * eps + (s - 1 / s) / len(x)
    return {"encoder": {"mean": x.T @ (dz + mu / len(x)), "raw": x.T @ (ds * sigmoid(raw))}, "decoder": z.T @ d}


def vae_softplus(p, x, eps):
    raw = x @ p["encoder"]["raw"]
    mu, s = x @ p["encoder"]["mean"], softplus(raw)
    z = mu + s * eps
    d = (sigmoid(z @ p["decoder"]) - x) / len(x)
    dz = d @ p["decoder"].T
    ds = dz * eps + (s - 1 / s) / len(x)
    return {"encoder": {"mean": x.T @ (dz + mu / len(x)), "raw": x.T @ ds}, "decoder": z.T @ d}


def vae_batch(p, x, eps):
    """The divergence is summed over the batch, the rest averaged."""
    raw = x @ p["encoder"]["raw"]
    mu, s = x @ p["encoder"]["mean"], softplus(raw)
    z = mu + s * eps
    d = (sigmoid(z @ p["decoder"]) - x) / len(x)
    dz = d @ p["decoder"].T
    ds = dz * eps + (s - 1 / s)
    return {"encoder": {"mean": x.T @ (dz + mu), "raw": x.T @ (ds * sigmoid(raw))}, "decoder": z.T @ d}


def vae_mean_decoder(p, x, eps):
    """The decoder is fed the mean in the backward pass, not the sample."""
    raw = x @ p["encoder"]["raw"]
    mu, s = x @ p["encoder"]["mean"], softplus(raw)
    d = (sigmoid((mu + s * eps) @ p["decoder"]) - x) / len(x)
    dz = d @ p["decoder"].T
    ds = dz * eps + (s - 1 / s) / len(x)
    return {"encoder": {"mean": x.T @ (dz + mu / len(x)), "raw": x.T @ (ds * sigmoid(raw))}, "decoder": mu.T @ d}


# responsibilities by logits: the energy of a mixture, free in each row
SCORES = rng.standard_normal((6, 3))
LOGITS = rng.standard_normal((6, 3))


def free_cost(a, scores):
    q = softmax(a, axis=1)
    return jnp.sum(q * (log_softmax(a, axis=1) - scores))


def free_gradient(a, scores):
    q = softmax(a, axis=1)
    f = log_softmax(a, axis=1) - scores
    return q * (f - jnp.sum(q * f, axis=1, keepdims=True))


def free_normaliser(a, scores):
    return softmax(a, axis=1) * (log_softmax(a, axis=1) - scores)


def free_hessian_product(a, scores, v):
    q = softmax(a, axis=1)
    dq = q * (v - jnp.sum(q * v, axis=1, keepdims=True))
    f = log_softmax(a, axis=1) - scores
    df = v - jnp.sum(q * v, axis=1, keepdims=True)
    mean = jnp.sum(q * f, axis=1, keepdims=True)
    return dq * (f - mean) + q * (df - jnp.sum(dq * f + q * df, axis=1, keepdims=True))


def free_fisher(a, scores, v):
    q = softmax(a, axis=1)
    return q * (v - jnp.sum(q * v, axis=1, keepdims=True))


# the score of a sample under q, with a triangular solve
POINT = np.array([0.7, -0.2, 1.1])


def sample_cost(L, z):
    return 0.5 * jnp.sum(solve_triangular(L, z, lower=True) ** 2) + jnp.sum(jnp.log(jnp.abs(jnp.diag(L))))


def sample_gradient(L, z):
    w = solve_triangular(L, z, lower=True)
    u = solve_triangular(L.T, w, lower=False)
    return jnp.tril(-jnp.outer(u, w)) + jnp.diag(1 / jnp.diag(L))


def sample_outer(L, z):
    w = solve_triangular(L, z, lower=True)
    u = solve_triangular(L.T, w, lower=False)
    return jnp.tril(-jnp.outer(w, u)) + jnp.diag(1 / jnp.diag(L))


DATA = (X, BITS, NOISE)
COVARIANCE = {"mu": FULL[0], "L": FULL[1]}

CASES = [
    Practice("ELBO of a logistic regression", elbo_cost, MEAN_FIELD, DATA, gradient=elbo_gradient),
    Practice(
        "ELBO, the entropy left out",
        elbo_cost,
        MEAN_FIELD,
        DATA,
        gradient=elbo_entropy,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "ELBO, by s and not log s in the part of the data",
        elbo_cost,
        MEAN_FIELD,
        DATA,
        gradient=elbo_chain,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "ELBO, samples summed and not averaged beside the divergence",
        elbo_cost,
        MEAN_FIELD,
        DATA,
        gradient=elbo_samples,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "ELBO, the divergence halved twice",
        elbo_cost,
        MEAN_FIELD,
        DATA,
        {"prior": 2.0},
        gradient=elbo_half,
        kinds=frozenset({Kind.FACTOR, Kind.PENALTY}),
    ),
    Practice(
        "ELBO, the entropy left out and by s in the part of the data",
        elbo_cost,
        MEAN_FIELD,
        DATA,
        gradient=elbo_entropy_chain,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
        all_needed=True,
    ),
    Practice(
        "ELBO, the noise forgotten beside s",
        elbo_cost,
        MEAN_FIELD,
        DATA,
        gradient=elbo_noise,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("ELBO with a Cholesky factor", full_cost, FULL, (X, Y, NOISE), gradient=full_gradient),
    Practice(
        "ELBO with a Cholesky factor, its log determinant left out",
        full_cost,
        FULL,
        (X, Y, NOISE),
        gradient=full_determinant,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "ELBO with a Cholesky factor, derivatives above the diagonal",
        full_cost,
        FULL,
        (X, Y, NOISE),
        gradient=full_square,
        kinds=frozenset({Kind.ENTRY}),
    ),
    Practice(
        "ELBO with a Cholesky factor, noise and error exchanged",
        full_cost,
        FULL,
        (X, Y, NOISE),
        gradient=full_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice("divergence of two normals in NumPy", divergence_cost, COVARIANCE, gradient=divergence_gradient),
    # a matrix in the place of its inverse: no kind is that
    Practice(
        "divergence of two normals, the covariance for its inverse",
        divergence_cost,
        COVARIANCE,
        gradient=divergence_precision,
        kinds=frozenset({Kind.UNKNOWN, Kind.CHAIN_RULE}),
    ),
    Practice(
        "divergence of two normals, an array for a dictionary",
        divergence_cost,
        COVARIANCE,
        gradient=divergence_returned,
        kinds=frozenset({Kind.SHAPE}),
    ),
    Practice("autoencoder", vae_cost, VAE, (PIXELS, EPS), gradient=vae_gradient),
    Practice(
        "autoencoder, the softplus' slope forgotten",
        vae_cost,
        VAE,
        (PIXELS, EPS),
        gradient=vae_softplus,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "autoencoder, the divergence summed and not averaged",
        vae_cost,
        VAE,
        (PIXELS, EPS),
        gradient=vae_batch,
        kinds=frozenset({Kind.FACTOR, Kind.PENALTY}),
    ),
    Practice(
        "autoencoder, the mean for the sample at the decoder",
        vae_cost,
        VAE,
        (PIXELS, EPS),
        gradient=vae_mean_decoder,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    Practice(
        "free energy of responsibilities, products",
        free_cost,
        LOGITS,
        (SCORES,),
        gradient=free_gradient,
        hessian_product=free_hessian_product,
    ),
    Practice(
        "free energy, the softmax's normaliser left out",
        free_cost,
        LOGITS,
        (SCORES,),
        gradient=free_normaliser,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "free energy, Fisher information for the Hessian",
        free_cost,
        LOGITS,
        (SCORES,),
        gradient=free_gradient,
        hessian_product=free_fisher,
        kinds=frozenset({Kind.EXPECTED}),
    ),
    Practice("log density by a triangular solve", sample_cost, FULL[1], (POINT,), gradient=sample_gradient),
    Practice(
        "log density by a triangular solve, the outer product turned round",
        sample_cost,
        FULL[1],
        (POINT,),
        gradient=sample_outer,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
]
