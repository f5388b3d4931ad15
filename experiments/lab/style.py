"""The look of all figures: that of `jax_course.plot` for Matplotlib, and the same for Plotly."""

from typing import Any

from jax_course.plot.style import CLASSES, DATA, FIT, MUTED, SECOND, STYLE, TRUTH, mixed

__all__ = ["CLASSES", "DATA", "FIT", "MUTED", "PLOTLY", "SECOND", "STYLE", "TRUTH", "mixed"]

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
