"""The report on a derivation: a verdict for every line, and what is wrong with those that do not follow."""

import html
import json
import math
import textwrap
import unicodedata
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from jax_course.verify.findings import Finding
from jax_course.verify.plain_text import is_code, plain_text
from jax_course.verify.report import WIDTH, WrongDerivative, as_json, finding_markup, page, sentence, values

MARKS = {"given": " ", "follows": "✓", "wrong": "✗", "carries on": "↳", "undecided": "?"}
COLORS = {"given": "inherit", "follows": "#00704f", "wrong": "#b3261e", "carries on": "#7a6000", "undecided": "#7a6000"}
REMARK = ".2rem 0 0 clamp(1.5rem,25vw - 6rem,9.5rem)"  # under the formula where there is room
ELEMENTS = frozenset((
    "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mstyle", "mfrac", "msqrt", "mroot", "msub", "msup",
    "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none", "mtable", "mtr", "mtd",
    "mlabeledtr", "mpadded", "mphantom", "menclose",
))  # fmt: skip


class Step(NamedTuple):
    """A line of a derivation and the verdict on it.

    number: from 1. verdict: "given" (the first line), "follows", "wrong", "carries on" (it follows from a wrong line)
    or "undecided". error: the largest difference from what it should be, in units of the largest entry; NaN where
    nothing was compared. remark: the reason of the verdict, where it needs one.
    """

    number: int
    formula: str
    verdict: str
    error: float
    findings: tuple[Finding, ...]
    remark: str


class DerivationReport(NamedTuple):
    """The result of `derivation`: a step for each line.

    >>> print(DerivationReport((Step(1, "t^2", "given", math.nan, (), ""), Step(2, "2t", "follows", 0.0, (), ""))))
    RIGHT: each of 2 lines follows from the one before
    <BLANKLINE>
        1  t²
      ✓ 2  2t                                                                  0e+00
    """

    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool | None:
        """True: every line follows from the one before. False: one does not. None: one is undecided."""
        verdicts = {step.verdict for step in self.steps}
        return False if "wrong" in verdicts else None if "undecided" in verdicts else True

    @property
    def first_wrong(self) -> Step | None:
        """The first line that does not follow; None if there is none."""
        return next((step for step in self.steps if step.verdict == "wrong"), None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all lines."""
        return tuple(finding for step in self.steps for finding in step.findings)

    @property
    def headline(self) -> str:
        """The verdict in a line: RIGHT, WRONG or UNDECIDED, and the lines."""
        if self.first_wrong is not None:
            wrong = [str(step.number) for step in self.steps if step.verdict == "wrong"]
            return f"WRONG: line{'s' * (len(wrong) > 1)} {', '.join(wrong)} of {len(self.steps)}"
        undecided = [str(step.number) for step in self.steps if step.verdict == "undecided"]
        if undecided:
            return f"UNDECIDED: line{'s' * (len(undecided) > 1)} {', '.join(undecided)} of {len(self.steps)}"
        return f"RIGHT: each of {len(self.steps)} lines follows from the one before"

    def raise_if_wrong(self) -> "DerivationReport":
        """This report. Errors: `WrongDerivative`, an AssertionError, if a line is wrong."""
        if self.ok is False:
            raise WrongDerivative(self)
        return self

    def __str__(self) -> str:
        lines = [self.headline, ""]
        for step in self.steps:
            error = "" if math.isnan(step.error) else f"{step.error:.0e}"
            head = f"  {MARKS[step.verdict]} {step.number:<3}"
            formula = textwrap.wrap(plain_text(step.formula), WIDTH - len(head) - 8) or [""]
            columns = WIDTH - len(head) - 6 + sum(map(bool, map(unicodedata.combining, formula[0])))
            lines.append(f"{head}{formula[0]:<{columns}} {error}".rstrip())
            lines += [" " * len(head) + part for part in formula[1:]]
            for finding in step.findings:
                text = f"{finding.kind.name}: {sentence(finding)}"
                lines += textwrap.wrap(text, WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 11)
                if finding.hand is not None:
                    lines.append(" " * 9 + values(finding))
            lines += textwrap.wrap(step.remark, WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 9)
        return "\n".join(lines)

    def to_json(self) -> str:
        """Everything in the report as a JSON object: the keys are the names of the fields."""
        steps = [as_json(step) | {"findings": list(map(as_json, step.findings))} for step in self.steps]
        first = self.first_wrong.number if self.first_wrong else None
        found = {"ok": self.ok, "headline": self.headline, "first_wrong": first, "steps": steps}
        return json.dumps(found, indent=2, ensure_ascii=False)

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML page without other files; returns its path. Errors: OSError."""
        Path(path).write_text(page(self.headline, self._repr_html_()), encoding="utf-8")
        return Path(path)

    def _repr_html_(self) -> str:
        """The report in a notebook: formulas as MathML where latex2mathml is installed (extra experiments)."""
        color = {True: "#00704f", False: "#b3261e", None: "#7a6000"}[self.ok]
        badge = f"background:{color};color:#fff;padding:.1em .5em;border-radius:.2em;display:inline-block"
        return (
            '<div style="font:15px/1.5 system-ui,sans-serif"><p style="font-size:1.3em;font-weight:600">'
            f'<span style="{badge}">{html.escape(self.headline)}</span></p>'
            f'<ol style="list-style:none;padding:0">{"".join(map(_item, self.steps))}</ol></div>'
        )


def _item(step: Step) -> str:
    error = "" if math.isnan(step.error) else f"{step.error:.0e}"
    mark = f'<span style="color:{COLORS[step.verdict]};font-weight:600">{MARKS[step.verdict]} {step.verdict}</span>'
    found = "".join(f"<li><b>{one.kind.name}</b>: {finding_markup(one)}</li>" for one in step.findings)
    return (
        '<li style="border-bottom:1px solid #8886;padding:.4rem 0">'
        '<div style="display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline">'
        f'<span style="flex:0 0 8.5rem">{step.number} {mark}</span>'
        f'<span style="flex:1 1 14rem;min-width:0;overflow-x:auto">{math_markup(step.formula)}</span>'
        f'<span style="flex:0 0 4rem;text-align:right;opacity:.7">{error}</span></div>'
        + (f"<ul>{found}</ul>" if found else "")
        + (
            f'<p style="margin:.2rem 0 0 clamp(1.5rem,25vw - 6rem,9.5rem)">{html.escape(step.remark)}</p>'
            if step.remark
            else ""
        )
        + "</li>"
    )


def math_markup(formula: str) -> str:
    """A formula in LaTeX as MathML; as text without latex2mathml, and as it is written where it is no LaTeX."""
    if is_code(formula):
        return f"<code>{html.escape(formula[1:-1])}</code>"
    try:
        from latex2mathml.converter import convert

        markup = convert(formula)
        if _is_mathml(markup):
            return markup
    except ImportError:
        return f"<span>{html.escape(plain_text(formula))}</span>"
    except Exception:  # no LaTeX that it knows
        pass
    return f"<code>{html.escape(formula)}</code>"


def _is_mathml(markup: str) -> bool:
    r"""Whether markup is MathML and nothing else: text in a formula may hold HTML, and \\href a script."""
    for element in ElementTree.fromstring(markup).iter():
        if element.tag.rpartition("}")[2] not in ELEMENTS:
            return False
        if any(name in ("href", "style", "src") or name.startswith(("on", "{")) for name in element.attrib):
            return False
    return True
