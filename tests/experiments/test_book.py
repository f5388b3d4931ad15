"""The lab book: every row with its statement, code, proof and figure; what is missing or wrong fails it by its name."""

import json
import re
from collections import defaultdict

import pytest

from experiments import EXPERIMENTS
from experiments.book.build import BookError, build
from experiments.book.derived import DERIVED, line_checks, shown
from experiments.book.ledger import CHAPTERS, ROWS, checked
from experiments.book.row import Row, true
from experiments.book.slips import SLIPS
from experiments.lab.result import Check, Fit
from experiments.lab.runner import Outcome
from jax_course import ridge
from jax_course.derivations import DERIVATIONS

ROW = next(row for row in ROWS if row.id == "3.2")
RIDGE = next(row for row in ROWS if row.id == "6.1a")


def outcomes(without=()):
    """As if all experiments had run: with the figures that the rows name, and witnesses to all slips."""
    captions = defaultdict(dict)
    for row in ROWS:
        for figure in row.figures:
            experiment, _, picture = figure.partition("/")
            captions[experiment][picture] = f"What to see in {picture} & why"
    witnesses = tuple(
        Check(f"E {n} as {how}", error, True)
        for n in SLIPS
        for how, error in (("printed is wrong", 0.5), ("corrected is right", 1e-16))
    )
    return [
        Outcome(name, name.title(), "1.1", 0.1, captions[name], frozenset(["means"]), frozenset(["slider"]),
                witnesses if name == "errata" else (), (Fit("a <model>", "data", "good", "converged", 3),), "")
        for name in EXPERIMENTS if name not in without
    ]  # fmt: skip


@pytest.fixture(scope="module")
def pages(made):
    return {path.name: path.read_text() for path in (made.folder / "book").glob("*.html")}


def test_every_row_has_its_statement_code_proof_and_figures(pages):
    for row in ROWS:
        page = pages[f"chapter-{row.chapter}.html"]
        section = page.partition(f'<section id="row-{row.id}">')[2].partition("</section>")[0]
        assert section.count("<math") >= len(row.latex), row.id
        lines = sum(len(derivation.lines) for derivation in shown(row.id, ()))
        assert section.count('<pre class="code"') == len(row.carried_by) + lines, row.id
        assert 'class="good">holds' in section, row.id
        live = [figure for figure in row.figures if figure.endswith("/slider")]
        assert section.count('class="plot"') == len(live), row.id
        assert section.count("<img") == len(row.figures) - len(live) > 0, row.id  # a still one stands beside
        assert section.count('class="slip"') == len(row.slips), row.id
        assert f'href="chapter-{row.chapter}.html#row-{row.id}"' in pages["index.html"]


def test_each_line_of_a_derivation_has_its_check_and_every_derivation_a_row():
    (derivation,) = shown("5.5a", line_checks("5.5a"))
    assert [line.check and line.check.holds for line in derivation.lines] == [None, True, True]
    assert "jnp" in derivation.lines[1].code
    assert sorted(name for names in DERIVED.values() for name in names) == sorted(one.name for one in DERIVATIONS)
    assert set(DERIVED) <= {row.id for row in ROWS}


def test_every_section_of_the_course_and_every_slip_is_there(pages):
    assert {row.chapter for row in ROWS} == set(CHAPTERS)
    assert len({row.id for row in ROWS}) == len(ROWS) >= 60
    assert {number for row in ROWS for number in row.slips} == set(SLIPS) == set(range(1, 21))
    assert {row.figures[0].partition("/")[0] for row in ROWS if row.figures} <= set(EXPERIMENTS)


def test_the_pages_need_nothing_else_and_every_picture_has_words(pages):
    for name, page in pages.items():
        assert not re.search(r'(src|href)="(https?:)?//', page), name
        assert page.count("<img") == len(re.findall(r'<img [^>]*alt="[^"]+"', page))


def test_the_front_page_counts_and_what_it_is_told_stays_text(tmp_path):
    counts = {"planted": 2, "rejected": 2, "named": 1}
    numbers = {"by kind": [{"kind": "CHAIN_RULE", **counts}], "total": counts}
    (tmp_path / "mutations").mkdir()
    (tmp_path / "mutations" / "numbers.json").write_text(json.dumps({"numbers": numbers}))
    page = build(outcomes(), checked([ROW], quick=False), tmp_path, quick=True, rows=[ROW]).read_text()
    assert "a &lt;model&gt;" in page
    assert "<dd>1 of 2</dd>" in page
    assert "<td>chain rule</td>" in page


def test_a_wrong_function_fails_the_book_by_the_name_of_its_row(monkeypatch, tmp_path):
    right = ridge.gradient
    monkeypatch.setattr(ridge, "gradient", lambda *arguments, **hyper: 1.01 * right(*arguments, **hyper))
    with pytest.raises(BookError, match=r"6\.1a: does not hold: ridge\.gradient"):
        build(outcomes(), checked([ROW, RIDGE], quick=True), tmp_path, quick=True, rows=[ROW, RIDGE])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW._replace(carried_by=("linear.nothing",)), "has no attribute 'nothing'"),
        (ROW._replace(carried_by=()), "no function carries it"),
        (ROW._replace(carried_by=("linear.least_squares_fit",)), "no test mentions linear.least_squares_fit"),
        (ROW._replace(check_derivatives=lambda: ()), "there is no proof"),
        (ROW._replace(check_derivatives=lambda: (true("one", False),)), "does not hold: one"),
        (ROW._replace(figures=("line_and_plane/nothing",)), "the figure line_and_plane/nothing is missing"),
        (ROW._replace(figures=("nothing/line",)), "the figure nothing/line is missing"),
        (ROW._replace(latex=(r"\frac{",)), "3.2: "),
    ],
)
def test_what_is_missing_fails_the_book_by_the_name_of_the_row(row: Row, message, tmp_path):
    with pytest.raises(BookError, match=r"3\.2: ") as failed:
        build(outcomes(), checked([row], quick=True), tmp_path, quick=True, rows=[row])
    assert message in str(failed.value)


def test_all_that_is_missing_is_told_at_once(tmp_path):
    left, checks = outcomes(without=("line_and_plane", "errata_in_words", "errata")), checked(ROWS[:4], quick=True)
    with pytest.raises(BookError) as failed:
        build(left, checks, tmp_path, quick=True, rows=ROWS[:8])
    assert "3.1: " in str(failed.value)
    assert "3.2: " in str(failed.value)
    assert "3.3: the slip E 2 has no witness" in str(failed.value)
    assert "4.1: a process was killed" in str(failed.value)
