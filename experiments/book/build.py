"""From what the experiments found, and the ledger, to pages: one for each chapter, and an index."""

import importlib
import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from latex2mathml.converter import convert
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import jax_course
from experiments.book.derived import ShownDerivation, is_of_a_line, shown
from experiments.book.ledger import CHAPTERS, ROWS
from experiments.book.row import Checks, Row
from experiments.book.slips import SLIPS, Slip
from experiments.lab.pages import about, environment
from experiments.lab.result import Check
from experiments.lab.runner import Outcome

TESTS = Path(__file__).parent.parent.parent / "tests"
HERE = Path(jax_course.__file__).parent.parent


class BookError(Exception):
    """What keeps the book from being built, a line for each row of the ledger."""


class Code(NamedTuple):
    """A function, as it stands in the library."""

    name: str
    place: str  # file:line
    link: str
    entry: str  # in the API reference; empty where there is none
    html: Markup


class Still(NamedTuple):
    """A picture of an experiment."""

    file: str
    caption: str
    moves: bool
    numbers: str  # the file of what the experiment found


class Live(NamedTuple):
    """A figure that answers to a slider, and what it is made of."""

    id: str
    title: str
    caption: str
    live: Markup


class Erratum(NamedTuple):
    """A slip, and how far what is printed and what is meant are from the witness, as measured in this run."""

    number: int
    printed: Markup
    meant: Markup
    checks: tuple[Check, ...]


class Entry(NamedTuple):
    """A row, ready to be laid out."""

    row: Row
    statements: tuple[Markup, ...]
    derivations: tuple[ShownDerivation, ...]
    codes: tuple[Code, ...]
    checks: tuple[Check, ...]
    figures: tuple[Still | Live, ...]
    errata: tuple[Erratum, ...]


def build(
    outcomes: list[Outcome],
    checks: Mapping[str, Checks | str],
    out: Path,
    *,
    quick: bool,
    rows: Iterable[Row] = ROWS,
    reference: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write the pages to out/book; BookError, by row, where something is missing or does not hold.

    reference: the entries of functions in the API reference, as `write_reference` returns them.
    """
    folder, faults = out / "book", []
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {outcome.name: outcome for outcome in outcomes}
    tests = "\n".join(path.read_text() for path in TESTS.rglob("*.py") if path.parent.name != "experiments")
    entries = []
    for row in rows:
        try:
            found = checks.get(row.id, "a process was killed")
            entries.append(_entry(row, found, by_name, folder, tests, reference))
        except Exception as error:  # whatever is wrong with a row, it is told beside its name, with the others
            faults.append(f"{row.id}: {error or type(error).__name__}")
    if faults:
        raise BookError("the lab book cannot be built:\n  " + "\n  ".join(faults))
    return _write(entries, outcomes, out, quick, has_reference=bool(reference))


def _entry(
    row: Row, checks: Checks | str, outcomes: dict[str, Outcome], folder: Path, tests: str, reference: Mapping[str, str]
) -> Entry:
    if isinstance(checks, str):
        raise BookError(checks)
    codes = tuple(_code(name, folder, reference) for name in row.carried_by)
    if not codes:
        raise BookError("no function carries it")
    for name in row.carried_by:
        if TESTS.is_dir() and not _is_tested(name, tests):
            raise BookError(f"no test mentions {name}")
    statements = tuple(_formula(latex) for latex in row.latex)
    if not row.figures:
        raise BookError("no figure shows it")
    figures = tuple(_figure(name, row, outcomes, folder.parent) for name in row.figures)
    errata = tuple(_erratum(n, outcomes) for n in row.slips)
    return Entry(row, statements, shown(row.id, checks), codes, checks, figures, errata)


def _is_tested(name: str, tests: str) -> bool:
    """Whether a test names it as `module.function`, or imports it."""
    module, function = name.split(".")[-2:]
    forms = rf"\b{module}\.{function}\b", rf"import [^\n]*\b{function}\b", rf"import \([^)]*\b{function}\b"
    return any(re.search(form, tests) for form in forms)


def _formula(latex: str, display: str = "block") -> Markup:
    return Markup(convert(latex, display=display))


def _code(name: str, folder: Path, reference: Mapping[str, str]) -> Code:
    module, _, attribute = f"jax_course.{name}".rpartition(".")
    function = inspect.unwrap(_found(module, attribute))
    lines, line = inspect.getsourcelines(function)
    file = Path(str(inspect.getsourcefile(function))).relative_to(HERE)
    link = f"{os.path.relpath(HERE / file, folder)}#L{line}"
    shown = highlight("".join(lines), PythonLexer(), HtmlFormatter(nowrap=True))
    entry = f"../{reference[name]}" if name in reference else ""
    return Code(name, f"{file}:{line}", link, entry, Markup(shown))


def _found(module: str, attribute: str) -> Callable:
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError:  # a model, which `jax_course` shows as its own
        package, _, name = module.rpartition(".")
        return getattr(getattr(importlib.import_module(package), name), attribute)


def _figure(name: str, row: Row, outcomes: dict[str, Outcome], out: Path) -> Still | Live:
    experiment, _, picture = name.partition("/")
    outcome = outcomes.get(experiment)
    if outcome is None or picture not in outcome.captions:
        failed = f": {experiment} failed" if outcome and outcome.error else ""
        raise BookError(f"the figure {name} is missing{failed}")
    caption = outcome.captions[picture]
    if picture not in outcome.interactives:
        return Still(f"../{name}", caption, picture in outcome.films, f"../{experiment}/numbers.json")
    data = (out / f"{name}.json").read_text(encoding="utf-8")
    return Live(f"figure-{row.id}", json.loads(data)["title"], caption, Markup(data.replace("</", r"<\/")))


def _erratum(number: int, outcomes: dict[str, Outcome]) -> Erratum:
    checks = tuple(
        check
        for experiment in ("errata", "errata_in_words")
        if experiment in outcomes
        for check in outcomes[experiment].checks
        if check.claim.startswith(f"E {number} ")
    )
    if len(checks) != 2 or not all(check.holds for check in checks):
        raise BookError(f"the slip E {number} has no witness that holds")
    printed, meant = _told(SLIPS[number])
    return Erratum(number, printed, meant, checks)


def _told(slip: Slip) -> tuple[Markup, Markup]:
    if slip.words:
        return Markup.escape(slip.printed), Markup.escape(slip.meant)
    return _formula(slip.printed, "inline"), _formula(slip.meant, "inline")


def _write(entries: list[Entry], outcomes: list[Outcome], out: Path, quick: bool, has_reference: bool) -> Path:
    folder, pages = out / "book", environment()
    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    numbers = [number for number in CHAPTERS if any(entry.row.chapter == number for entry in entries)]
    common = {"chapters": {n: CHAPTERS[n] for n in numbers}, "css": Markup(_code_css()), "about": about(quick)}
    for before, number, after in zip([None, *numbers], numbers, [*numbers[1:], None], strict=False):
        of_chapter = [entry for entry in entries if entry.row.chapter == number]
        live = any(isinstance(figure, Live) for entry in of_chapter for figure in entry.figures)
        page = pages.get_template("chapter.html").render(
            **common,
            number=number,
            title=CHAPTERS[number],
            entries=of_chapter,
            live=live,
            before=before,
            after=after,
            is_of_a_line=is_of_a_line,
        )
        (folder / f"chapter-{number}.html").write_text(page, encoding="utf-8")
    checks = [check for one in (*entries, *outcomes) for check in one.checks]
    errata = {erratum.number: (entry, erratum) for entry in reversed(entries) for erratum in entry.errata}
    page = pages.get_template("book.html").render(
        **common,
        has_reference=has_reference,
        entries=entries,
        outcomes=outcomes,
        checked=sum(check.holds for check in checks),
        worst=max(check.error for entry in entries for check in entry.checks if np.isfinite(check.error)),
        errata=[errata[number] for number in sorted(errata)],
        mutations=json.loads((out / "mutations" / "numbers.json").read_text())["numbers"],
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder / "index.html"


def _code_css() -> str:
    """Of highlighted code, for a light and a dark page: styles whose colours are all far enough from the ground."""
    light, dark = (
        "\n".join(
            line
            for line in HtmlFormatter(style=style).get_style_defs("pre.code").splitlines()
            if "color: " in line and "background" not in line
        )
        for style in ("xcode", "lightbulb")
    )
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"
