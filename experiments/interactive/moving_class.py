"""The regions of softmax regression while one of its classes moves (course 9.1, 9.3)."""

import base64
import io

import numpy as np
from PIL import Image

from experiments.lab.frames import Interactive, Slider, interactive, short
from experiments.lab.style import CLASSES, mixed

SYMBOLS = ("circle", "square", "triangle-up")


def draw(sides, pi, clouds, moving, places) -> Interactive:
    """pi (places, rows, columns, classes) over the sides; two clouds (points, 2) stay, moving (places, points, 2)."""
    (left, right), (low, high) = ((side[0], side[-1]) for side in sides)
    rows, columns = pi.shape[1:3]
    where = {"x0": left, "dx": (right - left) / (columns - 1), "y0": low, "dy": (high - low) / (rows - 1)}
    traces: list = [{"type": "image", "hoverinfo": "skip", "zsmooth": "fast", **where}]
    for label, cloud in enumerate([*clouds, moving[0]]):
        marker = {"color": CLASSES[label], "size": 9, "symbol": SYMBOLS[label], "line": {"color": "white", "width": 1}}
        traces.append({"x": short(cloud[:, 0], 3), "y": short(cloud[:, 1], 3), "mode": "markers", "marker": marker,
                       "name": f"class {label}", "hoverinfo": "skip"})  # fmt: skip
    frames = [
        {0: {"source": _image(of)}, 3: {"x": short(cloud[:, 0], 3), "y": short(cloud[:, 1], 3)}}
        for of, cloud in zip(pi, moving, strict=True)
    ]
    layout = {
        "height": 500,
        "xaxis": {"title": {"text": "x₁"}, "range": [left, right], "showgrid": False},
        "yaxis": {"title": {"text": "x₂"}, "range": [low, high], "autorange": False, "showgrid": False},
    }
    return interactive(
        "Three classes, one of which moves", traces, layout, frames,
        (Slider("x₁ of the middle of class 2", tuple(f"{x:.1f}" for x in places)),),
        "Move the class of triangles: softmax regression is fitted anew at each place, and the plane has the classes' "
        "colours mixed by their probabilities. Where classes overlap the border between them is soft; where they are "
        "apart it is sharp; and it is straight wherever it lies.",
        narrow=340,
        plays=True,
    )  # fmt: skip


def _image(pi) -> str:
    """The colours of π as a picture that stands in the page."""
    file = io.BytesIO()
    Image.fromarray(np.rint(255 * mixed(pi)).astype(np.uint8)).save(file, "png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
