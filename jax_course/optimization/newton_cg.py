r"""Newton without a Hessian (course 7.6b).

    H p = −g  by conjugate gradients,  until  ‖H p + g‖ ≤ min(0.1, √(‖g‖ / ‖g at the start‖)) ‖g‖     N&W Algorithm 7.1

Only products H d are needed, and p is only as accurate as the quadratic model: far from the minimum a few products are
enough, near it the steps become Newton's. The first direction d of negative curvature is the last; its step has the
length for the absolute value of that curvature, as in `newton`. N&W stop before it, which takes twice the evaluations
on Rosenbrock's valley and three times on Wood's function (`experiments.benchmarks.solvers`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.inputs.shapes import whole
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import inner
from jax_course.optimization.descent import DescentMethod, Direction, descent
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.run import Algorithm, Task, solver
from jax_course.optimization.step_rules import StrongWolfe


@solver
def newton_cg(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    hessian_product: Callable[[Any, Any], Any] | None = None,
    tolerance: ArrayLike | None = None,
    max_steps: int = 1000,
) -> Task:
    """Minimise cost(theta) by Newton's method with Hessian products alone, for large d. Course 7.6.

    hessian_product(theta, v): ∇²J v, a tree like theta, by default from autodiff. The other arguments and the errors
    are those of `bfgs`.

    >>> newton_cg(lambda t: jnp.sum((t - 3.0) ** 4), jnp.zeros(1000), tolerance=1e-6).check().theta[7].round(2)
    Array(3., dtype=float64)
    """
    settings = {"tolerance": tolerance, "max_steps": whole(max_steps, "max_steps")}
    functions = {"cost": cost, "gradient": gradient, "hessian_product": hessian_product}
    return Task(_newton_cg, functions, theta, settings)


class _Inner(NamedTuple):
    """Conjugate gradients on H z = −g: z, r = Hz + g, the direction d, the number of products, dᵀHd > 0 so far."""

    z: Array
    r: Array
    d: Array
    products: Array
    is_convex: Array


def _newton_cg(**settings: Any) -> Algorithm:
    def direction(f: Objective, point: Point, norm_at_start: Array) -> Direction:
        norm = jnp.linalg.norm(point.g)
        tolerance = jnp.minimum(0.1, jnp.sqrt(norm / norm_at_start))
        p, products = conjugate_gradients(partial(f.product, point.x), point.g / norm, tolerance)
        return Direction(norm * p, jnp.ones_like(norm), products)

    method = DescentMethod(
        start=lambda point: jnp.linalg.norm(point.g),
        direction=direction,
        update=lambda norm_at_start, old, new, direction, alpha: norm_at_start,
    )
    return descent(method, StrongWolfe(), **settings)


def conjugate_gradients(product: Callable[[Array], Array], g: Array, tolerance: Array) -> tuple[Array, Array]:
    """z (n,) with ‖Hz + g‖ ≤ tolerance, and the number of products; it ends early after a direction with dᵀHd ≤ 0.

    >>> z, products = conjugate_gradients(lambda v: 2 * v, jnp.array([4.0, 2.0]), jnp.array(1e-9))
    >>> z, int(products)
    (Array([-2., -1.], dtype=float64), 1)
    """
    eps = jnp.finfo(g.dtype).eps

    def step(state: _Inner) -> _Inner:
        z, r, d, products, _ = state
        Hd = product(d)
        curvature, rounding = inner(d, Hd), eps * jnp.linalg.norm(d) * jnp.linalg.norm(Hd)
        size = jnp.maximum(jnp.abs(curvature), rounding)
        rr = inner(r, r)
        alpha = rr / jnp.where(size > 0, size, rr)
        r_new = r + alpha * Hd
        d_new = -r_new + inner(r_new, r_new) / rr * d
        return _Inner(z + alpha * d, r_new, d_new, products + 1, curvature > rounding)

    def is_running(state: _Inner) -> Array:
        return state.is_convex & (jnp.linalg.norm(state.r) > tolerance) & (state.products < 2 * g.size)

    start = _Inner(jnp.zeros_like(g), g, -g, jnp.asarray(0, jnp.int32), jnp.asarray(True))
    end = lax.while_loop(is_running, step, start)
    return end.z, end.products
