"""Send to any HTTP endpoint."""
