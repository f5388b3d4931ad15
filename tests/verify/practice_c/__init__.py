"""Derivatives of practice, the third set: nobody looked at it while the diagnosis was written."""
