"""The pictures of the benchmarks: ratios on a log axis, and how the time grows.

`python -m experiments.benchmarks.charts benchmarks.json [--out DIR]` draws a record again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from experiments.benchmarks.records import Record
from experiments.lab.style import DATA, FIT, MUTED, STYLE, TRUTH

OURS = "jax_course"
PEERS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")


def ratios(races: list[Record]) -> Figure:
    """A row for each race: all peers, the best of them filled, and the ticks of the targets."""
    shown = [race for race in races if any(peer["ratio"] for peer in race["contenders"][1:])]
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.27 * len(shown)))
    for row, race in enumerate(shown):
        _ratios_of(axes, row, race)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}×"))
    axes.set_yticks(range(len(shown)), [_title(race) for race in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("seconds of the peer by ours, paired in each round (right of 1×: ours is faster)")
    _legend(axes)
    return figure


def _ratios_of(axes: Axes, row: int, race: Record) -> None:
    if row % 2:
        axes.axhspan(row - 0.5, row + 0.5, color=MUTED, alpha=0.08, linewidth=0)
    for peer in race["contenders"][1:]:
        if not peer["ratio"]:
            continue
        median, low, high = peer["ratio"]
        best = peer["name"] == race["best_peer"]
        color = FIT if best else DATA if peer["accurate"] else MUTED
        axes.plot([low, high], [row, row], color=color, linewidth=1.5, zorder=3 if best else 2)
        marker = "o" if peer["accurate"] else "x"
        face = color if best or not peer["accurate"] else "white"
        axes.plot(median, row, marker, color=color, markerfacecolor=face, markersize=5, zorder=4 if best else 3)
        target = peer["target"] or (race["target"] if best else None)
        if target:
            axes.plot(target, row, "|", color=TRUTH, markersize=11, markeredgewidth=2, zorder=5)


def _title(race: Record) -> str:
    return race["name"] if race["dtype"] == "float64" else f"{race['name']}, {race['dtype']}"


def _legend(axes: Axes) -> None:
    looks: dict[str, dict[str, Any]] = {
        "best peer": {"marker": "o", "color": FIT},
        "another peer": {"marker": "o", "color": DATA, "markerfacecolor": "white"},
        "not as accurate": {"marker": "x", "color": MUTED},
        "target": {"marker": "|", "color": TRUTH, "markersize": 11, "markeredgewidth": 2},
    }
    for name, look in looks.items():
        axes.plot([], [], linestyle="", label=name, **look)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, columnspacing=1.5, handletextpad=0.2)


def times(races: list[Record], title: str) -> Figure:
    """A row for each race: milliseconds of ours and of the best peer, and the limit."""
    shown = [race for race in races if race["contenders"][0]["seconds"]]
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.27 * len(shown)))
    peer_look: dict[str, Any] = {"color": DATA, "markerfacecolor": "white", "label": "best peer"}
    limit_look: dict[str, Any] = {"color": TRUTH, "markersize": 11, "markeredgewidth": 2, "label": "limit"}
    for row, race in enumerate(shown):
        ours, *peers = race["contenders"]
        face = FIT if ours["accurate"] else "white"
        median, *_ = ours["median_and_quartiles"]
        axes.plot(1e3 * median, row, "o", color=FIT, markerfacecolor=face, label=OURS, zorder=3)
        for peer in peers:
            if peer["name"] == race["best_peer"]:
                axes.plot(1e3 * peer["median_and_quartiles"][0], row, "o", **peer_look)
        if race["limit_seconds"]:
            axes.plot(1e3 * race["limit_seconds"], row, "|", **limit_look)
    axes.set(xscale="log", xlabel="milliseconds", ylim=(len(shown) - 0.5, -0.5))
    axes.set_yticks(range(len(shown)), [_title(race) for race in shown])
    axes.set_title(title, loc="left", pad=24)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(handles.values(), handles.keys(), loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return figure


def scaling(record: Record) -> Figure:
    """Seconds against rows and against features; a cross where a peer gives up."""
    figure, both = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    names = dict.fromkeys(name for along in ("rows", "features") for name in record[along]["seconds"])
    peers = [name for name in names if name != OURS]
    looks: dict[str, dict[str, Any]] = {OURS: {"color": FIT, "marker": "o", "linewidth": 2.4, "zorder": 3}}
    for i, name in enumerate(peers):
        looks[name] = {"color": PEERS[i % len(PEERS)], "marker": MARKERS[i % len(MARKERS)]}
    fixed = f"{record['rows']['of_features']} features", f"{record['features']['of_rows']:,} rows"
    for axes, along, of in zip(both, ("rows", "features"), fixed, strict=True):
        for name, seconds in record[along]["seconds"].items():
            known = [(size, s) for size, s in zip(record[along]["sizes"], seconds, strict=True) if s is not None]
            axes.plot(*np.array(known).reshape(-1, 2).T, label=name, markersize=4, **looks[name])
            if known and name in record[along]["given_up"]:
                axes.plot(*known[-1], "x", color=looks[name]["color"], markersize=11)
        axes.set(xscale="log", yscale="log", xlabel=f"{along} ({of})")
        sizes = record[along]["sizes"]
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_xticks([], minor=True)
    both[0].set_ylabel("seconds")
    figure.suptitle(record["title"])
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def save(record: Record, out: Path) -> None:
    """All pictures of a record, as PNG and SVG."""
    with mpl.rc_context(STYLE):
        figures = {"ratios": ratios(record["races"])} if record["races"] else {}
        figures |= {f"scaling_{key}": scaling(of) for key, of in record["scaling"].items()}
        for name, figure in figures.items():
            for kind in ("png", "svg"):
                figure.savefig(out / f"{name}.{kind}")
            plt.close(figure)


def main(arguments: list[str] | None = None) -> int:
    """Draw a record."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.charts", description="Draw a record.")
    parser.add_argument("json", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    save(json.loads(options.json.read_text()), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
