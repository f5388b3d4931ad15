"""Experiments of chapter 9 of the course."""
