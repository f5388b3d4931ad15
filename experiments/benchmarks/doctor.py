"""The doctor against the tools people have: which wrong derivatives each rejects, and which right ones.

`python -m experiments.benchmarks.doctor [--quick] [--out DIR]` plants every fault of `faults.py` in every model, at
several sizes and scales, with many seeds. The others get the same functions, parameters and data (two of the seeds),
with their default settings, and say yes or no; the doctor also names the kind. All in float64; the right derivatives in
float32 and bfloat16 inputs besides.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
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

from experiments.benchmarks.faults import GRADIENT, MODELS, SECOND, Fault, cases, mutant, problem
from experiments.lab import DATA, FIT, STYLE
from jax_course import verify

Tool = Callable[[Callable, Callable, np.ndarray, tuple, dict], bool]


def by_check_grads(cost, gradient, theta, arguments, keywords) -> bool:
    """jax.test_util.check_grads on the cost with the hand-derived gradient as its reverse-mode rule."""
    check_grads(_with_rule(cost, gradient, arguments, keywords), (jnp.asarray(theta),), order=1, modes=["rev"])
    return True


def by_chex(cost, gradient, theta, arguments, keywords) -> bool:
    """chex.assert_numerical_grads on the same."""
    chex.assert_numerical_grads(_with_rule(cost, gradient, arguments, keywords), (jnp.asarray(theta),), order=1)
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


def measure(quick: bool) -> dict:
    """Rates of rejection and of naming, and of false alarms."""
    sizes, large = ((2, 5), ()) if quick else ((2, 5, 30), (400,))
    seeds = range(2 if quick else 20)
    peers = others()
    counts: dict[str, dict] = defaultdict(lambda: {"mutants": 0, "rejected": 0, "named": 0, "right": 0, "alarms": 0})
    by_kind: dict[str, list] = defaultdict(lambda: [0, 0, 0])
    missed: list[str] = []
    planted = [*cases(GRADIENT, sizes + large), *cases(SECOND, sizes[:2])]
    for model, fault, d in track(planted, description="mutants", console=Console(stderr=True)):
        for seed in seeds if d < 100 else list(seeds)[:5]:
            for badly_scaled in (False, True):
                theta, X, y, keywords = problem(model, d, seed, badly_scaled=badly_scaled)
                report = verify.derivatives(
                    MODELS[model].cost, theta, X, y, **{fault.of: mutant(model, fault)}, **keywords
                )
                rejected = report.ok is False
                named = rejected and fault.kind in {finding.kind for finding in report.findings}
                _count(counts["the doctor"], rejected, named)
                by_kind[fault.kind.name] = [
                    a + b for a, b in zip(by_kind[fault.kind.name], (1, rejected, named), strict=True)
                ]
                if not named:
                    missed.append(
                        f"{model} {fault.of} {fault.name} d={d} seed={seed} badly scaled={badly_scaled}: {report}"
                    )
                if fault.of == "gradient" and d <= 30 and seed < 2:
                    _hear_peers(peers, counts, model, fault, theta, X, y, keywords)
    for model in MODELS:
        for d in sizes + large:
            for seed in seeds if d < 100 else list(seeds)[:2]:
                for badly_scaled in (False, True):
                    _right(counts, peers, model, d, seed, badly_scaled)
    return {"tools": dict(counts), "kinds": dict(by_kind), "missed": missed}


def _count(row: dict, rejected: bool, named: bool = False) -> None:
    row["mutants"] += 1
    row["rejected"] += rejected
    row["named"] += named


def _hear_peers(peers, counts, model: str, fault: Fault, theta, X, y, keywords) -> None:
    for name, tool in peers.items():
        _count(counts[name], not accepts(tool, model, mutant(model, fault), theta, X, y, keywords))


def _right(counts, peers, model: str, d: int, seed: int, badly_scaled: bool) -> None:
    theta, X, y, keywords = problem(model, d, seed, badly_scaled=badly_scaled)
    module = MODELS[model]
    for dtype in (np.float64, np.float32, jnp.bfloat16):

        def cast(values, dtype=dtype):
            return values.astype(dtype) if values.dtype.kind == "f" else values

        arguments = [cast(values) for values in (theta, X, y)]
        numbers = {name: cast(value) for name, value in keywords.items()}
        examine = verify.model if d <= 30 else partial(verify.derivatives, module.cost, gradient=module.gradient)
        report = examine(module, *arguments, **numbers) if d <= 30 else examine(*arguments, **numbers)
        counts["the doctor"]["right"] += 1
        counts["the doctor"]["alarms"] += report.ok is not True
    if d <= 30 and seed < 2:
        for name, tool in peers.items():
            counts[name]["right"] += 1
            counts[name]["alarms"] += not accepts(tool, model, module.gradient, theta, X, y, keywords)


def draw(measured: dict, out: Path) -> None:
    """Rejection and false-alarm rates of all tools."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.5, 3.2))
        names = list(measured["tools"])[::-1]
        killed = [100 * measured["tools"][n]["rejected"] / measured["tools"][n]["mutants"] for n in names]
        alarms = [100 * measured["tools"][n]["alarms"] / max(measured["tools"][n]["right"], 1) for n in names]
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


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and leave doctor.json and the figure."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.doctor", description="The doctor against the tools people have."
    )
    parser.add_argument("--quick", action="store_true", help="two seeds and small sizes")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    started = time.perf_counter()
    with jax.enable_x64(True):
        measured = measure(options.quick)
    (options.out / "doctor.json").write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n")
    draw(measured, options.out)
    table = Table("tool", "mutants", "rejected", "kind named", "right", "false alarms", box=None)
    for name, row in measured["tools"].items():
        named = f"{row['named'] / row['mutants']:.1%}" if name == "the doctor" else ""
        table.add_row(name, str(row["mutants"]), f"{row['rejected'] / row['mutants']:.1%}", named, str(row["right"]),
                      f"{row['alarms'] / max(row['right'], 1):.1%}")  # fmt: skip
    Console().print(table)
    kinds = Table("kind", "mutants", "rejected", "named", box=None)
    for kind, (mutants, rejected, named) in measured["kinds"].items():
        kinds.add_row(kind, str(mutants), f"{rejected / mutants:.1%}", f"{named / mutants:.1%}")
    Console().print(kinds)
    Console().print(f"{time.perf_counter() - started:.0f} s; {options.out / 'doctor.json'}", highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
