"""Experiments of chapter 11 of the course."""
