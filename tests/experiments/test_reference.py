"""The API reference: an entry for every public function, links that resolve, and one line where pdoc is missing."""

import html
import re
import sys

from experiments import __main__
from experiments.book.build import BookError
from experiments.book.ledger import CHAPTERS, ROWS
from experiments.lab import reference
from jax_course import logistic


def test_every_public_function_has_an_entry_with_its_signature_and_docstring(tmp_path):
    addresses = reference.write_reference(tmp_path, {"logistic": logistic})
    page = (tmp_path / "reference" / "logistic.html").read_text()
    assert addresses == {f"logistic.{name}": f"reference/logistic.html#{name}" for name in logistic.__all__}
    for name in logistic.__all__:
        entry = page.partition(f'<section id="{name}">')[2].partition("</section>")[0]
        shown = html.unescape(re.sub("<[^>]*>", "", entry))
        assert f"{name}(" in shown, name  # also of what jax.jit wraps
        assert (getattr(logistic, name).__doc__ or "").splitlines()[0].replace("`", "") in shown, name
    assert "g = Xᵀ(π − y) + 2 penalty θ                                     gradient  8.5" in page
    assert "jax_course.inputs" not in page  # types without their modules
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_every_function_of_the_lab_book_links_to_its_entry(made):
    assert "The API reference: " in made.printed
    for chapter in CHAPTERS:
        page = (made.folder / "book" / f"chapter-{chapter}.html").read_text()
        links = re.findall(r'href="\.\./(reference/[\w.]+)#([\w.]+)"', page)
        assert len(links) == sum(len(row.carried_by) for row in ROWS if row.chapter == chapter)
        for file, entry in links:
            assert f'<section id="{entry}">' in (made.folder / file).read_text(), (chapter, file, entry)
    assert 'href="../reference/index.html"' in (made.folder / "book" / "index.html").read_text()
    assert 'href="reference/index.html"' in (made.folder / "index.html").read_text()


def test_without_pdoc_the_reference_is_left_out_in_one_line(monkeypatch, tmp_path, capsys):
    def no_book(*_, reference, **__):
        assert reference == {}
        raise BookError("not made here")

    monkeypatch.setitem(sys.modules, "pdoc", None)
    monkeypatch.setattr(__main__, "_run", lambda *_: ([], {}))
    monkeypatch.setattr(__main__, "build", no_book)
    __main__.main(["--quick", "--out", str(tmp_path)])
    assert "The API reference is left out: pdoc is not installed (pip install -e '.[docs]')" in capsys.readouterr().out
    assert not (tmp_path / "reference").exists()


def test_formulas_and_examples_stay_as_they_stand():
    text = "A sum of `X` < 1.\n\n    y = Xθ  (1)\n\n    z = 2y\n\n>>> f(1)\n2\n\nEnd."
    shown = re.sub(' tabindex="0" role="group"', "", reference.docstring_html(text).unescape())
    assert shown.splitlines() == [
        "<p>A sum of <code>X</code> < 1.</p>",
        '<pre aria-label="Formulas">y = Xθ  (1)',
        "",
        "z = 2y</pre>",
        '<pre aria-label="Example">>>> f(1)',
        "2</pre>",
        "<p>End.</p>",
    ]
