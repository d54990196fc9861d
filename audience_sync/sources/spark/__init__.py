"""Read snapshots by Spark Connect, and compare them there."""
