"""The doctor against the tools people have: which wrong derivatives each rejects, and which right ones.

`python -m experiments.benchmarks.doctor [--quick] [--out DIR]` plants every fault of `exercises.mutants` in every
model, at several sizes and scales, with many seeds. The others get the same functions, parameters and data (two of the
seeds), with their default settings, and say yes or no; the doctor also names the kind. All in float64; the right
derivatives in float32 and bfloat16 inputs besides.
"""

import argparse
import itertools
import json
import multiprocessing
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from jax.test_util import check_grads
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import optimize

from experiments.lab.style import DATA, FIT, STYLE
from jax_course import verify
from jax_course.exercises.mutants import GRADIENT, MODELS, SECOND, Fault, cases, mutant
from jax_course.exercises.problems import BADLY_SCALED, WIDE, problem

DOCTOR = "the doctor"
FIRST_SEED = 1000  # the tests, on which the diagnosis was made, use seeds below
PEERS_UP_TO, HEARD = 30, 2  # the others get problems up to this size, of so many seeds

Tool = Callable[[Callable, Callable, np.ndarray, tuple, dict], bool]


def by_check_grads(cost, gradient, theta, arguments, keywords) -> bool:
    """jax.test_util.check_grads on the cost with the hand-derived gradient as its reverse-mode rule."""
    check_grads(_with_rule(cost, gradient, arguments, keywords), (jnp.asarray(theta),), order=1, modes=["rev"])
    return True


def by_chex(cost, gradient, theta, arguments, keywords) -> bool:
    """chex.assert_numerical_grads on the same, in reverse mode: a hand-written rule has no other."""
    with_rule = _with_rule(cost, gradient, arguments, keywords)
    chex.assert_numerical_grads(with_rule, (jnp.asarray(theta),), order=1, modes=["rev"])
    return True


def by_scipy(cost, gradient, theta, arguments, keywords) -> bool:
    """scipy.optimize.check_grad, one norm; accepted if at most 1e-4 of that of the gradient, as its users do."""
    shape = theta.shape

    def flat_cost(x):
        return float(cost(x.reshape(shape), *arguments, **keywords))

    def flat_gradient(x):
        return np.asarray(gradient(x.reshape(shape), *arguments, **keywords)).ravel()

    error = optimize.check_grad(flat_cost, flat_gradient, theta.ravel())
    return bool(error <= 1e-4 * np.linalg.norm(flat_gradient(theta.ravel())))


def by_gradcheck(cost, gradient, theta, arguments, keywords) -> bool:
    """torch.autograd.gradcheck on a Function with the hand-derived gradient as its backward."""
    import torch  # pyright: ignore[reportMissingImports]

    class WithRule(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.tensor(float(cost(x.detach().numpy(), *arguments, **keywords)), dtype=torch.float64)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * torch.from_numpy(np.array(gradient(x.detach().numpy(), *arguments, **keywords)))

    return torch.autograd.gradcheck(WithRule.apply, (torch.tensor(theta, requires_grad=True),))


def _with_rule(cost, gradient, arguments, keywords):
    @jax.custom_vjp
    def with_rule(theta):
        return cost(theta, *arguments, **keywords)

    with_rule.defvjp(
        lambda theta: (with_rule(theta), theta), lambda theta, g: (g * gradient(theta, *arguments, **keywords),)
    )
    return with_rule


def others() -> dict[str, Tool]:
    """The tools that are installed."""
    tools: dict[str, Tool] = {
        "jax.test_util.check_grads": by_check_grads,
        "chex.assert_numerical_grads": by_chex,
        "scipy.optimize.check_grad": by_scipy,
    }
    try:
        import torch  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        return tools
    return tools | {"torch.autograd.gradcheck": by_gradcheck}


def accepts(tool: Tool, model: str, gradient: Callable, theta, X, y, keywords) -> bool:
    """The tool's verdict; whatever it raises is a rejection."""
    try:
        return tool(MODELS[model].cost, gradient, theta, (X, y), keywords)
    except Exception:
        return False


class Tally:
    """How many wrong derivatives were rejected, and right ones: sums that add up over processes."""

    def __init__(self):
        self.tools: dict[str, Counter] = defaultdict(Counter)
        self.kinds: dict[str, Counter] = defaultdict(Counter)
        self.missed: list[str] = []

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        for mine, theirs in ((self.tools, other.tools), (self.kinds, other.kinds)):
            for name, counts in theirs.items():
                mine[name].update(counts)
        self.missed += other.missed


def on_mutants(model: str, fault: Fault, d: int, seeds: range) -> Tally:
    """One fault in one model at one size; the others hear the first seeds of the smaller gradients."""
    tally = Tally()
    for seed in seeds:
        for decades in fault.decades:
            theta, X, y, keywords = problem(model, d, seed, decades=decades)
            wrong = mutant(model, fault)
            if _is_right(model, fault, theta, X, y, keywords):
                continue
            report = verify.derivatives(MODELS[model].cost, theta, X, y, **{fault.derivative: wrong}, **keywords)
            rejected = report.ok is False
            named = rejected and fault.kind in {finding.kind for finding in report.findings}
            counts = {"mutants": 1, "rejected": int(rejected), "named": int(named)}
            tally.tools[DOCTOR].update(counts)
            tally.kinds["a small entry" if "small" in fault.name else fault.kind.name].update(counts)
            if not named:
                case = f"{model} {fault.derivative} {fault.name} d={d} seed={seed} decades={decades:g}"
                tally.missed.append(f"{case}: {report}")
            if fault.derivative == "gradient" and d <= PEERS_UP_TO and seed in seeds[:HEARD]:
                for name, tool in others().items():
                    rejected = not accepts(tool, model, wrong, theta, X, y, keywords)
                    tally.tools[name].update({"mutants": 1, "rejected": int(rejected)})
    return tally


def _is_right(model: str, fault: Fault, theta, X, y, keywords) -> bool:
    """Whether the fault happens to change nothing here, as a mask does that all examples pass."""
    extra = (theta,) if fault.derivative == "hessian_product" else ()
    both = getattr(MODELS[model], fault.derivative), mutant(model, fault)
    values = [np.asarray(function(theta, X, y, *extra, **keywords)) for function in both]
    same = values[0].shape == values[1].shape and values[0].dtype == values[1].dtype
    return same and bool(np.array_equal(values[0], values[1]))


def on_right(model: str, d: int, seeds: range) -> Tally:
    """The right derivatives of one model at one size, in inputs of three precisions; all three of them if small."""
    tally, module = Tally(), MODELS[model]
    given = {} if d <= PEERS_UP_TO else {"gradient": module.gradient}
    for seed, decades in itertools.product(seeds, (0.0, BADLY_SCALED, WIDE[-1])):
        theta, X, y, keywords = problem(model, d, seed, decades=decades)
        for dtype in (np.float64, np.float32, jnp.bfloat16):

            def cast(values, dtype=dtype):
                return values.astype(dtype) if values.dtype.kind == "f" else values

            data, numbers = [cast(v) for v in (theta, X, y)], {name: cast(v) for name, v in keywords.items()}
            examine = partial(verify.derivatives, module.cost) if given else partial(verify.model, module)
            report = examine(*data, **given, **numbers)
            tally.tools[DOCTOR].update(
                {"right": 1, "alarms": int(report.ok is False), "undecided": int(report.ok is None)}
            )
            if report.ok is not True:
                tally.missed.append(f"{model} right d={d} seed={seed} decades={decades:g} {dtype}: {report}")
        if d <= PEERS_UP_TO and seed in seeds[:HEARD]:
            for name, tool in others().items():
                rejected = not accepts(tool, model, module.gradient, theta, X, y, keywords)
                tally.tools[name].update({"right": 1, "alarms": int(rejected)})
    return tally


def _work(task: tuple) -> Tally:
    """A task in a process of its own: faults are named, for functions do not travel."""
    model, of, name, d, seeds = task
    jax.clear_caches()  # of the task before: no program is used twice
    with jax.enable_x64(True):
        if not name:
            return on_right(model, d, seeds)
        fault = next(f for f in (*GRADIENT, *SECOND) if (f.derivative, f.name) == (of, name) and model in f.models)
        return on_mutants(model, fault, d, seeds)


def measure(quick: bool, only: str = "") -> Tally:
    """All mutants and all right derivatives, in as many processes as there are cores.

    only: a part of the names of the faults that are planted; with it, no right derivative is examined.
    """
    sizes, second = ((2, 5), (2,)) if quick else ((2, 5, 30, 400), (2, 5, 30))
    seeds = range(FIRST_SEED, FIRST_SEED + (2 if quick else 20))
    tasks = [(model, "", "", d, seeds) for model in MODELS for d in sizes if not only]
    for faults, up_to in ((GRADIENT, sizes), (SECOND, second)):
        tasks += [
            (model, fault.derivative, fault.name, d, seeds)
            for model, fault, d in cases(faults, up_to)
            if only in fault.name
        ]
    total = Tally()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        done = pool.map(_work, tasks[::-1])
        for tally in track(done, "mutants", total=len(tasks), console=Console(stderr=True)):
            total.add(tally)
    return total


def draw(measured: Tally, out: Path) -> None:
    """Rejection and false-alarm rates of all tools."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.5, 3.2))
        names = _ordered(measured)[::-1]
        killed = [100 * measured.tools[n]["rejected"] / measured.tools[n]["mutants"] for n in names]
        alarms = [100 * measured.tools[n]["alarms"] / max(measured.tools[n]["right"], 1) for n in names]
        place = np.arange(len(names))
        for offset, values, color, label in (
            (0.2, killed, DATA, "wrong derivatives rejected"),
            (-0.2, alarms, FIT, "right derivatives rejected"),
        ):
            bars = axes.barh(place + offset, values, 0.36, color=color, label=label)
            axes.bar_label(bars, [f"{value:.1f} %" for value in values], padding=3, fontsize="small")
        axes.set(yticks=place, yticklabels=names, xlim=(0, 118), xlabel="% of cases")
        axes.legend(loc="upper center", bbox_to_anchor=(0.3, 1.16), ncols=2, fontsize="small")
        axes.grid(axis="y", visible=False)
        figure.savefig(out / "doctor.png")
        figure.savefig(out / "doctor.svg", metadata={"Date": None})


def _ordered(measured: Tally) -> list[str]:
    return [name for name in (DOCTOR, *others()) if name in measured.tools]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and leave doctor.json and the figure."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.doctor", description="The doctor against the tools people have."
    )
    parser.add_argument("--quick", action="store_true", help="two seeds and small sizes")
    parser.add_argument("--only", default="", metavar="TEXT", help='faults with this in their name, as "small entry"')
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    started = time.perf_counter()
    measured = measure(options.quick, options.only)
    record = {"tools": measured.tools, "kinds": measured.kinds, "missed": measured.missed}
    (options.out / "doctor.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    draw(measured, options.out)
    table = Table("tool", "wrong", "rejected", "kind named", "right", "rejected", "undecided", box=None)
    for name in _ordered(measured):
        row = measured.tools[name]
        share = [f"{row[key] / row['mutants']:.2%}" for key in ("rejected", "named")]
        table.add_row(name, str(row["mutants"]), share[0], share[1] if name == DOCTOR else "",
                      str(row["right"]), str(row["alarms"]), str(row["undecided"]))  # fmt: skip
    Console().print(table)
    kinds = Table("kind", "wrong", "rejected", "named", box=None)
    for kind, row in sorted(measured.kinds.items()):
        kinds.add_row(kind, str(row["mutants"]), *(f"{row[key] / row['mutants']:.2%}" for key in ("rejected", "named")))
    Console().print(kinds)
    Console().print(f"{time.perf_counter() - started:.0f} s; {options.out / 'doctor.json'}", highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
