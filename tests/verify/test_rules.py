"""Rules of jax.custom_vjp and jax.custom_jvp: right ones are cleared, wrong ones rejected under the right name."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import verify
from tests.verify.rule_cases import CASES, W, b, dense_with, wave_with, x


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_rule_is_judged(case):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        function = case.make()
    report = verify.rule(function, *case.primals, **case.options)
    found = {finding.kind for finding in report.findings}
    if case.kinds is None:
        assert report.ok is True, str(report)
    else:
        assert report.ok is False, str(report)
        assert found, str(report)
        assert found <= case.kinds, str(report)
    assert case.words in " ".join(str(report).split())
    assert all(len(line) <= 80 for line in str(report).splitlines())


def test_there_are_forty_rules():
    assert len({case.name for case in CASES}) == len(CASES) > 40


def test_a_finding_names_primal_entry_and_both_values():
    report = verify.rule(dense_with(lambda r, g: (g @ r[1].T, r[0].T @ g, 2 * g.sum(0)))(), x[None], W, b)
    (finding,) = report.findings
    assert finding.leaf == "b"
    assert np.isclose(finding.hand, 2 * finding.reference)
    assert report.headline == "WRONG: rule"
    assert "b[" in report._repr_html_()
    record = json.loads(report.to_json())
    assert record["findings"][0]["derivative"] == "rule"
    assert any("declare it" in note for note in record["notes"])


def test_a_departure_that_is_declared_needs_no_advice():
    report = verify.rule(wave_with(lambda x, g: (2 * g,))(), x, meant=lambda x: x)
    assert report.ok is False
    assert report.notes == ()


def test_what_has_no_rule_is_refused():
    with pytest.raises(TypeError, match="f must have a rule"):
        verify.rule(jnp.sin, x)
    with pytest.raises(TypeError, match="f must be a function; got int"):
        verify.rule(3, x)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="no floating-point primal to differentiate by; got x"):
        verify.rule(jax.nn.relu, 3)
    with pytest.raises(TypeError, match="primals of floating point are examined; x is complex"):
        verify.rule(jax.nn.relu, 3j)
    with pytest.raises(ValueError, match="f has no rule yet: defvjp was not called"):
        verify.rule(jax.jit(jax.custom_vjp(jnp.sin)), x)
    with pytest.raises(ValueError, match="f raised ValueError: matmul"):
        verify.rule(dense_with(lambda r, g: (g, g, g))(), x[:2], W, b)
    with pytest.raises(ValueError, match="JAX cannot differentiate what is meant"):
        verify.rule(wave_with(lambda x, g: (g,))(), x, meant=lambda x: np.asarray(x) + 1)


def test_without_pytorch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'jax-course\[torch\]'"):
        verify.torch_function(type, x)
