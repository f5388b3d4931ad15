"""Optimization (course 7): functions of theta in, a `Solution` out. Knows no model."""

from jax_course.optimization.newton import newton
from jax_course.optimization.solution import NotSolved, Solution, Status

__all__ = ["NotSolved", "Solution", "Status", "newton"]
