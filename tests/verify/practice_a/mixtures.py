"""Mixtures: of Gaussians, of Bernoullis, of Poissons; EM's costs; a hidden Markov chain; independent components."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import log_softmax, softmax
from jax.scipy.special import logsumexp

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(41)
x = np.concatenate([_rng.normal(-1.5, 0.6, 10), _rng.normal(1.0, 1.0, 15)])
m = len(x)


# A Gaussian mixture of one variable: logits, means, logarithms of deviations


def joint(params, x):
    z = (x[:, None] - params["means"]) / jnp.exp(params["log_sigma"])
    return log_softmax(params["logits"]) - 0.5 * z**2 - params["log_sigma"] - 0.5 * jnp.log(2 * jnp.pi)


def mixture(params, x):
    return -logsumexp(joint(params, x), axis=1).sum()


def mixture_gradient(params, x):
    r = softmax(joint(params, x), axis=1)
    sigma = jnp.exp(params["log_sigma"])
    d = x[:, None] - params["means"]
    return {
        "logits": len(x) * softmax(params["logits"]) - r.sum(axis=0),
        "means": -(r * d / sigma**2).sum(axis=0),
        "log_sigma": (r * (1 - d**2 / sigma**2)).sum(axis=0),
    }


def mixture_logits_not_normalised(params, x):
    g = mixture_gradient(params, x)
    r = softmax(joint(params, x), axis=1)
    return {**g, "logits": -r.sum(axis=0)}


def mixture_by_sigma(params, x):
    r = softmax(joint(params, x), axis=1)
    sigma = jnp.exp(params["log_sigma"])
    d = x[:, None] - params["means"]
    return {
        "logits": len(x) * softmax(params["logits"]) - r.sum(axis=0),
        "means": -(r * d / sigma**2).sum(axis=0),
        "log_sigma": (r * (1 / sigma - d**2 / sigma**3)).sum(axis=0),
    }


def mixture_no_normaliser(params, x):
    r = softmax(joint(params, x), axis=1)
    sigma = jnp.exp(params["log_sigma"])
    d = x[:, None] - params["means"]
    return {
        "logits": len(x) * softmax(params["logits"]) - r.sum(axis=0),
        "means": -(r * d / sigma**2).sum(axis=0),
        "log_sigma": -(r * d**2 / sigma**2).sum(axis=0),
    }


def mixture_over_examples(params, x):
    """The responsibilities are normalised over the examples."""
    r = softmax(joint(params, x), axis=0)
    sigma = jnp.exp(params["log_sigma"])
    d = x[:, None] - params["means"]
    return {
        "logits": len(x) * softmax(params["logits"]) - r.sum(axis=0),
        "means": -(r * d / sigma**2).sum(axis=0),
        "log_sigma": (r * (1 - d**2 / sigma**2)).sum(axis=0),
    }


def mixture_means_by_sigma_once(params, x):
    g = mixture_gradient(params, x)
    return {**g, "means": g["means"] * jnp.exp(params["log_sigma"])}


def mixture_components_reversed(params, x):
    order = jnp.argsort(-params["means"])  # printed from the largest mean on
    return {name: g[order] for name, g in mixture_gradient(params, x).items()}


def mixture_means_hessian(means, x, weights):
    """By the means alone, deviations 1."""
    d = x[:, None] - means
    r = softmax(jnp.log(weights) - 0.5 * d**2, axis=1)
    return jnp.diag(r.sum(axis=0) - (r * d**2).sum(axis=0)) + (r * d).T @ (r * d)


def mixture_means(means, x, weights):
    return -logsumexp(jnp.log(weights) - 0.5 * (x[:, None] - means) ** 2, axis=1).sum()


def mixture_means_hessian_of_em(means, x, weights):
    """The responsibilities held fixed, as in EM."""
    d = x[:, None] - means
    r = softmax(jnp.log(weights) - 0.5 * d**2, axis=1)
    return jnp.diag(r.sum(axis=0))


def mixture_means_hessian_diagonal(means, x, weights):
    d = x[:, None] - means
    r = softmax(jnp.log(weights) - 0.5 * d**2, axis=1)
    return jnp.diag((r - r * (1 - r) * d**2).sum(axis=0))


# EM's lower bound, responsibilities given; a Dirichlet prior on the weights in the closure


concentration = 2.5
responsibilities = _rng.dirichlet(np.ones(3), m)


def em(params, x, r):
    logits, means, log_variance = params
    log_pi = log_softmax(logits)
    quadratic = (x[:, None] - means) ** 2 / jnp.exp(log_variance)
    return -jnp.mean(jnp.sum(r * (log_pi - 0.5 * log_variance - 0.5 * quadratic), axis=1)) - (
        concentration - 1
    ) * jnp.sum(log_pi) / len(x)


def em_gradient(params, x, r):
    logits, means, log_variance = params
    m = len(x)
    N = r.sum(axis=0)
    d = x[:, None] - means
    counts = N + concentration - 1
    return (
        (counts.sum() * softmax(logits) - counts) / m,
        -(r * d).sum(axis=0) / jnp.exp(log_variance) / m,
        0.5 * (N - (r * d**2).sum(axis=0) / jnp.exp(log_variance)) / m,
    )


def em_gradient_variance(params, x, r):
    """By the logarithm of the deviation, twice that of the variance."""
    g = em_gradient(params, x, r)
    return g[0], g[1], 2 * g[2]


def em_gradient_no_prior(params, x, r):
    g = em_gradient(params, x, r)
    N = r.sum(axis=0)
    return (len(x) * softmax(params[0]) - N) / len(x), g[1], g[2]


def em_gradient_mean_twice(params, x, r):
    return tuple(g / len(x) for g in em_gradient(params, x, r))


# Full covariances by Cholesky factors of the precisions (tril of the leaf), two variables


points = _rng.standard_normal((20, 2)) @ np.array([[1.0, 0.3], [0.0, 0.6]])
points = points + np.where(_rng.uniform(size=(20, 1)) < 0.4, 2, 0)


def full(params, points):
    L = jnp.tril(params["factor"])
    z = jnp.einsum("kij,nki->nkj", L, points[:, None] - params["means"])
    logdet = jnp.log(jnp.abs(jnp.diagonal(L, axis1=1, axis2=2))).sum(axis=1)
    return -logsumexp(logdet - 0.5 * (z**2).sum(axis=-1), axis=1).mean()


def full_gradient(params, points, lower=True, transposed=False):
    L = jnp.tril(params["factor"])
    d = points[:, None] - params["means"]
    z = jnp.einsum("kij,nki->nkj", L, d)
    logdet = jnp.log(jnp.abs(jnp.diagonal(L, axis1=1, axis2=2))).sum(axis=1)
    r = softmax(logdet - 0.5 * (z**2).sum(axis=-1), axis=1) / len(points)
    G = jnp.einsum("nk,nki,nkj->kij", r, d, z)
    G = jnp.swapaxes(G, 1, 2) if transposed else G
    G = G - r.sum(axis=0)[:, None, None] * jnp.linalg.inv(L) * jnp.eye(2)
    return {"means": -jnp.einsum("nk,kij,nkj->ki", r, L, z), "factor": jnp.tril(G) if lower else G}


def full_gradient_upper(params, points):
    return full_gradient(params, points, lower=False)


def full_gradient_transposed(params, points):
    return full_gradient(params, points, transposed=True)


def full_gradient_means_by_z(params, points):
    """The factor L before z is forgotten."""
    g = full_gradient(params, points)
    L = jnp.tril(params["factor"])
    z = jnp.einsum("kij,nki->nkj", L, points[:, None] - params["means"])
    logdet = jnp.log(jnp.abs(jnp.diagonal(L, axis1=1, axis2=2))).sum(axis=1)
    r = softmax(logdet - 0.5 * (z**2).sum(axis=-1), axis=1) / len(points)
    return {**g, "means": -jnp.einsum("nk,nkj->kj", r, z)}


# Bernoulli mixture in NumPy, with an epsilon in the logarithms; examples in columns


pixels = (_rng.uniform(size=(6, 15)) < 0.4).astype(float)
priors = np.array([0.3, 0.7])


def bernoulli_mixture(p, pixels, eps=1e-2):
    cost = 0.0
    for v in pixels.T:
        log_p = np.log(priors) + v @ np.log(p + eps) + (1 - v) @ np.log(1 - p + eps)
        top = log_p.max()
        cost -= top + np.log(np.exp(log_p - top).sum())
    return cost


def bernoulli_gradient(p, pixels, eps=1e-2):
    g = np.zeros((6, 2))
    for v in pixels.T:
        log_p = np.log(priors) + v @ np.log(p + eps) + (1 - v) @ np.log(1 - p + eps)
        r = np.exp(log_p - log_p.max())
        r /= r.sum()
        g -= r * (v[:, None] / (p + eps) - (1 - v)[:, None] / (1 - p + eps))
    return g


def bernoulli_gradient_no_epsilon(p, pixels, eps=1e-2):
    log_p = np.log(priors) + pixels.T @ np.log(p + eps) + (1 - pixels.T) @ np.log(1 - p + eps)
    r = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    r /= r.sum(axis=1, keepdims=True)
    return -(pixels @ r / p - (1 - pixels) @ r / (1 - p))


def bernoulli_gradient_no_priors(p, pixels, eps=1e-2):
    log_p = pixels.T @ np.log(p + eps) + (1 - pixels.T) @ np.log(1 - p + eps)
    r = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    r /= r.sum(axis=1, keepdims=True)
    return -(pixels @ r / (p + eps) - (1 - pixels) @ r / (1 - p + eps))


def bernoulli_gradient_ones_only(p, pixels, eps=1e-2):
    """The pixels that are 0 say nothing about p."""
    log_p = np.log(priors) + pixels.T @ np.log(p + eps) + (1 - pixels.T) @ np.log(1 - p + eps)
    r = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    r /= r.sum(axis=1, keepdims=True)
    return -(pixels @ r / (p + eps))


# A hidden Markov chain with two states, the forward algorithm as a scan


symbols = _rng.integers(0, 3, 16)


def chain(params, symbols):
    A, B = log_softmax(params["transition"], axis=1), log_softmax(params["emission"], axis=1)

    def forward(alpha, s):
        return logsumexp(alpha[:, None] + A, axis=0) + B[:, s], None

    alpha, _ = lax.scan(forward, jnp.log(0.5) + B[:, symbols[0]], symbols[1:])
    return -logsumexp(alpha)


def chain_counts(params, symbols):
    A, B = log_softmax(params["transition"], axis=1), log_softmax(params["emission"], axis=1)
    T = len(symbols)
    alpha, beta = [jnp.log(0.5) + B[:, symbols[0]]], [jnp.zeros(2)]
    for s in symbols[1:]:
        alpha.append(logsumexp(alpha[-1][:, None] + A, axis=0) + B[:, s])
    for s in symbols[:0:-1]:
        beta.insert(0, logsumexp(A + B[:, s] + beta[0], axis=1))
    total = logsumexp(alpha[-1])
    gamma = jnp.exp(jnp.stack(alpha) + jnp.stack(beta) - total)
    xi = [alpha[i][:, None] + A + B[:, symbols[i + 1]] + beta[i + 1] - total for i in range(T - 1)]
    return gamma, jnp.exp(jnp.stack(xi))


def chain_gradient(params, symbols):
    gamma, xi = chain_counts(params, symbols)
    emitted = jnp.zeros((2, 3)).at[:, symbols].add(gamma.T)
    moved = xi.sum(axis=0)
    return {
        "transition": softmax(params["transition"], axis=1) * moved.sum(axis=1, keepdims=True) - moved,
        "emission": softmax(params["emission"], axis=1) * emitted.sum(axis=1, keepdims=True) - emitted,
    }


def chain_gradient_set(params, symbols):
    """Each symbol keeps the last time only."""
    gamma, xi = chain_counts(params, symbols)
    emitted = jnp.zeros((2, 3)).at[:, symbols].set(gamma.T)
    moved = xi.sum(axis=0)
    return {
        "transition": softmax(params["transition"], axis=1) * moved.sum(axis=1, keepdims=True) - moved,
        "emission": softmax(params["emission"], axis=1) * emitted.sum(axis=1, keepdims=True) - emitted,
    }


def chain_gradient_from_to(params, symbols):
    gamma, xi = chain_counts(params, symbols)
    emitted = jnp.zeros((2, 3)).at[:, symbols].add(gamma.T)
    moved = xi.sum(axis=0).T
    return {
        "transition": (softmax(params["transition"], axis=1) * moved.sum(axis=0)[:, None] - moved),
        "emission": softmax(params["emission"], axis=1) * emitted.sum(axis=1, keepdims=True) - emitted,
    }


# Independent components: -log |det W| per example, log cosh of the sources


def components(W, S):
    return jnp.sum(jnp.log(jnp.cosh(S @ W.T))) - len(S) * jnp.linalg.slogdet(W)[1]


def components_gradient(W, S):
    return jnp.tanh(S @ W.T).T @ S - len(S) * jnp.linalg.inv(W).T


def components_not_transposed(W, S):
    return jnp.tanh(S @ W.T).T @ S - len(S) * jnp.linalg.inv(W)


def components_no_determinant(W, S):
    return jnp.tanh(S @ W.T).T @ S


def components_natural(W, S):
    """The natural gradient, times W^T W."""
    g = jnp.tanh(S @ W.T).T @ S - len(S) * jnp.linalg.inv(W).T
    return g @ W.T @ W


def components_determinant_once(W, S):
    return jnp.tanh(S @ W.T).T @ S - jnp.linalg.inv(W).T


def components_hessian_product(W, S, V):
    U = S @ W.T
    Wi = jnp.linalg.inv(W)
    return ((1 - jnp.tanh(U) ** 2) * (S @ V.T)).T @ S + len(S) * (Wi @ V @ Wi).T


def components_hessian_product_sign(W, S, V):
    U = S @ W.T
    Wi = jnp.linalg.inv(W)
    return ((1 - jnp.tanh(U) ** 2) * (S @ V.T)).T @ S - len(S) * (Wi @ V @ Wi).T


# k-means: the distance to the nearest centre, a minimum with kinks between the cells


def k_means(centers, points):
    return jnp.sum(jnp.min(jnp.sum((points[:, None] - centers) ** 2, axis=-1), axis=1))


def k_means_gradient(centers, points):
    nearest = jnp.argmin(jnp.sum((points[:, None] - centers) ** 2, axis=-1), axis=1)
    return jnp.zeros_like(centers).at[nearest].add(2 * (centers[nearest] - points))


def k_means_gradient_all(centers, points):
    """Every centre is drawn by every point."""
    return 2 * jnp.sum(centers - points[:, None], axis=0)


three = {
    "logits": np.array([0.2, -0.3, 0.4]),
    "means": np.array([-1.2, 0.3, 1.6]),
    "log_sigma": np.array([-0.2, 0.1, -0.4]),
}
triple = (three["logits"], three["means"], three["log_sigma"])
ellipses = {
    "means": np.array([[0.1, -0.2], [1.8, 1.5]]),
    "factor": np.array([[[1.1, 0.4], [-0.3, 1.4]], [[0.8, -0.6], [0.2, 1.2]]]),
}
p = _rng.uniform(0.1, 0.8, (6, 2))
hidden = {
    "transition": np.array([[0.9, -0.2], [-0.4, 0.7]]),
    "emission": np.array([[0.5, 0.1, -0.3], [-0.2, 0.4, 0.6]]),
}
signals = _rng.laplace(size=(14, 3)) @ np.array([[1.0, 0.4, 0.1], [0.2, 0.9, -0.3], [-0.5, 0.3, 1.2]])
W = np.array([[0.9, -0.3, 0.2], [0.4, 1.1, -0.1], [0.1, 0.5, 0.8]])
shares = np.array([0.4, 0.35, 0.25])
far = {**three, "means": three["means"] + 0.02}

CASES = [
    Practice("Gaussian mixture", mixture, three, (x,), gradient=mixture_gradient),
    Practice(
        "Gaussian mixture: the logits' normaliser forgotten",
        *(mixture, three, (x,)),
        gradient=mixture_logits_not_normalised,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Gaussian mixture: by sigma, not by its logarithm",
        *(mixture, three, (x,)),
        gradient=mixture_by_sigma,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Gaussian mixture: log sigma of the normaliser is left out",
        *(mixture, three, (x,)),
        gradient=mixture_no_normaliser,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "Gaussian mixture: responsibilities normalised over the examples",
        *(mixture, three, (x,)),
        gradient=mixture_over_examples,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "Gaussian mixture: the means' gradient over sigma, not its square",
        *(mixture, three, (x,)),
        gradient=mixture_means_by_sigma_once,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Gaussian mixture: the components in the opposite order",
        *(mixture, three, (x,)),
        gradient=mixture_components_reversed,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("mixture by its means, Hessian", mixture_means, far["means"], (x, shares), hessian=mixture_means_hessian),
    Practice(
        "mixture by its means: the Hessian of EM's cost",
        *(mixture_means, far["means"], (x, shares)),
        hessian=mixture_means_hessian_of_em,
        kinds=frozenset({Kind.EXPECTED, Kind.MISSING}),
    ),
    Practice(
        "mixture by its means: only the diagonal of the Hessian",
        *(mixture_means, far["means"], (x, shares)),
        hessian=mixture_means_hessian_diagonal,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    Practice("EM's cost with a Dirichlet prior", em, triple, (x, responsibilities), gradient=em_gradient),
    Practice(
        "EM's cost: by the logarithm of the deviation, not of the variance",
        *(em, triple, (x, responsibilities)),
        gradient=em_gradient_variance,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "EM's cost: the prior of the weights forgotten",
        *(em, triple, (x, responsibilities)),
        gradient=em_gradient_no_prior,
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
    ),
    Practice(
        "EM's cost: divided by m twice",
        *(em, triple, (x, responsibilities)),
        gradient=em_gradient_mean_twice,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice("full covariances by triangular factors", full, ellipses, (points,), gradient=full_gradient),
    Practice(
        "full covariances: the upper triangle, which the cost ignores",
        *(full, ellipses, (points,)),
        gradient=full_gradient_upper,
        kinds=frozenset({Kind.ENTRY, Kind.CHAIN_RULE}),
    ),
    Practice(
        "full covariances: the factor's gradient transposed",
        *(full, ellipses, (points,)),
        gradient=full_gradient_transposed,
        kinds=frozenset({Kind.TRANSPOSE, Kind.ENTRY}),
    ),
    Practice(
        "full covariances: the factor before z forgotten",
        *(full, ellipses, (points,)),
        gradient=full_gradient_means_by_z,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice("Bernoulli mixture in NumPy, columns", bernoulli_mixture, p, (pixels,), gradient=bernoulli_gradient),
    Practice(
        "Bernoulli mixture in NumPy: the epsilon in the logarithm forgotten",
        *(bernoulli_mixture, p, (pixels,), {"eps": 0.05}),
        gradient=bernoulli_gradient_no_epsilon,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    Practice(
        "Bernoulli mixture in NumPy: responsibilities without the priors",
        *(bernoulli_mixture, p, (pixels,)),
        gradient=bernoulli_gradient_no_priors,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.MISSING}),
    ),
    Practice(
        "Bernoulli mixture in NumPy: the zeros are left out",
        *(bernoulli_mixture, p, (pixels,)),
        gradient=bernoulli_gradient_ones_only,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("hidden Markov chain", chain, hidden, (symbols,), gradient=chain_gradient),
    Practice(
        "hidden Markov chain: equal symbols overwrite each other",
        *(chain, hidden, (symbols,)),
        gradient=chain_gradient_set,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice(
        "hidden Markov chain: from and to exchanged in the transitions",
        *(chain, hidden, (symbols,)),
        gradient=chain_gradient_from_to,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice("independent components", components, W, (signals,), gradient=components_gradient),
    Practice(
        "independent components: the inverse not transposed",
        *(components, W, (signals,)),
        gradient=components_not_transposed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "independent components: the log-determinant is left out",
        *(components, W, (signals,)),
        gradient=components_no_determinant,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "independent components: the log-determinant once, not for each example",
        *(components, W, (signals,)),
        gradient=components_determinant_once,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "independent components: the natural gradient",
        *(components, W, (signals,)),
        gradient=components_natural,
        kinds=frozenset({Kind.UNKNOWN}),
    ),
    Practice(
        "independent components, product of the Hessian",
        *(components, W, (signals,)),
        hessian_product=components_hessian_product,
    ),
    Practice(
        "independent components, product of the Hessian: the sign of the determinant's part",
        *(components, W, (signals,)),
        hessian_product=components_hessian_product_sign,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice("k-means", k_means, ellipses["means"], (points,), gradient=k_means_gradient),
    Practice(
        "k-means: every centre is drawn by every point",
        *(k_means, ellipses["means"], (points,)),
        gradient=k_means_gradient_all,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "Gaussian mixture, jitted cost", jax.jit(mixture), three, (x.astype(np.float32),), gradient=mixture_gradient
    ),
]
