r"""Course 5.2 and 5.5: the likelihood of linear regression, its maximum, and two entropies."""

import jax.numpy as jnp
import numpy as np

from jax_course.derivations import data
from jax_course.derivations.record import Derivation, Slip
from jax_course.probability import bernoulli, gaussian
from jax_course.regression import linear
from jax_course.verify.lines import line


def _with_sigma() -> dict:
    return data.regression() | {"sigma": 0.8}


def _square(theta, X, y):
    """(y − Xθ)ᵀ(y − Xθ)"""
    return (y - X @ theta) @ (y - X @ theta)


NLL = line(
    r"-\log p = \frac{m}{2} \log(2\pi\sigma^2) + \frac{1}{2\sigma^2} (y - X\theta)^\top (y - X\theta)",
    lambda theta, sigma, X, y: len(y) / 2 * jnp.log(2 * jnp.pi * sigma**2) + _square(theta, X, y) / (2 * sigma**2),
)

DERIVATIONS = (
    Derivation(
        "likelihood_of_linear_regression",
        "From the likelihood to the negative log-likelihood",
        "Course 5.2",
        (
            line(
                r"-\log p(y \mid X, \theta, \sigma) = -\log \prod_i (2\pi\sigma^2)^{-1/2}"
                r" e^{-\frac{1}{2\sigma^2} (y_i - x_i\theta)^2}",
                lambda theta, sigma, X, y: (
                    -jnp.log(
                        jnp.prod((2 * jnp.pi * sigma**2) ** -0.5 * jnp.exp(-((y - X @ theta) ** 2) / (2 * sigma**2)))
                    )
                ),
            ),
            line(
                r"= -\sum_i \left[ -\tfrac12 \log(2\pi\sigma^2) - \tfrac{1}{2\sigma^2} (y_i - x_i\theta)^2 \right]",
                lambda theta, sigma, X, y: (
                    -jnp.sum(-jnp.log(2 * jnp.pi * sigma**2) / 2 - (y - X @ theta) ** 2 / (2 * sigma**2))
                ),
            ),
            NLL._replace(formula=NLL.formula.replace(r"-\log p =", "=")),
            line(r"= \mathrm{negative\_log\_likelihood}(\theta, \sigma, X, y)", linear.negative_log_likelihood),
        ),
        _with_sigma,
        (
            Slip(
                1,
                2,
                line(
                    r"= -\sum_i \left[ -\tfrac12 \log(2\pi\sigma) - \tfrac{1}{2\sigma^2} (y_i - x_i\theta)^2 \right]",
                    lambda theta, sigma, X, y: (
                        -jnp.sum(-jnp.log(2 * jnp.pi * sigma) / 2 - (y - X @ theta) ** 2 / (2 * sigma**2))
                    ),
                ),
            ),
        ),
    ),
    Derivation(
        "likelihood_by_theta",
        "The derivative of the likelihood by θ",
        "Course 5.2",
        (
            NLL,
            line(
                r"\frac{\partial}{\partial\theta} = -\frac{1}{\sigma^2} X^\top (y - X\theta)",
                lambda theta, sigma, X, y: -X.T @ (y - X @ theta) / sigma**2,
                by="theta",
            ),
            line(
                r"= \frac{1}{2\sigma^2} \nabla J(\theta)",
                lambda theta, sigma, X, y: linear.gradient(theta, X, y) / (2 * sigma**2),
            ),
        ),
        _with_sigma,
    ),
    Derivation(
        "likelihood_by_sigma",
        "The derivative of the likelihood by σ",
        "Course 5.2",
        (
            NLL,
            line(
                r"\frac{\partial}{\partial\sigma} = \frac{m}{\sigma}"
                r" - \frac{1}{\sigma^3} (y - X\theta)^\top (y - X\theta)",
                lambda theta, sigma, X, y: len(y) / sigma - _square(theta, X, y) / sigma**3,
                by="sigma",
            ),
            line(
                r"= \frac{m}{\sigma^3} (\sigma^2 - \sigma^2_{ML})",
                lambda theta, sigma, X, y: len(y) / sigma**3 * (sigma**2 - linear.noise_variance(theta, X, y)),
            ),
        ),
        _with_sigma,
    ),
    Derivation(
        "noise_variance",
        "The σ² of the largest likelihood",
        "Course 5.2",
        (
            line(
                r"\sigma^2_{ML} = \frac1m (y - X\theta)^\top (y - X\theta)",
                lambda theta, X, y: _square(theta, X, y) / len(y),
            ),
            line(r"= \frac1m \sum_i (y_i - x_i\theta)^2", lambda theta, X, y: jnp.mean((y - X @ theta) ** 2)),
            line(r"= \mathrm{noise\_variance}(\theta, X, y)", linear.noise_variance),
        ),
        data.regression,
    ),
    Derivation(
        "bernoulli_entropy",
        "The entropy of a Bernoulli variable",
        "Course 5.5",
        (
            line(
                r"H = -\sum_{x=0}^1 p^x (1 - p)^{1 - x} \log\left( p^x (1 - p)^{1 - x} \right)",
                lambda p: -sum(p**x * (1 - p) ** (1 - x) * jnp.log(p**x * (1 - p) ** (1 - x)) for x in (0, 1)),
            ),
            line(
                r"= -\left[ (1 - p) \log(1 - p) + p \log p \right]",
                lambda p: -((1 - p) * jnp.log(1 - p) + p * jnp.log(p)),
            ),
            line(r"= \mathrm{entropy}(p)", bernoulli.entropy),
        ),
        lambda: {"p": 0.3},
    ),
    Derivation(
        "gaussian_entropy",
        "The entropy of a Gaussian vector",
        "Course 5.5",
        (
            line(
                r"H = E\left[ \tfrac12 \log|2\pi\Sigma| + \tfrac12 (x - \mu)^\top \Sigma^{-1} (x - \mu) \right]"
                r" = \tfrac12 \log|2\pi\Sigma| + \tfrac12 \mathrm{tr}(\Sigma^{-1} \Sigma)",
                lambda Sigma: (
                    jnp.log(jnp.linalg.det(2 * jnp.pi * Sigma)) / 2 + jnp.trace(jnp.linalg.solve(Sigma, Sigma)) / 2
                ),
            ),
            line(
                r"= \tfrac12 \log|2\pi\Sigma| + \tfrac{D}{2}",
                lambda Sigma: jnp.log(jnp.linalg.det(2 * jnp.pi * Sigma)) / 2 + len(Sigma) / 2,
            ),
            line(
                r"= \tfrac12 \log\left( (2\pi e)^D |\Sigma| \right)",
                lambda Sigma: jnp.log((2 * jnp.pi * jnp.e) ** len(Sigma) * jnp.linalg.det(Sigma)) / 2,
            ),
            line(r"= \mathrm{entropy}(\Sigma)", lambda Sigma: gaussian.entropy(Sigma)),
        ),
        lambda: {
            "B": np.random.default_rng(6).standard_normal((3, 3)) / 2 + np.eye(3),
            "Sigma": lambda B: B @ B.T,
        },
    ),
)
