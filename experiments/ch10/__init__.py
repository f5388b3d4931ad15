"""Experiments of chapter 10 of the course."""
