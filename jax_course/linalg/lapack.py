r"""LAPACK's factorisations and triangular solutions, one matrix after another under `vmap`.

On the CPU, jaxlib gives the matrices of a batch to the threads of XLA's pool, and one of these threads waits for them.
Two such calls at once on a machine of two cores wait for each other for ever. Here a batch is a loop, which is as fast:
40 Cholesky factors of 31 × 31 take 0.2 ms in a loop and 0.3 ms as a batch, two cores. Systems with one L in common are
one system with more columns.

Derivatives for autodiff, where dA, dL, dB are the tangents and Φ takes the lower triangle and half of the diagonal:

    A = L Lᵀ     dL = L Φ(L⁻¹ dA L⁻ᵀ)
    L X = B      dX = L⁻¹ (dB − dL X)
    L Lᵀ X = B   dX = (L Lᵀ)⁻¹ (dB − dL LᵀX − L dLᵀX)

The others are differentiated by JAX's own rules.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
from jax import Array, lax
from jax.custom_batching import custom_vmap

from jax_course.linalg.products import multiplied


def cholesky(A: Array) -> Array:
    """The lower triangular L with A = L Lᵀ, from the lower triangle of A (d, d); NaN where A is not positive definite.

    >>> cholesky(jnp.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float64)
    """
    return _cholesky(A)


def solve_triangular(L: Array, b: Array, *, lower: bool = False, trans: int = 0) -> Array:
    """L⁻¹ b, or L⁻ᵀ b with trans=1; L (d, d) triangular, b (d,) or (d, K).

    >>> solve_triangular(jnp.array([[2.0, 0.0], [1.0, 2.0]]), jnp.array([2.0, 5.0]), lower=True)
    Array([1., 2.], dtype=float64)
    """
    solve = _triangular(lower, trans)
    return solve(L, b[:, None])[:, 0] if b.ndim == 1 else solve(L, b)


def cho_solve(L: Array, b: Array) -> Array:
    """(L Lᵀ)⁻¹ b, L (d, d) lower triangular, b (d,) or (d, K).

    >>> cho_solve(jnp.array([[2.0, 0.0], [1.0, 2.0]]), jnp.array([6.0, 7.0]))
    Array([1., 1.], dtype=float64)
    """
    return _cho_solve(L, b[:, None])[:, 0] if b.ndim == 1 else _cho_solve(L, b)


def reciprocal_condition(C: Array, L: Array) -> Array:
    """1/(‖C‖ ‖C⁻¹‖) of C = L Lᵀ (d, d), estimated; without derivatives.

    >>> reciprocal_condition(jnp.eye(2), jnp.eye(2)).round(12)
    Array(1., dtype=float64)
    """
    return _reciprocal_condition(*lax.stop_gradient((C, L)))


def qr(X: Array) -> tuple[Array, Array]:
    """Q (m, k) and R (k, d), k = min(m, d), with X = Q R, X (m, d)."""
    return _qr(X)


def qr_factor(X: Array) -> Array:
    """R (k, d) of X = Q R, without Q."""
    return _qr_factor(X)


def svd(X: Array) -> tuple[Array, Array, Array]:
    """U (m, k), S (k,) and Vᵀ (k, d), k = min(m, d), with X = U diag(S) Vᵀ, X (m, d)."""
    return _svd(X)


def eigh(A: Array) -> tuple[Array, Array]:
    """The eigenvalues (d,), ascending, and eigenvectors (d, d) as columns, of a symmetric A (d, d)."""
    return _eigh(A)


def eigvalsh(A: Array) -> Array:
    """The eigenvalues (d,), ascending, of a symmetric A (d, d)."""
    return _eigvalsh(A)


def solve(A: Array, b: Array) -> Array:
    """A⁻¹ b, A (d, d), b (d,)."""
    return _solve(A, b)


def _one_after_another(function: Callable, *, systems: bool = False) -> Callable:
    """The function, with a loop over the batch where it is batched.

    systems: it solves for the columns of its second argument; all columns at once where the first one is in common.
    """
    single = custom_vmap(function)

    @single.def_vmap
    def loop(_: int, is_batched: list[bool], *arguments: Array) -> tuple[Any, Any]:
        batched = [a for a, along in zip(arguments, is_batched, strict=True) if along]
        if not batched:
            found = function(*arguments)
            return found, jax.tree_util.tree_map(lambda _: False, found)
        if systems and is_batched == [False, True]:
            L, B = arguments
            columns = single(L, jnp.moveaxis(B, 0, 2).reshape(B.shape[1], -1))
            return jnp.moveaxis(columns.reshape(*B.shape[1:], B.shape[0]), 2, 0), True

        def one_member(parts: list[Array]) -> Any:
            remaining = iter(parts)
            return single(*(next(remaining) if along else a for a, along in zip(arguments, is_batched, strict=True)))

        found = lax.map(one_member, batched)
        return found, jax.tree_util.tree_map(lambda _: True, found)

    return single


def _differentiable(function: Callable) -> Callable:
    """One matrix after another; its derivative is that of JAX."""
    single = jax.custom_jvp(_one_after_another(function))
    single.defjvp(lambda primals, tangents: (single(*primals), jax.jvp(function, primals, tangents)[1]))
    return single


_qr = _differentiable(lambda X: tuple(jnp.linalg.qr(X)))
_qr_factor = _differentiable(lambda X: jnp.linalg.qr(X, mode="r"))
_svd = _differentiable(lambda X: tuple(jnp.linalg.svd(X, full_matrices=False)))
_eigh = _differentiable(lambda A: tuple(jnp.linalg.eigh(A)))
_eigvalsh = _differentiable(lambda A: jnp.linalg.eigvalsh(A))
_solve = _differentiable(lambda A, b: jnp.linalg.solve(A, b))


def _estimated_reciprocal_condition(C: Array, L: Array) -> Array:
    # Four steps of the power method on C⁻¹, from a vector that no structured matrix is likely to be orthogonal to.
    def step(_: int, v: Array) -> Array:
        return jax.scipy.linalg.cho_solve((L, True), v / jnp.linalg.norm(v))

    start = jnp.cos(jnp.arange(C.shape[0], dtype=C.dtype))
    norm_of_inverse = jnp.linalg.norm(lax.fori_loop(0, 4, step, start))
    rcond = 1 / (norm_of_inverse * jnp.max(jnp.sum(jnp.abs(C), axis=0)))
    return jnp.where(jnp.isfinite(rcond), rcond, 0)


_reciprocal_condition = _one_after_another(_estimated_reciprocal_condition)
_cho_solve = jax.custom_jvp(_one_after_another(lambda L, B: jax.scipy.linalg.cho_solve((L, True), B), systems=True))


@_cho_solve.defjvp
def _(primals, tangents):
    (L, B), (dL, dB) = primals, tangents
    X, read = _cho_solve(L, B), jnp.tril(dL)
    inverse = _cho_solve(L, jnp.eye(len(L), dtype=L.dtype))
    change = multiplied(read, multiplied(L.T, X)) + multiplied(L, multiplied(read.T, X))
    return X, multiplied(inverse, dB - change)


_cholesky = jax.custom_jvp(_one_after_another(lambda A: lax.linalg.cholesky(A, symmetrize_input=False)))


@_cholesky.defjvp
def _(primals, tangents):
    (A,), (dA,) = primals, tangents
    L = _cholesky(A)
    inverse = solve_triangular(L, jnp.eye(len(A), dtype=A.dtype), lower=True)
    symmetric = jnp.tril(dA) + jnp.tril(dA, -1).T  # the lower triangle is what is read
    within = jnp.tril(multiplied(multiplied(inverse, symmetric), inverse.T))
    return L, multiplied(L, within - jnp.diag(jnp.diagonal(within)) / 2)


@cache
def _triangular(lower: bool, trans: int) -> Callable:
    @jax.custom_jvp
    @partial(_one_after_another, systems=True)
    def solution(L: Array, B: Array) -> Array:
        return jax.scipy.linalg.solve_triangular(L, B, lower=lower, trans=trans)

    @solution.defjvp
    def _(primals, tangents):
        (L, B), (dL, dB) = primals, tangents
        X = solution(L, B)
        inverse = solution(L, jnp.eye(len(L), dtype=L.dtype))
        read = (jnp.tril if lower else jnp.triu)(dL)
        return X, multiplied(inverse, dB - multiplied(read.T if trans else read, X))

    return solution
