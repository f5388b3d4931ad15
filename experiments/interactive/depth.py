"""What is left of δ on its way down, in networks of any depth (course 12.1)."""

import numpy as np

from experiments.lab.frames import Interactive, Slider, interactive, short

DASHES = ("solid", "dash")


def draw(depths, left, colors) -> Interactive:
    """left: (activation, initializer) → (depths, layers + 1), ‖δ‖ by that at the top; colors by activation."""
    initializers = list(dict.fromkeys(initializer for _, initializer in left))
    traces = [
        {"mode": "lines+markers", "marker": {"size": 5}, "name": f"{activation}, {initializer.split(',')[0]}",
         "line": {"color": colors[activation], "dash": DASHES[initializers.index(initializer)]}}
        for activation, initializer in left
    ]  # fmt: skip
    frames = [
        {
            trace: {"x": [*range(depth + 1)], "y": short(of[row][: depth + 1], 3)}
            for trace, of in enumerate(left.values())
        }
        for row, depth in enumerate(depths)
    ]
    layout = {
        "height": 500,
        "xaxis": {"title": {"text": "layers below"}, "range": [-0.5, max(depths) + 0.5]},
        "yaxis": {"title": {"text": "‖δ‖ / ‖δ‖ at the top"}, "type": "log", "exponentformat": "power",
                  "range": [np.floor(np.log10(min(np.nanmin(of) for of in left.values()))), 1]},
    }  # fmt: skip
    return interactive(
        "What is left of δ, by the number of layers", traces, layout, frames,
        (Slider("layers", tuple(map(str, depths)), len(depths) - 1),),
        "Move the number of layers: backpropagation begins at the right end of each line and runs to the left. What "
        "arrives at the first layer falls by a factor with each layer more; through sigmoids it is soon nothing, "
        "through ReLU with He's weights it stays.",
    )  # fmt: skip
