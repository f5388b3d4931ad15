r"""Kernel ridge regression where the kernel matrix does not fit in memory (course 6.4).

    (K + δ²I) θ = y  by conjugate gradients, K θ by blocks of rows of K that are made, used and forgotten
    P = δ²I + B Bᵀ,  B = K_mn L⁻ᵀ,  K_nn = L Lᵀ                      the preconditioner, from n of the m points
    P⁻¹v = (v − B (δ²I + BᵀB)⁻¹ Bᵀv) / δ²                            by Woodbury

B Bᵀ is what n of the points know of K (Nyström): its large eigenvalues, which are what makes conjugate gradients slow.
Memory is O(m n) for B and `BLOCK` numbers for a block of K, instead of O(m²). Where K does fit, the same steps cost
less than its factor.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.features import rbf_kernel
from jax_course.linalg import gram, product, spd_factor, transpose_product
from jax_course.linalg.lapack import cholesky, solve_triangular

BLOCK = 2**21  # numbers in a block of the kernel
POINTS = 512  # of the preconditioner
MOST_STEPS = 1000
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}  # of ‖y − (K + δ²I)θ‖ relative to ‖y‖


class _State(NamedTuple):
    theta: Array
    r: Array
    p: Array
    rz: Array
    steps: Array


def kernel_product(theta: Array, X: Array, centers: Array, scale: Array) -> Array:
    """The kernel times theta (n,) or (n, K), shape (m,) or (m, K): `BLOCK` numbers of the kernel at a time at most."""
    rows = max(1, BLOCK // len(centers))
    if len(X) <= rows:
        return product(rbf_kernel(X, centers, scale), theta)
    return lax.map(lambda x: product(rbf_kernel(x[None, :], centers, scale), theta)[0], X, batch_size=rows)


def solve_by_blocks(X: Array, y: Array, scale: Array, delta2: Array) -> tuple[Array, Array]:
    """θ with (K + δ²I)θ = y, and the steps that it took. X (m, d), y (m,), δ² > 0."""
    enough = TOLERANCE[str(y.dtype)] / 2
    return solve_by_conjugate_gradients(
        lambda v: kernel_product(v, X, X, scale), X, y, scale, delta2, enough, MOST_STEPS
    )


def solve_by_conjugate_gradients(
    K: Callable[[Array], Array], X: Array, y: Array, scale: Array, delta2: Array, enough: float, most_steps: int
) -> tuple[Array, Array]:
    """The same where K gives the product Kv, until the residual is enough, relative to y."""
    P_inverse = _preconditioner(X, scale, delta2)

    def step(state):
        theta, r, p, rz, steps = state
        Ap = K(p) + delta2 * p
        alpha = rz / (p @ Ap)
        r = r - alpha * Ap
        z = P_inverse(r)
        new_rz = r @ z
        return _State(theta + alpha * p, r, z + new_rz / rz * p, new_rz, steps + 1)

    def running(state):
        norm = jnp.linalg.norm(state.r)
        return (norm > enough * jnp.linalg.norm(y)) & jnp.isfinite(norm) & (state.steps < most_steps)

    z = P_inverse(y)
    end = lax.while_loop(running, step, _State(jnp.zeros_like(y), y, z, y @ z, jnp.zeros((), jnp.int32)))
    return end.theta, end.steps


def _preconditioner(X: Array, scale: Array, delta2: Array):
    chosen = X[:: max(1, len(X) // POINTS)][:POINTS]
    n = len(chosen)
    of_chosen = rbf_kernel(chosen, chosen, scale) + 10 * n * jnp.finfo(X.dtype).eps * jnp.eye(n, dtype=X.dtype)
    L = cholesky(of_chosen)
    B = solve_triangular(L, rbf_kernel(chosen, X, scale), lower=True).T
    inner = spd_factor(gram(B) + delta2 * jnp.eye(n, dtype=X.dtype))
    return lambda v: (v - product(B, inner.solve(transpose_product(B, v)))) / delta2
