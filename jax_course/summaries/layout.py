"""The layout of a table of coefficients: as text of 80 columns, and as HTML."""

import html
import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

WIDTH = 80  # columns of a terminal
GAP = 2  # between two columns of text
SHORTEST_NAME = 12
_CELL = "text-align:right;padding:.15rem .6rem;font-variant-numeric:tabular-nums;white-space:nowrap"
_NAME = "text-align:left;padding:.15rem .6rem;font-weight:normal"


class Block(NamedTuple):
    """Rows of cells, the first of each a name, below a heading, "" for none."""

    heading: str
    rows: tuple[tuple[str, ...], ...]


class Layout(NamedTuple):
    """A title; facts, pairs of a label and a value; the header of the blocks; notes, a sentence each."""

    title: str
    facts: tuple[tuple[str, str], ...]
    header: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]


def number(value: float) -> str:
    """Four digits or more, without a power of ten where it reads better.

    >>> number(1234567.8), number(0.5), number(-0.000123), number(2e10)
    ('1234568', '0.5000', '-1.230e-04', '2.000e+10')
    """
    value = float(value)
    if not math.isfinite(value) or value == 0:
        return _special(value)
    if not 1e-3 <= abs(value) < 1e7:
        return f"{value:.3e}"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def probability(value: float) -> str:
    """Four decimals, or a power of ten where they would hide a small one.

    >>> probability(0.0512), probability(3.21e-15), probability(0.0)
    ('0.0512', '3.2e-15', '<1e-300')
    """
    value = float(value)
    if math.isnan(value) or value >= 1e-3:
        return _special(value) if math.isnan(value) else f"{value:.4f}"
    return f"{value:.1e}" if value > 1e-300 else "<1e-300"


def total(value: float) -> str:
    """A sum over the examples, of which differences count: with two decimals.

    >>> total(-2385.99268), total(1e12)
    ('-2385.99', '1e+12')
    """
    value = float(value)
    return f"{value:.2f}" if abs(value) < 1e9 else _special(value) if not math.isfinite(value) else f"{value:.7g}"


def _special(value: float) -> str:
    return "–" if math.isnan(value) else "0" if value == 0 else "∞" if value > 0 else "-∞"


def text(layout: Layout) -> str:
    """At most 80 columns; a name too long for them loses its middle."""
    rows = [layout.header, *(row for block in layout.blocks for row in block.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(layout.header))]
    room = WIDTH - sum(widths[1:]) - GAP * (len(widths) - 1)
    widths[0] = min(widths[0], max(room, SHORTEST_NAME))
    lines = [layout.title, "", *_facts(layout.facts), ""]
    lines.append(_row(layout.header, widths))
    for block in layout.blocks:
        lines += ["", block.heading] if block.heading else []
        lines += [_row(row, widths) for row in block.rows]
    for note in layout.notes:
        lines += ["", *textwrap.wrap(note, WIDTH)]
    return "\n".join(line.rstrip() for line in lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers = cells
    right = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
    return (" " * GAP).join([_cut(name, widths[0]).ljust(widths[0]), *right])


def _cut(name: str, width: int) -> str:
    """The name without its middle where it is too long: names of one origin begin alike, and end apart."""
    if len(name) <= width:
        return name
    end = width // 2
    return f"{name[: width - end - 1]}…{name[len(name) - end :]}"


def _facts(facts: Sequence[tuple[str, str]]) -> list[str]:
    """The facts in two columns, the first half on the left."""
    columns = []
    for side in zip(*_pairs(facts), strict=True):
        label, value = (max(len(fact[i]) for fact in side) for i in (0, 1))
        columns.append([f"{name:<{label}}  {shown:>{value}}" for name, shown in side])
    return [f"{left}    {right}" for left, right in zip(*columns, strict=True)]


def _pairs(facts: Sequence[tuple[str, str]]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Each fact of the first half with one of the second, the last perhaps with none."""
    half = (len(facts) + 1) // 2
    return list(zip(facts[:half], [*facts[half:], ("", "")][:half], strict=True))


def markup(layout: Layout) -> str:
    """The tables of a notebook, well-formed, on a light theme or a dark one."""
    escape = html.escape
    facts = ""
    for pair in _pairs(layout.facts):
        cells = [
            f'<th scope="row" style="{_NAME}">{escape(label)}</th><td style="{_CELL}">{escape(value)}</td>'
            for label, value in pair
            if label
        ]
        facts += f"<tr>{''.join(cells)}</tr>"
    head = "".join(
        f'<th scope="col" style="{_CELL if i else _NAME};font-weight:600">{escape(cell)}</th>'
        for i, cell in enumerate(layout.header)
    )
    body = []
    for block in layout.blocks:
        if block.heading:
            heading = f'<th colspan="{len(layout.header)}" scope="rowgroup" style="{_NAME};font-weight:600">'
            body.append(f"<tr>{heading}{escape(block.heading)}</th></tr>")
        for name, *cells in block.rows:
            shown = "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in cells)
            body.append(f'<tr><th scope="row" style="{_NAME}">{escape(name)}</th>{shown}</tr>')
    notes = "".join(f'<p style="max-width:46em;margin:.4rem 0">{escape(note)}</p>' for note in layout.notes)
    return (
        f'<div><p style="font-weight:600;margin:.4rem 0">{escape(layout.title)}</p>'
        f'<table style="margin:.4rem 0"><tbody>{facts}</tbody></table>'
        f'<table style="margin:.4rem 0"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
        f"{notes}</div>"
    )
