"""Run experiments, keep what they found on disk, and lay it out as a page."""

import datetime
import importlib
import json
import platform
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jinja2
import matplotlib.pyplot as plt

import jax_course
from experiments.lab import STYLE, Result


class Outcome(NamedTuple):
    """An experiment that has run: its result, or the error that ended it."""

    name: str
    title: str
    section: str
    seconds: float
    result: Result | None
    error: str

    @property
    def ok(self) -> bool:
        """Whether it ran to its end and everything it set out to prove holds."""
        return self.result is not None and all(proof.holds for proof in self.result.proofs)


def run(names: Iterable[str], out: Path, *, quick: bool) -> Iterator[Outcome]:
    """Run one after another in float64; each leaves its figures and numbers.json under out/name before the next."""
    with jax.enable_x64(True), plt.rc_context(STYLE):
        for name in names:
            started = time.perf_counter()
            title, section, result, error = name, "", None, ""
            try:
                module = importlib.import_module(f"experiments.{name}")
                title, section = module.TITLE, module.SECTION
                result = module.run(quick)
                _save(result, out / name, title, section)
            except Exception:  # whatever one experiment does, the others still run
                result, error = None, traceback.format_exc()
            finally:
                plt.close("all")
            yield Outcome(name, title, section, time.perf_counter() - started, result, error)


def _save(result: Result, folder: Path, title: str, section: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in result.pictures.items():
        picture.figure.savefig(folder / f"{name}.png", metadata={"Software": None})
        picture.figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    record = {
        "title": title,
        "course": section,
        "numbers": result.numbers,
        "proofs": [proof._asdict() for proof in result.proofs],
        "fits": [fit._asdict() for fit in result.fits],
    }
    (folder / "numbers.json").write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_index(outcomes: list[Outcome], out: Path, *, quick: bool) -> Path:
    """The page that shows them all."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("index.html").render(
        outcomes=outcomes,
        quick=quick,
        version=jax_course.__version__,
        jax_version=jax.__version__,
        python_version=platform.python_version(),
        device=jax.devices()[0].device_kind,
        date=datetime.date.today().isoformat(),
    )
    path = out / "index.html"
    path.write_text(page)
    return path
