"""Two ways to ∂C/∂x: all Jacobians multiplied, or vector times matrix from the cost down, timed and weighed (12.2).

    solution 1    δ^L (J^L (J^(L−1) … (J² J¹)))     L d³ products, matrices of d² numbers
    solution 2    ((δ^L J^L) J^(L−1) …) J¹          L d² products, vectors of d numbers

One example, layers of one width d, each linear and then tanh. Both are compiled; memory is what the compiled program
takes beside its arguments and its result.
"""

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import DATA, FIT
from jax_course.networks import costs, jacobians, mlp

TITLE = "Two ways through the layers"
SECTION = "12.2"
WAYS = {"solution 1": (jacobians.solution_1, FIT), "solution 2": (jacobians.solution_2, DATA)}
MEASURES = {
    "seconds": "time of a run in seconds",
    "bytes": "memory in bytes",
    "operations": "floating-point operations",
}


@in_float64
def run(quick: bool) -> Result:
    """Time, memory and operations of both, for several widths at one depth and several depths at one width."""
    widths, depth = ((64, 256, 512), 3) if quick else ((32, 64, 128, 256, 512), 8)
    depths, width = ((2, 3, 6), 64) if quick else ((2, 4, 8, 16), 128)
    sizes = {*((d, depth) for d in widths), *((width, layers) for layers in depths)}
    cells = {size: _measured(*size) for size in sorted(sizes)}
    by_width, by_depth = [cells[d, depth] for d in widths], [cells[width, layers] for layers in depths]
    gap = max(cell["gap"] for cell in cells.values())
    largest = by_width[-1]
    return Result(
        {
            "costs": Picture(
                _costs((widths, by_width, f"width, {depth} layers"), (depths, by_depth, f"layers, width {width}")),
                "Solution 1 multiplies matrices, solution 2 a vector with matrices. Top: against the width, solution 1 "
                f"grows by a power more; at width {widths[-1]} it takes {_ratio(largest, 'seconds'):.0f} times as "
                "long. Bottom: every layer adds the same to either.",
            ),
            "ratios": Picture(
                _ratios(widths, by_width),
                "Solution 1 in units of solution 2: operations and time against the width. Twice the width, twice the "
                "operations (dashed). The times are less far apart, for a processor gets through the products of two "
                "matrices at a higher rate than through those of a vector and a matrix.",
            ),
        },
        {
            "widths": list(widths),
            "depths": list(depths),
            "by width": _table(by_width),
            "by depth": _table(by_depth),
        },
        (
            Check("solution 1 = solution 2, at every width and depth", gap, gap < 1e-10),
            _equals_autodiff(width, depths[0], by_depth[0]["result"]),
            _power("solution 1: operations grow as width to the power of", "solution 1", widths, by_width, 3),
            _power("solution 2: operations grow as width to the power of", "solution 2", widths, by_width, 2),
            _grows("time of solution 1 / solution 2: smallest / largest width", by_width, "seconds"),
            _grows("memory of solution 1 / solution 2: smallest / largest width", by_width, "bytes"),
        ),
        (),
    )


def _problem(width, depth):
    net, rng = mlp([width] * depth + [1], "tanh", costs.squared_error()), np.random.default_rng(0)
    shapes = jax.eval_shape(partial(net.init, d_in=width), jax.random.key(0))
    theta = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape) / np.sqrt(width), shapes)
    return net, jax.device_put(theta), jnp.asarray(rng.normal(size=width)), jnp.asarray(1.0)


def _measured(width, depth):
    """Seconds, bytes and operations of both ways; and how far their results are apart."""
    net, *arguments = _problem(width, depth)
    cell, results = {}, []
    for name, (way, _) in WAYS.items():
        compiled: Any = jax.jit(partial(way, net)).lower(*arguments).compile()
        results.append(compiled(*arguments))
        cell[name] = {
            "seconds": _seconds(partial(compiled, *arguments)),
            "bytes": int(compiled.memory_analysis().temp_size_in_bytes),
            "operations": float(compiled.cost_analysis()["flops"]),
        }
    return {**cell, "gap": apart(*results), "result": results[1]}


def _seconds(program, runs=7):
    """The median of several, each long enough for the clock."""

    def several(count):
        started = time.perf_counter()
        for _ in range(count):
            result = program()
        result.block_until_ready()
        return (time.perf_counter() - started) / count

    count = max(1, min(200, round(2e-3 / several(2))))
    return float(np.median([several(count) for _ in range(runs)]))


def _ratio(cell, measure):
    return cell["solution 1"][measure] / cell["solution 2"][measure]


def _table(cells):
    return {f"{name}, {measure}": [cell[name][measure] for cell in cells] for name in WAYS for measure in MEASURES}


def _equals_autodiff(width, depth, by_solution_2):
    net, theta, x, y = _problem(width, depth)
    by_autodiff = jax.jit(jax.grad(lambda x, theta: net.cost(theta, x[None, :], y[None])))(x, theta)
    gap = apart(by_solution_2, by_autodiff)
    return Check("solution 2 = autodiff", gap, gap < 1e-12)


def _power(claim, name, widths, cells, expected):
    """Between the two largest widths, where what grows less has the least share."""
    power = float(np.log2(cells[-1][name]["operations"] / cells[-2][name]["operations"])
                  / np.log2(widths[-1] / widths[-2]))  # fmt: skip
    return Check(f"{claim} {expected}, to 0.2", power, abs(power - expected) < 0.2)


def _grows(claim, cells, measure):
    share = _ratio(cells[0], measure) / _ratio(cells[-1], measure)
    return Check(f"{claim}, below 1", share, share < 1)


def _costs(*sweeps):
    figure, axes = plt.subplots(2, 3, figsize=(11.5, 6.6), layout="constrained")
    for row, (sizes, cells, label) in zip(axes, sweeps, strict=True):
        for axis, (measure, title) in zip(row, MEASURES.items(), strict=True):
            for name, (_, color) in WAYS.items():
                axis.plot(sizes, [cell[name][measure] for cell in cells], "o-", color=color, label=name)
            axis.set(xlabel=label, title=title)
            _logarithmic(axis, sizes)
    axes[0, 0].legend()
    return figure


def _logarithmic(axis, sizes):
    axis.set(xscale="log", yscale="log", xticks=sizes, xticklabels=[str(size) for size in sizes])
    low, high = np.log10(axis.get_ylim())
    axis.set_ylim(10 ** np.floor(low), 10 ** np.ceil(high))
    axis.minorticks_off()


def _ratios(widths, cells):
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for measure, name, style in (("operations", "operations", "o-"), ("seconds", "time", "s-")):
        axes.plot(
            widths, [_ratio(cell, measure) for cell in cells], style, color=FIT if style == "o-" else DATA, label=name
        )
    first = _ratio(cells[0], "operations")
    axes.plot(widths, [first * width / widths[0] for width in widths], "--", color="black", lw=1, label="∝ width")
    axes.set(xlabel="width", ylabel="solution 1 / solution 2")
    _logarithmic(axes, widths)
    axes.legend()
    return figure
