"""`jax_course.training.train` by its short name: the same module."""

import sys

from jax_course.training import train as module
from jax_course.training.train import *  # noqa: F403

sys.modules[__name__] = module
