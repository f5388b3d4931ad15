"""Gradient descent on a bowl with any step size η: its path, and its cost (course 7.5)."""

import numpy as np

from experiments.lab.frames import INK, Interactive, Slider, interactive, short
from experiments.lab.style import FIT

FAR = 1e3  # what has left the map by so much is not drawn


def draw(side, costs, etas, paths, falls, border, start) -> Interactive:
    """costs is the cost on side × side; paths (etas, steps, 2) with their costs `falls` (etas, steps)."""
    traces = [
        {"type": "contour", "x": short(side), "y": short(side), "z": short(np.log10(costs + 1e-2)),
         "contours": {"coloring": "none", "start": -2, "end": 2.5, "size": 0.375}, "line": {"width": 1},
         "showscale": False, "showlegend": False, "hoverinfo": "skip", "opacity": 0.5, "meta": INK},
        {"mode": "lines+markers", "line": {"color": FIT}, "marker": {"size": 6}, "name": "descent"},
        {"x": [0], "y": [0], "mode": "markers", "marker": {"symbol": "cross", "size": 10}, "name": "minimum",
         "meta": INK},
        {"x": [*range(falls.shape[1])], "mode": "lines+markers", "line": {"color": FIT}, "marker": {"size": 5},
         "xaxis": "x2", "yaxis": "y2", "showlegend": False, "name": "cost"},
    ]  # fmt: skip
    frames = []
    for path, fall in zip(paths, falls, strict=True):
        near = np.abs(path).max(axis=1) < FAR
        frames.append({1: {"x": short(path[near, 0]), "y": short(path[near, 1])}, 3: {"y": short(fall, 3)}})
    layout = {
        "height": 620,
        "xaxis": {"title": {"text": "θ₁"}, "range": [-6, 6]},
        "yaxis": {"title": {"text": "θ₂"}, "range": [-2.4, 2.4], "domain": [0.4, 1], "scaleanchor": "x"},
        "xaxis2": {"title": {"text": "steps"}, "anchor": "y2"},
        "yaxis2": {"title": {"text": "cost"}, "type": "log", "range": [-8, 3], "domain": [0, 0.28],
                   "exponentformat": "power"},
    }  # fmt: skip
    values = tuple(f"{eta:.2f}{'' if eta < border else ', beyond 2/λ_max'}" for eta in etas)
    return interactive(
        "Descent on a bowl, by its learning rate η", traces, layout, frames,
        (Slider("learning rate η", values, start),),
        f"Move η: the path creeps, then bounces across the valley, and beyond 2/λ_max = {border:.3f} leaves it. Below, "
        "the cost after each step: a straight line down, level at the border, and up beyond it.",
    )  # fmt: skip
