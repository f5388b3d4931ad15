"""The Axes that a figure is drawn on, in the one style: those that the caller gave, or new ones."""

from typing import TYPE_CHECKING, Any

from jax_course.plot.style import MUTED, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (5.6, 4.0)  # inches


def canvas(ax: "Axes | None", size: tuple[float, float] = SIZE) -> "Axes":
    """The Axes in the style, of a new figure of this size (inches) where there are none.

    ModuleNotFoundError: matplotlib is not installed. TypeError: what was given is no Axes.
    """
    try:
        from matplotlib import pyplot
        from matplotlib.axes import Axes
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "figures are drawn by matplotlib, which is not installed: pip install 'jax-course[plot]'"
        ) from error
    if ax is None:
        with pyplot.rc_context(STYLE):
            ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        hint = ": of an array of them give one, axes[0]" if hasattr(ax, "shape") else ""
        raise TypeError(f"ax must be a matplotlib Axes, or None for a new one; got {type(ax).__name__}{hint}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, alpha=STYLE["grid.alpha"])
    ax.set_axisbelow(True)
    return ax


def legend(ax: "Axes", **settings: Any) -> None:
    """A legend without a frame, where something has a label."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, **settings)


def square(ax: "Axes") -> None:
    """Both axes from 0 to 1, with equal units, and the diagonal."""
    ax.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--", zorder=1)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")


def opacity(m: int) -> float:
    """The opacity of m points: the more there are, the less, for their density to be seen."""
    return min(0.8, max(0.05, 200 / max(m, 1)))
