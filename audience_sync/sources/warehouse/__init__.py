"""Compare snapshots where their rows are: the same steps and queries in any warehouse."""
