"""Input validation: whatever users hand over becomes arrays of the right shapes and values, or is refused by name.

`arrays` makes arrays of what holds numbers, `shapes` compares shapes and dtypes, `values` looks at the numbers, and
`problems` does all of it for a fit: `inputs.regression_problem(X, y, penalty=…, weights=…)`.
"""

from jax_course.inputs.arrays import (
    aligned_empty,
    as_array,
    is_concrete,
    level_of_the_caller,
    small_host_copy,
    zero_copy,
)
from jax_course.inputs.problems import Problem, binary_problem, classification_problem, regression_problem
from jax_course.inputs.shapes import (
    class_numbers,
    class_scores,
    classification,
    design,
    direction,
    example_weights,
    linear,
    more_rows,
    one_penalty,
    one_per_row,
    penalized_classification,
    penalized_regression,
    penalties,
    per_center,
    random_key,
    regression,
    target_rows,
    targets,
    whole,
)
from jax_course.inputs.types import ArrayLike
from jax_course.inputs.values import (
    all_positive,
    class_number,
    finite,
    nonnegative,
    positive,
    refuse_nan,
    training_design,
    training_weights,
)

__all__ = [
    "ArrayLike",
    "Problem",
    "aligned_empty",
    "all_positive",
    "as_array",
    "binary_problem",
    "class_number",
    "class_numbers",
    "class_scores",
    "classification",
    "classification_problem",
    "design",
    "direction",
    "example_weights",
    "finite",
    "is_concrete",
    "level_of_the_caller",
    "linear",
    "more_rows",
    "nonnegative",
    "one_penalty",
    "one_per_row",
    "penalized_classification",
    "penalized_regression",
    "penalties",
    "per_center",
    "positive",
    "random_key",
    "refuse_nan",
    "regression",
    "regression_problem",
    "small_host_copy",
    "target_rows",
    "targets",
    "training_design",
    "training_weights",
    "whole",
    "zero_copy",
]
