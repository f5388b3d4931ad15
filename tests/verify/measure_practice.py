"""What the doctor says of the derivatives of practice: a table by domain, and a line for each that it misjudges.

python -m tests.verify.measure_practice a|b|c [domain …]
"""

import copy
import importlib
import pkgutil
import sys
import time
import warnings

from jax_course import verify
from tests.verify.practice import Practice

COLUMNS = ("wrong", "rejected", "named", "right", "confirmed", "accused", "raised", "seconds")


def cases(half: str, domains: list[str]) -> dict[str, list[Practice]]:
    """The cases of a half, "a", "b" or "c", by domain."""
    package = importlib.import_module(f"tests.verify.practice_{half}")
    names = [found.name for found in pkgutil.iter_modules(package.__path__) if not domains or found.name in domains]
    return {name: importlib.import_module(f"{package.__name__}.{name}").CASES for name in names}


def examined(case: Practice) -> verify.Report:
    """The doctor's report on a case; the case's own arrays stay as they are."""
    names = ("gradient", "hessian", "hessian_product")
    hands = {name: getattr(case, name) for name in names if getattr(case, name) is not None}
    params, arguments = copy.deepcopy((case.params, case.arguments))
    return verify.derivatives(case.cost, params, *arguments, **dict(case.keywords), **hands)


def is_named(case: Practice, report: verify.Report) -> bool:
    """Whether the findings have a kind that the case admits; all of them where there are several mistakes."""
    assert case.kinds is not None
    found = {finding.kind for finding in report.findings}
    return found >= case.kinds if case.all_needed else bool(found & case.kinds)


Counts = dict[str, float]  # by column of the table


def measure(domain: str, case: Practice, counts: Counts) -> None:
    """Count one case, and print what is misjudged."""
    started = time.process_time()
    counts["right" if case.kinds is None else "wrong"] += 1
    try:
        report = examined(case)
    except Exception as error:
        counts["raised"] += 1
        print(f"{domain}: {case.name}: {type(error).__name__}: {error}")
        return
    counts["seconds"] += time.process_time() - started
    said = [f"{finding.kind.name} {finding.sentence}" for finding in report.findings]
    if case.kinds is None:
        counts["confirmed"] += report.ok is True
        counts["accused"] += report.ok is False
        if report.ok is not True:
            print(f"{domain}: {case.name}: right, and {report.headline} {said}")
        return
    counts["rejected"] += report.ok is False
    named = report.ok is False and is_named(case, report)
    counts["named"] += named
    if not named:
        print(f"{domain}: {case.name}: {sorted(kind.name for kind in case.kinds)}, and {report.headline} {said}")


def main() -> None:
    """Measure the half that the command line names."""
    warnings.simplefilter("ignore")
    table: dict[str, Counts] = {}
    for domain, members in cases(sys.argv[1], sys.argv[2:]).items():
        table[domain] = dict.fromkeys(COLUMNS, 0)
        for case in members:
            measure(domain, case, table[domain])
    table["all"] = {column: sum(counts[column] for counts in table.values()) for column in COLUMNS}
    print("| domain | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS))
    for domain, counts in table.items():
        print(f"| {domain} | " + " | ".join(f"{counts[column]:.0f}" for column in COLUMNS) + " |")


if __name__ == "__main__":
    main()
