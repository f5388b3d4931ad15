"""Experiments of chapter 4 of the course."""
