"""The look of all figures, of Matplotlib and of Plotly: one colour per meaning, no frame, a faint grid."""

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

# Okabe and Ito's palette: told apart by colour-blind readers too. One colour per meaning in all figures.
DATA, FIT, TRUTH, SECOND, MUTED = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"
CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

STYLE: dict[Any, Any] = {
    "figure.dpi": 120,
    "savefig.bbox": "tight",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": "medium",
    "legend.frameon": False,
    "svg.hashsalt": "jax_course",
}

_AXIS = {"automargin": True, "showline": True, "ticks": "outside", "zeroline": False, "title": {"standoff": 8}}
# The page sets the colours of text and lines, which depend on whether it is light or dark
PLOTLY: dict[str, Any] = {
    "font": {"family": "system-ui, sans-serif", "size": 14},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "margin": {"l": 56, "r": 12, "t": 40, "b": 48},
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
    "colorway": CLASSES,
    "dragmode": False,
    "xaxis": _AXIS,
    "yaxis": _AXIS,
}


def mixed(pi: np.ndarray) -> np.ndarray:
    """The classes' colours mixed by their probabilities (…, K), pale, for points to be seen on them: (…, 3)."""
    colors = np.array([to_rgb(color) for color in CLASSES[: pi.shape[-1]]])
    return np.clip(pi @ (0.45 * colors + 0.55), 0, 1)
