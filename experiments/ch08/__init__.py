"""Experiments of chapter 8 of the course."""
