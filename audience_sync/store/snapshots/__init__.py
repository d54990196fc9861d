"""Keep snapshots as chains of Parquet files: a base and the deltas since."""
