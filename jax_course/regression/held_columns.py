r"""The working set of a lasso: a few columns of X, held with their Gram matrix, some of which are exchanged in a round.

A column of X that lies in rows is gathered slowly, and the Gram matrix of k columns costs m k². So what a round needs
anew is all that it computes: the columns that enter, and their products with those that are held.

Shapes: X (m, d), W columns of it are held, B enter in a round. A place without a column holds zeros and has index d.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import product


class Columns(NamedTuple):
    """Which columns are held, (W,); the columns as rows, (W, m); their Gram matrix (W, W)."""

    indices: Array
    rows: Array
    G: Array

    def part(self, values: Array, fill: float = 0.0) -> Array:
        """The values (n, d) of the columns that are held, (n, W)."""
        return jnp.take(values, self.indices, axis=1, mode="fill", fill_value=fill)

    def spread(self, values: Array, d: int) -> Array:
        """Values (n, d) that are these (n, W) in the columns that are held, and 0 elsewhere."""
        return jnp.zeros((len(values), d), values.dtype).at[:, self.indices].set(values, mode="drop")


def no_columns(X: Array, places: int) -> Columns:
    """As many empty places.

    >>> no_columns(jnp.ones((3, 5)), 2).indices
    Array([5, 5], dtype=int32)
    """
    (m, d), W = X.shape, places
    return Columns(jnp.full(W, d, jnp.int32), jnp.zeros((W, m), X.dtype), jnp.zeros((W, W), X.dtype))


def exchanged(held: Columns, X: Array, scale: Array, priority: Array, count: int) -> Columns:
    """Up to `count` other columns of X diag(scale) with the highest priority (d,) above 1 enter.

    They enter in empty places, then in those of the lowest priority, if it is lower than theirs.

    >>> X, one = jnp.array([[1.0, 2.0, 3.0]]), jnp.ones(3)
    >>> held = exchanged(no_columns(X, 2), X, one, jnp.array([4.0, 3.0, 2.0]), 2)
    >>> exchanged(held, X, one, jnp.array([4.0, 0.5, 2.0]), 1).G
    Array([[1., 3.],
           [3., 9.]], dtype=float64)
    """
    own = jnp.take(priority, held.indices, mode="fill", fill_value=-1)
    least, places = lax.top_k(-own, count)
    others = priority.at[held.indices].set(-1, mode="drop")
    most, entering = lax.top_k(others, count)
    enters = most > jnp.maximum(-least, 1)
    new = jnp.where(enters, entering, held.indices[places])
    columns = jnp.take(X, new, axis=1, mode="fill", fill_value=0) * jnp.take(scale, new, mode="clip")[None, :]
    rows = held.rows.at[places].set(columns.T)
    products = product(rows, columns)
    G = held.G.at[:, places].set(products).at[places, :].set(products.T)
    return Columns(held.indices.at[places].set(new.astype(held.indices.dtype)), rows, G)
