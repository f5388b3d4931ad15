"""Formulas in a terminal and in a page: the course's LaTeX as text, code as it is, and no HTML from a formula."""

import sys

import pytest

from jax_course.derivations import DERIVATIONS
from jax_course.verify.derivation_report import math_markup
from jax_course.verify.plain_text import plain_text


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (r"\frac{\partial C}{\partial\theta} = X^\top (\pi - y)", "∂C/∂θ = Xᵀ(π − y)"),
        (r"= \sum_i \left[ y_i \log\pi_i + x_i\theta \right]", "= Σ_i [y_i log π_i + x_i θ]"),
        (r"\frac{1}{2\sigma^2}\tfrac12 (X^\top X)^{-1}", "1/(2σ²) 1/2 (XᵀX)⁻¹"),
        (r"\frac{\pi - y}{\pi (1 - \pi)} e^{-z}", "(π − y)/(π (1 − π)) e^(−z)"),
        (r"\mathrm{irls\_step}(\hat\theta, \theta_{k+1}, \theta_0)", "irls_step(θ̂, θ_{k+1}, θ₀)"),
        (r"\frac{\partial z^{[2]}_1}{\partial z^{[1]}}\frac{a}{b}", "∂z^[2]₁/∂z^[1] a/b"),
        (r"2 \sqrt{x} \unknown \{t\}", "2 √(x) unknown {t}"),
        ("= 3 t^2 - y_10", "= 3 t² − y₁0"),
        ("x_{", "x_{"),
        ("}x", "}x"),
        (r"\frac{1}", r"\frac{1}"),
        ("x^", "x^"),
        ("", ""),
    ],
)
def test_a_formula_reads_as_text(formula, text):
    assert plain_text(formula) == text


def test_no_formula_of_the_course_keeps_a_command():
    texts = [plain_text(line.formula) for derivation in DERIVATIONS for line in derivation.lines]
    assert [text for text in texts if "\\" in text or not text] == []


def test_code_between_backticks_is_shown_as_it_is():
    assert plain_text("`X**2 - y_1`") == "X**2 - y_1"
    assert math_markup("`a < b`") == "<code>a &lt; b</code>"


def test_without_latex2mathml_a_page_has_formulas_as_text(monkeypatch):
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    assert math_markup(r"X^\top (\pi - y) < 1") == "<span>Xᵀ(π − y) &lt; 1</span>"


@pytest.mark.parametrize(
    "formula",
    [r"\text{<script>alert(1)</script>}", r"\text{<meta http-equiv='refresh'/>}", r"\href{javascript:alert(1)}{x}",
     r"\style{position:fixed}{x}", "x & y"],
)  # fmt: skip
def test_a_formula_brings_no_html_into_a_page(formula):
    pytest.importorskip("latex2mathml")
    markup = math_markup(formula)
    assert markup.startswith("<code>")
    assert "<" not in markup.removeprefix("<code>").removesuffix("</code>")
    assert math_markup("x < y").startswith("<math")
