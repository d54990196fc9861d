"""Commit the changes of a run, and its own row, to the store."""
