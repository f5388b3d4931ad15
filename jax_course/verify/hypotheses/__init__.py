"""The hypotheses: what each kind of mistake predicts, tested on the entries under suspicion. See `diagnosis`."""

from jax_course.verify.hypotheses.chain_rule import chain_rule
from jax_course.verify.hypotheses.constants import factor, factor_here, missing, nonfinite
from jax_course.verify.hypotheses.penalties import (
    bias,
    penalty_of_the_norm,
    penalty_on_the_spared,
    penalty_scaled,
    penalty_too_much,
)
from jax_course.verify.hypotheses.places import index, isolated, transpose
from jax_course.verify.hypotheses.second_order import asymmetric, diagonal, expected, row_and_column, triangle

# Simple ones first: the first that holds in every entry and at every point is the diagnosis.
HYPOTHESES = (
    nonfinite,
    missing,
    factor,
    penalty_scaled,
    penalty_of_the_norm,
    penalty_on_the_spared,
    penalty_too_much,
    diagonal,
    expected,
    triangle,
    row_and_column,
    bias,
    transpose,
    index,
    isolated,
    chain_rule,
    asymmetric,
    factor_here,
)
