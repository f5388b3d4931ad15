"""Rules of jax.custom_vjp and jax.custom_jvp: right ones are cleared, wrong ones rejected under the right name."""

import jax
import pytest

from jax_course import verify
from tests.verify.rule_cases import CASES


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
