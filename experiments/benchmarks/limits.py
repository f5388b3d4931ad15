"""What the machine can do: bytes read and operations of matrix products in a second, and the least time of a race."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.benchmarks.clock import timed
from experiments.benchmarks.race import Work

TIMES, CALLS = 5, 10
PRODUCTS = (  # name, dtype, precision
    ("float32", "float32", "highest"),
    ("float32, default precision", "float32", None),
    ("float64", "float64", None),
)


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


def of_card(quick: bool) -> Limits:
    """Of an accelerator: bytes read and written by y + a x, and products, which in float32 it computes in two ways."""
    n, size = (256, 2**20) if quick else (4096, 2**28)
    rates = {}
    for name, dtype, precision in PRODUCTS:
        with jax.enable_x64(dtype == "float64"):
            A = jax.random.normal(jax.random.key(0), (n, n), dtype)  # of ones the rate would be higher
            seconds = _fastest(lambda A, p=precision: jnp.dot(A, A, precision=p), A, calls=CALLS)
            rates[name] = 2 * n**3 / seconds
    with jax.enable_x64(False):
        x = jax.random.normal(jax.random.key(0), (size,), "float32")
        return Limits(3 * x.nbytes / _fastest(lambda x, y: y + 2 * x, x, x + 1, calls=CALLS), rates)


def _fastest(function, *arrays, calls: int = 1) -> float:
    """Seconds of a call, of several that the device has at once, so that it does not wait for the next."""
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(*arrays))
    runs = [timed(lambda: jax.block_until_ready([compiled(*arrays) for _ in range(calls)])) for _ in range(TIMES)]
    return min(seconds for _, seconds in runs) / calls
