"""A million parameters have a Hessian of 8 TB: Newton and BFGS store it, L-BFGS and Newton-CG do without (7.6).

                                                             numbers stored     operations
    Newton       form H and factor it                        of order d²        d³/3
    BFGS         update H⁻¹ by one step, multiply by it      of order d²        of order d²
    L-BFGS       multiply by the last 10 pairs s, y instead  20 d               of order d
    Newton-CG    one product Hv, a derivative of ∇f along v  3 d                of order d

where ∇f takes of order d operations, as in this chain of springs that harden: f = Σ (θᵢ²/2 + θᵢ⁴/4) +
5 Σ (θᵢ₊₁ − θᵢ)². No curvature of f is below 1, so that ‖θ‖ ≤ ‖∇f‖: the minimum is at θ = 0.
"""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course.linalg import spd_solve
from jax_course.optimization import lbfgs, newton_cg
from jax_course.optimization.quasi_newton import Pairs, bfgs_update, two_loop_product

TITLE = "Storing the Hessian"
SECTION = "7.6"
MEMORY, MILLION = 10, 1_000_000
BYTES = {1e3: "1 kB", 1e6: "1 MB", 1e9: "1 GB", 1e12: "1 TB"}
SECONDS = {1e-6: "1 µs", 1e-3: "1 ms", 1: "1 s", 60: "1 minute", 3_600: "1 hour", 86_400 * 365.25: "1 year"}


class Costs(NamedTuple):
    """What one step takes: its arguments, results and workspace in bytes, and the best of five calls in seconds."""

    bytes: int
    seconds: float


def _cost(theta):
    return jnp.sum(theta**2 / 2 + theta**4 / 4) + 5 * jnp.sum((theta[1:] - theta[:-1]) ** 2)


def _newton(theta):
    return spd_solve(jax.hessian(_cost)(theta), jax.grad(_cost)(theta)).x


def _bfgs(H, s, y, g):
    updated = bfgs_update(H, s, y)
    return updated, updated @ g


def _newton_cg(theta, v):
    return jax.jvp(jax.grad(_cost), (theta,), (v,))[1]


def _pairs(theta):
    rows = np.tile(theta, (MEMORY, 1))
    return Pairs(*map(jnp.asarray, (rows, rows, 1 / np.sum(rows**2, axis=1), MEMORY, 1.0)))


# name: (a step, its arguments from θ, the powers of d by which bytes and seconds grow, colour)
STEPS = {
    "Newton": (_newton, lambda theta: (theta,), 2, 3, FIT),
    "BFGS": (_bfgs, lambda theta: (np.eye(theta.size), theta, theta, theta), 2, 2, TRUTH),
    "L-BFGS": (two_loop_product, lambda theta: (_pairs(theta), theta), 1, 1, DATA),
    "Newton-CG": (_newton_cg, lambda theta: (theta, theta), 1, 1, CLASSES[3]),
}


@in_float64
def run(quick: bool) -> Result:
    """One step of each method for growing d, as far as it fits; then whole fits at the largest d."""
    dense = (100, 300) if quick else (10, 30, 100, 300, 1_000)
    free = (1_000, 10_000) if quick else (10, 100, 1_000, 10_000, 100_000, MILLION)
    rng = np.random.Generator(np.random.PCG64(6))
    costs = {
        name: {d: _measured(name, rng.standard_normal(d)) for d in (dense if power == 2 else free)}
        for name, (_, _, power, *_) in STEPS.items()
    }
    start, d = rng.standard_normal(free[-1]), free[-1]
    solutions = {"L-BFGS": lbfgs(_cost, start).check(), "Newton-CG": newton_cg(_cost, start).check()}
    million = {name: _on_paper(name, of) for name, of in costs.items()}
    return Result(
        {
            "costs": Picture(
                _figure(costs),
                "One step, as the number of parameters grows: measured as far as it was run (dots), and carried on by "
                "the power of d (dashed). Bytes are those of the compiled program: arguments, results, workspace; the "
                "dotted line is H alone, 8 d². Seconds are the best of five calls, on a machine that may be busy, with "
                "a floor of some µs for the call. The grey line stands at the million of the course.",
            )
        },
        {
            "measured": {name: {f"{d}": step._asdict() for d, step in of.items()} for name, of in costs.items()},
            "a million parameters": {name: step._asdict() for name, step in million.items()},
            "bytes of H for a million parameters": 8 * MILLION**2,
            "fits": {
                "parameters": d,
                **{
                    name: {
                        "steps": int(of.steps),
                        "gradients": int(of.evaluations.gradient),
                        "Hessian products": int(of.evaluations.hessian),
                        "gradient norm": float(of.gradient_norm),
                    }
                    for name, of in solutions.items()
                },
            },
        },
        (
            *(_grows(name, costs[name]) for name in STEPS),
            *(_reached(name, d, of) for name, of in solutions.items()),
            _same_product(rng.standard_normal((2, dense[-1]))),
        ),
        tuple(
            fitted(name, f"chain of {d:,} springs", f"‖∇f‖ = {of.gradient_norm:.0e}", of)
            for name, of in solutions.items()
        ),
    )


def _measured(name, theta):
    step, arguments, *_ = STEPS[name]
    given = jax.device_put(arguments(theta))
    compiled = jax.jit(step).lower(*given).compile()
    memory: Any = compiled.memory_analysis()
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        jax.block_until_ready(compiled(*given))
        seconds.append(time.perf_counter() - started)
    parts = memory.argument_size_in_bytes, memory.output_size_in_bytes, memory.temp_size_in_bytes
    return Costs(sum(parts), min(seconds))


def _on_paper(name, costs, d=MILLION):
    """From the largest that was measured."""
    _, _, of_bytes, of_seconds, _ = STEPS[name]
    largest = max(costs)
    measured, ratio = costs[largest], d / largest
    return Costs(int(measured.bytes * ratio**of_bytes), measured.seconds * ratio**of_seconds)


def _grows(name, costs):
    """The slope between the two largest d."""
    before, last = sorted(costs)[-2:]
    slope = np.log(costs[last].bytes / costs[before].bytes) / np.log(last / before)
    power = STEPS[name][2]
    off = float(abs(slope - power))
    return Check(f"{name}: bytes ∝ d{'²' if power == 2 else ''}, power off by", off, off < 0.02)


def _reached(name, d, solution):
    """θ = 0 is the minimum, and ‖θ‖ ≤ ‖∇f‖ says how near it is."""
    away, norm = float(np.linalg.norm(solution.theta)), float(solution.gradient_norm)
    return Check(f"{name}: the minimum of {d:,} parameters, ‖θ‖ ≤ ‖∇f‖", away, away <= norm < 1e-7)


def _same_product(thetas):
    """What Newton-CG multiplies by, without forming it, is H."""
    theta, v = thetas
    formed, product = jax.jit(lambda theta, v: (jax.hessian(_cost)(theta) @ v, _newton_cg(theta, v)))(theta, v)
    off = apart(product, formed)
    return Check("Newton-CG: product = H formed, times v", off, off < 1e-14)


def _figure(costs):
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for name, of in costs.items():
        *_, color = STEPS[name]
        for axis, column in zip(axes, (0, 1), strict=True):
            measured = [step[column] for step in of.values()]
            axis.plot(list(of), measured, "o-", color=color, ms=4, lw=1.2, label=name)
            axis.plot([max(of), MILLION], [measured[-1], _on_paper(name, of)[column]], "--", color=color, lw=1.2)
    d = np.array([10, MILLION])
    axes[0].plot(d, 8.0 * d**2, ":", color=MUTED, label="H alone")
    axes[0].text(1.3 * MILLION, 8.0 * MILLION**2, "8 TB", color=MUTED, va="center")
    for axis, title, ticks in zip(axes, ("Memory of a step", "Time of a step"), (BYTES, SECONDS), strict=True):
        axis.axvline(MILLION, color=MUTED, lw=0.8)
        axis.set(xscale="log", yscale="log", xlabel="parameters d", title=title)
        axis.set_yticks(list(ticks), list(ticks.values()))
        axis.minorticks_off()
    axes[0].legend(loc="upper left")
    return figure
