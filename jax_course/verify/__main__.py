"""`python -m jax_course.verify package.module:case`: the doctor from a shell.

A case is a function without arguments. It returns the arguments of `verify.derivatives`, or of `verify.model` if the
first one is a model module: a tuple, whose last element may be a dictionary of keywords. Or it returns a report, as of
`verify.derivation`, `verify.rule`, `verify.jacobian` or `verify.torch_function`. A model module alone,
`package.module`, is examined on small random data. Exit code 0: right, 1: wrong, 2: undecided, or bad arguments.
"""

import argparse
import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np

from jax_course import verify


def main(arguments: list[str] | None = None) -> int:
    """Examine, print the report, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jax_course.verify", description="Is this derivative right?")
    parser.add_argument("target", help="package.module:case, or a model module")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--html", metavar="FILE", help="write the report as a page, too")
    options = parser.parse_args(arguments)
    try:
        report = _report(options.target)
    except Exception as error:  # the reader's module may raise anything, and that is no verdict
        print(f"{options.target}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(report.to_json() if options.json else report)
    if options.html:
        try:
            report.to_html(options.html)
        except OSError as error:
            print(f"cannot write {options.html}: {error.strerror}", file=sys.stderr)
            return 2
    return {True: 0, False: 1, None: 2}[report.ok]


def _report(target: str) -> verify.Report | verify.DerivationReport:
    module_name, _, name = target.partition(":")
    module = importlib.import_module(module_name)
    if not name:
        return _on_random_data(module)
    case = getattr(module, name)
    if not callable(case):
        raise TypeError(f"a case is a function that returns the arguments; it is {type(case).__name__}")
    returned = case()
    if isinstance(returned, (verify.DerivationReport, verify.Report)):
        return returned
    first, *rest = _tuple(returned)
    keywords = rest.pop() if rest and isinstance(rest[-1], dict) and all(isinstance(k, str) for k in rest[-1]) else {}
    if isinstance(first, ModuleType):
        return verify.model(first, *rest, **keywords)
    return verify.derivatives(first, *rest, **keywords)


def _tuple(returned: Any) -> tuple:
    if not isinstance(returned, tuple) or not returned:
        raise TypeError("a case returns a tuple: (cost, params, *arguments, {'gradient': …})")
    return returned


def _on_random_data(module: ModuleType) -> verify.Report:
    if not hasattr(module, "cost"):
        raise AttributeError("a model module has a function `cost`; or name a case, package.module:case")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    try:
        return verify.model(module, rng.standard_normal(3), X, np.arange(20) % 2 * 1.0)
    except ValueError:  # a model of several classes refuses parameters of shape (3,)
        return verify.model(module, rng.standard_normal((3, 4)), X, np.arange(20) % 4)


if __name__ == "__main__":
    sys.exit(main())
