r"""Squared distances between the rows of two matrices: ‖x − c‖² = Σ_j (x_j − c_j)².

Not from ‖x‖² − 2xᵀc + ‖c‖², which is one fast matrix product and loses to cancellation whatever both points have in
common, or comes out negative. A few features at a time are subtracted, squared and summed in one pass over the result,
so that no array of m × n × d numbers is formed.
"""

import jax.numpy as jnp
from jax import Array, lax

FEATURES = 16  # in one pass; more make the program large and hardly faster


def squared_distances(X: Array, centers: Array) -> Array:
    """‖x − c‖² for every row x of X (m, d) and c of centers (n, d), shape (m, n); exactly 0 where they are equal.

    >>> squared_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]]), jnp.array([[3.0, 4.0]]))
    Array([[25.],
           [ 0.]], dtype=float64)
    """
    d = X.shape[1]
    if d <= FEATURES:
        return _sum_over_features(X.T, centers.T)
    padded = (jnp.pad(Z, ((0, 0), (0, -d % FEATURES))).T.reshape(-1, FEATURES, len(Z)) for Z in (X, centers))
    start = jnp.zeros((len(X), len(centers)), X.dtype)
    total, _ = lax.scan(lambda total, features: (total + _sum_over_features(*features), None), start, tuple(padded))
    return total


def _sum_over_features(X: Array, centers: Array) -> Array:
    """Squared distances from features in rows: X (k, m), centers (k, n)."""
    total = jnp.zeros((X.shape[1], centers.shape[1]), X.dtype)
    for x, c in zip(X, centers, strict=True):
        total = total + (x[:, None] - c[None, :]) ** 2
    return total
