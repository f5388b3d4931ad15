"""Experiments of chapter 7 of the course."""
