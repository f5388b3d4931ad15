"""`jax_course.training.checkpoint` by its short name: the same module."""

import sys

from jax_course.training import checkpoint
from jax_course.training.checkpoint import *  # noqa: F403

sys.modules[__name__] = checkpoint
