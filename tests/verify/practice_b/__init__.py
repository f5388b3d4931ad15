"""Derivatives as practitioners have them: sequences, penalties, networks, dynamics, energies and scales."""
