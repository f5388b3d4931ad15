"""`jax_course.probability.categorical` by its short name: the same module."""

import sys

from jax_course.probability import categorical
from jax_course.probability.categorical import *  # noqa: F403

sys.modules[__name__] = categorical
