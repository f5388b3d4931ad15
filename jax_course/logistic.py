"""`jax_course.classification.logistic` by its short name: the same module."""

import sys

from jax_course.classification import logistic
from jax_course.classification.logistic import *  # noqa: F403

sys.modules[__name__] = logistic
