"""Experiments of chapter 6 of the course."""
