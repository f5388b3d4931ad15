"""Solvers on costs whose minima are known: evaluations and ends, beside scipy's and JAX's own.

`python -m experiments.benchmarks.solvers [--out DIR]`. Everybody starts at the same point, gets exact gradients in
float64 and goes to a gradient norm of 1e-8; who ends without it has its gradient norm in brackets.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.optimize
import numpy as np
import scipy.optimize
from rich.console import Console
from rich.table import Table

from jax_course.optimization import bfgs, lbfgs, newton, newton_cg
from jax_course.optimization.test_functions import PROBLEMS, Problem

TOLERANCE = 1e-8


class End(NamedTuple):
    """Evaluations of the gradient, its norm where it ended, whether that is enough, and whether it says that it is."""

    evaluations: int
    gradient_norm: float
    reached: bool
    said: bool

    def __str__(self) -> str:
        return f"{self.evaluations}" + ("" if self.reached else f" ({self.gradient_norm:.0e})")


def ended(problem: Problem, theta: Any, evaluations: Any, said: Any) -> End:
    """The end, by the gradient of the cost itself."""
    norm = float(jnp.linalg.norm(jax.grad(problem.cost)(jnp.asarray(theta))))
    return End(int(evaluations), norm, norm <= TOLERANCE, bool(said))


def ours(solve: Callable) -> Callable[[Problem], End]:
    """A solver of this package."""

    def run(problem: Problem) -> End:
        solution = solve(problem.cost, jnp.array(problem.start), tolerance=TOLERANCE)
        return ended(problem, solution.theta, solution.evaluations.gradient, solution.status == 0)

    return run


def of_scipy(method: str, **options: Any) -> Callable[[Problem], End]:
    """A method of scipy.optimize.minimize."""

    def run(problem: Problem) -> End:
        both = jax.jit(jax.value_and_grad(problem.cost))
        start = np.array(problem.start)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks beyond where a cost overflows
            result = scipy.optimize.minimize(
                both, start, jac=True, method=method, options={"maxiter": 10**4, **options}
            )
        return ended(problem, result.x, result.njev, result.success)

    return run


def of_jax(problem: Problem) -> End:
    """JAX's own BFGS."""
    options = {"gtol": TOLERANCE, "norm": 2, "maxiter": 10**4}
    result = jax.scipy.optimize.minimize(problem.cost, jnp.array(problem.start), method="BFGS", options=options)
    return ended(problem, result.x, result.njev, result.success)


SOLVERS: dict[str, Callable[[Problem], End]] = {
    "bfgs": ours(bfgs),
    "lbfgs": ours(lbfgs),
    "newton": ours(newton),
    "newton_cg": ours(newton_cg),
    "scipy BFGS": of_scipy("BFGS", gtol=TOLERANCE, norm=2),
    "scipy L-BFGS-B": of_scipy("L-BFGS-B", gtol=TOLERANCE / 10, ftol=0, maxfun=10**5),
    "jax.scipy BFGS": of_jax,
}


def main() -> None:
    """Measure, show and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("results"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    table = Table("gradients to ‖g‖ ≤ 1e-8", *SOLVERS, box=None)
    record: dict[str, dict[str, Any]] = {}
    started = time.perf_counter()
    with jax.enable_x64(True):
        for label, problem in PROBLEMS.items():
            ends = {name: run(problem) for name, run in SOLVERS.items()}
            record[label] = {name: end._asdict() for name, end in ends.items()}
            table.add_row(label, *map(str, ends.values()))
    table.add_section()
    reached = [sum(ends[name]["reached"] for ends in record.values()) for name in SOLVERS]
    table.add_row("reached", *(f"{count} of {len(PROBLEMS)}" for count in reached))
    said = [sum(ends[name]["said"] and not ends[name]["reached"] for ends in record.values()) for name in SOLVERS]
    table.add_row("said so wrongly", *map(str, said))
    (out / "solvers.json").write_text(json.dumps(record, indent=2) + "\n")
    console = Console(width=140)  # the columns of a table are read side by side
    console.print(table)
    console.print(f"{time.perf_counter() - started:.0f} s; {out / 'solvers.json'}")


if __name__ == "__main__":
    main()
