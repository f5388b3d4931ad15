"""Experiments with the derivative doctor: planted mistakes, and the slips of the printed course."""
