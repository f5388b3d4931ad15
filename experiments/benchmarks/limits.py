"""What the machine can do: bytes read and operations of matrix products in a second, and the least time of a race."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.benchmarks.clock import timed
from experiments.benchmarks.race import Work

TIMES = 5


class Limits(NamedTuple):
    """Bytes a second; operations a second in the products of square matrices, by dtype."""

    read: float
    products: dict[str, float]

    def seconds(self, work: Work, dtype: str) -> float | None:
        """The least time of such work; None where nothing is known of it."""
        least = max(work.bytes / self.read, work.operations / self.products[dtype])
        return least or None


def measured(quick: bool) -> Limits:
    """Of JAX's device, the best of several."""
    n, size = (512, 2**22) if quick else (2048, 2**26)
    rates = {}
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            rates[dtype] = 2 * n**3 / _fastest(lambda A: jnp.matmul(A, A, precision="highest"), jnp.ones((n, n)))
    return Limits(4 * size / _fastest(jnp.sum, jnp.ones(size, jnp.float32)), rates)


def _fastest(function, array) -> float:
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(array))
    return min(timed(lambda: jax.block_until_ready(compiled(array)))[1] for _ in range(TIMES))
