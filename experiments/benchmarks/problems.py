"""The data of the benchmarks, in NumPy, of fixed seeds."""

import numpy as np

Array = np.ndarray


def generator(seed: int = 0) -> np.random.Generator:
    """PCG64: the same numbers on every machine."""
    return np.random.Generator(np.random.PCG64(seed))


def design(m: int, d: int, *, condition: float = 1.0, rho: float = 0.0, dtype: str = "float64") -> Array:
    """X (m, d), normal: of this condition number in directions that no column has, or columns j and k correlated by
    rho^|j − k|."""
    rng = generator()
    X = rng.standard_normal((m, d), np.float32 if dtype == "float32" else np.float64)
    if condition != 1:
        X = (X * np.geomspace(1, 1 / condition, d, dtype=dtype)) @ rotation(d).astype(dtype)
    for j in range(1, d if rho else 0):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    return X


def rotation(d: int) -> Array:
    """An orthogonal (d, d), the same in every call."""
    return np.linalg.qr(generator(1).standard_normal((d, d)))[0]


def parameters(d: int, *, condition: float = 1.0, dtype: str = "float64") -> Array:
    """theta (d,) for such a design, with Xθ about 2 in size and every direction of as much weight in it."""
    theta = generator(2).standard_normal(d) * 2 / np.sqrt(d)
    if condition != 1:
        theta = rotation(d).T @ (theta * np.geomspace(1, condition, d))
    return theta.astype(dtype)


def regression(m: int, d: int, *, condition: float = 1.0, dtype: str = "float64") -> tuple[Array, Array]:
    """X (m, d) and y (m,) with noise of size 1."""
    X = design(m, d, condition=condition, dtype=dtype)
    noise = generator(3).standard_normal(m).astype(dtype)
    return X, X @ parameters(d, condition=condition, dtype=dtype) + noise


def sparse_regression(m: int, d: int, *, rho: float = 0.0, dtype: str = "float64") -> tuple[Array, Array]:
    """X (m, d) and y (m,) in which a twentieth of the features has a part, in columns as scikit-learn's lasso wants."""
    X = design(m, d, rho=rho, dtype=dtype)
    theta = np.where(generator(4).random(d) < 0.05, generator(2).standard_normal(d), 0).astype(dtype)
    return np.asfortranarray(X), X @ theta + generator(3).standard_normal(m).astype(dtype)


def two_classes(m: int, d: int, *, condition: float = 1.0, dtype: str = "float64") -> tuple[Array, Array]:
    """X (m, d) and y (m,) in {0, 1}, of a logistic model."""
    X = design(m, d, condition=condition, dtype=dtype)
    z = X @ parameters(d, condition=condition, dtype=dtype)
    return X, (generator(3).random(m) < 1 / (1 + np.exp(-z))).astype(dtype)


def classes(m: int, d: int, K: int, *, dtype: str = "float64") -> tuple[Array, Array]:
    """X (m, d) and y (m,) in 0…K−1, of a softmax model."""
    X = design(m, d, dtype=dtype)
    scores = X @ (generator(2).standard_normal((d, K)) * 2 / np.sqrt(d)).astype(dtype)
    return X, np.argmax(scores + generator(3).gumbel(size=(m, K)), axis=1).astype(np.int32)


def images(m: int, *, side: int = 28, dtype: str = "float64") -> tuple[Array, Array]:
    """X (m, side²) in [0, 1] and y (m,) in 0…9: smooth pictures of ten kinds, as ill-conditioned as pictures are."""
    rng, n = generator(), np.arange(side)
    waves = np.cos(np.pi * n[:, None] * (n + 0.5) / side) / (1 + n[:, None]) ** 1.2
    y = rng.integers(10, size=m, dtype=np.int32)
    centers = 0.35 * rng.standard_normal((10, side**2))
    X = (centers[y] + rng.standard_normal((m, side**2))) @ np.kron(waves, waves)
    return np.clip(0.3 + 0.3 * X / X.std(), 0, 1).astype(dtype), y
