"""Measurements against other tools; each module runs by itself: `python -m experiments.benchmarks.doctor`."""
