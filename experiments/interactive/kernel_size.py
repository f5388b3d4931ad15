"""The fit by one kernel on each example, at any kernel size λ, over its error of leaving one out (course 6.5)."""

import numpy as np

from experiments.lab.frames import Interactive, Slider, interactive, short
from experiments.lab.style import DATA, FIT, TRUTH


def draw(x, y, grid, truth, scales, fits, deviations, loo, measured) -> Interactive:
    """fits and deviations are (scales, grid); loo and measured are the two errors at each scale."""
    traces = [
        {"x": short(np.append(grid, grid[::-1])), "fill": "toself", "mode": "lines", "line": {"width": 0},
         "fillcolor": FIT, "opacity": 0.25, "name": "± 2 sd", "hoverinfo": "skip"},
        {"x": short(grid), "y": short(truth), "mode": "lines", "line": {"color": TRUTH, "dash": "dash"},
         "name": "truth"},
        {"x": short(grid), "mode": "lines", "line": {"color": FIT}, "name": "fit"},
        {"x": short(x), "y": short(y), "mode": "markers", "marker": {"color": DATA, "size": 6}, "name": "examples"},
        {"x": short(scales), "y": short(measured), "mode": "lines", "line": {"color": TRUTH, "dash": "dash"},
         "name": "error on new examples", "xaxis": "x2", "yaxis": "y2", "showlegend": False},
        {"x": short(scales), "y": short(loo), "mode": "lines", "line": {"color": FIT},
         "name": "error of leaving one out", "xaxis": "x2", "yaxis": "y2", "showlegend": False},
        {"mode": "markers", "marker": {"color": FIT, "size": 12}, "xaxis": "x2", "yaxis": "y2", "showlegend": False,
         "name": "here"},
    ]  # fmt: skip
    frames = [
        {
            0: {"y": short(np.append(fit + 2 * sd, (fit - 2 * sd)[::-1]), 3)},
            2: {"y": short(fit)},
            6: {"x": short([scale]), "y": short([error])},
        }
        for scale, fit, sd, error in zip(scales, fits, deviations, loo, strict=True)
    ]
    chosen = int(np.argmin(loo))
    low, high = 1.1 * min(*y, *truth) - 0.8, 1.1 * max(*y, *truth) + 0.3
    layout = {
        "height": 560,
        "xaxis": {"title": {"text": "x"}, "anchor": "y"},
        "yaxis": {"title": {"text": "y"}, "range": [low, high], "domain": [0.5, 1]},
        "xaxis2": {"title": {"text": "λ"}, "type": "log", "anchor": "y2", "dtick": 1, "exponentformat": "power"},
        "yaxis2": {"title": {"text": "error"}, "domain": [0, 0.32], "rangemode": "tozero"},
    }  # fmt: skip
    values = tuple(f"{scale:.2g}" for scale in scales)
    return interactive(
        "The kernel size λ, and the error of leaving one out", traces, layout, frames,
        (Slider("kernel size λ", values, chosen),),
        "Move λ: small kernels know nothing between the examples, large ones cannot bend. The error of leaving one "
        "out, which needs no truth, is least (where the slider stands first) near where the error on new examples "
        "(dashed) is.",
    )  # fmt: skip
