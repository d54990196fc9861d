"""Keep snapshots as chains of segments: a base and the changes since."""
