r"""A subsample of the examples, reweighted to the full size: its preconditioner, and its curvature as a certificate.

    A = G + 2 diag(δ²),  G = Σ w s x xᵀ over the subsample          the curvature, s = π(1 − π)

Of K classes s is the mean curvature of an example over them, (1 − Σ π²)/(K − 1). G of a subsample is a rough estimate.
Where its entries beside the diagonal are mostly sampling noise, by the shrinkage of Ledoit and Wolf (J. Multivariate
Analysis 88, 2004), its diagonal alone is better.

Separable classes. If v separates them, every example pulls the same way: gᵀv = −Σ |∂C/∂z_i| |x_i v|. The curvature of
an example is at most |∂C/∂z_i|, since π(1 − π) ≤ |π − y|. So vᵀHv ≤ max|x_i v| Σ |∂C/∂z_i| |x_i v| ≤ max|x_i v| ‖g‖‖v‖:
where g is small, and some of the examples alone have curvature in every direction, there is no such v. Of K classes the
curvature is the variance of u_c = x v_c under π, at most Σ_c π_c (u_y − u_c)², and the same follows.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jax_course.linalg import Factored, gram, product, spd_factor, sum_over_blocks
from jax_course.linear_cost import LinearCost, weighted

SUBSAMPLE = 2**13  # examples at least, 16 for each column, and a sixteenth of all
BLOCK = 1024  # rows
HESSIAN_BLOCK = 4096
NEAR = 64  # roundings of float32: a Hessian whose reciprocal condition is below has directions of nothing else
LARGEST_SHRINKAGE = 0.5  # share of noise beside the diagonal of G: beyond it the diagonal alone is nearer to the truth
CURVATURE_ROWS, ROWS_PER_COLUMN = 1024, 4  # examples whose curvature is the certificate: these, and some per column
LEAST_CURVATURE = 1e-4  # at the end, in units of that at the start
GOLDEN = 0.6180339887498949


def subsample_size(m: int, d: int) -> int:
    """The number of examples, of m with d columns, in the subsample."""
    size = max(SUBSAMPLE, 16 * d, m // 16)
    return m if size > m // 3 else size


def subsample(cost: LinearCost) -> LinearCost:
    """The cost of evenly spread examples, reweighted so that they stand for all; the cost itself where m is small."""
    m, d = cost.X.shape
    size = subsample_size(m, d)
    if size == m:
        return cost
    rows = np.unique(np.floor(np.modf(np.arange(1, size + 1) * GOLDEN)[0] * m).astype(np.int32))
    X, y = (jnp.asarray(a).at[rows].get(mode="promise_in_bounds") for a in (cost.X, cost.y))
    w = cost.w if cost.w.ndim == 0 else cost.w[rows]
    return cost._replace(X=X, y=y, w=w * (m / len(rows)))  # or the penalty would weigh more than it does beside all


def gram_preconditioner(cost: LinearCost, theta: Array) -> tuple[Factored, Factored]:
    """The factor of A at theta, of the diagonal of G alone where the rest of it is noise; and that of all of G."""
    curvature = cost.loss.mean_curvature(product(cost.X, theta), cost.y)
    G = gram(cost.X, weighted(cost.w, curvature))
    penalty = jnp.diag(2 * jnp.mean(cost.delta2.reshape(len(G), -1), axis=1))
    full = spd_factor(G + penalty)
    is_noise = _ledoit_wolf_shrinkage(cost.X, cost.w * curvature, G) > LARGEST_SHRINKAGE
    G = jnp.where(is_noise, jnp.diag(jnp.diagonal(G)), G)
    return spd_factor(G + penalty), full


def hessian_preconditioner(cost: LinearCost, theta: Array, preconditioner: Factored) -> tuple[Factored, Array]:
    """The factor of the Hessian of all d K parameters at theta, in float32, and whether it is near enough.

    A vector added to all classes meets no curvature but the penalty's: there it has that of `preconditioner` too, of d.
    """
    (d, K), size = cost.delta2.shape, cost.delta2.size

    def block_hessian(X: Array, w: Array, y: Array) -> Array:
        z, X, w = (a.astype(jnp.float32) for a in (product(X, theta), X, w))
        return cost.loss.hessian(z, y, X, w)

    root = (preconditioner.L / preconditioner.scale[:, None]).astype(jnp.float32)
    shift = product(root, root.T)[:, None, :, None] / K
    penalty = jnp.diag(2 * cost.delta2.reshape(-1).astype(jnp.float32))
    H = _sum_over_blocks(block_hessian, cost.X, cost.w, HESSIAN_BLOCK, cost.y) + jnp.broadcast_to(shift, (d, K, d, K))
    # a barrier, or the sums over the classes are made anew wherever H is read
    factored = spd_factor(lax.optimization_barrier(H.reshape(size, size) + penalty))
    # a preconditioner may be wrong along directions that only the rounding of a few entries decides
    near = factored.is_regular(NEAR * jnp.finfo(jnp.float32).eps)
    return Factored(*(a.astype(theta.dtype) for a in factored)), near


def _ledoit_wolf_shrinkage(X: Array, w: Array, G: Array) -> Array:
    """The share of sampling noise in G = Σ w x xᵀ beside its diagonal, for columns in units of their lengths."""
    scale = jnp.where(jnp.diagonal(G) > 0, 1 / jnp.sqrt(jnp.diagonal(G)), 0)
    total = jnp.sum(jnp.broadcast_to(w, X.shape[:1]))
    C = scale[:, None] * G * scale[None, :]
    squares = _sum_over_blocks(lambda X, w: jnp.sum(w * (total * product(X**2, scale**2)) ** 2), X, w, BLOCK)
    variance = (squares / total - jnp.sum(C**2)) / len(X)
    distance = jnp.sum((C - jnp.diag(jnp.diagonal(C))) ** 2)
    return jnp.clip(variance / jnp.where(distance > 0, distance, 1), 0, 1)


def rounding(cost: LinearCost, theta: Array) -> Array:
    """The norm of `LinearCost.rounded_gradient`, computed block by block."""

    def block_sum(X: Array, w: Array, y: Array) -> Array:
        return cost._replace(X=X, y=y, w=w).rounded_moment(theta)

    rounded = _sum_over_blocks(block_sum, cost.X, cost.w, BLOCK, cost.y) + 2 * cost.delta2 * jnp.abs(theta)
    return 8 * jnp.finfo(theta.dtype).eps * jnp.linalg.norm(rounded)


def _sum_over_blocks(block_sum: Callable[..., Array], X: Array, w: Array, rows: int, *each: Array) -> Array:
    """Σ block_sum(X, w, …) over blocks of rows: for all of X at once it would take as much memory as X itself."""
    if w.ndim:
        return sum_over_blocks(block_sum, X, w, *each, rows=rows)
    return sum_over_blocks(lambda X, *each: block_sum(X, w, *each), X, *each, rows=rows)


def is_curved(cost: LinearCost, theta: Array, A: Factored) -> Array:
    """Whether a subset has curvature at theta in every direction, in units of A, the curvature at the start."""
    few = min(len(cost.X), ROWS_PER_COLUMN * len(theta) + CURVATURE_ROWS)
    X, w = cost.X[:few], cost.w if cost.w.ndim == 0 else cost.w[:few]
    curvature = w * cost.loss.min_curvature(product(X, theta), cost.y[:few]) * (len(cost.X) / few)
    H = gram(X, curvature) + 2 * jnp.diag(jnp.min(cost.delta2.reshape(len(theta), -1), axis=1))
    preconditioned = A.half_solve(A.half_solve(H).T)
    return spd_factor(preconditioned).rcond * jnp.min(jnp.diagonal(preconditioned)) > LEAST_CURVATURE
