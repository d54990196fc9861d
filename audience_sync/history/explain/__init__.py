"""Explain one user: values and their origin, calls, answers and pending changes."""
