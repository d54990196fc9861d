"""Start runs at the times of the config's schedules."""
