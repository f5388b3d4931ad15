"""A Plotly figure, its sliders, and what changes in it at each of their positions."""

import html
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from experiments.lab.style import PLOTLY

Frame = dict[int, dict[str, Any]]  # by trace: what is new of it
INK = "ink"  # the `meta` of a trace that has the colour of the text, light on a dark page
ROOM = 40  # pixels above a notebook's slider, and below its figure


class Slider(NamedTuple):
    """What is moved, its values as they are told, and where it stands first."""

    name: str
    values: tuple[str, ...]
    start: int = 0


class Interactive(NamedTuple):
    """A figure with a frame for each position of its sliders (the last one's fastest), and what to see in it."""

    title: str
    figure: go.Figure
    frames: Sequence[Frame]
    sliders: tuple[Slider, ...]
    caption: str
    narrow: int  # its height where it is narrow, in pixels
    plays: bool = False  # whether a button may move the first slider to its end

    def to_json(self) -> str:
        """For the page: Plotly's figure as it stands first, frames and sliders."""
        figure = self.figure.to_plotly_json()
        told = {
            "title": self.title,
            "data": figure["data"],
            "layout": figure["layout"],
            "frames": self.frames,
            "sliders": [slider._asdict() for slider in self.sliders],
            "narrow": self.narrow,
            "plays": self.plays,
        }
        return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def _repr_html_(self) -> str:
        """The figure in a notebook, with Plotly's own slider and with Plotly itself: no network is asked for anything.

        It is a page in a frame. So Plotly finds no module loader of the notebook, which would keep it from its figure.
        """
        positions = [""]
        for name, values, _ in self.sliders:
            positions = [f"{before} {name} = {value}".strip() for before in positions for value in values]
        frames = [
            go.Frame(name=name, data=[{**self.figure.data[trace].to_plotly_json(), **new} for trace, new in of.items()],
                     traces=[*of])
            for name, of in zip(positions, self.frames, strict=True)
        ]  # fmt: skip
        at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
        steps = [{"method": "animate", "label": name, "args": [[name], at_once]} for name in positions]
        moving = go.Figure(self.figure.data, self.figure.layout, frames)
        moving.update_layout(sliders=[{"steps": steps, "active": start_of(self.sliders), "pad": {"t": ROOM}}])
        page = html.escape(moving.to_html(include_plotlyjs=True, auto_play=False))
        title, height, style = html.escape(self.title), moving.layout.height + ROOM, "border:0;background:#fff"
        return f'<iframe title="{title}" width="100%" height="{height}" style="{style}" srcdoc="{page}"></iframe>'


def start_of(sliders: Sequence[Slider]) -> int:
    """The frame that is shown first."""
    frame = 0
    for slider in sliders:
        frame = frame * len(slider.values) + slider.start
    return frame


def interactive(
    title: str,
    traces: Sequence[Any],
    layout: dict[str, Any],
    frames: Sequence[Frame],
    sliders: tuple[Slider, ...],
    caption: str,
    *,
    narrow: int | None = None,
    plays: bool = False,
) -> Interactive:
    """The figure of these traces, in the house's style, at its first frame; as high where it is narrow, or `narrow`."""
    if len(frames) != (positions := math.prod(len(slider.values) for slider in sliders)):
        raise ValueError(
            f"there must be a frame for each of the {positions} positions of the sliders; got {len(frames)}"
        )
    figure = go.Figure([*traces], {"template": {"layout": PLOTLY}, **layout})
    for trace, new in frames[start_of(sliders)].items():
        figure.data[trace].update(new)
    return Interactive(title, figure, frames, sliders, caption, narrow or layout["height"], plays)


def short(values: Any, digits: int = 4) -> list:
    """Numbers with so many digits, as lists; None where there is no number."""
    values = np.asarray(values, float)
    if values.ndim > 1:
        return [short(row, digits) for row in values]
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values.tolist()]


def percent(values: Any) -> list:
    """Shares as whole numbers of a hundred, for maps of many points."""
    return np.rint(100 * np.asarray(values)).astype(int).tolist()
