"""Grades as a page: a row for each answer, which unfolds to the doctor's report."""

import html
import math
from collections.abc import Sequence
from typing import Any

from jax_course.exercises.grading import Grade, Outcome
from jax_course.exercises.messages import relative
from jax_course.exercises.table import mistake, right_lines, summary
from jax_course.verify import DerivationReport, Finding, Kind, Report, Witness
from jax_course.verify.derivation_report import Step
from jax_course.verify.report import page

COLORS = {
    Outcome.RIGHT: "#00704f", Outcome.WRONG: "#b3261e", Outcome.UNDECIDED: "#7a6000", Outcome.UNFINISHED: "#7a6000",
    Outcome.NOT_RUN: "#5f5f5f",
}  # fmt: skip
ROW = "display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline;cursor:pointer"
MARKS = '<style>summary::before{content:"▸"}details[open]>summary::before{content:"▾"}</style>'
TEXT = "white-space:pre-wrap;overflow-wrap:anywhere"


def grades_page(grades: Sequence[Grade]) -> str:
    """An HTML page without other files: the summary, and each grade with its report; one grade is unfolded."""
    names = relative([grade.file for grade in grades])
    rows = "".join(_row(name, grade, is_open=len(grades) == 1) for name, grade in zip(names, grades, strict=True))
    title, *frequent = summary(grades).splitlines()
    more = f'<pre style="{TEXT}">{html.escape(chr(10).join(frequent))}</pre>' if frequent else ""
    more += "<p>Each row unfolds to its report.</p>" if len(grades) > 1 else ""
    body = f'{MARKS}<p style="font-size:1.3em;font-weight:600">{html.escape(title)}</p>{more}{rows}'
    return page(title, f'<div style="font:15px/1.5 system-ui,sans-serif">{body}</div>')


def _row(name: str, grade: Grade, *, is_open: bool) -> str:
    badge = f"background:{COLORS[grade.outcome]};color:#fff;padding:.1em .5em;border-radius:.2em"
    said = mistake(grade) if grade.outcome is not Outcome.NOT_RUN else ""
    return (
        f'<details style="border-bottom:1px solid #8886;padding:.4rem 0"{" open" * is_open}><summary style="{ROW}">'
        f'<span style="flex:1 1 12rem;min-width:0;overflow-wrap:anywhere">{html.escape(name)}</span>'
        f'<span style="flex:1 1 11rem;min-width:0;overflow-wrap:anywhere">{html.escape(grade.exercise or "")}</span>'
        f'<span style="flex:0 0 6.5rem"><span style="{badge}">{grade.outcome.value}</span></span>'
        f'<span style="flex:0 0 2.5rem">{right_lines(grade)}</span>'
        f'<span style="flex:1 1 10rem;min-width:0;overflow-wrap:anywhere">{html.escape(said)}</span></summary>'
        f"{_report(grade)}</details>"
    )


def _report(grade: Grade) -> str:
    """The report of the doctor, with the advice below; the message where there is no report."""
    report = _rebuilt(grade.report)
    if report is None:
        return _paragraph(grade.message) + _paragraph(grade.advice)
    markup, headline = report._repr_html_(), grade.message.partition("\n")[0]
    if headline == report.headline:
        more = grade.message.removeprefix(str(report)).strip()
    else:  # the report is on the lines that are written, or on numbers that are not enough
        ours = f"background:{COLORS[grade.outcome]}"
        markup = markup.replace(f"background:{COLORS[Outcome.RIGHT]}", ours, 1)
        markup, more = markup.replace(html.escape(report.headline), html.escape(headline), 1), ""
    return markup + _paragraph(more) + _paragraph(grade.advice)


def _paragraph(text: str) -> str:
    return f'<p style="{TEXT}">{html.escape(text)}</p>' if text else ""


def _rebuilt(report: dict[str, Any] | None) -> Report | DerivationReport | None:
    """A report from its JSON: nothing but its fields comes from the process that ran a student's file."""
    try:
        if report is None:
            return None
        if "steps" in report:
            return DerivationReport(tuple(_step(fields) for fields in report["steps"]))
        witnesses = tuple(Witness(**fields | {"error": float(fields["error"])}) for fields in report["witnesses"])
        findings = tuple(map(_finding, report["findings"]))
        numbers = int(report["parameters"]), int(report["points"]), float(report["seconds"])
        return Report(findings, witnesses, tuple(map(str, report["notes"])), *numbers)
    except (KeyError, TypeError, ValueError):
        return None


def _step(fields: dict[str, Any]) -> Step:
    findings = tuple(map(_finding, fields["findings"]))
    error = float(fields["error"]) if fields["error"] is not None else math.nan
    return Step(**fields | {"error": error, "findings": findings})


def _finding(fields: dict[str, Any]) -> Finding:
    return Finding(**fields | {"kind": Kind[fields["kind"]], "index": tuple(fields["index"])})
