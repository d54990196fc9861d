"""Hold changes that are larger than the limits."""
