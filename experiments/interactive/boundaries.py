"""The boundary of a network with one hidden layer as it trains, on XOR and on two moons (course 11.2)."""

import numpy as np

from experiments.lab.frames import Interactive, Slider, interactive, percent, short
from experiments.lab.style import DATA, FIT

BLUE_TO_RED = [[0, "#67A9CF"], [0.5, "#F7F7F7"], [1, "#EF8A62"]]


def draw(problems, maps) -> Interactive:
    """problems: name → X, y, reach; maps: name → {epoch: π on a square grid over ±reach}."""
    epochs = [*next(iter(maps.values()))]
    traces, layout = [], {"height": 460, "showlegend": False, "annotations": []}
    for i, (name, (X, y, reach)) in enumerate(problems.items()):
        axes = {"xaxis": f"x{i + 1}" if i else "x", "yaxis": f"y{i + 1}" if i else "y"}
        side = short(np.linspace(-reach, reach, len(maps[name][epochs[0]])))
        traces.append(
            {"type": "contour", "x": side, "y": side, "zmin": 0, "zmax": 100, "colorscale": BLUE_TO_RED,
             "contours": {"coloring": "heatmap", "start": 50, "end": 50, "size": 100}, "line": {"width": 3},
             "showscale": False, "hovertemplate": "π = %{z} %<extra></extra>", **axes}
        )  # fmt: skip
        traces.append(
            {"x": short(X[:, 0], 3), "y": short(X[:, 1], 3), "mode": "markers", "name": name, "hoverinfo": "skip",
             "marker": {"color": [FIT if label else DATA for label in y], "size": 7,
                        "line": {"color": "white", "width": 1}}, **axes}
        )  # fmt: skip
        axis = {"range": [-reach, reach], "showgrid": False, "showticklabels": False, "ticks": "", "showline": False}
        left, right = i / len(problems) + 0.02 * i, (i + 1) / len(problems) - 0.02 * (1 - i)
        layout[f"xaxis{i + 1}"] = axis | {"domain": [left, right], "title": {"text": name}, "anchor": axes["yaxis"]}
        layout[f"yaxis{i + 1}"] = axis | {"scaleanchor": axes["xaxis"], "anchor": axes["xaxis"], "constrain": "domain"}
    frames = [{2 * i: {"z": percent(of[epoch])} for i, of in enumerate(maps.values())} for epoch in epochs]
    return interactive(
        "A boundary that bends as the network trains", traces, layout, frames,
        (Slider("after epochs", tuple(map(str, epochs)), len(epochs) - 1),),
        "Play it, or move the epochs: the colour is π, from blue to red, and the black line π = ½, beyond which "
        "the other class is predicted. It begins as good as straight and bends around the classes.",
        narrow=300,
        plays=True,
    )  # fmt: skip
