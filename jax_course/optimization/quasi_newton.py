r"""Quasi-Newton methods: the inverse Hessian approximated from gradients alone. Course 7.6.

    s = θ_k+1 − θ_k,  y = g_k+1 − g_k,  ρ = 1 / yᵀs
    H ← (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ                         BFGS, N&W 6.17; so that H y = s
    p = −H g                                                         N&W 6.18

H is symmetric and, as long as yᵀs > 0, positive definite. The strong Wolfe conditions imply yᵀs > 0; a pair without it
is not used. H starts as I, and as (yᵀs / yᵀy) I once the first pair is known (6.20), which has the right scale.

`lbfgs` stores the last `memory` pairs instead of H and multiplies by them (two-loop recursion, Algorithm 7.4): 2 memory
d numbers instead of d². Until the first pair is overwritten it equals BFGS; from then on each product starts from the
multiple of I of the newest pair (7.20).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.inputs.shapes import whole
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import inner, product
from jax_course.optimization.descent import DescentMethod, Direction, descent
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.run import Algorithm, Task, solver
from jax_course.optimization.step_rules import FixedStep, LineSearch, StrongWolfe


class Pairs(NamedTuple):
    """The last pairs in a ring buffer. s and y: rows (memory, n); rho (memory,): 1 / yᵀs, 0 in an empty row; count: the
    pairs added so far; scale: γ, the product starts from γ I."""

    s: Array
    y: Array
    rho: Array
    count: Array
    scale: Array


@solver
def bfgs(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    line_search: LineSearch | float = StrongWolfe(),
    tolerance: ArrayLike | None = None,
    max_steps: int = 1000,
) -> Task:
    """Minimise cost(theta) by BFGS: for up to some thousand parameters, whose d × d matrix is stored. Course 7.6.

    theta: the start, a tree of floating-point arrays. gradient(theta): a tree like theta, by default from autodiff.
    line_search: a rule of `step_rules`, or a number as a fixed step length. tolerance: stop at ‖∇J‖ ≤ tolerance, by
    default ½√ε. TypeError, ValueError: the cost is no scalar, or the gradient not like theta. Every other end is a
    `Status` of the solution.

    >>> bfgs(lambda t: (1 - t[0]) ** 2 + 100 * (t[1] - t[0] ** 2) ** 2, jnp.array([-1.2, 1.0])).check().theta.round(6)
    Array([1., 1.], dtype=float64)
    """
    settings = _settings(line_search, tolerance, max_steps)
    return Task(_bfgs, {"cost": cost, "gradient": gradient}, theta, settings)


@solver
def lbfgs(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    memory: int = 10,
    line_search: LineSearch | float = StrongWolfe(),
    tolerance: ArrayLike | None = None,
    max_steps: int = 1000,
) -> Task:
    """Minimise cost(theta) by L-BFGS, BFGS with the last `memory` pairs: for millions of parameters. Course 7.6.

    The other arguments and the errors are those of `bfgs`; ValueError: memory is below 1.

    >>> lbfgs(lambda t: jnp.sum((t - 3.0) ** 4), jnp.zeros(1000), tolerance=1e-6).check().theta[7].round(2)
    Array(3., dtype=float64)
    """
    if whole(memory, "memory") < 1:
        raise ValueError(f"memory must be at least 1; got {memory}")
    settings = _settings(line_search, tolerance, max_steps)
    return Task(_lbfgs, {"cost": cost, "gradient": gradient}, theta, settings, {"memory": int(memory)})


def _settings(line_search, tolerance, max_steps) -> dict[str, Any]:
    return {
        "line_search": line_search if callable(line_search) else FixedStep(line_search),
        "tolerance": tolerance,
        "max_steps": whole(max_steps, "max_steps"),
    }


def _bfgs(**settings: Any) -> Algorithm:
    class Memory(NamedTuple):
        H: Array
        is_empty: Array

    def start(point: Point) -> Memory:
        return Memory(jnp.eye(point.x.size, dtype=point.x.dtype), jnp.asarray(True))

    def direction(f: Objective, point: Point, memory: Memory) -> Direction:
        p = product(-memory.H, point.g)
        return Direction(p, first_alpha(p, memory.is_empty))

    def update(memory: Memory, old: Point, new: Point, direction: Direction, alpha: Array) -> Memory:
        s, y = new.x - old.x, new.g - old.g
        usable = has_positive_curvature(s, y)
        H = jnp.where(memory.is_empty, inner(s, y) / inner(y, y) * memory.H, memory.H)
        H = jnp.where(usable, bfgs_update(H, s, y), memory.H)
        return Memory(H, memory.is_empty & ~usable)

    return descent(DescentMethod(start, direction, update), **settings)


def bfgs_update(H: Array, s: Array, y: Array) -> Array:
    """(I − ρsyᵀ) H (I − ρysᵀ) + ρssᵀ expanded, (d, d): d² operations instead of d³, exactly symmetric. N&W 6.17.

    >>> bfgs_update(jnp.eye(2), jnp.array([1.0, 0.0]), jnp.array([2.0, 0.0]))
    Array([[0.5, 0. ],
           [0. , 1. ]], dtype=float64)
    """
    rho = 1 / inner(y, s)
    Hy = product(H, y)
    half = jnp.outer(s, 0.5 * rho * (1 + rho * inner(y, Hy)) * s - rho * Hy)
    return H + (half + half.T)


def _lbfgs(memory: int, **settings: Any) -> Algorithm:
    def start(point: Point) -> Pairs:
        return empty_pairs(memory, point.x)

    def direction(f: Objective, point: Point, pairs: Pairs) -> Direction:
        p = -two_loop_product(pairs, point.g)
        return Direction(p, first_alpha(p, pairs.count == 0))

    def update(pairs: Pairs, old: Point, new: Point, direction: Direction, alpha: Array) -> Pairs:
        return add_pair(pairs, new.x - old.x, new.g - old.g)

    return descent(DescentMethod(start, direction, update), **settings)


def empty_pairs(memory: int, x: Array) -> Pairs:
    """A ring buffer of `memory` rows like x, without pairs; its product is that with I."""
    rows = jnp.zeros((memory, x.size), x.dtype)
    return Pairs(rows, rows, rows[:, 0], jnp.asarray(0, jnp.int32), jnp.ones((), x.dtype))


def add_pair(pairs: Pairs, s: Array, y: Array) -> Pairs:
    """The pairs with one more, which overwrites the oldest if all rows are used; unchanged if yᵀs ≤ 0."""
    memory, usable = len(pairs.rho), has_positive_curvature(s, y)
    k = pairs.count % memory
    known = (pairs.count > 0) & (pairs.count < memory)
    gamma = jnp.where(known, pairs.scale, inner(s, y) / inner(y, y))

    def put(rows: Array, row: Array) -> Array:
        return rows.at[k].set(jnp.where(usable, row, rows[k]))

    return Pairs(
        put(pairs.s, s), put(pairs.y, y), put(pairs.rho, 1 / inner(y, s)), pairs.count + usable.astype(jnp.int32),
        jnp.where(usable, gamma, pairs.scale),
    )  # fmt: skip


def two_loop_product(pairs: Pairs, g: Array) -> Array:
    """H g (n,) by the two-loop recursion: from the newest pair to the oldest, times γ, and back. N&W Algorithm 7.4.

    Empty rows, with ρ = 0, change nothing.

    >>> two_loop_product(empty_pairs(3, jnp.zeros(2)), jnp.array([1.0, 2.0]))
    Array([1., 2.], dtype=float64)
    """
    memory = len(pairs.rho)

    def newest_first(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        q, alpha = carry
        k = (pairs.count - 1 - i) % memory
        alpha_k = pairs.rho[k] * inner(pairs.s[k], q)
        return q - alpha_k * pairs.y[k], alpha.at[k].set(alpha_k)

    def oldest_first(i: Array, r: Array) -> Array:
        k = (pairs.count + i) % memory
        beta = pairs.rho[k] * inner(pairs.y[k], r)
        return r + (alpha[k] - beta) * pairs.s[k]

    q, alpha = lax.fori_loop(0, memory, newest_first, (g, jnp.zeros_like(pairs.rho)))
    return lax.fori_loop(0, memory, oldest_first, pairs.scale * q)


def has_positive_curvature(s: Array, y: Array) -> Array:
    """Whether yᵀs > 0 by more than rounding: the cost curves upwards along s."""
    return inner(y, s) > jnp.finfo(s.dtype).eps * jnp.linalg.norm(s) * jnp.linalg.norm(y)


def first_alpha(p: Array, is_empty: Array) -> Array:
    """The first α to try: 1, the step of the quadratic model; at most 1 / ‖p‖ before there is a pair."""
    return jnp.where(is_empty, jnp.minimum(1, 1 / jnp.linalg.norm(p)), 1)
