"""The look of all figures: one colour per meaning, no frame, a faint grid."""

from typing import Any

import numpy as np

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


def rgb(color: str) -> np.ndarray:
    """The red, green and blue (3,) of a colour "#rrggbb", each from 0 to 1.

    >>> rgb("#ff0033").tolist()
    [1.0, 0.0, 0.2]
    """
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def mixed(pi: np.ndarray) -> np.ndarray:
    """The classes' colours mixed by their probabilities (…, K), pale, for points to be seen on them: (…, 3)."""
    colors = np.array([rgb(color) for color in CLASSES[: pi.shape[-1]]])
    return np.clip(pi @ (0.45 * colors + 0.55), 0, 1)
