"""The file in which a student derives: the beginning and the end of a derivation, and lines between to be written."""

import re
import textwrap
from collections.abc import Callable

import jax
import numpy as np

from jax_course.classification import logistic
from jax_course.derivations import Derivation
from jax_course.derivations.sources import is_of_library, lambda_source, needs, returned
from jax_course.regression import linear, ridge
from jax_course.verify import Line, double_precision
from jax_course.verify.lines import Arguments, parameter_names, read_arguments
from jax_course.verify.plain_text import plain_text

COLUMNS = 80
CALL = re.compile(r"\\mathrm\{(?!diag\}|tr\}|cov\})[a-z_.\\]+\}\(")  # of a function of the library
BODIES: dict[Callable, str] = {  # functions of the library that lines to be written are, in plain code
    linear.gradient: "lambda theta, X, y: 2 * X.T @ (X @ theta - y)",
    ridge.hessian: "lambda theta, X, penalty: 2 * (X.T @ X + penalty * jnp.eye(len(theta)))",
    logistic.sigmoid_derivative: "lambda z: 1 / (1 + jnp.exp(-z)) * (1 - 1 / (1 + jnp.exp(-z)))",
    logistic.gradient: "lambda X, y, pi: X.T @ (pi - y)",
    logistic.hessian: "lambda X, pi: X.T @ (X * (pi * (1 - pi))[:, None])",
}
SHEET = '''"""{title}. {source}.

Line by line

{way}

Each of LINES equals the line before it or, with by=, is its derivative. Put
your code in the place of each `...`, with jax.numpy, or the name of a function
that you write above; and your formula, in LaTeX, between the quotes, if you
like. You may add lines and leave lines out. Then

    python -m jax_course.exercises check THIS_FILE

Parameters that the functions of the lines may have:

{arguments}
"""

{imports}

from jax_course.verify import line

DERIVATION = "{name}"
{definitions}LINES = [
{lines}
]
'''


def asked_lines(derivation: Derivation) -> tuple[Line, ...]:
    """The lines of a derivation that one writes oneself: those that call no function of the library.

    >>> from jax_course.derivations import find
    >>> len(find("bernoulli_entropy").lines), len(asked_lines(find("bernoulli_entropy")))
    (3, 2)
    """
    return tuple(one for one in derivation.lines if not CALL.search(one.formula))


def is_exercise(derivation: Derivation) -> bool:
    """Whether there are lines to be written, after a first one whose code can be shown.

    >>> from jax_course.derivations import find
    >>> is_exercise(find("logistic_gradient")), is_exercise(find("least_squares_minimiser"))
    (True, False)
    """
    lines = asked_lines(derivation)
    try:
        needs([lines[0].value])
    except ValueError:
        return False
    return len(lines) > 1 and not is_of_library(lines[0].value)


def line_sheet(derivation: Derivation, *, formulas: bool = False) -> str:
    """The text of the file for a derivation. formulas: each line with its formula, and only the code to be written.

    >>> from jax_course.derivations import find
    >>> print(line_sheet(find("quadratic_form")).splitlines()[0])
    \"\"\"The derivative of a quadratic form. Course 3.3.
    """
    lines = asked_lines(derivation)
    with double_precision():
        arguments = read_arguments(lines, derivation.arguments())
        shapes = {name: _shape(arguments, arguments.quantity(_named(name))) for name in _used(lines, arguments)}
        found = [_entry(k, lines, arguments, formulas) for k in range(1, len(lines) + 1)]
    definitions = [f for name, f in arguments.definitions.items() if name in shapes]
    end = plain_text(lines[-1].formula)
    end = end.partition(" = ")[0] if lines[-1].by else end.removeprefix("= ")  # a derivative is not told
    way = [("from", plain_text(lines[0].formula)), ("to", end)]
    return SHEET.format(
        title=derivation.title,
        source=derivation.source,
        way="\n".join(textwrap.fill(text, COLUMNS, initial_indent=f"    {word:<6}", subsequent_indent=" " * 10)
                      for word, text in way),
        arguments="\n".join(_described(shapes, arguments)),
        imports="\n".join(dict.fromkeys(["import jax.numpy as jnp", *needs([lines[0].value]).imports])),
        name=derivation.name,
        definitions="".join(f"\n\n{text}\n\n\n" if text.startswith("def") else f"{text}\n"
                            for text in needs([lines[0].value, *definitions]).definitions),
        lines="\n".join(found),
    )  # fmt: skip


def line_code(one: Line) -> str:
    """The code of a line as a lambda, with what it looks up beside jax.numpy below it."""
    text = BODIES.get(one.value) or lambda_source(one.value)
    beside = () if one.value in BODIES else needs([one.value]).definitions
    return "\n\n".join([text, *beside])


def line_solution(derivation: Derivation) -> str:
    """The lines of a derivation, each with its formula and its code."""
    parts = []
    for number, one in enumerate(asked_lines(derivation), 1):
        formula = textwrap.fill(plain_text(one.formula), COLUMNS, initial_indent=f"{number}  ", subsequent_indent="   ")
        parts.append(f"{formula}\n{textwrap.indent(line_code(one), '       ')}")
    return "\n".join(parts)


def claim_in_words(number: int, names: tuple[str, ...]) -> str:
    """The claim of the line of that number: to be the derivative by the names, or without names to be equal.

    >>> claim_in_words(3, ("theta",)), claim_in_words(3, ())
    ('the derivative of line 2 by theta', 'equal to line 2')
    """
    return f"the derivative of line {number - 1} by {' and '.join(names)}" if names else f"equal to line {number - 1}"


def _entry(number: int, lines: tuple[Line, ...], arguments: Arguments, formulas: bool) -> str:
    """A line of the file: the first as it is, the others open."""
    one = lines[number - 1]
    claim = "given" if number == 1 else claim_in_words(number, one.by)
    claim += f", shape {_shape(arguments, arguments.quantity(one.value))}" if one.by else ""
    claim += f", compared where {returned(one.where)}" if one.where else ""
    claim += ", the end" if number == len(lines) else ""
    names = ", ".join(_direct(lines, arguments))
    formula = one.formula if formulas or number == 1 else ""
    by = "" if not one.by else f"by={one.by[0]!r}".replace("'", '"') if len(one.by) == 1 else f"by={one.by!r}"
    code = lambda_source(one.value) if number == 1 else f"lambda {names}: ..."
    said = f"{number}: {claim}" + (f": {plain_text(formula)}" if formula and number > 1 else "")
    comment = textwrap.fill(said, COLUMNS, initial_indent="# ", subsequent_indent="#    ")
    parts = [f"r{_quoted(formula)},", f"{code},", *([f"{by},"] if by else [])]
    inner = "\n".join(["line(", *(textwrap.indent(part, "    ") for part in parts), "),"])
    return textwrap.indent(f"{comment}\n{inner}", "    ")


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


def _named(name: str) -> Callable:
    """The function of the arguments that is one of them."""
    return eval(f"lambda {name}: {name}")


def _shape(arguments: Arguments, quantity: Callable) -> tuple[int, ...]:
    return np.shape(jax.eval_shape(lambda: quantity(arguments.values)))


def _direct(lines: tuple[Line, ...], arguments: Arguments) -> list[str]:
    """The names that the functions of the lines have as parameters, in the order of the arguments."""
    names = {name for one in lines for found in parameter_names(one.value, "a line") for name in found}
    return [name for name in (*arguments.values, *arguments.definitions) if name in names]


def _used(lines: tuple[Line, ...], arguments: Arguments) -> list[str]:
    """The names of the arguments that lines use, or that are needed for those."""
    used = set(left := _direct(lines, arguments))
    while left:
        function = arguments.definitions.get(left.pop())
        needed = () if function is None else parameter_names(function, "a definition")[0]
        left += [name for name in needed if name not in used]
        used |= set(needed)
    return [name for name in (*arguments.values, *arguments.definitions) if name in used]


def _described(shapes: dict[str, tuple[int, ...]], arguments: Arguments) -> list[str]:
    """The arguments in words: those that are values in a row, then the others, each with its definition."""
    sizes = {name: f"{name} {shape or '(a number)'}" for name, shape in shapes.items()}
    rows = [", ".join(size for name, size in sizes.items() if name in arguments.values)]
    definitions = [(sizes[name], definition) for name, definition in arguments.definitions.items() if name in sizes]
    rows += [f"{size} = {returned(definition)}" for size, definition in definitions]
    return [textwrap.fill(row, COLUMNS, initial_indent="    ", subsequent_indent="        ") for row in rows if row]
