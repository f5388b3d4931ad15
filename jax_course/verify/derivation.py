r"""Derivations that are checked line by line: each line against the one before, at several points, with error bars.

    report = derivation(
        line(r"C = (y - X\theta)^T(y - X\theta)", lambda theta, X, y: …),
        line(r"\partial C/\partial\theta = -2 X^T(y - X\theta)", lambda theta, X, y: …, by="theta"),
        line(r"= 2 X^T(X\theta - y)", linear.gradient),
        theta=theta, X=X, y=y)

A line after a wrong one is compared with what the wrong one should have been, so that one mistake is reported once. If
it only carries the mistake on, it follows from the wrong line, and is called neither right nor a mistake.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from jax_course.verify.claims import judge
from jax_course.verify.derivation_report import DerivationReport, Step
from jax_course.verify.lines import Arguments, Claim, Jacobian, Judgement, Line, Quantity, read_arguments
from jax_course.verify.parameters import double_precision


def derivation(*lines: Line, **arguments: Any) -> DerivationReport:
    r"""Check a derivation line by line.

    lines: two or more, made by `line`; the first is the beginning and claims nothing. arguments: a value for every name
    that a line needs, or its definition, a function of other arguments. All is computed in float64, at the values given
    and beside them: the arguments that a line differentiates by are moved, or all of floating point if none does.
    Errors: TypeError for a line that is none, or a name without a value; ValueError for fewer than two lines.

    >>> from jax_course.verify import line
    >>> report = derivation(line("t^3", lambda t: t**3), line("3t^2", lambda t: 3 * t**2, by="t"),
    ...                     line("= 3 t", lambda t: 3 * t), t=2.0)
    >>> report.ok, report.first_wrong.number, report.first_wrong.findings[0].kind.name
    (False, 3, 'CHAIN_RULE')
    """
    for number, one in enumerate(lines, 1):
        if not isinstance(one, Line):
            raise TypeError(f"line {number} is made by line(formula, value); got {type(one).__name__}")
    if len(lines) < 2:
        raise ValueError(f"a derivation has at least two lines; got {len(lines)}")
    if lines[0].by:
        raise ValueError("the first line is the beginning: it cannot be the derivative of a line before it")
    with double_precision():
        return DerivationReport(tuple(_steps(lines, read_arguments(lines, arguments))))


class Before(NamedTuple):
    """The state before a line.

    right: what the line before should have been. said: what it was, if that was wrong. cost: the line that was
    differentiated since; names: by which arguments, each time. wrong: the number of the line that was wrong.
    """

    right: Quantity
    said: Quantity | None
    cost: Quantity
    names: tuple[tuple[str, ...], ...]
    wrong: int


def _steps(lines: tuple[Line, ...], arguments: Arguments) -> list[Step]:
    first = arguments.quantity(lines[0].value)
    before = Before(first, None, first, (), 0)
    moved = _moved(lines, arguments)
    steps = [Step(1, lines[0].formula, "given", np.nan, (), "")]
    for number, one in enumerate(lines[1:], 2):
        step, before = _step(number, one, before, moved, arguments)
        steps.append(step)
    return steps


def _moved(lines: tuple[Line, ...], arguments: Arguments) -> tuple[str, ...]:
    """The names of the values that differ from point to point: those that lines differentiate by, or all of floats."""
    found = [source for one in lines for name in one.by for source in sorted(arguments.sources(name))
             if one.by and (name in arguments.values or _is_moving(arguments.values[source]))]  # fmt: skip
    if not found:
        found = [name for name, value in arguments.values.items() if _is_moving(value)]
    return tuple(dict.fromkeys(found))


def _is_moving(value: Any) -> bool:
    """Whether a value may be moved: numbers that are not whole, as labels and columns of ones are."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return False
    return array.dtype.kind == "f" and bool((array != np.round(array)).all())


def _step(number: int, one: Line, before: Before, moved: tuple[str, ...], arguments: Arguments) -> tuple[Step, Before]:
    hand = arguments.quantity(one.value)
    right = Jacobian(arguments, before.right, one.by) if one.by else before.right
    names = (*before.names, one.by) if one.by else before.names
    cost = before.cost
    if names == (one.by,) or not names:
        cost = before.right
    claim = _claim(arguments, one, hand, right, cost, names, moved)
    judgement = judge(arguments, claim)
    step = Step(number, one.formula, _verdict(judgement), judgement.error, judgement.findings, judgement.remark)
    if judgement.holds is not False:
        return step, Before(hand, None, hand if not names else cost, names, 0)
    if before.said is not None:
        said = Jacobian(arguments, before.said, one.by) if one.by else before.said
        followed = judge(arguments, claim._replace(reference=said, cost=said, name="value"))
        if followed.holds:
            remark = f"follows from line {before.wrong}, with its mistake"
            carried = Step(number, one.formula, "carries on", followed.error, (), remark)
            return carried, Before(right, hand, cost, names, before.wrong)
    return step, Before(right, hand, cost, names, number)


def _claim(
    arguments: Arguments,
    one: Line,
    hand: Quantity,
    right: Quantity,
    cost: Quantity,
    names: tuple[tuple[str, ...], ...],
    moved: tuple[str, ...],
) -> Claim:
    where = None if one.where is None else arguments.quantity(one.where)
    first = names[0] if names else ()
    known = all(name in arguments.values for name in first)
    if len(set(names)) == 1 and len(names) <= 2 and (one.by or known) and _is_scalar(arguments, cost):
        return Claim(hand, right, cost, "gradient" if len(names) == 1 else "hessian", first, where)
    return Claim(hand, right, right, "value", one.by or moved, where)


def _is_scalar(arguments: Arguments, quantity: Quantity) -> bool:
    """Whether the quantity is one number, found without computing it where JAX can trace it."""
    for shape_of in (lambda: np.shape(jax.eval_shape(lambda: quantity(arguments.values))),
                     lambda: np.shape(quantity(arguments.values))):  # fmt: skip
        try:
            return shape_of() == ()
        except Exception:  # plain NumPy cannot be traced; any other error is said when the line is judged
            continue
    return False


def _verdict(judgement: Judgement) -> str:
    return {True: "follows", False: "wrong", None: "undecided"}[judgement.holds]
