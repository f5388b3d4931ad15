"""The hypotheses: what each kind of mistake predicts, tested on the entries under suspicion. See `diagnosis`."""

from jax_course.verify.hypotheses.chain_rule import chain_rule, function_of_a_parameter, function_of_each_parameter
from jax_course.verify.hypotheses.constants import (
    factor,
    factor_but_for_the_penalty,
    factor_here,
    factor_of_slices,
    factor_of_what_a_keyword_divides,
    missing,
    nonfinite,
)
from jax_course.verify.hypotheses.elsewhere import off_by_a_constant, otherwise, unmoved
from jax_course.verify.hypotheses.penalties import (
    bias,
    bias_of_a_gradient,
    penalty_of_another_form,
    penalty_on_the_spared,
    penalty_scaled,
    penalty_too_much,
)
from jax_course.verify.hypotheses.places import exchanged, index, isolated, transpose
from jax_course.verify.hypotheses.second_order import (
    asymmetric,
    blocks_only,
    diagonal,
    expected,
    reordered,
    row_and_column,
    triangle,
)
from jax_course.verify.hypotheses.terms import factor_of_a_term

# The first that holds in every entry and at every point is the diagnosis: simple ones first, those of structure before
# those that leave much open.
STRUCTURAL = (
    nonfinite,
    diagonal,
    bias_of_a_gradient,
    missing,
    factor,
    factor_but_for_the_penalty,
    penalty_scaled,
    penalty_of_another_form,
    penalty_on_the_spared,
    penalty_too_much,
    factor_of_what_a_keyword_divides,
    expected,
    triangle,
    bias,
    row_and_column,
    transpose,
    index,
    reordered,
    exchanged,
    otherwise,
    factor_of_slices,
    factor_of_a_term,
    function_of_each_parameter,
)
LOOSE = (
    blocks_only,
    isolated,
    unmoved,
    off_by_a_constant,
    function_of_a_parameter,
    chain_rule,
    asymmetric,
    factor_here,
)
