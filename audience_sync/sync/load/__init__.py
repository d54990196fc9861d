"""Load the snapshots of the configured audiences and computed traits."""
