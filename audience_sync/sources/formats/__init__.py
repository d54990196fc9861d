"""Turn a file of each format into a scan of DuckDB; one module per format."""
