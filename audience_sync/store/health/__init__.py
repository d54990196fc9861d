"""Is the store whole? Nothing is changed; a damage is said with what to do."""
