r"""Damped Newton (course 7.6).

    f(θ + p) ≈ f + gᵀp + ½ pᵀHp,  p = −H⁻¹g                                   the minimum of the quadratic model
    θ ← θ + α p                                                                 α by `line_search.strong_wolfe`, from 1

If H is not safely positive definite, p = −V |Λ|⁺ Vᵀ g with H = V Λ Vᵀ in scaled coordinates: still a descent direction,
without a component along directions in which the cost is flat. Parameters that the data do not determine keep their
start.

Near the minimum the steps are full and each squares the error. The loop therefore does not stop as soon as the gradient
is within the tolerance, but continues while a step still divides it by ten, or still moves theta: usually one more
step, for all the digits.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jax_course.inputs.shapes import whole
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product, rank_tolerance, spd_factor, transpose_product
from jax_course.linalg.cholesky import power_of_two_scale
from jax_course.linalg.lapack import eigh, eigvalsh
from jax_course.optimization.descent import DescentMethod, Direction, State, descent
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.run import Algorithm, Task, solver
from jax_course.optimization.step_rules import StrongWolfe
from jax_course.optimization.termination import verified_solution
from jax_course.solution import Solution


@solver
def newton(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    hessian: Callable[[Any], Any] | None = None,
    tolerance: ArrayLike | None = None,
    max_steps: int = 1000,
) -> Task:
    """Minimise cost(theta) by damped Newton: few steps, each with a d × d Hessian. Course 7.6.

    theta: the start, a tree of floating-point arrays. gradient(theta): a tree like theta. hessian(theta): of shape
    theta.shape + theta.shape, for a tree the tree of such blocks that `jax.hessian` gives. Autodiff computes those that
    are missing. tolerance: stop at ‖∇J‖ ≤ tolerance, by default ½√ε. TypeError, ValueError: the cost is no scalar, or a
    derivative has another shape. Every other end is a `Status` of the solution.

    >>> newton(lambda t: (t - 3.0) ** 4, 0.0, gradient=lambda t: 4 * (t - 3.0) ** 3,
    ...        hessian=lambda t: 12 * (t - 3.0) ** 2).check().theta.round(2)
    Array(3., dtype=float64)
    """
    settings = {"tolerance": tolerance, "max_steps": whole(max_steps, "max_steps")}
    return Task(_newton, {"cost": cost, "gradient": gradient, "hessian": hessian}, theta, settings)


def newton_method(
    direction: Callable[[Array, Array], tuple[Array, Any]],
    memory: Any = (),
    is_unbounded: Callable[[Point], Array | bool] = lambda point: False,
) -> DescentMethod:
    """Newton's method as a rule for `descent`; direction: (H, g) → p, and the memory that replaces the one given.

    While a step divides the gradient by ten or still moves x, another one gives more digits.
    """

    def newton_step(f: Objective, point: Point, _: Any) -> Direction:
        p, extra = direction(f.hessian(point), point.g)
        return Direction(p, jnp.ones_like(point.f), 1, extra)

    return DescentMethod(
        start=lambda point: memory,
        direction=newton_step,
        update=lambda memory, old, new, direction, alpha: direction.extra,
        restarts=False,
        is_unbounded=is_unbounded,
        is_refined=lambda old, new, change, x: is_refined(old, new, jnp.linalg.norm(change), jnp.linalg.norm(x)),
    )


def is_refined(old_norm: Array, new_norm: Array, change: Array, size: Array) -> Array:
    """Whether a step is worth another one although the gradient is small: it divided it by ten, or moved x.

    The arguments are norms: of the gradient before and after, of the change of x, and of x.
    """
    still = change <= jnp.sqrt(jnp.finfo(size.dtype).eps) * size
    return (new_norm > 0) & (~still | (new_norm <= 0.1 * old_norm))


def _newton(**settings: Any) -> Algorithm:
    method = newton_method(lambda H, g: (newton_direction(H, g), ()))
    return descent(method, StrongWolfe(), **settings, end=_verified_with_hessian)


def _verified_with_hessian(f: Objective, state: State) -> Solution:
    return verified_solution(f, state, lambda: _eigenvalues(f.hessian(state.point)), 1)


def _eigenvalues(H: Array) -> Array:
    """The eigenvalues of H (n,); ones, which cost nothing, if it is safely positive definite."""
    safe = spd_factor(H).is_regular()
    return lax.cond(safe, lambda: jnp.ones(len(H), H.dtype), lambda: eigvalsh(H))


def newton_direction(H: Array, g: Array) -> Array:
    """The Newton direction −H⁻¹g; −|H|⁺g if H is not safely positive definite, and −g if that is 0. Course 7.6.

    g (n,), H (n, n).

    >>> newton_direction(jnp.diag(jnp.array([2.0, -4.0])), jnp.array([2.0, 4.0]))
    Array([-1., -1.], dtype=float64)
    """
    factored = spd_factor(H)
    x = lax.cond(factored.is_regular(), lambda: factored.solve(g), lambda: _absolute_solve(H, g))
    return -jnp.where(jnp.any(x != 0), x, g)


def _absolute_solve(A: Array, b: Array) -> Array:
    """|A|⁺b in scaled coordinates, without the eigenvectors whose eigenvalues are rounding."""
    scale = power_of_two_scale(jnp.sqrt(jnp.abs(jnp.diagonal(A))))
    eigenvalues, V = eigh(scale[:, None] * A * scale[None, :])
    curvature = jnp.abs(eigenvalues)
    seen = curvature > rank_tolerance(A) * jnp.max(curvature)
    within = transpose_product(V, scale * b) / jnp.where(seen, curvature, 1)
    return scale * product(V, jnp.where(seen, within, 0))
