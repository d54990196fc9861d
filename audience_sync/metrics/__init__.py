"""Show the store's numbers to a monitor, in Prometheus' format."""
