"""Compare snapshots with the stored ones."""
