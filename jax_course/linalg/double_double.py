r"""Sums of products carried in about twice the working precision.

    a = a_hi + a_lo,  a b = a_hi b_hi + a_hi b_lo + a_lo b_hi + a_lo b_lo      products exact, or negligibly inexact
    s = fl(a + b),  e = (a − (s − (s − a))) + (b − (s − a)),  s + e = a + b    Knuth's exact sum

The halves come from masking bits, not from Dekker's multiplication by 2²⁷ + 1: a compiler that contracts a product and
a sum to one instruction undoes that one. It leaves alone what is written here, since a product that is exact anyhow is
the same with and without the contraction.
"""

import jax.numpy as jnp
from jax import Array, lax

_LOW_HALF = {32: 12, 64: 27}  # bits masked from the significand, by the width of the number


def _split(a: Array) -> tuple[Array, Array]:
    width = 8 * a.dtype.itemsize
    bits = lax.bitcast_convert_type(a, jnp.dtype(f"uint{width}"))
    mask = jnp.array(-1 << _LOW_HALF[width], f"int{width}").view(f"uint{width}")
    high = lax.bitcast_convert_type(bits & mask, a.dtype)
    return high, a - high


def exact_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s = fl(a + b) and what it misses: s + e = a + b."""
    s = a + b
    from_b = s - a
    return s, (a - (s - from_b)) + (b - from_b)


def add_products(start: Array, rows: Array, factors: Array, rest: Array | None = None) -> Array:
    """start + rest + Σ_k factors_k rows_k, rounded about once; rest as small as what start misses of an `exact_sum`.

    Shapes: start and rest (n,), rows (K, n), factors (K,).
    """

    def add(total, row_and_factor):
        high, low = total
        (a, a_low), (b, b_low) = map(_split, row_and_factor)
        for part in (a * b, a * b_low, a_low * b):
            high, error = exact_sum(high, part)
            low = low + error
        return (high, low + a_low * b_low), None

    rest = jnp.zeros_like(start) if rest is None else rest
    (high, low), _ = lax.scan(add, (start, rest), (rows, factors))
    return high + low
