"""Slips in lines are found at their line and named: a sample of the table that experiments.benchmarks.derivations makes
of all derivations, with other seeds."""

import json

from experiments.benchmarks.derivations import main, outcome
from jax_course.derivations import find
from jax_course.derivations.mutants import Mutant, mutants, redrawn, slips
from jax_course.verify import Kind

SEED = 41
SAMPLE = {"ridge_gradient": 3, "log_first_probability": 4, "softmax_gradient": 5}  # every so many of their mutants


def test_every_kind_of_slip_is_found_at_its_line_and_named():
    planted = set()
    for name, step in SAMPLE.items():
        for mutant in list(mutants(redrawn(find(name), SEED), SEED))[::step]:
            assert outcome(mutant) == (True, True, "")
            planted.add(mutant.planted.name)
    assert planted == {slip.name for slip in slips(SEED)}


def test_a_slip_that_is_not_found_or_has_another_name_is_counted_as_missed():
    derivation, sign = find("bernoulli_entropy"), slips(0)[0]
    assert outcome(Mutant(derivation, 2, sign))[:2] == (False, False)
    wrong = next(mutants(derivation))
    assert outcome(wrong)[:2] == (True, True)
    misnamed = outcome(wrong._replace(planted=sign._replace(kinds=(Kind.INDEX,))))
    assert misnamed[:2] == (True, False)
    assert "bernoulli_entropy, line 2, the sign: lines [2] wrong; SIGN" in misnamed.words


def test_the_table_is_printed_and_kept(tmp_path, capsys):
    assert main(["bernoulli_entropy", "--seeds", "3", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "derivations.json").read_text())
    assert found["right"] == {"lines": 2, "wrong": 0, "undecided": 0}
    assert found["slips"]["the sign"] == {"planted": 2, "found": 2, "named": 2}
    assert "right lines: 2, called wrong 0" in capsys.readouterr().out
