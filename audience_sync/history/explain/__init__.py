"""Explain one user: values, where they come from, calls, answers, pending changes."""
