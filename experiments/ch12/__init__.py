"""Experiments of chapter 12 of the course."""
