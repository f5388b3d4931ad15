"""Experiments of chapter 3 of the course."""
