"""`jax_course.probability.bernoulli` by its short name: the same module."""

import sys

from jax_course.probability import bernoulli
from jax_course.probability.bernoulli import *  # noqa: F403

sys.modules[__name__] = bernoulli
