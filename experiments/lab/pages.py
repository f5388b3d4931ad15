"""The pages that experiments leave: one look for all, and the page of the experiments themselves."""

import datetime
import platform
from pathlib import Path

import jax
import jinja2
import numpy as np

import jax_course
from experiments.lab.runner import Outcome

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """Where the templates of the pages are found; a name that a template does not get is an error."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["error"] = _error
    return pages


def about(quick: bool) -> str:
    """What a page was made with, and when."""
    made = (
        f"jax_course {jax_course.__version__}",
        f"JAX {jax.__version__}",
        f"NumPy {np.__version__}",
        f"Python {platform.python_version()}",
        jax.devices()[0].device_kind,
        "float64",
        datetime.date.today().isoformat(),
        *(["quick mode"] if quick else []),
    )
    return " · ".join(made)


def write_experiments(
    outcomes: list[Outcome], out: Path, *, quick: bool, has_book: bool, has_reference: bool = False
) -> Path:
    """The page that shows all experiments."""
    page = environment().get_template("experiments.html")
    path = out / "index.html"
    shown = page.render(outcomes=outcomes, about=about(quick), has_book=has_book, has_reference=has_reference)
    path.write_text(shown, encoding="utf-8")
    return path


def _error(error: float) -> str:
    """Nothing where there is no distance to tell."""
    return "" if np.isnan(error) else f"{error:.0e}" if error else "0"
