"""The bands of a fitted line, by the noise and by the number of examples (course 5.3)."""

import numpy as np

from experiments.lab.frames import Interactive, Slider, interactive, short
from experiments.lab.style import DATA, FIT, TRUTH


def draw(grid, truth, sigmas, problems, confidence) -> Interactive:
    """problems: m → (x (m,), y (σ, m), fits (σ, grid), and two bands, of the line and of a new y, (σ, 2, grid))."""
    around = {"x": short(np.append(grid, grid[::-1]), 3), "fill": "toself", "mode": "lines", "line": {"width": 0},
              "fillcolor": FIT, "hoverinfo": "skip"}  # fmt: skip
    traces = [
        {**around, "opacity": 0.2, "name": f"{100 * confidence:g} %: a new y"},
        {**around, "opacity": 0.4, "name": f"{100 * confidence:g} %: the line"},
        {"x": short(grid, 3), "y": short(truth), "mode": "lines", "line": {"color": TRUTH, "dash": "dash"},
         "name": "truth"},
        {"x": short(grid, 3), "mode": "lines", "line": {"color": FIT}, "name": "fit"},
        {"mode": "markers", "marker": {"color": DATA, "size": 7}, "name": "examples"},
    ]  # fmt: skip
    frames = []
    for m, (x, Y, fits, lines, news) in problems.items():
        for y, fit, line, new in zip(Y, fits, lines, news, strict=True):
            frames.append(
                {0: {"y": _closed(new)}, 1: {"y": _closed(line)}, 3: {"y": short(fit, 3)},
                 4: {"x": short(x, 3), "y": short(y, 3), "name": f"{m} examples"}}
            )  # fmt: skip
    layout = {
        "height": 480,
        "xaxis": {"title": {"text": "x"}, "range": [grid[0], grid[-1]]},
        "yaxis": {"title": {"text": "y"}, "range": [min(truth) - 2.6 * max(sigmas), max(truth) + 2.8 * max(sigmas)]},
    }
    sizes = tuple(map(str, problems))
    sliders = (
        Slider("examples m", sizes, len(sizes) // 2),
        Slider("noise σ", tuple(f"{sigma:g}" for sigma in sigmas), len(sigmas) // 2),
    )
    return interactive(
        "Predictive bands, by examples and noise", traces, layout, frames, sliders,
        "Move m and σ: both bands widen with the noise and away from the examples. With more examples the band of the "
        "line (dark) shrinks to nothing; that of a new observation (light) does not get narrower than the noise. With "
        "three examples σ² is hardly known, and the bands say so.",
    )  # fmt: skip


def _closed(band) -> list:
    return short(np.append(band[0], band[1][::-1]), 3)
