"""Optimizers on their way down a valley, from one start, step by step (course 7.8)."""

import numpy as np

from experiments.lab.frames import INK, Interactive, Slider, interactive, short
from experiments.lab.style import CLASSES

FRAMES, POINTS = 60, 120


def draw(sides, costs, paths, minimum) -> Interactive:
    """costs on sides[0] × sides[1]; paths by name (steps + 1, 2), from the start on."""
    steps = len(next(iter(paths.values()))) - 1
    drawn = np.unique(np.append(0, np.geomspace(1, steps, POINTS).astype(int)))
    shown = np.unique(np.append(0, np.geomspace(1, steps, FRAMES).astype(int)))
    low, high = np.log10(costs.min() + 0.1), np.log10(costs.max())
    traces = [
        {"type": "contour", "x": short(sides[0]), "y": short(sides[1]), "z": short(np.log10(costs + 0.1)),
         "contours": {"coloring": "none", "start": low, "end": high, "size": (high - low) / 13}, "line": {"width": 1},
         "showscale": False, "showlegend": False, "hoverinfo": "skip", "opacity": 0.5, "meta": INK},
        {"x": short(minimum[:1]), "y": short(minimum[1:]), "mode": "markers", "marker": {"symbol": "cross", "size": 12},
         "name": "minimum", "meta": INK},
        *({"mode": "lines", "line": {"color": color, "width": 2.5}, "name": name}
          for name, color in zip(paths, CLASSES, strict=True)),
        {"mode": "markers", "marker": {"color": CLASSES[: len(paths)], "size": 11}, "showlegend": False,
         "text": [*paths], "hoverinfo": "text"},
    ]  # fmt: skip
    frames = []
    for step in shown:
        until = drawn[drawn <= step]
        lines = {i: {"x": short(path[until, 0], 3), "y": short(path[until, 1], 3)}
                 for i, path in enumerate(paths.values(), start=2)}  # fmt: skip
        heads = np.array([path[step] for path in paths.values()])
        frames.append({**lines, 2 + len(paths): {"x": short(heads[:, 0]), "y": short(heads[:, 1])}})
    layout = {
        "height": 520,
        "xaxis": {"title": {"text": "θ₁"}, "range": [-2.2, 2.2]},
        "yaxis": {"title": {"text": "θ₂"}, "range": [-0.8, 2.6], "scaleanchor": "x"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    return interactive(
        "Six optimizers down Rosenbrock's valley", traces, layout, frames,
        (Slider("after steps", tuple(f"{step:,}" for step in shown), len(shown) - 1),),
        "Play it, or move the steps: six optimizers down Rosenbrock's valley, each with its best learning rate. The "
        "walls are steep and the floor is nearly flat: all are soon on the floor, and then differ by how fast they "
        "follow it to the minimum (cross).",
        plays=True,
    )  # fmt: skip
