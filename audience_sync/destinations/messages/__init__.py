"""Build identify messages and events, and split them by size."""
