"""Rules of jax.custom_vjp and jax.custom_jvp: is the rule the derivative of its function, and if not, what is wrong?

The rule is taken off, and ⟨c, f(primals)⟩ for a seeded cotangent c is a cost whose gradient the rule claims to give: so
the doctor examines it with all its witnesses and names its mistakes. What a cost cannot show is checked before: shapes
and dtypes, the forward pass, linearity in the cotangent, and residuals.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jax_course.compile_cache import is_comparable, key_of
from jax_course.verify.context import first_line
from jax_course.verify.custom_rules import find_rule, has_rules
from jax_course.verify.findings import Kind
from jax_course.verify.parameters import double_precision, flatten_inputs
from jax_course.verify.primals import (
    Call,
    Outputs,
    Primals,
    in_double_precision,
    is_floating,
    read_primals,
    scalar,
    without_numbers,
)
from jax_course.verify.report import Report
from jax_course.verify.rule_checks import Examined, random_like
from jax_course.verify.rule_examination import compared_with_meant, examined_rule
from jax_course.verify.rule_structure import RULE, STRUCTURE, mismatch, rule_findings

KEEPS = "it keeps values of an earlier call outside of its residuals, in a global or an object."
DECLARE = (
    "If the departure is wanted (straight-through, reversed, clipped, a semi-gradient), declare it: meant=g, a "
    "function whose derivative the rule is meant to be, or cotangent=h, what takes the place of the cotangent."
)


def rule(
    f: Callable,
    *primals: Any,
    meant: Callable | None = None,
    cotangent: Callable | None = None,
    **keywords: Any,
) -> Report:
    """Examine the rule of f, a function of `jax.custom_vjp` or `jax.custom_jvp`, at f(*primals, **keywords).

    Floating-point arrays are differentiated by, in any structure; integers, None and static arguments are handed on, as
    are numbers of Python for which the rule returns None.
    The outputs may be any pytree. meant: a function with the signature of f whose derivative, as autodiff gives it, the
    rule is meant to be: x ↦ x for a straight-through estimator. cotangent: a function of the cotangent, structured as
    the outputs, that returns the one that takes its place: c ↦ −c, or clipped. With either, the rule is compared with
    what is meant, for small cotangents and large ones. Two functions with rules inside may be examined, too.
    Errors: TypeError for a function without a rule or without a floating-point primal; ValueError if it raises.

    >>> cube = jax.custom_vjp(lambda x: x**3)
    >>> cube.defvjp(lambda x: (x**3, x), lambda x, c: (3 * x * c,))
    >>> report = rule(cube, 2.0)
    >>> report.ok, report.findings[0].kind.name, report.findings[0].location
    (False, 'CHAIN_RULE', 'x')
    """
    started = time.perf_counter()
    for name, function in {"f": f, "meant": meant, "cotangent": cotangent}.items():
        if not callable(function) and (name == "f" or function is not None):
            raise TypeError(f"{name} must be a function; got {type(function).__name__}")
    found = find_rule(f)
    given = read_primals(f, found.static, primals, keywords)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        if found.kind == "inside" and not has_rules(f, given):
            raise TypeError("f must have a rule, by jax.custom_vjp or jax.custom_jvp, or call functions that have one")
        outputs, before = _outputs(found.plain, given), key_of(found.owner)
        findings, none = rule_findings(found, given)
        given = without_numbers(given, none)
    if findings:
        report = Report(tuple(findings), (STRUCTURE,), (), _size(given), 1, 0.0)
    else:
        with double_precision():
            given = in_double_precision(given)
            cotangent_arrays = list(random_like(outputs, 0).values())
            arguments = cotangent_arrays, *given.data.values()
            inputs, point = flatten_inputs(Call(scalar, found.plain, given), given.moving, arguments, {})
            examined = Examined(found, f, given, inputs, point, outputs)
            if meant is None and cotangent is None:
                report = examined_rule(examined)
            else:
                report = compared_with_meant(examined, meant or found.plain, cotangent)
    raised = [(one.kind, one.leaf) for one in report.findings] == [(Kind.UNKNOWN, RULE)]
    if raised and is_comparable(before) and key_of(found.owner) != before:  # a traced value was kept, say
        report = report._replace(findings=(mismatch(Kind.STALE, RULE, KEEPS),))
    notes = report.notes
    if report.ok is False and meant is None and cotangent is None:
        notes = (*notes, DECLARE)
    if given.fixed or given.data:
        notes = (*notes, f"Not differentiated by: {', '.join((*given.data, *given.fixed))}.")
    return report._replace(notes=notes, seconds=time.perf_counter() - started)


def _size(given: Primals) -> int:
    return sum(int(np.size(leaf)) for leaf in given.moving.values())


def _outputs(plain: Callable, given: Primals) -> dict[str, Any]:
    """The floating-point outputs of the function by name, only their shapes where JAX can trace it."""
    outputs = Outputs(plain, given.template, given.data)
    try:
        tree = jax.eval_shape(outputs.tree, given.moving)
    except Exception:  # it branches on values, or is no function of these arguments
        try:
            tree = jax.tree_util.tree_map(np.asarray, outputs.tree(given.moving))
        except Exception as error:
            raise ValueError(f"f raised {type(error).__name__}: {first_line(error)}") from error
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
    found = {f"output {name}".strip(): leaf for name, (_, leaf) in zip(names, paths, strict=True) if is_floating(leaf)}
    if not found:
        raise ValueError("f must return floating-point numbers; it returns none")
    return found
