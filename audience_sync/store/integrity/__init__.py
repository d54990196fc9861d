"""Check the store for damage."""
