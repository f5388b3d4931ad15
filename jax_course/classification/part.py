r"""What a part of the examples tells of all of them, to a fit of a linear classifier.

    A = G + 2 diag(δ²),  G = Σ w s x xᵀ over the part               the curvature, s = π(1 − π)

Of K classes s is the mean curvature of an example over them, (1 − Σ π²)/(K − 1). G of a part is a rough estimate.
Where what it has beside its diagonal is mostly chance, by the criterion of Ledoit and Wolf (J. Multivariate Analysis
88, 2004), its diagonal alone is better.

Separable classes. If v separates them, every example pulls the same way: gᵀv = −Σ |∂C/∂z_i| |x_i v|. The curvature of
an example is at most |∂C/∂z_i|, since π(1 − π) ≤ |π − y|. So vᵀHv ≤ max|x_i v| Σ |∂C/∂z_i| |x_i v| ≤ max|x_i v| ‖g‖‖v‖:
where g is small, and some of the examples alone have curvature in every direction, there is no such v. Of K classes the
curvature is the variance of u_c = x v_c under π, at most Σ_c π_c (u_y − u_c)², and the same follows.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jax_course.linalg import Factored, gram, product, spd_factor, sum_over_blocks, transpose_product

PART = 2**13  # examples at least, 16 for each column, and a sixteenth of all
BLOCK = 1024  # rows
HESSIAN_BLOCK = 4096
NEAR = 64  # roundings of float32: a Hessian whose reciprocal condition is below has directions of nothing else
LEAST_CURVATURE = 1e-4  # at the end, in units of that at the start
GOLDEN = 0.6180339887498949


class Logits(NamedTuple):
    """A model as functions of its logits Z, (m,) or (m, K), and of y."""

    cost: Callable[[Array, Array], Array]  # of an example, (m,)
    slope: Callable[[Array, Array], Array]  # ∂C/∂Z, like Z
    curvature: Callable[[Array, Array, Array], Array]  # of Z, X and w: the Hessian, (d, d) or (d, K, d, K)
    mean_spread: Callable[[Array], Array]  # the curvature of an example, on average over the classes, (m,)
    least_spread: Callable[[Array], Array]  # a lower bound on the curvature of an example in any direction, (m,)


class Examples(NamedTuple):
    """X (m, d), y (m,), and the weights, a scalar or (m,)."""

    X: Array
    y: Array
    w: Array


def part_of(examples: Examples) -> Examples:
    """Some of the examples, evenly spread, each as often as it stands for others; all where there are not many."""
    m, d = examples.X.shape
    size = max(PART, 16 * d, m // 16)
    if size > m // 3:
        return examples
    rows = np.unique(np.floor(np.modf(np.arange(1, size + 1) * GOLDEN)[0] * m).astype(np.int32))
    X, y = (jnp.asarray(a).at[rows].get(mode="promise_in_bounds") for a in examples[:2])
    w = examples.w if examples.w.ndim == 0 else examples.w[rows]
    return Examples(X, y, w)


def metric_of(of: Logits, part: Examples, delta2: Array, theta: Array) -> tuple[Factored, Factored]:
    """The factor of A at theta, and the same from all of G."""
    spread = of.mean_spread(product(part.X, theta))
    G = gram(part.X, weighted(part.w, spread))
    of_penalty = 2 * jnp.mean(delta2.reshape(len(G), -1), axis=1)
    of_part = spd_factor(G + jnp.diag(of_penalty))
    G = jnp.where(_chance(part._replace(w=part.w * spread), G) > 0.5, jnp.diag(jnp.diagonal(G)), G)
    return spd_factor(G + jnp.diag(of_penalty)), of_part


def hessian_metric(of: Logits, part: Examples, delta2: Array, theta: Array, metric: Factored) -> tuple[Factored, Array]:
    """The factor of the Hessian of all d K parameters at theta, in float32, and whether it is near enough.

    A vector added to all classes meets no curvature but the penalty's: there it has that of `metric` too, of d.
    """
    (d, K), size = delta2.shape, delta2.size

    def of_block(X: Array, w: Array) -> Array:
        half = (a.astype(jnp.float32) for a in (product(X, theta), X, w))
        return of.curvature(*half)

    root = (metric.L / metric.scale[:, None]).astype(jnp.float32)
    of_a_shift = product(root, root.T)[:, None, :, None] / K
    of_penalty = jnp.diag(2 * delta2.reshape(-1).astype(jnp.float32))
    H = _sum_over_blocks(of_block, part, HESSIAN_BLOCK) + jnp.broadcast_to(of_a_shift, (d, K, d, K))
    # a barrier, or the sums over the classes are made anew wherever H is read
    factored = spd_factor(lax.optimization_barrier(H.reshape(size, size) + of_penalty))
    # a preconditioner may be wrong along directions that only the rounding of a few entries decides
    near = factored.is_regular(NEAR * jnp.finfo(jnp.float32).eps)
    return Factored(*(a.astype(theta.dtype) for a in factored)), near


def _chance(part: Examples, G: Array) -> Array:
    """The share of chance in what G has beside its diagonal, for columns in units of their lengths."""
    scale = jnp.where(jnp.diagonal(G) > 0, 1 / jnp.sqrt(jnp.diagonal(G)), 0)
    total = jnp.sum(jnp.broadcast_to(part.w, part.y.shape))
    C = scale[:, None] * G * scale[None, :]
    squares = _sum_over_blocks(lambda X, w: jnp.sum(w * (total * product(X**2, scale**2)) ** 2), part, BLOCK)
    spread = (squares / total - jnp.sum(C**2)) / len(part.y)
    distance = jnp.sum((C - jnp.diag(jnp.diagonal(C))) ** 2)
    return jnp.clip(spread / jnp.where(distance > 0, distance, 1), 0, 1)


def weighted(w: Array, values: Array) -> Array:
    """The values (m,) or (m, K) of each example, by its weight; w a scalar or (m,)."""
    return (w.reshape(-1, *(1,) * (values.ndim - 1)) if w.ndim else w) * values


def rounding(part: Examples, delta2: Array, theta: Array) -> Array:
    """What rounding leaves of the gradient, as in `fitting`: each slope is rounded as 1, and along with its z."""

    def of_block(X: Array, w: Array) -> Array:
        size = jnp.abs(X)
        return transpose_product(size, weighted(w, 1 + product(size, jnp.abs(theta)) / 4))

    rounded = _sum_over_blocks(of_block, part, BLOCK) + 2 * delta2 * jnp.abs(theta)
    return 8 * jnp.finfo(theta.dtype).eps * jnp.linalg.norm(rounded)


def _sum_over_blocks(of_block: Callable[[Array, Array], Array], part: Examples, rows: int) -> Array:
    """Of X and w, block by block: what it makes of all of X at once would take as much memory as the part itself."""
    if part.w.ndim:
        return sum_over_blocks(of_block, part.X, part.w, rows=rows)
    return sum_over_blocks(lambda X: of_block(X, part.w), part.X, rows=rows)


def is_curved(of: Logits, part: Examples, delta2: Array, theta: Array, of_part: Factored) -> Array:
    """Whether a subset has curvature at theta in every direction, in units of that at the start."""
    few = min(len(part.X), 4 * len(theta) + 1024)
    X, w = part.X[:few], part.w if part.w.ndim == 0 else part.w[:few]
    spread = w * of.least_spread(product(X, theta)) * (len(part.X) / few)
    H = gram(X, spread) + 2 * jnp.diag(jnp.min(delta2.reshape(len(theta), -1), axis=1))
    in_u = of_part.half_solve(of_part.half_solve(H).T)
    return spd_factor(in_u).rcond * jnp.min(jnp.diagonal(in_u)) > LEAST_CURVATURE
