"""Migrate, back up, copy and prune the store, erase users, and grant rights."""
