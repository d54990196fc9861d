"""Connect to the store, acquire its lease, write many rows."""
