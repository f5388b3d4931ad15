"""A polynomial of high degree, regularised by any penalty δ², over its error of leaving one out (course 6.3)."""

import numpy as np

from experiments.lab.frames import Interactive, Slider, interactive, short
from experiments.lab.style import DATA, FIT, TRUTH


def draw(degree, x, y, grid, truth, deltas, fits, loo, freedom) -> Interactive:
    """fits is (deltas, grid); loo and freedom are the error of leaving one out and tr H at each δ²."""
    traces = [
        {"x": short(grid), "y": short(truth), "mode": "lines", "line": {"color": TRUTH, "dash": "dash"},
         "name": "truth"},
        {"x": short(grid), "mode": "lines", "line": {"color": FIT}, "name": f"degree {degree}"},
        {"x": short(x), "y": short(y), "mode": "markers", "marker": {"color": DATA, "size": 7}, "name": "examples"},
        {"x": short(deltas), "y": short(loo), "mode": "lines", "line": {"color": FIT}, "xaxis": "x2", "yaxis": "y2",
         "name": "error of leaving one out", "showlegend": False},
        {"mode": "markers", "marker": {"color": FIT, "size": 12}, "xaxis": "x2", "yaxis": "y2", "showlegend": False,
         "name": "here"},
    ]  # fmt: skip
    frames = [
        {1: {"y": short(fit, 3)}, 4: {"x": short([delta]), "y": short([error])}}
        for delta, fit, error in zip(deltas, fits, loo, strict=True)
    ]
    reach = 1.05 * float(np.max(np.abs([*y, *truth]))) + 0.5
    layout = {
        "height": 560,
        "xaxis": {"title": {"text": "x"}, "anchor": "y", "range": [-1, 1]},
        "yaxis": {"title": {"text": "y"}, "range": [-reach, reach], "domain": [0.46, 1]},
        "xaxis2": {"title": {"text": "δ²"}, "type": "log", "anchor": "y2", "exponentformat": "power"},
        "yaxis2": {"title": {"text": "error of<br>leaving one out"}, "type": "log", "domain": [0, 0.3],
                   "exponentformat": "power"},
    }  # fmt: skip
    values = tuple(f"{delta:.0e}, tr H = {number:.1f}" for delta, number in zip(deltas, freedom, strict=True))
    return interactive(
        f"Degree {degree}, regularised by a penalty δ²", traces, layout, frames,
        (Slider("penalty δ²", values, int(np.argmin(loo))),),
        f"Move δ²: to the left all of degree {degree} works and runs through the noise; to the right so little of it "
        f"is left that it cannot follow the curve. tr H counts how many of its {degree + 1} parameters are free. The "
        "slider stands first where the error of leaving one out is least.",
    )  # fmt: skip
