"""The hypotheses: every kind of mistake predicts an entry of the wrong derivative from the right one. See `diagnosis`.

A hypothesis is a function of a `Part`, and returns a `Guess` if its prediction holds. In their docstrings h is the
reader's derivative and r the reference.
"""

from jax_course.verify.hypotheses.chain_rule import (
    as_a_wrong_rule,
    chain_rule,
    function_of_a_parameter,
    functions_of_parameters,
)
from jax_course.verify.hypotheses.constants import (
    factor,
    factor_at_the_point,
    factor_beside_the_penalty,
    factor_of_a_divided_part,
    factor_of_slices,
    missing,
    nonfinite,
    off_by_a_constant,
)
from jax_course.verify.hypotheses.counterfactuals import (
    complement_of_a_keyword,
    constant_in_parameters,
    counterfactual,
    parameters_at_zero,
)
from jax_course.verify.hypotheses.penalties import (
    bias,
    bias_of_a_gradient,
    extra_penalty,
    penalty_of_another_form,
    penalty_of_each_row,
    penalty_on_unpenalised,
    penalty_scaled,
)
from jax_course.verify.hypotheses.permutations import (
    ends_of_an_axis,
    isolated_entries,
    left_at_zero,
    other_leaf,
    permuted,
    shifted,
    transposed,
    turned,
)
from jax_course.verify.hypotheses.second_order import (
    asymmetric,
    blocks_only,
    diagonal,
    expected_targets,
    gauss_newton_or_fisher,
    reordered,
    row_and_column,
    triangle,
)
from jax_course.verify.hypotheses.slips import (
    factors_in_turns,
    slip_and_factor,
    slip_in_an_operation,
    slip_in_operations,
    slip_in_the_gradient,
    two_slips,
)
from jax_course.verify.hypotheses.terms import (
    changing_factor_of_a_term,
    diagonal_of_a_term,
    factor_of_a_term,
    factor_of_an_own_term,
    function_of_entries_in_a_term,
    moved_term,
    transposed_term,
)

# The first that holds in every entry and at every point is the diagnosis: simple ones first, and those with a constant
# or none before those with a number for every example or point.
STRUCTURAL = (
    nonfinite,
    diagonal,
    other_leaf,
    bias_of_a_gradient,
    missing,
    factor,
    complement_of_a_keyword,
    factor_beside_the_penalty,
    penalty_scaled,
    penalty_of_another_form,
    penalty_of_each_row,
    penalty_on_unpenalised,
    extra_penalty,
    factor_of_a_divided_part,
    gauss_newton_or_fisher,
    expected_targets,
    triangle,
    bias,
    row_and_column,
    transposed,
    permuted,
    turned,
    shifted,
    reordered,
    counterfactual,
    factor_of_slices,
    factor_of_a_term,
    factor_of_an_own_term,
    diagonal_of_a_term,
    functions_of_parameters,
    slip_in_an_operation,
    transposed_term,
    moved_term,
    function_of_entries_in_a_term,
    slip_in_operations,
    slip_in_the_gradient,
    slip_and_factor,
    factors_in_turns,
)
LOOSE = (
    as_a_wrong_rule,
    blocks_only,
    isolated_entries,
    two_slips,
    ends_of_an_axis,
    changing_factor_of_a_term,
    parameters_at_zero,
    constant_in_parameters,
    off_by_a_constant,
    function_of_a_parameter,
    chain_rule,
    asymmetric,
    factor_at_the_point,
    left_at_zero,
)
