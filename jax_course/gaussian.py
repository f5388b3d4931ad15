"""`jax_course.probability.gaussian` by its short name: the same module."""

import sys

from jax_course.probability import gaussian
from jax_course.probability.gaussian import *  # noqa: F403

sys.modules[__name__] = gaussian
