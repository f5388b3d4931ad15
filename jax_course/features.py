r"""Features: X → Φ(X), columns that a linear model combines (course 3, 6.3, 6.4).

    with_bias     Φ = [1, x₁, …, x_d]                                                    3.2
    polynomial    Φ = [1, x₁, x₂, x₁², x₂², x₁x₂]      (d = 2, degree 2)                 6.3
    rbf           Φ = [k(x, μ₁), …, k(x, μ_n)],  k(x, μ) = exp(−‖x − μ‖² / λ)             6.4
    concatenate   Φ = [φ(x), ψ(x), …]                                                    6.3

Shapes: X (m, d); Φ (m, number of features). λ is called `scale`, the μ are the rows of `centers`.
"""

from collections.abc import Callable
from itertools import combinations_with_replacement

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import squared_distances

__all__ = ["concatenate", "polynomial", "rbf", "with_bias"]


def __dir__() -> list[str]:
    return __all__


def with_bias(X: ArrayLike) -> Array:
    """[1, X], shape (m, 1 + d): the column of ones is x₀, its parameter the bias. Course 3.2.

    >>> with_bias(jnp.array([[2.0], [3.0]]))
    Array([[1., 2.],
           [1., 3.]], dtype=float64)
    """
    return _with_bias(inputs.design(X))


@jax.jit
def _with_bias(X: Array) -> Array:
    return jnp.concatenate([jnp.ones_like(X[:, :1]), X], axis=1)


def polynomial(X: ArrayLike, *, degree: int) -> Array:
    """All monomials up to `degree`, shape (m, (d + degree choose degree)). Course 6.3.

    In rising degree; within a degree pure powers first, then in the order of the features, as in the course.

    >>> polynomial(jnp.array([[2.0, 3.0]]), degree=2)
    Array([[1., 2., 3., 4., 9., 6.]], dtype=float64)
    """
    if degree < 0:
        raise ValueError(f"degree must be at least 0; got {degree}")
    ones_and_X = with_bias(X)
    factors = _monomials(ones_and_X.shape[1] - 1, degree)
    phi = jnp.ones((ones_and_X.shape[0], len(factors)), ones_and_X.dtype)
    for factor in factors.T:
        phi = phi * ones_and_X[:, factor]
    return phi


def _monomials(d: int, degree: int) -> np.ndarray:
    """A row per monomial: the columns of [1, X] of which it is the product, padded with the column of ones."""
    features = range(1, d + 1)
    rows = [
        (0,) * (degree - n) + monomial
        for n in range(degree + 1)
        for monomial in sorted(combinations_with_replacement(features, n), key=lambda factors: len(set(factors)))
    ]
    return np.array(rows, dtype=np.int32).reshape(len(rows), degree)


def rbf(X: ArrayLike, *, centers: ArrayLike, scale: ArrayLike) -> Array:
    """exp(−‖x − μ‖² / λ) for every row x of X and μ of `centers`, shape (m, number of centers). Course 6.4.

    λ = `scale` > 0 is in squared units of x: the kernel has fallen to 1/e at the distance √λ.

    >>> rbf(jnp.array([[0.0], [2.0]]), centers=jnp.array([[0.0]]), scale=4.0)[:, 0] / jnp.exp(-1.0)
    Array([2.71828183, 1.        ], dtype=float64)
    """
    X = inputs.design(X)
    centers = inputs.as_array(centers, "centers", like=X).astype(X.dtype)
    scale = inputs.as_array(scale, "scale", like=X).astype(X.dtype)
    if centers.ndim != 2 or centers.shape[1] != X.shape[1]:
        raise ValueError(f"centers must have shape (n, {X.shape[1]}), a row per center; got shape {centers.shape}")
    if scale.ndim != 0:
        raise ValueError(f"scale must be a scalar; got shape {scale.shape}")
    smallest = jnp.finfo(X.dtype).tiny  # XLA takes smaller numbers for 0
    if inputs.is_concrete(scale) and not np.asarray(scale) >= smallest:
        raise ValueError(f"scale must be positive; got {scale}")
    return _rbf(X, centers, scale)


@jax.jit
def _rbf(X: Array, centers: Array, scale: Array) -> Array:
    return jnp.exp(-squared_distances(X, centers) / scale)


def concatenate(*maps: Callable[[Array], Array]) -> Callable[[ArrayLike], Array]:
    """The feature map X → [φ(X), ψ(X), …]: mixed bases. Course 6.3.

    >>> from functools import partial
    >>> phi = concatenate(partial(polynomial, degree=1), partial(rbf, centers=jnp.array([[2.0]]), scale=1.0))
    >>> phi(jnp.array([[2.0]]))
    Array([[1., 2., 1.]], dtype=float64)
    """
    if not maps:
        raise ValueError("concatenate needs at least one feature map; got none")

    def mixed(X: ArrayLike) -> Array:
        X = inputs.design(X)
        return jnp.concatenate([phi(X) for phi in maps], axis=1)

    return mixed
