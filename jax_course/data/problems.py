"""Problems with known parameters, of any size: lines, planes, polynomials, Gaussian classes (course 3, 6, 8, 9)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course.inputs.types import ArrayLike


class Problem(NamedTuple):
    """X, y, and the true parameters they were made with: theta, and the standard deviation of the noise in y."""

    X: Array
    y: Array
    theta: Array
    noise: float


def line(*, m: int = 20, noise: float = 0.5, seed: int = 0) -> Problem:
    """y = 1 + 2x + noise, x uniform in [0, 3]. Course 3.1."""
    return _regression(random_generator(seed).uniform(0, 3, (m, 1)), [1.0, 2.0], noise, seed)


def plane(*, m: int = 60, noise: float = 0.5, seed: int = 0) -> Problem:
    """y = 1 + 2x₁ − 3x₂ + noise, x uniform in the unit square. Course 3.2."""
    return _regression(random_generator(seed).uniform(0, 1, (m, 2)), [1.0, 2.0, -3.0], noise, seed)


def polynomial(theta: ArrayLike, *, m: int = 30, noise: float = 0.5, seed: int = 0) -> Problem:
    """y = θ₀ + θ₁x + … + θ_n xⁿ + noise, x uniform in [−1, 1]; fit it on features.polynomial. Course 6.3."""
    coefficients = np.asarray(theta, float)
    if coefficients.ndim != 1 or not coefficients.size:
        raise ValueError(f"theta must hold the coefficients θ₀, θ₁, …; got shape {coefficients.shape}")
    x = random_generator(seed).uniform(-1, 1, m)
    y = np.polynomial.polynomial.polyval(x, coefficients) + noise * random_generator(seed, 1).standard_normal(m)
    return Problem(_floats(x[:, None]), _floats(y), _floats(coefficients), noise)


def two_classes(*, m: int = 200, distance: float = 2.0, seed: int = 0) -> Problem:
    """Two round Gaussian classes in the plane, unit variance, their means `distance` apart. Course 8.3.

    With equal priors the true P(y = 1 given x) is a logistic function of x; theta holds its parameters.
    """
    y = random_generator(seed).integers(0, 2, m)
    X = random_generator(seed, 1).standard_normal((m, 2))
    X[:, 0] += distance * (y - 0.5)
    return Problem(_floats(X), _labels(y), _floats([0.0, distance, 0.0]), 0.0)


def three_classes(*, m: int = 300, distance: float = 3.0, seed: int = 0) -> Problem:
    """Three round Gaussian classes, unit variance, their means on a triangle of side `distance`. Course 9.1.

    theta (3, 3): log P(x given class) = x·mean − ‖mean‖²/2 up to what all classes share.
    """
    angles = np.pi / 2 + 2 * np.pi * np.arange(3) / 3
    means = distance / np.sqrt(3) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    y = random_generator(seed).integers(0, 3, m)
    X = means[y] + random_generator(seed, 1).standard_normal((m, 2))
    theta = np.concatenate([-0.5 * np.sum(means**2, axis=1)[None, :], means.T])
    return Problem(_floats(X), _labels(y), _floats(theta), 0.0)


def separable(*, m: int = 40, gap: float = 1.0, seed: int = 0) -> Problem:
    """Two classes with an empty strip of width `gap` between them: x₁ + x₂ = 0 separates. Course 8.3.

    Without a penalty the logistic cost has no minimum here.
    """
    y = np.arange(m) % 2
    along, across = random_generator(seed).standard_normal(m), gap / 2 + random_generator(seed, 1).exponential(1.0, m)
    signed = np.where(y == 1, across, -across)
    X = np.stack([signed + along, signed - along], axis=1) / np.sqrt(2)
    return Problem(_floats(X), _labels(y), _floats([0.0, 1.0, 1.0]), 0.0)


def ill_conditioned(*, m: int = 200, d: int = 10, condition: float = 1e6, noise: float = 0.0, seed: int = 0) -> Problem:
    """y = 1 + Σ x_j + noise, where the singular values of X fall geometrically to 1/condition. Course 6.1."""
    if not 1 <= d <= m:
        raise ValueError(f"an ill-conditioned design needs 1 ≤ d ≤ m; got d = {d}, m = {m}")
    if not 1 <= condition < np.inf:
        raise ValueError(f"condition must be at least 1 and finite; got {condition}")
    U, _ = np.linalg.qr(random_generator(seed).standard_normal((m, d)))
    V, _ = np.linalg.qr(random_generator(seed, 1).standard_normal((d, d)))
    X = np.sqrt(m) * U * np.geomspace(1, 1 / condition, d) @ V.T
    return _regression(X, [1.0] * (d + 1), noise, seed)


def _regression(X: np.ndarray, theta: list[float], noise: float, seed: int) -> Problem:
    y = theta[0] + X @ np.asarray(theta[1:]) + noise * random_generator(seed, 2).standard_normal(len(X))
    return Problem(_floats(X), _floats(y), _floats(theta), noise)


def random_generator(seed: int, stream: int = 0) -> np.random.Generator:
    """The generator of a seed; streams of other numbers are independent. ValueError: seed is no whole number."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, at least 0; got {seed!r}")
    return np.random.Generator(np.random.PCG64([seed, stream]))


def _floats(values: ArrayLike | list) -> Array:
    return jnp.asarray(np.asarray(values), dtype=jnp.result_type(float))


def _labels(values: np.ndarray) -> Array:
    return jnp.asarray(values, dtype=jnp.int32)
