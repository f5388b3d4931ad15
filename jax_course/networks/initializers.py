r"""How weights begin: random, of the variance that keeps signals from growing or dying out (course 12.1).

In z = Σ_i x_i θ_i over d_in independent inputs, with weights of mean 0, var z = d_in var θ E[x²]; in δ_i = Σ_o δ_o θ_io
over d_out outputs, var δ_i = d_out var θ var δ_o.

    he        var θ = 2/d_in                 keeps E[z²] through ReLU layers, which halve it (He et al. 2015)
    lecun     var θ = 1/d_in                 keeps var z through layers that are linear near 0
    glorot    var θ = 2/(d_in + d_out)       keeps var z and var δ as well as one number can (Glorot & Bengio 2010)

All are normal. An initializer is a function (key, d_in, d_out) → weights (d_in, d_out).
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["glorot", "he", "lecun"]


def __dir__() -> list[str]:
    return __all__


Initializer = Callable[[Array, int, int], Array]


def he(key: Array, d_in: int, d_out: int) -> Array:
    """Normal with variance 2/d_in, shape (d_in, d_out). Course 12.1.

    >>> round(float(jnp.var(he(jax.random.key(0), 200, 300)) * 200), 1)
    2.0
    """
    return _normal(key, d_in, d_out, 2 / d_in)


def lecun(key: Array, d_in: int, d_out: int) -> Array:
    """Normal with variance 1/d_in, shape (d_in, d_out). Course 12.1.

    >>> round(float(jnp.var(lecun(jax.random.key(0), 200, 300)) * 200), 1)
    1.0
    """
    return _normal(key, d_in, d_out, 1 / d_in)


def glorot(key: Array, d_in: int, d_out: int) -> Array:
    """Normal with variance 2/(d_in + d_out), shape (d_in, d_out). Course 12.1.

    >>> round(float(jnp.var(glorot(jax.random.key(0), 200, 300)) * 250), 1)
    1.0
    """
    return _normal(key, d_in, d_out, 2 / (d_in + d_out))


# one program for a shape, where a new process would wait for three
@partial(jax.jit, static_argnames=("d_in", "d_out", "variance"))
def _normal(key: Array, d_in: int, d_out: int, variance: float) -> Array:
    return jax.random.normal(key, (d_in, d_out)) * jnp.sqrt(variance)
