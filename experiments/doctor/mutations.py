"""Is a wrong derivative found, and its mistake named? Every kind of fault, planted in the models' own derivatives.

The faults are those of `jax_course.exercises.mutants`: what published errata and libraries got wrong, made of the
right gradient, Hessian or product of linear, ridge, logistic and softmax regression. A mutant is *rejected* if the
doctor calls it wrong, and *named* if the kind of its fault is among the findings. Agreement alone would show nothing: a
doctor that rejects everything finds every fault. So the right derivatives go through it as well.
"""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from experiments.lab.result import Check, Picture, Result, check_derivatives, in_float64
from experiments.lab.style import DATA, FIT, MUTED
from jax_course import verify
from jax_course.exercises.mutants import GRADIENT, MODELS, SECOND, Fault, cases, mutant
from jax_course.exercises.problems import problem

TITLE = "Wrong derivatives on purpose, named by the doctor"
SECTION = "7.1"
FEATURES, SEED = 3, 0
COUNTS = ("planted", "rejected", "named")
ELSEWHERE = {verify.Kind.PENALTY: "ridge", verify.Kind.SHAPE: "logistic", verify.Kind.TRANSPOSE: "softmax"}
KINDS = [kind for kind in verify.Kind if any(fault.kind is kind for fault in (*GRADIENT, *SECOND))]


@in_float64
def run(quick: bool) -> Result:
    """Every fault in every model that can have it; in quick mode every kind once, and all models."""
    table = [_examined(model, fault) for model, fault in _chosen(quick)]
    accepted = {model: [check.holds for check in _right(model)] for model in MODELS}
    total = _summed(table)
    right = [holds for of_model in accepted.values() for holds in of_model]
    return Result(
        {
            "table": Picture(
                _figure(table, accepted),
                "Wrong derivatives that the doctor rejected and named rightly, of those planted, by kind of mistake "
                "and model: the darker, the more were planted; orange if one was missed, a dash where none was "
                "planted. Below them the right derivatives, which it must accept.",
            )
        },
        {
            "table": table,
            "by kind": [
                {"kind": kind.name} | _summed(rows)
                for kind in KINDS
                if (rows := [r for r in table if r["kind"] == kind.name])
            ],
            "by kind and model": _by_kind_and_model(table),
            "total": total,
            "right derivatives": {"examined": len(right), "accepted": sum(right)},
        },
        (
            _all("every planted mistake is rejected", total["rejected"], total["planted"]),
            _all("each is named", total["named"], total["planted"]),
            _all("the right derivatives pass", sum(right), len(right)),
        ),
        (),
    )


def _chosen(quick: bool) -> list[tuple[str, Fault]]:
    """Models with faults; in quick mode one for each kind, most in linear regression, and every model once."""
    every = [(model, fault) for model, fault, _ in cases((*GRADIENT, *SECOND), (FEATURES,))]
    if not quick:
        return every
    by_kind = {kind: [case for case in every if case[1].kind is kind] for kind in KINDS}
    return [next((case for case in of if case[0] == ELSEWHERE.get(kind)), of[0]) for kind, of in by_kind.items()]


def _examined(model: str, fault: Fault) -> dict[str, Any]:
    """The doctor's verdict on one fault in one model, as a row of the table."""
    theta, X, y, keywords = problem(model, FEATURES, SEED, decades=fault.decades[0])
    report = verify.derivatives(MODELS[model].cost, theta, X, y, **{fault.derivative: mutant(model, fault)}, **keywords)
    rejected = report.ok is False
    named = rejected and fault.kind in {finding.kind for finding in report.findings}
    return {
        "kind": fault.kind.name,
        "derivative": fault.derivative,
        "model": model,
        "fault": fault.name,
        "planted": 1,
        "rejected": int(rejected),
        "named": int(named),
        "diagnosis": report.findings[0].sentence if report.findings else "",
    }


def _right(model: str) -> tuple[Check, ...]:
    theta, X, y, keywords = problem(model, FEATURES, SEED, decades=0)
    return check_derivatives(model, MODELS[model], theta, X, y, **keywords)


def _summed(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {count: sum(row[count] for row in rows) for count in COUNTS}


def _by_kind_and_model(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    together = {
        (kind.name, model): [row for row in table if (row["kind"], row["model"]) == (kind.name, model)]
        for kind in KINDS
        for model in MODELS
    }
    return [{"kind": kind, "model": model} | _summed(rows) for (kind, model), rows in together.items() if rows]


def _all(claim: str, count: int, of: int) -> Check:
    return Check(claim, 1 - count / of, count == of)


def _figure(table, accepted):
    cells = {(row["kind"], row["model"]): row for row in _by_kind_and_model(table)}
    most = max(row["planted"] for row in cells.values())
    shades = LinearSegmentedColormap.from_list("planted", ["white", DATA])
    figure, axes = plt.subplots(figsize=(8.5, 6), layout="constrained")
    for x, model in enumerate(MODELS):
        for y, kind in enumerate(KINDS):
            cell = cells.get((kind.name, model))
            if cell is None:
                axes.text(x, y, "–", ha="center", va="center", color="black")
            else:
                _cell(axes, x, y, cell["named"], cell["planted"], shades(0.1 + 0.6 * cell["planted"] / most))
        _cell(axes, x, len(KINDS) + 0.4, sum(accepted[model]), len(accepted[model]), "white")
    axes.set(
        xlim=(-0.5, len(MODELS) - 0.5), ylim=(len(KINDS) + 0.9, -0.5),
        xticks=range(len(MODELS)), xticklabels=list(MODELS),
        yticks=[*range(len(KINDS)), len(KINDS) + 0.4],
        yticklabels=[*(f"{kind.name}: {kind}" for kind in KINDS), "right derivatives accepted"],
        title="Mistakes named, of those planted",
    )  # fmt: skip
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _cell(axes, x, y, count, of, color):
    face = color if count == of else FIT
    axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, facecolor=face, edgecolor=MUTED, linewidth=0.5))
    axes.text(x, y, f"{count} of {of}", ha="center", va="center", color="black")
