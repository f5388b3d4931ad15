r"""Solving A x = b for a symmetric positive definite A, with an estimate of how far x can be trusted.

    A = S C S with S = diag(√A_jj),  C = L Lᵀ,  x = S⁻¹ L⁻ᵀ L⁻¹ S⁻¹ b

S takes the units out of the columns, so that a feature in millimetres beside one in kilometres costs no digits. Its
entries are rounded to powers of two, which makes the scaling exact. 1/rcond estimates the condition number of C: x has
about −log₁₀(ε / rcond) correct digits.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jax_course.linalg.lapack import cho_solve, cholesky, eigh, reciprocal_condition, solve_triangular, svd
from jax_course.linalg.products import multiplied


class Factored(NamedTuple):
    """A = (S L)(S L)ᵀ with S = diag(1/scale), and rcond, the estimated reciprocal condition of L Lᵀ: 0 where A is not
    positive definite, in which case nothing solved with it is finite."""

    L: Array
    scale: Array
    rcond: Array

    def solve(self, b: Array) -> Array:
        """A⁻¹ b, b (d,) or (d, K)."""
        scale = self.scale.reshape((-1,) + (1,) * (b.ndim - 1))
        return scale * cho_solve(self.L, scale * b)

    def is_regular(self, noise: ArrayLike | None = None) -> Array:
        """Whether A is regular, given that its entries have errors of this relative size; by default those of rounding.

        The one rule for every factor of the package. A call that names another noise says why.
        """
        return self.rcond > (rounding_noise(len(self.L), self.L.dtype) if noise is None else noise)

    def half_solve(self, b: Array) -> Array:
        """(S L)⁻¹ b, whose columns have the squared lengths bᵀA⁻¹b; b (d, K)."""
        return solve_triangular(self.L, self.scale[:, None] * b, lower=True)


class SPDSolution(NamedTuple):
    """x (d,) or (d, K), and rcond as in `Factored`."""

    x: Array
    rcond: Array


def rounding_noise(d: int, dtype: DTypeLike) -> float:
    """The largest rcond, or ratio of eigenvalues, that rounding leaves of a singular matrix (d, d) of sums.

    Seen: 6 ε, of 10⁵ rows added up in blocks of 50. The rest is room for the estimate of rcond, which may be 30 times
    too large.

    >>> rounding_noise(2, "float64") / 2**-52
    100.0
    """
    return max(100, 8 * d) * float(jnp.finfo(dtype).eps)


def rank_tolerance(X: Array, rows: int = 0) -> float:
    """The largest ratio of singular values that rounding leaves of a column of X that depends on others.

    rows: of the matrix that X is the triangular factor of. Unlike a Gram matrix, X is not squared and not summed.

    >>> rank_tolerance(jnp.ones((8, 2))) / 2**-52
    8.0
    """
    return max(*X.shape, rows) * float(jnp.finfo(X.dtype).eps)


def power_of_two_scale(size: Array) -> Array:
    """The power of two next above 1/size, entry by entry; 1 where size is 0 or not finite."""
    _, exponent = jnp.frexp(size)
    scale = jnp.ldexp(jnp.ones_like(size), 1 - exponent)
    return jnp.where((size > 0) & jnp.isfinite(size), scale, 1)


def spd_factor(A: Array) -> Factored:
    """The Cholesky factor of a symmetric positive definite A (d, d), to solve with more than once.

    >>> spd_factor(jnp.array([[4.0, 0.0], [0.0, 1e10]])).solve(jnp.array([8.0, 3e10]))
    Array([2., 3.], dtype=float64)
    """
    scale = power_of_two_scale(jnp.sqrt(jnp.diagonal(A)))
    C = scale[:, None] * A * scale[None, :]
    L = cholesky(C)
    return Factored(L, scale, reciprocal_condition(C, L))


def spd_solve(A: Array, b: Array) -> SPDSolution:
    """Solve A x = b, A (d, d) symmetric positive definite, b (d,) or (d, K).

    >>> x, rcond = spd_solve(jnp.array([[4.0, 0.0], [0.0, 1e10]]), jnp.array([8.0, 3e10]))
    >>> x, bool(rcond > 0.1)
    (Array([2., 3.], dtype=float64), True)
    """
    factored = spd_factor(A)
    return SPDSolution(factored.solve(b), factored.rcond)


def shortest_solution(A: Array, b: Array) -> Array:
    """A⁺b, the x of least norm with A x nearest to b, A (d, d) symmetric positive semidefinite and b (d,); half the
    digits, where what is not 0 in A is small.

    >>> shortest_solution(jnp.array([[1.0, 1.0], [1.0, 1.0]]), jnp.array([4.0, 4.0]))
    Array([2., 2.], dtype=float64)
    """
    scale = power_of_two_scale(jnp.sqrt(jnp.diagonal(A)))
    sizes, V = eigh(scale[:, None] * A * scale[None, :])
    kept = sizes > rounding_noise(len(A), A.dtype) * sizes[-1]
    lost = jnp.where(kept[None, :], 0, scale[:, None] * V)
    U, S, _ = svd(lost)
    U = jnp.where(S > rank_tolerance(lost) * S[0], U, 0)  # an orthonormal basis of the null space
    b = b - multiplied(U, multiplied(U.T, b))
    within = multiplied(V.T, scale * b) / jnp.where(kept, sizes, 1)
    x = scale * multiplied(V, jnp.where(kept, within, 0))
    return x - multiplied(U, multiplied(U.T, x))
