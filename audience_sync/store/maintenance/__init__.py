"""Migrate, back up and copy the store, and grant rights to it."""
