"""The result of a solver or a fit: `Solution`, with its status and its method as numbers that have sentences.

Nothing is raised inside jit: the status is a number there, and becomes a sentence or an error on the host.
"""

import enum
import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

SHOWN_INDICES = 5  # of problems that are not solved, in a message
SHOWN = 30  # entries: a leaf of theta with more is shown by its dtype and shape alone, so that the table fits a screen
_CELL = "text-align:left;vertical-align:top;padding:.25rem 1rem .25rem 0"


class DescribedEnum(enum.IntEnum):
    """An integer that can be an array inside jit, with a sentence for the host."""

    sentence: str

    def __new__(cls, code: int, sentence: str) -> "DescribedEnum":
        member = int.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member


class Status(DescribedEnum):
    """The end of a solver, best first; `sentence` says what happened and what to try.

    >>> Status(0).name, Status.UNBOUNDED.sentence
    ('CONVERGED', 'The cost has no minimum: it decreases without bound. Add a penalty, or check the sign of the cost.')
    """

    CONVERGED = 0, "Converged: the gradient is as small as was asked for, or as rounding lets it be."
    RANK_DEFICIENT = (
        1,
        "Solved, but not uniquely: some columns of X are combinations of others (or there are more columns than rows). "
        "Of all minimisers theta is the one of smallest norm. A penalty, or dropping a column, makes it unique.",
    )
    OUT_OF_STEPS = (
        2,
        "Out of steps before the gradient became small. Allow more (max_steps), or standardize the columns of X.",
    )
    NO_DESCENT = (
        3,
        "No step along the search direction was found that lowers the cost, yet the gradient is not small and the cost "
        "falls along it. Standardize the columns of X, compute in float64, add a penalty, or try another method.",
    )
    NOT_FINITE = (
        4,
        "The cost or its gradient is not finite. theta is the last point where both were: look for NaN, infinity or "
        "overflow in the data, and standardize the columns of X.",
    )
    UNBOUNDED = 5, "The cost has no minimum: it decreases without bound. Add a penalty, or check the sign of the cost."
    SEPARABLE = (
        6,
        "The cost has no minimum: it falls without end along a direction in which no example is predicted worse "
        "(classes, or counts of 0 and others, that are completely or quasi-completely separable). theta is the point "
        "reached, no estimate. A penalty > 0 gives a finite minimiser.",
    )
    SADDLE = (
        7,
        "The gradient is small, but this is no minimum: the Hessian has a negative eigenvalue, the cost falls to both "
        "sides along its eigenvector. Start elsewhere, for instance a little off theta in a random direction.",
    )
    WRONG_GRADIENT = (
        8,
        "The gradient is not that of the cost: where it says that the cost falls, the cost rises or stays. "
        "A sign may be wrong; verify.derivatives(cost, theta, gradient=...) says what kind of mistake it is.",
    )


class Method(DescribedEnum):
    """The algorithm that a fit chose, from the size and the conditioning of the data; empty if there is only one.

    >>> Method(4).sentence
    "by Newton's method"
    """

    THE_ONLY_ONE = 0, ""
    ORTHOGONAL = 1, "by an orthogonal factorisation"
    NORMAL_EQUATIONS = 2, "by Cholesky's factor of XᵀX, refined"
    HALF_PRECISION = 3, "by Cholesky's factor of XᵀX in half the precision, refined"
    NEWTON = 4, "by Newton's method"
    QUASI_NEWTON = 5, "by L-BFGS"
    CHOLESKY = 6, "by Cholesky's factor of K + δ²I, refined"
    CONJUGATE_GRADIENTS = 7, "by conjugate gradients"


def select_status(conditions: Sequence[Array], statuses: Sequence[Status | Array], default: Status | Array) -> Array:
    """The status of the first condition that holds, int32, of the shape of the conditions.

    >>> int(select_status([jnp.array(True)], [Status.CONVERGED], Status.UNBOUNDED))
    0
    """
    choices = [jnp.asarray(status, jnp.int32) for status in statuses]
    return jnp.select(list(conditions), choices, jnp.asarray(default, jnp.int32))


_USABLE = (Status.CONVERGED, Status.RANK_DEFICIENT)


class NotSolved(RuntimeError):
    """The error of `Solution.check`. `solution` is what was reached; `status` the reason, of a batch that of the first
    problem that is not solved."""

    def __init__(self, solution: "Solution"):
        first = solution if np.ndim(solution.status) == 0 else solution[_unsolved(solution)[0]]
        self.solution, self.status = solution, Status(int(np.asarray(first.status)))
        super().__init__(f"{self.status.name}: {solution}" if first is solution else str(solution))


class Evaluations(NamedTuple):
    """The number of evaluations of the cost, of its gradient, and of Hessians or products with one.

    >>> Evaluations(1, 1).plus(function=2)
    Evaluations(function=3, gradient=1, hessian=0)
    """

    function: Array | int = 0
    gradient: Array | int = 0
    hessian: Array | int = 0

    def plus(self, function: Any = 0, gradient: Any = 0, hessian: Any = 0) -> "Evaluations":
        """The sum of these evaluations and further ones."""
        return Evaluations(self.function + function, self.gradient + gradient, self.hessian + hessian)


class Solution(NamedTuple):
    """The result of a solver or a fit; under vmap every field has further leading axes.

    theta: the minimiser, a tree like the start. cost (): the minimum, in the units of the cost. gradient_norm (): the
    Euclidean norm of the gradient. steps, status, method (): integers, the last two a `Status` and a `Method`.
    evaluations: those that the steps took, none for a closed form.
    """

    theta: Any
    cost: Array
    gradient_norm: Array
    steps: Array
    status: Array
    evaluations: Evaluations = Evaluations()
    method: Array | int = 0

    def check(self) -> "Solution":
        """Return this solution if its status is CONVERGED or RANK_DEFICIENT; raise `NotSolved` otherwise.

        The error says what happened and what to try. Of a batch, from vmap, it counts those that are not solved and
        names them by index.

        >>> Solution(2.0, jnp.array(0.5), jnp.array(0.0), jnp.array(3), jnp.array(Status.CONVERGED)).check().theta
        2.0
        """
        if _unsolved(self) if np.ndim(self.status) else int(np.asarray(self.status)) not in _USABLE:
            raise NotSolved(self)
        return self

    def __getitem__(self, index: Any) -> Any:
        """The solution of this index in a batch, from vmap; of several for a slice or an array.

        Fields are reached by name: of a batch of one axis, solution[i].theta is solution.theta[i].

        >>> batch = jax.vmap(lambda t: Solution(t, t**2, 0 * t, jnp.array(1), jnp.array(0)))(jnp.array([1.0, 3.0]))
        >>> batch[1].theta
        Array(3., dtype=float64)
        """
        if np.ndim(self.status) == 0:
            raise TypeError("this is one solution, not a batch of them: its fields are reached by name, solution.theta")
        return jax.tree.map(lambda leaf: leaf[index] if np.ndim(leaf) else leaf, self)

    def __str__(self) -> str:
        return _summary(self)

    def _repr_html_(self) -> str:
        """The table of a notebook: the status in words, the figures, and theta or the shapes of its leaves."""
        is_batch = np.ndim(self.status) > 0
        first = self[_first(self)] if is_batch else self
        status = Status(int(np.asarray(first.status)))
        rows = {"solved": _count(self)} if is_batch else {}
        rows |= {"status": f"{status.name}: {status.sentence}", "found": _figures(first)}
        named = jax.tree.leaves_with_path(self.theta)
        leaves = {f"theta{jax.tree_util.keystr(path)}": _text(leaf) for path, leaf in named}
        aligned = ";white-space:pre-wrap;font-family:monospace"
        return "<table>" + "".join(
            f'<tr><th scope="row" style="{_CELL}">{html.escape(name)}</th>'
            f'<td style="{_CELL}{aligned if name in leaves else ""}">{html.escape(text)}</td></tr>'
            for name, text in (rows | leaves).items()
        ) + "</table>"  # fmt: skip


def _unsolved(solution: Solution) -> list[tuple[int, ...]]:
    """The indices of a batch at which a problem is not solved, in order."""
    return [tuple(map(int, index)) for index in np.argwhere(~np.isin(np.asarray(solution.status), _USABLE))]


def _first(solution: Solution) -> tuple[int, ...]:
    """The index of the problem that stands for a batch: the first that is not solved, else that of the worst status."""
    status = np.asarray(solution.status)
    worst = tuple(map(int, np.unravel_index(np.argmax(status), status.shape)))
    return next(iter(_unsolved(solution)), worst)


def _count(solution: Solution) -> str:
    """The number of problems of a batch that are solved, and where the first are that are not."""
    unsolved, total = _unsolved(solution), np.size(solution.status)
    if not unsolved:
        return f"all of {total} problems"
    places = ", ".join(str(index[0] if len(index) == 1 else index) for index in unsolved[:SHOWN_INDICES])
    return f"{total - len(unsolved)} of {total} problems, not those at {places}" + (
        ", …" if len(unsolved) > SHOWN_INDICES else ""
    )


def _summary(solution: Solution) -> str:
    if np.ndim(solution.status) == 0:
        return f"{Status(int(np.asarray(solution.status))).sentence} ({_figures(solution)})"
    first = _first(solution)
    place, status = first[0] if len(first) == 1 else first, Status(int(np.asarray(solution.status)[first]))
    return f"Solved: {_count(solution)}. Problem {place}, {status.name}: {_summary(solution[first])}"


def _text(leaf: Any) -> str:
    array = np.asarray(leaf)
    if array.ndim < 3 and array.size <= SHOWN:
        return np.array2string(array, precision=6)
    return f"{array.dtype} of shape {array.shape}"


def _figures(solution: Solution) -> str:
    cost, norm, steps = (float(np.asarray(v)) for v in (solution.cost, solution.gradient_norm, solution.steps))
    method = Method(int(np.asarray(solution.method))).sentence
    figures = f"cost {cost:.6g}, gradient norm {norm:.3g}, {int(steps)} step{'' if steps == 1 else 's'}"
    return f"{figures}, {method}" if method else figures
