"""`python -m experiments.benchmarks.page FILE …`: benchmarks.json and scaling.json as one page, docs/speed.md.

Printed to standard output, in Markdown. Several files are the parts of one measurement on one machine.
"""

import json
import sys
from pathlib import Path

from experiments.benchmarks.records import Record, summary
from experiments.benchmarks.workloads import WORKLOADS

HEAD = ("", "first call, s", "later, ms", "times ours", "error", "memory beyond the data")


def joined(parts: list[Record]) -> Record:
    """One record of the parts of a measurement."""
    races = [race for part in parts for race in part["races"]]
    scaling = {key: value for part in parts for key, value in part["scaling"].items()}
    return parts[0] | {"races": races, "scaling": scaling, "summary": summary(races)}


def page(record: Record) -> str:
    """The page of a record: machine, a table for each race, and where a peer is faster."""
    parts = ["# Speed: every row", _introduction(record)]
    title = None
    for race in record["races"]:
        if race["workload"] != title:
            title = race["workload"]
            parts.append(f"## {WORKLOADS[title].title}")
        parts.append(f"**{race['name']}, {race['dtype']}**{_limit(race)}")
        parts.append(table(HEAD, [_row(race, contender) for contender in race["contenders"]]))
    parts.append("## What the other side does better")
    parts.append("\n".join(f"- {line}" for line in better(record["races"])) or "In these rows, nothing.")
    if record["scaling"]:
        said = "Later calls, beside the fastest peer of each size (`python -m experiments.benchmarks --scaling`)."
        parts += ["## From which size on", said, table(CROSSING_HEAD, crossings(record["scaling"]))]
    return "\n\n".join(parts) + "\n"


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """A table in Markdown.

    >>> print(table(("a", "b"), [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    return "\n".join(f"| {' | '.join(cells)} |" if cells else "|" + "---|" * len(head) for cells in (head, [], *rows))


def _introduction(record: Record) -> str:
    machine, means = record["machine"], record["summary"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    rows, peers = (
        "none" if means[key] is None else f"{means[key]:.2f}"
        for key in ("geometric_mean_of_rows_with_a_target", "geometric_mean_of_best_peers")
    )
    limits = record["limits"]
    rates = ", ".join(f"{rate / 1e9:.0f} Gflop/s in {dtype} products" for dtype, rate in limits["products"].items())
    return (
        f"{machine['date']}, {machine['device']}, {machine['threads']} threads, {limits['read'] / 1e9:.0f} GB/s read, "
        f"{rates}; {versions}. Made by `python -m experiments.benchmarks` and `python -m experiments.benchmarks.page`; "
        "the contenders run in turn, medians and ratios are over rounds. A library that misses the error that the row "
        "asks for is marked and does not count as the best. The limit is what no method avoids at the machine's rates: "
        "reading the data once and the products.\n\n"
        f"Geometric mean of the ratios: **{rows}** over the peers with a target ({means['targets_met']} of "
        f"{means['targets']} reached), **{peers}** over the best peer of each row."
    )


def _limit(race: Record) -> str:
    if not race["limit_seconds"]:
        return ""
    times = f", ours is {race['times_the_limit']:.1f} times that" if race["times_the_limit"] else ""
    return f" (limit {race['limit_seconds'] * 1e3:.3g} ms{times})"


def _row(race: Record, contender: Record) -> list[str]:
    if contender["status"] != "ran":
        return [contender["name"], contender["status"], "", "", "", ""]
    is_ours, held = contender is race["contenders"][0], contender["memory_bytes"]
    name = f"**{contender['name']}**" if is_ours else contender["name"]
    ratio = "" if is_ours or not contender["ratio"] else f"{contender['ratio'][0]:.2f}"
    if contender["name"] == race["best_peer"]:
        ratio = f"**{ratio}**"
    error = f"{contender['error']:.0e}" + ("" if contender["accurate"] else " (too large)")
    memory = "" if held is None or not race["data_bytes"] else f"{held / race['data_bytes']:.0%}"
    median = f"{contender['median_and_quartiles'][0] * 1e3:.4g}"
    return [name, f"{contender['first_seconds']:.2f}", median, ratio, error, memory]


def better(races: list[Record]) -> list[str]:
    """A line for each race in which a peer that is accurate is faster, and for the first calls."""
    lines = []
    for race in races:
        ours, *peers = race["contenders"]
        for peer in peers:
            if peer["accurate"] and peer["ratio"] and peer["ratio"][0] < 1:
                errors = f"error {peer['error']:.0e}, ours {ours['error']:.0e}"
                lines.append(f"{race['name']}, {race['dtype']}: {peer['name']}, {peer['ratio'][0]:.2f} ({errors})")
    first = [race for race in races if _is_first(race)]
    if first:
        lines.append(f"the first call, because ours compiles: a peer is faster in {len(first)} of {len(races)} rows")
    return lines


def _is_first(race: Record) -> bool:
    ours, *peers = race["contenders"]
    return any(peer["accurate"] and peer["first_seconds"] < ours["first_seconds"] for peer in peers)


CROSSING_HEAD = ("", "along", "no peer is faster from", "ratio at the smallest", "at the largest")


def crossings(scaling: Record) -> list[list[str]]:
    """For each workload and direction the first size from which on no peer is faster."""
    found = []
    for record in scaling.values():
        for along, fixed in (("rows", "of_features"), ("features", "of_rows")):
            ratios = _best_ratios(record[along])
            slower = [i for i, (_, ratio) in enumerate(ratios) if ratio < 1]
            start = slower[-1] + 1 if slower else 0
            where = f"{ratios[start][0]:,}" if start < len(ratios) else "no size seen"
            of = f"{along}, {record[along][fixed]:,} {fixed[3:]}"
            found.append([record["title"], of, where, *(f"{ratios[i][1]:.2g} at {ratios[i][0]:,}" for i in (0, -1))])
    return found


def _best_ratios(along: Record) -> list[tuple[int, float]]:
    """Size, and the seconds of the fastest accurate peer by ours, where both are known."""
    ours, *peers = along["seconds"].values()
    rows = zip(along["sizes"], ours, *peers, strict=True)
    known = ((size, own, [s for s in others if s is not None]) for size, own, *others in rows)
    return [(size, min(others) / own) for size, own, others in known if own is not None and others]


def main(arguments: list[str] | None = None) -> int:
    """Print the page."""
    names = sys.argv[1:] if arguments is None else arguments
    if not names:
        raise SystemExit(__doc__)
    sys.stdout.write(page(joined([json.loads(Path(name).read_text()) for name in names])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
