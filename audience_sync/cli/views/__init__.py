"""Turn results into lines for people."""
