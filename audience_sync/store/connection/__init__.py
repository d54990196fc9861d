"""Connect to the store, hold its lease, write many rows."""
