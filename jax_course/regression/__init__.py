"""Regression: the target is a real number (course 3, 5, 6)."""
