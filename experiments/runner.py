"""Run experiments, keep what they found on disk, and lay it out as a page."""

import datetime
import importlib
import json
import platform
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import jax
import jinja2
import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.animation import PillowWriter

import jax_course
from experiments.compiling import compile_fast
from experiments.lab import STYLE, Fit, Proof, Result

FRAMES_PER_SECOND = 8
NOTHING = Result({}, {}, (), ())


class Outcome(NamedTuple):
    """An experiment that has run, or the error that ended it. It travels between processes, so it holds no figures."""

    name: str
    title: str
    section: str
    seconds: float
    captions: Mapping[str, str]
    films: frozenset[str]  # the pictures that move
    proofs: tuple[Proof, ...]
    fits: tuple[Fit, ...]
    error: str

    @property
    def ok(self) -> bool:
        """Whether it ran to its end and everything it set out to prove holds."""
        return not self.error and all(proof.holds for proof in self.proofs)


def run(names: Iterable[str], out: Path, *, quick: bool, jobs: int = 1) -> Iterator[Outcome]:
    """Run in float64, in this process or `jobs` at once; each leaves its figures and numbers.json under out/name."""
    one = partial(_run_one, out=out, quick=quick)
    if jobs == 1:
        yield from map(one, names)
        return
    # JAX has threads of its own, which a forked process would not have
    with ProcessPoolExecutor(jobs, get_context("spawn"), begin, (quick,)) as processes:
        for name, future in [(name, processes.submit(one, name)) for name in names]:
            try:
                yield future.result()
            except BrokenProcessPool:  # killed, say for want of memory: what had ended before is kept
                yield Outcome(
                    name, name, "", 0.0, {}, frozenset(), (), (), "A process was killed before this one had ended.\n"
                )


def begin(quick: bool) -> None:
    """The settings of a process that runs experiments."""
    mpl.use("Agg")
    if quick:
        compile_fast()


def _run_one(name: str, out: Path, quick: bool) -> Outcome:
    started = time.perf_counter()
    title, section, result, error = name, "", NOTHING, ""
    with jax.enable_x64(True), plt.rc_context(STYLE):
        try:
            module = importlib.import_module(f"experiments.{name}")
            title, section = module.TITLE, module.SECTION
            result = module.run(quick)
            _save(result, out / name, title, section)
        except Exception:  # whatever one experiment does, the others still run
            result, error = NOTHING, traceback.format_exc()
        finally:
            plt.close("all")
    captions = {name: picture.caption for name, picture in result.pictures.items()}
    films = frozenset(name for name, picture in result.pictures.items() if picture.film is not None)
    seconds = time.perf_counter() - started
    return Outcome(name, title, section, seconds, captions, films, result.proofs, result.fits, error)


def _save(result: Result, folder: Path, title: str, section: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in result.pictures.items():
        if picture.film is not None:
            picture.film.save(folder / f"{name}.gif", writer=PillowWriter(fps=FRAMES_PER_SECOND), dpi=80)
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


def templates(folder: Path) -> jinja2.Environment:
    """The templates of pages in a folder."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_index(outcomes: list[Outcome], out: Path, *, quick: bool) -> Path:
    """The page that shows them all."""
    page = (
        templates(Path(__file__).parent / "templates")
        .get_template("index.html")
        .render(
            outcomes=outcomes,
            quick=quick,
            version=jax_course.__version__,
            jax_version=jax.__version__,
            python_version=platform.python_version(),
            device=jax.devices()[0].device_kind,
            date=datetime.date.today().isoformat(),
        )
    )
    path = out / "index.html"
    path.write_text(page)
    return path
