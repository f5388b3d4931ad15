"""What experiments have in common: their result, and the proof of a model's derivatives."""

import base64
import functools
import html
import io
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple, Protocol

import jax
import matplotlib.pyplot as plt
import numpy as np
from jax.typing import ArrayLike
from matplotlib.animation import Animation
from matplotlib.figure import Figure

from experiments.lab.frames import Interactive
from experiments.lab.style import STYLE
from jax_course import Solution, Status, verify
from jax_course.networks import Network
from jax_course.verify.findings import HARMLESS


class Check(NamedTuple):
    """A claim, how far its two sides are apart on this data in units of the largest entry, and whether it holds."""

    claim: str
    error: float
    holds: bool


class Fit(NamedTuple):
    """A fitted model in one row."""

    model: str
    data: str
    score: str
    status: str
    steps: int


class Picture(NamedTuple):
    """A figure and the sentence that says what to see in it; a film of it, which ends with this figure, if it moves."""

    figure: Figure
    caption: str
    film: Animation | None = None

    def _repr_html_(self) -> str:
        """What a notebook shows: the figure as it looks on paper, whatever the theme, with its caption."""
        file, caption = io.BytesIO(), html.escape(self.caption)
        self.figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
        source = f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"
        return (
            f'<figure style="margin:0"><img src="{source}" alt="{caption}" style="max-width:100%;background:#fff"/>'
            f"<figcaption>{caption}</figcaption></figure>"
        )


class Result(NamedTuple):
    """What an experiment found: pictures and numbers by name, proofs, fits, and figures that answer to a slider."""

    pictures: Mapping[str, Picture]
    numbers: Mapping[str, Any]
    checks: tuple[Check, ...]
    fits: tuple[Fit, ...]
    interactives: Mapping[str, Interactive] = MappingProxyType({})

    def __repr__(self) -> str:
        held = sum(check.holds for check in self.checks)
        return (
            f"Result(pictures: {', '.join(self.pictures) or 'none'}; {held} of {len(self.checks)} checks hold; "
            f"{len(self.fits)} fits)"
        )


class Experiment(Protocol):
    """An experiment's `run`: smaller sizes with quick=True."""

    def __call__(self, quick: bool) -> Result: ...


def in_float64(run: Experiment) -> Experiment:
    """An experiment in 64-bit mode and in the style of all figures, from wherever it is called."""

    @functools.wraps(run)
    def settled(quick: bool) -> Result:
        with jax.enable_x64(True), plt.rc_context(STYLE):
            return run(quick)

    return settled


def apart(a: Any, b: Any) -> float:
    """How far a is from b, in units of the largest entry of b."""
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b))) / np.max(np.abs(np.asarray(b))))


def check_derivatives(
    name: str, model: ModuleType | Network, theta: Any, X: ArrayLike, y: ArrayLike, **hyper: Any
) -> tuple[Check, ...]:
    """The doctor's verdict on gradient, Hessian and Hessian product of a model at theta, and at points beside it."""
    report = verify.model(model, theta, X, y, **hyper)
    wrong = {finding.derivative for finding in report.findings if finding.kind not in HARMLESS}
    return tuple(
        Check(
            f"{name}.{witness.derivative}",
            witness.error,
            witness.derivative not in wrong and witness.verdict == "agrees",
        )
        for witness in report.witnesses
        if witness.name in ("autodiff", "reverse-mode autodiff")
    )


def fitted(model: str, data: str, score: str, solution: Solution) -> Fit:
    """The row of a fit in the closing table."""
    status = Status(int(solution.status)).name.replace("_", " ").lower()
    return Fit(model, data, score, status, int(solution.steps))
