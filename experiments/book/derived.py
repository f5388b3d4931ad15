"""The derivations behind the rows of the ledger: each line with its formula, its check and its code."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from latex2mathml.converter import convert
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from experiments.lab.result import Check
from jax_course.derivations import Derivation, find
from jax_course.derivations.sources import source

# by the row that they lead to
DERIVED = {
    "3.3": ("least_squares_gradient", "quadratic_form", "least_squares_solution", "least_squares_minimiser"),
    "4.3": ("covariance",),
    "4.4": ("gaussian_density",),
    "4.5": ("joint_density", "scaled_determinant"),
    "5.2a": ("likelihood_of_linear_regression", "likelihood_by_theta"),
    "5.2b": ("likelihood_by_sigma", "noise_variance"),
    "5.5a": ("bernoulli_entropy",),
    "5.5b": ("gaussian_entropy",),
    "6.1a": ("ridge_gradient", "ridge_solution"),
    "6.1b": ("ridge_constrained",),
    "6.4a": ("kernel_ridge_solution",),
    "6.4b": ("kernel_gradient",),
    "7.3": ("chain_rule",),
    "7.4a": ("scalar_gradient",),
    "7.4b": ("matrix_gradient",),
    "7.6a": ("quadratic_model", "newton_on_least_squares"),
    "7.8a": ("descent_as_a_sum",),
    "8.2": ("sigmoid_derivative",),
    "8.4a": ("logistic_cost",),
    "8.4b": ("logistic_cost_by_probability",),
    "8.5": ("logistic_gradient", "logistic_gradient_directly"),
    "8.6a": ("logistic_hessian",),
    "8.6b": ("newton_to_irls",),
    "9.2": ("softmax_cost",),
    "9.3a": ("softmax_gradient", "softmax_hessian"),
    "9.3b": ("log_first_probability", "log_second_probability", "softmax_gradient_of_two_classes"),
    "10.1b": ("all_paths", "all_paths_to_the_input"),
    "10.2": ("layer_by_layer", "cost_above_the_layers"),
    "12.1": ("delta", "tangent_of_a_linear_layer"),
    "12.2": ("two_orders",),
    "12.3": ("linear_layer_delta", "linear_layer_gradient"),
    "12.4": ("relu_layer",),
}


class ShownLine(NamedTuple):
    """A line, ready to be laid out; check: None for the first, which claims nothing."""

    formula: Markup
    check: Check | None
    code: Markup


class ShownDerivation(NamedTuple):
    """A derivation, ready to be laid out."""

    title: str
    source: str
    lines: tuple[ShownLine, ...]


def line_checks(row: str) -> tuple[Check, ...]:
    """That each line of the derivations behind a row follows from the one before."""
    found = []
    for derivation in map(find, DERIVED.get(row, ())):
        steps = derivation.check().steps[1:]
        found += [Check(_claim(derivation, step.number), step.error, step.verdict == "follows") for step in steps]
    return tuple(found)


def shown(row: str, checks: Iterable[Check]) -> tuple[ShownDerivation, ...]:
    """The derivations behind a row, with the checks that were made of their lines."""
    by_claim = {check.claim: check for check in checks}
    return tuple(_shown(derivation, by_claim) for derivation in map(find, DERIVED.get(row, ())))


def is_of_a_line(check: Check) -> bool:
    """Whether a check is shown beside a line, and not in the table of its row."""
    return check.claim.startswith("line ")


def _claim(derivation: Derivation, number: int) -> str:
    return f"line {number} of {derivation.name} follows"


def _shown(derivation: Derivation, checks: dict[str, Check]) -> ShownDerivation:
    lines = tuple(
        ShownLine(Markup(convert(line.formula)), checks.get(_claim(derivation, number)), _code(line.value))
        for number, line in enumerate(derivation.lines, 1)
    )
    return ShownDerivation(derivation.title, derivation.source, lines)


def _code(function: Callable) -> Markup:
    """The code of a line, or the name of a function of the library."""
    return Markup(highlight(source(function), PythonLexer(), HtmlFormatter(nowrap=True)))
