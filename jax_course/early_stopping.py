"""`jax_course.training.early_stopping` by its short name: the same module."""

import sys

from jax_course.training import early_stopping as module
from jax_course.training.early_stopping import *  # noqa: F403

sys.modules[__name__] = module
