"""Run experiments, and keep what they found on disk."""

import importlib
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.animation import PillowWriter

from experiments import module_name
from experiments.lab.result import Check, Fit, Result
from experiments.lab.style import STYLE
from jax_course.compiling import cache_programs, collect_garbage_rarely, compile_fast, free_programs

FRAMES_PER_SECOND = 8
PROGRAMS = Path(__file__).parents[2] / ".jax_cache"  # that of the tests
NOTHING = Result({}, {}, (), ())


class Outcome(NamedTuple):
    """An experiment that has run, or the error that ended it. It travels between processes, so it holds no figures."""

    name: str
    title: str
    section: str
    seconds: float
    captions: Mapping[str, str]
    films: frozenset[str]  # the pictures that move
    interactives: frozenset[str]  # those that answer to a slider: name.json
    checks: tuple[Check, ...]
    fits: tuple[Fit, ...]
    error: str

    @property
    def ok(self) -> bool:
        """Whether it ran to its end and everything it set out to prove holds."""
        return not self.error and all(check.holds for check in self.checks)


@contextmanager
def workers(jobs: int) -> Iterator[Callable[[Callable, Iterable], Iterator]]:
    """A `map` over processes that compile fast: all is begun at once and given in order, None for what was killed.

    With one job it is `map`, in this process.
    """
    if jobs == 1:
        yield map
        return
    # JAX has threads of its own, which a forked process would not have
    with ProcessPoolExecutor(jobs, get_context("spawn"), begin, (True,)) as processes:
        yield partial(_each, processes)


def _each(processes: ProcessPoolExecutor, function: Callable, arguments: Iterable) -> Iterator[Any]:
    def begun(argument):
        try:
            return processes.submit(function, argument)
        except BrokenProcessPool:
            return None

    return map(_ended, [begun(argument) for argument in arguments])


def _ended(future: Future | None) -> Any:
    try:
        return future and future.result()
    except BrokenProcessPool:  # killed, say for want of memory: what had ended before is kept
        return None


def run(names: Iterable[str], out: Path, *, quick: bool, each: Callable = map) -> Iterator[Outcome]:
    """Run in float64; each leaves its figures and numbers.json under out/name."""
    names = list(names)
    outcomes = each(partial(_run_one, out=out, quick=quick), names)
    return (outcome or _killed(name) for name, outcome in zip(names, outcomes, strict=True))


def _killed(name: str) -> Outcome:
    error = "A process was killed before this one had ended.\n"
    return Outcome(name, name, "", 0.0, {}, frozenset(), frozenset(), (), (), error)


def begin(fast: bool) -> None:
    """The settings of a process that runs experiments; fast where the speed of its programs is not what is measured."""
    mpl.use("Agg")
    cache_programs(PROGRAMS)
    if not sys.warnoptions:  # a reader of the report can do nothing about them; -W and PYTHONWARNINGS show them
        warnings.filterwarnings("ignore", module=r"(?!jax_course|experiments)")
    if fast:
        compile_fast()
        collect_garbage_rarely()


def _run_one(name: str, out: Path, quick: bool) -> Outcome:
    started = time.perf_counter()
    title, section, result, error = name, "", NOTHING, ""
    with jax.enable_x64(True), plt.rc_context(STYLE):  # for the drawing, which comes after the run
        try:
            module = importlib.import_module(module_name(name))
            title, section = module.TITLE, module.SECTION
            result = module.run(quick)
            _save(result, out / name, title, section)
        except Exception:  # whatever one experiment does, the others still run
            result, error = NOTHING, traceback.format_exc()
        finally:
            plt.close("all")
            free_programs()
    films = frozenset(name for name, picture in result.pictures.items() if picture.film is not None)
    seconds = time.perf_counter() - started
    live = frozenset(result.interactives)
    return Outcome(name, title, section, seconds, _captions(result), films, live, result.checks, result.fits, error)


def _save(result: Result, folder: Path, title: str, section: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in result.pictures.items():
        if picture.film is not None:
            picture.film.save(folder / f"{name}.gif", writer=PillowWriter(fps=FRAMES_PER_SECOND), dpi=80)
        picture.figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    for name, interactive in result.interactives.items():
        (folder / f"{name}.json").write_text(interactive.to_json(), encoding="utf-8")
    record = {
        "title": title,
        "course": section,
        "captions": _captions(result),
        "numbers": result.numbers,
        "proofs": [check._asdict() for check in result.checks],
        "fits": [fit._asdict() for fit in result.fits],
    }
    (folder / "numbers.json").write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _captions(result: Result) -> dict[str, str]:
    return {name: shown.caption for name, shown in {**result.pictures, **result.interactives}.items()}
