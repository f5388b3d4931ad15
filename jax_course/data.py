r"""Data: problems with known truth, small real tables, and what is done to them before a fit (course 2).

Random numbers come from NumPy's `Generator(PCG64)`, whose stream is fixed, so that a problem never changes with a
release of JAX. Everything is returned as JAX arrays in the default precision: float32, or float64 in 64-bit mode.

Shapes: X (m, d) without the column of ones; y (m,), class numbers as int32; theta (1 + d,) or (1 + d, K), the
parameters for `features.with_bias(X)`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import arrays, boundary, checks
from jax_course.typing import ArrayLike

__all__ = [
    "TABLES",
    "Problem",
    "Standardization",
    "Table",
    "ill_conditioned",
    "line",
    "one_hot",
    "plane",
    "polynomial",
    "separable",
    "split",
    "standardize",
    "table",
    "three_classes",
    "two_classes",
]


def __dir__() -> list[str]:
    return __all__


class Problem(NamedTuple):
    """X, y, and the truth they were made from: theta, and the standard deviation of the noise in y (regression)."""

    X: Array
    y: Array
    theta: Array
    noise: float


class Table(NamedTuple):
    """A real table: X (m, d), y (m,), and the names of its columns and of its classes (none for regression)."""

    X: Array
    y: Array
    features: tuple[str, ...]
    classes: tuple[str, ...]


class Standardization(NamedTuple):
    """x → (x − mean) / scale, with statistics kept from the examples it was made of. mean, scale: (d,)."""

    mean: Array
    scale: Array

    def __call__(self, X: ArrayLike) -> Array:
        """X (m, d) in these units."""
        return (self._of_same_width(X) - self.mean[None, :]) / self.scale[None, :]

    def inverse(self, Z: ArrayLike) -> Array:
        """The X that became Z."""
        return self._of_same_width(Z) * self.scale[None, :] + self.mean[None, :]

    def _of_same_width(self, X: ArrayLike) -> Array:
        X = checks.design(X)
        if X.shape[1] != self.mean.size:
            raise ValueError(f"X must have the {self.mean.size} columns of the training data; got shape {X.shape}")
        return X


# Problems with known truth.


def line(*, m: int = 20, noise: float = 0.5, seed: int = 0) -> Problem:
    """y = 1 + 2x + noise, x uniform in [0, 3]. Course 3.1."""
    return _regression(_rng(seed).uniform(0, 3, (m, 1)), [1.0, 2.0], noise, seed)


def plane(*, m: int = 60, noise: float = 0.5, seed: int = 0) -> Problem:
    """y = 1 + 2x₁ − 3x₂ + noise, x uniform in the unit square. Course 3.2."""
    return _regression(_rng(seed).uniform(0, 1, (m, 2)), [1.0, 2.0, -3.0], noise, seed)


def polynomial(theta: ArrayLike, *, m: int = 30, noise: float = 0.5, seed: int = 0) -> Problem:
    """y = θ₀ + θ₁x + … + θ_n xⁿ + noise, x uniform in [−1, 1]; fit it on features.polynomial. Course 6.3."""
    coefficients = np.asarray(theta, float)
    if coefficients.ndim != 1 or not coefficients.size:
        raise ValueError(f"theta must hold the coefficients θ₀, θ₁, …; got shape {coefficients.shape}")
    x = _rng(seed).uniform(-1, 1, m)
    y = np.polynomial.polynomial.polyval(x, coefficients) + noise * _rng(seed, 1).standard_normal(m)
    return Problem(_floats(x[:, None]), _floats(y), _floats(coefficients), noise)


def two_classes(*, m: int = 200, distance: float = 2.0, seed: int = 0) -> Problem:
    """Two round Gaussian classes in the plane, unit variance, their means `distance` apart. Course 8.3.

    With equal priors the true P(y = 1 given x) is a logistic function of x; theta holds its parameters.
    """
    y = _rng(seed).integers(0, 2, m)
    X = _rng(seed, 1).standard_normal((m, 2))
    X[:, 0] += distance * (y - 0.5)
    return Problem(_floats(X), _labels(y), _floats([0.0, distance, 0.0]), 0.0)


def three_classes(*, m: int = 300, distance: float = 3.0, seed: int = 0) -> Problem:
    """Three round Gaussian classes, unit variance, their means on a triangle of side `distance`. Course 9.1.

    theta (3, 3): log P(x given class) = x·mean − ‖mean‖²/2 up to what all classes share.
    """
    angles = np.pi / 2 + 2 * np.pi * np.arange(3) / 3
    means = distance / np.sqrt(3) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    y = _rng(seed).integers(0, 3, m)
    X = means[y] + _rng(seed, 1).standard_normal((m, 2))
    theta = np.concatenate([-0.5 * np.sum(means**2, axis=1)[None, :], means.T])
    return Problem(_floats(X), _labels(y), _floats(theta), 0.0)


def separable(*, m: int = 40, gap: float = 1.0, seed: int = 0) -> Problem:
    """Two classes with an empty strip of width `gap` between them: x₁ + x₂ = 0 separates. Course 8.3.

    Without a penalty the logistic cost has no minimum here.
    """
    y = np.arange(m) % 2
    along, across = _rng(seed).standard_normal(m), gap / 2 + _rng(seed, 1).exponential(1.0, m)
    signed = np.where(y == 1, across, -across)
    X = np.stack([signed + along, signed - along], axis=1) / np.sqrt(2)
    return Problem(_floats(X), _labels(y), _floats([0.0, 1.0, 1.0]), 0.0)


def ill_conditioned(*, m: int = 200, d: int = 10, condition: float = 1e6, noise: float = 0.0, seed: int = 0) -> Problem:
    """y = 1 + Σ x_j + noise, where the singular values of X fall geometrically to 1/condition. Course 6.1."""
    if not 1 <= d <= m:
        raise ValueError(f"an ill-conditioned design needs 1 ≤ d ≤ m; got d = {d}, m = {m}")
    if not 1 <= condition < np.inf:
        raise ValueError(f"condition must be at least 1 and finite; got {condition}")
    U, _ = np.linalg.qr(_rng(seed).standard_normal((m, d)))
    V, _ = np.linalg.qr(_rng(seed, 1).standard_normal((d, d)))
    X = np.sqrt(m) * U * np.geomspace(1, 1 / condition, d) @ V.T
    return _regression(X, [1.0] * (d + 1), noise, seed)


def _regression(X: np.ndarray, theta: list[float], noise: float, seed: int) -> Problem:
    y = theta[0] + X @ np.asarray(theta[1:]) + noise * _rng(seed, 2).standard_normal(len(X))
    return Problem(_floats(X), _floats(y), _floats(theta), noise)


def _rng(seed: int, stream: int = 0) -> np.random.Generator:
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, at least 0; got {seed!r}")
    return np.random.Generator(np.random.PCG64([seed, stream]))


def _floats(values: ArrayLike | list) -> Array:
    return jnp.asarray(np.asarray(values), dtype=jnp.result_type(float))


def _labels(values: np.ndarray) -> Array:
    return jnp.asarray(values, dtype=jnp.int32)


# Real tables.

TABLES = ("breast_cancer", "diabetes", "digits", "iris", "wine")


def table(name: str) -> Table:
    """One of the small tables that come with scikit-learn: 'breast_cancer', 'diabetes', 'digits', 'iris' or 'wine'.

    diabetes is a regression (progression of the disease after a year, 25 to 346, features standardized by its authors);
    the others are classifications. Needs the extra `experiments`; reads no network.
    """
    if name not in TABLES:
        raise ValueError(f"the tables are {', '.join(TABLES)}; got {name!r}")
    try:
        from sklearn import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the tables come with scikit-learn, which is not installed: pip install 'jax-course[experiments]'"
        ) from error
    bunch = getattr(datasets, f"load_{name}")()
    classes = tuple(str(c) for c in bunch.get("target_names", ()))
    y = _labels(bunch.target) if classes else _floats(bunch.target)
    return Table(_floats(bunch.data), y, tuple(str(f) for f in bunch.feature_names), classes)


# Before a fit.


def split(X: ArrayLike, y: ArrayLike, *, test: float = 0.25, seed: int = 0) -> tuple[tuple, tuple]:
    """(X_train, y_train), (X_test, y_test): a random share `test` of the examples is put aside, both parts non-empty.

    >>> (X, y), (X_test, y_test) = split(jnp.ones((8, 2)), jnp.arange(8))
    >>> X.shape, y_test.shape
    ((6, 2), (2,))
    """
    X, y = checks.design(X), arrays.numbers(y, "y")
    m = X.shape[0]
    if y.shape[:1] != (m,):
        raise ValueError(f"y must have a value for each of the {m} rows of X; got shape {y.shape}")
    m_test = round(test * m)
    if not 0 < m_test < m:
        raise ValueError(f"test must leave both parts non-empty; {test} of {m} examples is {m_test}")
    order = _rng(seed).permutation(m)
    train_rows, test_rows = np.sort(order[m_test:]), np.sort(order[:m_test])
    return (_rows(X, train_rows), _rows(y, train_rows)), (_rows(X, test_rows), _rows(y, test_rows))


@jax.jit
def _rows(of: Array, chosen: Array) -> Array:
    return of[chosen]


def standardize(X: ArrayLike) -> Standardization:
    """The transform that gives every column of X mean 0 and standard deviation 1 (a constant column: 0).

    It is returned, not applied, so that test data gets the statistics of the training data.

    >>> to_units = standardize(jnp.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> to_units(jnp.array([[5.0, 5.0]]))
    Array([[3., 0.]], dtype=float64)
    """
    X = checks.design(X)
    boundary.finite(X, "X")
    return _standardization(X)


@jax.jit
def _standardization(X: Array) -> Standardization:
    constant = jnp.max(X, axis=0) == jnp.min(X, axis=0)
    mean = X[0] + jnp.mean(X - X[:1], axis=0)  # from the first row on, so that a large offset costs no digits
    size = jnp.where(constant, 1, jnp.max(jnp.abs(X - mean[None, :]), axis=0))  # so that no square over- or underflows
    deviation = size * jnp.sqrt(jnp.mean(((X - mean[None, :]) / size[None, :]) ** 2, axis=0))
    return Standardization(jnp.where(constant, X[0], mean), jnp.where(constant, 1, deviation))


def one_hot(y: ArrayLike, classes: int) -> Array:
    """1_c(y): a row per example with a 1 in the column of its class, shape (m, classes). Course 9.2.

    >>> one_hot(jnp.array([2, 0]), 3)
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float64)
    """
    y = arrays.numbers(y, "y")
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"y must be integers of shape (m,); got {y.dtype} of shape {y.shape}")
    numbers = np.asarray(y) if arrays.is_concrete(y) and y.size else np.zeros(1)
    if not (0 <= numbers.min() and numbers.max() < classes):
        raise ValueError(f"y must hold class numbers 0…{classes - 1}; got {numbers.min()} to {numbers.max()}")
    return (y.astype(jnp.int32)[:, None] == jnp.arange(classes, dtype=jnp.int32)[None, :]).astype(
        jnp.result_type(float)
    )
