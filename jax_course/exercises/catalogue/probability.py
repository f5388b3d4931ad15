"""Gaussians, likelihoods, a coin and the entropy: chapters 4 and 5 of the course."""

import jax.numpy as jnp
import numpy as np

from jax_course.exercises import solutions
from jax_course.exercises.catalogue import problems
from jax_course.exercises.catalogue.exercise import Exercise


def _cost_of_noise(sigma, residual):
    return jnp.sum(jnp.log(sigma) + jnp.log(2 * jnp.pi) / 2 + residual**2 / (2 * sigma**2))


def _cost_of_coin(p, heads, tosses):
    return -heads * jnp.log(p) - (tosses - heads) * jnp.log(1 - p)


def _cost_of_bell(x):
    return jnp.sum(jnp.exp(-(x**2) / 2) / jnp.sqrt(2 * jnp.pi))


def _cost_of_mean(mean, X, precision):
    r = X - mean
    return jnp.sum((r @ precision) * r) / 2


def _cost_of_posterior(theta, X, y, variance, prior_variance):
    return jnp.sum((y - X @ theta) ** 2) / (2 * variance) + jnp.sum(theta**2) / (2 * prior_variance)


def _cost_of_entropy(p):
    return -jnp.sum(p * jnp.log(p))


def _square(rng):
    A = rng.standard_normal((3, 3))
    return A @ A.T + np.eye(3)


EXERCISES = {
    "bell_curve": Exercise(
        "The bell curve",
        "f(x) = Σ exp(−x²/2)/√(2π)",
        "Course 4.1",
        "gradient",
        "(m,), like x: f′ of each",
        _cost_of_bell,
        lambda rng: (rng.standard_normal(7),),
        hint="(e^u)′ = e^u u′ with u = −x²/2.",
        solution=solutions.bell_curve,
    ),
    "gaussian_mean": Exercise(
        "The mean of a Gaussian",
        "J(μ) = ½ Σ (x − μ)ᵀ Σ⁻¹ (x − μ), Σ⁻¹ the precision, symmetric",
        "Course 4.2, 4.4",
        "gradient",
        "(d,), like mean",
        _cost_of_mean,
        lambda rng: (rng.standard_normal(3), problems.rows(rng), _square(rng)),
        hint="For a symmetric matrix ∂(rᵀΛr)/∂r = 2Λr, and r = x − μ falls as μ grows.",
        solution=solutions.gaussian_mean,
    ),
    "noise": Exercise(
        "The noise of maximum likelihood",
        "NLL(σ) = Σ [log σ + ½ log 2π + r²/(2σ²)]",
        "Course 5.2",
        "gradient",
        "a number",
        _cost_of_noise,
        lambda rng: (1.3, rng.standard_normal(9)),
        hint="Both terms are inside of the sum: log σ counts m times. (σ⁻²)′ = −2σ⁻³.",
        solution=solutions.noise,
        derivation="likelihood_by_sigma",
    ),
    "posterior": Exercise(
        "Noise, and a Gaussian prior",
        "J(θ) = Σ (y − xθ)²/(2σ²) + θᵀθ/(2τ²), σ² the variance, τ² the prior_variance",
        "Course 5.3, 6.1",
        "gradient",
        "(d,), like theta",
        _cost_of_posterior,
        lambda rng: (*problems.targets(rng), 0.6, 1.7),
        hint="Derive the two squares one by one; each keeps its own variance below.",
        solution=solutions.posterior,
    ),
    "coin": Exercise(
        "A coin",
        "NLL(p) = −h log p − (m − h) log(1 − p), h heads of m tosses",
        "Course 5.4",
        "gradient",
        "a number",
        _cost_of_coin,
        lambda rng: (0.3, 7.0, 12.0),
        hint="(log p)′ = 1/p, and (log(1 − p))′ = −1/(1 − p): minus twice is plus.",
        solution=solutions.coin,
    ),
    "entropy": Exercise(
        "The entropy",
        "H(p) = −Σ p log p, each p by itself",
        "Course 5.5",
        "gradient",
        "(K,), like p",
        _cost_of_entropy,
        lambda rng: (rng.uniform(0.1, 0.9, 5),),
        hint="The product rule: (p log p)′ = log p + p/p.",
        solution=solutions.entropy,
    ),
}
