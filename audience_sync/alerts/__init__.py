"""Find what needs attention after a run, and notify people once."""
