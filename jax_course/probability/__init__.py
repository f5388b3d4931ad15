"""Probability: densities, likelihood, confidence (course 4, 5)."""
