r"""Course 4.3 to 4.5: covariance, the Gaussian density, two independent Gaussian variables."""

import jax.numpy as jnp
import numpy as np

from jax_course.derivations.record import Derivation, Slip
from jax_course.probability import gaussian
from jax_course.verify.lines import line


def _plane() -> dict:
    rng = np.random.default_rng(4)
    return {"x": rng.standard_normal(2), "mu": rng.standard_normal(2), "sigma": 1.3}


def _space() -> dict:
    """Σ = BBᵀ: symmetric, whatever B is."""
    rng = np.random.default_rng(5)
    B = rng.standard_normal((3, 3)) / 2 + np.eye(3)
    return {"x": rng.standard_normal(3), "mu": rng.standard_normal(3), "B": B, "Sigma": lambda B: B @ B.T}


def _square(x, mu, Sigma):
    """(x − μ)ᵀ Σ⁻¹ (x − μ)"""
    return (x - mu) @ jnp.linalg.solve(Sigma, x - mu)


def _one(x, mu, sigma):
    """N(x; μ, σ²) of one variable."""
    return (2 * jnp.pi * sigma**2) ** -0.5 * jnp.exp(-((x - mu) ** 2) / (2 * sigma**2))


DERIVATIONS = (
    Derivation(
        "covariance",
        "The covariance as a difference of expectations",
        "Course 4.3",
        (
            line(
                r"\mathrm{cov}(X, Y) = E[(X - E[X])(Y - E[Y])]",
                lambda X, Y: jnp.mean((X - jnp.mean(X)) * (Y - jnp.mean(Y))),
            ),
            line(
                r"= E[XY - X E[Y] - E[X] Y + E[X] E[Y]]",
                lambda X, Y: jnp.mean(X * Y - X * jnp.mean(Y) - jnp.mean(X) * Y + jnp.mean(X) * jnp.mean(Y)),
            ),
            line(r"= E[XY] - E[X] E[Y]", lambda X, Y: jnp.mean(X * Y) - jnp.mean(X) * jnp.mean(Y)),
            line(
                r"= \mathrm{covariance}([X, Y])_{12}", lambda X, Y: gaussian.covariance(jnp.stack([X, Y], axis=1))[0, 1]
            ),
        ),
        lambda: {name: np.random.default_rng(k).standard_normal(9) for k, name in enumerate("XY")},
    ),
    Derivation(
        "gaussian_density",
        "The density of a Gaussian vector",
        "Course 4.4",
        (
            line(
                r"N(x; \mu, \Sigma) = |2\pi\Sigma|^{-1/2} e^{-\frac12 (x - \mu)^\top \Sigma^{-1} (x - \mu)}",
                lambda x, mu, Sigma: jnp.linalg.det(2 * jnp.pi * Sigma) ** -0.5 * jnp.exp(-_square(x, mu, Sigma) / 2),
            ),
            line(
                r"= \frac{1}{(2\pi)^{d/2} |\Sigma|^{1/2}} e^{-\frac12 (x - \mu)^\top \Sigma^{-1} (x - \mu)}",
                lambda x, mu, Sigma: (
                    jnp.exp(-_square(x, mu, Sigma) / 2) / ((2 * jnp.pi) ** (len(x) / 2) * jnp.linalg.det(Sigma) ** 0.5)
                ),
            ),
            line(r"= \mathrm{pdf}(x, \mu, \Sigma)", lambda x, mu, Sigma: gaussian.pdf(x, mu, Sigma)),
        ),
        _space,
        (
            Slip(
                4,
                2,
                line(
                    r"= \frac{1}{(2\pi)^d/2\, |\Sigma|^{1/2}} e^{-\frac12 (x - \mu)^\top \Sigma^{-1} (x - \mu)}",
                    lambda x, mu, Sigma: (
                        jnp.exp(-_square(x, mu, Sigma) / 2)
                        / ((2 * jnp.pi) ** len(x) / 2 * jnp.linalg.det(Sigma) ** 0.5)
                    ),
                ),
            ),
        ),
    ),
    Derivation(
        "joint_density",
        "Two independent Gaussian variables",
        "Course 4.5",
        (
            line(
                r"p(x_1, x_2) = p(x_1)\, p(x_2) = \prod_{j=1}^2 (2\pi\sigma^2)^{-1/2}"
                r" e^{-\frac{1}{2\sigma^2} (x_j - \mu_j)^2}",
                lambda x, mu, sigma: _one(x[0], mu[0], sigma) * _one(x[1], mu[1], sigma),
            ),
            line(
                r"= (2\pi\sigma^2)^{-1} e^{-\frac{1}{2\sigma^2} \left[ (x_1 - \mu_1)^2 + (x_2 - \mu_2)^2 \right]}",
                lambda x, mu, sigma: (
                    jnp.exp(-((x[0] - mu[0]) ** 2 + (x[1] - mu[1]) ** 2) / (2 * sigma**2)) / (2 * jnp.pi * sigma**2)
                ),
            ),
            line(
                r"= |2\pi\Sigma|^{-1/2} e^{-\frac12 (x - \mu)^\top \Sigma^{-1} (x - \mu)},\quad \Sigma = \sigma^2 I",
                lambda x, mu, sigma: (
                    jnp.linalg.det(2 * jnp.pi * sigma**2 * jnp.eye(2)) ** -0.5
                    * jnp.exp(-_square(x, mu, sigma**2 * jnp.eye(2)) / 2)
                ),
            ),
            line(
                r"= \mathrm{pdf}(x, \mu, \sigma^2 I)",
                lambda x, mu, sigma: gaussian.pdf(x, mu, sigma**2 * jnp.eye(2)),
            ),
        ),
        _plane,
    ),
    Derivation(
        "scaled_determinant",
        "The determinant of a multiple",
        "Course 4.5",
        (
            line(r"\det(a\Sigma)", lambda a, Sigma: jnp.linalg.det(a * Sigma)),
            line(r"= a^d \det\Sigma", lambda a, Sigma: a ** len(Sigma) * jnp.linalg.det(Sigma)),
        ),
        lambda: {"a": 1.7} | {name: value for name, value in _space().items() if name in ("B", "Sigma")},
        (Slip(5, 2, line(r"= a^2 \det\Sigma", lambda a, Sigma: a**2 * jnp.linalg.det(Sigma))),),
    ),
)
