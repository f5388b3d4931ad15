"""Whether the fast passes are still fast: each against its plain form in one run, and against the recorded ratios.

`python -m experiments.benchmarks.guard [--record]`. What makes them fast is the compiler's treatment of one form of a
formula; a new version of it, or a tidy-up of ours, can take it away without a test failing. The exit code is 1 where a
ratio has fallen by more than a third from guard.json. `--record` writes them there: float64, on a CPU with nothing
else to do.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.benchmarks.clock import timed
from experiments.benchmarks.problems import two_classes
from jax_course import linalg, logistic

RECORDED = Path(__file__).with_name("guard.json")
FALLEN = 2 / 3
ROUNDS, ATTEMPTS = 9, 3


class Pass(NamedTuple):
    """The same value in two forms."""

    fast: Callable
    plain: Callable
    rows: int
    features: int


PASSES = {
    "transpose_product against X.T @ r": Pass(
        lambda theta, X, y: linalg.transpose_product(X, y), lambda theta, X, y: X.T @ y, 400_000, 50
    ),
    "logistic.gradient against jax.grad": Pass(logistic.gradient, jax.grad(logistic.cost), 40_000, 500),
    "gram against X.T @ X": Pass(lambda theta, X, y: linalg.gram(X), lambda theta, X, y: X.T @ X, 20_000, 500),
}


def measured(both: Pass, share: int) -> float:
    """The plain form's seconds by the fast one's, the fastest of the rounds, after a call that compiles."""
    X, y = map(jnp.asarray, two_classes(both.rows // share, both.features))
    theta = jnp.full(both.features, 1 / both.features)
    fast, plain = (partial(jax.jit(form), theta, X, y) for form in (both.fast, both.plain))
    values = [np.asarray(form()) for form in (fast, plain)]
    if not np.allclose(*values, rtol=1e-9, atol=1e-9 * np.max(np.abs(values[1]))):
        raise AssertionError("the two forms are not of the same value")
    rounds = [[timed(lambda f=form: jax.block_until_ready(f()))[1] for form in (fast, plain)] for _ in range(ROUNDS)]
    of_fast, of_plain = map(min, zip(*rounds, strict=True))
    return of_plain / of_fast


def guarded(both: Pass, share: int, least: float) -> float:
    """The ratio; measured again, and the best of all, where it is less: another process may have had a core."""
    found = 0.0
    for _ in range(ATTEMPTS):
        found = max(found, measured(both, share))
        if found >= least:
            break
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and record or compare."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.guard", description="Fast passes, guarded.")
    parser.add_argument("--record", action="store_true", help="take what is measured for what is to be kept")
    parser.add_argument("--quick", action="store_true", help="small sizes: that it runs, not how fast")
    parser.add_argument("--file", type=Path, default=RECORDED, help="of the recorded ratios; default: guard.json here")
    options = parser.parse_args(arguments)
    recorded = {} if options.record else json.loads(options.file.read_text())
    with jax.enable_x64(True):
        least, share = {name: FALLEN * was for name, was in recorded.items()}, 100 if options.quick else 1
        found = {name: guarded(both, share, least.get(name, 0)) for name, both in PASSES.items()}
    fallen = [name for name in least if found[name] < least[name]]
    table = Table("", "times as fast", "recorded", "", box=None)
    for name, ratio in found.items():
        was = f"{recorded[name]:.2f}" if name in recorded else "none"
        table.add_row(name, f"{ratio:.2f}", was, "FALLEN" if name in fallen else "")
    Console(width=120).print(table)
    if options.record:
        text = json.dumps({name: round(ratio, 2) for name, ratio in found.items()}, indent=2)
        options.file.write_text(text + "\n")
    return 1 if fallen else 0


if __name__ == "__main__":
    raise SystemExit(main())
