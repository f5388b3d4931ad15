"""Derivatives in models as practitioners have them, right and wrong: a list CASES in the module of each domain."""
