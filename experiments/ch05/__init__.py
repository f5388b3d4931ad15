"""Experiments of chapter 5 of the course."""
