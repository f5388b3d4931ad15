"""Every kind of fault in every model is rejected and named; the right derivatives never are. The whole table, with more
seeds and sizes and with other tools beside, is `python -m experiments.benchmarks.doctor`."""

import jax
import numpy as np
import pytest

from jax_course import verify
from jax_course.exercises.mutants import GRADIENT, MODELS, SECOND, cases, mutant
from jax_course.exercises.problems import BADLY_SCALED, problem

ALIKE = ("factor 1/2", "penalty halved", "penalty subtracted")  # are found as a factor 1/m, a penalty doubled are
# All of a gradient by one factor: test_derivatives and test_diagnoses hold the doctor to these.
UNIFORM = ("sign", "factor 2", "factor 1/m", "factor K")
# Softmax has everything that the others have, but for what their faults say.
CASES = [
    pytest.param(model, fault, d, id=f"{model}-{fault.derivative}-{fault.name}")
    for faults, size in ((GRADIENT, 5), (SECOND, 4))
    for model, fault, d in cases(faults, (size,))
    if model == ("softmax" if "softmax" in fault.models else fault.models[0])
    and fault.name not in ALIKE
    and not (fault.derivative == "gradient" and fault.name in UNIFORM)
]


@pytest.mark.parametrize(("model", "fault", "d"), CASES)
def test_a_mutant_is_rejected_and_named(model, fault, d):
    theta, X, y, keywords = problem(model, d, 0, decades=fault.decades[-1])
    report = verify.derivatives(
        MODELS[model].cost, theta, X, y, **{fault.derivative: jax.jit(mutant(model, fault))}, **keywords
    )
    assert report.ok is False
    assert fault.kind in {finding.kind for finding in report.findings}, str(report)


@pytest.mark.parametrize("model", ["softmax"])  # the contract tests hold every model
def test_the_right_derivatives_raise_no_alarm(model):
    for decades in (0, BADLY_SCALED):
        theta, X, y, keywords = problem(model, 5, 0, decades=decades)
        report = verify.model(MODELS[model], theta, X, y, **keywords)
        assert report.ok is True, str(report)
    single = [np.asarray(values, np.float32) if values.dtype.kind == "f" else values for values in (theta, X, y)]
    assert verify.model(MODELS[model], *single, **keywords).ok is True
