r"""Quasi-Newton methods: the inverse Hessian from gradients alone. Course 7.6.

    s = θ_k+1 − θ_k,  y = g_k+1 − g_k,  ρ = 1 / yᵀs
    H ← (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ                         BFGS, N&W 6.17: then H y = s, as the inverse has it
    p = −H g                                                         N&W 6.18

H is kept symmetric positive definite, which yᵀs > 0 ensures (the strong Wolfe conditions give it); a pair without it
changes nothing. It starts as I, and as (yᵀs / yᵀy) I once the first pair is known (6.20): of the right size.

`lbfgs` keeps the last `memory` pairs instead of H and multiplies by them (two-loop recursion, Algorithm 7.4): numbers
2 memory d instead of d². Until the first pair is forgotten it is BFGS; from then on it starts each product from the
newest pair's multiple of I (7.20).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jax_course.checks import whole
from jax_course.optimization.descent import Heading, Method, descent
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.programs import Algorithm, Task, solver
from jax_course.optimization.steps import FixedStep, LineSearch, StrongWolfe


class Pairs(NamedTuple):
    """The last pairs in a ring: s and y as rows (memory, n), ρ, 0 where there is none yet, and how many came."""

    s: Array
    y: Array
    rho: Array
    count: Array
    scale: Array  # γ: the product starts from γ I


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
    """Minimise cost(theta) by BFGS: for up to some thousand parameters. Course 7.6.

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
    """Minimise cost(theta) by BFGS with the last `memory` pairs: for millions of parameters. Course 7.6.

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

    def heading(f: Objective, point: Point, memory: Memory) -> Heading:
        p = -memory.H @ point.g
        return Heading(p, first_alpha(p, memory.is_empty))

    def update(memory: Memory, old: Point, new: Point, heading: Heading, alpha: Array) -> Memory:
        s, y = new.x - old.x, new.g - old.g
        usable = curves(s, y)
        H = jnp.where(memory.is_empty, (s @ y) / (y @ y) * memory.H, memory.H)
        H = jnp.where(usable, bfgs_update(H, s, y), memory.H)
        return Memory(H, memory.is_empty & ~usable)

    return descent(Method(start, heading, update), **settings)


def bfgs_update(H: Array, s: Array, y: Array) -> Array:
    """(I − ρsyᵀ) H (I − ρysᵀ) + ρssᵀ multiplied out: d² operations instead of d³, exactly symmetric. N&W 6.17."""
    rho = 1 / (y @ s)
    Hy = H @ y
    half = jnp.outer(s, 0.5 * rho * (1 + rho * (y @ Hy)) * s - rho * Hy)
    return H + (half + half.T)


def _lbfgs(memory: int, **settings: Any) -> Algorithm:
    def start(point: Point) -> Pairs:
        return no_pairs(memory, point.x)

    def heading(f: Objective, point: Point, pairs: Pairs) -> Heading:
        p = -two_loop_product(pairs, point.g)
        return Heading(p, first_alpha(p, pairs.count == 0))

    def update(pairs: Pairs, old: Point, new: Point, heading: Heading, alpha: Array) -> Pairs:
        return remembered(pairs, new.x - old.x, new.g - old.g)

    return descent(Method(start, heading, update), **settings)


def no_pairs(memory: int, x: Array) -> Pairs:
    """Room for so many, of the size of x."""
    rows = jnp.zeros((memory, x.size), x.dtype)
    return Pairs(rows, rows, rows[:, 0], jnp.asarray(0, jnp.int32), jnp.ones((), x.dtype))


def remembered(pairs: Pairs, s: Array, y: Array) -> Pairs:
    """The pairs with one more, in the place of the oldest if there is no other; without it where yᵀs ≤ 0."""
    memory, usable = len(pairs.rho), curves(s, y)
    k = pairs.count % memory
    known = (pairs.count > 0) & (pairs.count < memory)
    gamma = jnp.where(known, pairs.scale, (s @ y) / (y @ y))

    def put(rows: Array, row: Array) -> Array:
        return rows.at[k].set(jnp.where(usable, row, rows[k]))

    return Pairs(
        put(pairs.s, s), put(pairs.y, y), put(pairs.rho, 1 / (y @ s)), pairs.count + usable.astype(jnp.int32),
        jnp.where(usable, gamma, pairs.scale),
    )  # fmt: skip


def two_loop_product(pairs: Pairs, g: Array) -> Array:
    """H g by Algorithm 7.4: from the newest pair to the oldest, γ, and back. Rows with ρ = 0 change nothing."""
    memory = len(pairs.rho)

    def newest_first(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        q, alpha = carry
        k = (pairs.count - 1 - i) % memory
        alpha_k = pairs.rho[k] * (pairs.s[k] @ q)
        return q - alpha_k * pairs.y[k], alpha.at[k].set(alpha_k)

    def oldest_first(i: Array, r: Array) -> Array:
        k = (pairs.count + i) % memory
        beta = pairs.rho[k] * (pairs.y[k] @ r)
        return r + (alpha[k] - beta) * pairs.s[k]

    q, alpha = lax.fori_loop(0, memory, newest_first, (g, jnp.zeros_like(pairs.rho)))
    return lax.fori_loop(0, memory, oldest_first, pairs.scale * q)


def curves(s: Array, y: Array) -> Array:
    """Whether yᵀs > 0 beyond rounding."""
    return y @ s > jnp.finfo(s.dtype).eps * jnp.linalg.norm(s) * jnp.linalg.norm(y)


def first_alpha(p: Array, is_empty: Array) -> Array:
    """1, the step of the model; a step of length 1 at most while there is none."""
    return jnp.where(is_empty, jnp.minimum(1, 1 / jnp.linalg.norm(p)), 1)
