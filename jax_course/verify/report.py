"""The report: the verdict, the mistakes with their places, and the witnesses; as text, as a page, or as JSON."""

import html
import json
import math
import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from jax_course.verify.findings import HARMLESS, Finding, Kind, Witness

WIDTH = 80  # columns of a terminal


class WrongDerivative(AssertionError):
    """The error of `Report.raise_if_wrong` and `assert_derivatives`; it carries the report in `report`."""

    def __init__(self, report: Any):
        super().__init__(f"\n{report}")
        self.report = report


class Report(NamedTuple):
    """The result of an examination.

    findings: the mistakes, and the reasons why a difference is none. witnesses: each way of computing a derivative and
    its verdict. notes: on the reader's Hessian. parameters, points: their numbers. seconds: the examination's.

    >>> Report((), (Witness("complex step", "gradient", "agrees", 0.0, ""),), (), 3, 4, 0.1).headline
    'RIGHT: gradient'
    """

    findings: tuple[Finding, ...]
    witnesses: tuple[Witness, ...]
    notes: tuple[str, ...]
    parameters: int
    points: int
    seconds: float

    @property
    def ok(self) -> bool | None:
        """True: right, as far as the witnesses can tell. False: wrong. None: undecided."""
        if any(finding.derivative == "cost" for finding in self.findings):
            return None
        if any(finding.kind not in HARMLESS for finding in self.findings):
            return False
        if any(witness.verdict == "disagrees" for witness in self.witnesses):
            return None
        checked = {witness.derivative for witness in self.witnesses}
        decided = {witness.derivative for witness in self.witnesses if witness.verdict == "agrees"}
        return True if checked and checked == decided else None

    def raise_if_wrong(self) -> "Report":
        """This report. Errors: `WrongDerivative`, an AssertionError, if a derivative is wrong."""
        if self.ok is False:
            raise WrongDerivative(self)
        return self

    @property
    def headline(self) -> str:
        """The verdict in a line: RIGHT, WRONG or UNDECIDED, and the derivatives."""
        checked = list(dict.fromkeys(witness.derivative for witness in self.witnesses))
        if self.ok:
            return f"RIGHT: {_and(checked)}"
        if self.ok is None:
            return "UNDECIDED: " + (_and(checked) if not self.findings else "no derivative could be examined")
        wrong = list(dict.fromkeys(f.derivative for f in self.findings if f.kind not in HARMLESS))
        return f"WRONG: {_and(wrong)}"

    def __str__(self) -> str:
        lines = [self.headline]
        for finding in sorted(self.findings, key=lambda finding: finding.kind in HARMLESS):
            lines += textwrap.wrap(_line(finding), WIDTH, initial_indent="  ", subsequent_indent="    ")
            if finding.index or finding.hand is not None:
                lines.append(f"    {values(finding)}")
        lines.append("")
        for witness in self.witnesses:
            derivative, name, verdict, error, _ = _row(witness)
            lines.append(f"  {derivative:<16}{name:<28}{verdict:<10} {error}".rstrip())
        for note in self.notes:
            lines += textwrap.wrap(note, WIDTH, initial_indent="  ", subsequent_indent="    ")
        lines.append(f"  {self._scope()}")
        return "\n".join(lines)

    def _scope(self) -> str:
        beside = f" and {self.points - 1} beside it" if self.points > 1 else ""
        plural = "" if self.parameters == 1 else "s"
        return f"{self.parameters} parameter{plural}, at the point given{beside}, float64, {self.seconds:.1f} s"

    def to_json(self) -> str:
        """Everything in the report as a JSON object, for graders: the keys are the names of the fields."""
        return json.dumps(
            {
                "ok": self.ok,
                "headline": self.headline,
                "findings": list(map(as_json, self.findings)),
                "witnesses": list(map(as_json, self.witnesses)),
                "notes": list(self.notes),
                "parameters": self.parameters,
                "points": self.points,
                "seconds": self.seconds,
            },
            indent=2,
            ensure_ascii=False,
        )

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML page without other files; returns its path. Errors: OSError."""
        Path(path).write_text(page(self.headline, self._repr_html_()), encoding="utf-8")
        return Path(path)

    def _repr_html_(self) -> str:
        """The report in a notebook, on a light theme or a dark one: the verdict brings its own background."""
        color = {True: "#00704f", False: "#b3261e", None: "#7a6000"}[self.ok]
        badge = f"background:{color};color:#fff;padding:.1em .5em;border-radius:.2em"
        items = "".join(map(_item, self.findings))
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in (*self.notes, self._scope()))
        return (
            '<div style="font:15px/1.5 system-ui,sans-serif"><p style="font-size:1.3em;font-weight:600">'
            f'<span style="{badge}">{html.escape(self.headline)}</span></p>'
            + (f"<ul>{items}</ul>" if items else "")
            + (_table(self.witnesses) if self.witnesses else "")
            + f"{notes}</div>"
        )


def page(title: str, body: str) -> str:
    """An HTML page without other files."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title)}</title></head>"
        f'<body style="margin:2rem auto;max-width:52rem;padding:0 1rem">{body}</body></html>'
    )


def _item(finding: Finding) -> str:
    return f"<li><b>{finding.kind.name}</b> in {html.escape(finding.derivative)}: {finding_markup(finding)}</li>"


def finding_markup(finding: Finding) -> str:
    """A finding's sentence and values in HTML."""
    both = f"<br/><code>{html.escape(values(finding))}</code>" if finding.hand is not None else ""
    return _marked(html.escape(sentence(finding))) + both


def _table(witnesses: tuple[Witness, ...]) -> str:
    cell = "padding:.25rem 1rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #8886"
    columns = ("derivative", "witness", "verdict", "error", "remark")
    heads = "".join(f'<th scope="col" style="{cell}">{column}</th>' for column in columns)
    rows = "".join(
        "<tr>"
        + "".join(f'<td style="{cell};white-space:nowrap">{html.escape(text)}</td>' for text in named)
        + f'<td style="{cell}">{html.escape(remark)}</td></tr>'
        for *named, remark in map(_row, witnesses)
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;min-width:42rem">'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(witness: Witness) -> tuple[str, ...]:
    error = "" if math.isnan(witness.error) else f"{witness.error:.0e}"
    return witness.derivative, witness.name, witness.verdict, error, witness.remark


def _line(finding: Finding) -> str:
    return f"{finding.kind.name} in {finding.derivative}: {sentence(finding)}"


def values(finding: Finding) -> str:
    """The reader's value and the right one, with their place."""
    yours = f"{finding.location}: yours {_number(finding.hand)}"
    if finding.reference is None:
        return yours
    return f"{yours}, {'autodiff' if finding.kind in HARMLESS else 'correct'} {_number(finding.reference)}"


def sentence(finding: Finding) -> str:
    """The finding in words, with a capital."""
    return finding.sentence[:1].upper() + finding.sentence[1:]


def _marked(escaped: str) -> str:
    """Names between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)


def _number(value) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def as_json(record: Finding | Witness | Any) -> dict[str, Any]:
    """The fields of a record as JSON has them; a kind by its name."""
    fields = record._asdict()
    return {name: value.name if isinstance(value, Kind) else _plain(value) for name, value in fields.items()}


def _plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _and(words: list[str]) -> str:
    return " and ".join(", ".join(words).rsplit(", ", 1)) if words else "nothing"
