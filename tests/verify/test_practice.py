"""Derivatives of practice: every case is a record that the doctor can be given, and a sample is judged and named.

The whole set takes minutes: `python -m tests.verify.measure_practice a`.
"""

import jax
import pytest

from tests.verify.measure_practice import cases, examined, is_named

A, B, C = (cases(part, []) for part in "abc")
SAMPLE = {case.name: case for members in A.values() for case in members}
NAMED = [
    # slips in one operation
    "Bradley-Terry: the probability of the result, not of its opposite",
    "ListNet: softmax over the queries",
    "GloVe: the contexts' residuals not transposed",
    "batch norm by inputs in columns: the variance for the deviation",
    "root mean square norm, float32: the scale forgotten in the head's gradient",
    "skip-gram: repeated words overwrite each other",
    # in several, or an operation left out
    "ordinal logit: the examples of one grade overwrite each other",
    "residual blocks: the way around the block left out",
    "recurrent network in float32: only the last two steps",
    "triplets: the margin forgotten in the mask",
    "Plackett-Luce: the rankings from the last to the first",
    # parts of the cost, and penalties without a keyword
    "independent components: the inverse not transposed",
    "group lasso: the group's size, not its square root",
    "elastic net: |theta| in place of its sign",
    # costs in NumPy
    "Bernoulli mixture in NumPy: the epsilon in the logarithm forgotten",
    "Matern 3/2 in NumPy: the product rule forgotten",
    # orders and axes
    "causal filters: channels in and out exchanged",
    "ordinal logit: the cuts' gradient one place off",
    "softmax: the columns of the labels reversed",
    "Cox: the risk set is of those already dead",
    # second derivatives
    "Cox, Hessian: the square of the mean is not subtracted",
    "negative binomial, r known: Fisher's information for the Hessian",
    # rules
    "two layers beside a rule wrong in the last bias, in millionths: as the rule",
]
RIGHT = [
    "robust squares beside a rule good to seven digits",
    "two layers beside a rule wrong in the last bias, in millionths",
    "depthwise filters, products in bfloat16",
    "recurrent network in float32, all in the closure",
    "max pooling by the image, NumPy",
]


@pytest.fixture(autouse=True)
def settings_of_jax():
    """The cases are written for JAX's own settings of promotion."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("half", [A, B, C], ids=["a", "b", "c"])
def test_every_case_has_a_derivative_and_a_name_of_its_own(half):
    members = [case for domain in half.values() for case in domain]
    assert len({case.name for case in members}) == len(members)
    for case in members:
        assert any((case.gradient, case.hessian, case.hessian_product)), case.name


@pytest.mark.parametrize("name", NAMED)
def test_a_mistake_of_practice_is_named(name):
    report = examined(SAMPLE[name])
    assert report.ok is False
    assert is_named(SAMPLE[name], report), str(report)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_derivative_of_practice_is_confirmed(name):
    assert examined(SAMPLE[name]).ok is True


def test_a_loop_that_ends_at_a_tolerance_leaves_the_last_digits_open():
    assert examined(SAMPLE["a fixed point iterated to 1e-6"]).ok is None


def test_a_long_loop_of_sums_ends():
    name = "Euler steps: by the rates, not by their logarithms"  # its terms doubled in each step
    assert is_named(SAMPLE[name], examined(SAMPLE[name]))
