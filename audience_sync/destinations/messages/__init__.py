"""Build identify messages and events, and divide them by size."""
