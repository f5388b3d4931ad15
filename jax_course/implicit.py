r"""Implicit differentiation: the derivatives of a minimiser by its data and settings, one rule for all fits.

A fit θ(p) of parameters p (X, y, weights, penalty, …) solves a condition, as a rule that the gradient vanishes:

    g(θ(p), p) = 0   for all p nearby
    H dθ + (∂g/∂p) dp = 0,  H = ∂g/∂θ                              the chain rule
    dθ = −H⁻¹ (∂g/∂p) dp                                            forward mode
    p̄ = −(∂g/∂p)ᵀ H⁻¹ θ̄                                            reverse mode, H = Hᵀ
    dC = (∂C/∂p) dp + (∂C/∂θ)ᵀ dθ                                   of the minimum C(θ(p), p)

Nothing of the loop that found θ is differentiated: memory and time are those of one more solve with H.

If H is singular and θ is the minimiser of least norm, θ = H μ with μ = H⁺θ, and dθ has a part in the null space N of H,
because N turns with p. With P the projection on N, P H = 0 and so P dθ = P (dH μ + H dμ) = P dH μ:

    dθ_R = −H⁺ (∂g/∂p) dp,  dθ = dθ_R + P dH μ,  dH along (dθ_R, dp)

No derivative exists where a fit has no minimum, or where the null space is about to vanish: the derivatives are NaN.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.flatten_util import ravel_pytree
from jax.scipy.sparse.linalg import cg

from jax_course.linalg import product, spd_factor
from jax_course.members import is_true_for_all
from jax_course.solution import Solution, Status
from jax_course.tiers import is_traced

LARGEST_HESSIAN = 2048  # parameters; of more, systems with H are solved by conjugate gradients, H is never formed


class Conditions(NamedTuple):
    """The conditions that a minimiser theta of parameters p satisfies; functions that autodiff can differentiate.

    cost: (theta, p) → the minimum, a scalar. residual: (theta, p) → 0 at the minimiser, like theta. product: (theta, p,
    v) → ∂residual/∂theta v, a matrix H times v. solve: (theta, p, b) → H⁻¹b, NaN where H is singular to
    rounding. shortest: (theta, p, b) → H⁺b, for fits that can end RANK_DEFICIENT. exists: (theta, p, deficient) → a
    tree like p of arrays that broadcast against p: 1 where a derivative by p exists, else NaN. solve_transposed:
    (theta, p, b) → H⁻ᵀb, where H is not symmetric.
    """

    cost: Callable[[Any, Any], Array]
    residual: Callable[[Any, Any], Any]
    product: Callable[[Any, Any, Any], Any]
    solve: Callable[[Any, Any, Any], Any]
    shortest: Any = None
    exists: Any = None
    solve_transposed: Any = None


def minimiser(conditions: Conditions, fit: Callable[[Any], Solution], p: Any) -> Solution:
    """fit(p), whose theta and cost have the derivatives that the conditions imply; those of the gradient's norm are 0.

    NaN where the status is neither CONVERGED nor RANK_DEFICIENT.

    >>> half_square = Conditions(
    ...     cost=lambda theta, p: (theta - p) ** 2 / 2,
    ...     residual=lambda theta, p: theta - p,
    ...     product=lambda theta, p, v: v,
    ...     solve=lambda theta, p, b: b,
    ... )
    >>> def fit(p):
    ...     return Solution(p, jnp.array(0.0), jnp.array(0.0), jnp.array(1), jnp.array(Status.CONVERGED))
    >>> float(jax.grad(lambda p: minimiser(half_square, fit, p).theta)(3.0))
    1.0
    """
    if not is_traced():
        return fit(p)
    return _with_derivatives(conditions, _found(fit, p), p)


def minimisers(conditions: Conditions, fit: Callable[[Any], Solution], p: Any, axes: Any) -> Solution:
    """`minimiser` of many problems at once: fit(p) has them along its leading axis, p along these axes."""
    if not is_traced():
        return fit(p)
    return jax.vmap(partial(_with_derivatives, conditions), in_axes=(0, axes))(_found(fit, p), p)


def _found(fit: Callable[[Any], Solution], p: Any) -> Solution:
    return lax.stop_gradient(fit(lax.stop_gradient(p)))


def _with_derivatives(conditions: Conditions, found: Solution, p: Any) -> Solution:
    arrays = jax.tree.map(jnp.asarray, p)
    theta, cost = _implicit(conditions, found.theta, found.cost, found.status, arrays)
    return found._replace(theta=theta, cost=cost)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _implicit(conditions: Conditions, theta: Any, cost: Array, status: Array, p: Any) -> tuple[Any, Array]:
    """theta and cost, with the derivatives by p of a minimiser and of the minimum."""
    return theta, cost


def _rule(conditions: Conditions, primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    theta, cost, status, p = primals
    theta, cost = _implicit(conditions, theta, cost, status, p)
    dp = jax.tree.map(_none_if_zero, tangents[-1])
    is_unique = conditions.shortest is None or is_true_for_all(status != Status.RANK_DEFICIENT)
    return (theta, cost), _changes(conditions, bool(is_unique), theta, status, p, dp)


_implicit.defjvp(_rule, symbolic_zeros=True)


def _none_if_zero(tangent: Any) -> Any:
    return None if isinstance(tangent, SymbolicZero) or tangent.dtype == jax.dtypes.float0 else tangent


@partial(jax.jit, static_argnums=(0, 1))
def _changes(conditions: Conditions, is_unique: bool, theta: Any, status: Array, p: Any, dp: Any) -> tuple[Any, Array]:
    """The tangents of theta and of the cost; None is the tangent of what does not change.

    is_unique: theta is known to be no minimiser of least norm, which takes a smaller program.
    """
    solved = status == Status.CONVERGED
    deficient = status == Status.RANK_DEFICIENT
    if conditions.exists is not None and (conditions.shortest is None or not is_unique):
        dp = jax.tree.map(_times, conditions.exists(theta, p, deficient), dp)
    dp, unique = jax.tree.map(_tangent, p, dp), partial(_unique_change, conditions, theta, p)
    if is_unique:
        dtheta = unique(dp)
    else:
        dtheta = lax.cond(deficient, partial(_shortest_change, conditions, theta, p), unique, dp)
        solved |= deficient
    dtheta = jax.tree.map(partial(_times, jnp.where(solved, 1, jnp.nan)), dtheta)
    return dtheta, jax.jvp(conditions.cost, (theta, p), (dtheta, dp))[1]


def _tangent(value: Array, tangent: Array | None) -> Any:
    if tangent is not None:
        return tangent
    is_float = jnp.issubdtype(value.dtype, jnp.inexact)
    return jnp.zeros_like(value) if is_float else np.zeros(value.shape, jax.dtypes.float0)


def _unique_change(conditions: Conditions, theta: Any, p: Any, dp: Any) -> Any:
    """dθ = −H⁻¹ (∂g/∂p) dp."""
    change = _solve(conditions, conditions.solve, theta, p, _residual_change(conditions, theta, p, dp))
    return jax.tree.map(jnp.negative, change)


def _shortest_change(conditions: Conditions, theta: Array, p: Any, dp: Any) -> Array:
    """dθ = dθ_R + P dH μ, of the minimiser of least norm."""
    theta, p = jax.tree.map(_differentiated_once, (theta, p))
    shortest = partial(_solve, conditions, conditions.shortest, theta, p)
    along_range = -shortest(_residual_change(conditions, theta, p, dp))
    mu = shortest(theta)
    turn = jax.jvp(lambda theta, p: conditions.product(theta, p, mu), (theta, p), (along_range, dp))[1]
    return along_range + turn - conditions.product(theta, p, shortest(turn))


def _residual_change(conditions: Conditions, theta: Any, p: Any, dp: Any) -> Any:
    """(∂g/∂p) dp."""
    return jax.jvp(partial(conditions.residual, theta), (p,), (dp,))[1]


def _solve(conditions: Conditions, solve: Callable, theta: Any, p: Any, b: Any) -> Any:
    """The x with H x = b, where autodiff differentiates this equation, and not how it is solved."""
    theta_p = lax.stop_gradient((theta, p))
    flat_b, tree = ravel_pytree(b)

    def flat(f: Callable, *arguments: Any) -> Callable[[Array], Array]:
        return lambda v: ravel_pytree(f(*arguments, tree(v)))[0]

    product, solved = flat(conditions.product, theta, p), flat(solve, *theta_p)
    is_symmetric = conditions.solve_transposed is None
    transposed = solved if is_symmetric else flat(conditions.solve_transposed, *theta_p)
    return tree(
        lax.custom_linear_solve(
            product, flat_b, lambda _, b: solved(b), transpose_solve=lambda _, b: transposed(b), symmetric=is_symmetric
        )
    )


def _times(factor: Array, tangent: Array | None) -> Array | None:
    return None if tangent is None else factor.astype(tangent.dtype) * tangent


def _differentiated_once(value: Array) -> Array:
    """The value; what is computed of it has NaN for derivatives: in second derivatives of a minimiser of least norm the
    null space turns twice, which is not followed."""
    return _nan_derivative(value) if jnp.issubdtype(value.dtype, jnp.inexact) else value


@jax.custom_jvp
def _nan_derivative(value: Array) -> Array:
    return value


_nan_derivative.defjvps(lambda tangent, result, value: jnp.nan * tangent)


def evaluated(value: Callable[..., Any], formula: Callable[..., Any], *arguments: Any) -> Any:
    """value(*arguments), with the derivatives of a formula that computes the same and is written for autodiff.

    Both are functions of arrays that stay the same objects from call to call.

    >>> float(jax.grad(lambda t: evaluated(jnp.floor, lambda t: t**2, t))(3.0))
    6.0
    """
    return _evaluated(value, formula, *arguments) if is_traced() else value(*arguments)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _evaluated(value: Callable[..., Any], formula: Callable[..., Any], *arguments: Any) -> Any:
    return value(*arguments)


@_evaluated.defjvp
def _formula_rule(value: Callable, formula: Callable, arguments: tuple, tangents: tuple) -> tuple[Any, Any]:
    return _evaluated(value, formula, *arguments), jax.jvp(_compiled(formula), arguments, tangents)[1]


_compiled = cache(jax.jit)


def spd_inverse_product(H: Array, b: Array) -> Array:
    """H⁻¹b with a step of refinement, H (n, n) and b (n,); NaN where H is singular to rounding.

    >>> spd_inverse_product(jnp.array([[4.0]]), jnp.array([8.0]))
    Array([2.], dtype=float64)
    """
    factored = spd_factor(H)
    x = factored.solve(b)
    x = x + factored.solve(b - product(H, x))
    return jnp.where(factored.is_regular(), x, jnp.nan)


def conjugate_gradients(product: Callable[[Array], Array], b: Array) -> Array:
    """H⁻¹b from products v → H v, any shape; NaN where the residual does not become small.

    >>> conjugate_gradients(lambda v: 4 * v, jnp.array([8.0]))
    Array([2.], dtype=float64)
    """
    precision = float(jnp.finfo(b.dtype).eps) ** 0.75
    x, _ = cg(product, b, tol=precision, maxiter=b.size)
    return jnp.where(jnp.linalg.norm(product(x) - b) <= 2 * precision * jnp.linalg.norm(b), x, jnp.nan)
