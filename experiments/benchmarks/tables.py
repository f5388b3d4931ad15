"""The records as tables in a terminal."""

from rich.table import Column, Table

from experiments.benchmarks.limits import Limits
from experiments.benchmarks.records import Record

MOST_MEMORY, WITH_MEMORY = 0.25, ("W1", "W2", "W3", "W4", "W5")  # beyond the data, in units of it
LEAST_DATA = 2**23  # of smaller data the share says nothing
MOST_LOAD = 0.7


def heading(machine: Record, can: Limits) -> str:
    """Where it runs, and what the machine can do."""
    rates = ", ".join(f"{rate / 1e9:.0f} Gflop/s in {dtype} products" for dtype, rate in can.products.items())
    lines = [
        f"Ours on {machine['device']}, the peers on the CPU; {machine['threads']} threads each.",
        f"Measured: {can.read / 1e9:.0f} GB/s read, {rates}.",
    ]
    if (machine["load_before"] or 0) > MOST_LOAD:
        load = f"OTHER PROCESSES ARE RUNNING (load {machine['load_before']:.1f}): "
        lines.append(f"{load}threads that wait for each other suffer most, by factors of ten and more.")
    return "\n".join(lines)


def of_race(race: Record) -> Table:
    """A line for each contender."""
    title = f"{race['workload']}: {race['name']}, {race['dtype']}"
    table = Table(
        *(
            Column(max_width=60),
            "first, s",
            "median, ms",
            "quartiles",
            "by ours",
            "quartiles",
            "target",
            "error",
            "memory, MB",
        ),
        title=title,
        title_justify="left",
        box=None,
    )
    for contender in race["contenders"]:
        table.add_row(*_cells(race, contender))
    if race["limit_seconds"]:
        times = f", ours {race['times_the_limit']:.1f} ×" if race["times_the_limit"] else ""
        table.add_row("limit, estimated", "", f"{race['limit_seconds'] * 1e3:.1f}{times}", style="dim")
    return table


def _cells(race: Record, contender: Record) -> list[str]:
    name, error = contender["name"], contender["error"]
    if contender["status"] != "ran":
        return [f"{name}: {contender['status']}"]
    median, low, high = (f"{seconds * 1e3:.4g}" for seconds in contender["median_and_quartiles"])
    cells = [name, f"{contender['first_seconds']:.2f}", median, f"{low}–{high}"]
    is_ours = contender is race["contenders"][0]
    ratio, low, high = contender["ratio"] or (float("nan"),) * 3
    is_best = name == race["best_peer"]
    cells += ["", ""] if is_ours else [f"{ratio:.2f}{' best' if is_best else ''}", f"{low:.2f}–{high:.2f}"]
    target = contender["target"] or (race["target"] if is_best else None)
    cells.append("" if target is None else f"{target:g} {'met' if ratio >= target else 'missed'}")
    cells.append(f"{error:.0e}" if contender["accurate"] else f"{error:.0e} > {race['bound']:.0e}")
    return [*cells, _memory(race, contender)]


def _memory(race: Record, contender: Record) -> str:
    held, data = contender["memory_bytes"], race["data_bytes"]
    if held is None or not data:  # without data in this process, its memory is not what was measured
        return ""
    if data < LEAST_DATA:
        return f"{held / 1e6:.0f}"
    too_much = race["workload"] in WITH_MEMORY and contender is race["contenders"][0] and held > MOST_MEMORY * data
    return f"{held / 1e6:.0f}, {held / data:.0%}{f' > {MOST_MEMORY:.0%}' if too_much else ''}"


def closing(summary: Record) -> str:
    """The means, the targets that were missed, and where ours is wrong."""
    rows, peers = (
        "none" if summary[key] is None else f"{summary[key]:.2f}"
        for key in ("geometric_mean_of_rows_with_a_target", "geometric_mean_of_best_peers")
    )
    lines = [
        f"Geometric mean of the ratios: {rows} over the rows with a target (wanted: 3), {peers} over the best peers.",
        f"{summary['targets_met']} of {summary['targets']} targets met.",
        *(f"  missed: {row}" for row in summary["missed"]),
        *(f"  OURS IS WRONG OR FAILED: {name}" for name in summary["ours_wrong"]),
    ]
    return "\n".join(lines)
